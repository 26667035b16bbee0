//! The sockets of one shard: completions become inputs of whoever owns the connections, its effects and its output
//! become operations.
//!
//! The turn is `node`'s; here are its steps that touch sockets: [`Net::reap`], [`Net::take_effects`], [`Net::flush`]
//! and [`Net::sleep`]. Knows no clock: it is told the time.

use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;

use super::connections::Connections;
use super::counters::Counters;
use super::flush::Flushing;
use super::gate::Gate;
use super::linger::Linger;
use super::listener::{Speech, Transport};
use super::lobby::{Envelope, Lobby, Place};
use super::ring::{Completion, Kind, Ring, RingError, Token, Watched};
use super::seats::Seats;
use super::slots::{Phase, Slots, token};
use super::socket::Event;
use super::tls::Tls;
use super::ws::Link;
use crate::policy::{Limits, Rejection, Rejections};
use crate::routing::ShardId;
use crate::session::ConnId;
use crate::time::Time;

/// After an accept failed for want of descriptors or memory.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// What the sockets of a shard are told at birth.
#[derive(Debug)]
pub struct NetConfig {
    /// This shard among the shards.
    pub place: Place,
    /// The first limits.
    pub limits: Limits,
    /// How many connections the node may hold.
    pub seats: Arc<Seats>,
    /// Raised by others to wake this shard.
    pub doorbell: Arc<Event>,
    /// What it was o'clock at time zero, in microseconds since 1970, UTC.
    pub unix_zero_micros: u64,
}

/// A listening socket of this shard.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) listener: u16,
    pub(super) speech: Speech,
    /// `None`: it was closed.
    pub(super) socket: Option<OwnedFd>,
}

/// The sockets of one shard. Made and used on the shard's own thread.
pub struct Net {
    pub(super) ring: Ring,
    pub(super) slots: Slots,
    pub(super) lobby: Lobby,
    pub(super) linger: Linger,
    pub(super) seats: Arc<Seats>,
    doorbell: Arc<Event>,
    /// By the index in the tokens of accepts; positions are not used again.
    pub(super) listening: Vec<Listening>,
    accept_retry: Option<Time>,
    /// Receives that ended for want of buffers.
    pub(super) rearm: Vec<ConnId>,
    /// Their last flush is due.
    pub(super) closing: Vec<ConnId>,
    /// Those whose TLS or WebSocket has something of its own to say.
    pub(super) own: Vec<ConnId>,
    /// Those in `Phase::Leaving`.
    pub(super) leaving: Vec<ConnId>,
    pub(super) batch: Vec<Flushing>,
    /// Sockets to close once what is queued was submitted: another shard may be given the same number.
    pub(super) shut: Vec<OwnedFd>,
    pub(super) envelopes: Vec<(ShardId, Envelope)>,
    /// Whose TLS handshake may begin.
    pub(super) gate: Gate,
    /// What was decrypted from one receive. Empty in between: it is kept for its memory.
    pub(super) plaintext: Vec<u8>,
    pub(super) rejections: Rejections,
    pub(super) unix_zero_micros: u64,
    pub(super) now: Time,
    pub(super) counters: Counters,
}

impl Net {
    /// A ring without sockets.
    pub fn new(config: NetConfig) -> Result<Net, RingError> {
        let NetConfig { place, limits, seats, doorbell, unix_zero_micros } = config;
        let gate = Gate::new(&limits, place.shards);
        let mut net = Net {
            ring: Ring::new()?,
            slots: Slots::default(),
            lobby: Lobby::new(place, &limits),
            linger: Linger::default(),
            seats,
            doorbell,
            listening: Vec::new(),
            accept_retry: None,
            rearm: Vec::new(),
            closing: Vec::new(),
            own: Vec::new(),
            leaving: Vec::new(),
            batch: Vec::new(),
            shut: Vec::new(),
            envelopes: Vec::new(),
            gate,
            plaintext: Vec::new(),
            rejections: Rejections::default(),
            unix_zero_micros,
            now: Time::default(),
            counters: Counters::default(),
        };
        net.arm_doorbell();
        net.ring.submit_all();
        Ok(net)
    }

    /// Accepts on a bound and listening socket. `listener` is its index in the snapshot.
    pub fn listen(&mut self, listener: u16, speech: Speech, socket: OwnedFd) {
        self.listening.push(Listening { listener, speech, socket: Some(socket) });
        self.arm_accept(self.listening.len() - 1);
    }

    /// Clients who connect to `listener` from now on speak like this. Its connections stay as they are.
    pub fn change_speech(&mut self, listener: u16, speech: &Speech) {
        for listening in self.listening.iter_mut().filter(|l| l.listener == listener) {
            listening.speech = speech.clone();
        }
    }

    /// Stops accepting for `listener`. Its connections stay.
    pub fn unlisten(&mut self, listener: u16) {
        for listening in self.listening.iter_mut().filter(|l| l.listener == listener) {
            if let Some(socket) = listening.socket.take() {
                // Ends the armed accept; closing alone would leave it, and the port, in the kernel.
                let _ = SockRef::from(&socket).shutdown(Shutdown::Both);
                self.shut.push(socket);
            }
        }
    }

    /// Stops accepting everywhere and closes what has not said CONNECT.
    pub fn stop_accepting(&mut self) {
        let all: Vec<u16> = self.listening.iter().map(|l| l.listener).collect();
        for listener in all {
            self.unlisten(listener);
        }
        for conn in self.slots.all_in(Phase::Lobby) {
            self.counters.closed.stopping += 1;
            self.release(conn);
        }
    }

    /// New limits.
    pub fn install(&mut self, limits: &Limits) {
        self.lobby.install(limits);
        self.gate.install(limits);
    }

    /// Step 1: what arrived becomes input of `owner`. Answers how much there was.
    pub fn reap<C: Connections>(&mut self, owner: &mut C, now: Time) -> usize {
        self.now = now;
        self.ring.reap();
        let mut handled = 0;
        while let Some(completion) = self.ring.next_completion() {
            handled += 1;
            match completion.token.kind() {
                Kind::Receive => self.handle_receive(completion, owner),
                Kind::Accept => self.handle_accept(&completion),
                Kind::Writable => self.handle_writable(completion.token, owner),
                Kind::Doorbell => self.handle_doorbell(&completion),
                Kind::Send | Kind::Silent => {}
            }
        }
        if handled > 0 {
            self.ring.pool.publish();
        }
        // After the buffers of this turn went back.
        let mut rearm = std::mem::take(&mut self.rearm);
        for conn in rearm.drain(..) {
            self.arm_receive(conn);
        }
        self.rearm = rearm;
        handled + self.expire() + self.admit(owner)
    }

    /// Deadlines that are over. Answers how many.
    fn expire(&mut self) -> usize {
        let mut expired = 0;
        while let Some(conn) = self.lobby.expired(self.now) {
            if self.slots.current(conn).is_some_and(|slot| slot.phase == Phase::Lobby) {
                self.counters.closed.connect_timeout += 1;
                self.count_if_half_shaken(conn);
                self.release(conn);
                expired += 1;
            }
        }
        self.lobby.trim(|conn| self.slots.current(conn).is_some_and(|slot| slot.phase == Phase::Lobby));
        while let Some(conn) = self.linger.expired(self.now) {
            expired += usize::from(self.cut(conn));
        }
        self.linger.trim(|conn| self.slots.current(conn).is_some());
        if self.accept_retry.is_some_and(|at| at <= self.now) {
            self.accept_retry = None;
            expired += 1;
            for index in 0..self.listening.len() {
                self.arm_accept(index);
            }
        }
        expired
    }

    /// When `reap` must be called at the latest.
    pub fn deadline(&self) -> Option<Time> {
        [self.lobby.deadline(), self.linger.deadline(), self.accept_retry].into_iter().flatten().min()
    }

    fn handle_accept(&mut self, completion: &Completion) {
        let index = completion.token.index() as usize;
        if let Some(socket) = completion.accepted() {
            self.enter(index, socket);
        } else if self.listening[index].socket.is_some() {
            self.counters.accept_failures += 1;
        }
        if completion.more || self.listening[index].socket.is_none() {
            return;
        }
        match -completion.result {
            // Nothing will be better at once: do not spin.
            libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM => {
                self.accept_retry = Some(self.now + ACCEPT_RETRY);
            }
            _ => self.arm_accept(index),
        }
    }

    /// A connection comes in. Dropping the socket closes it.
    fn enter(&mut self, index: usize, socket: OwnedFd) {
        if self.listening[index].socket.is_none() {
            return;
        }
        if !self.seats.take() {
            self.counters.over_limit += 1;
            return;
        }
        self.counters.accepted += 1;
        let deadline = self.lobby.deadline_from(self.now);
        let conn = self.slots.enter(socket, self.listening[index].listener, deadline);
        let Speech { transport, tls } = &self.listening[index].speech;
        let slot = self.slots.current_mut(conn).expect("just entered");
        slot.tls = tls.as_ref().map(|terms| Box::new(Tls::new(terms)));
        if *transport != Transport::Tcp {
            slot.ws = Some(Box::new(Link::new(self.lobby.message_bytes())));
        }
        self.lobby.enter(conn, deadline);
        self.arm_receive(conn);
    }

    fn arm_accept(&mut self, index: usize) {
        if let Some(socket) = &self.listening[index].socket {
            self.ring.accept(socket.as_fd(), Token::new(Kind::Accept, 0, index as u32));
        }
    }

    fn handle_writable<C: Connections>(&mut self, token: Token, owner: &mut C) {
        let Some(conn) = self.slots.tenant(token) else { return };
        let slot = self.slots.current_mut(conn).expect("it has a tenant");
        slot.blocked = false;
        let open = slot.phase == Phase::Open;
        let (encrypted, framed) = (slot.tls.is_some(), slot.ws.is_some());
        if (encrypted || framed) && (open || slot.phase == Phase::Lobby) {
            self.queue_own(conn);
        }
        // What is encrypted and not sent goes first; the owner is told when that is done.
        if open && !encrypted {
            owner.handle_writable(conn);
        }
    }

    fn handle_doorbell(&mut self, completion: &Completion) {
        self.doorbell.clear();
        if !completion.more {
            self.arm_doorbell();
        }
    }

    fn arm_doorbell(&mut self) {
        self.ring.poll_readable(self.doorbell.as_fd(), Token::new(Kind::Doorbell, 0, 0));
    }

    /// Says when `conn`'s socket has room.
    pub(super) fn await_room(&mut self, conn: ConnId) {
        let Some(slot) = self.slots.current_mut(conn) else { return };
        slot.blocked = true;
        self.counters.blocked += 1;
        self.ring.poll_writable(slot.fd(), token(Kind::Writable, conn));
    }

    /// Connections for other shards.
    pub fn take_envelopes(&mut self) -> Vec<(ShardId, Envelope)> {
        std::mem::take(&mut self.envelopes)
    }

    /// Is there anything to do without sleeping?
    pub fn is_ready(&mut self) -> bool {
        !self.closing.is_empty()
            || !self.own.is_empty()
            || !self.leaving.is_empty()
            || self.gate.is_ready()
            || self.ring.is_ready()
    }

    /// Step 6: waits until something arrives or the doorbell rings, no longer than `limit`.
    pub fn sleep(&mut self, limit: Duration) {
        self.ring.sleep(limit);
    }

    /// From now on `event` is signalled when something arrives between `watch` and `unwatch`.
    pub fn register_event(&mut self, event: BorrowedFd<'_>) -> io::Result<()> {
        self.ring.register_event(event)?;
        self.ring.watch(Watched::No);
        Ok(())
    }

    /// Something arrives within `limit`, if only the end of it.
    pub fn watch(&mut self, limit: Duration) {
        self.ring.watch(Watched::Yes);
        self.ring.alarm(limit);
    }

    /// Ends `watch`.
    pub fn unwatch(&mut self) {
        self.ring.watch(Watched::No);
    }

    /// The last connections that were not let in for TLS or WebSocket, oldest first.
    pub fn rejections(&self) -> Vec<Rejection> {
        self.rejections.all().cloned().collect()
    }

    /// Takes them out.
    pub fn take_rejections(&mut self) -> Vec<Rejection> {
        self.rejections.take()
    }

    /// The wall clock was looked at again: see [`NetConfig::unix_zero_micros`].
    pub fn set_wall_clock(&mut self, unix_zero_micros: u64) {
        self.unix_zero_micros = unix_zero_micros;
    }

    /// No connection is left, not even one that lingers.
    pub fn is_empty(&self) -> bool {
        self.slots.len() == 0
    }

    /// What was counted.
    pub fn counters(&self) -> Counters {
        Counters { enters: self.ring.enters, ..self.counters }
    }
}
