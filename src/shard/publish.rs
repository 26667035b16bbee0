//! Publishing: at the publisher's home (limits, refusals, tickets) and at the topic's home (retained messages and
//! the one match).

use std::num::NonZeroU16;
use std::sync::Arc;

use crate::mqtt::publish::Publish;
use crate::mqtt::{PacketId, QoS, ReasonCode, Version, Violation};
use crate::policy::RefusedPublish;
use crate::routing::{ShardId, Share, Target};
use crate::session::{AckKind, ConnId, Outcome, Run, RunBuilder, Will};
use crate::time::Time;

use super::effect::CloseCause;
use super::hits::HitPlace;
use super::mesh::Work;
use super::message::{Body, Slots, Ticket};
use super::rejected::Act;
use super::{Counters, Shard};

/// The publishes of one read that wait to be sent on as one run.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) run: RunBuilder,
    first_ticket: u64,
    /// Where it was counted that the first of them was allowed.
    counted: HitPlace,
}

impl Shard {
    /// Takes one PUBLISH with a topic alias. The alias stands for its topic even when the publish itself is refused.
    pub(super) fn handle_publish_by_alias(
        &mut self,
        conn: ConnId,
        client: u32,
        publish: Publish<'_>,
        alias: NonZeroU16,
        pending: &mut Pending,
    ) -> Result<(), Violation> {
        let c = &mut self.connections[conn.index as usize];
        if alias.get() > c.aliases_from {
            return Err(Violation::TopicAliasTooLarge); // [MQTT-3.3.2-9]
        }
        if !self.snapshot.limits.allow_topic(publish.topic) {
            return Err(Violation::TopicTooLong); // before it is kept
        }
        // Taken out, so that the topic can be borrowed from it meanwhile.
        let mut introduced = c.introduced.take().unwrap_or_default();
        let taken = introduced
            .resolve(alias, publish.topic)
            .and_then(|topic| self.handle_publish(client, &Publish { topic, ..publish }, pending));
        self.connections[conn.index as usize].introduced = Some(introduced);
        taken
    }

    /// Takes one PUBLISH from a connected client. It joins the pending run, or the pending run goes out first.
    pub(super) fn handle_publish(
        &mut self,
        client: u32,
        publish: &Publish<'_>,
        pending: &mut Pending,
    ) -> Result<(), Violation> {
        if !publish.properties.subscription_ids.is_empty() {
            return Err(Violation::SubscriptionIdFromClient); // [MQTT-3.3.4-6]
        }
        let limits = &self.snapshot.limits;
        if !limits.allow_topic(publish.topic) {
            return Err(Violation::TopicTooLong);
        }
        if !publish.properties.raw.is_empty() && !limits.allow_user(publish.properties.user()) {
            return Err(Violation::TooManyUserProperties);
        }
        let mut ticket = 0;
        if publish.qos != QoS::AtMostOnce {
            let id = publish.packet_id.expect("the codec gives every publish of QoS 1 and 2 one");
            let kind = if publish.qos == QoS::AtLeastOnce { AckKind::PubAck } else { AckKind::PubRec };
            let c = &mut self.clients[client];
            let conn = c.conn.expect("who publishes is connected");
            let receive_maximum = usize::from(self.connections[conn.index as usize].receive_maximum);
            let v5 = c.version == Version::V5;
            let inbound = &mut c.flow_mut().inbound;
            let repeated = kind == AckKind::PubRec && inbound.is_unreleased(id);
            let counted = kind == AckKind::PubRec && inbound.is_counted(id);
            if v5 && !counted && inbound.unacknowledged() >= receive_maximum {
                return Err(Violation::ReceiveMaximum); // [MQTT-3.3.4-7]
            }
            if repeated {
                // [MQTT-4.3.3-10]: acknowledged again, in its turn, and not passed on again.
                self.ship(client, pending);
                self.clients[client].flow_mut().inbound.repeat(id);
                self.send_acks(client);
                return Ok(());
            }
            if !self.takes_publish(client, publish, pending) {
                self.refuse_publish(client, publish, Some((id, kind)), pending);
                return Ok(());
            }
            if !pending.run.is_empty() && !pending.run.takes(publish) {
                self.ship(client, pending);
            }
            ticket = self.clients[client].flow_mut().inbound.open(id, kind);
        } else if !self.takes_publish(client, publish, pending) {
            self.refuse_publish(client, publish, None, pending);
            return Ok(());
        } else if !pending.run.is_empty() && !pending.run.takes(publish) {
            self.ship(client, pending);
        }
        self.counters.messages_received += 1;
        self.counters.payload_bytes_received += publish.payload.len() as u64;
        if pending.run.is_empty() {
            pending.first_ticket = ticket;
        }
        let expiry = publish.properties.message_expiry_secs;
        let expires = expiry.map_or(Time::NEVER, |secs| self.now.after_secs(u64::from(secs)));
        pending.run.push(publish, expires);
        Ok(())
    }

    /// Whether this client may publish to this topic. What joins the pending run was judged with its first one.
    #[inline]
    fn takes_publish(&self, client: u32, publish: &Publish<'_>, pending: &mut Pending) -> bool {
        if !pending.run.is_empty() && pending.run.takes(publish) {
            self.hits.count_again(pending.counted);
            return true;
        }
        let (allowed, counted) = self.judge_publish(client, publish.topic);
        if allowed {
            pending.counted = counted; // what is refused joins no run
        }
        allowed
    }

    /// A publish that its client may not make: 5.0 is told, 3.1.1 is acknowledged or closed, as is configured.
    #[cold]
    fn refuse_publish(
        &mut self,
        client: u32,
        publish: &Publish<'_>,
        acknowledged: Option<(PacketId, AckKind)>,
        pending: &mut Pending,
    ) {
        self.ship(client, pending);
        self.counters.messages_received += 1;
        self.counters.payload_bytes_received += publish.payload.len() as u64;
        self.counters.publishes_refused += 1;
        let reason = ReasonCode::NotAuthorized;
        self.reject_act(client, Act::Publish(publish.topic, publish.qos), reason);
        let c = &self.clients[client];
        if c.version != Version::V5 && self.snapshot.refused_publish_v3 == RefusedPublish::Close {
            let conn = c.conn.expect("who publishes is connected");
            self.disconnect(conn, reason, CloseCause::Refused(reason));
        } else if let Some((id, kind)) = acknowledged {
            self.answer_ticket(client, id, kind, Outcome::Refused(reason));
        }
    }

    /// Acknowledges a publish that goes nowhere, in its turn.
    fn answer_ticket(&mut self, client: u32, id: PacketId, kind: AckKind, outcome: Outcome) {
        let inbound = &mut self.clients[client].flow_mut().inbound;
        let ticket = inbound.open(id, kind);
        inbound.settle(ticket, 1, outcome);
        self.send_acks(client);
    }

    /// Sends the pending run to its topic's home.
    #[inline]
    pub(super) fn ship(&mut self, client: u32, pending: &mut Pending) {
        if pending.run.is_empty() {
            return;
        }
        let run = pending.run.build(self.id, self.clients[client].publisher, self.now);
        let ticket = (run.qos != QoS::AtMostOnce)
            .then(|| Ticket { session: self.clients.key(client), first: pending.first_ticket });
        self.send_home(run, ticket);
    }

    /// Publishes a will. It holds credit as any publish does and does not wait for it: there is at most one a
    /// session.
    pub(super) fn publish_will(&mut self, will: &Will, publisher: u64) {
        let run = will.publish(self.id, publisher, self.now);
        self.send_home(run, None);
    }

    /// Takes credit, whether there is some or not, and gives the run to its topic's home.
    pub(super) fn send_home(&mut self, run: Arc<Run>, ticket: Option<Ticket>) {
        self.mesh.credit.messages += run.items().len() as u64;
        self.mesh.credit.bytes += run.bytes() as u64;
        let home = self.homes.of(run.topic().as_bytes());
        if home == self.id {
            self.route(run, ticket);
        } else {
            self.mesh.send(home, Body::Publish { run, ticket });
        }
    }

    /// At the topic's home: what is retained, one match, one message to each shard with subscribers.
    pub(super) fn route(&mut self, run: Arc<Run>, ticket: Option<Ticket>) {
        let refused = run.retain && !self.retain(&run);
        let Counters { publishes_accepted, publishes_refused, .. } = &mut self.counters;
        let count = if refused { publishes_refused } else { publishes_accepted };
        // Counted here because nobody hears at its publisher's that a QoS 0 publish is refused.
        *count += if run.system { 0 } else { run.items().len() as u64 };
        let outcome = if refused {
            self.give_back(&run);
            self.reject_retained(run.topic(), run.qos);
            Outcome::Refused(ReasonCode::QuotaExceeded)
        } else if self.distribute(&run) {
            Outcome::Matched
        } else {
            Outcome::NoMatch
        };
        if let Some(ticket) = ticket {
            let count = run.items().len() as u32;
            if run.origin == self.id {
                self.settle(ticket, count, outcome);
            } else {
                self.mesh.send(run.origin, Body::Taken { ticket, count, outcome });
            }
        }
    }

    /// False: nobody subscribes.
    fn distribute(&mut self, run: &Arc<Run>) -> bool {
        let mut targets = std::mem::take(&mut self.targets);
        self.table.matches(run.topic(), &mut targets);
        targets.sort_unstable();
        let shards = targets.chunk_by(|a, b| a.shard == b.shard);
        let mut shares = std::mem::take(&mut self.shares);
        let items = run.items().len() as u32;
        let kept = run.qos != QoS::AtMostOnce;
        let in_group = !self.groups.is_empty() && self.groups.assign(run.topic(), items, kept, &mut shares);
        if !targets.is_empty() || !shares.is_empty() {
            if !self.cursors.is_empty() {
                self.overtake(run.topic());
            }
            run.expect_retirements((shards.clone().count() + shares.len()) as u32);
            for group in shards {
                let slots: Slots = group.iter().map(|t| t.slot).collect();
                self.hand_to(group[0].shard, run.clone(), slots);
            }
            for share in shares.drain(..) {
                self.hand_share_to(run.clone(), share);
            }
        } else {
            self.give_back(run);
        }
        let matched = in_group || !targets.is_empty();
        targets.clear();
        self.targets = targets;
        self.shares = shares;
        matched
    }

    fn hand_to(&mut self, shard: ShardId, run: Arc<Run>, slots: Slots) {
        if shard == self.id {
            self.queue_delivery(run, slots, shard);
        } else {
            self.mesh.send(shard, Body::Deliver { run, slots });
        }
    }

    fn hand_share_to(&mut self, run: Arc<Run>, share: Share) {
        let Share { target: Target { shard, slot }, items, accept } = share;
        if shard == self.id {
            self.work.queue.push_back(Work::Share { run, slot, items, accept });
        } else {
            self.mesh.send(shard, Body::Share { run, slot, items, accept });
        }
    }

    /// What became of publishes of a client of this shard.
    pub(super) fn settle(&mut self, ticket: Ticket, count: u32, outcome: Outcome) {
        let Some(client) = self.clients.by_key(ticket.session) else { return };
        client.flow_mut().inbound.settle(ticket.first, count, outcome);
        // Whom an install has put out hears of that alone.
        if self.refresh(ticket.session.index) {
            self.send_acks(ticket.session.index);
        }
    }
}
