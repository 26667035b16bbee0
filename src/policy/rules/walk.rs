//! Down the trie: the first rule that matches a topic or covers a filter, and whether an earlier one stands in the
//! way of reading. Allocates nothing. Rules' topics are at most [`super::topic::LEVELS`] deep, and so is the walk.

use super::clients::{ClientRules, Fitting};
use super::places::{NO_RULE, PlaceId};
use super::trie::{EVERY, NONE, NodeId, ROOT, Trie};

/// What is looked up: a client, and the text of a topic name or a filter.
pub(super) struct Walk<'a> {
    trie: &'a Trie,
    own: &'a Fitting,
    /// The client's name, if it may stand in a topic.
    name: Option<&'a str>,
    text: &'a str,
}

impl<'a> Walk<'a> {
    #[inline]
    pub(super) fn new(trie: &'a Trie, client: &'a ClientRules, text: &'a str) -> Walk<'a> {
        Walk { trie, own: client.own(), name: client.usable_name(), text }
    }

    /// The first rule that matches the topic name; [`NO_RULE`]: none does.
    #[inline]
    pub(super) fn first_match(&self) -> u32 {
        let best = self.at(EVERY, NO_RULE);
        if self.trie.nodes[ROOT as usize].lowest >= best {
            return best;
        }
        self.descend::<false>(ROOT, 0, best)
    }

    /// The first rule that covers the filter; [`NO_RULE`]: none does.
    pub(super) fn first_covering(&self) -> u32 {
        let mut best = self.at(EVERY, NO_RULE);
        if self.text == "#" {
            // `+/#` is no less: there is no topic without a level.
            let plus = self.trie.nodes[ROOT as usize].plus;
            if plus != NONE {
                best = self.at(self.trie.nodes[plus as usize].hash, best);
            }
        }
        self.descend::<true>(ROOT, 0, best)
    }

    #[inline]
    fn at(&self, place: PlaceId, best: u32) -> u32 {
        self.trie.places[place as usize].first(place, self.own, best)
    }

    /// The level that begins at a byte of the text, and where the next one does, if there is one.
    #[inline]
    fn level(&self, from: usize) -> (&'a str, Option<usize>) {
        match self.text.as_bytes()[from..].iter().position(|byte| *byte == b'/') {
            Some(length) => (&self.text[from..from + length], Some(from + length + 1)),
            None => (&self.text[from..], None),
        }
    }

    /// The first rule before `best` in a node or below that fits the text from a byte on. Of a filter (`FILTER`) `+`
    /// is covered by `+` alone, and `#` by `#`.
    fn descend<const FILTER: bool>(&self, id: NodeId, from: usize, mut best: u32) -> u32 {
        let node = &self.trie.nodes[id as usize];
        // [MQTT-4.7.2-1]: a wildcard at the front does not match a `$`.
        let wild = from > 0 || !self.text.starts_with('$');
        if wild && node.hash != EVERY {
            best = self.at(node.hash, best);
        }
        let (level, next) = self.level(from);
        if FILTER && level == "#" {
            return best;
        }
        if !(FILTER && level == "+") {
            best = self.step::<FILTER>(self.trie.literal(id, level.as_bytes()), next, best);
            if let Some(name) = self.name {
                if node.client != NONE && level == name {
                    best = self.step::<FILTER>(node.client, next, best);
                }
                if Trie::has_around(node) {
                    let found = |child| best = self.step::<FILTER>(child, next, best);
                    self.trie.each_around(id, level, name, found);
                }
            }
        }
        if wild { self.step::<FILTER>(node.plus, next, best) } else { best }
    }

    /// The same of a child, to which the level before `next` leads.
    #[inline]
    fn step<const FILTER: bool>(&self, child: NodeId, next: Option<usize>, best: u32) -> u32 {
        let node = &self.trie.nodes[child as usize];
        if child == NONE || node.lowest >= best {
            return best;
        }
        match next {
            Some(next) => self.descend::<FILTER>(child, next, best),
            None => {
                let best = if node.here == EVERY { best } else { self.at(node.here, best) };
                // `a/#` matches `a` too.
                if node.hash == EVERY { best } else { self.at(node.hash, best) }
            }
        }
    }

    /// Whether a rule before `end` overlaps the filter and does not grant reading, as `grants_reading` says of each.
    pub(super) fn is_refused_in_part(&self, end: u32, grants_reading: &impl Fn(u32) -> bool) -> bool {
        self.refuses(EVERY, end, grants_reading) || self.overlaps(ROOT, 0, end, grants_reading)
    }

    fn refuses(&self, place: PlaceId, end: u32, grants_reading: &impl Fn(u32) -> bool) -> bool {
        self.trie.places[place as usize].refuses(self.own, end, grants_reading)
    }

    /// Whether what stands at the end of a node's topic, or of that with a further `#`, refuses.
    fn refuses_at(&self, id: NodeId, end: u32, grants_reading: &impl Fn(u32) -> bool) -> bool {
        let node = &self.trie.nodes[id as usize];
        [node.here, node.hash]
            .into_iter()
            .any(|place| place != EVERY && self.refuses(place, end, grants_reading))
    }

    fn overlaps(&self, id: NodeId, from: usize, end: u32, grants_reading: &impl Fn(u32) -> bool) -> bool {
        let node = &self.trie.nodes[id as usize];
        if node.refusing >= end {
            return false;
        }
        let at_front = from == 0;
        // [MQTT-4.7.2-1], from both sides.
        let wild = !at_front || !self.text.starts_with('$');
        if wild && node.hash != EVERY && self.refuses(node.hash, end, grants_reading) {
            return true;
        }
        let (level, next) = self.level(from);
        let step = |child: NodeId| {
            child != NONE
                && match next {
                    Some(next) => self.overlaps(child, next, end, grants_reading),
                    None => self.refuses_at(child, end, grants_reading),
                }
        };
        match level {
            "#" => {
                self.refuses_at(id, end, grants_reading)
                    || self.children(id, at_front).any(|child| self.refuses_below(child, end, grants_reading))
            }
            "+" => self.children(id, at_front).any(step),
            _ => {
                let mut found = wild && step(node.plus) || step(self.trie.literal(id, level.as_bytes()));
                if let (false, Some(name)) = (found, self.name) {
                    found = level == name && step(node.client);
                    self.trie.each_around(id, level, name, |child| found = found || step(child));
                }
                found
            }
        }
    }

    /// Whether anything in a node or below refuses.
    fn refuses_below(&self, id: NodeId, end: u32, grants_reading: &impl Fn(u32) -> bool) -> bool {
        self.trie.nodes[id as usize].refusing < end
            && (self.refuses_at(id, end, grants_reading)
                || self.children(id, false).any(|child| self.refuses_below(child, end, grants_reading)))
    }

    /// The children to which a wildcard leads.
    fn children(&self, id: NodeId, at_front: bool) -> impl Iterator<Item = NodeId> {
        let first = self.trie.nodes[id as usize].first_child;
        let some = |child: NodeId| (child != NONE).then_some(child);
        let all =
            std::iter::successors(some(first), move |child| some(self.trie.nodes[*child as usize].sibling));
        all.filter(move |child| {
            let node = &self.trie.nodes[*child as usize];
            !(at_front && node.is_dollar || node.needs_name && self.name.is_none())
        })
    }
}
