//! One session: its subscriptions, what it is owed, what is in flight to its client, its will.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use tidemq::mqtt::QoS;
use tidemq::mqtt::subscribe::SubscriptionOptions;
use tidemq::time::Time;

use super::{Message, Model, Taken};
use crate::history::{ClientNo, SocketNo};

/// One subscription.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subscription {
    pub(super) options: SubscriptionOptions,
    pub(super) id: Option<u32>,
}

/// How a message must look when it comes.
#[derive(Clone, Debug)]
pub(super) struct Form {
    pub(super) taken: Taken,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    /// Ascending.
    pub(super) ids: Vec<u32>,
    /// It came to a client that is not shown them, and there were two such: which it was is open.
    pub(super) ids_open: bool,
}

/// A message that must come.
#[derive(Clone, Debug)]
pub(super) struct Owed {
    pub(super) form: Form,
    pub(super) step: usize,
    /// By this filter's replay of retained messages.
    pub(super) replay_of: Option<String>,
    /// Another replay of the same message was struck off, and it was open which of the two came.
    pub(super) twin: bool,
    /// It may have gone out on a connection that ended before the client read it.
    pub(super) maybe_sent: bool,
    /// It may come or not.
    pub(super) optional: bool,
}

/// A message that the client has and has not finished acknowledging.
#[derive(Clone, Debug)]
pub(super) struct InFlight {
    pub(super) packet_id: u16,
    pub(super) form: Form,
    /// PUBREC came: only PUBREL is sent for it.
    pub(super) released: bool,
    /// The shared group that it came by.
    pub(super) group: Option<String>,
    /// Too large for a client that did not read: perhaps it was skipped.
    pub(super) maybe_done: bool,
    /// It has left that group since.
    pub(super) left: bool,
}

/// What is known under a client identifier.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) conn: Option<SocketNo>,
    pub(super) expiry_secs: u32,
    pub(super) ends_at: Time,
    pub(super) will: Option<(Rc<Message>, u32)>,
    pub(super) will_at: Time,
    pub(super) subscriptions: BTreeMap<String, Subscription>,
    /// In the order in which they were taken.
    pub(super) owed: Vec<Owed>,
    pub(super) in_flight: Vec<InFlight>,
    /// Packet identifiers to be repeated on this connection, in order `[MQTT-4.4.0-1]`.
    pub(super) resend: VecDeque<u16>,
    /// The step in which it lost its last connection: what came in that step may have been sent or not.
    pub(super) detached: usize,
    /// QoS 2 identifiers received and not released `[MQTT-4.3.3-10]`.
    pub(super) received: BTreeSet<u16>,
    /// Those of them that came on this connection: they count against our Receive Maximum.
    pub(super) counted: BTreeSet<u16>,
}

impl Session {
    pub(super) fn new() -> Session {
        Session {
            conn: None,
            expiry_secs: 0,
            ends_at: Time::NEVER,
            will: None,
            will_at: Time::NEVER,
            subscriptions: BTreeMap::new(),
            owed: Vec::new(),
            in_flight: Vec::new(),
            resend: VecDeque::new(),
            detached: 0,
            received: BTreeSet::new(),
            counted: BTreeSet::new(),
        }
    }

    pub(super) fn deadline(&self) -> Time {
        self.will_at.min(self.ends_at)
    }

    pub(super) fn in_flight(&mut self, packet_id: u16) -> Option<&mut InFlight> {
        self.in_flight.iter_mut().find(|f| f.packet_id == packet_id)
    }

    /// How many were sent on this connection and are not finished.
    pub(super) fn open(&self) -> usize {
        self.in_flight.len() - self.resend.len()
    }

    /// Drops what is in flight under this identifier: it is done with.
    pub(super) fn finish(&mut self, packet_id: u16) {
        self.in_flight.retain(|f| f.packet_id != packet_id);
        self.resend.retain(|id| *id != packet_id);
    }

    /// What is left of a replay may come by the subscription as it was or as it is now.
    pub(super) fn adjust_replays(&mut self, filter: &str, options: SubscriptionOptions, id: Option<u32>) {
        self.owed.iter_mut().filter(|o| o.twin).for_each(|o| o.optional = true);
        let pending = self.owed.iter_mut().filter(|o| o.replay_of.as_deref() == Some(filter));
        let changed: Vec<Owed> = pending
            .map(|owed| {
                owed.optional = true;
                let mut changed = owed.clone();
                changed.form.qos = options.qos.min(owed.form.taken.message.qos);
                changed.form.ids = id.into_iter().collect();
                changed
            })
            .collect();
        self.owed.extend(changed);
    }

    /// What is owed for a filter may come or not: the subscription was given up or replaced.
    pub(super) fn excuse(&mut self, by: impl Fn(&Owed) -> bool) {
        self.owed.iter_mut().filter(|o| o.twin || by(o)).for_each(|o| o.optional = true);
    }
}

impl Model {
    /// The session's connection is gone.
    pub(super) fn detach(&mut self, client: ClientNo, keeps_will: bool) {
        let now = self.now;
        let Some(session) = self.sessions.get_mut(&client) else { return };
        let Some(socket) = session.conn.take() else { return };
        let conn = self.conns.get(&socket).expect("a session's connection is known until it has closed");
        let caught_up = conn.caught_up;
        for id in std::mem::take(&mut session.resend) {
            let large = |f: &InFlight| f.form.bytes(conn.version) > conn.maximum_packet;
            if let Some(flight) = session.in_flight(id).filter(|f| !caught_up && !f.released && large(f)) {
                flight.maybe_done = true;
            }
        }
        // QoS 0 is not kept; a replay goes on when its client is back.
        session.owed.retain(|o| o.form.qos != QoS::AtMostOnce || o.replay_of.is_some());
        for owed in &mut session.owed {
            // Too large for whoever just went: done with, or not yet looked at.
            let large = !caught_up && owed.form.bytes(conn.version) > conn.maximum_packet;
            owed.optional |= owed.form.qos == QoS::AtMostOnce || large;
            owed.maybe_sent |= !caught_up || owed.step == self.step;
        }
        session.detached = self.step;
        for pooled in self.pool.iter_mut().filter(|p| !caught_up || p.step == self.step) {
            let forms = pooled.forms(client, session);
            pooled.maybe_sent |= !forms.is_empty();
            // Written to a client that never read it, QoS 0 is lost.
            pooled.optional |= forms.iter().any(|form| form.qos == QoS::AtMostOnce);
        }
        if !keeps_will {
            session.will = None;
        }
        if session.expiry_secs == 0 {
            return self.end_session(client);
        }
        session.ends_at = now.after_secs(u64::from(session.expiry_secs));
        match session.will.as_ref().map(|(_, delay)| *delay) {
            Some(0) => self.publish_will(client),
            Some(secs) => session.will_at = now.after_secs(u64::from(secs)),
            None => {}
        }
    }

    /// The session is over: its will goes out if it still waits `[MQTT-3.1.2-8]`.
    pub(super) fn end_session(&mut self, client: ClientNo) {
        self.publish_will(client);
        if let Some(session) = self.sessions.remove(&client) {
            self.hand_back(session);
        }
    }

    pub(super) fn publish_will(&mut self, client: ClientNo) {
        let Some(session) = self.sessions.get_mut(&client) else { return };
        session.will_at = Time::NEVER;
        if let Some((message, _)) = session.will.take() {
            self.met.wills += 1;
            self.publish(message);
        }
    }

    /// What expired before it was sent is not sent any more `[MQTT-3.3.2-5]`.
    pub(super) fn forget_expired(&mut self) {
        let now = self.now;
        let mut expired = 0;
        for session in self.sessions.values_mut() {
            let on_its_way = session.conn.is_some_and(|no| !self.conns[&no].caught_up);
            for owed in session.owed.iter_mut().filter(|o| o.form.taken.expires <= now) {
                // What was already written to a client that does not read comes all the same.
                owed.optional = true;
                expired += usize::from(!on_its_way);
            }
            session.owed.retain(|o| o.form.taken.expires > now || on_its_way || o.maybe_sent);
        }
        for pooled in self.pool.iter_mut().filter(|p| p.taken.expires <= now) {
            pooled.optional = true;
        }
        self.met.expired += expired;
    }
}
