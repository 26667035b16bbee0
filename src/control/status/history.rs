//! The counters over time, for charts: the last minutes finely, the last day coarsely. A ring of values; the time is
//! given.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::gather::{Latency, Status};

/// Seconds between two points of the fine ring, and how many it holds: a quarter of an hour.
pub(in crate::control) const FINE_SECS: u64 = 5;
const FINE: usize = 180;
/// Every so many of them one is kept in the coarse ring: one in a minute, for a day.
const COARSE_EVERY: u64 = 12;
const COARSE: usize = 1_440;

/// The status at one moment, as far as it is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct Point {
    /// Seconds since 1970, UTC.
    pub(in crate::control) unix_secs: i64,
    pub(in crate::control) clients: u64,
    pub(in crate::control) sessions: u64,
    pub(in crate::control) subscriptions: u64,
    /// Counts since the broker was enabled; a smaller one than before: it was enabled anew.
    pub(in crate::control) messages_received: u64,
    pub(in crate::control) messages_sent: u64,
    pub(in crate::control) messages_retained: u64,
    pub(in crate::control) connection_requests_accepted: u64,
    pub(in crate::control) connection_requests_rejected: u64,
    pub(in crate::control) publish_requests_accepted: u64,
    pub(in crate::control) publish_requests_rejected: u64,
    pub(in crate::control) subscribe_requests_accepted: u64,
    pub(in crate::control) subscribe_requests_rejected: u64,
    pub(in crate::control) bytes_received: u64,
    pub(in crate::control) bytes_sent: u64,
    pub(in crate::control) drops: u64,
    pub(in crate::control) resident_bytes: u64,
    /// Of what was routed since the point before.
    pub(in crate::control) latency: Latency,
}

impl Point {
    /// What a status comes to; `latency`: since the point before.
    pub(in crate::control) fn of(status: &Status, unix_secs: i64, latency: Latency) -> Point {
        Point {
            unix_secs,
            clients: status.clients,
            sessions: status.sessions,
            subscriptions: status.subscriptions,
            messages_received: status.messages_received,
            messages_sent: status.messages_sent,
            messages_retained: status.messages_retained,
            connection_requests_accepted: status.connection_requests_accepted,
            connection_requests_rejected: status.connection_requests_rejected,
            publish_requests_accepted: status.publish_requests_accepted,
            publish_requests_rejected: status.publish_requests_rejected,
            subscribe_requests_accepted: status.subscribe_requests_accepted,
            subscribe_requests_rejected: status.subscribe_requests_rejected,
            bytes_received: status.bytes_received,
            bytes_sent: status.bytes_sent,
            drops: status.drops.values().sum(),
            resident_bytes: status.resident_bytes,
            latency,
        }
    }
}

/// Both rings.
#[derive(Clone, Debug, Default)]
pub(in crate::control) struct History {
    fine: VecDeque<Point>,
    coarse: VecDeque<Point>,
    taken: u64,
}

impl History {
    /// One more.
    pub(in crate::control) fn push(&mut self, point: Point) {
        push(&mut self.fine, point, FINE);
        if self.taken.is_multiple_of(COARSE_EVERY) {
            push(&mut self.coarse, point, COARSE);
        }
        self.taken += 1;
    }

    /// The last quarter of an hour, oldest first.
    pub(in crate::control) fn fine(&self) -> Vec<Point> {
        self.fine.iter().copied().collect()
    }

    /// The last day, oldest first.
    pub(in crate::control) fn coarse(&self) -> Vec<Point> {
        self.coarse.iter().copied().collect()
    }
}

fn push(ring: &mut VecDeque<Point>, point: Point, most: usize) {
    if ring.len() == most {
        ring.pop_front();
    }
    ring.push_back(point);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_rings_are_bounded_and_the_coarse_one_keeps_one_in_a_minute() {
        let mut history = History::default();
        let points = (COARSE as u64 + 10) * COARSE_EVERY;
        for number in 0..points {
            history.push(Point { clients: number, ..Point::default() });
        }
        let (fine, coarse) = (history.fine(), history.coarse());
        assert_eq!((fine.len(), coarse.len()), (FINE, COARSE));
        assert_eq!(fine.last().map(|point| point.clients), Some(points - 1));
        assert_eq!(coarse[1].clients - coarse[0].clients, COARSE_EVERY);
        assert_eq!(coarse[0].clients, 10 * COARSE_EVERY);
    }
}
