//! Where a packet begins and ends: the fixed header. What is inside is not looked at here.

use super::packet::PacketType;
use super::violation::Violation;

/// The fixed header of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Packet type and flags.
    pub first: u8,
    /// Bytes of the fixed header: 2 to 5.
    pub header_len: usize,
    /// Bytes of the whole packet, fixed header included.
    pub len: usize,
}

impl Frame {
    /// The packet's type, or `None` for the reserved 0 `[MQTT 2.1.2]`.
    #[inline]
    pub fn packet_type(&self) -> Option<PacketType> {
        PacketType::of(self.first)
    }

    /// What follows the fixed header, when `bytes` is exactly this packet.
    #[inline]
    pub fn body<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8], Violation> {
        match bytes.len().cmp(&self.len) {
            std::cmp::Ordering::Less => Err(Violation::Truncated),
            std::cmp::Ordering::Greater => Err(Violation::TrailingBytes),
            std::cmp::Ordering::Equal => bytes.get(self.header_len..).ok_or(Violation::Truncated),
        }
    }
}

/// Bytes of a packet with so many after its fixed header.
pub fn packet_len(remaining: usize) -> usize {
    1 + super::writer::varint_len(remaining) + remaining
}

/// The frame at the head of `bytes`: `None` while its header is not all there. The packet itself may still be
/// incomplete (`frame.len > bytes.len()`); a packet announced as longer than `maximum` bytes is refused at once,
/// and so is a remaining length of more than four bytes or of more bytes than it needs `[MQTT-1.5.5-1]`.
#[inline]
pub fn split(bytes: &[u8], maximum: usize) -> Result<Option<Frame>, Violation> {
    // Most packets are shorter than 130 bytes: one length byte.
    if let [first, length, ..] = *bytes
        && length < 0x80
    {
        return finish(first, 2, usize::from(length), maximum);
    }
    split_long(bytes, maximum)
}

fn split_long(bytes: &[u8], maximum: usize) -> Result<Option<Frame>, Violation> {
    let Some((&first, lengths)) = bytes.split_first() else { return Ok(None) };
    let mut remaining = 0;
    for (index, &byte) in lengths.iter().take(4).enumerate() {
        remaining |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            if byte == 0 && index > 0 {
                return Err(Violation::RemainingLength);
            }
            return finish(first, index + 2, remaining, maximum);
        }
    }
    if lengths.len() < 4 { Ok(None) } else { Err(Violation::RemainingLength) }
}

#[inline]
fn finish(
    first: u8,
    header_len: usize,
    remaining: usize,
    maximum: usize,
) -> Result<Option<Frame>, Violation> {
    let len = header_len + remaining;
    if len > maximum { Err(Violation::PacketTooLarge) } else { Ok(Some(Frame { first, header_len, len })) }
}
