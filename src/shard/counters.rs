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
    /// Clients disconnected because an Apply no longer accepts them.
    pub expelled: u64,
    /// Subscriptions removed because an Apply no longer allows them.
    pub subscriptions_withdrawn: u64,
    /// Connections closed because the session was taken over.
    pub taken_over: u64,
    /// Sessions of disconnected clients that ended because their time was over.
    pub sessions_expired: u64,
    /// PUBLISH packets taken from clients; a repeated QoS 2 packet counts once.
    pub messages_received: u64,
    /// PUBLISH packets handed to connections, repetitions not counted.
    pub messages_sent: u64,
    /// Payloads of the messages received, in bytes.
    pub payload_bytes_received: u64,
    /// Payloads of the messages sent, in bytes.
    pub payload_bytes_sent: u64,
    /// Packets of any type taken from clients.
    pub packets_received: u64,
    /// Packets handed to connections that are not counted in `messages_sent`: all but PUBLISH, and repetitions of it.
    pub other_packets_sent: u64,
    /// Publishes and wills accepted, at their topics' homes.
    pub publishes_accepted: u64,
    /// Publishes and wills refused: by rules where their clients live, by limits at their topics' homes.
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
    /// Refused publishes, wills and subscriptions that are not among the rejections: there were too many in one turn.
    pub rejections_left_out: u64,
    /// Packets that were to be traced and are not among the records: there were too many, or nobody took them in time.
    pub trace_dropped: u64,
    /// Times a connection was paused.
    pub pauses: u64,
}

/// Connections that are not read for now, by what each was last seen to wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paused {
    /// Room for its publications: too many are under way between the shards.
    pub credit: usize,
    /// Its own client, which does not take what waits for it.
    pub output: usize,
    /// The homes of the filters it has subscribed to.
    pub subscriptions: usize,
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
    /// The client may not read the topic.
    pub refused: u64,
    /// Of a shared subscription, and no member was left who could take it.
    pub no_member: u64,
}

impl Drops {
    /// Those that a limit made: all but the expired ones.
    pub fn for_limits(&self) -> u64 {
        self.output_full + self.backlog_full + self.too_large + self.no_member
    }
}
