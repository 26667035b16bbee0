//! Input of a connection: the single receives before its CONNECT, the multishot one after it, its pauses, and its way
//! from one shard to another.

use std::net::SocketAddr;

use socket2::SockRef;

use super::buffers::Filled;
use super::connections::Connections;
use super::driver::Net;
use super::lobby::{Envelope, Heard};
use super::ring::{Completion, Kind};
use super::slots::{Phase, Receiving, token};
use crate::session::ConnId;
use crate::shard::{End, Opened};

impl Net {
    pub(super) fn handle_receive<C: Connections>(&mut self, completion: Completion, owner: &mut C) {
        let Completion { token, result, more, filled } = completion;
        let conn = self.slots.tenant(token);
        if let Some(conn) = conn
            && !more
        {
            self.slots.current_mut(conn).expect("it has a tenant").receiving = Receiving::Idle;
        }
        if let Some(filled) = filled {
            if let Some(conn) = conn.filter(|_| result > 0) {
                self.handle_bytes(conn, &filled, owner);
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

    fn handle_bytes<C: Connections>(&mut self, conn: ConnId, filled: &Filled, owner: &mut C) {
        self.counters.receives += 1;
        let slot = self.slots.current(conn).expect("it has a tenant");
        let bytes = self.ring.pool.bytes(filled);
        self.counters.bytes_received += bytes.len() as u64;
        match slot.phase {
            Phase::Open => owner.handle_bytes(conn, bytes),
            Phase::Lobby => match self.lobby.hear(conn, bytes) {
                Heard::Wait => {}
                Heard::Here(joined) => match peer(slot.fd()) {
                    Some(peer) => {
                        let opened = Opened { peer, listener: slot.listener, deadline: slot.deadline };
                        owner.handle_open(conn, opened);
                        owner.handle_bytes(conn, joined.as_deref().unwrap_or(bytes));
                        self.slots.current_mut(conn).expect("it has a tenant").phase = Phase::Open;
                    }
                    None => self.depart_unseen(conn),
                },
                Heard::Elsewhere(home, unread) => self.hand_over(conn, home, unread),
            },
            // What comes after the end is thrown away.
            Phase::Closing | Phase::Lingering | Phase::Free => {}
        }
    }

    /// The single receive has ended, so nothing is armed on the socket and it may go.
    fn hand_over(&mut self, conn: ConnId, home: crate::routing::ShardId, unread: Vec<u8>) {
        let slot = self.slots.current(conn).expect("it has a tenant");
        let (listener, deadline) = (slot.listener, slot.deadline);
        let Some(peer) = peer(slot.fd()) else { return self.depart_unseen(conn) };
        let socket = self.slots.leave(conn).expect("a slot that is not free has a socket");
        self.counters.handed_over += 1;
        self.envelopes.push((home, Envelope { socket, unread, peer, listener, deadline }));
    }

    /// The peer is gone before anybody knew it.
    fn depart_unseen(&mut self, conn: ConnId) {
        self.counters.closed.before_connect += 1;
        self.release(conn);
    }

    /// Takes a connection that another shard accepted.
    pub fn adopt<C: Connections>(&mut self, envelope: Envelope, owner: &mut C) {
        let Envelope { socket, unread, peer, listener, deadline } = envelope;
        self.counters.adopted += 1;
        let conn = self.slots.enter(socket, listener, deadline);
        self.slots.current_mut(conn).expect("just entered").phase = Phase::Open;
        owner.handle_open(conn, Opened { peer, listener, deadline });
        owner.handle_bytes(conn, &unread);
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

/// The peer's address; an IPv4 address that came in through an IPv6 socket as the IPv4 address that it is. `None`: it
/// has none any more.
fn peer(socket: std::os::fd::BorrowedFd<'_>) -> Option<SocketAddr> {
    let address = SockRef::from(&socket).peer_addr().ok()?.as_socket()?;
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}
