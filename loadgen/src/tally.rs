//! The numbers by which workers and the conductor understand each other, and the board on which they stand.
//!
//! A worker copies its tally to its row of the board after each turn; everyone may read it, nobody waits.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::record::Recent;
use crate::schedule::Nanos;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Count {
    /// Clients that were ready once: connected, and subscribed where they subscribe.
    Ready,
    /// Clients given up.
    Failed,
    /// Clients that are not ready now.
    Away,
    /// Messages published.
    Published,
    /// Deliveries that the QoS 0 messages published so far should make.
    ExpectedLoose,
    /// The same for QoS 1 and 2.
    ExpectedSure,
    /// Deliveries at QoS 0, repetitions not counted.
    UniqueLoose,
    /// The same at QoS 1 and 2.
    UniqueSure,
    /// Messages acknowledged to their publishers.
    Acked,
    /// QoS 1 and 2 messages sent and not acknowledged.
    Inflight,
    /// Messages that were due and never sent.
    Unsent,
    /// 1 when nothing falls due any more.
    Done,
}

const COUNTS: usize = Count::Done as usize + 1;

/// One worker's numbers, or the sum of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally([u64; COUNTS]);

impl std::ops::Index<Count> for Tally {
    type Output = u64;
    fn index(&self, count: Count) -> &u64 {
        &self.0[count as usize]
    }
}

impl std::ops::IndexMut<Count> for Tally {
    fn index_mut(&mut self, count: Count) -> &mut u64 {
        &mut self.0[count as usize]
    }
}

impl Tally {
    /// Deliveries at any QoS.
    pub fn unique(&self) -> u64 {
        self[Count::UniqueLoose] + self[Count::UniqueSure]
    }

    /// Whatever moves while a run makes progress.
    pub fn progress(&self) -> u64 {
        self.unique() + self[Count::Acked] + self[Count::Published] + self[Count::Ready]
    }
}

/// What the conductor wants of all workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
#[repr(u8)]
pub enum Act {
    /// Connect and subscribe.
    Connect,
    /// Idle clients: disconnect, to come back.
    Leave,
    /// Connect once more.
    Return,
    /// Publish, from the start time on.
    Publish,
    /// Publish nothing more; receive what is on its way.
    Drain,
    /// Disconnect.
    Finish,
}

impl Act {
    const ALL: [Act; 6] = [Act::Connect, Act::Leave, Act::Return, Act::Publish, Act::Drain, Act::Finish];
}

/// A worker's row. Aligned so that two workers never write to one cache line.
#[derive(Debug)]
#[repr(align(128))]
pub struct Row {
    counts: [AtomicU64; COUNTS],
    /// Deliveries here of messages that came from each worker.
    retired: Vec<AtomicU64>,
    /// It sleeps: whoever has news for it must ring.
    pub sleeping: AtomicBool,
    /// End-to-end latencies since the conductor last took them.
    recent: Mutex<Recent>,
}

/// The board.
#[derive(Debug)]
pub struct Board {
    /// One row a worker.
    pub rows: Vec<Row>,
    act: AtomicU8,
    start: AtomicU64,
}

impl Board {
    /// A board for so many workers.
    pub fn new(workers: usize) -> Board {
        let row = |_| Row {
            counts: Default::default(),
            retired: (0..workers).map(|_| AtomicU64::new(0)).collect(),
            sleeping: AtomicBool::new(false),
            recent: Mutex::default(),
        };
        Board { rows: (0..workers).map(row).collect(), act: AtomicU8::new(0), start: AtomicU64::new(0) }
    }

    /// Posts a worker's numbers.
    pub fn post(&self, worker: usize, tally: &Tally, retired: &[u64]) {
        let row = &self.rows[worker];
        for (cell, value) in row.counts.iter().chain(&row.retired).zip(tally.0.iter().chain(retired)) {
            cell.store(*value, Ordering::Relaxed);
        }
    }

    /// The sum over all workers.
    pub fn sum(&self) -> Tally {
        let mut sum = Tally::default();
        for row in &self.rows {
            for (to, from) in sum.0.iter_mut().zip(&row.counts) {
                *to += from.load(Ordering::Relaxed);
            }
        }
        sum
    }

    /// Deliveries at the other workers of messages that came from `worker`.
    pub fn retired_elsewhere(&self, worker: usize) -> u64 {
        let others = self.rows.iter().enumerate().filter(|(i, _)| *i != worker);
        others.map(|(_, row)| row.retired[worker].load(Ordering::Relaxed)).sum()
    }

    /// Says what all workers shall do; `start` is when publishing starts.
    pub fn call(&self, act: Act, start: Nanos) {
        self.start.store(start, Ordering::Relaxed);
        self.act.store(act as u8, Ordering::SeqCst);
    }

    /// What the workers shall do, and the start time.
    pub fn called(&self) -> (Act, Nanos) {
        let act = Act::ALL[usize::from(self.act.load(Ordering::SeqCst))];
        (act, self.start.load(Ordering::Relaxed))
    }

    /// Gives `add` the place for recent latencies of a worker.
    pub fn with_recent<T>(&self, worker: usize, add: impl FnOnce(&mut Recent) -> T) -> T {
        add(&mut self.rows[worker].recent.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_board_adds_up_and_a_worker_sees_what_others_retired() {
        let board = Board::new(2);
        let mut tally = Tally::default();
        tally[Count::UniqueSure] = 5;
        tally[Count::Acked] = 1;
        board.post(0, &tally, &[7, 8]);
        board.post(1, &tally, &[20, 30]);
        assert_eq!((board.sum().unique(), board.sum()[Count::Acked]), (10, 2));
        assert_eq!((board.retired_elsewhere(0), board.retired_elsewhere(1)), (20, 8));
        board.call(Act::Drain, 9);
        assert_eq!(board.called(), (Act::Drain, 9));
    }
}
