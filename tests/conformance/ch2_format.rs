//! Chapter 2: the fixed header, Packet Identifiers and the Property Length.

use std::collections::HashSet;

use crate::broker::{Broker, Client, everywhere};
use crate::wire::{
    Connect, DISCONNECT, PINGREQ, PINGRESP, PUBACK, PUBCOMP, PUBREC, PUBREL, Properties, Publish, V3, V5,
    Version, ack, packet, prop, subscribe, unsubscribe,
};

/// A packet of each type with a fixed set of flags, and its right flags.
fn with_fixed_flags(version: Version) -> Vec<(Vec<u8>, u8)> {
    let mut packets = vec![
        (ack(PUBACK, 1), 0),
        (ack(PUBREC, 1), 0),
        (ack(PUBREL, 1), 2),
        (ack(PUBCOMP, 1), 0),
        (subscribe(version, 1, &[("t", 0)]), 2),
        (unsubscribe(version, 1, &["t"]), 2),
        (PINGREQ.to_vec(), 0),
        (DISCONNECT.to_vec(), 0),
    ];
    if version == V5 {
        let method = Properties::new().text(prop::AUTHENTICATION_METHOD, "m");
        packets.push((packet(0xF0, &[&[0x18], &method.bytes()[..]].concat()), 0));
    }
    packets
}

fn wrong_flags_close(b: &Broker, version: Version) {
    for (packet, right) in with_fixed_flags(version) {
        for flags in (0..16).filter(|flags| *flags != right) {
            let client = b.of(version, "client");
            let mut packet = packet.clone();
            assert_eq!(packet[0] & 0x0F, right);
            packet[0] = packet[0] & 0xF0 | flags;
            client.send(&packet);
            client.expect_disconnect(0x81);
        }
    }
    // CONNECT: nobody can say what a packet with other flags is, but it is not accepted.
    for flags in 1..16 {
        let client = b.client();
        let mut connect = Connect::new(version, "client").bytes();
        connect[0] |= flags;
        client.send(&connect);
        let accepted = client.packets().iter().any(|each| each.first != 0x20 || each.reason() == 0);
        assert!(!accepted && client.is_closed(), "flags {flags:#X}");
    }
}

/// Every kind of packet that a broker sends to a client of any version, but DISCONNECT and AUTH.
fn broker_packets(b: &Broker, version: Version) -> Vec<u8> {
    let (client, connack) = b.connect(&Connect::new(version, "client"));
    let mut first = vec![connack.first];
    for packet in [
        subscribe(version, 1, &[("t", 2)]),
        Publish::new("t", b"x").qos(1, 2).bytes(version),
        Publish::new("t", b"x").qos(2, 3).bytes(version),
        ack(PUBREL, 3),
        PINGREQ.to_vec(),
    ] {
        client.send(&packet);
        let packets = client.packets();
        assert!(!packets.is_empty());
        for packet in packets {
            // What it sends with QoS 2 is taken as far as PUBREL.
            if packet.first == 0x34 {
                client.write(&ack(PUBREC, packet.publish(version).id));
            }
            first.push(packet.first);
        }
    }
    client.send(&unsubscribe(version, 9, &["t"]));
    first.extend(client.packets().iter().map(|packet| packet.first));
    first.sort_unstable();
    first.dedup();
    first
}

/// What these must be: PUBCOMP, PUBREL, both PUBLISHes (QoS 1 and 2) and the rest, with the flags of the table.
const BROKER_PACKETS: [u8; 10] = [0x20, 0x32, 0x34, 0x40, 0x50, 0x62, 0x70, 0x90, 0xB0, 0xD0];

#[test]
fn v5_2_1_3_1_other_flags_than_the_listed_are_malformed() {
    everywhere(|b| wrong_flags_close(b, V5));
}

#[test]
fn v5_2_1_3_1_the_broker_sends_the_listed_flags() {
    everywhere(|b| {
        assert_eq!(broker_packets(b, V5), BROKER_PACKETS);
        let client = b.v5("client");
        client.send(&[0x80, 0]);
        assert_eq!(client.packet().first, 0xE0);
    });
}

#[test]
fn v3_2_2_2_1_the_broker_sends_the_listed_flags() {
    everywhere(|b| assert_eq!(broker_packets(b, V3), BROKER_PACKETS));
}

#[test]
fn v3_2_2_2_2_other_flags_than_the_listed_close() {
    everywhere(|b| wrong_flags_close(b, V3));
}

/// Packets of no type that a client may send close the connection.
fn unknown_types_close(b: &Broker, version: Version, first_bytes: &[u8]) {
    for first in first_bytes {
        let client = b.of(version, "client");
        client.send(&packet(*first, &[0, 1, 0]));
        match version {
            V5 => {
                let bye = client.packet();
                assert!(bye.first == 0xE0 && matches!(bye.reason(), 0x81 | 0x82), "{first:#X}: {bye:?}");
                client.expect_closed();
            }
            V3 => client.expect_closed(),
        }
    }
}

#[test]
fn packets_of_other_types_than_a_clients_close() {
    everywhere(|b| {
        unknown_types_close(b, V5, &[0x00, 0x0F, 0x20, 0x90, 0xB0, 0xD0]);
        unknown_types_close(b, V3, &[0x00, 0x0F, 0x20, 0x90, 0xB0, 0xD0, 0xF0]);
    });
}

/// What a client listens to and a QoS 0 PUBLISH to it: the payload follows topic and properties at once.
fn qos_0_has_no_identifier(b: &Broker, version: Version, sent: &[u8]) {
    let listener = b.subscriber(version, "listener", "t", 2);
    b.of(version, "publisher").send(sent);
    listener.expect(sent);
    listener.expect_nothing();
}

#[test]
fn v5_2_2_1_2_qos_0_has_no_identifier() {
    everywhere(|b| qos_0_has_no_identifier(b, V5, b"\x30\x06\0\x01t\0\0\x07"));
}

#[test]
fn v3_2_3_1_5_qos_0_has_no_identifier() {
    everywhere(|b| qos_0_has_no_identifier(b, V3, b"\x30\x05\0\x01t\0\x07"));
}

/// The identifier 0 in whatever has one.
fn identifier_0_closes(b: &Broker, version: Version) {
    for packet in [
        subscribe(version, 0, &[("t", 0)]),
        unsubscribe(version, 0, &["t"]),
        Publish::new("t", b"x").qos(1, 0).bytes(version),
        Publish::new("t", b"x").qos(2, 0).bytes(version),
    ] {
        let listener = b.subscriber(version, "listener", "t", 0);
        let client = b.of(version, "client");
        client.send(&packet);
        match version {
            V5 => {
                let bye = client.packet();
                assert!(bye.first == 0xE0 && matches!(bye.reason(), 0x81 | 0x82), "{bye:?}");
                client.expect_closed();
            }
            V3 => client.expect_closed(),
        }
        listener.expect_nothing();
    }
}

#[test]
fn v5_2_2_1_3_the_identifier_0_closes() {
    everywhere(|b| identifier_0_closes(b, V5));
}

#[test]
fn v3_2_3_1_1_the_identifier_0_closes() {
    everywhere(|b| identifier_0_closes(b, V3));
}

/// A client that owes one PUBACK; every other message is acknowledged, for longer than there are identifiers.
fn identifiers_are_unused(b: &Broker, version: Version) {
    let publisher = b.of(version, "publisher");
    let listener = b.subscriber(version, "listener", "t", 1);
    let take = |listener: &Client| -> Vec<u16> {
        listener.packets().iter().map(|packet| packet.publish(version).id).collect()
    };
    let send = |count: u16| {
        for id in 1..=count {
            publisher.write(&Publish::new("t", b"x").qos(1, id).bytes(version));
        }
        publisher.settle();
        assert_eq!(publisher.packets().len(), usize::from(count), "a PUBACK each");
    };
    send(3);
    let first = take(&listener);
    assert_eq!(first.iter().collect::<HashSet<_>>().len(), 3, "{first:?}");
    listener.send(&[ack(PUBACK, first[0]), ack(PUBACK, first[2])].concat());
    let (owed, mut passed) = (first[1], 3);
    while passed < 66_500 {
        send(500);
        let ids = take(&listener);
        assert_eq!(ids.len(), 500);
        passed += ids.len();
        assert!(!ids.contains(&0) && !ids.contains(&owed), "{owed} was given away after {passed}");
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 500, "one is used twice at a time");
        ids.iter().for_each(|id| listener.write(&ack(PUBACK, *id)));
        listener.settle();
    }
    // QoS 2 does not free its identifier before PUBCOMP.
    listener.subscribe("t", 2);
    publisher.send(&Publish::new("t", b"x").qos(2, 1).bytes(version));
    let id = take(&listener)[0];
    listener.send(&ack(PUBREC, id));
    listener.expect(&ack(PUBREL, id));
    publisher.send(&Publish::new("t", b"x").qos(2, 2).bytes(version));
    assert!(![id, owed, 0].contains(&take(&listener)[0]));
}

#[test]
fn v5_2_2_1_4_identifiers_are_unused_after_a_whole_round_of_them() {
    everywhere(|b| identifiers_are_unused(b, V5));
}

#[test]
fn v3_2_3_1_4_identifiers_are_unused_after_a_whole_round_of_them() {
    everywhere(|b| identifiers_are_unused(b, V3));
}

/// Both directions of both exchanges, with identifiers whose bytes differ.
fn acknowledgements_carry_the_identifier(b: &Broker, version: Version) {
    let publisher = b.of(version, "publisher");
    publisher.publish(&Publish::new("t", b"x").qos(1, 0x0102));
    // With nobody to hear it, a 5.0 broker may say so (0x10).
    assert_eq!((publisher.packet().id(), publisher.received()), (0x0102, Vec::new()));
    let listener = b.subscriber(version, "listener", "t", 2);
    publisher.publish(&Publish::new("t", b"x").qos(1, 0x0304));
    publisher.expect(&[0x40, 2, 3, 4]);
    publisher.publish(&Publish::new("t", b"x").qos(2, 0x0304));
    publisher.expect(&[0x50, 2, 3, 4]);
    publisher.send(&[0x62, 2, 3, 4]);
    publisher.expect(&[0x70, 2, 3, 4]);
    let first = listener.published();
    let second = listener.published();
    listener.send(&ack(PUBREC, second.id));
    listener.expect(&ack(PUBREL, second.id));
    listener.send(&[ack(PUBCOMP, second.id), ack(PUBACK, first.id)].concat());
    listener.expect_nothing();
}

#[test]
fn v5_2_2_1_5_acknowledgements_carry_the_identifier() {
    everywhere(|b| acknowledgements_carry_the_identifier(b, V5));
}

#[test]
fn v3_2_3_1_6_acknowledgements_carry_the_identifier() {
    everywhere(|b| acknowledgements_carry_the_identifier(b, V3));
}

#[test]
fn v5_2_2_1_6_suback_and_unsuback_carry_the_identifier() {
    everywhere(|b| {
        let client = b.v5("client");
        client.send(b"\x82\x07\x12\x34\0\0\x01t\0");
        client.expect(&[0x90, 4, 0x12, 0x34, 0, 0]);
        client.send(b"\xA2\x06\x56\x78\0\0\x01t");
        client.expect(&[0xB0, 4, 0x56, 0x78, 0, 0]);
    });
}

#[test]
fn v3_2_3_1_7_suback_and_unsuback_carry_the_identifier() {
    everywhere(|b| {
        let client = b.v3("client");
        client.send(b"\x82\x06\x12\x34\0\x01t\0");
        client.expect(&[0x90, 3, 0x12, 0x34, 0]);
        client.send(b"\xA2\x05\x56\x78\0\x01t");
        client.expect(&[0xB0, 2, 0x56, 0x78]);
    });
}

#[test]
fn v5_2_2_2_1_no_properties_are_a_length_of_zero() {
    everywhere(|b| {
        // As the broker sends them: PUBLISH, SUBACK, UNSUBACK.
        let client = b.v5("client");
        client.send(b"\x82\x07\0\x01\0\0\x01t\0");
        client.expect(&[0x90, 4, 0, 1, 0, 0]);
        client.send(b"\x30\x05\0\x01t\0x");
        client.expect(b"\x30\x05\0\x01t\0x");
        client.send(b"\xA2\x06\0\x02\0\0\x01t");
        client.expect(&[0xB0, 4, 0, 2, 0, 0]);
        client.send(&PINGREQ);
        client.expect(&PINGRESP);
    });
}

#[test]
fn v5_2_2_2_1_without_its_length_a_packet_is_malformed() {
    everywhere(|b| {
        // What follows the place of the Property Length is read as one, and does not fit.
        for malformed in [
            &b"\x82\x06\0\x01\0\x01t\0"[..], // SUBSCRIBE: then a filter of 372 bytes
            b"\xA2\x05\0\x01\0\x01t",
            b"\x32\x05\0\x01t\0\x01", // PUBLISH: ends after the identifier
            b"\x30\x03\0\x01t",
            b"\x82\x07\0\x01\x09\0\x01t\0", // longer than the packet
            b"\x30\x05\0\x01t\x02x",
        ] {
            let client = b.v5("client");
            client.send(malformed);
            client.expect_disconnect(0x81);
        }
        for malformed in [&b"\x10\x0A\0\x04MQTT\x05\x02\0\0"[..], b"\x10\x0D\0\x04MQTT\x05\x02\0\0\0\x01c"] {
            // The second is a CONNECT of 3.1.1: its length of zero is there by chance, and one byte too many.
            let client = b.client();
            client.send(malformed);
            client.expect_refusal(0x81);
        }
    });
}
