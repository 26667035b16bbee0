//! The snapshot: everything by which a shard judges, compiled and immutable, with its generation.

use super::limits::Limits;

/// Which applied configuration this is: grows by one with each Apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

/// What shards judge by.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The configuration it was compiled from.
    pub generation: Generation,
    /// Limits.
    pub limits: Limits,
    /// `false`: every session ends with its connection.
    pub persistent_sessions: bool,
    /// With what the Response Information of every client begins, its client identifier follows; empty: none is given.
    pub response_information: String,
}
