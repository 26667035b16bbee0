//! The cursors of the replays that this shard serves, by whom they serve and by when they were opened.

use std::collections::BTreeMap;

use crate::routing::{Cursor, ShardId};

/// Whose replay: its shard, and its number there.
pub(super) type Key = (ShardId, u32);

#[derive(Debug, Default)]
pub(super) struct Cursors {
    by_key: BTreeMap<Key, Cursor>,
    by_number: BTreeMap<u64, Key>,
}

impl Cursors {
    pub(super) fn insert(&mut self, key: Key, cursor: Cursor) {
        self.by_number.insert(cursor.number, key);
        self.by_key.insert(key, cursor);
    }

    pub(super) fn remove(&mut self, key: &Key) {
        if let Some(cursor) = self.by_key.remove(key) {
            self.by_number.remove(&cursor.number);
        }
    }

    pub(super) fn cursor(&mut self, key: &Key) -> Option<&mut Cursor> {
        self.by_key.get_mut(key)
    }

    /// Those that were opened after number `after`, in that order.
    pub(super) fn opened_after(&self, after: u64) -> impl Iterator<Item = (Key, &Cursor)> {
        self.by_number.range(after + 1..).filter_map(|(_, key)| Some((*key, self.by_key.get(key)?)))
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}
