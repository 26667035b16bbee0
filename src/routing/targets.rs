//! The targets of one filter: a short list without duplicates. Knows nothing of filters.
//!
//! Of a million filters nearly all have one target. It stands in eight bytes in place; longer lists stand aside.

use smallvec::SmallVec;

use super::{ShardId, Slot, Target};

/// One filter's targets. What is [`Targets::Many`] is only known to the [`Lists`] that made it so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Targets {
    #[default]
    None,
    /// A [`Target`], spelled out so that the tag fits into its padding.
    One { shard: ShardId, slot: Slot },
    /// The number of a list of two or more.
    Many(u32),
}

const _: () = assert!(size_of::<Targets>() == 8);

/// As long as there are shards with subscribers, and one longer while a slot is given up for a new one.
type List = SmallVec<[Target; 4]>;

/// The lists that do not fit in place.
#[derive(Default)]
pub(super) struct Lists {
    lists: Vec<List>,
    free: Vec<u32>,
    /// Bytes of lists longer than their place here.
    heap: usize,
}

impl Targets {
    pub(super) fn is_empty(self) -> bool {
        self == Targets::None
    }

    fn one(Target { shard, slot }: Target) -> Targets {
        Targets::One { shard, slot }
    }
}

impl Lists {
    pub(super) fn append(&self, targets: Targets, out: &mut Vec<Target>) {
        match targets {
            Targets::None => {}
            Targets::One { shard, slot } => out.push(Target { shard, slot }),
            Targets::Many(at) => out.extend_from_slice(&self.lists[at as usize]),
        }
    }

    /// False: it was there already.
    pub(super) fn insert(&mut self, targets: &mut Targets, target: Target) -> bool {
        match *targets {
            Targets::None => *targets = Targets::one(target),
            Targets::One { shard, slot } => {
                let first = Target { shard, slot };
                if first == target {
                    return false;
                }
                *targets = Targets::Many(self.keep(SmallVec::from_slice(&[first, target])));
            }
            Targets::Many(at) => {
                let list = &mut self.lists[at as usize];
                if list.contains(&target) {
                    return false;
                }
                self.heap -= spilled(list);
                list.push(target);
                self.heap += spilled(list);
            }
        }
        true
    }

    /// False: it was not there.
    pub(super) fn remove(&mut self, targets: &mut Targets, target: Target) -> bool {
        match *targets {
            Targets::None => return false,
            one @ Targets::One { .. } => {
                if one != Targets::one(target) {
                    return false;
                }
                *targets = Targets::None;
            }
            Targets::Many(at) => {
                let list = &mut self.lists[at as usize];
                let Some(found) = list.iter().position(|t| *t == target) else { return false };
                self.heap -= spilled(list);
                list.swap_remove(found);
                list.shrink_to_fit();
                self.heap += spilled(list);
                if let [last] = list[..] {
                    *targets = Targets::one(last);
                    self.drop_list(at);
                }
            }
        }
        true
    }

    /// Bytes on the heap, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.lists.capacity() * size_of::<List>() + self.free.capacity() * size_of::<u32>() + self.heap
    }

    fn keep(&mut self, list: List) -> u32 {
        if let Some(at) = self.free.pop() {
            self.lists[at as usize] = list;
            return at;
        }
        self.lists.push(list);
        u32::try_from(self.lists.len() - 1).expect("fewer than 2^32 lists fit in memory")
    }

    fn drop_list(&mut self, at: u32) {
        self.free.push(at);
        if self.free.len() == self.lists.len() {
            *self = Lists::default();
        }
    }
}

fn spilled(list: &List) -> usize {
    if list.spilled() { heap_bytes(list.capacity() * size_of::<Target>()) } else { 0 }
}

/// What an allocation of `len` bytes takes from the heap, roughly: a word of the allocator's own, in steps of 16.
pub(super) fn heap_bytes(len: usize) -> usize {
    if len == 0 { 0 } else { (len + 8).next_multiple_of(16).max(32) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(n: u16) -> Target {
        Target { shard: ShardId(n), slot: Slot(u32::from(n) * 10) }
    }

    fn all(lists: &Lists, targets: Targets) -> Vec<Target> {
        let mut out = Vec::new();
        lists.append(targets, &mut out);
        out.sort_unstable();
        out
    }

    #[test]
    fn a_list_without_duplicates() {
        let mut lists = Lists::default();
        let (mut targets, mut other) = (Targets::default(), Targets::default());
        for n in 0..9 {
            assert!(lists.insert(&mut targets, target(n)));
            assert!(!lists.insert(&mut targets, target(n)));
            assert!(lists.insert(&mut other, target(n + 100)));
            assert_eq!(all(&lists, targets), (0..=n).map(target).collect::<Vec<_>>());
        }
        assert!(lists.heap > 0);
        assert!(!lists.remove(&mut targets, target(99)));
        for n in 0..9 {
            assert!(lists.remove(&mut targets, target(n)));
            assert!(!lists.remove(&mut targets, target(n)));
            assert_eq!(all(&lists, targets), (n + 1..9).map(target).collect::<Vec<_>>());
            assert_eq!(all(&lists, other).len(), 9 - usize::from(n));
            assert!(lists.remove(&mut other, target(n + 100)));
        }
        assert!(targets.is_empty() && other.is_empty());
        assert_eq!(lists.bytes(), 0);
    }
}
