//! The end of a connection, by whoever wants it, and the owner's other effects.
//!
//! A close of ours is orderly: last flush, our side shut, then reading and throwing away until the peer closes too,
//! so that it can read our last packet. Closing at once would answer its late bytes with a reset, and a reset
//! destroys what the peer has not yet read.

use std::net::Shutdown;

use socket2::SockRef;

use super::connections::Connections;
use super::driver::Net;
use super::slots::Phase;
use super::websocket::code_for;
use crate::session::ConnId;
use crate::shard::{Effect, End};

impl Net {
    /// Step 4: pauses and resumes at once, closes with the next flush.
    pub fn take_effects<C: Connections>(&mut self, owner: &mut C) {
        while let Some(effect) = owner.poll_effect() {
            match effect {
                Effect::Pause(conn) => self.pause(conn),
                Effect::Resume(conn) => self.resume(conn),
                Effect::Close { conn, cause } => {
                    if let Some(slot) = self.slots.current_mut(conn)
                        && slot.phase == Phase::Open
                    {
                        slot.phase = Phase::Closing;
                        if let Some(ws) = &mut slot.ws {
                            ws.code = code_for(cause);
                        }
                        self.counters.closed.count(cause);
                        self.closing.push(conn);
                    }
                }
            }
        }
    }

    /// The peer closed, or the socket failed.
    pub(super) fn handle_end<C: Connections>(&mut self, conn: ConnId, end: End, owner: &mut C) {
        // The owner may have closed it in this very turn, as after a DISCONNECT: then it hears of no other end.
        self.take_effects(owner);
        let Some(slot) = self.slots.current_mut(conn) else { return };
        slot.ended = true;
        match slot.phase {
            Phase::Lobby => {
                self.counters.closed.before_connect += 1;
                self.count_if_half_shaken(conn);
                self.release(conn);
            }
            Phase::Open => {
                match end {
                    End::Closed => self.counters.closed.by_peer += 1,
                    End::Failed(_) => self.counters.closed.failed += 1,
                }
                owner.handle_end(conn, end);
                self.release(conn);
            }
            Phase::Lingering => self.release(conn),
            Phase::Closing | Phase::Leaving | Phase::Free => {}
        }
    }

    /// The last flush of `conn` was made.
    pub(super) fn finish<C: Connections>(&mut self, conn: ConnId, owner: &mut C) {
        if self.slots.current(conn).is_none() {
            return;
        }
        owner.handle_closed(conn);
        self.shut_our_side(conn);
    }

    /// Nothing more will be sent: the peer is given time to read it and to close.
    pub(super) fn shut_our_side(&mut self, conn: ConnId) {
        let Some(slot) = self.slots.current_mut(conn) else { return };
        let ended = slot.ended || SockRef::from(&slot.fd()).shutdown(Shutdown::Write).is_err();
        if ended {
            return self.release(conn);
        }
        slot.phase = Phase::Lingering;
        // Nothing that comes is looked at any more.
        (slot.tls, slot.ws) = (None, None);
        self.resume(conn);
        if let Some(oldest) = self.linger.push(conn, self.now) {
            self.cut(oldest);
        }
    }

    /// Ends the patience with a peer that does not close. False: it did.
    pub(super) fn cut(&mut self, conn: ConnId) -> bool {
        let here = self.slots.current(conn).is_some_and(|slot| slot.phase == Phase::Lingering);
        if here {
            self.counters.linger_cuts += 1;
            self.release(conn);
        }
        here
    }

    /// Frees the place of `conn`; its socket is closed after the next submit.
    pub(super) fn release(&mut self, conn: ConnId) {
        let Some(slot) = self.slots.current(conn) else { return };
        if slot.is_armed() {
            // Ends what is armed. A close alone would not, and no FIN would go out.
            let _ = SockRef::from(&slot.fd()).shutdown(Shutdown::Both);
        }
        if slot.phase == Phase::Lobby {
            self.lobby.forget(conn);
        }
        self.end_handshake(conn);
        self.shut.extend(self.slots.leave(conn));
        self.seats.give_back();
    }
}
