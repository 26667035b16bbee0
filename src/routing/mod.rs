//! Topics' side: which slots on which shards a topic reaches, and what is retained.
//!
//! Pure. Knows nothing of sessions: a route ends at a slot, and what a slot means is its shard's affair. Hash
//! tables are only ever looked up, never iterated, so no seed shows in what comes out.

pub mod groups;
pub mod home;
mod nodes;
mod pieces;
pub mod retained;
pub mod table;
mod targets;
mod text;
mod trie;

pub use groups::{Accept, Groups, Share};
pub use home::{BUCKETS, Homes};
pub use retained::{Cursor, Overtaken, Progress, Retained};
pub use table::Table;

pub use crate::ids::{ShardId, Slot};

/// Where a route ends. Ordered by shard first, so that sorting puts each shard's slots together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The shard whose clients subscribe.
    pub shard: ShardId,
    /// The filter's number there.
    pub slot: Slot,
}
