//! CONNECT: judged only here, at the client's home, step by step.

use std::sync::Arc;

use crate::mqtt::connack::{ConnAck, ConnAckProperties};
use crate::mqtt::connect::Connect;
use crate::mqtt::{Packet, ReasonCode, Version};
use crate::policy::rules::Rules;
use crate::policy::{ClientIdPolicy, Ground, Principal, ProvedUser};
use crate::session::{ConnId, Will};
use crate::time::Time;

use super::connection::{Phase, Urgency};
use super::effect::CloseCause;
use super::explain::Refusal;
use super::standing::Standing;
use super::verifying::Authentication;
use super::{Shard, client_hash};

/// Client identifiers that we assign begin so.
const ASSIGNED_PREFIX: &str = "tidemq-";
/// A Maximum Packet Size with room for every CONNACK: two strings and a few numbers.
const SURELY_FITS: usize = 256 << 10;

/// What holds for a connection, of what its CONNECT asks.
struct Agreed {
    keep_alive_secs: u16,
    expiry_secs: u32,
    /// The client identifier is ours.
    assigned: bool,
    response_information: Option<String>,
}

impl Shard {
    /// A connection's first packet. The connection is either accepted, with its CONNACK, or refused and closed; or its
    /// credentials are verified first.
    pub(super) fn handle_connect(&mut self, conn: ConnId, connect: &Connect<'_>) {
        let connection = &mut self.connections[conn.index as usize];
        connection.version = connect.version;
        connection.problem_information = connect.properties.request_problem_information.unwrap_or(true);
        connection.maximum_packet =
            connect.properties.maximum_packet_size.map_or(u32::MAX, std::num::NonZeroU32::get);
        if let Some(refusal) = self.refuse_connect(connect) {
            return self.refuse(conn, connect, refusal);
        }
        let connection = &self.connections[conn.index as usize];
        let certificate = connection.certificate.as_deref();
        let (listener, tls, trusted) = (connection.listener, connection.tls, connection.trusted);
        if self.snapshot.listeners.get(listener).is_none() {
            let why = "The listener that the client came to is closed.";
            return self.refuse(
                conn,
                connect,
                Refusal::new(Ground::Listener, ReasonCode::ServerUnavailable, why),
            );
        }
        match self.judge_certificate(listener, tls, certificate, trusted) {
            Ok(trusted) => self.connections[conn.index as usize].trusted = trusted,
            Err(refusal) => {
                // Also those that resume a TLS session: no verifier has seen them.
                let reason = ReasonCode::NotAuthorized;
                let why = "The server does not accept the client's certificate, or asks for one.";
                let cause = refusal.to_string();
                let refusal = Refusal::new(Ground::Certificate(refusal), reason, why);
                return self.refuse_because(conn, connect, refusal, cause);
            }
        }
        match self.authenticate(conn, connect) {
            Authentication::Proved(user) => self.admit(conn, connect, user),
            Authentication::Waits => {}
            Authentication::Refused(refusal) => self.refuse(conn, connect, refusal),
        }
    }

    /// A CONNECT whose credentials, if it needed any, were verified: joins it to its session, or refuses it for what
    /// speaks against that.
    pub(super) fn admit(&mut self, conn: ConnId, connect: &Connect<'_>, user: Option<ProvedUser>) {
        let principal = self.principal(conn, user);
        if let Some(refusal) = self.refuse_principal(&principal, connect) {
            return self.refuse(conn, connect, refusal);
        }
        let assigned = connect.client_id.is_empty().then(|| self.assign_client_id());
        let client_id = assigned.as_deref().unwrap_or(connect.client_id);
        let agreed = self.agree(connect, client_id, assigned.is_some());
        // Before anything that is there under this identifier is touched: a refused CONNECT changes nothing.
        if let Some(refusal) = self.refuse_session(conn, client_id, connect, &agreed, principal.owner()) {
            return self.refuse(conn, connect, refusal);
        }
        let (client, session_present) = match self.take_session(client_id, connect) {
            Some(resumed) => (resumed, true),
            None => {
                let publisher = client_hash(&self.homes, client_id);
                (self.clients.insert(client_id, publisher), false)
            }
        };
        let trusted = self.connections[conn.index as usize].trusted;
        let nobody = principal.certificate.is_none() && principal.user.is_none();
        self.clients[client].standing = Standing::of((!nobody).then(|| Arc::new(principal)), trusted);
        self.attach(conn, client, connect, &agreed);
        self.refresh(client);
        self.counters.connects_accepted += 1;
        let (reason, properties) = (ReasonCode::Success, self.connack(connect, client_id, &agreed));
        let packet = Packet::ConnAck(ConnAck { session_present, reason, properties });
        let connection = &mut self.connections[conn.index as usize];
        let out = self.dirty.writer(conn.index, &mut connection.out, Urgency::Answer);
        packet.encode(connect.version, out);
        self.counters.other_packets_sent += 1;
        let window = usize::from(self.clients[client].window);
        if let Some(flow) = &mut self.clients[client].flow {
            flow.outgoing.connect(window);
        }
        self.pump(client); // what was in flight, then what waited [MQTT-4.4.0-1]
    }

    /// What speaks against a CONNECT before its session is looked at.
    fn refuse_connect(&self, connect: &Connect<'_>) -> Option<Refusal> {
        use ReasonCode as R;
        let limits = &self.snapshot.limits;
        let refusal = |ground, reason, why| Some(Refusal::new(ground, reason, why));
        if connect.client_id.is_empty() && connect.version != Version::V5 && !connect.clean_start {
            let why = "A client without an identifier must ask for a clean session."; // [MQTT-3.1.3-8] of 3.1.1
            return refusal(Ground::Unsupported, R::ClientIdentifierNotValid, why);
        }
        // 3.1 allows 1 to 23 characters; here it has the freedoms of 3.1.1.
        if connect.client_id.len() > usize::from(limits.client_id_bytes) {
            return refusal(
                Ground::Limit,
                R::ClientIdentifierNotValid,
                "The client identifier is longer than the server allows.",
            );
        }
        if let Some(refused) = refuse_authentication(connect) {
            return Some(refused);
        }
        let too_many = "The packet has more user properties than the server allows.";
        if !limits.allow_user(connect.properties.user) {
            return refusal(Ground::Limit, R::QuotaExceeded, too_many);
        }
        if let Some(will) = &connect.will {
            // It will be a PUBLISH and must not carry what a PUBLISH may not.
            if !limits.allow_user(will.properties.user()) {
                return refusal(Ground::Limit, R::QuotaExceeded, too_many);
            }
            if !limits.allow_topic(will.topic) {
                let why = "The topic of the will has more bytes or levels than the server allows.";
                return refusal(Ground::Limit, R::TopicNameInvalid, why);
            }
        }
        None
    }

    /// What speaks against a session for this client.
    fn refuse_session(
        &self,
        conn: ConnId,
        client_id: &str,
        connect: &Connect<'_>,
        agreed: &Agreed,
        owner: &str,
    ) -> Option<Refusal> {
        // A session that nobody has proved to own belongs to whoever proves a name first.
        let session = self.clients.find(client_id).and_then(|c| self.clients[c].standing.principal.as_ref());
        if session.is_some_and(|principal| !principal.owner().is_empty() && principal.owner() != owner) {
            let why = "The session of this client identifier belongs to a client with another name.";
            return Some(Refusal::new(Ground::Owner, ReasonCode::ClientIdentifierNotValid, why));
        }
        let sessions = self.snapshot.limits.sessions.div_ceil(u64::from(self.shards));
        if self.clients.len() as u64 >= sessions && self.clients.find(client_id).is_none() {
            let why = "The server has as many sessions as its limits allow.";
            return Some(Refusal::new(Ground::Limit, ReasonCode::QuotaExceeded, why));
        }
        let maximum = self.connections[conn.index as usize].maximum_packet as usize;
        if connect.version == Version::V5 && maximum < SURELY_FITS {
            let properties = self.connack(connect, client_id, agreed);
            let connack = ConnAck { session_present: true, reason: ReasonCode::Success, properties };
            let mut packet = Vec::new();
            Packet::ConnAck(connack).encode(Version::V5, &mut packet);
            if packet.len() > maximum {
                // Nothing in it may be left out, and who cannot be told what holds cannot keep to it [MQTT-3.1.2-24].
                let why = "The CONNACK would be larger than the Maximum Packet Size that the client set.";
                return Some(Refusal::new(Ground::Limit, ReasonCode::PacketTooLarge, why));
            }
        }
        None
    }

    /// What speaks against who a client is: its name, its identifier, its will.
    fn refuse_principal(&self, principal: &Principal, connect: &Connect<'_>) -> Option<Refusal> {
        if let Some(refusal) = self.refuse_name(principal, connect.client_id) {
            return Some(refusal);
        }
        let will = connect.will.as_ref().filter(|will| !self.may_leave_will(principal, will.topic));
        will.map(|will| {
            let why = "The client may not publish its will to this topic.";
            Refusal::new(self.ground_of_will(principal, will.topic), ReasonCode::NotAuthorized, why)
        })
    }

    /// What speaks against a client's name, and against its identifier for who it is.
    pub(super) fn refuse_name(&self, principal: &Principal, client_id: &str) -> Option<Refusal> {
        let named = !principal.owner().is_empty();
        let needed = self.rules.as_ref().is_some_and(Rules::needs_names);
        if principal.certificate.is_some() && !named && needed {
            let why = "The client's certificate must have one Common Name, and no other.";
            return Some(Refusal::new(Ground::Name, ReasonCode::NotAuthorized, why));
        }
        let (fits, why) = match self.snapshot.client_id {
            ClientIdPolicy::Any => return None,
            ClientIdPolicy::EqualsName => {
                (named && client_id == principal.owner(), "The client identifier must be the client's name.")
            }
            ClientIdPolicy::StartsWithName => (
                named && client_id.starts_with(principal.owner()),
                "The client identifier must begin with the client's name.",
            ),
        };
        (!fits).then(|| Refusal::new(Ground::Name, ReasonCode::ClientIdentifierNotValid, why))
    }

    /// CONNACK with a failure, then close. 3.1.1 has few codes; what it cannot say, it does not say.
    pub(super) fn refuse(&mut self, conn: ConnId, connect: &Connect<'_>, refusal: Refusal) {
        let cause = refusal.why.to_owned();
        self.refuse_because(conn, connect, refusal, cause);
    }

    /// The same; who runs the broker is told more than the client.
    fn refuse_because(&mut self, conn: ConnId, connect: &Connect<'_>, refusal: Refusal, cause: String) {
        let reason = refusal.reason;
        self.reject_connect(conn, Some(connect), refusal.ground.clone(), cause);
        *self.counters.refusals.entry(reason).or_default() += 1;
        self.send_refusal(conn, &refusal);
        self.close(conn, CloseCause::Refused(reason));
    }

    pub(super) fn send_refusal(&mut self, conn: ConnId, refusal: &Refusal) {
        let Refusal { reason, why, .. } = *refusal;
        self.counters.connects_refused += 1;
        let v5 = self.connections[conn.index as usize].version == Version::V5;
        if v5 || reason.connect_return_code().is_some() {
            let properties = ConnAckProperties::default();
            let packet = Packet::ConnAck(ConnAck { session_present: false, reason, properties });
            self.answer_because(conn.index, &packet, Some(why));
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

    /// What will hold for this connection, of what its CONNECT asks.
    fn agree(&self, connect: &Connect<'_>, client_id: &str, assigned: bool) -> Agreed {
        let maximum = self.snapshot.limits.session_expiry_maximum_secs;
        let asked = match (connect.version, connect.clean_start) {
            (Version::V5, _) => connect.properties.session_expiry_secs.unwrap_or(0),
            (_, true) => 0,
            (_, false) => maximum, // 3.1.1 knows no expiry
        };
        let prefix = &self.snapshot.response_information;
        let asks = connect.properties.request_response_information == Some(true); // [MQTT-3.1.2-28]
        // A client identifier with a wildcard is no part of a topic name.
        let information = asks
            && !prefix.is_empty()
            && !client_id.contains(['+', '#'])
            && prefix.len() + client_id.len() <= usize::from(u16::MAX);
        Agreed {
            keep_alive_secs: self.keep_alive_secs(connect),
            expiry_secs: if self.snapshot.persistent_sessions { asked.min(maximum) } else { 0 },
            assigned,
            response_information: information.then(|| format!("{prefix}{client_id}")),
        }
    }

    /// Joins connection and session, with what this CONNECT asks for.
    fn attach(&mut self, conn: ConnId, client: u32, connect: &Connect<'_>, agreed: &Agreed) {
        let limits = &self.snapshot.limits;
        let receive_maximum = connect.properties.receive_maximum.map_or(u16::MAX, std::num::NonZeroU16::get);
        let c = &mut self.clients[client];
        c.conn = Some(conn);
        c.version = connect.version;
        c.window = receive_maximum.min(limits.inflight_messages);
        c.expiry_secs = agreed.expiry_secs;
        c.will = connect.will.as_ref().map(|w| Box::new(Will::new(w)));
        let connection = &mut self.connections[conn.index as usize];
        connection.phase = Phase::Connected;
        connection.certificate = None; // the client has it
        self.connected += 1;
        self.online.came(connection.listener, self.clients[client].standing.principal.as_deref());
        connection.client = client;
        connection.expiry_asked = connect.properties.session_expiry_secs.is_some_and(|secs| secs != 0);
        connection.packet_bytes = limits.packet_bytes;
        connection.receive_maximum = limits.receive_maximum;
        connection.aliases_from = limits.topic_aliases_in;
        let aliases = connect.properties.topic_alias_maximum.unwrap_or(0);
        connection.aliases_to = aliases.min(limits.topic_aliases_out);
        connection.patience_millis = u32::from(agreed.keep_alive_secs) * 1_500; // [MQTT-3.1.2-22]
        (connection.since, connection.connected) = (self.now, self.now);
        connection.clean_start = connect.clean_start;
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

    /// What CONNACK says. QoS 2, retained messages and every kind of subscription are there, which absence says.
    fn connack<'a>(
        &self,
        connect: &Connect<'_>,
        client_id: &'a str,
        agreed: &'a Agreed,
    ) -> ConnAckProperties<'a> {
        let limits = &self.snapshot.limits;
        let (expiry, keep_alive) = (agreed.expiry_secs, agreed.keep_alive_secs);
        ConnAckProperties {
            session_expiry_secs: (connect.properties.session_expiry_secs.unwrap_or(0) != expiry)
                .then_some(expiry),
            receive_maximum: Some(limits.receive_maximum),
            maximum_packet_size: Some(limits.packet_bytes),
            assigned_client_id: agreed.assigned.then_some(client_id),
            topic_alias_maximum: Some(limits.topic_aliases_in),
            server_keep_alive_secs: (keep_alive != connect.keep_alive_secs).then_some(keep_alive),
            response_information: agreed.response_information.as_deref(),
            ..ConnAckProperties::default()
        }
    }
}

/// Enhanced authentication would begin here: a method that is known answers with AUTH 0x18 instead of CONNACK, and the
/// AUTH packets that follow reach `Shard::handle_packet`. There is none `[MQTT-4.12.0-1]`, so that every AUTH is one
/// without a method `[MQTT-4.12.0-6]`. Authentication Data without a method is refused by the codec.
fn refuse_authentication(connect: &Connect<'_>) -> Option<Refusal> {
    connect.properties.authentication_method.map(|_| {
        Refusal::new(
            Ground::Unsupported,
            ReasonCode::BadAuthenticationMethod,
            "The server does not support this authentication method.",
        )
    })
}
