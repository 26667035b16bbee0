//! What a client does with what it reads: every packet is checked as its version demands, answered and told.

use std::collections::VecDeque;

use tidemq::mqtt::{QoS, Version};

use super::{Client, Conn};
use crate::history::{Delivery, Event, Fault, MessageNo, SocketNo};
use crate::net::Mark;
use crate::oracle::Presence;
use crate::oracle::wire::Window;
use crate::stage::Stage;
use crate::wire::{self, AckKind, Heard, HeardConnAck, HeardPublish};

/// Larger than anything that is sent here.
const MAXIMUM: usize = 1 << 28;

impl Client {
    /// Reads up to `most` bytes of each connection and deals with the packets in them.
    pub fn read(&mut self, stage: &mut Stage, most: usize) -> Result<(), Fault> {
        self.read_zombies(stage, most)?;
        let Some(conn) = &mut self.conn else { return Ok(()) };
        if !conn.reading && !stage.calm {
            return Ok(());
        }
        let socket = stage.net.socket(conn.socket);
        let take = most.min(socket.down.len());
        conn.rx.extend(socket.down.drain(..take));
        let over = socket.down_closed && socket.down.is_empty();
        loop {
            let Some(conn) = &mut self.conn else { return Ok(()) };
            let heard = wire::hear(self.character.version, &mut conn.rx, MAXIMUM);
            match heard.map_err(|text| self.fault("a packet that no client can read", text))? {
                Some(heard) => self.hear(stage, heard)?,
                None => break,
            }
        }
        if over {
            self.closed(stage)?;
        }
        Ok(())
    }

    fn read_zombies(&mut self, stage: &mut Stage, most: usize) -> Result<(), Fault> {
        let version = self.character.version;
        let mut left = Vec::new();
        for mut zombie in std::mem::take(&mut self.zombies) {
            let socket = stage.net.socket(zombie.socket);
            let take = most.min(socket.down.len());
            zombie.rx.extend(socket.down.drain(..take));
            let over = socket.down_closed && socket.down.is_empty();
            loop {
                match wire::hear(version, &mut zombie.rx, MAXIMUM)
                    .map_err(|text| self.fault("a packet that no client can read", text))?
                {
                    Some(Heard::Disconnect(code)) => zombie.said = Some(code),
                    Some(_) if zombie.said.is_some() => {
                        return Err(self.fault("a packet after DISCONNECT [MQTT-4.13.1-1]", String::new()));
                    }
                    Some(Heard::ConnAck(ack)) => zombie.up |= ack.code == 0,
                    Some(_) => {}
                    None => break,
                }
            }
            if over {
                self.check_farewell(stage, zombie.socket, zombie.up, zombie.said)?;
            } else {
                left.push(zombie);
            }
        }
        self.zombies.extend(left);
        Ok(())
    }

    /// A connection that the shard closed says why, if its version can and the socket took it all.
    fn check_farewell(&self, stage: &Stage, no: SocketNo, up: bool, said: Option<u8>) -> Result<(), Fault> {
        let socket = &stage.net.sockets[no.0];
        let Some(expected) = socket.farewell.filter(|_| up && self.character.version == Version::V5) else {
            return Ok(());
        };
        if said == expected {
            return Ok(());
        }
        let text = format!("{no:?}: expected {expected:02x?}, read {said:02x?}");
        Err(self.fault("DISCONNECT with the reason [MQTT-3.14.4-1, 3.1.4-3]", text))
    }

    fn closed(&mut self, stage: &mut Stage) -> Result<(), Fault> {
        let Some(conn) = &self.conn else { return Ok(()) };
        stage.note(Some(self.no), format!("{:?} is closed", conn.socket));
        self.check_farewell(stage, conn.socket, conn.up, conn.said)?;
        let socket = conn.socket;
        self.leave(stage)?;
        self.zombies.retain(|z| z.socket != socket);
        stage.net.socket(socket).up_closed = true;
        Ok(())
    }

    fn hear(&mut self, stage: &mut Stage, heard: Heard) -> Result<(), Fault> {
        let Some(conn) = &mut self.conn else { return Ok(()) };
        if conn.said.is_some() {
            return Err(self.fault("a packet after DISCONNECT [MQTT-4.13.1-1]", format!("{heard:?}")));
        }
        if !conn.up && !matches!(heard, Heard::ConnAck(_)) {
            return Err(self.fault("a packet before CONNACK [MQTT-3.2.0-1]", format!("{heard:?}")));
        }
        match heard {
            Heard::ConnAck(ack) => self.hear_connack(stage, &ack),
            Heard::Publish(publish) => self.hear_publish(stage, publish),
            Heard::PubAck(id, code) => self.hear_ack(stage, id, code, QoS::AtLeastOnce),
            Heard::PubRec(id, code) => self.hear_ack(stage, id, code, QoS::ExactlyOnce),
            Heard::PubRel(id, _) => self.hear_pubrel(stage, id),
            Heard::PubComp(id, code) => self.hear_pubcomp(stage, id, code),
            Heard::SubAck(id, codes) => {
                if !conn.asked.remove(&id) {
                    return Err(self.fault("SUBACK for nothing", format!("{id}")));
                }
                let (client, socket) = (self.no, conn.socket);
                stage.tell(Some(client), Event::SubAck { client, socket, packet_id: id, codes })
            }
            Heard::UnsubAck(id, _) => {
                if !conn.asked.remove(&id) {
                    return Err(self.fault("UNSUBACK for nothing", format!("{id}")));
                }
                let (client, socket) = (self.no, conn.socket);
                stage.tell(Some(client), Event::UnsubAck { client, socket, packet_id: id })
            }
            Heard::PingResp if conn.pings == 0 => Err(self.fault("PINGRESP for nothing", String::new())),
            Heard::PingResp => {
                conn.pings -= 1;
                Ok(())
            }
            Heard::Disconnect(code) => {
                conn.said = Some(code);
                Ok(())
            }
        }
    }

    fn hear_connack(&mut self, stage: &mut Stage, ack: &HeardConnAck) -> Result<(), Fault> {
        let Some(conn) = &mut self.conn else { return Ok(()) };
        if ack.code != 0 {
            let code = ack.code;
            return Err(self.fault("a CONNECT is refused without a reason", format!("{code:#04x}")));
        }
        if conn.up {
            return Err(self.fault("a second CONNACK", String::new()));
        }
        let v5 = self.character.version == Version::V5;
        let granted = ack.expiry_secs.unwrap_or(conn.asked_expiry);
        if v5 && granted != conn.granted_expiry {
            let text =
                format!("asked {}, granted {granted}, expected {}", conn.asked_expiry, conn.granted_expiry);
            return Err(self.fault("session expiry in CONNACK", text));
        }
        let mut session_present = ack.session_present;
        if self.character.version == Version::V3_1 {
            // 3.1 has no such flag. A client that cannot know which session it has begins again.
            match stage.oracle.presence(self.no, conn.socket) {
                Some(Presence::Maybe) => {
                    self.must_clean = true;
                    return self.lose(stage);
                }
                presence => session_present = presence == Some(Presence::Yes),
            }
        }
        conn.up = true;
        conn.keep_alive_secs = ack.keep_alive_secs.unwrap_or(conn.keep_alive_secs);
        // 3.1.1 has no receive maximum; a polite client keeps to a few all the same.
        conn.quota = if v5 { usize::from(ack.receive_maximum) } else { 12 };
        conn.alias_maximum = if v5 { ack.topic_alias_maximum } else { 0 };
        let (client, socket) = (self.no, conn.socket);
        stage.tell(Some(client), Event::ConnAck { client, socket, session_present })?;
        if !session_present {
            self.session = super::Session { last_id: self.session.last_id, ..super::Session::default() };
        }
        self.must_clean = false;
        let Some(conn) = &mut self.conn else { return Ok(()) };
        let receive_maximum =
            self.character.receive_maximum.filter(|_| v5).map_or(usize::from(u16::MAX), usize::from);
        conn.window = Window::new(receive_maximum, session_present && self.session.used);
        self.session.used = true;
        conn.again = self.session.out.iter().map(|out| out.packet_id).collect::<VecDeque<u16>>();
        self.send_again(stage)
    }

    fn hear_publish(&mut self, stage: &mut Stage, publish: HeardPublish) -> Result<(), Fault> {
        let Some(conn) = &mut self.conn else { return Ok(()) };
        let alias_maximum =
            if self.character.version == Version::V5 { self.character.alias_maximum } else { 0 };
        let topic = match conn.resolve(&publish, alias_maximum) {
            Ok(topic) => topic,
            Err(text) => return Err(self.fault("topic alias [MQTT-3.1.2-26, 3.3.2-8]", text)),
        };
        if publish.qos == QoS::AtMostOnce && publish.dup {
            return Err(self.fault("DUP at QoS 0 [MQTT-3.3.1-2]", String::new()));
        }
        let client = self.no;
        let message = message_of(&publish.payload.0).map_err(|text| Fault::of("payload", client, text))?;
        if let Some(packet_id) = publish.packet_id {
            let held = match (publish.qos, self.session.releasing.contains(&packet_id)) {
                (_, true) => Some(Some(MessageNo(usize::MAX))),
                (QoS::ExactlyOnce, _) => self.session.held.get(&packet_id).copied(),
                (_, _) => self.session.unacked.get(&packet_id).copied(),
            };
            let other = match publish.qos {
                QoS::ExactlyOnce => self.session.unacked.contains_key(&packet_id),
                _ => self.session.held.contains_key(&packet_id),
            };
            let checked = conn.window.publish(packet_id, publish.qos, publish.dup, message, held);
            checked.map_err(|text| Fault::of("packet identifiers and window", client, text))?;
            if other {
                return Err(self.fault("packet identifier in use with another QoS", format!("{packet_id}")));
            }
        }
        let Some(conn) = &mut self.conn else { return Ok(()) };
        let fresh = match (publish.qos, publish.packet_id) {
            (QoS::AtLeastOnce, Some(id)) => {
                self.session.unacked.insert(id, message);
                conn.due.push_back((AckKind::PubAck, id));
                true
            }
            (QoS::ExactlyOnce, Some(id)) => {
                conn.due.push_back((AckKind::PubRec, id));
                self.session.held.insert(id, message).is_none()
            }
            _ => true,
        };
        let delivery = Delivery {
            socket: conn.socket,
            topic,
            message,
            qos: publish.qos,
            dup: publish.dup,
            retain: publish.retain,
            ids: publish.ids,
            expiry_secs: publish.expiry_secs,
        };
        if fresh {
            if let Some(heard) = &mut self.heard {
                heard.push(delivery.clone());
            }
            stage.tell(Some(self.no), Event::Received { client: self.no, delivery })?;
        } else {
            stage.note(Some(self.no), format!("reads a repetition of packet {:?}", publish.packet_id));
        }
        self.acknowledge_some(stage)
    }

    fn hear_ack(&mut self, stage: &mut Stage, id: u16, code: u8, qos: QoS) -> Result<(), Fault> {
        let Some(conn) = &mut self.conn else { return Ok(()) };
        let ordered = conn.ack_order.acked(id);
        ordered.map_err(|text| self.fault("order of acknowledgements [MQTT-4.6.0-2, 4.6.0-3]", text))?;
        let Some(position) = self.session.out.iter().position(|out| out.packet_id == id && out.qos == qos)
        else {
            return Err(self.fault("an acknowledgement of the wrong kind", format!("{id} {qos:?}")));
        };
        let message = self.session.out[position].message;
        stage.tell(Some(self.no), Event::Acked { message, code })?;
        if qos == QoS::AtLeastOnce || code >= 0x80 {
            self.session.out.remove(position);
            return self.send_again(stage);
        }
        self.session.out[position].released = true;
        if let Some(conn) = &mut self.conn {
            conn.due.push_back((AckKind::PubRel, id));
        }
        self.acknowledge_some(stage)
    }

    fn hear_pubrel(&mut self, stage: &mut Stage, id: u16) -> Result<(), Fault> {
        let Some(conn) = &mut self.conn else { return Ok(()) };
        let known = self.session.held.remove(&id).is_some();
        if known {
            self.session.releasing.insert(id);
        } else if !conn.window.is_resumed() {
            return Err(self.fault("PUBREL for nothing", format!("{id}")));
        }
        conn.due.push_back((AckKind::PubComp, id));
        self.acknowledge_some(stage)
    }

    fn hear_pubcomp(&mut self, stage: &mut Stage, id: u16, code: u8) -> Result<(), Fault> {
        let Some(position) = self.session.out.iter().position(|out| out.packet_id == id && out.released)
        else {
            return Err(self.fault("PUBCOMP for nothing", format!("{id}")));
        };
        let resumed = self.conn.as_ref().is_some_and(|conn| conn.window.is_resumed());
        if code != 0 && !resumed {
            return Err(self.fault("PUBCOMP says unknown packet identifier", format!("{id} {code:#04x}")));
        }
        self.session.out.remove(position);
        self.send_again(stage)
    }

    /// Sends every acknowledgement that is due.
    pub fn acknowledge_all(&mut self, stage: &mut Stage) -> Result<(), Fault> {
        if self.conn.as_ref().is_some_and(|conn| !conn.due.is_empty()) {
            self.acknowledge_some(stage)
        } else {
            Ok(())
        }
    }

    /// Sends some of the acknowledgements that are due, in order; a tardy client keeps the rest.
    pub(super) fn acknowledge_some(&mut self, stage: &mut Stage) -> Result<(), Fault> {
        let keeps = !stage.calm && stage.rng.percent(self.character.tardy_percent);
        let Some(conn) = &mut self.conn else { return Ok(()) };
        if keeps {
            return Ok(());
        }
        let most = if stage.calm { conn.due.len() } else { stage.rng.between(1, 1 + conn.due.len()) };
        let many = most.min(conn.due.len());
        for (kind, id) in conn.due.drain(..many) {
            match kind {
                AckKind::PubAck => {
                    self.session.unacked.remove(&id);
                    conn.window.done(id);
                }
                AckKind::PubComp => {
                    self.session.releasing.remove(&id);
                    conn.window.done(id);
                }
                AckKind::PubRec | AckKind::PubRel => {}
            }
            conn.last_sent = stage.now;
            let bytes = wire::ack(self.character.version, kind, id);
            stage.note(Some(self.no), format!("sends {kind:?} {id}"));
            stage.write(conn.socket, &bytes, Mark::Packet);
        }
        Ok(())
    }
}

impl Conn {
    fn resolve(&mut self, publish: &HeardPublish, maximum: u16) -> Result<String, String> {
        let Some(alias) = publish.alias else {
            return if publish.topic.is_empty() {
                Err("no topic".to_owned())
            } else {
                Ok(publish.topic.clone())
            };
        };
        if alias == 0 || alias > maximum {
            return Err(format!("{alias} of {maximum}"));
        }
        if !publish.topic.is_empty() {
            self.aliases_in.insert(alias, publish.topic.clone());
        }
        self.aliases_in.get(&alias).cloned().ok_or_else(|| format!("{alias} is unknown"))
    }
}

fn message_of(payload: &[u8]) -> Result<Option<MessageNo>, String> {
    if payload.is_empty() {
        return Ok(None);
    }
    let broken = || format!("{:02x?}", &payload[..payload.len().min(32)]);
    let text = std::str::from_utf8(payload).map_err(|_| broken())?;
    let (number, _) = text.split_once(':').ok_or_else(broken)?;
    let no = MessageNo(number.parse().map_err(|_| broken())?);
    if payload == super::send::payload(no, payload.len()) { Ok(Some(no)) } else { Err(broken()) }
}
