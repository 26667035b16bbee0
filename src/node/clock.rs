//! The node's clock: one zero for all its shards.

use std::time::Instant;

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

    pub(super) fn now(&self) -> Time {
        Time(u64::try_from(self.zero.elapsed().as_micros()).expect("half a million years fit"))
    }
}
