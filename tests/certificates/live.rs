//! The truth table on a live broker: over TCP and WebSocket, TLS 1.2 and 1.3, fresh and resumed, and resumed or still
//! connected after an Apply that changed what is accepted.

use std::sync::Arc;

use rustls::client::ClientConfig;
use rustls::{AlertDescription, HandshakeKind, SupportedProtocolVersion};
use tidemq::net::tls::presented;
use tidemq::policy::certificates::{CertificatePolicy, Listing, Requirement};

use super::handshake::{VERSIONS, client};
use super::issue::{self, Identity, Validity, trusted};
use super::node::{Broker, CARRIED};
use super::table::{Cell, Outcome, cells, trusting};
use super::wire::{Carried, Heard, Mqtt, Wire};

const ACCEPTED: Heard = Heard::ConnAck(0);
/// "Not authorized", which is what it is called in both versions.
const REFUSED_V3: Heard = Heard::ConnAck(5);
const REFUSED: Heard = Heard::ConnAck(0x87);
const NOT_ACCEPTED: Heard = Heard::Disconnect(0x98);

/// Takes whatever the tests present.
fn lenient() -> CertificatePolicy {
    let mut policy = CertificatePolicy { any_authorized: true, ..trusting(&[&trusted().certificate]) };
    for cell in cells() {
        policy.listed.insert(presented::thumbprint(&cell.identity().chain[0]), Listing::Authorized);
    }
    policy
}

/// A client that has been connected once, and so has a ticket.
struct Known {
    identity: &'static Identity,
    version: &'static SupportedProtocolVersion,
    carried: Carried,
    config: Arc<ClientConfig>,
}

fn known(broker: &Broker) -> Vec<Known> {
    let mut known: Vec<Known> = Vec::new();
    for cell in cells() {
        let identity = cell.identity();
        if known.iter().any(|known| std::ptr::eq(known.identity, identity)) {
            continue;
        }
        for version in VERSIONS {
            for carried in CARRIED {
                let config = Arc::new(client(version, Some(identity)));
                let (heard, wire) = broker.connect(carried, &config, Mqtt::V5);
                assert_eq!(heard, ACCEPTED, "{cell:?}, {version:?}, {carried:?}");
                assert_eq!(wire.expect("connected").kind(), Some(HandshakeKind::Full));
                known.push(Known { identity, version, carried, config });
            }
        }
    }
    assert_eq!(known.len(), 6 * 2 * 2);
    known
}

fn fresh(broker: &Broker, cell: &Cell, known: &Known) {
    let config = Arc::new(client(known.version, Some(known.identity)));
    let (heard, _) = broker.connect(known.carried, &config, Mqtt::V5);
    let expected = cell.outcome.alert().map_or(ACCEPTED, Heard::Alert);
    assert_eq!(heard, expected, "fresh: {cell:?}, {:?}, {:?}", known.version, known.carried);
}

fn resumed(broker: &Broker, cell: &Cell, known: &Known) {
    let (heard, wire) = broker.connect(known.carried, &known.config, Mqtt::V5);
    let expected = if cell.outcome == Outcome::Accepted { ACCEPTED } else { REFUSED };
    assert_eq!(heard, expected, "resumed: {cell:?}, {:?}, {:?}", known.version, known.carried);
    assert_eq!(wire.expect("TLS resumes").kind(), Some(HandshakeKind::Resumed));
}

#[test]
fn every_cell_fresh_and_resumed() {
    let broker = Broker::start(lenient(), Requirement::Required);
    let known = known(&broker);
    for cell in cells() {
        broker.apply(cell.policy(), Requirement::Required);
        for known in known.iter().filter(|known| std::ptr::eq(known.identity, cell.identity())) {
            fresh(&broker, &cell, known);
            resumed(&broker, &cell, known);
        }
    }
    broker.node.stop();
}

/// What an Apply may bring that a connected client does not survive.
fn tightened(identity: &Identity) -> Vec<(&'static str, CertificatePolicy, AlertDescription)> {
    let accepting = || trusting(&[&trusted().certificate]);
    let mut revoking = accepting();
    revoking.listed.insert(presented::thumbprint(&identity.chain[0]), Listing::Revoked);
    let only = CertificatePolicy { trusted_authorized_only: true, ..accepting() };
    vec![
        ("revoked", revoking, AlertDescription::CertificateRevoked),
        ("the authority removed", trusting(&[]), AlertDescription::UnknownCA),
        ("a list is asked for", only, AlertDescription::AccessDenied),
    ]
}

fn device() -> Identity {
    trusted().issue(&issue::client("device", Validity::Valid))
}

#[test]
fn an_apply_ends_what_is_no_longer_accepted() {
    let (identity, other) = (device(), device());
    let mut sparing = trusting(&[&trusted().certificate]);
    sparing.listed.insert(presented::thumbprint(&identity.chain[0]), Listing::Revoked);
    let broker = Broker::start(trusting(&[&trusted().certificate]), Requirement::Required);
    for version in VERSIONS {
        for carried in CARRIED {
            for (what, policy, alert) in tightened(&identity) {
                broker.apply(trusting(&[&trusted().certificate]), Requirement::Required);
                let config = Arc::new(client(version, Some(&identity)));
                let v3 = Arc::new(client(version, Some(&identity)));
                let (heard, wire) = broker.connect(carried, &config, Mqtt::V5);
                let (heard_v3, wire_v3) = broker.connect(carried, &v3, Mqtt::V3);
                assert_eq!((heard, heard_v3), (ACCEPTED, ACCEPTED));
                broker.apply(policy, Requirement::Required);
                // The live connections,
                let mut wire = wire.expect("connected");
                assert_eq!((wire.hear(), wire.hear()), (NOT_ACCEPTED, Heard::Closed), "{what}, {version:?}");
                assert_eq!(wire_v3.expect("connected").hear(), Heard::Closed, "{what}, {version:?}");
                // their resumed sessions,
                for (config, mqtt, refused) in [(&config, Mqtt::V5, REFUSED), (&v3, Mqtt::V3, REFUSED_V3)] {
                    let (heard, wire) = broker.connect(carried, config, mqtt);
                    assert_eq!(heard, refused, "{what}, {version:?}");
                    assert_eq!(wire.expect("TLS resumes").kind(), Some(HandshakeKind::Resumed));
                }
                // and whoever comes anew.
                let config = Arc::new(client(version, Some(&identity)));
                assert_eq!(broker.connect(carried, &config, Mqtt::V5).0, Heard::Alert(alert), "{what}");
            }
        }
    }
    // Others stay.
    broker.apply(trusting(&[&trusted().certificate]), Requirement::Required);
    let config = Arc::new(client(VERSIONS[1], Some(&other)));
    let (heard, wire) = broker.connect(Carried::Bare, &config, Mqtt::V5);
    assert_eq!(heard, ACCEPTED);
    broker.apply(sparing, Requirement::Required);
    let mut wire = wire.expect("connected");
    assert_eq!(ping(&mut wire), Heard::Pong);
    broker.node.stop();
}

fn ping(wire: &mut Wire) -> Heard {
    wire.send(&[0xc0, 0]);
    wire.hear()
}

/// A session of a listener that asks for nothing does not open one that does.
#[test]
fn no_session_without_a_certificate_is_resumed_where_one_is_required() {
    let policy = || trusting(&[&trusted().certificate]);
    let broker = Broker::start(policy(), Requirement::Optional);
    for version in VERSIONS {
        for carried in CARRIED {
            broker.apply(policy(), Requirement::Optional);
            let bare = Arc::new(client(version, None));
            let (heard, wire) = broker.connect(carried, &bare, Mqtt::V5);
            assert_eq!(heard, ACCEPTED);
            broker.apply(policy(), Requirement::Required);
            let mut wire = wire.expect("connected");
            assert_eq!(wire.hear(), NOT_ACCEPTED, "{version:?}, {carried:?}");
            let (heard, wire) = broker.connect(carried, &bare, Mqtt::V5);
            assert_eq!(heard, REFUSED, "{version:?}, {carried:?}");
            assert_eq!(wire.expect("TLS resumes").kind(), Some(HandshakeKind::Resumed));
            let bare = Arc::new(client(version, None));
            let heard = broker.connect(carried, &bare, Mqtt::V5).0;
            assert_eq!(heard, Heard::Alert(AlertDescription::CertificateRequired));
        }
    }
    broker.node.stop();
}

/// A ticket of the TCP listener is good at the WebSocket one, and is judged there.
#[test]
fn sessions_cross_listeners() {
    let (identity, broker) =
        (device(), Broker::start(trusting(&[&trusted().certificate]), Requirement::Required));
    for version in VERSIONS {
        let config = Arc::new(client(version, Some(&identity)));
        for (carried, kind) in
            [(Carried::Bare, HandshakeKind::Full), (Carried::Framed, HandshakeKind::Resumed)]
        {
            let (heard, wire) = broker.connect(carried, &config, Mqtt::V5);
            assert_eq!((heard, wire.expect("connected").kind()), (ACCEPTED, Some(kind)));
        }
    }
    broker.node.stop();
}

/// Whoever runs the broker is told who was refused, and why.
#[test]
fn refusals_are_kept_with_their_reason() {
    let identity = device();
    let broker = Broker::start(trusting(&[]), Requirement::Required);
    for version in VERSIONS {
        for carried in CARRIED {
            let before = broker.node.rejections(0).rejections.len();
            let config = Arc::new(client(version, Some(&identity)));
            let heard = broker.connect(carried, &config, Mqtt::V5).0;
            assert_eq!(heard, Heard::Alert(AlertDescription::UnknownCA));
            let rejections = broker.node.rejections(0).rejections;
            assert_eq!(rejections.len(), before + 1);
            let last = rejections.last().expect("one");
            let certificate = last.certificate.as_ref().expect("it was presented");
            assert_eq!(certificate.thumbprint, presented::thumbprint(&identity.chain[0]));
            assert_eq!(&*certificate.subject, "CN=device");
            assert!(last.cause.contains("no configured or trusted authority"), "{}", last.cause);
        }
    }
    broker.node.stop();
}
