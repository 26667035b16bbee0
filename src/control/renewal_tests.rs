//! The broker's certificate is renewed, and taken from an Apply, without anybody being disconnected.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned};

use super::super::compile::{Earlier, compile};
use super::super::config::Draft;
use super::super::pki::{Store, broker, describe};
use super::super::starter::Starter;
use super::*;
use crate::policy::{Generation, Thumbprint};

/// Takes whatever a server presents: the test looks at it itself.
#[derive(Debug)]
struct Anything;

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _own: &CertificateDer<'_>,
        _others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::ED25519,
            SignatureScheme::RSA_PSS_SHA256,
        ]
    }
}

struct Client(StreamOwned<ClientConnection, TcpStream>);

impl Client {
    /// Connects with TLS and MQTT, as `id`.
    fn connect(address: SocketAddr, id: &str) -> Client {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let verifier = builder.dangerous().with_custom_certificate_verifier(Arc::new(Anything));
        let config = Arc::new(verifier.with_no_client_auth());
        let tls = ClientConnection::new(config, ServerName::try_from("localhost").unwrap()).unwrap();
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut client = Client(StreamOwned::new(tls, socket));
        let length = u8::try_from(id.len()).unwrap();
        let mut connect = vec![0x10, 12 + length, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 0, 0, length];
        connect.extend_from_slice(id.as_bytes());
        assert_eq!(client.ask(&connect), [0x20, 2, 0, 0]);
        client
    }

    fn ask<const N: usize>(&mut self, packet: &[u8]) -> [u8; N] {
        self.0.write_all(packet).unwrap();
        let mut answer = [0; N];
        self.0.read_exact(&mut answer).unwrap();
        answer
    }

    fn is_served(&mut self) {
        assert_eq!(self.ask(&[0xc0, 0]), [0xd0, 0], "PINGREQ is answered");
    }

    fn presented(&self) -> Thumbprint {
        describe(&self.0.conn.peer_certificates().unwrap()[0]).unwrap().sha256
    }
}

const CONFIG: &str = "enabled = true\n[certificates]\ntrust_operating_system = false\n[status]\nsys_interval_secs = 0\n\
    [broker_certificate]\nnames = [\"localhost\"]\n[[listener]]\naddress = \"127.0.0.1:0\"\ntls = true\n";

#[test]
fn who_is_connected_stays_while_others_are_shown_a_new_certificate() {
    let data = tempfile::tempdir().unwrap();
    let compiled = |generation| {
        let config = Draft::read(CONFIG).unwrap().config;
        compile(&config, Generation(generation), data.path(), Earlier::Plain).unwrap()
    };
    let first = compiled(1);
    let layout = Layout { shards: 1, cores: vec![] };
    let tickets = Tickets::new().unwrap();
    let mut running = Running::start(&first, &layout, [7; 16], &tickets, &Starter::on_its_own()).unwrap();
    let listeners = running.listeners();
    assert!(listeners[0].to_string().starts_with("tls 127.0.0.1:"), "{}", listeners[0]);
    let address = listeners[0].address;
    let mut old = Client::connect(address, "old");
    assert_eq!(old.presented(), first.identity.as_ref().unwrap().thumbprint);

    // Nothing is due: nothing changes.
    running.renew();
    assert_eq!(Client::connect(address, "same").presented(), old.presented());

    let store = Store::open(data.path()).unwrap();
    let renew = || {
        let names = ["localhost".parse().unwrap()];
        let made = broker::renewed(&store, None, &names, None, secure::now()).unwrap();
        broker::keep(&store, &made).unwrap();
        made.thumbprint
    };
    let second = renew();
    running.renew();
    let mut newer = Client::connect(address, "newer");
    assert_eq!(newer.presented(), second);
    assert_ne!(second, old.presented());

    let third = renew();
    let installation = running.prepare(&compiled(2)).unwrap();
    running.install(installation);
    assert_eq!(Client::connect(address, "newest").presented(), third);
    assert_eq!(running.listeners()[0].address, address);
    old.is_served();
    newer.is_served();

    // When the store fails, what there was is presented on.
    fs::remove_dir_all(data.path().join("pki")).unwrap();
    fs::write(data.path().join("pki"), "in the way").unwrap();
    running.renew();
    assert_eq!(Client::connect(address, "last").presented(), third);
    running.stop();
}
