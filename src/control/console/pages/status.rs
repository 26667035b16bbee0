//! Status.

use axum::Router;
use axum::routing::get;

use super::Shown;
use crate::control::admin::ops;
use crate::control::console::Console;
use crate::control::console::frame::{Visit, outside};
use crate::control::console::text::Moment;
use crate::control::console::trouble::shown;
use crate::control::console::views::shell::Page;
use crate::control::console::views::status::{Bar, Drops, Fact, Kind, Latency, StatusPage, Tile, VALUES};
use crate::control::status::{Point, Status};

/// Points of the small charts: five minutes.
const POINTS: usize = 60;

pub(super) fn router() -> Router<Console> {
    Router::new().route("/status", get(page))
}

async fn page(visit: Visit) -> Shown {
    let shell = visit.shell(Page::Status).await?;
    let now = ops::status::now(&visit.app().desk).await?;
    let points = ops::status::fine(&visit.app().desk).await?;
    let points = &points[points.len().saturating_sub(POINTS + 1)..];
    let newest = points.iter().rev().map(|point| point.latency).find(|latency| latency.count > 0);
    let nanos = |micros: u64| micros.saturating_mul(1_000);
    let latency = newest.map_or_else(Latency::default, |newest| Latency {
        p50: Some(nanos(newest.p50_us)),
        p99: Some(nanos(newest.p99_us)),
        p999: Some(nanos(newest.p999_us)),
    });
    let shards = now.shards.iter().map(|shard| (outside(shard.shard), shard.clients)).collect();
    let listeners = now.listeners.iter().map(|one| (outside(&one.listener), one.clients)).collect();
    Ok(shown(&StatusPage {
        shell,
        since: now.running.then(|| Moment(started(now.uptime_secs))),
        version: concat!("tidemq ", env!("CARGO_PKG_VERSION")),
        tiles: VALUES.iter().map(|(name, key, kind)| tile(name, key, *kind, &now, points)).collect(),
        latency,
        latency_span: "the last 15 minutes",
        shards: Bar::all(shards),
        listeners: Bar::all(listeners),
        drops: now.drops.iter().map(|(reason, count)| drops(reason, *count)).collect(),
        facts: facts(&now),
    }))
}

/// When something began that has lasted so long.
fn started(uptime_secs: u64) -> i64 {
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    now.saturating_sub(i64::try_from(uptime_secs).unwrap_or(i64::MAX))
}

fn drops(reason: &str, count: u64) -> Drops {
    Drops { reason: outside(reason.replace('_', " ")), count, per_second: 0.0 }
}

fn facts(now: &Status) -> Vec<Fact> {
    let each = (now.clients > 0).then(|| now.resident_bytes / now.clients.max(1));
    vec![
        Fact::size("Memory", "memory", Some(now.resident_bytes)),
        Fact::size("Memory a connection", "memory_per_connection", each),
        Fact::number("Messages waiting for clients", "backlog_messages", now.backlog_messages),
        Fact::size("Bytes waiting for clients", "backlog_bytes", Some(now.backlog_bytes)),
        Fact::size("Bytes waiting for sockets", "output_bytes", Some(now.output_bytes)),
        Fact::size("Retained messages", "retained_bytes", Some(now.retained_bytes)),
        Fact::size("Bytes received", "bytes_received", Some(now.bytes_received)),
        Fact::size("Bytes sent", "bytes_sent", Some(now.bytes_sent)),
    ]
}

/// A value of the source by the API's name: now, and of each point.
type Reading = (fn(&Status) -> u64, fn(&Point) -> u64);

fn reading(key: &str) -> Reading {
    macro_rules! field {
        ($name:ident) => {
            (|status| status.$name, |point| point.$name)
        };
    }
    match key {
        "clients" => field!(clients),
        "sessions" => field!(sessions),
        "subscriptions" => field!(subscriptions),
        "messages_received" => field!(messages_received),
        "messages_sent" => field!(messages_sent),
        "messages_retained" => field!(messages_retained),
        "connection_requests_accepted" => field!(connection_requests_accepted),
        "connection_requests_rejected" => field!(connection_requests_rejected),
        "publish_requests_accepted" => field!(publish_requests_accepted),
        "publish_requests_rejected" => field!(publish_requests_rejected),
        "subscribe_requests_accepted" => field!(subscribe_requests_accepted),
        "subscribe_requests_rejected" => field!(subscribe_requests_rejected),
        _ => (|_| 0, |_| 0),
    }
}

fn tile(name: &'static str, key: &'static str, kind: Kind, now: &Status, points: &[Point]) -> Tile {
    let (of_status, of_point) = reading(key);
    let rate = |pair: &[Point]| {
        let secs = (pair[1].unix_secs - pair[0].unix_secs).max(1);
        of_point(&pair[1]).saturating_sub(of_point(&pair[0])) as f64 / secs as f64
    };
    let history = match kind {
        Kind::Level => points.iter().skip(1).map(|point| of_point(point) as f64).collect(),
        Kind::Counter | Kind::Rejections => points.windows(2).map(rate).collect(),
    };
    Tile { name, key, kind, value: of_status(now), history }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_a_reading_of_its_own() {
        let text = serde_json::to_value(Status::default()).unwrap();
        for (number, (_, key, _)) in VALUES.iter().enumerate() {
            let mut values = text.clone();
            values[*key] = (number as u64 + 1).into();
            let status: Status = serde_json::from_value(values).unwrap();
            assert_eq!((reading(key).0)(&status), number as u64 + 1, "{key}");
        }
    }

    #[test]
    fn a_counter_is_drawn_by_its_rate_and_one_that_fell_was_begun_anew() {
        let point =
            |unix_secs, messages_sent| Point { unix_secs, messages_sent, clients: 7, ..Point::default() };
        let points = [point(0, 100), point(5, 150), point(10, 0), point(15, 5)];
        let now = Status { messages_sent: 5, ..Status::default() };
        let sent = tile("Messages Sent", "messages_sent", Kind::Counter, &now, &points);
        assert_eq!((sent.value, sent.history), (5, vec![10.0, 0.0, 1.0]));
        assert_eq!(tile("Clients", "clients", Kind::Level, &now, &points).history, vec![7.0; 3]);
    }
}
