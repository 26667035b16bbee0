//! The status as Prometheus and OpenMetrics read it.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::gather::{ShardStatus, Status};

/// Writes a status as metrics, all of them named `tidemq_...`.
pub(in crate::control) fn metrics(status: Status) -> String {
    let mut registry = Registry::with_prefix("tidemq");
    registry.register_collector(Box::new(Scrape(status)));
    let mut out = String::new();
    text::encode(&mut out, &registry).expect("a String takes all that is written");
    out
}

#[derive(Debug)]
struct Scrape(Status);

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let status = &self.0;
        for (name, help, value) in gauges(status) {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        for (name, help, value) in counters(status) {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        let help = "Deliveries not made, by reason";
        let mut family = encoder.encode_descriptor("deliveries_dropped", help, None, MetricType::Counter)?;
        for (reason, count) in &status.drops {
            ConstCounter::new(*count).encode(family.encode_family(&[("reason", reason.as_str())])?)?;
        }
        let help = "What routing and flushing took inside the broker since it was enabled";
        let mut family = encoder.encode_descriptor("latency_microseconds", help, None, MetricType::Gauge)?;
        let latency = &status.latency;
        for (quantile, value) in
            [("0.5", latency.p50_us), ("0.99", latency.p99_us), ("0.999", latency.p999_us)]
        {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(family.encode_family(&[("quantile", quantile)])?)?;
        }
        let of_shard: [OfShard; 4] = [
            ("shard_clients", "Connected clients of a shard", |s| s.clients),
            ("shard_sessions", "Sessions of a shard", |s| s.sessions),
            ("shard_output_bytes", "Bytes waiting for sockets of a shard", |s| s.output_bytes),
            ("shard_backlog_bytes", "Bytes waiting for clients of a shard", |s| s.backlog_bytes),
        ];
        for (name, help, value) in of_shard {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for shard in &status.shards {
                let gauge = ConstGauge::new(i64::try_from(value(shard)).unwrap_or(i64::MAX));
                gauge.encode(family.encode_family(&[("shard", shard.shard.to_string())])?)?;
            }
        }
        let help = "Connected clients of a listener";
        let mut family = encoder.encode_descriptor("listener_clients", help, None, MetricType::Gauge)?;
        for one in &status.listeners {
            let gauge = ConstGauge::new(i64::try_from(one.clients).unwrap_or(i64::MAX));
            gauge.encode(family.encode_family(&[("listener", one.listener.as_str())])?)?;
        }
        Ok(())
    }
}

/// Name, help, and what a shard says.
type OfShard = (&'static str, &'static str, fn(&ShardStatus) -> u64);

/// Name, help, value.
type Row = (&'static str, &'static str, u64);

fn gauges(s: &Status) -> [Row; 11] {
    [
        ("running", "1 while the broker is enabled", u64::from(s.running)),
        ("clients", "Clients", s.clients),
        ("sessions", "Sessions", s.sessions),
        ("subscriptions", "Subscriptions", s.subscriptions),
        ("messages_retained", "Messages Retained", s.messages_retained),
        ("retained_bytes", "Bytes of retained messages", s.retained_bytes),
        ("backlog_messages", "Messages waiting for clients", s.backlog_messages),
        ("backlog_bytes", "Bytes of messages waiting for clients", s.backlog_bytes),
        ("output_bytes", "Bytes waiting for sockets", s.output_bytes),
        ("resident_bytes", "Resident memory of the process", s.resident_bytes),
        ("configuration_generation", "Generation of the configuration in force", s.generation),
    ]
}

fn counters(s: &Status) -> [Row; 10] {
    [
        ("messages_received", "Messages Received", s.messages_received),
        ("messages_sent", "Messages Sent", s.messages_sent),
        ("connection_requests_accepted", "Connection Requests Accepted", s.connection_requests_accepted),
        ("connection_requests_rejected", "Connection Requests Rejected", s.connection_requests_rejected),
        ("publish_requests_accepted", "Publish Requests Accepted", s.publish_requests_accepted),
        ("publish_requests_rejected", "Publish Requests Rejected", s.publish_requests_rejected),
        ("subscribe_requests_accepted", "Subscribe Requests Accepted", s.subscribe_requests_accepted),
        ("subscribe_requests_rejected", "Subscribe Requests Rejected", s.subscribe_requests_rejected),
        ("bytes_received", "Bytes that sockets gave", s.bytes_received),
        ("bytes_sent", "Bytes that sockets took", s.bytes_sent),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_the_source_is_there_and_labels_are_escaped_by_the_library() {
        let drops = [("a \"reason\"".to_owned(), 3)].into();
        let shards = vec![ShardStatus { shard: 1, clients: 2, ..ShardStatus::default() }];
        let text = metrics(Status { running: true, messages_sent: 7, drops, shards, ..Status::default() });
        for line in [
            "tidemq_running 1",
            "tidemq_messages_sent_total 7",
            "tidemq_deliveries_dropped_total{reason=\"a \\\"reason\\\"\"} 3",
            "tidemq_shard_clients{shard=\"1\"} 2",
            "# TYPE tidemq_messages_sent counter",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
