//! The reference model: what an MQTT broker does, as a program small enough to be read as the specification.
//!
//! One place, one order, no shards: sessions, subscriptions, retained messages, wills, expiry, the state of QoS 1
//! and 2, shared groups. It is told what each client sends ([`Model::told`]) and what time it is, and judges every
//! packet that a client receives ([`Model::hear`]) and what is still owed when nothing moves any more
//! ([`Model::at_rest`]). Where the standard leaves the outcome open (which member of a group, in which order messages
//! of different topics come) it holds the set of outcomes. It must not know shards, links or how bytes travel.

mod client;
mod judge;
mod publish;
mod session;
mod share;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use tidemq::mqtt::subscribe::SubscriptionOptions;
use tidemq::mqtt::{QoS, Version};
use tidemq::time::Time;

use crate::history::{ClientNo, SocketNo};
use crate::wire::{AckKind, Text};
use session::Session;
use share::Pooled;

/// A timer may fire this much late, never early: the executor steps over the time in between.
pub const LATE_MICROS: u64 = 2_000_000;

/// What a message says. Its expiry counts from when it is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub publisher: ClientNo,
    pub topic: String,
    pub qos: QoS,
    pub retain: bool,
    pub expiry_secs: Option<u32>,
    /// Payload format, content type, response topic, correlation data, user properties: as they were written.
    pub passed_on: Text,
    pub payload: Text,
}

/// A message that the broker has taken.
#[derive(Clone, Debug)]
pub struct Taken {
    pub message: Rc<Message>,
    pub at: Time,
    pub expires: Time,
}

/// What a CONNECT asks for.
#[derive(Clone, Debug)]
pub struct Connecting {
    pub version: Version,
    pub clean: bool,
    pub expiry_secs: u32,
    pub keep_alive_secs: u16,
    pub receive_maximum: Option<u16>,
    pub maximum_packet: Option<u32>,
    pub alias_maximum: u16,
    pub will: Option<(Rc<Message>, u32)>,
}

/// One packet that a client wrote, whole.
#[derive(Clone, Debug)]
pub enum Told {
    Connect(Connecting),
    Publish {
        message: Rc<Message>,
        packet_id: Option<u16>,
    },
    Subscribe {
        packet_id: u16,
        id: Option<u32>,
        filters: Vec<(String, SubscriptionOptions)>,
    },
    Unsubscribe {
        packet_id: u16,
        filters: Vec<String>,
    },
    /// Accepting or refusing.
    Ack {
        kind: AckKind,
        packet_id: u16,
        refuses: bool,
    },
    Ping,
    Disconnect {
        with_will: bool,
        expiry_secs: Option<u32>,
    },
    /// It breaks the rule with this reason code.
    Crime(u8),
}

/// An answer that is due, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    ConnAck {
        session_present: bool,
        expiry_secs: u32,
    },
    SubAck(u16, Vec<u8>),
    UnsubAck(u16, Vec<u8>),
    /// Whether somebody gets the message: then the reason must not say that nobody does.
    PubAck(u16, bool),
    PubRec(u16, bool),
    PubRel(u16, u8),
    PubComp(u16, u8),
    PingResp,
}

/// A connection whose CONNECT the broker has read.
#[derive(Debug)]
struct Conn {
    client: ClientNo,
    version: Version,
    answers: VecDeque<Answer>,
    /// The broker ends it: a 5.0 client is told why.
    over: Option<Option<u8>>,
    told: bool,
    closed: bool,
    /// Everything that was sent has been read, when it was last at rest.
    caught_up: bool,
    asked_expiry: u32,
    keep_alive_secs: u16,
    last_packet: Time,
    window: usize,
    maximum_packet: usize,
    alias_maximum: u16,
    aliases: BTreeMap<u16, String>,
    /// A first delivery at QoS 1 or 2 came: nothing is repeated after it.
    fresh: bool,
}

/// The broker's limits that show.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub inflight: usize,
    pub receive_maximum: usize,
    pub expiry_maximum_secs: u32,
    pub persistent: bool,
    pub packet_bytes: u32,
}

/// What a run met: a rule that never applied was not proved.
#[derive(Clone, Debug, Default)]
pub struct Met {
    pub deliveries: usize,
    pub replays: usize,
    pub repetitions: usize,
    pub wills: usize,
    pub resumed: usize,
    pub taken_over: usize,
    pub expired: usize,
    pub too_large: usize,
    pub shared: usize,
    pub moved: usize,
    /// By an alias alone.
    pub aliases: usize,
    /// With properties that pass unaltered.
    pub passed_on: usize,
    pub waited: usize,
    pub crimes: usize,
}

impl Met {
    pub fn add(&mut self, other: &Met) {
        let (mine, others) = (self.all_mut(), other.clone());
        let mut others = others;
        mine.into_iter().zip(others.all_mut()).for_each(|((_, a), (_, b))| *a += *b);
    }

    /// A run in which a rule never applied does not prove it.
    pub fn expect_everything(&self) {
        let mut met = self.clone();
        let never: Vec<&str> =
            met.all_mut().into_iter().filter(|(_, n)| **n < 20).map(|(name, _)| name).collect();
        assert!(never.is_empty(), "hardly ever: {never:?} in {self:?}");
    }

    fn all_mut(&mut self) -> [(&'static str, &mut usize); 14] {
        [
            ("deliveries", &mut self.deliveries),
            ("replays", &mut self.replays),
            ("repetitions", &mut self.repetitions),
            ("wills", &mut self.wills),
            ("resumed", &mut self.resumed),
            ("taken over", &mut self.taken_over),
            ("expired", &mut self.expired),
            ("too large", &mut self.too_large),
            ("shared", &mut self.shared),
            ("moved", &mut self.moved),
            ("crimes", &mut self.crimes),
            ("waited", &mut self.waited),
            ("aliases", &mut self.aliases),
            ("passed on", &mut self.passed_on),
        ]
    }
}

/// The broker as it should be.
pub struct Model {
    limits: Limits,
    now: Time,
    step: usize,
    sessions: BTreeMap<ClientNo, Session>,
    conns: BTreeMap<SocketNo, Conn>,
    retained: BTreeMap<String, Taken>,
    pool: Vec<Pooled>,
    pub met: Met,
}

impl Model {
    /// Nobody is there.
    pub fn new(limits: Limits, now: Time) -> Model {
        Model {
            limits,
            now,
            step: 0,
            sessions: BTreeMap::new(),
            conns: BTreeMap::new(),
            retained: BTreeMap::new(),
            pool: Vec::new(),
            met: Met::default(),
        }
    }

    /// The next step begins.
    pub fn begin_step(&mut self) {
        self.step += 1;
    }

    /// When something happens of itself next, not later than `until`.
    pub fn next_deadline(&self, until: Time) -> Option<Time> {
        self.deadlines().filter(|at| *at <= until).min()
    }

    /// The same, the last of it.
    pub fn last_deadline(&self, until: Time) -> Option<Time> {
        self.deadlines().filter(|at| *at <= until).max()
    }

    fn deadlines(&self) -> impl Iterator<Item = Time> {
        let silent = self.conns.values().filter(|c| c.over.is_none()).map(Conn::silent_until);
        self.sessions.values().map(Session::deadline).chain(silent)
    }

    /// The time is `now`: everything that was due has happened.
    pub fn pass(&mut self, now: Time) {
        self.now = now;
        let silent = |c: &Conn| c.over.is_none() && c.silent_until() <= now;
        let late: Vec<SocketNo> = self.conns.iter().filter(|(_, c)| silent(c)).map(|(no, _)| *no).collect();
        for socket in late {
            self.end(socket, 0x8D); // [MQTT-3.1.2-22]
        }
        let due: Vec<ClientNo> =
            self.sessions.iter().filter(|(_, s)| s.deadline() <= now).map(|(no, _)| *no).collect();
        for client in due {
            let session = self.sessions.get_mut(&client).expect("just seen");
            if session.ends_at <= now {
                self.end_session(client);
            } else {
                self.publish_will(client);
            }
        }
        self.forget_expired();
    }

    /// Whether the CONNACK that comes next on a connection gives its client a session back.
    pub fn is_resumed(&self, socket: SocketNo) -> bool {
        let due = self.conns.get(&socket).and_then(|conn| conn.answers.front());
        matches!(due, Some(Answer::ConnAck { session_present: true, .. }))
    }

    /// The filters of the session that a client has.
    pub fn session_filters(&self, client: ClientNo) -> Vec<String> {
        self.sessions.get(&client).map_or(Vec::new(), |s| s.subscriptions.keys().cloned().collect())
    }
}

impl Message {
    /// As 3.1.1 can say it.
    pub fn without_properties(&self) -> Message {
        Message { expiry_secs: None, passed_on: Text::default(), ..self.clone() }
    }
}

impl Conn {
    fn silent_until(&self) -> Time {
        match self.keep_alive_secs {
            0 => Time::NEVER,
            secs => Time(self.last_packet.0 + u64::from(secs) * 1_500_000),
        }
    }
}

impl Taken {
    /// What remains of its expiry at `now`, rounded up `[MQTT-3.3.2-6]`.
    fn remaining(&self, now: Time) -> Option<u32> {
        let left = self.expires.0.saturating_sub(now.0).div_ceil(1_000_000);
        (self.expires != Time::NEVER).then(|| u32::try_from(left).unwrap_or(u32::MAX))
    }
}
