//! What shards say to each other. Order between two shards is the order of sending.

use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::ids::ShardSet;
use crate::routing::{Accept, Slot};
use crate::session::{Outcome, Run, SessionKey};

/// Slots of one shard that a publication matched.
pub(super) type Slots = SmallVec<[Slot; 4]>;

/// Who waits for the outcome of a publish.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    pub(super) session: SessionKey,
    pub(super) first: u64,
}

/// A message between shards. Opaque to drivers.
#[derive(Debug)]
pub struct Message(pub(super) Body);

/// What a message says.
#[derive(Debug)]
pub(super) enum Body {
    /// To the topic's home: route this. `None`: nobody waits for the outcome.
    Publish { run: Arc<Run>, ticket: Option<Ticket> },
    /// Back to the publisher's home: the topic's home has taken it.
    Taken { ticket: Ticket, count: u32, outcome: Outcome },
    /// To a subscribers' shard: deliver to whoever subscribes by these slots.
    Deliver { run: Arc<Run>, slots: Slots },
    /// To a shard with members of a group: these publications, each for one member.
    Share { run: Arc<Run>, slot: Slot, items: Range<u32>, accept: Accept },
    /// To a shard with members of a group: what another could not deliver.
    Forward { handover: Box<Handover>, slot: Slot },
    /// To a topic's home: what could not be delivered here goes to another member.
    Return(Box<Handover>),
    /// To a filter's home: how many members of a group there are behind a slot.
    Members { slot: Slot, online: u32, all: u32 },
    /// To the origin: the runs of so many messages and bytes are retired.
    Retired { messages: u64, bytes: u64 },
    /// To a filter's home: from here on, route to this slot; with `replay`, open a cursor over what is retained.
    Subscribe { join: u32, slot: Slot, replay: Option<u32>, filter: Box<str> },
    /// From a filter's home: it routes, everything it sends from here on is newer than the subscription.
    Subscribed { join: u32 },
    /// To a filter's home: nobody is left behind this slot.
    Unroute { slot: Slot, filter: Box<str> },
    /// From a filter's home: nothing more comes for this slot.
    Unrouted { slot: Slot },
    /// To a filter's home: more retained messages, there is room.
    Pull { replay: u32 },
    /// From a filter's home: retained messages.
    Replay { replay: u32, runs: Vec<Arc<Run>>, progress: ReplayProgress },
    /// To a filter's home: nobody wants the rest.
    CloseReplay { replay: u32 },
}

/// Publications of a shared subscription on their way from one member to another.
#[derive(Debug)]
pub(super) struct Handover {
    pub(super) run: Arc<Run>,
    /// Places in the run.
    pub(super) items: Vec<u32>,
    /// The shared filter: a slot may be gone before the answer is there.
    pub(super) filter: Box<str>,
    pub(super) accept: Accept,
    /// Shards that could not deliver them.
    pub(super) excluded: ShardSet,
    /// Whether somebody must retire the run: a first delivery, not one that was accepted before.
    pub(super) counted: bool,
}

/// Whether a replay goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReplayProgress {
    /// An answer to a pull (or to the subscribe), and there is more.
    More,
    /// The last of it.
    Done,
    /// Not an answer: it had to come before a newer live message of its topic.
    Overtaken,
}
