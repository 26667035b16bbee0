//! What a shard tells of itself when it is asked.

use crate::net;
use crate::routing::ShardId;
use crate::shard::{Census, Counters, Latency};

/// What the drive of a shard counts, its sockets apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeCounters {
    /// Turns made.
    pub turns: u64,
    /// Times the shard slept.
    pub sleeps: u64,
    /// Sleeps that ended because another thread rang.
    pub wakes: u64,
    /// Batches sent to other shards.
    pub batches: u64,
    /// Doorbells of other shards rung.
    pub rings: u64,
    /// Times a peer's channel was full.
    pub full: u64,
}

/// One shard's report.
#[derive(Clone, Debug)]
pub struct Report {
    /// Which shard.
    pub shard: ShardId,
    /// The core it is pinned to.
    pub core: usize,
    /// What its drive counted.
    pub node: NodeCounters,
    /// What its sockets counted.
    pub net: net::Counters,
    /// What the shard counted.
    pub counters: Counters,
    /// What the shard holds.
    pub census: Census,
    /// How many clients are connected at each listener, by its number, where somebody is.
    pub at_listeners: Vec<(u16, u32)>,
    /// How long publications took inside the broker, from their arrival at any shard to their flush at this one.
    pub latency: Latency,
}
