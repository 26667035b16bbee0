//! The ring against real sockets of this process: a listener that the test itself answers for.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use super::*;

/// Turns after which something that should happen has not.
const PATIENCE: usize = 2000;

#[derive(Default)]
struct Log {
    opened: Vec<LinkId>,
    received: BTreeMap<LinkId, Vec<u8>>,
    closed: Vec<(LinkId, Option<ErrorKind>)>,
    sent: usize,
    writable: Vec<LinkId>,
    outputs: BTreeMap<LinkId, Vec<u8>>,
}

impl Links for Log {
    fn opened(&mut self, id: LinkId, _: Nanos) {
        self.opened.push(id);
    }
    fn received(&mut self, id: LinkId, bytes: &[u8], _: Nanos) -> bool {
        self.received.entry(id).or_default().extend_from_slice(bytes);
        bytes != b"go away"
    }
    fn closed(&mut self, id: LinkId, why: Option<io::Error>, _: Nanos) {
        self.closed.push((id, why.map(|e| e.kind())));
    }
    fn writable(&mut self, id: LinkId) {
        self.writable.push(id);
    }
    fn output(&mut self, id: LinkId) -> &mut Vec<u8> {
        self.outputs.entry(id).or_default()
    }
    fn sent(&mut self, id: LinkId) {
        self.outputs.entry(id).or_default().clear();
        self.sent += 1;
    }
}

struct World {
    ring: Ring,
    log: Log,
    listener: TcpListener,
}

impl World {
    fn new(sources: Vec<Ipv4Addr>) -> World {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let target = listener.local_addr().expect("bound");
        let bell = Doorbell::new().expect("eventfd");
        let ring = Ring::new(4, Route { target, sources }, bell).expect("io_uring");
        World { ring, log: Log::default(), listener }
    }

    fn turn(&mut self, dirty: &[LinkId]) {
        self.ring.reap(&mut self.log, || 0);
        let mut dirty = dirty.to_vec();
        dirty.append(&mut self.log.writable);
        self.ring.flush(&mut dirty, &mut self.log, 0);
        if self.ring.is_idle() {
            self.ring.sleep(1_000_000);
        }
    }

    /// Turns until `done`; `each` may do the other side's work.
    fn until(&mut self, mut each: impl FnMut(), done: impl Fn(&Log) -> bool) {
        for _ in 0..PATIENCE {
            if done(&self.log) {
                return;
            }
            each();
            self.turn(&[]);
        }
        panic!("it did not happen: opened {:?}, closed {:?}", self.log.opened, self.log.closed);
    }

    fn connect(&mut self, id: LinkId) -> TcpStream {
        let before = self.log.opened.len();
        self.ring.open(id, &mut self.log, 0);
        self.until(|| {}, |log| log.opened.len() > before);
        self.listener.accept().expect("it is connected").0
    }
}

#[test]
fn bytes_go_both_ways_and_a_full_socket_waits_for_room() {
    let mut world = World::new(Vec::new());
    let mut peer = world.connect(0);
    let large: Vec<u8> = (0..8_000_000u32).map(|i| (i % 251) as u8).collect();
    world.log.outputs.insert(0, large.clone());
    world.turn(&[0]);
    assert!(
        world.log.sent == 0 && world.log.outputs[&0].len() < large.len(),
        "part of it fits into the socket"
    );
    peer.set_nonblocking(true).expect("a socket");
    let (mut echoed, mut chunk) = (Vec::new(), vec![0; 65_536]);
    world.until(
        || {
            while let Ok(n) = peer.read(&mut chunk) {
                echoed.extend_from_slice(&chunk[..n]);
            }
        },
        |log| log.sent == 1,
    );
    while let Ok(n) = peer.read(&mut chunk) {
        echoed.extend_from_slice(&chunk[..n]);
    }
    assert!(echoed == large);
    peer.set_nonblocking(false).expect("a socket");
    peer.write_all(&large[..300_000]).expect("read by the ring or kept in the socket");
    world.until(|| {}, |log| log.received.get(&0).is_some_and(|r| r.len() == 300_000));
    assert!(world.log.received[&0] == large[..300_000]);
}

#[test]
fn both_ends_can_close() {
    let mut world = World::new(Vec::new());
    drop(world.connect(0));
    world.until(|| {}, |log| log.closed == [(0, None)]);
    let mut peer = world.connect(1);
    world.ring.close(1, false);
    world.turn(&[]);
    assert_eq!(peer.read(&mut [0; 8]).expect("FIN"), 0);
    let mut peer = world.connect(2);
    world.ring.close(2, true);
    (0..3).for_each(|_| world.turn(&[]));
    assert_eq!(peer.read(&mut [0; 8]).expect_err("RST").kind(), ErrorKind::ConnectionReset);
    let mut peer = world.connect(3);
    peer.write_all(b"go away").expect("connected");
    world.until(|| {}, |log| log.received.contains_key(&3));
    world.turn(&[]);
    assert_eq!(peer.read(&mut [0; 8]).expect("the link would not have it"), 0);
    assert_eq!(world.log.closed, [(0, None)], "who closes here is not told");
}

#[test]
fn a_link_that_is_opened_again_hears_nothing_of_its_last_connection() {
    let mut world = World::new(Vec::new());
    let mut old = world.connect(0);
    old.write_all(b"late").expect("connected");
    world.ring.close(0, false);
    let mut new = world.connect(0);
    new.write_all(b"news").expect("connected");
    world.until(|| {}, |log| log.received.get(&0).is_some_and(|r| r.len() >= 4));
    assert_eq!((world.log.received[&0].as_slice(), world.log.closed.len()), (&b"news"[..], 0));
}

#[test]
fn a_refused_connection_says_why_and_sources_are_taken_in_turn() {
    let sources = vec![Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3)];
    let mut world = World::new(sources.clone());
    let peers = [world.connect(0), world.connect(1)].map(|p| p.peer_addr().expect("connected").ip());
    assert_eq!(peers, [sources[0], sources[1]]);
    let World { mut ring, mut log, listener } = world;
    drop(listener);
    ring.open(2, &mut log, 0);
    for _ in 0..PATIENCE {
        ring.flush(&mut Vec::new(), &mut log, 0);
        ring.reap(&mut log, || 0);
    }
    assert_eq!(log.closed.last(), Some(&(2, Some(ErrorKind::ConnectionRefused))));
}

#[test]
fn the_doorbell_ends_the_sleep() {
    let mut world = World::new(Vec::new());
    let bell = world.ring.bell.clone();
    world.turn(&[]);
    for _ in 0..3 {
        bell.ring();
        bell.ring();
        let asleep = std::time::Instant::now();
        world.ring.sleep(20 * SECOND);
        world.ring.reap(&mut world.log, || 0);
        assert!(asleep.elapsed().as_secs() < 10, "it slept through the bell");
    }
}
