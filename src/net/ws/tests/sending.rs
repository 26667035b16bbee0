//! What goes out, read by another implementation.

use std::io::Cursor;

use proptest::collection::vec;
use proptest::prelude::*;
use tungstenite::Message;
use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};

use super::super::{Code, End, Framing, HEADROOM};

/// What a client reads: messages, until there are no more bytes.
fn read(bytes: Vec<u8>) -> Vec<Message> {
    let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
    let mut socket = WebSocket::from_raw_socket(ReadOnly(Cursor::new(bytes)), Role::Client, Some(config));
    let mut messages = Vec::new();
    loop {
        match socket.read() {
            Ok(message) => messages.push(message),
            Err(tungstenite::Error::Io(_) | tungstenite::Error::ConnectionClosed) => return messages,
            Err(error) => panic!("after {messages:?}: {error}"),
        }
    }
}

/// The bytes of one side. What the reader answers is of no interest.
struct ReadOnly(Cursor<Vec<u8>>);

impl std::io::Read for ReadOnly {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        match self.0.read(buf)? {
            0 => Err(std::io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl std::io::Write for ReadOnly {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// An output buffer with room in front, as the shard keeps one.
struct Output {
    buffer: Vec<u8>,
    head: usize,
}

impl Output {
    fn new() -> Output {
        Output { buffer: vec![0; HEADROOM], head: HEADROOM }
    }

    fn waiting(&self) -> usize {
        self.buffer.len() - self.head
    }

    fn prepend(&mut self, header: &[u8]) {
        let start = self.head.checked_sub(header.len()).expect("there is room");
        self.buffer[start..self.head].copy_from_slice(header);
        self.head = start;
    }
}

/// What may happen to a connection's output.
#[derive(Clone, Debug)]
enum Step {
    Append(Vec<u8>),
    Ping(Vec<u8>),
    /// The socket takes so many bytes at most.
    Flush(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => vec(any::<u8>(), 1..200).prop_map(Step::Append),
        1 => Just(Step::Append(vec![3; 70_000])),
        1 => vec(any::<u8>(), 0..=125).prop_map(Step::Ping),
        4 => prop_oneof![0..8usize, 8..300usize, Just(40_000)].prop_map(Step::Flush),
    ]
}

/// One flush: WebSocket's own bytes first, then a frame's.
fn flush(framing: &mut Framing, output: &mut Output, wire: &mut Vec<u8>, room: usize) {
    let own = framing.offer_own();
    let taken = own.len().min(room);
    wire.extend_from_slice(&own[..taken]);
    if !own.is_empty() {
        framing.own_sent(taken);
    }
    if framing.is_mid_own() {
        return;
    }
    let waiting = output.waiting();
    let offered = framing.offer(waiting, |header| output.prepend(header));
    let taken = offered.min(room - taken);
    wire.extend_from_slice(&output.buffer[output.head..output.head + taken]);
    output.head += taken;
    framing.sent(taken);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_socket_takes_the_client_reads_whole_frames(steps in vec(step(), 1..60)) {
        let (mut framing, mut output, mut wire) = (Framing::default(), Output::new(), Vec::new());
        let (mut data, mut pings) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Append(bytes) => {
                    output.buffer.extend_from_slice(&bytes);
                    data.extend(bytes);
                }
                Step::Ping(payload) => {
                    pings.push(payload.clone());
                    framing.pong(payload);
                }
                Step::Flush(room) => flush(&mut framing, &mut output, &mut wire, room),
            }
        }
        while output.waiting() > 0 || framing.has_own() {
            flush(&mut framing, &mut output, &mut wire, usize::MAX);
        }
        let mut read_data = Vec::new();
        let mut pongs = Vec::new();
        for message in read(wire) {
            match message {
                Message::Binary(bytes) => read_data.extend_from_slice(&bytes),
                Message::Pong(payload) => pongs.push(payload.to_vec()),
                other => panic!("{other:?}"),
            }
        }
        prop_assert_eq!(read_data, data);
        // Some pings stay without an answer of their own, the last one never.
        prop_assert_eq!(pongs.last(), pings.last());
        let mut left = pings.iter();
        prop_assert!(pongs.iter().all(|pong| left.any(|ping| ping == pong)));
    }
}

#[test]
fn every_length_of_a_frame_is_written_the_shortest_way() {
    for (payload, header) in [(1, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10), (1 << 20, 10)] {
        let (mut framing, mut output) = (Framing::default(), Output::new());
        output.buffer.resize(HEADROOM + payload, 5);
        let offered = framing.offer(payload, |bytes| output.prepend(bytes));
        assert_eq!(offered, payload + header);
        let bytes = output.buffer[output.head..].to_vec();
        assert_eq!(bytes.len(), offered);
        assert_eq!(read(bytes), [Message::Binary(vec![5; payload].into())]);
    }
}

#[test]
fn a_flood_of_pings_costs_one_answer() {
    let mut framing = Framing::default();
    for number in 0..100_000u32 {
        framing.pong(number.to_be_bytes().to_vec());
    }
    assert_eq!(framing.offer_own(), [&[0x8a, 4][..], &99_999u32.to_be_bytes()].concat());
    framing.own_sent(2);
    framing.pong(vec![1]);
    framing.pong(vec![2]);
    assert_eq!(framing.offer_own().len(), 4, "what was begun is finished first");
    framing.own_sent(4);
    assert_eq!(framing.offer_own(), [0x8a, 1, 2]);
    framing.own_sent(3);
    assert!(!framing.has_own());
}

#[test]
fn nothing_comes_between_the_parts_of_a_frame() {
    let (mut framing, mut output) = (Framing::default(), Output::new());
    output.buffer.extend([1; 50]);
    assert_eq!(framing.offer(50, |header| output.prepend(header)), 52);
    framing.sent(10);
    framing.pong(vec![9]);
    assert!(framing.offer_own().is_empty());
    // What is appended meanwhile belongs to the next frame.
    assert_eq!(framing.offer(142, |_| panic!("this frame was announced")), 42);
    framing.sent(42);
    assert_eq!(framing.offer_own(), [0x8a, 1, 9]);
}

#[test]
fn a_close_answers_with_the_code_that_came() {
    for (end, bytes) in [
        (End::Closed(None), &[0x88, 0][..]),
        (End::Closed(Some(3000)), &[0x88, 2, 0x0b, 0xb8]),
        (End::Broken(Code::TooBig), &[0x88, 2, 0x03, 0xf1]),
        (End::Broken(Code::NotBinary), &[0x88, 2, 0x03, 0xeb]),
    ] {
        let mut framing = Framing::default();
        framing.pong(b"never mind".to_vec());
        framing.close_after(end);
        assert_eq!(framing.offer_own(), bytes);
    }
}
