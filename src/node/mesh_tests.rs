//! The mesh under stress: threads that really sleep, in a ring as shards do, through channels that are nearly always
//! full. A wake-up that is lost shows as a sleep that only a time-out ends.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;

use super::mesh::{Parcel, Port, mesh};
use super::order::{Order, Reply};
use super::report::NodeCounters;
use crate::net::{Connections, Net, NetConfig, Place, Seats};
use crate::policy::Limits;
use crate::routing::ShardId;
use crate::session::ConnId;
use crate::shard::{Effect, End, Opened};
use crate::time::Time;

/// Longer than any of these tests takes: no sleep ends by itself.
const FOR_EVER: Duration = Duration::from_secs(20);

/// Sockets without connections.
struct Nobody;

impl Connections for Nobody {
    fn handle_open(&mut self, _: ConnId, _: Opened) {}
    fn keep_headroom(&mut self, _: ConnId, _: u8) {}
    fn handle_bytes(&mut self, _: ConnId, _: &[u8]) {}
    fn handle_end(&mut self, _: ConnId, _: End) {}
    fn handle_closed(&mut self, _: ConnId) {}
    fn handle_writable(&mut self, _: ConnId) {}
    fn handle_sent(&mut self, _: ConnId, _: usize) {}
    fn poll_effect(&mut self) -> Option<Effect> {
        None
    }
    fn next_dirty(&mut self) -> Option<ConnId> {
        None
    }
    fn output(&self, _: ConnId) -> &[u8] {
        &[]
    }
    fn prepend(&mut self, _: ConnId, _: &[u8]) {}
    fn make_room(&mut self, _: ConnId, _: usize) -> &mut [u8] {
        &mut []
    }
}

/// A small generator: the test is the same each time as far as threads allow.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

struct Talker {
    port: Port<u64>,
    net: Net,
    counters: NodeCounters,
    dice: Dice,
    /// By peer: how many messages were sent to it, and received from it.
    sent: Vec<u64>,
    received: Vec<u64>,
}

impl Talker {
    fn new(port: Port<u64>, shards: u16) -> Talker {
        let place = Place { home_key: [0; 16], shards, me: port.me() };
        let (limits, seats, doorbell) = (Limits::default(), Arc::new(Seats::new(0)), port.event());
        let net =
            Net::new(NetConfig { place, limits, seats, doorbell, unix_zero_micros: 0 }).expect("a ring");
        let zeros = vec![0; usize::from(shards)];
        let dice = Dice(u64::from(port.me().0) + 1);
        Talker { port, net, counters: NodeCounters::default(), dice, sent: zeros.clone(), received: zeros }
    }

    /// Sends `each` messages to every peer and takes as many from it.
    fn talk(mut self, each: u64, window: u64) -> NodeCounters {
        let peers: Vec<ShardId> = self.port.peers().collect();
        let all = each * peers.len() as u64;
        loop {
            let taken = self.net.reap(&mut Nobody, Time(0)) + self.receive();
            self.port.retry(&mut self.counters);
            let sent = self.send(&peers, each, window);
            self.net.flush(&mut Nobody);
            let total = |counts: &[u64]| counts.iter().sum::<u64>();
            if total(&self.received) == all && total(&self.sent) == all && self.port.has_sent_all() {
                return self.counters;
            }
            if taken > 0 || sent > 0 {
                continue;
            }
            self.port.fall_asleep();
            if !self.net.is_ready() && self.port.is_quiet() {
                self.counters.sleeps += 1;
                let start = Instant::now();
                self.net.sleep(FOR_EVER);
                assert!(start.elapsed() < FOR_EVER, "a wake-up was lost");
            }
            self.port.wake_up();
        }
    }

    fn receive(&mut self) -> usize {
        let received = &mut self.received;
        self.port.receive(&mut self.counters, |parcel| {
            let Parcel::Batch(from, messages) = parcel else { panic!("only batches are sent") };
            for message in messages {
                assert_eq!(message, received[from.index()], "order from {from:?}");
                received[from.index()] += 1;
            }
        })
    }

    /// Some messages to some peers, no further ahead of what came in than `window`: so that all must sleep.
    fn send(&mut self, peers: &[ShardId], each: u64, window: u64) -> u64 {
        let mut total = 0;
        for &peer in peers {
            let ahead = self.sent.iter().sum::<u64>().saturating_sub(self.received.iter().sum());
            let left = (each - self.sent[peer.index()]).min(window.saturating_sub(ahead));
            let count = left.min(1 + self.dice.below(40));
            let from = self.sent[peer.index()];
            self.port.send_batch(peer, (from..from + count).collect(), &mut self.counters);
            self.sent[peer.index()] += count;
            total += count;
        }
        total
    }
}

fn talk(shards: u16, capacity: usize, each: u64, window: u64) -> Vec<NodeCounters> {
    let (ports, _switchboard) = mesh::<u64>(shards, capacity).expect("a mesh");
    let threads: Vec<_> = ports
        .into_iter()
        .map(|port| std::thread::spawn(move || Talker::new(port, shards).talk(each, window)))
        .collect();
    threads.into_iter().map(|thread| thread.join().expect("it talks to the end")).collect()
}

#[test]
fn a_million_messages_each_way_through_a_channel_of_one() {
    let counters = talk(2, 1, 1_000_000, 2_000);
    assert!(counters.iter().all(|c| c.sleeps > 0), "{counters:?}");
    assert!(counters.iter().any(|c| c.full > 0), "{counters:?}");
}

#[test]
fn a_little_at_a_time_they_sleep_and_wake_all_the_while() {
    let counters = talk(2, 1, 30_000, 1);
    let sleeps: u64 = counters.iter().map(|c| c.sleeps).sum();
    assert!(sleeps > 1_000, "{counters:?}");
}

#[test]
fn five_shards_fill_each_others_channels() {
    for capacity in [1, 2, 3] {
        talk(5, capacity, 20_000, 300);
    }
}

#[test]
fn what_does_not_fit_is_merged_and_keeps_its_order() {
    let (mut ports, _switchboard) = mesh::<u64>(2, 1).expect("a mesh");
    let (to, mut from) = (ports.pop().expect("two"), ports.pop().expect("two"));
    let mut counters = NodeCounters::default();
    for n in 0..5 {
        from.send_batch(to.me(), vec![2 * n, 2 * n + 1], &mut counters);
    }
    assert!(!from.has_sent_all());
    from.fall_asleep();
    assert!(from.is_quiet(), "the peer has no room");
    let mut got = Vec::new();
    let mut batches = 0;
    let mut take = |parcel| {
        let Parcel::Batch(_, messages) = parcel else { panic!("a batch") };
        got.extend(messages);
        batches += 1;
    };
    to.receive(&mut counters, &mut take);
    assert!(!from.is_quiet(), "there is room, so it must not sleep");
    assert!(from.wake_up(), "and was rung");
    from.retry(&mut counters);
    to.receive(&mut counters, &mut take);
    assert_eq!(got, (0..10).collect::<Vec<_>>());
    assert_eq!(batches, 2, "what was kept went as one");
    assert!(from.has_sent_all());
}

#[test]
fn orders_reach_a_sleeping_shard_and_find_an_ended_one_gone() {
    let (mut ports, switchboard) = mesh::<u64>(1, 4).expect("a mesh");
    let port = ports.pop().expect("one");
    let (reply, answers) = bounded(3);
    let shard = std::thread::spawn(move || {
        let mut talker = Talker::new(port, 1);
        let mut confirmed = 0;
        while confirmed < 3 {
            talker.port.fall_asleep();
            if !talker.net.is_ready() && talker.port.is_quiet() {
                talker.net.sleep(FOR_EVER);
            }
            talker.port.wake_up();
            talker.net.reap(&mut Nobody, Time(0));
            talker.port.receive(&mut talker.counters, |parcel| {
                if let Parcel::Order(Order::Unlisten(_, done)) = parcel {
                    done.confirm();
                    confirmed += 1;
                }
            });
        }
    });
    for _ in 0..3 {
        assert!(switchboard.order(ShardId(0), Order::Unlisten(0, Reply(reply.clone()))));
        answers.recv_timeout(FOR_EVER).expect("an answer");
    }
    shard.join().expect("it ends");
    assert!(!switchboard.order(ShardId(0), Order::Stop));
}

#[test]
fn every_port_knows_the_others() {
    let (ports, switchboard) = mesh::<u64>(3, 1).expect("a mesh");
    for port in &ports {
        let peers: HashSet<ShardId> = port.peers().collect();
        assert!(peers.len() == 2 && !peers.contains(&port.me()));
    }
    assert_eq!(switchboard.shards().count(), 3);
}
