//! How many connections the whole node holds and may hold: the only thing here that shards share.

use std::sync::atomic::{AtomicU32, Ordering};

/// A count with a limit. A connection takes a seat when it is accepted and gives it back when its socket is closed;
/// a hand-over to another shard keeps it.
#[derive(Debug)]
pub struct Seats {
    taken: AtomicU32,
    limit: AtomicU32,
}

impl Seats {
    /// Room for `limit` connections.
    pub fn new(limit: u32) -> Seats {
        Seats { taken: AtomicU32::new(0), limit: AtomicU32::new(limit) }
    }

    /// Changes the limit. Connections that exist keep their seats.
    pub fn set_limit(&self, limit: u32) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// How many seats are taken.
    pub fn taken(&self) -> u32 {
        self.taken.load(Ordering::Relaxed)
    }

    /// False: every seat is taken.
    pub(super) fn take(&self) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        let fits = self.taken.fetch_add(1, Ordering::Relaxed) < limit;
        if !fits {
            self.give_back();
        }
        fits
    }

    pub(super) fn give_back(&self) {
        let before = self.taken.fetch_sub(1, Ordering::Relaxed);
        debug_assert!(before > 0, "a seat is given back once");
    }
}

#[cfg(test)]
mod tests {
    use super::Seats;

    #[test]
    fn the_limit_holds_and_a_seat_is_reused() {
        let seats = Seats::new(2);
        assert!(seats.take() && seats.take());
        assert!(!seats.take());
        assert_eq!(seats.taken(), 2);
        seats.give_back();
        assert!(seats.take());
        seats.set_limit(1);
        seats.give_back();
        assert!(!seats.take(), "one sits, one may");
    }
}
