//! The node's clock: one zero for all its shards.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::time::Time;

/// Tells the time since the start of the node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    zero: Instant,
}

impl Clock {
    pub(super) fn start() -> Clock {
        Clock { zero: Instant::now() }
    }

    /// What it is o'clock at zero by the wall clock of now, in microseconds since 1970, UTC.
    pub(super) fn unix_zero_micros(&self) -> u64 {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(unix.saturating_sub(self.zero.elapsed()).as_micros()).unwrap_or_default()
    }

    pub(super) fn now(&self) -> Time {
        Time(u64::try_from(self.zero.elapsed().as_micros()).expect("half a million years fit"))
    }
}
