//! Filters with wildcards, as a trie of levels. Knows nothing of plain filters and of `$share`.
//!
//! Edges with a literal level stand in one hash table for the whole trie, by node and level: a node with a million
//! children costs no more to pass than one with a single child. In a large trie a match is as dear as its cache
//! misses: two for the edge (its text is beside it) and one for the node.

use ahash::RandomState;
use smallvec::SmallVec;

use super::Target;
use super::nodes::{NONE, NodeId, Nodes, ROOT};
use super::pieces::Pieces;
use super::targets::{Lists, Targets};
use super::text::Text;

/// Nodes that a match passes, and levels that a removal walks, before their list goes to the heap.
const PASSED: usize = 128;

/// A level beside its edge. Longer ones go to the heap.
type LevelText = Text<16>;

struct Edge {
    parent: NodeId,
    child: NodeId,
    level: LevelText,
}

/// Wildcard filters and their targets.
pub(super) struct Trie {
    nodes: Nodes,
    lists: Lists,
    edges: Pieces<Edge>,
    /// Bytes of long levels.
    heap: usize,
    hasher: RandomState,
}

/// Where in a node a filter's targets stand.
#[derive(Clone, Copy)]
enum End {
    Here,
    Hash,
}

/// A filter's levels up to a final `#`, and how it ends.
fn parts(filter: &str) -> (impl Iterator<Item = &str>, End) {
    let (levels, end) = match filter.strip_suffix('#') {
        None => (Some(filter), End::Here),
        Some("") => (None, End::Hash),
        Some(levels) => (Some(&levels[..levels.len() - 1]), End::Hash),
    };
    (levels.into_iter().flat_map(|levels| levels.split('/')), end)
}

impl Trie {
    pub(super) fn new(hasher: RandomState) -> Trie {
        Trie { nodes: Nodes::new(), lists: Lists::default(), edges: Pieces::new(), heap: 0, hasher }
    }

    /// False: it was there already.
    pub(super) fn insert(&mut self, filter: &str, target: Target) -> bool {
        let (levels, end) = parts(filter);
        let mut node = ROOT;
        for level in levels {
            node = self.child_or_new(node, level);
        }
        self.lists.insert(targets_mut(&mut self.nodes, node, end), target)
    }

    /// False: it was not there. What no filter needs any more is gone afterwards.
    pub(super) fn remove(&mut self, filter: &str, target: Target) -> bool {
        let (levels, end) = parts(filter);
        let mut path: SmallVec<[(NodeId, &str); PASSED]> = SmallVec::new();
        let mut node = ROOT;
        for level in levels {
            path.push((node, level));
            node = self.child(node, level);
            if node == NONE {
                return false;
            }
        }
        let removed = self.lists.remove(targets_mut(&mut self.nodes, node, end), target);
        while self.nodes.at(node).is_empty()
            && let Some((parent, level)) = path.pop()
        {
            self.unlink(parent, level);
            self.nodes.remove(node);
            node = parent;
        }
        removed
    }

    /// Appends the targets of every filter that matches `topic`. Breadth first, so that each of the topic's levels
    /// is hashed at most once; allocates only if more than [`PASSED`] nodes lie on the way.
    pub(super) fn matches(&self, topic: &str, out: &mut Vec<Target>) {
        let mut passed: SmallVec<[NodeId; PASSED]> = SmallVec::new();
        passed.push(ROOT);
        let mut first = 0;
        // [MQTT-4.7.2-1]: a wildcard at the front does not match a `$`.
        let mut wild = !topic.starts_with('$');
        for level in topic.split('/') {
            let last = passed.len();
            if first == last {
                return;
            }
            let mut level_hash = None;
            for at in first..last {
                let id = passed[at];
                let node = self.nodes.at(id);
                if wild {
                    self.lists.append(node.hash, out);
                    if node.plus != NONE {
                        passed.push(node.plus);
                    }
                }
                if node.literals > 0 {
                    let level_hash = *level_hash.get_or_insert_with(|| self.level_hash(level));
                    let child = self.literal(id, level, level_hash);
                    if child != NONE {
                        passed.push(child);
                    }
                }
            }
            first = last;
            wild = true;
        }
        for &id in &passed[first..] {
            let node = self.nodes.at(id);
            self.lists.append(node.here, out);
            self.lists.append(node.hash, out);
        }
    }

    /// Bytes on the heap, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.nodes.bytes() + self.lists.bytes() + self.edges.bytes() + self.heap
    }

    fn child(&self, node: NodeId, level: &str) -> NodeId {
        if level == "+" {
            self.nodes.at(node).plus
        } else {
            self.literal(node, level, self.level_hash(level))
        }
    }

    fn child_or_new(&mut self, parent: NodeId, level: &str) -> NodeId {
        let child = self.child(parent, level);
        if child != NONE {
            return child;
        }
        let child = self.nodes.add();
        if level == "+" {
            self.nodes.at_mut(parent).plus = child;
        } else {
            let hasher = &self.hasher;
            let edge = Edge { parent, child, level: LevelText::new(level) };
            self.edges.insert(rehash(hasher, &edge), edge, |e| rehash(hasher, e));
            self.nodes.at_mut(parent).literals += 1;
            self.heap += LevelText::heap_bytes(level);
        }
        child
    }

    /// Cuts the edge from `parent` by `level`, which is there.
    fn unlink(&mut self, parent: NodeId, level: &str) {
        if level == "+" {
            self.nodes.at_mut(parent).plus = NONE;
            return;
        }
        let hasher = &self.hasher;
        let edge = self.edges.remove(
            edge_hash(hasher, parent, self.level_hash(level)),
            |e| e.parent == parent && e.level.is(level),
            |e| rehash(hasher, e),
        );
        assert!(edge.is_some(), "the path was walked along this edge");
        self.nodes.at_mut(parent).literals -= 1;
        self.heap -= LevelText::heap_bytes(level);
    }

    fn literal(&self, parent: NodeId, level: &str, level_hash: u64) -> NodeId {
        let hash = edge_hash(&self.hasher, parent, level_hash);
        self.edges.find(hash, |e| e.parent == parent && e.level.is(level)).map_or(NONE, |e| e.child)
    }

    fn level_hash(&self, level: &str) -> u64 {
        self.hasher.hash_one(level.as_bytes())
    }

    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        self.heap + self.lists.bytes()
    }

    /// How many nodes beside the root, and edges, there are.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.nodes.len(), self.edges.len())
    }
}

fn targets_mut(nodes: &mut Nodes, node: NodeId, end: End) -> &mut Targets {
    let node = nodes.at_mut(node);
    match end {
        End::Here => &mut node.here,
        End::Hash => &mut node.hash,
    }
}

fn edge_hash(hasher: &RandomState, parent: NodeId, level_hash: u64) -> u64 {
    hasher.hash_one(level_hash ^ u64::from(parent))
}

fn rehash(hasher: &RandomState, edge: &Edge) -> u64 {
    edge_hash(hasher, edge.parent, hasher.hash_one(edge.level.as_bytes()))
}
