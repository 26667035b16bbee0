//! Cutting connections at random moments, from a seed, and coming back.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::link::{Closing, LinkId, Standing};
use super::{Action, Worker};
use crate::plan::Cuts;
use crate::random::Random;
use crate::schedule::{Nanos, SECOND};
use crate::tally::Act;

/// The next cut and who comes back when.
pub struct Cutting {
    random: Random,
    /// Mean time between two cuts of this worker, in nanoseconds.
    mean: f64,
    longest_away: Nanos,
    next: Nanos,
    away: BinaryHeap<Reverse<(Nanos, LinkId)>>,
}

impl Cutting {
    /// Cuts from `start` on; each worker does its share from its own seed.
    pub fn new(cuts: Cuts, me: u32, workers: u32, start: Nanos) -> Cutting {
        let mut random = Random(cuts.seed ^ u64::from(me) << 32);
        let mean = SECOND as f64 * f64::from(workers) / cuts.per_sec;
        let next = start + random.wait(mean) as Nanos;
        Cutting { random, mean, longest_away: cuts.longest_away, next, away: BinaryHeap::new() }
    }

    /// When the next cut or return is due.
    pub fn next_wake(&self, cuts: bool) -> Nanos {
        let back = self.away.peek().map_or(Nanos::MAX, |Reverse((at, _))| *at);
        if cuts { back.min(self.next) } else { back }
    }

    /// A link was cut, or lost; it comes back some time from now on.
    pub fn come_back(&mut self, id: LinkId, now: Nanos) {
        let at = now + self.random.below(self.longest_away.max(1));
        self.away.push(Reverse((at, id)));
    }
}

impl Worker {
    /// Cuts whoever chance picks, and brings back who was away long enough.
    pub(super) fn poll_cutting(&mut self, now: Nanos) {
        while self.act == Act::Publish && self.cutting.as_ref().is_some_and(|c| c.next <= now) {
            self.cut(now);
        }
        while let Some(cutting) = &mut self.cutting
            && let Some(&Reverse((at, id))) = cutting.away.peek()
            && at <= now
        {
            cutting.away.pop();
            self.open(id, at);
        }
    }

    fn cut(&mut self, now: Nanos) {
        let links = self.links.len() as u64;
        let Some(cutting) = &mut self.cutting else { return };
        cutting.next += cutting.random.wait(cutting.mean) as Nanos;
        let id = cutting.random.below(links.max(1)) as LinkId;
        let (kind, torn) = (cutting.random.below(3), cutting.random.bits());
        if links == 0 || !self.links[id as usize].is_open() {
            return;
        }
        cutting.come_back(id, now);
        self.leave_ready(id);
        self.cuts += 1;
        let link = &mut self.links[id as usize];
        // Nothing of what waits is sent, all of it is, or it breaks off in the middle of a packet.
        match kind {
            0 => link.out.clear(),
            1 => {}
            _ => link.out.truncate((torn % (link.out.len() as u64 + 1)) as usize),
        }
        link.standing = Standing::Away;
        let how = if kind == 0 { Closing::Reset } else { Closing::Orderly };
        self.actions.push(Action::Close(id, how));
    }
}
