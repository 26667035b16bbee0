//! How connections and sessions end: closing, wills, session expiry, keep alive, and the visits of the wheel.

use crate::mqtt::disconnect::Disconnect;
use crate::mqtt::{Packet, ReasonCode, Version, Violation};
use crate::policy::Ground;
use crate::session::{ConnId, Outgoing};
use crate::time::Time;

use super::Shard;
use super::connection::{Connection, Phase};
use super::effect::{CloseCause, Effect, End};
use super::explain::{Refusal, why_closed};
use super::rejected::Act;
use super::system::replace;

/// Who the wheel visits: a place, whoever is there by then. A place that has a visit booked is booked again only for
/// an earlier one, so that a storm of tenants books a few.
#[derive(Clone, Copy, Debug)]
pub(super) enum Visit {
    /// By its index.
    Connection(u32),
    /// By its client's index.
    Session(u32),
    /// The retained messages that expire.
    Retained,
}

/// What becomes of a will when its connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WillFate {
    /// The client said goodbye `[MQTT-3.14.4-3]`, an Apply no longer accepts it, or the broker stops.
    Delete,
    /// It is published, after its delay.
    Keep,
}

impl Shard {
    /// The peer is gone, or the socket failed, without our having asked. `conn.index` is free afterwards.
    /// Never called after `Effect::Close` for the same connection.
    pub fn handle_end(&mut self, conn: ConnId, _end: End) {
        // The shard may have closed it in this very turn: the driver has not read that effect yet.
        let c = self.connections.get(conn.index as usize);
        if !c.is_some_and(|c| c.generation == conn.generation && c.phase != Phase::Free) {
            return;
        }
        // What came before the end and was only waiting for credit counts as received. A CONNECT that waits for its
        // password does not: nobody is there any more to be accepted.
        let c = &mut self.connections[conn.index as usize];
        if c.paused && c.phase == Phase::Connected {
            c.paused = false;
            self.finish_reading(conn);
        }
        let c = &self.connections[conn.index as usize];
        match c.phase {
            Phase::Connected => self.detach(c.client, WillFate::Keep),
            Phase::Connecting | Phase::Closing | Phase::Free => {}
        }
        self.effects.retain(|e| !matches!(e, Effect::Close { conn: closed, .. } if *closed == conn));
        self.free(conn);
    }

    /// The driver has done what `Effect::Close` asked and no longer needs `output(conn)`. `conn.index` is free.
    pub fn handle_closed(&mut self, conn: ConnId) {
        let c = self.connections.get(conn.index as usize);
        if c.is_some_and(|c| c.generation == conn.generation && c.phase == Phase::Closing) {
            self.free(conn);
        }
    }

    fn free(&mut self, conn: ConnId) {
        let c = &mut self.connections[conn.index as usize];
        self.dirty.discard(&mut c.out);
        let out = std::mem::take(&mut c.out);
        *c = Connection { generation: conn.generation, visit: c.visit, out, ..Connection::default() };
        self.open_connections -= 1;
    }

    /// The broker stops: every client is told (5.0: 0x8B) and closed. Wills are not published.
    pub fn stop(&mut self) {
        for index in 0..self.connections.len() {
            let c = &self.connections[index];
            let conn = ConnId { index: index as u32, generation: c.generation };
            match c.phase {
                Phase::Connected => {
                    let client = c.client;
                    self.clients[client].will = None;
                    self.disconnect(conn, ReasonCode::ServerShuttingDown, CloseCause::Stopping);
                }
                Phase::Connecting => self.close(conn, CloseCause::Stopping),
                Phase::Closing | Phase::Free => {}
            }
        }
    }

    /// Tells a connected client why (5.0 only: 3.1.1 has no such packet) and closes.
    pub(super) fn disconnect(&mut self, conn: ConnId, reason: ReasonCode, cause: CloseCause) {
        let c = &self.connections[conn.index as usize];
        if c.version == Version::V5 && c.phase == Phase::Connected {
            let packet = Packet::Disconnect(Disconnect::new(reason));
            self.answer_because(conn.index, &packet, why_closed(cause));
        }
        self.close(conn, cause);
    }

    /// The peer broke the protocol: it is told as its version allows, counted, and closed.
    pub(super) fn violate(&mut self, conn: ConnId, violation: Violation) {
        *self.counters.violations.entry(violation).or_default() += 1;
        let c = &self.connections[conn.index as usize];
        match c.phase {
            Phase::Connected => {
                self.disconnect(conn, violation.reason_code(), CloseCause::Violation(violation));
            }
            Phase::Connecting => {
                let (ground, why) = (Ground::Protocol(violation), violation.describe());
                self.reject_connect(conn, None, ground.clone(), why.to_owned());
                // A malformed 3.1.1 CONNECT is closed without a word; an unknown level is told so.
                let v5 = self.connections[conn.index as usize].version == Version::V5;
                if v5 || violation == Violation::UnsupportedVersion {
                    self.send_refusal(conn, &Refusal::new(ground, violation.reason_code(), why));
                } else {
                    self.counters.connects_refused += 1;
                }
                self.close(conn, CloseCause::Violation(violation));
            }
            Phase::Closing | Phase::Free => {}
        }
    }

    /// Closes a connection: its session is detached, its output flushed once more by the driver.
    pub(super) fn close(&mut self, conn: ConnId, cause: CloseCause) {
        // What it is told last is not handed out by `next_dirty`.
        if self.tracing.is_some() {
            self.trace_output(conn);
        }
        let c = &mut self.connections[conn.index as usize];
        let phase = std::mem::replace(&mut c.phase, Phase::Closing);
        c.partial = Vec::new();
        c.paused = false;
        if phase == Phase::Connected {
            let fate = match cause {
                CloseCause::Disconnected | CloseCause::NotAccepted | CloseCause::Stopping => WillFate::Delete,
                CloseCause::Violation(_)
                | CloseCause::Expelled
                | CloseCause::TakenOver
                | CloseCause::Refused(_)
                | CloseCause::Stalled
                | CloseCause::DisconnectedWithWill => WillFate::Keep,
            };
            self.detach(self.connections[conn.index as usize].client, fate);
        }
        self.effects.push_back(Effect::Close { conn, cause });
    }

    /// The connection of a session is gone.
    fn detach(&mut self, client: u32, fate: WillFate) {
        // Whom an install puts out leaves no will, also who goes before anything else has come by: what is asked of a
        // connection can only be asked while there is one.
        let fate = if self.forfeits_will(client) { WillFate::Delete } else { fate };
        self.connected -= 1;
        let c = &mut self.clients[client];
        let conn = c.conn.take().expect("who goes was connected");
        let listener = self.connections[conn.index as usize].listener;
        self.online.went(listener, c.standing.principal.as_deref());
        c.holds_back = false;
        if let Some(flow) = &mut c.flow {
            flow.inbound.disconnect();
            let before = flow.outgoing.backlog();
            flow.outgoing.disconnect();
            replace(&mut self.backlogs, before, flow.outgoing.backlog());
        }
        if fate == WillFate::Delete {
            c.will = None;
        }
        if c.expiry_secs == 0 {
            return self.end_session(client);
        }
        self.leave_groups_for_now(client);
        let c = &mut self.clients[client];
        c.ends_at = self.now.after_secs(u64::from(c.expiry_secs));
        let delay = c.will.as_ref().map(|w| w.delay_secs);
        match delay {
            Some(0) => self.fire_will(client),
            Some(secs) => self.clients[client].will_at = self.now.after_secs(u64::from(secs)),
            None => {}
        }
        self.book_session(client);
    }

    fn fire_will(&mut self, client: u32) {
        let c = &mut self.clients[client];
        c.will_at = Time::NEVER;
        if c.will.is_none() {
            return;
        }
        self.refresh(client); // its access may have been taken from it
        let c = &mut self.clients[client];
        let publisher = c.publisher;
        let Some(will) = c.will.take() else { return };
        if self.may_publish(client, will.topic()) {
            self.publish_will(&will, publisher);
        } else {
            self.counters.publishes_refused += 1;
            self.reject_act(client, Act::Will(will.topic()), ReasonCode::NotAuthorized);
        }
    }

    /// Ends a session that has no connection: its will goes out if it still waits `[MQTT-3.1.2-8]`, everything
    /// else is forgotten.
    pub(super) fn end_session(&mut self, client: u32) {
        self.fire_will(client);
        let subscriptions = std::mem::take(&mut self.clients[client].subscriptions);
        // Before their slots can be let go.
        if subscriptions.iter().any(|sub| sub.flags.shared()) {
            self.take_back(client, Outgoing::take_shared);
        }
        for sub in &subscriptions {
            self.close_replays(client, sub.slot);
            self.leave(sub);
        }
        if let Some(flow) = &self.clients[client].flow {
            replace(&mut self.backlogs, flow.outgoing.backlog(), (0, 0));
        }
        self.clients.remove(client);
    }

    /// What time it is, once a turn before anything else. Visits whoever is due.
    pub fn handle_time(&mut self, now: Time) {
        self.now = self.now.max(now);
        self.record_flushed();
        self.rejections.begin_turn();
        let mut due = std::mem::take(&mut self.due);
        self.wheel.expire(self.now, &mut due);
        for (at, visit) in due.drain(..) {
            match visit {
                Visit::Connection(index) => {
                    if self.connections[index as usize].visit == at {
                        self.visit_connection(index);
                    }
                }
                Visit::Session(client) => {
                    if self.clients[client].visit == at {
                        self.visit_session(client);
                    }
                }
                Visit::Retained => self.visit_expiring(at),
            }
        }
        due.shrink_to(super::wheel::KEPT);
        self.due = due;
    }

    /// When `handle_time` must be called at the latest.
    pub fn deadline(&self) -> Option<Time> {
        self.wheel.deadline()
    }

    fn visit_connection(&mut self, index: u32) {
        let stall = u64::from(self.snapshot.limits.output_stall_secs);
        let c = &mut self.connections[index as usize];
        c.visit = Time::NEVER;
        if matches!(c.phase, Phase::Closing | Phase::Free) {
            return;
        }
        let conn = ConnId { index, generation: c.generation };
        let patience = std::time::Duration::from_millis(u64::from(c.patience_millis));
        if c.out.stalls_at(stall) <= self.now {
            return self.disconnect(conn, ReasonCode::QuotaExceeded, CloseCause::Stalled);
        }
        match c.phase {
            Phase::Connecting if c.since <= self.now => {
                if !self.give_up_verifying(conn) {
                    self.violate(conn, Violation::ConnectTimeout);
                }
                return;
            }
            // While we do not read it, the client cannot be late.
            Phase::Connected if c.paused => c.since = self.now,
            Phase::Connected if !patience.is_zero() && c.since + patience <= self.now => {
                return self.violate(conn, Violation::KeepAlive);
            }
            _ => {}
        }
        self.book_connection(index);
    }

    /// Has the wheel come by when this connection may next be late.
    pub(super) fn book_connection(&mut self, index: u32) {
        let stall = u64::from(self.snapshot.limits.output_stall_secs);
        let c = &mut self.connections[index as usize];
        let mut at = c.out.stalls_at(stall);
        match c.phase {
            Phase::Connecting => at = at.min(c.since),
            Phase::Connected if c.patience_millis > 0 => {
                let patience = std::time::Duration::from_millis(u64::from(c.patience_millis));
                at = at.min(c.since + patience);
            }
            _ => {}
        }
        if at < c.visit {
            c.visit = self.wheel.book(self.now, at, Visit::Connection(index));
        }
    }

    fn visit_session(&mut self, client: u32) {
        let c = &mut self.clients[client];
        c.visit = Time::NEVER;
        if c.conn.is_some() || c.client_id.is_empty() {
            return;
        }
        if c.ends_at <= self.now {
            self.counters.sessions_expired += 1;
            return self.end_session(client);
        }
        if c.will_at <= self.now {
            self.fire_will(client);
        }
        self.book_session(client);
    }

    fn book_session(&mut self, client: u32) {
        let c = &mut self.clients[client];
        let at = c.will_at.min(c.ends_at);
        if at < c.visit {
            c.visit = self.wheel.book(self.now, at, Visit::Session(client));
        }
    }
}
