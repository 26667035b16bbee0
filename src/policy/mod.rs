//! What the operator decided, compiled: limits now; rules, credentials and principals later.
//!
//! Pure, and ignorant of TLS, files and the network. A [`Snapshot`] is immutable; shards swap it whole.

pub mod limits;
pub mod snapshot;

pub use limits::Limits;
pub use snapshot::{Generation, Snapshot};
