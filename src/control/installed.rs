//! What an install did, as Apply reports it: when each shard judged by it, whom it put out, what it opened and closed.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::node;

/// What an install has done.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(super) struct Installed {
    /// Until every shard judged by it, in microseconds.
    pub(super) took_us: u64,
    /// The same for each shard, in their order.
    pub(super) shards_us: Vec<u64>,
    /// Clients that were disconnected because they are no longer accepted.
    pub(super) clients_disconnected: u64,
    /// Why, and how many for each reason.
    pub(super) disconnect_reasons: Vec<ReasonCount>,
    /// The first of them.
    pub(super) disconnected: Vec<PutOut>,
    /// Subscriptions that were removed because they are no longer allowed.
    pub(super) subscriptions_removed: u64,
    /// The first of them.
    pub(super) removed: Vec<Withdrawn>,
    /// Addresses that were opened.
    pub(super) listeners_opened: Vec<String>,
    /// Addresses that were closed.
    pub(super) listeners_closed: Vec<String>,
    /// Those that stayed bound, with their connections.
    pub(super) listeners_kept: Vec<String>,
}

/// A reason, and how often.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct ReasonCount {
    pub(super) reason: String,
    pub(super) count: u64,
}

/// A client that was disconnected.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct PutOut {
    pub(super) client_id: String,
    pub(super) reason: String,
}

/// A subscription that was removed.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct Withdrawn {
    pub(super) client_id: String,
    pub(super) filter: String,
}

impl Installed {
    /// Every shard judges by it now.
    pub(super) fn acknowledged(self, by: &node::Installed) -> Installed {
        let shards_us = by.shards.iter().map(|(_, took)| micros(*took)).collect();
        Installed { took_us: micros(by.took), shards_us, ..self }
    }

    /// Everybody was judged by it.
    pub(super) fn swept(self, aftermath: node::Aftermath) -> Installed {
        let reason = |(reason, count)| ReasonCount { reason, count };
        let out = |out: node::PutOut| PutOut { client_id: out.client_id.into(), reason: out.reason };
        let withdrawn =
            |one: node::Withdrawn| Withdrawn { client_id: one.client_id.into(), filter: one.filter.into() };
        Installed {
            clients_disconnected: aftermath.clients_disconnected,
            disconnect_reasons: aftermath.reasons.into_iter().map(reason).collect(),
            disconnected: aftermath.disconnected.into_iter().map(out).collect(),
            subscriptions_removed: aftermath.subscriptions_withdrawn,
            removed: aftermath.withdrawn.into_iter().map(withdrawn).collect(),
            ..self
        }
    }

    /// For people, behind what changed; empty if nobody noticed.
    pub(super) fn told(&self) -> String {
        let mut text = String::new();
        let mut line = |line: String| text.push_str(&format!("\n  {line}"));
        self.listeners_opened.iter().for_each(|listener| line(format!("opened {listener}")));
        self.listeners_closed.iter().for_each(|listener| line(format!("closed {listener}")));
        if self.clients_disconnected > 0 {
            line(format!("clients disconnected: {}", self.clients_disconnected));
            self.disconnect_reasons.iter().for_each(|one| line(format!("  {}: {}", one.count, one.reason)));
        }
        if self.subscriptions_removed > 0 {
            line(format!("subscriptions removed: {}", self.subscriptions_removed));
        }
        text
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}
