//! How many clients are connected by each client certificate and at each listener. Kept as they come and go, so that
//! nobody has to look at all of them.

use std::collections::HashMap;

use ahash::RandomState;

use crate::policy::{Principal, Thumbprint};
use crate::shard::Shard;

/// Most certificates of one question.
pub const CERTIFICATES_ASKED: usize = 1_024;

/// The counts of a shard; nobody stands in it who is not there.
#[derive(Debug)]
pub(super) struct Online {
    certificates: HashMap<Thumbprint, u32, RandomState>,
    /// By the listeners' numbers: they are few.
    listeners: Vec<(u16, u32)>,
}

impl Online {
    pub(super) fn new(hasher: RandomState) -> Online {
        Online { certificates: HashMap::with_hasher(hasher), listeners: Vec::new() }
    }

    /// Somebody has connected at a listener.
    pub(super) fn came(&mut self, listener: u16, principal: Option<&Principal>) {
        match self.listeners.iter_mut().find(|(number, _)| *number == listener) {
            Some((_, count)) => *count += 1,
            None => self.listeners.push((listener, 1)),
        }
        if let Some(certificate) = principal.and_then(|principal| principal.certificate.as_ref()) {
            *self.certificates.entry(certificate.thumbprint).or_default() += 1;
        }
    }

    /// Somebody is no longer connected who came.
    pub(super) fn went(&mut self, listener: u16, principal: Option<&Principal>) {
        let at =
            self.listeners.iter().position(|(number, _)| *number == listener).expect("who goes has come");
        self.listeners[at].1 -= 1;
        if self.listeners[at].1 == 0 {
            self.listeners.swap_remove(at);
        }
        if let Some(certificate) = principal.and_then(|principal| principal.certificate.as_ref()) {
            let count = self.certificates.get_mut(&certificate.thumbprint).expect("who goes has come");
            *count -= 1;
            if *count == 0 {
                self.certificates.remove(&certificate.thumbprint);
            }
        }
    }
}

impl Shard {
    /// How many connections present each of these certificates: of the first [`CERTIFICATES_ASKED`].
    pub fn online(&self, certificates: &[Thumbprint]) -> Vec<u32> {
        let asked = certificates.iter().take(CERTIFICATES_ASKED);
        asked.map(|certificate| self.online.certificates.get(certificate).copied().unwrap_or(0)).collect()
    }

    /// How many clients are connected at each listener, by its number; in no order, and without those where nobody is.
    pub fn at_listeners(&self) -> &[(u16, u32)] {
        &self.online.listeners
    }
}
