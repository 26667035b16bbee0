//! What clients may rely on, on any number of shards.

use super::*;
use crate::mqtt::ReasonCode;
use crate::mqtt::connect::{Will, WillProperties};
use crate::mqtt::disconnect::Disconnect;

const SHARDS: [u16; 3] = [1, 2, 5];
const V: [Version; 2] = [Version::V3_1_1, Version::V5];

#[test]
fn every_qos_reaches_every_subscriber() {
    for shards in SHARDS {
        for version in V {
            let mut b = Broker::new(shards);
            let publisher = b.connect(version, "publisher");
            let subscribers: Vec<Peer> =
                (0..20).map(|i| b.connect(V[i % 2], &format!("subscriber {i}"))).collect();
            for (i, s) in subscribers.iter().enumerate() {
                let filter = if i % 3 == 0 { "a/+" } else { "a/b" };
                let suback = b.subscribe(*s, filter, QoS::ExactlyOnce);
                assert!(suback[0].contains("SubAck"), "{suback:?}");
            }
            b.publish(publisher, "a/b", "zero", QoS::AtMostOnce, false);
            b.publish(publisher, "a/b", "one", QoS::AtLeastOnce, false);
            b.publish(publisher, "a/b", "two", QoS::ExactlyOnce, false);
            let acks = b.received(publisher);
            assert!(acks[0].contains("PubAck") && acks[0].contains("Success"), "{acks:?}");
            assert!(acks[1].contains("PubRec") && acks[2].contains("PubComp"), "{acks:?}");
            for s in &subscribers {
                assert_eq!(b.received(*s), ["a/b q0 id0 zero", "a/b q1 id1 one", "a/b q2 id2 two"]);
                b.ack(*s, 1, Packet::PubAck);
                b.ack(*s, 2, Packet::PubRec);
                assert!(b.received(*s)[0].contains("PubRel"));
                b.ack(*s, 2, Packet::PubComp);
            }
            let credit: u64 = b.shards.iter().map(|s| s.census().credit_messages).sum();
            assert_eq!(credit, 0, "all credit is back");
        }
    }
}

#[test]
fn overlapping_subscriptions_are_one_copy_with_the_highest_qos_and_all_identifiers() {
    for shards in SHARDS {
        let mut b = Broker::new(shards);
        let publisher = b.connect(Version::V5, "publisher");
        let s = b.connect(Version::V5, "subscriber");
        b.subscribe_with(s, "a/#", options(QoS::AtMostOnce), Some(7));
        b.subscribe_with(s, "a/+", options(QoS::AtLeastOnce), Some(8));
        b.subscribe_with(s, "a/b", options(QoS::AtMostOnce), None);
        b.publish(publisher, "a/b", "once", QoS::ExactlyOnce, false);
        assert_eq!(b.received(s), ["a/b q1 id1 once"]);
    }
}

#[test]
fn retained_messages_come_with_the_subscription_and_only_then() {
    for shards in SHARDS {
        for version in V {
            let mut b = Broker::new(shards);
            let publisher = b.connect(version, "publisher");
            for i in 0..300 {
                b.publish(publisher, &format!("r/{i}"), "old", QoS::AtLeastOnce, true);
                b.publish(publisher, &format!("r/{i}"), &format!("v{i}"), QoS::AtLeastOnce, true);
            }
            b.publish(publisher, "r/7", "", QoS::AtMostOnce, true);
            let s = b.connect(version, "subscriber");
            let first = b.subscribe(s, "r/#", QoS::AtMostOnce);
            assert_eq!(first.len(), 1 + 299, "a SUBACK and what is retained");
            assert!(first.iter().any(|p| p == "r/299 retained q0 id0 v299"));
            assert!(!first.iter().any(|p| p.starts_with("r/7 ")));
            b.publish(publisher, "r/7", "live", QoS::AtMostOnce, true);
            assert_eq!(b.received(s), ["r/7 q0 id0 live"], "without RETAIN for those who were there");
            let census: Vec<Census> = b.shards.iter().map(Shard::census).collect();
            assert!(census.iter().all(|c| c.cursors == 0 && c.replays == 0 && c.joins == 0));
        }
    }
}

#[test]
fn a_session_keeps_what_its_client_missed() {
    for shards in SHARDS {
        let mut b = Broker::new(shards);
        let mut durable = connect(Version::V5, "durable");
        durable.clean_start = false;
        durable.properties.session_expiry_secs = Some(100);
        let (s, _) = b.connect_with(&durable);
        b.subscribe(s, "t", QoS::ExactlyOnce);
        let publisher = b.connect(Version::V3_1_1, "publisher");
        b.publish(publisher, "t", "in flight", QoS::AtLeastOnce, false);
        assert_eq!(b.received(s), ["t q1 id1 in flight"]);
        b.cut(s);
        b.publish(publisher, "t", "missed", QoS::ExactlyOnce, false);
        b.publish(publisher, "t", "not kept", QoS::AtMostOnce, false);
        b.pass(50);
        let (s, received) = b.connect_with(&durable);
        assert!(received[0].contains("session_present: true"), "{received:?}");
        assert_eq!(received[1..], ["t q1 id1 in flight dup", "t q2 id2 missed"]);
        b.cut(s);
        b.pass(200);
        let (_, received) = b.connect_with(&durable);
        assert!(received[0].contains("session_present: false"), "{received:?}");
        assert_eq!(received.len(), 1);
    }
}

#[test]
fn what_exceeds_the_receive_maximum_waits_and_is_not_lost() {
    let mut b = Broker::new(2);
    let mut c = connect(Version::V5, "subscriber");
    c.properties.receive_maximum = std::num::NonZeroU16::new(2);
    let (s, _) = b.connect_with(&c);
    b.subscribe(s, "t", QoS::AtLeastOnce);
    let publisher = b.connect(Version::V3_1_1, "publisher");
    for i in 0..5 {
        b.publish(publisher, "t", &i.to_string(), QoS::AtLeastOnce, false);
    }
    assert_eq!(b.received(s), ["t q1 id1 0", "t q1 id2 1"]);
    b.ack(s, 1, Packet::PubAck);
    assert_eq!(b.received(s), ["t q1 id3 2"]);
    b.ack(s, 3, Packet::PubAck);
    b.ack(s, 2, Packet::PubAck);
    assert_eq!(b.received(s), ["t q1 id4 3", "t q1 id5 4"]);
}

#[test]
fn takeover_tells_the_old_connection_and_publishes_its_will() {
    for shards in SHARDS {
        let mut b = Broker::new(shards);
        let watcher = b.connect(Version::V5, "watcher");
        b.subscribe(watcher, "will", QoS::AtMostOnce);
        let mut c = connect(Version::V5, "client");
        c.will = Some(Will {
            qos: QoS::AtLeastOnce,
            retain: false,
            topic: "will",
            payload: b"gone",
            properties: WillProperties::default(),
        });
        let (first, _) = b.connect_with(&c);
        let (second, _) = b.connect_with(&c);
        let told = b.received(first);
        assert!(told[0].contains("Disconnect") && told[0].contains("SessionTakenOver"), "{told:?}");
        assert_eq!(b.closed.last().map(|(_, cause)| *cause), Some(CloseCause::TakenOver));
        assert_eq!(b.received(watcher), ["will q0 id0 gone"]);
        b.send(
            second,
            &Packet::Disconnect(Disconnect {
                reason: ReasonCode::Success,
                session_expiry_secs: None,
                reason_string: None,
                server_reference: None,
                user: UserProperties::default(),
            }),
        );
        assert_eq!(b.received(watcher), [""; 0], "DISCONNECT 0x00 deletes the will");
    }
}

#[test]
fn a_delayed_will_waits_and_a_resumed_session_stops_it() {
    let mut b = Broker::new(2);
    let watcher = b.connect(Version::V5, "watcher");
    b.subscribe(watcher, "will", QoS::AtMostOnce);
    let mut c = connect(Version::V5, "client");
    c.clean_start = false;
    c.properties.session_expiry_secs = Some(60);
    c.will = Some(Will {
        qos: QoS::AtMostOnce,
        retain: false,
        topic: "will",
        payload: b"gone",
        properties: WillProperties { delay_secs: Some(10), ..WillProperties::default() },
    });
    let (first, _) = b.connect_with(&c);
    b.cut(first);
    b.pass(5);
    let (second, _) = b.connect_with(&c);
    b.pass(20);
    assert_eq!(b.received(watcher), [""; 0]);
    b.cut(second);
    b.pass(11);
    assert_eq!(b.received(watcher), ["will q0 id0 gone"]);
    b.pass(100);
    assert_eq!(b.received(watcher), [""; 0]);
}

#[test]
fn keep_alive_ends_a_silent_connection() {
    let mut b = Broker::new(1);
    let mut c = connect(Version::V5, "silent");
    c.keep_alive_secs = 10;
    let (peer, _) = b.connect_with(&c);
    b.pass(14);
    b.send(peer, &Packet::PingReq);
    assert_eq!(b.received(peer), ["PingResp"]);
    b.pass(14);
    assert_eq!(b.received(peer), [""; 0]);
    b.pass(2);
    assert!(b.received(peer)[0].contains("KeepAliveTimeout"));
}

#[test]
fn a_violation_costs_only_its_own_connection() {
    let mut b = Broker::new(2);
    let good = b.connect(Version::V5, "good");
    b.subscribe(good, "t", QoS::AtMostOnce);
    let bad = b.connect(Version::V5, "bad");
    let mut bytes = Vec::new();
    bytes.extend([0x30, 4, 0, 1, b't', 0]); // well-formed, and comes before the violation
    bytes.extend([0xc1, 0]); // PINGREQ with a reserved flag
    b.raw(bad, &bytes);
    assert!(b.received(bad)[0].contains("Disconnect"));
    assert_eq!(b.received(good), ["t q0 id0 "]);
    let violations: u64 = b.shards.iter().flat_map(|s| s.counters().violations.values()).sum();
    assert_eq!(violations, 1);
}

#[test]
fn a_large_fan_out_is_sliced_and_does_not_hold_up_a_ping() {
    let mut b = Broker::new(1);
    let publisher = b.connect(Version::V3_1_1, "publisher");
    for i in 0..10_000 {
        let s = b.connect(Version::V3_1_1, &i.to_string());
        b.subscribe(s, "t", QoS::AtMostOnce);
    }
    let shard = &mut b.shards[0];
    shard.handle_bytes(publisher.conn, &[0x30, 3, 0, 1, b't']);
    assert!(shard.work(), "one turn does not finish it");
    shard.handle_bytes(publisher.conn, &[0xc0, 0]);
    assert_eq!(shard.next_dirty(), Some(publisher.conn), "the answer to the ping goes first");
    b.settle();
    assert_eq!(b.shards[0].counters().messages_sent, 10_000);
}
