//! How often each topic rule has decided about what clients did: publish, leave a will, subscribe. Deliveries are not
//! counted: there are far more of them, and most are not judged one by one. Knows nothing of what a rule says.

use std::cell::Cell;

use crate::policy::rules::{RuleIndex, Rules};
use crate::policy::{Generation, Snapshot};
use crate::shard::Shard;

/// How often rules have decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleHits {
    /// Since this generation was applied: the rules have stayed the same.
    pub since: Generation,
    /// In the order of the rules; empty if they do not apply.
    pub by_rule: Vec<u64>,
    /// How often none of them matched.
    pub no_rule: u64,
}

/// Where a decision is counted: behind the last rule stands "none of them".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HitPlace(u32);

/// The counts of a shard.
#[derive(Debug, Default)]
pub(super) struct Hits {
    /// Of which rules: they keep their counts through every Apply that leaves them alone.
    digest: u64,
    since: Generation,
    /// One for each rule and one for "none of them"; empty if rules do not apply.
    counts: Box<[Cell<u64>]>,
    /// The last of them.
    no_rule: HitPlace,
}

impl Hits {
    pub(super) fn of(snapshot: &Snapshot) -> Hits {
        let rules = snapshot.rules.as_deref();
        let number = rules.map_or(0, |rules| rules.rules().len());
        Hits {
            digest: rules.map_or(0, Rules::digest),
            since: snapshot.generation,
            counts: rules.iter().flat_map(|_| 0..=number).map(|_| Cell::new(0)).collect(),
            no_rule: HitPlace(u32::try_from(number).expect("rules are fewer")),
        }
    }

    /// Counts anew, unless these are the rules of before.
    pub(super) fn install(&mut self, snapshot: &Snapshot) {
        let next = Hits::of(snapshot);
        if (next.digest, next.counts.len()) != (self.digest, self.counts.len()) {
            *self = next;
        }
    }

    /// Counts a decision.
    #[inline]
    pub(super) fn count(&self, rule: Option<RuleIndex>) -> HitPlace {
        let place = rule.map_or(self.no_rule, |rule| HitPlace(rule.0));
        self.count_again(place);
        place
    }

    /// The same decision about another message.
    #[inline]
    pub(super) fn count_again(&self, place: HitPlace) {
        if let Some(count) = self.counts.get(place.0 as usize) {
            count.set(count.get() + 1);
        }
    }
}

impl RuleHits {
    /// With those of another shard. While an install goes from shard to shard their rules may not be the same: the newer
    /// ones stay.
    #[must_use]
    pub fn with(mut self, other: RuleHits) -> RuleHits {
        if other.since != self.since || other.by_rule.len() != self.by_rule.len() {
            return if other.since > self.since { other } else { self };
        }
        self.no_rule += other.no_rule;
        self.by_rule.iter_mut().zip(other.by_rule).for_each(|(sum, more)| *sum += more);
        self
    }
}

impl Shard {
    /// How often each rule has decided here.
    pub fn rule_hits(&self) -> RuleHits {
        let mut by_rule: Vec<u64> = self.hits.counts.iter().map(Cell::get).collect();
        let no_rule = by_rule.pop().unwrap_or(0);
        RuleHits { since: self.hits.since, by_rule, no_rule }
    }
}
