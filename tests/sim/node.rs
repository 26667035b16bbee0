//! The driver of one shard, exactly as the shard's contract asks, with every freedom that the contract leaves
//! drawn at random: how much of each input a turn takes, how many flushes it does, how much a socket takes.

use std::collections::VecDeque;
use std::sync::Arc;

use tidemq::mqtt::connect::{ClientIdPeek, peek_client_id};
use tidemq::policy::Snapshot;
use tidemq::routing::ShardId;
use tidemq::session::ConnId;
use tidemq::shard::{CloseCause, Effect, End, FLUSHES_PER_TURN, Opened, Shard, client_home};
use tidemq::time::Time;

use crate::history::{ClientNo, Ending, SocketNo};
use crate::net::{Item, Mark, Net, Ping, Place, Reading};
use crate::operator::Order;
use crate::rng::Rng;

/// What a turn did that the history wants to know, in order.
pub enum Happening {
    /// A shard was given the end of something.
    Handed(SocketNo, Mark),
    /// A connection ended at its shard.
    Ended(SocketNo, Ending),
    /// A paused connection is read again.
    Resumed(SocketNo),
    /// For the trace only.
    Note(Option<ClientNo>, String),
    /// The shard broke its contract.
    Wrong(Option<ClientNo>, String),
}

/// Turns within which a ping is answered, apart from what waits for other connections' flushes.
const PING_TURNS: u64 = 3;

/// One shard and what its driver holds.
pub struct Node {
    pub shard: Shard,
    id: ShardId,
    home_key: [u8; 16],
    shards: u16,
    connect_bytes: usize,
    /// Connections by index.
    table: Vec<Slot>,
    /// Sockets that this shard accepted and still holds the head of.
    pub accepting: Vec<SocketNo>,
    /// Closed, `handle_closed` not yet said.
    closing: Vec<(ConnId, SocketNo, CloseCause)>,
    pub install: VecDeque<Arc<Snapshot>>,
    /// What whoever runs the broker asks, and does to clients.
    pub orders: VecDeque<Order>,
    pub stop: bool,
    /// `work` or `has_dirty` said that more waits.
    pub awake: bool,
    pub turns: u64,
    /// Turns in a row that were due only by a deadline and did nothing.
    idle_turns: u32,
}

#[derive(Clone, Copy)]
struct Slot {
    generation: u32,
    socket: Option<SocketNo>,
}

/// What a turn may use of the world.
pub struct Turn<'a> {
    pub net: &'a mut Net,
    pub rng: &'a mut Rng,
    pub now: Time,
    pub log: &'a mut Vec<Happening>,
    /// Take everything: no short reads, no short sends.
    pub hurry: bool,
}

impl Turn<'_> {
    fn wrong(&mut self, socket: Option<SocketNo>, text: String) {
        let client = socket.and_then(|no| self.net.sockets[no.0].client);
        self.log.push(Happening::Wrong(client, text));
    }

    /// How much of `all` is taken now.
    fn some(&mut self, all: usize) -> usize {
        if self.hurry || self.rng.percent(60) { all } else { self.rng.between(0, all) }
    }
}

impl Node {
    /// A driver for `shard`.
    pub fn new(shard: Shard, id: ShardId, shards: u16, home_key: [u8; 16], connect_bytes: usize) -> Node {
        Node {
            shard,
            id,
            home_key,
            shards,
            connect_bytes,
            table: Vec::new(),
            accepting: Vec::new(),
            closing: Vec::new(),
            install: VecDeque::new(),
            orders: VecDeque::new(),
            stop: false,
            awake: false,
            turns: 0,
            idle_turns: 0,
        }
    }

    /// Has the driver a reason not to sleep?
    pub fn is_due(&self, net: &Net, now: Time) -> bool {
        let input = |no: &SocketNo| {
            let socket = &net.sockets[no.0];
            socket.has_input() || (socket.blocked && socket.room() > 0)
        };
        self.awake
            || self.stop
            || !self.install.is_empty()
            || !self.orders.is_empty()
            || !self.closing.is_empty()
            || self.shard.deadline().is_some_and(|deadline| deadline <= now)
            || net.links.iter().any(|from| !from[usize::from(self.id.0)].queue.is_empty())
            || net.links[usize::from(self.id.0)]
                .iter()
                .any(|l| !l.kept.is_empty() && l.queue.len() < l.capacity)
            || self.accepting.iter().any(input)
            || self.table.iter().filter_map(|slot| slot.socket.as_ref()).any(input)
    }

    /// Why it is due, for a failure's text.
    pub fn describe(&self, net: &Net) -> String {
        let open = self.open().into_iter().map(|(_, no)| (no, &net.sockets[no.0]));
        let busy: Vec<String> = open
            .filter(|(_, s)| s.has_input() || s.blocked)
            .map(|(no, s)| {
                let (up, down) = (s.up.len(), s.down.len());
                format!(
                    "{no:?}: {:?}, up {up}, over {}, down {down}, blocked {}",
                    s.reading, s.up_closed, s.blocked
                )
            })
            .collect();
        let census = self.shard.census();
        format!("shard {}: awake {}, {busy:?}, {census:?}", self.id.0, self.awake)
    }

    /// Connections that this shard holds.
    pub fn connections(&self) -> usize {
        self.table.iter().filter(|slot| slot.socket.is_some()).count()
    }

    /// One turn.
    pub fn turn(&mut self, t: &mut Turn<'_>) {
        self.turns += 1;
        let before = t.log.len();
        self.shard.handle_time(t.now);
        let inputs = self.take_inputs(t);
        self.awake = self.shard.work();
        let sent = self.pass_on(t);
        self.take_effects(t);
        let flushed = self.flush(t);
        self.finish_closing(t);
        // What the flush met can have made messages, work and effects: it is followed by a turn.
        self.awake |= self.shard.has_dirty() || inputs + flushed > 0;
        // A deadline that stays in the past although nothing comes of it would keep a core busy for ever.
        let overdue = self.shard.deadline().is_some_and(|deadline| deadline <= t.now);
        let quiet = inputs == 0 && sent == 0 && flushed == 0 && t.log.len() == before;
        self.idle_turns = if quiet && (overdue || self.awake) { self.idle_turns + 1 } else { 0 };
        if self.idle_turns > 50_000 {
            t.wrong(
                None,
                format!(
                    "shard {} wants turns for ever: deadline {:?}, awake {}",
                    self.id.0,
                    self.shard.deadline(),
                    self.awake
                ),
            );
        }
        self.check_pings(t);
    }

    /// Step 1: every input, in any order, as much as the turn takes.
    fn take_inputs(&mut self, t: &mut Turn<'_>) -> usize {
        let mut count = 0;
        let mut kinds = [0, 1, 2, 3];
        t.rng.shuffle(&mut kinds);
        for kind in kinds {
            count += match kind {
                0 => self.take_channels(t),
                1 => self.take_bytes(t),
                2 => self.accept(t),
                _ => self.take_orders(t),
            };
        }
        count
    }

    fn take_orders(&mut self, t: &mut Turn<'_>) -> usize {
        let mut count = 0;
        while let Some(snapshot) = self.install.pop_front() {
            count += 1;
            self.shard.install(snapshot);
        }
        while let Some(order) = self.orders.pop_front() {
            count += 1;
            if let Err(text) = order.carry_out(&mut self.shard) {
                t.wrong(None, text);
            }
        }
        if std::mem::take(&mut self.stop) {
            count += 1;
            t.log.push(Happening::Note(None, format!("shard {} stops", self.id.0)));
            self.shard.stop();
        }
        count
    }

    fn take_channels(&mut self, t: &mut Turn<'_>) -> usize {
        let mut count = 0;
        let mut peers: Vec<usize> =
            (0..usize::from(self.shards)).filter(|p| *p != usize::from(self.id.0)).collect();
        t.rng.shuffle(&mut peers);
        for peer in peers {
            let waiting = t.net.links[peer][usize::from(self.id.0)].queue.len();
            let mut left = t.some(waiting);
            while left > 0 {
                // Neighbouring messages of one channel come as batches of any size.
                let size = if t.rng.percent(70) { left } else { t.rng.between(1, left) };
                left -= size;
                count += size;
                let items: Vec<Item> =
                    t.net.links[peer][usize::from(self.id.0)].queue.drain(..size).collect();
                self.take_items(t, peer, items);
            }
            // The sender wanted space: the doorbell.
            t.net.links[peer][usize::from(self.id.0)].flush();
        }
        count
    }

    fn take_items(&mut self, t: &mut Turn<'_>, peer: usize, items: Vec<Item>) {
        let from = ShardId(u16::try_from(peer).expect("a few shards"));
        let mut batch = Vec::new();
        for item in items {
            match item {
                Item::Message(message) => batch.push(message),
                Item::Connection(no) => {
                    if !batch.is_empty() {
                        self.shard.handle_batch(from, std::mem::take(&mut batch));
                    }
                    self.adopt(t, no);
                }
            }
        }
        if !batch.is_empty() {
            self.shard.handle_batch(from, batch);
        }
    }

    /// Reads the heads of accepted connections until their client's home is known.
    fn accept(&mut self, t: &mut Turn<'_>) -> usize {
        let mut count = 0;
        let mut held = std::mem::take(&mut self.accepting);
        held.retain(|no| {
            if t.net.socket(*no).has_input() {
                count += 1;
            }
            self.accept_one(t, *no)
        });
        self.accepting.extend(held);
        count
    }

    /// True while it stays here.
    fn accept_one(&mut self, t: &mut Turn<'_>, no: SocketNo) -> bool {
        let waiting = t.net.socket(no).up.len();
        let most = t.some(waiting);
        let socket = t.net.socket(no);
        let bytes = socket.read_up(most);
        socket.head.extend(bytes);
        let home = match peek_client_id(&socket.head, self.connect_bytes) {
            ClientIdPeek::Incomplete => {
                if (socket.up_closed && socket.up.is_empty()) || socket.deadline <= t.now {
                    socket.down_closed = true;
                    socket.place = Place::Gone;
                    return false;
                }
                return true;
            }
            ClientIdPeek::ClientId("") | ClientIdPeek::Hopeless => self.id,
            ClientIdPeek::ClientId(id) => client_home(&self.home_key, self.shards, id),
        };
        if home == self.id {
            self.adopt(t, no);
        } else {
            socket.place = Place::Travelling;
            t.net.links[usize::from(self.id.0)][usize::from(home.0)].push([Item::Connection(no)]);
        }
        false
    }

    /// Takes a connection over: at its home.
    fn adopt(&mut self, t: &mut Turn<'_>, no: SocketNo) {
        let index = match self.table.iter().position(|slot| slot.socket.is_none()) {
            Some(index) => index,
            None => {
                self.table.push(Slot { generation: 0, socket: None });
                self.table.len() - 1
            }
        };
        let slot = &mut self.table[index];
        slot.generation = (slot.generation + 1) & 0x00FF_FFFF;
        slot.socket = Some(no);
        let conn = ConnId { index: u32::try_from(index).expect("few"), generation: slot.generation };
        let socket = t.net.socket(no);
        socket.place = Place::Open(self.id, conn);
        let opened = Opened::plain(([127, 0, 0, 1], 1_024).into(), 0, socket.deadline);
        self.shard.handle_open(conn, opened);
        let head = std::mem::take(&mut t.net.socket(no).head);
        self.give(t, conn, no, &head);
    }

    fn give(&mut self, t: &mut Turn<'_>, conn: ConnId, no: SocketNo, bytes: &[u8]) {
        self.shard.handle_bytes(conn, bytes);
        let turn = self.turns;
        let socket = t.net.socket(no);
        let excused = socket.blocked || socket.reading != Reading::Armed;
        for mark in socket.handed(bytes.len()) {
            if matches!(mark, Mark::Ping) {
                socket.pings.push_back(Ping { turn, excused });
            }
            t.log.push(Happening::Handed(no, mark));
        }
    }

    fn take_bytes(&mut self, t: &mut Turn<'_>) -> usize {
        let mut count = 0;
        let mut open: Vec<(ConnId, SocketNo)> = self.open();
        t.rng.shuffle(&mut open);
        for (conn, no) in open {
            let waiting = t.net.socket(no).up.len();
            let most = t.some(waiting);
            let skip = !t.hurry && t.rng.percent(20);
            let socket = t.net.socket(no);
            if socket.blocked && socket.room() > 0 && !skip {
                socket.blocked = false;
                self.shard.handle_writable(conn);
                count += 1;
            }
            let socket = t.net.socket(no);
            if !socket.has_input() || skip {
                continue;
            }
            socket.reading = match socket.reading {
                Reading::Ending(0 | 1) => Reading::Paused,
                Reading::Ending(more) => Reading::Ending(more - 1),
                other => other,
            };
            let bytes = socket.read_up(most);
            let over = socket.up_closed && socket.up.is_empty();
            if !bytes.is_empty() {
                count += 1;
                self.give(t, conn, no, &bytes);
            }
            // A cut is noticed at any time after; an end in order is read at once or later.
            if over && (t.hurry || t.rng.percent(50)) {
                count += 1;
                self.end(t, conn, no);
            }
        }
        count
    }

    fn open(&self) -> Vec<(ConnId, SocketNo)> {
        let mut open = Vec::new();
        for (index, slot) in self.table.iter().enumerate() {
            let conn = ConnId { index: u32::try_from(index).expect("few"), generation: slot.generation };
            if let Some(no) = slot.socket
                && !self.closing.iter().any(|(closing, ..)| *closing == conn)
            {
                open.push((conn, no));
            }
        }
        open
    }

    fn end(&mut self, t: &mut Turn<'_>, conn: ConnId, no: SocketNo) {
        let end = if t.rng.percent(50) { End::Closed } else { End::Failed(104) };
        t.log.push(Happening::Ended(no, Ending::Lost));
        self.shard.handle_end(conn, end);
        let socket = t.net.socket(no);
        socket.place = Place::Gone;
        socket.down_closed = true;
        self.table[conn.index as usize].socket = None;
    }

    /// Step 3.
    fn pass_on(&mut self, t: &mut Turn<'_>) -> usize {
        let me = usize::from(self.id.0);
        let mut count = 0;
        for peer in 0..self.shards {
            if usize::from(peer) != me {
                let messages = self.shard.take_outbox(ShardId(peer));
                count += messages.len();
                t.net.links[me][usize::from(peer)].push(messages.into_iter().map(Item::Message));
            }
        }
        count
    }

    /// Step 4.
    fn take_effects(&mut self, t: &mut Turn<'_>) {
        while let Some(effect) = self.shard.poll_effect() {
            match effect {
                Effect::Close { conn, cause } => {
                    let Some(no) = self.socket_of(conn) else { continue };
                    if self.closing.iter().any(|(closing, ..)| *closing == conn) {
                        t.wrong(Some(no), format!("{conn:?} is closed twice"));
                        continue;
                    }
                    self.closing.push((conn, no, cause));
                    t.net.socket(no).pings.clear();
                    let client = t.net.socket(no).client;
                    t.log.push(Happening::Note(client, format!("{no:?} closed by the shard: {cause:?}")));
                    t.log.push(Happening::Ended(no, ending_of(cause)));
                }
                Effect::Pause(conn) => {
                    if let Some(no) = self.socket_of(conn) {
                        let more = if t.rng.percent(50) { 0 } else { t.rng.between(1, 3) };
                        let socket = t.net.socket(no);
                        socket.reading = match more {
                            0 => Reading::Paused,
                            n => Reading::Ending(u8::try_from(n).expect("three")),
                        };
                        socket.pings.iter_mut().for_each(|ping| ping.excused = true);
                    }
                }
                Effect::Resume(conn) => {
                    if let Some(no) = self.socket_of(conn) {
                        t.net.socket(no).reading = Reading::Armed;
                        t.log.push(Happening::Resumed(no));
                    }
                }
            }
        }
    }

    fn socket_of(&self, conn: ConnId) -> Option<SocketNo> {
        let slot = self.table.get(conn.index as usize)?;
        if slot.generation == conn.generation { slot.socket } else { None }
    }

    /// Step 5.
    fn flush(&mut self, t: &mut Turn<'_>) -> usize {
        let most = if t.hurry || t.rng.percent(70) { FLUSHES_PER_TURN } else { t.rng.between(1, 4) };
        let mut count = 0;
        while count < most {
            let Some(conn) = self.shard.next_dirty() else { break };
            count += 1;
            let Some(no) = self.socket_of(conn) else {
                t.wrong(None, format!("next_dirty names {conn:?}, which is gone"));
                return count;
            };
            if t.net.socket(no).blocked {
                t.wrong(Some(no), format!("next_dirty names {conn:?}, whose socket is full"));
            }
            let sent = self.send(t, conn, no);
            self.shard.handle_sent(conn, sent);
        }
        count
    }

    /// Sends what the socket takes; notes when that is not all.
    fn send(&self, t: &mut Turn<'_>, conn: ConnId, no: SocketNo) -> usize {
        let output = self.shard.output(conn);
        let fits = t.net.socket(no).room().min(output.len());
        let taken = if t.hurry || t.rng.percent(85) { fits } else { t.rng.between(0, fits) };
        let socket = t.net.socket(no);
        let answered = socket.send(&output[..taken]);
        for _ in 0..answered {
            socket.pings.pop_front();
        }
        socket.blocked = taken < output.len();
        if socket.blocked {
            socket.pings.iter_mut().for_each(|ping| ping.excused = true);
        }
        taken
    }

    /// The last flush of a connection that the shard closes, and its end.
    fn finish_closing(&mut self, t: &mut Turn<'_>) {
        let mut left = Vec::new();
        for (conn, no, cause) in std::mem::take(&mut self.closing) {
            if !t.net.socket(no).down_closed {
                self.send(t, conn, no);
                let socket = t.net.socket(no);
                socket.farewell = (!socket.blocked).then_some(farewell_of(cause));
                socket.blocked = false;
                socket.down_closed = true;
            }
            // A driver may need several turns until nothing of the connection is left in its ring.
            if t.hurry || t.rng.percent(60) {
                self.shard.handle_closed(conn);
                t.net.socket(no).place = Place::Gone;
                self.table[conn.index as usize].socket = None;
            } else {
                if t.rng.percent(30) && !t.net.socket(no).up.is_empty() {
                    let late = t.net.socket(no).read_up(64);
                    self.shard.handle_bytes(conn, &late);
                }
                left.push((conn, no, cause));
            }
        }
        self.closing = left;
    }

    /// A ping is answered within a bounded number of turns, also while a large fan-out is flushed.
    fn check_pings(&mut self, t: &mut Turn<'_>) {
        // With a flush budget of one, every other connection with an answer may come first.
        let bound = PING_TURNS + 4 * t.net.sockets.len().min(64) as u64;
        for (_, no) in self.open() {
            let socket = t.net.socket(no);
            if let Some(ping) = socket.pings.front()
                && !ping.excused
                && self.turns > ping.turn + bound
            {
                let waited = self.turns - ping.turn;
                t.wrong(Some(no), format!("a ping on {no:?} is not answered after {waited} turns"));
            }
        }
    }
}

/// What DISCONNECT must have said to a 5.0 client.
fn farewell_of(cause: CloseCause) -> Option<u8> {
    match cause {
        CloseCause::Disconnected | CloseCause::DisconnectedWithWill | CloseCause::Refused(_) => None,
        CloseCause::Stalled => Some(0x97),
        CloseCause::Expelled | CloseCause::NotAccepted => Some(0x98),
        CloseCause::Violation(violation) => Some(violation.reason_code() as u8),
        CloseCause::TakenOver => Some(0x8E),
        CloseCause::Stopping => Some(0x8B),
    }
}

fn ending_of(cause: CloseCause) -> Ending {
    use tidemq::mqtt::Violation;
    match cause {
        CloseCause::Disconnected | CloseCause::DisconnectedWithWill => Ending::Disconnected,
        CloseCause::Violation(Violation::KeepAlive) => Ending::KeepAlive,
        CloseCause::Violation(_) | CloseCause::Refused(_) => Ending::Violation,
        CloseCause::TakenOver => Ending::TakenOver,
        CloseCause::Stalled | CloseCause::Expelled | CloseCause::NotAccepted => Ending::Stalled,
        CloseCause::Stopping => Ending::Stopping,
    }
}
