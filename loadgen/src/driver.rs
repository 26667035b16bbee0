//! A worker's thread: one glommio executor pinned to a core, whose only task drives the worker and its ring.
//!
//! It sleeps in the ring's own enter; nothing else runs on the executor, so glommio has nobody to wake meanwhile.
//! The only place besides the conductor that reads the clock.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Instant;

use anyhow::Context;
use glommio::{LocalExecutorBuilder, Placement};

use crate::plan::Plan;
use crate::proc::{self, ThreadUse};
use crate::ring::{self, Doorbell, LinkId, Links, Ring, Route};
use crate::schedule::{Nanos, SECOND};
use crate::tally::{Act, Board};
use crate::worker::{Action, Closing, Findings, Worker};

/// How long good-byes may take.
const FAREWELL: Nanos = 3 * SECOND;

/// What all workers share.
#[derive(Clone)]
pub struct Common {
    /// What to do.
    pub plan: Arc<Plan>,
    /// Numbers and orders.
    pub board: Arc<Board>,
    /// One a worker.
    pub bells: Vec<Doorbell>,
    /// Zero of every time.
    pub zero: Instant,
    /// Where to connect to.
    pub route: Route,
}

impl Common {
    fn now(&self) -> Nanos {
        self.zero.elapsed().as_nanos() as Nanos
    }

    /// Wakes a worker that sleeps.
    fn wake(&self, worker: usize) {
        let row = &self.board.rows[worker];
        if row.sleeping.load(Ordering::Relaxed) && row.sleeping.swap(false, Ordering::AcqRel) {
            self.bells[worker].ring();
        }
    }

    /// Wakes every worker that sleeps. The fence pairs with the sleeper's: either it sees what was posted, or we see
    /// that it sleeps.
    pub fn wake_all(&self, but: Option<usize>) {
        fence(Ordering::SeqCst);
        (0..self.bells.len()).filter(|&w| Some(w) != but).for_each(|w| self.wake(w));
    }
}

/// What a worker's thread found.
pub struct Outcome {
    /// The worker's findings.
    pub findings: Findings,
    /// Use of its core while messages fell due.
    pub used: ThreadUse,
    /// CPU of its thread until the last message was there.
    pub cpu: Nanos,
    /// The busiest second: share of its core.
    pub busiest: f64,
    /// Use of its core until all its clients were ready or given up.
    pub connecting: ThreadUse,
}

/// A running worker.
pub struct Handle(glommio::ExecutorJoinHandle<anyhow::Result<Outcome>>);

impl Handle {
    /// Waits for its end.
    pub fn join(self) -> anyhow::Result<Outcome> {
        self.0.join().map_err(|e| anyhow::anyhow!("a worker's executor failed: {e}"))?
    }
}

/// Starts worker `me` on `core`.
pub fn spawn(me: usize, core: usize, common: Common) -> anyhow::Result<Handle> {
    LocalExecutorBuilder::new(Placement::Fixed(core))
        .name("load")
        .ring_depth(16)
        .io_memory(64 << 10)
        .spawn(move || run(me, common))
        .map(Handle)
        .map_err(|e| anyhow::anyhow!("{e}"))
        .with_context(|| format!("cannot start a worker on core {core} (is io_uring allowed here?)"))
}

async fn run(me: usize, common: Common) -> anyhow::Result<Outcome> {
    ring::precise_timers();
    if let Some(security) = &common.plan.security {
        // The first random bytes of a thread cost tens of milliseconds, which no handshake is to be charged.
        let _ = security.tls(0).begin();
    }
    let worker = Worker::new(common.plan.clone(), me as u32, common.now());
    let ring = Ring::new(worker.len(), common.route.clone(), common.bells[me].clone())?;
    let start = common.now();
    let mut turns =
        Turns { me, common, worker, ring, meter: Meter::new(start), retired: 0, dirty: Vec::new() };
    while !turns.turn() {
        glommio::yield_if_needed().await;
    }
    let now = turns.common.now();
    turns.fold(now);
    let Turns { worker, meter, .. } = turns;
    let Meter { used, cpu, busiest, connecting, .. } = meter;
    let connecting = connecting.unwrap_or_default();
    Ok(Outcome { findings: worker.into_findings(), used, cpu, busiest, connecting })
}

struct Turns {
    me: usize,
    common: Common,
    worker: Worker,
    ring: Ring,
    meter: Meter,
    /// Deliveries here of messages of other workers, as last posted.
    retired: u64,
    dirty: Vec<LinkId>,
}

impl Turns {
    /// One turn, and the sleep after it if there was nothing to do. True: the run is over.
    fn turn(&mut self) -> bool {
        let common = &self.common;
        let (now, completions) = self.ring.reap(&mut Adapter(&mut self.worker), || common.now());
        let called = self.common.board.called();
        self.worker.poll(now, called, self.common.board.retired_elsewhere(self.me));
        self.worker.take_dirty(&mut self.dirty);
        self.ring.flush(&mut self.dirty, &mut Adapter(&mut self.worker), now);
        self.act(now);
        self.post();
        if self.meter.connecting.is_none() && self.worker.has_connected() {
            self.meter.note_connected(self.common.now());
        }
        if now >= self.meter.next || called.0 > self.meter.act {
            self.fold(now);
            self.meter.heed(called, self.common.plan.warmup);
        }
        if called.0 == Act::Finish {
            let since = *self.meter.finish.get_or_insert(now);
            if self.worker.is_finished() || now > since + FAREWELL {
                return true;
            }
        }
        if completions == 0 {
            self.sleep();
        }
        false
    }

    fn act(&mut self, now: Nanos) {
        for action in self.worker.take_actions() {
            match action {
                Action::Open(id) => self.ring.open(id, &mut Adapter(&mut self.worker), now),
                Action::Close(id, how) => {
                    self.ring.close(id, how == Closing::Reset);
                    self.worker.handle_close_done(id);
                }
            }
        }
    }

    fn post(&mut self) {
        let (tally, retired) = self.worker.tally();
        self.common.board.post(self.me, tally, retired);
        let elsewhere = retired.iter().sum::<u64>() - retired[self.me];
        if elsewhere != self.retired {
            self.retired = elsewhere;
            self.common.wake_all(Some(self.me));
        }
    }

    fn fold(&mut self, now: Nanos) {
        let worker = &mut self.worker;
        self.common.board.with_recent(self.me, |recent| worker.fold(recent));
        self.meter.fold(now);
    }

    fn sleep(&mut self) {
        let row = &self.common.board.rows[self.me];
        row.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst); // Pairs with the one in `wake_all`.
        let now = self.common.now();
        let wake = self.worker.next_wake(now).min(self.meter.next);
        let news = self.common.board.called().0 > self.meter.act;
        if wake > now && !news && self.ring.is_idle() {
            self.ring.sleep(wake - now);
        }
        row.sleeping.store(false, Ordering::Relaxed);
    }
}

/// What the thread costs while messages flow.
struct Meter {
    act: Act,
    measure_from: Nanos,
    next: Nanos,
    finish: Option<Nanos>,
    last: ThreadUse,
    used: ThreadUse,
    cpu: Nanos,
    busiest: f64,
    first: ThreadUse,
    connecting: Option<ThreadUse>,
}

impl Meter {
    fn new(now: Nanos) -> Meter {
        let first = proc::thread_use(now);
        Meter {
            act: Act::Connect,
            measure_from: Nanos::MAX,
            next: now + SECOND,
            finish: None,
            last: first,
            used: ThreadUse::default(),
            cpu: 0,
            busiest: 0.0,
            first,
            connecting: None,
        }
    }

    /// Nobody is to be connected any more.
    fn note_connected(&mut self, now: Nanos) {
        self.connecting = Some(proc::thread_use(now).since(&self.first));
    }

    /// Takes note of what is called; the first span that counts begins with the measurement.
    fn heed(&mut self, (act, start): (Act, Nanos), warmup: Nanos) {
        if act == Act::Publish && self.act < act {
            self.measure_from = start + warmup;
            self.next = self.next.min(self.measure_from);
        }
        if act == Act::Return && self.act < act {
            (self.first, self.connecting) = (self.last, None);
        }
        self.act = act;
    }

    /// Once a second, and whenever a new act begins. What happens while the last messages arrive counts as cost, but
    /// not as busy: that time is mostly waiting.
    fn fold(&mut self, now: Nanos) {
        let this = proc::thread_use(now);
        let part = this.since(&self.last);
        if self.last.wall >= self.measure_from && self.act <= Act::Drain {
            self.cpu += part.cpu;
            if self.act == Act::Publish {
                self.used.add(&part);
                self.busiest =
                    self.busiest.max(if part.wall >= SECOND / 10 { part.busy_share() } else { 0.0 });
            }
        }
        self.last = this;
        self.next = now + SECOND;
    }
}

/// The worker as the ring sees it.
struct Adapter<'a>(&'a mut Worker);

impl Links for Adapter<'_> {
    fn opened(&mut self, id: LinkId, now: Nanos) {
        self.0.handle_opened(id, now);
    }

    #[inline]
    fn received(&mut self, id: LinkId, bytes: &[u8], now: Nanos) -> bool {
        self.0.handle_bytes(id, bytes, now)
    }

    fn closed(&mut self, id: LinkId, why: Option<std::io::Error>, now: Nanos) {
        self.0.handle_closed(id, why, now);
    }

    fn writable(&mut self, id: LinkId) {
        self.0.handle_writable(id);
    }

    fn output(&mut self, id: LinkId) -> &mut Vec<u8> {
        self.0.output(id)
    }

    fn sent(&mut self, id: LinkId) {
        self.0.handle_sent(id);
    }
}
