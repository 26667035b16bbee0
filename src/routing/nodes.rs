//! The trie's nodes, numbered. Knows nothing of filters.
//!
//! They stand in blocks, so that growing never copies them all in one turn.

use super::targets::Targets;

pub(super) type NodeId = u32;

pub(super) const ROOT: NodeId = 0;
/// No child: the root is nobody's.
pub(super) const NONE: NodeId = 0;

const BLOCK: usize = 4_096;

#[derive(Clone, Default)]
pub(super) struct Node {
    /// The child below `+`.
    pub(super) plus: NodeId,
    /// How many children stand in the table of edges.
    pub(super) literals: u32,
    /// Targets of the filter that ends here.
    pub(super) here: Targets,
    /// Targets of the filter that ends here with a further `#`.
    pub(super) hash: Targets,
}

impl Node {
    pub(super) fn is_empty(&self) -> bool {
        self.plus == NONE && self.literals == 0 && self.here.is_empty() && self.hash.is_empty()
    }
}

/// Nodes by number; the root is always there.
pub(super) struct Nodes {
    blocks: Vec<Box<[Node]>>,
    /// Numbers given out up to now, the root's included.
    used: usize,
    free: Vec<NodeId>,
}

impl Nodes {
    pub(super) fn new() -> Nodes {
        Nodes { blocks: vec![Self::block()], used: 1, free: Vec::new() }
    }

    fn block() -> Box<[Node]> {
        vec![Node::default(); BLOCK].into_boxed_slice()
    }

    pub(super) fn at(&self, id: NodeId) -> &Node {
        &self.blocks[id as usize / BLOCK][id as usize % BLOCK]
    }

    pub(super) fn at_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.blocks[id as usize / BLOCK][id as usize % BLOCK]
    }

    /// An empty node.
    pub(super) fn add(&mut self) -> NodeId {
        if let Some(id) = self.free.pop() {
            return id;
        }
        let id = NodeId::try_from(self.used).expect("fewer than 2^32 nodes fit in memory");
        if self.used == self.blocks.len() * BLOCK {
            self.blocks.push(Self::block());
        }
        self.used += 1;
        id
    }

    /// Takes an empty node back; gives memory back with the last one.
    pub(super) fn remove(&mut self, id: NodeId) {
        debug_assert!(self.at(id).is_empty(), "a node in use");
        self.free.push(id);
        if self.len() == 0 {
            self.blocks.truncate(1);
            self.blocks.shrink_to_fit();
            self.used = 1;
            self.free = Vec::new();
        }
    }

    /// How many there are beside the root.
    pub(super) fn len(&self) -> usize {
        self.used - 1 - self.free.len()
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.blocks.len() * BLOCK * size_of::<Node>()
            + self.blocks.capacity() * size_of::<Box<[Node]>>()
            + self.free.capacity() * size_of::<NodeId>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        let mut nodes = Nodes::new();
        let empty = nodes.bytes();
        let ids: Vec<NodeId> = (0..10_000).map(|_| nodes.add()).collect();
        assert_eq!((nodes.len(), ids[0], ids[9_999]), (10_000, 1, 10_000));
        nodes.remove(77);
        assert_eq!(nodes.add(), 77);
        nodes.at_mut(ROOT).literals = 5;
        for id in ids {
            nodes.remove(id);
        }
        assert_eq!((nodes.len(), nodes.bytes()), (0, empty));
        assert_eq!(nodes.at(ROOT).literals, 5, "the root stays");
    }
}
