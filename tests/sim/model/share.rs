//! Shared groups: each message goes to one member. Which one is open, so that the model keeps what no member has
//! been seen to take in a pool.

use tidemq::mqtt::QoS;
use tidemq::mqtt::topic::{self, Shared, parse_shared};

use super::session::{Form, Session, Subscription};
use super::{Model, Taken};
use crate::history::ClientNo;

/// A message that some member of a group must take.
#[derive(Debug)]
pub(super) struct Pooled {
    pub(super) taken: Taken,
    /// `$share/name/filter`.
    pub(super) group: String,
    pub(super) step: usize,
    pub(super) maybe_sent: bool,
    pub(super) optional: bool,
    /// What members that have since changed their subscription may have it by.
    pub(super) by_old: Vec<(ClientNo, Subscription)>,
    /// It waited when nothing moved: a member that was not there may have it.
    pub(super) parked: bool,
}

impl Pooled {
    /// How a member gets it.
    pub(super) fn form(&self, member: &Subscription) -> Form {
        let message = &self.taken.message;
        Form {
            taken: self.taken.clone(),
            qos: member.options.qos.min(message.qos),
            retain: message.retain && member.options.retain_as_published,
            ids: member.id.into_iter().collect(),
            ids_open: false,
        }
    }
}

impl Pooled {
    /// The forms in which a client may get it.
    pub(super) fn forms(&self, client: ClientNo, session: &Session) -> Vec<Form> {
        let now = session.subscriptions.get(&self.group);
        let old = self.by_old.iter().filter(|(who, _)| *who == client).map(|(_, member)| member);
        now.into_iter().chain(old).map(|member| self.form(member)).collect()
    }
}

impl Model {
    /// Every group whose filter matches has the message once. Returns whether there is one.
    pub(super) fn share(&mut self, taken: &Taken) -> bool {
        let mut groups: Vec<&String> = self
            .sessions
            .values()
            .flat_map(|s| s.subscriptions.keys())
            .filter(|f| f.starts_with("$share/"))
            .collect();
        groups.sort_unstable();
        groups.dedup();
        let name = &taken.message.topic;
        let matching: Vec<String> = groups
            .into_iter()
            .filter(|group| matches!(parse_shared(group), Some(Ok(Shared { filter, .. })) if topic::matches(filter, name)))
            .cloned()
            .collect();
        let any = !matching.is_empty();
        for group in matching {
            let mut pooled = Pooled {
                taken: taken.clone(),
                group,
                step: self.step,
                maybe_sent: false,
                optional: false,
                by_old: Vec::new(),
                parked: false,
            };
            // It may find its member just gone: QoS 0 is lost then, the rest may be kept for whoever is not there.
            let gone = self.sessions.values().filter(|s| s.detached == self.step);
            let members: Vec<&Subscription> =
                gone.filter_map(|s| s.subscriptions.get(&pooled.group)).collect();
            pooled.parked = !members.is_empty();
            pooled.optional = members.iter().any(|member| pooled.form(member).qos == QoS::AtMostOnce);
            self.pool.push(pooled);
        }
        any
    }

    /// A session ended: QoS 1 that its client had not acknowledged goes to another member `[MQTT-4.8.2-5]`, QoS 2
    /// never does; what it had not been sent is still in the pool.
    pub(super) fn hand_back(&mut self, mut session: Session) {
        for flight in std::mem::take(&mut session.in_flight) {
            if let (Some(group), QoS::AtLeastOnce) = (flight.group, flight.form.qos) {
                self.met.moved += 1;
                // Who has unsubscribed since takes it along.
                let optional = flight.left || flight.form.taken.expires <= self.now;
                self.pool.push(Pooled {
                    taken: flight.form.taken,
                    group,
                    step: self.step,
                    maybe_sent: true,
                    optional,
                    by_old: Vec::new(),
                    parked: true,
                });
            }
        }
        // QoS 2 may have been on its way to a member that never read it.
        for pooled in
            self.pool.iter_mut().filter(|p| p.maybe_sent && session.subscriptions.contains_key(&p.group))
        {
            pooled.optional |= pooled.taken.message.qos == QoS::ExactlyOnce;
        }
    }

    /// Nothing moves: what every member could take must have been taken.
    pub(super) fn pool_at_rest(&mut self) -> Result<(), String> {
        let (sessions, conns, now) = (&self.sessions, &self.conns, self.now);
        let mut left = Vec::new();
        for mut pooled in std::mem::take(&mut self.pool) {
            let members: Vec<(ClientNo, &Session, &Subscription)> = sessions
                .iter()
                .filter_map(|(no, s)| s.subscriptions.get(&pooled.group).map(|m| (*no, s, m)))
                .collect();
            let online: Vec<_> = members.iter().filter(|(_, s, _)| s.conn.is_some()).collect();
            // Who cannot take it is passed over; when nobody else is left, it may be dropped.
            let too_small = |(_, s, m): &(ClientNo, &Session, &Subscription)| {
                let conn = s.conn.map(|no| &conns[&no]);
                conn.is_some_and(|c| pooled.form(m).bytes(c.version) > c.maximum_packet)
            };
            let small = members.iter().any(too_small);
            pooled.optional |= small;
            let least = pooled.taken.message.qos;
            let has_room = |(_, s, _): &&&(ClientNo, &Session, &Subscription)| {
                let conn = s.conn.map(|no| &conns[&no]);
                let room = s.resend.is_empty() && conn.is_some_and(|c| s.in_flight.len() < c.window);
                conn.is_some_and(|c| c.caught_up) && room
            };
            let with_room = online.iter().filter(has_room).count();
            let could = with_room == online.len()
                && !online.is_empty()
                && (!pooled.parked || online.len() == members.len());
            if could && !pooled.optional {
                return Err(format!("no member of {} gets {:?}", pooled.group, pooled.taken.message));
            }
            pooled.optional |=
                members.iter().any(|(_, _, m)| m.options.qos == QoS::AtMostOnce) && online.is_empty();
            pooled.parked = true;
            let read = online.iter().all(|(_, s, _)| s.conn.is_none_or(|no| conns[&no].caught_up));
            let old_read = pooled.by_old.iter().all(|(no, _)| {
                let conn = sessions.get(no).map(|s| s.conn.and_then(|no| conns.get(&no)));
                conn.is_none_or(|conn| conn.is_some_and(|c| c.caught_up))
            });
            let stale = pooled.taken.expires <= now && read && old_read && !pooled.maybe_sent;
            let kept =
                least != QoS::AtMostOnce || online.len() > with_room || members.is_empty() || !old_read;
            let settled = could && old_read && !small && online.len() == members.len();
            // The last member took what it had with it; who only unsubscribed may still get it.
            pooled.optional |= members.is_empty();
            let wanted = !members.is_empty() || pooled.by_old.iter().any(|(no, _)| sessions.contains_key(no));
            if wanted && kept && !settled && !stale {
                left.push(pooled);
            }
        }
        self.pool = left;
        Ok(())
    }
}
