//! How many TLS handshakes may be under way at a time, and who waits for a place: first come, first served.
//!
//! Pure. A handshake costs a hundred microseconds and some ten kilobytes, and anybody can ask for one; a storm of them
//! must not make those who are connected wait, nor fill the memory.

use std::collections::VecDeque;

use crate::policy::Limits;
use crate::session::ConnId;

/// The handshakes of one shard.
#[derive(Debug)]
pub(super) struct Gate {
    shards: u16,
    most: u32,
    under_way: u32,
    /// It may name connections that are gone.
    waiting: VecDeque<ConnId>,
}

impl Gate {
    pub(super) fn new(limits: &Limits, shards: u16) -> Gate {
        let mut gate = Gate { shards, most: 0, under_way: 0, waiting: VecDeque::new() };
        gate.install(limits);
        gate
    }

    /// New limits, for who comes from now on.
    pub(super) fn install(&mut self, limits: &Limits) {
        self.most = limits.tls_handshakes.div_ceil(u32::from(self.shards.max(1))).max(1);
    }

    /// `conn` has said its first bytes. False: it waits, until [`Gate::next`] names it.
    pub(super) fn enter(&mut self, conn: ConnId) -> bool {
        let now = self.under_way < self.most && self.waiting.is_empty();
        if now {
            self.under_way += 1;
        } else {
            self.waiting.push_back(conn);
        }
        now
    }

    /// One that was let in is through, or has failed.
    pub(super) fn leave(&mut self) {
        self.under_way -= 1;
    }

    /// Lets in the next that waits, if there is a place.
    pub(super) fn next(&mut self, is_here: impl Fn(ConnId) -> bool) -> Option<ConnId> {
        // Those who left while they waited need no place.
        while self.waiting.front().is_some_and(|conn| !is_here(*conn)) {
            self.waiting.pop_front();
        }
        if self.waiting.is_empty() {
            // A storm must not be remembered for ever.
            self.waiting.shrink_to(64);
        }
        if self.under_way >= self.most {
            return None;
        }
        let next = self.waiting.pop_front()?;
        self.under_way += 1;
        Some(next)
    }

    /// Is there a place, and somebody who waits for it?
    pub(super) fn is_ready(&self) -> bool {
        self.under_way < self.most && !self.waiting.is_empty()
    }

    /// Handshakes under way, and connections that wait.
    #[cfg(test)]
    pub(super) fn load(&self) -> (u32, usize) {
        (self.under_way, self.waiting.len())
    }
}

#[cfg(test)]
mod tests {
    use super::Gate;
    use crate::policy::Limits;
    use crate::session::ConnId;

    fn conn(index: u32) -> ConnId {
        ConnId { index, generation: 1 }
    }

    #[test]
    fn who_comes_over_the_limit_waits_for_its_turn() {
        let limits = Limits { tls_handshakes: 3, ..Limits::default() };
        let mut gate = Gate::new(&limits, 2);
        assert!(gate.enter(conn(0)) && gate.enter(conn(1)));
        assert!(!gate.enter(conn(2)) && !gate.enter(conn(3)) && !gate.enter(conn(4)));
        assert_eq!((gate.next(|_| true), gate.is_ready()), (None, false));
        gate.leave();
        assert!(gate.is_ready());
        assert!(!gate.enter(conn(5)), "nobody overtakes those who wait");
        assert_eq!(gate.next(|c| c != conn(2)), Some(conn(3)));
        assert_eq!(gate.next(|_| true), None);
        gate.leave();
        gate.leave();
        assert_eq!((gate.next(|_| true), gate.next(|_| true)), (Some(conn(4)), Some(conn(5))));
        assert_eq!((gate.next(|_| true), gate.load()), (None, (2, 0)));
    }

    #[test]
    fn there_is_always_a_place() {
        let mut gate = Gate::new(&Limits { tls_handshakes: 1, ..Limits::default() }, 64);
        assert!(gate.enter(conn(0)));
        assert!(!gate.enter(conn(1)));
    }
}
