//! SUBSCRIBE and UNSUBSCRIBE at the client's home; routes at the filter's homes.
//!
//! A filter without wildcards has one home, that of the topic it names; one with wildcards has every shard.
//! SUBACK means that every home routes to the subscription `[MQTT-3.8.4-1]` and that all it will hear from there
//! is newer.

use std::num::NonZeroU32;
use std::ops::Range;

use ahash::RandomState;
use smallvec::SmallVec;

use crate::ids::ShardSet;
use crate::mqtt::ack::{SubAck, UnsubAck};
use crate::mqtt::property::UserProperties;
use crate::mqtt::subscribe::{RetainHandling, Subscribe};
use crate::mqtt::topic::{has_wildcard, is_valid_filter, parse_shared};
use crate::mqtt::unsubscribe::Unsubscribe;
use crate::mqtt::{Packet, PacketId, ReasonCode, Version, Violation};
use crate::routing::{ShardId, Slot, Target};
use crate::session::{ConnId, SessionKey};

use super::Shard;
use super::client::Subscription;
use super::mesh::Work;
use super::message::Body;
use super::rejected::Act;
use super::slots::{Flags, Subscriber};
use super::standing::Reading;

type Map<V> = std::collections::HashMap<u32, V, RandomState>;

/// A subscription that waits until its homes route to it.
#[derive(Debug)]
struct Join {
    client: SessionKey,
    slot: Slot,
    waiting: ShardSet,
    subacks: SmallVec<[u32; 1]>,
}

/// A SUBACK that waits for joins.
#[derive(Debug)]
struct PendingSubAck {
    conn: ConnId,
    packet_id: PacketId,
    codes: SmallVec<[u8; 8]>,
    joins: u32,
}

/// Everything that waits for the homes of filters.
#[derive(Debug)]
pub(super) struct Joins {
    next: u32,
    joins: Map<Join>,
    subacks: Map<PendingSubAck>,
}

impl Joins {
    pub(super) fn new(hasher: RandomState) -> Joins {
        Joins { next: 0, joins: Map::with_hasher(hasher.clone()), subacks: Map::with_hasher(hasher) }
    }

    /// Whether `home` has said that it routes to this join's subscription.
    pub(super) fn is_live(&self, join: u32, home: ShardId) -> bool {
        self.joins.get(&join).is_none_or(|j| !j.waiting.contains(home))
    }

    pub(super) fn len(&self) -> usize {
        self.joins.len() + self.subacks.len()
    }

    /// Never 0, which means "none".
    fn fresh(&mut self) -> u32 {
        self.next = self.next.wrapping_add(1).max(1);
        self.next
    }
}

impl Shard {
    pub(super) fn handle_subscribe(
        &mut self,
        conn: ConnId,
        client: u32,
        packet: &Subscribe<'_>,
    ) -> Result<(), Violation> {
        // Before the first of them has an effect [MQTT-4.7.1-1, 4.7.1-2, 4.7.3-1].
        if !packet.filters.iter().all(|(filter, _)| is_valid_filter(filter)) {
            return Err(Violation::TopicFilter);
        }
        if packet.filters.iter().any(|(filter, options)| options.no_local && is_shared(filter)) {
            return Err(Violation::NoLocalOnShared); // [MQTT-3.8.3-4]
        }
        let suback = self.joins.fresh();
        let mut pending =
            PendingSubAck { conn, packet_id: packet.packet_id, codes: SmallVec::new(), joins: 0 };
        for (filter, options) in packet.filters.iter() {
            let full = pending.codes.len() >= usize::from(self.snapshot.limits.filters_per_packet);
            let judged = if full { Err(ReasonCode::QuotaExceeded) } else { self.take_filter(client, filter) };
            let code = match judged {
                Err(reason) => {
                    self.counters.subscribes_refused += 1;
                    self.reject_act(client, Act::Subscribe(filter), reason);
                    reason as u8
                }
                Ok(reading) => {
                    self.counters.subscribes_accepted += 1;
                    let mut flags = Flags::new(options, packet.subscription_id, is_shared(filter));
                    flags.set_judged(reading == Reading::Judged);
                    let handling = options.retain_handling;
                    pending.joins +=
                        self.subscribe(client, filter, (flags, handling), packet.subscription_id, suback);
                    options.qos as u8
                }
            };
            pending.codes.push(code);
        }
        if pending.joins == 0 {
            self.send_suback(&pending);
        } else {
            self.connections[conn.index as usize].joining += pending.joins;
            self.joins.subacks.insert(suback, pending);
        }
        Ok(())
    }

    /// Whether a client may subscribe with a filter, and how its messages are judged then.
    fn take_filter(&self, client: u32, filter: &str) -> Result<Reading, ReasonCode> {
        let limits = &self.snapshot.limits;
        if !limits.allow_topic(filter) {
            return Err(ReasonCode::TopicFilterInvalid);
        }
        let reading = self.may_subscribe(client, filter).ok_or(ReasonCode::NotAuthorized)?;
        let subscriptions = &self.clients[client].subscriptions;
        let full = subscriptions.len() >= limits.subscriptions_per_client as usize;
        let known = || self.slots.find(filter).is_some_and(|s| self.clients[client].find(s).is_ok());
        if full && !known() { Err(ReasonCode::QuotaExceeded) } else { Ok(reading) }
    }

    /// Makes or replaces a subscription. Returns how many joins the SUBACK must wait for: 0 or 1.
    fn subscribe(
        &mut self,
        client: u32,
        filter: &str,
        (mut flags, handling): (Flags, RetainHandling),
        id: Option<NonZeroU32>,
        suback: u32,
    ) -> u32 {
        let slot = self.slots.find_or_take(filter);
        let shared = flags.shared();
        let known = self.clients[client].find(slot);
        let replay = match handling {
            _ if shared => false, // nobody would know which member it is for
            RetainHandling::Send => true,
            RetainHandling::SendIfNew => known.is_err(), // [MQTT-3.3.1-10]
            RetainHandling::DoNotSend => false,
        };
        let join = self.joins.fresh();
        match known {
            Ok(at) => {
                // Replaced in place: nothing that is routed meanwhile is lost [MQTT-3.8.4-3].
                let sub = &mut self.clients[client].subscriptions[at];
                let first_join = sub.join;
                if sub.flags.joining() {
                    flags.set_joining();
                }
                (sub.flags, sub.id) = (flags, id);
                let position = sub.position as usize;
                self.slots[slot].subscribers[position].flags = flags;
                if !replay {
                    let Some(first) = self.joins.joins.get_mut(&first_join) else { return 0 };
                    first.subacks.push(suback);
                    return 1;
                }
                self.close_replays(client, slot);
            }
            Err(at) => {
                flags.set_joining();
                self.join(client, at, Subscription { slot, position: 0, flags, id, join });
            }
        }
        self.ask_homes(client, filter, slot, join, replay, suback);
        if shared && known.is_err() {
            self.tell_members(slot);
        }
        1
    }

    /// A client joins a slot; the subscription takes place `at` of its list.
    fn join(&mut self, client: u32, at: usize, mut subscription: Subscription) {
        let Subscription { slot, flags, .. } = subscription;
        let entry = &mut self.slots[slot];
        subscription.position = entry.subscribers.len() as u32;
        entry.subscribers.push(Subscriber { client, flags });
        entry.live += 1;
        let position = subscription.position as usize;
        self.clients[client].subscriptions.insert(at, subscription);
        self.subscriptions += 1;
        if flags.shared() {
            self.shared_subscriptions += 1;
            self.go_online(slot, position);
        }
    }

    /// Every home of the filter is to route to the slot, and to replay what it retains if that is wanted.
    fn ask_homes(&mut self, client: u32, filter: &str, slot: Slot, join: u32, replay: bool, suback: u32) {
        let homes = self.homes_of(filter);
        let waiting = ShardSet::of(homes.clone());
        let key = self.clients.key(client);
        self.joins
            .joins
            .insert(join, Join { client: key, slot, waiting, subacks: SmallVec::from_elem(suback, 1) });
        for home in homes.map(ShardId) {
            let replay = replay.then(|| self.open_replay(client, slot, home));
            if home == self.id {
                self.route_to(home, join, slot, replay, filter);
            } else {
                self.mesh.send(home, Body::Subscribe { join, slot, replay, filter: filter.into() });
            }
        }
    }

    /// The shards that route what this filter matches.
    pub(super) fn homes_of(&self, filter: &str) -> Range<u16> {
        let filter = match parse_shared(filter) {
            Some(Ok(shared)) => shared.filter,
            _ => filter,
        };
        if has_wildcard(filter) {
            return 0..self.shards;
        }
        let home = self.homes.of(filter.as_bytes()).0;
        home..home + 1
    }

    /// At a filter's home: routes to a slot from here on; the route and the replay's cursor begin in one step.
    pub(super) fn route_to(
        &mut self,
        shard: ShardId,
        join: u32,
        slot: Slot,
        replay: Option<u32>,
        filter: &str,
    ) {
        let target = Target { shard, slot };
        if is_shared(filter) {
            self.groups.insert(filter, target);
        } else {
            self.table.insert(filter, target);
        }
        if shard == self.id {
            self.work.queue.push_back(Work::Subscribed { join, home: shard });
        } else {
            self.mesh.send(shard, Body::Subscribed { join });
        }
        if let Some(replay) = replay {
            self.cursors.insert((shard, replay), self.retained.open(filter));
            self.replay_more(shard, replay);
        }
    }

    /// At a filter's home: nothing is routed to the slot any more.
    pub(super) fn unroute(&mut self, shard: ShardId, slot: Slot, filter: &str) {
        let target = Target { shard, slot };
        if is_shared(filter) {
            self.groups.remove(target);
        } else {
            self.table.remove(filter, target);
        }
        if shard == self.id {
            self.work.queue.push_back(Work::Unrouted(slot));
        } else {
            self.mesh.send(shard, Body::Unrouted { slot });
        }
    }

    /// A home routes to a subscription. After the last one it is live everywhere and its SUBACK goes out.
    pub(super) fn handle_subscribed(&mut self, id: u32, home: ShardId) {
        let Some(join) = self.joins.joins.get_mut(&id) else { return };
        join.waiting.remove(home);
        if !join.waiting.is_empty() {
            return;
        }
        let join = self.joins.joins.remove(&id).expect("just seen");
        if let Some(client) = self.clients.by_key(join.client)
            && let Some(sub) = client.subscription_mut(join.slot)
            && sub.join == id
        {
            sub.join = 0;
            sub.flags.clear_joining();
            let (position, flags) = (sub.position as usize, sub.flags);
            self.slots[join.slot].subscribers[position].flags = flags;
        }
        for suback in join.subacks {
            let Some(pending) = self.joins.subacks.get_mut(&suback) else { continue };
            pending.joins -= 1;
            let (conn, done) = (pending.conn, pending.joins == 0);
            if let Some(c) = self.connection_mut(conn) {
                c.joining -= 1;
                let resumes = c.joining == 0 && c.paused;
                self.look_at_paused |= resumes;
            }
            if done {
                let pending = self.joins.subacks.remove(&suback).expect("just seen");
                self.send_suback(&pending);
            }
        }
    }

    fn send_suback(&mut self, pending: &PendingSubAck) {
        let client = self.client_of(pending.conn);
        if !client.is_some_and(|client| self.refresh(client)) {
            return; // gone meanwhile; the subscription of a durable session stands
        }
        self.answer(
            pending.conn.index,
            &Packet::SubAck(SubAck {
                packet_id: pending.packet_id,
                reason_string: None,
                user: UserProperties::default(),
                codes: &pending.codes,
            }),
        );
    }

    pub(super) fn handle_unsubscribe(
        &mut self,
        conn: ConnId,
        client: u32,
        packet: &Unsubscribe<'_>,
    ) -> Result<(), Violation> {
        if !packet.filters.iter().all(is_valid_filter) {
            return Err(Violation::TopicFilter);
        }
        let mut codes: SmallVec<[u8; 8]> = SmallVec::new();
        for filter in packet.filters.iter() {
            if codes.len() >= usize::from(self.snapshot.limits.filters_per_packet) {
                codes.push(ReasonCode::ImplementationSpecificError as u8); // UNSUBACK has no 0x97
                continue;
            }
            let known = self.slots.find(filter).and_then(|s| self.clients[client].find(s).ok());
            let reason = match known {
                Some(at) => {
                    self.withdraw(client, at);
                    ReasonCode::Success
                }
                None => ReasonCode::NoSubscriptionExisted,
            };
            codes.push(reason as u8);
        }
        let v5 = self.clients[client].version == Version::V5;
        self.answer(
            conn.index,
            &Packet::UnsubAck(UnsubAck {
                packet_id: packet.packet_id,
                reason_string: None,
                user: UserProperties::default(),
                codes: if v5 { &codes } else { &[] },
            }),
        );
        Ok(())
    }

    /// A subscription that its client no longer lists leaves its slot.
    pub(super) fn leave(&mut self, sub: &Subscription) {
        self.subscriptions -= 1;
        let entry = &mut self.slots[sub.slot];
        entry.live -= 1;
        let empty = entry.live == 0;
        if sub.flags.shared() {
            self.shared_subscriptions -= 1;
            self.leave_group(sub.slot, sub.position as usize);
        } else if self.work.half_done {
            entry.subscribers[sub.position as usize].client = Subscriber::GONE;
            self.work.holed.push(sub.slot);
        } else {
            self.remove_subscriber(sub.slot, sub.position as usize);
        }
        if empty {
            let filter: Box<str> = self.slots.filter(sub.slot).into();
            let homes = self.homes_of(&filter);
            self.slots.leave(sub.slot, homes.len() as u16);
            for home in homes.map(ShardId) {
                if home == self.id {
                    self.unroute(home, sub.slot, &filter);
                } else {
                    self.mesh.send(home, Body::Unroute { slot: sub.slot, filter: filter.clone() });
                }
            }
        } else if sub.flags.shared() {
            self.tell_members(sub.slot);
        }
    }
}

/// Of a valid filter.
fn is_shared(filter: &str) -> bool {
    filter.starts_with("$share/")
}
