//! What stands below `$SYS/broker`: from the shards' reports to the topics whose text has changed. Names, units and
//! formats are mosquitto's where it has them. Pure: the time is an input, and somebody else publishes.

use std::collections::BTreeMap;
use std::time::Duration;

use super::loads::{Loads, SPANS};
use crate::node::Report;

const ROOT: &str = "$SYS/broker";

/// Counts with load averages, in the order of [`rates`].
const RATES: [&str; 9] = [
    "messages/received",
    "messages/sent",
    "publish/received",
    "publish/sent",
    "publish/dropped",
    "bytes/received",
    "bytes/sent",
    "sockets",
    "connections",
];

/// What is retained below `$SYS/broker` now.
#[derive(Debug)]
pub(super) struct Tree {
    published: BTreeMap<String, String>,
    loads: Loads<{ RATES.len() }>,
    most_clients: u64,
}

impl Tree {
    /// Nothing.
    pub(super) fn new() -> Tree {
        Tree { published: BTreeMap::new(), loads: Loads::new(), most_clients: 0 }
    }

    /// What must be published so that it tells of `reports`, `uptime` after the start: topics and texts.
    pub(super) fn update(&mut self, uptime: Duration, reports: &[Report]) -> Vec<(String, String)> {
        let counts = Counts::of(reports);
        self.most_clients = self.most_clients.max(counts.connected);
        let mut values = vec![
            ("version".into(), format!("tidemq version {}", env!("CARGO_PKG_VERSION"))),
            ("uptime".into(), format!("{} seconds", uptime.as_secs())),
            ("clients/maximum".into(), self.most_clients.to_string()),
        ];
        values.extend(counts.rows().map(|(name, value)| (name.to_owned(), value.to_string())));
        for (rate, averages) in RATES.iter().zip(self.loads.update(uptime, counts.rates())) {
            for ((span, _), average) in SPANS.iter().zip(averages.per_minute()) {
                values.push((format!("load/{rate}/{span}"), format!("{average:.2}")));
            }
        }
        for report in reports {
            let shard = report.shard.0;
            let mut row =
                |name, value: u64| values.push((format!("shards/{shard}/{name}"), value.to_string()));
            row("clients/connected", report.census.connected as u64);
            row("output/bytes", report.census.output_bytes as u64);
            row("publish/messages/dropped", report.counters.drops.for_limits());
        }
        values.into_iter().filter_map(|(name, text)| self.change(format!("{ROOT}/{name}"), text)).collect()
    }

    fn change(&mut self, topic: String, text: String) -> Option<(String, String)> {
        if self.published.get(&topic) == Some(&text) {
            return None;
        }
        self.published.insert(topic.clone(), text.clone());
        Some((topic, text))
    }

    /// What must be published so that nothing is left. It begins anew then.
    pub(super) fn clear(&mut self) -> Vec<(String, String)> {
        let published = std::mem::replace(self, Tree::new()).published;
        published.into_keys().map(|topic| (topic, String::new())).collect()
    }
}

/// Sums over all shards.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    connected: u64,
    sessions: u64,
    expired: u64,
    packets_received: u64,
    packets_sent: u64,
    messages_received: u64,
    messages_sent: u64,
    messages_dropped: u64,
    payload_received: u64,
    payload_sent: u64,
    bytes_received: u64,
    bytes_sent: u64,
    retained: u64,
    stored: u64,
    stored_bytes: u64,
    subscriptions: u64,
    shared_subscriptions: u64,
    sockets: u64,
    connects: u64,
    dropped: [u64; 5],
}

impl Counts {
    fn of(reports: &[Report]) -> Counts {
        let mut sum = Counts::default();
        for Report { census, counters, net, .. } in reports {
            sum.connected += census.connected as u64;
            sum.sessions += census.sessions as u64;
            sum.expired += counters.sessions_expired;
            sum.packets_received += counters.packets_received;
            sum.packets_sent += counters.messages_sent + counters.other_packets_sent;
            sum.messages_received += counters.messages_received;
            sum.messages_sent += counters.messages_sent;
            sum.messages_dropped += counters.drops.for_limits();
            sum.payload_received += counters.payload_bytes_received;
            sum.payload_sent += counters.payload_bytes_sent;
            sum.bytes_received += net.bytes_received;
            sum.bytes_sent += net.bytes_sent;
            sum.retained += census.retained as u64;
            sum.stored += (census.retained + census.backlog_messages) as u64;
            sum.stored_bytes += census.retained_bytes + census.backlog_bytes as u64;
            sum.subscriptions += census.subscriptions as u64;
            sum.shared_subscriptions += census.shared_subscriptions as u64;
            sum.sockets += net.accepted;
            sum.connects += counters.connects_accepted + counters.connects_refused + net.refused();
            let drops = &counters.drops;
            let reasons =
                [drops.output_full, drops.backlog_full, drops.too_large, drops.expired, drops.no_member];
            sum.dropped.iter_mut().zip(reasons).for_each(|(sum, drops)| *sum += drops);
        }
        sum
    }

    /// In the order of [`RATES`].
    fn rates(&self) -> [u64; RATES.len()] {
        [
            self.packets_received,
            self.packets_sent,
            self.messages_received,
            self.messages_sent,
            self.messages_dropped,
            self.bytes_received,
            self.bytes_sent,
            self.sockets,
            self.connects,
        ]
    }

    fn rows(&self) -> impl Iterator<Item = (&'static str, u64)> {
        // Shards are asked one after the other: a client may be seen twice or not at all while it moves.
        let disconnected = self.sessions.saturating_sub(self.connected);
        let [output_full, backlog_full, too_large, expired, no_member] = self.dropped;
        [
            ("clients/total", self.sessions),
            ("clients/connected", self.connected),
            ("clients/active", self.connected),
            ("clients/disconnected", disconnected),
            ("clients/inactive", disconnected),
            ("clients/expired", self.expired),
            ("messages/received", self.packets_received),
            ("messages/sent", self.packets_sent),
            ("messages/stored", self.stored),
            ("store/messages/count", self.stored),
            ("store/messages/bytes", self.stored_bytes),
            ("retained messages/count", self.retained),
            ("subscriptions/count", self.subscriptions),
            ("shared_subscriptions/count", self.shared_subscriptions),
            ("publish/messages/received", self.messages_received),
            ("publish/messages/sent", self.messages_sent),
            ("publish/messages/dropped", self.messages_dropped),
            ("publish/messages/dropped/output_full", output_full),
            ("publish/messages/dropped/backlog_full", backlog_full),
            ("publish/messages/dropped/too_large", too_large),
            ("publish/messages/expired", expired),
            ("publish/messages/dropped/no_member", no_member),
            ("publish/bytes/received", self.payload_received),
            ("publish/bytes/sent", self.payload_sent),
            ("bytes/received", self.bytes_received),
            ("bytes/sent", self.bytes_sent),
        ]
        .into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ShardId;
    use crate::node::NodeCounters;
    use crate::shard::{Census, Counters, Latency};

    fn report(shard: u16, change: impl FnOnce(&mut Report)) -> Report {
        let mut report = Report {
            shard: ShardId(shard),
            core: 0,
            node: NodeCounters::default(),
            net: crate::net::Counters::default(),
            counters: Counters::default(),
            census: Census::default(),
            at_listeners: Vec::new(),
            latency: Latency::default(),
        };
        change(&mut report);
        report
    }

    fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn text<'a>(messages: &'a [(String, String)], name: &str) -> Option<&'a str> {
        let topic = format!("$SYS/broker/{name}");
        messages.iter().find(|(at, _)| *at == topic).map(|(_, text)| &**text)
    }

    #[test]
    fn the_first_time_says_everything_and_then_only_what_changed() {
        let mut tree = Tree::new();
        let first = tree.update(at(0), &[report(0, |_| {})]);
        assert_eq!(text(&first, "uptime"), Some("0 seconds"));
        assert!(text(&first, "version").is_some_and(|text| text.starts_with("tidemq version ")));
        assert_eq!(text(&first, "publish/messages/received"), Some("0"));
        assert_eq!(text(&first, "load/bytes/sent/15min"), Some("0.00"));
        assert_eq!(tree.update(at(0), &[report(0, |_| {})]), []);
        let second = tree.update(at(10), &[report(0, |r| r.counters.messages_received = 1)]);
        let mut topics: Vec<&str> = second.iter().map(|(topic, _)| &**topic).collect();
        topics.sort_unstable();
        let expected = [
            "load/publish/received/15min",
            "load/publish/received/1min",
            "load/publish/received/5min",
            "publish/messages/received",
            "uptime",
        ];
        assert_eq!(topics, expected.map(|name| format!("$SYS/broker/{name}")));
        assert_eq!(text(&second, "uptime"), Some("10 seconds"));
    }

    #[test]
    fn shards_are_summed_and_named() {
        let messages = Tree::new().update(
            at(5),
            &[
                report(0, |r| {
                    (r.census.sessions, r.census.connected) = (5, 2);
                    (r.counters.messages_sent, r.counters.other_packets_sent) = (10, 3);
                    (r.counters.drops.output_full, r.counters.drops.expired) = (1, 8);
                    (r.census.retained, r.census.retained_bytes) = (4, 400);
                }),
                report(1, |r| {
                    (r.census.sessions, r.census.connected) = (1, 1);
                    (r.counters.messages_sent, r.counters.drops.too_large) = (7, 2);
                    (r.census.backlog_messages, r.census.backlog_bytes) = (6, 60);
                }),
            ],
        );
        for (name, expected) in [
            ("clients/total", "6"),
            ("clients/connected", "3"),
            ("clients/disconnected", "3"),
            ("messages/sent", "20"),
            ("publish/messages/sent", "17"),
            ("publish/messages/dropped", "3"),
            ("publish/messages/expired", "8"),
            ("store/messages/count", "10"),
            ("store/messages/bytes", "460"),
            ("retained messages/count", "4"),
            ("shards/0/clients/connected", "2"),
            ("shards/1/publish/messages/dropped", "2"),
        ] {
            assert_eq!(text(&messages, name), Some(expected), "{name}");
        }
    }

    #[test]
    fn the_maximum_of_clients_stays_when_they_leave() {
        let mut tree = Tree::new();
        tree.update(at(0), &[report(0, |r| r.census.connected = 9)]);
        let later = tree.update(at(1), &[report(0, |r| r.census.connected = 2)]);
        assert_eq!((text(&later, "clients/connected"), text(&later, "clients/maximum")), (Some("2"), None));
        assert_eq!(tree.published["$SYS/broker/clients/maximum"], "9");
    }

    #[test]
    fn clearing_empties_every_topic_and_begins_anew() {
        let mut tree = Tree::new();
        let first = tree.update(at(0), &[report(0, |_| {})]);
        let mut cleared = tree.clear();
        assert!(cleared.iter().all(|(_, text)| text.is_empty()));
        let mut told: Vec<String> = first.into_iter().map(|(topic, _)| topic).collect();
        told.sort_unstable();
        cleared.sort_unstable();
        assert_eq!(cleared.into_iter().map(|(topic, _)| topic).collect::<Vec<_>>(), told);
        assert_eq!(tree.clear(), []);
        assert!(text(&tree.update(at(9), &[report(0, |_| {})]), "version").is_some());
    }
}
