//! What a client sends: CONNECT, PUBLISH, SUBSCRIBE and the rest, each told to the oracle as it leaves.

use tidemq::mqtt::connect::{Connect, ConnectProperties, Will, WillProperties};
use tidemq::mqtt::subscribe::SubscriptionOptions;
use tidemq::mqtt::{Packet, QoS, ReasonCode, Version};
use tidemq::routing::ShardId;

use super::{Client, Conn, Out};
use crate::history::{ConnectSent, DisconnectSent, Event, Fault, Message, MessageNo, SocketNo, WillSent};
use crate::net::{Mark, Socket};
use crate::oracle::wire::{AckOrder, Window};
use crate::stage::Stage;
use crate::wire::{self, AckKind, Published};

/// A payload that names its message.
pub fn payload(no: MessageNo, len: usize) -> Vec<u8> {
    let mut text = format!("{}:", no.0).into_bytes();
    while text.len() < len {
        text.push(b'a' + (text.len() % 26) as u8);
    }
    text
}

/// How a client wants to connect.
#[derive(Clone, Copy)]
pub struct Wish {
    pub clean: bool,
    /// Leave nothing behind: no will, no session.
    pub last: bool,
}

impl Client {
    /// Opens a connection and sends CONNECT; an old one is given up first.
    pub fn connect(&mut self, stage: &mut Stage, wish: Wish) -> Result<(), Fault> {
        self.leave(stage)?;
        let clean = wish.clean || self.must_clean || self.character.fighter;
        let v5 = self.character.version == Version::V5;
        let asked_expiry = match (v5, clean) {
            _ if wish.last || self.character.fighter => 0,
            (true, _) => self.character.expiry_secs,
            (false, true) => 0,
            (false, false) => u32::MAX,
        };
        let maximum = stage.plan.limits.session_expiry_maximum_secs;
        let granted_expiry = if stage.plan.persistent { asked_expiry.min(maximum) } else { 0 };
        let will = if wish.last || !stage.rng.percent(35) { None } else { Some(self.make_will(stage)) };
        let socket = self.open(stage);
        let alias_maximum = self.character.alias_maximum;
        let sent = ConnectSent {
            clean,
            expiry_secs: granted_expiry,
            keep_alive_secs: self.character.keep_alive_secs,
            will: will.map(|(sent, _, _)| sent),
        };
        let mut text = Vec::new();
        let will = will.map(|(sent, qos, retain)| {
            text = payload(sent.message, 8);
            (sent, qos, retain, stage.oracle.message(sent.message).topic.clone())
        });
        let connect = Connect {
            version: self.character.version,
            clean_start: clean,
            keep_alive_secs: self.character.keep_alive_secs,
            client_id: &self.id,
            will: will.as_ref().map(|(sent, qos, retain, topic)| Will {
                qos: *qos,
                retain: *retain,
                topic,
                payload: &text,
                properties: WillProperties {
                    delay_secs: v5.then_some(sent.delay_secs),
                    ..WillProperties::default()
                },
            }),
            user_name: None,
            password: None,
            properties: ConnectProperties {
                session_expiry_secs: v5.then_some(asked_expiry),
                receive_maximum: self
                    .character
                    .receive_maximum
                    .and_then(std::num::NonZeroU16::new)
                    .filter(|_| v5),
                topic_alias_maximum: v5.then_some(alias_maximum),
                ..ConnectProperties::default()
            },
        };
        let bytes = wire::bytes(&Packet::Connect(connect), self.character.version);
        stage.note(Some(self.no), format!("connects on {socket:?}: {sent:?}"));
        stage.write(socket, &bytes, Mark::Connect(sent));
        self.conn = Some(self.fresh(socket, clean, asked_expiry, granted_expiry, stage));
        Ok(())
    }

    fn fresh(&self, socket: SocketNo, clean: bool, asked: u32, granted: u32, stage: &Stage) -> Conn {
        Conn {
            socket,
            up: false,
            clean,
            granted_expiry: granted,
            asked_expiry: asked,
            keep_alive_secs: self.character.keep_alive_secs,
            rx: Vec::new(),
            reading: true,
            window: Window::new(usize::from(u16::MAX), false),
            ack_order: AckOrder::default(),
            due: std::collections::VecDeque::new(),
            again: std::collections::VecDeque::new(),
            quota: 0,
            alias_maximum: 0,
            aliases_out: std::collections::BTreeMap::new(),
            aliases_in: std::collections::BTreeMap::new(),
            asked: std::collections::BTreeSet::new(),
            pings: 0,
            last_sent: stage.now,
            said: None,
        }
    }

    fn open(&self, stage: &mut Stage) -> SocketNo {
        let acceptor = ShardId(stage.rng.below(usize::from(stage.plan.shards)) as u16);
        let (low, high) = stage.plan.socket_capacity;
        let capacity = stage.rng.between(low, high);
        let deadline = stage.now.after_secs(u64::from(stage.plan.limits.connect_timeout_secs));
        stage.net.connect(Socket::accepted(Some(self.no), acceptor, deadline, capacity))
    }

    fn make_will(&self, stage: &mut Stage) -> (WillSent, QoS, bool) {
        let v5 = self.character.version == Version::V5;
        let qos = *stage.rng.pick(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce]);
        let retain = stage.rng.percent(stage.plan.retain_percent / 2);
        let topic = (*stage.rng.pick(&stage.plan.topics)).to_owned();
        let delay_secs = if v5 { *stage.rng.pick(&[0, 0, 2, 10, 100]) } else { 0 };
        let message = stage.oracle.add_message(Message {
            publisher: self.no,
            topic,
            qos,
            retain,
            is_will: true,
            empty: false,
            expiry_secs: None,
        });
        (WillSent { message, delay_secs }, qos, retain)
    }

    /// A message of its own, if the window allows one.
    pub fn publish(&mut self, stage: &mut Stage, topic: &str, qos: QoS, retain: bool) -> Result<(), Fault> {
        let open = self.session.out.len();
        let Some(conn) = &self.conn else { return Ok(()) };
        if qos != QoS::AtMostOnce && (!conn.up || !conn.again.is_empty() || open >= conn.quota) {
            return Ok(());
        }
        let v5 = self.character.version == Version::V5;
        let empty = retain && (stage.calm || stage.rng.percent(20));
        let expiry_secs = if v5 && stage.rng.percent(8) && !stage.calm {
            Some(*stage.rng.pick(&[1, 30, 4_000]))
        } else {
            None
        };
        let message = stage.oracle.add_message(Message {
            publisher: self.no,
            topic: topic.to_owned(),
            qos,
            retain,
            is_will: false,
            empty,
            expiry_secs,
        });
        let packet_id = (qos != QoS::AtMostOnce).then(|| self.next_id());
        if let Some(packet_id) = packet_id {
            self.session.out.push_back(Out { packet_id, message, qos, released: false });
        }
        self.send_publish(stage, message, packet_id, false)
    }

    fn next_id(&mut self) -> u16 {
        let used = |id: u16, client: &Client| {
            client.session.out.iter().any(|out| out.packet_id == id)
                || client.conn.as_ref().is_some_and(|conn| conn.asked.contains(&id))
        };
        loop {
            self.session.last_id = self.session.last_id.wrapping_add(1);
            let id = self.session.last_id;
            if id != 0 && !used(id, self) {
                return id;
            }
        }
    }

    pub(super) fn send_publish(
        &mut self,
        stage: &mut Stage,
        no: MessageNo,
        packet_id: Option<u16>,
        dup: bool,
    ) -> Result<(), Fault> {
        let Some(conn) = &mut self.conn else { return Ok(()) };
        let message = stage.oracle.message(no).clone();
        let len = if message.empty { 0 } else { 6 + no.0 * 31 % stage.plan.payload };
        let payload = if message.empty { Vec::new() } else { payload(no, len) };
        let (topic, alias) = conn.alias(&message.topic, stage);
        let bytes = wire::publish(
            self.character.version,
            &Published {
                dup,
                qos: message.qos,
                retain: message.retain,
                topic: &topic,
                alias,
                expiry_secs: message.expiry_secs,
                packet_id,
                passed_on: &[],
                ids: &[],
                payload: &payload,
            },
        );
        if let Some(packet_id) = packet_id {
            conn.ack_order.published(packet_id);
        }
        conn.last_sent = stage.now;
        let socket = conn.socket;
        stage.note(Some(self.no), format!("publishes {no:?} {message:?} packet {packet_id:?} dup {dup}"));
        stage.tell(Some(self.no), Event::PublishSent { message: no, socket })?;
        stage.write(socket, &bytes, Mark::Packet);
        Ok(())
    }

    /// Repeats what the window allows of what an earlier connection left open `[MQTT-4.4.0-1]`.
    pub(super) fn send_again(&mut self, stage: &mut Stage) -> Result<(), Fault> {
        loop {
            let Some(conn) = &mut self.conn else { return Ok(()) };
            let waiting = conn.again.len();
            let Some(packet_id) = conn.again.front().copied() else { return Ok(()) };
            let Some(position) = self.session.out.iter().position(|out| out.packet_id == packet_id) else {
                conn.again.pop_front();
                continue;
            };
            if self.session.out.len() - waiting >= conn.quota {
                return Ok(());
            }
            conn.again.pop_front();
            let out = &self.session.out[position];
            let message = out.message;
            if out.released {
                let bytes = wire::ack(self.character.version, AckKind::PubRel, packet_id);
                stage.write(conn.socket, &bytes, Mark::Packet);
            } else {
                self.send_publish(stage, message, Some(packet_id), true)?;
            }
        }
    }

    /// SUBSCRIBE.
    pub fn subscribe(
        &mut self,
        stage: &mut Stage,
        filters: Vec<(String, SubscriptionOptions)>,
        id: Option<u32>,
    ) -> Result<(), Fault> {
        let packet_id = self.next_id();
        let Some(conn) = &mut self.conn else { return Ok(()) };
        conn.asked.insert(packet_id);
        conn.last_sent = stage.now;
        let socket = conn.socket;
        let bytes = wire::subscribe(self.character.version, packet_id, id, &filters);
        self.session.filters.extend(filters.iter().map(|(filter, _)| filter.clone()));
        stage
            .tell(Some(self.no), Event::SubscribeSent { client: self.no, socket, packet_id, id, filters })?;
        stage.write(socket, &bytes, Mark::Packet);
        Ok(())
    }

    /// UNSUBSCRIBE.
    pub fn unsubscribe(&mut self, stage: &mut Stage, filters: Vec<String>) -> Result<(), Fault> {
        let packet_id = self.next_id();
        let Some(conn) = &mut self.conn else { return Ok(()) };
        conn.asked.insert(packet_id);
        conn.last_sent = stage.now;
        let socket = conn.socket;
        let bytes = wire::unsubscribe(self.character.version, packet_id, &filters);
        self.session.filters.retain(|known| !filters.contains(known));
        stage.tell(Some(self.no), Event::UnsubscribeSent { client: self.no, socket, packet_id, filters })?;
        stage.write(socket, &bytes, Mark::Packet);
        Ok(())
    }

    /// PINGREQ.
    pub fn ping(&mut self, stage: &mut Stage) {
        let Some(conn) = &mut self.conn else { return };
        conn.pings += 1;
        conn.last_sent = stage.now;
        let bytes = wire::bytes(&Packet::PingReq, self.character.version);
        stage.write(conn.socket, &bytes, Mark::Ping);
    }

    /// DISCONNECT, and closes.
    pub fn disconnect(
        &mut self,
        stage: &mut Stage,
        with_will: bool,
        expiry: Option<u32>,
    ) -> Result<(), Fault> {
        let Some(conn) = &self.conn else { return Ok(()) };
        let v5 = self.character.version == Version::V5;
        let reason = if with_will && v5 { ReasonCode::DisconnectWithWill } else { ReasonCode::Success };
        let expiry = expiry.filter(|_| v5 && conn.asked_expiry != 0);
        let maximum = stage.plan.limits.session_expiry_maximum_secs;
        let granted = expiry.map(|secs| if stage.plan.persistent { secs.min(maximum) } else { 0 });
        let sent = DisconnectSent { with_will: with_will && v5, expiry_secs: granted };
        let bytes = wire::disconnect(self.character.version, reason, expiry);
        let socket = conn.socket;
        stage.note(Some(self.no), format!("disconnects: {sent:?}"));
        stage.write(socket, &bytes, Mark::Disconnect(sent));
        self.leave(stage)?;
        let socket = stage.net.socket(socket);
        socket.up_closed = true;
        Ok(())
    }
}

impl Conn {
    /// How the topic is written: in full, in full with a new alias, or by its alias.
    fn alias(&mut self, topic: &str, stage: &mut Stage) -> (String, Option<u16>) {
        if self.alias_maximum == 0 || stage.rng.percent(40) {
            return (topic.to_owned(), None);
        }
        if let Some(alias) = self.aliases_out.get(topic) {
            return (String::new(), Some(*alias));
        }
        let alias = stage.rng.between(1, usize::from(self.alias_maximum.min(4))) as u16;
        self.aliases_out.retain(|_, taken| *taken != alias);
        self.aliases_out.insert(topic.to_owned(), alias);
        (topic.to_owned(), Some(alias))
    }
}
