//! The tables: reason codes, where they may stand, and what each violation says.

use std::collections::HashSet;

use super::mqtt::{PacketType, ReasonCode, Sender, Violation};

#[test]
fn every_byte_is_a_reason_code_or_none() {
    let known: Vec<u8> = ReasonCode::ALL.iter().map(|&reason| reason as u8).collect();
    assert!(known.is_sorted(), "the table is in order");
    assert_eq!(known.len(), 43, "as many as table 2-6 has, with one for all three meanings of 0x00");
    for byte in 0..=255u8 {
        match ReasonCode::from_u8(byte) {
            Some(reason) => assert_eq!(reason as u8, byte),
            None => assert!(!known.contains(&byte)),
        }
    }
    let names: HashSet<_> = ReasonCode::ALL.iter().map(|reason| reason.name()).collect();
    assert_eq!(names.len(), ReasonCode::ALL.len());
    assert_eq!(ReasonCode::NotAuthorized.to_string(), "not authorized (0x87)");
    assert!(ReasonCode::UnspecifiedError.is_error() && !ReasonCode::ReAuthenticate.is_error());
}

#[test]
fn return_codes_of_3_1_1_there_and_back() {
    for code in 0..=255 {
        let back = ReasonCode::from_connect_return_code(code).and_then(ReasonCode::connect_return_code);
        assert_eq!(back, (code <= 5).then_some(code));
    }
}

/// Table 2-6 of 5.0, "Packets": which codes stand in which packet.
#[test]
fn reason_codes_stand_where_the_standard_puts_them() {
    let bytes = |packet_type, sender| -> Vec<u8> {
        let allowed = ReasonCode::ALL.iter().filter(|reason| reason.may_stand_in(packet_type, sender));
        allowed.map(|&reason| reason as u8).collect()
    };
    let (client, server) = (Sender::Client, Sender::Server);
    assert_eq!(
        bytes(PacketType::ConnAck, server),
        [
            0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97,
            0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F
        ]
    );
    for packet_type in [PacketType::PubAck, PacketType::PubRec] {
        let of_client = [0x00, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
        let of_server = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
        assert_eq!(bytes(packet_type, client), of_client);
        assert_eq!(bytes(packet_type, server), of_server);
    }
    for packet_type in [PacketType::PubRel, PacketType::PubComp] {
        assert_eq!(bytes(packet_type, client), [0x00, 0x92]);
        assert_eq!(bytes(packet_type, server), [0x00, 0x92]);
    }
    assert_eq!(
        bytes(PacketType::SubAck, server),
        [0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2]
    );
    assert_eq!(bytes(PacketType::UnsubAck, server), [0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91]);
    assert_eq!(
        bytes(PacketType::Disconnect, client),
        [0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99]
    );
    assert_eq!(
        bytes(PacketType::Disconnect, server),
        [
            0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94, 0x95,
            0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2
        ]
    );
    assert_eq!(bytes(PacketType::Auth, client), [0x18, 0x19]);
    assert_eq!(bytes(PacketType::Auth, server), [0x00, 0x18]);
    assert_eq!(bytes(PacketType::Publish, client), [0u8; 0]);
}

/// A client must be able to read why it is closed: in a CONNACK before it is accepted, in a DISCONNECT after.
#[test]
fn every_violation_can_be_told() {
    let before_connack =
        [Violation::ProtocolName, Violation::UnsupportedVersion, Violation::ClientIdNotValid];
    for &violation in Violation::ALL {
        let packet_type =
            if before_connack.contains(&violation) { PacketType::ConnAck } else { PacketType::Disconnect };
        let reason = violation.reason_code();
        assert!(reason.may_stand_in(packet_type, Sender::Server), "{violation:?}: {reason}");
        assert!(reason.is_error());
    }
}

#[test]
fn every_violation_has_a_name_of_its_own() {
    let mut seen = HashSet::new();
    for (index, &violation) in Violation::ALL.iter().enumerate() {
        assert_eq!(violation as usize, index);
        let name = violation.name();
        assert_eq!(name.replace('_', ""), format!("{violation:?}").to_lowercase());
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'));
        assert!(seen.insert(name) && seen.insert(violation.describe()));
        assert!(violation.describe().ends_with('.') && violation.to_string() == violation.describe());
    }
}
