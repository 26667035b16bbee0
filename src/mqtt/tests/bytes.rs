//! Any byte string decodes or is refused: frames and packets apart, arbitrary and nearly valid.

use proptest::prelude::*;

use super::mqtt::connect::{answer_version, peek_client_id};
use super::mqtt::frame::{self, Frame};
use super::mqtt::{Packet, PacketType, Sender, Version, Violation, decode, publish, topic};
use super::round_trip::{sender, tape, valid_bytes, version};
use super::{decode_one, encode};

const VERSIONS: [Version; 3] = [Version::V3_1, Version::V3_1_1, Version::V5];
const SENDERS: [Sender; 2] = [Sender::Client, Sender::Server];

/// Decodes a body as every type, version and side; what decodes can be written and read again.
fn throw(first: u8, body: &[u8]) -> Result<(), TestCaseError> {
    let mut bytes = vec![first, 0];
    bytes.extend(body);
    let frame = Frame { first, header_len: 2, len: bytes.len() };
    for version in VERSIONS {
        for sender in SENDERS {
            if let Ok(packet) = decode(version, sender, frame, &bytes) {
                let again = encode(version, &packet);
                prop_assert_eq!(decode_one(version, sender, &again), Ok(packet));
            }
        }
        let _ = publish::decode(version, first, body);
    }
    Ok(())
}

/// A first byte with the right flags more often than not.
fn first_byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        any::<u8>(),
        (1u8..16).prop_map(|number| PacketType::of(number << 4).expect("a type").first_byte()),
        0x30u8..0x40,
    ]
}

/// What is done to a valid packet.
#[derive(Clone, Debug)]
enum Mutation {
    Flip(usize, u8),
    Set(usize, u8),
    Insert(usize, u8),
    Remove(usize),
    Truncate(usize),
    Double(usize, usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<usize>();
    prop_oneof![
        (at, 0u8..8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        (at, any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        (at, any::<u8>()).prop_map(|(at, byte)| Mutation::Insert(at, byte)),
        at.prop_map(Mutation::Remove),
        at.prop_map(Mutation::Truncate),
        (at, at).prop_map(|(from, to)| Mutation::Double(from, to)),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    let len = bytes.len().max(1);
    if bytes.is_empty() {
        bytes.push(0);
    }
    match *mutation {
        Mutation::Flip(at, bit) => bytes[at % len] ^= 1 << bit,
        Mutation::Set(at, byte) => bytes[at % len] = byte,
        Mutation::Insert(at, byte) => bytes.insert(at % len, byte),
        Mutation::Remove(at) => {
            bytes.remove(at % len);
        }
        Mutation::Truncate(at) => bytes.truncate(at % len),
        Mutation::Double(from, to) => {
            let (from, to) = (from % len, to % len);
            let part = bytes[from.min(to)..from.max(to)].to_vec();
            bytes.extend(part);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_a_frame_or_none_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..12), maximum in 0usize..400_000_000,
    ) {
        match frame::split(&bytes, maximum) {
            Ok(None) => prop_assert!(bytes.len() < 5),
            Ok(Some(frame)) => {
                prop_assert!((2..=5).contains(&frame.header_len));
                prop_assert!(frame.header_len <= frame.len && frame.len <= maximum);
                prop_assert_eq!(frame.first, bytes[0]);
                // Whether a packet is too large depends on its length alone.
                prop_assert_eq!(frame::split(&bytes, frame.len), Ok(Some(frame)));
                prop_assert_eq!(frame::split(&bytes, frame.len - 1), Err(Violation::PacketTooLarge));
            }
            Err(violation) => {
                prop_assert!(matches!(violation, Violation::PacketTooLarge | Violation::RemainingLength));
            }
        }
    }

    #[test]
    fn any_body_decodes_or_is_refused(
        first in first_byte(), body in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        throw(first, &body)?;
    }

    /// Small numbers make lengths that fit and properties that exist.
    #[test]
    fn any_body_of_small_bytes_decodes_or_is_refused(
        first in first_byte(), body in proptest::collection::vec(0u8..0x30, 0..48),
    ) {
        throw(first, &body)?;
    }

    #[test]
    fn a_mutated_packet_decodes_or_is_refused(
        version in version(),
        sender in sender(),
        tape in tape(),
        mutations in proptest::collection::vec(mutation(), 1..4),
    ) {
        let bytes = valid_bytes(version, sender, &tape);
        let header_len = frame::split(&bytes, usize::MAX).expect("valid").expect("complete").header_len;
        let mut body = bytes[header_len..].to_vec();
        for mutation in &mutations {
            mutate(&mut body, mutation);
        }
        throw(bytes[0], &body)?;
        // And with its own remaining length, that no longer fits.
        let mut bytes = bytes;
        for mutation in &mutations {
            mutate(&mut bytes, mutation);
        }
        if let Ok(Some(frame)) = frame::split(&bytes, usize::MAX)
            && let Some(packet) = bytes.get(..frame.len)
            && let Ok(packet) = decode(version, sender, frame, packet)
        {
            let again = encode(version, &packet);
            prop_assert_eq!(decode_one(version, sender, &again), Ok(packet));
        }
    }

    #[test]
    fn the_peek_and_the_decoder_agree(
        tape in tape(), version in version(), mutations in proptest::collection::vec(mutation(), 0..3),
    ) {
        let mut bytes = valid_bytes(version, Sender::Client, &tape);
        for mutation in &mutations {
            mutate(&mut bytes, mutation);
        }
        let peeked = peek_client_id(&bytes, 1 << 16);
        let _ = answer_version(&bytes);
        let Ok(Some(frame)) = frame::split(&bytes, 1 << 16) else { return Ok(()) };
        let Some(packet) = bytes.get(..frame.len) else { return Ok(()) };
        if let Ok(Packet::Connect(connect)) = decode(version, Sender::Client, frame, packet) {
            prop_assert_eq!(peeked, super::mqtt::connect::ClientIdPeek::ClientId(connect.client_id));
        }
    }

    #[test]
    fn any_two_strings_match_or_do_not(filter in "[a#+/$]{0,12}", name in "[a/$]{0,12}") {
        let _ = topic::parse_shared(&filter);
        let _ = topic::level_count(&filter);
        let matched = topic::matches(&filter, &name);
        if topic::check_name(&name).is_ok() && topic::is_valid_filter(&filter) {
            prop_assert_eq!(matched, matches_by_levels(&filter, &name));
        }
    }
}

/// The definition, level by level, as slow as can be.
fn matches_by_levels(filter: &str, name: &str) -> bool {
    fn rest(filter: &[&str], name: &[&str]) -> bool {
        match (filter.split_first(), name.split_first()) {
            (None, None) | (Some((&"#", _)), _) => true,
            (Some((&level, filter)), Some((&word, name))) => {
                (level == "+" || level == word) && rest(filter, name)
            }
            _ => false,
        }
    }
    let levels: Vec<_> = filter.split('/').collect();
    let words: Vec<_> = name.split('/').collect();
    let starts_wild = levels[0] == "#" || levels[0] == "+";
    !(starts_wild && name.starts_with('$')) && rest(&levels, &words)
}
