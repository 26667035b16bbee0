//! A client of this shard: its session and everything the shard keeps with it, and the table of them.

use std::num::NonZeroU32;

use ahash::RandomState;
use hashbrown::HashTable;

use crate::mqtt::Version;
use crate::routing::Slot;
use crate::session::{ConnId, Inbound, Outgoing, SessionKey, Will};
use crate::time::Time;

use super::slots::Flags;
use super::standing::Standing;

/// One subscription of a client.
#[derive(Clone, Debug)]
pub(super) struct Subscription {
    pub(super) slot: Slot,
    /// Its place among the slot's subscribers.
    pub(super) position: u32,
    pub(super) flags: Flags,
    /// Subscription identifier.
    pub(super) id: Option<NonZeroU32>,
    /// The join that makes it live; 0 when every home routes to it.
    pub(super) join: u32,
}

/// The parts of a session that many clients never need.
#[derive(Debug, Default)]
pub(super) struct Flow {
    pub(super) inbound: Inbound,
    pub(super) outgoing: Outgoing,
    /// Replays of retained messages that are not over.
    pub(super) replays: Vec<u32>,
}

/// A client: exists while its session does.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) generation: u32,
    /// Empty for a free place.
    pub(super) client_id: Box<str>,
    /// Keyed hash of the client identifier, for No Local.
    pub(super) publisher: u64,
    pub(super) conn: Option<ConnId>,
    pub(super) standing: Standing,
    pub(super) version: Version,
    /// Something waits that must come before whatever is published at QoS 0: see `Outgoing::holds_back`.
    pub(super) holds_back: bool,
    /// Most in flight to it, on this connection.
    pub(super) window: u16,
    /// Session Expiry Interval; 0 = ends with the connection.
    pub(super) expiry_secs: u32,
    /// Ascending by slot.
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) flow: Option<Box<Flow>>,
    pub(super) will: Option<Box<Will>>,
    /// When the will is published, when the session ends; `NEVER` while connected.
    pub(super) will_at: Time,
    pub(super) ends_at: Time,
    /// When the wheel comes by.
    pub(super) visit: Time,
    /// The last delivery that this client got over several slots: it gets none of it twice.
    pub(super) stamp: u64,
}

impl Client {
    pub(super) fn subscription(&self, slot: Slot) -> Option<&Subscription> {
        self.find(slot).ok().map(|at| &self.subscriptions[at])
    }

    pub(super) fn subscription_mut(&mut self, slot: Slot) -> Option<&mut Subscription> {
        self.find(slot).ok().map(|at| &mut self.subscriptions[at])
    }

    /// Where the slot stands, or would.
    pub(super) fn find(&self, slot: Slot) -> Result<usize, usize> {
        self.subscriptions.binary_search_by_key(&slot, |s| s.slot)
    }

    /// The flow, made when first needed.
    pub(super) fn flow_mut(&mut self) -> &mut Flow {
        let window = if self.conn.is_some() { usize::from(self.window) } else { 0 };
        self.flow.get_or_insert_with(|| {
            let mut flow = Box::<Flow>::default();
            flow.outgoing.connect(window);
            flow
        })
    }
}

/// The clients whose home is this shard.
#[derive(Debug)]
pub(super) struct Clients {
    entries: Vec<Client>,
    free: Vec<u32>,
    by_id: HashTable<u32>,
    hasher: RandomState,
}

impl Clients {
    pub(super) fn new(hasher: RandomState) -> Clients {
        Clients { entries: Vec::new(), free: Vec::new(), by_id: HashTable::new(), hasher }
    }

    pub(super) fn find(&self, client_id: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(client_id);
        self.by_id.find(hash, |&i| *self.entries[i as usize].client_id == *client_id).copied()
    }

    /// Adds a client that is not there.
    pub(super) fn insert(&mut self, client_id: &str, publisher: u64) -> u32 {
        let client = Client {
            generation: 0,
            client_id: client_id.into(),
            publisher,
            conn: None,
            standing: Standing::default(),
            version: Version::V3_1_1,
            holds_back: false,
            window: 0,
            expiry_secs: 0,
            subscriptions: Vec::new(),
            flow: None,
            will: None,
            will_at: Time::NEVER,
            ends_at: Time::NEVER,
            visit: Time::NEVER,
            stamp: 0,
        };
        let index = match self.free.pop() {
            Some(index) => {
                // A visit that was booked for the last tenant serves this one too.
                let Client { generation, visit, .. } = self.entries[index as usize];
                self.entries[index as usize] = Client { generation, visit, ..client };
                index
            }
            None => {
                self.entries.push(client);
                self.entries.len() as u32 - 1
            }
        };
        let Clients { entries, by_id, hasher, .. } = self;
        let hash = hasher.hash_one(client_id);
        by_id.insert_unique(hash, index, |&i| hasher.hash_one(&*entries[i as usize].client_id));
        index
    }

    /// Removes a client; its key finds nobody any more.
    pub(super) fn remove(&mut self, index: u32) {
        let c = &mut self.entries[index as usize];
        let hash = self.hasher.hash_one(&*c.client_id);
        if let Ok(found) = self.by_id.find_entry(hash, |&i| i == index) {
            found.remove();
        }
        c.generation = c.generation.wrapping_add(1);
        c.client_id = "".into();
        c.conn = None;
        c.standing = Standing::default();
        c.flow = None;
        c.will = None;
        c.subscriptions = Vec::new();
        (c.will_at, c.ends_at) = (Time::NEVER, Time::NEVER);
        self.free.push(index);
    }

    pub(super) fn key(&self, index: u32) -> SessionKey {
        SessionKey { index, generation: self.entries[index as usize].generation }
    }

    /// The client of a key, if its session still exists.
    pub(super) fn by_key(&mut self, key: SessionKey) -> Option<&mut Client> {
        let c = self.entries.get_mut(key.index as usize)?;
        (c.generation == key.generation && !c.client_id.is_empty()).then_some(c)
    }

    /// Places, taken or free: what an index is below.
    pub(super) fn places(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }
}

impl std::ops::Index<u32> for Clients {
    type Output = Client;

    fn index(&self, index: u32) -> &Client {
        &self.entries[index as usize]
    }
}

impl std::ops::IndexMut<u32> for Clients {
    fn index_mut(&mut self, index: u32) -> &mut Client {
        &mut self.entries[index as usize]
    }
}
