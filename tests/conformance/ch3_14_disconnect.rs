//! 3.14 DISCONNECT and 3.15 AUTH.

use crate::broker::{Broker, Client, everywhere};
use crate::shorthand::{breaks, hears, lasting, payloads, string, subscribes};
use crate::wire::{
    Connect, DISCONNECT, PINGREQ, Packet, Properties, Publish, V3, V5, Version, Will, ack, disconnect,
    packet, prop, subscribe,
};

/// What a server's DISCONNECT may say.
const OF_SERVERS: [u8; 29] = [
    0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97,
    0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2, 0x8C,
];

/// What makes the broker disconnect a client, from every part of the protocol.
fn offences() -> Vec<Vec<u8>> {
    let alias = |number| Properties::new().two(prop::TOPIC_ALIAS, number);
    vec![
        Connect::new(V5, "again").bytes(),
        Publish::new("a/+", b"").bytes(V5),
        Publish::new("", b"").bytes(V5),
        Publish::new("a", b"").dup().bytes(V5),
        Publish::new("a", b"").qos(1, 0).bytes(V5),
        Publish::new("a", b"").properties(alias(0)).bytes(V5),
        Publish::new("a", b"").properties(alias(u16::MAX)).bytes(V5),
        Publish::new("", b"").properties(alias(1)).bytes(V5),
        Publish::new(&"a/".repeat(500), b"").bytes(V5),
        Publish::new("a", b"").properties(Properties::new().varint(prop::SUBSCRIPTION_ID, 1)).bytes(V5),
        subscribe(V5, 1, &[]),
        subscribe(V5, 0, &[("a", 0)]),
        subscribe(V5, 1, &[("a#", 0)]),
        subscribe(V5, 1, &[("a", 0xC0)]),
        ack(0x60, 1),
        packet(0xE0, &[0x03]),
        packet(0xF0, &[]),
        packet(0xF0, &[0x18]),
        packet(0x20, &[0, 0, 0]),
        packet(0x00, &[]),
        [&[0x30, 0xFF, 0xFF, 0xFF, 0x7F][..], &[0; 100]].concat(),
        [0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x01].to_vec(),
    ]
}

/// The DISCONNECT that the broker sent last.
#[track_caller]
fn farewell(client: &Client) -> Packet {
    let last = client.packets().pop().expect("it says goodbye");
    assert_eq!(last.first, 0xE0, "{last:?}");
    client.expect_closed();
    last
}

fn for_each_offence(test: impl Fn(&Broker, &Packet)) {
    everywhere(|b| {
        for offence in offences() {
            let client = b.v5("client");
            client.send(&offence);
            test(b, &farewell(&client));
        }
        let old = b.v5("client");
        let _new = b.v5("client");
        test(b, &farewell(&old));
        let (idle, _) = b.connect(&Connect::new(V5, "idle").keep_alive(10));
        b.advance(16);
        test(b, &farewell(&idle));
    });
}

#[test]
fn v5_3_14_0_1_no_disconnect_comes_before_a_connack_of_success() {
    everywhere(|b| {
        let v5 = || Connect::new(V5, "client");
        let refused = [
            // CONNECT packets that are refused.
            v5().properties(Properties::new().text(prop::AUTHENTICATION_METHOD, "none")).bytes(),
            v5().will(Will::new("a/+", b"")).bytes(),
            Connect::new(V5, &"i".repeat(5_000)).bytes(),
            v5().properties(Properties::new().two(prop::RECEIVE_MAXIMUM, 0)).bytes(),
            packet(0x10, b"\0\x04MQTT\x06\x02\0\0\0\0\x01a"),
            packet(0x10, b"\0\x04MQTT\x05\x03\0\0\0\0\x01a"),
            packet(0x11, b"\0\x04MQTT\x05\x02\0\0\0\0\x01a"),
            packet(0x10, &[&b"\0\x04MQTT\x05\x02\0\0\0"[..], &string(&"i".repeat(65_000))].concat()),
        ];
        for bytes in offences().into_iter().skip(1).chain(refused) {
            let client = b.client();
            client.send(&bytes);
            let came = client.packets();
            assert!(came.iter().all(|packet| packet.first == 0x20 && packet.reason() >= 0x80), "{came:?}");
            client.expect_closed();
        }
        let late = b.client();
        late.write(&[0x10]);
        b.advance(60);
        assert!(late.packets().iter().all(|packet| packet.first == 0x20));
        late.expect_closed();
    });
}

fn flags_are_checked(version: Version) {
    everywhere(|b| {
        for flags in 1..16 {
            let client = b.connect(&Connect::new(version, "client").will(Will::new("will", b"gone"))).0;
            let listener = b.subscriber(version, "listener", "will", 0);
            client.send(&[0xE0 | flags, 0]);
            client.expect_disconnect(0x81);
            // Such a packet is no DISCONNECT: the will is published.
            hears(&listener, version, &Publish::new("will", b"gone"));
        }
    });
}

#[test]
fn v5_3_14_1_1_reserved_flags_are_malformed() {
    flags_are_checked(V5);
}

#[test]
fn v3_3_14_1_1_reserved_flags_close_the_connection() {
    flags_are_checked(V3);
}

#[test]
fn v5_3_14_2_1_disconnect_says_why_with_a_code_of_its_table() {
    for_each_offence(|_, packet| {
        assert!(OF_SERVERS.contains(&packet.reason()) && packet.reason() >= 0x80, "{packet:?}");
    });
}

#[test]
fn v5_3_14_2_1_every_code_that_a_client_may_send_is_taken() {
    everywhere(|b| {
        let table = [0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99];
        let why = Properties::new().text(prop::REASON_STRING, "why").user("n", "v");
        for reason in table {
            for bytes in
                [packet(0xE0, &[reason]), disconnect(reason, &Properties::new()), disconnect(reason, &why)]
            {
                let client = b.v5("client");
                client.send(&bytes);
                client.expect_closed();
            }
        }
        for reason in [0x01, 0x03, 0x10, 0x18, 0x7F, 0xFF] {
            breaks(b, V5, &packet(0xE0, &[reason]), 0x81);
        }
    });
}

#[test]
fn v5_3_14_2_2_the_brokers_disconnect_has_no_session_expiry() {
    for_each_offence(|_, packet| {
        assert_eq!(packet.property(prop::SESSION_EXPIRY), None);
        // 4.11: it knows no other server.
        assert_eq!(packet.property(prop::SERVER_REFERENCE), None);
        assert!(![0x9C, 0x9D].contains(&packet.reason()));
    });
}

#[test]
fn v5_3_14_2_2_a_clients_disconnect_may_change_the_expiry_but_not_from_0() {
    everywhere(|b| {
        let expiry = |secs| Properties::new().four(prop::SESSION_EXPIRY, secs);
        let present = |clean| {
            let (client, connack) =
                b.connect(&Connect::new(V5, "client").clean(clean).properties(expiry(100)));
            client.subscribe("a/b", 1);
            (client, connack.session_present())
        };
        // Shorter.
        let (client, _) = present(true);
        client.send(&disconnect(0, &expiry(10)));
        client.expect_closed();
        b.advance(9);
        let (client, is_there) = present(false);
        assert!(is_there);
        client.send(&disconnect(0x04, &expiry(10)));
        b.advance(11);
        assert!(!present(false).1);
        // Longer, and to its end at once.
        present(true).0.send(&disconnect(0, &expiry(1_000)));
        b.advance(999);
        let (client, is_there) = present(false);
        assert!(is_there);
        client.send(&disconnect(0, &expiry(0)));
        assert!(!present(false).1);
        // From 0 to more, which is an error of the protocol; from 0 to 0 is none.
        breaks(b, V5, &disconnect(0, &expiry(5)), 0x82);
        let zero = b.v5("zero");
        zero.send(&disconnect(0, &expiry(0)));
        zero.expect_closed();
    });
}

fn farewells_fit() {
    everywhere(|b| {
        let mut seen = 0;
        for maximum in 8..64 {
            for offence in offences().iter().step_by(3) {
                let client = b.client();
                let properties = Properties::new().four(prop::MAXIMUM_PACKET_SIZE, maximum);
                client.send(&Connect::new(V5, "small").properties(properties).bytes());
                if client.packets().first().is_none_or(|packet| packet.reason() != 0) {
                    continue;
                }
                client.send(offence);
                let packet = farewell(&client);
                assert!(packet.wire_len() <= maximum as usize, "at most {maximum}: {packet:?}");
                seen += 1;
            }
        }
        assert!(seen > 100, "only {seen}");
    });
}

#[test]
fn v5_3_14_2_3_a_reason_string_never_makes_disconnect_too_large() {
    farewells_fit();
}

#[test]
fn v5_3_14_2_4_user_properties_never_make_disconnect_too_large() {
    farewells_fit();
}

#[test]
fn v5_3_14_4_1_nothing_follows_the_brokers_disconnect() {
    everywhere(|b| {
        let publisher = b.v5("publisher");
        for offence in offences() {
            let client = b.subscriber(V5, "client", "a/#", 0);
            client.write(&[&offence[..], &PINGREQ, &subscribe(V5, 3, &[("b", 0)])].concat());
            publisher.write(&Publish::new("a/b", b"meanwhile").bytes(V5));
            b.settle();
            let came = client.packets();
            let at = came.iter().position(|packet| packet.first == 0xE0).expect("it says goodbye");
            assert_eq!(at + 1, came.len(), "{came:?}");
            publisher.publish(&Publish::new("a/b", b"afterwards"));
            client.expect_closed();
        }
    });
}

#[test]
fn v5_3_14_4_1_nothing_more_comes_to_a_connection_whose_session_was_taken_over() {
    everywhere(|b| {
        let publisher = b.v5("publisher");
        for round in 0..20 {
            let (old, _) = lasting(b, V5, "client");
            old.subscribe("a/b", 0);
            let new = b.client();
            for number in 0..10 {
                publisher.write(&Publish::new("a/b", &[number]).bytes(V5));
            }
            new.write(&Connect::new(V5, "client").lasting().bytes());
            b.settle();
            let came = old.packets();
            let last = came.last().expect("it says goodbye");
            assert_eq!((last.first, last.reason()), (0xE0, 0x8E), "round {round}: {came:?}");
            assert!(came[..came.len() - 1].iter().all(|packet| packet.first == 0x30));
            old.expect_closed();
            assert!(new.packet().session_present());
            // What the one did not get, the other did, or it came while neither was there.
            let total = came.len() - 1 + new.packets().len();
            assert!(total <= 10, "{total} of 10 came");
        }
    });
}

#[test]
fn v5_3_14_4_1_what_a_client_sends_after_its_disconnect_counts_for_nothing() {
    everywhere(|b| {
        for version in [V3, V5] {
            let listener = b.subscriber(version, "listener", "a/b", 0);
            let client = b.of(version, "client");
            let message = Publish::new("a/b", b"payload").bytes(version);
            client.send(&[&message[..], &DISCONNECT, &message, &PINGREQ].concat());
            hears(&listener, version, &Publish::new("a/b", b"payload"));
            listener.expect_nothing();
            client.expect_closed();
        }
    });
}

#[test]
fn v5_3_14_4_2_the_broker_closes_after_its_disconnect() {
    for_each_offence(|_, packet| assert_eq!(packet.first, 0xE0));
    everywhere(|b| {
        // And after a client's, which it does not answer.
        let client = b.v5("client");
        client.send(&DISCONNECT);
        client.expect_closed();
    });
}

fn the_will_is_discarded(version: Version) {
    everywhere(|b| {
        let listener = b.subscriber(version, "listener", "will/#", 1);
        for lasting in [false, true] {
            let will = Will::new("will/x", b"gone").qos(1).retained();
            let connect = Connect::new(version, "client").will(will);
            let (client, _) = b.connect(&if lasting { connect.lasting() } else { connect });
            client.send(&DISCONNECT);
            client.expect_closed();
            b.advance(100_000);
            listener.expect_nothing();
            assert_eq!(subscribes(&b.of(version, "late"), version, "will/x", 0), []);
        }
    });
}

#[test]
fn v5_3_14_4_3_disconnect_discards_the_will() {
    the_will_is_discarded(V5);
    everywhere(|b| {
        let listener = b.subscriber(V5, "listener", "will/#", 1);
        // A delay, the code written out, properties: all the same.
        let delayed = Will::new("will/x", b"gone").properties(Properties::new().four(prop::WILL_DELAY, 5));
        for bytes in [packet(0xE0, &[0]), disconnect(0, &Properties::new().four(prop::SESSION_EXPIRY, 9))] {
            let (client, _) = b.connect(&Connect::new(V5, "client").lasting().will(delayed.clone()));
            client.send(&bytes);
            b.advance(100);
            listener.expect_nothing();
        }
    });
}

#[test]
fn v3_3_14_4_3_disconnect_discards_the_will() {
    the_will_is_discarded(V3);
}

#[test]
fn v5_3_14_4_3_disconnect_with_another_code_publishes_the_will() {
    everywhere(|b| {
        let listener = b.subscriber(V5, "listener", "will/#", 1);
        for reason in [0x04, 0x80, 0x81, 0x98] {
            let (client, _) =
                b.connect(&Connect::new(V5, "client").will(Will::new("will/x", b"gone").qos(1)));
            client.send(&packet(0xE0, &[reason]));
            client.expect_closed();
            hears(&listener, V5, &Publish::new("will/x", b"gone").qos(1, 0));
        }
    });
}

#[test]
fn v5_3_14_4_3_a_will_that_was_discarded_is_not_published_by_a_later_connection() {
    everywhere(|b| {
        let listener = b.subscriber(V5, "listener", "will", 0);
        let (client, _) = b.connect(&Connect::new(V5, "client").lasting().will(Will::new("will", b"first")));
        client.send(&DISCONNECT);
        let (client, present) = lasting(b, V5, "client");
        assert!(present);
        client.cut();
        b.advance(100_000);
        assert_eq!(payloads(&listener, V5), Vec::<Vec<u8>>::new());
    });
}

#[test]
fn v5_3_15_1_1_other_flags_of_auth_are_malformed() {
    everywhere(|b| {
        for flags in 1..16 {
            breaks(b, V5, &[0xF0 | flags, 0], 0x81);
            breaks(b, V5, &packet(0xF0 | flags, &[0x18, 0]), 0x81);
        }
        // 3.1.1 has no such packet at all.
        for flags in 0..16 {
            breaks(b, V3, &[0xF0 | flags, 0], 0x81);
        }
    });
}

#[test]
fn v5_3_15_2_1_another_code_in_auth_is_refused() {
    everywhere(|b| {
        for reason in [0x01, 0x17, 0x80, 0x8C, 0xFF] {
            breaks(b, V5, &packet(0xF0, &[reason, 0]), 0x81);
        }
    });
}
