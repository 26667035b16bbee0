//! The server's side of a WebSocket, as simple as it can be: for the mock broker alone.

use crate::websocket::{accept_of, apply_mask};

/// One connection's.
#[derive(Default)]
pub struct Server {
    open: bool,
    closed: bool,
    unread: Vec<u8>,
    said: u64,
}

/// What came of some bytes.
#[derive(Default)]
pub struct Heard {
    /// MQTT.
    pub plain: Vec<u8>,
    /// To the socket at once.
    pub answer: Vec<u8>,
}

impl Server {
    /// Bytes from the socket.
    pub fn hear(&mut self, bytes: &[u8]) -> Heard {
        let mut heard = Heard::default();
        self.unread.extend_from_slice(bytes);
        if !self.open {
            let Some(end) = self.unread.windows(4).position(|w| w == b"\r\n\r\n") else { return heard };
            let rest = self.unread.split_off(end + 4);
            let request = String::from_utf8(std::mem::replace(&mut self.unread, rest)).expect("ASCII");
            let key = request.lines().find_map(|l| l.strip_prefix("Sec-WebSocket-Key: ")).expect("a key");
            heard.answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
                accept_of(key)
            )
            .into_bytes();
            self.open = true;
        }
        while let Some((opcode, payload)) = self.frame() {
            match opcode {
                2 => heard.plain.extend(payload),
                8 => self.closed = true,
                10 => {}
                other => panic!("a client sent a frame of opcode {other}"),
            }
        }
        heard
    }

    /// The client has said good-bye.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// The next whole frame.
    fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let bytes = &self.unread;
        let &[first, second, ..] = &bytes[..] else { return None };
        assert_eq!((first & 0xf0, second & 0x80), (0x80, 0x80), "whole and masked");
        let (at, len) = match second & 0x7f {
            126 => (4, usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?))),
            127 => (10, u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?) as usize),
            len => (2, usize::from(len)),
        };
        let mask = *bytes.get(at..)?.first_chunk()?;
        let mut payload = bytes.get(at + 4..at + 4 + len)?.to_vec();
        apply_mask(&mut payload, mask);
        self.unread.drain(..at + 4 + len);
        Some((first & 0x0f, payload))
    }

    /// Frames some bytes: each third time in two pieces with a ping between them.
    pub fn say(&mut self, plain: &[u8]) -> Vec<u8> {
        self.said += 1;
        let mut out = Vec::new();
        if self.said.is_multiple_of(3) {
            let (a, b) = plain.split_at(plain.len() / 2);
            frame(0x02, a, &mut out);
            frame(0x89, b"?", &mut out);
            frame(0x80, b, &mut out);
        } else {
            frame(0x82, plain, &mut out);
        }
        out
    }
}

fn frame(first: u8, payload: &[u8], out: &mut Vec<u8>) {
    match payload.len() {
        len @ ..=125 => out.extend([first, len as u8]),
        len => {
            out.extend([first, 126]);
            out.extend(u16::try_from(len).expect("short in a mock").to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}
