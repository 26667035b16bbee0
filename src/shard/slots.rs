//! Slots: the filters that clients of this shard subscribe with, and who they are.

use std::num::NonZeroU32;

use ahash::RandomState;
use hashbrown::HashTable;

use crate::mqtt::QoS;
use crate::mqtt::subscribe::SubscriptionOptions;
use crate::routing::Slot;

/// What a delivery must know of a subscription, in one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flags(u8);

impl Flags {
    const QOS: u8 = 3;
    const NO_LOCAL: u8 = 4;
    const RETAIN_AS_PUBLISHED: u8 = 8;
    const HAS_ID: u8 = 16;
    const JOINING: u8 = 32;
    const SHARED: u8 = 64;
    const JUDGED: u8 = 128;
    /// Anything that needs a look at the subscription before a delivery.
    const SPECIAL: u8 = Flags::NO_LOCAL | Flags::HAS_ID | Flags::JOINING | Flags::JUDGED;

    pub(super) fn new(options: SubscriptionOptions, id: Option<NonZeroU32>, shared: bool) -> Flags {
        let mut bits = options.qos as u8;
        for (set, bit) in [
            (options.no_local, Flags::NO_LOCAL),
            (options.retain_as_published, Flags::RETAIN_AS_PUBLISHED),
            (id.is_some(), Flags::HAS_ID),
            (shared, Flags::SHARED),
        ] {
            bits |= if set { bit } else { 0 };
        }
        Flags(bits)
    }

    pub(super) fn qos(self) -> QoS {
        match self.0 & Flags::QOS {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            _ => QoS::ExactlyOnce,
        }
    }

    pub(super) fn no_local(self) -> bool {
        self.0 & Flags::NO_LOCAL != 0
    }

    pub(super) fn retain_as_published(self) -> bool {
        self.0 & Flags::RETAIN_AS_PUBLISHED != 0
    }

    pub(super) fn joining(self) -> bool {
        self.0 & Flags::JOINING != 0
    }

    pub(super) fn special(self) -> bool {
        self.0 & Flags::SPECIAL != 0
    }

    /// Whether it is a shared subscription.
    pub(super) fn shared(self) -> bool {
        self.0 & Flags::SHARED != 0
    }

    /// Whether a rule overlaps it: its messages are judged one by one.
    pub(super) fn judged(self) -> bool {
        self.0 & Flags::JUDGED != 0
    }

    pub(super) fn set_judged(&mut self, judged: bool) {
        self.0 = if judged { self.0 | Flags::JUDGED } else { self.0 & !Flags::JUDGED };
    }

    /// Not every home routes to it yet.
    pub(super) fn set_joining(&mut self) {
        self.0 |= Flags::JOINING;
    }

    pub(super) fn clear_joining(&mut self) {
        self.0 &= !Flags::JOINING;
    }
}

/// One subscriber of a slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subscriber {
    /// Index of the client; [`Subscriber::GONE`] for a tombstone.
    pub(super) client: u32,
    pub(super) flags: Flags,
}

impl Subscriber {
    /// Left while a fan-out was under way: `swap_remove` would have made it skip or repeat somebody.
    pub(super) const GONE: u32 = u32::MAX;
}

/// One slot.
#[derive(Debug, Default)]
pub(super) struct Entry {
    filter: Box<str>,
    pub(super) subscribers: Vec<Subscriber>,
    /// Subscribers that are not tombstones.
    pub(super) live: u32,
    /// Of a shared subscription: the first so many of them are connected.
    pub(super) online: u32,
    /// Of a shared subscription: whose turn it is.
    pub(super) next: u32,
    /// Of a shared subscription: after which install all members were judged.
    pub(super) epoch: u32,
    /// Homes that may still deliver to it, once nobody is left.
    pub(super) leaving: u16,
}

/// All slots of a shard.
#[derive(Debug)]
pub(super) struct Slots {
    entries: Vec<Entry>,
    free: Vec<Slot>,
    by_filter: HashTable<Slot>,
    hasher: RandomState,
}

impl Slots {
    pub(super) fn new(hasher: RandomState) -> Slots {
        Slots { entries: Vec::new(), free: Vec::new(), by_filter: HashTable::new(), hasher }
    }

    /// The slot of a filter that somebody subscribes with.
    pub(super) fn find(&self, filter: &str) -> Option<Slot> {
        let hash = self.hasher.hash_one(filter);
        self.by_filter.find(hash, |&s| *self[s].filter == *filter).copied()
    }

    /// The slot of a filter, taken when there is none.
    pub(super) fn find_or_take(&mut self, filter: &str) -> Slot {
        if let Some(slot) = self.find(filter) {
            return slot;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry::default());
            Slot(self.entries.len() as u32 - 1)
        });
        self[slot].filter = filter.into();
        let Slots { entries, by_filter, hasher, .. } = self;
        let hash = hasher.hash_one(filter);
        by_filter.insert_unique(hash, slot, |s| hasher.hash_one(&*entries[s.0 as usize].filter));
        slot
    }

    /// Nobody is left: the filter is forgotten, the slot stays taken until `homes` shards have let go of it.
    pub(super) fn leave(&mut self, slot: Slot, homes: u16) {
        let hash = self.hasher.hash_one(&*self[slot].filter);
        if let Ok(found) = self.by_filter.find_entry(hash, |&s| s == slot) {
            found.remove();
        }
        self[slot].leaving = homes;
    }

    /// One more home has let go. The last one frees the slot.
    pub(super) fn let_go(&mut self, slot: Slot) {
        let e = &mut self[slot];
        e.leaving -= 1;
        if e.leaving == 0 {
            *e = Entry::default();
            self.free.push(slot);
        }
    }

    pub(super) fn filter(&self, slot: Slot) -> &str {
        &self[slot].filter
    }

    /// Slots in use, those that are being left included.
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }
}

impl std::ops::Index<Slot> for Slots {
    type Output = Entry;

    fn index(&self, slot: Slot) -> &Entry {
        &self.entries[slot.0 as usize]
    }
}

impl std::ops::IndexMut<Slot> for Slots {
    fn index_mut(&mut self, slot: Slot) -> &mut Entry {
        &mut self.entries[slot.0 as usize]
    }
}
