//! What a whole shard costs without sockets: bytes in, fan-out, bytes out. Prints ns per delivery.
//!
//! `cargo bench --bench shard`. The kernel's send comes on top: 500 ns and more for each flush of a connection.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::sync::Arc;
use std::time::Instant;

use tidemq::ids::ShardId;
use tidemq::policy::Snapshot;
use tidemq::session::ConnId;
use tidemq::shard::{Opened, Shard, ShardConfig};
use tidemq::time::Time;

const ROUNDS: usize = 9;

struct Case {
    name: &'static str,
    /// Each publisher has its own topic; subscriber `i` takes topic `i % publishers`.
    publishers: usize,
    subscribers: usize,
    qos: u8,
    /// PUBLISH packets of one topic in one read.
    burst: usize,
    reads: usize,
}

const CASES: &[Case] = &[
    Case { name: "fan-out, one at a time", publishers: 1, subscribers: 1_000, qos: 0, burst: 1, reads: 200 },
    Case { name: "fan-out, 16 at a time", publishers: 1, subscribers: 1_000, qos: 0, burst: 16, reads: 50 },
    Case {
        name: "fan-out, 16 at a time, QoS 1",
        publishers: 1,
        subscribers: 1_000,
        qos: 1,
        burst: 16,
        reads: 50,
    },
    Case { name: "flood, 56 at a time", publishers: 1, subscribers: 200, qos: 0, burst: 56, reads: 100 },
    Case { name: "pairs", publishers: 200, subscribers: 200, qos: 0, burst: 1, reads: 10_000 },
    Case { name: "pairs, QoS 1", publishers: 200, subscribers: 200, qos: 1, burst: 1, reads: 10_000 },
];

fn main() {
    println!("{:32} {:>12} {:>12}", "case", "median ns", "lowest ns");
    for case in CASES {
        let mut ns: Vec<f64> = (0..ROUNDS).map(|_| run(case)).collect();
        ns.sort_by(f64::total_cmp);
        println!("{:32} {:12.1} {:12.1}", case.name, ns[ROUNDS / 2], ns[0]);
    }
}

fn conn(index: usize) -> ConnId {
    ConnId { index: index as u32, generation: 1 }
}

/// A fresh shard with everybody connected and subscribed; returns ns per delivery.
fn run(case: &Case) -> f64 {
    let mut shard = Shard::new(ShardConfig {
        id: ShardId(0),
        shards: 1,
        home_key: [7; 16],
        seed: [1, 2, 3, 4],
        snapshot: Arc::new(Snapshot { persistent_sessions: true, ..Snapshot::default() }),
        now: Time::from_secs(1),
        unix_zero_micros: 0,
    });
    for index in 0..case.publishers + case.subscribers {
        open(&mut shard, index);
        if let Some(subscriber) = index.checked_sub(case.publishers) {
            let topic = topic(subscriber % case.publishers);
            let mut subscribe = vec![0x82, 5 + topic.len() as u8, 0, 1, 0, topic.len() as u8];
            subscribe.extend(topic.bytes());
            subscribe.push(case.qos);
            shard.handle_bytes(conn(index), &subscribe);
        }
    }
    drain(&mut shard, 0);
    let bursts: Vec<Vec<u8>> = (0..case.publishers).map(|p| burst(case, p)).collect();
    let before = shard.counters().messages_sent;
    let started = Instant::now();
    for read in 0..case.reads {
        let publisher = read % case.publishers;
        shard.handle_bytes(conn(publisher), &bursts[publisher]);
        drain(&mut shard, case.qos);
    }
    let ns = started.elapsed().as_nanos() as f64;
    let deliveries = shard.counters().messages_sent - before;
    let expected = case.reads * case.burst * case.subscribers / case.publishers;
    assert_eq!(deliveries, expected as u64, "{}", case.name);
    ns / deliveries as f64
}

fn topic(publisher: usize) -> String {
    format!("bench/{publisher}")
}

fn open(shard: &mut Shard, index: usize) {
    let peer = "127.0.0.1:1".parse().expect("an address");
    shard.handle_open(conn(index), Opened::plain(peer, 0, Time::from_secs(10)));
    let id = format!("c{index}");
    let mut connect = vec![0x10, 12 + id.len() as u8, 0, 4];
    connect.extend(b"MQTT\x04\x02\0\0\0");
    connect.push(id.len() as u8);
    connect.extend(id.bytes());
    shard.handle_bytes(conn(index), &connect);
}

fn burst(case: &Case, publisher: usize) -> Vec<u8> {
    let topic = topic(publisher);
    let mut bytes = Vec::new();
    for id in 1..=case.burst as u8 {
        let ids = if case.qos > 0 { 2 } else { 0 };
        bytes.extend([0x30 | case.qos << 1, 2 + topic.len() as u8 + ids + 16, 0, topic.len() as u8]);
        bytes.extend(topic.bytes());
        if case.qos > 0 {
            bytes.extend([0, id]);
        }
        bytes.extend([b'x'; 16]);
    }
    bytes
}

/// Takes everything the shard has to send; at QoS 1 the subscribers acknowledge it.
fn drain(shard: &mut Shard, qos: u8) {
    loop {
        shard.handle_time(Time::from_secs(1));
        let more = shard.work();
        let mut acks: Vec<(ConnId, Vec<u8>)> = Vec::new();
        while let Some(conn) = shard.next_dirty() {
            let output = shard.output(conn);
            let len = output.len();
            if qos > 0 {
                let mut at = 0;
                let mut ack = Vec::new();
                while at < len {
                    let (first, packet) = (output[at], 2 + output[at + 1] as usize);
                    if first >> 4 == 3 {
                        let topic = output[at + 3] as usize;
                        ack.extend([0x40, 2, output[at + 4 + topic], output[at + 5 + topic]]);
                    }
                    at += packet;
                }
                acks.push((conn, ack));
            }
            shard.handle_sent(conn, len);
        }
        for (conn, ack) in acks {
            shard.handle_bytes(conn, &ack);
        }
        if !more && !shard.has_dirty() {
            return;
        }
    }
}
