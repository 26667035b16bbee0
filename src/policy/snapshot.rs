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
    /// What listeners ask for. Whoever came to one that is not here may not stay.
    pub listeners: Listeners,
    /// Which client identifiers are allowed.
    pub client_id: ClientIdPolicy,
    /// Topic access rules; `None`: they do not apply.
    pub rules: Option<Arc<Rules>>,
    /// Where the client name comes from that they judge by.
    pub names: ClientNames,
    /// What a 3.1.1 client hears of a publish that was refused.
    pub refused_publish_v3: RefusedPublish,
}

/// The listeners that are open, by their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listeners(HashMap<u16, ListenerPolicy>);

impl Listeners {
    /// What a listener asks for; `None`: it is closed.
    pub fn get(&self, number: u16) -> Option<ListenerPolicy> {
        self.0.get(&number).copied()
    }
}

impl Default for Listeners {
    /// One, with the number 0, that asks for nothing.
    fn default() -> Listeners {
        Listeners::from_iter([(0, ListenerPolicy::default())])
    }
}

impl FromIterator<(u16, ListenerPolicy)> for Listeners {
    fn from_iter<I: IntoIterator<Item = (u16, ListenerPolicy)>>(listeners: I) -> Listeners {
        Listeners(listeners.into_iter().collect())
    }
}

impl<const N: usize> From<[(u16, ListenerPolicy); N]> for Listeners {
    fn from(listeners: [(u16, ListenerPolicy); N]) -> Listeners {
        Listeners::from_iter(listeners)
    }
}
