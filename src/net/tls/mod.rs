//! TLS: rustls between a socket and what lies on it, without I/O of its own, and what rustls is told; who
//! proved what to it.

pub mod config;
mod connection;
pub mod presented;
pub mod trust;
pub mod verifier;

use std::fmt;
use std::sync::Arc;

pub use connection::{End, FLUSH_BYTES, Heard, Tls};

/// On what terms a listener speaks TLS: certificate, versions, what is asked of clients. A connection keeps those under
/// which it was accepted.
#[derive(Clone)]
pub struct TlsTerms(pub Arc<rustls::ServerConfig>);

impl fmt::Debug for TlsTerms {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("TlsTerms").field(&Arc::as_ptr(&self.0)).finish()
    }
}

/// The same configuration, not an equal one: whoever makes a new one wants it used.
impl PartialEq for TlsTerms {
    fn eq(&self, other: &TlsTerms) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for TlsTerms {}
