//! What is traced of the packets of clients.

use super::*;
use crate::mqtt::connect::Will;
use crate::mqtt::disconnect::Disconnect;
use crate::mqtt::property::Property;
use crate::mqtt::{PacketType, ReasonCode};
use crate::policy::trace::{Direction, Directions, PacketTypes, TraceSet, TraceSpec};
use Direction::{In, Out};
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

fn trace(b: &mut Broker, change: impl FnOnce(&mut TraceSpec)) {
    let mut spec = TraceSpec::default();
    change(&mut spec);
    let set = Arc::new(TraceSet::new(vec![spec]).expect("it is right"));
    b.shards.iter_mut().for_each(|shard| shard.set_trace(Some(set.clone())));
}

fn taken(b: &mut Broker) -> Vec<Traced> {
    b.shards.iter_mut().flat_map(Shard::take_traced).collect()
}

/// As short as it can be said.
fn said(records: &[Traced]) -> Vec<String> {
    let arrow = |record: &Traced| if record.direction == In { '>' } else { '<' };
    records.iter().map(|r| format!("{} {} {:?}", r.client_id, arrow(r), r.packet)).collect()
}

#[test]
fn a_client_that_comes_later_is_traced_from_its_connect_to_its_disconnect() {
    for version in [Version::V5, Version::V3_1_1] {
        let mut b = Broker::new(2);
        trace(&mut b, |spec| spec.client_id = Some("late".to_owned()));
        let other = b.connect(version, "other");
        b.subscribe(other, "#", AtMostOnce);
        assert_eq!(taken(&mut b), []);
        let late = b.connect(version, "late");
        b.subscribe(late, "a/+", ExactlyOnce);
        b.publish(late, "a/b", "one", AtLeastOnce, false);
        b.ack(late, 1, Packet::PubAck);
        b.publish(late, "x", "two", ExactlyOnce, false);
        b.publish(other, "a/c", "three", ExactlyOnce, false);
        b.ack(late, 2, Packet::PubRec);
        b.ack(late, 2, Packet::PubComp);
        b.send(late, &Packet::PingReq);
        b.send(late, &Packet::Disconnect(Disconnect::new(ReasonCode::Success)));
        let records = taken(&mut b);
        let all: Vec<String> = said(&records).iter().map(|s| s.replace("late ", "")).collect();
        // Acknowledgements are flushed before deliveries.
        let expected = [
            "> Connect",
            "< ConnAck",
            "> Subscribe",
            "< SubAck",
            "> Publish",
            "< PubAck",
            "< Publish",
            "> PubAck",
            "> Publish",
            "< PubRec",
            "> PubRel",
            "< PubComp",
            "< Publish",
            "> PubRec",
            "< PubRel",
            "> PubComp",
            "> PingReq",
            "< PingResp",
            "> Disconnect",
        ];
        let mut sorted = (all.clone(), expected.map(str::to_owned).to_vec());
        sorted.0.sort();
        sorted.1.sort();
        assert_eq!(sorted.0, sorted.1, "{all:?}");
        assert_eq!(all[..4], expected[..4]);
        assert!(records.iter().all(|r| r.version == version && r.unix_micros == 1_000_000));
        let of = |at: usize| &records[at];
        assert_eq!(of(2).filters, [("a/+".into(), Some(ExactlyOnce))]);
        assert_eq!((of(3).packet_id, &of(3).codes[..]), (Some(77), &[2][..]));
        let publish = records.iter().find(|r| r.packet == PacketType::Publish && r.direction == Out);
        let publish = publish.expect("it was sent");
        assert_eq!(
            (publish.topic.as_deref(), publish.qos, publish.packet_id),
            (Some("a/b"), Some(AtLeastOnce), Some(1))
        );
        assert_eq!((publish.payload_bytes, publish.payload.len()), (3, 0));
    }
}

#[test]
fn passwords_are_never_in_it_and_the_rest_of_a_connect_is() {
    let mut b = Broker::new(1);
    trace(&mut b, |_| {});
    let will = Will {
        topic: "gone",
        payload: b"four",
        qos: AtLeastOnce,
        retain: true,
        properties: Default::default(),
    };
    let mut c =
        Connect { user_name: Some("anna"), password: Some(b"s3cret"), ..connect(Version::V5, "client") };
    c.will = Some(will);
    c.properties.session_expiry_secs = Some(60);
    b.connect_with(&c);
    let records = taken(&mut b);
    let [connect, connack] = &records[..] else { panic!("{records:?}") };
    let told = format!("{connect:?}{:?}", connect.payload);
    assert!(!told.contains("s3cret") && !told.contains("115, 51, 99"), "{told}");
    assert_eq!(connect.topic.as_deref(), Some("gone"));
    let detail =
        |name: &str| connect.details.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str());
    assert_eq!((detail("user name"), detail("password")), (Some("anna"), Some("yes")));
    assert_eq!((detail("session expiry"), detail("will")), (Some("60"), Some("QoS 1, 4 bytes")));
    assert_eq!(connack.codes, [0]);
}

#[test]
fn who_is_refused_is_traced_with_the_answer() {
    let mut b = Broker::with(1, limits(|l| l.client_id_bytes = 9));
    trace(&mut b, |spec| spec.client_id = Some("much too long".to_owned()));
    b.connect_with(&connect(Version::V5, "also too long"));
    b.connect_with(&connect(Version::V5, "much too long"));
    let records = taken(&mut b);
    assert_eq!(said(&records), ["much too long > Connect", "much too long < ConnAck"]);
    assert_eq!(records[1].codes, [ReasonCode::ClientIdentifierNotValid as u8]);
    // Who breaks the protocol too, with the packet that did it and the answer.
    trace(&mut b, |spec| spec.client_id = Some("rogue".to_owned()));
    let rogue = b.connect(Version::V5, "rogue");
    taken(&mut b);
    b.raw(rogue, &[0x82, 3, 0, 0, 0]);
    let records = taken(&mut b);
    assert_eq!(said(&records), ["rogue > Subscribe", "rogue < Disconnect"]);
    assert!(records[0].details[0].0 == "violation" && records[1].codes[0] >= 0x80, "{records:?}");
}

/// A password that is verified meanwhile has the CONNECT read again: it came once.
#[test]
fn a_connect_that_waits_for_its_password_is_traced_once() {
    use crate::policy::Credentials;
    use crate::policy::credentials::tests::stored;
    let credentials = Arc::new(Credentials::new(true, [("anna".into(), stored("anna"))]));
    for outcome in [PasswordOutcome::Right, PasswordOutcome::Wrong] {
        let mut b = Broker::with(1, Snapshot { credentials: credentials.clone(), ..limits(|_| {}) });
        trace(&mut b, |spec| spec.client_id = Some("client".to_owned()));
        b.connect_with(&Connect {
            user_name: Some("anna"),
            password: Some(b"anna"),
            ..connect(Version::V5, "client")
        });
        b.connect_with(&Connect {
            user_name: Some("anna"),
            password: Some(b"x"),
            ..connect(Version::V5, "other")
        });
        for check in b.shards[0].take_password_checks() {
            b.shards[0].handle_password(check.id, outcome);
        }
        b.settle();
        let records = taken(&mut b);
        assert_eq!(said(&records), ["client > Connect", "client < ConnAck"]);
        assert_eq!(records[1].codes[0] == 0, outcome == PasswordOutcome::Right);
    }
}

#[test]
fn topics_directions_types_and_payloads_are_chosen() {
    let mut b = Broker::new(2);
    let (one, two) = (b.connect(Version::V5, "one"), b.connect(Version::V5, "two"));
    b.subscribe(two, "#", AtMostOnce);
    trace(&mut b, |spec| {
        spec.topic = Some("a/#".to_owned());
        spec.directions = Directions::Out;
        spec.packets = PacketTypes::of(&[PacketType::Publish, PacketType::SubAck]);
        spec.payload_bytes = 4;
    });
    b.publish(one, "a/b", "payload", AtLeastOnce, true);
    b.publish(one, "b", "payload", AtLeastOnce, true);
    b.subscribe(one, "a/#", AtMostOnce);
    let records = taken(&mut b);
    assert_eq!(said(&records).len(), 2, "live to the one, retained to the other: {records:?}");
    for record in &records {
        assert_eq!(
            (record.topic.as_deref(), &record.payload[..], record.payload_bytes),
            (Some("a/b"), &b"payl"[..], 7)
        );
        assert_eq!(record.retain, &*record.client_id == "one");
    }
    b.shards.iter_mut().for_each(|shard| shard.set_trace(None));
    b.publish(one, "a/b", "payload", AtLeastOnce, true);
    assert_eq!(taken(&mut b), []);
    assert_eq!(b.count(|c| c.trace_dropped), 0);
}

/// An alias stands for a topic in either direction, and a record says the name.
#[test]
fn aliases_are_resolved() {
    let mut b = Broker::new(1);
    let mut c = connect(Version::V5, "client");
    c.properties.topic_alias_maximum = Some(3);
    let (peer, _) = b.connect_with(&c);
    b.subscribe(peer, "topic/#", AtMostOnce);
    trace(&mut b, |spec| spec.topic = Some("topic/long".to_owned()));
    for topic in ["topic/long", "", ""] {
        let properties = PublishProperties {
            topic_alias: std::num::NonZeroU16::new(1),
            raw: &{
                let mut raw = Vec::new();
                Property::TopicAlias(std::num::NonZeroU16::MIN).append_to(&mut raw);
                raw
            },
            ..PublishProperties::default()
        };
        let (dup, qos, retain, packet_id) = (false, AtMostOnce, false, None);
        b.send(
            peer,
            &Packet::Publish(Publish { dup, qos, retain, topic, packet_id, properties, payload: b"x" }),
        );
    }
    let records = taken(&mut b);
    assert_eq!(said(&records), ["client > Publish", "client < Publish"].repeat(3));
    assert!(records.iter().all(|record| record.topic.as_deref() == Some("topic/long")));
    assert!(records.iter().all(|record| record.details[0] == ("topic alias", "1".to_owned())));
}

/// Half-sent output and the driver's own headers in front of it are not taken for packets.
#[test]
fn output_is_looked_at_once_however_it_is_sent() {
    let mut b = Broker::new(1);
    let peer = b.connect(Version::V3_1_1, "client");
    b.subscribe(peer, "t", AtMostOnce);
    let shard = &mut b.shards[0];
    shard.keep_headroom(peer.conn, 10);
    let publish = b"\x30\x09\x00\x01tpayload";
    let publish = &publish[..11];
    shard.handle_bytes(peer.conn, publish);
    shard.work();
    let set = Arc::new(TraceSet::new(vec![TraceSpec::default()]).expect("it is right"));
    shard.set_trace(Some(set));
    for round in 0..50 {
        shard.handle_bytes(peer.conn, publish);
        shard.work();
        assert_eq!(shard.next_dirty(), Some(peer.conn));
        shard.prepend(peer.conn, &[0xC0, 0]);
        let waiting = shard.output(peer.conn).len();
        shard.handle_sent(peer.conn, (round % waiting).max(1));
        shard.handle_bytes(peer.conn, &[0xC0, 0]);
        shard.handle_writable(peer.conn);
    }
    while shard.next_dirty().is_some() {}
    let records = shard.take_traced();
    let count =
        |packet, direction| records.iter().filter(|r| r.packet == packet && r.direction == direction).count();
    assert_eq!((count(PacketType::Publish, In), count(PacketType::PingReq, In)), (50, 50));
    assert_eq!((count(PacketType::Publish, Out), count(PacketType::PingResp, Out)), (50, 50));
    assert_eq!(records.len(), 200);
}

/// A turn makes so many records and no more; the rest is counted.
#[test]
fn a_flood_is_counted_and_holds_little_memory() {
    let mut b = Broker::new(1);
    let peer = b.connect(Version::V5, "client");
    trace(&mut b, |spec| spec.payload_bytes = usize::MAX);
    b.raw(peer, &[0xC0, 0].repeat(1_000));
    let records = taken(&mut b);
    assert_eq!(records.len(), 256);
    assert_eq!(b.count(|c| c.trace_dropped), 2_000 - 256);
    let long = "x".repeat(5_000);
    b.publish(peer, &long[..900], &long, AtMostOnce, false);
    let records = taken(&mut b);
    assert_eq!((records[0].payload.len(), records[0].payload_bytes), (4_096, 5_000));
    b.shards[0].drop_traced(3);
    assert_eq!(b.count(|c| c.trace_dropped), 2_003 - 256);
}
