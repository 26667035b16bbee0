//! The control thread: it owns the configuration and the running broker, and does one thing after the other. What is asked
//! arrives as an [`Event`]; shards never wait for this thread.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::admin::Admin;
use super::admin::feed::Told;
use super::admin::ops::changes::ChangeMade;
use super::admin::problem::Flaw;
use super::apply::{Applied, ApplyError, ApplyRequest, Committed, Occasion, Revival, Store};
use super::commands;
use super::data_dir::DataDir;
use super::entrance::Entrance;
use super::failure::Failure;
use super::installed::Installed;
use super::logs::Logs;
use super::notify::{self, Watchdog};
use super::running::{Installation, Layout, Running};
use super::secure;
use super::serve::say;
use super::starter::Starter;
use super::status::{FINE_SECS, History, Latency, Point, Status, gather, measured};
use super::trace::{self, Listener, Tracing};
use crate::net::tls::config::Tickets;
use crate::policy::Generation;
use crate::policy::trace::{TraceProblem, TraceSpec};
use crate::shard;

/// Between two tries to take back what was not confirmed.
const REVERT_PAUSE: Duration = Duration::from_secs(10);

/// Something the control thread is to do.
pub(super) enum Event {
    /// Stop in order.
    Stop,
    /// Apply the file.
    Apply,
    /// Print the counters.
    Report,
    /// Do what a request of console, API or command line takes; it answers by itself.
    Job(Job),
}

/// What a request has the control thread do.
pub(super) type Job = Box<dyn FnOnce(&mut Control) + Send>;

/// What an Apply is to do to the broker once it cannot fail any more.
enum Step {
    Install(Box<Installation>),
    Enable(Box<Running>),
    Disable,
}

impl Step {
    /// Does it.
    fn take(self, running: &mut Option<Running>) -> Option<Installed> {
        match (self, running) {
            (Step::Install(installation), Some(running)) => return Some(running.install(*installation)),
            (Step::Enable(started), running) => *running = Some(*started),
            (Step::Disable, running) => {
                if let Some(running) = running.take() {
                    running.stop();
                }
            }
            (Step::Install(_), None) => unreachable!("a running broker prepared it"),
        }
        None
    }
}

/// What is to be applied.
pub(super) enum Asked {
    /// The file.
    File(ApplyRequest),
    /// What was applied once, and whether what was taken away since may come back.
    Rollback(ApplyRequest, Generation, Revival),
    /// What was applied before the generation that nobody has confirmed.
    Revert,
}

/// Why nothing was applied. Nothing was touched.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotApplied {
    /// It cannot be applied.
    #[error(transparent)]
    Refused(#[from] ApplyError),
    /// The machine does not give what it needs.
    #[error("{0}")]
    Machine(Failure),
}

impl From<Failure> for NotApplied {
    fn from(failure: Failure) -> NotApplied {
        NotApplied::Machine(failure)
    }
}

/// What an Apply has done.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct ApplyReport {
    /// The generation that is in force now.
    pub(super) generation: u64,
    /// Everything that differs from the one before.
    pub(super) changes: Vec<ChangeMade>,
    /// What whoever wrote it may not have meant.
    pub(super) warnings: Vec<Flaw>,
    /// It is in force, and the disk refused to remember that: what it said.
    pub(super) fault: Option<String>,
    /// What else is to be told: what was set aside, what was not brought back.
    pub(super) notes: Vec<String>,
    /// Until when it has to be confirmed, in seconds since 1970: else it is taken back. `null`: it stays.
    pub(super) confirm_until: Option<i64>,
    /// What it did to the running broker; `null`: none runs.
    pub(super) installed: Option<Installed>,
    /// The same for people.
    pub(super) summary: String,
}

/// The control thread's own.
pub(super) struct Control {
    pub(super) store: Store,
    pub(super) data: DataDir,
    pub(super) layout: Layout,
    pub(super) entrance: Entrance,
    home_key: [u8; 16],
    /// With what sessions of TLS are resumed, as long as the process lives.
    tickets: Tickets,
    logs: Logs,
    /// `None` while the broker is disabled.
    pub(super) running: Option<Running>,
    /// What starts it when it is enabled.
    starter: Starter,
    history: History,
    /// When the next point of it is taken.
    point_due: Instant,
    /// A revert that failed is not tried again before.
    revert_again: Instant,
    /// What the point before had measured of latency.
    measured: shard::Latency,
    watchdog: Option<Watchdog>,
    /// Which packets are traced, and for whom.
    tracing: Tracing,
    /// What is in force: kept, because reading it again takes time.
    applied: Applied,
}

impl Control {
    /// Applies the file and, if the broker is enabled, starts it.
    pub(super) fn start(
        mut store: Store,
        data: DataDir,
        layout: Layout,
        admin: Admin,
        starter: Starter,
    ) -> Result<Control, Failure> {
        let home_key = data.home_key()?;
        let tickets = Tickets::new()?;
        let request = ApplyRequest { author: "start".into(), ..Occasion::Start.into() };
        let prepared = store.prepare_start(request)?;
        let log = prepared.applied().config.log;
        let logs = Logs::start(log.level, log.format);
        let mut entrance = Entrance::new(admin, tickets.clone());
        let step = entrance.prepare(prepared.compiled())?;
        let mut running = None;
        if prepared.applied().config.enabled {
            running = Some(Running::start(prepared.compiled(), &layout, home_key, &tickets, &starter)?);
        }
        let committed = prepared.commit(|_| {})?;
        store.record(&committed);
        committed.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        warn_of_fault(&committed);
        entrance.install(step);
        let (history, point_due) = (History::default(), Instant::now());
        let watchdog = Watchdog::of_this_process();
        let mut tracing = Tracing::new(trace::file_in(data.path()));
        tracing.apply(&committed.applied.config.diagnostics, None);
        if let Some(running) = &running {
            tracing.follow(running.node());
        }
        let applied = committed.applied;
        Ok(Control {
            store,
            data,
            layout,
            entrance,
            home_key,
            tickets,
            logs,
            running,
            starter,
            history,
            point_due,
            revert_again: Instant::now(),
            measured: shard::Latency::default(),
            watchdog,
            tracing,
            applied,
        })
    }

    /// Does what is asked until it is told to stop.
    pub(super) fn work(&mut self, incoming: &Receiver<Event>) {
        while let Some(event) = self.next(incoming) {
            match event {
                Event::Stop => break,
                Event::Report => say(&self.report()),
                Event::Apply => self.apply_for_signal(),
                Event::Job(job) => job(self),
            }
        }
        notify::stopping();
        if let Some(running) = self.running.take() {
            tracing::info!("stopping");
            running.stop();
        }
        say("stopped");
    }

    fn apply_for_signal(&mut self) {
        let request = ApplyRequest { author: "SIGHUP".into(), ..Occasion::Running.into() };
        match self.apply(Asked::File(request)) {
            Ok(report) => tracing::info!("{}", report.summary),
            Err(error) => tracing::error!("not applied: {error}"),
        }
    }

    /// The next thing to do; meanwhile what is due is done.
    fn next(&mut self, incoming: &Receiver<Event>) -> Option<Event> {
        loop {
            // Never closed: the signals' thread lives as long as the process.
            let Some(due) = self.next_look() else { return incoming.recv().ok() };
            // Also while one request comes after the other.
            if due <= Instant::now() {
                self.look_after();
                continue;
            }
            match incoming.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Err(RecvTimeoutError::Timeout) => self.look_after(),
                event => return event.ok(),
            }
        }
    }

    fn next_look(&self) -> Option<Instant> {
        let running = self.running.as_ref().map(|running| running.next_look().unwrap_or(self.point_due));
        let point = running.map(|_| self.point_due);
        let watchdog = self.watchdog.as_ref().map(Watchdog::due);
        [running, point, watchdog, self.entrance.due(), self.revert_due()].into_iter().flatten().min()
    }

    /// `$SYS`, the broker's certificate, the counters over time, the watchdog.
    fn look_after(&mut self) {
        let now = Instant::now();
        if let Some(running) = &mut self.running {
            running.look_after();
            if self.point_due <= now {
                self.tracing.tidy(Some(running.node()));
                self.point_due = now + Duration::from_secs(FINE_SECS);
                // Shards keep a few: what they hand over now is kept longer.
                running.node().rejections(u64::MAX);
                let reports = running.reports();
                let status = gather(self.applied.generation.0, running.uptime(), &reports);
                let measured = measured(&reports);
                let latency = Latency::of(&measured.since(&self.measured));
                self.measured = measured;
                self.history.push(Point::of(&status, secure::now(), latency));
            }
        }
        self.entrance.look_after();
        let over = self.store.pending().is_some_and(|pending| pending.is_over(secure::now()));
        if over && self.revert_again <= now {
            self.revert();
        }
        if let Some(watchdog) = self.watchdog.as_mut().filter(|watchdog| watchdog.due() <= now) {
            let reports = self.running.as_ref().map(Running::reports).unwrap_or_default();
            watchdog.look(&reports.iter().map(|report| report.node.turns).collect::<Vec<_>>());
        }
    }

    /// Applies what is asked for, and tells who listens. When this returns, every shard judges by it.
    pub(super) fn apply(&mut self, asked: Asked) -> Result<ApplyReport, NotApplied> {
        notify::reloading();
        let applied = self.carry_out(asked);
        match &applied {
            Ok(report) => self.tell("applied", report.summary.clone()),
            Err(error) => self.tell("not-applied", error.to_string()),
        }
        notify::ready(&self.state());
        applied
    }

    /// In one line, what it is at.
    pub(super) fn state(&self) -> String {
        let state = if self.running.is_some() { "running" } else { "disabled" };
        format!("{state}, generation {}", self.generation())
    }

    fn generation(&self) -> u64 {
        self.applied.generation.0
    }

    fn carry_out(&mut self, asked: Asked) -> Result<ApplyReport, NotApplied> {
        // Without clients nothing stands in the way of any change.
        let occasion = if self.running.is_some() { Occasion::Running } else { Occasion::Start };
        let prepared = match asked {
            Asked::File(request) => self.store.prepare(ApplyRequest { occasion, ..request })?,
            Asked::Rollback(request, generation, revival) => {
                let request = ApplyRequest { occasion, ..request };
                self.store.prepare_rollback(request, generation, revival)?
            }
            Asked::Revert => self.store.prepare_revert(occasion)?,
        };
        // Bound or started here, used after the commit; an error drops it.
        let entrance = self.entrance.prepare(prepared.compiled())?;
        let step = match (prepared.applied().config.enabled, &self.running) {
            (true, Some(running)) => Step::Install(Box::new(running.prepare(prepared.compiled())?)),
            (true, None) => {
                let compiled = prepared.compiled();
                let started =
                    Running::start(compiled, &self.layout, self.home_key, &self.tickets, &self.starter)?;
                Step::Enable(Box::new(started))
            }
            (false, _) => Step::Disable,
        };
        let enables = matches!(step, Step::Enable(_));
        let running = &mut self.running;
        let mut installed = None;
        let committed = prepared.commit(|_| installed = step.take(running))?;
        self.store.record(&committed);
        self.entrance.install(entrance);
        if let Some(running) = self.running.as_ref().filter(|_| enables) {
            self.tracing.follow(running.node());
        }
        Ok(self.take_note(&committed, installed))
    }

    /// What is in force has changed.
    fn take_note(&mut self, committed: &Committed, installed: Option<Installed>) -> ApplyReport {
        self.applied = committed.applied.clone();
        let log = committed.applied.config.log;
        self.logs.set(log.level, log.format);
        self.tracing.apply(&committed.applied.config.diagnostics, self.running.as_ref().map(Running::node));
        warn_of_fault(committed);
        let listens = |path: &str| path == "enabled" || path.starts_with("listener[");
        if committed.changes.iter().any(|change| listens(&change.path)) {
            self.introduce_listeners();
        }
        report_of(committed, installed)
    }

    /// What is in force is meant: it is not taken back. `None`: nothing waited for that.
    pub(super) fn confirm(&mut self) -> Result<Option<u64>, ApplyError> {
        let confirmed = self.store.confirm()?.map(|generation| generation.0);
        if let Some(generation) = confirmed {
            self.tell("confirmed", format!("generation {generation} is confirmed"));
        }
        Ok(confirmed)
    }

    /// Takes back what was not confirmed in time. What cannot be taken back now, because a port is taken perhaps, is tried
    /// again and again: that was promised.
    fn revert(&mut self) {
        match self.apply(Asked::Revert) {
            Ok(report) => {
                tracing::warn!("not confirmed in time: {}", report.summary);
                self.tell("reverted", report.summary);
            }
            Err(error) => {
                tracing::error!("what was not confirmed in time cannot be taken back yet: {error}");
                self.revert_again = Instant::now() + REVERT_PAUSE;
            }
        }
    }

    /// When the revert is due.
    fn revert_due(&self) -> Option<Instant> {
        let pending = self.store.pending()?;
        let left = u64::try_from(pending.until - secure::now()).unwrap_or(0);
        Some((Instant::now() + Duration::from_secs(left)).max(self.revert_again))
    }

    fn tell(&self, kind: &str, text: String) {
        let (unix_secs, generation) = (secure::now(), self.generation());
        self.admin().feed().tell(Told { unix_secs, kind: kind.to_owned(), generation, text });
    }

    /// What is in force.
    pub(super) fn applied(&self) -> &Applied {
        &self.applied
    }

    /// Console and API.
    pub(super) fn admin(&self) -> &Admin {
        self.entrance.served()
    }

    /// What the broker tells of itself.
    pub(super) fn status(&self) -> Status {
        let generation = self.generation();
        let mut status = match &self.running {
            Some(running) => {
                let reports = running.reports();
                let listeners = running.clients_at(&reports, &self.applied.config);
                Status { listeners, ..gather(generation, running.uptime(), &reports) }
            }
            None => gather(generation, Duration::ZERO, &[]),
        };
        let logged = self.tracing.counts();
        status.counters.insert("message log: lines written".into(), logged.written);
        status.counters.insert("message log: lines lost".into(), logged.unwritten);
        status
    }

    /// From now on somebody hears of packets, also of clients that are not connected yet.
    ///
    /// # Errors
    /// That cannot be asked for, or too many listen already.
    pub(super) fn listen(&mut self, wanted: TraceSpec) -> Result<Listener, TraceProblem> {
        self.tracing.listen(wanted, self.running.as_ref().map(Running::node))
    }

    /// The counters over time.
    pub(super) fn history(&self) -> &History {
        &self.history
    }

    /// The data directory.
    pub(super) fn data(&self) -> &Path {
        self.data.path()
    }

    /// The counters, for people.
    pub(super) fn report(&self) -> String {
        self.running.as_ref().map_or_else(|| "the broker is disabled".into(), Running::report)
    }
}

/// What an Apply has done, as an answer.
pub(super) fn report_of(committed: &Committed, installed: Option<Installed>) -> ApplyReport {
    let mut summary = commands::summary(committed);
    summary.push_str(&installed.as_ref().map(Installed::told).unwrap_or_default());
    ApplyReport {
        generation: committed.applied.generation.0,
        changes: committed.changes.iter().map(ChangeMade::from).collect(),
        warnings: Flaw::all(&committed.warnings),
        fault: committed.fault.clone().or_else(|| committed.history_fault.clone()),
        notes: committed.notes.clone(),
        confirm_until: committed.pending.as_ref().map(|pending| pending.until),
        installed,
        summary,
    }
}

fn warn_of_fault(committed: &Committed) {
    if let Some(fault) = &committed.fault {
        tracing::warn!("the configuration is in force, but may be lost by a crash: {fault}");
    }
}
