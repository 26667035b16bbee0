//! A connection and its client, as the simulation of policies knows them.

use std::collections::{BTreeMap, VecDeque};

use tidemq::mqtt::Version;
use tidemq::mqtt::topic::{matches, parse_shared};
use tidemq::session::ConnId;

use super::decree::{Decree, Identity, Proof};
use crate::wire::Heard;

/// Position in the one order of everything.
pub type Stamp = u64;

/// Generations by which something may have been judged: from this one to that; open: to the one that is held.
pub type Span = (usize, Option<usize>);

/// What ends at an offset of what a client sends.
#[derive(Clone, Copy, Debug)]
pub enum Mark {
    Publish(usize),
    Subscribe(u16),
    Other,
}

/// What a CONNECT said.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    pub clean: bool,
    pub durable: bool,
    pub password: u8,
    /// The post that is its will, and whether it waits.
    pub will: Option<(usize, bool)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Connecting,
    Up,
    /// The shard closes it.
    Closing,
    Over,
}

/// A connection.
pub struct Line {
    pub who: usize,
    pub home: usize,
    pub conn: ConnId,
    pub phase: Phase,
    pub wish: Wish,
    pub proof: Proof,
    pub listener: u16,
    /// Not given to the shard yet, and what ends where in the whole stream.
    pub up: VecDeque<u8>,
    pub marks: VecDeque<(usize, Mark)>,
    pub written: usize,
    pub handed: usize,
    /// The client is gone: the end comes after `up`.
    pub cut: bool,
    pub paused: bool,
    pub blocked: bool,
    /// Bytes of the shard's output that were looked at.
    pub seen: usize,
    /// Packets that are not sent whole, with where they end in the stream.
    pub told: VecDeque<(usize, Heard)>,
    pub put_out: usize,
    pub sent: usize,
    /// The client has read its CONNACK.
    pub welcome: bool,
    /// Acknowledgements that the client has not sent yet.
    pub due: VecDeque<Vec<u8>>,
    /// Filters of the SUBSCRIBE that is not answered, and by which generations it may be judged.
    pub asked: BTreeMap<u16, (Vec<String>, Span)>,
    /// Of the UNSUBSCRIBE that is not answered.
    pub leaving: BTreeMap<u16, String>,
    /// Publishes by their packet identifiers.
    pub unacked: BTreeMap<u16, usize>,
}

impl Line {
    /// The client writes.
    pub fn write(&mut self, bytes: &[u8], mark: Mark) {
        if !self.cut {
            self.up.extend(bytes);
            self.written += bytes.len();
            self.marks.push_back((self.written, mark));
        }
    }
}

/// A subscription, from when until when.
#[derive(Debug)]
pub struct Subscribed {
    pub filter: String,
    pub until: Option<Stamp>,
    /// It is certain that the broker has taken it.
    pub certain: bool,
}

/// A client.
#[derive(Debug)]
pub struct Person {
    pub id: String,
    pub home: usize,
    pub version: Version,
    pub identity: Identity,
    /// The connection that the broker has for it, and the newest it has made.
    pub current: Option<usize>,
    pub newest: Option<usize>,
    /// There is a session.
    pub session: bool,
    /// What whoever owns the session has proved.
    pub proof: Proof,
    pub subscriptions: Vec<Subscribed>,
    pub last_id: u16,
}

impl Person {
    /// An identifier that was not used before.
    pub fn next_id(&mut self) -> u16 {
        self.last_id += 1;
        self.last_id
    }

    /// The session has no subscription any more that `decree` does not allow.
    pub fn withdraw(&mut self, decree: &Decree, now: Stamp) {
        for sub in self.subscriptions.iter_mut().filter(|sub| sub.until.is_none()) {
            if !decree.may_subscribe(self.proof, &sub.filter) {
                sub.until = Some(now);
            }
        }
    }

    /// Those that were withdrawn may be there still.
    pub fn revive(&mut self) {
        for at in 0..self.subscriptions.len() {
            let filter = self.subscriptions[at].filter.clone();
            if !self.live().any(|known| known == filter) {
                (self.subscriptions[at].until, self.subscriptions[at].certain) = (None, false);
            }
        }
    }

    pub fn end(&mut self, filter: &str, now: Stamp) {
        for sub in self.subscriptions.iter_mut().filter(|sub| sub.filter == filter) {
            sub.until = sub.until.or(Some(now));
        }
    }

    pub fn subscribe(&mut self, filter: &str, certain: bool) {
        match self.subscriptions.iter_mut().find(|sub| sub.filter == filter && sub.until.is_none()) {
            Some(sub) => sub.certain |= certain,
            None => self.subscriptions.push(Subscribed { filter: filter.to_owned(), until: None, certain }),
        }
    }

    /// Those of these filters that it was not known to have before are in doubt.
    pub fn doubt(&mut self, filters: &[String], before: &[String]) {
        let fresh = |sub: &&mut Subscribed| filters.contains(&sub.filter) && !before.contains(&sub.filter);
        self.subscriptions.iter_mut().filter(fresh).for_each(|sub| sub.certain = false);
    }

    pub fn live(&self) -> impl Iterator<Item = &str> {
        self.subscriptions.iter().filter(|sub| sub.until.is_none()).map(|sub| &*sub.filter)
    }

    /// Whether it may rest on a subscription that a message to this topic comes, which was sent then.
    pub fn has_subscribed(&self, topic: &str, sent: Stamp) -> bool {
        let lasted = |until: Option<Stamp>| until.is_none_or(|until| until > sent);
        self.subscriptions.iter().any(|sub| lasted(sub.until) && covers(&sub.filter, topic))
    }
}

/// Whether a filter, of a share or not, matches a topic.
pub fn covers(filter: &str, topic: &str) -> bool {
    match parse_shared(filter) {
        Some(Ok(shared)) => matches(shared.filter, topic),
        _ => matches(filter, topic),
    }
}

/// A message.
pub struct Post {
    /// The connection that sends it.
    pub by: usize,
    pub topic: &'static str,
    /// By which generations it may have been judged; `None`: by none yet, and perhaps never.
    pub span: Option<Span>,
    pub handed: Stamp,
}

impl Line {
    /// A connection on which nothing was sent.
    pub fn new(who: usize, home: usize, conn: ConnId, wish: Wish, proof: Proof, listener: u16) -> Line {
        Line {
            who,
            home,
            conn,
            phase: Phase::Connecting,
            wish,
            proof,
            listener,
            up: VecDeque::new(),
            marks: VecDeque::new(),
            written: 0,
            handed: 0,
            cut: false,
            paused: false,
            blocked: false,
            seen: 0,
            told: VecDeque::new(),
            put_out: 0,
            sent: 0,
            welcome: false,
            due: VecDeque::new(),
            asked: BTreeMap::new(),
            leaving: BTreeMap::new(),
            unacked: BTreeMap::new(),
        }
    }
}
