//! When is the next operation due: by a fixed timetable (open loop), or when there is room (closed loop).
//!
//! The open loop is what keeps a measurement honest: an operation's due time depends on nothing that happened, so
//! a target that stalls is charged for every operation that fell due meanwhile. A generator that waits and then
//! goes on counts one slow operation instead of thousands ("coordinated omission"). Knows no client and no clock.

/// Nanoseconds since the run's zero; every worker counts from the same zero.
pub type Nanos = u64;

/// One second.
pub const SECOND: Nanos = 1_000_000_000;

/// A fixed timetable: operation `k` is due at `start + k / rate`, whatever happened before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timetable {
    /// When operation 0 is due.
    pub start: Nanos,
    /// Operations a second.
    pub per_sec: f64,
}

impl Timetable {
    /// When operation `k` is due. Computed, not accumulated: no rounding error grows with the run.
    pub fn due(&self, k: u64) -> Nanos {
        self.start + (k as f64 / self.per_sec * SECOND as f64) as Nanos
    }
}

/// At most `limit` deliveries (or acknowledgements, where nobody subscribes) outstanding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    limit: u64,
    /// What was asked for so far.
    owed: u64,
    /// Of those, what is never to come: lost at QoS 0, see `write_off`.
    written_off: u64,
    /// The last `retired` seen and when it moved.
    last: (u64, Nanos),
}

/// How long nothing may come back before what is outstanding is taken for lost.
const STALL: Nanos = 2 * SECOND;

impl Window {
    /// A window of `limit` retirements.
    pub fn new(limit: u64) -> Window {
        Window { limit: limit.max(1), owed: 0, written_off: 0, last: (0, 0) }
    }

    /// Is there room for one more message, when `retired` came back so far? The message that crosses the limit is
    /// still allowed, so that a window of one message has room for its whole fan-out.
    pub fn has_room(&self, retired: u64) -> bool {
        self.owed < retired + self.written_off + self.limit
    }

    /// A message was sent that will come back `fan` times.
    pub fn take(&mut self, fan: u64) {
        self.owed += fan;
    }

    /// When nothing came back for two seconds, what is outstanding is given up: messages lost at QoS 0 must not
    /// stop the run (they are counted as lost by their sequence numbers). True when that happened now.
    pub fn write_off(&mut self, retired: u64, now: Nanos) -> bool {
        if retired != self.last.0 || self.has_room(retired) {
            self.last = (retired, now);
            return false;
        }
        if now - self.last.1 < STALL {
            return false;
        }
        self.written_off = self.owed - retired;
        self.last = (retired, now);
        true
    }
}

/// How operations are paced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// By the clock.
    Open(Timetable),
    /// By what came back.
    Closed(Window),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timetable_does_not_drift() {
        let t = Timetable { start: 7, per_sec: 3.0 };
        assert_eq!(t.due(0), 7);
        assert_eq!(t.due(3_000_000), 7 + 1_000_000 * SECOND);
        assert_eq!(t.due(1), 7 + SECOND / 3);
    }

    #[test]
    fn a_window_of_one_message_lets_its_whole_fan_out_through() {
        let mut w = Window::new(1000);
        assert!(w.has_room(0));
        w.take(1000);
        assert!(!w.has_room(0));
        assert!(w.has_room(1), "a window counts deliveries, not whole messages");
    }

    #[test]
    fn lost_deliveries_stop_the_window_for_two_seconds_only() {
        let mut w = Window::new(10);
        w.take(10);
        assert!(!w.write_off(4, SECOND));
        w.take(4);
        assert!(!w.write_off(4, 2 * SECOND), "progress was seen a second ago");
        assert!(w.write_off(4, 4 * SECOND));
        assert!(w.has_room(4));
        w.take(10);
        assert!(!w.has_room(4));
    }
}
