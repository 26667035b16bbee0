//! What may reach a client, how often, in which order and how it must look.

use tidemq::mqtt::QoS;
use tidemq::mqtt::subscribe::RetainHandling;
use tidemq::mqtt::topic;

use super::grants::Grant;
use super::{Oracle, Order, Send};
use crate::history::{ClientNo, Delivery, Fault, MessageNo, Moment, SocketNo};

/// How a delivery must look when the subscriptions leave no doubt.
struct Exact {
    qos: QoS,
    ids: Vec<u32>,
    /// Retain As Published, when all subscriptions agree.
    as_published: Option<bool>,
}

/// By which way a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Live,
    Replay,
    /// The RETAIN flag may stand for either.
    Either,
}

impl Oracle {
    pub(super) fn publish_sent(&mut self, at: Moment, no: MessageNo, socket: SocketNo) {
        let post = &mut self.posts[no.0];
        post.sends.push(Send { at, socket: Some(socket) });
        post.settled = None;
        post.missed_by.clear();
        if post.sends.len() == 1 {
            self.owe(at, no);
        }
    }

    pub(super) fn acked(&mut self, at: Moment, no: MessageNo, code: u8) -> Result<(), Fault> {
        let post = &mut self.posts[no.0];
        post.acked = post.acked.or(Some((at.stamp, code)));
        let publisher = post.message.publisher;
        if code >= 0x80 {
            return Err(Fault::of(
                "a publish is refused without a reason",
                publisher,
                format!("{no:?}: {code:#04x}"),
            ));
        }
        let owed = self.posts[no.0].owed.iter().find(|o| !o.filters.is_empty() && self.holds(at.now, o));
        if let Some(owed) = owed.filter(|_| code == 0x10 && self.posts[no.0].sends.len() == 1) {
            let text = format!("{no:?} reaches nobody (0x10), but {:?} subscribed before", owed.client);
            return Err(Fault::of("SUBACK means that every shard routes", publisher, text));
        }
        Ok(())
    }

    pub(super) fn received(&mut self, at: Moment, client: ClientNo, d: &Delivery) -> Result<(), Fault> {
        let Some(epoch) = self.clients[client.0].epoch_of(d.socket) else {
            return Err(Fault::of("a message before CONNECT", client, format!("{d:?}")));
        };
        let Some(no) = d.message else { return self.received_empty(client, d) };
        let fault = |rule, text: String| Err(Fault::of(rule, client, format!("{no:?}: {text} ({d:?})")));
        let Some(post) = self.posts.get(no.0) else { return fault("a message nobody made", String::new()) };
        if post.message.topic != d.topic {
            return fault("topic", format!("published to {}", post.message.topic));
        }
        if post.message.is_will {
            self.check_will(at, client, no)?;
        }
        let Some(first) = post.sends.first() else {
            return fault("a message before it was sent", String::new());
        };
        let view = &self.clients[client.0];
        let grants: Vec<&Grant> = view.possible(epoch, &d.topic, first.at.stamp).collect();
        if grants.is_empty() {
            return fault("no subscription, or after UNSUBACK", format!("sent at {}", first.at.stamp));
        }
        if post.message.publisher == client && grants.iter().all(|g| g.options.no_local) {
            return fault("No Local [MQTT-3.8.3-3]", String::new());
        }
        let Some(way) = self.way(no, d, &grants) else {
            return fault("RETAIN flag [MQTT-3.3.1-8, 3.3.1-12]", "set".to_owned());
        };
        self.check_form(client, no, d, &grants, way)?;
        self.check_expiry(at, client, no, d)?;
        self.count(at, client, no, d, epoch, way)
    }

    fn received_empty(&self, client: ClientNo, d: &Delivery) -> Result<(), Fault> {
        let sent =
            self.posts.iter().any(|p| p.message.empty && p.message.topic == d.topic && !p.sends.is_empty());
        let granted = self.clients[client.0].grants.iter().any(|g| topic::matches(&g.filter, &d.topic));
        if sent && granted {
            Ok(())
        } else {
            Err(Fault::of("an empty message from nowhere", client, format!("{d:?}")))
        }
    }

    fn way(&self, no: MessageNo, d: &Delivery, grants: &[&Grant]) -> Option<Way> {
        let retained = self.posts[no.0].message.retain;
        let replayed =
            retained && grants.iter().any(|g| g.options.retain_handling != RetainHandling::DoNotSend);
        let as_published = retained && grants.iter().any(|g| g.options.retain_as_published);
        match (d.retain, replayed, as_published) {
            (true, true, true) => Some(Way::Either),
            (true, true, false) => Some(Way::Replay),
            (false, _, _) | (true, false, true) => Some(Way::Live),
            (true, false, false) => None,
        }
    }

    /// What the delivery must look like, if every subscription that matters was settled before it was published.
    fn exact(&self, client: ClientNo, no: MessageNo, grants: &[&Grant]) -> Option<Exact> {
        let post = &self.posts[no.0];
        let first = post.sends.first()?.at.stamp;
        let settled = |g: &&Grant| {
            g.acked.is_some_and(|acked| acked < first) && g.unsubscribed.is_none() && g.ended.is_none()
        };
        if post.sends.len() != 1 || !grants.iter().all(settled) {
            return None;
        }
        let own = post.message.publisher == client;
        let heard: Vec<&&Grant> = grants.iter().filter(|g| !(own && g.options.no_local)).collect();
        let qos = heard.iter().map(|g| g.options.qos).max()?.min(post.message.qos);
        let mut ids: Vec<u32> = heard.iter().filter_map(|g| g.id).collect();
        ids.sort_unstable();
        let flag = heard.first()?.options.retain_as_published;
        let agree = heard.iter().all(|g| g.options.retain_as_published == flag);
        Some(Exact { qos, ids, as_published: agree.then_some(flag) })
    }

    fn check_form(
        &self,
        client: ClientNo,
        no: MessageNo,
        d: &Delivery,
        grants: &[&Grant],
        way: Way,
    ) -> Result<(), Fault> {
        let fault = |rule, text: String| Err(Fault::of(rule, client, format!("{no:?}: {text} ({d:?})")));
        let message = &self.posts[no.0].message;
        let mut ids = d.ids.clone();
        // The same identifier twice, when two subscriptions carry it [MQTT 5.0, 3.3.4].
        ids.sort_unstable();
        if way == Way::Live
            && let Some(exact) = self.exact(client, no, grants)
        {
            if d.qos != exact.qos {
                return fault(
                    "QoS of overlapping subscriptions [MQTT-3.3.4-2]",
                    format!("expected {:?}", exact.qos),
                );
            }
            if ids != exact.ids {
                return fault(
                    "subscription identifiers [MQTT-3.3.4-3, 3.3.4-4]",
                    format!("expected {:?}", exact.ids),
                );
            }
            if exact.as_published.is_some_and(|flag| d.retain != (flag && message.retain)) {
                return fault("Retain As Published [MQTT-3.3.1-12]", format!("{:?}", exact.as_published));
            }
            return Ok(());
        }
        if !grants.iter().any(|g| g.options.qos.min(message.qos) == d.qos) {
            return fault("QoS that nobody granted", String::new());
        }
        if !d.ids.iter().all(|id| grants.iter().any(|g| g.id == Some(*id))) {
            return fault("a subscription identifier of no matching subscription", String::new());
        }
        Ok(())
    }

    fn check_expiry(&self, at: Moment, client: ClientNo, no: MessageNo, d: &Delivery) -> Result<(), Fault> {
        let fault = |rule, text: String| Err(Fault::of(rule, client, format!("{no:?}: {text} ({d:?})")));
        let post = &self.posts[no.0];
        let Some(sent) = post.sends.last() else { return Ok(()) };
        match (post.message.expiry_secs, d.expiry_secs) {
            (None, Some(_)) => fault("an expiry that nobody asked for", String::new()),
            (Some(asked), left) => {
                let elapsed = at.now.since(post.sends[0].at.now).as_secs() + 2;
                if left.is_some_and(|left| left > asked || u64::from(left) + elapsed < u64::from(asked)) {
                    return fault("remaining expiry [MQTT-3.3.2-6]", format!("asked {asked}"));
                }
                let connected = self.clients[client.0].sockets[&d.socket].connected;
                if !d.dup && connected > sent.at.now.after_secs(u64::from(asked) + 2) {
                    return fault("an expired message [MQTT-3.3.2-5]", format!("connected at {connected:?}"));
                }
                Ok(())
            }
            (None, None) => Ok(()),
        }
    }

    /// How often, and in which order.
    fn count(
        &mut self,
        at: Moment,
        client: ClientNo,
        no: MessageNo,
        d: &Delivery,
        epoch: u32,
        way: Way,
    ) -> Result<(), Fault> {
        let fault = |rule, text: String| Err(Fault::of(rule, client, format!("{no:?}: {text} ({d:?})")));
        if way == Way::Live && d.qos == QoS::AtMostOnce && self.posts[no.0].missed_by.contains(&client) {
            return fault("QoS 0 kept for an offline session", String::new());
        }
        if way == Way::Replay {
            self.check_replay(at, client, no, d, epoch)?;
        }
        let replays_allowed = self.replays_allowed(client, no, epoch);
        // Route and replay begin in one step: by one subscription a message comes live or as a replay, not both.
        let topic = &self.posts[no.0].message.topic;
        let alone = self.clients[client.0].possible(epoch, topic, 0).count() == 1;
        let post = &self.posts[no.0];
        let sends = if post.message.qos == QoS::ExactlyOnce { 1 } else { post.sends.len() as u32 };
        let repeated_publish = post.message.qos == QoS::AtLeastOnce && post.sends.len() > 1;
        let seen = self.clients[client.0].seen.entry((epoch, no)).or_default();
        let known = seen.live + seen.replays + seen.either > 0;
        if d.dup && d.qos == QoS::AtLeastOnce && known {
            if seen.sockets.contains(&d.socket) && replays_allowed == 0 && sends == 1 {
                return fault("repeated on the same connection [MQTT-4.4.0-1]", String::new());
            }
            seen.sockets.push(d.socket);
            return Ok(());
        }
        seen.sockets.push(d.socket);
        match way {
            Way::Live => seen.live += 1,
            Way::Replay => seen.replays += 1,
            Way::Either => seen.either += 1,
        }
        let all = seen.live + seen.replays + seen.either;
        if seen.live > sends
            || seen.replays > replays_allowed
            || all > sends + replays_allowed
            || (alone && sends == 1 && all > 1)
        {
            let (live, replays, either) = (seen.live, seen.replays, seen.either);
            let text =
                format!("live {live} of {sends}, replayed {replays} of {replays_allowed}, or {either}");
            return fault("a duplicate", text);
        }
        if way == Way::Live && !known {
            self.check_order(client, no, d, epoch, repeated_publish)?;
            self.posts[no.0].live_at.entry(client).or_insert((at.stamp, d.qos));
        }
        for owed in self.posts[no.0].owed.iter_mut().filter(|o| o.client == client && o.epoch == epoch) {
            if d.qos < owed.qos() && !owed.filters.is_empty() && way == Way::Live {
                return fault("QoS below what was granted", format!("owed {:?}", owed.qos()));
            }
            owed.done = true;
        }
        Ok(())
    }

    fn check_order(
        &mut self,
        client: ClientNo,
        no: MessageNo,
        d: &Delivery,
        epoch: u32,
        repeated: bool,
    ) -> Result<(), Fault> {
        let message = &self.posts[no.0].message;
        if message.is_will {
            return Ok(());
        }
        let order = Order {
            epoch,
            publisher: message.publisher,
            topic: message.topic.clone(),
            published: message.qos,
            delivered: d.qos,
        };
        let last = self.clients[client.0].last.entry(order).or_insert(no);
        // A publisher that repeats QoS 1 after a cut may repeat what was overtaken by its own later messages.
        let last_no = *last;
        *last = no.max(*last);
        // Of two connections that race, the one that was read later may have been opened first.
        if no < last_no && !repeated && !self.raced(last_no, no) {
            let text = format!("{no:?} after {last_no:?} ({d:?})");
            return Err(Fault::of("order [MQTT-4.6.0-5, 4.6.0-6]", client, text));
        }
        Ok(())
    }

    /// Did the connection of the earlier message reach the publisher's home after that of the later one?
    pub(super) fn raced(&self, later: MessageNo, earlier: MessageNo) -> bool {
        let handed = |no: MessageNo| {
            let post = &self.posts[no.0];
            let socket = post.sends.first().and_then(|send| send.socket)?;
            self.clients[post.message.publisher.0].sockets.get(&socket).map(|s| s.handed)
        };
        handed(earlier) > handed(later)
    }
}
