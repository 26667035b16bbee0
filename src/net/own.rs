//! What connections have to say besides the owner's output: handshakes, tickets, alerts, pongs, goodbyes, and of an
//! encrypted connection whatever its socket did not take. It goes ahead of all output.

use super::connections::Connections;
use super::driver::Net;
use super::flush::{Flushing, flushing, transmit};
use super::slots::{Phase, Slot};
use super::tls::Tls;
use super::ws::{Framing, Link};
use crate::session::ConnId;
use crate::shard::End;

impl Net {
    /// `conn`'s TLS or WebSocket may have something to say, and nothing keeps it from saying it.
    pub(super) fn queue_own(&mut self, conn: ConnId) {
        if let Some(slot) = self.slots.current_mut(conn)
            && !std::mem::replace(&mut slot.queued, true)
        {
            self.own.push(conn);
        }
    }

    /// Whose end the owner knows, or who never came to it, is told the last of TLS and WebSocket with the next flush,
    /// and then closed.
    pub(super) fn dismiss(&mut self, conn: ConnId) {
        self.end_handshake(conn);
        let slot = self.slots.current_mut(conn).expect("it is here");
        if slot.phase == Phase::Lobby {
            self.lobby.forget(conn);
        }
        slot.phase = Phase::Leaving;
        self.leaving.push(conn);
        self.queue_own(conn);
    }

    /// Sends what connections have to say themselves. Answers how many there were.
    pub(super) fn flush_own<C: Connections>(&mut self, owner: &mut C) -> usize {
        if self.own.is_empty() && self.leaving.is_empty() {
            return 0;
        }
        let mut batch = Vec::new();
        for conn in std::mem::take(&mut self.own) {
            let Some(slot) = self.slots.current_mut(conn) else { continue };
            slot.queued = false;
            if !slot.blocked && !slot.ended && slot.phase != Phase::Lingering {
                let own = offer_own(slot);
                batch.extend((own > 0).then_some(Flushing::new(conn, own, own)));
            }
        }
        let sent = batch.len();
        if sent > 0 {
            self.send_own(&mut batch, owner);
        }
        let leaving = std::mem::take(&mut self.leaving);
        for conn in &leaving {
            self.shut_our_side(*conn);
        }
        sent + leaving.len()
    }

    fn send_own<C: Connections>(&mut self, batch: &mut [Flushing], owner: &mut C) {
        let slots = &self.slots;
        transmit(&mut self.ring, batch, |flushing| {
            let slot = slots.current(flushing.conn).expect("looked up in this flush");
            let bytes = match (&slot.tls, &slot.ws) {
                (Some(tls), _) => tls.unsent(),
                (None, ws) => ws.as_ref().expect("it has something to say").framing.own_bytes(),
            };
            (slot.fd(), bytes)
        });
        self.counters.sends += batch.len() as u64;
        for flushing in batch {
            match flushing.taken() {
                Ok(taken) => self.settle_own(flushing.conn, taken, owner),
                Err(error) => self.handle_end(flushing.conn, End::Failed(error), owner),
            }
        }
    }

    /// A socket took this much of what was offered.
    fn settle_own<C: Connections>(&mut self, conn: ConnId, taken: usize, owner: &mut C) {
        let Some(slot) = self.slots.current_mut(conn) else { return };
        self.counters.bytes_sent += taken as u64;
        let phase = slot.phase;
        let (unsent, progress) = match (&mut slot.tls, &mut slot.ws) {
            (Some(tls), _) => {
                let progress = tls.sent(taken);
                (tls.has_unsent(), progress)
            }
            (None, ws) => {
                let framing = &mut ws.as_mut().expect("it had something to say").framing;
                let offered = framing.own_bytes().len();
                framing.own_sent(taken);
                (taken < offered, 0)
            }
        };
        if let Some(ws) = &mut slot.ws {
            ws.framing.sent(progress);
        }
        let (more, encrypted) = (has_own(slot), slot.tls.is_some());
        if progress > 0 && matches!(phase, Phase::Open | Phase::Closing) {
            owner.handle_sent(conn, progress);
        }
        if !matches!(phase, Phase::Lobby | Phase::Open) {
            return;
        }
        if unsent {
            return self.await_room(conn);
        }
        if more {
            self.queue_own(conn);
        }
        // It was not asked for output while some of the last was not sent.
        if encrypted && phase == Phase::Open && !owner.output(conn).is_empty() {
            owner.handle_writable(conn);
        }
    }

    /// After the last flush of connections that the owner closes: the rest of their output, which had to wait for the
    /// end of a frame or of a flush, a Close frame, and close_notify. As far as their sockets take it.
    pub(super) fn say_goodbye<C: Connections>(
        &mut self,
        closing: &[ConnId],
        batch: &mut Vec<Flushing>,
        owner: &mut C,
    ) {
        loop {
            for &conn in closing {
                if let Some(slot) = self.slots.current_mut(conn).filter(|slot| may_go_on(slot)) {
                    batch.extend(flushing(slot, conn, owner));
                }
            }
            if batch.is_empty() {
                break;
            }
            // Each of them has either less to say after this, or something that its socket does not take.
            self.send(batch, owner);
            batch.clear();
        }
        for &conn in closing {
            let Some(slot) = self.slots.current_mut(conn).filter(|slot| !slot.ended) else { continue };
            if may_go_on(slot)
                && let Some(link) = &mut slot.ws
                && !link.framing.is_mid_frame()
            {
                link.framing.close_for(link.code);
            }
            let mut own = offer_own(slot);
            if let Some(tls) = &mut slot.tls {
                tls.close();
                own = tls.unsent().len();
            }
            batch.extend((own > 0).then_some(Flushing::new(conn, own, own)));
        }
        if !batch.is_empty() {
            self.send_own(batch, owner);
            batch.clear();
        }
    }
}

/// May a connection that is being closed send more of its output? Nothing is left half said by its socket, but for
/// frames: those are cut into flushes by TLS alone.
fn may_go_on(slot: &Slot) -> bool {
    let framing = slot.ws.as_ref().map(|ws| &ws.framing);
    !slot.ended
        && !framing.is_some_and(Framing::is_mid_own)
        && match &slot.tls {
            Some(tls) => !tls.has_unsent(),
            None => framing.is_some_and(|framing| !framing.is_mid_frame()),
        }
}

/// Does TLS or WebSocket have something to say that may be said now?
fn has_own(slot: &Slot) -> bool {
    slot.tls.as_ref().is_some_and(|tls| tls.has_own())
        || slot.ws.as_ref().is_some_and(|ws| ws.framing.has_own() && !ws.framing.is_mid_frame())
}

/// Makes ready what the connection itself is to say next. Answers how many bytes that is on the socket.
fn offer_own(slot: &mut Slot) -> usize {
    match (&mut slot.tls, &mut slot.ws) {
        (Some(tls), ws) => {
            if !tls.has_unsent() {
                tls.gather();
                if let Some(link) = ws {
                    encrypt_own(tls, link);
                }
            }
            if slot.phase == Phase::Leaving {
                tls.close();
            }
            tls.unsent().len()
        }
        (None, Some(link)) => link.framing.offer_own().len(),
        (None, None) => 0,
    }
}

/// What is encrypted is kept until the socket has it, so for the framing it is gone.
fn encrypt_own(tls: &mut Tls, link: &mut Link) {
    let own = link.framing.offer_own();
    let len = own.len();
    if len > 0 {
        tls.say(own);
        link.framing.own_sent(len);
    }
}
