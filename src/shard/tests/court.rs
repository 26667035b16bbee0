//! A broker with a witness on each shard: whoever breaks a rule is told and counted as he should be, and the
//! witnesses notice nothing.

use std::collections::BTreeMap;

use super::*;
use crate::mqtt::connack::{ConnAck, ConnAckProperties};
use crate::mqtt::disconnect::Disconnect;
use crate::mqtt::{PacketType, ReasonCode, Violation};

/// What a connection sends before the bytes in question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    BeforeConnect,
    Connected,
}

/// What became of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Open,
    /// Closed, for this and counted as this.
    Broke(Violation),
    Refused(ReasonCode),
    Left,
}

pub(super) struct Court {
    pub(super) b: Broker,
    pub(super) witnesses: Vec<Peer>,
    next: u32,
}

/// A client identifier whose home is `shard`.
pub(super) fn at_home(shards: u16, shard: u16, stem: &str) -> String {
    (0..).map(|n| format!("{stem}{n}")).find(|id| client_home(&KEY, shards, id).0 == shard).expect("one")
}

pub(super) fn bytes_of(version: Version, packet: &Packet<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet.encode(version, &mut bytes);
    bytes
}

/// A CONNECT, changed.
pub(super) fn connect_bytes(version: Version, id: &str, change: impl FnOnce(&mut Connect<'_>)) -> Vec<u8> {
    let mut c = connect(version, id);
    change(&mut c);
    bytes_of(version, &Packet::Connect(c))
}

impl Court {
    pub(super) fn new() -> Court {
        Court::with(limits(|_| {}))
    }

    pub(super) fn with(snapshot: Snapshot) -> Court {
        let mut b = Broker::with(2, snapshot);
        let witnesses = [0, 1].map(|shard| {
            let witness = b.connect(Version::V5, &at_home(2, shard, "witness"));
            b.subscribe(witness, "w", QoS::AtMostOnce);
            witness
        });
        Court { b, witnesses: witnesses.into(), next: 0 }
    }

    /// A new connection on shard 0.
    pub(super) fn peer(&mut self, version: Version, state: State) -> Peer {
        self.next += 1;
        let peer = self.b.open(0, version);
        if state == State::Connected {
            let id = at_home(2, 0, &format!("rogue {} ", self.next));
            self.b.send(peer, &Packet::Connect(connect(version, &id)));
            assert!(self.b.received(peer)[0].contains("ConnAck"));
        }
        peer
    }

    pub(super) fn violations(&self) -> BTreeMap<Violation, u64> {
        let mut all = BTreeMap::new();
        for (violation, count) in self.b.shards.iter().flat_map(|s| &s.counters().violations) {
            *all.entry(*violation).or_default() += count;
        }
        all
    }

    fn refusals(&self) -> u64 {
        self.b.shards.iter().flat_map(|s| s.counters().refusals.values()).sum()
    }

    /// Sends `bytes` and answers what became of the connection and what it was told. Each witness then hears each.
    #[track_caller]
    pub(super) fn judge(&mut self, peer: Peer, bytes: &[u8]) -> (Fate, Vec<String>) {
        let (before, refusals) = (self.violations(), self.refusals());
        self.b.closed.clear();
        self.b.raw(peer, bytes);
        let told: Vec<String> = self.b.received(peer).iter().map(|packet| without_why(packet)).collect();
        let fate = match &self.b.closed[..] {
            [] => Fate::Open,
            [(who, cause)] => {
                assert_eq!(who.conn, peer.conn, "nobody else is closed");
                match cause {
                    CloseCause::Violation(violation) => Fate::Broke(*violation),
                    CloseCause::Refused(reason) => Fate::Refused(*reason),
                    CloseCause::Disconnected => Fate::Left,
                    other => panic!("closed for {other:?}"),
                }
            }
            several => panic!("{several:?}"),
        };
        let mut counted = before;
        if let Fate::Broke(violation) = fate {
            *counted.entry(violation).or_default() += 1;
        }
        assert_eq!(self.violations(), counted, "each is counted once, by its reason");
        assert_eq!(self.refusals() - refusals, u64::from(matches!(fate, Fate::Refused(_))));
        self.witnesses_hear();
        (fate, told)
    }

    #[track_caller]
    pub(super) fn witnesses_hear(&mut self) {
        for speaker in self.witnesses.clone() {
            self.b.publish(speaker, "w", "still here", QoS::AtMostOnce, false);
            for listener in self.witnesses.clone() {
                assert_eq!(self.b.received(listener), ["w q0 id0 still here"]);
            }
        }
    }

    /// Sends `bytes` on a new connection, which must be closed for `violation` and told as its version allows.
    #[track_caller]
    pub(super) fn convict(&mut self, version: Version, state: State, bytes: &[u8], violation: Violation) {
        let peer = self.peer(version, state);
        self.convict_peer(peer, state, bytes, violation);
    }

    #[track_caller]
    pub(super) fn convict_peer(&mut self, peer: Peer, state: State, bytes: &[u8], violation: Violation) {
        let (fate, told) = self.judge(peer, bytes);
        assert_eq!(fate, Fate::Broke(violation), "{:?} {state:?} {bytes:02X?}", peer.version);
        let expected = match (peer.version, state) {
            (Version::V5, State::Connected) => vec![disconnect(violation.reason_code())],
            // Nobody who does not begin with a CONNECT of 5.0 is spoken to.
            (Version::V5, State::BeforeConnect) if says_v5(bytes) => vec![refusal(violation.reason_code())],
            _ => vec![],
        };
        assert_eq!(told, expected, "{:?} {state:?} {bytes:02X?}", peer.version);
    }
}

/// A packet as `Broker::received` prints it, without its Reason String.
pub(super) fn without_why(packet: &str) -> String {
    let Some((before, rest)) = packet.split_once("reason_string: Some(\"") else { return packet.to_owned() };
    let (why, after) = rest.split_once("\")").expect("a string ends");
    assert!(why.ends_with('.') && why.len() > 10, "{why}");
    format!("{before}reason_string: None{after}")
}

/// Whether the bytes say that 5.0 is spoken.
pub(super) fn says_v5(bytes: &[u8]) -> bool {
    crate::mqtt::connect::answer_version(bytes) == Some(Version::V5)
}

/// A DISCONNECT of the server, as `Broker::received` prints it.
pub(super) fn disconnect(reason: ReasonCode) -> String {
    assert!(reason.may_stand_in(PacketType::Disconnect, Sender::Server), "DISCONNECT may not say {reason}");
    format!("{:?}", Packet::Disconnect(Disconnect::new(reason)))
}

/// A CONNACK that refuses, as `Broker::received` prints it.
pub(super) fn refusal(reason: ReasonCode) -> String {
    assert!(reason.may_stand_in(PacketType::ConnAck, Sender::Server), "CONNACK may not say {reason}");
    let properties = ConnAckProperties::default();
    format!("{:?}", Packet::ConnAck(ConnAck { session_present: false, reason, properties }))
}
