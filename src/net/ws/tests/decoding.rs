//! Frames of clients, taken apart.

use proptest::collection::vec;
use proptest::prelude::*;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};

use super::super::{Code, Decoder, End};
use super::{Said, binary, decode, decode_whole, masked};

/// A client's message, cut into frames, with pings between them.
#[derive(Clone, Debug)]
struct Message {
    parts: Vec<Vec<u8>>,
    pings: Vec<Option<Vec<u8>>>,
    mask: [u8; 4],
}

fn message() -> impl Strategy<Value = Message> {
    let part = prop_oneof![
        vec(any::<u8>(), 0..20),
        vec(any::<u8>(), 120..130),
        vec(any::<u8>(), 300..400),
        Just(vec![7; 65_535]),
        Just(vec![9; 65_536]),
    ];
    let ping = proptest::option::of(vec(any::<u8>(), 0..=125));
    (vec(part, 1..5), vec(ping, 5), any::<[u8; 4]>()).prop_map(|(parts, pings, mask)| Message {
        parts,
        pings,
        mask,
    })
}

impl Message {
    /// As another implementation writes it.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (at, part) in self.parts.iter().enumerate() {
            if let Some(ping) = &self.pings[at] {
                bytes.extend(masked(Frame::ping(ping.clone()), self.mask));
                bytes.extend(masked(Frame::pong(b"nobody asked".to_vec()), self.mask));
            }
            let code = OpCode::Data(if at == 0 { Data::Binary } else { Data::Continue });
            let frame = Frame::message(part.clone(), code, at + 1 == self.parts.len());
            bytes.extend(masked(frame, self.mask));
        }
        bytes
    }

    fn last_ping(&self) -> Option<Vec<u8>> {
        self.pings[..self.parts.len()].iter().flatten().last().cloned()
    }
}

/// Cuts `bytes` at these places, which are taken modulo its length.
fn cut<'b>(bytes: &'b [u8], cuts: &[usize]) -> Vec<&'b [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_another_implementation_writes_is_read_however_it_is_cut(
        messages in vec(message(), 1..6),
        cuts in vec(any::<usize>(), 0..40),
    ) {
        let bytes: Vec<u8> = messages.iter().flat_map(Message::bytes).collect();
        let expected = Said {
            data: messages.iter().flat_map(|message| message.parts.concat()).collect(),
            ping: messages.iter().rev().find_map(Message::last_ping),
            end: None,
        };
        prop_assert_eq!(decode(&mut Decoder::new(1 << 20), cut(&bytes, &cuts)), expected);
    }
}

#[test]
fn a_byte_at_a_time_is_enough() {
    let long = vec![0xa5; 70_000];
    let bytes = [binary(b"abc"), binary(&long), masked(Frame::ping(b"?".to_vec()), [1, 2, 3, 4])].concat();
    let said = decode(&mut Decoder::new(1 << 20), bytes.chunks(1));
    assert_eq!(said, Said { data: [b"abc", &long[..]].concat(), ping: Some(b"?".to_vec()), end: None });
}

#[test]
fn one_frame_in_one_piece_is_unmasked_where_it_lies() {
    let mut bytes = binary(&[42; 100]);
    let place = bytes[6..].as_ptr();
    let decoded = Decoder::new(1 << 20).decode(&mut bytes).data.as_ptr();
    // It begins the piece or lies behind the header: it is at most as far from its place as that header is long.
    assert!(place as usize - decoded as usize <= 6);
}

/// How the decoder ends after these bytes, with all cuts tried.
fn end_of(bytes: &[u8]) -> Option<End> {
    let whole = decode_whole(bytes);
    for at in 0..bytes.len() {
        let (head, tail) = bytes.split_at(at);
        assert_eq!(decode(&mut Decoder::new(1 << 20), [head, tail]), whole, "cut at {at}");
    }
    whole.end
}

const MASK: [u8; 4] = [0, 0, 0, 0];

/// First byte, length byte, the rest of the header without the mask, payload.
fn raw(first: u8, length: u8, more: &[u8], payload: &[u8]) -> Vec<u8> {
    [&[first, length | 0x80][..], more, &MASK, payload].concat()
}

#[test]
fn broken_frames_end_with_the_code_of_their_kind() {
    let protocol = Some(End::Broken(Code::Protocol));
    for (why, bytes) in [
        ("not masked", vec![0x82, 2, 1, 2]),
        ("a reserved bit", raw(0xc2, 1, &[], b"x")),
        ("a reserved bit", raw(0xa2, 1, &[], b"x")),
        ("a reserved bit", raw(0x92, 1, &[], b"x")),
        ("a reserved data opcode", raw(0x83, 1, &[], b"x")),
        ("a reserved control opcode", raw(0x8b, 1, &[], b"x")),
        ("a control frame of 126", raw(0x89, 126, &[0, 126], &[0; 126])),
        ("a fragmented control frame", raw(0x09, 1, &[], b"x")),
        ("a fragmented close", raw(0x08, 2, &[], &1000u16.to_be_bytes())),
        ("16 bits for 125", raw(0x82, 126, &[0, 125], &[0; 125])),
        ("64 bits for 65,535", raw(0x82, 127, &65_535u64.to_be_bytes(), &[0; 100])),
        ("a length with its top bit", raw(0x82, 127, &(1u64 << 63).to_be_bytes(), &[])),
        ("a continuation of nothing", raw(0x80, 1, &[], b"x")),
        ("a message inside another", [raw(0x02, 1, &[], b"x"), raw(0x82, 1, &[], b"y")].concat()),
        ("a close of one byte", raw(0x88, 1, &[], b"x")),
        ("a close with a reserved code", raw(0x88, 2, &[], &1005u16.to_be_bytes())),
        ("a close with a code nobody has", raw(0x88, 2, &[], &999u16.to_be_bytes())),
    ] {
        assert_eq!(end_of(&bytes), protocol, "{why}");
    }
    assert_eq!(end_of(&raw(0x88, 3, &[], &[3, 0xe8, 0xff])), Some(End::Broken(Code::NotText)));
}

#[test]
fn mqtt_6_0_0_1_a_text_frame_ends_it_and_what_came_before_counts() {
    let bytes = [binary(b"before"), raw(0x81, 2, &[], b"hi"), binary(b"after")].concat();
    assert_eq!(end_of(&bytes), Some(End::Broken(Code::NotBinary)));
    assert_eq!(decode_whole(&bytes).data, b"before");
}

#[test]
fn a_close_ends_it_and_its_code_is_told() {
    let bytes = [binary(b"last"), raw(0x88, 5, &[], &[3, 0xe8, b'b', b'y', b'e']), binary(b"x")].concat();
    assert_eq!(end_of(&bytes), Some(End::Closed(Some(1000))));
    assert_eq!(decode_whole(&bytes).data, b"last");
    assert_eq!(end_of(&raw(0x88, 0, &[], &[])), Some(End::Closed(None)));
    assert_eq!(end_of(&raw(0x88, 2, &[], &4999u16.to_be_bytes())), Some(End::Closed(Some(4999))));
}

#[test]
fn a_close_and_a_ping_may_come_inside_a_message() {
    let ping = masked(Frame::ping(b"p".to_vec()), [9; 4]);
    let close = masked(Frame::close(None), [9; 4]);
    let bytes = [raw(0x02, 1, &[], b"x"), ping, raw(0x00, 1, &[], b"y"), close].concat();
    assert_eq!(
        decode_whole(&bytes),
        Said { data: b"xy".to_vec(), ping: Some(b"p".to_vec()), end: Some(End::Closed(None)) }
    );
}

#[test]
fn a_message_larger_than_is_taken_ends_it_before_its_payload() {
    let said = |bytes: &[u8]| decode(&mut Decoder::new(10), [bytes]);
    assert_eq!(said(&binary(&[1; 10])).end, None);
    assert_eq!(said(&binary(&[1; 11])), Said { end: Some(End::Broken(Code::TooBig)), ..Said::default() });
    let endless = raw(0x82, 127, &(u64::MAX >> 1).to_be_bytes(), &[]);
    assert_eq!(said(&endless).end, Some(End::Broken(Code::TooBig)));
    // All fragments together, and the next message begins anew.
    let parts = [raw(0x02, 6, &[], &[1; 6]), raw(0x80, 4, &[], &[2; 4]), binary(&[3; 10])].concat();
    assert_eq!(said(&parts).end, None);
    let parts = [raw(0x02, 6, &[], &[1; 6]), raw(0x00, 5, &[], &[2; 5])].concat();
    assert_eq!(said(&parts).end, Some(End::Broken(Code::TooBig)));
}
