//! Connections whose MQTT comes in WebSocket frames: the handshake in the lobby, frames on their way in, what WebSocket
//! itself has to say, and its two ways to end. What is sent of MQTT goes the way of all output, in `flush`.
//!
//! Knows no format: that is `ws`.

use super::buffers::Filled;
use super::connections::Connections;
use super::driver::{Listening, Net};
use super::flush::{Flushing, flushing, transmit};
use super::listener::Transport;
use super::receive::{Passage, pass};
use super::slots::{Phase, Slot};
use super::ws::handshake::Outcome;
use super::ws::{self, Code, Decoded, Link, PacketsPerFrame};
use crate::session::ConnId;
use crate::shard::{CloseCause, End};

impl Net {
    /// Bytes from the peer of a WebSocket.
    pub(super) fn handle_frames<C: Connections>(&mut self, conn: ConnId, filled: &mut Filled, owner: &mut C) {
        let slot = self.slots.current_mut(conn).expect("it has a tenant");
        if !matches!(slot.phase, Phase::Lobby | Phase::Open) {
            return;
        }
        let listener = slot.listener;
        let link = link(slot);
        let mut bytes = self.ring.pool.bytes_mut(filled);
        if let Some(handshake) = &mut link.handshake {
            let Some((path, packets)) = terms(&self.listening, listener) else {
                return self.depart_unseen(conn);
            };
            match handshake.hear(bytes, path) {
                Outcome::Wait => return,
                Outcome::Refused(refused, answer) => {
                    link.framing.answer(&answer);
                    self.counters.handshakes.count(refused);
                    return self.dismiss(conn);
                }
                Outcome::Accepted(answer, used) => {
                    link.framing.answer(&answer);
                    link.framing.hold(packets);
                    link.handshake = None;
                    bytes = &mut bytes[used..];
                }
            }
        }
        let Decoded { data, ping } = link.decoder.decode(bytes);
        if let Some(payload) = ping {
            link.framing.pong(payload);
        }
        let passage = match slot.phase {
            _ if data.is_empty() => Passage::Stays,
            Phase::Lobby => pass(&mut self.lobby, slot, conn, data, owner),
            _ => {
                owner.handle_bytes(conn, data);
                Passage::Stays
            }
        };
        self.follow(conn, passage);
        self.go_on(conn, owner);
    }

    /// After bytes were taken in: sees to the WebSocket's own answers, and to the end of the peer's side.
    pub(super) fn go_on<C: Connections>(&mut self, conn: ConnId, owner: &mut C) {
        let Some(slot) = self.slots.current_mut(conn) else { return };
        let link = link(slot);
        let end = link.decoder.end();
        if link.framing.has_own() {
            self.queue_own(conn);
        }
        if let Some(end) = end {
            self.handle_peers_end(conn, end, owner);
        }
    }

    /// The peer's side is over, by a Close frame or by a fault of its own.
    fn handle_peers_end<C: Connections>(&mut self, conn: ConnId, end: ws::End, owner: &mut C) {
        // The owner may have closed it in this very turn, as after a DISCONNECT: then ours is the first Close.
        self.take_effects(owner);
        let Some(slot) = self.slots.current_mut(conn) else { return };
        let open = slot.phase == Phase::Open;
        if !open && slot.phase != Phase::Lobby {
            return;
        }
        link(slot).framing.close_after(end);
        match end {
            ws::End::Broken(_) => self.counters.closed.framing += 1,
            ws::End::Closed(_) if open => self.counters.closed.by_peer += 1,
            ws::End::Closed(_) => self.counters.closed.before_connect += 1,
        }
        if open {
            owner.handle_end(conn, End::Closed);
        }
        self.dismiss(conn);
    }

    /// Whose end the owner knows, or who never came to it, is told the last of the WebSocket with the next flush, and
    /// then closed.
    fn dismiss(&mut self, conn: ConnId) {
        let slot = self.slots.current_mut(conn).expect("it is here");
        if slot.phase == Phase::Lobby {
            self.lobby.forget(conn);
        }
        slot.phase = Phase::Leaving;
        self.leaving.push(conn);
        self.queue_own(conn);
    }

    /// `conn`'s WebSocket may have something to say, and nothing keeps it from saying it.
    pub(super) fn queue_own(&mut self, conn: ConnId) {
        if let Some(slot) = self.slots.current_mut(conn)
            && !std::mem::replace(&mut link(slot).queued, true)
        {
            self.own.push(conn);
        }
    }

    /// Sends what WebSockets have to say themselves, ahead of all output. Answers how many there were.
    pub(super) fn flush_own<C: Connections>(&mut self, owner: &mut C) -> usize {
        if self.own.is_empty() && self.leaving.is_empty() {
            return 0;
        }
        let mut batch = Vec::new();
        for conn in std::mem::take(&mut self.own) {
            let Some(slot) = self.slots.current_mut(conn) else { continue };
            let blocked = slot.blocked || slot.ended || slot.phase == Phase::Lingering;
            let link = link(slot);
            link.queued = false;
            if !blocked {
                let own = link.framing.offer_own().len();
                batch.extend((own > 0).then_some(Flushing::new(conn, own, own)));
            }
        }
        let sent = batch.len();
        self.send_own(&mut batch, owner);
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
            (slot.fd(), slot.ws.as_ref().expect("it has something to say").framing.own_bytes())
        });
        self.counters.sends += batch.len() as u64;
        for flushing in batch {
            let Some(slot) = self.slots.current_mut(flushing.conn) else { continue };
            let here = matches!(slot.phase, Phase::Lobby | Phase::Open);
            match flushing.taken() {
                Ok(taken) => {
                    let framing = &mut link(slot).framing;
                    framing.own_sent(taken);
                    self.counters.bytes_sent += taken as u64;
                    let more = framing.has_own();
                    if here && taken < flushing.offered as usize {
                        self.await_room(flushing.conn);
                    } else if here && more {
                        self.queue_own(flushing.conn);
                    }
                }
                Err(error) => self.handle_end(flushing.conn, End::Failed(error), owner),
            }
        }
    }

    /// After the last flush of connections that the owner closes: the rest of their output, which had to wait for the
    /// end of a frame, and a Close frame. As far as their sockets take it.
    pub(super) fn say_goodbye<C: Connections>(
        &mut self,
        closing: &[ConnId],
        batch: &mut Vec<Flushing>,
        owner: &mut C,
    ) {
        let between_frames = |slot: &&mut Slot| {
            !slot.ended
                && slot.ws.as_ref().is_some_and(|ws| !ws.framing.is_mid_frame() && !ws.framing.is_mid_own())
        };
        loop {
            for &conn in closing {
                if let Some(slot) = self.slots.current_mut(conn).filter(between_frames) {
                    batch.extend(flushing(slot, conn, owner));
                }
            }
            if batch.is_empty() {
                break;
            }
            // Each of them has either less to say after this, or a frame that its socket does not take.
            self.send(batch, owner);
            batch.clear();
        }
        for &conn in closing {
            if let Some(slot) = self.slots.current_mut(conn).filter(between_frames) {
                let link = link(slot);
                link.framing.close_for(link.code);
                let own = link.framing.offer_own().len();
                batch.push(Flushing::new(conn, own, own));
            }
        }
        if !batch.is_empty() {
            self.send_own(batch, owner);
            batch.clear();
        }
    }

    /// Counts a handshake that will never be complete.
    pub(super) fn count_if_half_shaken(&mut self, conn: ConnId) {
        let handshake = self.slots.current(conn).and_then(|slot| slot.ws.as_ref()?.handshake.as_ref());
        self.counters.handshakes.incomplete += u64::from(handshake.is_some_and(ws::Handshake::has_begun));
    }
}

fn link(slot: &mut Slot) -> &mut Link {
    slot.ws.as_mut().expect("the caller knows that it is a WebSocket")
}

/// The path at which `listener` takes WebSockets, and what their frames hold. `None`: it does so no longer.
fn terms(listening: &[Listening], listener: u16) -> Option<(&str, PacketsPerFrame)> {
    let mut here = listening.iter().filter(|l| l.listener == listener && l.socket.is_some());
    here.find_map(|listening| match &listening.transport {
        Transport::WebSocket { path, packets } => Some((&**path, *packets)),
        Transport::Tcp => None,
    })
}

/// What a Close frame says of our reason.
pub(super) fn code_for(cause: CloseCause) -> Code {
    match cause {
        CloseCause::Disconnected | CloseCause::DisconnectedWithWill => Code::Normal,
        CloseCause::Violation(_) => Code::Protocol,
        CloseCause::TakenOver | CloseCause::Refused(_) | CloseCause::Stalled | CloseCause::Expelled => {
            Code::Policy
        }
        CloseCause::Stopping => Code::GoingAway,
    }
}
