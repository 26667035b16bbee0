//! What the operator decided, compiled: limits, client certificates, credentials, topic rules.
//!
//! Pure, and ignorant of TLS, files and the network. A [`Snapshot`] is immutable; shards swap it whole.

pub mod certificates;
pub mod limits;
pub mod principal;
pub mod snapshot;

pub use certificates::{CertificatePolicy, CertificateRefusal, Listing, Presented, Requirement, Thumbprint};
pub use limits::Limits;
pub use principal::{ClientIdPolicy, ClientNames, ListenerPolicy, Principal, Rejection};
pub use snapshot::{Generation, Snapshot};
