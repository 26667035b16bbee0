//! The limits of what one client may say: what is within passes, one more is refused with its reason.

use super::court::{Court, Fate, State, at_home, bytes_of, connect_bytes, refusal};
use super::*;
use crate::mqtt::connect::{Will, WillProperties};
use crate::mqtt::property::UserPropertiesBuilder;
use crate::mqtt::unsubscribe::{FilterNamesBuilder, Unsubscribe};
use crate::mqtt::{ReasonCode, Violation};

const V: [Version; 2] = [Version::V3_1_1, Version::V5];

fn publish_bytes(version: Version, topic: &str, raw: &[u8], payload: &[u8]) -> Vec<u8> {
    let properties = PublishProperties { raw, ..PublishProperties::default() };
    let qos = QoS::AtMostOnce;
    let publish = Publish { dup: false, qos, retain: false, topic, packet_id: None, properties, payload };
    bytes_of(version, &Packet::Publish(publish))
}

fn subscribe_bytes(version: Version, filters: &[&str]) -> Vec<u8> {
    let mut builder = FiltersBuilder::default();
    for filter in filters {
        builder.push(filter, options(QoS::AtMostOnce));
    }
    let packet_id = PacketId::new(3).expect("not zero");
    let filters = builder.filters();
    let user = UserProperties::default();
    bytes_of(version, &Packet::Subscribe(Subscribe { packet_id, subscription_id: None, user, filters }))
}

/// User properties that take `bytes` together, as they stand in an area.
fn user(pairs: usize, bytes: usize) -> UserPropertiesBuilder {
    let mut builder = UserPropertiesBuilder::default();
    for pair in 0..pairs {
        let value = if pair == 0 { bytes - 5 * pairs } else { 0 };
        builder.push("", &"v".repeat(value));
    }
    assert_eq!(builder.user().encoded_len(), bytes);
    builder
}

#[test]
fn topics_by_length_and_by_depth() {
    let mut court = Court::with(limits(|l| (l.topic_bytes, l.topic_levels) = (20, 5)));
    for version in V {
        for (topic, fits) in [
            ("12345678901234567890", true),
            ("123456789012345678901", false),
            ("////", true),
            ("/////", false),
        ] {
            let bytes = publish_bytes(version, topic, &[], b"");
            let peer = court.peer(version, State::Connected);
            if fits {
                assert_eq!(court.judge(peer, &bytes).0, Fate::Open);
            } else {
                court.convict_peer(peer, State::Connected, &bytes, Violation::TopicTooLong);
            }
            let peer = court.peer(version, State::Connected);
            let (fate, told) = court.judge(peer, &subscribe_bytes(version, &[topic]));
            // 143 is 0x8F, topic filter invalid; 3.1.1 has 0x80 for everything.
            let code = match (fits, version) {
                (true, _) => "[0]",
                (false, Version::V5) => "[143]",
                (false, _) => "[128]",
            };
            assert!(fate == Fate::Open && told[0].contains(code), "{told:?}");
        }
    }
}

#[test]
fn packets_by_size() {
    let mut court = Court::with(limits(|l| l.packet_bytes = 2_000));
    for version in V {
        let overhead = publish_bytes(version, "t", &[], &[0; 1_000]).len() - 1_000;
        let peer = court.peer(version, State::Connected);
        let fits = publish_bytes(version, "t", &[], &vec![0; 2_000 - overhead]);
        assert_eq!(court.judge(peer, &fits).0, Fate::Open);
        // Refused when it is announced, before any of it has come.
        let too_large = publish_bytes(version, "t", &[], &vec![0; 2_001 - overhead]);
        court.convict_peer(peer, State::Connected, &too_large[..3], Violation::PacketTooLarge);
    }
}

#[test]
fn a_connect_by_its_size_and_its_client_identifier() {
    let mut court = Court::with(limits(|l| (l.connect_packet_bytes, l.client_id_bytes) = (300, 30)));
    for version in V {
        let too_large = connect_bytes(version, &"i".repeat(400), |_| {});
        for seen in [too_large.len(), 12] {
            let bytes = &too_large[..seen];
            court.convict(version, State::BeforeConnect, bytes, Violation::PacketTooLarge);
        }
        for (len, fits) in [(30, true), (31, false)] {
            let id = "i".repeat(len);
            let peer = court.peer(version, State::BeforeConnect);
            let (fate, told) = court.judge(peer, &connect_bytes(version, &id, |_| {}));
            let reason = ReasonCode::ClientIdentifierNotValid;
            assert_eq!(fate, if fits { Fate::Open } else { Fate::Refused(reason) });
            assert!(fits || told == [refusal(reason)], "{told:?}");
            court.b.cut(peer);
        }
    }
}

/// Also by way of a will, which is a PUBLISH that comes later.
#[test]
fn user_properties_by_number_and_by_size() {
    let mut court = Court::with(limits(|l| (l.user_properties, l.user_property_bytes) = (4, 100)));
    for (pairs, bytes, fits) in [(4, 100, true), (5, 100, false), (4, 101, false)] {
        let user = user(pairs, bytes);
        let mut raw = Vec::new();
        for (name, value) in user.user().iter() {
            crate::mqtt::property::Property::User(name, value).append_to(&mut raw);
        }
        let publish = publish_bytes(Version::V5, "t", &raw, b"");
        let peer = court.peer(Version::V5, State::Connected);
        if fits {
            assert_eq!(court.judge(peer, &publish).0, Fate::Open);
        } else {
            court.convict_peer(peer, State::Connected, &publish, Violation::TooManyUserProperties);
        }
        let properties = WillProperties { raw: &raw, ..WillProperties::default() };
        let will = Will { qos: QoS::AtMostOnce, retain: true, topic: "t", payload: b"", properties };
        for in_will in [true, false] {
            let id = at_home(2, 0, "user");
            let mut c = connect(Version::V5, &id);
            if in_will {
                c.will = Some(will.clone());
            } else {
                c.properties.user = user.user();
            }
            let peer = court.peer(Version::V5, State::BeforeConnect);
            let (fate, told) = court.judge(peer, &bytes_of(Version::V5, &Packet::Connect(c)));
            let reason = ReasonCode::QuotaExceeded;
            assert_eq!(fate, if fits { Fate::Open } else { Fate::Refused(reason) });
            assert!(fits || told == [refusal(reason)], "{told:?}");
            court.b.cut(peer);
        }
    }
}

#[test]
fn filters_of_a_packet_and_subscriptions_of_a_client() {
    let mut court = Court::with(limits(|l| (l.filters_per_packet, l.subscriptions_per_client) = (3, 4)));
    let peer = court.peer(Version::V5, State::Connected);
    let (_, told) = court.judge(peer, &subscribe_bytes(Version::V5, &["1", "2", "3", "4"]));
    assert!(told[0].contains("[0, 0, 0, 151]"), "{told:?}"); // 0x97, quota exceeded
    let (_, told) = court.judge(peer, &subscribe_bytes(Version::V5, &["4", "5"]));
    assert!(told[0].contains("[0, 151]"), "{told:?}");
    let (_, told) = court.judge(peer, &subscribe_bytes(Version::V5, &["1", "5"]));
    assert!(told[0].contains("[0, 151]"), "one that exists may be made again: {told:?}");
    let mut names = FilterNamesBuilder::default();
    for name in ["1", "2", "3", "4"] {
        names.push(name);
    }
    let packet_id = PacketId::new(3).expect("not zero");
    let unsubscribe = Unsubscribe { packet_id, user: UserProperties::default(), filters: names.filters() };
    let (_, told) = court.judge(peer, &bytes_of(Version::V5, &Packet::Unsubscribe(unsubscribe)));
    assert!(told[0].contains("[0, 0, 0, 131]"), "{told:?}"); // 0x83
    let subscriptions: usize = court.b.shards.iter().map(|s| s.census().subscriptions).sum();
    assert_eq!(subscriptions, 1 + court.witnesses.len());
}

#[test]
fn retained_messages_by_number_and_by_size_each_shard_its_share() {
    for (snapshot, most) in [
        (limits(|l| l.retained_messages = 10), 10),
        // A topic of 3 bytes and a payload of 7.
        (limits(|l| l.retained_bytes = 100), 10),
    ] {
        let mut court = Court::with(snapshot);
        let peer = court.witnesses[0];
        let mut refused = 0;
        for i in 0..30 {
            court.b.publish(peer, &format!("r{i:02}"), "payload", QoS::AtLeastOnce, true);
            refused += court.b.received(peer).iter().filter(|t| t.contains("QuotaExceeded")).count();
        }
        let retained: Vec<usize> = court.b.shards.iter().map(|s| s.census().retained).collect();
        assert_eq!(retained, [most / 2, most / 2]);
        assert_eq!(refused, 30 - most);
        // At QoS 0 nobody is told, and all is counted.
        court.b.publish(peer, "r-", "payload", QoS::AtMostOnce, true);
        let counted = [|c: &Counters| c.publishes_refused, |c: &Counters| c.publishes_accepted];
        let counted = counted.map(|count| court.b.shards.iter().map(|s| count(s.counters())).sum::<u64>());
        assert_eq!(counted, [refused as u64 + 1, most as u64]);
        // What is there can be replaced, and cleared, when all is full.
        court.b.publish(peer, "r00", "another", QoS::AtLeastOnce, true);
        assert!(court.b.received(peer)[0].contains("NoMatchingSubscribers"));
        for i in 0..30 {
            court.b.publish(peer, &format!("r{i:02}"), "", QoS::AtMostOnce, true);
        }
        assert!(court.b.shards.iter().all(|s| s.census().retained == 0 && s.retained.bytes() == 0));
    }
}

#[test]
fn sessions_each_shard_its_share() {
    // Two for each shard, one of which is the witness.
    let mut court = Court::with(limits(|l| l.sessions = 4));
    let open = |court: &mut Court, id: &str, change: &dyn Fn(&mut Connect<'_>)| {
        let peer = court.b.open(0, Version::V5);
        let (fate, _) = court.judge(peer, &connect_bytes(Version::V5, id, change));
        (peer, fate)
    };
    let durable = |c: &mut Connect<'_>| c.properties.session_expiry_secs = Some(60);
    let (first, second) = (at_home(2, 0, "a"), at_home(2, 0, "b"));
    let (peer, fate) = open(&mut court, &first, &durable);
    assert_eq!(fate, Fate::Open);
    court.b.cut(peer);
    let full = Fate::Refused(ReasonCode::QuotaExceeded);
    assert_eq!(open(&mut court, &second, &durable).1, full);
    // A session that is there can be had again, or begun anew.
    for clean in [false, true] {
        let (peer, fate) = open(&mut court, &first, &|c: &mut Connect<'_>| {
            durable(c);
            c.clean_start = clean;
        });
        assert_eq!(fate, Fate::Open);
        court.b.cut(peer);
    }
    court.b.pass(61);
    assert_eq!(open(&mut court, &second, &durable).1, Fate::Open, "an ended session makes room");
}

/// Even where there are more sessions than there may be by now.
#[test]
fn a_session_goes_on_when_the_limit_falls_below_what_is_there() {
    let mut court = Court::new();
    let id = at_home(2, 0, "old");
    let mut c = connect(Version::V5, &id);
    c.properties.session_expiry_secs = Some(1_000);
    let (peer, _) = court.b.connect_with(&c);
    court.b.cut(peer);
    let fewer = Arc::new(limits(|l| l.sessions = 1));
    for shard in &mut court.b.shards {
        shard.install(fewer.clone());
    }
    for clean_start in [true, false] {
        c.clean_start = clean_start;
        let (_, told) = court.b.connect_with(&c);
        assert!(told[0].contains("reason: Success"), "{told:?}");
    }
}
