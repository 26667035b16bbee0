//! Input of a connection: the single receives before its CONNECT, the multishot one after it, its pauses, and its way
//! from one shard to another.

use std::net::SocketAddr;

use socket2::SockRef;

use super::buffers::{Filled, Pool};
use super::connections::Connections;
use super::driver::Net;
use super::lobby::{Envelope, Heard, Lobby};
use super::ring::{Completion, Kind};
use super::slots::{Phase, Receiving, Slot, token};
use crate::routing::ShardId;
use crate::session::ConnId;
use crate::shard::{End, Opened};

/// Bytes as a peer sent them, where they lie.
pub(super) enum Input<'a> {
    /// In a buffer of the ring's.
    Received(&'a mut Filled),
    /// Decrypted from some.
    Decrypted(&'a mut [u8]),
}

impl Input<'_> {
    pub(super) fn bytes_mut<'b>(&'b mut self, pool: &'b mut Pool) -> &'b mut [u8] {
        match self {
            Input::Received(filled) => pool.bytes_mut(filled),
            Input::Decrypted(bytes) => bytes,
        }
    }
}

impl Net {
    pub(super) fn handle_receive<C: Connections>(&mut self, completion: Completion, owner: &mut C) {
        let Completion { token, result, more, filled } = completion;
        let conn = self.slots.tenant(token);
        if let Some(conn) = conn
            && !more
        {
            self.slots.current_mut(conn).expect("it has a tenant").receiving = Receiving::Idle;
        }
        if let Some(mut filled) = filled {
            if let Some(conn) = conn.filter(|_| result > 0) {
                self.handle_bytes(conn, &mut filled, owner);
            }
            self.ring.pool.give_back(filled);
        }
        let Some(conn) = conn else { return };
        match -result {
            0 => self.handle_end(conn, End::Closed, owner),
            libc::ENOBUFS => {
                self.counters.no_buffers += 1;
                self.rearm.push(conn);
            }
            // Cancelled for a pause that may be over by now, or interrupted.
            libc::ECANCELED | libc::EINTR => self.arm_receive(conn),
            error if error > 0 => self.handle_end(conn, End::Failed(error), owner),
            _ if !more => self.arm_receive(conn),
            _ => {}
        }
    }

    fn handle_bytes<C: Connections>(&mut self, conn: ConnId, filled: &mut Filled, owner: &mut C) {
        self.counters.receives += 1;
        self.counters.bytes_received += self.ring.pool.bytes(filled).len() as u64;
        if self.slots.current(conn).expect("it has a tenant").tls.is_some() {
            return self.handle_records(conn, filled, owner);
        }
        self.handle_input(conn, Input::Received(filled), owner);
    }

    /// Bytes of which no encryption is left.
    #[inline]
    pub(super) fn handle_input<C: Connections>(&mut self, conn: ConnId, mut input: Input<'_>, owner: &mut C) {
        let slot = self.slots.current_mut(conn).expect("it has a tenant");
        if slot.ws.is_some() {
            return self.handle_frames(conn, input, owner);
        }
        let bytes = input.bytes_mut(&mut self.ring.pool);
        match slot.phase {
            Phase::Open => owner.handle_bytes(conn, bytes),
            Phase::Lobby => {
                let passage = pass(&mut self.lobby, slot, conn, bytes, owner);
                self.follow(conn, passage);
            }
            // What comes after the end is thrown away.
            Phase::Closing | Phase::Leaving | Phase::Lingering | Phase::Free => {}
        }
    }

    /// Does what the lobby has found about `conn`.
    pub(super) fn follow(&mut self, conn: ConnId, passage: Passage) {
        match passage {
            Passage::Stays => {}
            Passage::Moves(home, unread) => self.hand_over(conn, home, unread),
            Passage::Gone => self.depart_unseen(conn),
        }
    }

    /// The single receive has ended, so nothing is armed on the socket and it may go.
    fn hand_over(&mut self, conn: ConnId, home: ShardId, unread: Vec<u8>) {
        let slot = self.slots.current_mut(conn).expect("it has a tenant");
        let (listener, deadline) = (slot.listener, slot.deadline);
        let Some(peer) = peer(slot.fd()) else { return self.depart_unseen(conn) };
        if slot.blocked {
            // Something that TLS or WebSocket says itself waits for room: the home will wait for it.
            self.ring.cancel(token(Kind::Writable, conn));
        }
        let (tls, ws) = (slot.tls.take(), slot.ws.take());
        let socket = self.slots.leave(conn).expect("a slot that is not free has a socket");
        self.counters.handed_over += 1;
        self.envelopes.push((home, Envelope { socket, unread, peer, listener, deadline, tls, ws }));
    }

    /// The peer is gone before anybody knew it.
    pub(super) fn depart_unseen(&mut self, conn: ConnId) {
        self.counters.closed.before_connect += 1;
        self.release(conn);
    }

    /// Takes a connection that another shard accepted.
    pub fn adopt<C: Connections>(&mut self, envelope: Envelope, owner: &mut C) {
        let Envelope { socket, unread, peer, listener, deadline, tls, ws } = envelope;
        self.counters.adopted += 1;
        let conn = self.slots.enter(socket, listener, deadline);
        let slot = self.slots.current_mut(conn).expect("just entered");
        (slot.tls, slot.ws) = (tls, ws);
        open(slot, conn, peer, owner);
        owner.handle_bytes(conn, &unread);
        if self.slots.current(conn).is_some_and(|slot| slot.ws.is_some()) {
            self.go_on(conn, owner);
        }
        if self.slots.current(conn).is_some_and(|slot| slot.tls.is_some()) {
            self.queue_own(conn);
            self.handle_last_record(conn, owner);
        }
        self.arm_receive(conn);
    }

    /// Drops a connection that another shard accepted: this one takes no more.
    pub fn turn_away(&mut self, envelope: Envelope) {
        drop(envelope);
        self.counters.closed.stopping += 1;
        self.seats.give_back();
    }

    /// Arms a receive, if input is wanted and none is armed.
    pub(super) fn arm_receive(&mut self, conn: ConnId) {
        let Some(slot) = self.slots.current_mut(conn) else { return };
        if slot.receiving != Receiving::Idle || !slot.wanted || slot.ended {
            return;
        }
        slot.receiving = Receiving::Armed;
        let token = token(Kind::Receive, conn);
        if slot.phase == Phase::Lobby {
            self.ring.receive_once(slot.fd(), token);
        } else {
            self.ring.receive(slot.fd(), token);
        }
    }

    /// No more input for now. What the kernel has already handed over still comes.
    pub(super) fn pause(&mut self, conn: ConnId) {
        let Some(slot) = self.slots.current_mut(conn) else { return };
        self.counters.pauses += u64::from(slot.wanted);
        slot.wanted = false;
        if slot.receiving == Receiving::Armed {
            slot.receiving = Receiving::Ending;
            self.ring.cancel(token(Kind::Receive, conn));
        }
    }

    /// Input again: at once, or when the cancelled receive has ended.
    pub(super) fn resume(&mut self, conn: ConnId) {
        let Some(slot) = self.slots.current_mut(conn) else { return };
        slot.wanted = true;
        self.arm_receive(conn);
    }
}

/// What the lobby has found about a connection.
pub(super) enum Passage {
    /// It is not known yet where it lives, or it lives here and is open now.
    Stays,
    /// It lives at another shard; all its bytes.
    Moves(ShardId, Vec<u8>),
    /// The peer is not there any more.
    Gone,
}

/// Takes bytes of MQTT from a connection in the lobby, and opens it if they show that its client lives here.
pub(super) fn pass<C: Connections>(
    lobby: &mut Lobby,
    slot: &mut Slot,
    conn: ConnId,
    bytes: &[u8],
    owner: &mut C,
) -> Passage {
    match lobby.hear(conn, bytes) {
        Heard::Wait => Passage::Stays,
        Heard::Here(joined) => {
            let Some(peer) = peer(slot.fd()) else { return Passage::Gone };
            open(slot, conn, peer, owner);
            owner.handle_bytes(conn, joined.as_deref().unwrap_or(bytes));
            Passage::Stays
        }
        Heard::Elsewhere(home, unread) => Passage::Moves(home, unread),
    }
}

/// The connection is the owner's from now on.
fn open<C: Connections>(slot: &mut Slot, conn: ConnId, peer: SocketAddr, owner: &mut C) {
    slot.phase = Phase::Open;
    let opened = Opened::plain(peer, slot.listener, slot.deadline);
    let (certificate, trusted) = slot.certificate().map_or((None, None), |(c, trusted)| (Some(c), trusted));
    owner.handle_open(conn, Opened { tls: slot.tls.is_some(), certificate, trusted, ..opened });
    if let Some(ws) = &slot.ws {
        owner.keep_headroom(conn, ws.framing.headroom());
    }
}

/// The peer's address; an IPv4 address that came in through an IPv6 socket as the IPv4 address that it is. `None`: it
/// has none any more.
pub(super) fn peer(socket: std::os::fd::BorrowedFd<'_>) -> Option<SocketAddr> {
    let address = SockRef::from(&socket).peer_addr().ok()?.as_socket()?;
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}
