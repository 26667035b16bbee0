//! Names of places that more than one layer needs. Newtypes, so that no number is taken for another.

use std::ops::Range;

use smallvec::SmallVec;

/// A shard's number, 0 to shards - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

impl ShardId {
    /// Its place in a table of shards.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A filter's number on the shard whose clients subscribe with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

/// Some of the shards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardSet(SmallVec<[u64; 1]>);

impl ShardSet {
    /// These.
    pub fn of(range: Range<u16>) -> ShardSet {
        let mut set = ShardSet::default();
        range.for_each(|shard| set.insert(ShardId(shard)));
        set
    }

    /// Whether it is one of them.
    pub fn contains(&self, shard: ShardId) -> bool {
        self.0.get(shard.index() / 64).is_some_and(|bits| bits & (1 << (shard.0 % 64)) != 0)
    }

    /// Adds one.
    pub fn insert(&mut self, shard: ShardId) {
        let at = shard.index() / 64;
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        self.0[at] |= 1 << (shard.0 % 64);
    }

    /// Takes one out.
    pub fn remove(&mut self, shard: ShardId) {
        if let Some(bits) = self.0.get_mut(shard.index() / 64) {
            *bits &= !(1 << (shard.0 % 64));
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|bits| *bits == 0)
    }
}
