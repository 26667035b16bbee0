//! `tidemq serve`: starts the broker, says where it can be reached, and lets the control thread work until it is told to
//! stop. Who starts it for the first time reads what is said here.

use std::io::Write;
use std::process::ExitCode;
use std::sync::mpsc::channel;
use std::thread;

use super::admin::Admin;
use super::admin::access::{Access, TOKEN_FILE};
use super::admin::desk::Desk;
use super::cli::{CoreList, Serve};
use super::commands;
use super::config::BrokerChoice;
use super::data_dir::DataDir;
use super::failure::{Exit, Failure};
use super::running::{Layout, stand_back};
use super::starter::starter;
use super::thread::Control;
use super::{notify, signals, socket};

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
    let local = socket::bind(data.path()).map_err(|error| no_socket(&error))?;
    let access = Access::open(data.path()).map_err(|fault| Failure::new(Exit::Data, fault, ""))?;
    let desk = Desk::new(events, commands::paths(&serve.place)?);
    let admin = Admin::start(local, access, desk).map_err(|error| no_socket(&error))?;
    let (starter, starts) = starter();
    let work = move || {
        stand_back();
        let mut control = Control::start(store, data, layout, admin, starter)?;
        control.introduce();
        control.work(&incoming);
        Ok(ExitCode::SUCCESS)
    };
    let control = thread::Builder::new().name("control".into()).spawn(work);
    let control = control.map_err(|error| machine(&format!("a thread cannot be started: {error}")))?;
    starts.serve();
    control.join().expect("a panic ends the process")
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

fn no_socket(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Data, format!("the control socket cannot be made: {error}"), "")
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

impl Control {
    /// What someone who starts it for the first time wants to know.
    fn introduce(&self) {
        say(&format!("tidemq {}", env!("CARGO_PKG_VERSION")));
        say(&format!("data in {}", self.data.path().display()));
        let (file, generation) = (self.store.file().display(), self.applied().generation.0);
        say(&format!("configuration {file}, generation {generation}"));
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
        if let Some(url) = self.admin().url() {
            say(&format!("console and API at {url}: `tidemq console` makes a link that logs a browser in;"));
            say(&format!("the token is in {}", self.data().join(TOKEN_FILE).display()));
        }
        notify::ready(&self.state());
        say("ready");
    }

    pub(super) fn introduce_listeners(&self) {
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
        let applied = self.applied();
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

/// A line on standard output. Who reads may be gone: the broker goes on.
pub(super) fn say(line: &str) {
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
