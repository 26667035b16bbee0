//! The threads that verify passwords, away from the shards: a check takes tens of milliseconds and tens of megabytes.
//!
//! A shard never has more checks under way than it may, so the queue always has room for what it asks; what is more
//! waits at the shard, in order.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::clock::Clock;
use super::mesh::Switchboard;
use super::order::Order;
use super::priority::stand_back;
use crate::routing::ShardId;
use crate::shard::{CHECKS_UNDER_WAY, Message, PasswordCheck, PasswordOutcome};
use crate::time::Time;

/// Cores for which there is one thread: logins get a fair part of a machine, not all of it.
const CORES_A_THREAD: usize = 4;
/// How long failures count.
const MINUTE: Duration = Duration::from_secs(60);
/// Addresses whose failures are known; beyond, the oldest are forgotten. A few megabytes.
const ADDRESSES: usize = 1 << 16;

/// A check and who asked for it; `None`: one of the threads is to end.
type Job = Option<(ShardId, PasswordCheck)>;

/// Where a shard's driver hands its checks.
#[derive(Clone, Debug)]
pub(super) struct Checks(Sender<Job>);

impl Checks {
    /// Asks for a check. Its answer comes as an [`Order::Password`].
    pub(super) fn ask(&self, shard: ShardId, check: PasswordCheck) {
        // It has room, unless everything is stopping: then nobody waits for the answer.
        let _ = self.0.try_send(Some((shard, check)));
    }
}

/// The threads.
#[derive(Debug)]
pub(super) struct Pool {
    jobs: Sender<Job>,
    threads: Vec<JoinHandle<()>>,
    stops: Arc<AtomicBool>,
}

/// What every thread has of the pool.
struct Worker {
    jobs: Receiver<Job>,
    failures: Arc<Mutex<Failures>>,
    stops: Arc<AtomicBool>,
    switchboard: Arc<Switchboard<Message>>,
    clock: Clock,
}

impl Pool {
    /// Starts as many threads as suit `cores` cores.
    pub(super) fn start(
        cores: usize,
        switchboard: &Arc<Switchboard<Message>>,
        clock: Clock,
    ) -> io::Result<Pool> {
        let threads = (cores / CORES_A_THREAD).max(1);
        let (asker, jobs) = bounded(switchboard.shards().count() * CHECKS_UNDER_WAY + threads);
        let mut pool = Pool { jobs: asker, threads: Vec::new(), stops: Arc::default() };
        let failures = Arc::new(Mutex::new(Failures::new(ADDRESSES)));
        for number in 0..threads {
            let worker = Worker {
                jobs: jobs.clone(),
                failures: Arc::clone(&failures),
                stops: Arc::clone(&pool.stops),
                switchboard: Arc::clone(switchboard),
                clock,
            };
            let thread = Builder::new().name(format!("passwords-{number}"));
            pool.threads.push(thread.spawn(move || worker.run())?);
        }
        Ok(pool)
    }

    /// Where checks are handed in.
    pub(super) fn checks(&self) -> Checks {
        Checks(self.jobs.clone())
    }
}

impl Drop for Pool {
    /// What is not verified by now stays so: there are no shards any more.
    fn drop(&mut self) {
        self.stops.store(true, Ordering::Relaxed);
        for _ in &self.threads {
            // Waits for room; the threads only empty the queue by now.
            let _ = self.jobs.send(None);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Worker {
    fn run(&self) {
        stand_back();
        while let Ok(Some((shard, check))) = self.jobs.recv() {
            if !self.stops.load(Ordering::Relaxed) {
                let outcome = verify(&check, &self.failures, || self.clock.now());
                self.switchboard.order(shard, Order::Password(check.id, outcome));
            }
        }
    }
}

/// Verifies a password, if its address has not had too many wrong ones. Checks of one address that are under way at the
/// same time do not know of each other's failures: there may be as many too many as there are threads.
fn verify(check: &PasswordCheck, failures: &Mutex<Failures>, now: impl Fn() -> Time) -> PasswordOutcome {
    const WHOLE: &str = "nothing panics while it holds the failures";
    let source = Source::of(check.peer);
    if failures.lock().expect(WHOLE).are_too_many(source, check.failures_per_minute, now()) {
        return PasswordOutcome::Limited;
    }
    // Always both: whether there is such a user is not to be seen from the time it takes.
    let right = check.stored.verify(&check.password) & check.exists;
    if right {
        return PasswordOutcome::Right;
    }
    failures.lock().expect(WHOLE).count(source, now());
    PasswordOutcome::Wrong
}

/// Who is taken for one when failures are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Source {
    V4(Ipv4Addr),
    /// The network: a host has all the addresses in it.
    V6(u64),
}

impl Source {
    fn of(address: IpAddr) -> Source {
        match address.to_canonical() {
            IpAddr::V4(address) => Source::V4(address),
            IpAddr::V6(address) => Source::V6((u128::from(address) >> 64) as u64),
        }
    }
}

/// Wrong passwords of the last minute, by source. A minute begins with the first one.
#[derive(Debug)]
struct Failures {
    counts: HashMap<Source, u32>,
    /// When the minute of each began, oldest first.
    began: VecDeque<(Time, Source)>,
    most: usize,
}

impl Failures {
    fn new(most: usize) -> Failures {
        Failures { counts: HashMap::new(), began: VecDeque::new(), most }
    }

    /// Whether a source has had `limit` failures within its minute; 0: it may have any number.
    fn are_too_many(&mut self, source: Source, limit: u16, now: Time) -> bool {
        while self.began.front().is_some_and(|(began, _)| *began + MINUTE <= now) {
            self.forget_oldest();
        }
        limit > 0 && self.counts.get(&source).is_some_and(|count| *count >= u32::from(limit))
    }

    fn count(&mut self, source: Source, now: Time) {
        if let Some(count) = self.counts.get_mut(&source) {
            *count = count.saturating_add(1);
            return;
        }
        if self.counts.len() >= self.most {
            self.forget_oldest();
        }
        self.counts.insert(source, 1);
        self.began.push_back((now, source));
    }

    fn forget_oldest(&mut self) {
        if let Some((_, source)) = self.began.pop_front() {
            self.counts.remove(&source);
        }
    }
}

#[cfg(test)]
#[path = "passwords_tests.rs"]
mod tests;
