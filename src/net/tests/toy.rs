//! An owner of connections that remembers what it was told and says what a test bids it, and a bench for both.

use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::net::listener::bind;
use crate::net::socket::Event;
use crate::net::{Connections, Net, NetConfig, PacketsPerFrame, Place, Seats, Speech, Transport};
use crate::policy::Limits;
use crate::routing::ShardId;
use crate::session::ConnId;
use crate::shard::{CloseCause, Effect, End, Opened};
use crate::time::Time;

pub(super) fn websocket(path: &str, packets: PacketsPerFrame) -> Speech {
    Speech::plain(Transport::WebSocket { path: path.into(), packets })
}

/// A CONNECT of 3.1.1.
pub(super) fn connect(id: &str) -> Vec<u8> {
    let mut packet = vec![0x10, 12 + id.len() as u8, 0, 4];
    packet.extend_from_slice(b"MQTT\x04\x02\x00\x3c\x00");
    packet.push(id.len() as u8);
    packet.extend_from_slice(id.as_bytes());
    packet
}

#[derive(Default)]
pub(super) struct Toy {
    pub(super) opened: HashMap<ConnId, Opened>,
    pub(super) ended: Vec<(ConnId, End)>,
    pub(super) closed: Vec<ConnId>,
    pub(super) effects: VecDeque<Effect>,
    pub(super) writables: usize,
    /// Bytes after which it closes the connection.
    pub(super) farewell: Option<Vec<u8>>,
    order: Vec<ConnId>,
    input: HashMap<ConnId, Vec<u8>>,
    output: HashMap<ConnId, Vec<u8>>,
    dirty: VecDeque<ConnId>,
    /// Bytes kept free in front of the output.
    headroom: HashMap<ConnId, usize>,
}

impl Toy {
    pub(super) fn input(&self, conn: ConnId) -> &[u8] {
        self.input.get(&conn).map_or(&[], Vec::as_slice)
    }

    pub(super) fn output_len(&self, conn: ConnId) -> usize {
        self.output(conn).len()
    }

    pub(super) fn say(&mut self, conn: ConnId, bytes: &[u8]) {
        self.output.entry(conn).or_default().extend_from_slice(bytes);
        // Handed out once a flush, as the shard does.
        if !self.dirty.contains(&conn) {
            self.dirty.push_back(conn);
        }
    }

    pub(super) fn close(&mut self, conn: ConnId, cause: CloseCause) {
        self.effects.push_back(Effect::Close { conn, cause });
    }

    /// How many connections were ever opened.
    pub(super) fn openings(&self) -> usize {
        self.order.len()
    }

    /// The connection that was opened last.
    pub(super) fn latest(&self) -> ConnId {
        *self.order.last().expect("one was opened")
    }

    pub(super) fn only(&self) -> ConnId {
        assert_eq!(self.order.len(), 1);
        self.latest()
    }

    pub(super) fn forget(&mut self, conn: ConnId) {
        self.opened.remove(&conn);
    }
}

impl Connections for Toy {
    fn handle_open(&mut self, conn: ConnId, opened: Opened) {
        assert!(!self.opened.keys().any(|c| c.index == conn.index), "{conn:?} is taken");
        self.opened.insert(conn, opened);
        self.order.push(conn);
    }

    fn keep_headroom(&mut self, conn: ConnId, bytes: u8) {
        assert!(self.output_len(conn) == 0, "too late");
        self.headroom.insert(conn, usize::from(bytes));
    }

    fn handle_bytes(&mut self, conn: ConnId, bytes: &[u8]) {
        assert!(self.opened.contains_key(&conn), "bytes for a stranger");
        let input = self.input.entry(conn).or_default();
        input.extend_from_slice(bytes);
        if self.farewell.as_ref().is_some_and(|f| input.ends_with(f)) {
            self.close(conn, CloseCause::Disconnected);
        }
    }

    fn handle_end(&mut self, conn: ConnId, end: End) {
        assert!(self.opened.remove(&conn).is_some(), "an end of a stranger");
        self.ended.push((conn, end));
    }

    fn handle_closed(&mut self, conn: ConnId) {
        assert!(self.opened.remove(&conn).is_some(), "a stranger is closed");
        self.closed.push(conn);
    }

    fn handle_writable(&mut self, conn: ConnId) {
        self.writables += 1;
        if !self.dirty.contains(&conn) {
            self.dirty.push_back(conn);
        }
    }

    fn handle_sent(&mut self, conn: ConnId, bytes: usize) {
        self.output.get_mut(&conn).expect("it had output").drain(..bytes);
    }

    fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    fn next_dirty(&mut self) -> Option<ConnId> {
        self.dirty.pop_front()
    }

    fn output(&self, conn: ConnId) -> &[u8] {
        self.output.get(&conn).map_or(&[], Vec::as_slice)
    }

    fn prepend(&mut self, conn: ConnId, header: &[u8]) {
        assert!(header.len() <= self.headroom[&conn], "no room");
        self.output.get_mut(&conn).expect("it has output").splice(..0, header.iter().copied());
    }

    fn make_room(&mut self, conn: ConnId, bytes: usize) -> &mut [u8] {
        self.prepend(conn, &vec![0; bytes]);
        self.output.get_mut(&conn).expect("it has output")
    }
}

/// A net with a listener and a toy.
pub(super) struct Bench {
    pub(super) net: Net,
    pub(super) toy: Toy,
    pub(super) address: SocketAddr,
    pub(super) seats: Arc<Seats>,
    pub(super) doorbell: Arc<Event>,
    pub(super) now: Time,
}

impl Bench {
    pub(super) fn new(limits: Limits) -> Bench {
        Bench::one_of(1, 0, &limits, Speech::plain(Transport::Tcp))
    }

    /// Its clients speak WebSocket, at `/mqtt`.
    pub(super) fn websocket(limits: &Limits) -> Bench {
        Bench::one_of(1, 0, limits, websocket("/mqtt", PacketsPerFrame::Many))
    }

    /// The same, with one packet in a frame.
    pub(super) fn a_packet_a_frame() -> Bench {
        Bench::one_of(1, 0, &Limits::default(), websocket("/mqtt", PacketsPerFrame::One))
    }

    pub(super) fn one_of(shards: u16, me: u16, limits: &Limits, speech: Speech) -> Bench {
        let (seats, doorbell) = (Arc::new(Seats::new(1_000)), Arc::new(Event::new().expect("an event")));
        let place = Place { home_key: [9; 16], shards, me: ShardId(me) };
        let config = NetConfig {
            place,
            limits: limits.clone(),
            seats: Arc::clone(&seats),
            doorbell: Arc::clone(&doorbell),
            unix_zero_micros: 1_000_000_000_000,
        };
        let mut net = Net::new(config).expect("a ring");
        let bound = bind(0, SocketAddr::from(([127, 0, 0, 1], 0)), 1).expect("bound");
        net.listen(0, speech, bound.sockets.into_iter().next().expect("one"));
        let now = Time::from_secs(100);
        Bench { net, toy: Toy::default(), address: bound.address, seats, doorbell, now }
    }

    /// The socket steps of a turn.
    pub(super) fn turn(&mut self) {
        self.net.reap(&mut self.toy, self.now);
        self.net.take_effects(&mut self.toy);
        self.net.flush(&mut self.toy);
    }

    /// Turns until it is so. The ring is waited for in between.
    pub(super) fn until(&mut self, mut so: impl FnMut(&mut Bench) -> bool) {
        let start = Instant::now();
        loop {
            self.turn();
            if so(self) {
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "it never became so");
            if !self.net.is_ready() {
                self.net.sleep(Duration::from_millis(5));
            }
        }
    }

    /// A peer that has said CONNECT, and its connection.
    pub(super) fn client(&mut self, id: &str) -> (TcpStream, ConnId) {
        let mut client = TcpStream::connect(self.address).expect("connected");
        client.set_read_timeout(Some(Duration::from_secs(20))).expect("option");
        client.write_all(&connect(id)).expect("sent");
        let before = self.toy.openings();
        self.until(|b| b.toy.openings() > before);
        let conn = self.toy.latest();
        (client, conn)
    }
}

/// Two shards of one node.
pub(super) fn pair(limits: &Limits, speech: &Speech) -> (Bench, Bench) {
    let (first, mut second) =
        (Bench::one_of(2, 0, limits, speech.clone()), Bench::one_of(2, 1, limits, speech.clone()));
    let seats = Arc::clone(&first.seats);
    second.net.seats = seats.clone();
    second.seats = seats;
    (first, second)
}
