//! Acknowledgements of both directions, and what moves when one arrives.

use crate::mqtt::ack::Ack;
use crate::mqtt::{Packet, PacketId, PacketType, ReasonCode, Version, Violation};
use crate::session::outgoing::ToSend;
use crate::session::{AckKind, Acknowledged, Outcome};

use super::Shard;
use super::connection::Urgency;
use super::encode::{Frame, header};
use super::system::replace;

impl Shard {
    /// Sends the acknowledgements that are ready, in the order of the publishes.
    pub(super) fn send_acks(&mut self, client: u32) {
        let c = &mut self.clients[client];
        let (Some(conn), Some(flow)) = (c.conn, &mut c.flow) else { return };
        let connection = &mut self.connections[conn.index as usize];
        while let Some((id, kind, outcome)) = flow.inbound.poll_ack() {
            let reason = match outcome {
                Outcome::Matched => ReasonCode::Success,
                Outcome::NoMatch => ReasonCode::NoMatchingSubscribers,
                Outcome::Refused(reason) => reason,
            };
            let kind = match kind {
                AckKind::PubAck => PacketType::PubAck,
                AckKind::PubRec => PacketType::PubRec,
            };
            let out = self.dirty.writer(conn.index, &mut connection.out, Urgency::Answer);
            crate::mqtt::ack::encode_short(kind, id, reason, c.version, out);
            self.counters.other_packets_sent += 1;
        }
    }

    /// PUBACK, PUBREC, PUBREL or PUBCOMP from a client.
    pub(super) fn handle_ack(
        &mut self,
        client: u32,
        kind: PacketType,
        ack: &Ack<'_>,
    ) -> Result<(), Violation> {
        let id = ack.packet_id;
        let flow = self.clients[client].flow_mut();
        let fit = match kind {
            PacketType::PubAck => flow.outgoing.puback(id),
            PacketType::PubRec if ack.reason.is_error() => flow.outgoing.pubrec_refused(id),
            PacketType::PubRec => {
                let fit = flow.outgoing.pubrec(id);
                match fit {
                    Acknowledged::Fits => {
                        self.answer_ack(client, PacketType::PubRel, id, ReasonCode::Success);
                    }
                    Acknowledged::Unknown => {
                        self.answer_ack(client, PacketType::PubRel, id, ReasonCode::PacketIdentifierNotFound);
                    }
                    Acknowledged::Misfit => return Err(Violation::AckOfWrongType),
                }
                return Ok(()); // the message still counts as in flight: no room for another
            }
            PacketType::PubComp => flow.outgoing.pubcomp(id),
            _ => {
                let known = flow.inbound.release(id);
                let reason = if known { ReasonCode::Success } else { ReasonCode::PacketIdentifierNotFound };
                self.answer_ack(client, PacketType::PubComp, id, reason);
                return Ok(());
            }
        };
        match fit {
            Acknowledged::Fits => self.pump(client),
            // A late repetition: the standard asks for nothing, so nothing is done.
            Acknowledged::Unknown => {}
            Acknowledged::Misfit => return Err(Violation::AckOfWrongType),
        }
        Ok(())
    }

    fn answer_ack(&mut self, client: u32, kind: PacketType, id: PacketId, reason: ReasonCode) {
        let c = &self.clients[client];
        let Some(conn) = c.conn else { return };
        let connection = &mut self.connections[conn.index as usize];
        let out = self.dirty.writer(conn.index, &mut connection.out, Urgency::Answer);
        crate::mqtt::ack::encode_short(kind, id, reason, c.version, out);
        self.counters.other_packets_sent += 1;
    }

    /// Sends what waits for this client, as far as its window and its output allow; then asks for more of a
    /// replay of retained messages.
    pub(super) fn pump(&mut self, client: u32) {
        let c = &mut self.clients[client];
        let (Some(conn), Some(flow)) = (c.conn, &mut c.flow) else { return };
        let connection = &mut self.connections[conn.index as usize];
        let output_limit = self.snapshot.limits.output_bytes as usize;
        let drops = &mut self.counters.drops;
        let backlog = flow.outgoing.backlog();
        while flow.outgoing.has_more() && connection.out.len() <= output_limit {
            let Some(next) = flow.outgoing.poll_send(self.now, &mut drops.expired) else { break };
            let too_large = match next {
                ToSend::PubRel(id) => {
                    let out = self.dirty.writer(conn.index, &mut connection.out, Urgency::Delivery);
                    crate::mqtt::ack::encode_short(
                        PacketType::PubRel,
                        id,
                        ReasonCode::Success,
                        c.version,
                        out,
                    );
                    self.counters.other_packets_sent += 1;
                    None
                }
                ToSend::Publish { offer, id, dup } => {
                    let frame = Frame { qos: offer.qos, retain: offer.retain, dup };
                    let item = &offer.run.items()[offer.item as usize];
                    let mut header = header(&offer.run, offer.item as usize, frame, &offer.ids, self.now);
                    header.packet_id = Some(id);
                    let out = self.dirty.writer(conn.index, &mut connection.out, Urgency::Delivery);
                    let start = out.len();
                    header.encode(c.version, offer.run.payload(item), out);
                    let fits = out.len() - start <= connection.maximum_packet as usize;
                    if !fits {
                        out.truncate(start);
                        drops.too_large += 1; // [MQTT-3.1.2-25]
                    } else if dup {
                        self.counters.other_packets_sent += 1;
                    } else {
                        self.counters.messages_sent += 1;
                        self.counters.payload_bytes_sent += offer.run.payload_bytes(item) as u64;
                    }
                    (!fits).then_some(id)
                }
            };
            if let Some(id) = too_large {
                flow.outgoing.skip(id);
            }
        }
        replace(&mut self.backlogs, backlog, flow.outgoing.backlog());
        if !flow.replays.is_empty() {
            self.pull_replays(client);
        }
    }

    /// Appends a whole packet to a connection's output, as an answer.
    pub(super) fn answer(&mut self, index: u32, packet: &Packet<'_>) {
        let connection = &mut self.connections[index as usize];
        let version: Version = connection.version;
        let out = self.dirty.writer(index, &mut connection.out, Urgency::Answer);
        packet.encode(version, out);
        self.counters.other_packets_sent += 1;
    }
}
