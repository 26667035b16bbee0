//! 6 WebSocket as a network transport, against the real binary: handshakes and frames as bytes.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::sockets::Process;
use crate::wire::{
    Connect, DISCONNECT, PINGREQ, PUBACK, Packet, Publish, V3, V5, Version, Will, ack, subscribe,
};

const BINARY: u8 = 0x82;
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8A;
/// Without the bit that says that this is the last frame of its message.
const MORE: u8 = 0x7F;
const CONTINUATION: u8 = 0x80;

/// The key of RFC 6455, 1.3, and what it comes to.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A client's end.
struct WebSocket {
    stream: TcpStream,
    /// MQTT that has come and is not taken.
    mqtt: Vec<u8>,
}

/// The answer to a handshake: its lines.
fn shake(broker: &Process, target: &str, protocols: Option<&str>) -> (TcpStream, Vec<String>) {
    let mut stream = broker.client().stream;
    let protocols = protocols.map(|names| format!("Sec-WebSocket-Protocol: {names}\r\n")).unwrap_or_default();
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{protocols}\r\n",
        broker.address
    );
    stream.write_all(request.as_bytes()).expect("the broker takes it");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("the broker answers");
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("headers are ASCII");
    (stream, head.trim_end().split("\r\n").map(str::to_owned).collect())
}

impl WebSocket {
    fn open(broker: &Process) -> WebSocket {
        let (stream, answer) = shake(broker, "/mqtt", Some("mqtt"));
        assert_eq!(answer[0], "HTTP/1.1 101 Switching Protocols", "{answer:?}");
        WebSocket { stream, mqtt: Vec::new() }
    }

    fn connect(broker: &Process, connect: &Connect) -> WebSocket {
        let mut socket = WebSocket::open(broker);
        socket.send(&connect.bytes());
        let connack = socket.packet();
        assert_eq!((connack.first, connack.reason()), (0x20, 0), "{connack:?}");
        socket
    }

    fn subscriber(broker: &Process, version: Version, id: &str, filter: &str) -> WebSocket {
        let mut socket = WebSocket::connect(broker, &Connect::new(version, id));
        socket.send(&subscribe(version, 7, &[(filter, 1)]));
        assert_eq!(socket.packet().codes(version), [1]);
        socket
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the broker takes it");
    }

    /// One binary message of one frame.
    fn send(&mut self, payload: &[u8]) {
        self.raw(&frame(BINARY, payload));
    }

    fn fill(&mut self, bytes: &mut [u8]) -> bool {
        let mut filled = 0;
        while filled < bytes.len() {
            match self.stream.read(&mut bytes[filled..]).expect("an end in order") {
                0 => {
                    assert_eq!(filled, 0, "the broker sends whole frames");
                    return false;
                }
                some => filled += some,
            }
        }
        true
    }

    /// The next frame, which must not be masked; `None` at the end.
    fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        if !self.fill(&mut head) {
            return None;
        }
        assert_eq!(head[1] & 0x80, 0, "a server does not mask");
        let extended = match head[1] {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mut length = vec![0; extended];
        assert!(self.fill(&mut length), "a whole header");
        let length = match extended {
            0 => usize::from(head[1]),
            _ => length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
        };
        let mut payload = vec![0; length];
        assert!(self.fill(&mut payload), "a whole payload");
        Some((head[0], payload))
    }

    /// The next packet of MQTT; nothing but binary frames brings one.
    #[track_caller]
    fn packet(&mut self) -> Packet {
        loop {
            if let Some(packet) = Packet::take(&mut self.mqtt) {
                return packet;
            }
            let (first, payload) = self.frame().expect("the broker has closed");
            assert!(matches!(first, BINARY | 0x02 | CONTINUATION | 0x00), "{first:#04X} {payload:02X?}");
            self.mqtt.extend(payload);
        }
    }

    /// The broker closes with one of these codes and says nothing else but perhaps a goodbye of MQTT.
    #[track_caller]
    fn expect_close(mut self, codes: &[u16]) {
        let mut closed = None;
        while let Some((first, payload)) = self.frame() {
            match first {
                BINARY => assert!(matches!(payload[0], 0x20 | 0xE0), "{payload:02X?}"),
                CLOSE => closed = Some(u16::from_be_bytes([payload[0], payload[1]])),
                _ => panic!("{first:#04X} {payload:02X?}"),
            }
        }
        let code = closed.expect("a Close frame comes before the end");
        assert!(codes.contains(&code), "{code}");
    }
}

/// A client's frame: this first byte, masked.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..126 => bytes.push(0x80 | short as u8),
        middle @ 126..65_536 => {
            bytes.push(0x80 | 126);
            bytes.extend((middle as u16).to_be_bytes());
        }
        long => {
            bytes.push(0x80 | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ MASK[at % 4]));
    bytes
}

fn only_binary_frames(version: Version) {
    let broker = Process::start_websocket();
    let mut listener = WebSocket::subscriber(&broker, version, "listener", "#");
    let publish = Publish::new("a/b", b"payload").bytes(version);
    // Text, before the CONNECT and after it; what is only MQTT and what is UTF-8 as well.
    let mut early = WebSocket::open(&broker);
    early.raw(&frame(TEXT, &Connect::new(version, "early").bytes()));
    early.expect_close(&[1003]);
    for first in [TEXT, TEXT & MORE] {
        let will = Will::new("will", b"gone");
        let mut client = WebSocket::connect(&broker, &Connect::new(version, "client").will(will));
        client.raw(&frame(first, &publish));
        client.expect_close(&[1003]);
        // As if the connection had failed; and nothing of what came so was taken.
        assert_eq!(listener.packet().publish(version).topic, "will");
    }
    // Frames that are not allowed at all: reserved kinds and bits, an unmasked one, one that continues nothing.
    let unmasked = [&[BINARY, publish.len() as u8][..], &publish].concat();
    let wrong = [
        frame(0x83, &publish),
        frame(0x8B, b""),
        frame(0xC2, &publish),
        frame(0x92, &publish),
        unmasked,
        frame(CONTINUATION, &publish),
        [frame(BINARY & MORE, &publish[..2]), frame(BINARY, &publish[2..])].concat(),
        frame(PING & MORE, b""),
        frame(PING, &[b'x'; 126]),
    ];
    for bytes in wrong {
        println!("{bytes:02X?}");
        let mut client = WebSocket::connect(&broker, &Connect::new(version, "client"));
        client.raw(&bytes);
        client.expect_close(&[1002]);
    }
    listener.send(&PINGREQ);
    assert_eq!(listener.packet().first, 0xD0, "and nothing of it was published");
}

#[test]
fn v5_6_0_0_1_packets_come_in_binary_frames_and_another_kind_closes() {
    only_binary_frames(V5);
}

#[test]
fn v3_6_0_0_1_packets_come_in_binary_frames_and_another_kind_closes() {
    only_binary_frames(V3);
}

/// What a client sends, in frames that are cut in any way, comes to the same.
fn packets_and_frames_are_not_aligned(version: Version) {
    let broker = Process::start_websocket();
    let long = Publish::new("a/b", &[b'l'; 300]).qos(1, 8);
    let stream = [
        Connect::new(version, "client").bytes(),
        subscribe(version, 7, &[("a/b", 1)]),
        Publish::new("a/b", b"short").qos(1, 7).bytes(version),
        long.bytes(version),
    ]
    .concat();
    let pings = [frame(PING, b"?"), frame(PONG, b"")].concat();
    let whole: Vec<Vec<u8>> = vec![frame(BINARY, &stream)];
    let bytes: Vec<Vec<u8>> = stream.chunks(1).map(|byte| frame(BINARY, byte)).collect();
    let mut empty: Vec<Vec<u8>> = stream.chunks(50).map(|some| frame(BINARY, some)).collect();
    empty.insert(1, frame(BINARY, b""));
    // One message of many fragments, with control frames in between.
    let mut fragments = vec![frame(BINARY & MORE, &stream[..1]), pings.clone()];
    for some in stream[1..].chunks(7) {
        fragments.extend([frame(0, some), pings.clone()]);
    }
    fragments.push(frame(CONTINUATION, b""));
    let mut ways = vec![whole, bytes, empty, fragments];
    for cut in (1..stream.len()).step_by(5) {
        ways.push(vec![frame(BINARY, &stream[..cut]), frame(BINARY, &stream[cut..])]);
        ways.push(vec![frame(BINARY & MORE, &stream[..cut]), frame(CONTINUATION, &stream[cut..])]);
    }
    for frames in ways {
        let mut client = WebSocket::open(&broker);
        client.raw(&frames.concat());
        assert_eq!(client_packets(&mut client, version), ["short".to_owned(), "l".repeat(300)]);
        client.send(&DISCONNECT);
    }
    // And how TCP cuts the frames is nobody's concern either.
    let mut client = WebSocket::open(&broker);
    for byte in frame(BINARY, &stream).chunks(1) {
        client.raw(byte);
    }
    assert_eq!(client_packets(&mut client, version).len(), 2);
}

/// CONNACK, SUBACK, two PUBACKs and two messages, whose payloads are returned; pongs in between.
fn client_packets(client: &mut WebSocket, version: Version) -> Vec<String> {
    let (mut payloads, mut answers) = (Vec::new(), Vec::new());
    while payloads.len() < 2 || answers.len() < 4 {
        let Some(packet) = Packet::take(&mut client.mqtt) else {
            match client.frame().expect("the broker has closed") {
                (BINARY, payload) => client.mqtt.extend(payload),
                (PONG, payload) => assert_eq!(payload, b"?"),
                (first, payload) => panic!("{first:#04X} {payload:02X?}"),
            }
            continue;
        };
        if packet.first >> 4 == 3 {
            let came = packet.publish(version);
            payloads.push(String::from_utf8(came.payload).expect("it was text"));
        } else {
            answers.push(packet.first);
        }
    }
    answers.sort_unstable();
    assert_eq!(answers, [0x20, PUBACK, PUBACK, 0x90]);
    payloads
}

#[test]
fn v5_6_0_0_2_packets_span_and_share_frames() {
    packets_and_frames_are_not_aligned(V5);
}

#[test]
fn v3_6_0_0_2_packets_span_and_share_frames() {
    packets_and_frames_are_not_aligned(V3);
}

#[test]
fn v5_6_0_0_2_large_packets_and_many_small_ones_come_and_go() {
    let broker = Process::start_websocket();
    let mut client = WebSocket::subscriber(&broker, V5, "client", "a/b");
    for length in [0, 100, 125, 126, 127, 1_000, 65_535, 65_536, 300_000] {
        let message = Publish::new("a/b", &vec![b'x'; length]);
        client.send(&message.bytes(V5));
        assert_eq!(client.packet().publish(V5), message);
    }
    let many: Vec<u8> = (0..500_u16).flat_map(|n| Publish::new("a/b", &n.to_be_bytes()).bytes(V5)).collect();
    client.send(&many);
    for number in 0..500_u16 {
        assert_eq!(client.packet().publish(V5).payload, number.to_be_bytes());
    }
}

#[test]
fn v5_6_0_0_3_a_client_that_does_not_offer_mqtt_is_refused() {
    let broker = Process::start_websocket();
    for offer in [None, Some("soap"), Some("MQTT5, wamp"), Some("")] {
        let (mut stream, answer) = shake(&broker, "/mqtt", offer);
        assert!(answer[0].starts_with("HTTP/1.1 4"), "{offer:?}: {answer:?}");
        stream.read_to_end(&mut Vec::new()).expect("an end in order");
    }
    // Elsewhere there is nothing; what follows a question mark is not part of the path.
    for path in ["/", "/mqtt/", "/mqtt2", "/MQTT"] {
        let (mut stream, answer) = shake(&broker, path, Some("mqtt"));
        assert!(answer[0].starts_with("HTTP/1.1 404"), "{path}: {answer:?}");
        stream.read_to_end(&mut Vec::new()).expect("an end in order");
    }
    assert_eq!(shake(&broker, "/mqtt?a=/b", Some("mqtt")).1[0], "HTTP/1.1 101 Switching Protocols");
}

/// The answer names `mqtt`, whatever else was offered, and what RFC 6455 wants.
fn the_sub_protocol_is_mqtt() {
    let broker = Process::start_websocket();
    for offer in ["mqtt", "soap, mqtt", "mqtt,mqttv3.1", "mqttv3.1 , mqtt"] {
        let (_, answer) = shake(&broker, "/mqtt", Some(offer));
        assert_eq!(answer[0], "HTTP/1.1 101 Switching Protocols", "{answer:?}");
        let headers: Vec<(String, &str)> = answer[1..]
            .iter()
            .map(|line| line.split_once(':').expect("a header"))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim()))
            .collect();
        let value = |name: &str| {
            let values: Vec<&str> = headers.iter().filter(|(n, _)| n == name).map(|(_, v)| *v).collect();
            assert!(values.len() < 2, "{name} stands twice");
            values.first().copied()
        };
        assert_eq!(value("sec-websocket-protocol"), Some("mqtt"), "of {offer}");
        assert_eq!(value("sec-websocket-accept"), Some(ACCEPT));
        assert_eq!(value("sec-websocket-extensions"), None);
        assert!(value("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket")));
        assert!(value("connection").is_some_and(|value| value.eq_ignore_ascii_case("upgrade")));
    }
}

#[test]
fn v5_6_0_0_4_the_sub_protocol_that_is_selected_is_mqtt() {
    the_sub_protocol_is_mqtt();
}

#[test]
fn v3_6_0_0_4_the_sub_protocol_that_is_selected_is_mqtt() {
    the_sub_protocol_is_mqtt();
}

#[test]
fn v5_6_0_0_1_pings_are_answered_and_a_close_is_answered_with_a_close() {
    let broker = Process::start_websocket();
    let mut listener = WebSocket::subscriber(&broker, V5, "listener", "will");
    let mut client = WebSocket::open(&broker);
    client.raw(&frame(PING, b"before CONNECT"));
    assert_eq!(client.frame(), Some((PONG, b"before CONNECT".to_vec())));
    client.send(&Connect::new(V5, "client").will(Will::new("will", b"gone").qos(1)).bytes());
    assert_eq!(client.packet().reason(), 0);
    client.raw(&frame(PING, &[b'x'; 125]));
    assert_eq!(client.frame(), Some((PONG, vec![b'x'; 125])));
    client.raw(&frame(PONG, b"nobody asked"));
    client.raw(&frame(CLOSE, &1000_u16.to_be_bytes()));
    assert_eq!(client.frame(), Some((CLOSE, 1000_u16.to_be_bytes().to_vec())));
    assert_eq!(client.frame(), None);
    // It is no DISCONNECT: the will is published.
    let gone = listener.packet().publish(V5);
    assert_eq!((gone.topic.as_str(), gone.qos), ("will", 1));
    listener.send(&ack(PUBACK, gone.id));
    // A DISCONNECT of MQTT ends both.
    listener.send(&DISCONNECT);
    listener.expect_close(&[1000]);
}
