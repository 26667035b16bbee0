//! Delivering: from a run and the slots it matched to the output of every subscriber.
//!
//! This is the hot path. Nothing is allocated per delivery; the kernel's send, later, costs far more than all
//! that happens here, so it is kept straight rather than clever.

use std::sync::Arc;

use crate::mqtt::QoS;
use crate::routing::Slot;
use crate::session::{Ids, Limit, Offer, Run};

use super::Shard;
use super::alias::Naming;
use super::client::Subscription;
use super::connection::Urgency;
use super::encode::Encodings;
use super::mesh::{Delivery, Work};
use super::slots::Subscriber;
use super::system::replace;

/// So many bytes count as one more of them: what is appended waits in memory until the flush.
const APPEND_BYTES: usize = 16 << 10;

/// To judge a subscriber anew, after an install, costs as much as so many appends, if no certificate is verified.
const SETTLED: usize = 16;

/// So many matching filters count as one more of them: each subscriber's own are looked up among them.
const MERGED_SLOTS: usize = 64;

/// How one client gets a run.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) ids: Ids,
}

impl Terms {
    fn offer(&self, run: &Arc<Run>, item: u32) -> Offer {
        let Terms { qos, retain, ids } = self;
        Offer { run: run.clone(), item, qos: *qos, retain: *retain, ids: ids.clone(), shared: None }
    }
}

impl Shard {
    /// Continues sliced work, within a turn's budget. True when more is waiting.
    pub fn work(&mut self) -> bool {
        let mut budget = self.mesh.credit.pace.appends_per_turn;
        while budget > 0
            && let Some(work) = self.work.queue.pop_front()
        {
            budget -= 1;
            match work {
                Work::Deliver(mut delivery) => {
                    let before = self.counters.messages_sent;
                    let done = self.deliver(&mut delivery, &mut budget);
                    delivery.sent |= self.counters.messages_sent != before;
                    if done {
                        self.work.half_done = false;
                        self.close_holes();
                        self.note_delivered(delivery.run.arrived, delivery.sent);
                        self.retire(&delivery.run);
                    } else {
                        self.work.half_done = true;
                        self.work.queue.push_front(Work::Deliver(delivery));
                    }
                }
                Work::Subscribed { join, home } => self.handle_subscribed(join, home),
                Work::Unrouted(slot) => self.slots.let_go(slot),
                Work::Share { run, slot, items, accept } => {
                    budget = budget.saturating_sub(items.len());
                    let (arrived, before) = (run.arrived, self.counters.messages_sent);
                    self.deliver_share(run, slot, items, accept);
                    self.note_delivered(arrived, self.counters.messages_sent != before);
                }
                Work::Forward { handover, slot } => {
                    budget = budget.saturating_sub(handover.items.len());
                    self.deliver_handover(handover, slot);
                }
                Work::Replay { replay, runs, progress } => {
                    budget = budget.saturating_sub(runs.len());
                    self.handle_replay(replay, &runs, progress);
                }
            }
        }
        self.resume_paused();
        let sweeping = self.swept.is_some() && self.sweep();
        let connecting = self.go_on_connecting();
        sweeping || connecting || !self.work.queue.is_empty()
    }

    /// Delivers as much as the budget allows. True when done. Apart from the rest of a turn, so that nothing there takes
    /// registers from its loop.
    #[inline(never)]
    fn deliver(&mut self, d: &mut Delivery, budget: &mut usize) -> bool {
        let mut encodings = std::mem::take(&mut self.encodings);
        encodings.reset();
        let cost = 1 + d.run.bytes() / APPEND_BYTES;
        while let Some(&slot) = d.slots.get(d.slot_at) {
            // Taken out while it is walked: nothing on the way to an output buffer adds or removes subscribers.
            let subscribers = std::mem::take(&mut self.slots[slot].subscribers);
            let end = *d.end.get_or_insert(subscribers.len());
            let mut stale = None;
            while d.position < end && *budget > 0 {
                let s = subscribers[d.position];
                if s.client != Subscriber::GONE && !self.clients[s.client].standing.is_current(self.epoch) {
                    stale = Some(s.client);
                    break;
                }
                d.position += 1;
                if s.client != Subscriber::GONE {
                    *budget = budget.saturating_sub(cost + d.slots.len() / MERGED_SLOTS);
                    self.deliver_to(d, slot, s, &mut encodings);
                }
            }
            self.slots[slot].subscribers = subscribers;
            if let Some(client) = stale {
                // Whoever leaves now leaves a tombstone: places stay what they are.
                self.work.half_done = true;
                *budget = budget.saturating_sub(SETTLED * self.effort(client));
                self.refresh(client);
                continue;
            }
            if d.position < end {
                self.encodings = encodings;
                return false;
            }
            (d.slot_at, d.position, d.end) = (d.slot_at + 1, 0, None);
        }
        self.encodings = encodings;
        true
    }

    #[inline]
    fn deliver_to(&mut self, d: &Delivery, slot: Slot, s: Subscriber, encodings: &mut Encodings) {
        if d.slots.len() == 1 && !s.flags.special() {
            let retain = d.run.retain && s.flags.retain_as_published();
            let terms = Terms { qos: s.flags.qos().min(d.run.qos), retain, ids: Ids::new() };
            return self.append(s.client, &d.run, &terms, encodings);
        }
        if let Some(terms) = self.merge(d, slot, s) {
            self.append(s.client, &d.run, &terms, encodings);
        }
    }

    /// What several subscriptions of one client come to: one copy with the highest QoS `[MQTT-3.3.4-2]` and all
    /// identifiers `[MQTT-3.3.4-3]`. `None`: this client gets nothing, or had it by an earlier slot.
    fn merge(&mut self, d: &Delivery, slot: Slot, s: Subscriber) -> Option<Terms> {
        if d.slots.len() > 1 {
            let client = &mut self.clients[s.client];
            if client.stamp == d.stamp {
                return None;
            }
            client.stamp = d.stamp;
        }
        let client = &self.clients[s.client];
        let mut terms: Option<Terms> = None;
        let mut add = |sub: &Subscription| {
            let own = sub.flags.no_local() && d.run.publisher == client.publisher; // [MQTT-3.8.3-3]
            let refused = sub.flags.judged() && !client.standing.may_read(self.rules.as_ref(), d.run.topic());
            if own || refused || (sub.flags.joining() && !self.joins.is_live(sub.join, d.home)) {
                return;
            }
            let terms = terms.get_or_insert(Terms { qos: QoS::AtMostOnce, retain: false, ids: Ids::new() });
            terms.qos = terms.qos.max(sub.flags.qos());
            terms.retain |= d.run.retain && sub.flags.retain_as_published();
            terms.ids.extend(sub.id.map(std::num::NonZeroU32::get));
        };
        // The slots are ascending, and so are a client's subscriptions: the shorter list is walked, or a topic that
        // a thousand filters match would cost a million looks.
        if d.slots.len() == 1 {
            client.subscription(slot).into_iter().for_each(&mut add);
        } else if d.slots.len() <= client.subscriptions.len() {
            d.slots.iter().filter_map(|slot| client.subscription(*slot)).for_each(&mut add);
        } else {
            let matched = |sub: &&Subscription| d.slots.binary_search(&sub.slot).is_ok();
            client.subscriptions.iter().filter(matched).for_each(&mut add);
        }
        if let Some(terms) = &mut terms {
            terms.qos = terms.qos.min(d.run.qos);
        }
        terms
    }

    /// Appends a run to one client's output, or lets it wait, or drops it and counts.
    #[inline]
    pub(super) fn append(&mut self, client: u32, run: &Arc<Run>, terms: &Terms, encodings: &mut Encodings) {
        if terms.qos != QoS::AtMostOnce {
            return self.append_acknowledged(client, run, terms, encodings);
        }
        let c = &self.clients[client];
        let Some(conn) = c.conn else { return }; // QoS 0 is not kept for offline sessions
        if c.holds_back {
            return self.append_acknowledged(client, run, terms, encodings);
        }
        let connection = &mut self.connections[conn.index as usize];
        let (encoded, naming) = encodings.of_connection(run, connection, terms, &self.homes, self.now);
        let drops = &mut self.counters.drops;
        drops.expired += (run.items().len() - encoded.parts.len()) as u64;
        let counts = u64::from(!run.system); // what the broker says of itself counts nowhere
        if connection.out.len() + encoded.bytes.len() > self.snapshot.limits.output_bytes as usize
            && connection.out.len() > 0
        {
            drops.output_full += counts * encoded.parts.len() as u64;
            return;
        }
        if encoded.longest > connection.maximum_packet as usize {
            for part in 0..encoded.parts.len() {
                let packet = &encoded.bytes[encoded.parts[part].start..encoded.end(part)];
                if packet.len() > connection.maximum_packet as usize {
                    drops.too_large += counts; // [MQTT-3.1.2-25]
                    continue;
                }
                self.counters.messages_sent += counts;
                self.counters.payload_bytes_sent += counts * encoded.parts[part].payload as u64;
                let out = self.dirty.writer(conn.index, &mut connection.out, Urgency::Delivery);
                out.extend_from_slice(packet);
            }
            return;
        }
        if encoded.parts.is_empty() {
            return; // all of it has expired
        }
        self.counters.messages_sent += counts * encoded.parts.len() as u64;
        self.counters.payload_bytes_sent += counts * encoded.payload;
        self.dirty
            .writer(conn.index, &mut connection.out, Urgency::Delivery)
            .extend_from_slice(&encoded.bytes);
        connection.appended(naming, run.topic(), || encodings.topic_hash(run, &self.homes));
    }

    /// QoS 1 and 2: what the client's window allows goes out, the rest waits.
    fn append_acknowledged(&mut self, client: u32, run: &Arc<Run>, terms: &Terms, encodings: &mut Encodings) {
        let limits = &self.snapshot.limits;
        let limit =
            Limit { messages: limits.backlog_messages as usize, bytes: limits.backlog_bytes as usize };
        let output_limit = limits.output_bytes as usize;
        let c = &mut self.clients[client];
        let conn = c.conn;
        let version = c.version;
        let outgoing = &mut c.flow_mut().outgoing;
        let backlog = outgoing.backlog();
        let (encoded, naming) = match conn {
            Some(conn) => {
                let connection = &self.connections[conn.index as usize];
                encodings.of_connection(run, connection, terms, &self.homes, self.now)
            }
            None => (encodings.of(run, version, terms, Naming::Name, self.now), Naming::Name),
        };
        self.counters.drops.expired += (run.items().len() - encoded.parts.len()) as u64;
        let mut fits = 0;
        if let Some(conn) = conn {
            let connection = &mut self.connections[conn.index as usize];
            let acknowledged = terms.qos != QoS::AtMostOnce; // QoS 0 is here because it must wait
            if acknowledged
                && connection.out.len() <= output_limit
                && encoded.longest <= connection.maximum_packet as usize
            {
                fits = outgoing.room().min(encoded.parts.len());
            }
            if fits > 0 {
                let out = self.dirty.writer(conn.index, &mut connection.out, Urgency::Delivery);
                let base = out.len();
                out.extend_from_slice(&encoded.bytes[..encoded.end(fits - 1)]);
                for part in &encoded.parts[..fits] {
                    let id = outgoing.send(terms.offer(run, part.item));
                    out[base + part.packet_id..][..2].copy_from_slice(&id.as_u16().to_be_bytes());
                    self.counters.payload_bytes_sent += part.payload as u64;
                }
                self.counters.messages_sent += fits as u64;
            }
        }
        for part in &encoded.parts[fits..] {
            if !outgoing.wait(terms.offer(run, part.item), limit) {
                self.counters.drops.backlog_full += 1;
            }
        }
        replace(&mut self.backlogs, backlog, outgoing.backlog());
        let more = conn.is_some() && fits == 0 && outgoing.has_more();
        c.holds_back = conn.is_some() && outgoing.holds_back();
        if fits > 0
            && naming != Naming::Name
            && let Some(conn) = conn
        {
            let hash = encodings.topic_hash(run, &self.homes);
            self.connections[conn.index as usize].appended(naming, run.topic(), || hash);
        }
        // Only a packet too large for this client is left behind with room in the window: pump drops it.
        if more {
            self.pump(client);
        }
    }

    /// The half-done delivery is finished: tombstones go.
    fn close_holes(&mut self) {
        for slot in std::mem::take(&mut self.work.holed) {
            let mut at = 0;
            while let Some(s) = self.slots[slot].subscribers.get(at).copied() {
                if s.client == Subscriber::GONE {
                    self.remove_subscriber(slot, at);
                } else {
                    at += 1;
                }
            }
        }
    }

    /// Takes the subscriber at `at` out of a slot; the last one moves into its place.
    pub(super) fn remove_subscriber(&mut self, slot: Slot, at: usize) {
        let subscribers = &mut self.slots[slot].subscribers;
        subscribers.swap_remove(at);
        if let Some(moved) = subscribers.get(at).copied()
            && moved.client != Subscriber::GONE
        {
            self.clients[moved.client]
                .subscription_mut(slot)
                .expect("whoever stands in a slot has a subscription to it")
                .position = at as u32;
        }
    }
}
