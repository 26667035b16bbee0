//! How long publications take inside the broker: from the turn in which a publisher's packet was read to the flush that
//! carried its last append on a shard. Recorded once for each run and shard with subscribers, not for each delivery.
//!
//! What waits in backlogs, or for a socket that is full, waits for its client and is not counted. The end of a flush is
//! the beginning of the turn that follows it at once, so that no clock is read for this.

use std::collections::VecDeque;

use hdrhistogram::Histogram;

use crate::time::Time;

use super::{FLUSHES_PER_TURN, Shard};

/// Longest time told apart, in microseconds: a minute.
const LONGEST: u64 = 60_000_000;
/// Entries that wait for a flush; what comes then joins the last one.
const WAITING_MOST: usize = 4_096;

/// Times in microseconds since the start, of bounded size: 1 to a minute, to two significant digits.
#[derive(Clone, Debug, PartialEq)]
pub struct Latency(Histogram<u64>);

impl Default for Latency {
    fn default() -> Latency {
        Latency(Histogram::new_with_bounds(1, LONGEST, 2).expect("the bounds are in order"))
    }
}

impl Latency {
    /// The histogram, in microseconds.
    pub fn histogram(&self) -> &Histogram<u64> {
        &self.0
    }

    /// Adds what another shard has recorded.
    pub fn add(&mut self, other: &Latency) {
        self.0.add(&other.0).expect("both have the same bounds");
    }

    /// What was recorded after `earlier`, of the same shards.
    #[must_use]
    pub fn since(&self, earlier: &Latency) -> Latency {
        let mut since = self.clone();
        // A shard that was started anew has recorded less: then all of it is new.
        if since.0.subtract(&earlier.0).is_err() {
            return self.clone();
        }
        since
    }

    fn record(&mut self, micros: u64, runs: u64) {
        self.0.saturating_record_n(micros.max(1), runs);
    }
}

/// Runs whose last append waits for the same flush.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    arrived: Time,
    /// The flush that takes the queue of deliveries up to here.
    tail: u64,
    runs: u64,
}

/// What is delivered and not flushed, and what was recorded.
#[derive(Debug, Default)]
pub(super) struct Flushing {
    waiting: VecDeque<Waiting>,
    latency: Latency,
}

impl Flushing {
    /// A run has been appended to the output of connections that stand in the queue up to `tail`; `flushed` of it have
    /// been taken.
    #[inline(never)]
    fn delivered(&mut self, arrived: Time, tail: u64, flushed: u64) {
        if tail == flushed {
            return; // only to sockets that are full
        }
        let full = self.waiting.len() == WAITING_MOST;
        if let Some(last) = self.waiting.back_mut()
            && ((last.arrived == arrived && (last.tail == tail || tail <= flushed + FLUSHES_PER_TURN as u64))
                || full)
        {
            (last.tail, last.runs) = (tail, last.runs + 1);
            return;
        }
        self.waiting.push_back(Waiting { arrived, tail, runs: 1 });
    }
}

impl Shard {
    /// A run that came at `arrived` is done with here. `sent`: some of it went to an output.
    #[inline]
    pub(super) fn note_delivered(&mut self, arrived: Time, sent: bool) {
        if sent {
            let (flushed, tail) = self.dirty.deliveries();
            self.flushing.delivered(arrived, tail, flushed);
        }
    }

    /// A turn begins: what the last flush carried is recorded.
    #[inline]
    pub(super) fn record_flushed(&mut self) {
        if !self.flushing.waiting.is_empty() {
            self.record_latency();
        }
    }

    #[inline(never)]
    fn record_latency(&mut self) {
        let (flushed, _) = self.dirty.deliveries();
        let Flushing { waiting, latency } = &mut self.flushing;
        while let Some(&Waiting { arrived, tail, runs }) = waiting.front()
            && tail <= flushed
        {
            waiting.pop_front();
            latency.record(self.now.0.saturating_sub(arrived.0), runs);
        }
    }

    /// How long publications took to get out of here.
    pub fn latency(&self) -> &Latency {
        &self.flushing.latency
    }
}
