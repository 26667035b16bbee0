//! A client of a few lines over a plain socket, which reads, writes and acknowledges only what a test says. Its bytes
//! are made here and not by the broker's codec.

use std::collections::VecDeque;
use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::process::HANG;

/// What a client that hardly reads has for a receive buffer, in bytes; the kernel doubles it.
const SMALL: usize = 4 << 10;

pub(crate) const PINGREQ: [u8; 2] = [0xc0, 0];

/// Which protocol it speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    V3,
    /// 5.0 with this Receive Maximum.
    V5(u16),
}

impl Dialect {
    /// The bytes of a PUBLISH; `id` 0 is QoS 0.
    pub(crate) fn publish(self, topic: &str, id: u16, payload: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        text(&mut body, topic);
        if id > 0 {
            body.extend(id.to_be_bytes());
        }
        self.no_properties(&mut body);
        body.extend(payload);
        packet(if id > 0 { 0x32 } else { 0x30 }, &body)
    }

    fn no_properties(self, body: &mut Vec<u8>) {
        if self != Dialect::V3 {
            body.push(0);
        }
    }
}

/// How much the kernel takes for a client that does not read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intake {
    Small,
    Usual,
}

/// A packet from the broker.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    /// QoS 1 has an identifier, QoS 0 has 0.
    Publish {
        id: u16,
        payload: Vec<u8>,
    },
    PubAck(u16),
    PingResp,
    /// Its first byte.
    Other(u8),
}

pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    reader: BufReader<TcpStream>,
    pub(crate) dialect: Dialect,
    /// Came before what was waited for.
    early: VecDeque<Packet>,
}

impl Raw {
    pub(crate) fn connect(address: SocketAddr, id: &str, dialect: Dialect, intake: Intake) -> Raw {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        if intake == Intake::Small {
            socket.set_recv_buffer_size(SMALL).expect("a size");
        }
        socket.connect(&address.into()).expect("the broker listens");
        socket.set_tcp_nodelay(true).expect("TCP");
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(HANG)).expect("not zero");
        let capacity = if intake == Intake::Small { 1 << 10 } else { 64 << 10 };
        let reader = BufReader::with_capacity(capacity, stream.try_clone().expect("a descriptor"));
        let mut client = Raw { stream, reader, dialect, early: VecDeque::new() };
        let mut body = b"\0\x04MQTT".to_vec();
        match dialect {
            Dialect::V3 => body.extend([4, 2, 0, 0]),
            Dialect::V5(receive_maximum) => {
                let [high, low] = receive_maximum.to_be_bytes();
                body.extend([5, 2, 0, 0, 3, 0x21, high, low]);
            }
        }
        text(&mut body, id);
        client.send(&packet(0x10, &body));
        assert_eq!(client.next(), Packet::Other(0x20));
        client
    }

    /// Subscribes and waits for the SUBACK.
    pub(crate) fn subscribe(&mut self, filter: &str, qos: u8) {
        let mut body = vec![0, 1];
        self.dialect.no_properties(&mut body);
        text(&mut body, filter);
        body.push(qos);
        self.send(&packet(0x82, &body));
        assert_eq!(self.next(), Packet::Other(0x90));
    }

    pub(crate) fn acknowledge(&mut self, id: u16) {
        let [high, low] = id.to_be_bytes();
        self.send(&[0x40, 2, high, low]);
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the broker takes it");
    }

    /// Waits for `wanted`. What comes before it is left for `next`.
    pub(crate) fn expect(&mut self, wanted: &Packet) {
        loop {
            let packet = self.receive();
            if packet == *wanted {
                return;
            }
            self.early.push_back(packet);
        }
    }

    /// The next packet; only a hang keeps it away.
    pub(crate) fn next(&mut self) -> Packet {
        self.early.pop_front().unwrap_or_else(|| self.receive())
    }

    fn receive(&mut self) -> Packet {
        let mut first = [0];
        self.fill(&mut first);
        let mut len = 0;
        for shift in [0, 7, 14, 21] {
            let mut byte = [0];
            self.fill(&mut byte);
            len |= usize::from(byte[0] & 0x7f) << shift;
            if byte[0] < 0x80 {
                break;
            }
        }
        let mut body = vec![0; len];
        self.fill(&mut body);
        self.decode(first[0], &body)
    }

    fn decode(&self, first: u8, body: &[u8]) -> Packet {
        let number = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
        match first >> 4 {
            3 => {
                let mut at = 2 + usize::from(number(0));
                let id = if first & 6 == 0 { 0 } else { number(at) };
                at += if first & 6 == 0 { 0 } else { 2 };
                if self.dialect != Dialect::V3 {
                    assert_eq!(body[at], 0, "no properties were sent, so none come");
                    at += 1;
                }
                Packet::Publish { id, payload: body[at..].to_vec() }
            }
            4 => Packet::PubAck(number(0)),
            13 => Packet::PingResp,
            _ => Packet::Other(first),
        }
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        self.reader.read_exact(bytes).expect("the broker sends, and whole packets");
    }

    /// Does nothing come for so long?
    pub(crate) fn is_quiet_for(&self, time: Duration) -> bool {
        if !self.early.is_empty() || !self.reader.buffer().is_empty() {
            return false;
        }
        self.stream.set_read_timeout(Some(time)).expect("not zero");
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_read_timeout(Some(HANG)).expect("not zero");
        peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Another hand on the same connection, for a thread that only writes.
    pub(crate) fn writer(&self) -> TcpStream {
        self.stream.try_clone().expect("a descriptor")
    }
}

fn text(body: &mut Vec<u8>, text: &str) {
    body.extend((text.len() as u16).to_be_bytes());
    body.extend(text.as_bytes());
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut len = body.len();
    while len >= 0x80 {
        bytes.push((len & 0x7f) as u8 | 0x80);
        len >>= 7;
    }
    bytes.push(len as u8);
    bytes.extend(body);
    bytes
}
