//! An authority, listeners with certificates of it, and clients that are another implementation's side of TLS: rustls'
//! own client over a blocking socket.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use socket2::SockRef;

use super::toy::{Bench, connect};
use crate::net::tls::TlsTerms;
use crate::net::tls::config::{Alpn, Certified, Clients, Tickets, server_config};
use crate::net::tls::trust::WebPkiTrust;
use crate::net::{Speech, Transport};
use crate::policy::{CertificatePolicy, Limits, Requirement};
use crate::session::ConnId;

pub(super) static TLS12: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS12];
pub(super) static TLS13: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];

/// A client's end.
pub(super) type Secure = StreamOwned<ClientConnection, TcpStream>;

/// One authority for everybody.
pub(super) struct Pki {
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    pub(super) fn new() -> Pki {
        let mut params = named("authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key");
        Pki { authority: CertifiedIssuer::self_signed(params, key).expect("a certificate") }
    }

    fn issue(
        &self,
        mut params: CertificateParams,
        usage: ExtendedKeyUsagePurpose,
    ) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().expect("a key");
        params.extended_key_usages = vec![usage];
        let certificate = params.signed_by(&key, &self.authority).expect("a certificate");
        (certificate.der().clone(), PrivateKeyDer::Pkcs8(key.serialize_der().into()))
    }

    /// Terms with a certificate for 127.0.0.1.
    pub(super) fn terms(&self, clients: Option<Clients>, alpn: Alpn) -> TlsTerms {
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("an address");
        params.distinguished_name.push(DnType::CommonName, "the broker");
        let (certificate, key) = self.issue(params, ExtendedKeyUsagePurpose::ServerAuth);
        let certified = Certified::new(vec![certificate], key).expect("they belong together");
        let tickets = Tickets::new().expect("tickets");
        TlsTerms(server_config(&certified, clients, alpn, &tickets).expect("terms"))
    }

    /// Bare MQTT over TLS, whoever the client is.
    pub(super) fn speech(&self) -> Speech {
        Speech { transport: Transport::Tcp, tls: Some(self.terms(None, Alpn::Mqtt)) }
    }

    /// The same, with certificates of this authority.
    pub(super) fn speech_with_certificates(&self) -> Speech {
        let trust = WebPkiTrust::new(&[self.authority.der().clone()], None).expect("an authority");
        let policy = Arc::new(CertificatePolicy { trust: Arc::new(trust), ..CertificatePolicy::default() });
        let clients = Clients { policy, requirement: Requirement::Required };
        Speech { transport: Transport::Tcp, tls: Some(self.terms(Some(clients), Alpn::Mqtt)) }
    }

    /// A client that trusts this authority, and presents a certificate of `identity`'s.
    pub(super) fn client(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        identity: Option<(&Pki, &str)>,
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).expect("an authority");
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some((pki, name)) => {
                let (certificate, key) = pki.issue(named(name), ExtendedKeyUsagePurpose::ClientAuth);
                builder.with_client_auth_cert(vec![certificate], key).expect("they belong together")
            }
        };
        config.alpn_protocols = vec![b"mqtt".to_vec()];
        Arc::new(config)
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

pub(super) fn connection(config: &Arc<ClientConfig>) -> ClientConnection {
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    ClientConnection::new(Arc::clone(config), name).expect("a client")
}

/// A client's end. It has not spoken yet; nothing waits for ever.
pub(super) fn secure(address: SocketAddr, config: &Arc<ClientConfig>) -> Secure {
    let socket = TcpStream::connect(address).expect("connected");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("option");
    StreamOwned::new(connection(config), socket)
}

/// Does something with a client's end while the bench makes its turns.
pub(super) fn meanwhile<T: Send + 'static>(
    bench: &mut Bench,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let worker = std::thread::spawn(work);
    bench.until(|_| worker.is_finished());
    worker.join().expect("the client")
}

/// A client that has said `start` over TLS, and its connection.
pub(super) fn client_saying(
    bench: &mut Bench,
    config: &Arc<ClientConfig>,
    start: Vec<u8>,
) -> (Secure, ConnId) {
    let (address, config) = (bench.address, Arc::clone(config));
    let before = bench.toy.openings();
    let client = meanwhile(bench, move || {
        let mut client = secure(address, &config);
        client.write_all(&start).expect("sent");
        client.flush().expect("sent");
        client
    });
    bench.until(|b| b.toy.openings() > before);
    (client, bench.toy.latest())
}

/// A client that has said CONNECT over TLS, and its connection.
pub(super) fn client(bench: &mut Bench, config: &Arc<ClientConfig>, id: &str) -> (Secure, ConnId) {
    client_saying(bench, config, connect(id))
}

/// Makes the broker's socket take little at a time. The client's stays as it is: a window that shrinks below what was
/// once a segment makes the kernel wait for its timers.
pub(super) fn narrow(bench: &Bench, conn: ConnId) {
    let slot = bench.net.slots.current(conn).expect("open");
    SockRef::from(&slot.fd()).set_send_buffer_size(16_384).expect("option");
}

/// Reads so many bytes while the bench makes its turns.
pub(super) fn read_exact(bench: &mut Bench, mut client: Secure, bytes: usize) -> (Secure, Vec<u8>) {
    meanwhile(bench, move || {
        let mut got = vec![0; bytes];
        client.read_exact(&mut got).expect("received");
        (client, got)
    })
}

/// Reads to the end, which must be said in TLS: an error is a cut.
pub(super) fn read_to_end(bench: &mut Bench, mut client: Secure) -> (Secure, std::io::Result<Vec<u8>>) {
    meanwhile(bench, move || {
        let mut all = Vec::new();
        let result = client.read_to_end(&mut all).map(|_| all);
        (client, result)
    })
}

impl Bench {
    pub(super) fn speaking(speech: Speech, limits: &Limits) -> Bench {
        Bench::one_of(1, 0, limits, speech)
    }
}
