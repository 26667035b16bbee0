//! Handshakes in memory: rustls as a client against the broker's configuration.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::client::{ClientConfig, ClientConnection};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::server::{ServerConfig, ServerConnection};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, Error, HandshakeKind, RootCertStore, SupportedProtocolVersion};
use tidemq::net::tls::config::{Alpn, Certified, Clients, Tickets, server_config};
use tidemq::net::tls::verifier::{Refused, take_refused};
use tidemq::policy::certificates::{CertificatePolicy, Requirement};

use super::issue::{Identity, broker};

/// Both versions of the protocol.
pub(crate) static VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

pub(crate) fn certified() -> Certified {
    let (identity, _) = broker();
    Certified::new(identity.chain.clone(), identity.key()).expect("they belong together")
}

/// A listener's configuration, with tickets of its own.
pub(crate) fn server(policy: CertificatePolicy, requirement: Requirement) -> Arc<ServerConfig> {
    server_with(policy, requirement, &Tickets::new().expect("random bytes"))
}

pub(crate) fn server_with(
    policy: CertificatePolicy,
    requirement: Requirement,
    tickets: &Tickets,
) -> Arc<ServerConfig> {
    let clients = Clients { policy: Arc::new(policy), requirement };
    server_config(&certified(), Some(clients), Alpn::Mqtt, tickets).expect("a configuration")
}

/// A client that speaks one version and may present a certificate. It sends what it is given: whether chain and key
/// belong together is the broker's question.
pub(crate) fn client(
    version: &'static SupportedProtocolVersion,
    identity: Option<&Identity>,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(broker().1.certificate.clone()).expect("an authority");
    let provider = aws_lc_rs::default_provider();
    let keys = provider.key_provider;
    let builder = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_root_certificates(roots);
    match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let key = keys.load_private_key(identity.key()).expect("a key");
            let certified = CertifiedKey::new(identity.chain.clone(), key);
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
        }
    }
}

/// How a handshake ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The server's connection; what it failed by.
    pub(crate) server: Result<ServerConnection, Error>,
    /// What its verifier refused.
    pub(crate) refused: Option<Refused>,
    /// The alert that the client received.
    pub(crate) alert: Option<AlertDescription>,
}

impl Ended {
    pub(crate) fn kind(&self) -> Option<HandshakeKind> {
        self.server.as_ref().ok().and_then(|server| server.handshake_kind())
    }

    /// What the broker would judge at CONNECT.
    pub(crate) fn certificates(&self) -> usize {
        let server = self.server.as_ref().expect("the handshake was made");
        server.peer_certificates().map_or(0, <[_]>::len)
    }
}

/// Makes a handshake, and hands over a byte either way after it, so that tickets have arrived.
pub(crate) fn shake(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>) -> Ended {
    let name = ServerName::try_from("localhost").expect("a name");
    let mut client = ClientConnection::new(Arc::clone(client), name).expect("a client");
    let mut server = ServerConnection::new(Arc::clone(server)).expect("a server");
    take_refused();
    client.writer().write_all(b"?").expect("taken");
    let (mut failed, mut alert) = (None, None);
    loop {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).expect("written");
        }
        let mut moved = !bytes.is_empty() && failed.is_none();
        while !bytes.is_empty() && failed.is_none() {
            let taken = server.read_tls(&mut &*bytes).expect("read");
            bytes.drain(..taken);
            failed = server.process_new_packets().err();
        }
        // Of what came after the fault nothing counts.
        bytes.clear();
        let mut got = [0];
        if failed.is_none() && server.reader().read(&mut got).is_ok_and(|count| count == 1) {
            server.writer().write_all(b"!").expect("taken");
        }
        while server.wants_write() {
            server.write_tls(&mut bytes).expect("written");
        }
        moved |= !bytes.is_empty();
        while !bytes.is_empty() && alert.is_none() {
            let taken = client.read_tls(&mut &*bytes).expect("read");
            bytes.drain(..taken);
            match client.process_new_packets() {
                Ok(_) => {}
                Err(Error::AlertReceived(received)) => alert = Some(received),
                Err(other) => panic!("the client failed: {other}; the server: {failed:?}"),
            }
        }
        if !moved || failed.is_some() {
            break;
        }
    }
    let answered = client.reader().read(&mut [0]).is_ok_and(|count| count == 1);
    assert_eq!(answered, failed.is_none(), "{failed:?}");
    let refused = take_refused();
    Ended { server: failed.map_or(Ok(server), Err), refused, alert }
}
