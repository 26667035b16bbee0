//! What arrived, judged by sequence numbers: lost, twice, out of order.
//!
//! One `Track` for each pair of subscriber and stream: the next number expected, and the gaps below it. Exact while
//! a track has at most `MAX_GAPS` gaps; then the oldest is given up as lost. Knows no packet and no connection.

use std::ops::Range;

/// Gaps kept for a track. More happen only where QoS 0 is being lost by the handful.
const MAX_GAPS: usize = 256;

/// One subscriber's view of one stream: 16 bytes while nothing is missing.
#[derive(Clone, Debug, Default)]
pub struct Track {
    next: u32,
    #[allow(clippy::box_collection, reason = "a track without gaps, nearly every one, stays at two words")]
    gaps: Option<Box<Vec<Range<u32>>>>,
}

/// What a sequence number is to its track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The next one, or a later one: the numbers between are missing until they turn up.
    First,
    /// Was missing: a later one came before it.
    Late,
    /// Was here before.
    Repeat,
}

impl Track {
    /// Takes note of `seq`.
    #[inline]
    pub fn note(&mut self, seq: u32) -> Arrival {
        if seq == self.next {
            self.next = seq + 1;
            return Arrival::First;
        }
        self.note_odd(seq)
    }

    /// Counts one more, whichever it is: what came to a member of a group, of which others get the rest.
    pub fn count_one(&mut self) {
        self.next += 1;
    }

    /// How many were counted, on a track that only counts.
    pub fn counted(&self) -> u64 {
        u64::from(self.next)
    }

    #[cold]
    fn note_odd(&mut self, seq: u32) -> Arrival {
        let gaps = self.gaps.get_or_insert_default();
        if seq > self.next {
            if gaps.len() == MAX_GAPS {
                gaps.remove(0);
            }
            gaps.push(self.next..seq);
            self.next = seq + 1;
            return Arrival::First;
        }
        let Some(i) = gaps.iter().position(|g| g.contains(&seq)) else { return Arrival::Repeat };
        let gap = gaps[i].clone();
        let rest = [gap.start..seq, seq + 1..gap.end];
        gaps.splice(i..=i, rest.into_iter().filter(|r| !r.is_empty()));
        Arrival::Late
    }

    /// The ranges that never came, when `published` messages were sent; given-up gaps are not among them.
    pub fn missing(&self, published: u32) -> impl Iterator<Item = Range<u32>> + '_ {
        let tail = (published > self.next).then_some(self.next..published);
        self.gaps.iter().flat_map(|g| g.iter().cloned()).chain(tail)
    }
}

/// Deliveries of one QoS, as one worker counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Deliveries {
    /// Each message counted once for each subscriber.
    pub unique: u64,
    /// Came again with the DUP flag.
    pub repeated_dup: u64,
    /// Came again without the DUP flag.
    pub repeated: u64,
    /// Came after a later one of the same stream.
    pub late: u64,
}

impl Deliveries {
    /// Counts one delivery.
    #[inline]
    pub fn count(&mut self, arrival: Arrival, dup: bool) {
        match arrival {
            Arrival::First => self.unique += 1,
            Arrival::Late => {
                self.unique += 1;
                self.late += 1;
            }
            Arrival::Repeat if dup => self.repeated_dup += 1,
            Arrival::Repeat => self.repeated += 1,
        }
    }

    /// Adds another worker's.
    pub fn add(&mut self, other: &Deliveries) {
        self.unique += other.unique;
        self.repeated_dup += other.repeated_dup;
        self.repeated += other.repeated;
        self.late += other.late;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As pairs of first and last.
    fn missing(t: &Track, published: u32) -> Vec<(u32, u32)> {
        t.missing(published).map(|g| (g.start, g.end - 1)).collect()
    }

    #[test]
    fn in_order_costs_nothing() {
        let mut t = Track::default();
        assert!((0..1000).all(|i| t.note(i) == Arrival::First));
        assert!(t.gaps.is_none());
        assert_eq!(missing(&t, 1000), []);
        assert_eq!(missing(&t, 1002), [(1000, 1001)]);
    }

    #[test]
    fn a_gap_is_lost_until_it_arrives_late() {
        let mut t = Track::default();
        t.note(0);
        assert_eq!(t.note(5), Arrival::First);
        assert_eq!(missing(&t, 6), [(1, 4)]);
        assert_eq!(t.note(3), Arrival::Late);
        assert_eq!(missing(&t, 6), [(1, 2), (4, 4)]);
        assert_eq!(t.note(3), Arrival::Repeat);
        for seq in [1, 2, 4] {
            assert_eq!(t.note(seq), Arrival::Late);
        }
        assert_eq!(missing(&t, 6), []);
        assert_eq!(t.note(0), Arrival::Repeat);
    }

    #[test]
    fn agrees_with_a_set_of_everything_seen() {
        let (mut t, mut seen, mut x) = (Track::default(), std::collections::BTreeSet::new(), 12345u32);
        for _ in 0..2000 {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let seq = (x >> 16) % 400;
            let expected = match seen.last() {
                Some(&last) if seen.contains(&seq) => (last, Arrival::Repeat),
                Some(&last) if seq < last => (last, Arrival::Late),
                _ => (seq, Arrival::First),
            };
            assert_eq!(t.note(seq), expected.1, "{seq} after {}", expected.0);
            seen.insert(seq);
            let lost: u32 = t.missing(400).map(|g| g.len() as u32).sum();
            assert_eq!(lost as usize, 400 - seen.len());
        }
    }

    #[test]
    fn the_memory_of_a_lossy_track_is_bounded() {
        let mut t = Track::default();
        for i in 0..10_000 {
            t.note(2 * i + 1);
        }
        assert_eq!(t.gaps.as_ref().map(|g| g.len()), Some(MAX_GAPS));
    }

    #[test]
    fn a_repeat_is_told_apart_by_its_flag() {
        let mut d = Deliveries::default();
        d.count(Arrival::First, false);
        d.count(Arrival::Repeat, true);
        d.count(Arrival::Repeat, false);
        d.count(Arrival::Late, false);
        assert_eq!(d, Deliveries { unique: 2, repeated_dup: 1, repeated: 1, late: 1 });
    }
}
