//! What stands in the first 24 bytes of a payload, so that whoever receives it can judge it alone.
//!
//! Little endian: run (4), stream (4), sequence number (4), lag (4, in units of 64 ns), due time (8, ns).

use crate::schedule::Nanos;

/// Bytes of a stamp, the least payload.
pub const STAMP_LEN: usize = 24;

/// Lag is kept in units of 64 ns: four bytes then reach 274 s.
const LAG_UNIT: Nanos = 64;

/// A message's identity and times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Tells this run's messages from those of others on the same topics.
    pub run: u32,
    /// Which stream: one publisher's messages of one QoS on one topic.
    pub stream: u32,
    /// Number within the stream, from 0 without gaps.
    pub seq: u32,
    /// When the message was due.
    pub due: Nanos,
    /// When it was handed to the connection; on the wire this is a lag behind `due`, rounded down to 64 ns.
    pub sent: Nanos,
}

impl Stamp {
    /// Writes the stamp over the head of `payload`, which is at least `STAMP_LEN` long.
    pub fn write(&self, payload: &mut [u8]) {
        let lag = u32::try_from(self.sent.saturating_sub(self.due) / LAG_UNIT).unwrap_or(u32::MAX);
        for (i, word) in [self.run, self.stream, self.seq, lag].into_iter().enumerate() {
            payload[4 * i..4 * i + 4].copy_from_slice(&word.to_le_bytes());
        }
        payload[16..24].copy_from_slice(&self.due.to_le_bytes());
    }

    /// The stamp of a payload, if it is long enough to hold one.
    #[inline]
    pub fn read(payload: &[u8]) -> Option<Stamp> {
        let head: &[u8; STAMP_LEN] = payload.first_chunk()?;
        let word = |i: usize| u32::from_le_bytes([head[i], head[i + 1], head[i + 2], head[i + 3]]);
        let due = u64::from_le_bytes([
            head[16], head[17], head[18], head[19], head[20], head[21], head[22], head[23],
        ]);
        Some(Stamp {
            run: word(0),
            stream: word(4),
            seq: word(8),
            due,
            sent: due + u64::from(word(12)) * LAG_UNIT,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_was_written() {
        let stamp =
            Stamp { run: 0xdead_beef, stream: 7, seq: u32::MAX, due: 1 << 40, sent: (1 << 40) + 64_000 };
        let mut payload = [0xff; 30];
        stamp.write(&mut payload);
        assert_eq!(Stamp::read(&payload), Some(stamp));
        assert_eq!(payload[24..], [0xff; 6]);
        assert_eq!(Stamp::read(&payload[..23]), None);
    }

    #[test]
    fn an_early_send_has_no_lag() {
        let mut payload = [0; STAMP_LEN];
        Stamp { run: 0, stream: 0, seq: 0, due: 100, sent: 90 }.write(&mut payload);
        assert_eq!(Stamp::read(&payload).expect("long enough").sent, 100);
    }
}
