//! What the members of one shared subscription got, all of them together: a bit a message. Any member may get any
//! message, so neither order nor gaps of one member say anything; that each came once does.

use crate::ledger::Arrival;

/// One worker's members, or those of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// By stream: a bit for each number.
    streams: Vec<Vec<u64>>,
}

impl Group {
    /// Nothing came yet, of so many streams.
    pub fn new(streams: usize) -> Group {
        Group { streams: vec![Vec::new(); streams] }
    }

    /// Message `seq` of a stream came to a member.
    pub fn note(&mut self, stream: usize, seq: u32) -> Arrival {
        let (word, bit) = (seq as usize / 64, 1u64 << (seq % 64));
        let words = &mut self.streams[stream];
        if words.len() <= word {
            words.resize(word + 1, 0);
        }
        if words[word] & bit != 0 {
            return Arrival::Repeat;
        }
        words[word] |= bit;
        Arrival::First
    }

    /// Adds another worker's members. Answers how many messages came to both.
    pub fn add(&mut self, other: &Group) -> u64 {
        let mut twice = 0;
        for (mine, theirs) in self.streams.iter_mut().zip(&other.streams) {
            if mine.len() < theirs.len() {
                mine.resize(theirs.len(), 0);
            }
            for (mine, theirs) in mine.iter_mut().zip(theirs) {
                twice += u64::from((*mine & theirs).count_ones());
                *mine |= theirs;
            }
        }
        twice
    }
}

/// How evenly the messages were spread over the members.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Spread {
    /// How many members there were.
    pub members: u64,
    /// The fewest messages that one of them got.
    pub min: u64,
    /// The most.
    pub max: u64,
    /// All, divided by the members.
    pub mean: f64,
}

impl Spread {
    /// Of what each member got; `None`: there are no members.
    pub fn of(counts: &[u64]) -> Option<Spread> {
        let (min, max) = (*counts.iter().min()?, *counts.iter().max()?);
        let mean = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
        Some(Spread { members: counts.len() as u64, min, max, mean })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_counts_once_whoever_got_it() {
        let (mut one, mut two) = (Group::new(2), Group::new(2));
        assert_eq!(
            [5, 700, 5].map(|seq| one.note(0, seq)),
            [Arrival::First, Arrival::First, Arrival::Repeat]
        );
        assert_eq!(one.note(1, 5), Arrival::First);
        assert_eq!([700, 6, 9_000].map(|seq| two.note(0, seq)), [Arrival::First; 3]);
        let mut all = Group::new(2);
        assert_eq!((all.add(&one), all.add(&two)), (0, 1), "700 came to both");
        assert_eq!(all.add(&two), 3);
    }

    #[test]
    fn the_spread_is_that_of_the_members() {
        let spread = Spread { members: 3, min: 0, max: 9, mean: 5.0 };
        assert_eq!(Spread::of(&[9, 0, 6]), Some(spread));
        assert_eq!(Spread::of(&[]), None);
    }
}
