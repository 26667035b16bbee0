//! What the broker says of itself below `$SYS`: who gets it, that it counts nowhere, and the sums it is made of.

use std::num::NonZeroU16;

use super::*;
use crate::mqtt::ReasonCode;
use crate::mqtt::connect::{Will, WillProperties};

const SHARDS: [u16; 3] = [1, 2, 5];
const TOPIC: &str = "$SYS/broker/uptime";

/// As the node does: the topic's home gets it.
fn tell(b: &mut Broker, topic: &str, payload: &str) {
    let home = Homes::new(KEY, b.shards.len() as u16).of(topic.as_bytes());
    b.shards[home.index()].handle_system(topic, payload.as_bytes());
    b.settle();
}

/// A retained message by an alias, which the topic makes or its absence uses.
fn by_alias(topic: &str) -> Packet<'_> {
    let properties = PublishProperties { topic_alias: NonZeroU16::new(1), ..PublishProperties::default() };
    let (dup, qos, retain, packet_id) = (false, QoS::AtLeastOnce, true, PacketId::new(9));
    Packet::Publish(Publish { dup, qos, retain, topic, packet_id, properties, payload: b"forged" })
}

fn census(b: &Broker, of: fn(&Census) -> usize) -> usize {
    b.shards.iter().map(|shard| of(&shard.census())).sum()
}

fn counted(b: &Broker) -> Vec<Counters> {
    b.shards.iter().map(|shard| shard.counters().clone()).collect()
}

#[test]
fn it_is_retained_and_heard_below_sys_alone_and_counts_nowhere() {
    for shards in SHARDS {
        for version in [Version::V3_1_1, Version::V5] {
            let mut b = Broker::new(shards);
            let early = b.connect(version, "early");
            let plain = b.connect(version, "plain");
            b.subscribe(early, "$SYS/#", QoS::ExactlyOnce);
            for filter in ["#", "+/broker/uptime", "+/#"] {
                b.subscribe(plain, filter, QoS::AtMostOnce); // [MQTT-4.7.2-1]
            }
            let late = b.connect(version, "late");
            b.received(plain);
            let before = counted(&b);
            tell(&mut b, TOPIC, "0 seconds");
            tell(&mut b, TOPIC, "10 seconds");
            let heard = ["0 seconds", "10 seconds"].map(|text| format!("{TOPIC} q0 id0 {text}"));
            assert_eq!(b.received(early), heard);
            assert_eq!(counted(&b), before);
            let replayed = b.subscribe(late, "$SYS/broker/+", QoS::AtLeastOnce);
            assert_eq!(replayed.len(), 2, "{replayed:?}");
            assert!(replayed.contains(&format!("{TOPIC} retained q0 id0 10 seconds")), "{replayed:?}");
            assert_eq!(b.received(plain), [""; 0]);
            assert_eq!(b.shards.iter().map(|s| s.counters().messages_sent).sum::<u64>(), 0);
            assert_eq!(census(&b, |c| c.retained), 0);
            assert_eq!(census(&b, |c| (c.credit_messages + c.credit_bytes + c.retained_bytes) as usize), 0);
        }
    }
}

#[test]
fn one_that_its_client_cannot_take_is_no_drop() {
    let mut b = Broker::with(1, limits(|l| l.output_bytes = 1_024));
    let mut c = connect(Version::V5, "small");
    c.properties.maximum_packet_size = NonZeroU32::new(40);
    let (small, _) = b.connect_with(&c);
    b.subscribe(small, "$SYS/#", QoS::AtMostOnce);
    tell(&mut b, TOPIC, &"long".repeat(20));
    assert_eq!(b.received(small), [""; 0]);
    let slow = b.connect(Version::V5, "slow");
    b.subscribe(slow, "$SYS/#", QoS::AtMostOnce);
    for _ in 0..40 {
        b.shards[0].handle_system(TOPIC, &[b'x'; 100]);
    }
    while b.shards[0].work() {}
    assert!(b.shards[0].output(slow.conn).len() <= 1_024, "the rest was dropped");
    assert_eq!(b.shards[0].counters().drops, Drops::default());
}

#[test]
fn it_takes_nothing_of_what_clients_may_retain() {
    let mut b = Broker::with(
        1,
        limits(|l| {
            (l.retained_messages, l.retained_bytes) = (1, 20);
        }),
    );
    for topic in ["$SYS/a", "$SYS/b", "$SYS/c"] {
        tell(&mut b, topic, &"much".repeat(50));
    }
    let client = b.connect(Version::V5, "client");
    b.publish(client, "mine", "is kept", QoS::AtLeastOnce, true);
    assert!(b.received(client)[0].contains("NoMatchingSubscribers"));
    b.publish(client, "two", "too many", QoS::AtLeastOnce, true);
    assert!(b.received(client)[0].contains("QuotaExceeded"));
    tell(&mut b, "$SYS/d", "although the limit is reached");
    tell(&mut b, "$SYS/a", "");
    let replayed = b.subscribe(client, "$SYS/#", QoS::AtMostOnce);
    assert_eq!(replayed.len(), 1 + 3, "{replayed:?}");
    assert_eq!((census(&b, |c| c.retained), census(&b, |c| c.retained_bytes as usize)), (1, 11));
    b.publish(client, "mine", "", QoS::AtMostOnce, true);
    for topic in ["$SYS/b", "$SYS/c", "$SYS/d", "$SYS/never"] {
        tell(&mut b, topic, "");
    }
    b.received(client);
    assert_eq!(b.subscribe(client, "$SYS/#", QoS::AtMostOnce).len(), 1, "nothing is left");
    assert_eq!(census(&b, |c| c.retained), 0);
}

#[test]
fn clients_neither_publish_nor_clear_nor_leave_a_will_there() {
    for shards in SHARDS {
        let mut b = Broker::new(shards);
        tell(&mut b, TOPIC, "true");
        let forger = b.connect(Version::V5, "forger");
        for payload in ["forged", ""] {
            b.publish(forger, TOPIC, payload, QoS::AtLeastOnce, true);
            assert!(b.received(forger)[0].contains("NotAuthorized"));
            b.publish(forger, TOPIC, payload, QoS::AtMostOnce, true);
        }
        for topic in [TOPIC, ""] {
            b.send(forger, &by_alias(topic));
            assert!(b.received(forger)[0].contains("NotAuthorized"), "by alias, {topic:?}");
        }
        let mut c = connect(Version::V5, "heir");
        c.will = Some(Will {
            qos: QoS::AtMostOnce,
            retain: true,
            topic: TOPIC,
            payload: b"forged",
            properties: WillProperties::default(),
        });
        let (_, refused) = b.connect_with(&c);
        assert!(refused[0].contains(&format!("{:?}", ReasonCode::NotAuthorized)), "{refused:?}");
        let replayed = b.subscribe(forger, "$SYS/#", QoS::AtMostOnce);
        assert_eq!(replayed.len(), 2, "{replayed:?}");
        assert!(replayed.contains(&format!("{TOPIC} retained q0 id0 true")), "{replayed:?}");
    }
}

#[test]
fn what_waits_in_backlogs_is_summed_until_it_is_sent_or_its_session_ends() {
    let mut b = Broker::new(1);
    let mut c = connect(Version::V5, "away");
    (c.properties.session_expiry_secs, c.clean_start) = (Some(60), false);
    c.properties.receive_maximum = NonZeroU16::new(1);
    let (away, _) = b.connect_with(&c);
    b.subscribe(away, "t", QoS::AtLeastOnce);
    let publisher = b.connect(Version::V5, "publisher");
    let waiting = |b: &Broker| (census(b, |c| c.backlog_messages), census(b, |c| c.backlog_bytes));
    for payload in ["one", "three", "seven"] {
        b.publish(publisher, "t", payload, QoS::AtLeastOnce, false);
    }
    // Property length, topic and payload; one is in flight.
    assert_eq!(waiting(&b), (2, 12));
    assert_eq!((census(&b, |c| c.connected), census(&b, |c| c.sessions)), (2, 2));
    b.cut(away);
    b.publish(publisher, "t", "x", QoS::AtLeastOnce, false);
    assert_eq!(waiting(&b), (3, 14));
    assert_eq!((census(&b, |c| c.connected), census(&b, |c| c.sessions)), (1, 2));
    let (away, _) = b.connect_with(&c);
    b.ack(away, 1, Packet::PubAck);
    assert_eq!(waiting(&b), (2, 8));
    let counters = b.shards[0].counters();
    assert_eq!((counters.messages_sent, counters.payload_bytes_sent), (2, 8), "a repetition is not counted");
    assert_eq!((counters.messages_received, counters.payload_bytes_received), (4, 14));
    b.cut(away);
    b.pass(62);
    assert_eq!(waiting(&b), (0, 0));
    assert_eq!((b.shards[0].counters().sessions_expired, census(&b, |c| c.sessions)), (1, 1));
}

#[test]
fn a_takeover_leaves_one_client_connected() {
    for shards in SHARDS {
        let mut b = Broker::new(shards);
        for _ in 0..3 {
            b.connect(Version::V5, "same");
        }
        assert_eq!((census(&b, |c| c.connected), census(&b, |c| c.sessions)), (1, 1));
        let last = b.connect(Version::V5, "same");
        b.cut(last);
        assert_eq!((census(&b, |c| c.connected), census(&b, |c| c.sessions)), (0, 0));
        assert_eq!(b.shards.iter().map(|s| s.counters().sessions_expired).sum::<u64>(), 0);
    }
}

#[test]
fn every_packet_is_counted_once() {
    let mut b = Broker::new(1);
    let client = b.connect(Version::V5, "client"); // CONNECT, CONNACK
    b.subscribe(client, "t", QoS::ExactlyOnce); // SUBSCRIBE, SUBACK
    b.publish(client, "t", "payload", QoS::ExactlyOnce, false); // PUBLISH, PUBREC, PUBREL, PUBCOMP, and PUBLISH back
    b.ack(client, 1, Packet::PubRec); // PUBREC, PUBREL
    b.ack(client, 1, Packet::PubComp); // PUBCOMP
    b.raw(client, &[0xC0, 0]); // PINGREQ, PINGRESP
    b.raw(client, &[0xE0, 0]); // DISCONNECT
    let counters = b.shards[0].counters();
    assert_eq!(counters.packets_received, 8);
    assert_eq!((counters.messages_sent, counters.other_packets_sent), (1, 6));
}
