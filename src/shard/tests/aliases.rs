//! Topic aliases, both ways: what they stand for, how many there are, and that one is used only when it is known.

use std::num::NonZeroU16;

use super::court::{Court, Fate, State, bytes_of};
use super::*;
use crate::mqtt::Violation;

fn publish_by(topic: &str, alias: u16, qos: QoS, payload: &str) -> Vec<u8> {
    let packet_id = (qos != QoS::AtMostOnce).then(|| PacketId::new(9).expect("not zero"));
    let properties =
        PublishProperties { topic_alias: NonZeroU16::new(alias), ..PublishProperties::default() };
    let payload = payload.as_bytes();
    let publish = Publish { dup: false, qos, retain: false, topic, packet_id, properties, payload };
    bytes_of(Version::V5, &Packet::Publish(publish))
}

fn taking(id: &str, aliases: u16) -> Connect<'_> {
    let mut c = connect(Version::V5, id);
    c.properties.topic_alias_maximum = Some(aliases);
    c
}

/// [MQTT-3.3.2-7, 3.3.2-12]
#[test]
fn an_alias_stands_for_its_topic_until_its_connection_ends() {
    for shards in [1, 3] {
        let mut b = Broker::new(shards);
        let s = b.connect(Version::V5, "subscriber");
        b.subscribe(s, "#", QoS::AtMostOnce);
        let (p, told) = b.connect_with(&connect(Version::V5, "publisher"));
        assert!(told[0].contains("topic_alias_maximum: Some(32)"), "{told:?}");
        // In one read, so that they would join one run if they had one topic.
        let bytes = [
            publish_by("room/1", 32, QoS::AtMostOnce, "a"),
            publish_by("", 32, QoS::AtMostOnce, "b"),
            publish_by("room/2", 1, QoS::AtMostOnce, "c"),
            publish_by("", 32, QoS::AtMostOnce, "d"),
            publish_by("room/3", 32, QoS::AtMostOnce, "e"),
            publish_by("", 32, QoS::AtMostOnce, "f"),
            publish_by("", 1, QoS::AtMostOnce, "g"),
        ];
        b.raw(p, &bytes.concat());
        let mut received = b.received(s);
        received.sort();
        let topics = ["room/1 a", "room/1 b", "room/1 d", "room/2 c", "room/2 g", "room/3 e", "room/3 f"];
        assert_eq!(received, topics.map(|t| format!("{} q0 id0 {}", &t[..6], &t[7..])));
        // The next connection of the same session knows none of them.
        b.cut(p);
        let p = b.connect(Version::V5, "publisher");
        b.raw(p, &publish_by("", 1, QoS::AtMostOnce, "h"));
        assert!(b.received(p)[0].contains("ProtocolError"));
        assert_eq!(b.received(s), [""; 0]);
    }
}

#[test]
fn an_alias_of_a_refused_publish_is_introduced_all_the_same() {
    let mut court = Court::new();
    let peer = court.peer(Version::V5, State::Connected);
    let refused = publish_by("$SYS/mine", 5, QoS::AtLeastOnce, "x");
    let again = publish_by("", 5, QoS::AtLeastOnce, "x");
    let (fate, told) = court.judge(peer, &[refused, again].concat());
    assert_eq!((fate, told.len()), (Fate::Open, 2));
    assert!(told.iter().all(|t| t.contains("NotAuthorized")), "{told:?}");
}

/// What CONNACK said holds for its connection.
#[test]
fn the_announced_maximum_holds_whatever_is_installed_later() {
    for (before, after) in [(4, 2), (2, 4)] {
        let mut court = Court::with(limits(|l| l.topic_aliases_in = before));
        let peers = [0; 2].map(|_| court.peer(Version::V5, State::Connected));
        for shard in &mut court.b.shards {
            shard.install(Arc::new(limits(|l| l.topic_aliases_in = after)));
        }
        assert_eq!(court.judge(peers[0], &publish_by("a", before, QoS::AtMostOnce, "")).0, Fate::Open);
        let above = publish_by("a", before + 1, QoS::AtMostOnce, "");
        court.convict_peer(peers[1], State::Connected, &above, Violation::TopicAliasTooLarge);
    }
    let mut court = Court::with(limits(|l| l.topic_aliases_in = 0));
    court.convict(
        Version::V5,
        State::Connected,
        &publish_by("a", 1, QoS::AtMostOnce, ""),
        Violation::TopicAliasTooLarge,
    );
}

#[test]
fn what_a_client_introduces_is_bounded() {
    let mut court = Court::with(limits(|l| l.topic_bytes = 100));
    let peer = court.peer(Version::V5, State::Connected);
    for n in 0..1_000u16 {
        let topic = format!("{n:0100}");
        assert_eq!(court.judge(peer, &publish_by(&topic, n % 32 + 1, QoS::AtMostOnce, "")).0, Fate::Open);
    }
    let introduced = &court.b.shards[0].connections[peer.conn.index as usize].introduced;
    assert!(format!("{introduced:?}").len() < 32 * 110);
    let long = publish_by(&"t".repeat(101), 1, QoS::AtMostOnce, "");
    court.convict_peer(peer, State::Connected, &long, Violation::TopicTooLong);
    assert!(court.b.shards[0].connections[peer.conn.index as usize].introduced.is_none());
}

/// [MQTT-3.1.2-26, 3.1.2-27]
#[test]
fn a_client_is_introduced_to_as_many_as_it_takes() {
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        let mut b = Broker::new(2);
        let (two, _) = b.connect_with(&taking("two", 2));
        let none = b.connect(Version::V5, "none");
        let old = b.connect(Version::V3_1_1, "old");
        for s in [two, none, old] {
            b.subscribe(s, "room/+", qos);
        }
        let p = b.connect(Version::V5, "publisher");
        for topic in ["room/1", "room/1", "room/2", "room/3", "room/1", "room/2", "room/3"] {
            b.publish(p, topic, "m", qos, false);
        }
        let names = |packets: Vec<String>| -> Vec<String> {
            packets.iter().map(|p| p.split(" q").next().expect("a topic").to_owned()).collect()
        };
        assert_eq!(names(b.received(two)), ["room/1~1", "~1", "room/2~2", "room/3", "~1", "~2", "room/3"]);
        for s in [none, old] {
            assert_eq!(
                names(b.received(s)),
                ["room/1", "room/1", "room/2", "room/3", "room/1", "room/2", "room/3"]
            );
            assert!(b.shards[s.shard as usize].connections[s.conn.index as usize].given.is_none());
        }
    }
}

#[test]
fn neighbours_share_one_introduction_and_one_encoding() {
    let mut b = Broker::new(1);
    let subscribers: Vec<(String, Peer)> = (0..40)
        .map(|i| {
            let id = format!("s{i}");
            let (s, _) = b.connect_with(&taking(&id, 8));
            b.subscribe(s, "room/#", QoS::AtLeastOnce);
            (id, s)
        })
        .collect();
    let p = b.connect(Version::V5, "publisher");
    let run: Vec<u8> =
        (0..5u8).flat_map(|n| publish_by("room/1", 0, QoS::AtMostOnce, &n.to_string())).collect();
    b.raw(p, &run);
    for (_, s) in &subscribers {
        let received = b.received(*s);
        assert_eq!(received[0], "room/1~1 q0 id0 0");
        assert_eq!(received[1..], ["~1 q0 id0 1", "~1 q0 id0 2", "~1 q0 id0 3", "~1 q0 id0 4"]);
    }
    assert_eq!(b.shards[0].encodings.made(), 1);
}

/// An alias is known only to who has received the packet that introduces it.
#[test]
fn a_packet_that_is_not_sent_introduces_nothing() {
    let mut b = Broker::with(1, limits(|l| l.output_bytes = 1_024));
    let mut c = taking("small", 8);
    c.properties.maximum_packet_size = NonZeroU32::new(60);
    let (s, _) = b.connect_with(&c);
    b.subscribe(s, "room/+", QoS::AtMostOnce);
    let p = b.connect(Version::V5, "publisher");
    // Too large for it, then one that would be with the alias beside the name.
    b.publish(p, "room/1", &"x".repeat(100), QoS::AtMostOnce, false);
    b.publish(p, "room/1", &"x".repeat(60 - 11), QoS::AtMostOnce, false);
    assert_eq!(b.received(s), [format!("room/1 q0 id0 {}", "x".repeat(49))]);
    b.publish(p, "room/1", "fits", QoS::AtMostOnce, false);
    b.publish(p, "room/1", &"x".repeat(60 - 11), QoS::AtMostOnce, false);
    assert_eq!(b.received(s), ["room/1~1 q0 id0 fits".to_owned(), format!("~1 q0 id0 {}", "x".repeat(49))]);
    // Its socket takes nothing until QoS 0 is dropped.
    b.publish(p, "room/2", "first", QoS::AtMostOnce, false);
    assert_eq!(b.received(s), ["room/2~2 q0 id0 first"]);
    let shard = &mut b.shards[0];
    for n in 0..60 {
        shard.handle_bytes(p.conn, &publish_by("room/3", 0, QoS::AtMostOnce, &format!("{n:040}")));
        shard.work();
        if shard.counters().drops.output_full > 0 {
            break;
        }
        if n == 0 {
            assert_eq!(shard.next_dirty(), Some(s.conn));
            shard.handle_sent(s.conn, 0);
        }
    }
    assert!(shard.counters().drops.output_full > 0);
    shard.handle_bytes(p.conn, &publish_by("room/4", 0, QoS::AtMostOnce, &"x".repeat(40)));
    shard.work();
    shard.handle_writable(s.conn);
    b.settle();
    let received = b.received(s);
    assert!(received[0].starts_with("room/3~3 "), "{received:?}");
    assert!(!received.iter().any(|r| r.contains("room/4")), "{received:?}");
    b.publish(p, "room/4", "m", QoS::AtMostOnce, false);
    assert_eq!(b.received(s), ["room/4~4 q0 id0 m"]);
}

#[test]
fn what_waited_and_what_is_sent_again_says_its_topic_rightly() {
    let mut b = Broker::new(2);
    let mut c = taking("durable", 8);
    c.clean_start = false;
    c.properties.session_expiry_secs = Some(100);
    c.properties.receive_maximum = NonZeroU16::new(2);
    let (s, _) = b.connect_with(&c);
    b.subscribe(s, "room/+", QoS::AtLeastOnce);
    let p = b.connect(Version::V3_1_1, "publisher");
    for n in 0..4 {
        b.publish(p, "room/1", &n.to_string(), QoS::AtLeastOnce, false);
    }
    assert_eq!(b.received(s), ["room/1~1 q1 id1 0", "~1 q1 id2 1"]);
    b.ack(s, 1, Packet::PubAck);
    assert_eq!(b.received(s), ["~1 q1 id3 2"]);
    b.cut(s);
    let (s, received) = b.connect_with(&c);
    assert_eq!(received[1..], ["room/1~1 q1 id2 1 dup", "~1 q1 id3 2 dup"]);
    b.ack(s, 2, Packet::PubAck);
    b.ack(s, 3, Packet::PubAck);
    assert_eq!(b.received(s), ["~1 q1 id4 3"]);
}
