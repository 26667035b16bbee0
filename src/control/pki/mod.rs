//! Certificates and keys: made, read, described, kept. The configuration names them by thumbprint; everything here
//! works on what lies under `pki` in the data directory and knows neither the configuration nor a connection.

pub mod broker;
pub mod describe;
pub mod export;
pub mod keys;
pub mod make;
pub mod names;
pub mod read;
pub mod request;
pub mod store;

mod error;
mod issuer;
mod suitable;
mod verify;

#[cfg(test)]
mod tests;

use rustls_pki_types::{CertificateDer, PrivateKeyDer};

pub use self::describe::{Description, describe, moment};
pub use self::error::PkiError;
pub use self::issuer::Issuer;
pub use self::keys::KeyType;
pub use self::names::{SanName, host_names};
pub use self::read::{Imported, import};
pub use self::store::Store;
pub use self::suitable::Expiry;
pub(super) use self::suitable::server as suits_a_server;
pub use crate::policy::certificates::Thumbprint;

/// A certificate, what leads from it to its authority, and its key if that is there. Debug output never shows the key.
#[derive(Debug)]
pub struct Certified {
    /// The certificate itself, then its issuer, and so on; never empty.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key that belongs to the first.
    pub key: Option<PrivateKeyDer<'static>>,
}

impl Certified {
    /// The certificate itself.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        self.chain.first().expect("a chain is never empty")
    }

    /// Its thumbprint.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        describe::thumbprint(self.certificate())
    }
}

impl Clone for Certified {
    fn clone(&self) -> Certified {
        Certified { chain: self.chain.clone(), key: self.key.as_ref().map(PrivateKeyDer::clone_key) }
    }
}
