//! Who subscribed to what, from when until when, as far as SUBACK and UNSUBACK make it known.

use tidemq::mqtt::QoS;
use tidemq::mqtt::subscribe::SubscriptionOptions;
use tidemq::mqtt::topic;

use super::{Oracle, Owed, View};
use crate::history::{ClientNo, Fault, MessageNo, Moment, SocketNo, Stamp};

/// One filter of one SUBSCRIBE.
pub(super) struct Grant {
    pub filter: String,
    pub options: SubscriptionOptions,
    pub id: Option<u32>,
    pub socket: SocketNo,
    pub packet_id: u16,
    pub sent: Stamp,
    /// SUBACK read.
    pub acked: Option<Stamp>,
    /// UNSUBSCRIBE sent.
    pub unsubscribed: Option<Stamp>,
    /// UNSUBACK read, or the SUBACK of a later SUBSCRIBE to the same filter.
    pub ended: Option<Stamp>,
}

pub(super) struct Unsubscribing {
    sent: Stamp,
    filters: Vec<String>,
}

impl View {
    /// The session that a connection belongs to.
    pub(super) fn epoch_of(&self, socket: SocketNo) -> Option<u32> {
        self.sockets.get(&socket).map(|s| s.epoch)
    }

    /// Subscriptions of a session that may have matched `name` at some time since `since`.
    pub(super) fn possible<'a>(
        &'a self,
        epoch: u32,
        name: &'a str,
        since: Stamp,
    ) -> impl Iterator<Item = &'a Grant> {
        self.grants.iter().filter(move |g| {
            g.ended.is_none_or(|ended| ended >= since)
                && self.epoch_of(g.socket) == Some(epoch)
                && topic::matches(&g.filter, name)
        })
    }
}

impl Oracle {
    pub(super) fn subscribe_sent(
        &mut self,
        at: Moment,
        client: ClientNo,
        socket: SocketNo,
        packet_id: u16,
        id: Option<u32>,
        filters: Vec<(String, SubscriptionOptions)>,
    ) {
        for (filter, options) in filters {
            // What is owed may now come with the new subscription's QoS, or not at all to the publisher itself.
            for post in &mut self.posts {
                let own = options.no_local && post.message.publisher == client;
                for owed in post.owed.iter_mut().filter(|o| o.client == client) {
                    for (_, qos) in owed.filters.iter_mut().filter(|(known, _)| *known == filter) {
                        *qos = (*qos).min(options.qos);
                    }
                    owed.filters.retain(|(known, _)| !own || *known != filter);
                }
            }
            self.clients[client.0].grants.push(Grant {
                filter,
                options,
                id,
                socket,
                packet_id,
                sent: at.stamp,
                acked: None,
                unsubscribed: None,
                ended: None,
            });
        }
    }

    pub(super) fn suback(
        &mut self,
        at: Moment,
        client: ClientNo,
        socket: SocketNo,
        packet_id: u16,
        codes: &[u8],
    ) -> Result<(), Fault> {
        let view = &mut self.clients[client.0];
        let answered: Vec<usize> = (0..view.grants.len())
            .filter(|i| {
                let g = &view.grants[*i];
                g.socket == socket && g.packet_id == packet_id && g.acked.is_none()
            })
            .collect();
        if answered.len() != codes.len() {
            let text = format!("{} codes for {} filters, packet {packet_id}", codes.len(), answered.len());
            return Err(Fault::of("SUBACK [MQTT-3.8.4-6]", client, text));
        }
        for (index, code) in answered.into_iter().zip(codes) {
            let grant = &mut view.grants[index];
            grant.acked = Some(at.stamp);
            if *code != grant.options.qos as u8 {
                let text = format!("{} asked {:?}, answered {code:#04x}", grant.filter, grant.options.qos);
                return Err(Fault::of("granted QoS [MQTT-3.8.4-8]", client, text));
            }
            let (filter, sent) = (grant.filter.clone(), grant.sent);
            for old in view.grants.iter_mut().filter(|g| g.filter == filter && g.sent < sent) {
                old.ended = old.ended.or(Some(at.stamp));
            }
        }
        Ok(())
    }

    pub(super) fn unsubscribe_sent(
        &mut self,
        at: Moment,
        client: ClientNo,
        socket: SocketNo,
        packet_id: u16,
        filters: Vec<String>,
    ) {
        for owed in self.posts.iter_mut().flat_map(|post| &mut post.owed).filter(|owed| owed.client == client)
        {
            owed.filters.retain(|(filter, _)| !filters.contains(filter));
        }
        let view = &mut self.clients[client.0];
        for grant in view.grants.iter_mut().filter(|g| filters.contains(&g.filter)) {
            grant.unsubscribed = grant.unsubscribed.or(Some(at.stamp));
        }
        view.unsubscribing.insert((socket, packet_id), Unsubscribing { sent: at.stamp, filters });
    }

    pub(super) fn unsuback(&mut self, at: Moment, client: ClientNo, socket: SocketNo, packet_id: u16) {
        let view = &mut self.clients[client.0];
        let Some(done) = view.unsubscribing.remove(&(socket, packet_id)) else { return };
        let ends = |g: &&mut Grant| done.filters.contains(&g.filter) && g.sent < done.sent;
        for grant in view.grants.iter_mut().filter(ends) {
            grant.ended = grant.ended.or(Some(at.stamp));
        }
    }

    /// From now on everybody with a certain subscription must get `no`.
    pub(super) fn owe(&mut self, at: Moment, no: MessageNo) {
        let message = &self.posts[no.0].message;
        if message.empty {
            return;
        }
        let mut owed = Vec::new();
        for (index, view) in self.clients.iter().enumerate() {
            if view.unsure || !view.session.is_certain(at.now) {
                continue;
            }
            let client = ClientNo(index);
            let mut filters: Vec<(String, QoS)> = Vec::new();
            let unread = view.grants.iter().filter(|g| view.epoch_of(g.socket).is_none());
            let unread = unread.filter(|g| topic::matches(&g.filter, &message.topic));
            for grant in view.possible(view.epoch, &message.topic, at.stamp).chain(unread) {
                let own = grant.options.no_local && message.publisher == client;
                let certain =
                    grant.acked.is_some() && grant.unsubscribed.is_none() && grant.ended.is_none() && !own;
                let doubt = grant.acked.is_none();
                if let Some((_, qos)) = filters.iter_mut().find(|(filter, _)| *filter == grant.filter) {
                    // A repeated SUBSCRIBE is on its way: either may hold.
                    *qos = (*qos).min(grant.options.qos);
                    if doubt && own {
                        filters.retain(|(filter, _)| *filter != grant.filter);
                    }
                } else if certain {
                    filters.push((grant.filter.clone(), grant.options.qos));
                }
            }
            if filters.is_empty() {
                continue;
            }
            owed.push(Owed {
                client,
                epoch: view.epoch,
                since: at.stamp,
                filters: filters.into_iter().map(|(filter, qos)| (filter, qos.min(message.qos))).collect(),
                up: view.up,
                done: false,
            });
        }
        self.posts[no.0].owed.extend(owed);
    }
}
