//! What is refused in 5.0 alone: properties, reason codes, subscription options, AUTH.

use super::mqtt::{PacketType, ReasonCode, Sender, Version, Violation};
use super::{decode_one, refused};

const C: Sender = Sender::Client;
const S: Sender = Sender::Server;
const V: Version = Version::V5;

/// Where a property area may stand.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Packet(PacketType, Sender),
    Will,
}

/// A packet that is valid if this area is.
fn packet(place: Place, area: &[u8]) -> Vec<u8> {
    let (first, before, after): (u8, &[u8], &[u8]) = match place {
        Place::Will => (0x10, b"\x00\x04MQTT\x05\x06\x00\x00\x00\x00\x00", b"\x00\x01t\x00\x00"),
        Place::Packet(packet_type, _) => {
            let (before, after): (&[u8], &[u8]) = match packet_type {
                PacketType::Connect => (b"\x00\x04MQTT\x05\x02\x00\x00", b"\x00\x00"),
                PacketType::ConnAck => (b"\x00\x00", b""),
                PacketType::Publish => (b"\x00\x01t", b"payload"),
                PacketType::Subscribe => (b"\x00\x01", b"\x00\x01f\x00"),
                PacketType::SubAck | PacketType::UnsubAck => (b"\x00\x01", b"\x00"),
                PacketType::Unsubscribe => (b"\x00\x01", b"\x00\x01f"),
                PacketType::Disconnect => (b"\x00", b""),
                PacketType::Auth => (b"\x18", b""),
                _ => (b"\x00\x01\x00", b""),
            };
            (packet_type.first_byte(), before, after)
        }
    };
    let body = [before, &[u8::try_from(area.len()).expect("short")], area, after].concat();
    let mut bytes = vec![first, u8::try_from(body.len()).expect("short")];
    bytes.extend(body);
    bytes
}

fn sender(place: Place) -> Sender {
    match place {
        Place::Will => C,
        Place::Packet(_, sender) => sender,
    }
}

fn places() -> Vec<Place> {
    use PacketType as T;
    let mut places = vec![Place::Will];
    places.extend([T::Connect, T::Subscribe, T::Unsubscribe].map(|t| Place::Packet(t, C)));
    places.extend([T::ConnAck, T::SubAck, T::UnsubAck].map(|t| Place::Packet(t, S)));
    for of_both in [T::Publish, T::PubAck, T::PubRec, T::PubRel, T::PubComp, T::Disconnect, T::Auth] {
        places.extend([Place::Packet(of_both, C), Place::Packet(of_both, S)]);
    }
    places
}

/// Table 2-4 of the standard: every property with a valid value, and where it may stand.
fn properties() -> Vec<(&'static [u8], Vec<PacketType>, bool)> {
    use PacketType as T;
    let acks = [T::PubAck, T::PubRec, T::PubRel, T::PubComp, T::SubAck, T::UnsubAck];
    let reason_string = [&[T::ConnAck, T::Disconnect, T::Auth][..], &acks].concat();
    let user = [&[T::Connect, T::Publish, T::Subscribe, T::Unsubscribe][..], &reason_string].concat();
    vec![
        (b"\x01\x01", vec![T::Publish], true),
        (b"\x02\x00\x00\x00\x01", vec![T::Publish], true),
        (b"\x03\x00\x01c", vec![T::Publish], true),
        (b"\x08\x00\x01r", vec![T::Publish], true),
        (b"\x09\x00\x01\xFF", vec![T::Publish], true),
        (b"\x0B\x01", vec![T::Publish, T::Subscribe], false),
        (b"\x11\x00\x00\x00\x01", vec![T::Connect, T::ConnAck, T::Disconnect], false),
        (b"\x12\x00\x01i", vec![T::ConnAck], false),
        (b"\x13\x00\x01", vec![T::ConnAck], false),
        (b"\x15\x00\x01m", vec![T::Connect, T::ConnAck, T::Auth], false),
        (b"\x16\x00\x01d", vec![T::Connect, T::ConnAck, T::Auth], false),
        (b"\x17\x01", vec![T::Connect], false),
        (b"\x18\x00\x00\x00\x01", vec![], true),
        (b"\x19\x01", vec![T::Connect], false),
        (b"\x1A\x00\x01r", vec![T::ConnAck], false),
        (b"\x1C\x00\x01s", vec![T::ConnAck, T::Disconnect], false),
        (b"\x1F\x00\x01r", reason_string, false),
        (b"\x21\x00\x01", vec![T::Connect, T::ConnAck], false),
        (b"\x22\x00\x01", vec![T::Connect, T::ConnAck], false),
        (b"\x23\x00\x01", vec![T::Publish], false),
        (b"\x24\x01", vec![T::ConnAck], false),
        (b"\x25\x01", vec![T::ConnAck], false),
        (b"\x26\x00\x01n\x00\x01v", user, true),
        (b"\x27\x00\x00\x00\x01", vec![T::Connect, T::ConnAck], false),
        (b"\x28\x01", vec![T::ConnAck], false),
        (b"\x29\x01", vec![T::ConnAck], false),
        (b"\x2A\x01", vec![T::ConnAck], false),
    ]
}

const USER: u8 = 0x26;
const SUBSCRIPTION_ID: u8 = 0x0B;
const AUTHENTICATION_METHOD: u8 = 0x15;

fn is_allowed(place: Place, property: &[u8], packets: &[PacketType], in_will: bool) -> bool {
    match (place, property[0]) {
        (Place::Will, _) => in_will,
        // [MQTT-3.14.2-2]: the session expiry is the client's to send, the server reference the server's; and
        // [MQTT-3.3.4-6].
        (Place::Packet(PacketType::Disconnect, S), 0x11)
        | (Place::Packet(PacketType::Disconnect, C), 0x1C)
        | (Place::Packet(PacketType::Publish, C), SUBSCRIPTION_ID) => false,
        (Place::Packet(packet_type, _), _) => packets.contains(&packet_type),
    }
}

/// Authentication data and AUTH want a method: it is put in front where the place has one.
fn with_method(place: Place, property: &[u8]) -> Vec<u8> {
    let wants = match place {
        Place::Packet(PacketType::Auth, _) => property[0] != AUTHENTICATION_METHOD,
        Place::Packet(PacketType::Connect, _) => property[0] == 0x16,
        _ => false,
    };
    [if wants { &b"\x15\x00\x01m"[..] } else { b"" }, property].concat()
}

#[test]
fn every_property_stands_only_where_the_standard_puts_it() {
    for (property, packets, in_will) in properties() {
        for place in places() {
            let area = with_method(place, property);
            let bytes = packet(place, &area);
            let result = decode_one(V, sender(place), &bytes);
            if is_allowed(place, property, &packets, in_will) {
                assert!(result.is_ok(), "0x{:02X} in {place:?}: {result:?}", property[0]);
            } else {
                let expected = match (place, property[0]) {
                    (Place::Packet(PacketType::Publish, C), SUBSCRIPTION_ID) => {
                        Violation::SubscriptionIdFromClient
                    }
                    _ => Violation::MisplacedProperty,
                };
                assert_eq!(result, Err(expected), "0x{:02X} in {place:?}", property[0]);
            }
        }
    }
}

#[test]
fn a_property_may_not_be_repeated() {
    for (property, packets, in_will) in properties() {
        for place in places() {
            if !is_allowed(place, property, &packets, in_will) {
                continue;
            }
            let area = [with_method(place, property), property.to_vec()].concat();
            let result = decode_one(V, sender(place), &packet(place, &area)).map(|_| ());
            let may_repeat = property[0] == USER
                || (property[0] == SUBSCRIPTION_ID && place == Place::Packet(PacketType::Publish, S));
            let expected = if may_repeat { Ok(()) } else { Err(Violation::RepeatedProperty) };
            assert_eq!(result, expected, "0x{:02X} twice in {place:?}", property[0]);
        }
    }
}

#[test]
fn a_property_may_not_be_cut() {
    for (property, packets, in_will) in properties() {
        for place in places() {
            if !is_allowed(place, property, &packets, in_will) {
                continue;
            }
            for end in 1..property.len() {
                let bytes = packet(place, &with_method(place, &property[..end]));
                refused(V, sender(place), &bytes, Violation::Truncated);
            }
        }
    }
}

#[test]
fn an_identifier_must_be_known() {
    let known: Vec<u8> = properties().iter().map(|(property, ..)| property[0]).collect();
    assert_eq!(known.len(), 27);
    for place in places() {
        for id in (0..=255u8).filter(|id| !known.contains(id)) {
            refused(V, sender(place), &packet(place, &[id, 0, 0, 0, 0]), Violation::UnknownProperty);
        }
        // A known identifier in two bytes is not known.
        refused(V, sender(place), &packet(place, b"\xA6\x00"), Violation::UnknownProperty);
    }
}

#[test]
fn values_out_of_their_range() {
    use PacketType as T;
    let cases: [(&[u8], T, Sender, Violation); 22] = [
        (b"\x01\x02", T::Publish, C, Violation::PropertyValue),
        (b"\x17\x02", T::Connect, C, Violation::PropertyValue),
        (b"\x19\xFF", T::Connect, C, Violation::PropertyValue),
        (b"\x24\x02", T::ConnAck, S, Violation::PropertyValue),
        (b"\x25\x02", T::ConnAck, S, Violation::PropertyValue),
        (b"\x28\x02", T::ConnAck, S, Violation::PropertyValue),
        (b"\x29\x02", T::ConnAck, S, Violation::PropertyValue),
        (b"\x2A\x02", T::ConnAck, S, Violation::PropertyValue),
        (b"\x21\x00\x00", T::Connect, C, Violation::PropertyValue),
        (b"\x21\x00\x00", T::ConnAck, S, Violation::PropertyValue),
        (b"\x27\x00\x00\x00\x00", T::Connect, C, Violation::PropertyValue),
        (b"\x27\x00\x00\x00\x00", T::ConnAck, S, Violation::PropertyValue),
        (b"\x0B\x00", T::Subscribe, C, Violation::PropertyValue),
        (b"\x0B\x00", T::Publish, S, Violation::PropertyValue),
        // [MQTT-1.5.5-1]
        (b"\x0B\x80\x00", T::Subscribe, C, Violation::VariableByteInteger),
        (b"\x0B\xFF\xFF\xFF\xFF\x01", T::Publish, S, Violation::VariableByteInteger),
        // [MQTT-3.3.2-8]
        (b"\x23\x00\x00", T::Publish, C, Violation::TopicAliasZero),
        // [MQTT-3.3.2-14]
        (b"\x08\x00\x03a/#", T::Publish, C, Violation::ResponseTopic),
        (b"\x08\x00\x01+", T::Publish, S, Violation::ResponseTopic),
        (b"\x08\x00\x00", T::Publish, C, Violation::ResponseTopic),
        (b"\x03\x00\x01\xFF", T::Publish, C, Violation::IllFormedUtf8),
        (b"\x26\x00\x01n\x00\x01\x00", T::PubAck, C, Violation::NulInString),
    ];
    for (area, packet_type, sender, violation) in cases {
        refused(V, sender, &packet(Place::Packet(packet_type, sender), area), violation);
    }
    refused(V, C, &packet(Place::Will, b"\x01\x02"), Violation::PropertyValue);
    refused(V, C, &packet(Place::Will, b"\x08\x00\x01#"), Violation::ResponseTopic);
}

#[test]
fn the_length_of_an_area() {
    // Beyond the packet's end; over-long; and a user property that reaches beyond the area into the payload.
    refused(V, C, b"\x30\x04\x00\x01t\x01", Violation::Truncated);
    refused(V, C, b"\x30\x05\x00\x01t\x80\x00", Violation::VariableByteInteger);
    refused(V, C, b"\x30\x08\x00\x01t\xFF\xFF\xFF\xFF\x01", Violation::VariableByteInteger);
    refused(V, C, b"\x30\x0B\x00\x01t\x05\x26\x00\x01n\x00\x01v", Violation::Truncated);
    // Whatever follows an area that ends a packet.
    refused(V, C, b"\x40\x05\x00\x01\x00\x00\x00", Violation::TrailingBytes);
    refused(V, C, b"\xE0\x03\x00\x00\x00", Violation::TrailingBytes);
    refused(V, S, b"\x20\x04\x00\x00\x00\x00", Violation::TrailingBytes);
    refused(V, S, b"\xF0\x03\x18\x00\x00", Violation::TrailingBytes);
    // CONNACK and SUBACK always have an area.
    refused(V, S, b"\x20\x02\x00\x00", Violation::Truncated);
    refused(V, S, b"\x90\x02\x00\x01", Violation::Truncated);
    refused(V, C, b"\x82\x02\x00\x01", Violation::Truncated);
}

/// The code's table decides, for every byte.
#[test]
fn reason_codes_of_another_packet() {
    use PacketType as T;
    for packet_type in [T::PubAck, T::PubRec, T::PubRel, T::PubComp, T::Disconnect, T::ConnAck] {
        for sender in [C, S] {
            if packet_type == T::ConnAck && sender == C {
                continue;
            }
            for byte in 0..=255u8 {
                let body: &[u8] = match packet_type {
                    T::ConnAck => &[0, byte, 0],
                    T::Disconnect => &[byte],
                    _ => &[0, 1, byte],
                };
                let mut bytes = vec![packet_type.first_byte(), u8::try_from(body.len()).expect("short")];
                bytes.extend(body);
                let may =
                    ReasonCode::from_u8(byte).is_some_and(|reason| reason.may_stand_in(packet_type, sender));
                let expected = if may { Ok(()) } else { Err(Violation::UnknownReasonCode) };
                assert_eq!(decode_one(V, sender, &bytes).map(|_| ()), expected, "{bytes:02X?}");
            }
        }
    }
    refused(V, S, b"\x90\x05\x00\x01\x00\x00\x03", Violation::UnknownReasonCode);
    refused(V, S, b"\xB0\x05\x00\x01\x00\x00\x01", Violation::UnknownReasonCode);
    refused(V, S, b"\x90\x03\x00\x01\x00", Violation::NoReasonCodes);
    refused(V, S, b"\xB0\x03\x00\x01\x00", Violation::NoReasonCodes);
}

#[test]
fn connack_flags() {
    refused(V, S, b"\x20\x03\x02\x00\x00", Violation::ConnAckFlags);
    // [MQTT-3.2.2-6]
    refused(V, S, b"\x20\x03\x01\x87\x00", Violation::ConnAckFlags);
}

/// `[MQTT-3.8.3-2, 3.8.3-5, 3.10.3-2]`, and the protocol errors of 3.8.3.1: every value of the options.
#[test]
fn mqtt_3_8_3_subscription_options() {
    for options in 0..=255u8 {
        let expected = if options & 0xC0 != 0 {
            Err(Violation::SubscriptionOptions)
        } else if options & 3 == 3 {
            Err(Violation::SubscriptionQoS3)
        } else if options & 0x30 == 0x30 {
            Err(Violation::RetainHandling3)
        } else {
            Ok(())
        };
        let bytes = [0x82, 7, 0, 1, 0, 0, 1, b'f', options];
        assert_eq!(decode_one(V, C, &bytes).map(|_| ()), expected, "options {options:02X}");
    }
    refused(V, C, b"\x82\x03\x00\x01\x00", Violation::NoFilters);
    refused(V, C, b"\xA2\x03\x00\x01\x00", Violation::NoFilters);
    // The second filter is looked at too.
    refused(V, C, b"\x82\x0B\x00\x01\x00\x00\x01f\x00\x00\x01f\x40", Violation::SubscriptionOptions);
}

#[test]
fn authentication_wants_a_method() {
    refused(
        V,
        C,
        &packet(Place::Packet(PacketType::Connect, C), b"\x16\x00\x01d"),
        Violation::AuthWithoutMethod,
    );
    for area in [&b""[..], b"\x16\x00\x01d", b"\x1F\x00\x01r"] {
        refused(V, C, &packet(Place::Packet(PacketType::Auth, C), area), Violation::AuthWithoutMethod);
    }
    // The empty AUTH says success, which a client cannot say.
    refused(V, C, b"\xF0\x00", Violation::UnknownReasonCode);
    refused(V, S, b"\xF0\x06\x19\x04\x15\x00\x01m", Violation::UnknownReasonCode);
    refused(V, S, b"\xF0\x01\x18", Violation::Truncated);
}

/// A password may stand alone in 5.0, but the flags are as strict as before.
#[test]
fn connect_flags() {
    let connect = |flags: u8, fields: &[u8]| {
        let mut bytes = vec![0x10, u8::try_from(13 + fields.len()).expect("short")];
        bytes.extend(b"\x00\x04MQTT\x05");
        bytes.extend([flags, 0, 0, 0, 0, 0]);
        bytes.extend(fields);
        bytes
    };
    assert!(decode_one(V, C, &connect(0x42, b"\x00\x01p")).is_ok());
    refused(V, C, &connect(0x03, b""), Violation::ConnectFlags);
    refused(V, C, &connect(0x12, b""), Violation::ConnectFlags);
    refused(V, C, &connect(0x22, b""), Violation::ConnectFlags);
    refused(V, C, &connect(0x1E, b"\x00\x00\x01t\x00\x00"), Violation::QoS3);
    refused(V, C, &connect(0x06, b"\x00\x00\x01#\x00\x00"), Violation::TopicName);
    refused(V, C, &connect(0x06, b"\x00\x00\x01t\x00"), Violation::Truncated);
    refused(V, C, &connect(0x02, b"\x00"), Violation::TrailingBytes);
}
