//! What the operator decided, compiled: limits, client certificates, credentials, topic rules.
//!
//! Pure, and ignorant of TLS, files and the network. A [`Snapshot`] is immutable; shards swap it whole.

pub mod certificates;
pub mod credentials;
pub mod limits;
pub mod principal;
pub mod rejections;
pub mod rules;
pub mod snapshot;
pub mod trace;
pub mod verified;

pub use certificates::{CertificatePolicy, CertificateRefusal, Listing, Presented, Requirement, Thumbprint};
pub use credentials::{Credentials, ProvedUser, StoredPassword};
pub use limits::Limits;
pub use principal::{ClientIdPolicy, ClientNames, ListenerPolicy, Principal, RefusedPublish};
pub use rejections::{Attempt, Ground, Rejection, Rejections};
pub use rules::{ClientRules, Rules};
pub use snapshot::{Generation, Listeners, Snapshot};
pub use trace::{Direction, Directions, PacketTypes, TraceProblem, TraceSet, TraceSpec};
