//! Section 3.1, the form of CONNECT: header, flags, the order of the payload, and what is refused.

use crate::broker::{Broker, everywhere};
use crate::wire::{
    Connect, PINGREQ, Properties, Publish, V3, V5, Version, Will, binary, join, packet, prop, subscribe, text,
};

/// A CONNECT of these flags and this payload, without properties of its own and with none of a will.
fn connect(version: Version, flags: u8, payload: &[&[u8]]) -> Vec<u8> {
    let head: &[u8] = match version {
        V3 => &[4, flags, 0, 0],
        V5 => &[5, flags, 0, 0, 0],
    };
    packet(0x10, &join(&[b"\0\x04MQTT", head, &payload.concat()]))
}

/// A will's fields.
fn will(version: Version, topic: &str) -> Vec<u8> {
    let properties: &[u8] = if version == V5 { &[0] } else { &[] };
    join(&[properties, &text(topic), &text("gone")])
}

/// It is closed: in 5.0 after saying why, in 3.1.1 without a word [v3 MQTT-3.1.4-1].
#[track_caller]
fn is_malformed(b: &Broker, version: Version, connect: &[u8]) {
    let client = b.client();
    client.speaks(version);
    client.send(connect);
    client.expect_refusal(0x81);
}

#[track_caller]
fn is_accepted(b: &Broker, connect: &[u8]) {
    let client = b.client();
    client.send(connect);
    let connack = client.packet();
    assert!(connack.first == 0x20 && connack.reason() == 0, "{connect:02X?}: {connack:?}");
    client.expect_nothing();
}

fn anything_before_connect_closes(b: &Broker, version: Version) {
    for first in [
        PINGREQ.to_vec(),
        Publish::new("t", b"x").bytes(version),
        subscribe(version, 1, &[("t", 0)]),
        vec![0xE0, 0],
        vec![0xF0, 0],
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0; 40],
    ] {
        let listener = b.subscriber(version, "listener", "#", 0);
        let client = b.client();
        client.send(&first);
        client.expect_closed();
        listener.expect_nothing();
    }
}

#[test]
fn v5_3_1_0_1_anything_before_connect_closes() {
    everywhere(|b| anything_before_connect_closes(b, V5));
}

#[test]
fn v3_3_1_0_1_anything_before_connect_closes() {
    everywhere(|b| anything_before_connect_closes(b, V3));
}

fn second_connect_closes(b: &Broker, version: Version) {
    for second in [Connect::new(version, "client"), Connect::new(version, "other"), Connect::new(V5, "")] {
        let listener = b.subscriber(version, "listener", "w", 0);
        let (client, _) = b.connect(&Connect::new(version, "client").will(Will::new("w", b"x")));
        client.send(&join(&[&second.bytes(), &Publish::new("w", b"late").bytes(version)]));
        client.expect_disconnect(0x82);
        assert_eq!(listener.published().payload, b"x", "as for any violation, the will is published");
        listener.expect_nothing();
    }
}

#[test]
fn v5_3_1_0_2_a_second_connect_is_a_protocol_error() {
    everywhere(|b| second_connect_closes(b, V5));
}

#[test]
fn v3_3_1_0_2_a_second_connect_disconnects() {
    everywhere(|b| second_connect_closes(b, V3));
}

/// Closed, without being taken for this standard's; a broker that wants to be known says 0x84.
fn other_names_close(b: &Broker, level: u8) {
    for name in [&b"MQTX"[..], b"mqtt", b"MQTT ", b"MQ", b"", b"HTTP", b"\xFF\xFF"] {
        let client = b.client();
        client.send(&packet(0x10, &join(&[&binary(name), &[level, 2, 0, 0, 0], &text("c")])));
        for packet in client.packets() {
            assert!(packet.first == 0x20 && matches!(packet.body[..2], [0, 0x84 | 1]), "{packet:?}");
        }
        client.expect_closed();
    }
}

#[test]
fn v5_3_1_2_1_other_protocol_names_close() {
    everywhere(|b| other_names_close(b, 5));
}

#[test]
fn v3_3_1_2_1_other_protocol_names_close() {
    everywhere(|b| other_names_close(b, 4));
}

#[test]
fn v5_3_1_2_2_a_later_version_is_told_that_it_is_not_supported() {
    everywhere(|b| {
        for level in [6, 7, 0x7F, 0x85, 0xFF] {
            let client = b.client();
            client.send(&packet(0x10, &join(&[b"\0\x04MQTT", &[level, 2, 0, 0, 0], &text("c")])));
            client.expect_refusal(0x84);
        }
    });
}

#[test]
fn v3_3_1_2_2_an_earlier_level_is_told_that_it_is_not_supported() {
    everywhere(|b| {
        for level in [0, 1, 2, 3] {
            let client = b.client();
            client.send(&packet(0x10, &join(&[b"\0\x04MQTT", &[level, 2, 0, 0], &text("c")])));
            client.expect(&[0x20, 2, 0, 1]);
            client.expect_closed();
        }
    });
}

fn the_reserved_flag_is_malformed(b: &Broker, version: Version) {
    for flags in [1, 3] {
        is_malformed(b, version, &connect(version, flags, &[&text("c")]));
    }
    is_malformed(b, version, &connect(version, 7, &[&text("c"), &will(version, "w")]));
}

#[test]
fn v5_3_1_2_3_the_reserved_flag_is_malformed() {
    everywhere(|b| the_reserved_flag_is_malformed(b, V5));
}

#[test]
fn v3_3_1_2_3_the_reserved_flag_closes() {
    everywhere(|b| the_reserved_flag_is_malformed(b, V3));
}

/// With Will Flag 1 each field of the will must be there; with 0 none of them may.
fn a_will_is_whole(b: &Broker, version: Version) {
    let whole = will(version, "w");
    is_accepted(b, &connect(version, 6, &[&text("c"), &whole]));
    for end in 0..whole.len() {
        is_malformed(b, version, &connect(version, 6, &[&text("c"), &whole[..end]]));
    }
}

#[test]
fn v5_3_1_2_9_with_the_will_flag_its_fields_are_there() {
    everywhere(|b| a_will_is_whole(b, V5));
}

#[test]
fn v3_3_1_2_9_with_the_will_flag_its_fields_are_there() {
    everywhere(|b| a_will_is_whole(b, V3));
}

fn without_will_flag(b: &Broker, version: Version, flags: &[u8]) {
    for flags in flags {
        is_malformed(b, version, &connect(version, 2 | flags, &[&text("c")]));
        is_malformed(b, version, &connect(version, 2 | flags, &[&text("c"), &will(version, "w")]));
    }
}

#[test]
fn v5_3_1_2_11_a_will_qos_without_will_flag_is_malformed() {
    everywhere(|b| without_will_flag(b, V5, &[0x08, 0x10, 0x18]));
}

#[test]
fn v3_3_1_2_13_a_will_qos_without_will_flag_closes() {
    everywhere(|b| without_will_flag(b, V3, &[0x08, 0x10, 0x18]));
}

#[test]
fn v3_3_1_2_11_a_will_without_will_flag_closes() {
    everywhere(|b| {
        without_will_flag(b, V3, &[0x38, 0x28]);
        is_malformed(b, V3, &connect(V3, 2, &[&text("c"), &will(V3, "w")]));
    });
}

#[test]
fn v5_3_1_2_13_will_retain_without_will_flag_is_malformed() {
    everywhere(|b| without_will_flag(b, V5, &[0x20]));
}

#[test]
fn v3_3_1_2_15_will_retain_without_will_flag_closes() {
    everywhere(|b| without_will_flag(b, V3, &[0x20]));
}

/// 0, 1 and 2 are taken, and the will comes with them; 3 is malformed.
fn will_qos(b: &Broker, version: Version) {
    for qos in 0..3 {
        let listener = b.subscriber(version, "listener", "w", 2);
        let client = b.client();
        client.send(&connect(version, 6 | qos << 3, &[&text("c"), &will(version, "w")]));
        assert_eq!(client.packet().reason(), 0);
        client.cut();
        assert_eq!(listener.published().qos, qos);
    }
    is_malformed(b, version, &connect(version, 0x1E, &[&text("c"), &will(version, "w")]));
}

#[test]
fn v5_3_1_2_12_will_qos_is_0_to_2() {
    everywhere(|b| will_qos(b, V5));
}

#[test]
fn v3_3_1_2_14_will_qos_is_0_to_2() {
    everywhere(|b| will_qos(b, V3));
}

const USER: u8 = 0x80;
const PASSWORD: u8 = 0x40;

#[test]
fn v5_3_1_2_16_without_user_name_flag_none_is_there() {
    everywhere(|b| is_malformed(b, V5, &connect(V5, 2, &[&text("c"), &text("u")])));
}

#[test]
fn v3_3_1_2_18_without_user_name_flag_none_is_there() {
    everywhere(|b| is_malformed(b, V3, &connect(V3, 2, &[&text("c"), &text("u")])));
}

fn a_user_name_is_there(b: &Broker, version: Version) {
    is_accepted(b, &connect(version, 2 | USER, &[&text("c"), &text("u")]));
    is_malformed(b, version, &connect(version, 2 | USER, &[&text("c")]));
    is_malformed(b, version, &connect(version, 2 | USER, &[&text("c"), &[0]]));
    is_malformed(b, version, &connect(version, 2 | USER, &[&text("c"), &[0, 2, b'u']]));
}

#[test]
fn v5_3_1_2_17_with_user_name_flag_one_is_there() {
    everywhere(|b| a_user_name_is_there(b, V5));
}

#[test]
fn v3_3_1_2_19_with_user_name_flag_one_is_there() {
    everywhere(|b| a_user_name_is_there(b, V3));
}

fn no_password_is_there(b: &Broker, version: Version) {
    is_malformed(b, version, &connect(version, 2 | USER, &[&text("c"), &text("u"), &text("p")]));
}

#[test]
fn v5_3_1_2_18_without_password_flag_none_is_there() {
    everywhere(|b| no_password_is_there(b, V5));
}

#[test]
fn v3_3_1_2_20_without_password_flag_none_is_there() {
    everywhere(|b| no_password_is_there(b, V3));
}

fn a_password_is_there(b: &Broker, version: Version) {
    let flags = 2 | USER | PASSWORD;
    // Binary Data: it need not be UTF-8, and may be empty.
    is_accepted(b, &connect(version, flags, &[&text("c"), &text("u"), &binary(b"\xFF\0")]));
    is_accepted(b, &connect(version, flags, &[&text("c"), &text("u"), &[0, 0]]));
    is_malformed(b, version, &connect(version, flags, &[&text("c"), &text("u")]));
    is_malformed(b, version, &connect(version, flags, &[&text("c"), &text("u"), &[0, 2, b'p']]));
}

#[test]
fn v5_3_1_2_19_with_password_flag_one_is_there() {
    everywhere(|b| {
        a_password_is_there(b, V5);
        // 5.0 takes a password without a user name.
        is_accepted(b, &connect(V5, 2 | PASSWORD, &[&text("c"), &text("p")]));
    });
}

#[test]
fn v3_3_1_2_21_with_password_flag_one_is_there() {
    everywhere(|b| a_password_is_there(b, V3));
}

#[test]
fn v3_3_1_2_22_a_password_without_user_name_closes() {
    everywhere(|b| is_malformed(b, V3, &connect(V3, 2 | PASSWORD, &[&text("c"), &text("p")])));
}

/// Identifier, will, name, password: in this order they mean what they say.
fn the_payload_is_in_order(b: &Broker, version: Version) {
    let listener = b.subscriber(version, "listener", "will/topic", 0);
    let client = b.client();
    client.speaks(version);
    let area: &[u8] = if version == V5 { b"\x05\x18\0\0\0\0" } else { b"" };
    let fields =
        [&text("client")[..], area, &text("will/topic"), &text("will message"), &text("u"), &text("p")];
    client.send(&connect(version, 0xC6, &fields));
    assert_eq!(client.packet().reason(), 0);
    client.expect_nothing();
    // The first field is the identifier: the connection is taken over by it.
    let second = b.of(version, "client");
    client.expect_disconnect(0x8E);
    second.expect_nothing();
    let heard = listener.published();
    assert_eq!((heard.topic.as_str(), &heard.payload[..]), ("will/topic", &b"will message"[..]));
}

#[test]
fn v5_3_1_3_1_the_payload_is_in_order() {
    everywhere(|b| the_payload_is_in_order(b, V5));
}

#[test]
fn v3_3_1_3_1_the_payload_is_in_order() {
    everywhere(|b| the_payload_is_in_order(b, V3));
}

fn the_client_identifier_is_there(b: &Broker, version: Version) {
    for payload in [&b""[..], b"\0", b"\0\x02c"] {
        is_malformed(b, version, &connect(version, 2, &[payload]));
    }
}

#[test]
fn v5_3_1_3_3_the_client_identifier_is_there() {
    everywhere(|b| the_client_identifier_is_there(b, V5));
}

#[test]
fn v3_3_1_3_3_the_client_identifier_is_there() {
    everywhere(|b| the_client_identifier_is_there(b, V3));
}

/// Ill-formed UTF-8 in one field of the payload.
fn ill_formed_field(b: &Broker, version: Version, flags: u8, before: &[&[u8]], after: &[&[u8]]) {
    for string in [&b"\xC3\x28"[..], b"a\0", b"\xED\xA0\x80"] {
        let string = binary(string);
        let payload = [before, &[&string], after].concat();
        is_malformed(b, version, &connect(version, flags, &payload));
    }
}

#[test]
fn v5_3_1_3_4_the_client_identifier_is_utf8() {
    everywhere(|b| ill_formed_field(b, V5, 2, &[], &[]));
}

#[test]
fn v3_3_1_3_4_the_client_identifier_is_utf8() {
    everywhere(|b| ill_formed_field(b, V3, 2, &[], &[]));
}

#[test]
fn v5_3_1_3_11_the_will_topic_is_utf8() {
    everywhere(|b| ill_formed_field(b, V5, 6, &[&text("c"), &[0]], &[&text("x")]));
}

#[test]
fn v3_3_1_3_10_the_will_topic_is_utf8() {
    everywhere(|b| ill_formed_field(b, V3, 6, &[&text("c")], &[&text("x")]));
}

#[test]
fn v5_3_1_3_12_the_user_name_is_utf8() {
    everywhere(|b| ill_formed_field(b, V5, 2 | USER, &[&text("c")], &[]));
}

#[test]
fn v3_3_1_3_11_the_user_name_is_utf8() {
    everywhere(|b| ill_formed_field(b, V3, 2 | USER, &[&text("c")], &[]));
}

/// The end of a CONNECT at each of its bytes, with a Remaining Length that fits, and one byte too many.
fn every_end_but_the_right_one_is_malformed(b: &Broker, version: Version) {
    let body: &[u8] = match version {
        V3 => b"\0\x04MQTT\x04\xC6\0\0\0\x01c\0\x01w\0\x01x\0\x01u\0\x01p",
        V5 => b"\0\x04MQTT\x05\xC6\0\0\x03\x21\0\x05\0\x01c\x05\x18\0\0\0\x09\0\x01w\0\x01x\0\x01u\0\x01p",
    };
    is_accepted(b, &packet(0x10, body));
    for end in 7..body.len() {
        is_malformed(b, version, &packet(0x10, &body[..end]));
    }
    is_malformed(b, version, &packet(0x10, &join(&[body, &[0]])));
    // Before the protocol level nobody knows how to answer.
    for end in 0..7 {
        let client = b.client();
        client.send(&packet(0x10, &body[..end]));
        client.expect_closed();
    }
}

#[test]
fn v5_3_1_4_1_every_end_but_the_right_one_is_malformed() {
    everywhere(|b| every_end_but_the_right_one_is_malformed(b, V5));
}

#[test]
fn v3_3_1_4_1_every_end_but_the_right_one_closes_without_connack() {
    everywhere(|b| every_end_but_the_right_one_is_malformed(b, V3));
}

#[test]
fn v5_3_1_4_1_properties_are_checked() {
    let p = Properties::new;
    let once = |b: &Broker, properties: Properties, reason: u8| {
        let client = b.client();
        client.send(&Connect::new(V5, "c").properties(properties.clone()).bytes());
        let connack = client.packet();
        assert_eq!((connack.first, connack.reason()), (0x20, reason), "{properties:02X?}");
        client.expect_closed();
    };
    let errors = [
        p().two(prop::RECEIVE_MAXIMUM, 0),
        p().four(prop::MAXIMUM_PACKET_SIZE, 0),
        p().byte(prop::REQUEST_PROBLEM_INFORMATION, 2),
        p().byte(prop::REQUEST_RESPONSE_INFORMATION, 2),
        p().four(prop::SESSION_EXPIRY, 1).four(prop::SESSION_EXPIRY, 1),
        p().two(prop::RECEIVE_MAXIMUM, 1).two(prop::RECEIVE_MAXIMUM, 1),
        p().four(prop::MAXIMUM_PACKET_SIZE, 100).four(prop::MAXIMUM_PACKET_SIZE, 100),
        p().two(prop::TOPIC_ALIAS_MAXIMUM, 1).two(prop::TOPIC_ALIAS_MAXIMUM, 1),
        p().byte(prop::REQUEST_PROBLEM_INFORMATION, 1).byte(prop::REQUEST_PROBLEM_INFORMATION, 1),
        p().byte(prop::REQUEST_RESPONSE_INFORMATION, 1).byte(prop::REQUEST_RESPONSE_INFORMATION, 1),
        p().text(prop::AUTHENTICATION_METHOD, "m").text(prop::AUTHENTICATION_METHOD, "m"),
        p().binary(prop::AUTHENTICATION_DATA, b"x"),
    ];
    let malformed = [
        Properties(vec![0x7F, 0]),
        Properties(vec![prop::RECEIVE_MAXIMUM, 0]),
        p().byte(prop::MAXIMUM_QOS, 1),
        p().four(prop::MESSAGE_EXPIRY, 1),
        p().two(prop::TOPIC_ALIAS, 1),
        p().text(prop::REASON_STRING, "r"),
        p().text(prop::ASSIGNED_CLIENT_ID, "r"),
    ];
    everywhere(|b| {
        errors.iter().for_each(|properties| once(b, properties.clone(), 0x82));
        malformed.iter().for_each(|properties| once(b, properties.clone(), 0x81));
    });
}
