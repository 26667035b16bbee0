//! Chapter 1: strings and integers on the wire.

use crate::broker::{Broker, Client, everywhere};
use crate::wire::{
    Connect, Properties, Publish, V3, V5, Version, Will, binary, disconnect, join, packet, prop,
    subscribe_with, text, varint,
};

/// What is not well-formed UTF-8, and why.
const ILL_FORMED: [&[u8]; 8] = [
    b"a\x80",                // a continuation without a beginning
    b"\xC3",                 // a beginning without its continuation
    b"\xC0\xAF",             // overlong
    b"\xED\xA0\x80",         // U+D800
    b"\xED\xBF\xBF",         // U+DFFF
    b"\xF4\x90\x80\x80",     // above U+10FFFF
    b"\xF8\x88\x80\x80\x80", // five bytes
    b"a\xFFb",
];

/// CONNECTs with a string in each place that takes one.
fn connects(version: Version, string: &[u8]) -> Vec<Vec<u8>> {
    let string = &binary(string);
    let none: &[u8] = if version == V5 { &[0] } else { &[] };
    let head = |flags: u8, properties: &[u8]| {
        let level = if version == V5 { 5 } else { 4 };
        let len = if version == V5 { varint(properties.len()) } else { Vec::new() };
        join(&[b"\0\x04MQTT", &[level, flags, 0, 0], &len, properties])
    };
    let mut bodies = vec![
        join(&[&head(2, &[]), string]),
        join(&[&head(0x06, &[]), &text("c"), none, string, &text("will")]),
        join(&[&head(0x82, &[]), &text("c"), string]),
    ];
    if version == V5 {
        let user = join(&[&[prop::USER], &text("n"), string]);
        let named = join(&[&[prop::USER], string, &text("v")]);
        let method = join(&[&[prop::AUTHENTICATION_METHOD], string]);
        for properties in [&user, &named, &method] {
            bodies.push(join(&[&head(2, properties), &text("c")]));
        }
        for id in [prop::CONTENT_TYPE, prop::RESPONSE_TOPIC] {
            let area = Properties(join(&[&[id], string])).bytes();
            bodies.push(join(&[&head(0x06, &[]), &text("c"), &area, &text("w"), &text("will")]));
        }
        for area in [Properties(user), Properties(named)] {
            bodies.push(join(&[&head(0x06, &[]), &text("c"), &area.bytes(), &text("w"), &text("will")]));
        }
    }
    bodies.iter().map(|body| packet(0x10, body)).collect()
}

/// Packets of a connected client with a string in each place that takes one.
fn packets(version: Version, string: &[u8]) -> Vec<Vec<u8>> {
    let string = &binary(string);
    let none: &[u8] = if version == V5 { &[0] } else { &[] };
    let mut packets = vec![
        packet(0x30, &join(&[string, none, b"x"])),
        packet(0x82, &join(&[&[0, 1], none, string, &[0]])),
        packet(0x82, &join(&[&[0, 1], none, &text("fine"), &[0], string, &[0]])),
        packet(0xA2, &join(&[&[0, 1], none, string])),
    ];
    if version == V5 {
        let user = join(&[&[prop::USER], &text("n"), string]);
        let named = join(&[&[prop::USER], string, &text("v")]);
        for area in [&user, &named] {
            let area = Properties(area.clone()).bytes();
            packets.push(packet(0x30, &join(&[&text("t"), &area, b"x"])));
            packets.push(packet(0x82, &join(&[&[0, 1], &area, &text("t"), &[0]])));
            packets.push(packet(0xA2, &join(&[&[0, 1], &area, &text("t")])));
            packets.push(packet(0x40, &join(&[&[0, 1, 0], &area])));
            packets.push(packet(0xE0, &join(&[&[0], &area])));
        }
        for id in [prop::CONTENT_TYPE, prop::RESPONSE_TOPIC] {
            let area = Properties(join(&[&[id], string])).bytes();
            packets.push(packet(0x30, &join(&[&text("t"), &area, b"x"])));
        }
        let reason = Properties(join(&[&[prop::REASON_STRING], string])).bytes();
        packets.push(packet(0x40, &join(&[&[0, 1, 0], &reason])));
        packets.push(packet(0xE0, &join(&[&[0], &reason])));
    }
    packets
}

/// Each of these packets is malformed, in a CONNECT and after it.
fn strings_are_refused(b: &Broker, version: Version, strings: &[&[u8]]) {
    for string in strings {
        for connect in connects(version, string) {
            let client = b.client();
            client.send(&connect);
            client.speaks(version);
            client.expect_refusal(0x81);
        }
        for packet in packets(version, string) {
            let client = b.of(version, "sender");
            client.send(&packet);
            client.expect_disconnect(0x81);
        }
    }
}

/// The same packets with a string that is fine are not refused: what the tests above refuse is the string.
fn strings_are_taken(b: &Broker, version: Version) {
    let string = "gr\u{FC}n/\u{1F600}".as_bytes();
    for connect in connects(version, string) {
        let client = b.client();
        client.send(&connect);
        // An authentication method may be refused, but not as malformed.
        let connack = client.packet();
        assert!(matches!(connack.reason(), 0 | 0x8C), "{connack:?}");
    }
    for packet in packets(version, string) {
        let client = b.of(version, "sender");
        client.send(&packet);
        // An acknowledgement that answers nothing may end the connection for that reason.
        let malformed = client.packets().iter().any(|each| each.first == 0xE0 && each.reason() == 0x81);
        assert!(!malformed, "{packet:02X?}");
        if version == V3 {
            client.expect_open();
        }
    }
}

#[test]
fn v5_1_5_4_1_ill_formed_utf8_is_malformed_wherever_it_stands() {
    everywhere(|b| {
        strings_are_refused(b, V5, &ILL_FORMED);
        strings_are_taken(b, V5);
    });
}

#[test]
fn v3_1_5_3_1_ill_formed_utf8_closes_wherever_it_stands() {
    everywhere(|b| {
        strings_are_refused(b, V3, &ILL_FORMED);
        strings_are_taken(b, V3);
    });
}

#[test]
fn v5_1_5_4_2_the_null_character_is_malformed_wherever_it_stands() {
    everywhere(|b| strings_are_refused(b, V5, &[b"\0", b"a\0b"]));
}

#[test]
fn v3_1_5_3_2_the_null_character_closes_wherever_it_stands() {
    everywhere(|b| strings_are_refused(b, V3, &[b"\0", b"a\0b"]));
}

fn the_mark_is_kept(b: &Broker, version: Version, forwarded: &[u8]) {
    let marked = b.subscriber(version, "marked", "\u{FEFF}a", 0);
    let plain = b.subscriber(version, "plain", "a", 0);
    b.of(version, "publisher").publish(&Publish::new("\u{FEFF}a", b"x"));
    marked.expect(forwarded);
    plain.expect_nothing();
    b.of(version, "publisher").publish(&Publish::new("a", b"x"));
    marked.expect_nothing();
}

#[test]
fn v5_1_5_4_3_a_byte_order_mark_is_a_character() {
    everywhere(|b| {
        the_mark_is_kept(b, V5, b"\x30\x08\0\x04\xEF\xBB\xBFa\0x");
        // Not only in topics: in what is passed on, and in the client identifier.
        let listener = b.subscriber(V5, "listener", "t", 0);
        let properties =
            Properties::new().text(prop::CONTENT_TYPE, "\u{FEFF}").user("\u{FEFF}n", "v\u{FEFF}");
        let publish = Publish::new("t", b"\xEF\xBB\xBF").properties(properties);
        b.v5("\u{FEFF}listener").publish(&publish);
        listener.expect(&publish.bytes(V5));
    });
}

#[test]
fn v3_1_5_3_3_a_byte_order_mark_is_a_character() {
    everywhere(|b| {
        the_mark_is_kept(b, V3, b"\x30\x07\0\x04\xEF\xBB\xBFax");
        let first = b.v3("id");
        let second = b.v3("\u{FEFF}id");
        first.expect_nothing();
        second.expect_nothing();
    });
}

/// A client that listens to `t`, and its broker's PUBLISH of each size that is given.
fn forwarded(b: &Broker, sizes: &[usize], each: impl Fn(&Client, usize)) {
    let publisher = b.v5("publisher");
    let listener = b.subscriber(V5, "listener", "t", 0);
    for size in sizes {
        publisher.publish(&Publish::new("t", &vec![b'x'; *size]));
        each(&listener, *size);
    }
}

#[test]
fn v5_1_5_5_1_integers_of_variable_length_take_the_fewest_bytes() {
    everywhere(|b| {
        // The Remaining Length around each step; four bytes of it are the topic and the Property Length.
        forwarded(b, &[123, 124, 16_379, 16_380], |listener, size| {
            let head: &[u8] = match size {
                123 => &[0x30, 0x7F],
                124 => &[0x30, 0x80, 0x01],
                16_379 => &[0x30, 0xFF, 0x7F],
                _ => &[0x30, 0x80, 0x80, 0x01],
            };
            listener.expect(&join(&[head, b"\0\x01t\0", &vec![b'x'; size]]));
        });
        // A Subscription Identifier, which comes back.
        for (id, bytes) in [(127, &[0x7F][..]), (128, &[0x80, 1]), (268_435_455, &[0xFF, 0xFF, 0xFF, 0x7F])] {
            let listener = b.v5("listener");
            let properties = Properties::new().varint(prop::SUBSCRIPTION_ID, id);
            listener.send(&subscribe_with(V5, 1, &properties, &[("t", 0)]));
            listener.expect(&[0x90, 4, 0, 1, 0, 0]);
            b.v5("publisher").publish(&Publish::new("t", b""));
            let area = join(&[&[1 + bytes.len() as u8, prop::SUBSCRIPTION_ID], bytes]);
            listener.expect(&packet(0x30, &join(&[b"\0\x01t", &area])));
        }
    });
}

#[test]
fn v5_1_5_5_1_a_longer_form_is_malformed() {
    everywhere(|b| {
        let fine = subscribe_with(V5, 1, &Properties::new().varint(prop::SUBSCRIPTION_ID, 5), &[("t", 0)]);
        assert_eq!(fine, b"\x82\x09\0\x01\x02\x0B\x05\0\x01t\0");
        for malformed in [
            &b"\xC0\x80\0"[..],                                     // Remaining Length 0 in two bytes
            b"\x82\x89\0\0\x01\x02\x0B\x05\0\x01t\0",               // 9 in two bytes
            b"\x82\x0A\0\x01\x82\0\x0B\x05\0\x01t\0",               // the Property Length
            b"\x82\x0A\0\x01\x03\x0B\x85\0\0\x01t\0",               // the Subscription Identifier
            b"\x82\x0A\0\x01\x03\x8B\0\x05\0\x01t\0",               // the property's identifier
            b"\xC0\x80\x80\x80\x80\x01",                            // five bytes
            b"\x82\x0D\0\x01\x06\x0B\x80\x80\x80\x80\x01\0\x01t\0", // five bytes
        ] {
            let client = b.v5("client");
            client.send(malformed);
            client.expect_disconnect(0x81);
        }
        let client = b.v5("client");
        client.send(&fine);
        client.expect(&[0x90, 4, 0, 1, 0, 0]);
    });
}

#[test]
fn v5_1_5_7_1_both_strings_of_a_pair_are_checked() {
    everywhere(|b| {
        for (name, value) in [(&b"\xFF"[..], &b"v"[..]), (b"n", b"\xFF"), (b"\0", b"v"), (b"n", b"\0")] {
            let area = Properties(join(&[&[prop::USER], &binary(name), &binary(value)]));
            let client = b.v5("client");
            client.send(&subscribe_with(V5, 1, &area, &[("t", 0)]));
            client.expect_disconnect(0x81);
            let client = b.v5("client");
            client.send(&Publish::new("t", b"").properties(area.clone()).bytes(V5));
            client.expect_disconnect(0x81);
            let client = b.v5("client");
            client.send(&disconnect(0, &area));
            client.expect_disconnect(0x81);
            let client = b.client();
            client.send(&Connect::new(V5, "client").properties(area.clone()).bytes());
            client.expect_refusal(0x81);
            let client = b.client();
            client.send(&Connect::new(V5, "client").will(Will::new("w", b"").properties(area)).bytes());
            client.expect_refusal(0x81);
        }
        // Empty strings are strings, and pairs of the same name are passed on.
        let listener = b.subscriber(V5, "listener", "t", 0);
        let publish =
            Publish::new("t", b"").properties(Properties::new().user("", "").user("n", "1").user("n", "2"));
        b.v5("client").publish(&publish);
        listener.expect(&publish.bytes(V5));
    });
}
