//! The server's side of TLS and certificates of every kind: for tests alone.

use std::io::{Read, Write};
use std::sync::Arc;

use futures_rustls::pki_types::{CertificateDer, PrivateKeyDer};
use futures_rustls::rustls::crypto::aws_lc_rs;
use futures_rustls::rustls::server::WebPkiClientVerifier;
use futures_rustls::rustls::{
    Error, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion, version,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// An authority.
pub struct Authority {
    pub pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
pub struct Made {
    pub pem: String,
    pub key_pem: String,
    der: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("made for the test");
        let certificate = params.self_signed(&key).expect("made for the test");
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Authority { pem, der, issuer: Issuer::new(params, key) }
    }

    /// A certificate for these names, changed before it is signed.
    pub fn issue(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Made {
        let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut params = CertificateParams::new(names).expect("made for the test");
        change(&mut params);
        let key = KeyPair::generate().expect("made for the test");
        let certificate = params.signed_by(&key, &self.issuer).expect("made for the test");
        Made {
            pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            der: certificate.der().clone(),
            key: PrivateKeyDer::try_from(key.serialize_der()).expect("made for the test"),
        }
    }
}

/// A server with this certificate, of these versions, that wants clients of this authority, if one is given.
pub fn config(
    made: &Made,
    versions: &[&'static SupportedProtocolVersion],
    clients: Option<&Authority>,
) -> Arc<ServerConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone());
    let builder = builder.with_protocol_versions(versions).expect("made for the test");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.der.clone()).expect("made for the test");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().expect("made for the test"))
        }
    };
    Arc::new(
        builder.with_single_cert(vec![made.der.clone()], made.key.clone_key()).expect("made for the test"),
    )
}

/// Either version, 1.3 first.
pub const BOTH: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];

/// One connection's.
pub struct Server(pub ServerConnection);

impl Server {
    pub fn new(config: Arc<ServerConfig>) -> Server {
        Server(ServerConnection::new(config).expect("made for the test"))
    }

    /// Bytes from the socket; returns the plaintext in them.
    pub fn hear(&mut self, mut bytes: &[u8]) -> Result<Vec<u8>, Error> {
        let mut plain = Vec::new();
        while !bytes.is_empty() {
            self.0.read_tls(&mut bytes).expect("made for the test");
            self.0.process_new_packets()?;
            let mut piece = [0; 4096];
            while let Ok(len @ 1..) = self.0.reader().read(&mut piece) {
                plain.extend_from_slice(&piece[..len]);
            }
        }
        Ok(plain)
    }

    /// Encrypts.
    pub fn say(&mut self, plain: &[u8]) {
        self.0.set_buffer_limit(None);
        self.0.writer().write_all(plain).expect("made for the test");
    }

    /// What waits for the socket.
    pub fn wire(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while self.0.wants_write() {
            self.0.write_tls(&mut out).expect("made for the test");
        }
        out
    }
}
