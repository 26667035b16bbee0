//! `tidemq status`: the counters by the source's names; with rates when it is watched, with everything else when all is
//! asked for.

use std::io::{IsTerminal, Write, stdout};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

use super::broker;
use crate::control::cli::Place;
use crate::control::failure::Failure;
use crate::control::output::{self, Form, code, show};
use crate::control::status::Status;
use crate::control::table::Table;

/// `tidemq status`
#[derive(Args, Debug)]
pub(in crate::control) struct StatusAsked {
    #[command(flatten)]
    place: Place,
    /// Show all that is counted, latencies, what was dropped and why, and each shard
    #[arg(long)]
    all: bool,
    /// Show it again every so many seconds, with rates, until Ctrl-C [default: 1]
    #[arg(long, value_name = "SECS", num_args = 0..=1, default_missing_value = "1",
        value_parser = clap::value_parser!(u64).range(1..=3_600))]
    watch: Option<u64>,
}

/// The counters that have rates, in the order of their names.
pub(super) fn counts(status: &Status) -> [(&'static str, u64); 8] {
    [
        ("Messages Received", status.messages_received),
        ("Messages Sent", status.messages_sent),
        ("Connection Requests Accepted", status.connection_requests_accepted),
        ("Connection Requests Rejected", status.connection_requests_rejected),
        ("Publish Requests Accepted", status.publish_requests_accepted),
        ("Publish Requests Rejected", status.publish_requests_rejected),
        ("Subscribe Requests Accepted", status.subscribe_requests_accepted),
        ("Subscribe Requests Rejected", status.subscribe_requests_rejected),
    ]
}

/// How fast a count grew.
pub(super) fn rate(before: u64, now: u64, over: Duration) -> f64 {
    // A broker that was enabled anew counts from zero.
    now.saturating_sub(before) as f64 / over.as_secs_f64().max(f64::EPSILON)
}

impl StatusAsked {
    /// Runs it.
    pub(in crate::control) fn run(&self) -> Result<ExitCode, Failure> {
        let broker = broker(&self.place)?;
        let first: Status = broker.get("/status")?;
        let Some(secs) = self.watch else {
            return Ok(show(&first, |status| self.text(status, None)));
        };
        let (mut before, mut taken) = (first, Instant::now());
        let mut out = stdout();
        loop {
            thread::sleep(Duration::from_secs(secs));
            let now: Status = broker.get("/status")?;
            let over = taken.elapsed();
            let text = match output::form() {
                Form::Json => output::document(&now),
                Form::Text => self.text(&now, Some((&before, over))),
            };
            // From the top on a terminal; one behind the other elsewhere.
            let clear = if out.is_terminal() && output::form() == Form::Text { "\x1b[H\x1b[2J" } else { "" };
            let written = write!(out, "{clear}").and_then(|()| output::line(&mut out, text));
            if written.is_err() {
                return Ok(code(written));
            }
            (before, taken) = (now, Instant::now());
        }
    }

    fn text(&self, status: &Status, before: Option<(&Status, Duration)>) -> String {
        let mut lines: Vec<String> = Vec::new();
        let rates = before.map(|(before, over)| {
            let pairs = counts(before).into_iter().zip(counts(status));
            pairs.map(|((name, then), (_, now))| (name, rate(then, now, over))).collect::<Vec<_>>()
        });
        for (name, value) in status.named() {
            let rate = rates.as_ref().and_then(|rates| rates.iter().find(|(of, _)| *of == name));
            match rate {
                Some((_, rate)) => lines.push(format!("{name:<30} {value:>14} {rate:>14.1}/s")),
                None if rates.is_some() => lines.push(format!("{name:<30} {value:>14}")),
                None => lines.push(format!("{name:<30} {value}")),
            }
        }
        if self.all {
            lines.extend(more(status));
        }
        lines.join("\n")
    }
}

fn more(status: &Status) -> Vec<String> {
    let latency = &status.latency;
    let mut lines = vec![
        String::new(),
        format!("{:<30} {}", "Version", status.version),
        format!("{:<30} {}", "Generation", status.generation),
        format!("{:<30} {} s", "Enabled for", status.uptime_secs),
        format!("{:<30} {} MiB", "Memory", status.resident_bytes >> 20),
        format!(
            "{:<30} p50 {} us, p99 {} us, p99.9 {} us, most {} us, of {} measured",
            "Latency inside the broker",
            latency.p50_us,
            latency.p99_us,
            latency.p999_us,
            latency.max_us,
            latency.count
        ),
    ];
    for (reason, count) in &status.drops {
        lines.push(format!("{:<30} {count}", format!("Dropped: {}", reason.replace('_', " "))));
    }
    lines.push(String::new());
    for (name, count) in status.counters.iter().filter(|(_, count)| **count > 0) {
        lines.push(format!("{name:<56} {count}"));
    }
    if !status.shards.is_empty() {
        lines.push(String::new());
        lines.push(shards(status));
    }
    if !status.listeners.is_empty() {
        lines.push(String::new());
        let mut table = Table::new(&["listener", "clients"]);
        status
            .listeners
            .iter()
            .for_each(|one| table.push(vec![one.listener.clone().into(), one.clients.into()]));
        lines.push(table.text());
    }
    lines
}

fn shards(status: &Status) -> String {
    let columns = &[
        "shard",
        "core",
        "clients",
        "sessions",
        "subscriptions",
        "received",
        "sent",
        "output_bytes",
        "turns",
    ];
    let mut table = Table::new(columns);
    for one in &status.shards {
        table.push(vec![
            one.shard.into(),
            one.core.into(),
            one.clients.into(),
            one.sessions.into(),
            one.subscriptions.into(),
            one.messages_received.into(),
            one.messages_sent.into(),
            one.output_bytes.into(),
            one.turns.into(),
        ]);
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_time_between_and_a_restart_is_no_fall() {
        assert!((rate(10, 30, Duration::from_secs(4)) - 5.0).abs() < 1e-9);
        assert!(rate(30, 10, Duration::from_secs(1)) == 0.0);
    }

    #[test]
    fn every_count_that_has_a_rate_is_one_of_the_names() {
        let status = Status::default();
        let named: Vec<&str> = status.named().iter().map(|(name, _)| *name).collect();
        for (name, _) in counts(&status) {
            assert!(named.contains(&name), "{name}");
        }
    }
}
