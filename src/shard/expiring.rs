//! Retained messages that expire: at the first tick after that they are gone and count against no limit any more, a
//! bounded number at a time. That none is delivered meanwhile is looked at where they are.

use std::collections::BTreeSet;

use crate::session::Run;
use crate::time::Time;

use super::Shard;
use super::lifecycle::Visit;

/// Messages swept in one visit; the next one comes with the next tick of the wheel.
const SWEPT: usize = 1_024;

/// When what is retained here expires.
#[derive(Debug)]
pub(super) struct Expiring {
    topics: BTreeSet<(Time, Box<str>)>,
    /// When the wheel comes by.
    visit: Time,
}

impl Default for Expiring {
    fn default() -> Expiring {
        Expiring { topics: BTreeSet::new(), visit: Time::NEVER }
    }
}

impl Expiring {
    fn of(run: &Run) -> Option<(Time, Box<str>)> {
        let expires = run.items()[0].expires;
        (expires != Time::NEVER).then(|| (expires, run.topic().into()))
    }

    /// It is retained no more.
    pub(super) fn forget(&mut self, run: &Run) {
        if let Some(entry) = Expiring::of(run) {
            self.topics.remove(&entry);
        }
    }

    fn first(&self) -> Time {
        self.topics.first().map_or(Time::NEVER, |(at, _)| *at)
    }
}

impl Shard {
    /// It is retained from now on.
    pub(super) fn expire_retained(&mut self, run: &Run) {
        if let Some(entry) = Expiring::of(run) {
            self.expiring.topics.insert(entry);
            self.book_sweep();
        }
    }

    /// The wheel comes by.
    pub(super) fn visit_expiring(&mut self, at: Time) {
        if self.expiring.visit == at {
            self.expiring.visit = Time::NEVER;
            self.sweep_retained();
        }
    }

    /// Forgets what has expired, as much as is done at once. False: nothing has.
    pub(super) fn sweep_retained(&mut self) -> bool {
        let mut swept = 0;
        while swept < SWEPT && self.expiring.first() <= self.now {
            let Some((_, topic)) = self.expiring.topics.pop_first() else { break };
            self.retained.clear(&topic);
            swept += 1;
        }
        self.book_sweep();
        swept > 0
    }

    fn book_sweep(&mut self) {
        let at = self.expiring.first();
        if at < self.expiring.visit {
            self.expiring.visit = self.wheel.book(self.now, at, Visit::Retained);
        }
    }
}
