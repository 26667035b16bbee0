//! What is refused in every version and in 3.1.1, each with its violation, at the byte that breaks it.

use super::mqtt::publish;
use super::mqtt::{Sender, Version, Violation, decode, frame};
use super::refused;

const C: Sender = Sender::Client;
const S: Sender = Sender::Server;
const V3: Version = Version::V3_1_1;
const V5: Version = Version::V5;

fn refused_in_both(sender: Sender, bytes: &[u8], violation: Violation) {
    refused(V3, sender, bytes, violation);
    refused(V5, sender, bytes, violation);
}

#[test]
fn split_wants_a_remaining_length() {
    for incomplete in [&b""[..], b"\x30", b"\x30\x80", b"\x30\xFF\xFF", b"\x30\xFF\xFF\xFF"] {
        assert_eq!(frame::split(incomplete, usize::MAX), Ok(None));
    }
    let longest = frame::split(b"\x30\xFF\xFF\xFF\x7F", usize::MAX).expect("legal").expect("complete");
    assert_eq!((longest.first, longest.header_len, longest.len), (0x30, 5, 268_435_460));
    let empty = frame::split(b"\xC0\x00\xFF", 2).expect("legal").expect("complete");
    assert_eq!((empty.first, empty.header_len, empty.len), (0xC0, 2, 2));
}

/// `[MQTT-1.5.5-1]`, and 2.1.4: at most four bytes.
#[test]
fn mqtt_1_5_5_1_the_remaining_length_is_as_short_as_can_be() {
    for bytes in [
        &b"\x30\x80\x00"[..],
        b"\x30\xFF\x00",
        b"\x30\x80\x80\x00",
        b"\x30\xFF\xFF\xFF\x00",
        b"\x30\xFF\xFF\xFF\xFF",
        b"\x30\x80\x80\x80\x80\x01",
    ] {
        assert_eq!(frame::split(bytes, usize::MAX), Err(Violation::RemainingLength), "{bytes:02X?}");
    }
}

#[test]
fn a_packet_too_large_is_refused_by_its_header() {
    assert!(frame::split(b"\x30\x0A", 12).is_ok());
    assert_eq!(frame::split(b"\x30\x0A", 11), Err(Violation::PacketTooLarge));
    assert!(frame::split(b"\x30\x80\x01", 131).is_ok());
    assert_eq!(frame::split(b"\x30\x80\x01", 130), Err(Violation::PacketTooLarge));
    assert_eq!(frame::split(b"\x30\xFF\xFF\xFF\x7F", 1 << 20), Err(Violation::PacketTooLarge));
}

#[test]
fn a_packet_type_must_exist() {
    refused_in_both(C, b"\x00\x00", Violation::UnknownPacketType);
    refused_in_both(S, b"\x0F\x00", Violation::UnknownPacketType);
    refused(V3, C, b"\xF0\x00", Violation::UnknownPacketType);
    refused(Version::V3_1, S, b"\xF0\x00", Violation::UnknownPacketType);
}

/// `[MQTT-2.1.3-1]`, v3 `[MQTT-2.2.2-2]`: every value of the flags but the right one, for every type.
#[test]
fn mqtt_2_1_3_1_reserved_flags() {
    for number in (1..=15u8).filter(|&number| number != 3) {
        let right = if matches!(number, 6 | 8 | 10) { 2 } else { 0 };
        for flags in (0..16u8).filter(|&flags| flags != right) {
            for sender in [C, S] {
                refused(V5, sender, &[number << 4 | flags, 0], Violation::ReservedFlags);
                if number != 15 {
                    refused(V3, sender, &[number << 4 | flags, 0], Violation::ReservedFlags);
                }
            }
        }
    }
    // 3.1 had a DUP flag in three of them.
    refused(Version::V3_1, C, b"\x8A\x00", Violation::Truncated);
    refused(Version::V3_1, C, b"\xAA\x00", Violation::Truncated);
    refused(Version::V3_1, C, b"\x8B\x00", Violation::ReservedFlags);
    refused(Version::V3_1, C, b"\xC8\x00", Violation::ReservedFlags);
}

#[test]
fn packets_of_the_other_side() {
    for of_server in [&b"\x20\x02\x00\x00"[..], b"\x90\x03\x00\x01\x00", b"\xB0\x02\x00\x01", b"\xD0\x00"] {
        refused_in_both(C, of_server, Violation::PacketOfServer);
    }
    for of_client in [
        &b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x3C\x00\x01a"[..],
        b"\x82\x06\x00\x01\x00\x01a\x00",
        b"\xA2\x05\x00\x01\x00\x01a",
        b"\xC0\x00",
    ] {
        refused_in_both(S, of_client, Violation::PacketOfClient);
    }
    refused(V3, S, b"\xE0\x00", Violation::PacketOfClient);
}

#[test]
fn packets_without_a_body_have_none() {
    refused_in_both(C, b"\xC0\x01\x00", Violation::TrailingBytes);
    refused_in_both(S, b"\xD0\x01\x00", Violation::TrailingBytes);
    refused(V3, C, b"\xE0\x01\x00", Violation::TrailingBytes);
}

#[test]
fn a_frame_and_its_bytes_must_agree() {
    let frame = frame::split(b"\xC0\x00", usize::MAX).expect("legal").expect("complete");
    assert_eq!(decode(V3, C, frame, b"\xC0"), Err(Violation::Truncated));
    assert_eq!(decode(V3, C, frame, b"\xC0\x00\x00"), Err(Violation::TrailingBytes));
    let nonsense = frame::Frame { first: 0xC0, header_len: 9, len: 2 };
    assert_eq!(decode(V3, C, nonsense, b"\xC0\x00"), Err(Violation::Truncated));
}

/// `[MQTT-1.5.4-1, 1.5.4-2]`, v3 `[MQTT-1.5.3-1, 1.5.3-2]`, at every place where a string stands.
#[test]
fn mqtt_1_5_4_strings_are_well_formed() {
    let ill_formed: [(&[u8], &str); 6] = [
        (b"\xFF\xFE\xFD", "no UTF-8"),
        (b"\xED\xA0\x80", "the surrogate U+D800"),
        (b"\xED\xBF\xBF", "the surrogate U+DFFF"),
        (b"\xC0\x80a", "an over-long U+0000"),
        (b"ab\xC3", "half a character"),
        (b"\xF4\x90\x80", "beyond U+10FFFF"),
    ];
    let cases = ill_formed.iter().map(|&(text, why)| (text, why, Violation::IllFormedUtf8)).chain([(
        &b"a\0b"[..],
        "U+0000",
        Violation::NulInString,
    )]);
    for (text, why, violation) in cases {
        let places: [(&str, Vec<u8>); 6] = [
            ("topic name", [b"\x30\x05\x00\x03", text].concat()),
            ("topic filter", [b"\x82\x08\x00\x01\x00\x03", text, b"\x00"].concat()),
            ("filter to remove", [b"\xA2\x07\x00\x01\x00\x03", text].concat()),
            ("client identifier", [b"\x10\x0F\x00\x04MQTT\x04\x02\x00\x00\x00\x03", text].concat()),
            ("user name", [b"\x10\x11\x00\x04MQTT\x04\x82\x00\x00\x00\x00\x00\x03", text].concat()),
            (
                "will topic",
                [b"\x10\x13\x00\x04MQTT\x04\x06\x00\x00\x00\x00\x00\x03", text, b"\x00\x00"].concat(),
            ),
        ];
        for (place, bytes) in places {
            let result = super::decode_one(V3, C, &bytes);
            assert_eq!(result, Err(violation), "{why} in the {place}");
        }
    }
}

/// `[MQTT-2.2.1-3]`, v3 `[MQTT-2.3.1-1]`.
#[test]
fn mqtt_2_2_1_3_packet_identifiers_are_not_zero() {
    for bytes in [&b"\x40\x02\x00\x00"[..], b"\x50\x02\x00\x00", b"\x62\x02\x00\x00", b"\x70\x02\x00\x00"] {
        refused_in_both(C, bytes, Violation::PacketIdZero);
        refused_in_both(S, bytes, Violation::PacketIdZero);
    }
    refused_in_both(C, b"\x82\x06\x00\x00\x00\x01a\x00", Violation::PacketIdZero);
    refused_in_both(C, b"\xA2\x05\x00\x00\x00\x01a", Violation::PacketIdZero);
    refused_in_both(S, b"\x90\x03\x00\x00\x00", Violation::PacketIdZero);
    refused_in_both(S, b"\xB0\x02\x00\x00", Violation::PacketIdZero);
    refused_in_both(C, b"\x32\x05\x00\x01a\x00\x00", Violation::PacketIdZero);
}

#[test]
fn publish_flags() {
    // [MQTT-3.3.1-4]
    for first in [0x36, 0x37, 0x3E, 0x3F] {
        refused_in_both(C, &[first, 5, 0, 1, b'a', 0, 1], Violation::QoS3);
    }
    // [MQTT-3.3.1-2]
    for first in [0x38, 0x39] {
        refused_in_both(C, &[first, 3, 0, 1, b'a'], Violation::DupOnQoS0);
    }
}

/// `[MQTT-3.3.2-2]` and `[MQTT-4.7.3-1]`.
#[test]
fn mqtt_3_3_2_2_a_topic_name_has_no_wildcard() {
    for topic in [b"a/+", b"#/a", b"a#b"] {
        refused(V3, C, &[&b"\x30\x05\x00\x03"[..], topic].concat(), Violation::TopicName);
        refused(V5, S, &[&b"\x30\x06\x00\x03"[..], topic, b"\x00"].concat(), Violation::TopicName);
    }
    refused(V3, C, b"\x30\x02\x00\x00", Violation::EmptyTopic);
    refused(V5, C, b"\x30\x03\x00\x00\x00", Violation::EmptyTopic);
}

#[test]
fn publish_that_ends_early() {
    for body in [&b""[..], b"\x00", b"\x00\x02", b"\x00\x02a"] {
        assert_eq!(publish::decode(V3, 0x30, body), Err(Violation::Truncated));
        assert_eq!(publish::decode(V5, 0x30, body), Err(Violation::Truncated));
    }
    assert_eq!(publish::decode(V3, 0x32, b"\x00\x01a\x00"), Err(Violation::Truncated));
    assert_eq!(publish::decode(V5, 0x30, b"\x00\x01a"), Err(Violation::Truncated));
    assert_eq!(publish::decode(V5, 0x30, b"\x00\x01a\x02\x01"), Err(Violation::Truncated));
}

#[test]
fn acknowledgements_of_3_1_1_are_two_bytes() {
    for first in [0x40, 0x50, 0x62, 0x70] {
        refused(V3, C, &[first, 0], Violation::Truncated);
        refused(V3, C, &[first, 1, 0], Violation::Truncated);
        refused(V3, C, &[first, 3, 0, 1, 0], Violation::TrailingBytes);
    }
    refused(V3, S, b"\xB0\x03\x00\x01\x00", Violation::TrailingBytes);
}

/// v3 `[MQTT-3.9.3-2]`.
#[test]
fn suback_of_3_1_1() {
    refused(V3, S, b"\x90\x02\x00\x01", Violation::NoReasonCodes);
    for code in [3, 0x7F, 0x81, 0x87, 0xFF] {
        refused(V3, S, &[0x90, 4, 0, 1, 0, code], Violation::UnknownReasonCode);
    }
}

#[test]
fn connack_of_3_1_1() {
    refused(V3, S, b"\x20\x01\x00", Violation::Truncated);
    refused(V3, S, b"\x20\x03\x00\x00\x00", Violation::TrailingBytes);
    refused(V3, S, b"\x20\x02\x00\x06", Violation::UnknownReasonCode);
    refused(V3, S, b"\x20\x02\x02\x00", Violation::ConnAckFlags);
    refused(V3, S, b"\x20\x02\x01\x05", Violation::ConnAckFlags);
}

/// v3 `[MQTT-3.8.3-3, 3.8.3-4, 3.10.3-2]`.
#[test]
fn subscribe_of_3_1_1() {
    refused(V3, C, b"\x82\x02\x00\x01", Violation::NoFilters);
    refused(V3, C, b"\xA2\x02\x00\x01", Violation::NoFilters);
    refused(V3, C, b"\x82\x05\x00\x01\x00\x01a", Violation::Truncated);
    refused(V3, C, b"\x82\x08\x00\x01\x00\x01a\x00\x00\x01", Violation::Truncated);
    refused(V3, C, b"\xA2\x06\x00\x01\x00\x01a\x00", Violation::Truncated);
    refused(V3, C, b"\x82\x06\x00\x01\x00\x01a\x03", Violation::SubscriptionQoS3);
    for bit in 2..8 {
        let bytes = [0x82, 6, 0, 1, 0, 1, b'a', 1 << bit];
        refused(V3, C, &bytes, Violation::SubscriptionOptions);
    }
}

#[test]
fn connect_of_another_protocol() {
    for (name, violation) in [
        (&b"\x00\x04MQTX\x04"[..], Violation::ProtocolName),
        (b"\x00\x04mqtt\x04", Violation::ProtocolName),
        (b"\x00\x00\x04\x02\x00\x00\x00", Violation::ProtocolName),
        (b"\x00\x04MQTT\x03", Violation::UnsupportedVersion),
        (b"\x00\x04MQTT\x06", Violation::UnsupportedVersion),
        (b"\x00\x04MQTT\x84", Violation::UnsupportedVersion),
        (b"\x00\x06MQIsdp\x04", Violation::UnsupportedVersion),
        (b"\x00\x06MQIsdp\x05", Violation::UnsupportedVersion),
        (b"\x00\x04MQT", Violation::Truncated),
        (b"\x00\x04MQTT", Violation::Truncated),
    ] {
        let mut bytes = vec![0x10, u8::try_from(name.len()).expect("short")];
        bytes.extend(name);
        refused(V3, C, &bytes, violation);
    }
}

/// A CONNECT of 3.1.1 with these flags, and all payload fields that any flag could announce.
fn connect_with_flags(flags: u8, fields: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x10, u8::try_from(12 + fields.len()).expect("short")];
    bytes.extend(b"\x00\x04MQTT\x04");
    bytes.extend([flags, 0, 0]);
    bytes.extend(b"\x00\x00");
    bytes.extend(fields);
    bytes
}

#[test]
fn connect_flags() {
    for (flags, fields, violation) in [
        // [MQTT-3.1.2-3]
        (0x03, &b""[..], Violation::ConnectFlags),
        // Will QoS or will retain without a will, v3 [MQTT-3.1.2-13, 3.1.2-15].
        (0x0A, b"", Violation::ConnectFlags),
        (0x12, b"", Violation::ConnectFlags),
        (0x22, b"", Violation::ConnectFlags),
        // Will QoS 3, v3 [MQTT-3.1.2-14].
        (0x1E, b"\x00\x01t\x00\x00", Violation::QoS3),
        // v3 [MQTT-3.1.2-22]
        (0x42, b"\x00\x01p", Violation::PasswordWithoutUserName),
        // What the flags announce must be there, and nothing else.
        (0x06, b"", Violation::Truncated),
        (0x06, b"\x00\x01t", Violation::Truncated),
        (0x82, b"", Violation::Truncated),
        (0xC2, b"\x00\x01u", Violation::Truncated),
        (0x02, b"\x00\x01u", Violation::TrailingBytes),
        (0x82, b"\x00\x01u\x00\x01p", Violation::TrailingBytes),
        // A will's topic is a topic name.
        (0x06, b"\x00\x00\x00\x00", Violation::TopicName),
        (0x06, b"\x00\x01#\x00\x00", Violation::TopicName),
        (0x06, b"\x00\x03a/+\x00\x00", Violation::TopicName),
    ] {
        refused(V3, C, &connect_with_flags(flags, fields), violation);
    }
}

/// 3.1 lets a packet end before its user name, but in no other place.
#[test]
fn connect_3_1_is_read_to_its_end() {
    let v = Version::V3_1;
    refused(v, C, b"\x10\x11\x00\x06MQIsdp\x03\x82\x00\x3C\x00\x01a\x00\x01", Violation::Truncated);
    refused(v, C, b"\x10\x12\x00\x06MQIsdp\x03\x02\x00\x3C\x00\x01a\x00\x01u", Violation::TrailingBytes);
    refused(
        v,
        C,
        b"\x10\x12\x00\x06MQIsdp\x03\x42\x00\x3C\x00\x01a\x00\x01p",
        Violation::PasswordWithoutUserName,
    );
}
