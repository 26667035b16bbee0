//! The way in: frames are taken apart as they arrive, in place. Nothing is kept but a header whose rest is to come and
//! the payload of a control frame, 125 bytes at the most; what a frame announces costs nothing.

use super::{Code, End};

/// The longest header of a client's frame: 2 bytes, 8 of length, 4 of mask.
const HEADER: usize = 14;
/// Most payload of a control frame (RFC 6455, 5.5).
const CONTROL_BYTES: u64 = 125;

const FINAL: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Data,
    Ping,
    Pong,
    Close,
}

/// The frame that is being received.
#[derive(Clone, Copy, Debug)]
struct Frame {
    kind: Kind,
    /// The last of its message.
    last: bool,
    /// Payload still to come.
    left: u64,
    /// Turned, so that its first byte is for the next byte of payload.
    mask: [u8; 4],
}

/// What came of some bytes.
#[derive(Debug)]
pub struct Decoded<'b> {
    /// The bytes of MQTT in them, one after the other.
    pub data: &'b [u8],
    /// The payload of the last ping in them, which wants an answer.
    pub ping: Option<Vec<u8>>,
}

/// Takes the frames of one client apart.
#[derive(Debug)]
pub struct Decoder {
    header: [u8; HEADER],
    /// Bytes in `header`.
    have: u8,
    frame: Option<Frame>,
    /// Inside a message of several frames.
    fragmented: bool,
    /// Announced so far by the frames of this message.
    message: u64,
    message_bytes: u64,
    /// Payload of the control frame that is being received.
    control: Vec<u8>,
    end: Option<End>,
}

impl Decoder {
    /// A decoder before the first frame. `message_bytes`: the largest message it takes, all fragments together.
    pub fn new(message_bytes: u64) -> Decoder {
        Decoder {
            header: [0; HEADER],
            have: 0,
            frame: None,
            fragmented: false,
            message: 0,
            message_bytes,
            control: Vec::new(),
            end: None,
        }
    }

    /// How the peer's side ended, if it has: what follows is not looked at. What came before is in `data`.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Takes bytes in. The payload is unmasked where it lies; when there are several frames, their payloads move
    /// together, so that whoever reads them sees one piece.
    pub fn decode<'b>(&mut self, bytes: &'b mut [u8]) -> Decoded<'b> {
        let (mut from, mut to) = (0, 0);
        let mut ping = None;
        while from < bytes.len() && self.end.is_none() {
            let Some(frame) = &mut self.frame else {
                match self.take_header(&bytes[from..]) {
                    Ok(taken) => from += taken,
                    Err(code) => self.end = Some(End::Broken(code)),
                }
                // A frame without payload is complete with its header.
                self.finish_frame(&mut ping);
                continue;
            };
            let here = usize::try_from(frame.left).unwrap_or(usize::MAX).min(bytes.len() - from);
            let part = from..from + here;
            if frame.kind == Kind::Data {
                if from != to {
                    bytes.copy_within(part, to);
                }
                unmask(&mut bytes[to..to + here], frame.mask);
                to += here;
            } else {
                unmask(&mut bytes[part.clone()], frame.mask);
                self.control.extend_from_slice(&bytes[part]);
            }
            frame.mask.rotate_left(here % 4);
            frame.left -= here as u64;
            from += here;
            self.finish_frame(&mut ping);
        }
        Decoded { data: &bytes[..to], ping }
    }

    /// Collects the header of the next frame. Answers how many bytes it took.
    fn take_header(&mut self, bytes: &[u8]) -> Result<usize, Code> {
        let mut taken = 0;
        loop {
            let need = self.header_bytes();
            let have = usize::from(self.have);
            let here = (need - have).min(bytes.len() - taken);
            self.header[have..have + here].copy_from_slice(&bytes[taken..taken + here]);
            self.have += here as u8;
            taken += here;
            if have + here < need {
                return Ok(taken);
            }
            if need == 2 {
                self.judge_start()?;
            } else {
                self.frame = Some(self.judge()?);
                self.have = 0;
                return Ok(taken);
            }
        }
    }

    /// Bytes of the header, as far as is known.
    fn header_bytes(&self) -> usize {
        match (self.have, self.header[1] & !MASKED) {
            (0 | 1, _) => 2,
            (_, 126) => 8,
            (_, 127) => HEADER,
            _ => 6,
        }
    }

    /// Judges the first two bytes.
    fn judge_start(&self) -> Result<(), Code> {
        let [first, second, ..] = self.header;
        if first & RESERVED != 0 || second & MASKED == 0 {
            return Err(Code::Protocol);
        }
        match first & 0x0f {
            // [MQTT-6.0.0-1]
            1 => Err(Code::NotBinary),
            0 if self.fragmented => Ok(()),
            2 if !self.fragmented => Ok(()),
            8..=10 if first & FINAL != 0 && u64::from(second & !MASKED) <= CONTROL_BYTES => Ok(()),
            _ => Err(Code::Protocol),
        }
    }

    /// Judges a whole header.
    fn judge(&mut self) -> Result<Frame, Code> {
        let header = &self.header;
        let (left, least, mask) = match header[1] & !MASKED {
            126 => (u64::from(u16::from_be_bytes([header[2], header[3]])), 126, 4),
            127 => {
                let length = header[2..10].try_into().expect("8 bytes");
                (u64::from_be_bytes(length), 1 << 16, 10)
            }
            length => (u64::from(length), 0, 2),
        };
        if left < least || left >> 63 != 0 {
            return Err(Code::Protocol);
        }
        let mask = header[mask..mask + 4].try_into().expect("4 bytes");
        let last = header[0] & FINAL != 0;
        let kind = match header[0] & 0x0f {
            8 => Kind::Close,
            9 => Kind::Ping,
            10 => Kind::Pong,
            _ => Kind::Data,
        };
        if kind == Kind::Data {
            self.message += left;
            self.fragmented = !last;
            if self.message > self.message_bytes {
                return Err(Code::TooBig);
            }
        }
        Ok(Frame { kind, last, left, mask })
    }

    /// If the frame is all there: what it was for.
    fn finish_frame(&mut self, ping: &mut Option<Vec<u8>>) {
        let Some(frame) = self.frame.take_if(|frame| frame.left == 0) else { return };
        match frame.kind {
            Kind::Data if frame.last => self.message = 0,
            Kind::Data => {}
            Kind::Ping => *ping = Some(std::mem::take(&mut self.control)),
            Kind::Pong => self.control = Vec::new(),
            Kind::Close => self.end = Some(closed(&std::mem::take(&mut self.control))),
        }
    }
}

/// What a Close frame with this payload comes to (RFC 6455, 5.5.1 and 7.4).
fn closed(payload: &[u8]) -> End {
    let (code, reason) = match payload {
        [] => return End::Closed(None),
        [_] => return End::Broken(Code::Protocol),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    match code {
        1000..=1003 | 1007..=1014 | 3000..=4999 if std::str::from_utf8(reason).is_ok() => {
            End::Closed(Some(code))
        }
        1000..=1003 | 1007..=1014 | 3000..=4999 => End::Broken(Code::NotText),
        _ => End::Broken(Code::Protocol),
    }
}

/// Takes the mask off, eight bytes at a time.
fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut words = bytes.chunks_exact_mut(8);
    for word in &mut words {
        let plain = u64::from_ne_bytes((&*word).try_into().expect("8 bytes")) ^ wide;
        word.copy_from_slice(&plain.to_ne_bytes());
    }
    for (byte, mask) in words.into_remainder().iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= mask;
    }
}
