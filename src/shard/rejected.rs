//! Keeps who is refused at CONNECT, who is put out by an Apply, and what clients may not do.

use crate::mqtt::connect::Connect;
use crate::mqtt::{PacketType, QoS, ReasonCode};
use crate::policy::{Attempt, Ground, Principal, Rejection};
use crate::session::ConnId;

use super::Shard;
use super::explain::why_refused;

/// What a client may not do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act<'a> {
    /// Publish to this topic, with this QoS.
    Publish(&'a str, QoS),
    /// Have its will published to this topic.
    Will(&'a str),
    /// Subscribe with this filter.
    Subscribe(&'a str),
}

impl Act<'_> {
    fn attempt(self) -> Attempt {
        match self {
            Act::Publish(topic, qos) => Attempt::Publish { topic: topic.into(), qos },
            Act::Will(topic) => Attempt::Will { topic: topic.into() },
            Act::Subscribe(filter) => Attempt::Subscribe { filter: filter.into() },
        }
    }

    fn why(self, reason: ReasonCode) -> &'static str {
        let packet = match self {
            Act::Publish(..) | Act::Will(_) => PacketType::PubAck,
            Act::Subscribe(_) => PacketType::SubAck,
        };
        why_refused(packet, reason).unwrap_or("It was refused.")
    }
}

impl Shard {
    /// The last connections that this shard refused or ended for what their clients are, and what it refused to clients;
    /// each oldest first.
    pub fn rejections(&self) -> impl Iterator<Item = &Rejection> {
        self.rejections.all()
    }

    /// Takes them out.
    pub fn take_rejections(&mut self) -> Vec<Rejection> {
        self.rejections.take()
    }

    /// A CONNECT is refused.
    pub(super) fn reject_connect(
        &mut self,
        conn: ConnId,
        connect: Option<&Connect<'_>>,
        ground: Ground,
        cause: String,
    ) {
        let connection = &self.connections[conn.index as usize];
        let will = connect.and_then(|c| c.will.as_ref());
        let attempt = match (&ground, will) {
            (Ground::Rules { .. } | Ground::System, Some(will)) => Attempt::Will { topic: will.topic.into() },
            _ => Attempt::Connect,
        };
        let certificate = connection.certificate.clone();
        let presented = Principal { certificate: certificate.clone(), user: None };
        let rejection = Rejection {
            peer: Some(connection.peer),
            listener: Some(connection.listener),
            client_id: connect.map(|c| c.client_id.into()),
            client_name: self.name_of(Some(&presented)),
            user: connect.and_then(|c| c.user_name).map(Into::into),
            certificate,
            ..self.rejection(attempt, ground, cause)
        };
        self.rejections.push(rejection);
    }

    /// A client that was accepted is put out.
    pub(super) fn reject_client(&mut self, client: u32, ground: Ground, cause: String) {
        let rejection = self.rejection_of(client, Attempt::Stay, ground, cause);
        self.rejections.push(rejection);
    }

    /// A client may not do something, and hears of it by this code. Of a flood some are kept, the rest is counted.
    #[cold]
    pub(super) fn reject_act(&mut self, client: u32, act: Act<'_>, reason: ReasonCode) {
        if !self.takes_act() {
            return;
        }
        let ground =
            if reason == ReasonCode::NotAuthorized { self.ground(client, act) } else { Ground::Limit };
        let cause = act.why(reason).to_owned();
        let rejection = self.rejection_of(client, act.attempt(), ground, cause);
        self.rejections.push(rejection);
    }

    /// A message is refused at its topic's home, where nobody knows who published it.
    #[cold]
    pub(super) fn reject_retained(&mut self, topic: &str, qos: QoS) {
        if self.takes_act() {
            let act = Act::Publish(topic, qos);
            let cause = act.why(ReasonCode::QuotaExceeded).to_owned();
            let rejection = self.rejection(act.attempt(), Ground::Limit, cause);
            self.rejections.push(rejection);
        }
    }

    fn takes_act(&mut self) -> bool {
        let takes = self.rejections.takes_act();
        self.counters.rejections_left_out += u64::from(!takes);
        takes
    }

    fn name_of(&self, principal: Option<&Principal>) -> Option<Box<str>> {
        let name = principal.map_or("", |p| p.client_name(self.snapshot.names));
        (!name.is_empty()).then(|| name.into())
    }

    /// Of nobody.
    fn rejection(&self, attempt: Attempt, ground: Ground, cause: String) -> Rejection {
        Rejection {
            number: 0,
            times: 1,
            unix_micros: self.unix_micros(self.now),
            peer: None,
            listener: None,
            client_id: None,
            client_name: None,
            user: None,
            certificate: None,
            attempt,
            ground,
            cause,
        }
    }

    fn rejection_of(&self, client: u32, attempt: Attempt, ground: Ground, cause: String) -> Rejection {
        let c = &self.clients[client];
        let connection = c.conn.map(|conn| &self.connections[conn.index as usize]);
        let principal = c.standing.principal.as_deref();
        Rejection {
            peer: connection.map(|connection| connection.peer),
            listener: connection.map(|connection| connection.listener),
            client_id: Some(c.client_id.clone()),
            client_name: self.name_of(principal),
            user: principal.and_then(|p| p.user.as_ref()).map(|user| user.name.clone()),
            certificate: principal.and_then(|p| p.certificate.clone()),
            ..self.rejection(attempt, ground, cause)
        }
    }
}
