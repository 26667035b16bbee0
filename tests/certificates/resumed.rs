//! Resumed sessions: rustls does not ask the verifier again and takes the certificates from the ticket. So the broker
//! judges every connection at CONNECT; these tests hold rustls to what that relies on.

use std::sync::Arc;

use rustls::server::ServerConfig;
use rustls::{HandshakeKind, SupportedProtocolVersion};
use tidemq::net::tls::config::{Alpn, Certified, Clients, Tickets, TlsError, server_config};
use tidemq::net::tls::presented;
use tidemq::policy::certificates::{CertificatePolicy, CertificateRefusal, Distrust, Listing, Requirement};

use super::handshake::{Ended, VERSIONS, certified, client, server_with, shake};
use super::issue::{self, Identity, Validity, now, trusted};
use super::table::trusting;

fn device() -> Identity {
    trusted().issue(&issue::client("device", Validity::Valid))
}

fn accepting() -> CertificatePolicy {
    trusting(&[&trusted().certificate])
}

/// What the broker judges of a connection whose handshake is over.
fn judged(ended: &Ended, policy: &CertificatePolicy) -> Result<(), CertificateRefusal> {
    let server = ended.server.as_ref().expect("the handshake was made");
    let presented = server.peer_certificates().map(presented::read);
    policy.judge(presented.as_ref(), Requirement::Required, now())
}

#[test]
fn a_resumed_session_brings_its_chain() {
    let middle = trusted().delegate(issue::authority("Middle", Validity::Valid));
    let mut identity = middle.issue(&issue::client("device", Validity::Valid));
    identity.chain.push(middle.certificate.clone());
    for version in VERSIONS {
        let tickets = Tickets::new().expect("random bytes");
        let server = server_with(accepting(), Requirement::Required, &tickets);
        let client = Arc::new(client(version, Some(&identity)));
        assert_eq!(shake(&server, &client).kind(), Some(HandshakeKind::Full));
        // Each brings the ticket for the next.
        for _ in 0..3 {
            let ended = shake(&server, &client);
            assert_eq!(ended.kind(), Some(HandshakeKind::Resumed), "{version:?}");
            let connection = ended.server.expect("made");
            assert_eq!(connection.peer_certificates(), Some(&identity.chain[..]));
        }
    }
}

/// Each policy as it would be after an Apply; the tickets live on.
#[test]
fn what_was_applied_since_counts_for_resumed_sessions() {
    let identity = device();
    let mut revoking = accepting();
    revoking.listed.insert(presented::thumbprint(&identity.chain[0]), Listing::Revoked);
    let cases = [
        (accepting(), Ok(())),
        (revoking, Err(CertificateRefusal::Revoked)),
        (trusting(&[]), Err(CertificateRefusal::Untrusted(Distrust::UnknownIssuer))),
        (
            CertificatePolicy { trusted_authorized_only: true, ..accepting() },
            Err(CertificateRefusal::NotAuthorized),
        ),
    ];
    for version in VERSIONS {
        for (policy, expected) in &cases {
            let tickets = Tickets::new().expect("random bytes");
            let client = Arc::new(client(version, Some(&identity)));
            let before = server_with(accepting(), Requirement::Required, &tickets);
            assert_eq!(shake(&before, &client).kind(), Some(HandshakeKind::Full));
            let after = server_with(policy.clone(), Requirement::Required, &tickets);
            let ended = shake(&after, &client);
            // TLS lets it in whatever the policy says: this is why CONNECT is judged.
            assert_eq!(ended.kind(), Some(HandshakeKind::Resumed), "{version:?}");
            assert_eq!(judged(&ended, policy), *expected, "{version:?}");
        }
    }
}

fn on(
    certified: &Certified,
    requirement: Option<Requirement>,
    alpn: Alpn,
    tickets: &Tickets,
) -> Arc<ServerConfig> {
    let clients = requirement.map(|requirement| Clients { policy: Arc::new(accepting()), requirement });
    server_config(certified, clients, alpn, tickets).expect("a configuration")
}

/// One broker, one set of tickets: a session that was made at one listener resumes at another, whatever that asks for,
/// and under a renewed certificate. What it brings is what it had.
#[test]
fn sessions_cross_listeners_and_renewals() {
    let identity = device();
    let renewed = {
        let mut contents = issue::contents("localhost", Validity::Valid);
        contents.subject_alt_names = vec![rcgen::SanType::DnsName("localhost".try_into().expect("a name"))];
        let identity = issue::broker().1.issue(&contents);
        Certified::new(identity.chain.clone(), identity.key()).expect("they belong together")
    };
    for version in VERSIONS {
        let tickets = Tickets::new().expect("random bytes");
        let here = on(&certified(), Some(Requirement::Required), Alpn::Mqtt, &tickets);
        for there in [
            on(&certified(), Some(Requirement::Required), Alpn::WebSocket, &tickets),
            on(&renewed, Some(Requirement::Required), Alpn::Mqtt, &tickets),
            on(&certified(), Some(Requirement::Optional), Alpn::Mqtt, &tickets),
            on(&certified(), None, Alpn::WebSocket, &tickets),
        ] {
            let client = Arc::new(client(version, Some(&identity)));
            assert_eq!(shake(&here, &client).kind(), Some(HandshakeKind::Full));
            let ended = shake(&there, &client);
            assert_eq!((ended.kind(), ended.certificates()), (Some(HandshakeKind::Resumed), 1));
            assert_eq!(judged(&ended, &accepting()), Ok(()));
        }
    }
}

/// The other way round: TLS does not ask a resumed session for the certificate that the listener requires.
#[test]
fn a_session_without_a_certificate_brings_none() {
    for version in VERSIONS {
        let tickets = Tickets::new().expect("random bytes");
        let there = on(&certified(), Some(Requirement::Required), Alpn::Mqtt, &tickets);
        for requirement in [None, Some(Requirement::Optional)] {
            let here = on(&certified(), requirement, Alpn::Mqtt, &tickets);
            let client = Arc::new(client(version, None));
            assert_eq!(shake(&here, &client).certificates(), 0);
            let ended = shake(&there, &client);
            assert_eq!(ended.kind(), Some(HandshakeKind::Resumed), "{version:?}");
            assert_eq!(judged(&ended, &accepting()), Err(CertificateRefusal::Missing));
        }
    }
}

#[test]
fn other_tickets_are_no_tickets() {
    for version in VERSIONS {
        let tickets = || Tickets::new().expect("random bytes");
        let identity = device();
        let client = Arc::new(client(version, Some(&identity)));
        for _ in 0..2 {
            let server = server_with(accepting(), Requirement::Required, &tickets());
            assert_eq!(shake(&server, &client).kind(), Some(HandshakeKind::Full));
        }
    }
}

/// A ticket holds the whole chain.
#[test]
fn a_large_chain_resumes() {
    let mut contents = issue::client("device", Validity::Valid);
    let extension =
        rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![0; 16 * 1024]);
    contents.custom_extensions = vec![extension];
    let identity = trusted().issue(&contents);
    for version in VERSIONS {
        let tickets = Tickets::new().expect("random bytes");
        let server = server_with(accepting(), Requirement::Required, &tickets);
        let client = Arc::new(client(version, Some(&identity)));
        assert_eq!(shake(&server, &client).kind(), Some(HandshakeKind::Full));
        let ended = shake(&server, &client);
        assert_eq!((ended.kind(), ended.certificates()), (Some(HandshakeKind::Resumed), 1), "{version:?}");
    }
}

fn offering(version: &'static SupportedProtocolVersion, names: &[&[u8]]) -> Arc<rustls::ClientConfig> {
    let mut config = client(version, None);
    config.alpn_protocols = names.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

#[test]
fn protocols_are_named_as_the_transport_needs() {
    type Case<'a> = (Alpn, &'a [&'a [u8]], Result<Option<&'a [u8]>, ()>);
    let cases: [Case<'_>; 7] = [
        (Alpn::Mqtt, &[], Ok(None)),
        (Alpn::Mqtt, &[b"mqtt"], Ok(Some(b"mqtt"))),
        (Alpn::Mqtt, &[b"http/1.1"], Err(())),
        (Alpn::WebSocket, &[], Ok(None)),
        (Alpn::WebSocket, &[b"http/1.1"], Ok(Some(b"http/1.1"))),
        (Alpn::WebSocket, &[b"h2", b"http/1.1"], Ok(Some(b"http/1.1"))),
        (Alpn::WebSocket, &[b"mqtt"], Ok(Some(b"mqtt"))),
    ];
    for version in VERSIONS {
        for (alpn, offered, expected) in cases {
            let tickets = Tickets::new().expect("random bytes");
            let ended = shake(&on(&certified(), None, alpn, &tickets), &offering(version, offered));
            let got = ended.server.as_ref().map(|server| server.alpn_protocol()).map_err(|_| ());
            assert_eq!(got, expected, "{alpn:?}, {version:?}");
        }
    }
}

#[test]
fn certificate_and_key_belong_together() {
    let (identity, authority) = issue::broker();
    let other = authority.issue(&issue::contents("localhost", Validity::Valid));
    let refused = |chain: &[_], key| Certified::new(chain.to_vec(), key).expect_err("refused");
    assert!(matches!(refused(&identity.chain, other.key()), TlsError::Mismatched));
    assert!(matches!(refused(&[], identity.key()), TlsError::NoCertificate));
    let junk = rustls::pki_types::PrivatePkcs8KeyDer::from(b"junk".to_vec());
    assert!(matches!(refused(&identity.chain, junk.into()), TlsError::UnusableKey(_)));
    let junk = rustls::pki_types::CertificateDer::from(&b"junk"[..]);
    assert!(matches!(refused(&[junk], identity.key()), TlsError::UnusableCertificate(_)));
    // Nothing of the key is shown.
    let shown = format!("{:?}", certified());
    assert_eq!(shown, "Certified, a chain of 1");
}
