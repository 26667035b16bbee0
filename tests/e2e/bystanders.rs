//! Well-behaved clients beside a flood: two who play ping and pong at QoS 1 across the shards, and one who only says
//! PINGREQ. They go on until they are told to stop and keep how long each answer took.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::process::Broker;
use crate::raw::{Dialect, Intake, PINGREQ, Packet, Raw};

/// Payload of the message that ends the game.
const OVER: &[u8] = b"over";

/// Times of answers.
pub(crate) struct Times(Vec<Duration>);

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let (median, longest) = (sorted[sorted.len() / 2], sorted[sorted.len() - 1]);
        write!(f, "{} answers, median {median:.1?}, longest {longest:.1?}", sorted.len())
    }
}

pub(crate) struct Bystanders {
    over: Arc<AtomicBool>,
    ping: JoinHandle<Times>,
    pong: JoinHandle<()>,
    idle: JoinHandle<Times>,
}

impl Bystanders {
    /// On shards 0 and 1; each topic lives on the shard of its publisher, so that both cross.
    pub(crate) fn start(broker: &Broker) -> Bystanders {
        let over = Arc::new(AtomicBool::new(false));
        let connected = |stem, shard, dialect| {
            Raw::connect(broker.address, &broker.named(stem, shard), dialect, Intake::Usual)
        };
        let (there, back) = (broker.named("there", 0), broker.named("back", 1));
        let mut ping = connected("ping", 0, Dialect::V3);
        let mut pong = connected("pong", 1, Dialect::V5(100));
        let mut idle = connected("idle", 1, Dialect::V3);
        ping.subscribe(&back, 1);
        pong.subscribe(&there, 1);
        let stop = over.clone();
        let ping = thread::spawn(move || {
            let mut times = Vec::new();
            while !stop.load(Ordering::Relaxed) || times.is_empty() {
                let number = times.len().to_be_bytes();
                let start = Instant::now();
                exchange(&mut ping, &there, &number);
                assert_eq!(received(&mut ping), number, "the answer to what was asked");
                times.push(start.elapsed());
            }
            exchange(&mut ping, &there, OVER);
            Times(times)
        });
        let pong = thread::spawn(move || {
            loop {
                let asked = received(&mut pong);
                if asked == OVER {
                    return;
                }
                exchange(&mut pong, &back, &asked);
            }
        });
        let stop = over.clone();
        let idle = thread::spawn(move || {
            let mut times = Vec::new();
            while !stop.load(Ordering::Relaxed) || times.is_empty() {
                let start = Instant::now();
                idle.send(&PINGREQ);
                assert_eq!(idle.next(), Packet::PingResp);
                times.push(start.elapsed());
                // Mostly it only listens: it is not to take the broker's time from the flood.
                assert!(idle.is_quiet_for(Duration::from_millis(1)), "nothing else is for it");
            }
            Times(times)
        });
        Bystanders { over, ping, pong, idle }
    }

    /// Stops them, which they must all manage. The times of ping and pong, and of PINGREQ.
    pub(crate) fn stop(self) -> (Times, Times) {
        self.over.store(true, Ordering::Relaxed);
        let ping = self.ping.join().expect("every ping is answered");
        self.pong.join().expect("every pong is taken");
        (ping, self.idle.join().expect("every PINGREQ is answered"))
    }
}

/// Publishes at QoS 1 and waits for the PUBACK. What comes before it is left for `received`.
fn exchange(client: &mut Raw, topic: &str, payload: &[u8]) {
    let packet = client.dialect.publish(topic, 1, payload);
    client.send(&packet);
    client.expect(&Packet::PubAck(1));
}

/// The payload of the next message, acknowledged.
fn received(client: &mut Raw) -> Vec<u8> {
    match client.next() {
        Packet::Publish { id, payload } => {
            client.acknowledge(id);
            payload
        }
        other => panic!("a message was due, not {other:?}"),
    }
}
