//! This shard among the others: outboxes, credit, and the queue of work in which what other shards say about
//! slots stays in order.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use crate::routing::{Accept, ShardId, Slot, Target};
use crate::session::Run;

use super::Shard;
use super::message::{Body, Handover, Message, ReplayProgress, Slots};
use super::pace::Pace;

/// What this shard's clients have under way.
#[derive(Debug, Default)]
pub(super) struct Credit {
    pub(super) messages: u64,
    pub(super) bytes: u64,
    /// How much there may be.
    pub(super) pace: Pace,
}

impl Credit {
    /// Whether another publication may start.
    pub(super) fn is_left(&self) -> bool {
        self.messages < self.pace.credit_messages && self.bytes < self.pace.credit_bytes
    }

    /// Whether paused publishers go on: half is back, so that they are not stopped again at once.
    pub(super) fn is_ample(&self) -> bool {
        self.messages <= self.pace.credit_messages / 2 && self.bytes <= self.pace.credit_bytes / 2
    }
}

/// Outboxes and the account of credit.
#[derive(Debug)]
pub(super) struct Mesh {
    outboxes: Vec<Vec<Message>>,
    pub(super) credit: Credit,
    /// Retired for each origin since the last batch to it: messages, bytes.
    retired: Vec<(u64, u64)>,
}

impl Mesh {
    pub(super) fn new(shards: u16) -> Mesh {
        let shards = usize::from(shards);
        Mesh {
            outboxes: std::iter::repeat_with(Vec::new).take(shards).collect(),
            credit: Credit::default(),
            retired: vec![(0, 0); shards],
        }
    }

    pub(super) fn send(&mut self, to: ShardId, body: Body) {
        self.outboxes[to.index()].push(Message(body));
    }

    /// The batch for `peer`; cumulative retirements go last.
    pub(super) fn take(&mut self, peer: ShardId) -> Vec<Message> {
        let (messages, bytes) = std::mem::take(&mut self.retired[peer.index()]);
        if messages > 0 {
            self.send(peer, Body::Retired { messages, bytes });
        }
        std::mem::take(&mut self.outboxes[peer.index()])
    }
}

/// Something that happens in its turn, because the order with deliveries matters.
#[derive(Debug)]
pub(super) enum Work {
    Deliver(Delivery),
    Subscribed { join: u32, home: ShardId },
    Unrouted(Slot),
    Share { run: Arc<Run>, slot: Slot, items: Range<u32>, accept: Accept },
    Forward { handover: Box<Handover>, slot: Slot },
    Replay { replay: u32, runs: Vec<Arc<Run>>, progress: ReplayProgress },
}

/// A run for the subscribers of some slots, and how far it has come.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) run: Arc<Run>,
    pub(super) slots: Slots,
    /// The topic's home.
    pub(super) home: ShardId,
    /// Place in `slots`.
    pub(super) slot_at: usize,
    /// Place among the slot's subscribers, and how many there were when it was begun.
    pub(super) position: usize,
    pub(super) end: Option<usize>,
    /// Some of it went to an output.
    pub(super) sent: bool,
    /// Tells this delivery from others, for clients that subscribe by several slots.
    pub(super) stamp: u64,
}

/// The queue of work. Only its head is ever half done.
#[derive(Debug, Default)]
pub(super) struct WorkQueue {
    pub(super) queue: VecDeque<Work>,
    /// A delivery has been begun and not finished: slots may not be compacted.
    pub(super) half_done: bool,
    /// Slots that got tombstones meanwhile.
    pub(super) holed: Vec<Slot>,
}

impl Shard {
    /// Messages from another shard, in the order in which it sent them.
    pub fn handle_batch(&mut self, from: ShardId, batch: Vec<Message>) {
        for Message(body) in batch {
            match body {
                Body::Publish { run, ticket } => self.route(run, ticket),
                Body::Taken { ticket, count, outcome } => self.settle(ticket, count, outcome),
                Body::Deliver { run, slots } => self.queue_delivery(run, slots, from),
                Body::Share { run, slot, items, accept } => {
                    self.work.queue.push_back(Work::Share { run, slot, items, accept });
                }
                Body::Forward { handover, slot } => {
                    self.work.queue.push_back(Work::Forward { handover, slot });
                }
                Body::Return(handover) => self.find_member(handover),
                Body::Members { slot, online, all } => {
                    self.groups.count(Target { shard: from, slot }, online, all);
                }
                Body::Retired { messages, bytes } => self.restore_credit(messages, bytes),
                Body::Subscribe { join, slot, replay, filter } => {
                    self.route_to(from, join, slot, replay, &filter);
                }
                Body::Subscribed { join } => self.work.queue.push_back(Work::Subscribed { join, home: from }),
                Body::Unroute { slot, filter } => self.unroute(from, slot, &filter),
                Body::Unrouted { slot } => self.work.queue.push_back(Work::Unrouted(slot)),
                Body::Pull { replay } => self.replay_more(from, replay),
                Body::Replay { replay, runs, progress } => {
                    self.work.queue.push_back(Work::Replay { replay, runs, progress });
                }
                Body::CloseReplay { replay } => {
                    self.cursors.remove(&(from, replay));
                }
            }
        }
    }

    /// The messages for `peer`, emptying its outbox.
    pub fn take_outbox(&mut self, peer: ShardId) -> Vec<Message> {
        self.mesh.take(peer)
    }

    pub(super) fn queue_delivery(&mut self, run: Arc<Run>, slots: Slots, home: ShardId) {
        debug_assert!(slots.is_sorted(), "the home sorts them");
        self.stamp += 1;
        let stamp = self.stamp;
        self.work.queue.push_back(Work::Deliver(Delivery {
            run,
            slots,
            home,
            slot_at: 0,
            position: 0,
            end: None,
            sent: false,
            stamp,
        }));
    }

    /// This shard is done with a run; the last one gives its credit back.
    pub(super) fn retire(&mut self, run: &Run) {
        if run.retire() {
            self.give_back(run);
        }
    }

    pub(super) fn give_back(&mut self, run: &Run) {
        let (messages, bytes) = (run.items().len() as u64, run.bytes() as u64);
        if run.origin == self.id {
            self.restore_credit(messages, bytes);
        } else {
            let retired = &mut self.mesh.retired[run.origin.index()];
            *retired = (retired.0 + messages, retired.1 + bytes);
        }
    }

    fn restore_credit(&mut self, messages: u64, bytes: u64) {
        self.mesh.credit.messages -= messages;
        self.mesh.credit.bytes -= bytes;
        self.look_at_paused |= !self.paused.is_empty();
    }
}
