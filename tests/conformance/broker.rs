//! The broker as a `Vec<Shard>` with sockets, channels and a clock that are only values. Every order that the real
//! drivers leave open (which shard turns, how far a batch or a read goes) is drawn from a seed, so that a test holds
//! for all of them or fails the same way again.
//!
//! Must not know what a packet means, but for the CONNECT that says which shard a connection goes to.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use tidemq::mqtt::connect::{ClientIdPeek, peek_client_id};
use tidemq::policy::{Limits, Snapshot};
use tidemq::routing::ShardId;
use tidemq::session::ConnId;
use tidemq::shard::{CloseCause, Effect, End, Message, Opened, Shard, ShardConfig, client_home};
use tidemq::time::Time;

use crate::rng::Rng;
use crate::wire::{Connect, Packet, Publish, V3, V5, Version, prop, subscribe};

/// How late the broker may be with what is due: no clock is read all the time.
pub const TICK_MILLIS: u64 = 200;

/// Runs a test against one shard, and against three in several orders of events.
pub fn everywhere(test: impl Fn(&Broker)) {
    everywhere_with(|_| {}, test);
}

/// The same with other limits than the shipped ones.
pub fn everywhere_with(change: impl Fn(&mut Limits), test: impl Fn(&Broker)) {
    everywhere_configured(|snapshot| change(&mut snapshot.limits), test);
}

/// The same with another configuration than the shipped one.
pub fn everywhere_configured(change: impl Fn(&mut Snapshot), test: impl Fn(&Broker)) {
    for (shards, seed) in [(1, 1), (3, 2), (3, 3), (3, 4)] {
        // Shown only when the test fails.
        println!("with {shards} shards, seed {seed}");
        let mut snapshot = shipped();
        change(&mut snapshot);
        test(&Broker::configured(shards, seed, snapshot));
    }
}

fn shipped() -> Snapshot {
    Snapshot { persistent_sessions: true, ..Snapshot::default() }
}

/// Where a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Accepted by a shard, which reads up to the end of its CONNECT.
    Lobby(u16),
    At(u16, ConnId),
    /// One side has ended it.
    Gone,
}

struct Socket {
    place: Place,
    /// Written by the client, not given to a shard.
    up: VecDeque<u8>,
    /// Read in the lobby.
    head: Vec<u8>,
    /// Sent by the broker, not looked at.
    down: Vec<u8>,
    /// The broker closed it.
    closed: Option<CloseCause>,
    paused: bool,
    /// How many bytes the client's kernel still takes; `None` = any number.
    room: Option<usize>,
    blocked: bool,
    deadline: Time,
}

struct World {
    shards: Vec<Shard>,
    home_key: [u8; 16],
    connect_bytes: usize,
    connect_secs: u64,
    now: Time,
    rng: Rng,
    /// `links[from][to]`.
    links: Vec<Vec<VecDeque<Message>>>,
    sockets: Vec<Socket>,
}

impl World {
    /// Turns of all shards until nothing is left to do at this moment.
    fn settle(&mut self) {
        let mut turns = 0;
        loop {
            let mut order: Vec<u16> = (0..self.shards.len() as u16).collect();
            self.rng.shuffle(&mut order);
            let busy = order.into_iter().fold(false, |busy, shard| self.turn(shard) | busy);
            if !busy {
                return;
            }
            turns += 1;
            assert!(turns < 1_000_000, "the shards never come to rest");
        }
    }

    /// One turn of a shard, as its contract wants it. True when it did something.
    fn turn(&mut self, me: u16) -> bool {
        let now = self.now;
        self.shard(me).handle_time(now);
        let mut busy = self.take_messages(me) | self.take_bytes(me);
        busy |= self.shard(me).work();
        for peer in 0..self.shards.len() as u16 {
            let batch = self.shard(me).take_outbox(ShardId(peer));
            busy |= !batch.is_empty();
            self.links[usize::from(me)][usize::from(peer)].extend(batch);
        }
        let closing = self.take_effects(me, &mut busy);
        busy | self.flush(me) | self.finish(me, closing)
    }

    fn shard(&mut self, me: u16) -> &mut Shard {
        &mut self.shards[usize::from(me)]
    }

    fn take_messages(&mut self, me: u16) -> bool {
        let mut busy = false;
        let mut peers: Vec<u16> = (0..self.shards.len() as u16).collect();
        self.rng.shuffle(&mut peers);
        for peer in peers {
            let queue = &mut self.links[usize::from(peer)][usize::from(me)];
            if queue.is_empty() {
                continue;
            }
            let some = self.rng.some(queue.len());
            let batch = queue.drain(..some).collect();
            self.shard(me).handle_batch(ShardId(peer), batch);
            busy = true;
        }
        busy
    }

    fn take_bytes(&mut self, me: u16) -> bool {
        let mut busy = false;
        let mut order: Vec<usize> = (0..self.sockets.len()).collect();
        self.rng.shuffle(&mut order);
        for index in order {
            match self.sockets[index].place {
                Place::Lobby(shard) if shard == me => busy |= self.wait_in_lobby(me, index),
                Place::At(shard, conn) if shard == me => {
                    let socket = &mut self.sockets[index];
                    if socket.blocked && socket.room != Some(0) {
                        socket.blocked = false;
                        self.shards[usize::from(me)].handle_writable(conn);
                        busy = true;
                    }
                    let socket = &mut self.sockets[index];
                    if !socket.up.is_empty() && !socket.paused {
                        let some = self.rng.some(socket.up.len());
                        let bytes: Vec<u8> = socket.up.drain(..some).collect();
                        self.shard(me).handle_bytes(conn, &bytes);
                        busy = true;
                    }
                }
                _ => {}
            }
        }
        busy
    }

    /// Reads up to the end of the CONNECT, then hands the connection to its client's home.
    fn wait_in_lobby(&mut self, me: u16, index: usize) -> bool {
        let socket = &mut self.sockets[index];
        if socket.up.is_empty() {
            if socket.deadline <= self.now {
                socket.place = Place::Gone;
                socket.closed = Some(CloseCause::Stopping);
            }
            return false;
        }
        let some = self.rng.some(socket.up.len());
        socket.head.extend(socket.up.drain(..some));
        let home = match peek_client_id(&socket.head, self.connect_bytes) {
            ClientIdPeek::Incomplete => return true,
            ClientIdPeek::ClientId("") | ClientIdPeek::Hopeless => me,
            ClientIdPeek::ClientId(id) => client_home(&self.home_key, self.shards.len() as u16, id).0,
        };
        let conn = ConnId { index: index as u32, generation: 1 };
        let opened = Opened::plain(([127, 0, 0, 1], 1_883).into(), 0, socket.deadline);
        socket.place = Place::At(home, conn);
        let head = std::mem::take(&mut socket.head);
        self.shard(home).handle_open(conn, opened);
        self.shard(home).handle_bytes(conn, &head);
        true
    }

    fn take_effects(&mut self, me: u16, busy: &mut bool) -> Vec<(ConnId, CloseCause)> {
        let mut closing = Vec::new();
        while let Some(effect) = self.shard(me).poll_effect() {
            *busy = true;
            match effect {
                Effect::Close { conn, cause } => closing.push((conn, cause)),
                Effect::Pause(conn) => self.sockets[conn.index as usize].paused = true,
                Effect::Resume(conn) => self.sockets[conn.index as usize].paused = false,
            }
        }
        closing
    }

    fn flush(&mut self, me: u16) -> bool {
        let mut busy = false;
        while let Some(conn) = self.shard(me).next_dirty() {
            let sent = self.send(me, conn);
            self.shard(me).handle_sent(conn, sent);
            busy = true;
        }
        busy
    }

    /// Gives the client's kernel what it takes of the output.
    fn send(&mut self, me: u16, conn: ConnId) -> usize {
        let output = self.shards[usize::from(me)].output(conn);
        let socket = &mut self.sockets[conn.index as usize];
        let taken = socket.room.unwrap_or(usize::MAX).min(output.len());
        socket.down.extend(&output[..taken]);
        socket.room = socket.room.map(|room| room - taken);
        socket.blocked = taken < output.len();
        taken
    }

    fn finish(&mut self, me: u16, closing: Vec<(ConnId, CloseCause)>) -> bool {
        let busy = !closing.is_empty();
        for (conn, cause) in closing {
            self.send(me, conn);
            self.shard(me).handle_closed(conn);
            let socket = &mut self.sockets[conn.index as usize];
            socket.place = Place::Gone;
            socket.closed = Some(cause);
        }
        busy
    }

    /// Lets time pass, stopping at every moment for which somebody is booked.
    fn advance(&mut self, to: Time) {
        loop {
            self.settle();
            let lobby =
                self.sockets.iter().filter(|s| matches!(s.place, Place::Lobby(_))).map(|s| s.deadline);
            let due = self.shards.iter().filter_map(Shard::deadline).chain(lobby).min();
            let Some(due) = due.filter(|due| *due <= to) else { break };
            assert!(due > self.now, "a deadline stays in the past although nothing comes of it");
            self.now = due;
        }
        self.now = to;
        self.settle();
    }
}

/// A broker.
pub struct Broker {
    world: Rc<RefCell<World>>,
    accepted: Cell<u16>,
}

impl Broker {
    /// With so many shards; `seed` draws what may happen in any order.
    fn configured(shards: u16, seed: u64, snapshot: Snapshot) -> Broker {
        let mut rng = Rng::new(seed);
        // Another key is another home for every client and topic.
        let mut home_key = [0; 16];
        home_key.fill_with(|| rng.draw() as u8);
        let now = Time::from_secs(1_000);
        let limits = &snapshot.limits;
        let (connect_bytes, connect_secs) =
            (limits.connect_packet_bytes as usize, u64::from(limits.connect_timeout_secs));
        let snapshot = Arc::new(snapshot);
        let shard = |id| {
            Shard::new(ShardConfig {
                id: ShardId(id),
                shards,
                home_key,
                seed: std::array::from_fn(|at| seed + u64::from(id) * 4 + at as u64),
                snapshot: Arc::clone(&snapshot),
                now,
                unix_zero_micros: 0,
            })
        };
        let size = usize::from(shards);
        let links = (0..size).map(|_| (0..size).map(|_| VecDeque::new()).collect()).collect();
        let world = World {
            shards: (0..shards).map(shard).collect(),
            home_key,
            connect_bytes,
            connect_secs,
            now,
            rng,
            links,
            sockets: Vec::new(),
        };
        Broker { world: Rc::new(RefCell::new(world)), accepted: Cell::new(0) }
    }

    /// A connection on which nothing has been said. The shards accept in turn.
    pub fn client(&self) -> Client {
        let mut world = self.world.borrow_mut();
        let shard = self.accepted.get() % world.shards.len() as u16;
        self.accepted.set(self.accepted.get() + 1);
        let deadline = world.now.after_secs(world.connect_secs);
        world.sockets.push(Socket {
            place: Place::Lobby(shard),
            up: VecDeque::new(),
            head: Vec::new(),
            down: Vec::new(),
            closed: None,
            paused: false,
            room: None,
            blocked: false,
            deadline,
        });
        Client { world: Rc::clone(&self.world), socket: world.sockets.len() - 1, version: Cell::new(V5) }
    }

    /// A connection with this CONNECT, and the CONNACK, which must be a success.
    #[track_caller]
    pub fn connect(&self, connect: &Connect) -> (Client, Packet) {
        let client = self.client();
        client.version.set(connect.version());
        client.send(&connect.bytes());
        let connack = client.packet();
        assert!(connack.first == 0x20 && connack.reason() == 0, "not accepted: {connack:?}");
        (client, connack)
    }

    /// A connected 3.1.1 client with a clean session.
    #[track_caller]
    pub fn v3(&self, id: &str) -> Client {
        self.connect(&Connect::new(V3, id)).0
    }

    /// A connected 5.0 client with Clean Start and no Session Expiry Interval.
    #[track_caller]
    pub fn v5(&self, id: &str) -> Client {
        self.connect(&Connect::new(V5, id)).0
    }

    /// A connected client of either.
    #[track_caller]
    pub fn of(&self, version: Version, id: &str) -> Client {
        self.connect(&Connect::new(version, id)).0
    }

    /// A client of the same version that listens to a filter with these options, and has heard what was retained.
    #[track_caller]
    pub fn subscriber(&self, version: Version, id: &str, filter: &str, options: u8) -> Client {
        let client = self.of(version, id);
        client.subscribe(filter, options);
        client
    }

    /// Seconds pass.
    pub fn advance(&self, secs: u64) {
        let to = self.world.borrow().now.after_secs(secs);
        self.world.borrow_mut().advance(to);
    }

    /// Milliseconds pass.
    pub fn advance_millis(&self, millis: u64) {
        let to = Time(self.world.borrow().now.0 + millis * 1_000);
        self.world.borrow_mut().advance(to);
    }

    /// Everything comes to rest without time passing.
    pub fn settle(&self) {
        self.world.borrow_mut().settle();
    }
}

/// A client's end of a connection.
pub struct Client {
    world: Rc<RefCell<World>>,
    socket: usize,
    version: Cell<Version>,
}

impl Client {
    /// Sends bytes; everything that follows from them happens.
    pub fn send(&self, bytes: &[u8]) {
        self.write(bytes);
        self.world.borrow_mut().settle();
    }

    /// Sends bytes; nobody has read them yet.
    pub fn write(&self, bytes: &[u8]) {
        self.world.borrow_mut().sockets[self.socket].up.extend(bytes);
    }

    /// Everything that was written happens.
    pub fn settle(&self) {
        self.world.borrow_mut().settle();
    }

    /// Sends a PUBLISH.
    pub fn publish(&self, publish: &Publish) {
        self.send(&publish.bytes(self.version.get()));
    }

    /// Sends a SUBSCRIBE with Packet Identifier 999, whose SUBACK must grant it.
    #[track_caller]
    pub fn subscribe(&self, filter: &str, options: u8) {
        self.send(&subscribe(self.version.get(), 999, &[(filter, options)]));
        let suback = self.packet();
        assert_eq!((suback.first, suback.id()), (0x90, 999), "{suback:?}");
        assert_eq!(suback.codes(self.version.get()), [options & 3], "{suback:?}");
    }

    /// What has come and was not looked at: all of it.
    pub fn received(&self) -> Vec<u8> {
        let mut world = self.world.borrow_mut();
        world.settle();
        std::mem::take(&mut world.sockets[self.socket].down)
    }

    /// The same, cut into packets, which must be whole.
    #[track_caller]
    pub fn packets(&self) -> Vec<Packet> {
        let mut bytes = self.received();
        let packets = std::iter::from_fn(|| Packet::take(&mut bytes)).collect();
        assert!(bytes.is_empty(), "the broker sent half a packet: {bytes:02X?}");
        packets
    }

    /// The next packet; there must be one.
    #[track_caller]
    pub fn packet(&self) -> Packet {
        let mut bytes = self.received();
        let packet = Packet::take(&mut bytes);
        self.put_back(bytes);
        packet.unwrap_or_else(|| panic!("no packet came{}", self.closed()))
    }

    /// The next packet, which must be a PUBLISH.
    #[track_caller]
    pub fn published(&self) -> Publish {
        self.packet().publish(self.version.get())
    }

    /// Exactly these bytes come next. What follows them is left for later.
    #[track_caller]
    pub fn expect(&self, expected: &[u8]) {
        let mut bytes = self.received();
        let came = bytes.len().min(expected.len());
        assert_eq!(hex(&bytes[..came]), hex(expected), "then {}{}", hex(&bytes[came..]), self.closed());
        self.put_back(bytes.split_off(expected.len()));
    }

    /// Nothing has come, and the connection is open.
    #[track_caller]
    pub fn expect_nothing(&self) {
        let bytes = self.received();
        assert!(bytes.is_empty(), "{} came{}", hex(&bytes), self.closed());
        self.expect_open();
    }

    /// Nothing more has come, and the broker has closed the connection.
    #[track_caller]
    pub fn expect_closed(&self) {
        let bytes = self.received();
        assert!(bytes.is_empty(), "{} came{}", hex(&bytes), self.closed());
        assert!(self.is_closed(), "the broker leaves the connection open");
    }

    /// The broker has said goodbye with this Reason Code (3.1.1 has none and says nothing) and closed.
    #[track_caller]
    pub fn expect_disconnect(&self, reason: u8) {
        if self.version.get() == V5 {
            let packet = self.packet();
            assert!(
                packet.first == 0xE0 && packet.reason() == reason,
                "not DISCONNECT {reason:#04X}: {packet:?}"
            );
        }
        self.expect_closed();
    }

    /// The CONNECT was refused with this Reason Code, and at most a word on why; 3.1.1 has no word for a packet that
    /// is malformed [v3 MQTT-3.1.4-1]. The connection is closed.
    #[track_caller]
    pub fn expect_refusal(&self, reason: u8) {
        if self.version.get() == V5 {
            let connack = self.packet();
            assert_eq!((connack.first, &connack.body[..2]), (0x20, &[0, reason][..]), "{connack:?}");
            let explains = |id: &u8| matches!(*id, prop::REASON_STRING | prop::USER);
            assert!(connack.properties().iter().all(|(id, _)| explains(id)), "{connack:?}");
        }
        self.expect_closed();
    }

    /// The broker has not closed the connection.
    #[track_caller]
    pub fn expect_open(&self) {
        assert!(!self.is_closed(), "{}", self.closed());
    }

    /// The broker has closed the connection.
    pub fn is_closed(&self) -> bool {
        self.world.borrow_mut().settle();
        self.world.borrow().sockets[self.socket].closed.is_some()
    }

    /// The client's network fails: the broker hears of an error.
    pub fn cut(self) {
        self.end_with(End::Failed(104));
    }

    /// The client closes the connection without a DISCONNECT.
    pub fn close(self) {
        self.end_with(End::Closed);
    }

    /// From now on the client's kernel takes so many bytes; `None` = any number.
    pub fn room(&self, room: Option<usize>) {
        let mut world = self.world.borrow_mut();
        world.sockets[self.socket].room = room;
        world.settle();
    }

    /// Another version than 5.0, for a connection whose CONNECT a test wrote itself.
    pub fn speaks(&self, version: Version) {
        self.version.set(version);
    }

    fn end_with(self, end: End) {
        let mut world = self.world.borrow_mut();
        world.settle();
        let place = std::mem::replace(&mut world.sockets[self.socket].place, Place::Gone);
        if let Place::At(shard, conn) = place {
            world.shard(shard).handle_end(conn, end);
        }
        world.settle();
    }

    fn put_back(&self, bytes: Vec<u8>) {
        self.world.borrow_mut().sockets[self.socket].down.splice(..0, bytes);
    }

    fn closed(&self) -> String {
        match self.world.borrow().sockets[self.socket].closed {
            Some(cause) => format!("; the broker closed: {cause:?}"),
            None => String::new(),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X} ")).collect()
}
