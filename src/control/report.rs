//! Reports of all shards as text for people. A value in, a text out.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::node::Report;

/// Everything that was counted, over all shards; then what each shard did. Lines of zeros are left out.
pub(super) fn describe(reports: &[Report]) -> String {
    let mut text = String::new();
    for (name, value) in totals(reports) {
        if value > 0 {
            let _infallible = writeln!(text, "{name:48} {value}");
        }
    }
    for r in reports {
        let _infallible = writeln!(
            text,
            "shard {} on core {}: {} connections, {} sessions, {} sent in {} sends, \
             {} turns, {} sleeps, {} wakes, {} rings, {} full",
            r.shard.0,
            r.core,
            r.census.connections,
            r.census.sessions,
            r.counters.messages_sent,
            r.net.sends,
            r.node.turns,
            r.node.sleeps,
            r.node.wakes,
            r.node.rings,
            r.node.full,
        );
    }
    text
}

/// Sums over the shards, in the order in which they are shown.
pub(super) fn totals(reports: &[Report]) -> Vec<(String, u64)> {
    let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
    let mut rows: Vec<(String, u64)> = [
        ("connections", sum(|r| r.census.connections as u64)),
        ("sessions", sum(|r| r.census.sessions as u64)),
        ("subscriptions", sum(|r| r.census.subscriptions as u64)),
        ("messages retained", sum(|r| r.census.retained as u64)),
        ("messages received", sum(|r| r.counters.messages_received)),
        ("messages sent", sum(|r| r.counters.messages_sent)),
        ("connection requests accepted", sum(|r| r.counters.connects_accepted)),
        ("connection requests rejected", sum(|r| r.counters.connects_refused + r.net.refused())),
        ("publish requests accepted", sum(|r| r.counters.publishes_accepted)),
        ("publish requests rejected", sum(|r| r.counters.publishes_refused)),
        ("subscribe requests accepted", sum(|r| r.counters.subscribes_accepted)),
        ("subscribe requests rejected", sum(|r| r.counters.subscribes_refused)),
        ("deliveries dropped: output full", sum(|r| r.counters.drops.output_full)),
        ("deliveries dropped: backlog full", sum(|r| r.counters.drops.backlog_full)),
        ("deliveries dropped: no member of the shared subscription", sum(|r| r.counters.drops.no_member)),
        ("deliveries dropped: larger than the client takes", sum(|r| r.counters.drops.too_large)),
        ("deliveries dropped: the client may not read the topic", sum(|r| r.counters.drops.refused)),
        ("deliveries dropped: expired", sum(|r| r.counters.drops.expired)),
        ("messages waiting for clients", sum(|r| r.census.backlog_messages as u64)),
        ("bytes waiting for clients", sum(|r| r.census.output_bytes as u64)),
        ("publications under way between shards", sum(|r| r.census.credit_messages)),
        ("connections paused: no credit", sum(|r| r.census.paused.credit as u64)),
        ("connections paused: own output unread", sum(|r| r.census.paused.output as u64)),
        ("connections paused: subscriptions under way", sum(|r| r.census.paused.subscriptions as u64)),
        ("sessions expired", sum(|r| r.counters.sessions_expired)),
        ("bytes received", sum(|r| r.net.bytes_received)),
        ("bytes sent", sum(|r| r.net.bytes_sent)),
        ("sockets accepted", sum(|r| r.net.accepted)),
        ("sockets handed to another shard", sum(|r| r.net.handed_over)),
        ("sockets over the limit", sum(|r| r.net.over_limit)),
        ("closed by the peer", sum(|r| r.net.closed.by_peer)),
        ("closed: socket failed", sum(|r| r.net.closed.failed)),
        ("closed: gone before CONNECT", sum(|r| r.net.closed.before_connect)),
        ("closed: no CONNECT in time", sum(|r| r.net.closed.connect_timeout)),
        ("closed: DISCONNECT", sum(|r| r.net.closed.disconnected)),
        ("closed: taken over", sum(|r| r.net.closed.taken_over)),
        ("closed: broke the rules of TLS", sum(|r| r.net.closed.tls)),
        ("closed: broke the rules of WebSocket", sum(|r| r.net.closed.framing)),
        ("closed: refused", sum(|r| r.net.closed.refused)),
        ("closed: violation", sum(|r| r.net.closed.violation)),
        ("closed: output stalled", sum(|r| r.net.closed.stalled)),
        ("closed: by the operator", sum(|r| r.net.closed.expelled)),
        ("closed: no longer accepted after an Apply", sum(|r| r.net.closed.not_accepted)),
        ("packets not traced: nobody took them in time", sum(|r| r.counters.trace_dropped)),
        ("rejections not kept: too many at once", sum(|r| r.counters.rejections_left_out)),
        ("subscriptions removed after an Apply", sum(|r| r.counters.subscriptions_withdrawn)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    for r in reports {
        for (violation, count) in &r.counters.violations {
            *reasons.entry(format!("violation: {}", violation.name())).or_default() += count;
        }
        for (reason, count) in &r.counters.refusals {
            *reasons.entry(format!("refused: {}", reason.name())).or_default() += count;
        }
    }
    rows.extend(handshakes(reports));
    rows.extend(reasons);
    rows
}

/// TLS and WebSocket, before a CONNECT.
fn handshakes(reports: &[Report]) -> impl Iterator<Item = (String, u64)> + '_ {
    let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
    [
        ("TLS 1.2 handshakes", sum(|r| r.net.tls.tls12)),
        ("TLS 1.3 handshakes", sum(|r| r.net.tls.tls13)),
        ("TLS handshakes: resumed sessions", sum(|r| r.net.tls.resumed)),
        ("TLS handshakes failed: client certificate", sum(|r| r.net.tls.certificate)),
        ("TLS handshakes failed: not TLS", sum(|r| r.net.tls.not_tls)),
        ("TLS handshakes failed: nothing in common", sum(|r| r.net.tls.incompatible)),
        ("TLS handshakes failed: given up by the peer", sum(|r| r.net.tls.by_peer)),
        ("TLS handshakes failed: rules broken", sum(|r| r.net.tls.broken)),
        ("TLS handshakes failed: incomplete", sum(|r| r.net.tls.incomplete)),
        ("WebSocket handshakes refused: malformed", sum(|r| r.net.handshakes.malformed)),
        ("WebSocket handshakes refused: headers too long", sum(|r| r.net.handshakes.too_large)),
        ("WebSocket handshakes refused: another path", sum(|r| r.net.handshakes.path)),
        ("WebSocket handshakes refused: another version", sum(|r| r.net.handshakes.version)),
        ("WebSocket handshakes refused: no sub-protocol of MQTT", sum(|r| r.net.handshakes.sub_protocol)),
        ("WebSocket handshakes refused: incomplete", sum(|r| r.net.handshakes.incomplete)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
}
