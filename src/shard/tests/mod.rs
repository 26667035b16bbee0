//! A broker as a `Vec<Shard>`: bytes in, packets out. The simulation in `tests/sim` does the same with chance; these
//! tests name single rules.

mod aliases;
mod behaviour;
mod counted;
mod court;
mod edges;
mod farewells;
mod judged;
mod judged_installs;
mod judged_listeners;
mod latencies;
mod limits_kept;
mod questions;
mod resources;
mod shared;
mod system;
mod told;
mod traces;
mod verifying;
mod violations;

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::*;
use crate::mqtt::connect::{Connect, ConnectProperties};
use crate::mqtt::property::UserProperties;
use crate::mqtt::publish::{Publish, PublishProperties};
use crate::mqtt::subscribe::{FiltersBuilder, RetainHandling, Subscribe, SubscriptionOptions};
use crate::mqtt::{Packet, PacketId, QoS, Sender, Version, decode, frame};
use crate::policy::Limits;

/// Shards with everything between them delivered at once.
pub(super) struct Broker {
    pub(super) shards: Vec<Shard>,
    now: Time,
    next: u32,
    /// What each connection received and nobody has looked at.
    inbox: HashMap<(u16, u32), Vec<u8>>,
    pub(super) closed: Vec<(Peer, CloseCause)>,
}

/// A connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) shard: u16,
    pub(super) conn: ConnId,
    version: Version,
}

const KEY: [u8; 16] = *b"a key for tests.";

pub(super) fn limits(change: impl FnOnce(&mut Limits)) -> Snapshot {
    let mut snapshot = Snapshot { persistent_sessions: true, ..Snapshot::default() };
    change(&mut snapshot.limits);
    snapshot
}

impl Broker {
    pub(super) fn new(shards: u16) -> Broker {
        Broker::with(shards, limits(|_| {}))
    }

    pub(super) fn with(shards: u16, snapshot: Snapshot) -> Broker {
        let snapshot = Arc::new(snapshot);
        let now = Time::from_secs(1);
        let shards = (0..shards).map(|id| {
            Shard::new(ShardConfig {
                id: ShardId(id),
                shards,
                home_key: KEY,
                seed: [u64::from(id), 2, 3, 4],
                snapshot: snapshot.clone(),
                now,
                unix_zero_micros: 0,
            })
        });
        Broker { shards: shards.collect(), now, next: 0, inbox: HashMap::new(), closed: Vec::new() }
    }

    /// One turn of every shard.
    pub(super) fn turn(&mut self) -> bool {
        let mut busy = false;
        for at in 0..self.shards.len() {
            self.shards[at].handle_time(self.now);
            busy |= self.shards[at].work();
            for peer in 0..self.shards.len() {
                let batch = self.shards[at].take_outbox(ShardId(peer as u16));
                if !batch.is_empty() {
                    assert!(peer != at, "a shard does not write to itself");
                    busy = true;
                    self.shards[peer].handle_batch(ShardId(at as u16), batch);
                }
            }
            while let Some(conn) = self.shards[at].next_dirty() {
                let bytes = self.shards[at].output(conn).to_vec();
                self.inbox.entry((at as u16, conn.index)).or_default().extend(&bytes);
                self.shards[at].handle_sent(conn, bytes.len());
                busy = true;
            }
            while let Some(effect) = self.shards[at].poll_effect() {
                busy = true;
                if let Effect::Close { conn, cause } = effect {
                    let bytes = self.shards[at].output(conn).to_vec();
                    self.inbox.entry((at as u16, conn.index)).or_default().extend(&bytes);
                    let peer = Peer { shard: at as u16, conn, version: Version::V5 };
                    self.closed.push((peer, cause));
                    self.shards[at].handle_closed(conn);
                }
            }
        }
        busy
    }

    pub(super) fn settle(&mut self) {
        while self.turn() {}
    }

    pub(super) fn pass(&mut self, secs: u64) {
        self.now = self.now.after_secs(secs);
        self.settle();
    }

    pub(super) fn open(&mut self, shard: u16, version: Version) -> Peer {
        self.next += 1;
        let conn = ConnId { index: self.next, generation: self.next };
        let peer = "127.0.0.1:1".parse().expect("an address");
        let opened = Opened::plain(peer, 0, self.now.after_secs(10));
        self.shards[shard as usize].handle_open(conn, opened);
        Peer { shard, conn, version }
    }

    pub(super) fn connect_with(&mut self, connect: &Connect<'_>) -> (Peer, Vec<String>) {
        let home = client_home(&KEY, self.shards.len() as u16, connect.client_id);
        let peer = self.open(home.0, connect.version);
        self.send(peer, &Packet::Connect(connect.clone()));
        let received = self.received(peer);
        (peer, received)
    }

    pub(super) fn connect(&mut self, version: Version, client_id: &str) -> Peer {
        let (peer, received) = self.connect_with(&connect(version, client_id));
        assert!(received[0].contains("ConnAck") && received[0].contains("Success"), "{received:?}");
        peer
    }

    pub(super) fn raw(&mut self, peer: Peer, bytes: &[u8]) {
        self.shards[peer.shard as usize].handle_bytes(peer.conn, bytes);
        self.settle();
    }

    pub(super) fn send(&mut self, peer: Peer, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        packet.encode(peer.version, &mut bytes);
        self.raw(peer, &bytes);
    }

    pub(super) fn cut(&mut self, peer: Peer) {
        self.shards[peer.shard as usize].handle_end(peer.conn, End::Closed);
        self.settle();
    }

    /// Packets received since the last call, decoded and printed.
    pub(super) fn received(&mut self, peer: Peer) -> Vec<String> {
        let bytes = self.inbox.remove(&(peer.shard, peer.conn.index)).unwrap_or_default();
        let (mut at, mut packets) = (0, Vec::new());
        while at < bytes.len() {
            let f = frame::split(&bytes[at..], 1 << 28).expect("a frame").expect("a whole header");
            let packet = &bytes[at..at + f.len];
            let packet = decode(peer.version, Sender::Server, f, packet).expect("a packet");
            packets.push(match packet {
                Packet::Publish(p) => format!(
                    "{}{}{} q{} id{} {}{}",
                    p.topic,
                    p.properties.topic_alias.map_or(String::new(), |alias| format!("~{alias}")),
                    if p.retain { " retained" } else { "" },
                    p.qos as u8,
                    p.packet_id.map_or(0, PacketId::as_u16),
                    String::from_utf8_lossy(p.payload),
                    if p.dup { " dup" } else { "" }
                ),
                other => format!("{other:?}"),
            });
            at += f.len;
        }
        packets
    }

    pub(super) fn subscribe(&mut self, peer: Peer, filter: &str, qos: QoS) -> Vec<String> {
        self.subscribe_with(peer, filter, options(qos), None)
    }

    pub(super) fn subscribe_with(
        &mut self,
        peer: Peer,
        filter: &str,
        options: SubscriptionOptions,
        id: Option<u32>,
    ) -> Vec<String> {
        let mut filters = FiltersBuilder::default();
        filters.push(filter, options);
        self.send(
            peer,
            &Packet::Subscribe(Subscribe {
                packet_id: PacketId::new(77).expect("not zero"),
                subscription_id: id.and_then(NonZeroU32::new),
                user: UserProperties::default(),
                filters: filters.filters(),
            }),
        );
        self.received(peer)
    }

    pub(super) fn publish(&mut self, peer: Peer, topic: &str, payload: &str, qos: QoS, retain: bool) {
        let packet_id = (qos != QoS::AtMostOnce).then(|| PacketId::new(9).expect("not zero"));
        self.send(
            peer,
            &Packet::Publish(Publish {
                dup: false,
                qos,
                retain,
                topic,
                packet_id,
                properties: PublishProperties::default(),
                payload: payload.as_bytes(),
            }),
        );
        if qos == QoS::ExactlyOnce {
            self.ack(peer, 9, Packet::PubRel);
        }
    }

    pub(super) fn ack(
        &mut self,
        peer: Peer,
        id: u16,
        packet: impl FnOnce(crate::mqtt::ack::Ack<'static>) -> Packet<'static>,
    ) {
        let id = PacketId::new(id).expect("not zero");
        self.send(peer, &packet(crate::mqtt::ack::Ack::new(id, crate::mqtt::ReasonCode::Success)));
    }
}

pub(super) fn options(qos: QoS) -> SubscriptionOptions {
    SubscriptionOptions {
        qos,
        no_local: false,
        retain_as_published: false,
        retain_handling: RetainHandling::Send,
    }
}

pub(super) fn connect(version: Version, client_id: &str) -> Connect<'_> {
    Connect {
        version,
        clean_start: true,
        keep_alive_secs: 0,
        client_id,
        will: None,
        user_name: None,
        password: None,
        properties: ConnectProperties::default(),
    }
}
