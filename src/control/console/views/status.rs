//! Status: the source's values by their exact names, each with its rate and a small chart; latency, clients per shard
//! and listener, drops, memory. What of it is live the script replaces.

use askama::Template;

use super::shell::{Page, Shell};
use crate::control::console::text::{Foreign, Moment, bytes, count, latency, line, rate};

/// The page.
#[derive(Template)]
#[template(path = "status.html")]
pub(crate) struct StatusPage {
    /// What stands around it.
    pub(crate) shell: Shell,
    /// When the broker was started.
    pub(crate) since: Option<Moment>,
    /// Which tidemq this is.
    pub(crate) version: &'static str,
    /// The source's values, without Running.
    pub(crate) tiles: Vec<Tile>,
    /// The newest percentiles.
    pub(crate) latency: Latency,
    /// The time that they cover: `the last 5 minutes`.
    pub(crate) latency_span: &'static str,
    /// Clients per shard.
    pub(crate) shards: Vec<Bar>,
    /// Clients per listener.
    pub(crate) listeners: Vec<Bar>,
    /// Deliveries that were not made.
    pub(crate) drops: Vec<Drops>,
    /// Memory and queues.
    pub(crate) facts: Vec<Fact>,
}

/// One value.
pub(crate) struct Tile {
    /// As the source names it.
    pub(crate) name: &'static str,
    /// As the API names it.
    pub(crate) key: &'static str,
    /// Whether it only ever grows: its chart is then that of its rate.
    pub(crate) kind: Kind,
    /// Now.
    pub(crate) value: u64,
    /// A second, newest last: of a [`Kind::Counter`] its rate, of a [`Kind::Level`] itself.
    pub(crate) history: Vec<f64>,
}

/// How a value behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It goes up and down.
    Level,
    /// It counts what has happened since the start.
    Counter,
    /// The same, of what was refused.
    Rejections,
}

/// The source's names in its order, with the API's, without Running.
pub(crate) const VALUES: [(&str, &str, Kind); 12] = [
    ("Clients", "clients", Kind::Level),
    ("Sessions", "sessions", Kind::Level),
    ("Subscriptions", "subscriptions", Kind::Level),
    ("Messages Received", "messages_received", Kind::Counter),
    ("Messages Sent", "messages_sent", Kind::Counter),
    ("Messages Retained", "messages_retained", Kind::Level),
    ("Connection Requests Accepted", "connection_requests_accepted", Kind::Counter),
    ("Connection Requests Rejected", "connection_requests_rejected", Kind::Rejections),
    ("Publish Requests Accepted", "publish_requests_accepted", Kind::Counter),
    ("Publish Requests Rejected", "publish_requests_rejected", Kind::Rejections),
    ("Subscribe Requests Accepted", "subscribe_requests_accepted", Kind::Counter),
    ("Subscribe Requests Rejected", "subscribe_requests_rejected", Kind::Rejections),
];

impl Tile {
    fn class(&self) -> &'static str {
        match self.kind {
            Kind::Level => "level",
            Kind::Counter => "counter",
            Kind::Rejections => "rejections",
        }
    }

    fn value_text(&self) -> String {
        count(self.value)
    }

    fn rate_text(&self) -> String {
        match (self.kind, self.history.as_slice()) {
            (Kind::Level, [.., before, now]) if now > before => format!("+{}", rate(now - before)),
            (Kind::Level, [.., before, now]) if now < before => format!("−{}", rate(before - now)),
            (Kind::Counter | Kind::Rejections, [.., now]) => format!("{}/s", rate(*now)),
            _ => String::new(),
        }
    }

    fn points(&self) -> String {
        line(&self.history, 120.0, 28.0)
    }
}

/// Percentiles, in nanoseconds; nothing: nothing was delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Latency {
    pub(crate) p50: Option<u64>,
    pub(crate) p99: Option<u64>,
    pub(crate) p999: Option<u64>,
}

impl Latency {
    fn p50_text(&self) -> String {
        shown(self.p50)
    }

    fn p99_text(&self) -> String {
        shown(self.p99)
    }

    fn p999_text(&self) -> String {
        shown(self.p999)
    }
}

fn shown(nanos: Option<u64>) -> String {
    nanos.map_or_else(|| "–".into(), latency)
}

/// The clients of one shard, or of one listener.
pub(crate) struct Bar {
    /// Which.
    pub(crate) of: Foreign,
    /// Its clients.
    pub(crate) clients: u64,
    /// Of that which has most, in percent.
    pub(crate) percent: u64,
}

impl Bar {
    /// All of a kind, each with its clients.
    pub(crate) fn all(each: Vec<(Foreign, u64)>) -> Vec<Bar> {
        let most = each.iter().map(|(_, clients)| *clients).max().unwrap_or(0).max(1);
        each.into_iter().map(|(of, clients)| Bar { of, clients, percent: clients * 100 / most }).collect()
    }

    fn clients_text(&self) -> String {
        count(self.clients)
    }
}

/// Deliveries that were not made, for one reason.
pub(crate) struct Drops {
    /// Why.
    pub(crate) reason: Foreign,
    /// Since the start.
    pub(crate) count: u64,
    /// A second, now.
    pub(crate) per_second: f64,
}

impl Drops {
    fn count_text(&self) -> String {
        count(self.count)
    }

    fn rate_text(&self) -> String {
        rate(self.per_second)
    }
}

/// A line of "Memory and queues".
pub(crate) struct Fact {
    /// What.
    pub(crate) name: &'static str,
    /// As the script finds it.
    pub(crate) key: &'static str,
    /// How much.
    pub(crate) value: String,
}

impl Fact {
    /// A size.
    pub(crate) fn size(name: &'static str, key: &'static str, value: Option<u64>) -> Fact {
        Fact { name, key, value: value.map_or_else(|| "–".into(), bytes) }
    }

    /// A number.
    pub(crate) fn number(name: &'static str, key: &'static str, value: u64) -> Fact {
        Fact { name, key, value: count(value) }
    }
}
