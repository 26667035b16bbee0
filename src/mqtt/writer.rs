//! Writing the same: integers, strings, binary data, variable byte integers, and what is measured after it is
//! written. Values that the wire has no room for are bugs of the caller, not of the peer: they assert.

/// The largest Variable Byte Integer, and so the largest remaining length.
pub const VARINT_MAX: usize = 268_435_455;

/// Appends a Two Byte Integer.
#[inline]
pub fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends a Four Byte Integer.
#[inline]
pub fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends Binary Data: its length in two bytes, then itself. Panics when it is longer than 65,535 bytes.
#[inline]
pub fn put_binary(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = u16::try_from(bytes.len()).expect("a string or binary field is at most 65,535 bytes");
    put_u16(out, len);
    out.extend_from_slice(bytes);
}

/// Appends a UTF-8 Encoded String. Panics when it is longer than 65,535 bytes.
#[inline]
pub fn put_str(out: &mut Vec<u8>, text: &str) {
    put_binary(out, text.as_bytes());
}

/// How many bytes `value` takes as a Variable Byte Integer.
#[inline]
pub fn varint_len(value: usize) -> usize {
    match value {
        0..=127 => 1,
        128..=16_383 => 2,
        16_384..=2_097_151 => 3,
        _ => 4,
    }
}

/// The bytes of a Variable Byte Integer and how many they are. Panics beyond [`VARINT_MAX`].
#[inline]
fn varint(value: usize) -> ([u8; 4], usize) {
    assert!(value <= VARINT_MAX, "{value} is no Variable Byte Integer");
    let mut bytes = [0; 4];
    let mut rest = value;
    let len = varint_len(value);
    for (index, byte) in bytes.iter_mut().enumerate().take(len) {
        *byte = (rest & 0x7F) as u8 | if index + 1 < len { 0x80 } else { 0 };
        rest >>= 7;
    }
    (bytes, len)
}

/// Appends a Variable Byte Integer in its shortest form `[MQTT-1.5.5-1]`. Panics beyond [`VARINT_MAX`].
#[inline]
pub fn put_varint(out: &mut Vec<u8>, value: usize) {
    if value < 128 {
        out.push(value as u8);
    } else {
        let (bytes, len) = varint(value);
        out.extend_from_slice(&bytes[..len]);
    }
}

/// Appends what `body` writes, with its length as a Variable Byte Integer in front.
pub fn put_measured(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.push(0);
    body(out);
    let (bytes, len) = varint(out.len() - at - 1);
    // Nearly everything written this way is shorter than 128 bytes, and then nothing moves.
    out[at] = bytes[0];
    if len > 1 {
        out.splice(at + 1..at + 1, bytes[1..len].iter().copied());
    }
}

/// Appends a packet: its first byte, the remaining length, and what `body` writes.
pub fn put_packet(out: &mut Vec<u8>, first: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(first);
    put_measured(out, body);
}
