//! Nothing is on its way anywhere: what is owed now must have come.

use tidemq::mqtt::QoS;
use tidemq::time::Time;

use super::{Oracle, Owed, Post};
use crate::history::{ClientNo, Fault, MessageNo, Moment};

impl Oracle {
    /// Does a debt still hold: its session lives, its subscription was not given up?
    pub(super) fn holds(&self, now: Time, owed: &Owed) -> bool {
        let view = &self.clients[owed.client.0];
        view.session.is_certain(now)
            && !owed.filters.is_empty()
            && owed.epoch == view.epoch
            && owed.since >= view.owed_since
            && !view.unsure
    }

    pub(super) fn idle(&mut self, at: Moment, lagging: &[ClientNo]) -> Result<(), Fault> {
        for index in 0..self.clients.len() {
            let client = ClientNo(index);
            if self.is_overdue(at, client) {
                return Err(Fault::of(
                    "silent for 1.5 keep alives and not closed [MQTT-3.1.2-22]",
                    client,
                    String::new(),
                ));
            }
        }
        for index in 0..self.posts.len() {
            let no = MessageNo(index);
            if self.posts[index].sends.is_empty() {
                continue;
            }
            let arrived = self.has_arrived(at, no, lagging);
            if !self.rules.may_drop && self.posts[index].message.expiry_secs.is_none() {
                self.check_owed(at, no, arrived, lagging)?;
            }
            // What a paused connection has sent may be taken long after something newer: it settles later.
            let message = &self.posts[index].message;
            if arrived || !(message.is_will || lagging.contains(&message.publisher)) {
                self.settle(at, no);
            }
        }
        Ok(())
    }

    /// Certainly taken by the broker, everything having been read.
    fn has_arrived(&self, at: Moment, no: MessageNo, lagging: &[ClientNo]) -> bool {
        let post = &self.posts[no.0];
        let publisher = &self.clients[post.message.publisher.0];
        if post.message.is_will {
            return self.will_is_out(at, no);
        }
        // Who does not read is not read, sooner or later: its messages may still be on their way.
        let read = !lagging.contains(&post.message.publisher);
        let lives = read
            && post.sends.last().is_some_and(|send| send.socket.is_some() && send.socket == publisher.up);
        post.acked.is_some_and(|(_, code)| code < 0x80) || (post.message.qos == QoS::AtMostOnce && lives)
    }

    fn check_owed(
        &self,
        at: Moment,
        no: MessageNo,
        arrived: bool,
        lagging: &[ClientNo],
    ) -> Result<(), Fault> {
        for owed in self.posts[no.0].owed.iter().filter(|owed| !owed.done && self.holds(at.now, owed)) {
            let up = self.clients[owed.client.0].up;
            let due = match owed.qos() {
                QoS::AtMostOnce => up.is_some() && up == owed.up,
                QoS::AtLeastOnce | QoS::ExactlyOnce => up.is_some(),
            };
            if arrived && due && !lagging.contains(&owed.client) {
                let post = &self.posts[no.0];
                let text = format!(
                    "{no:?} on {} ({:?}, sent at {:?}, acked at {:?}), owed at {:?} since {} by {:?}",
                    post.message.topic,
                    post.message.qos,
                    post.sends.iter().map(|send| send.at.stamp).collect::<Vec<_>>(),
                    post.acked,
                    owed.qos(),
                    owed.since,
                    owed.filters
                );
                return Err(Fault::of("a message is lost", owed.client, text));
            }
        }
        Ok(())
    }

    fn settle(&mut self, at: Moment, no: MessageNo) {
        let clients = &self.clients;
        let Post { sends, settled, owed, missed_by, .. } = &mut self.posts[no.0];
        if settled.is_none() {
            *settled = Some(at.stamp);
            let first = sends[0].at.stamp;
            let offline =
                clients.iter().enumerate().filter(|(_, v)| v.offline_since.is_some_and(|s| s < first));
            missed_by.extend(offline.map(|(index, _)| ClientNo(index)));
        }
        // QoS 0 is owed only to who was there.
        for debt in owed.iter_mut().filter(|debt| debt.qos() == QoS::AtMostOnce) {
            debt.done |= clients[debt.client.0].up.is_none() || clients[debt.client.0].up != debt.up;
        }
    }
}
