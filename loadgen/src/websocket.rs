//! The client's side of a WebSocket as a plain value: the bytes of MQTT go in and out of one end, the bytes of the
//! socket in and out of the other (RFC 6455). No socket, no MQTT.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use crate::random::Random;

/// What an Accept is made of besides the key (RFC 6455, 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The longest answer to a handshake that is read, in bytes, and the most headers in it.
const ANSWER_BYTES: usize = 8 << 10;
const ANSWER_HEADERS: usize = 64;

const CONTINUATION: u8 = 0x0;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// Close, and nothing is wrong.
const NORMAL: u16 = 1000;

/// Where a WebSocket leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `Host`: name and port.
    pub host: String,
    /// The relative URL, with its query.
    pub path: String,
    /// What keys and masks start from; different for each run.
    pub seed: u64,
}

/// Why a WebSocket cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The handshake was answered with this status.
    Status(u16),
    /// The answer to the handshake is not one.
    Handshake(&'static str),
    /// A frame that a server must not send.
    Frame(&'static str),
    /// The server closed it, with this status code; 1005: without one.
    Closed(u16),
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Broken::Status(status) => write!(f, "WebSocket handshake refused: HTTP {status}"),
            Broken::Handshake(why) => write!(f, "WebSocket handshake: {why}"),
            Broken::Frame(why) => write!(f, "WebSocket: {why}"),
            Broken::Closed(code) => write!(f, "the broker closed the WebSocket: {code}"),
        }
    }
}

/// One connection's WebSocket.
#[derive(Debug)]
pub struct WebSocket {
    endpoint: Arc<Endpoint>,
    random: Random,
    /// What the server must prove to have read.
    accept: String,
    open: bool,
    /// What waits for the socket.
    wire: Vec<u8>,
    /// The head of an answer or of a frame whose rest has not arrived; a control frame counts as a head.
    head: Vec<u8>,
    /// Payload of the current data frame that has not arrived, in bytes.
    left: u64,
    /// More frames of the current message follow.
    in_message: bool,
    /// A good-bye follows what is sealed next.
    closing: bool,
}

impl WebSocket {
    /// One that is not connected; `number` tells it from others to the same endpoint.
    pub fn new(endpoint: Arc<Endpoint>, number: u32) -> WebSocket {
        let random = Random(Random(endpoint.seed ^ u64::from(number)).bits());
        WebSocket {
            endpoint,
            random,
            accept: String::new(),
            open: false,
            wire: Vec::new(),
            head: Vec::new(),
            left: 0,
            in_message: false,
            closing: false,
        }
    }

    /// The socket is connected: writes the request.
    pub fn begin(&mut self) {
        let nonce = [self.random.bits(), self.random.bits()].map(u64::to_ne_bytes);
        let key = STANDARD.encode(nonce.as_flattened());
        self.accept = accept_of(&key);
        (self.open, self.left, self.in_message, self.closing) = (false, 0, false, false);
        self.head = Vec::new();
        let Endpoint { host, path, .. } = &*self.endpoint;
        self.wire = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
        )
        .into_bytes();
    }

    /// The handshake is done.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// What waits for the socket.
    pub fn wire(&mut self) -> &mut Vec<u8> {
        &mut self.wire
    }

    /// Moves what is to be sent into one frame; before the handshake is done it waits where it is.
    pub fn seal(&mut self, plain: &mut Vec<u8>) {
        if self.open && !plain.is_empty() {
            self.frame(BINARY, plain);
            plain.clear();
            if std::mem::take(&mut self.closing) {
                self.frame(CLOSE, &NORMAL.to_be_bytes());
            }
        }
    }

    /// What is sealed next is the last; a good-bye follows it.
    pub fn close(&mut self) {
        self.closing = true;
    }

    /// A whole, masked message.
    fn frame(&mut self, opcode: u8, payload: &[u8]) {
        const MASKED: u8 = 0x80;
        let wire = &mut self.wire;
        wire.push(0x80 | opcode);
        match payload.len() {
            len @ ..=125 => wire.push(MASKED | len as u8),
            len @ ..=0xffff => {
                wire.push(MASKED | 126);
                wire.extend((len as u16).to_be_bytes());
            }
            len => {
                wire.push(MASKED | 127);
                wire.extend((len as u64).to_be_bytes());
            }
        }
        let mask = (self.random.bits() as u32).to_ne_bytes();
        wire.extend(mask);
        let start = wire.len();
        wire.extend_from_slice(payload);
        apply_mask(&mut wire[start..], mask);
    }

    /// Takes bytes from the socket; gives `take` those of MQTT, as they lie in the frames.
    pub fn handle_bytes<E: From<Broken>>(
        &mut self,
        bytes: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut bytes = bytes;
        if !self.open {
            let used = self.answer(bytes)?;
            bytes = &bytes[used..];
        }
        while !bytes.is_empty() {
            if self.left > 0 {
                let len = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                let (piece, rest) = bytes.split_at(len);
                (self.left, bytes) = (self.left - len as u64, rest);
                take(piece)?;
            } else if self.head.is_empty() {
                match Frame::read(bytes)? {
                    Some(frame) => {
                        self.handle_frame(frame, &bytes[..frame.len])?;
                        bytes = &bytes[frame.len..];
                    }
                    None => {
                        self.head.extend_from_slice(bytes);
                        bytes = &[];
                    }
                }
            } else {
                // Heads seldom span two reads: a byte at a time will do.
                self.head.push(bytes[0]);
                bytes = &bytes[1..];
                if let Some(frame) = Frame::read(&self.head)? {
                    let head = std::mem::take(&mut self.head);
                    self.handle_frame(frame, &head)?;
                }
            }
        }
        Ok(())
    }

    fn handle_frame(&mut self, frame: Frame, bytes: &[u8]) -> Result<(), Broken> {
        match (frame.opcode, self.in_message) {
            (BINARY, false) | (CONTINUATION, true) => {
                self.left = frame.payload;
                self.in_message = !frame.fin;
            }
            (BINARY, true) => return Err(Broken::Frame("a message within a message")),
            (CONTINUATION, false) => return Err(Broken::Frame("a continuation of nothing")),
            (PING, _) => self.frame(PONG, &bytes[2..]),
            (PONG, _) => {}
            (CLOSE, _) => {
                let code = bytes.get(2..4).map_or(1005, |code| u16::from_be_bytes([code[0], code[1]]));
                self.frame(CLOSE, bytes.get(2..4).unwrap_or_default());
                return Err(Broken::Closed(code));
            }
            _ => return Err(Broken::Frame("a message that is not binary")),
        }
        Ok(())
    }

    /// Reads the answer to the handshake; returns how many of `bytes` belong to it.
    fn answer(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        let before = self.head.len();
        self.head.extend_from_slice(bytes);
        let mut headers = [httparse::EMPTY_HEADER; ANSWER_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let len = match response.parse(&self.head) {
            Ok(httparse::Status::Complete(len)) => len,
            Ok(httparse::Status::Partial) if self.head.len() <= ANSWER_BYTES => return Ok(bytes.len()),
            Ok(httparse::Status::Partial) => return Err(Broken::Handshake("the answer is too long")),
            Err(_) => return Err(Broken::Handshake("the answer is not HTTP")),
        };
        match response.code {
            Some(101) => {}
            status => return Err(Broken::Status(status.unwrap_or_default())),
        }
        let says = |name: &str, value: &dyn Fn(&str) -> bool| {
            let mut named = response.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
            named.any(|header| str::from_utf8(header.value).is_ok_and(|text| value(text.trim())))
        };
        let lists = |text: &str| text.split(',').any(|part| part.trim().eq_ignore_ascii_case("upgrade"));
        if !says("Upgrade", &|text| text.eq_ignore_ascii_case("websocket")) || !says("Connection", &lists) {
            return Err(Broken::Handshake("the answer upgrades to something else"));
        }
        if !says("Sec-WebSocket-Accept", &|text| text == self.accept) {
            return Err(Broken::Handshake("the answer does not fit the key"));
        }
        if !says("Sec-WebSocket-Protocol", &|text| text == "mqtt") {
            return Err(Broken::Handshake("the answer does not agree on the sub-protocol mqtt")); // [MQTT-6.0.0-4]
        }
        self.open = true;
        self.head = Vec::new();
        Ok(len - before)
    }
}

/// The Accept that belongs to a key.
pub fn accept_of(key: &str) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

/// Masks or unmasks.
pub fn apply_mask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

/// The head of a frame; of a control frame all of it.
#[derive(Clone, Copy, Debug)]
struct Frame {
    fin: bool,
    opcode: u8,
    /// Bytes read.
    len: usize,
    /// Bytes of a data frame that follow.
    payload: u64,
}

impl Frame {
    /// `None`: it is not all there.
    fn read(bytes: &[u8]) -> Result<Option<Frame>, Broken> {
        let &[first, second, ref rest @ ..] = bytes else { return Ok(None) };
        let (fin, opcode) = (first & 0x80 != 0, first & 0x0f);
        if first & 0x70 != 0 {
            return Err(Broken::Frame("a reserved bit is set"));
        }
        if second & 0x80 != 0 {
            return Err(Broken::Frame("a server does not mask"));
        }
        let (extra, payload) = match second {
            126 => (2, rest.first_chunk().map(|len| u64::from(u16::from_be_bytes(*len)))),
            127 => (8, rest.first_chunk().map(|len| u64::from_be_bytes(*len))),
            len => (0, Some(u64::from(len))),
        };
        let Some(payload) = payload else { return Ok(None) };
        let len = 2 + extra;
        if opcode < CLOSE {
            return Ok(Some(Frame { fin, opcode, len, payload }));
        }
        if !fin || extra != 0 {
            return Err(Broken::Frame("a control frame is short and whole"));
        }
        let len = len + payload as usize;
        Ok((bytes.len() >= len).then_some(Frame { fin, opcode, len, payload: 0 }))
    }
}

#[cfg(test)]
#[path = "websocket_tests.rs"]
mod tests;
