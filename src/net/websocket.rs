//! Connections whose MQTT comes in WebSocket frames: the handshake in the lobby, frames on their way in, what WebSocket
//! itself answers, and the peer's end of it. What is sent goes the way of all output, in `own` and `flush`.
//!
//! Knows no format: that is `ws`.

use super::connections::Connections;
use super::driver::{Listening, Net};
use super::listener::Transport;
use super::receive::{Input, Passage, pass};
use super::slots::{Phase, Slot};
use super::ws::handshake::Outcome;
use super::ws::{self, Code, Decoded, Link, PacketsPerFrame};
use crate::policy::Ground;
use crate::session::ConnId;
use crate::shard::{CloseCause, End};

impl Net {
    /// Bytes from the peer of a WebSocket.
    pub(super) fn handle_frames<C: Connections>(
        &mut self,
        conn: ConnId,
        mut input: Input<'_>,
        owner: &mut C,
    ) {
        let slot = self.slots.current_mut(conn).expect("it has a tenant");
        if !matches!(slot.phase, Phase::Lobby | Phase::Open) {
            return;
        }
        let listener = slot.listener;
        let link = link(slot);
        let mut bytes = input.bytes_mut(&mut self.ring.pool);
        if let Some(handshake) = &mut link.handshake {
            let Some((path, packets)) = terms(&self.listening, listener) else {
                return self.depart_unseen(conn);
            };
            match handshake.hear(bytes, path) {
                Outcome::Wait => return,
                Outcome::Refused(refused, answer) => {
                    link.framing.answer(&answer);
                    self.counters.handshakes.count(refused);
                    self.reject(conn, None, Ground::Handshake, format!("WebSocket handshake: {refused}"));
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
}

fn link(slot: &mut Slot) -> &mut Link {
    slot.ws.as_mut().expect("the caller knows that it is a WebSocket")
}

/// The path at which `listener` takes WebSockets, and what their frames hold. `None`: it does so no longer.
fn terms(listening: &[Listening], listener: u16) -> Option<(&str, PacketsPerFrame)> {
    let mut here = listening.iter().filter(|l| l.listener == listener && l.socket.is_some());
    here.find_map(|listening| match &listening.speech.transport {
        Transport::WebSocket { path, packets } => Some((&**path, *packets)),
        Transport::Tcp => None,
    })
}

/// What a Close frame says of our reason.
pub(super) fn code_for(cause: CloseCause) -> Code {
    match cause {
        CloseCause::Disconnected | CloseCause::DisconnectedWithWill => Code::Normal,
        CloseCause::Violation(_) => Code::Protocol,
        CloseCause::TakenOver
        | CloseCause::Refused(_)
        | CloseCause::Stalled
        | CloseCause::Expelled
        | CloseCause::NotAccepted => Code::Policy,
        CloseCause::Stopping => Code::GoingAway,
    }
}
