//! What the broker tells of itself, as values: gathered from the shards' reports, kept over time, written for people, for
//! Prometheus. Knows no shard and no request.

mod gather;
mod history;
mod metrics;

pub(super) use gather::{Latency, ListenerStatus, Status, gather, measured};
pub(super) use history::{FINE_SECS, History, Point};
pub(super) use metrics::metrics;
