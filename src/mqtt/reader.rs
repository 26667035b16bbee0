//! Reading bounded bytes: integers, strings, binary data, variable byte integers. Nothing reads past its end,
//! and nothing here knows which packet it reads.

use super::topic;
use super::violation::Violation;

/// What is left to read of a packet, or of a part of one.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from their start.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    /// Is everything read?
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is left, without consuming it.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Everything that is left.
    #[inline]
    pub fn take_rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Refuses bytes that nobody asked for: a packet is consumed exactly.
    #[inline]
    pub fn finish(self) -> Result<(), Violation> {
        if self.rest.is_empty() { Ok(()) } else { Err(Violation::TrailingBytes) }
    }

    /// The next `len` bytes.
    #[inline]
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Violation> {
        let (head, tail) = self.rest.split_at_checked(len).ok_or(Violation::Truncated)?;
        self.rest = tail;
        Ok(head)
    }

    /// The next `N` bytes.
    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Violation> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(Violation::Truncated)?;
        self.rest = tail;
        Ok(*head)
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, Violation> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Two Byte Integer.
    #[inline]
    pub fn u16(&mut self) -> Result<u16, Violation> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four Byte Integer.
    #[inline]
    pub fn u32(&mut self) -> Result<u32, Violation> {
        self.array().map(u32::from_be_bytes)
    }

    /// Variable Byte Integer: at most four bytes, and no more than it needs `[MQTT-1.5.5-1]`.
    #[inline]
    pub fn varint(&mut self) -> Result<u32, Violation> {
        let mut value = 0;
        for (index, &byte) in self.rest.iter().take(4).enumerate() {
            value |= u32::from(byte & 0x7F) << (7 * index);
            if byte & 0x80 == 0 {
                if byte == 0 && index > 0 {
                    return Err(Violation::VariableByteInteger);
                }
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(if self.rest.len() < 4 { Violation::Truncated } else { Violation::VariableByteInteger })
    }

    /// Binary Data: two bytes of length, then as many bytes.
    #[inline]
    pub fn binary(&mut self) -> Result<&'a [u8], Violation> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    /// UTF-8 Encoded String: well-formed, so without surrogates, and without U+0000 `[MQTT-1.5.4-1, 1.5.4-2]`.
    #[inline]
    pub fn str(&mut self) -> Result<&'a str, Violation> {
        let text = std::str::from_utf8(self.binary()?).map_err(|_| Violation::IllFormedUtf8)?;
        // Folded without an early exit, so that the compiler makes it a vector loop.
        if text.bytes().fold(false, |found, byte| found | (byte == 0)) {
            return Err(Violation::NulInString);
        }
        Ok(text)
    }

    /// A topic name of a PUBLISH: a string without wildcards, perhaps empty.
    #[inline]
    pub fn topic_or_empty(&mut self) -> Result<&'a str, Violation> {
        let text = std::str::from_utf8(self.binary()?).map_err(|_| Violation::IllFormedUtf8)?;
        topic::check_characters(text)?;
        Ok(text)
    }

    /// The bytes of a property area: a length as Variable Byte Integer, then as many bytes.
    #[inline]
    pub fn area(&mut self) -> Result<&'a [u8], Violation> {
        let len = self.varint()?;
        self.take(len as usize)
    }
}
