//! Shared subscriptions at the members' shard: who takes a publication, and what moves to another member.
//!
//! The topic's home has picked this shard by its number of connected members ([`crate::routing::groups`]). Here the
//! member with the least to do takes it. What nobody here can take goes back to the home, which asks another shard;
//! when nobody is connected anywhere, a session keeps it. What waits at a member that disconnects moves, what is
//! unacknowledged at QoS 1 moves when its session ends, what was sent at QoS 2 never does `[MQTT-4.8.2-4, -5]`.
//!
//! The connected members of a slot stand before the others, so that nobody is looked for.

use std::ops::Range;
use std::sync::Arc;

use crate::ids::ShardSet;
use crate::mqtt::QoS;
use crate::routing::{Accept, ShardId, Slot, Target};
use crate::session::{Ids, Limit, Offer, Outgoing, Run};

use super::Shard;
use super::alias::Naming;
use super::connection::Urgency;
use super::encode::{Frame, header};
use super::mesh::Work;
use super::message::{Body, Handover};
use super::slots::Subscriber;
use super::system::replace;

/// Of so many members the one with the least to do is taken: all of a small group, some of a large one.
const COMPARED: u32 = 8;

/// Who of the members is asked whether it may read a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judging {
    /// Those whose flag says so.
    Flagged,
    /// All: a member has handed it back, and whatever made that one give it up must hold for whoever is asked next, or
    /// it would go round for ever.
    Everybody,
}

impl Shard {
    /// Publications from a topic's home, each for one member here.
    pub(super) fn deliver_share(&mut self, run: Arc<Run>, slot: Slot, items: Range<u32>, accept: Accept) {
        self.refresh_members(slot);
        let left: Vec<u32> =
            items.filter(|&item| !self.give_to_member(&run, item, slot, accept, Judging::Flagged)).collect();
        if left.is_empty() {
            self.retire(&run);
        } else {
            let filter = self.slots.filter(slot).into();
            let excluded = ShardSet::default();
            self.give_up(Box::new(Handover { run, items: left, filter, accept, excluded, counted: true }));
        }
    }

    /// Publications that another shard could not deliver.
    pub(super) fn deliver_handover(&mut self, mut handover: Box<Handover>, slot: Slot) {
        self.refresh_members(slot);
        let Handover { run, items, accept, counted, .. } = &mut *handover;
        let judging = if *counted { Judging::Flagged } else { Judging::Everybody };
        items.retain(|&item| !self.give_to_member(run, item, slot, *accept, judging));
        if handover.items.is_empty() {
            if handover.counted {
                self.retire(&handover.run);
            }
        } else {
            self.give_up(handover);
        }
    }

    /// Nobody here can take it: back to the topic's home.
    fn give_up(&mut self, mut handover: Box<Handover>) {
        handover.excluded.insert(self.id);
        let home = self.homes.of(handover.run.topic().as_bytes());
        if home == self.id {
            self.find_member(handover);
        } else {
            self.mesh.send(home, Body::Return(handover));
        }
    }

    /// At the topic's home: asks the next shard, first for members who are connected, then for any.
    pub(super) fn find_member(&mut self, mut handover: Box<Handover>) {
        let mut next = self.groups.other(&handover.filter, handover.accept, &handover.excluded);
        if next.is_none() && handover.accept == Accept::Online && handover.run.qos != QoS::AtMostOnce {
            handover.accept = Accept::Any;
            handover.excluded = ShardSet::default();
            next = self.groups.other(&handover.filter, Accept::Any, &handover.excluded);
        }
        match next {
            Some(Target { shard, slot }) if shard == self.id => {
                self.work.queue.push_back(Work::Forward { handover, slot });
            }
            Some(Target { shard, slot }) => self.mesh.send(shard, Body::Forward { handover, slot }),
            None => {
                let counts = u64::from(!handover.run.system);
                self.counters.drops.no_member += counts * handover.items.len() as u64;
                if handover.counted {
                    self.retire(&handover.run);
                }
            }
        }
    }

    /// Gives one publication to one member of this shard. False: nobody here can take it.
    fn give_to_member(
        &mut self,
        run: &Arc<Run>,
        item: u32,
        slot: Slot,
        accept: Accept,
        judging: Judging,
    ) -> bool {
        if run.items()[item as usize].expires <= self.now {
            self.counters.drops.expired += 1;
            return true;
        }
        let entry = &self.slots[slot];
        let online = entry.online;
        let all = entry.subscribers.len() as u32;
        let member = self.least_busy(run, item, slot, 0..online, judging).or_else(|| {
            let offline = if accept == Accept::Any { online..all } else { 0..0 };
            self.least_busy(run, item, slot, offline, judging)
        });
        let Some(member) = member else { return false };
        self.slots[slot].next = member + 1;
        let s = self.slots[slot].subscribers[member as usize];
        self.give(run, item, slot, s);
        true
    }

    /// Who has the least to do among the next few in `places` that can take it at all.
    fn least_busy(
        &self,
        run: &Run,
        item: u32,
        slot: Slot,
        places: Range<u32>,
        judging: Judging,
    ) -> Option<u32> {
        let entry = &self.slots[slot];
        let count = places.end - places.start;
        let first = entry.next.saturating_sub(places.start) % count.max(1);
        let mut best = None;
        let mut compared = 0;
        for turn in 0..count {
            let place = places.start + (first + turn) % count;
            let s = entry.subscribers[place as usize];
            let may_read = judging == Judging::Flagged || self.may_read(s.client, run.topic());
            if !may_read || !self.can_take(run, item, slot, s) {
                continue;
            }
            let busy = self.busy(s.client);
            if best.is_none_or(|(least, _)| busy < least) {
                best = Some((busy, place));
            }
            compared += 1;
            if compared == COMPARED {
                break;
            }
        }
        best.map(|(_, place)| place)
    }

    /// Must it wait, for how many others, and how much output is on its way.
    fn busy(&self, client: u32) -> (bool, usize, usize) {
        let c = &self.clients[client];
        let output = c.conn.map_or(0, |conn| self.connections[conn.index as usize].out.len());
        let Some(flow) = &c.flow else { return (false, 0, output) };
        let unacknowledged = flow.outgoing.in_flight() + flow.outgoing.waiting();
        (flow.outgoing.room() == 0, unacknowledged, output)
    }

    fn can_take(&self, run: &Run, item: u32, slot: Slot, s: Subscriber) -> bool {
        let c = &self.clients[s.client];
        if s.flags.judged() && !self.may_read(s.client, run.topic()) {
            return false; // another member may read it
        }
        let Some(conn) = c.conn else {
            return s.flags.qos().min(run.qos) != QoS::AtMostOnce; // QoS 0 is not kept
        };
        let maximum = self.connections[conn.index as usize].maximum_packet as usize;
        let publication = &run.items()[item as usize];
        // Fixed header, lengths, packet identifier, expiry, subscription identifier.
        if run.item_bytes(publication) + 32 <= maximum {
            return true;
        }
        let Some(sub) = c.subscription(slot) else { return false };
        let ids: Ids = sub.id.iter().map(|id| id.get()).collect();
        let frame = Frame { qos: s.flags.qos().min(run.qos), retain: false, dup: false };
        let mut packet = Vec::new();
        header(run, item as usize, frame, Naming::Name, &ids, self.now).encode(
            c.version,
            run.payload(publication),
            &mut packet,
        );
        packet.len() <= maximum // [MQTT-3.1.2-25]: another member may take it
    }

    /// Appends to a member's output, or lets it wait, or drops and counts.
    fn give(&mut self, run: &Arc<Run>, item: u32, slot: Slot, s: Subscriber) {
        let limits = &self.snapshot.limits;
        let c = &mut self.clients[s.client];
        let sub = c.subscription(slot).expect("whoever stands in a slot has a subscription to it");
        let ids: Ids = sub.id.iter().map(|id| id.get()).collect();
        let qos = s.flags.qos().min(run.qos);
        let retain = run.retain && s.flags.retain_as_published();
        if qos != QoS::AtMostOnce {
            let limit =
                Limit { messages: limits.backlog_messages as usize, bytes: limits.backlog_bytes as usize };
            let offer = Offer { run: run.clone(), item, qos, retain, ids, shared: Some(slot) };
            let outgoing = &mut c.flow_mut().outgoing;
            let before = outgoing.backlog();
            if !outgoing.wait(offer, limit) {
                self.counters.drops.backlog_full += 1;
            }
            replace(&mut self.backlogs, before, outgoing.backlog());
            return self.pump(s.client);
        }
        let conn = c.conn.expect("QoS 0 is only given to a member who is connected");
        let connection = &mut self.connections[conn.index as usize];
        let publication = &run.items()[item as usize];
        let size = run.item_bytes(publication);
        let counts = u64::from(!run.system); // what the broker says of itself counts nowhere
        if connection.out.len() > 0 && connection.out.len() + size > limits.output_bytes as usize {
            self.counters.drops.output_full += counts;
            return;
        }
        let header =
            header(run, item as usize, Frame { qos, retain, dup: false }, Naming::Name, &ids, self.now);
        let out = self.dirty.writer(conn.index, &mut connection.out, Urgency::Delivery);
        header.encode(c.version, run.payload(publication), out);
        self.counters.messages_sent += counts;
        self.counters.payload_bytes_sent += counts * run.payload_bytes(publication) as u64;
    }

    /// A new member, at the last place of its slot, is connected.
    pub(super) fn go_online(&mut self, slot: Slot, position: usize) {
        let online = self.slots[slot].online;
        self.swap_members(slot, position, online as usize);
        self.slots[slot].online += 1;
    }

    fn go_offline(&mut self, slot: Slot, position: usize) {
        self.slots[slot].online -= 1;
        let online = self.slots[slot].online;
        self.swap_members(slot, position, online as usize);
    }

    /// A client with a session has connected.
    pub(super) fn rejoin_groups(&mut self, client: u32) {
        for at in 0..self.clients[client].subscriptions.len() {
            let sub = &self.clients[client].subscriptions[at];
            if sub.flags.shared() {
                let (slot, position) = (sub.slot, sub.position as usize);
                self.go_online(slot, position);
                self.tell_members(slot);
            }
        }
    }

    /// A client is gone and its session stays: what waits for it by shared subscriptions goes to others.
    pub(super) fn leave_groups_for_now(&mut self, client: u32) {
        let mut shared = false;
        for at in 0..self.clients[client].subscriptions.len() {
            let sub = &self.clients[client].subscriptions[at];
            if sub.flags.shared() {
                let (slot, position) = (sub.slot, sub.position as usize);
                self.go_offline(slot, position);
                self.tell_members(slot);
                shared = true;
            }
        }
        if shared {
            self.take_back(client, Outgoing::take_waiting_shared);
        }
    }

    /// Takes a member out of its slot.
    pub(super) fn leave_group(&mut self, slot: Slot, position: usize) {
        let mut position = position;
        if (position as u32) < self.slots[slot].online {
            self.go_offline(slot, position);
            position = self.slots[slot].online as usize;
        }
        self.remove_subscriber(slot, position);
    }

    /// Takes from a client what it will not get by shared subscriptions, and finds others for it.
    pub(super) fn take_back(&mut self, client: u32, take: impl FnOnce(&mut Outgoing) -> Vec<Offer>) {
        let Some(flow) = &mut self.clients[client].flow else { return };
        let before = flow.outgoing.backlog();
        let offers = take(&mut flow.outgoing);
        replace(&mut self.backlogs, before, flow.outgoing.backlog());
        self.hand_back(offers);
    }

    /// Finds other members for what a client will not get: here, or by way of the topics' homes.
    pub(super) fn hand_back(&mut self, offers: Vec<Offer>) {
        let mut offers = offers.into_iter().peekable();
        while let Some(Offer { run, item, shared, .. }) = offers.next() {
            let slot = shared.expect("only what came by a shared subscription is handed back");
            let mut items = vec![item];
            while let Some(next) = offers.next_if(|o| Arc::ptr_eq(&o.run, &run) && o.shared == shared) {
                items.push(next.item);
            }
            let filter = self.slots.filter(slot).into();
            let excluded = ShardSet::default();
            let accept = Accept::Online;
            let handover = Handover { run, items, filter, accept, excluded, counted: false };
            // In its turn, so that ten thousand of them are sliced as well; and in front of what lets the slot go, or its
            // next tenant would get them.
            self.work.queue.push_back(Work::Forward { handover: Box::new(handover), slot });
        }
    }

    /// The homes of a group are told how many members there are here.
    pub(super) fn tell_members(&mut self, slot: Slot) {
        let homes = self.homes_of(self.slots.filter(slot));
        let (online, all) = (self.slots[slot].online, self.slots[slot].live);
        for home in homes.map(ShardId) {
            if home == self.id {
                self.groups.count(Target { shard: home, slot }, online, all);
            } else {
                self.mesh.send(home, Body::Members { slot, online, all });
            }
        }
    }

    fn swap_members(&mut self, slot: Slot, a: usize, b: usize) {
        let subscribers = &mut self.slots[slot].subscribers;
        subscribers.swap(a, b);
        for position in [a, b] {
            let client = self.slots[slot].subscribers[position].client;
            if let Some(sub) = self.clients[client].subscription_mut(slot) {
                sub.position = position as u32;
            }
        }
    }
}
