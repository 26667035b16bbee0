//! decode(encode(x)) = x for arbitrary packets of every version and side, and what follows from it.

use proptest::prelude::*;

use super::mqtt::connect::{ClientIdPeek, answer_version, peek_client_id};
use super::mqtt::publish::Header;
use super::mqtt::{Packet, Sender, Version, Violation, decode, frame};
use super::sample::{Parts, Tape};
use super::{decode_one, encode};

pub(super) fn version() -> impl Strategy<Value = Version> {
    prop_oneof![Just(Version::V3_1), Just(Version::V3_1_1), Just(Version::V5), Just(Version::V5)]
}

pub(super) fn sender() -> impl Strategy<Value = Sender> {
    prop_oneof![Just(Sender::Client), Just(Sender::Server)]
}

pub(super) fn tape() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..400)
}

/// A valid packet as bytes.
pub(super) fn valid_bytes(version: Version, sender: Sender, tape: &[u8]) -> Vec<u8> {
    let mut tape = Tape::new(tape);
    let parts = Parts::new(&mut tape, version, sender);
    encode(version, &parts.packet(&mut tape))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_encoded_is_decoded(version in version(), sender in sender(), tape in tape()) {
        let mut tape = Tape::new(&tape);
        let parts = Parts::new(&mut tape, version, sender);
        let packet = parts.packet(&mut tape);
        let bytes = encode(version, &packet);
        let decoded = decode_one(version, sender, &bytes);
        prop_assert_eq!(decoded.as_ref(), Ok(&packet));
        // And once more: equal values are written as equal bytes.
        prop_assert_eq!(encode(version, &packet), encode(version, &decoded.expect("just compared")));
    }

    #[test]
    fn a_packet_cut_anywhere_is_incomplete_or_refused(
        version in version(), sender in sender(), tape in tape(),
    ) {
        let bytes = valid_bytes(version, sender, &tape);
        let whole = frame::split(&bytes, usize::MAX).expect("valid").expect("complete");
        prop_assert_eq!(whole.len, bytes.len());
        for end in 0..bytes.len() {
            match frame::split(&bytes[..end], usize::MAX).expect("the beginning of a valid packet") {
                None => prop_assert!(end < whole.header_len),
                Some(frame) => {
                    prop_assert_eq!(frame, whole);
                    prop_assert_eq!(
                        decode(version, sender, frame, &bytes[..end]), Err(Violation::Truncated)
                    );
                }
            }
        }
    }

    /// The remaining length says less than the packet has: the body is cut, and no field may be taken from
    /// beyond it. Where the last field takes what there is (payload, reason codes, optional parts) it decodes.
    #[test]
    fn a_body_cut_anywhere_never_reads_on(version in version(), sender in sender(), tape in tape()) {
        let bytes = valid_bytes(version, sender, &tape);
        let header_len = frame::split(&bytes, usize::MAX).expect("valid").expect("complete").header_len;
        for end in header_len..bytes.len() {
            let cut = frame::Frame { first: bytes[0], header_len, len: end };
            if let Ok(packet) = decode(version, sender, cut, &bytes[..end]) {
                prop_assert!(encode(version, &packet).len() <= bytes.len());
            }
        }
    }

    #[test]
    fn a_byte_too_many_is_refused(version in version(), sender in sender(), tape in tape()) {
        let mut bytes = valid_bytes(version, sender, &tape);
        let frame = frame::split(&bytes, usize::MAX).expect("valid").expect("complete");
        bytes.push(0);
        prop_assert_eq!(decode(version, sender, frame, &bytes), Err(Violation::TrailingBytes));
    }

    #[test]
    fn packets_in_a_row_are_split_where_they_end(
        version in version(), sender in sender(), tapes in proptest::collection::vec(tape(), 1..5),
    ) {
        let packets: Vec<_> = tapes.iter().map(|tape| valid_bytes(version, sender, tape)).collect();
        let stream = packets.concat();
        let mut rest = &stream[..];
        for packet in &packets {
            let frame = frame::split(rest, usize::MAX).expect("valid").expect("complete");
            prop_assert_eq!(&rest[..frame.len], &packet[..]);
            prop_assert!(decode(version, sender, frame, &rest[..frame.len]).is_ok());
            rest = &rest[frame.len..];
        }
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn a_header_knows_its_length_and_its_packet_id(
        version in version(), sender in sender(), tape in tape(), id in 1..=u16::MAX,
    ) {
        let mut tape = Tape::new(&tape);
        let parts = Parts::new(&mut tape, version, sender);
        let Packet::Publish(publish) = parts.packet(&mut tape) else { return Ok(()) };
        let mut passed_on = Vec::new();
        publish.properties.append_passed_on(&mut passed_on);
        let header = Header {
            dup: publish.dup,
            qos: publish.qos,
            retain: publish.retain,
            topic: publish.topic,
            packet_id: publish.packet_id,
            message_expiry_secs: publish.properties.message_expiry_secs,
            subscription_ids: &publish.properties.subscription_ids,
            topic_alias: publish.properties.topic_alias,
            passed_on: &passed_on,
        };
        let mut bytes = vec![0xFF; 3];
        let id_offset = header.encode(version, publish.payload, &mut bytes);
        let bytes = &mut bytes[3..];
        prop_assert_eq!(bytes.len(), header.encoded_len(version, publish.payload.len()));
        prop_assert_eq!(id_offset.is_some(), publish.packet_id.is_some());
        let Some(at) = id_offset else { return Ok(()) };
        bytes[at..at + 2].copy_from_slice(&id.to_be_bytes());
        let patched = decode_one(version, sender, bytes).expect("valid");
        let expected = mqtt_publish_with_id(publish.clone(), id);
        prop_assert_eq!(patched, Packet::Publish(expected));
    }

    #[test]
    fn the_peek_finds_the_client_identifier(version in version(), tape in tape(), cut in any::<usize>()) {
        let mut tape = Tape::new(&tape);
        let parts = Parts::new(&mut tape, version, Sender::Client);
        let Packet::Connect(connect) = parts.packet(&mut tape) else { return Ok(()) };
        let mut bytes = encode(version, &Packet::Connect(connect.clone()));
        let len = bytes.len();
        let cut = cut % len;
        prop_assert_eq!(peek_client_id(&bytes[..cut], len), ClientIdPeek::Incomplete);
        prop_assert_eq!(peek_client_id(&bytes, len - 1), ClientIdPeek::Hopeless);
        bytes.extend(b"what follows");
        prop_assert_eq!(peek_client_id(&bytes, len), ClientIdPeek::ClientId(connect.client_id));
        prop_assert_eq!(answer_version(&bytes), Some(version));
    }
}

fn mqtt_publish_with_id(
    publish: super::mqtt::publish::Publish<'_>,
    number: u16,
) -> super::mqtt::publish::Publish<'_> {
    super::mqtt::publish::Publish { packet_id: Some(super::id(number)), ..publish }
}
