//! Names of places that more than one layer needs. Newtypes, so that no number is taken for another.

/// A shard's number, 0 to shards - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

impl ShardId {
    /// Its place in a table of shards.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}
