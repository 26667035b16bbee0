//! The snapshot: everything by which a shard judges, compiled and immutable, with its generation.

use std::collections::HashMap;
use std::sync::Arc;

use super::certificates::CertificatePolicy;
use super::credentials::Credentials;
use super::limits::Limits;
use super::principal::{ClientIdPolicy, ClientNames, ListenerPolicy, RefusedPublish};
use super::rules::Rules;

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
    /// Who may connect by user name and password.
    pub credentials: Arc<Credentials>,
    /// What listeners ask for, by their numbers; one that is not here asks for nothing.
    pub listeners: HashMap<u16, ListenerPolicy>,
    /// Which client identifiers are allowed.
    pub client_id: ClientIdPolicy,
    /// Topic access rules; `None`: they do not apply.
    pub rules: Option<Arc<Rules>>,
    /// Where the client name comes from that they judge by.
    pub names: ClientNames,
    /// What a 3.1.1 client hears of a publish that was refused.
    pub refused_publish_v3: RefusedPublish,
}

impl Snapshot {
    /// What a listener asks for.
    pub fn listener(&self, number: u16) -> ListenerPolicy {
        self.listeners.get(&number).copied().unwrap_or_default()
    }
}
