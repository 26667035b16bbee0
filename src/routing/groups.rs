//! Shared subscriptions at a topic's home: which shard each publication of a group goes to.
//!
//! A group is a share name and a filter. Its members are spread over the shards; the home knows how many each shard
//! has and takes turns by their weight. Which member it is, the shard decides. Knows nothing of sessions.

use std::collections::HashMap;
use std::ops::Range;

use ahash::RandomState;
use hashbrown::HashTable;
use smallvec::SmallVec;

use super::{ShardId, Slot, Table, Target};
use crate::ids::ShardSet;
use crate::mqtt::topic::parse_shared;

/// Which members may take a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// Those who are connected.
    Online,
    /// Nobody is connected anywhere: any session that keeps it.
    Any,
}

/// Some publications of a run, for the members on one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The shard and its slot.
    pub target: Target,
    /// Places in the run.
    pub items: Range<u32>,
    /// Which members may take them.
    pub accept: Accept,
}

/// The members of a group on one shard.
#[derive(Clone, Copy, Debug)]
struct Members {
    target: Target,
    /// Those who are connected.
    online: u32,
    /// All, sessions without a connection included.
    all: u32,
}

#[derive(Debug, Default)]
struct Group {
    /// The whole filter, `$share/name/filter`.
    key: Box<str>,
    shards: SmallVec<[Members; 2]>,
    /// Sum over `shards`.
    online: u32,
    /// Whose turn it is, counted over all who are online.
    next: u32,
}

/// The groups whose filters have this shard as a home.
pub struct Groups {
    /// From inner filters to groups: the slot is the group's number.
    table: Table,
    by_key: HashTable<u32>,
    by_target: HashMap<Target, u32, RandomState>,
    entries: Vec<Group>,
    free: Vec<u32>,
    /// Scratch of `assign`.
    matched: Vec<Target>,
    hasher: RandomState,
}

impl Groups {
    /// No groups.
    pub fn new(seed: [u64; 4]) -> Groups {
        let hasher = RandomState::with_seeds(seed[1], seed[2], seed[3], seed[0]);
        Groups {
            table: Table::new(seed),
            by_key: HashTable::new(),
            by_target: HashMap::with_hasher(hasher.clone()),
            entries: Vec::new(),
            free: Vec::new(),
            matched: Vec::new(),
            hasher,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_target.is_empty()
    }

    /// Pairs of group and shard.
    pub fn len(&self) -> usize {
        self.by_target.len()
    }

    /// A shard has a slot for this group from now on, with nobody in it yet. `key` is a valid shared filter.
    pub fn insert(&mut self, key: &str, target: Target) {
        let group = self.find(key).unwrap_or_else(|| self.create(key));
        self.entries[group as usize].shards.push(Members { target, online: 0, all: 0 });
        self.by_target.insert(target, group);
    }

    /// Undoes an insert.
    pub fn remove(&mut self, target: Target) {
        let Some(group) = self.by_target.remove(&target) else { return };
        let entry = &mut self.entries[group as usize];
        entry.shards.retain(|m| m.target != target);
        entry.online = entry.shards.iter().map(|m| m.online).sum();
        if entry.shards.is_empty() {
            self.forget(group);
        }
    }

    /// How many members there are behind a target now.
    pub fn count(&mut self, target: Target, online: u32, all: u32) {
        let Some(&group) = self.by_target.get(&target) else { return };
        let entry = &mut self.entries[group as usize];
        if let Some(members) = entry.shards.iter_mut().find(|m| m.target == target) {
            entry.online = entry.online - members.online + online;
            (members.online, members.all) = (online, all);
        }
    }

    /// Shares out `items` publications of `topic` among the shards of every group that it reaches. `kept`: whether
    /// sessions without a connection keep them. False: it reaches no group.
    pub fn assign(&mut self, topic: &str, items: u32, kept: bool, out: &mut Vec<Share>) -> bool {
        let mut matched = std::mem::take(&mut self.matched);
        self.table.matches(topic, &mut matched);
        matched.sort_unstable();
        let any = !matched.is_empty();
        for group in matched.drain(..) {
            let group = &mut self.entries[group.slot.0 as usize];
            if group.online > 0 {
                group.take_turns(items, out);
            } else if kept && let Some(target) = group.other(Accept::Any, &ShardSet::default()) {
                out.push(Share { target, items: 0..items, accept: Accept::Any });
            }
        }
        self.matched = matched;
        any
    }

    /// Another shard for what could not be delivered at those in `excluded`.
    pub fn other(&mut self, key: &str, accept: Accept, excluded: &ShardSet) -> Option<Target> {
        let group = self.find(key)?;
        self.entries[group as usize].other(accept, excluded)
    }

    fn find(&self, key: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        self.by_key.find(hash, |&g| *self.entries[g as usize].key == *key).copied()
    }

    fn create(&mut self, key: &str) -> u32 {
        let group = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Group::default());
            self.entries.len() as u32 - 1
        });
        self.entries[group as usize] = Group { key: key.into(), ..Group::default() };
        let Groups { by_key, entries, hasher, .. } = self;
        by_key.insert_unique(hasher.hash_one(key), group, |&g| hasher.hash_one(&*entries[g as usize].key));
        self.table.insert(inner(key), route(group));
        group
    }

    fn forget(&mut self, group: u32) {
        let key = std::mem::take(&mut self.entries[group as usize].key);
        self.table.remove(inner(&key), route(group));
        if let Ok(found) = self.by_key.find_entry(self.hasher.hash_one(&*key), |&g| g == group) {
            found.remove();
        }
        self.free.push(group);
    }
}

fn inner(key: &str) -> &str {
    match parse_shared(key) {
        Some(Ok(shared)) => shared.filter,
        _ => unreachable!("only valid shared filters become groups"),
    }
}

fn route(group: u32) -> Target {
    Target { shard: ShardId(0), slot: Slot(group) }
}

impl Group {
    /// Everybody who is online gets as many as everybody else, over time exactly; each shard's lie together.
    fn take_turns(&mut self, items: u32, out: &mut Vec<Share>) {
        let total = self.online;
        let first = self.next % total;
        let (whole, rest) = (items / total, items % total);
        let overlap = |from: u32, to: u32| (first + rest).min(to).saturating_sub(first.max(from));
        let (mut place, mut at) = (0, 0);
        for members in &self.shards {
            let (from, to) = (place, place + members.online);
            place = to;
            // The turns of the rest may go past the end and begin anew.
            let count = whole * members.online + overlap(from, to) + overlap(from + total, to + total);
            if count > 0 {
                out.push(Share { target: members.target, items: at..at + count, accept: Accept::Online });
            }
            at += count;
        }
        self.next = (first + rest) % total;
    }

    fn other(&mut self, accept: Accept, excluded: &ShardSet) -> Option<Target> {
        let count = self.shards.len();
        let start = self.next as usize;
        let members = (0..count).map(|i| &self.shards[(start + i) % count]).find(|m| {
            let there = if accept == Accept::Online { m.online } else { m.all };
            there > 0 && !excluded.contains(m.target.shard)
        })?;
        self.next = self.next.wrapping_add(1);
        Some(members.target)
    }
}

#[cfg(test)]
#[path = "groups_tests.rs"]
mod tests;
