//! Who is still to close its side: a queue of closed connections with their deadlines. The time is the same for all,
//! so the oldest is always in front.
//!
//! Pure.

use std::collections::VecDeque;
use std::time::Duration;

use crate::session::ConnId;
use crate::time::Time;

/// How long a peer may take to read our last packet and close.
pub(super) const LINGER: Duration = Duration::from_secs(1);
/// Most connections that linger at a time; the oldest is cut for the next one.
pub(super) const MOST: usize = 4_096;

/// The queue. It may name connections that are gone: whoever takes one looks.
#[derive(Debug, Default)]
pub(super) struct Linger {
    waiting: VecDeque<(Time, ConnId)>,
}

impl Linger {
    /// `conn` lingers from `now` on. Answers who must be cut for it.
    pub(super) fn push(&mut self, conn: ConnId, now: Time) -> Option<ConnId> {
        self.waiting.push_back((now + LINGER, conn));
        if self.waiting.len() <= MOST {
            return None;
        }
        self.waiting.pop_front().map(|(_, oldest)| oldest)
    }

    /// The next whose time is over.
    pub(super) fn expired(&mut self, now: Time) -> Option<ConnId> {
        if self.waiting.front()?.0 > now {
            return None;
        }
        self.waiting.pop_front().map(|(_, conn)| conn)
    }

    /// Forgets those in front that are gone.
    pub(super) fn trim(&mut self, is_here: impl Fn(ConnId) -> bool) {
        while self.waiting.front().is_some_and(|(_, conn)| !is_here(*conn)) {
            self.waiting.pop_front();
        }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.waiting.front().map(|(deadline, _)| *deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::{LINGER, Linger, MOST};
    use crate::session::ConnId;
    use crate::time::Time;

    fn conn(index: u32) -> ConnId {
        ConnId { index, generation: 7 }
    }

    #[test]
    fn the_oldest_goes_first_and_only_when_its_time_is_over() {
        let mut linger = Linger::default();
        assert_eq!(linger.push(conn(1), Time(5)), None);
        assert_eq!(linger.push(conn(2), Time(9)), None);
        assert_eq!(linger.deadline(), Some(Time(5) + LINGER));
        assert_eq!(linger.expired(Time(4) + LINGER), None);
        assert_eq!(linger.expired(Time(5) + LINGER), Some(conn(1)));
        assert_eq!(linger.expired(Time(5) + LINGER), None);
        linger.trim(|c| c != conn(2));
        assert_eq!(linger.deadline(), None);
    }

    #[test]
    fn there_are_never_more_than_the_most() {
        let mut linger = Linger::default();
        for index in 0..MOST as u32 {
            assert_eq!(linger.push(conn(index), Time(0)), None);
        }
        assert_eq!(linger.push(conn(MOST as u32), Time(0)), Some(conn(0)));
    }
}
