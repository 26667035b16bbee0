//! The rules that have the same topic, and the first of them that fits a client. Knows no topics.

use super::clients::{Bits, Fitting, is_set};

/// No rule: behind all others.
pub(super) const NO_RULE: u32 = u32::MAX;

/// A place with more rules than this has them as bits too, if they lie close enough together.
const LISTED: usize = 16;

/// Number of a place.
pub(super) type PlaceId = u32;

/// Rules with the same topic.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The first of all.
    lowest: u32,
    /// The first that is about all clients.
    all: u32,
    /// The first that is about all clients and does not grant reading.
    all_refusing: u32,
    /// Those about particular clients, ascending.
    own: Vec<u32>,
    /// The same as bits, from this word on; empty if they are few.
    first_word: usize,
    bits: Box<Bits>,
}

/// One rule as places see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) rule: u32,
    pub(super) is_for_all: bool,
    pub(super) grants_reading: bool,
}

impl Place {
    pub(super) fn new() -> Place {
        Place {
            lowest: NO_RULE,
            all: NO_RULE,
            all_refusing: NO_RULE,
            own: Vec::new(),
            first_word: 0,
            bits: Box::default(),
        }
    }

    /// Adds a rule behind those that were added before.
    pub(super) fn add(&mut self, entry: Entry) {
        self.lowest = self.lowest.min(entry.rule);
        if !entry.is_for_all {
            self.own.push(entry.rule);
            return;
        }
        self.all = self.all.min(entry.rule);
        if !entry.grants_reading {
            self.all_refusing = self.all_refusing.min(entry.rule);
        }
    }

    /// All rules have been added.
    pub(super) fn finish(&mut self) {
        self.own.shrink_to_fit();
        let (Some(first), Some(last)) = (self.own.first(), self.own.last()) else { return };
        let (first, last) = (*first as usize / 64, *last as usize / 64);
        // Bits that would take more room and time than the list are not worth it.
        if self.own.len() > LISTED.max(last - first) {
            let mut bits = vec![0; last - first + 1];
            for rule in &self.own {
                bits[*rule as usize / 64 - first] |= 1 << (rule % 64);
            }
            (self.first_word, self.bits) = (first, bits.into());
        }
    }

    /// The first rule before `end` that fits a client; `end` if there is none. `place` is this place's number.
    #[inline]
    pub(super) fn first(&self, place: PlaceId, client: &Fitting, end: u32) -> u32 {
        if self.lowest >= end {
            return end;
        }
        let end = self.all.min(end);
        match client {
            Fitting::Few(list) => {
                for (rule, at) in list {
                    if *rule >= end {
                        break;
                    }
                    if *at == place {
                        return *rule;
                    }
                }
                end
            }
            Fitting::Many(bits) if self.bits.is_empty() => {
                let own = self.own.iter().take_while(|rule| **rule < end);
                own.copied().find(|rule| is_set(bits, *rule)).unwrap_or(end)
            }
            Fitting::Many(bits) => self.first_common(bits, end),
        }
    }

    fn first_common(&self, client: &Bits, end: u32) -> u32 {
        let client = client.get(self.first_word..).unwrap_or_default();
        for (word, (ours, theirs)) in self.bits.iter().zip(client).enumerate() {
            let common = ours & theirs;
            if common != 0 {
                return end.min(((self.first_word + word) * 64) as u32 + common.trailing_zeros());
            }
        }
        end
    }

    /// Whether a rule before `end` fits a client and does not grant reading, as `grants_reading` says of each.
    pub(super) fn refuses(&self, client: &Fitting, end: u32, grants_reading: impl Fn(u32) -> bool) -> bool {
        self.all_refusing < end
            || self
                .own
                .iter()
                .take_while(|rule| **rule < end)
                .any(|rule| !grants_reading(*rule) && client.holds(*rule))
    }
}
