//! Routes: from a topic to the targets of the filters that match it. Knows nothing of homes and of `$share`.
//!
//! A filter without wildcards is found by one look into a hash table, the others by a walk through a trie.

use ahash::RandomState;

use super::Target;
use super::pieces::Pieces;
use super::targets::{Lists, Targets};
use super::text::Text;
use super::trie::Trie;
use crate::mqtt::topic::has_wildcard;

/// A plain filter beside its targets. Longer ones go to the heap.
type FilterText = Text<32>;

struct Route {
    filter: FilterText,
    targets: Targets,
}

/// The routes of one shard.
pub struct Table {
    plain: Pieces<Route>,
    lists: Lists,
    wild: Trie,
    routes: usize,
    /// Bytes of long plain filters.
    heap: usize,
    hasher: RandomState,
}

impl Table {
    /// No routes. `seed` keeps clients from choosing filters that collide; no answer depends on it.
    pub fn new(seed: [u64; 4]) -> Table {
        let hasher = RandomState::with_seeds(seed[0], seed[1], seed[2], seed[3]);
        Table {
            plain: Pieces::new(),
            lists: Lists::default(),
            wild: Trie::new(hasher.clone()),
            routes: 0,
            heap: 0,
            hasher,
        }
    }

    /// Topics that `filter` matches reach `target` from now on; no change if they do. The filter is valid and
    /// without `$share`. A target belongs to one filter.
    pub fn insert(&mut self, filter: &str, target: Target) {
        let new = if has_wildcard(filter) {
            self.wild.insert(filter, target)
        } else {
            self.insert_plain(filter, target)
        };
        self.routes += usize::from(new);
    }

    /// Undoes an insert. False: there was none.
    pub fn remove(&mut self, filter: &str, target: Target) -> bool {
        let removed = if has_wildcard(filter) {
            self.wild.remove(filter, target)
        } else {
            self.remove_plain(filter, target)
        };
        self.routes -= usize::from(removed);
        removed
    }

    /// Appends every target that `topic` reaches, each once, in no useful order: a caller that sorts has each
    /// shard's targets together.
    pub fn matches(&self, topic: &str, out: &mut Vec<Target>) {
        if self.plain.len() > 0
            && let Some(route) =
                self.plain.find(self.hasher.hash_one(topic.as_bytes()), |r| r.filter.is(topic))
        {
            self.lists.append(route.targets, out);
        }
        self.wild.matches(topic, out);
    }

    /// How many pairs of filter and target there are.
    pub fn routes(&self) -> usize {
        self.routes
    }

    /// Bytes on the heap, roughly.
    pub fn bytes(&self) -> usize {
        self.plain.bytes() + self.lists.bytes() + self.heap + self.wild.bytes()
    }

    fn insert_plain(&mut self, filter: &str, target: Target) -> bool {
        let hash = self.hasher.hash_one(filter.as_bytes());
        if let Some(route) = self.plain.find_mut(hash, |r| r.filter.is(filter)) {
            return self.lists.insert(&mut route.targets, target);
        }
        let mut route = Route { filter: FilterText::new(filter), targets: Targets::default() };
        let new = self.lists.insert(&mut route.targets, target);
        let hasher = &self.hasher;
        self.plain.insert(hash, route, |r| hasher.hash_one(r.filter.as_bytes()));
        self.heap += FilterText::heap_bytes(filter);
        new
    }

    fn remove_plain(&mut self, filter: &str, target: Target) -> bool {
        let hash = self.hasher.hash_one(filter.as_bytes());
        let Some(route) = self.plain.find_mut(hash, |r| r.filter.is(filter)) else { return false };
        let removed = self.lists.remove(&mut route.targets, target);
        if route.targets.is_empty() {
            let hasher = &self.hasher;
            self.plain.remove(hash, |r| r.filter.is(filter), |r| hasher.hash_one(r.filter.as_bytes()));
            self.heap -= FilterText::heap_bytes(filter);
        }
        removed
    }

    /// Plain filters; then the trie's nodes beside the root, and edges.
    #[cfg(test)]
    fn sizes(&self) -> (usize, (usize, usize)) {
        (self.plain.len(), self.wild.sizes())
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
pub(super) mod tests;
