//! What goes out, read by another implementation.

use std::io::Cursor;

use proptest::collection::vec;
use proptest::prelude::*;
use tungstenite::Message;
use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};

use super::super::{Code, End, Framing, PacketsPerFrame, lay_out};

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
    fn new(framing: &Framing) -> Output {
        let head = usize::from(framing.headroom());
        Output { buffer: vec![0; head], head }
    }

    fn waiting(&self) -> usize {
        self.buffer.len() - self.head
    }

    fn prepend(&mut self, header: &[u8]) {
        let start = self.head.checked_sub(header.len()).expect("there is room");
        self.buffer[start..self.head].copy_from_slice(header);
        self.head = start;
    }

    fn bytes(&self) -> &[u8] {
        &self.buffer[self.head..]
    }

    fn make_room(&mut self, bytes: usize) -> &mut [u8] {
        self.head = self.head.checked_sub(bytes).expect("there is room");
        &mut self.buffer[self.head..]
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

/// What the driver does.
fn offer(framing: &mut Framing, output: &mut Output) -> usize {
    match framing.packets() {
        PacketsPerFrame::Many => framing.offer(output.waiting(), |header| output.prepend(header)),
        PacketsPerFrame::One => {
            let headers = framing.announce(output.bytes());
            if headers > 0 {
                lay_out(output.make_room(headers), headers);
            }
            framing.announced()
        }
    }
}

fn one_packet() -> Framing {
    let mut framing = Framing::default();
    framing.hold(PacketsPerFrame::One);
    framing
}

/// A packet of MQTT with this behind its header.
fn packet(body: &[u8]) -> Vec<u8> {
    let (mut bytes, mut left) = (vec![0x30], body.len());
    while left >= 0x80 {
        bytes.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    bytes.push(left as u8);
    bytes.extend_from_slice(body);
    bytes
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
    let offered = offer(framing, output);
    let taken = offered.min(room - taken);
    wire.extend_from_slice(&output.buffer[output.head..output.head + taken]);
    output.head += taken;
    framing.sent(taken);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_socket_takes_the_client_reads_whole_frames(
        steps in vec(step(), 1..60),
        packets in prop_oneof![Just(PacketsPerFrame::Many), Just(PacketsPerFrame::One)],
    ) {
        let mut framing = Framing::default();
        framing.hold(packets);
        let (mut output, mut wire) = (Output::new(&framing), Vec::new());
        let (mut data, mut pings) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Append(bytes) => {
                    let packet = packet(&bytes);
                    output.buffer.extend_from_slice(&packet);
                    data.push(packet);
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
        let mut frames = Vec::new();
        let mut pongs = Vec::new();
        for message in read(wire) {
            match message {
                Message::Binary(bytes) => frames.push(bytes.to_vec()),
                Message::Pong(payload) => pongs.push(payload.to_vec()),
                other => panic!("{other:?}"),
            }
        }
        match packets {
            PacketsPerFrame::Many => prop_assert_eq!(frames.concat(), data.concat()),
            PacketsPerFrame::One => prop_assert_eq!(frames, data),
        }
        // Some pings stay without an answer of their own, the last one never.
        prop_assert_eq!(pongs.last(), pings.last());
        let mut left = pings.iter();
        prop_assert!(pongs.iter().all(|pong| left.any(|ping| ping == pong)));
    }
}

#[test]
fn every_length_of_a_frame_is_written_the_shortest_way() {
    for (payload, header) in [(1, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10), (1 << 20, 10)] {
        let mut framing = Framing::default();
        let mut output = Output::new(&framing);
        output.buffer.resize(output.head + payload, 5);
        let offered = framing.offer(payload, |bytes| output.prepend(bytes));
        assert_eq!(offered, payload + header);
        let bytes = output.buffer[output.head..].to_vec();
        assert_eq!(bytes.len(), offered);
        assert_eq!(read(bytes), [Message::Binary(vec![5; payload].into())]);
    }
}

#[test]
fn packets_get_frames_of_their_own_as_many_as_there_is_room_for_headers() {
    // The packets that wait, and how many go out in the first send.
    for (bodies, first) in [
        (vec![1], 1),
        (vec![0, 1, 123, 124, 65_000], 5),
        (vec![3; 1_000], 125),
        (vec![200; 1_000], 62),
        // Who does not move costs nothing, whatever its length; who does is to be small.
        (vec![2 << 20, 3], 1),
        (vec![3, 2 << 20], 1),
        (vec![30_000; 5], 2),
    ] {
        let packets: Vec<Vec<u8>> = bodies.iter().map(|length| packet(&vec![7; *length])).collect();
        let mut framing = one_packet();
        let mut output = Output::new(&framing);
        output.buffer.extend(packets.concat());
        let mut frames = Vec::new();
        for send in 0.. {
            let offered = offer(&mut framing, &mut output);
            if offered == 0 {
                break;
            }
            // What is announced stays as it is, whatever else comes.
            assert_eq!(framing.announce(output.bytes()), 0);
            frames.extend(read(output.bytes()[..offered].to_vec()));
            output.head += offered;
            framing.sent(offered);
            assert!(send > 0 || frames.len() == first, "{bodies:?}: {} in the first", frames.len());
        }
        assert!(frames == packets.into_iter().map(|bytes| Message::Binary(bytes.into())).collect::<Vec<_>>());
    }
}

#[test]
fn bytes_that_are_no_packet_are_one_frame() {
    for bytes in [&[0x30][..], &[0x30, 9, 1], &[0x30, 0xff, 0xff, 0xff, 0xff, 1, 2]] {
        let mut framing = one_packet();
        let mut output = Output::new(&framing);
        output.buffer.extend(bytes);
        assert_eq!(offer(&mut framing, &mut output), 2 + bytes.len());
        assert_eq!(output.bytes(), [&[0x82, bytes.len() as u8][..], bytes].concat());
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
    let mut framing = Framing::default();
    let mut output = Output::new(&framing);
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
