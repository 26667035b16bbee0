//! The shard: a plain synchronous value. It takes inputs (`handle_*`, [`Shard::install`]) and leaves outputs
//! (bytes per connection, messages for other shards, [`Effect`]s, a deadline).
//!
//! The driver's turn, in this order:
//! 1. `handle_time(now)` once, then every input: `handle_open`, `handle_bytes`, `handle_end`, `handle_writable`,
//!    `handle_batch`, `handle_password`, `install`, `stop`.
//! 2. `work()`: the sliced work, one budget's worth. `true` = more is waiting, do not sleep.
//! 3. `take_outbox(peer)` for every other shard: one batch a peer and turn. Messages of a batch that did not fit
//!    the channel are kept by the driver, in front of the next. `take_password_checks()`: to whoever verifies them.
//! 4. `poll_effect()` until `None`: `Pause`, `Resume` at once; `Close` after step 5's flush of that connection.
//! 5. Flush: `next_dirty()` up to [`FLUSHES_PER_TURN`] times; for each `output(conn)` to the socket, then
//!    `handle_sent(conn, bytes)`. Less than all: `handle_sent`, then `handle_writable` once the socket has room
//!    (until then the connection does not come back from `next_dirty`). `has_dirty()` = do not sleep. Then
//!    `take_traced()`.
//! 6. After a turn that took input or flushed, another (a flush can make messages, work and effects); else sleep
//!    until `deadline()`.
//!
//! **Invariant**: nothing here reads a clock, draws a random number, or iterates a hash map where the order shows.

mod aftermath;
mod alias;
mod client;
mod connect;
mod connection;
mod counters;
mod cursors;
mod deliver;
pub mod effect;
mod encode;
mod expiring;
mod explain;
mod flow;
mod hits;
mod input;
mod latency;
mod lifecycle;
mod mesh;
pub mod message;
mod online;
mod pace;
mod publish;
pub mod questions;
mod rejected;
mod replay;
mod shared;
mod slots;
mod standing;
mod subscribe;
mod system;
#[cfg(test)]
mod tests;
mod trace;
mod traced;
mod verifying;
mod wheel;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use ahash::RandomState;

pub use aftermath::{Aftermath, LISTED, PutOut, REASONS, Withdrawn};
pub use counters::{Counters, Drops, Paused};
pub use effect::{CloseCause, Effect, End};
pub use hits::RuleHits;
pub use latency::Latency;
pub use message::Message;
pub use online::CERTIFICATES_ASKED;
pub use pace::Pace;
pub use questions::clients::{
    ClientPage, ClientQuery, ClientRow, ClientState, ConnectionRow, Measure, PausedFor, StateFilter,
};
pub use questions::kick::KickWhat;
pub use questions::retained::{
    LevelChild, LevelQuery, NotAFilter, RetainedLevel, RetainedMessage, RetainedPage, RetainedQuery,
    RetainedRow,
};
pub use questions::subscriptions::{SubscriptionPage, SubscriptionQuery, SubscriptionRow};
pub use questions::{Looked, NotACursor, PageCursor};
pub use traced::Traced;
pub use verifying::{CHECKS_UNDER_WAY, CheckId, PasswordCheck, PasswordOutcome};

use crate::policy::certificates::Trusted;
use crate::policy::rules::Rules;
use crate::policy::{Presented, Rejections, Snapshot};
use crate::routing::{Groups, Homes, Retained, ShardId, Share, Table, Target};
use crate::session::{ConnId, Run};
use crate::time::Time;

use client::Clients;
use connection::{Connection, Dirty, Phase};
use cursors::Cursors;
use encode::Encodings;
use expiring::Expiring;
use hits::Hits;
use latency::Flushing;
use lifecycle::Visit;
use mesh::{Mesh, WorkQueue};
use online::Online;
use publish::Pending;
use replay::Replays;
use slots::Slots;
use subscribe::Joins;
use trace::Tracing;
use verifying::Verifying;
use wheel::Wheel;

/// Most connections flushed a turn, so that one fan-out does not hold up a ping. Input is read between slices, so that
/// the later ones carry more: 128 costs a fan-out of 1,000 a tenth to a fifth less than 512, and nothing elsewhere.
pub const FLUSHES_PER_TURN: usize = 128;

/// What a shard is told at birth.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// Which shard this is.
    pub id: ShardId,
    /// How many there are.
    pub shards: u16,
    /// Key of the homes' hash: from the data directory, the same for every shard and stable over restarts.
    pub home_key: [u8; 16],
    /// Seeds of hash tables and of assigned client identifiers: from the driver's entropy, its own for each shard.
    pub seed: [u64; 4],
    /// The first snapshot.
    pub snapshot: Arc<Snapshot>,
    /// The time now.
    pub now: Time,
    /// What it is o'clock at [`Time`] zero, in microseconds since 1970, UTC: for the validity of certificates, and for
    /// whoever is told when something happened.
    pub unix_zero_micros: u64,
}

/// A connection that arrives at its client's home.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The peer.
    pub peer: SocketAddr,
    /// Index of the listener in the snapshot.
    pub listener: u16,
    /// CONNECT must be complete by then.
    pub deadline: Time,
    /// It is encrypted.
    pub tls: bool,
    /// The certificate that the peer presented.
    pub certificate: Option<Arc<Presented>>,
    /// That its chain was found trusted just now; `None` in a resumed TLS session.
    pub trusted: Option<Trusted>,
}

impl Opened {
    /// A connection that is not encrypted.
    pub fn plain(peer: SocketAddr, listener: u16, deadline: Time) -> Opened {
        Opened { peer, listener, deadline, tls: false, certificate: None, trusted: None }
    }
}

/// What a shard holds at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Connections, from `handle_open` to `handle_end` or `handle_closed`.
    pub connections: usize,
    /// Connections whose CONNECT was accepted.
    pub connected: usize,
    /// Sessions, those of disconnected clients included.
    pub sessions: usize,
    /// Subscriptions.
    pub subscriptions: usize,
    /// Those of them that are shared.
    pub shared_subscriptions: usize,
    /// Slots, those that homes have not let go of included.
    pub slots: usize,
    /// Routes to slots of any shard.
    pub routes: usize,
    /// Retained messages, without those below `$SYS`.
    pub retained: usize,
    /// Their bytes: topics, properties and payloads.
    pub retained_bytes: u64,
    /// Messages that wait in backlogs of clients.
    pub backlog_messages: usize,
    /// Their bytes.
    pub backlog_bytes: usize,
    /// Replays being served to any shard.
    pub cursors: usize,
    /// Replays of this shard's clients.
    pub replays: usize,
    /// Subscriptions and SUBACKs that wait for homes.
    pub joins: usize,
    /// Deliveries and other work not finished.
    pub work: usize,
    /// Publications of this shard's clients that are under way.
    pub credit_messages: u64,
    /// Their bytes.
    pub credit_bytes: u64,
    /// Passwords being verified.
    pub password_checks: usize,
    /// Connections not read for now.
    pub paused: Paused,
    /// Bytes waiting to be sent.
    pub output_bytes: usize,
    /// Visits booked in the timer wheel.
    pub visits: usize,
}

/// One shard.
pub struct Shard {
    id: ShardId,
    shards: u16,
    homes: Homes,
    now: Time,
    random: u64,
    /// See [`ShardConfig::unix_zero_micros`].
    unix_zero_micros: u64,
    snapshot: Arc<Snapshot>,
    /// The snapshot's rules: its own copy, because regular expressions contend for their caches.
    rules: Option<Rules>,
    /// Installs so far: see [`standing::Standing`].
    epoch: u32,
    /// How far the sweep after an install has come; `None`: it is over.
    swept: Option<u32>,
    /// What the last install has done so far.
    aftermath: Aftermath,
    rejections: Rejections,
    hits: Hits,
    online: Online,
    /// What is traced; mostly nothing is.
    tracing: Option<Box<Tracing>>,
    connections: Vec<Connection>,
    open_connections: usize,
    connected: usize,
    clients: Clients,
    subscriptions: usize,
    shared_subscriptions: usize,
    slots: Slots,
    joins: Joins,
    replays: Replays,
    table: Table,
    targets: Vec<Target>,
    groups: Groups,
    /// Scratch of `distribute`.
    shares: Vec<Share>,
    retained: Retained<Arc<Run>>,
    /// How many of the retained messages are the broker's own.
    retained_system: usize,
    /// Messages and bytes in all backlogs.
    backlogs: (usize, usize),
    expiring: Expiring,
    cursors: Cursors,
    mesh: Mesh,
    work: WorkQueue,
    stamp: u64,
    encodings: Encodings,
    pending: Pending,
    /// Connections that are not read for now, oldest first.
    paused: VecDeque<ConnId>,
    /// Credit has come back, or one of them has had its output taken or its subscriptions made.
    look_at_paused: bool,
    dirty: Dirty,
    flushing: Flushing,
    verifying: Verifying,
    effects: VecDeque<Effect>,
    wheel: Wheel<Visit>,
    due: Vec<(Time, Visit)>,
    counters: Counters,
}

/// Where a client lives: its home shard, the same answer on every shard and after every restart.
pub fn client_home(home_key: &[u8; 16], shards: u16, client_id: &str) -> ShardId {
    Homes::new(*home_key, shards).of(client_id.as_bytes())
}

/// Tells clients apart for No Local, across shards and without their identifiers.
fn client_hash(homes: &Homes, client_id: &str) -> u64 {
    homes.hash(client_id.as_bytes())
}

impl Shard {
    /// A shard without connections.
    pub fn new(config: ShardConfig) -> Shard {
        let ShardConfig { id, shards, home_key, seed, snapshot, now, unix_zero_micros } = config;
        let hasher = RandomState::with_seeds(seed[0], seed[1], seed[2], seed[3]);
        Shard {
            id,
            shards,
            homes: Homes::new(home_key, shards),
            now,
            random: seed[0] ^ seed[3].rotate_left(32),
            unix_zero_micros,
            rules: snapshot.rules.as_deref().cloned(),
            hits: Hits::of(&snapshot),
            online: Online::new(hasher.clone()),
            snapshot,
            epoch: 1,
            swept: None,
            aftermath: Aftermath::default(),
            rejections: Rejections::default(),
            tracing: None,
            connections: Vec::new(),
            open_connections: 0,
            connected: 0,
            clients: Clients::new(hasher.clone()),
            subscriptions: 0,
            shared_subscriptions: 0,
            slots: Slots::new(hasher.clone()),
            joins: Joins::new(hasher.clone()),
            replays: Replays::new(hasher),
            table: Table::new(seed),
            targets: Vec::new(),
            groups: Groups::new(seed),
            shares: Vec::new(),
            retained: Retained::new(),
            retained_system: 0,
            backlogs: (0, 0),
            expiring: Expiring::default(),
            cursors: Cursors::default(),
            mesh: Mesh::new(shards),
            work: WorkQueue::default(),
            stamp: 0,
            encodings: Encodings::default(),
            pending: Pending::default(),
            paused: VecDeque::new(),
            look_at_paused: false,
            dirty: Dirty::default(),
            flushing: Flushing::default(),
            verifying: Verifying::new(seed),
            effects: VecDeque::new(),
            wheel: Wheel::new(now),
            due: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// Other budgets than the shipped ones.
    pub fn set_pace(&mut self, pace: Pace) {
        self.mesh.credit.pace = pace;
    }

    /// A connection whose CONNECT (or what will never be one) comes next by `handle_bytes`. `conn.index` is free.
    pub fn handle_open(&mut self, conn: ConnId, opened: Opened) {
        let index = conn.index as usize;
        if self.connections.len() <= index {
            self.connections.resize_with(index + 1, Connection::default);
        }
        let c = &mut self.connections[index];
        assert!(c.phase == Phase::Free, "the driver opens {conn:?} over a connection that is not closed");
        c.generation = conn.generation;
        c.phase = Phase::Connecting;
        c.since = opened.deadline;
        (c.peer, c.listener, c.tls) = (opened.peer, opened.listener, opened.tls);
        (c.certificate, c.trusted) = (opened.certificate, opened.trusted);
        self.open_connections += 1;
        self.book_connection(conn.index);
    }

    /// The socket has room again after a partial send.
    pub fn handle_writable(&mut self, conn: ConnId) {
        if self.connection(conn).is_some() {
            self.dirty.writable(conn.index, &mut self.connections[conn.index as usize].out);
        }
    }

    /// The wall clock was looked at again: see [`ShardConfig::unix_zero_micros`].
    pub fn set_wall_clock(&mut self, unix_zero_micros: u64) {
        self.unix_zero_micros = unix_zero_micros;
    }

    /// Seconds since 1970, UTC, by which certificates are judged. Rounded up: the turn began a little ago, and a
    /// certificate that was issued in this very second would be accepted in the handshake and not valid yet at CONNECT.
    pub(super) fn unix_secs(&self) -> u64 {
        self.unix_micros(self.now).div_ceil(1_000_000)
    }

    /// When that was, in microseconds since 1970, UTC.
    pub(super) fn unix_micros(&self, at: Time) -> u64 {
        self.unix_zero_micros.saturating_add(at.0)
    }

    /// From now on everything is judged by `snapshot`; who is connected is judged anew before anything else happens
    /// for it, and by `work` in slices.
    pub fn install(&mut self, snapshot: Arc<Snapshot>) {
        self.rules = snapshot.rules.as_deref().cloned();
        self.hits.install(&snapshot);
        self.verifying.install(&snapshot.credentials);
        self.snapshot = snapshot;
        self.epoch += 1;
        self.swept = Some(0);
        self.aftermath = Aftermath::default();
    }

    /// Everybody has been judged by the snapshot that is installed.
    pub fn is_swept(&self) -> bool {
        self.swept.is_none()
    }

    /// What the last install has done so far; once [`Shard::is_swept`], all of it.
    pub fn aftermath(&self) -> &Aftermath {
        &self.aftermath
    }

    /// The next thing the driver must do.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// The next connection with output to flush: answers to packets first, then deliveries.
    pub fn next_dirty(&mut self) -> Option<ConnId> {
        let next = self.dirty.next(&mut self.connections);
        if self.tracing.is_some()
            && let Some(conn) = next
        {
            self.trace_output(conn);
        }
        next
    }

    /// Must there be another turn before sleeping: is there something to flush, or a connection to read on?
    pub fn has_dirty(&self) -> bool {
        !self.dirty.is_empty() || self.look_at_paused
    }

    /// What waits to be sent. Stable (not moved, not changed) until the next call of a `&mut self` method that
    /// names this connection, or of any input method.
    pub fn output(&self, conn: ConnId) -> &[u8] {
        match self.connections.get(conn.index as usize) {
            Some(c) if c.generation == conn.generation => c.out.bytes(),
            _ => &[],
        }
    }

    /// From its next output on `conn` has `bytes` bytes free in front of what waits for it, for `prepend`. To be said
    /// right after `handle_open`.
    pub fn keep_headroom(&mut self, conn: ConnId, bytes: u8) {
        if let Some(c) = self.connection_mut(conn) {
            c.out.keep_headroom(bytes);
        }
    }

    /// Puts `header` in front of the output: it is sent with it and counts as a part of it. No longer than the
    /// headroom, which is free again when as many bytes were sent as were put there, and one more.
    pub fn prepend(&mut self, conn: ConnId, header: &[u8]) {
        if let Some(c) = self.connections.get_mut(conn.index as usize)
            && c.generation == conn.generation
        {
            c.out.prepend(header);
        }
    }

    /// Puts `bytes` bytes, whatever they are, in front of the output, and answers the whole of it: the headers of more
    /// than its first packet are to be laid out in there. When and how many: as with `prepend`.
    pub fn make_room(&mut self, conn: ConnId, bytes: usize) -> &mut [u8] {
        match self.connections.get_mut(conn.index as usize) {
            Some(c) if c.generation == conn.generation => c.out.make_room(bytes),
            _ => &mut [],
        }
    }

    /// The kernel took the first `bytes` of the output.
    pub fn handle_sent(&mut self, conn: ConnId, bytes: usize) {
        let Some(c) = self.connections.get_mut(conn.index as usize) else { return };
        if c.generation != conn.generation || c.phase == Phase::Free {
            return;
        }
        let was_slow = c.out.is_slow();
        let enough = self.snapshot.limits.output_stall_bytes as usize;
        let all = self.dirty.sent(&mut c.out, bytes, self.now, enough);
        self.look_at_paused |= c.paused && bytes > 0;
        if all {
            if c.phase == Phase::Connected {
                let client = c.client;
                if !self.refresh(client) {
                    return;
                }
                let waits = self.clients[client].flow.as_ref();
                if waits.is_some_and(|f| f.outgoing.has_more() || !f.replays.is_empty()) {
                    self.pump(client);
                }
            }
        } else if !was_slow {
            self.book_connection(conn.index);
        }
    }

    /// What this shard has counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What this shard holds.
    pub fn census(&self) -> Census {
        Census {
            connections: self.open_connections,
            connected: self.connected,
            sessions: self.clients.len(),
            subscriptions: self.subscriptions,
            shared_subscriptions: self.shared_subscriptions,
            slots: self.slots.len(),
            routes: self.table.routes() + self.groups.len(),
            retained: self.retained_messages(),
            retained_bytes: self.retained.bytes(),
            backlog_messages: self.backlogs.0,
            backlog_bytes: self.backlogs.1,
            cursors: self.cursors.len(),
            replays: self.replays.len(),
            joins: self.joins.len(),
            work: self.work.queue.len(),
            credit_messages: self.mesh.credit.messages,
            credit_bytes: self.mesh.credit.bytes,
            password_checks: self.verifying.len(),
            paused: self.count_paused(),
            output_bytes: self.connections.iter().map(|c| c.out.len()).sum(),
            visits: self.wheel.len(),
        }
    }

    /// The connection, unless it is closed or closing.
    fn connection(&self, conn: ConnId) -> Option<&Connection> {
        let c = self.connections.get(conn.index as usize)?;
        let open = matches!(c.phase, Phase::Connecting | Phase::Connected);
        (open && c.generation == conn.generation).then_some(c)
    }

    fn connection_mut(&mut self, conn: ConnId) -> Option<&mut Connection> {
        let c = self.connections.get_mut(conn.index as usize)?;
        let open = matches!(c.phase, Phase::Connecting | Phase::Connected);
        (open && c.generation == conn.generation).then_some(c)
    }

    /// The client of a connected connection.
    fn client_of(&self, conn: ConnId) -> Option<u32> {
        self.connection(conn).filter(|c| c.phase == Phase::Connected).map(|c| c.client)
    }

    /// A number nobody can foretell who does not know the seed (SplitMix64); for names only, not for secrets.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
