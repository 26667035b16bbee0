//! The conductor: one run from the first connection to the last good-bye, as seen from outside the workers.
//!
//! It reads the board, says what the workers shall do next, and notes when; it measures no latency.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::driver::Common;
use crate::plan::Cuts;
use crate::proc::Process;
use crate::progress::Progress;
use crate::schedule::{Nanos, SECOND};
use crate::tally::{Act, Count, Tally};

/// How often the board is read.
const LOOK: Duration = Duration::from_millis(5);

/// Publishing starts so long after everybody is ready: nothing of the connecting is under way any more.
const LEAD: Nanos = SECOND / 5;

/// After this time without a delivery nothing of QoS 0 is still to come.
const LOOSE_ENDS: Nanos = SECOND;

/// What the conductor goes by.
pub struct Score<'a> {
    /// What the workers share.
    pub common: &'a Common,
    /// The broker's process, if it is on this machine.
    pub broker: Option<Process>,
    /// Set by Ctrl-C: stop publishing and report.
    pub interrupted: &'a AtomicBool,
    /// Silence after which connecting is given up.
    pub connect_timeout: Nanos,
    /// Silence after which what is missing is lost.
    pub drain: Nanos,
    /// How long idle connections are held.
    pub hold: Nanos,
    /// Then they leave and come back.
    pub again: bool,
}

/// The state at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moment {
    /// When.
    pub at: Nanos,
    /// What the workers had counted.
    pub tally: Tally,
    /// CPU of the broker so far, in nanoseconds.
    pub broker_cpu: Option<Nanos>,
    /// Resident memory of the broker, in bytes.
    pub broker_resident: Option<u64>,
}

/// How a run went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Course {
    /// Before the first connection.
    pub before: Moment,
    /// Everybody was ready, or given up.
    pub connected: Moment,
    /// The hold of idle connections was over.
    pub held: Option<Moment>,
    /// Before everybody came back, and when all were ready once more.
    pub again: Option<(Moment, Moment)>,
    /// From here on latencies counted.
    pub measured_from: Option<Moment>,
    /// The last message was there, or given up.
    pub measured_to: Option<Moment>,
    /// Some connections did not come up, so nothing was published.
    pub gave_up: bool,
}

impl Course {
    /// From when to when the connections were made that are told of.
    pub fn connecting(&self) -> (Moment, Moment) {
        self.again.unwrap_or((self.before, self.connected))
    }
}

impl Score<'_> {
    fn now(&self) -> Nanos {
        self.common.zero.elapsed().as_nanos() as Nanos
    }

    fn moment(&self) -> Moment {
        Moment {
            at: self.now(),
            tally: self.common.board.sum(),
            broker_cpu: self.broker.and_then(Process::cpu),
            broker_resident: self.broker.and_then(Process::resident),
        }
    }

    fn call(&self, act: Act, start: Nanos) {
        self.common.board.call(act, start);
        self.common.wake_all(None);
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// The state before the workers are started.
    pub fn before(&self) -> Moment {
        self.moment()
    }

    /// The whole run. The workers have been started.
    pub fn play(&self, before: Moment, progress: &mut Progress) -> Course {
        let mut course = Course { before, ..Course::default() };
        let everybody = self.common.plan.clients.len() as u64;
        self.until(progress, self.connect_timeout, |t| t[Count::Ready] + t[Count::Failed] >= everybody);
        course.connected = self.moment();
        course.gave_up = course.connected.tally[Count::Ready] < everybody;
        if self.common.plan.publishers == 0 {
            self.hold(progress);
            course.held = Some(self.moment());
            if self.again && !course.gave_up && !self.is_interrupted() {
                course.again = Some(self.again(progress, everybody));
            }
        } else if !course.gave_up && !self.is_interrupted() {
            self.publish(progress, &mut course);
        }
        self.call(Act::Finish, 0);
        course
    }

    fn hold(&self, progress: &mut Progress) {
        let end = self.now() + self.hold;
        while self.now() < end && !self.is_interrupted() {
            self.look(progress);
        }
    }

    fn again(&self, progress: &mut Progress, everybody: u64) -> (Moment, Moment) {
        self.call(Act::Leave, 0);
        self.until(progress, self.connect_timeout, |t| t[Count::Ready] == 0);
        // What the broker has to do about those who left is no part of what it does when they come back.
        let end = self.now() + LOOSE_ENDS;
        while self.now() < end && !self.is_interrupted() {
            self.look(progress);
        }
        let before = self.moment();
        self.call(Act::Return, 0);
        self.until(progress, self.connect_timeout, |t| t[Count::Ready] + t[Count::Failed] >= everybody);
        (before, self.moment())
    }

    fn publish(&self, progress: &mut Progress, course: &mut Course) {
        let plan = &self.common.plan;
        let start = self.now() + LEAD;
        self.call(Act::Publish, start);
        let measure_from = start + plan.warmup;
        // Nothing happens until the start, so that moment can be taken early: a short run is over before a look.
        let early = Moment { at: start, ..self.moment() };
        while self.now() < measure_from && !self.is_interrupted() {
            self.look(progress);
        }
        course.measured_from = Some(if plan.warmup == 0 { early } else { self.moment() });
        // Whoever is late gets as much time as what is on its way, but not for ever: a rate above what the broker
        // can do would never end.
        let give_up = plan.duration.map_or(Nanos::MAX, |d| measure_from + d + self.drain);
        let workers = u64::from(plan.workers);
        self.until(progress, Nanos::MAX, |t| t[Count::Done] >= workers || self.now() > give_up);
        self.call(Act::Drain, start);
        let mut quiet = Quiet::new(self.now());
        loop {
            let tally = self.look(progress);
            let silence = quiet.silence(tally.progress(), self.now());
            let sure = tally[Count::UniqueSure] >= tally[Count::ExpectedSure];
            let settled = sure && tally[Count::Inflight] == 0 && tally[Count::Away] == 0;
            let all = tally[Count::UniqueLoose] >= tally[Count::ExpectedLoose];
            if settled && (all || silence >= LOOSE_ENDS) || silence >= self.drain {
                break;
            }
        }
        course.measured_to = Some(self.moment());
    }

    /// Until it is done, or nothing has moved for `patience`, or Ctrl-C.
    fn until(&self, progress: &mut Progress, patience: Nanos, done: impl Fn(&Tally) -> bool) {
        let mut quiet = Quiet::new(self.now());
        loop {
            let tally = self.look(progress);
            if done(&tally)
                || self.is_interrupted()
                || quiet.silence(tally.progress(), self.now()) >= patience
            {
                return;
            }
        }
    }

    fn look(&self, progress: &mut Progress) -> Tally {
        std::thread::park_timeout(LOOK);
        let tally = self.common.board.sum();
        progress.show(self.now(), &tally, &self.common.board);
        tally
    }
}

/// Since when has nothing moved.
struct Quiet {
    last: u64,
    since: Nanos,
}

impl Quiet {
    fn new(now: Nanos) -> Quiet {
        Quiet { last: 0, since: now }
    }

    fn silence(&mut self, progress: u64, now: Nanos) -> Nanos {
        if progress != self.last {
            (self.last, self.since) = (progress, now);
        }
        now - self.since
    }
}

/// What to say at the start of a run with cuts.
pub fn describe_cuts(cuts: &Cuts) -> String {
    let away = cuts.longest_away / 1_000_000;
    format!("cutting {} connections a second, away for up to {away} ms; seed {}", cuts.per_sec, cuts.seed)
}
