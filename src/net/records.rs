//! Connections whose bytes are encrypted, on their way in: the handshake and its turn, plaintext for whoever would get
//! the bytes of a plain connection, and the ends of TLS. What is sent goes the way of all output, in `own` and `flush`.

use std::sync::Arc;

use super::buffers::Filled;
use super::connections::Connections;
use super::driver::Net;
use super::receive::{Input, peer};
use super::slots::Phase;
use super::tls::{self, Heard, verifier};
use super::ws;
use crate::policy::{Attempt, CertificateRefusal, Ground, Presented, Rejection};
use crate::session::ConnId;
use crate::shard::End;

impl Net {
    /// Ciphertext from a peer.
    pub(super) fn handle_records<C: Connections>(
        &mut self,
        conn: ConnId,
        filled: &mut Filled,
        owner: &mut C,
    ) {
        let slot = self.slots.current_mut(conn).expect("it has a tenant");
        if !matches!(slot.phase, Phase::Lobby | Phase::Open) {
            return;
        }
        let tls = slot.tls.as_mut().expect("the caller knows that it is encrypted");
        let bytes = self.ring.pool.bytes(filled);
        if !tls.has_begun() {
            if !self.gate.enter(conn) {
                // One receive's worth; nothing is armed, and nothing will be before its turn.
                tls.keep(bytes);
                slot.wanted = false;
                return;
            }
            slot.shaking = true;
            tls.begin();
        }
        let was_handshaking = tls.is_handshaking();
        tls.take_in(bytes, &mut self.plaintext);
        self.handle_plaintext(conn, was_handshaking, owner);
    }

    /// Lets in those whose turn it is. Answers how many.
    pub(super) fn admit<C: Connections>(&mut self, owner: &mut C) -> usize {
        let mut admitted = 0;
        while let Some(conn) = self.gate.next(|conn| self.slots.current(conn).is_some()) {
            admitted += 1;
            let slot = self.slots.current_mut(conn).expect("it was looked up");
            slot.shaking = true;
            let tls = slot.tls.as_mut().expect("who waits for a handshake has one to make");
            let early = tls.begin();
            tls.take_in(&early, &mut self.plaintext);
            self.handle_plaintext(conn, true, owner);
            self.resume(conn);
        }
        admitted
    }

    /// After ciphertext was taken in: what it said, and what has become of the handshake.
    fn handle_plaintext<C: Connections>(&mut self, conn: ConnId, was_handshaking: bool, owner: &mut C) {
        let slot = self.slots.current_mut(conn).expect("it has a tenant");
        let tls = slot.tls.as_ref().expect("it is encrypted");
        let wants_to_speak = tls.has_own();
        if was_handshaking && !tls.is_handshaking() {
            self.counters.tls.count(tls);
            self.end_handshake(conn);
        }
        if wants_to_speak {
            self.queue_own(conn);
        }
        if !self.plaintext.is_empty() {
            let mut plaintext = std::mem::take(&mut self.plaintext);
            self.handle_input(conn, Input::Decrypted(&mut plaintext), owner);
            plaintext.clear();
            self.plaintext = plaintext;
        }
        self.handle_last_record(conn, owner);
    }

    /// The peer's side of TLS may be over, by close_notify or by a fault.
    pub(super) fn handle_last_record<C: Connections>(&mut self, conn: ConnId, owner: &mut C) {
        let end = self.slots.current(conn).and_then(|slot| slot.tls.as_ref()?.end());
        let Some(end) = end.cloned() else { return };
        // The owner may have closed it in this very turn, as after a DISCONNECT: then ours is the first close_notify.
        self.take_effects(owner);
        let Some(slot) = self.slots.current_mut(conn) else { return };
        let open = slot.phase == Phase::Open;
        if !open && slot.phase != Phase::Lobby {
            return;
        }
        let handshaking = slot.tls.as_ref().is_some_and(|tls| tls.is_handshaking());
        match end {
            tls::End::Broken(error) if handshaking => self.refuse_handshake(conn, &error),
            tls::End::Broken(_) => self.counters.closed.tls += 1,
            tls::End::Closed if open => self.counters.closed.by_peer += 1,
            tls::End::Closed => {
                self.counters.closed.before_connect += 1;
                self.count_if_half_shaken(conn);
            }
        }
        if open {
            owner.handle_end(conn, End::Closed);
        }
        self.dismiss(conn);
    }

    /// Counts and keeps a handshake that has failed just now.
    fn refuse_handshake(&mut self, conn: ConnId, error: &rustls::Error) {
        let heard = self.slots.current(conn).and_then(|slot| Some(slot.tls.as_ref()?.heard()));
        let heard = heard.expect("it is encrypted");
        self.counters.tls.count_failed(error, heard);
        let (certificate, ground, cause) = match verifier::take_refused() {
            Some((presented, refusal)) => {
                let cause = refusal.to_string();
                (Some(presented), Ground::Certificate(refusal), cause)
            }
            None if matches!(error, rustls::Error::NoCertificatesPresented) => {
                (None, Ground::Certificate(CertificateRefusal::Missing), explain(error, heard))
            }
            None => (None, Ground::Handshake, explain(error, heard)),
        };
        self.reject(conn, certificate, ground, format!("TLS handshake: {cause}"));
    }

    /// Counts and keeps a handshake, of TLS or of WebSocket, that will never be complete.
    pub(super) fn count_if_half_shaken(&mut self, conn: ConnId) {
        let Some(slot) = self.slots.current(conn) else { return };
        let encrypting = slot.tls.as_ref().filter(|tls| tls.is_handshaking());
        if let Some(tls) = encrypting {
            if tls.has_begun() || tls.has_early() {
                self.counters.tls.incomplete += 1;
                self.reject(conn, None, Ground::Handshake, "TLS handshake: it was not completed".to_owned());
            }
            return;
        }
        let framing = slot.ws.as_ref().and_then(|ws| ws.handshake.as_ref());
        if framing.is_some_and(ws::Handshake::has_begun) {
            self.counters.handshakes.incomplete += 1;
            self.reject(
                conn,
                None,
                Ground::Handshake,
                "WebSocket handshake: it was not completed".to_owned(),
            );
        }
    }

    /// Keeps why `conn` is not let in. `certificate`: the one that it is for; else the one that was proved, if any.
    pub(super) fn reject(
        &mut self,
        conn: ConnId,
        certificate: Option<Arc<Presented>>,
        ground: Ground,
        cause: String,
    ) {
        let Some(slot) = self.slots.current(conn) else { return };
        let Some(peer) = peer(slot.fd()) else { return };
        let handshaking = slot.tls.as_ref().is_some_and(|tls| tls.is_handshaking());
        let certificate =
            certificate.or_else(|| if handshaking { None } else { slot.certificate().map(|(c, _)| c) });
        self.rejections.push(Rejection {
            number: 0,
            times: 1,
            unix_micros: self.unix_zero_micros + self.now.0,
            peer: Some(peer),
            listener: Some(slot.listener),
            client_id: None,
            client_name: None,
            user: None,
            certificate,
            attempt: Attempt::Handshake,
            ground,
            cause,
        });
    }

    /// `conn`'s handshake is none of those under way any more.
    pub(super) fn end_handshake(&mut self, conn: ConnId) {
        if let Some(slot) = self.slots.current_mut(conn)
            && std::mem::take(&mut slot.shaking)
        {
            self.gate.leave();
        }
    }
}

/// What rustls says, in words for whoever runs the broker where its own are for who knows TLS.
fn explain(error: &rustls::Error, heard: Heard) -> String {
    match error {
        rustls::Error::NoCertificatesPresented => CertificateRefusal::Missing.to_string(),
        rustls::Error::InvalidMessage(_) if heard == Heard::Nothing => {
            format!("the peer does not speak TLS ({error})")
        }
        rustls::Error::AlertReceived(_) => format!("the peer has given up ({error})"),
        _ => error.to_string(),
    }
}
