//! CONNECT: judged only here, at the client's home, step by step.

use crate::mqtt::connack::{ConnAck, ConnAckProperties};
use crate::mqtt::connect::Connect;
use crate::mqtt::{Packet, ReasonCode, Version};
use crate::session::{ConnId, Will};
use crate::time::Time;

use super::connection::Phase;
use super::effect::CloseCause;
use super::{Shard, client_hash};

/// Client identifiers that we assign begin so.
const ASSIGNED_PREFIX: &str = "tidemq-";

impl Shard {
    /// A connection's first packet. The connection is either accepted, with its CONNACK, or refused and closed.
    pub(super) fn handle_connect(&mut self, conn: ConnId, connect: &Connect<'_>) {
        let connection = &mut self.connections[conn.index as usize];
        connection.version = connect.version;
        connection.problem_information = connect.properties.request_problem_information.unwrap_or(true);
        if let Some(reason) = self.refuse_connect(connect) {
            return self.refuse(conn, reason);
        }
        let assigned = connect.client_id.is_empty().then(|| self.assign_client_id());
        let client_id = assigned.as_deref().unwrap_or(connect.client_id);
        // Before anything that is there under this identifier is touched: a refused CONNECT changes nothing.
        let sessions = self.snapshot.limits.sessions.div_ceil(u64::from(self.shards));
        if self.clients.len() as u64 >= sessions && self.clients.find(client_id).is_none() {
            return self.refuse(conn, ReasonCode::QuotaExceeded);
        }
        let (client, session_present) = match self.take_session(client_id, connect) {
            Some(resumed) => (resumed, true),
            None => {
                let publisher = client_hash(&self.homes, client_id);
                (self.clients.insert(client_id, publisher), false)
            }
        };
        self.attach(conn, client, connect);
        self.counters.connects_accepted += 1;
        self.send_connack(conn, client, connect, session_present, assigned.as_deref());
        let window = usize::from(self.clients[client].window);
        if let Some(flow) = &mut self.clients[client].flow {
            flow.outgoing.connect(window);
        }
        self.pump(client); // what was in flight, then what waited [MQTT-4.4.0-1]
    }

    /// What speaks against a CONNECT before its session is looked at.
    fn refuse_connect(&self, connect: &Connect<'_>) -> Option<ReasonCode> {
        let limits = &self.snapshot.limits;
        let v5 = connect.version == Version::V5;
        if connect.client_id.is_empty() && !v5 && !connect.clean_start {
            return Some(ReasonCode::ClientIdentifierNotValid); // [MQTT-3.1.3-8] of 3.1.1
        }
        if connect.client_id.len() > usize::from(limits.client_id_bytes) {
            return Some(ReasonCode::ClientIdentifierNotValid);
        }
        if connect.properties.authentication_method.is_some() {
            return Some(ReasonCode::BadAuthenticationMethod); // [MQTT-4.12.0-1]: none is supported
        }
        if !limits.allow_user(connect.properties.user) {
            return Some(ReasonCode::QuotaExceeded);
        }
        if let Some(will) = &connect.will {
            // It will be a PUBLISH and must not carry what a PUBLISH may not.
            if !limits.allow_user(will.properties.user()) {
                return Some(ReasonCode::QuotaExceeded);
            }
            if !limits.allow_topic(will.topic) {
                return Some(ReasonCode::TopicNameInvalid);
            }
            if will.topic == "$SYS" || will.topic.starts_with("$SYS/") {
                return Some(ReasonCode::NotAuthorized);
            }
        }
        None
    }

    /// CONNACK with a failure, then close. 3.1.1 has few codes; what it cannot say, it does not say.
    pub(super) fn refuse(&mut self, conn: ConnId, reason: ReasonCode) {
        *self.counters.refusals.entry(reason).or_default() += 1;
        self.send_refusal(conn, reason);
        self.close(conn, CloseCause::Refused(reason));
    }

    pub(super) fn send_refusal(&mut self, conn: ConnId, reason: ReasonCode) {
        self.counters.connects_refused += 1;
        let v5 = self.connections[conn.index as usize].version == Version::V5;
        if v5 || reason.connect_return_code().is_some() {
            let properties = ConnAckProperties::default();
            self.answer(conn.index, &Packet::ConnAck(ConnAck { session_present: false, reason, properties }));
        }
    }

    /// An identifier whose home is here, so that the connection need not move.
    fn assign_client_id(&mut self) -> String {
        loop {
            let id = format!("{ASSIGNED_PREFIX}{:016x}", self.draw());
            if self.homes.of(id.as_bytes()) == self.id && self.clients.find(&id).is_none() {
                return id;
            }
        }
    }

    /// Ends or takes over what exists under this identifier. `Some`: the session to resume.
    fn take_session(&mut self, client_id: &str, connect: &Connect<'_>) -> Option<u32> {
        let client = self.clients.find(client_id)?;
        if let Some(old) = self.clients[client].conn {
            self.counters.taken_over += 1;
            self.disconnect(old, ReasonCode::SessionTakenOver, CloseCause::TakenOver); // [MQTT-3.1.4-3]
        }
        // The old session may have ended with its connection.
        let client = self.clients.find(client_id)?;
        if connect.clean_start {
            self.end_session(client); // [MQTT-3.1.2-4]; its will is published [MQTT-3.1.3-9]
            return None;
        }
        let c = &mut self.clients[client];
        c.will = None; // a delayed will is not published when its session goes on [MQTT-3.1.3-9]
        (c.will_at, c.ends_at) = (Time::NEVER, Time::NEVER);
        Some(client)
    }

    /// Joins connection and session, with what this CONNECT asks for.
    fn attach(&mut self, conn: ConnId, client: u32, connect: &Connect<'_>) {
        let limits = &self.snapshot.limits;
        let maximum = limits.session_expiry_maximum_secs;
        let asked = match (connect.version, connect.clean_start) {
            (Version::V5, _) => connect.properties.session_expiry_secs.unwrap_or(0),
            (_, true) => 0,
            (_, false) => maximum, // 3.1.1 knows no expiry
        };
        let receive_maximum = connect.properties.receive_maximum.map_or(u16::MAX, std::num::NonZeroU16::get);
        let c = &mut self.clients[client];
        c.conn = Some(conn);
        c.version = connect.version;
        c.window = receive_maximum.min(limits.inflight_messages);
        c.expiry_secs = if self.snapshot.persistent_sessions { asked.min(maximum) } else { 0 };
        c.will = connect.will.as_ref().map(|w| Box::new(Will::new(w)));
        let keep_alive = self.keep_alive_secs(connect);
        let connection = &mut self.connections[conn.index as usize];
        connection.phase = Phase::Connected;
        self.connected += 1;
        connection.client = client;
        connection.maximum_packet =
            connect.properties.maximum_packet_size.map_or(u32::MAX, std::num::NonZeroU32::get);
        connection.packet_bytes = limits.packet_bytes;
        connection.receive_maximum = limits.receive_maximum;
        connection.patience_millis = u32::from(keep_alive) * 1_500; // [MQTT-3.1.2-22]
        connection.since = self.now;
        self.book_connection(conn.index);
        self.rejoin_groups(client);
    }

    /// The Keep Alive that holds: what was asked, unless it is off or longer than we allow.
    fn keep_alive_secs(&self, connect: &Connect<'_>) -> u16 {
        let maximum = self.snapshot.limits.keep_alive_maximum_secs;
        let asked = connect.keep_alive_secs;
        // Only 5.0 clients can be told of another.
        if maximum == 0 || connect.version != Version::V5 || (asked != 0 && asked <= maximum) {
            asked
        } else {
            maximum
        }
    }

    fn send_connack(
        &mut self,
        conn: ConnId,
        client: u32,
        connect: &Connect<'_>,
        session_present: bool,
        assigned: Option<&str>,
    ) {
        let limits = &self.snapshot.limits;
        let keep_alive = self.keep_alive_secs(connect);
        let expiry = self.clients[client].expiry_secs;
        let properties = ConnAckProperties {
            session_expiry_secs: (connect.properties.session_expiry_secs.unwrap_or(0) != expiry)
                .then_some(expiry),
            receive_maximum: Some(limits.receive_maximum),
            maximum_packet_size: Some(limits.packet_bytes),
            assigned_client_id: assigned,
            // No Topic Alias Maximum means none.
            server_keep_alive_secs: (keep_alive != connect.keep_alive_secs).then_some(keep_alive),
            ..ConnAckProperties::default()
        };
        let connack = ConnAck { session_present, reason: ReasonCode::Success, properties };
        let connection = &mut self.connections[conn.index as usize];
        let out = self.dirty.writer(conn.index, &mut connection.out, super::connection::Urgency::Answer);
        Packet::ConnAck(connack).encode(connect.version, out);
        self.counters.other_packets_sent += 1;
    }
}
