//! What a listener's handshakes are made with: certificate and key, protocol versions, tickets.
//!
//! It reads no files and knows no configuration text.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, ProducesTickets, ServerConfig};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};

use super::verifier::PolicyVerifier;
use crate::policy::certificates::{CertificatePolicy, Requirement};

/// Why a TLS configuration cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// There is no certificate.
    #[error("there is no broker certificate")]
    NoCertificate,
    /// The key is of a kind or form that cannot be used.
    #[error("the broker certificate's key cannot be used: {0}")]
    UnusableKey(rustls::Error),
    /// The certificate cannot be used.
    #[error("the broker certificate cannot be used: {0}")]
    UnusableCertificate(rustls::Error),
    /// The key belongs to another certificate.
    #[error("the key does not belong to the broker certificate")]
    Mismatched,
    /// The system gave no random bytes, or something else that cannot be mended here.
    #[error("TLS cannot be set up: {0}")]
    SetUp(rustls::Error),
}

/// A certificate with its chain, and the key to it.
#[derive(Clone)]
pub struct Certified(Arc<CertifiedKey>);

impl Certified {
    /// Takes a chain, the broker's own certificate first, and the key (PKCS#8, PKCS#1 or SEC1).
    ///
    /// # Errors
    /// What is wrong with them, or that they do not belong together.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Certified, TlsError> {
        if chain.is_empty() {
            return Err(TlsError::NoCertificate);
        }
        let key = provider().key_provider.load_private_key(key).map_err(TlsError::UnusableKey)?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) => Ok(Certified(Arc::new(certified))),
            Err(rustls::Error::InconsistentKeys(_)) => Err(TlsError::Mismatched),
            Err(other) => Err(TlsError::UnusableCertificate(other)),
        }
    }
}

/// The key is not shown.
impl fmt::Debug for Certified {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Certified, a chain of {}", self.0.cert.len())
    }
}

/// With what sessions are resumed: one for all listeners and shards, kept while the process lives, so that sessions
/// resume after an Apply and after the broker's certificate was renewed. Its keys change every six hours; a ticket is
/// good for twelve at most.
///
/// Nothing else is kept of a session, whatever the number of clients.
#[derive(Clone, Debug)]
pub struct Tickets(Arc<dyn ProducesTickets>);

impl Tickets {
    /// Makes the first keys.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn new() -> Result<Tickets, TlsError> {
        aws_lc_rs::Ticketer::new().map(Tickets).map_err(TlsError::SetUp)
    }
}

/// Which protocols a listener names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// `mqtt`.
    Mqtt,
    /// `http/1.1`, which browsers ask for, and `mqtt`.
    WebSocket,
}

impl Alpn {
    fn names(self) -> Vec<Vec<u8>> {
        let names: &[&[u8]] = match self {
            Alpn::Mqtt => &[b"mqtt"],
            Alpn::WebSocket => &[b"http/1.1", b"mqtt"],
        };
        names.iter().map(|name| name.to_vec()).collect()
    }
}

/// What is asked of client certificates, and by which policy they are judged.
#[derive(Clone, Debug)]
pub struct Clients {
    /// The policy of the configuration that is being applied.
    pub policy: Arc<CertificatePolicy>,
    /// Whether one must be presented.
    pub requirement: Requirement,
}

/// Named, not left to what the process has installed: keys of all kinds can be used with it. Its cipher suites are
/// authenticated encryption with an ephemeral key exchange throughout.
fn provider() -> CryptoProvider {
    aws_lc_rs::default_provider()
}

/// What the handshakes of a listener are made with. `clients`: `None` when no client certificates are asked for.
///
/// # Errors
/// The versions and the provider do not go together: that is a defect of the build.
pub fn server_config(
    certified: &Certified,
    clients: Option<Clients>,
    alpn: Alpn,
    tickets: &Tickets,
) -> Result<Arc<ServerConfig>, TlsError> {
    let builder = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(TlsError::SetUp)?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(Clients { policy, requirement }) => {
            builder.with_client_cert_verifier(Arc::new(PolicyVerifier::new(policy, requirement)))
        }
    };
    let certificate = SingleCertAndKey::from(Arc::clone(&certified.0));
    let mut config = builder.with_cert_resolver(Arc::new(certificate));
    config.alpn_protocols = alpn.names();
    config.ticketer = Arc::clone(&tickets.0);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    // One is enough for a client that connects again, and each holds the client's chain.
    config.send_tls13_tickets = 1;
    // What comes early can be replayed.
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}
