//! Time as an input. Nothing here reads a clock: the driver says what time it is, a test says what it likes.

use std::ops::Add;
use std::time::Duration;

/// Microseconds on a monotonic clock whose zero is the start of the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// The end of time: a deadline that never comes.
    pub const NEVER: Time = Time(u64::MAX);

    /// A time in whole milliseconds.
    pub const fn from_millis(millis: u64) -> Time {
        Time(millis * 1_000)
    }

    /// A time in whole seconds.
    pub const fn from_secs(secs: u64) -> Time {
        Time(secs * 1_000_000)
    }

    /// How long after `earlier` this is; zero if it is before.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// `secs` later; saturates.
    pub fn after_secs(self, secs: u64) -> Time {
        Time(self.0.saturating_add(secs.saturating_mul(1_000_000)))
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, rhs: Duration) -> Time {
        Time(self.0.saturating_add(u64::try_from(rhs.as_micros()).unwrap_or(u64::MAX)))
    }
}
