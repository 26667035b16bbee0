//! What a client receives: is it allowed now, and is it what it must be? And when nothing moves: has all come?

use std::rc::Rc;

use tidemq::mqtt::{QoS, Version};

use super::session::{Form, InFlight, Owed, Session};
use super::share::Pooled;
use super::{Answer, Conn, Model};
use crate::history::{ClientNo, SocketNo};
use crate::wire::{self, Heard, HeardConnAck, HeardPublish, Published};

/// Where a delivery was found among what may come.
enum Place {
    Owed(usize),
    Pool(usize),
}

impl Model {
    /// A client read a packet. `Err`: that packet may not come now, with what was expected instead.
    pub fn hear(&mut self, socket: SocketNo, heard: &Heard) -> Result<(), String> {
        let Some(conn) = self.conns.get_mut(&socket) else { return Err("nobody has connected".to_owned()) };
        if conn.told {
            return Err("a packet after DISCONNECT [MQTT-4.13.1-1]".to_owned());
        }
        if let Heard::Disconnect(code) = heard {
            conn.told = true;
            return match conn.over {
                Some(Some(expected)) if expected == *code => Ok(()),
                over => Err(format!("DISCONNECT {code:#04x}, expected {over:02x?} [MQTT-4.13.0-1]")),
            };
        }
        if conn.over.is_some() {
            return Ok(()); // on its way when the end came: its client no longer listens
        }
        match heard {
            Heard::Publish(publish) => self.hear_publish(socket, publish),
            Heard::PubRel(id, code) => self.hear_pubrel(socket, *id, *code),
            other => self.hear_answer(socket, other),
        }
    }

    fn hear_answer(&mut self, socket: SocketNo, heard: &Heard) -> Result<(), String> {
        let conn = self.conns.get_mut(&socket).expect("seen by the caller");
        let Some(due) = conn.answers.pop_front() else { return Err("nothing is due".to_owned()) };
        let v5 = conn.version == Version::V5;
        let right = match (&due, heard) {
            (Answer::ConnAck { session_present, expiry_secs }, Heard::ConnAck(ack)) => {
                right_connack(conn, *session_present, *expiry_secs, ack, &self.limits)
            }
            (Answer::SubAck(id, codes), Heard::SubAck(heard, got))
            | (Answer::UnsubAck(id, codes), Heard::UnsubAck(heard, got)) => id == heard && codes == got,
            (Answer::PubAck(id, matched), Heard::PubAck(heard, code))
            | (Answer::PubRec(id, matched), Heard::PubRec(heard, code)) => {
                id == heard && (*code == 0 || (v5 && !matched && *code == 0x10))
            }
            (Answer::PubComp(id, code), Heard::PubComp(heard, got)) => {
                id == heard && (*got == if v5 { *code } else { 0 })
            }
            (Answer::PingResp, Heard::PingResp) => true,
            _ => false,
        };
        if right { Ok(()) } else { Err(format!("expected {due:?}")) }
    }

    fn hear_pubrel(&mut self, socket: SocketNo, id: u16, code: u8) -> Result<(), String> {
        let conn = self.conns.get_mut(&socket).expect("seen by the caller");
        let v5 = conn.version == Version::V5;
        if let Some(Answer::PubRel(due, expected)) = conn.answers.front()
            && *due == id
            && code == if v5 { *expected } else { 0 }
        {
            conn.answers.pop_front();
            return Ok(());
        }
        let session = self.sessions.get_mut(&conn.client).expect("who is connected has one");
        session.skip_too_large(conn, Some(id));
        let repeated = session.resend.front() == Some(&id);
        if repeated && session.in_flight(id).is_some_and(|f| f.released) {
            session.resend.pop_front();
            return Ok(());
        }
        Err(format!("PUBREL for nothing; expected {:?}", self.conns[&socket].answers.front()))
    }

    fn hear_publish(&mut self, socket: SocketNo, p: &HeardPublish) -> Result<(), String> {
        let conn = self.conns.get_mut(&socket).expect("seen by the caller");
        if matches!(conn.answers.front(), Some(Answer::ConnAck { .. })) {
            return Err("before CONNACK [MQTT-3.2.0-1]".to_owned());
        }
        if p.bytes > conn.maximum_packet {
            return Err(format!("{} bytes of {} [MQTT-3.1.2-24]", p.bytes, conn.maximum_packet));
        }
        self.met.aliases += usize::from(p.topic.is_empty());
        let name = conn.resolve(p)?;
        let (client, window, v5) = (conn.client, conn.window, conn.version == Version::V5);
        let exact = conn.caught_up;
        let session = self.sessions.get_mut(&client).expect("who is connected has one");
        let Some(packet_id) = p.packet_id else { return self.settle(socket, p, &name) };
        session.skip_too_large(conn, Some(packet_id));
        if let Some(first) = session.resend.front().copied() {
            // What an earlier connection left open comes first, in order [MQTT-4.4.0-1, 4.6.0-1].
            let flight = session.in_flight(first).expect("resend names what is in flight");
            let right = p.dup && first == packet_id && !flight.released && flight.form.qos == p.qos;
            if !right || !flight.form.fits(&name, p, v5, exact, self.now) {
                return Err(format!("expected packet {first} again: {flight:?}"));
            }
            session.resend.pop_front();
            self.met.repetitions += 1;
            return Ok(());
        }
        if session.in_flight(packet_id).is_some() {
            return Err(format!("packet identifier {packet_id} is in use [MQTT-2.2.1-4]"));
        }
        if session.in_flight.len() >= window {
            return Err(format!("{window} are unacknowledged already [MQTT-3.3.4-9]"));
        }
        if p.dup && conn.fresh {
            return Err("a repetition after a first delivery [MQTT-4.4.0-1]".to_owned());
        }
        conn.fresh |= !p.dup;
        self.settle(socket, p, &name)
    }

    /// Finds the delivery among what is owed, and strikes it off.
    fn settle(&mut self, socket: SocketNo, p: &HeardPublish, name: &str) -> Result<(), String> {
        let conn = &self.conns[&socket];
        let (client, v5) = (conn.client, conn.version == Version::V5);
        let session = &self.sessions[&client];
        let (form, group) = match self.find(conn, p, name)? {
            Place::Owed(index) => {
                let session = self.sessions.get_mut(&client).expect("seen above");
                let mut owed = session.owed.remove(index);
                if !v5 {
                    owed.form.ids_open = true;
                    let message = &owed.form.taken.message;
                    let same = |o: &&mut Owed| Rc::ptr_eq(&o.form.taken.message, message);
                    session.owed.iter_mut().filter(same).for_each(|o| o.form.ids_open = true);
                }
                if owed.replay_of.is_some() || p.qos == QoS::AtMostOnce {
                    let message = &owed.form.taken.message;
                    let twin =
                        |o: &&mut Owed| o.replay_of.is_some() && Rc::ptr_eq(&o.form.taken.message, message);
                    session.owed.iter_mut().filter(twin).for_each(|o| o.twin = true);
                    // Or it came by a shared subscription, and this is still to come.
                    let alike = |pooled: &&mut Pooled| {
                        let forms = pooled.forms(client, &self.sessions[&client]);
                        Rc::ptr_eq(&pooled.taken.message, &owed.form.taken.message)
                            && forms.iter().any(|f| f.qos == p.qos)
                    };
                    let mut shared: Vec<&mut Pooled> = self.pool.iter_mut().filter(alike).collect();
                    shared.iter_mut().for_each(|pooled| pooled.optional = true);
                    if !shared.is_empty() {
                        let again = Owed { optional: true, ..owed.clone() };
                        self.sessions.get_mut(&client).expect("seen above").owed.push(again);
                    }
                }
                self.met.replays += usize::from(owed.replay_of.is_some());
                self.met.waited += usize::from(owed.step < self.step);
                (owed.form, None)
            }
            Place::Pool(index) => {
                let pooled = self.pool.remove(index);
                self.met.shared += 1;
                let forms = pooled.forms(client, session);
                let mut form =
                    forms.into_iter().find(|form| form.looks_like(p, conn)).expect("it was found by one");
                form.ids_open = !v5;
                (form, Some(pooled.group))
            }
        };
        self.met.deliveries += 1;
        self.met.passed_on += usize::from(!p.passed_on.0.is_empty());
        if let Some(packet_id) = p.packet_id {
            let flight = InFlight { packet_id, form, released: false, group, maybe_done: false, left: false };
            self.sessions.get_mut(&client).expect("seen above").in_flight.push(flight);
        }
        Ok(())
    }

    fn find(&self, conn: &Conn, p: &HeardPublish, name: &str) -> Result<Place, String> {
        let (session, v5, exact) =
            (&self.sessions[&conn.client], conn.version == Version::V5, conn.caught_up);
        let fits = |form: &Form| form.qos == p.qos && form.fits(name, p, v5, exact, self.now);
        let mut first: Option<&Owed> = None;
        let mut optional = None;
        for (index, owed) in session.owed.iter().enumerate() {
            let form = &owed.form;
            // Order holds within a topic and QoS [MQTT-4.6.0-5]; of several replays of one topic any may be first.
            if form.taken.message.topic != name || form.qos != p.qos {
                continue;
            }
            let turn = first.is_none_or(|f| f.replay_of.is_some() && owed.replay_of.is_some());
            // What is too large for this client is passed over [MQTT-3.1.2-25].
            let passed_over = owed.optional || form.bytes(conn.version) > conn.maximum_packet;
            if turn && fits(form) && (!p.dup || owed.maybe_sent) {
                if !passed_over {
                    return Ok(Place::Owed(index));
                }
                optional = optional.or(Some(index));
            }
            if !passed_over {
                first = first.or(Some(owed));
            }
        }
        if let Some(index) = optional {
            return Ok(Place::Owed(index));
        }
        let takes = |pooled: &Pooled| {
            pooled.forms(conn.client, session).iter().any(fits) && (!p.dup || pooled.maybe_sent)
        };
        // Of several that look alike, the one that nobody else can have.
        let open = |p: &Pooled| (p.optional, p.parked, !p.by_old.is_empty());
        let alike = self.pool.iter().enumerate().filter(|(_, pooled)| takes(pooled));
        let pooled = alike.min_by_key(|(_, pooled)| open(pooled)).map(|(index, _)| index);
        pooled.map(Place::Pool).ok_or_else(|| match first {
            Some(owed) => format!("expected {owed:?}"),
            None => {
                let topics: Vec<_> =
                    session.owed.iter().map(|o| (&o.form.taken.message.topic, o.form.qos)).collect();
                format!("nothing of the kind is owed: {topics:?}")
            }
        })
    }

    /// The client sees the end of a connection that it did not close.
    pub fn closed(&mut self, socket: SocketNo, read_everything: bool) -> Result<(), String> {
        let Some(conn) = self.conns.get_mut(&socket) else { return Ok(()) };
        conn.closed = true;
        match conn.over {
            None => Err("closed without a reason".to_owned()),
            Some(Some(code)) if !conn.told && read_everything => {
                Err(format!("closed without DISCONNECT {code:#04x} [MQTT-4.13.0-1]"))
            }
            Some(_) => Ok(()),
        }
    }

    /// Nothing moves any more: what is owed must have come. `reads`: whether a connection's client reads.
    pub fn at_rest(&mut self, reads: impl Fn(SocketNo) -> bool) -> Result<(), (Option<ClientNo>, String)> {
        for (socket, conn) in &mut self.conns {
            conn.caught_up = reads(*socket);
            if !conn.caught_up {
                continue;
            }
            let fault = |text: String| Err((Some(conn.client), format!("{socket:?}: {text}")));
            if conn.over.is_some() && !conn.closed {
                return fault(format!("not closed ({:02x?})", conn.over));
            }
            if let (None, Some(due)) = (conn.over, conn.answers.front()) {
                return fault(format!("never answered: {due:?}"));
            }
        }
        self.conns.retain(|_, conn| !conn.closed);
        for (client, session) in &mut self.sessions {
            let Some(conn) = session.conn.and_then(|no| self.conns.get(&no)) else {
                session.owed.retain(|o| o.form.qos != QoS::AtMostOnce || o.replay_of.is_some());
                continue;
            };
            if conn.caught_up {
                let dropped = session.at_rest(conn).map_err(|text| (Some(*client), text))?;
                self.met.too_large += dropped;
            }
        }
        self.pool_at_rest().map_err(|text| (None, text))
    }
}

impl Session {
    /// Returns how many were too large for the client: such a message counts as delivered `[MQTT-3.1.2-25]`.
    fn at_rest(&mut self, conn: &Conn) -> Result<usize, String> {
        if self.open() < conn.window {
            self.skip_too_large(conn, None);
        }
        if !self.resend.is_empty() && self.open() < conn.window {
            return Err(format!("not repeated: {:?}", self.resend));
        }
        let room = self.resend.is_empty() && self.in_flight.len() < conn.window;
        let mut dropped = 0;
        for owed in &mut self.owed {
            let bytes = owed.form.bytes(conn.version);
            if bytes > conn.maximum_packet {
                dropped += usize::from(room && !owed.optional);
                owed.optional = true;
            }
            // Without room QoS 0 may wait as well [MQTT-4.9.0-2]: behind what is retained, so that it is not overtaken.
            if room && !owed.optional {
                return Err(format!("never came: {owed:?}"));
            }
        }
        self.owed.retain(|_| !room);
        Ok(dropped)
    }
}

impl Session {
    /// What would be repeated but is too large for the client counts as done, unless it comes all the same.
    fn skip_too_large(&mut self, conn: &Conn, came: Option<u16>) {
        while let Some(id) = self.resend.front().copied().filter(|id| Some(*id) != came) {
            let large = |f: &InFlight| {
                f.maybe_done || (!f.released && f.form.bytes(conn.version) > conn.maximum_packet)
            };
            if !self.in_flight(id).is_some_and(|f| large(f)) {
                return;
            }
            self.finish(id);
        }
    }
}

impl Form {
    fn looks_like(&self, p: &HeardPublish, conn: &Conn) -> bool {
        let mut ids = p.ids.clone();
        ids.sort_unstable();
        self.qos == p.qos && self.retain == p.retain && (conn.version != Version::V5 || self.ids == ids)
    }

    fn fits(&self, name: &str, p: &HeardPublish, v5: bool, exact: bool, now: tidemq::time::Time) -> bool {
        let message = &self.taken.message;
        let mut ids = p.ids.clone();
        ids.sort_unstable();
        let remaining = self.taken.remaining(now);
        let expiry = p.expiry_secs == remaining
            || (!exact
                && p.expiry_secs.zip(remaining).is_some_and(|(told, least)| {
                    told >= least && Some(told) <= self.taken.remaining(self.taken.at)
                }));
        message.topic == name
            && message.payload == p.payload
            && self.retain == p.retain
            && (!v5 || (expiry && (self.ids_open || self.ids == ids) && message.passed_on == p.passed_on))
    }

    /// Of the packet without a topic alias.
    pub(super) fn bytes(&self, version: Version) -> usize {
        let message = &self.taken.message;
        let plain = wire::publish(
            version,
            &Published {
                dup: false,
                qos: self.qos,
                retain: self.retain,
                topic: &message.topic,
                alias: None,
                expiry_secs: message.expiry_secs,
                packet_id: (self.qos != QoS::AtMostOnce).then_some(1),
                passed_on: &message.passed_on.0,
                ids: &self.ids,
                payload: &message.payload.0,
            },
        );
        plain.len()
    }
}

impl Conn {
    /// The topic, also when an alias stands for it `[MQTT-3.3.2-12]`.
    fn resolve(&mut self, p: &HeardPublish) -> Result<String, String> {
        let Some(alias) = p.alias else { return Ok(p.topic.clone()) };
        if alias == 0 || alias > self.alias_maximum {
            return Err(format!("topic alias {alias} of {} [MQTT-3.1.2-26]", self.alias_maximum));
        }
        if !p.topic.is_empty() {
            self.aliases.insert(alias, p.topic.clone());
        }
        self.aliases.get(&alias).cloned().ok_or_else(|| format!("topic alias {alias} is unknown"))
    }
}

fn right_connack(
    conn: &Conn,
    session_present: bool,
    expiry_secs: u32,
    ack: &HeardConnAck,
    limits: &super::Limits,
) -> bool {
    let v5 = conn.version == Version::V5;
    // 3.1 has no session present flag.
    let present = session_present && conn.version != Version::V3_1;
    let announced = ack.expiry_secs.unwrap_or(conn.asked_expiry) == expiry_secs
        && usize::from(ack.receive_maximum) == limits.receive_maximum
        && ack.maximum_packet_size.is_none_or(|bytes| bytes == limits.packet_bytes);
    ack.code == 0 && ack.session_present == present && (!v5 || announced)
}
