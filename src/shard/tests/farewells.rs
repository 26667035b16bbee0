//! What a client is told when it is refused or sent away: the code, the reason, and nothing that it may not be sent.

use std::num::NonZeroU32;

use super::court::{at_home, bytes_of};
use super::*;
use crate::mqtt::property::UserPropertiesBuilder;
use crate::mqtt::unsubscribe::{FilterNamesBuilder, Unsubscribe};
use crate::mqtt::{ReasonCode, Violation};

fn limited(id: &str, maximum: u32) -> Connect<'_> {
    let mut c = connect(Version::V5, id);
    c.properties.maximum_packet_size = NonZeroU32::new(maximum);
    c
}

fn many_filters(count: usize) -> (Vec<u8>, Vec<u8>) {
    let (mut filters, mut names) = (FiltersBuilder::default(), FilterNamesBuilder::default());
    for n in 0..count {
        filters.push(&n.to_string(), options(QoS::AtMostOnce));
        names.push(&n.to_string());
    }
    let packet_id = PacketId::new(3).expect("not zero");
    let (user, subscription_id) = (UserProperties::default(), None);
    let filters = filters.filters();
    let subscribe = Packet::Subscribe(Subscribe { packet_id, subscription_id, user, filters });
    let unsubscribe = Packet::Unsubscribe(Unsubscribe { packet_id, user, filters: names.filters() });
    (bytes_of(Version::V5, &subscribe), bytes_of(Version::V5, &unsubscribe))
}

/// Each cause with its code, before the connection is closed, and nothing behind it.
#[test]
fn every_cause_has_its_code_and_says_why() {
    let snapshot = || limits(|l| (l.receive_maximum, l.packet_bytes, l.output_bytes) = (1, 1_000, 1_024));
    type Crime = (&'static [u8], ReasonCode);
    let crimes: [Crime; 7] = [
        (&[0x34, 6, 0, 1, b'x', 0, 1, 0, 0x34, 6, 0, 1, b'x', 0, 2, 0], ReasonCode::ReceiveMaximumExceeded),
        (&[0x30, 0xFF, 0x7F], ReasonCode::PacketTooLarge),
        (&[0x30, 6, 0, 0, 3, 0x23, 0, 33], ReasonCode::TopicAliasInvalid),
        (&[0x30, 6, 0, 0, 3, 0x23, 0, 3], ReasonCode::ProtocolError),
        (&[0xE0, 7, 0, 5, 0x11, 0, 0, 0, 9], ReasonCode::ProtocolError),
        (&[0xC1, 0], ReasonCode::MalformedPacket),
        (&[0x82, 8, 0, 1, 0, 0, 2, b'#', b'a', 0], ReasonCode::TopicFilterInvalid),
    ];
    for (bytes, reason) in crimes {
        let mut b = Broker::with(1, snapshot());
        let peer = b.connect(Version::V5, "peer");
        b.raw(peer, bytes);
        told(&mut b, peer, reason);
    }
    type Act = fn(&mut Broker);
    let acts: [(Act, ReasonCode); 4] = [
        (
            |b| {
                b.connect(Version::V5, "peer");
            },
            ReasonCode::SessionTakenOver,
        ),
        (|b| b.pass(20), ReasonCode::KeepAliveTimeout),
        (|b| assert!(b.shards[0].kick("peer", KickWhat::Connection)), ReasonCode::AdministrativeAction),
        (|b| b.shards[0].stop(), ReasonCode::ServerShuttingDown),
    ];
    for (act, reason) in acts {
        let mut b = Broker::with(1, snapshot());
        let mut c = connect(Version::V5, "peer");
        c.keep_alive_secs = 10;
        let (peer, _) = b.connect_with(&c);
        act(&mut b);
        b.settle();
        told(&mut b, peer, reason);
    }
}

#[track_caller]
fn told(b: &mut Broker, peer: Peer, reason: ReasonCode) {
    let closed = b.closed.iter().find(|(p, _)| p.conn == peer.conn).expect("it is closed").1;
    let why = explain::why_closed(closed).expect("there is something to say");
    let received = b.received(peer);
    let last = received.last().expect("it is told");
    assert!(last.starts_with("Disconnect") && last.contains(&format!("reason: {reason:?}")), "{received:?}");
    assert!(last.contains(&format!("{why:?}")), "{last}");
}

/// A reader of a byte now and then makes no progress; one that takes enough does.
#[test]
fn output_that_is_taken_too_slowly_is_a_stall() {
    for (bytes_a_second, stalls) in [(1, true), (100, false)] {
        let mut b = Broker::with(1, limits(|l| l.output_stall_bytes = 1_000));
        let peer = b.connect(Version::V5, "slow");
        b.shards[0].handle_bytes(peer.conn, &[0xC0, 0].repeat(20_000));
        assert_eq!(b.shards[0].next_dirty(), Some(peer.conn));
        b.shards[0].handle_sent(peer.conn, 0);
        let mut seconds = 0;
        while b.closed.is_empty() && seconds < 120 {
            seconds += 1;
            b.now = b.now.after_secs(1);
            let shard = &mut b.shards[0];
            shard.handle_time(b.now);
            shard.handle_writable(peer.conn);
            if shard.next_dirty().is_some() {
                shard.handle_sent(peer.conn, bytes_a_second);
            }
            shard.work();
            if let Some(Effect::Close { conn, cause }) = shard.poll_effect() {
                let end = shard.output(conn);
                assert!(
                    end.windows(3).any(|w| w[0] == 0xE0 && w[2] == 0x97),
                    "a DISCONNECT is behind what waits"
                );
                b.closed.push((peer, cause));
            }
        }
        let stalled = b.closed.iter().any(|(_, cause)| *cause == CloseCause::Stalled);
        assert_eq!(stalled, stalls, "{bytes_a_second} bytes a second, {seconds} s");
        assert!(!stalls || seconds <= 31, "{seconds} s");
    }
}

/// [MQTT-3.1.2-24, 3.2.2-19]
#[test]
fn a_connack_keeps_to_the_maximum_packet_size_or_there_is_no_connection() {
    let mut b = Broker::new(1);
    let len = |told: &[String]| told.len();
    let mut accepted = None;
    for maximum in 1..60 {
        let (peer, told) = b.connect_with(&limited("small", maximum));
        let closed = b.closed.iter().any(|(p, _)| p.conn == peer.conn);
        if told.iter().any(|t| t.contains("Success")) {
            assert!(!closed);
            accepted.get_or_insert(maximum);
            // What fits always does.
            b.raw(peer, &[0xC0, 0]);
            assert_eq!(b.received(peer), ["PingResp"]);
        } else {
            assert!(closed && accepted.is_none(), "{maximum}");
            // Without a reason, there is a CONNACK of 5 bytes.
            assert_eq!(len(&told), usize::from(maximum >= 5), "{maximum}: {told:?}");
            assert!(told.iter().all(|t| t.contains("PacketTooLarge") && t.contains("reason_string: None")));
        }
    }
    assert_eq!(accepted, Some(16), "Receive Maximum, Maximum Packet Size, Topic Alias Maximum: 11 bytes");
    assert_eq!(b.shards[0].census().sessions, 1);
}

/// [MQTT-3.4.2-2, 3.9.2-1]
#[test]
fn reason_strings_go_before_the_packet_becomes_too_large() {
    for (maximum, explained, fits) in [(1_000, true, true), (24, false, true), (16, false, false)] {
        let mut b = Broker::with(1, limits(|l| l.filters_per_packet = 12));
        let (peer, _) = b.connect_with(&limited("small", maximum));
        b.publish(peer, "$SYS/mine", "", QoS::AtLeastOnce, false);
        let ack = b.received(peer).remove(0);
        assert!(ack.contains("NotAuthorized") && ack.contains("reason_string: Some") == explained, "{ack}");
        let (subscribe, unsubscribe) = many_filters(14);
        for (bytes, answer) in [(subscribe, "SubAck"), (unsubscribe, "UnsubAck")] {
            if fits {
                b.raw(peer, &bytes);
                let told = b.received(peer).remove(0);
                assert!(
                    told.starts_with(answer) && told.contains("reason_string: Some") == explained,
                    "{told}"
                );
                continue;
            }
            let (peer, _) = b.connect_with(&limited("small", maximum));
            b.raw(peer, &bytes);
            let told = b.received(peer);
            assert!(told.len() == 1 && told[0].contains("PacketTooLarge"), "{told:?}");
            assert_eq!(b.closed.last().map(|c| c.1), Some(CloseCause::Violation(Violation::AnswerTooLarge)));
            assert_eq!(b.shards[0].census().subscriptions, 0, "none of it has an effect");
        }
    }
}

/// [MQTT-3.1.2-29]
#[test]
fn without_problem_information_only_connack_and_disconnect_say_why() {
    let mut b = Broker::with(1, limits(|l| l.filters_per_packet = 1));
    let mut c = connect(Version::V5, "terse");
    c.properties.request_problem_information = Some(false);
    let (peer, _) = b.connect_with(&c);
    b.publish(peer, "$SYS/mine", "", QoS::AtLeastOnce, false);
    let (subscribe, unsubscribe) = many_filters(2);
    b.raw(peer, &[subscribe, unsubscribe].concat());
    let told = b.received(peer);
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|t| t.contains("reason_string: None")), "{told:?}");
    b.raw(peer, &[0xC1, 0]);
    assert!(b.received(peer)[0].contains("reason_string: Some"));
    c.properties.authentication_method = Some("SCRAM-SHA-256");
    let (_, told) = b.connect_with(&c);
    assert!(
        told[0].contains("BadAuthenticationMethod") && told[0].contains("reason_string: Some"),
        "{told:?}"
    );
}

#[test]
fn user_properties_are_limited_in_every_packet() {
    let mut user = UserPropertiesBuilder::default();
    for _ in 0..3 {
        user.push("", "");
    }
    let user = user.user();
    let packet_id = PacketId::new(3).expect("not zero");
    let ack = || crate::mqtt::ack::Ack { user, ..crate::mqtt::ack::Ack::new(packet_id, ReasonCode::Success) };
    let (mut filters, mut names) = (FiltersBuilder::default(), FilterNamesBuilder::default());
    filters.push("f", options(QoS::AtMostOnce));
    names.push("f");
    let (subscription_id, filters) = (None, filters.filters());
    let disconnect = crate::mqtt::disconnect::Disconnect {
        user,
        ..crate::mqtt::disconnect::Disconnect::new(ReasonCode::Success)
    };
    let packets = [
        Packet::Subscribe(Subscribe { packet_id, subscription_id, user, filters }),
        Packet::Unsubscribe(Unsubscribe { packet_id, user, filters: names.filters() }),
        Packet::PubAck(ack()),
        Packet::PubRec(ack()),
        Packet::PubRel(ack()),
        Packet::PubComp(ack()),
        Packet::Disconnect(disconnect),
    ];
    for (most, allowed) in [(3, true), (2, false)] {
        for packet in &packets {
            let mut b = Broker::with(1, limits(|l| l.user_properties = most));
            let peer = b.connect(Version::V5, "peer");
            b.send(peer, packet);
            let refused = b.received(peer).iter().any(|t| t.contains("QuotaExceeded"));
            assert_eq!(refused, !allowed, "{packet:?}");
        }
    }
}

/// [MQTT-3.1.2-28], and what holds is what is said.
#[test]
fn connack_says_what_holds() {
    let mut snapshot = limits(|l| (l.keep_alive_maximum_secs, l.session_expiry_maximum_secs) = (60, 500));
    snapshot.response_information = "replies/".to_owned();
    let mut b = Broker::with(2, snapshot);
    let mut c = connect(Version::V5, "asks");
    let mut said = |c: &Connect<'_>| b.connect_with(c).1.remove(0);
    assert!(said(&c).contains("response_information: None"));
    c.properties.request_response_information = Some(false);
    assert!(said(&c).contains("response_information: None"));
    c.properties.request_response_information = Some(true);
    (c.keep_alive_secs, c.properties.session_expiry_secs) = (60, Some(500));
    let connack = said(&c);
    assert!(connack.contains("response_information: Some(\"replies/asks\")"), "{connack}");
    for absent in [
        "server_keep_alive_secs",
        "session_expiry_secs",
        "assigned_client_id",
        "maximum_qos",
        "retain_available",
    ] {
        assert!(connack.contains(&format!("{absent}: None")), "{absent}: {connack}");
    }
    (c.keep_alive_secs, c.properties.session_expiry_secs) = (0, Some(501));
    let connack = said(&c);
    assert!(connack.contains("server_keep_alive_secs: Some(60)"), "{connack}");
    assert!(connack.contains("session_expiry_secs: Some(500)"), "{connack}");
    c.client_id = "";
    assert!(said(&c).contains("assigned_client_id: Some(\"tidemq-"));
    c.client_id = "a+b";
    assert!(said(&c).contains("response_information: None"), "no part of a topic name");
}

/// A client that asked for a session that it did not get may still say so once more [MQTT 5.0, 3.14.2.2.2].
#[test]
fn an_expiry_is_raised_only_from_what_connect_said() {
    let persistent = limits(|_| {});
    let none = limits(|l| l.session_expiry_maximum_secs = 0);
    let off = Snapshot { persistent_sessions: false, ..limits(|_| {}) };
    for snapshot in [persistent, none, off] {
        for asked in [None, Some(0), Some(10)] {
            let mut b = Broker::with(1, snapshot.clone());
            let id = at_home(1, 0, "c");
            let mut c = connect(Version::V5, &id);
            c.properties.session_expiry_secs = asked;
            let (peer, told) = b.connect_with(&c);
            let kept = snapshot.persistent_sessions && snapshot.limits.session_expiry_maximum_secs > 0;
            assert_eq!(
                told[0].contains("session_expiry_secs: Some(0)"),
                asked == Some(10) && !kept,
                "{told:?}"
            );
            b.raw(peer, &[0xE0, 7, 0, 5, 0x11, 0, 0, 0, 9]);
            let cause = b.closed[0].1;
            if asked == Some(10) {
                assert_eq!(cause, CloseCause::Disconnected);
                assert_eq!(b.shards[0].census().sessions, usize::from(kept));
            } else {
                assert_eq!(cause, CloseCause::Violation(Violation::SessionExpiryRaised));
                assert_eq!(b.shards[0].census().sessions, 0);
            }
        }
    }
}
