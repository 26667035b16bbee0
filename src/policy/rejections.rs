//! Who was not let in, who was put out, and what clients were refused, with the reason: the last few, for whoever runs
//! the broker.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use super::certificates::{CertificateRefusal, Presented};
use super::rules::RuleIndex;
use crate::mqtt::{QoS, Violation};

/// How many a shard keeps of connections, and how many of what clients did. Anybody can cause one, so it is a number and
/// not a time.
const MOST: usize = 256;
/// How many of what clients did are kept in one turn: a client can be refused as fast as it can write.
const ACTS_PER_TURN: u32 = 32;

/// A connection that was not let in or was put out, or a publish, a will or a subscription that was refused. Everything
/// in it may come from outside: text, never markup.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// Ascending in the order in which they were kept.
    pub number: u64,
    /// How often it happened, the last time just now: a client that goes on with what it may not do is kept once.
    pub times: u64,
    /// When, in microseconds since 1970, UTC.
    pub unix_micros: u64,
    /// The peer. `None`: nobody is connected, whose will it is; or nobody knows any more who published.
    pub peer: Option<SocketAddr>,
    /// Number of the listener that it came to.
    pub listener: Option<u16>,
    /// Its client identifier, if it came to say one.
    pub client_id: Option<Box<str>>,
    /// The client name that rules judge by.
    pub client_name: Option<Box<str>>,
    /// The user name that it sent, proved or not.
    pub user: Option<Box<str>>,
    /// The certificate that it presented. One that was refused in the handshake is not proved to be the peer's: TLS
    /// asks for the proof after the certificate, which is public.
    pub certificate: Option<Arc<Presented>>,
    /// What it wanted.
    pub attempt: Attempt,
    /// What speaks against it, for whoever offers a remedy.
    pub ground: Ground,
    /// The same for people.
    pub cause: String,
}

/// What was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// To shake hands, for TLS or for WebSocket.
    Handshake,
    /// To connect.
    Connect,
    /// To stay: it was connected, and an Apply has put it out.
    Stay,
    /// To publish.
    Publish {
        /// The topic.
        topic: Box<str>,
        /// How.
        qos: QoS,
    },
    /// To leave a will with its CONNECT, or to have it published.
    Will {
        /// Its topic.
        topic: Box<str>,
    },
    /// To subscribe.
    Subscribe {
        /// The filter as it was sent.
        filter: Box<str>,
    },
}

impl Attempt {
    /// Whether it is a client's that is, or was, connected: not one to get in or to stay.
    pub fn is_act(&self) -> bool {
        matches!(self, Attempt::Publish { .. } | Attempt::Will { .. } | Attempt::Subscribe { .. })
    }
}

/// What speaks against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ground {
    /// The handshake failed, and not for the client's certificate.
    Handshake,
    /// The listener that it came to is closed.
    Listener,
    /// Its certificate, or that it has none.
    Certificate(CertificateRefusal),
    /// Its user name and password, or that it has none.
    Credentials,
    /// Its name does not fit its client identifier, or it has none where one is needed.
    Name,
    /// The session of its client identifier belongs to another name.
    Owner,
    /// The topic access rules.
    Rules {
        /// The rule that decided; `None`: none covers it.
        decided: Option<RuleIndex>,
    },
    /// The topic is the broker's own.
    System,
    /// A limit.
    Limit,
    /// It asked for something that there is not.
    Unsupported,
    /// It broke the protocol.
    Protocol(Violation),
}

/// The last of them: those of connections and those of what clients did, each a number of their own, so that who floods
/// one does not wash away the other.
#[derive(Debug)]
pub struct Rejections {
    connections: VecDeque<Rejection>,
    acts: VecDeque<Rejection>,
    most: usize,
    number: u64,
    /// Acts that may still be kept in this turn.
    acts_left: u32,
}

impl Default for Rejections {
    fn default() -> Rejections {
        Rejections::keeping(MOST)
    }
}

impl Rejections {
    /// Keeps the last `most` of either kind.
    pub fn keeping(most: usize) -> Rejections {
        let (connections, acts) = (VecDeque::new(), VecDeque::new());
        Rejections { connections, acts, most, number: 0, acts_left: ACTS_PER_TURN }
    }

    /// A new turn begins.
    pub fn begin_turn(&mut self) {
        self.acts_left = ACTS_PER_TURN;
    }

    /// Whether another act may be kept in this turn. To be asked before one is made for [`Rejections::push`].
    pub fn takes_act(&mut self) -> bool {
        let takes = self.acts_left > 0;
        self.acts_left -= u32::from(takes);
        takes
    }

    /// One more; the oldest goes for it. An act that was refused to the same client before is moved and counted. The
    /// number is given here.
    pub fn push(&mut self, mut rejection: Rejection) {
        self.number += 1;
        rejection.number = self.number;
        let kept = if rejection.attempt.is_act() { &mut self.acts } else { &mut self.connections };
        let same = |known: &Rejection| {
            known.attempt == rejection.attempt
                && known.client_id == rejection.client_id
                && known.ground == rejection.ground
        };
        if rejection.attempt.is_act()
            && let Some(at) = kept.iter().rposition(same)
            && let Some(known) = kept.remove(at)
        {
            rejection.times += known.times;
        }
        if kept.len() == self.most {
            kept.pop_front();
        }
        kept.push_back(rejection);
    }

    /// All that are kept, those of connections first, each kind oldest first.
    pub fn all(&self) -> impl Iterator<Item = &Rejection> {
        self.connections.iter().chain(&self.acts)
    }

    /// Those with a number above `number`, ascending.
    pub fn since(&self, number: u64) -> Vec<Rejection> {
        let mut since: Vec<Rejection> = self.all().filter(|kept| kept.number > number).cloned().collect();
        since.sort_by_key(|kept| kept.number);
        since
    }

    /// The number that was given last.
    pub fn last(&self) -> u64 {
        self.number
    }

    /// Takes out all that are kept.
    pub fn take(&mut self) -> Vec<Rejection> {
        self.connections.drain(..).chain(self.acts.drain(..)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejection(client_id: &str, attempt: Attempt) -> Rejection {
        Rejection {
            number: 0,
            times: 1,
            unix_micros: 0,
            peer: None,
            listener: None,
            client_id: Some(client_id.into()),
            client_name: None,
            user: None,
            certificate: None,
            attempt,
            ground: Ground::Limit,
            cause: String::new(),
        }
    }

    fn publish(topic: &str) -> Attempt {
        Attempt::Publish { topic: topic.into(), qos: QoS::AtMostOnce }
    }

    #[test]
    fn what_is_repeated_is_kept_once_and_floods_do_not_wash_away_the_others() {
        let mut kept = Rejections::default();
        kept.push(rejection("first", Attempt::Connect));
        kept.push(rejection("first", Attempt::Connect));
        for n in 0..1_000 {
            kept.push(rejection("again", publish("same")));
            kept.push(rejection(&format!("client-{n}"), publish("same")));
        }
        assert_eq!((kept.all().count(), kept.last()), (2 + MOST, 2_002));
        let again = kept.all().find(|kept| kept.client_id.as_deref() == Some("again")).expect("it is kept");
        assert_eq!((again.times, again.number), (1_000, 2_001));
        let since: Vec<u64> = kept.since(2_000).iter().map(|kept| kept.number).collect();
        assert_eq!(since, [2_001, 2_002]);
        assert_eq!((kept.take().len(), kept.all().count()), (2 + MOST, 0));
    }

    #[test]
    fn a_turn_keeps_so_many_acts() {
        let mut kept = Rejections::default();
        assert_eq!((0..1_000).filter(|_| kept.takes_act()).count(), ACTS_PER_TURN as usize);
        kept.begin_turn();
        assert!(kept.takes_act());
    }
}
