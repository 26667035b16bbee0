//! The way out: which bytes may be sent next, so that a frame once announced is completed before anything else.
//!
//! What MQTT has to say lies in somebody else's buffer, with [`Framing::headroom`] bytes free in front of it: the header
//! is written there, and frame and header go out in one send. For clients that take a frame for a packet the first
//! packets are moved into that room, so that the headers of each have room as well. What WebSocket itself has to say (the handshake's answer,
//! pongs, the Close frame) lies here and goes out between two frames.

use super::{Code, End};

/// The longest header of a server's frame.
const HEADER_BYTES: usize = 10;
/// Bytes kept free in front of the output where each packet has a frame of its own: the headers of 125 small packets,
/// or of 62 of up to 64 KiB, go out in one send.
const HEADERS_BYTES: usize = 250;
/// Packets of which it is more than this together do not go out in one send: all but the last of them are moved.
const MOVED_BYTES: usize = 64 << 10;

/// What a frame of ours holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PacketsPerFrame {
    /// All that waits when it is sent. The standard has every client cope with it `[MQTT-6.0.0-4]`.
    #[default]
    Many,
    /// One packet, for clients that take a frame for a packet.
    One,
}

/// A whole message in a binary frame; a pong; a Close.
const BINARY: u8 = 0x82;
const PONG: u8 = 0x8a;
const CLOSE: u8 = 0x88;

/// The header of a server's frame: never masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    bytes: [u8; HEADER_BYTES],
    len: u8,
}

impl Header {
    fn new(first: u8, payload: usize) -> Header {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0] = first;
        let len = match payload {
            0..=125 => {
                bytes[1] = payload as u8;
                2
            }
            126..=0xffff => {
                bytes[1] = 126;
                bytes[2..4].copy_from_slice(&(payload as u16).to_be_bytes());
                4
            }
            _ => {
                bytes[1] = 127;
                bytes[2..10].copy_from_slice(&(payload as u64).to_be_bytes());
                10
            }
        };
        Header { bytes, len }
    }

    /// As it is sent.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// What is half sent, and what waits for its turn.
#[derive(Debug, Default)]
pub struct Framing {
    packets: PacketsPerFrame,
    /// Bytes of the announced frames that were not taken yet, their headers included.
    left: usize,
    /// WebSocket's own bytes that go out next; `own_sent` of them have gone.
    own: Vec<u8>,
    own_sent: usize,
    /// The payload of the last ping, to be answered. Whoever pings faster than it reads gets one answer (RFC 6455,
    /// 5.5.3), and so costs no memory.
    pong: Option<Vec<u8>>,
}

impl Framing {
    /// From the first output on, frames hold so many packets.
    pub fn hold(&mut self, packets: PacketsPerFrame) {
        self.packets = packets;
    }

    /// What frames hold.
    #[inline]
    pub fn packets(&self) -> PacketsPerFrame {
        self.packets
    }

    /// Bytes to be kept free in front of a connection's output: the headers of one send.
    pub fn headroom(&self) -> u8 {
        match self.packets {
            PacketsPerFrame::Many => HEADER_BYTES as u8,
            PacketsPerFrame::One => HEADERS_BYTES as u8,
        }
    }

    /// How many bytes of output may be sent now, if `waiting` bytes of it are there, header included. A frame that
    /// begins with this is announced by `prepend`, which puts its header in front of the output.
    #[inline]
    pub fn offer(&mut self, waiting: usize, prepend: impl FnOnce(&[u8])) -> usize {
        if self.left == 0 && waiting > 0 {
            let header = Header::new(BINARY, waiting);
            prepend(header.bytes());
            self.left = header.bytes().len() + waiting;
        }
        self.left
    }

    /// Where each packet has a frame of its own: announces the first packets of `output`, and answers how many bytes of
    /// room in front of them [`lay_out`] needs. 0: what was announced before is incomplete, or nothing waits. `output`
    /// begins with a packet unless a frame is incomplete.
    pub fn announce(&mut self, output: &[u8]) -> usize {
        if self.left > 0 || output.is_empty() {
            return 0;
        }
        let (headers, packets) = measure(output);
        self.left = headers + packets;
        headers
    }

    /// How many bytes of output may be sent now.
    pub fn announced(&self) -> usize {
        self.left
    }

    /// `bytes` of what was offered were taken.
    #[inline]
    pub fn sent(&mut self, bytes: usize) {
        self.left -= bytes;
    }

    /// Is what was announced incomplete?
    pub fn is_mid_frame(&self) -> bool {
        self.left > 0
    }

    /// To be sent before any frame: the answer to the handshake.
    pub fn answer(&mut self, bytes: &[u8]) {
        self.own.extend_from_slice(bytes);
    }

    /// Answers a ping that carried this.
    pub fn pong(&mut self, payload: Vec<u8>) {
        self.pong = Some(payload);
    }

    /// Says goodbye. Nothing may follow.
    pub fn close(&mut self, code: Option<u16>) {
        self.pong = None;
        let payload = code.map(u16::to_be_bytes);
        let payload = payload.as_ref().map_or(&[][..], |bytes| &bytes[..]);
        self.own.extend_from_slice(Header::new(CLOSE, payload.len()).bytes());
        self.own.extend_from_slice(payload);
    }

    /// Says goodbye to a peer that ended like this: its own code comes back.
    pub fn close_after(&mut self, end: End) {
        self.close(match end {
            End::Closed(code) => code,
            End::Broken(code) => Some(code as u16),
        });
    }

    /// Says goodbye with a reason of ours.
    pub fn close_for(&mut self, code: Code) {
        self.close(Some(code as u16));
    }

    /// Does WebSocket itself have something to say?
    pub fn has_own(&self) -> bool {
        !self.own.is_empty() || self.pong.is_some()
    }

    /// Has WebSocket begun to say something and not finished?
    pub fn is_mid_own(&self) -> bool {
        !self.own.is_empty()
    }

    /// WebSocket's own bytes that may be sent now. Empty inside a frame.
    pub fn offer_own(&mut self) -> &[u8] {
        if self.is_mid_frame() {
            return &[];
        }
        if self.own.is_empty()
            && let Some(payload) = self.pong.take()
        {
            self.own.extend_from_slice(Header::new(PONG, payload.len()).bytes());
            self.own.extend_from_slice(&payload);
        }
        self.own_bytes()
    }

    /// What `offer_own` offered.
    pub fn own_bytes(&self) -> &[u8] {
        &self.own[self.own_sent..]
    }

    /// `bytes` of what `offer_own` offered were taken.
    pub fn own_sent(&mut self, bytes: usize) {
        self.own_sent += bytes;
        if self.own_sent == self.own.len() {
            // For its memory: most connections never say a second thing.
            self.own = Vec::new();
            self.own_sent = 0;
        }
    }
}

/// How many bytes of headers and of packets go out in one send, each of the first packets of `output` in a frame of its
/// own.
fn measure(output: &[u8]) -> (usize, usize) {
    let (mut headers, mut packets) = (0, 0);
    while packets < output.len() {
        let packet = first_packet(&output[packets..]);
        let header = usize::from(Header::new(BINARY, packet).len);
        let first = packets == 0;
        if !first && (headers + header > HEADERS_BYTES || packets + packet > MOVED_BYTES) {
            break;
        }
        headers += header;
        packets += packet;
    }
    (headers, packets)
}

/// Puts its header before each packet that was announced. The packets begin at `room`, which is the length of all the
/// headers: so the last of them stays where it is.
pub fn lay_out(output: &mut [u8], mut room: usize) {
    let mut at = 0;
    while room > 0 {
        let packet = first_packet(&output[at + room..]);
        let header = Header::new(BINARY, packet);
        let header = header.bytes();
        let from = at + room;
        room -= header.len();
        output[at..at + header.len()].copy_from_slice(header);
        at += header.len();
        output.copy_within(from..from + packet, at);
        at += packet;
    }
}

/// The length of the packet at the beginning of `output`, header included `[MQTT-2.1.4]`. Bytes that do not begin like
/// one count as one packet.
fn first_packet(output: &[u8]) -> usize {
    let mut remaining = 0;
    for (position, byte) in output.iter().skip(1).take(4).enumerate() {
        remaining |= usize::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return (2 + position + remaining).min(output.len());
        }
    }
    output.len()
}
