//! `tidemq serve`: starts the broker, says where it can be reached, and then does one thing after the other: Apply,
//! reports, the stop in order. What is asked arrives as an [`Event`]; shards never wait for this thread.

use std::io::Write;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use super::apply::{Committed, Occasion, Store};
use super::cli::{CoreList, Serve};
use super::commands;
use super::config::BrokerChoice;
use super::data_dir::DataDir;
use super::failure::{Exit, Failure};
use super::log_lines::LogFormat;
use super::logs::Logs;
use super::requests::{self, Answer, Ask, Request};
use super::running::{Installation, Layout, Running};
use super::signals;
use crate::net::tls::config::Tickets;

/// Something the control thread is to do.
pub(super) enum Event {
    /// Stop in order.
    Stop,
    /// Apply the file.
    Apply,
    /// Print the counters.
    Report,
    /// Someone waits for the answer.
    Asked(Request),
}

/// Runs the broker until it is told to stop.
pub(super) fn run(serve: &Serve) -> Result<ExitCode, Failure> {
    abort_on_panic();
    let paths = commands::paths(&serve.place)?;
    let data = DataDir::open(&paths.data)?;
    let layout = layout(serve)?;
    let store = commands::store(&paths, serve.overrides())?;
    if serve.place.config.is_none() {
        store.write_fresh_if_absent()?;
    }
    let (events, incoming) = channel();
    // Before the first thread of a shard: none of them is to die of a signal.
    signals::watch(events.clone()).map_err(|error| machine(&format!("signals cannot be taken: {error}")))?;
    let mut control = Control::start(store, data, layout)?;
    requests::listen(control.data.path(), events).map_err(|error| {
        Failure::new(Exit::Data, format!("the control socket cannot be made: {error}"), "")
    })?;
    control.introduce();
    control.work(&incoming);
    Ok(ExitCode::SUCCESS)
}

/// A half-broken broker is worse than one that starts again: a panic on any thread ends the process, whatever the
/// build's profile says of panics.
fn abort_on_panic() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        std::process::abort();
    }));
}

fn machine(cause: &str) -> Failure {
    Failure::new(Exit::Machine, cause, "")
}

/// The cores and shards that the command line asks for; the node checks them against what there is.
fn layout(serve: &Serve) -> Result<Layout, Failure> {
    let cores = match &serve.cores {
        Some(CoreList(cores)) => cores.clone(),
        None => core_affinity::get_core_ids().unwrap_or_default().iter().map(|core| core.id).collect(),
    };
    if cores.is_empty() {
        return Err(machine("the system does not say which cores this process may use"));
    }
    let shards = serve.shards.unwrap_or(u16::try_from(cores.len()).unwrap_or(u16::MAX));
    Ok(Layout { shards, cores })
}

/// `0-3,8`
fn ranges(cores: &[usize]) -> String {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for core in cores {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == *core => *last = *core,
            _ => parts.push((*core, *core)),
        }
    }
    let written = |(first, last): &(usize, usize)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    parts.iter().map(written).collect::<Vec<_>>().join(",")
}

/// What an Apply is to do once it cannot fail any more.
enum Step {
    Install(Box<Installation>),
    Enable(Box<Running>),
    Disable,
}

/// The control thread's own.
struct Control {
    store: Store,
    data: DataDir,
    layout: Layout,
    home_key: [u8; 16],
    /// With what sessions of TLS are resumed, as long as the process lives.
    tickets: Tickets,
    logs: Logs,
    /// `None` while the broker is disabled.
    running: Option<Running>,
}

impl Control {
    /// Applies the file and, if the broker is enabled, starts it.
    fn start(mut store: Store, data: DataDir, layout: Layout) -> Result<Control, Failure> {
        let home_key = data.home_key()?;
        let tickets = Tickets::new()?;
        let prepared = store.prepare(Occasion::Start)?;
        let logs = Logs::start(prepared.applied().config.log.level, LogFormat::Text);
        let mut running = None;
        if prepared.applied().config.enabled {
            running = Some(Running::start(prepared.compiled(), &layout, home_key, &tickets)?);
        }
        let committed = prepared.commit(|_| {})?;
        store.record(&committed);
        committed.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        warn_of_fault(&committed);
        Ok(Control { store, data, layout, home_key, tickets, logs, running })
    }

    fn work(&mut self, incoming: &Receiver<Event>) {
        while let Some(event) = self.next(incoming) {
            match event {
                Event::Stop => break,
                Event::Report => say(&self.report()),
                Event::Apply => match self.apply() {
                    Ok(summary) => tracing::info!("{summary}"),
                    Err(failure) => tracing::error!("not applied: {failure}"),
                },
                Event::Asked(request) => {
                    let answer = match request.ask {
                        Ask::Report => Answer { exit: 0, text: self.report() },
                        Ask::Rejections => Answer { exit: 0, text: self.rejections() },
                        Ask::Apply => match self.apply() {
                            Ok(text) => Answer { exit: 0, text },
                            Err(failure) => Answer { exit: failure.exit.code(), text: failure.to_string() },
                        },
                    };
                    request.answer(answer);
                }
            }
        }
        if let Some(running) = self.running.take() {
            tracing::info!("stopping");
            running.stop();
        }
        say("stopped");
    }

    /// The next thing to do; meanwhile `$SYS` and the broker's certificate are looked after.
    fn next(&mut self, incoming: &Receiver<Event>) -> Option<Event> {
        loop {
            // Never closed: the signals' thread lives as long as the process.
            let Some((running, due)) =
                self.running.as_mut().and_then(|running| running.next_look().map(|due| (running, due)))
            else {
                return incoming.recv().ok();
            };
            match incoming.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Err(RecvTimeoutError::Timeout) => running.look_after(),
                event => return event.ok(),
            }
        }
    }

    /// Takes the file as it is now. When this returns, every shard judges by it.
    fn apply(&mut self) -> Result<String, Failure> {
        // Without clients nothing stands in the way of any change.
        let occasion = if self.running.is_some() { Occasion::Running } else { Occasion::Start };
        let prepared = self.store.prepare(occasion)?;
        // Bound or started here, used after the commit; an error drops it.
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
        let committed = prepared.commit(|_| match (step, running) {
            (Step::Install(installation), Some(running)) => running.install(*installation),
            (Step::Enable(started), running) => *running = Some(*started),
            (Step::Disable, running) => {
                if let Some(running) = running.take() {
                    running.stop();
                }
            }
            (Step::Install(_), None) => unreachable!("a running broker prepared it"),
        })?;
        self.store.record(&committed);
        self.logs.set(committed.applied.config.log.level, LogFormat::Text);
        warn_of_fault(&committed);
        if committed
            .changes
            .iter()
            .any(|change| change.path == "enabled" || change.path.starts_with("listener["))
        {
            self.introduce_listeners();
        }
        Ok(commands::summary(&committed))
    }

    fn rejections(&self) -> String {
        self.running.as_ref().map_or_else(|| "the broker is disabled".into(), Running::rejections)
    }

    fn report(&self) -> String {
        self.running.as_ref().map_or_else(|| "the broker is disabled".into(), Running::report)
    }

    /// What someone who starts it for the first time wants to know.
    fn introduce(&self) {
        say(&format!("tidemq {}", env!("CARGO_PKG_VERSION")));
        say(&format!("data in {}", self.data.path().display()));
        let Ok(Some(applied)) = self.store.applied() else { return };
        say(&format!("configuration {}, generation {}", self.store.file().display(), applied.generation.0));
        if self.running.is_some() {
            let Layout { shards, cores } = &self.layout;
            let (shard, core) = (plural(usize::from(*shards), "shard"), plural(cores.len(), "core"));
            say(&format!("{shards} {shard} on {core} {}", ranges(cores)));
            self.introduce_listeners();
        } else {
            say(
                "the broker is disabled and nobody can connect: start it with `tidemq serve --enable`, or write",
            );
            say(&format!(
                "`enabled = true` in {} and run `tidemq config apply`",
                self.store.file().display()
            ));
        }
        say("ready");
    }

    fn introduce_listeners(&self) {
        let Some(running) = &self.running else {
            say("disabled: nobody can connect");
            return;
        };
        let listeners = running.listeners();
        for listener in &listeners {
            say(&format!("listening on {listener}"));
        }
        if listeners.iter().any(|listener| listener.tls) {
            self.introduce_authority();
        }
        if listeners.iter().all(|listener| listener.address.ip().is_loopback()) {
            let file = self.store.file().display();
            say("only this machine can connect: to let others in, set `address` of a [[listener]] to");
            let open = if listeners.iter().all(|listener| !listener.tls) {
                "; nothing is encrypted without `tls = true`"
            } else {
                ""
            };
            say(&format!("\"0.0.0.0:1883\" in {file} and run `tidemq config apply`{open}"));
        }
    }

    /// Whom clients have to trust, if the broker has made its certificate itself.
    fn introduce_authority(&self) {
        let Ok(Some(applied)) = self.store.applied() else { return };
        let issuing = applied.config.authorities.iter().find(|authority| authority.issues);
        if let (BrokerChoice::Auto, Some(authority)) =
            (applied.config.broker_certificate.certificate, issuing)
        {
            say("clients know it by the certificate of its authority, which this writes for them:");
            let data = self.data.path().display();
            say(&format!("tidemq ca export {:?} --out ca.pem --data {data}", authority.name));
        }
    }
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { noun.to_owned() } else { format!("{noun}s") }
}

fn warn_of_fault(committed: &Committed) {
    if let Some(fault) = &committed.fault {
        tracing::warn!("the configuration is in force, but may be lost by a crash: {fault}");
    }
}

/// A line on standard output. Who reads may be gone: the broker goes on.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _gone = writeln!(out, "{line}").and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_written_as_they_are_asked_for() {
        assert_eq!(ranges(&[0, 1, 2, 3, 8]), "0-3,8");
        assert_eq!(ranges(&[5]), "5");
        assert_eq!(ranges(&[0, 2, 3]), "0,2-3");
    }
}
