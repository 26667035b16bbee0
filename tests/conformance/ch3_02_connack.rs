//! Section 3.2: CONNACK.

use std::collections::HashSet;

use crate::broker::{Broker, TICK_MILLIS, everywhere, everywhere_with};
use crate::sockets::Process;
use crate::wire::{
    Connect, DISCONNECT, PINGREQ, PINGRESP, Properties, Publish, V3, V5, Version, Will, ack, join, packet,
    prop, subscribe, subscribe_with, text,
};

/// A session for which messages wait: its CONNACK comes before them, and before the answers to what the client sends
/// right behind its CONNECT.
fn connack_is_first(b: &Broker, version: Version) {
    let (client, _) = b.connect(&Connect::new(version, "client").lasting());
    client.subscribe("t", 1);
    client.cut();
    let publisher = b.of(version, "publisher");
    (1..=50).for_each(|id| publisher.publish(&Publish::new("t", &[b'x'; 500]).qos(1, id)));
    let client = b.client();
    client.speaks(version);
    let connect = Connect::new(version, "client").lasting().bytes();
    client.send(&join(&[&connect, &PINGREQ, &subscribe(version, 1, &[("u", 0)])]));
    let packets = client.packets();
    assert_eq!((packets[0].first, packets[0].body[..2].to_vec()), (0x20, vec![1, 0]));
    assert_eq!(packets.len(), 1 + 50 + 2, "{packets:?}");
    assert!(packets[1..].iter().all(|packet| packet.first != 0x20));
}

#[test]
fn v5_3_2_0_1_connack_is_first() {
    everywhere(|b| connack_is_first(b, V5));
}

#[test]
fn v3_3_2_0_1_connack_is_first() {
    everywhere(|b| connack_is_first(b, V3));
}

#[test]
fn v5_3_2_0_2_there_is_one_connack() {
    everywhere(|b| {
        let client = b.client();
        let connect = Connect::new(V5, "client").bytes();
        client.send(&join(&[&connect, &PINGREQ, &connect, &connect, &PINGREQ]));
        let kinds: Vec<u8> = client.packets().iter().map(|packet| packet.first).collect();
        assert_eq!(kinds, [0x20, 0xD0, 0xE0]);
        client.expect_closed();
        // A refused one is not followed by another, either.
        let client = b.client();
        let mut refused = connect.clone();
        refused[9] |= 1;
        client.send(&join(&[&refused, &connect, &refused]));
        client.expect_refusal(0x81);
    });
}

/// Clean Start, or none with and without a session: the flags byte and the code.
fn session_present(b: &Broker, version: Version) {
    let code = |connect: &Connect| {
        let (client, connack) = b.connect(connect);
        client.send(&DISCONNECT);
        assert_eq!(connack.body[1], 0);
        connack.body[0]
    };
    let lasting = Connect::new(version, "client").lasting();
    let clean = lasting.clone().clean(true);
    // In 5.0 a session that began clean may last, too.
    let after_clean = u8::from(version == V5);
    assert_eq!([&lasting, &clean, &lasting, &lasting, &clean].map(code), [0, 0, after_clean, 1, 0]);
}

#[test]
fn v5_3_2_2_1_the_reserved_bits_are_0() {
    everywhere(|b| {
        session_present(b, V5);
        let client = b.client();
        client.send(&packet(0x10, &join(&[b"\0\x04MQTT\x09\x02\0\0\0", &text("c")])));
        client.expect_refusal(0x84);
    });
}

#[test]
fn v5_3_2_2_2_clean_start_has_no_session_present() {
    everywhere(|b| session_present(b, V5));
}

#[test]
fn v3_3_2_2_1_clean_session_has_no_session_present() {
    everywhere(|b| session_present(b, V3));
}

/// Session Present exactly when there is a session: never heard of, there, gone by Clean Start.
fn a_session_is_said(b: &Broker, version: Version) {
    let present = |connect: Connect| {
        let (client, connack) = b.connect(&connect);
        client.cut();
        connack.session_present()
    };
    let lasting = || Connect::new(version, "client").lasting();
    assert!(!present(lasting()), "never heard of");
    assert!(present(lasting()));
    assert!(!present(Connect::new(version, "client")));
    assert!(!present(lasting()), "that one ended with its connection");
    let (client, _) = b.connect(&lasting());
    assert!(present(lasting()), "taken over");
    client.expect_disconnect(0x8E);
}

#[test]
fn v5_3_2_2_3_session_present_says_whether_there_is_a_session() {
    everywhere(|b| {
        a_session_is_said(b, V5);
        let expiring = Properties::new().four(prop::SESSION_EXPIRY, 10);
        let (client, _) = b.connect(&Connect::new(V5, "expiring").properties(expiring.clone()));
        client.cut();
        b.advance(11);
        let (_, connack) = b.connect(&Connect::new(V5, "expiring").clean(false).properties(expiring));
        assert!(!connack.session_present());
    });
}

#[test]
fn v3_3_2_2_2_session_present_says_that_there_is_a_session() {
    everywhere(|b| a_session_is_said(b, V3));
}

#[test]
fn v3_3_2_2_3_session_present_says_that_there_is_no_session() {
    everywhere(|b| {
        a_session_is_said(b, V3);
        let client = b.client();
        client.send(&Connect::new(V3, "nobody").lasting().bytes());
        client.expect(&[0x20, 2, 0, 0]);
    });
}

/// The Connect Reason Codes of table 3-1.
const CODES: [u8; 22] = [
    0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99,
    0x9A, 0x9B, 0x9C, 0x9D, 0x9F,
];

/// CONNECTs that are refused, each for another reason.
fn refused_v5() -> Vec<Vec<u8>> {
    let p = Properties::new;
    let users = (0..100).fold(p(), |properties, _| properties.user("n", "v"));
    let mut large = vec![0x10, 0x80, 0x80, 0x80, 0x01];
    large.extend(&b"\0\x04MQTT\x05\x02\0\0\0\0\x01c"[..]);
    vec![
        b"\x10\x0E\0\x04MQTT\x06\x02\0\0\0\0\x01c".to_vec(),
        b"\x10\x0E\0\x04MQTT\x05\x03\0\0\0\0\x01c".to_vec(),
        b"\x10\x0D\0\x04MQTT\x05\x02\0\0\0\0\x01".to_vec(),
        large,
        Connect::new(V5, &"i".repeat(1_000)).bytes(),
        Connect::new(V5, "c").properties(p().two(prop::RECEIVE_MAXIMUM, 0)).bytes(),
        Connect::new(V5, "c").properties(p().text(prop::AUTHENTICATION_METHOD, "nobody has this")).bytes(),
        Connect::new(V5, "c").properties(p().binary(prop::AUTHENTICATION_DATA, b"x")).bytes(),
        Connect::new(V5, "c").properties(users).bytes(),
        Connect::new(V5, "c").will(Will::new("w/#", b"")).bytes(),
        Connect::new(V5, "c").will(Will::new("", b"")).bytes(),
        Connect::new(V5, "c").will(Will::new("$SYS/w", b"")).bytes(),
        Connect::new(V5, "c").will(Will::new(&"w".repeat(60_000), b"")).bytes(),
    ]
}

/// Each of them is answered by one CONNACK or none, and closed; the codes that were given.
fn refusals(b: &Broker) -> HashSet<u8> {
    // A session whose being there must not be told.
    b.connect(&Connect::new(V5, "c").lasting()).0.cut();
    let mut codes = HashSet::new();
    for connect in refused_v5() {
        let mut connect = connect;
        // Clean Start 0, where the flags are.
        let flags = 2 + connect[1..].iter().position(|byte| byte & 0x80 == 0).expect("it ends") + 7;
        connect[flags] &= !2;
        let client = b.client();
        client.send(&connect);
        let packets = client.packets();
        assert_eq!(packets.len(), 1, "{connect:02X?}");
        assert_eq!((packets[0].first, packets[0].body[0]), (0x20, 0), "{packets:?}");
        assert!(packets[0].reason() >= 0x80, "{packets:?}");
        codes.insert(packets[0].reason());
        assert!(client.is_closed(), "{connect:02X?}");
    }
    codes
}

#[test]
fn v5_3_2_2_6_a_refusal_has_session_present_0() {
    everywhere(|b| assert!(refusals(b).len() >= 6));
}

#[test]
fn v5_3_2_2_8_the_code_is_one_of_the_connect_reason_codes() {
    everywhere(|b| {
        let codes = refusals(b);
        assert!(codes.iter().all(|code| CODES.contains(code)), "{codes:02X?}");
        assert!([0x81, 0x82, 0x84, 0x85, 0x8C, 0x95].iter().all(|code| codes.contains(code)), "{codes:02X?}");
    });
}

#[test]
fn v5_3_2_2_7_after_a_refusal_the_connection_is_closed() {
    everywhere(|b| assert!(refusals(b).len() >= 6));
    // A client can read the CONNACK and then the end, and no error in between.
    let process = Process::start();
    for connect in refused_v5() {
        let mut client = process.client();
        client.send(&connect);
        let connack = client.packet();
        assert!(connack.first == 0x20 && connack.reason() >= 0x80, "{connack:?}");
        client.expect_closed();
    }
}

/// 3.1.1: what is refused with a return code.
fn refusals_v3(b: &Broker) {
    b.connect(&Connect::new(V3, "c").lasting()).0.cut();
    for (connect, connack) in [
        (b"\x10\x0D\0\x04MQTT\x02\x00\0\0\0\x01c".to_vec(), [0x20, 2, 0, 1]),
        (Connect::new(V3, "").clean(false).bytes(), [0x20, 2, 0, 2]),
        (Connect::new(V3, &"i".repeat(1_000)).lasting().bytes(), [0x20, 2, 0, 2]),
    ] {
        let client = b.client();
        client.send(&connect);
        client.expect(&connack);
        client.expect_closed();
    }
}

#[test]
fn v3_3_2_2_4_a_refusal_has_session_present_0() {
    everywhere(refusals_v3);
}

#[test]
fn v3_3_2_2_5_after_a_refusal_the_connection_is_closed() {
    everywhere(refusals_v3);
    let process = Process::start();
    let mut client = process.client();
    client.send(&Connect::new(V3, "").clean(false).bytes());
    let connack = client.packet();
    assert_eq!((connack.first, &connack.body[..]), (0x20, &[0, 2][..]));
    client.expect_closed();
}

#[test]
fn v3_3_2_2_6_what_no_return_code_says_is_not_said() {
    everywhere_with(
        |l| l.topic_bytes = 10,
        |b| {
            let client = b.client();
            client.send(&Connect::new(V3, "c").will(Will::new("longer/than/ten", b"")).bytes());
            client.expect_closed();
        },
    );
}

/// QoS 1 and 2 are published and acknowledged, and no Maximum QoS says otherwise.
#[test]
fn v5_3_2_2_9_without_maximum_qos_every_qos_is_taken() {
    everywhere(|b| {
        let (client, connack) = b.connect(&Connect::new(V5, "client"));
        let maximum = connack.property(prop::MAXIMUM_QOS);
        assert_eq!(maximum, None);
        let listener = b.subscriber(V5, "listener", "t", 2);
        client.publish(&Publish::new("t", b"1").qos(1, 1));
        client.expect(&[0x40, 2, 0, 1]);
        client.publish(&Publish::new("t", b"2").qos(2, 2));
        client.expect(&[0x50, 2, 0, 2]);
        client.send(&ack(0x62, 2));
        client.expect(&[0x70, 2, 0, 2]);
        assert_eq!([listener.published().qos, listener.published().qos], [1, 2]);
    });
}

/// What CONNACK leaves unsaid or says is available, is: wildcards, Subscription Identifiers, shared subscriptions.
#[test]
fn what_connack_does_not_deny_is_available() {
    everywhere(|b| {
        let (client, connack) = b.connect(&Connect::new(V5, "client"));
        for available in [prop::WILDCARD_AVAILABLE, prop::SUBSCRIPTION_ID_AVAILABLE, prop::SHARED_AVAILABLE] {
            assert!(connack.property(available).is_none_or(|value| value == [1]), "{available:#04X}");
        }
        let id = Properties::new().varint(prop::SUBSCRIPTION_ID, 7);
        client.send(&subscribe_with(V5, 1, &id, &[("a/+/#", 0), ("$share/g/b/#", 1)]));
        client.expect(&[0x90, 5, 0, 1, 0, 0, 1]);
        for topic in ["a/x", "b/x"] {
            client.publish(&Publish::new(topic, b"x"));
            assert_eq!(client.published(), Publish::new(topic, b"x").properties(id.clone()));
        }
    });
}

#[test]
fn v5_3_2_2_10_subscribe_of_every_qos_is_taken() {
    everywhere(|b| {
        let client = b.v5("client");
        client.send(&subscribe(V5, 5, &[("a", 0), ("b", 1), ("c", 2)]));
        client.expect(&[0x90, 6, 0, 5, 0, 0, 1, 2]);
    });
}

#[test]
fn v5_3_2_2_12_a_will_of_every_qos_is_taken() {
    everywhere(|b| {
        let listener = b.subscriber(V5, "listener", "w", 2);
        for qos in 0..3 {
            let (client, connack) = b.connect(&Connect::new(V5, "client").will(Will::new("w", b"").qos(qos)));
            assert_eq!(connack.property(prop::MAXIMUM_QOS), None, "so that no Will QoS exceeds it");
            client.cut();
            assert_eq!(listener.published().qos, qos);
        }
    });
}

#[test]
fn v5_3_2_2_13_a_retained_will_is_taken() {
    everywhere(|b| {
        let (client, connack) = b.connect(&Connect::new(V5, "client").will(Will::new("w", b"x").retained()));
        let available = connack.property(prop::RETAIN_AVAILABLE);
        assert!(available.is_none_or(|value| value == [1]), "so that no Will Retain is too much");
        client.cut();
        assert!(b.subscriber(V5, "listener", "w", 0).published().retain);
    });
}

#[test]
fn v5_3_2_2_15_what_is_larger_than_announced_is_refused_by_its_head() {
    everywhere_with(
        |limits| limits.packet_bytes = 1_000,
        |b| {
            let (client, connack) = b.connect(&Connect::new(V5, "client"));
            assert_eq!(connack.property(prop::MAXIMUM_PACKET_SIZE), Some(vec![0, 0, 3, 0xE8]));
            let listener = b.subscriber(V5, "listener", "t", 0);
            let largest = Publish::new("t", &[b'x'; 993]).bytes(V5);
            assert_eq!(largest.len(), 1_000);
            client.send(&largest);
            listener.expect(&largest);
            // 1,001 bytes, of which the broker does not wait for the last.
            client.send(&[0x30, 0xE6, 0x07, 0]);
            client.expect_disconnect(0x95);
            listener.expect_nothing();
        },
    );
}

/// A PUBLISH with a Topic Alias and a topic.
fn aliased(alias: u16) -> Publish {
    Publish::new("t", b"x").properties(Properties::new().two(prop::TOPIC_ALIAS, alias))
}

#[test]
fn v5_3_2_2_17_a_topic_alias_above_the_announced_maximum_is_refused() {
    everywhere(|b| {
        let (client, connack) = b.connect(&Connect::new(V5, "client"));
        let maximum = connack.property(prop::TOPIC_ALIAS_MAXIMUM).expect("it is announced");
        let maximum = u16::from_be_bytes([maximum[0], maximum[1]]);
        let listener = b.subscriber(V5, "listener", "t", 0);
        client.publish(&aliased(maximum));
        listener.expect(b"\x30\x05\0\x01t\0x");
        client.publish(&aliased(maximum + 1));
        client.expect_disconnect(0x94);
        listener.expect_nothing();
    });
}

#[test]
fn v5_3_2_2_18_without_a_maximum_every_topic_alias_is_refused() {
    everywhere_with(
        |limits| limits.topic_aliases_in = 0,
        |b| {
            let (client, connack) = b.connect(&Connect::new(V5, "client"));
            assert!(connack.property(prop::TOPIC_ALIAS_MAXIMUM).is_none_or(|value| value == [0, 0]));
            client.publish(&aliased(1));
            client.expect_disconnect(0x94);
        },
    );
}

#[test]
fn v5_3_2_2_16_an_assigned_identifier_is_nobodys_else() {
    everywhere(|b| {
        // Sessions that are kept, among them such that look like assigned ones.
        let mut known = HashSet::new();
        for _ in 0..50 {
            let (client, connack) = b.connect(&Connect::new(V5, "").lasting());
            let id = connack.property(prop::ASSIGNED_CLIENT_ID).expect("it is returned");
            assert!(!connack.session_present());
            assert!(known.insert(id.clone()), "given twice");
            client.cut();
            let id = String::from_utf8(id).expect("UTF-8");
            let (client, connack) = b.connect(&Connect::new(V5, &id).lasting());
            assert!(connack.session_present());
            client.cut();
        }
        let (_, connack) = b.connect(&Connect::new(V5, "mine"));
        assert_eq!(connack.property(prop::ASSIGNED_CLIENT_ID), None);
    });
}

/// A client that takes so little gets no CONNACK that is larger, accepted or refused; a refusal, which needs no more
/// than five bytes, is left without what is `optional` rather than not sent.
fn connack_fits(b: &Broker, optional: u8) -> bool {
    let mut with = Vec::new();
    for size in (1..120).chain([200, 1_000]) {
        let takes = Properties::new().four(prop::MAXIMUM_PACKET_SIZE, size);
        let client = b.client();
        client.send(&Connect::new(V5, "client").properties(takes.clone()).bytes());
        assert!(
            client.packets().iter().all(|connack| connack.wire_len() <= size as usize),
            "accepted: {size}"
        );
        let client = b.client();
        let method = takes.text(prop::AUTHENTICATION_METHOD, "nobody has this");
        client.send(&Connect::new(V5, "client").properties(method).bytes());
        let packets = client.packets();
        assert!(packets.iter().all(|connack| connack.wire_len() <= size as usize), "refused: {size}");
        assert_eq!(packets.len(), usize::from(size >= 5), "{size}: {packets:?}");
        with.extend(packets.iter().map(|connack| connack.property(optional).is_some()));
        assert!(client.is_closed());
    }
    assert!(with.is_sorted(), "who takes more is told no less: {with:?}");
    with.last() == Some(&true)
}

#[test]
fn v5_3_2_2_19_a_reason_string_does_not_make_connack_too_large() {
    everywhere(|b| assert!(connack_fits(b, prop::REASON_STRING), "it is sent to whoever takes it"));
}

#[test]
fn v5_3_2_2_20_user_properties_do_not_make_connack_too_large() {
    everywhere(|b| {
        connack_fits(b, prop::USER);
    });
}

#[test]
fn v5_3_2_2_22_the_clients_keep_alive_holds_when_no_other_is_sent() {
    everywhere(|b| {
        let (client, connack) = b.connect(&Connect::new(V5, "client").keep_alive(20));
        assert_eq!(connack.property(prop::SERVER_KEEP_ALIVE), None);
        b.advance(29);
        client.send(&PINGREQ);
        client.expect(&PINGRESP);
        b.advance(29);
        client.expect_nothing();
        b.advance_millis(1_000 + TICK_MILLIS);
        client.expect_disconnect(0x8D);
    });
}

#[test]
fn v5_3_2_2_22_another_keep_alive_is_sent_and_holds() {
    everywhere_with(
        |l| l.keep_alive_maximum_secs = 10,
        |b| {
            for asked in [0, 11, 60, u16::MAX] {
                let (client, connack) = b.connect(&Connect::new(V5, "client").keep_alive(asked));
                assert_eq!(connack.property(prop::SERVER_KEEP_ALIVE), Some(vec![0, 10]));
                b.advance(14);
                client.expect_nothing();
                b.advance_millis(1_000 + TICK_MILLIS);
                client.expect_disconnect(0x8D);
            }
            let (_, connack) = b.connect(&Connect::new(V5, "client").keep_alive(10));
            assert_eq!(connack.property(prop::SERVER_KEEP_ALIVE), None, "it was asked for");
        },
    );
}
