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
use super::apply::{Applied, Committed, Occasion, Store};
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
use super::status::{FINE_SECS, History, Latency, Point, Status, gather, measured};
use crate::net::tls::config::Tickets;
use crate::shard;

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
    history: History,
    /// When the next point of it is taken.
    point_due: Instant,
    /// What the point before had measured of latency.
    measured: shard::Latency,
    watchdog: Option<Watchdog>,
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
    ) -> Result<Control, Failure> {
        let home_key = data.home_key()?;
        let tickets = Tickets::new()?;
        let prepared = store.prepare(Occasion::Start)?;
        let log = prepared.applied().config.log;
        let logs = Logs::start(log.level, log.format);
        let mut entrance = Entrance::new(admin, tickets.clone());
        let step = entrance.prepare(prepared.compiled())?;
        let mut running = None;
        if prepared.applied().config.enabled {
            running = Some(Running::start(prepared.compiled(), &layout, home_key, &tickets)?);
        }
        let committed = prepared.commit(|_| {})?;
        store.record(&committed);
        committed.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        warn_of_fault(&committed);
        entrance.install(step);
        let (history, point_due) = (History::default(), Instant::now());
        let watchdog = Watchdog::of_this_process();
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
            history,
            point_due,
            measured: shard::Latency::default(),
            watchdog,
            applied,
        })
    }

    /// Does what is asked until it is told to stop.
    pub(super) fn work(&mut self, incoming: &Receiver<Event>) {
        while let Some(event) = self.next(incoming) {
            match event {
                Event::Stop => break,
                Event::Report => say(&self.report()),
                Event::Apply => match self.apply() {
                    Ok(report) => tracing::info!("{}", report.summary),
                    Err(failure) => tracing::error!("not applied: {failure}"),
                },
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

    /// The next thing to do; meanwhile what is due is done.
    fn next(&mut self, incoming: &Receiver<Event>) -> Option<Event> {
        loop {
            // Never closed: the signals' thread lives as long as the process.
            let Some(due) = self.next_look() else { return incoming.recv().ok() };
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
        [running, point, watchdog, self.entrance.due()].into_iter().flatten().min()
    }

    /// `$SYS`, the broker's certificate, the counters over time, the watchdog.
    fn look_after(&mut self) {
        let now = Instant::now();
        if let Some(running) = &mut self.running {
            running.look_after();
            if self.point_due <= now {
                self.point_due = now + Duration::from_secs(FINE_SECS);
                let reports = running.reports();
                let status = gather(self.applied.generation.0, running.uptime(), &reports);
                let measured = measured(&reports);
                let latency = Latency::of(&measured.since(&self.measured));
                self.measured = measured;
                self.history.push(Point::of(&status, secure::now(), latency));
            }
        }
        self.entrance.look_after();
        if let Some(watchdog) = self.watchdog.as_mut().filter(|watchdog| watchdog.due() <= now) {
            let reports = self.running.as_ref().map(Running::reports).unwrap_or_default();
            watchdog.look(&reports.iter().map(|report| report.node.turns).collect::<Vec<_>>());
        }
    }

    /// Takes the file as it is now, and tells who listens. When this returns, every shard judges by it.
    pub(super) fn apply(&mut self) -> Result<ApplyReport, Failure> {
        notify::reloading();
        let applied = self.apply_file();
        let generation = self.generation();
        let (kind, text) = match &applied {
            Ok(report) => ("applied", report.summary.clone()),
            Err(failure) => ("not-applied", failure.to_string()),
        };
        let told = Told { unix_secs: secure::now(), kind: kind.to_owned(), generation, text };
        self.admin().feed().tell(told);
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

    fn apply_file(&mut self) -> Result<ApplyReport, Failure> {
        // Without clients nothing stands in the way of any change.
        let occasion = if self.running.is_some() { Occasion::Running } else { Occasion::Start };
        let prepared = self.store.prepare(occasion)?;
        // Bound or started here, used after the commit; an error drops it.
        let entrance = self.entrance.prepare(prepared.compiled())?;
        let step = match (prepared.applied().config.enabled, &self.running) {
            (true, Some(running)) => Step::Install(Box::new(running.prepare(prepared.compiled())?)),
            (true, None) => {
                let (compiled, home_key) = (prepared.compiled(), self.home_key);
                let started = Running::start(compiled, &self.layout, home_key, &self.tickets)?;
                Step::Enable(Box::new(started))
            }
            (false, _) => Step::Disable,
        };
        let running = &mut self.running;
        let mut installed = None;
        let committed = prepared.commit(|_| match (step, running) {
            (Step::Install(installation), Some(running)) => {
                installed = Some(running.install(*installation));
            }
            (Step::Enable(started), running) => *running = Some(*started),
            (Step::Disable, running) => {
                if let Some(running) = running.take() {
                    running.stop();
                }
            }
            (Step::Install(_), None) => unreachable!("a running broker prepared it"),
        })?;
        self.store.record(&committed);
        self.applied = committed.applied.clone();
        let log = committed.applied.config.log;
        self.logs.set(log.level, log.format);
        self.entrance.install(entrance);
        warn_of_fault(&committed);
        if committed
            .changes
            .iter()
            .any(|change| change.path == "enabled" || change.path.starts_with("listener["))
        {
            self.introduce_listeners();
        }
        Ok(report_of(&committed, installed))
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
        match &self.running {
            Some(running) => gather(generation, running.uptime(), &running.reports()),
            None => gather(generation, Duration::ZERO, &[]),
        }
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
        fault: committed.fault.clone(),
        installed,
        summary,
    }
}

/// A change, as an answer.
fn warn_of_fault(committed: &Committed) {
    if let Some(fault) = &committed.fault {
        tracing::warn!("the configuration is in force, but may be lost by a crash: {fault}");
    }
}
