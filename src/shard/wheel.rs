//! The timer wheel of a shard: who wants to be looked at when.
//!
//! Entries are hints, not promises: whoever is visited looks what is due and asks again. Nothing is cancelled;
//! nothing lies further ahead than one round, so a stale entry is gone after a minute at the latest.

use crate::time::Time;

const SLOTS: usize = 512;
/// A tick is 2^17 microseconds, 0.13 s: a round is 67 s.
const TICK_BITS: u32 = 17;
/// A slot keeps the memory of so many entries.
pub(super) const KEPT: usize = 1_024;
/// Furthest a visit is booked.
const HORIZON: u64 = (SLOTS as u64 - 2) << TICK_BITS;

/// A wheel of visits to `K`.
#[derive(Debug)]
pub(super) struct Wheel<K> {
    slots: Vec<Vec<(Time, K)>>,
    /// One bit a slot that has entries.
    occupied: [u64; SLOTS / 64],
    /// The first tick not yet expired.
    tick: u64,
    len: usize,
}

impl<K: Copy> Wheel<K> {
    pub(super) fn new(now: Time) -> Wheel<K> {
        let slots = std::iter::repeat_with(Vec::new).take(SLOTS).collect();
        Wheel { slots, occupied: [0; SLOTS / 64], tick: now.0 >> TICK_BITS, len: 0 }
    }

    /// Books a visit at `at`, or earlier when that is beyond the horizon. Returns when it will be at the latest
    /// tick before; the visitor compares it with what it last asked for.
    pub(super) fn book(&mut self, now: Time, at: Time, key: K) -> Time {
        let at = at.min(Time(now.0 + HORIZON));
        // Rounded up: a visit is never early by a tick, so that what is due is due.
        let tick = ((at.0 >> TICK_BITS) + 1).max(self.tick);
        let slot = tick as usize % SLOTS;
        self.slots[slot].push((at, key));
        self.occupied[slot / 64] |= 1 << (slot % 64);
        self.len += 1;
        at
    }

    /// Moves everything due at `now` to `due`.
    pub(super) fn expire(&mut self, now: Time, due: &mut Vec<(Time, K)>) {
        let now_tick = now.0 >> TICK_BITS;
        if now_tick >= self.tick + SLOTS as u64 {
            self.tick = now_tick - SLOTS as u64 + 1; // a jump of more than a round visits every slot once
        }
        while self.tick <= now_tick {
            let slot = self.tick as usize % SLOTS;
            self.len -= self.slots[slot].len();
            due.append(&mut self.slots[slot]);
            if self.slots[slot].capacity() > KEPT {
                self.slots[slot] = Vec::new(); // a storm is not remembered
            }
            self.occupied[slot / 64] &= !(1 << (slot % 64));
            self.tick += 1;
        }
    }

    /// When the next visit falls due.
    pub(super) fn deadline(&self) -> Option<Time> {
        if self.len == 0 {
            return None;
        }
        (self.tick..self.tick + SLOTS as u64)
            .find(|t| {
                let slot = *t as usize % SLOTS;
                self.occupied[slot / 64] & (1 << (slot % 64)) != 0
            })
            .map(|t| Time(t << TICK_BITS))
    }

    /// Visits booked.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visit_is_never_early_and_at_most_a_tick_late() {
        let mut wheel = Wheel::new(Time(0));
        for at in [1u64, 1 << 17, 500_000, 3_000_000, 60_000_000] {
            wheel.book(Time(0), Time(at), at);
        }
        let (mut due, mut now) = (Vec::new(), 0);
        while let Some(deadline) = wheel.deadline() {
            assert!(deadline.0 > now, "the wheel must move on");
            now = deadline.0;
            wheel.expire(Time(now), &mut due);
            for (at, key) in due.drain(..) {
                assert_eq!(at.0, key);
                assert!(now >= key && now - key <= 2 << TICK_BITS, "{key} visited at {now}");
            }
        }
        assert_eq!(wheel.len(), 0);
    }

    #[test]
    fn beyond_the_horizon_is_visited_early_and_a_jump_misses_nobody() {
        let mut wheel = Wheel::new(Time::from_secs(5));
        let at = wheel.book(Time::from_secs(5), Time::from_secs(90_000), 1);
        assert!(at < Time::from_secs(90));
        wheel.book(Time::from_secs(5), Time::from_secs(6), 2);
        let mut due = Vec::new();
        wheel.expire(Time::from_secs(1_000_000), &mut due);
        assert_eq!(due.len(), 2);
        assert_eq!(wheel.deadline(), None);
    }
}
