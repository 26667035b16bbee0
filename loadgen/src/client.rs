//! One MQTT client as a plain value: bytes in, bytes out, and what happened told to an `Observer`.
//!
//! Speaks CONNECT, SUBSCRIBE, both directions of QoS 0, 1 and 2, pings, and the resumption of a session. It has no
//! socket and no clock; times that it carries were given to it.

use tidemq::mqtt::ack::{Ack, encode_short};
use tidemq::mqtt::connack::ConnAck;
use tidemq::mqtt::disconnect::Disconnect;
use tidemq::mqtt::packet::PINGREQ;
use tidemq::mqtt::publish::{self, Header, Publish};
use tidemq::mqtt::subscribe::{FiltersBuilder, Subscribe, SubscriptionOptions};
use tidemq::mqtt::{
    Packet, PacketId, PacketType, QoS, ReasonCode, Sender, Version, Violation, decode, frame,
};

use crate::inflight::{Inflight, Outgoing};
use crate::plan::{Durability, Identity};
use crate::tls::Over;
use crate::websocket::Broken;

/// The largest packet taken from a broker, in bytes.
const MAX_PACKET: usize = 64 << 20;

/// Filters in one SUBSCRIBE: brokers limit them.
const FILTERS: usize = 100;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// No connection, or CONNECT not sent yet.
    Down,
    /// CONNECT was sent.
    Connecting,
    /// CONNACK has come.
    Connected,
}

/// Why a connection cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// CONNACK refused it.
    Refused(ReasonCode),
    /// The broker sent DISCONNECT.
    Disconnected(ReasonCode),
    /// The broker broke the protocol.
    Violation(Violation),
    /// The broker sent a packet that does not belong there.
    Unexpected(PacketType),
    /// The WebSocket that carries it cannot go on.
    WebSocket(Broken),
    /// The TLS that carries it has ended; it knows why.
    Tls,
}

impl From<Over> for Ended {
    fn from(_: Over) -> Ended {
        Ended::Tls
    }
}

impl From<Broken> for Ended {
    fn from(broken: Broken) -> Ended {
        Ended::WebSocket(broken)
    }
}

/// A message that arrived.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Its payload.
    pub payload: &'a [u8],
    /// The QoS with which it came.
    pub qos: QoS,
    /// The DUP flag.
    pub dup: bool,
}

/// Who wants to know what happens on a connection.
pub trait Observer {
    /// CONNACK: the session was present or not; the broker takes so many unacknowledged messages.
    fn connected(&mut self, session_present: bool, receive_maximum: u16);
    /// SUBACK: what was granted, a code for each filter.
    fn subscribed(&mut self, codes: &[u8]);
    /// A delivery; a repeated QoS 2 one is not a delivery.
    fn delivered(&mut self, delivery: Delivery<'_>);
    /// A message is done with: PUBACK, PUBCOMP, or a refusal.
    fn acknowledged(&mut self, message: Outgoing, reason: ReasonCode);
}

/// A QoS 0 message whose neighbours may be its like.
struct Run<'a> {
    /// Everything before the payload.
    head: &'a [u8],
    /// Length of the packet.
    len: usize,
    delivery: Delivery<'a>,
}

impl<'a> Run<'a> {
    fn of(packet: &'a [u8], publish: &Publish<'a>) -> Option<Run<'a>> {
        let head = &packet[..packet.len() - publish.payload.len()];
        let &Publish { topic, payload, qos, dup, .. } = publish;
        (qos == QoS::AtMostOnce).then_some(Run {
            head,
            len: packet.len(),
            delivery: Delivery { topic, payload, qos, dup },
        })
    }
}

/// A client.
#[derive(Debug)]
pub struct Client {
    version: Version,
    stage: Stage,
    /// What survives a connection.
    pub inflight: Inflight,
    /// The head of a packet whose rest has not arrived.
    partial: Vec<u8>,
    pings_unanswered: u32,
}

impl Client {
    /// A client that is not connected.
    pub fn new(version: Version) -> Client {
        Client {
            version,
            stage: Stage::Down,
            inflight: Inflight::default(),
            partial: Vec::new(),
            pings_unanswered: 0,
        }
    }

    /// Where its connection stands.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Its protocol version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The connection is gone; the session stays.
    pub fn down(&mut self) {
        self.stage = Stage::Down;
        self.partial = Vec::new();
        self.pings_unanswered = 0;
    }

    /// Writes CONNECT.
    pub fn connect(&mut self, identity: &Identity, out: &mut Vec<u8>) {
        identity.connect(self.version).encode(self.version, out);
        self.stage = Stage::Connecting;
    }

    /// Writes SUBSCRIBE for `filters`, in several packets where there are many. Packet identifiers count from 1:
    /// who subscribes does not publish, so they meet no others.
    pub fn subscribe(&self, filters: &[String], qos: QoS, out: &mut Vec<u8>) {
        for (id, some) in (1..).zip(filters.chunks(FILTERS)) {
            let mut list = FiltersBuilder::default();
            for filter in some {
                list.push(filter, SubscriptionOptions::of_qos(qos));
            }
            let packet_id = PacketId::new(id).expect("counts from 1; 6,553,500 filters are never asked for");
            Subscribe { packet_id, subscription_id: None, user: Default::default(), filters: list.filters() }
                .encode(self.version, out);
        }
    }

    /// Writes PINGREQ; returns how many before it are still unanswered.
    pub fn ping(&mut self, out: &mut Vec<u8>) -> u32 {
        out.extend(PINGREQ);
        self.pings_unanswered += 1;
        self.pings_unanswered - 1
    }

    /// Writes DISCONNECT, which ends the session (in 3.1.1 only a clean one ends).
    pub fn disconnect(&self, durability: Durability, out: &mut Vec<u8>) {
        let session_expiry_secs = (durability == Durability::Durable).then_some(0);
        Disconnect { session_expiry_secs, ..Disconnect::new(ReasonCode::Success) }.encode(self.version, out);
    }

    /// Writes a QoS 0 PUBLISH.
    pub fn publish_at_most_once(&self, topic: &str, payload: &[u8], out: &mut Vec<u8>) {
        self.write_publish(topic, payload, QoS::AtMostOnce, None, false, out);
    }

    /// Writes a PUBLISH at QoS 1 or 2 and keeps it in flight; its identifier came from `Inflight::free_id`.
    pub fn publish(&mut self, message: Outgoing, topic: &str, payload: &[u8], out: &mut Vec<u8>) {
        self.inflight.push(message);
        self.write_publish(topic, payload, message.qos, Some(message.packet_id), false, out);
    }

    /// Writes a message again after its session was resumed: PUBLISH with DUP, or PUBREL `[MQTT-4.4.0-1]`.
    pub fn repeat(&self, message: &Outgoing, topic: &str, payload: &[u8], out: &mut Vec<u8>) {
        if message.released {
            self.answer(PacketType::PubRel, message.packet_id, ReasonCode::Success, out);
        } else {
            self.write_publish(topic, payload, message.qos, Some(message.packet_id), true, out);
        }
    }

    fn write_publish(
        &self,
        topic: &str,
        payload: &[u8],
        qos: QoS,
        packet_id: Option<PacketId>,
        dup: bool,
        out: &mut Vec<u8>,
    ) {
        let header = Header {
            dup,
            qos,
            retain: false,
            topic,
            packet_id,
            message_expiry_secs: None,
            subscription_ids: &[],
            topic_alias: None,
            passed_on: &[],
        };
        header.encode(self.version, payload, out);
    }

    fn answer(&self, kind: PacketType, id: PacketId, reason: ReasonCode, out: &mut Vec<u8>) {
        encode_short(kind, id, reason, self.version, out);
    }

    /// Takes bytes from the connection, answers into `out`, and tells `observer`. An error ends the connection.
    pub fn handle_bytes(
        &mut self,
        bytes: &[u8],
        out: &mut Vec<u8>,
        observer: &mut impl Observer,
    ) -> Result<(), Ended> {
        if self.partial.is_empty() {
            let used = self.handle_packets(bytes, out, observer)?;
            self.partial.extend_from_slice(&bytes[used..]);
            return Ok(());
        }
        let mut joined = std::mem::take(&mut self.partial);
        joined.extend_from_slice(bytes);
        let used = self.handle_packets(&joined, out, observer)?;
        joined.drain(..used);
        self.partial = joined;
        Ok(())
    }

    /// Handles the whole packets at the head of `bytes`; returns their length.
    fn handle_packets(
        &mut self,
        bytes: &[u8],
        out: &mut Vec<u8>,
        observer: &mut impl Observer,
    ) -> Result<usize, Ended> {
        let mut at = 0;
        let mut run: Option<Run<'_>> = None;
        loop {
            // In a flood neighbours differ in nothing but their payload: equal bytes decode to the same again.
            if let Some(Run { head, len, delivery }) = &run
                && let Some(packet) = bytes.get(at..at + len).filter(|p| p.starts_with(head))
            {
                observer.delivered(Delivery { payload: &packet[head.len()..], ..*delivery });
                at += len;
                continue;
            }
            // Matches, and not `map_err` and `?`: those copy what was just written, which stalls on each packet.
            let head = match frame::split(&bytes[at..], MAX_PACKET) {
                Ok(Some(head)) => head,
                Ok(None) => break,
                Err(violation) => return Err(Ended::Violation(violation)),
            };
            let Some(packet) = bytes.get(at..at + head.len) else { break };
            // Nearly everything is PUBLISH: it is decoded without a detour through `Packet`.
            if head.packet_type() == Some(PacketType::Publish) {
                match publish::decode(self.version, head.first, &packet[head.header_len..]) {
                    Ok(publish) => {
                        self.handle_publish(&publish, out, observer)?;
                        run = Run::of(packet, &publish);
                    }
                    Err(violation) => return Err(Ended::Violation(violation)),
                }
            } else {
                let other = decode(self.version, Sender::Server, head, packet).map_err(Ended::Violation)?;
                self.handle_other(&other, out, observer)?;
            }
            at += head.len;
        }
        Ok(at)
    }

    #[inline]
    fn handle_publish(
        &mut self,
        publish: &Publish<'_>,
        out: &mut Vec<u8>,
        observer: &mut impl Observer,
    ) -> Result<(), Ended> {
        if self.stage != Stage::Connected {
            return Err(Ended::Unexpected(PacketType::Publish));
        }
        let delivery =
            Delivery { topic: publish.topic, payload: publish.payload, qos: publish.qos, dup: publish.dup };
        let Some(id) = publish.packet_id else {
            observer.delivered(delivery);
            return Ok(());
        };
        if publish.qos == QoS::AtLeastOnce {
            observer.delivered(delivery);
            self.answer(PacketType::PubAck, id, ReasonCode::Success, out);
        } else {
            if self.inflight.receive(id) {
                observer.delivered(delivery);
            }
            self.answer(PacketType::PubRec, id, ReasonCode::Success, out);
        }
        Ok(())
    }

    fn handle_other(
        &mut self,
        packet: &Packet<'_>,
        out: &mut Vec<u8>,
        observer: &mut impl Observer,
    ) -> Result<(), Ended> {
        match (packet, self.stage) {
            (Packet::ConnAck(c), Stage::Connecting) => return self.handle_connack(c, observer),
            (Packet::Disconnect(d), _) => return Err(Ended::Disconnected(d.reason)),
            (Packet::SubAck(s), Stage::Connected) => observer.subscribed(s.codes),
            (Packet::PubAck(a), Stage::Connected) => self.finish(a, a.reason, observer),
            // The broker took the message, and says so again if it has forgotten it meanwhile: a PUBREL that is sent
            // once more after a cut may find its identifier free.
            (Packet::PubComp(a), Stage::Connected) => self.finish(a, ReasonCode::Success, observer),
            (Packet::PubRec(a), Stage::Connected) if a.reason.is_error() => {
                self.finish(a, a.reason, observer);
            }
            (Packet::PubRec(a), Stage::Connected) => {
                let known = self.inflight.release(a.packet_id);
                let reason = if known { ReasonCode::Success } else { ReasonCode::PacketIdentifierNotFound };
                self.answer(PacketType::PubRel, a.packet_id, reason, out);
            }
            (Packet::PubRel(a), Stage::Connected) => {
                let known = self.inflight.released(a.packet_id);
                let reason = if known { ReasonCode::Success } else { ReasonCode::PacketIdentifierNotFound };
                self.answer(PacketType::PubComp, a.packet_id, reason, out);
            }
            (Packet::PingResp, Stage::Connected) => self.pings_unanswered = 0,
            (other, _) => return Err(Ended::Unexpected(other.packet_type())),
        }
        Ok(())
    }

    fn handle_connack(&mut self, connack: &ConnAck<'_>, observer: &mut impl Observer) -> Result<(), Ended> {
        if connack.reason.is_error() {
            return Err(Ended::Refused(connack.reason));
        }
        self.stage = Stage::Connected;
        if !connack.session_present {
            self.inflight.forget_incoming();
        }
        observer.connected(connack.session_present, connack.properties.receive_maximum.unwrap_or(u16::MAX));
        Ok(())
    }

    /// An acknowledgement for a message that is not in flight is left alone: after a resumption it may come twice.
    fn finish(&mut self, ack: &Ack<'_>, reason: ReasonCode, observer: &mut impl Observer) {
        if let Some(message) = self.inflight.finish(ack.packet_id) {
            observer.acknowledged(message, reason);
        }
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
