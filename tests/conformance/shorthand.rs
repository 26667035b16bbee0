//! What the tests of many chapters say again and again: acknowledgements as bytes, deliveries to the byte.

use crate::broker::{Broker, Client};
use crate::wire::{
    Connect, PUBACK, PUBCOMP, PUBREC, PUBREL, Packet, Properties, Publish, V3, V5, Version, ack, join,
    packet, prop, subscribe, text,
};

/// Bits of the Subscription Options (5.0).
pub const NO_LOCAL: u8 = 0x04;
pub const RETAIN_AS_PUBLISHED: u8 = 0x08;
pub const RETAIN_HANDLING_1: u8 = 0x10;
pub const RETAIN_HANDLING_2: u8 = 0x20;

/// SUBACK without properties.
pub fn suback(version: Version, id: u16, codes: &[u8]) -> Vec<u8> {
    acknowledges(0x90, version, id, codes)
}

/// UNSUBACK without properties; 3.1.1 has no codes.
pub fn unsuback(version: Version, id: u16, codes: &[u8]) -> Vec<u8> {
    acknowledges(0xB0, version, id, if version == V3 { &[] } else { codes })
}

/// The next packet is the SUBACK with this identifier and these codes. When one is a failure, the broker may explain
/// it.
#[track_caller]
pub fn grants(client: &Client, version: Version, id: u16, codes: &[u8]) {
    let came = client.packet();
    let bytes = packet(came.first, &came.body);
    if version == V3 || codes.iter().all(|code| *code < 0x80) {
        return assert_eq!(bytes, suback(version, id, codes));
    }
    assert_eq!((came.first, came.id(), came.codes(V5)), (0x90, id, codes), "{came:?}");
    let explains = |(id, _): &(u8, Vec<u8>)| [prop::REASON_STRING, prop::USER].contains(id);
    assert!(came.properties().iter().all(explains), "{came:?}");
}

fn acknowledges(first: u8, version: Version, id: u16, codes: &[u8]) -> Vec<u8> {
    let properties: &[u8] = if version == V3 { &[] } else { &[0] };
    packet(first, &join(&[&id.to_be_bytes(), properties, codes]))
}

/// A PUBLISH, SUBSCRIBE or UNSUBSCRIBE of this first byte: its body as it stands here, with an empty property area
/// where 5.0 has one.
pub fn with_area(version: Version, first: u8, before: &[u8], after: &[u8]) -> Vec<u8> {
    let area: &[u8] = if version == V3 { &[] } else { &[0] };
    packet(first, &join(&[before, area, after]))
}

/// A string whose bytes are not UTF-8, or should not be there: each is malformed wherever it stands.
pub fn ill_formed() -> [Vec<u8>; 5] {
    // A surrogate, an overlong form, a lone continuation, a sequence cut short, U+0000.
    [b"a\xED\xA0\x80".as_slice(), b"\xC0\xAF", b"\x80", b"t\xE2\x82", b"a\0b"].map(crate::wire::binary)
}

/// The next packet is this PUBLISH to the byte, but for the Packet Identifier, which is the broker's to choose.
#[track_caller]
pub fn hears(client: &Client, version: Version, expected: &Publish) -> u16 {
    let came = client.packet();
    let id = came.publish(version).id;
    assert_eq!(id > 0, expected.qos > 0, "an identifier with QoS 1 and 2 only, and never 0");
    let expected = Publish { id, ..expected.clone() };
    let bytes = packet(came.first, &came.body);
    assert_eq!(bytes, expected.bytes(version), "{:?} came", came.publish(version));
    id
}

/// Takes a delivery to its end.
#[track_caller]
pub fn acknowledge(client: &Client, qos: u8, id: u16) {
    match qos {
        0 => {}
        1 => client.send(&ack(PUBACK, id)),
        _ => {
            client.send(&ack(PUBREC, id));
            client.expect(&ack(PUBREL, id));
            client.send(&ack(PUBCOMP, id));
        }
    }
}

/// Publishes, and takes the exchange to its end; somebody subscribes.
#[track_caller]
pub fn publishes(client: &Client, message: &Publish) {
    client.publish(message);
    match message.qos {
        0 => {}
        1 => assert_eq!(client.packet().first, PUBACK),
        _ => {
            assert_eq!(client.packet().first, PUBREC);
            client.send(&ack(PUBREL, message.id));
            client.expect(&ack(PUBCOMP, message.id));
        }
    }
}

/// Subscribes and returns what comes with it: the broker may send retained messages before its SUBACK.
#[track_caller]
pub fn subscribes(client: &Client, version: Version, filter: &str, options: u8) -> Vec<Publish> {
    client.send(&subscribe(version, 998, &[(filter, options)]));
    let (subacks, others): (Vec<Packet>, Vec<Packet>) =
        client.packets().into_iter().partition(|packet| packet.first == 0x90);
    assert_eq!(subacks.len(), 1, "one SUBACK: {subacks:?}");
    assert_eq!(packet(subacks[0].first, &subacks[0].body), suback(version, 998, &[options & 3]));
    others.iter().map(|packet| packet.publish(version)).collect()
}

/// What a new subscriber to this filter is sent, by topic, each as (topic, QoS, RETAIN, payload).
#[track_caller]
pub fn retained(b: &Broker, version: Version, filter: &str) -> Vec<(String, u8, bool, Vec<u8>)> {
    let client = b.of(version, "a new subscriber");
    let mut came: Vec<_> = subscribes(&client, version, filter, 2)
        .into_iter()
        .map(|m| (m.topic, m.qos, m.retain, m.payload))
        .collect();
    came.sort();
    client.send(&crate::wire::DISCONNECT);
    came
}

/// A client whose session outlives its connection; whether it was there.
#[track_caller]
pub fn lasting(b: &Broker, version: Version, id: &str) -> (Client, bool) {
    let (client, connack) = b.connect(&Connect::new(version, id).lasting());
    (client, connack.session_present())
}

/// A 5.0 client with this Receive Maximum, whose session outlives its connection.
#[track_caller]
pub fn narrow(b: &Broker, id: &str, receive_maximum: u16) -> Client {
    let properties =
        Properties::new().four(prop::SESSION_EXPIRY, 3_600).two(prop::RECEIVE_MAXIMUM, receive_maximum);
    b.connect(&Connect::new(V5, id).clean(false).properties(properties)).0
}

/// The payloads of all that came, which must be PUBLISH packets.
#[track_caller]
pub fn payloads(client: &Client, version: Version) -> Vec<Vec<u8>> {
    client.packets().iter().map(|packet| packet.publish(version).payload).collect()
}

/// A PUBLISH with QoS 0 and bytes in place of its topic.
pub fn publish_to_bytes(version: Version, topic: &[u8]) -> Vec<u8> {
    with_area(version, 0x30, topic, b"payload")
}

/// The bytes of a filter or topic as a packet holds it.
pub fn string(of: &str) -> Vec<u8> {
    text(of)
}

/// Sends what breaks the protocol; the broker says `reason` (3.1.1: nothing) and closes.
#[track_caller]
pub fn breaks(b: &Broker, version: Version, bytes: &[u8], reason: u8) {
    let client = b.of(version, "who breaks the protocol");
    client.send(bytes);
    client.expect_disconnect(reason);
}

/// Clients of every small Maximum Packet Size whose CONNACK fits.
#[track_caller]
pub fn of_every_size(b: &Broker, test: impl Fn(&Client, usize)) {
    let mut clients = 0;
    for maximum in 8..80 {
        let client = b.client();
        let properties = Properties::new().four(prop::MAXIMUM_PACKET_SIZE, maximum);
        client.send(&Connect::new(V5, "small").properties(properties).bytes());
        let packets = client.packets();
        let accepted =
            packets.first().is_some_and(|packet: &Packet| packet.first == 0x20 && packet.reason() == 0);
        if accepted {
            test(&client, maximum as usize);
            clients += 1;
        }
    }
    assert!(clients > 20, "only {clients} are accepted");
}

/// The next packet is of this kind, the only one, and not too large: what explains it may have been left out.
#[track_caller]
pub fn fits(client: &Client, maximum: usize, first: u8) -> Packet {
    let packet = client.packet();
    assert_eq!(packet.first, first, "{packet:?}");
    assert!(packet.wire_len() <= maximum, "{} bytes, {maximum} are allowed: {packet:?}", packet.wire_len());
    client.expect_nothing();
    packet
}
