//! A broker and a network as plain values, with a virtual clock: what a worker is tested against. It keeps sessions,
//! does every QoS, and can be made to stall or to break its promises.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use futures_rustls::rustls::ServerConfig;
use tidemq::mqtt::ack::{SubAck, encode_short};
use tidemq::mqtt::connack::ConnAck;
use tidemq::mqtt::publish::Header;
use tidemq::mqtt::topic::matches;
use tidemq::mqtt::{Packet, PacketId, PacketType, QoS, ReasonCode, Sender, Version, decode, frame};

use super::mock_websocket::{Heard, Server};
use super::{Action, Closing, Findings, LinkId, Worker};
use crate::plan::{Plan, Transport};
use crate::record::Recent;
use crate::schedule::Nanos;
use crate::tally::{Act, Count, Tally};
use crate::tls_server;

/// A promise that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// None is.
    None,
    /// Each so-many-th delivery is not made.
    Lose(u64),
    /// Each so-many-th delivery is made twice.
    Repeat(u64),
    /// Each so-many-th delivery comes after the next one.
    Swap(u64),
    /// A session that is resumed has forgotten what was in flight.
    ForgetInflight,
    /// A QoS 2 message that is sent again, after a resumption, counts as new.
    TakeTwice,
    /// CONNECT is refused.
    Refuse,
    /// Pings are not answered.
    Deaf,
}

struct Message {
    topic: String,
    payload: Vec<u8>,
    qos: QoS,
}

#[derive(Default)]
struct Session {
    filters: Vec<(String, QoS)>,
    /// Identifier, message, PUBREC has come.
    inflight: Vec<(PacketId, Arc<Message>, bool)>,
    queue: Vec<Arc<Message>>,
    held_back: Option<Arc<Message>>,
    received: Vec<PacketId>,
    next_id: u16,
    online: Option<LinkId>,
    version: Option<Version>,
}

enum Event {
    Opened(LinkId, u32),
    ToBroker(LinkId, u32, Vec<u8>),
    ToClient(LinkId, u32, Vec<u8>),
    /// The client has closed in order: what it sent before arrives first.
    End(LinkId, u32),
}

/// Broker, network, clock, and one worker.
pub struct World {
    pub worker: Worker,
    pub now: Nanos,
    /// One way.
    pub latency: Nanos,
    /// From when to when the broker does nothing.
    pub stall: (Nanos, Nanos),
    pub fault: Fault,
    events: BinaryHeap<Reverse<(Nanos, u64)>>,
    bodies: BTreeMap<u64, Event>,
    sequence: u64,
    /// Connections that the client has closed.
    deaf: BTreeSet<(LinkId, u32)>,
    /// By link: generation of the connection, and whether it is open.
    connections: Vec<(u32, bool)>,
    partial: BTreeMap<LinkId, Vec<u8>>,
    /// By link: the other side of its WebSocket, if it has one.
    pub servers: BTreeMap<LinkId, Server>,
    /// The server's side of TLS, if it is used.
    pub tls: Option<Arc<ServerConfig>>,
    tls_servers: BTreeMap<LinkId, tls_server::Server>,
    /// WebSockets that the client closed in order.
    pub goodbyes: u64,
    clients: BTreeMap<LinkId, String>,
    sessions: BTreeMap<String, Session>,
    /// Clients whose session ends with the connection.
    clean: BTreeSet<String>,
    deliveries: u64,
    /// The most that were under way at once.
    pub most_outstanding: u64,
    pub pings: u64,
}

impl World {
    pub fn new(plan: Plan) -> World {
        let worker = Worker::new(Arc::new(plan), 0, 0);
        World {
            connections: vec![(0, false); worker.len()],
            worker,
            now: 0,
            latency: 1000,
            stall: (Nanos::MAX, Nanos::MAX),
            fault: Fault::None,
            events: BinaryHeap::new(),
            bodies: BTreeMap::new(),
            sequence: 0,
            deaf: BTreeSet::new(),
            partial: BTreeMap::new(),
            servers: BTreeMap::new(),
            tls: None,
            tls_servers: BTreeMap::new(),
            goodbyes: 0,
            clients: BTreeMap::new(),
            sessions: BTreeMap::new(),
            clean: BTreeSet::new(),
            deliveries: 0,
            most_outstanding: 0,
            pings: 0,
        }
    }

    fn post(&mut self, at: Nanos, event: Event) {
        self.bodies.insert(self.sequence, event);
        self.events.push(Reverse((at, self.sequence)));
        self.sequence += 1;
    }

    /// Turns until `done`, or until `limit`. Returns the last tally.
    pub fn run(&mut self, act: Act, start: Nanos, limit: Nanos, done: impl Fn(&Tally) -> bool) -> Tally {
        loop {
            self.worker.poll(self.now, (act, start), 0);
            let mut dirty = Vec::new();
            self.worker.take_dirty(&mut dirty);
            for id in dirty {
                let bytes = std::mem::take(self.worker.output(id));
                let (generation, open) = self.connections[id as usize];
                if bytes.is_empty() {
                    continue; // as the ring does
                }
                if open {
                    self.post(self.now + self.latency, Event::ToBroker(id, generation, bytes));
                }
                self.worker.handle_sent(id);
            }
            for action in self.worker.take_actions() {
                self.act(action);
            }
            let tally = *self.worker.tally().0;
            let outstanding = tally[Count::ExpectedLoose] + tally[Count::ExpectedSure] - tally.unique();
            self.most_outstanding = self.most_outstanding.max(outstanding);
            if done(&tally) || self.now >= limit {
                return tally;
            }
            let wake = self.worker.next_wake(self.now).max(self.now);
            let event = self.events.peek().map(|Reverse((at, _))| *at);
            self.now = event.unwrap_or(Nanos::MAX).min(wake).max(self.now);
            while let Some(&Reverse((at, n))) = self.events.peek()
                && at <= self.now
            {
                self.events.pop();
                let event = self.bodies.remove(&n).expect("posted with it");
                self.happen(event);
            }
        }
    }

    pub fn findings(mut self) -> Findings {
        self.worker.fold(&mut Recent::default());
        self.worker.into_findings()
    }

    /// Sessions that still have subscriptions.
    pub fn sessions_left(&self) -> usize {
        self.sessions.values().filter(|s| !s.filters.is_empty()).count()
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Open(id) => {
                // The end of the connection before, if it is still on its way, arrives first.
                let (generation, ending) = self.connections[id as usize];
                self.post(self.now + self.latency, Event::Opened(id, generation + u32::from(ending)));
            }
            Action::Close(id, how) => {
                let (generation, open) = self.connections[id as usize];
                if how == Closing::Reset || !open {
                    self.hang_up(id);
                } else {
                    self.deaf.insert((id, generation));
                    self.post(self.now + self.latency, Event::End(id, generation));
                }
                self.worker.handle_close_done(id);
            }
        }
    }

    fn hang_up(&mut self, id: LinkId) {
        let c = &mut self.connections[id as usize];
        *c = (c.0 + 1, false);
        self.partial.remove(&id);
        self.servers.remove(&id);
        self.tls_servers.remove(&id);
        if let Some(client) = self.clients.remove(&id) {
            let session = self.sessions.get_mut(&client).expect("made at CONNECT");
            if session.online == Some(id) {
                session.online = None;
            }
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Opened(id, generation) => {
                if self.connections[id as usize] == (generation, false) {
                    self.connections[id as usize].1 = true;
                    self.worker.handle_opened(id, self.now);
                }
            }
            Event::End(id, generation) => {
                if self.connections[id as usize] == (generation, true) {
                    self.hang_up(id);
                }
            }
            Event::ToClient(id, generation, bytes) => {
                let hears = !self.deaf.contains(&(id, generation));
                if self.connections[id as usize] == (generation, true) && hears {
                    // In two pieces, so that packets span reads.
                    let (a, b) = bytes.split_at(bytes.len() / 2);
                    let alive = self.worker.handle_bytes(id, a, self.now)
                        && self.worker.handle_bytes(id, b, self.now);
                    if !alive {
                        self.hang_up(id);
                    }
                }
            }
            Event::ToBroker(id, generation, bytes) => {
                if (self.stall.0..self.stall.1).contains(&self.now) {
                    return self.post(self.stall.1, Event::ToBroker(id, generation, bytes));
                }
                if self.connections[id as usize] == (generation, true) {
                    self.receive_from_wire(id, generation, &bytes);
                }
            }
        }
    }

    fn receive_from_wire(&mut self, id: LinkId, generation: u32, bytes: &[u8]) {
        let Some(config) = &self.tls else { return self.receive_plain(id, generation, bytes) };
        let server = self.tls_servers.entry(id).or_insert_with(|| tls_server::Server::new(config.clone()));
        let heard = server.hear(bytes);
        let answer = server.wire();
        if !answer.is_empty() {
            self.post(self.now + self.latency, Event::ToClient(id, generation, answer));
        }
        if let Ok(plain) = heard {
            self.receive_plain(id, generation, &plain);
        }
    }

    fn receive_plain(&mut self, id: LinkId, generation: u32, bytes: &[u8]) {
        if self.worker.plan.transport == Transport::Tcp {
            return self.receive(id, bytes);
        }
        let server = self.servers.entry(id).or_default();
        let Heard { plain, answer } = server.hear(bytes);
        self.goodbyes += u64::from(server.is_closed());
        if !answer.is_empty() {
            self.send_carried(id, generation, answer);
        }
        self.receive(id, &plain);
    }

    fn receive(&mut self, id: LinkId, bytes: &[u8]) {
        let mut buffer = self.partial.remove(&id).unwrap_or_default();
        buffer.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(head) = frame::split(&buffer[at..], 1 << 20).expect("clients frame correctly") {
            let Some(packet) = buffer.get(at..at + head.len) else { break };
            let version = self.clients.get(&id).and_then(|c| self.sessions[c].version).unwrap_or(Version::V5);
            let packet = decode(version, Sender::Client, head, packet).expect("clients encode correctly");
            self.handle(id, version, &packet);
            at += head.len;
        }
        buffer.drain(..at);
        if !buffer.is_empty() {
            self.partial.insert(id, buffer);
        }
    }

    fn send(&mut self, id: LinkId, write: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = Vec::new();
        write(&mut bytes);
        if let Some(server) = self.servers.get_mut(&id) {
            bytes = server.say(&bytes);
        }
        self.send_carried(id, self.connections[id as usize].0, bytes);
    }

    /// By TLS, if it is used.
    fn send_carried(&mut self, id: LinkId, generation: u32, mut bytes: Vec<u8>) {
        if let Some(server) = self.tls_servers.get_mut(&id) {
            server.say(&bytes);
            bytes = server.wire();
        }
        self.post(self.now + self.latency, Event::ToClient(id, generation, bytes));
    }

    fn ack(&mut self, id: LinkId, version: Version, kind: PacketType, packet: PacketId) {
        self.send(id, |out| encode_short(kind, packet, ReasonCode::Success, version, out));
    }

    fn handle(&mut self, id: LinkId, version: Version, packet: &Packet<'_>) {
        let client = self.clients.get(&id).cloned().unwrap_or_default();
        match packet {
            Packet::Connect(c) => self.connect(id, c.client_id, c.version, c.clean_start),
            Packet::Subscribe(s) => {
                let session = self.sessions.get_mut(&client).expect("connected");
                session.filters.extend(s.filters.iter().map(|(f, o)| (f.to_owned(), o.qos)));
                let codes: Vec<u8> = s.filters.iter().map(|(_, o)| o.qos as u8).collect();
                let packet_id = s.packet_id;
                let suback =
                    SubAck { packet_id, reason_string: None, user: Default::default(), codes: &codes };
                self.send(id, |out| suback.encode(version, out));
            }
            Packet::Publish(p) => {
                let session = self.sessions.get_mut(&client).expect("connected");
                let mut new = true;
                if p.qos == QoS::ExactlyOnce {
                    let packet_id = p.packet_id.expect("QoS 2");
                    new = !session.received.contains(&packet_id) || self.fault == Fault::TakeTwice;
                    session.received.retain(|r| *r != packet_id);
                    session.received.push(packet_id);
                }
                match (p.qos, p.packet_id) {
                    (QoS::AtLeastOnce, Some(packet)) => self.ack(id, version, PacketType::PubAck, packet),
                    (_, Some(packet)) => self.ack(id, version, PacketType::PubRec, packet),
                    _ => {}
                }
                if new {
                    self.route(p.topic, p.payload, p.qos);
                }
            }
            Packet::PubRel(a) => {
                self.sessions.get_mut(&client).expect("connected").received.retain(|r| *r != a.packet_id);
                self.ack(id, version, PacketType::PubComp, a.packet_id);
            }
            Packet::PubAck(a) | Packet::PubComp(a) => {
                self.sessions.get_mut(&client).expect("connected").inflight.retain(|m| m.0 != a.packet_id);
            }
            Packet::PubRec(a) => {
                let session = self.sessions.get_mut(&client).expect("connected");
                session.inflight.iter_mut().filter(|m| m.0 == a.packet_id).for_each(|m| m.2 = true);
                self.ack(id, version, PacketType::PubRel, a.packet_id);
            }
            Packet::PingReq if self.fault == Fault::Deaf => self.pings += 1,
            Packet::PingReq => {
                self.pings += 1;
                self.send(id, |out| Packet::PingResp.encode(version, out));
            }
            Packet::Disconnect(d) => {
                let ends = version != Version::V5 && self.clean.contains(&client)
                    || d.session_expiry_secs == Some(0);
                self.hang_up(id);
                if ends {
                    self.sessions.remove(&client);
                }
            }
            other => panic!("a client sent {other:?}"),
        }
    }

    fn connect(&mut self, id: LinkId, client: &str, version: Version, clean: bool) {
        if clean {
            self.sessions.remove(client);
            self.clean.insert(client.to_owned());
        } else {
            self.clean.remove(client);
        }
        let session_present = self.sessions.contains_key(client);
        let session = self.sessions.entry(client.to_owned()).or_default();
        (session.online, session.version) = (Some(id), Some(version));
        if self.fault == Fault::ForgetInflight {
            session.inflight.clear();
        }
        let again: Vec<_> = session.inflight.iter().map(|(p, m, rec)| (*p, m.clone(), *rec)).collect();
        let queue = std::mem::take(&mut session.queue);
        self.clients.insert(id, client.to_owned());
        let reason =
            if self.fault == Fault::Refuse { ReasonCode::NotAuthorized } else { ReasonCode::Success };
        let session_present = session_present && reason == ReasonCode::Success;
        self.send(id, |out| {
            ConnAck { session_present, reason, properties: Default::default() }.encode(version, out);
        });
        for (packet, message, received) in again {
            if received {
                self.ack(id, version, PacketType::PubRel, packet);
            } else {
                self.publish(id, version, &message, Some(packet), true);
            }
        }
        for message in queue {
            self.deliver(client, &message);
        }
    }

    fn publish(&mut self, id: LinkId, version: Version, m: &Message, packet_id: Option<PacketId>, dup: bool) {
        let (qos, topic) = (m.qos, m.topic.as_str());
        let fixed = Header {
            dup,
            qos,
            retain: false,
            topic,
            packet_id,
            message_expiry_secs: None,
            subscription_ids: &[],
            topic_alias: None,
            passed_on: &[],
        };
        self.send(id, |out| {
            fixed.encode(version, &m.payload, out);
        });
    }

    fn route(&mut self, topic: &str, payload: &[u8], qos: QoS) {
        let to: Vec<(String, QoS)> = (self.sessions.iter())
            .filter_map(|(c, s)| {
                s.filters.iter().find(|(f, _)| matches(f, topic)).map(|(_, q)| (c.clone(), *q))
            })
            .collect();
        for (client, granted) in to.into_iter().chain(self.one_member(topic)) {
            let message =
                Arc::new(Message { topic: topic.into(), payload: payload.into(), qos: qos.min(granted) });
            self.deliveries += 1;
            let nth = |n: u64| self.deliveries.is_multiple_of(n);
            match self.fault {
                Fault::Lose(n) if nth(n) => continue,
                Fault::Repeat(n) if nth(n) => self.deliver(&client, &message),
                Fault::Swap(n) if nth(n) => {
                    self.sessions.get_mut(&client).expect("subscribed").held_back = Some(message);
                    continue;
                }
                _ => {}
            }
            self.deliver(&client, &message);
            if let Some(late) = self.sessions.get_mut(&client).and_then(|s| s.held_back.take()) {
                self.deliver(&client, &late);
            }
        }
    }

    /// Who takes it of those that share a filter; the mock knows one group.
    fn one_member(&self, topic: &str) -> Option<(String, QoS)> {
        let shares = |filter: &str| {
            let rest = filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
            rest.is_some_and(|(_, filter)| matches(filter, topic))
        };
        let members: Vec<_> = (self.sessions.iter())
            .filter_map(|(c, s)| s.filters.iter().find(|(f, _)| shares(f)).map(|(_, q)| (c.clone(), *q)))
            .collect();
        members.get(self.deliveries as usize % members.len().max(1)).cloned()
    }

    fn deliver(&mut self, client: &str, message: &Arc<Message>) {
        let session = self.sessions.get_mut(client).expect("subscribed");
        let (Some(link), Some(version)) = (session.online, session.version) else {
            if message.qos > QoS::AtMostOnce {
                session.queue.push(message.clone());
            }
            return;
        };
        let mut packet = None;
        if message.qos > QoS::AtMostOnce {
            session.next_id = session.next_id % u16::MAX + 1;
            packet = PacketId::new(session.next_id);
            session.inflight.push((packet.expect("from 1"), message.clone(), false));
        }
        self.publish(link, version, message, packet, false);
    }
}
