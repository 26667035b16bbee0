//! 4.13 handling errors (4.8 of 3.1.1): what breaks the protocol ends its connection, and nothing else.

use crate::broker::{Broker, Client, everywhere};
use crate::shorthand::{hears, string, with_area};
use crate::wire::{
    Connect, DISCONNECT, PINGREQ, PINGRESP, Packet, Properties, Publish, V3, V5, Version, ack, ack_because,
    packet, prop, subscribe, subscribe_with, unsubscribe,
};

const MALFORMED: u8 = 0x81;
const PROTOCOL: u8 = 0x82;

/// A PUBLISH of QoS 0 with these bytes as its property area.
fn publish_with(area: &[u8]) -> Vec<u8> {
    packet(0x30, &[&string("a/b")[..], area, b"payload"].concat())
}

/// What is wrong in both standards, with the Reason Code that 5.0 has for it.
fn wrong_in_both(version: Version) -> Vec<(Vec<u8>, u8)> {
    let publish = |qos, id| Publish::new("a/b", b"payload").qos(qos, id).bytes(version);
    let mut wrong = vec![
        // Packets that only servers send, reserved types, a second CONNECT.
        (packet(0x20, &[0, 0]), PROTOCOL),
        (packet(0x90, &[0, 7, 0]), PROTOCOL),
        (packet(0xB0, &[0, 7]), PROTOCOL),
        (PINGRESP.to_vec(), PROTOCOL),
        (packet(0x00, &[]), MALFORMED),
        (Connect::new(version, "client").bytes(), PROTOCOL),
        // Lengths.
        (vec![0xC0, 0x80, 0x80, 0x80, 0x80, 0x01], MALFORMED),
        (vec![0xC0, 0x80, 0x00], MALFORMED),
        (packet(0xC0, &[0]), MALFORMED),
        (packet(0x40, &[0]), MALFORMED),
        (packet(0x62, &[]), MALFORMED),
        (packet(0x82, &[0]), MALFORMED),
        // Identifiers of 0.
        (publish(1, 0), MALFORMED),
        (publish(2, 0), MALFORMED),
        (subscribe(version, 0, &[("a", 0)]), MALFORMED),
        (unsubscribe(version, 0, &["a"]), MALFORMED),
        (ack(0x40, 0), MALFORMED),
        (ack(0x62, 0), MALFORMED),
        // Flags.
        (ack(0x41, 7), MALFORMED),
        (ack(0x52, 7), MALFORMED),
        (ack(0x60, 7), MALFORMED),
        (ack(0x78, 7), MALFORMED),
        (vec![0xC1, 0], MALFORMED),
        (vec![0xE1, 0], MALFORMED),
    ];
    // A packet that ends early or goes on after its end.
    let whole = [subscribe(version, 7, &[("a/b", 0)]), unsubscribe(version, 7, &["a/b"]), publish(1, 7)];
    for bytes in &whole {
        // Not where what is left is whole: a request without a filter.
        for end in [3, 6, 7] {
            wrong.push((packet(bytes[0], &bytes[2..end]), MALFORMED));
        }
    }
    wrong.push((packet(0x82, &[&whole[0][2..], &[0]].concat()), MALFORMED));
    wrong.push((packet(0xA2, &[&whole[1][2..], &[0]].concat()), MALFORMED));
    wrong
}

fn wrong_in_v5() -> Vec<(Vec<u8>, u8)> {
    let properties =
        |properties: Properties| Publish::new("a/b", b"payload").properties(properties).bytes(V5);
    let p = Properties::new;
    vec![
        // Of the property area: longer than the packet, a length in too many bytes, an unknown identifier.
        (publish_with(&[100]), MALFORMED),
        (publish_with(&[0x80, 0x00]), MALFORMED),
        (publish_with(&[2, 0x7F, 0]), MALFORMED),
        (publish_with(&[1, 0x01]), MALFORMED),
        (publish_with(&[3, 0x26, 0, 9]), MALFORMED),
        // Properties of other packets.
        (properties(p().four(prop::SESSION_EXPIRY, 1)), MALFORMED),
        (properties(p().text(prop::REASON_STRING, "why")), MALFORMED),
        (subscribe_with(V5, 7, &p().byte(prop::PAYLOAD_FORMAT, 0), &[("a", 0)]), MALFORMED),
        // What may stand once stands twice.
        (properties(p().byte(prop::PAYLOAD_FORMAT, 0).byte(prop::PAYLOAD_FORMAT, 0)), PROTOCOL),
        (properties(p().four(prop::MESSAGE_EXPIRY, 1).four(prop::MESSAGE_EXPIRY, 1)), PROTOCOL),
        (properties(p().text(prop::CONTENT_TYPE, "").text(prop::CONTENT_TYPE, "")), PROTOCOL),
        (properties(p().text(prop::RESPONSE_TOPIC, "r").text(prop::RESPONSE_TOPIC, "r")), PROTOCOL),
        (properties(p().binary(prop::CORRELATION_DATA, b"").binary(prop::CORRELATION_DATA, b"")), PROTOCOL),
        (properties(p().two(prop::TOPIC_ALIAS, 1).two(prop::TOPIC_ALIAS, 1)), PROTOCOL),
        (
            subscribe_with(
                V5,
                7,
                &p().varint(prop::SUBSCRIPTION_ID, 1).varint(prop::SUBSCRIPTION_ID, 2),
                &[("a", 0)],
            ),
            PROTOCOL,
        ),
        // Values out of range.
        (properties(p().byte(prop::PAYLOAD_FORMAT, 2)), PROTOCOL),
        (subscribe_with(V5, 7, &p().varint(prop::SUBSCRIPTION_ID, 0), &[("a", 0)]), PROTOCOL),
        (subscribe_with(V5, 7, &Properties(vec![0x0B, 0xFF, 0xFF, 0xFF, 0xFF, 1]), &[("a", 0)]), MALFORMED),
        (properties(p().two(prop::TOPIC_ALIAS, 0)), 0x94),
        // Codes and flags.
        (ack_because(0x40, 7, 0x01), MALFORMED),
        (packet(0xE0, &[0x8E]), MALFORMED),
        (packet(0xE0, &[0x00, 9]), MALFORMED),
        (packet(0xF1, &[0x18, 0]), MALFORMED),
        // Larger than the broker takes: known from the first bytes.
        (vec![0x30, 0xFF, 0xFF, 0xFF, 0x7F], 0x95),
        (vec![0x82, 0x80, 0x80, 0x80, 0x01], 0x95),
    ]
}

/// Sends each to a broker on which others are connected: its sender is told and closed, and nobody else notices.
fn each_ends_its_connection(b: &Broker, version: Version, wrong: &[(Vec<u8>, u8)]) {
    let witness = b.subscriber(V5, "witness", "#", 0);
    for (bytes, reason) in wrong {
        println!("{version:?} {bytes:02X?}");
        let client = b.of(version, "client");
        // What came before it counts, what comes after it does not.
        let before = Publish::new("before", b"").bytes(version);
        let after = Publish::new("after", b"").bytes(version);
        client.send(&[&before[..], bytes, &after, &PINGREQ].concat());
        client.expect_disconnect(*reason);
        hears(&witness, V5, &Publish::new("before", b""));
        witness.expect_nothing();
    }
}

#[test]
fn v5_4_13_1_1_a_malformed_packet_or_protocol_error_ends_the_connection_with_its_code() {
    everywhere(|b| {
        each_ends_its_connection(b, V5, &wrong_in_both(V5));
        each_ends_its_connection(b, V5, &wrong_in_v5());
    });
}

#[test]
fn v3_4_8_0_1_a_violation_of_the_protocol_ends_the_connection() {
    everywhere(|b| {
        each_ends_its_connection(b, V3, &wrong_in_both(V3));
        let more = [
            (packet(0x40, &[0, 7, 0]), MALFORMED),
            (packet(0x62, &[0, 7, 0, 0]), MALFORMED),
            (packet(0xE0, &[0]), MALFORMED),
            (packet(0xF0, &[]), MALFORMED),
        ];
        each_ends_its_connection(b, V3, &more);
    });
}

/// What came, without a packet that was cut off.
fn whole(client: &Client) -> Vec<Packet> {
    let mut bytes = client.received();
    std::iter::from_fn(|| Packet::take(&mut bytes)).collect()
}

/// The connection is closed whether or not the client takes what it is told.
#[test]
fn v5_4_13_2_1_a_code_of_0x80_or_above_ends_the_connection_told_or_not() {
    everywhere(|b| {
        for room in [None, Some(0), Some(1)] {
            for (bytes, reason) in wrong_in_v5() {
                let client = b.v5("client");
                client.room(room);
                client.send(&bytes);
                assert!(client.is_closed());
                let told = whole(&client);
                assert!(told.iter().all(|packet| packet.first == 0xE0 && packet.reason() == reason));
            }
            let refused = [
                Connect::new(V5, "client")
                    .properties(Properties::new().text(prop::AUTHENTICATION_METHOD, "x")),
                Connect::new(V5, "client").properties(Properties::new().two(prop::RECEIVE_MAXIMUM, 0)),
                Connect::new(V5, &"c".repeat(1_000)),
            ];
            for connect in refused {
                let client = b.client();
                client.room(room);
                client.send(&connect.bytes());
                assert!(client.is_closed());
                let told = whole(&client);
                assert!(told.iter().all(|packet| packet.first == 0x20 && packet.reason() >= 0x80));
            }
        }
    });
}

/// A goodbye is no error, and nothing is said to it.
#[test]
fn v5_4_13_2_1_a_code_below_0x80_is_no_error() {
    everywhere(|b| {
        for bytes in [DISCONNECT.to_vec(), packet(0xE0, &[4]), with_area(V5, 0xE0, &[4], &[])] {
            let client = b.v5("client");
            client.send(&bytes);
            client.expect_closed();
        }
    });
}
