//! WebSocket (RFC 6455) as framing and nothing else, a plain synchronous value: bytes of the stream below it go in,
//! bytes of MQTT come out, and the other way about. What lies below, a socket or TLS, and what lies above is not known
//! here; nor is any connection.
//!
//! The pieces: [`handshake`] judges the HTTP request, [`Decoder`] takes frames apart, [`Framing`] says what may be
//! sent next. [`Link`] is the three of them for one connection.

mod decoder;
mod framing;
pub mod handshake;

#[cfg(test)]
mod tests;

pub use decoder::{Decoded, Decoder};
pub use framing::{Framing, PacketsPerFrame, lay_out};
pub use handshake::{Handshake, Refused};

/// The reason of a Close frame (RFC 6455, 7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Code {
    /// What the connection was for is done.
    Normal = 1000,
    /// The broker stops.
    GoingAway = 1001,
    /// The peer broke the protocol.
    Protocol = 1002,
    /// A text frame: MQTT speaks in binary ones `[MQTT-6.0.0-1]`.
    NotBinary = 1003,
    /// Text that is not UTF-8.
    NotText = 1007,
    /// The broker does not want this client.
    Policy = 1008,
    /// A message larger than is taken.
    TooBig = 1009,
}

/// How the peer's side ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It sent a Close frame; this is to be answered with the same code, or with none.
    Closed(Option<u16>),
    /// It broke the rules.
    Broken(Code),
}

/// One WebSocket connection. It can move to another thread at any moment, with all that is half done.
#[derive(Debug)]
pub struct Link {
    /// `None`: it is over, and well.
    pub(super) handshake: Option<Handshake>,
    pub(super) decoder: Decoder,
    pub(super) framing: Framing,
    /// What a Close frame of ours will say.
    pub(super) code: Code,
}

impl Link {
    /// A link that has heard nothing. `message_bytes`: the largest message it takes, all fragments together.
    pub fn new(message_bytes: u64) -> Link {
        Link {
            handshake: Some(Handshake::default()),
            decoder: Decoder::new(message_bytes),
            framing: Framing::default(),
            code: Code::Normal,
        }
    }
}
