//! Bytes in: cut into packets, decoded in place, handed on. Only the head of an unfinished packet is copied.

use crate::mqtt::ack::Ack;
use crate::mqtt::connect::answer_version;
use crate::mqtt::disconnect::Disconnect;
use crate::mqtt::frame::{self, Frame, split};
use crate::mqtt::{Packet, PacketId, PacketType, ReasonCode, Sender, Version, Violation, decode, publish};
use crate::session::ConnId;

use super::Shard;
use super::connection::{Phase, WaitsFor};
use super::effect::{CloseCause, Effect};
use super::publish::Pending;

/// Why a connection's packets are not read on.
enum Halt {
    /// It has broken the protocol.
    Violation(Violation),
    /// It is closed, for a reason already given.
    Closed,
    /// It waits.
    Paused(WaitsFor),
    /// Its CONNECT waits for a password to be verified.
    Verifying,
}

impl From<Violation> for Halt {
    fn from(violation: Violation) -> Halt {
        Halt::Violation(violation)
    }
}

/// Whether publishes wait for credit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// They do.
    Waits,
    /// The connection has ended: what it sent is taken all the same.
    Ends,
}

const PUBLISH: u8 = PacketType::Publish as u8;
const SUBSCRIBE: u8 = PacketType::Subscribe as u8;

/// A connection with so many filters on their way to their homes does not subscribe to more: each costs every home
/// a look at what it retains, which credit does not know of.
const JOINING: u32 = 32;

impl Shard {
    /// Bytes arrived. After `Effect::Pause` late bytes may still be given: they are kept. After
    /// `Effect::Close` they are ignored.
    pub fn handle_bytes(&mut self, conn: ConnId, bytes: &[u8]) {
        let Some(c) = self.connection_mut(conn) else { return };
        if c.paused {
            return c.partial.extend_from_slice(bytes);
        }
        if c.partial.is_empty() {
            let used = self.consume(conn, bytes, Patience::Waits);
            if used < bytes.len()
                && let Some(c) = self.connection_mut(conn)
            {
                c.partial = bytes[used..].to_vec();
            }
            return;
        }
        c.partial.extend_from_slice(bytes);
        self.read_partial(conn, Patience::Waits);
    }

    /// Reads what was kept.
    fn read_partial(&mut self, conn: ConnId, patience: Patience) {
        let Some(c) = self.connection_mut(conn) else { return };
        let mut kept = std::mem::take(&mut c.partial);
        let used = self.consume(conn, &kept, patience);
        if let Some(c) = self.connection_mut(conn) {
            // An idle connection holds no buffer, and the head of a small packet not that of the large one before it.
            if used > kept.len() / 2 {
                c.partial = kept[used..].to_vec();
            } else if used < kept.len() {
                kept.drain(..used);
                c.partial = kept;
            }
        }
    }

    /// Reads what was kept of a connection that is paused no longer.
    pub(super) fn read_on(&mut self, conn: ConnId) {
        self.read_partial(conn, Patience::Waits);
    }

    /// Reads what was kept of a connection that has ended.
    pub(super) fn finish_reading(&mut self, conn: ConnId) {
        self.read_partial(conn, Patience::Ends);
    }

    /// Handles the whole packets at the head of `bytes`; returns how many bytes they were.
    fn consume(&mut self, conn: ConnId, bytes: &[u8], patience: Patience) -> usize {
        let mut pending = std::mem::take(&mut self.pending);
        let mut used = 0;
        let messages = self.counters.messages_received;
        let halt = loop {
            match self.next_packet(conn, &bytes[used..], patience, &mut pending) {
                Ok(0) => break None,
                Ok(len) => {
                    used += len;
                    self.counters.packets_received += 1;
                }
                Err(halt) => break Some(halt),
            }
        };
        let (now, messages) = (self.now, self.counters.messages_received - messages);
        if used > 0
            && let Some(c) = self.connection_mut(conn)
        {
            c.bytes_received += used as u64;
            c.messages_received += messages;
            if c.phase == Phase::Connected {
                c.since = now; // whole packets count as life, fragments do not
            }
        }
        // What came before a violation was well-formed and counts.
        if let Some(client) = self.client_of(conn) {
            self.ship(client, &mut pending);
        }
        debug_assert!(pending.run.is_empty(), "a run is shipped before its connection closes");
        self.pending = pending;
        match halt {
            Some(Halt::Violation(violation)) => self.violate(conn, violation),
            Some(Halt::Paused(waits_for)) => self.pause(conn, waits_for),
            Some(Halt::Verifying) => self.wait_for_password(conn),
            Some(Halt::Closed) | None => {}
        }
        used
    }

    /// Handles one packet; returns its length, 0 when it is not all there.
    #[inline]
    fn next_packet(
        &mut self,
        conn: ConnId,
        bytes: &[u8],
        patience: Patience,
        pending: &mut Pending,
    ) -> Result<usize, Halt> {
        let c = &self.connections[conn.index as usize];
        let limits = &self.snapshot.limits;
        let (phase, version, client) = (c.phase, c.version, c.client);
        let maximum = match phase {
            Phase::Connecting => limits.connect_packet_bytes,
            Phase::Connected => c.packet_bytes,
            Phase::Closing | Phase::Free => return Err(Halt::Closed),
        };
        if phase == Phase::Connecting && bytes.first().is_some_and(|b| b >> 4 != PacketType::Connect as u8) {
            return Err(Violation::FirstPacketNotConnect.into()); // [MQTT-3.1.0-1]
        }
        let frame = match split(bytes, maximum as usize) {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(0),
            Err(violation) => {
                if phase == Phase::Connecting {
                    self.learn_version(conn, bytes); // a CONNECT that is too large is told so
                }
                return Err(violation.into());
            }
        };
        if frame.len > bytes.len() {
            return Ok(0);
        }
        let packet = &bytes[..frame.len];
        if phase == Phase::Connected && !self.refresh(client) {
            return Err(Halt::Closed);
        }
        if patience == Patience::Waits
            && let Some(waits_for) = self.must_wait(conn, frame)
        {
            return Err(Halt::Paused(waits_for));
        }
        if self.tracing.is_some() {
            self.trace_input(conn, packet);
        }
        if phase == Phase::Connecting {
            self.first_packet(conn, frame, packet)?;
        } else if frame.first >> 4 == PUBLISH {
            let publish = publish::decode(version, frame.first, &packet[frame.header_len..])?;
            match publish.properties.topic_alias {
                None => self.handle_publish(client, &publish, pending)?,
                Some(alias) => self.handle_publish_by_alias(conn, client, publish, alias, pending)?,
            }
        } else if let ([first, 2, high, low], Some(kind)) = (packet, frame.packet_type())
            && matches!(*first, 0x40 | 0x50 | 0x62 | 0x70)
        {
            // PUBACK, PUBREC, PUBREL and PUBCOMP as nearly all of them are: four bytes, in every version.
            self.ship(client, pending);
            let id = PacketId::new(u16::from_be_bytes([*high, *low])).ok_or(Violation::PacketIdZero)?;
            self.handle_ack(client, kind, &Ack::new(id, ReasonCode::Success))?;
        } else if frame.packet_type() == Some(PacketType::Connect) {
            // [MQTT-3.1.0-2], whatever it says: what is wrong inside a CONNECT has codes that DISCONNECT may not carry.
            return Err(Violation::SecondConnect.into());
        } else {
            self.ship(client, pending);
            self.handle_packet(conn, client, decode(version, Sender::Client, frame, packet)?)?;
        }
        Ok(frame.len)
    }

    /// For what a whole packet waits before it is handled.
    #[inline]
    fn must_wait(&self, conn: ConnId, frame: Frame) -> Option<WaitsFor> {
        let c = &self.connections[conn.index as usize];
        match frame.first >> 4 {
            _ if c.phase == Phase::Connecting => None,
            // A client that does not take our answers is not read: it could make us hold any amount of them.
            _ if c.out.len() > self.snapshot.limits.output_bytes as usize => Some(WaitsFor::Output),
            PUBLISH if !self.mesh.credit.is_left() => Some(WaitsFor::Credit),
            SUBSCRIBE if c.joining >= JOINING => Some(WaitsFor::Subscriptions),
            _ => None,
        }
    }

    fn first_packet(&mut self, conn: ConnId, frame: Frame, packet: &[u8]) -> Result<(), Halt> {
        self.learn_version(conn, packet);
        match decode(Version::V5, Sender::Client, frame, packet)? {
            Packet::Connect(connect) => {
                self.handle_connect(conn, &connect);
                if self.is_verifying(conn) {
                    return Err(Halt::Verifying);
                }
            }
            _ => return Err(Violation::FirstPacketNotConnect.into()),
        }
        Ok(())
    }

    /// The protocol level decides how even a refusal is written: it is looked at before anything can go wrong.
    fn learn_version(&mut self, conn: ConnId, bytes: &[u8]) {
        if let Some(version) = answer_version(bytes) {
            self.connections[conn.index as usize].version = version;
        }
    }

    /// Every packet of a connected client but PUBLISH.
    fn handle_packet(&mut self, conn: ConnId, client: u32, packet: Packet<'_>) -> Result<(), Halt> {
        if !self.snapshot.limits.allow_user(packet.user()) {
            return Err(Violation::TooManyUserProperties.into());
        }
        // SUBACK and UNSUBACK have a code a filter: before any of them has an effect.
        let filters = match &packet {
            Packet::Subscribe(subscribe) => subscribe.filters.iter().count(),
            Packet::Unsubscribe(unsubscribe) => unsubscribe.filters.iter().count(),
            _ => 0,
        };
        let maximum = self.connections[conn.index as usize].maximum_packet as usize;
        if filters > 0 && frame::packet_len(2 + 1 + filters) > maximum {
            return Err(Violation::AnswerTooLarge.into());
        }
        match packet {
            Packet::PubAck(ack) => self.handle_ack(client, PacketType::PubAck, &ack)?,
            Packet::PubRec(ack) => self.handle_ack(client, PacketType::PubRec, &ack)?,
            Packet::PubRel(ack) => self.handle_ack(client, PacketType::PubRel, &ack)?,
            Packet::PubComp(ack) => self.handle_ack(client, PacketType::PubComp, &ack)?,
            Packet::Subscribe(subscribe) => self.handle_subscribe(conn, client, &subscribe)?,
            Packet::Unsubscribe(unsubscribe) => self.handle_unsubscribe(conn, client, &unsubscribe)?,
            Packet::PingReq => self.answer(conn.index, &Packet::PingResp),
            Packet::Disconnect(disconnect) => {
                self.handle_disconnect(conn, client, &disconnect)?;
                self.counters.packets_received += 1;
                return Err(Halt::Closed);
            }
            Packet::Auth(_) => return Err(Violation::AuthWithoutMethod.into()), // see `refuse_authentication`
            Packet::Connect(_) | Packet::Publish(_) => unreachable!("each has a path of its own"),
            Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => {
                return Err(Violation::PacketOfServer.into());
            }
        }
        Ok(())
    }

    fn handle_disconnect(
        &mut self,
        conn: ConnId,
        client: u32,
        packet: &Disconnect<'_>,
    ) -> Result<(), Violation> {
        if let Some(secs) = packet.session_expiry_secs {
            let maximum = self.snapshot.limits.session_expiry_maximum_secs;
            let persistent = self.snapshot.persistent_sessions;
            // What CONNECT said counts, whatever we made of it [MQTT 5.0, 3.14.2.2.2].
            if secs != 0 && !self.connections[conn.index as usize].expiry_asked {
                return Err(Violation::SessionExpiryRaised);
            }
            let c = &mut self.clients[client];
            c.expiry_secs = if persistent { secs.min(maximum) } else { 0 };
        }
        let cause = if packet.reason == ReasonCode::Success {
            CloseCause::Disconnected
        } else {
            CloseCause::DisconnectedWithWill
        };
        self.close(conn, cause);
        Ok(())
    }

    fn pause(&mut self, conn: ConnId, waits_for: WaitsFor) {
        let Some(c) = self.connection_mut(conn) else { return };
        c.paused = true;
        c.waits_for = waits_for;
        self.counters.pauses += 1;
        self.paused.push_back(conn);
        self.effects.push_back(Effect::Pause(conn));
    }

    /// Reads on where there is credit and what it waited for has happened, in the order of pausing.
    pub(super) fn resume_paused(&mut self) {
        // They are many when somebody wants them to be: looked at only when one of them may go on.
        if !std::mem::take(&mut self.look_at_paused) || !self.mesh.credit.is_ample() {
            return;
        }
        for _ in 0..self.paused.len() {
            if !self.mesh.credit.is_left() {
                break;
            }
            let Some(conn) = self.paused.pop_front() else { break };
            let output_limit = self.snapshot.limits.output_bytes as usize;
            let now = self.now;
            let Some(c) = self.connection_mut(conn) else { continue };
            if !c.paused {
                continue;
            }
            if c.out.len() > output_limit / 2 || c.joining > 0 {
                c.waits_for = if c.joining > 0 { WaitsFor::Subscriptions } else { WaitsFor::Output };
                self.paused.push_back(conn);
                continue;
            }
            c.paused = false;
            c.since = now;
            self.effects.push_back(Effect::Resume(conn));
            self.read_partial(conn, Patience::Waits);
        }
    }
}
