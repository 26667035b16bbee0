//! How many connections present each client certificate. Kept as clients come and go, so that nobody has to look at all
//! of them.

use std::collections::HashMap;

use ahash::RandomState;

use crate::policy::{Principal, Thumbprint};
use crate::shard::Shard;

/// Most certificates of one question.
pub const CERTIFICATES_ASKED: usize = 1_024;

/// The counts of a shard; nobody stands in it who is not there.
#[derive(Debug)]
pub(super) struct Online(HashMap<Thumbprint, u32, RandomState>);

impl Online {
    pub(super) fn new(hasher: RandomState) -> Online {
        Online(HashMap::with_hasher(hasher))
    }

    /// Somebody has connected.
    pub(super) fn came(&mut self, principal: Option<&Principal>) {
        if let Some(certificate) = principal.and_then(|principal| principal.certificate.as_ref()) {
            *self.0.entry(certificate.thumbprint).or_default() += 1;
        }
    }

    /// Somebody is no longer connected who came.
    pub(super) fn went(&mut self, principal: Option<&Principal>) {
        if let Some(certificate) = principal.and_then(|principal| principal.certificate.as_ref()) {
            let count = self.0.get_mut(&certificate.thumbprint).expect("who goes has come");
            *count -= 1;
            if *count == 0 {
                self.0.remove(&certificate.thumbprint);
            }
        }
    }
}

impl Shard {
    /// How many connections present each of these certificates: of the first [`CERTIFICATES_ASKED`].
    pub fn online(&self, certificates: &[Thumbprint]) -> Vec<u32> {
        let asked = certificates.iter().take(CERTIFICATES_ASKED);
        asked.map(|certificate| self.online.0.get(certificate).copied().unwrap_or(0)).collect()
    }
}
