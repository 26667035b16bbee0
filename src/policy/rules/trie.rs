//! All rules' topics as one trie, shared by all clients: a level of a rule's topic is a literal, `+`, or holds the
//! client's name, and then is compared without being written out. Knows rules as numbers, by their [`Place`]s.
//!
//! Literal levels stand in one hash table for the whole trie, by node and level, and so do levels that hold the name
//! once: a node with ten thousand children costs no more to pass than one with a single child.

use ahash::RandomState;
use hashbrown::HashTable;
use smallvec::SmallVec;

use super::places::{Entry, NO_RULE, Place, PlaceId};
use super::topic::{Level, RuleTopic, is_expanded};

pub(super) type NodeId = u32;

pub(super) const ROOT: NodeId = 0;
/// No child: the root is nobody's.
pub(super) const NONE: NodeId = 0;
/// Rules about every topic stand here. They are in no node, so that there it means none.
pub(super) const EVERY: PlaceId = 0;

#[derive(Debug)]
pub(super) struct Node {
    /// The child below `+`.
    pub(super) plus: NodeId,
    /// The child below `{%client%}`.
    pub(super) client: NodeId,
    /// How many children are below literal levels.
    literals: u32,
    /// The first of them, which most nodes have alone: found without a hash.
    first_literal: NodeId,
    first_level: SmallVec<[u8; 16]>,
    /// How many children hold the name once, with text around it.
    around: u32,
    /// The children that hold the name several times.
    several: Vec<(Box<[Box<str>]>, NodeId)>,
    /// Rules of which the topic ends here.
    pub(super) here: PlaceId,
    /// Rules of which the topic ends here with a further `#`.
    pub(super) hash: PlaceId,
    /// The first rule here and below.
    pub(super) lowest: u32,
    /// The first rule here and below that does not grant reading.
    pub(super) refusing: u32,
    /// What leads here holds the name.
    pub(super) needs_name: bool,
    /// What leads here begins with `$`.
    pub(super) is_dollar: bool,
    parent: NodeId,
    /// All children as a list: the first one, and the next one of the same parent.
    pub(super) first_child: NodeId,
    pub(super) sibling: NodeId,
}

/// A level without the name.
#[derive(Debug)]
struct Literal {
    parent: NodeId,
    child: NodeId,
    level: SmallVec<[u8; 16]>,
}

/// A level that holds the name once.
#[derive(Debug)]
struct Around {
    parent: NodeId,
    child: NodeId,
    before: Box<[u8]>,
    behind: Box<[u8]>,
}

/// Topics and the rules that have them.
#[derive(Debug)]
pub(super) struct Trie {
    pub(super) nodes: Vec<Node>,
    pub(super) places: Vec<Place>,
    literals: HashTable<Literal>,
    arounds: HashTable<Around>,
    hasher: RandomState,
}

impl Trie {
    /// Of rules in their order; with the place of each.
    pub(super) fn new<'a>(rules: impl Iterator<Item = (&'a RuleTopic, Entry)>) -> (Trie, Vec<PlaceId>) {
        let mut trie = Trie {
            nodes: vec![Node::new(NONE)],
            places: vec![Place::new()],
            literals: HashTable::new(),
            arounds: HashTable::new(),
            // The operator alone chooses what stands in the tables: the seed need not be a secret.
            hasher: RandomState::with_seeds(5, 6, 7, 8),
        };
        let places = rules.map(|(topic, entry)| trie.insert(topic, entry)).collect();
        for place in &mut trie.places {
            place.finish();
        }
        trie.sum_up();
        (trie, places)
    }

    fn insert(&mut self, topic: &RuleTopic, entry: Entry) -> PlaceId {
        let (node, place) = match topic {
            RuleTopic::Every => (ROOT, EVERY),
            RuleTopic::Levels(levels) => self.place(levels),
        };
        self.places[place as usize].add(entry);
        if place != EVERY {
            let node = &mut self.nodes[node as usize];
            node.lowest = node.lowest.min(entry.rule);
            if !entry.grants_reading {
                node.refusing = node.refusing.min(entry.rule);
            }
        }
        place
    }

    fn place(&mut self, levels: &[Level]) -> (NodeId, PlaceId) {
        let (levels, with_hash) = match levels {
            [levels @ .., Level::Hash] => (levels, true),
            _ => (levels, false),
        };
        let node = levels.iter().fold(ROOT, |node, level| self.child_or_new(node, level));
        let next = self.places.len() as PlaceId;
        let ends = &mut self.nodes[node as usize];
        let place = if with_hash { &mut ends.hash } else { &mut ends.here };
        if *place == EVERY {
            *place = next;
            self.places.push(Place::new());
        }
        (node, *place)
    }

    fn child_or_new(&mut self, parent: NodeId, level: &Level) -> NodeId {
        let child = match level {
            Level::Hash => unreachable!("it is the last level, and no child"),
            Level::Plus => self.nodes[parent as usize].plus,
            Level::Literal(text) => self.literal(parent, text.as_bytes()),
            Level::Client(pieces) => self.child_by_pieces(parent, pieces),
        };
        if child == NONE { self.new_child(parent, level) } else { child }
    }

    fn child_by_pieces(&self, parent: NodeId, pieces: &[Box<str>]) -> NodeId {
        let node = &self.nodes[parent as usize];
        match pieces {
            [before, behind] if before.is_empty() && behind.is_empty() => node.client,
            [before, behind] => self.between(parent, before.as_bytes(), behind.as_bytes()),
            _ => {
                node.several.iter().find(|(theirs, _)| **theirs == *pieces).map_or(NONE, |(_, child)| *child)
            }
        }
    }

    fn new_child(&mut self, parent: NodeId, level: &Level) -> NodeId {
        let child = self.nodes.len() as NodeId;
        let hasher = &self.hasher;
        let node = &mut self.nodes[parent as usize];
        let mut new = Node::new(parent);
        new.sibling = std::mem::replace(&mut node.first_child, child);
        new.is_dollar = level.is_dollar();
        match level {
            Level::Plus | Level::Hash => node.plus = child,
            Level::Literal(text) => {
                node.literals += 1;
                if node.literals == 1 {
                    node.first_literal = child;
                    node.first_level = SmallVec::from_slice(text.as_bytes());
                }
                let literal = Literal { parent, child, level: SmallVec::from_slice(text.as_bytes()) };
                let hash = |literal: &Literal| literal_hash(hasher, literal.parent, &literal.level);
                self.literals.insert_unique(hash(&literal), literal, hash);
            }
            Level::Client(pieces) => {
                new.needs_name = true;
                match &**pieces {
                    [before, behind] if before.is_empty() && behind.is_empty() => node.client = child,
                    [before, behind] => {
                        node.around += 1;
                        let (before, behind) = (before.as_bytes().into(), behind.as_bytes().into());
                        let around = Around { parent, child, before, behind };
                        let hash = |a: &Around| around_hash(hasher, a.parent, &a.before, &a.behind);
                        self.arounds.insert_unique(hash(&around), around, hash);
                    }
                    _ => node.several.push((pieces.clone(), child)),
                }
            }
        }
        self.nodes.push(new);
        child
    }

    /// Gives every node the first rules of those below it: children come after their parents.
    fn sum_up(&mut self) {
        for child in (1..self.nodes.len()).rev() {
            let Node { lowest, refusing, parent, .. } = self.nodes[child];
            let parent = &mut self.nodes[parent as usize];
            parent.lowest = parent.lowest.min(lowest);
            parent.refusing = parent.refusing.min(refusing);
        }
    }

    /// The child of a node below a literal level.
    #[inline]
    pub(super) fn literal(&self, parent: NodeId, level: &[u8]) -> NodeId {
        let node = &self.nodes[parent as usize];
        if node.literals == 0 {
            return NONE;
        }
        if *node.first_level == *level {
            return node.first_literal;
        }
        if node.literals == 1 {
            return NONE;
        }
        let hash = literal_hash(&self.hasher, parent, level);
        self.literals.find(hash, |e| e.parent == parent && *e.level == *level).map_or(NONE, |e| e.child)
    }

    fn between(&self, parent: NodeId, before: &[u8], behind: &[u8]) -> NodeId {
        let hash = around_hash(&self.hasher, parent, before, behind);
        let is = |e: &Around| e.parent == parent && *e.before == *before && *e.behind == *behind;
        self.arounds.find(hash, is).map_or(NONE, |e| e.child)
    }

    /// Calls with each child of a node below a level that holds the name beside other text.
    pub(super) fn each_around(&self, parent: NodeId, level: &str, name: &str, mut found: impl FnMut(NodeId)) {
        let node = &self.nodes[parent as usize];
        let (text, name_bytes) = (level.as_bytes(), name.as_bytes());
        if node.around > 0 && text.len() > name.len() {
            for start in 0..=text.len() - name.len() {
                let end = start + name.len();
                // The first byte decides mostly, and costs no call.
                if text[start] == name_bytes[0] && text[start..end] == *name_bytes {
                    let child = self.between(parent, &text[..start], &text[end..]);
                    if child != NONE {
                        found(child);
                    }
                }
            }
        }
        for (pieces, child) in &node.several {
            if is_expanded(pieces, name, level) {
                found(*child);
            }
        }
    }

    /// Whether a node has children that [`Trie::each_around`] may find.
    #[inline]
    pub(super) fn has_around(node: &Node) -> bool {
        node.around > 0 || !node.several.is_empty()
    }
}

impl Node {
    fn new(parent: NodeId) -> Node {
        Node {
            plus: NONE,
            client: NONE,
            literals: 0,
            first_literal: NONE,
            first_level: SmallVec::new(),
            around: 0,
            several: Vec::new(),
            here: EVERY,
            hash: EVERY,
            lowest: NO_RULE,
            refusing: NO_RULE,
            needs_name: false,
            is_dollar: false,
            parent,
            first_child: NONE,
            sibling: NONE,
        }
    }
}

fn literal_hash(hasher: &RandomState, parent: NodeId, level: &[u8]) -> u64 {
    hasher.hash_one((parent, level))
}

fn around_hash(hasher: &RandomState, parent: NodeId, before: &[u8], behind: &[u8]) -> u64 {
    hasher.hash_one((parent, before, behind))
}
