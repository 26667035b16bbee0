//! Whole nodes, with real peers.

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::clock::Clock;
use super::driver::{Driver, DriverConfig};
use super::executor::{Patience, run};
use super::mesh::mesh;
use super::order::Order;
use super::passwords::Pool;
use super::{Node, NodeConfig, StartError};
use crate::net::{Seats, listener};
use crate::policy::{Generation, Limits, ListenerPolicy, Snapshot};
use crate::routing::ShardId;
use crate::shard::{Message, ShardConfig};

const CONNACK: [u8; 4] = [0x20, 2, 0, 0];
const PATIENT: Duration = Duration::from_secs(20);

fn snapshot(generation: u64, limits: Limits) -> Arc<Snapshot> {
    Arc::new(Snapshot {
        generation: Generation(generation),
        limits,
        persistent_sessions: true,
        ..Snapshot::default()
    })
}

pub(super) fn node(shards: u16, limits: Limits) -> (Node, SocketAddr) {
    let bound = listener::bind(0, SocketAddr::from(([127, 0, 0, 1], 0)), shards).expect("bound");
    let address = bound.address;
    let config = NodeConfig {
        shards,
        cores: vec![0],
        home_key: [5; 16],
        snapshot: snapshot(1, limits),
        listeners: vec![bound],
    };
    (Node::start(config).expect("started"), address)
}

fn dial(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).expect("connected");
    client.set_read_timeout(Some(PATIENT)).expect("option");
    client
}

/// CONNECT of 3.1.1 with a clean session.
fn connect(id: &str) -> Vec<u8> {
    let mut packet = vec![0x10, 12 + id.len() as u8, 0, 4];
    packet.extend_from_slice(b"MQTT\x04\x02\x00\x3c\x00");
    packet.push(id.len() as u8);
    packet.extend_from_slice(id.as_bytes());
    packet
}

pub(super) fn client(address: SocketAddr, id: &str) -> TcpStream {
    let mut client = dial(address);
    client.write_all(&connect(id)).expect("sent");
    assert_eq!(receive::<4>(&mut client), CONNACK);
    client
}

fn receive<const N: usize>(client: &mut TcpStream) -> [u8; N] {
    let mut got = [0; N];
    client.read_exact(&mut got).expect("received");
    got
}

pub(super) fn subscribe(client: &mut TcpStream, filter: &str) {
    let mut packet = vec![0x82, 5 + filter.len() as u8, 0, 1, 0, filter.len() as u8];
    packet.extend_from_slice(filter.as_bytes());
    packet.push(0);
    client.write_all(&packet).expect("sent");
    assert_eq!(receive::<5>(client), [0x90, 3, 0, 1, 0]);
}

pub(super) fn publish(topic: &str, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x30, (2 + topic.len() + payload.len()) as u8, 0, topic.len() as u8];
    packet.extend_from_slice(topic.as_bytes());
    packet.extend_from_slice(payload);
    packet
}

#[test]
fn publishes_cross_shards_and_every_connection_comes_home() {
    let (node, address) = node(4, Limits::default());
    let mut clients: Vec<_> = (0..24).map(|n| client(address, &format!("client-{n}"))).collect();
    for client in &mut clients {
        subscribe(client, "to/all");
    }
    for round in 0..20u8 {
        let packet = publish("to/all", &[round; 10]);
        clients[usize::from(round)].write_all(&packet).expect("sent");
        for client in &mut clients {
            assert_eq!(receive::<20>(client)[..], packet[..]);
        }
    }
    let reports = node.reports();
    assert_eq!(reports.len(), 4);
    let sum = |count: fn(&super::Report) -> u64| reports.iter().map(count).sum::<u64>();
    assert_eq!(sum(|r| r.net.accepted), 24);
    assert_eq!(sum(|r| r.net.handed_over), sum(|r| r.net.adopted));
    assert!(sum(|r| r.net.handed_over) > 0 && sum(|r| r.node.batches) > 0);
    assert_eq!(sum(|r| r.counters.messages_sent), 20 * 24);
    assert!(reports.iter().all(|r| r.census.connections > 0), "clients have homes on every shard");
    node.stop();
}

#[test]
fn a_stop_tells_every_client_and_frees_the_port() {
    let (node, address) = node(2, Limits::default());
    let mut clients: Vec<_> = (0..8).map(|n| client(address, &format!("client-{n}"))).collect();
    let mut undecided = dial(address);
    let start = Instant::now();
    let ended = std::thread::spawn(move || {
        let mut rest = Vec::new();
        for client in &mut clients {
            client.read_to_end(&mut rest).expect("no reset");
        }
        undecided.read_to_end(&mut rest).expect("an end");
        rest
    });
    node.stop();
    assert!(ended.join().expect("ended").is_empty(), "3.1.1 has no words for it");
    assert!(start.elapsed() < Duration::from_secs(5));
    listener::bind(0, address, 2).expect("the port is free");
}

#[test]
fn an_install_is_over_when_every_shard_judges_by_it() {
    let (node, address) = node(3, Limits::default());
    let _first = client(address, "first");
    // The limit holds from the moment at which install returns.
    node.install(snapshot(2, Limits { connections: 1, ..Limits::default() }));
    let mut over = dial(address);
    assert_eq!(over.read(&mut [0; 1]).unwrap_or(0), 0, "closed at once");
    node.install(snapshot(3, Limits::default()));
    let _second = client(address, "second");
    assert_eq!(node.connections(), 2);
    node.stop();
}

#[test]
fn listeners_come_and_go_and_with_them_their_clients() {
    let (node, address) = node(2, Limits::default());
    let with = |generation, numbers: &[u16]| {
        let listeners = numbers.iter().map(|number| (*number, ListenerPolicy::default())).collect();
        let open = Snapshot { listeners, ..Snapshot::clone(&snapshot(generation, Limits::default())) };
        node.install(Arc::new(open));
    };
    let mut old = client(address, "old");
    let second = listener::bind(1, SocketAddr::from(([127, 0, 0, 1], 0)), 2).expect("bound");
    let other = second.address;
    with(2, &[0, 1]);
    node.listen(second);
    let mut new = client(other, "new");
    with(3, &[1]);
    node.unlisten(0);
    assert_eq!(node.swept().clients_disconnected, 1);
    assert_eq!(old.read(&mut [0; 1]).unwrap_or(0), 0, "closed");
    let refused = Instant::now();
    while TcpStream::connect(address).is_ok() {
        assert!(refused.elapsed() < PATIENT, "it still listens");
        std::thread::yield_now();
    }
    new.write_all(&[0xc0, 0]).expect("sent");
    assert_eq!(receive::<2>(&mut new), [0xd0, 0]);
    drop(client(other, "newer"));
    node.stop();
}

#[test]
fn a_node_that_cannot_start_says_why_and_leaves_nothing_running() {
    let bound = listener::bind(0, SocketAddr::from(([127, 0, 0, 1], 0)), 1).expect("bound");
    let address = bound.address;
    let config = |listeners, cores| NodeConfig {
        shards: 2,
        cores,
        home_key: [0; 16],
        snapshot: snapshot(1, Limits::default()),
        listeners,
    };
    let error = Node::start(config(vec![bound], vec![])).expect_err("one socket for two shards");
    assert!(matches!(error, StartError::Listener { listener: 0, sockets: 1, shards: 2 }));
    listener::bind(0, address, 2).expect("the port is free");
    let error = Node::start(config(Vec::new(), vec![12_345])).expect_err("no such core");
    assert!(error.to_string().contains("core 12345"), "{error}");
}

#[test]
fn a_node_sleeps_when_nothing_happens() {
    let (node, address) = node(2, Limits::default());
    let turns = |node: &Node| node.reports().iter().map(|r| r.node.turns).sum::<u64>();
    for burst in 0..20 {
        let clients: Vec<_> = (0..8)
            .map(|n| {
                std::thread::spawn(move || {
                    let mut client = client(address, &format!("client-{burst}-{n}"));
                    for _ in 0..20 {
                        client.write_all(&[0xc0, 0]).expect("sent");
                        assert_eq!(receive::<2>(&mut client), [0xd0, 0]);
                    }
                    client
                })
            })
            .collect();
        let _clients: Vec<_> = clients.into_iter().map(|c| c.join().expect("it pings")).collect();
        let before = turns(&node);
        // A sleep lasts a tenth of a second, and whoever spins makes tens of thousands of turns meanwhile.
        std::thread::park_timeout(Duration::from_millis(25));
        let made = turns(&node) - before;
        assert!(made < 500, "{made} turns while nothing happened");
    }
    node.stop();
}

/// While the shard sleeps in its own ring glommio's timers would wait for it, if nobody said so.
#[test]
fn glommio_comes_through_while_somebody_waits_for_it() {
    let (mut ports, switchboard) = mesh::<Message>(1, 8).expect("a mesh");
    let (port, clock) = (ports.pop().expect("one"), Clock::start());
    let shard = ShardConfig {
        id: ShardId(0),
        shards: 1,
        home_key: [0; 16],
        seed: [1; 4],
        snapshot: snapshot(1, Limits::default()),
        now: clock.now(),
        unix_zero_micros: clock.unix_zero_micros(),
    };
    let switchboard = Arc::new(switchboard);
    let passwords = Pool::start(1, &switchboard, clock).expect("a thread");
    let (seats, checks) = (Arc::new(Seats::new(1)), passwords.checks());
    let (traced, _records) = crossbeam_channel::bounded(1);
    let config = DriverConfig { shard, port, seats, checks, traced, clock, core: 0 };
    let waited = glommio::LocalExecutorBuilder::default()
        .spawn(move || async move {
            let patience = Patience::default();
            let (waiting, waited) = (patience.clone(), Rc::new(Cell::new(Duration::MAX)));
            let result = Rc::clone(&waited);
            glommio::spawn_local(async move {
                let start = Instant::now();
                for _ in 0..50 {
                    waiting.wait(glommio::timer::sleep(Duration::from_millis(2))).await;
                }
                result.set(start.elapsed());
                assert!(switchboard.order(ShardId(0), Order::Stop));
            })
            .detach();
            run(Driver::new(config).expect("a ring"), patience).await;
            waited.get()
        })
        .expect("an executor")
        .join()
        .expect("it ends");
    // Fifty sleeps of the shard's own would last five seconds.
    assert!(waited < Duration::from_secs(2), "fifty timers took {waited:?}");
}
