//! The framing by itself, against another implementation of RFC 6455 and against its own rules.

#![allow(clippy::disallowed_methods, reason = "the fuzz smoke says how long it may run")]

mod decoding;
mod fuzz;
mod sending;
mod shaking;

use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};

use super::{Decoded, Decoder, End};

/// A frame of a client's.
fn masked(mut frame: Frame, mask: [u8; 4]) -> Vec<u8> {
    frame.header_mut().mask = Some(mask);
    let mut bytes = Vec::new();
    frame.format(&mut bytes).expect("a vector takes it");
    bytes
}

fn binary(payload: &[u8]) -> Vec<u8> {
    masked(Frame::message(payload.to_vec(), OpCode::Data(Data::Binary), true), [0x11, 0x80, 3, 0xff])
}

/// What a decoder has said in all.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    data: Vec<u8>,
    ping: Option<Vec<u8>>,
    end: Option<End>,
}

/// Feeds a decoder with `pieces`.
fn decode<'p>(decoder: &mut Decoder, pieces: impl IntoIterator<Item = &'p [u8]>) -> Said {
    let mut said = Said::default();
    for piece in pieces {
        let mut piece = piece.to_vec();
        let Decoded { data, ping } = decoder.decode(&mut piece);
        said.data.extend_from_slice(data);
        said.ping = ping.or(said.ping);
    }
    said.end = decoder.end();
    said
}

fn decode_whole(bytes: &[u8]) -> Said {
    decode(&mut Decoder::new(1 << 20), [bytes])
}
