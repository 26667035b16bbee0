//! What a client sends, and what that does.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use tidemq::mqtt::subscribe::SubscriptionOptions;
use tidemq::mqtt::{QoS, Version};
use tidemq::time::Time;

use super::session::{Session, Subscription};
use super::{Answer, Conn, Connecting, Message, Model, Told};
use crate::history::{ClientNo, SocketNo};
use crate::wire::AckKind;

impl Model {
    /// A client wrote a whole packet on a connection, and the broker will read it.
    pub fn told(&mut self, client: ClientNo, socket: SocketNo, told: Told) {
        if let Told::Connect(connecting) = told {
            return self.connect(client, socket, &connecting);
        }
        let Some(conn) = self.conns.get_mut(&socket).filter(|c| c.over.is_none()) else { return };
        conn.last_packet = self.now;
        match told {
            Told::Connect(_) => {}
            Told::Publish { message, packet_id } => self.published(client, socket, message, packet_id),
            Told::Subscribe { packet_id, id, filters } => {
                self.subscribe(client, socket, packet_id, id, filters);
            }
            Told::Unsubscribe { packet_id, filters } => self.unsubscribe(client, socket, packet_id, &filters),
            Told::Ack { kind, packet_id, refuses } => {
                self.acknowledge(client, socket, kind, packet_id, refuses);
            }
            Told::Ping => conn.answers.push_back(Answer::PingResp),
            Told::Disconnect { with_will, expiry_secs } => {
                conn.over = Some(None);
                if let (Some(secs), Some(session)) = (expiry_secs, self.sessions.get_mut(&client)) {
                    session.expiry_secs = self.limits.granted(secs);
                }
                self.detach(client, with_will); // [MQTT-3.14.4-3]
            }
            Told::Crime(code) => {
                self.met.crimes += 1;
                self.end(socket, code);
            }
        }
    }

    /// The connection is lost, without DISCONNECT.
    pub fn lost(&mut self, client: ClientNo, socket: SocketNo, saw_everything: bool) {
        let Some(conn) = self.conns.get_mut(&socket) else { return };
        conn.caught_up &= saw_everything;
        conn.closed = true;
        if conn.over.replace(None).is_none() {
            self.detach(client, true);
        }
    }

    /// The broker ends a connection, and says why.
    pub(super) fn end(&mut self, socket: SocketNo, code: u8) {
        let Some(conn) = self.conns.get_mut(&socket).filter(|c| c.over.is_none()) else { return };
        conn.over = Some((conn.version == Version::V5).then_some(code));
        let client = conn.client;
        self.detach(client, true);
    }

    fn connect(&mut self, client: ClientNo, socket: SocketNo, c: &Connecting) {
        let asked = match (c.version, c.clean) {
            (Version::V5, _) => c.expiry_secs,
            (_, true) => 0,
            (_, false) => self.limits.expiry_maximum_secs,
        };
        if let Some(old) = self.sessions.get(&client).and_then(|s| s.conn) {
            self.met.taken_over += 1;
            self.end(old, 0x8E); // [MQTT-3.1.4-3]
        }
        if c.clean {
            self.end_session(client); // [MQTT-3.1.2-4]
        }
        let session_present = self.sessions.contains_key(&client);
        self.met.resumed += usize::from(session_present);
        let window = c.receive_maximum.map_or(usize::from(u16::MAX), usize::from).min(self.limits.inflight);
        let session = self.sessions.entry(client).or_insert_with(Session::new);
        (session.will_at, session.ends_at) = (Time::NEVER, Time::NEVER); // [MQTT-3.1.3-9]
        session.conn = Some(socket);
        session.will.clone_from(&c.will);
        session.expiry_secs = self.limits.granted(asked);
        session.counted.clear();
        session.resend = session.in_flight.iter().map(|f| f.packet_id).collect();
        let connack = Answer::ConnAck { session_present, expiry_secs: session.expiry_secs };
        self.conns.insert(
            socket,
            Conn {
                client,
                version: c.version,
                answers: VecDeque::from([connack]),
                over: None,
                told: false,
                closed: false,
                caught_up: false,
                asked_expiry: c.expiry_secs,
                keep_alive_secs: c.keep_alive_secs,
                last_packet: self.now,
                window,
                maximum_packet: c.maximum_packet.map_or(usize::MAX, |m| m as usize),
                alias_maximum: c.alias_maximum,
                aliases: BTreeMap::new(),
                fresh: false,
            },
        );
    }

    fn published(
        &mut self,
        client: ClientNo,
        socket: SocketNo,
        message: Rc<Message>,
        packet_id: Option<u16>,
    ) {
        let Some(session) = self.sessions.get_mut(&client) else { return };
        let Some(packet_id) = packet_id else {
            self.publish(message);
            return;
        };
        let v5 = self.conns[&socket].version == Version::V5;
        let exactly = message.qos == QoS::ExactlyOnce;
        if v5 && !session.counted.contains(&packet_id) && session.counted.len() >= self.limits.receive_maximum
        {
            return self.end(socket, 0x93); // [MQTT-3.3.4-7]
        }
        if exactly {
            session.counted.insert(packet_id);
            if !session.received.insert(packet_id) {
                // Known: acknowledged again, not passed on again [MQTT-4.3.3-10].
                return self.answer(socket, Answer::PubRec(packet_id, false));
            }
        }
        let matched = self.publish(message);
        let answer = if exactly { Answer::PubRec } else { Answer::PubAck };
        self.answer(socket, answer(packet_id, matched));
    }

    fn answer(&mut self, socket: SocketNo, answer: Answer) {
        if let Some(conn) = self.conns.get_mut(&socket) {
            conn.answers.push_back(answer);
        }
    }

    fn subscribe(
        &mut self,
        client: ClientNo,
        socket: SocketNo,
        packet_id: u16,
        id: Option<u32>,
        filters: Vec<(String, SubscriptionOptions)>,
    ) {
        let codes = filters.iter().map(|(_, options)| options.qos as u8).collect();
        self.answer(socket, Answer::SubAck(packet_id, codes));
        for (filter, options) in filters {
            let Some(session) = self.sessions.get_mut(&client) else { return };
            let old = session.subscriptions.insert(filter.clone(), Subscription { options, id });
            let is_new = old.is_none();
            session.adjust_replays(&filter, options, id);
            for pooled in self.pool.iter_mut().filter(|p| p.group == filter) {
                pooled.optional |= !is_new;
                pooled.by_old.extend(old.map(|old| (client, old)));
            }
            if !filter.starts_with("$share/") {
                self.replay(client, &filter, Subscription { options, id }, old);
            }
        }
    }

    fn unsubscribe(&mut self, client: ClientNo, socket: SocketNo, packet_id: u16, filters: &[String]) {
        let mut codes = Vec::new();
        for filter in filters {
            let Some(session) = self.sessions.get_mut(&client) else { return };
            let old = session.subscriptions.remove(filter);
            let known = old.is_some();
            codes.push(if known { 0 } else { 0x11 });
            session.excuse(|o| o.replay_of.as_ref() == Some(filter));
            let by_group = session.in_flight.iter_mut().filter(|f| f.group.as_ref() == Some(filter));
            by_group.for_each(|flight| flight.left = true);
            for pooled in self.pool.iter_mut().filter(|p| known && p.group == *filter) {
                pooled.optional = true;
                pooled.by_old.extend(old.map(|old| (client, old)));
            }
        }
        if self.conns[&socket].version != Version::V5 {
            codes.clear();
        }
        self.answer(socket, Answer::UnsubAck(packet_id, codes));
    }

    fn acknowledge(
        &mut self,
        client: ClientNo,
        socket: SocketNo,
        kind: AckKind,
        packet_id: u16,
        refuses: bool,
    ) {
        let Some(session) = self.sessions.get_mut(&client) else { return };
        match kind {
            AckKind::PubAck | AckKind::PubComp => session.finish(packet_id),
            AckKind::PubRec if refuses => session.finish(packet_id), // [MQTT-4.3.3-4]
            AckKind::PubRec => {
                let code = session.in_flight(packet_id).map_or(0x92, |flight| {
                    flight.released = true;
                    0
                });
                self.answer(socket, Answer::PubRel(packet_id, code));
            }
            AckKind::PubRel => {
                session.counted.remove(&packet_id);
                let code = if session.received.remove(&packet_id) { 0 } else { 0x92 };
                self.answer(socket, Answer::PubComp(packet_id, code));
            }
        }
    }
}

impl super::Limits {
    fn granted(&self, asked: u32) -> u32 {
        if self.persistent { asked.min(self.expiry_maximum_secs) } else { 0 }
    }
}
