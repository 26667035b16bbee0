//! Edges where one rule meets another: a quota and a reconnect, a retained message and a live one, expiry and limits.

use super::court::{at_home, bytes_of};
use super::*;
use crate::mqtt::connect::{Will, WillProperties};
use crate::mqtt::property::Property;
use crate::mqtt::publish::decode as decode_publish;

fn expiring(topic: &str, secs: u32) -> Vec<u8> {
    let properties = PublishProperties { message_expiry_secs: Some(secs), ..PublishProperties::default() };
    let (dup, qos, retain, packet_id) = (false, QoS::AtMostOnce, true, None);
    let publish = Publish { dup, qos, retain, topic, packet_id, properties, payload: b"m" };
    bytes_of(Version::V5, &Packet::Publish(publish))
}

fn durable(id: &str) -> Connect<'_> {
    let mut c = connect(Version::V5, id);
    c.clean_start = false;
    c.properties.session_expiry_secs = Some(1_000);
    c
}

/// [MQTT-4.9.0-1, 4.3.3-10]
#[test]
fn a_reconnect_makes_the_quota_whole_and_forgets_no_identifier() {
    let mut b = Broker::with(2, limits(|l| l.receive_maximum = 2));
    let s = b.connect(Version::V5, "subscriber");
    b.subscribe(s, "x", QoS::AtMostOnce);
    let qos2 = |id, dup: u8| vec![0x34 | dup, 6, 0, 1, b'x', 0, id, 0];
    let (p, _) = b.connect_with(&durable("publisher"));
    b.raw(p, &[qos2(1, 0), qos2(2, 0)].concat());
    b.cut(p);
    let (p, _) = b.connect_with(&durable("publisher"));
    b.raw(p, &[qos2(3, 0), qos2(4, 0)].concat());
    b.cut(p);
    let (p, _) = b.connect_with(&durable("publisher"));
    b.raw(p, &[qos2(1, 8), qos2(3, 8)].concat());
    assert_eq!(b.received(p).len(), 2, "two PUBREC");
    assert_eq!(b.received(s).len(), 4, "each once");
    b.raw(p, &qos2(5, 0));
    assert!(b.received(p)[0].contains("ReceiveMaximumExceeded"), "what is sent again counts");
}

#[test]
fn a_qos_2_publish_that_was_refused_meanwhile_is_not_acknowledged_as_taken() {
    let mut b = Broker::with(2, limits(|l| l.retained_messages = 2));
    let id = at_home(2, 0, "publisher");
    // Topics at the other shard, of which it may retain one.
    let homes = Homes::new(KEY, 2);
    let topics: Vec<String> =
        (0..).map(|n| format!("t{n}")).filter(|t| homes.of(t.as_bytes()).0 == 1).take(2).collect();
    let (p, _) = b.connect_with(&durable(&id));
    b.publish(p, &topics[0], "full", QoS::AtLeastOnce, true);
    let packet_id = PacketId::new(7);
    let publish = |dup| {
        let (qos, topic, retain) = (QoS::ExactlyOnce, &*topics[1], true);
        let properties = PublishProperties::default();
        bytes_of(
            Version::V5,
            &Packet::Publish(Publish { dup, qos, retain, topic, packet_id, properties, payload: b"m" }),
        )
    };
    // It ends before the other shard has answered.
    b.shards[0].handle_bytes(p.conn, &publish(false));
    b.shards[0].handle_end(p.conn, End::Closed);
    let again = b.open(0, Version::V5);
    let connect = bytes_of(Version::V5, &Packet::Connect(durable(&id)));
    b.shards[0].handle_bytes(again.conn, &connect);
    b.shards[0].handle_bytes(again.conn, &publish(true));
    b.settle();
    let told = b.received(again);
    assert!(told[1].contains("PubRec") && told[1].contains("QuotaExceeded"), "{told:?}");
    // And when the answer comes while nobody is there, the repetition is a new publish.
    b.shards[0].handle_bytes(again.conn, &publish(false));
    b.cut(again);
    let another = b.connect(Version::V5, "another");
    b.publish(another, &topics[0], "", QoS::AtMostOnce, true);
    let (p, _) = b.connect_with(&durable(&id));
    b.raw(p, &publish(true));
    assert!(b.received(p)[0].contains("NoMatchingSubscribers"));
    let s = b.connect(Version::V5, "late");
    assert_eq!(
        b.subscribe(s, &topics[1], QoS::AtMostOnce)[1..],
        [format!("{} retained q0 id0 m", topics[1])]
    );
}

#[test]
fn an_early_pubrel_is_answered_behind_its_pubrec() {
    let mut b = Broker::new(2);
    let p = b.connect(Version::V5, "hasty");
    for round in 0..2 {
        b.raw(p, &[0x34, 6, 0, 1, b'x', 0, 1, 0, 0x62, 2, 0, 1]);
        let told = b.received(p);
        assert!(told[0].starts_with("PubRec") && told[1].starts_with("PubComp"), "{round}: {told:?}");
        assert!(told.len() == 2 && told[1].contains("Success"), "{told:?}");
    }
}

/// A retained message is not overtaken by a newer one of its topic, of whatever QoS.
#[test]
fn what_is_live_at_qos_0_waits_behind_what_is_retained() {
    let mut b = Broker::new(1);
    let p = b.connect(Version::V5, "publisher");
    for topic in ["a/1", "a/2", "a/3"] {
        b.publish(p, topic, "old", QoS::AtLeastOnce, true);
    }
    let mut c = connect(Version::V5, "narrow");
    c.properties.receive_maximum = std::num::NonZeroU16::new(1);
    let (s, _) = b.connect_with(&c);
    assert_eq!(b.subscribe(s, "a/+", QoS::AtLeastOnce)[1..], ["a/1 retained q1 id1 old"]);
    b.publish(p, "a/3", "new", QoS::AtMostOnce, false);
    assert_eq!(b.received(s), [""; 0]);
    b.ack(s, 1, Packet::PubAck);
    assert_eq!(b.received(s), ["a/2 retained q1 id2 old"]);
    b.ack(s, 2, Packet::PubAck);
    assert_eq!(
        b.received(s),
        ["a/3 retained q1 id3 old", "a/3 q0 id0 new"],
        "QoS 0 needs no room in the window"
    );
    b.publish(p, "a/3", "newer", QoS::AtMostOnce, false);
    assert_eq!(b.received(s), ["a/3 q0 id0 newer"], "nothing retained waits");
    let census = b.shards[0].census();
    assert_eq!((census.backlog_messages, census.backlog_bytes), (0, 0));
}

/// QoS 0 is not kept for a session whose client is gone, even when it had to wait.
#[test]
fn what_waited_at_qos_0_ends_with_the_connection() {
    let mut b = Broker::new(1);
    let p = b.connect(Version::V5, "publisher");
    b.publish(p, "a/1", "old", QoS::AtLeastOnce, true);
    b.publish(p, "a/2", "old", QoS::AtLeastOnce, true);
    let mut c = durable("narrow");
    c.properties.receive_maximum = std::num::NonZeroU16::new(1);
    let (s, _) = b.connect_with(&c);
    b.subscribe(s, "a/+", QoS::AtLeastOnce);
    b.publish(p, "a/2", "live", QoS::AtMostOnce, false);
    assert_eq!(b.shards[0].census().backlog_messages, 2);
    b.cut(s);
    assert_eq!(b.shards[0].census().backlog_messages, 1);
    c.properties.receive_maximum = None;
    let (_, received) = b.connect_with(&c);
    assert_eq!(received[1..], ["a/1 retained q1 id1 old dup", "a/2 retained q1 id2 old"]);
}

#[test]
fn a_retained_message_that_expired_is_gone_and_counts_no_more() {
    let mut b = Broker::with(1, limits(|l| l.retained_messages = 10));
    let p = b.connect(Version::V5, "publisher");
    for n in 0..10 {
        b.raw(p, &expiring(&format!("e/{n}"), 10));
    }
    // Replaced by one that lives longer, and cleared: the old times mean nothing any more.
    b.raw(p, &expiring("e/0", 100));
    b.publish(p, "e/1", "", QoS::AtMostOnce, true);
    assert_eq!(b.shards[0].census().retained, 9);
    b.pass(9);
    let s = b.connect(Version::V5, "subscriber");
    assert_eq!(b.subscribe(s, "e/#", QoS::AtMostOnce).len(), 1 + 9);
    b.pass(2);
    assert_eq!((b.shards[0].census().retained, b.shards[0].retained.bytes()), (1, 4), "swept");
    for n in 0..9 {
        b.publish(p, &format!("new/{n}"), "m", QoS::AtLeastOnce, true);
    }
    assert!(!b.received(p).iter().any(|t| t.contains("QuotaExceeded")));
    b.pass(100);
    assert_eq!(b.shards[0].census().retained, 9);
    // Room is made for a new one even before the sweep comes by.
    b.raw(p, &expiring("late", 1));
    b.now = b.now.after_secs(1);
    b.shards[0].now = b.now;
    b.publish(p, "another", "m", QoS::AtLeastOnce, true);
    assert!(!b.received(p).iter().any(|t| t.contains("QuotaExceeded")));
}

/// Who subscribes to everything and reads nothing costs each retained topic one look, not each publish.
#[test]
fn many_replays_that_do_not_go_on_do_not_make_publishing_dear() {
    let mut b = Broker::new(1);
    let p = b.connect(Version::V5, "publisher");
    for n in 0..300 {
        b.publish(p, &format!("r/{n:03}"), "old", QoS::AtLeastOnce, true);
    }
    let mut c = connect(Version::V5, "stuck");
    c.properties.receive_maximum = std::num::NonZeroU16::new(1);
    let (s, _) = b.connect_with(&c);
    for filter in ["#", "+/#", "r/#", "r/+", "+/+"] {
        b.subscribe(s, filter, QoS::AtLeastOnce);
    }
    assert_eq!(b.shards[0].census().cursors, 5);
    b.publish(p, "r/299", "live", QoS::AtMostOnce, false);
    assert!(b.shards[0].retained.overtake("r/299").is_none(), "every cursor has been asked");
    // All of it comes, each cursor's once, as the client takes it.
    let mut got: Vec<String> = b.received(s);
    for id in 1..=3_000u16 {
        b.ack(s, id, Packet::PubAck);
        got.extend(b.received(s));
    }
    assert_eq!(got.iter().filter(|g| g.contains("retained")).count() + 1, 5 * 300);
    assert_eq!(b.shards[0].census().cursors, 0);
}

/// However often the tenants of a place change, it is visited a few times.
#[test]
fn a_storm_of_connections_on_one_place_books_few_visits() {
    let mut b = Broker::new(1);
    for expiry in [0, 1_000] {
        for generation in 1..500 {
            let conn = ConnId { index: 7, generation };
            let deadline = b.now.after_secs(10);
            let peer = "127.0.0.1:1".parse().expect("an address");
            b.shards[0].handle_open(conn, Opened::plain(peer, 0, deadline));
            let mut c = connect(Version::V5, "same");
            c.keep_alive_secs = 5;
            c.properties.session_expiry_secs = Some(expiry);
            b.shards[0].handle_bytes(conn, &bytes_of(Version::V5, &Packet::Connect(c)));
            b.settle();
            b.shards[0].handle_end(conn, End::Closed);
            b.settle();
        }
        assert!(b.shards[0].census().visits <= 4, "{}", b.shards[0].census().visits);
    }
    b.pass(100);
    assert_eq!(b.shards[0].census().connections, 0);
    b.pass(1_000);
    assert_eq!((b.shards[0].census().sessions, b.shards[0].census().visits), (0, 0));
}

/// 3.1: an identifier may be longer than 23 characters and may be empty; there is no Session Present.
#[test]
fn a_3_1_client_has_the_freedoms_of_3_1_1() {
    let mut b = Broker::new(2);
    let long = "i".repeat(100);
    let mut c = connect(Version::V3_1, &long);
    c.clean_start = false;
    for _ in 0..2 {
        let (s, told) = b.connect_with(&c);
        assert!(told[0].contains("session_present: false") && told[0].contains("Success"), "{told:?}");
        b.subscribe(s, "t", QoS::AtLeastOnce);
        b.raw(s, b"\xA2\x06\0\x05\0\x02no"); // UNSUBACK without codes
        assert!(b.received(s)[0].contains("codes: []"));
        b.cut(s);
        let p = b.connect(Version::V3_1_1, "publisher");
        b.publish(p, "t", "m", QoS::AtLeastOnce, false);
    }
    let (s, told) = b.connect_with(&c);
    assert_eq!(told[1..], ["t q1 id1 m dup", "t q1 id2 m"], "the session goes on all the same");
    assert!(b.subscribe(s, &"f/".repeat(200), QoS::AtLeastOnce)[0].contains("[128]"));
    assert!(b.connect_with(&connect(Version::V3_1, "")).1[0].contains("Success"));
    c.client_id = "";
    assert!(b.connect_with(&c).1[0].contains("ClientIdentifierNotValid"));
}

/// Its properties go along, its expiry begins when it is published [MQTT 5.0, 3.1.3.2], and it holds credit no longer
/// than others do.
#[test]
fn a_will_is_a_publish_with_everything_that_it_was_given() {
    for leaves in [&[0xE0u8, 2, 4, 0][..], &[0xE0, 1, 0x81], &[0xC1, 0]] {
        let mut b = Broker::new(2);
        let s = b.connect(Version::V5, "subscriber");
        b.subscribe(s, "will", QoS::ExactlyOnce);
        let mut raw = Vec::new();
        for property in [
            Property::ContentType("text"),
            Property::User("a", "1"),
            Property::ResponseTopic("answer"),
            Property::CorrelationData(&[0, 255]),
            Property::PayloadFormat(crate::mqtt::property::PayloadFormat::Utf8),
            Property::User("a", "0"),
        ] {
            property.append_to(&mut raw);
        }
        let (delay_secs, message_expiry_secs) = (Some(20), Some(10));
        let properties = WillProperties { delay_secs, message_expiry_secs, raw: &raw };
        let mut c = durable("mortal");
        c.will =
            Some(Will { qos: QoS::AtLeastOnce, retain: true, topic: "will", payload: b"gone", properties });
        let (peer, _) = b.connect_with(&c);
        b.raw(peer, leaves);
        b.pass(19);
        assert_eq!(b.received(s), [""; 0]);
        b.now = b.now.after_secs(2);
        let mut bytes = Vec::new();
        for _ in 0..20 {
            for at in 0..2 {
                b.shards[at].handle_time(b.now);
                b.shards[at].work();
                for peer in 0..2u16 {
                    let batch = b.shards[at].take_outbox(ShardId(peer));
                    b.shards[peer as usize].handle_batch(ShardId(at as u16), batch);
                }
            }
        }
        bytes.extend_from_slice(b.shards[s.shard as usize].output(s.conn));
        let f = frame::split(&bytes, 1 << 20).expect("a frame").expect("whole");
        let will = decode_publish(Version::V5, f.first, &bytes[f.header_len..f.len]).expect("a publish");
        assert_eq!(
            (will.topic, will.payload, will.qos, will.retain),
            ("will", &b"gone"[..], QoS::AtLeastOnce, false)
        );
        assert_eq!(will.properties.message_expiry_secs, Some(10));
        let mut passed_on = Vec::new();
        will.properties.append_passed_on(&mut passed_on);
        assert_eq!(passed_on, raw, "unaltered and in order");
        b.settle();
        let credit: u64 = b.shards.iter().map(|s| s.census().credit_messages + s.census().credit_bytes).sum();
        assert_eq!(credit, 0);
        // It is retained, for what remains.
        b.pass(4);
        let late = b.connect(Version::V5, "late");
        assert_eq!(b.subscribe(late, "will", QoS::AtMostOnce)[1..], ["will retained q0 id0 gone"]);
        b.pass(7);
        let later = b.connect(Version::V5, "later");
        assert_eq!(b.subscribe(later, "will", QoS::AtMostOnce).len(), 1);
    }
}

/// [MQTT-3.1.2-8]
#[test]
fn a_delayed_will_goes_with_its_session_if_that_is_sooner() {
    let mut b = Broker::new(1);
    let s = b.connect(Version::V5, "subscriber");
    b.subscribe(s, "will", QoS::AtMostOnce);
    let properties = WillProperties { delay_secs: Some(100), ..WillProperties::default() };
    let mut c = durable("short");
    c.properties.session_expiry_secs = Some(5);
    c.will = Some(Will { qos: QoS::AtMostOnce, retain: false, topic: "will", payload: b"end", properties });
    let (peer, _) = b.connect_with(&c);
    b.cut(peer);
    b.pass(6);
    assert_eq!(b.received(s), ["will q0 id0 end"], "with its session");
}
