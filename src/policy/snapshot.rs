//! The snapshot: everything by which a shard judges, compiled and immutable, with its generation.

use std::collections::HashMap;
use std::sync::Arc;

use super::certificates::CertificatePolicy;
use super::limits::Limits;
use super::principal::{ClientIdPolicy, ListenerPolicy};

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
    /// Which client certificates are acceptable.
    pub certificates: Arc<CertificatePolicy>,
    /// What listeners ask for, by their numbers; one that is not here asks for nothing.
    pub listeners: HashMap<u16, ListenerPolicy>,
    /// Which client identifiers are allowed.
    pub client_id: ClientIdPolicy,
}

impl Snapshot {
    /// What a listener asks for.
    pub fn listener(&self, number: u16) -> ListenerPolicy {
        self.listeners.get(&number).copied().unwrap_or_default()
    }
}
