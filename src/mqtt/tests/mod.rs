//! Tests of the codec: golden vectors, what is refused and why, and properties over arbitrary packets and bytes.

use crate::mqtt;

mod bytes;
mod connect;
mod golden_v3;
mod golden_v5;
mod publish;
mod refused;
mod refused_v5;
mod round_trip;
mod sample;
mod tables;
mod topic;

use mqtt::{Packet, Sender, Version, Violation, decode, frame};

/// Splits and decodes bytes that are exactly one packet.
fn decode_one(version: Version, sender: Sender, bytes: &[u8]) -> Result<Packet<'_>, Violation> {
    let frame = frame::split(bytes, usize::MAX)?.expect("a whole fixed header");
    decode(version, sender, frame, bytes)
}

fn encode(version: Version, packet: &Packet<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    packet.encode(version, &mut out);
    out
}

/// The packet is written as these bytes, and they are read as this packet.
#[track_caller]
fn golden(version: Version, sender: Sender, packet: Packet<'_>, bytes: &[u8]) {
    assert_eq!(encode(version, &packet), bytes, "encoding {packet:?}");
    assert_eq!(decode_one(version, sender, bytes).as_ref(), Ok(&packet), "decoding {bytes:02X?}");
}

/// The bytes are read as this packet, which is written differently.
#[track_caller]
fn read_as(version: Version, sender: Sender, bytes: &[u8], packet: Packet<'_>) {
    assert_eq!(decode_one(version, sender, bytes), Ok(packet), "decoding {bytes:02X?}");
}

#[track_caller]
fn refused(version: Version, sender: Sender, bytes: &[u8], violation: Violation) {
    assert_eq!(decode_one(version, sender, bytes), Err(violation), "decoding {bytes:02X?}");
}

fn id(number: u16) -> mqtt::PacketId {
    mqtt::PacketId::new(number).expect("not zero")
}
