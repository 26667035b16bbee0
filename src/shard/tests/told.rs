//! What whoever runs the broker is told of refusals, and of what an install has done.

use super::judged::{Deny, Read, ReadWrite, SHARDS, certificate, lasting, rules, trusting, with_will};
use super::*;
use crate::policy::certificates::CommonName;
use crate::policy::rules::RuleIndex;
use crate::policy::{Attempt, CertificateRefusal, Ground, Rejection};
use QoS::{AtLeastOnce, AtMostOnce};

fn rejections(b: &Broker) -> Vec<Rejection> {
    b.shards.iter().flat_map(|shard| shard.rejections().cloned()).collect()
}

#[test]
fn an_install_gives_account_of_whom_it_put_out_and_what_it_withdrew() {
    for shards in SHARDS {
        let mut b = Broker::with(shards, rules(&[(ReadWrite, "*", "#")]));
        let peers: Vec<Peer> = (0..300).map(|n| b.named(Version::V5, &format!("dev{n}"))).collect();
        for peer in &peers {
            b.subscribe(*peer, "a/#", AtMostOnce);
            b.subscribe(*peer, "c", AtMostOnce);
        }
        let revoked: Vec<String> = (0..10).map(|n| format!("dev{n}")).collect();
        let revoked: Vec<&str> = revoked.iter().map(String::as_str).collect();
        let certificates = trusting(&revoked).certificates;
        b.install(Snapshot { certificates, ..rules(&[(Read, "*", "c")]) });
        assert!(b.shards.iter().any(|shard| !shard.is_swept()));
        b.settle();
        assert!(b.shards.iter().all(Shard::is_swept));
        let mut all = Aftermath::default();
        b.shards.iter().for_each(|shard| all.add(shard.aftermath().clone()));
        assert_eq!((all.clients_disconnected, all.subscriptions_withdrawn), (10, 290));
        assert_eq!(all.reasons, [(CertificateRefusal::Revoked.to_string(), 10)]);
        let mut named: Vec<&str> = all.disconnected.iter().map(|put_out| &*put_out.client_id).collect();
        named.sort_unstable();
        assert_eq!(named, revoked);
        assert_eq!(all.withdrawn.len(), LISTED);
        assert!(all.withdrawn.iter().all(|withdrawn| &*withdrawn.filter == "a/#"));
        // Each install has its own.
        b.install(rules(&[(Read, "*", "c")]));
        b.settle();
        assert!(b.shards.iter().all(|shard| *shard.aftermath() == Aftermath::default()));
    }
}

#[test]
fn what_a_client_may_not_do_is_kept_with_the_rule_that_decided() {
    for shards in SHARDS {
        let mut b = Broker::with(shards, rules(&[(Deny, "*", "secret/#"), (Read, "dev", "a/#")]));
        let dev = b.named(Version::V5, "dev");
        b.publish(dev, "a/b", "x", AtLeastOnce, false);
        b.publish(dev, "elsewhere", "x", AtMostOnce, false);
        b.publish(dev, "$SYS/mine", "x", AtMostOnce, false);
        b.subscribe(dev, "secret/x", AtMostOnce);
        b.subscribe(dev, "a/b", AtMostOnce);
        let kept = rejections(&b);
        let told: Vec<_> = kept.iter().map(|kept| (kept.attempt.clone(), kept.ground.clone())).collect();
        let publish = |topic: &str, qos| Attempt::Publish { topic: topic.into(), qos };
        let decided = |rule: Option<u32>| Ground::Rules { decided: rule.map(RuleIndex) };
        let expected = [
            (publish("a/b", AtLeastOnce), decided(Some(1))),
            (publish("elsewhere", AtMostOnce), decided(None)),
            (publish("$SYS/mine", AtMostOnce), Ground::System),
            (Attempt::Subscribe { filter: "secret/x".into() }, decided(Some(0))),
        ];
        assert_eq!(told, expected);
        for kept in &kept {
            assert_eq!((kept.client_id.as_deref(), kept.client_name.as_deref()), (Some("dev"), Some("dev")));
            assert!(kept.peer.is_some() && kept.certificate.is_some() && kept.cause.len() > 10, "{kept:?}");
            assert_eq!((kept.unix_micros, kept.times), (1_000_000, 1));
        }
        // A limit is one too.
        let mut b = Broker::with(shards, limits(|l| (l.topic_levels, l.retained_messages) = (2, 0)));
        let peer = b.connect(Version::V5, "peer");
        b.subscribe(peer, "a/b/c", AtMostOnce);
        b.publish(peer, "kept", "x", AtLeastOnce, true);
        let kept = rejections(&b);
        assert_eq!(kept.iter().filter(|kept| kept.ground == Ground::Limit).count(), 2);
        assert!(
            kept.iter().any(|kept| kept.attempt == publish("kept", AtLeastOnce) && kept.client_id.is_none())
        );
    }
}

#[test]
fn a_will_that_is_refused_is_kept_at_connect_and_when_it_would_be_published() {
    for shards in SHARDS {
        let mut b = Broker::with(shards, rules(&[(ReadWrite, "*", "#")]));
        let name = |name: &str| Some(certificate(name, CommonName::One(name.into())));
        let (dev, _) = b.arrive(name("dev"), &with_will(lasting("dev", 9), "will", 0));
        b.install(rules(&[(Read, "*", "#")]));
        b.cut(dev);
        let (_, told) = b.arrive(name("late"), &with_will(lasting("late", 9), "$SYS/will", 0));
        assert!(told[0].contains("NotAuthorized"));
        let kept = rejections(&b);
        let mut told: Vec<_> = kept
            .iter()
            .map(|kept| (kept.client_id.as_deref().expect("it said"), &kept.attempt, &kept.ground))
            .collect();
        told.sort_by_key(|(id, ..)| *id);
        let will = |topic: &str| Attempt::Will { topic: topic.into() };
        let decided = Ground::Rules { decided: Some(RuleIndex(0)) };
        assert_eq!(told, [("dev", &will("will"), &decided), ("late", &will("$SYS/will"), &Ground::System)]);
    }
}

/// A client can be refused as fast as it writes: what is kept is bounded in each turn, and all of it is counted.
#[test]
fn a_flood_of_refusals_is_counted_and_not_kept() {
    let mut b = Broker::with(1, rules(&[(Deny, "*", "#")]));
    let dev = b.named(Version::V5, "dev");
    let mut bytes = Vec::new();
    for n in 0..1_000 {
        let (dup, qos, retain, packet_id) = (false, AtMostOnce, false, None);
        let (topic, properties) = (format!("topic/{n}"), PublishProperties::default());
        let publish = Publish { dup, qos, retain, topic: &topic, packet_id, properties, payload: b"x" };
        Packet::Publish(publish).encode(Version::V5, &mut bytes);
    }
    b.shards[0].handle_bytes(dev.conn, &bytes);
    let kept = rejections(&b).len() as u64;
    assert_eq!((b.count(|c| c.publishes_refused), kept), (1_000, 32));
    assert_eq!(b.count(|c| c.rejections_left_out) + kept, 1_000);
    // The next turn keeps again; the same again is kept once.
    b.settle();
    b.publish(dev, "topic/0", "x", AtMostOnce, false);
    b.publish(dev, "another", "x", AtMostOnce, false);
    let kept = b.shards[0].take_rejections();
    assert_eq!((kept.len(), kept.iter().map(|kept| kept.times).max()), (33, Some(2)));
    assert_eq!(rejections(&b).len(), 0);
}

#[test]
fn every_refused_connect_has_its_ground() {
    use crate::mqtt::ReasonCode;
    use crate::policy::credentials::tests::stored;
    use crate::policy::{ClientIdPolicy, Credentials};
    let users = || Arc::new(Credentials::new(true, [("anna".into(), stored("anna"))]));
    let named = |name: &str| Some(certificate(name, CommonName::One(name.into())));
    let revoked = trusting(&["dev"]);
    let asks = Snapshot { credentials: users(), ..trusting(&[]) };
    let equal = Snapshot { client_id: ClientIdPolicy::EqualsName, ..trusting(&[]) };
    let full = Snapshot { limits: limits(|l| l.sessions = 0).limits, ..trusting(&[]) };
    for (snapshot, ground, reason) in [
        (revoked, Ground::Certificate(CertificateRefusal::Revoked), ReasonCode::NotAuthorized),
        (asks, Ground::Credentials, ReasonCode::NotAuthorized),
        (equal, Ground::Name, ReasonCode::ClientIdentifierNotValid),
        (full, Ground::Limit, ReasonCode::QuotaExceeded),
    ] {
        let mut b = Broker::with(1, snapshot);
        let (_, told) = b.arrive(named("dev"), &connect(Version::V5, "other"));
        assert!(told[0].contains(&format!("{reason:?}")), "{told:?}");
        let [kept] = &rejections(&b)[..] else { panic!("one is kept") };
        assert_eq!((&kept.ground, &kept.attempt), (&ground, &Attempt::Connect));
        assert_eq!((kept.client_id.as_deref(), kept.client_name.as_deref()), (Some("other"), Some("dev")));
    }
    let mut b = Broker::with(1, trusting(&[]));
    b.arrive(named("dev"), &lasting("session", 9));
    b.arrive(named("thief"), &lasting("session", 9));
    let peer = b.open(0, Version::V5);
    b.raw(peer, &[0xC0, 0]);
    let grounds: Vec<_> = rejections(&b).into_iter().map(|kept| kept.ground).collect();
    let violation = crate::mqtt::Violation::FirstPacketNotConnect;
    assert_eq!(grounds, [Ground::Owner, Ground::Protocol(violation)]);
}
