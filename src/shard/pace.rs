//! How much a shard does at once, and how much its clients may have under way. The shipped numbers are the
//! defaults; a simulation takes small ones, so that a few clients meet every slice and every pause.

/// Budgets of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Subscribers looked at in one turn, so that one fan-out does not hold up a ping; each piece of work counts as
    /// one more. At least 2.
    pub appends_per_turn: usize,
    /// Publications of one origin that may be under way, so that no shard can fill another.
    pub credit_messages: u64,
    /// Their bytes.
    pub credit_bytes: u64,
    /// Retained messages in one batch of a replay.
    pub replay_batch: usize,
    /// Entries looked at for one part of an answer to whoever runs the broker, so that a million sessions hold up
    /// nothing.
    pub looked_at: usize,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            appends_per_turn: 4_096,
            credit_messages: 4_096,
            credit_bytes: 16 << 20,
            replay_batch: 64,
            looked_at: 4_096,
        }
    }
}
