//! tidemq-load: drives any MQTT broker and shows its latency histograms. See `--help`.
//!
//! `options` -> `setup` -> `plan`; a `worker` (a plain value) on each core, driven by `driver` and `ring`; the
//! `conductor` says when; `report` adds up. Pure, so that the measuring can be tested without a socket or a clock:
//! schedule, stop, stamp, ledger, group, record, inflight, client, websocket, tls, plan, scenarios, worker.
#![allow(unreachable_pub, reason = "a program: nothing can be reached from outside")]
#![allow(
    clippy::disallowed_methods,
    reason = "they are kept from the broker's pure layers, not from this crate"
)]

mod buffers;
mod client;
mod conduct;
mod destination;
mod driver;
mod group;
mod hgrm;
mod inflight;
mod ledger;
mod options;
mod plan;
mod proc;
mod progress;
mod random;
mod record;
mod report;
mod ring;
mod scenarios;
mod schedule;
mod security;
mod setup;
mod show;
mod stamp;
mod stop;
mod table;
mod tally;
mod tls;
mod tls_options;
#[cfg(test)]
mod tls_server;
mod tls_words;
mod websocket;
mod worker;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Instant, SystemTime};

use anyhow::Context;
use clap::Parser;

use crate::conduct::Score;
use crate::driver::Common;
use crate::options::Options;
use crate::record::Phase;
use crate::report::Report;
use crate::setup::Setup;

/// The broker did something wrong, or was not there.
const FAILED: u8 = 1;
/// The run could not be made. 2 is clap's, for wrong usage.
const NOT_RUN: u8 = 3;

fn main() -> ExitCode {
    let options = Options::parse();
    match run(options) {
        Ok(report) if report.problems.is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(FAILED),
        Err(e) => {
            eprintln!("tidemq-load: {e:#}");
            ExitCode::from(NOT_RUN)
        }
    }
}

fn run(options: Options) -> anyhow::Result<Report> {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let entropy = since_epoch.as_nanos() as u64 ^ u64::from(std::process::id()) << 32;
    let setup = Setup::new(options.scenario, entropy)?;
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // The second one ends the process.
        signal_hook::flag::register_conditional_shutdown(signal, 130, interrupted.clone())?;
        signal_hook::flag::register(signal, interrupted.clone())?;
    }
    let plan = Arc::new(setup.plan.clone());
    if let (Some(cuts), false) = (&plan.cuts, setup.common.quiet) {
        eprintln!("{}", conduct::describe_cuts(cuts));
    }
    let bells = setup.cores.iter().map(|_| ring::Doorbell::new()).collect::<Result<Vec<_>, _>>()?;
    let common = Common {
        plan: plan.clone(),
        board: Arc::new(tally::Board::new(setup.cores.len())),
        bells,
        zero: Instant::now(),
        route: setup.route.clone(),
    };
    let broker = setup.common.broker_pid.map(proc::Process);
    if let Some(process) = broker {
        process.cpu().with_context(|| {
            format!("--broker-pid {}: no such process, or not ours to look at", process.0)
        })?;
    }
    let score = Score {
        common: &common,
        broker,
        interrupted: &interrupted,
        connect_timeout: setup.common.connect_timeout,
        drain: setup.drain,
        hold: setup.hold,
        again: setup.again,
    };
    let before = score.before();
    let workers = setup.cores.iter().enumerate().map(|(me, &core)| driver::spawn(me, core, common.clone()));
    let workers = workers.collect::<anyhow::Result<Vec<_>>>()?;
    let mut progress = progress::Progress::new(plan.clients.len() as u64, setup.common.quiet);
    let course = score.play(before, &mut progress);
    let outcomes = workers.into_iter().map(driver::Handle::join).collect::<anyhow::Result<Vec<_>>>()?;
    progress.end();
    let report = Report::new(&setup, &plan, &course, outcomes);
    write(&report, &setup)?;
    Ok(report)
}

fn write(report: &Report, setup: &Setup) -> anyhow::Result<()> {
    let json = setup.common.json.as_deref();
    if json == Some(Path::new("-")) {
        println!("{}", serde_json::to_string_pretty(report)?);
    } else {
        print!("{report}");
    }
    if let Some(path) = json.filter(|p| *p != Path::new("-")) {
        let text = serde_json::to_string_pretty(report)?;
        std::fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    }
    let Some(prefix) = &setup.common.hgrm else { return Ok(()) };
    for phase in Phase::ALL {
        let Some(histogram) = report.recorder.histogram(phase) else { continue };
        let path = PathBuf::from(format!("{}.{}.hgrm", prefix.display(), phase.key()));
        std::fs::write(&path, hgrm::distribution(histogram))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
