//! The status: the sums of the shards' reports under the names of the source. A value in, a value out.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::node::Report;
use crate::shard;

/// What the broker tells of itself at a moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct Status {
    /// "Running": whether the broker is enabled.
    pub(in crate::control) running: bool,
    /// "Clients": clients that are connected.
    pub(in crate::control) clients: u64,
    /// "Sessions": those of disconnected clients included.
    pub(in crate::control) sessions: u64,
    /// "Subscriptions": of all clients.
    pub(in crate::control) subscriptions: u64,
    /// "Messages Received": PUBLISH packets taken from clients since the start; a QoS 2 duplicate not twice.
    pub(in crate::control) messages_received: u64,
    /// "Messages Sent": PUBLISH packets handed to connections since the start; repetitions not.
    pub(in crate::control) messages_sent: u64,
    /// "Messages Retained"
    pub(in crate::control) messages_retained: u64,
    /// "Connection Requests Accepted"
    pub(in crate::control) connection_requests_accepted: u64,
    /// "Connection Requests Rejected": failed TLS and WebSocket handshakes included.
    pub(in crate::control) connection_requests_rejected: u64,
    /// "Publish Requests Accepted": PUBLISH packets and wills.
    pub(in crate::control) publish_requests_accepted: u64,
    /// "Publish Requests Rejected": by rules, quota or limits.
    pub(in crate::control) publish_requests_rejected: u64,
    /// "Subscribe Requests Accepted": one a filter.
    pub(in crate::control) subscribe_requests_accepted: u64,
    /// "Subscribe Requests Rejected": one a filter.
    pub(in crate::control) subscribe_requests_rejected: u64,
    /// Version of the broker.
    pub(in crate::control) version: String,
    /// Generation of the configuration in force.
    pub(in crate::control) generation: u64,
    /// Seconds since the broker was enabled; 0 while it is not.
    pub(in crate::control) uptime_secs: u64,
    /// Memory of the process that is resident, in bytes.
    pub(in crate::control) resident_bytes: u64,
    /// Bytes that waited in sockets' output at the shards.
    pub(in crate::control) output_bytes: u64,
    /// Messages that wait for clients, and their bytes.
    pub(in crate::control) backlog_messages: u64,
    pub(in crate::control) backlog_bytes: u64,
    /// Bytes of retained messages.
    pub(in crate::control) retained_bytes: u64,
    /// Bytes that sockets gave and took since the start.
    pub(in crate::control) bytes_received: u64,
    pub(in crate::control) bytes_sent: u64,
    /// Deliveries not made since the start, by reason.
    pub(in crate::control) drops: BTreeMap<String, u64>,
    /// Everything that was counted, by what it says for people.
    pub(in crate::control) counters: BTreeMap<String, u64>,
    /// What routing and flushing took inside the broker, since the start.
    pub(in crate::control) latency: Latency,
    /// Each shard.
    pub(in crate::control) shards: Vec<ShardStatus>,
    /// Each open listener.
    pub(in crate::control) listeners: Vec<ListenerStatus>,
}

/// Percentiles, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct Latency {
    /// How many were measured.
    pub(in crate::control) count: u64,
    pub(in crate::control) p50_us: u64,
    pub(in crate::control) p99_us: u64,
    pub(in crate::control) p999_us: u64,
    pub(in crate::control) max_us: u64,
}

/// What one shard tells.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct ShardStatus {
    pub(in crate::control) shard: u16,
    /// The core it is pinned to.
    pub(in crate::control) core: usize,
    pub(in crate::control) connections: u64,
    pub(in crate::control) clients: u64,
    pub(in crate::control) sessions: u64,
    pub(in crate::control) subscriptions: u64,
    pub(in crate::control) messages_received: u64,
    pub(in crate::control) messages_sent: u64,
    pub(in crate::control) output_bytes: u64,
    pub(in crate::control) backlog_bytes: u64,
    pub(in crate::control) turns: u64,
    pub(in crate::control) sleeps: u64,
}

/// What one listener has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct ListenerStatus {
    /// How clients speak there and its address, with the port that the system chose: `tcp 127.0.0.1:1883`.
    pub(in crate::control) listener: String,
    /// Its place among the configuration's `[[listener]]`, from 0.
    pub(in crate::control) place: usize,
    /// Clients that are connected there.
    pub(in crate::control) clients: u64,
}

impl Latency {
    /// The percentiles of what was measured.
    pub(in crate::control) fn of(measured: &shard::Latency) -> Latency {
        let histogram = measured.histogram();
        Latency {
            count: histogram.len(),
            p50_us: histogram.value_at_quantile(0.5),
            p99_us: histogram.value_at_quantile(0.99),
            p999_us: histogram.value_at_quantile(0.999),
            max_us: histogram.max(),
        }
    }
}

/// What all shards measured since the start.
pub(in crate::control) fn measured(reports: &[Report]) -> shard::Latency {
    let mut all = shard::Latency::default();
    reports.iter().for_each(|report| all.add(&report.latency));
    all
}

impl Status {
    /// The source's values under the source's names, in its order.
    pub(in crate::control) fn named(&self) -> [(&'static str, String); 13] {
        [
            ("Running", if self.running { "Yes".into() } else { "No".into() }),
            ("Clients", self.clients.to_string()),
            ("Sessions", self.sessions.to_string()),
            ("Subscriptions", self.subscriptions.to_string()),
            ("Messages Received", self.messages_received.to_string()),
            ("Messages Sent", self.messages_sent.to_string()),
            ("Messages Retained", self.messages_retained.to_string()),
            ("Connection Requests Accepted", self.connection_requests_accepted.to_string()),
            ("Connection Requests Rejected", self.connection_requests_rejected.to_string()),
            ("Publish Requests Accepted", self.publish_requests_accepted.to_string()),
            ("Publish Requests Rejected", self.publish_requests_rejected.to_string()),
            ("Subscribe Requests Accepted", self.subscribe_requests_accepted.to_string()),
            ("Subscribe Requests Rejected", self.subscribe_requests_rejected.to_string()),
        ]
    }
}

/// Sums what the shards report; none: the broker is disabled.
pub(in crate::control) fn gather(generation: u64, uptime: Duration, reports: &[Report]) -> Status {
    let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
    Status {
        running: !reports.is_empty(),
        clients: sum(|r| r.census.connected as u64),
        sessions: sum(|r| r.census.sessions as u64),
        subscriptions: sum(|r| r.census.subscriptions as u64),
        messages_received: sum(|r| r.counters.messages_received),
        messages_sent: sum(|r| r.counters.messages_sent),
        messages_retained: sum(|r| r.census.retained as u64),
        connection_requests_accepted: sum(|r| r.counters.connects_accepted),
        connection_requests_rejected: sum(|r| r.counters.connects_refused + r.net.refused()),
        publish_requests_accepted: sum(|r| r.counters.publishes_accepted),
        publish_requests_rejected: sum(|r| r.counters.publishes_refused),
        subscribe_requests_accepted: sum(|r| r.counters.subscribes_accepted),
        subscribe_requests_rejected: sum(|r| r.counters.subscribes_refused),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        generation,
        uptime_secs: uptime.as_secs(),
        resident_bytes: resident_bytes().unwrap_or(0),
        output_bytes: sum(|r| r.census.output_bytes as u64),
        backlog_messages: sum(|r| r.census.backlog_messages as u64),
        backlog_bytes: sum(|r| r.census.backlog_bytes as u64),
        retained_bytes: sum(|r| r.census.retained_bytes),
        bytes_received: sum(|r| r.net.bytes_received),
        bytes_sent: sum(|r| r.net.bytes_sent),
        drops: drops(reports),
        counters: crate::control::report::totals(reports).into_iter().collect(),
        latency: Latency::of(&measured(reports)),
        shards: reports.iter().map(shard_status).collect(),
        listeners: Vec::new(), // whoever opened them knows
    }
}

fn drops(reports: &[Report]) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for report in reports {
        let drops = &report.counters.drops;
        for (reason, count) in [
            ("output_full", drops.output_full),
            ("backlog_full", drops.backlog_full),
            ("too_large", drops.too_large),
            ("expired", drops.expired),
            ("refused", drops.refused),
            ("no_member", drops.no_member),
        ] {
            *sums.entry(reason.to_owned()).or_default() += count;
        }
    }
    sums
}

fn shard_status(r: &Report) -> ShardStatus {
    ShardStatus {
        shard: r.shard.0,
        core: r.core,
        connections: r.census.connections as u64,
        clients: r.census.connected as u64,
        sessions: r.census.sessions as u64,
        subscriptions: r.census.subscriptions as u64,
        messages_received: r.counters.messages_received,
        messages_sent: r.counters.messages_sent,
        output_bytes: r.census.output_bytes as u64,
        backlog_bytes: r.census.backlog_bytes as u64,
        turns: r.node.turns,
        sleeps: r.node.sleeps,
    }
}

/// What the system says of this process.
fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}
