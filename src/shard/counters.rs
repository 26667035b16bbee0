//! What a shard counts. Plain numbers: whoever wants them asks the shard's driver for a copy.

use std::collections::BTreeMap;

use crate::mqtt::{ReasonCode, Violation};

/// Counts since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// CONNECT packets accepted.
    pub connects_accepted: u64,
    /// CONNECT packets refused, and connections that broke the protocol before theirs.
    pub connects_refused: u64,
    /// Connections closed because the session was taken over.
    pub taken_over: u64,
    /// PUBLISH packets taken from clients; a repeated QoS 2 packet counts once.
    pub messages_received: u64,
    /// PUBLISH packets handed to connections, repetitions not counted.
    pub messages_sent: u64,
    /// Publishes and wills accepted.
    pub publishes_accepted: u64,
    /// Publishes and wills refused.
    pub publishes_refused: u64,
    /// Filters accepted.
    pub subscribes_accepted: u64,
    /// Filters refused.
    pub subscribes_refused: u64,
    /// Deliveries not made, by reason.
    pub drops: Drops,
    /// Connections closed for a violation, by its kind.
    pub violations: BTreeMap<Violation, u64>,
    /// CONNECT packets refused, by reason code.
    pub refusals: BTreeMap<ReasonCode, u64>,
    /// Times a connection was paused for want of credit.
    pub pauses: u64,
}

/// Deliveries not made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops {
    /// QoS 0, and too much output waits already.
    pub output_full: u64,
    /// QoS 1 or 2, and the client's backlog is full.
    pub backlog_full: u64,
    /// Larger than the client's Maximum Packet Size.
    pub too_large: u64,
    /// The message expired before it could be sent.
    pub expired: u64,
    /// Of a shared subscription, and no member was left who could take it.
    pub no_member: u64,
}
