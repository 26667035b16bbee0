//! The table of sockets: which descriptor stands at which index, for which tenant, and what is armed on it.
//!
//! Pure bookkeeping: it starts no operation and closes no descriptor.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::ring::{GENERATION_MASK, Kind, Token};
use super::tls::verifier::Accepted;
use super::tls::{Tls, presented};
use super::ws::Link;
use crate::session::ConnId;
use crate::time::Time;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nobody.
    Free,
    /// Accepted, its CONNECT not all there. The owner of the connections does not know it.
    Lobby,
    /// The owner's.
    Open,
    /// The owner wants it closed; its last flush is due.
    Closing,
    /// The owner does not know it, or no longer; what TLS and WebSocket say last is due.
    Leaving,
    /// Our side is shut; what still comes is thrown away until the peer shuts its own.
    Lingering,
}

/// What the ring does for the socket's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Receiving {
    /// Nothing is armed.
    Idle,
    /// A receive is armed.
    Armed,
    /// A cancel is on its way; the last completion is still to come.
    Ending,
}

/// One position of the table. A connection at rest costs this and nothing else on this side of the kernel.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) socket: Option<OwnedFd>,
    pub(super) generation: u32,
    /// CONNECT must be there by then.
    pub(super) deadline: Time,
    pub(super) listener: u16,
    pub(super) phase: Phase,
    pub(super) receiving: Receiving,
    /// Its input is wanted: false while the owner has paused it.
    pub(super) wanted: bool,
    /// The socket is full, and a poll waits for room.
    pub(super) blocked: bool,
    /// The peer's end has been seen.
    pub(super) ended: bool,
    /// It stands in the queue of those that have something of their own to send.
    pub(super) queued: bool,
    /// Its TLS handshake is one of those under way.
    pub(super) shaking: bool,
    /// `None`: nothing is encrypted.
    pub(super) tls: Option<Box<Tls>>,
    /// `None`: MQTT is in no frames.
    pub(super) ws: Option<Box<Link>>,
}

impl Slot {
    fn new(listener: u16, deadline: Time) -> Slot {
        Slot {
            socket: None,
            generation: 0,
            deadline,
            listener,
            phase: Phase::Free,
            receiving: Receiving::Idle,
            wanted: true,
            blocked: false,
            ended: false,
            queued: false,
            shaking: false,
            tls: None,
            ws: None,
        }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_ref().expect("a slot that is not free has a socket").as_fd()
    }

    /// What the peer has proved to hold.
    pub(super) fn certificate(&self) -> Option<Accepted> {
        let tls = self.tls.as_ref()?;
        let resumed = || Some((Arc::new(presented::read(tls.peer_certificates()?)), None));
        tls.accepted().cloned().or_else(resumed)
    }

    /// Is an operation under way that names this socket?
    pub(super) fn is_armed(&self) -> bool {
        self.receiving != Receiving::Idle || self.blocked
    }
}

/// The table.
#[derive(Debug, Default)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

impl Slots {
    /// A place for a socket, `Phase::Lobby`.
    pub(super) fn enter(&mut self, socket: OwnedFd, listener: u16, deadline: Time) -> ConnId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::new(listener, deadline));
            u32::try_from(self.slots.len() - 1).expect("there are fewer descriptors than that")
        });
        let slot = &mut self.slots[index as usize];
        let generation = slot.generation;
        let (socket, phase) = (Some(socket), Phase::Lobby);
        *slot = Slot { socket, generation, phase, ..Slot::new(listener, deadline) };
        ConnId { index, generation }
    }

    /// Frees the place. Completions that still name it find nobody.
    pub(super) fn leave(&mut self, conn: ConnId) -> Option<OwnedFd> {
        let slot = self.current_mut(conn)?;
        slot.phase = Phase::Free;
        slot.generation = slot.generation.wrapping_add(1) & GENERATION_MASK;
        let socket = slot.socket.take();
        slot.tls = None;
        slot.ws = None;
        self.free.push(conn.index);
        socket
    }

    /// The tenant that `token` means, if it is still there.
    pub(super) fn tenant(&self, token: Token) -> Option<ConnId> {
        let conn = ConnId { index: token.index(), generation: token.generation() };
        self.current(conn).is_some().then_some(conn)
    }

    pub(super) fn current(&self, conn: ConnId) -> Option<&Slot> {
        let slot = self.slots.get(conn.index as usize)?;
        (slot.phase != Phase::Free && slot.generation == conn.generation).then_some(slot)
    }

    pub(super) fn current_mut(&mut self, conn: ConnId) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(conn.index as usize)?;
        (slot.phase != Phase::Free && slot.generation == conn.generation).then_some(slot)
    }

    /// How many places are taken.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Everybody in `phase`.
    pub(super) fn all_in(&self, phase: Phase) -> Vec<ConnId> {
        let here = self.slots.iter().zip(0u32..).filter(|(slot, _)| slot.phase == phase);
        here.map(|(slot, index)| ConnId { index, generation: slot.generation }).collect()
    }
}

/// The name of an operation for `conn`.
pub(super) fn token(kind: Kind, conn: ConnId) -> Token {
    Token::new(kind, conn.generation, conn.index)
}
