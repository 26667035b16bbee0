//! Retained messages: kept at their topic's home, replayed to new subscriptions.
//!
//! A replay is pulled, a batch at a time, as its client has room: a client that takes a hundred thousand retained
//! messages never has more than a batch of them waiting. Per topic a retained message comes before newer live
//! ones; a cursor that has not reached a topic yet is overtaken there.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;

use crate::mqtt::QoS;
use crate::routing::{Progress, ShardId, Slot};
use crate::session::{Ids, Run, SessionKey};

use super::Shard;
use super::deliver::Terms;
use super::mesh::Work;
use super::message::{Body, ReplayProgress};

/// About how many bytes in a batch.
const BATCH_BYTES: usize = 64 << 10;
/// Retained topics looked at for one batch, so that a filter that matches few does not hold up the shard.
const VISITS: usize = 4_096;
/// A client with more output than this waiting takes no batch.
const OUTPUT_BYTES: usize = 64 << 10;

/// Of so many replays of one client batches are asked for at the same time.
const PULLED: usize = 8;

/// A replay at its client's home.
#[derive(Debug)]
struct Replay {
    client: SessionKey,
    slot: Slot,
    home: ShardId,
    /// A batch is on its way.
    pulling: bool,
}

/// The replays of this shard's clients.
#[derive(Debug)]
pub(super) struct Replays {
    next: u32,
    entries: HashMap<u32, Replay, RandomState>,
}

impl Replays {
    pub(super) fn new(hasher: RandomState) -> Replays {
        Replays { next: 0, entries: HashMap::with_hasher(hasher) }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

impl Shard {
    /// At the topic's home: stores or clears what is retained. False: there is no room for it.
    pub(super) fn retain(&mut self, run: &Arc<Run>) -> bool {
        let item = &run.items()[0];
        let topic = run.topic();
        if run.payload(item).is_empty() {
            if !self.cursors.is_empty() {
                self.overtake(topic);
            }
            let cleared = self.retained.clear(topic); // [MQTT-3.3.1-6, 3.3.1-7]
            if let Some(run) = &cleared {
                self.expiring.forget(run);
            }
            self.retained_system -= usize::from(run.system && cleared.is_some());
            return true;
        }
        if run.system {
            self.retain_system(run);
            return true;
        }
        // What has expired and was not swept yet does not count.
        while !self.may_retain(run) {
            if !self.sweep_retained() {
                return false;
            }
        }
        if !self.cursors.is_empty() {
            self.overtake(topic);
        }
        if let Some(replaced) = self.retained.put(topic, run.clone(), run.bytes()) {
            self.expiring.forget(&replaced);
        }
        self.expire_retained(run);
        true
    }

    /// Whether there is room for it, in this shard's share of the limits.
    fn may_retain(&self, run: &Run) -> bool {
        let limits = &self.snapshot.limits;
        let shards = u64::from(self.shards);
        let replaced = self.retained.value(run.topic()).map(|old| old.bytes() as u64);
        let full = replaced.is_none()
            && self.retained_messages() as u64 >= limits.retained_messages.div_ceil(shards);
        let bytes = self.retained.bytes() - replaced.unwrap_or(0) + run.bytes() as u64;
        !full && bytes <= limits.retained_bytes.div_ceil(shards)
    }

    /// A live message for `topic` is about to go out: whoever has not had the retained one gets it first.
    pub(super) fn overtake(&mut self, topic: &str) {
        let Some(overtaken) = self.retained.overtake(topic) else { return };
        let opened = self.cursors.opened_after(overtaken.after);
        let waiting: Vec<_> =
            opened.filter(|(_, cursor)| cursor.is_overtaken(topic, &overtaken)).map(|(key, _)| key).collect();
        for (shard, replay) in waiting {
            self.send_replay(shard, replay, vec![overtaken.value.clone()], ReplayProgress::Overtaken);
        }
    }

    /// At the topic's home: the next batch of a replay.
    pub(super) fn replay_more(&mut self, shard: ShardId, replay: u32) {
        let Some(cursor) = self.cursors.cursor(&(shard, replay)) else { return };
        // All of a batch may have to wait in the client's backlog, which is empty when it is asked for.
        let room = self.snapshot.limits.backlog_messages.max(1) as usize;
        let batch = self.mesh.credit.pace.replay_batch.min(room);
        let (mut runs, mut visits, mut bytes) = (Vec::new(), VISITS, 0);
        let progress = loop {
            let had = runs.len();
            let progress = self.retained.advance(cursor, &mut visits, 1, &mut runs);
            bytes += runs[had..].iter().map(|r| r.bytes()).sum::<usize>();
            if progress == Progress::Done {
                break ReplayProgress::Done;
            }
            if visits == 0 || runs.len() >= batch || bytes >= BATCH_BYTES {
                break ReplayProgress::More;
            }
        };
        if progress == ReplayProgress::Done {
            self.cursors.remove(&(shard, replay));
        }
        self.send_replay(shard, replay, runs, progress);
    }

    fn send_replay(&mut self, shard: ShardId, replay: u32, runs: Vec<Arc<Run>>, progress: ReplayProgress) {
        if shard == self.id {
            self.work.queue.push_back(Work::Replay { replay, runs, progress });
        } else {
            self.mesh.send(shard, Body::Replay { replay, runs, progress });
        }
    }

    /// A new subscription will be replayed what `home` retains.
    pub(super) fn open_replay(&mut self, client: u32, slot: Slot, home: ShardId) -> u32 {
        self.replays.next = self.replays.next.wrapping_add(1);
        let replay = self.replays.next;
        let key = self.clients.key(client);
        self.replays.entries.insert(replay, Replay { client: key, slot, home, pulling: true });
        self.clients[client].flow_mut().replays.push(replay);
        replay
    }

    /// Retained messages for one subscription of one client.
    pub(super) fn handle_replay(&mut self, replay: u32, runs: &[Arc<Run>], progress: ReplayProgress) {
        let Some(entry) = self.replays.entries.get_mut(&replay) else { return }; // closed meanwhile
        let (key, slot) = (entry.client, entry.slot);
        // Judging it anew may end the subscription, and with it the replay.
        self.refresh(key.index);
        let Some(entry) = self.replays.entries.get_mut(&replay) else { return };
        if progress == ReplayProgress::More {
            entry.pulling = false;
        }
        for run in runs {
            self.deliver_retained(key.index, slot, run);
        }
        match progress {
            ReplayProgress::Done => {
                self.replays.entries.remove(&replay);
                if let Some(flow) = &mut self.clients[key.index].flow {
                    flow.replays.retain(|r| *r != replay);
                }
                self.pull_replays(key.index); // one of those that waited has its turn
            }
            ReplayProgress::More => self.pull_replays(key.index),
            ReplayProgress::Overtaken => {}
        }
    }

    fn deliver_retained(&mut self, client: u32, slot: Slot, run: &Arc<Run>) {
        let c = &self.clients[client];
        let Some(sub) = c.subscription(slot) else { return };
        let own = sub.flags.no_local() && run.publisher == c.publisher;
        let refused = sub.flags.judged() && !self.may_read(client, run.topic());
        if own || refused || run.items()[0].expires <= self.now {
            return;
        }
        let qos: QoS = sub.flags.qos().min(run.qos);
        // [MQTT-3.3.1-8]: RETAIN is set, whatever Retain As Published says. The identifier is this subscription's.
        let ids: Ids = sub.id.iter().map(|id| id.get()).collect();
        let mut encodings = std::mem::take(&mut self.encodings);
        encodings.reset();
        self.append(client, run, &Terms { qos, retain: true, ids }, &mut encodings);
        self.encodings = encodings;
    }

    /// Asks for the next batch of each of a client's replays, if it has room.
    pub(super) fn pull_replays(&mut self, client: u32) {
        let c = &self.clients[client];
        let (Some(conn), Some(flow)) = (c.conn, &c.flow) else { return };
        let waiting = self.connections[conn.index as usize].out.len();
        if waiting > OUTPUT_BYTES || flow.outgoing.waiting() > 0 {
            return;
        }
        // The oldest ones; the others wait for their turn, so that nobody makes every acknowledgement a long walk.
        for at in 0..flow.replays.len().min(PULLED) {
            let Some(flow) = &self.clients[client].flow else { return };
            let Some(&replay) = flow.replays.get(at) else { return };
            let Some(entry) = self.replays.entries.get_mut(&replay) else { continue };
            if std::mem::replace(&mut entry.pulling, true) {
                continue;
            }
            let home = entry.home;
            if home == self.id {
                self.replay_more(home, replay);
            } else {
                self.mesh.send(home, Body::Pull { replay });
            }
        }
    }

    /// Nobody wants the rest of the replays of this client's subscription.
    pub(super) fn close_replays(&mut self, client: u32, slot: Slot) {
        let Some(flow) = &mut self.clients[client].flow else { return };
        let mut closed = Vec::new();
        let entries = &mut self.replays.entries;
        flow.replays.retain(|replay| {
            let ours = entries.get(replay).is_some_and(|e| e.slot == slot);
            if ours && let Some(e) = entries.remove(replay) {
                closed.push((e.home, *replay));
            }
            !ours
        });
        for (home, replay) in closed {
            if home == self.id {
                self.cursors.remove(&(home, replay));
            } else {
                self.mesh.send(home, Body::CloseReplay { replay });
            }
        }
    }
}
