//! Acknowledgements of both directions, and what moves when one arrives.

use crate::mqtt::ack::{Ack, encode_short};
use crate::mqtt::publish::Header;
use crate::mqtt::{Packet, PacketId, PacketType, ReasonCode, Violation};
use crate::routing::Homes;
use crate::session::outgoing::ToSend;
use crate::session::{AckKind, Acknowledged, ConnId, Offer, Outcome, ReadyAck, Release};
use crate::time::Time;

use super::Shard;
use super::alias::Naming;
use super::connection::{Connection, Dirty, Urgency};
use super::encode::{Frame, header};
use super::explain::why;
use super::system::replace;

impl Shard {
    /// Sends the acknowledgements that are ready, in the order of the publishes.
    pub(super) fn send_acks(&mut self, client: u32) {
        let c = &mut self.clients[client];
        let (Some(conn), Some(flow)) = (c.conn, &mut c.flow) else { return };
        let connection = &mut self.connections[conn.index as usize];
        while let Some(ReadyAck { packet_id, kind, outcome, released }) = flow.inbound.poll_ack() {
            let kind = match kind {
                AckKind::PubAck => PacketType::PubAck,
                AckKind::PubRec => PacketType::PubRec,
            };
            let reason = match outcome {
                Outcome::Matched => ReasonCode::Success,
                Outcome::NoMatch => ReasonCode::NoMatchingSubscribers,
                Outcome::Refused(reason) => {
                    let ack = Ack::new(packet_id, reason);
                    let packet =
                        if kind == PacketType::PubAck { Packet::PubAck(ack) } else { Packet::PubRec(ack) };
                    let sent = put_answer(&mut self.dirty, conn.index, connection, &packet, why(&packet));
                    self.counters.other_packets_sent += u64::from(sent);
                    continue;
                }
            };
            let out = self.dirty.writer(conn.index, &mut connection.out, Urgency::Answer);
            encode_short(kind, packet_id, reason, c.version, out);
            self.counters.other_packets_sent += 1;
            if released {
                encode_short(PacketType::PubComp, packet_id, ReasonCode::Success, c.version, out);
                self.counters.other_packets_sent += 1;
            }
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
                let reason = match flow.inbound.release(id) {
                    Release::Done => ReasonCode::Success,
                    Release::Later => return Ok(()), // its PUBCOMP goes right behind the PUBREC
                    Release::Unknown => ReasonCode::PacketIdentifierNotFound,
                };
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
        encode_short(kind, id, reason, c.version, out);
        self.counters.other_packets_sent += 1;
    }

    /// Sends what waits for this client, as far as its window and its output allow; then asks for more of a
    /// replay of retained messages.
    pub(super) fn pump(&mut self, client: u32) {
        let c = &mut self.clients[client];
        let (Some(conn), Some(flow)) = (c.conn, &mut c.flow) else { return };
        debug_assert!(c.standing.is_current(self.epoch), "whoever pumps has settled the client's standing");
        let connection = &mut self.connections[conn.index as usize];
        let output_limit = self.snapshot.limits.output_bytes as usize;
        let backlog = flow.outgoing.backlog();
        let counters = &mut self.counters;
        let mut for_others = Vec::new();
        while flow.outgoing.has_more() && connection.out.len() <= output_limit {
            let Some(next) = flow.outgoing.poll_send(self.now, &mut counters.drops.expired) else { break };
            let mut put = |offer: &Offer, id, dup| {
                let sent =
                    put_publish(&mut self.dirty, conn, connection, &self.homes, self.now, (offer, id, dup));
                let counts = u64::from(!offer.run.system); // what the broker says of itself counts nowhere
                if !sent {
                    counters.drops.too_large += counts; // [MQTT-3.1.2-25]
                } else if dup {
                    counters.other_packets_sent += 1;
                } else {
                    let item = &offer.run.items()[offer.item as usize];
                    counters.messages_sent += counts;
                    counters.payload_bytes_sent += counts * offer.run.payload_bytes(item) as u64;
                }
                sent
            };
            // What waited, or was sent before, was judged when it came: who may read it now?
            let refused = |offer: &Offer| {
                c.standing.has_rules() && !c.standing.may_read(self.rules.as_ref(), offer.run.topic())
            };
            let skipped = match next {
                ToSend::PubRel(id) => {
                    let out = self.dirty.writer(conn.index, &mut connection.out, Urgency::Delivery);
                    encode_short(PacketType::PubRel, id, ReasonCode::Success, c.version, out);
                    counters.other_packets_sent += 1;
                    None
                }
                ToSend::Publish { offer, id, dup } if refused(offer) => {
                    if offer.shared.is_some() && !dup {
                        for_others.push(offer.clone()); // another member may read it
                    } else {
                        counters.drops.refused += 1;
                    }
                    Some(id)
                }
                ToSend::Publish { offer, id, dup } => (!put(offer, Some(id), dup)).then_some(id),
                ToSend::Once(offer) if refused(&offer) => {
                    counters.drops.refused += 1;
                    None
                }
                ToSend::Once(offer) => {
                    put(&offer, None, false);
                    None
                }
            };
            if let Some(id) = skipped {
                flow.outgoing.skip(id);
            }
        }
        c.holds_back = flow.outgoing.holds_back();
        replace(&mut self.backlogs, backlog, flow.outgoing.backlog());
        let replays = !flow.replays.is_empty();
        self.hand_back(for_others);
        if replays {
            self.pull_replays(client);
        }
    }

    /// Appends a whole packet to a connection's output, as an answer; where it refuses something, with the reason.
    pub(super) fn answer(&mut self, index: u32, packet: &Packet<'_>) {
        self.answer_because(index, packet, why(packet));
    }

    /// The same, with this reason.
    pub(super) fn answer_because(&mut self, index: u32, packet: &Packet<'_>, why: Option<&str>) {
        let connection = &mut self.connections[index as usize];
        let sent = put_answer(&mut self.dirty, index, connection, packet, why);
        self.counters.other_packets_sent += u64::from(sent);
    }
}

/// Appends one PUBLISH: which, with which identifier, whether again. False: it is larger than the client takes.
fn put_publish(
    dirty: &mut Dirty,
    conn: ConnId,
    connection: &mut Connection,
    homes: &Homes,
    now: Time,
    (offer, id, dup): (&Offer, Option<PacketId>, bool),
) -> bool {
    let (run, version) = (&offer.run, connection.version);
    let payload = run.payload(&run.items()[offer.item as usize]);
    let frame = Frame { qos: offer.qos, retain: offer.retain, dup };
    let with =
        |naming| Header { packet_id: id, ..header(run, offer.item as usize, frame, naming, &offer.ids, now) };
    let maximum = connection.maximum_packet as usize;
    let hash = || homes.hash(run.topic().as_bytes());
    let mut naming = connection.naming(run.topic(), hash);
    if naming != Naming::Name && with(naming).encoded_len(version, payload.len()) > maximum {
        naming = Naming::Name;
    }
    let header = with(naming);
    if header.encoded_len(version, payload.len()) > maximum {
        return false;
    }
    header.encode(version, payload, dirty.writer(conn.index, &mut connection.out, Urgency::Delivery));
    connection.appended(naming, run.topic(), hash);
    true
}

/// Appends an answer, within the client's Maximum Packet Size `[MQTT-3.1.2-24]`. A Reason String goes along where the
/// client may be sent one `[MQTT-3.1.2-29]` and it fits `[MQTT-3.2.2-19, 3.4.2-2, 3.5.2-2, 3.9.2-1, 3.11.2-1,
/// 3.14.2-3]`. False: it is too large without it too, and is not sent.
fn put_answer(
    dirty: &mut Dirty,
    index: u32,
    connection: &mut Connection,
    packet: &Packet<'_>,
    why: Option<&str>,
) -> bool {
    let Connection { version, maximum_packet, problem_information, out, .. } = connection;
    let asked = *problem_information || matches!(packet, Packet::ConnAck(_) | Packet::Disconnect(_));
    let out = dirty.writer(index, out, Urgency::Answer);
    let start = out.len();
    let mut put = |packet: &Packet<'_>| {
        packet.encode(*version, out);
        let fits = out.len() - start <= *maximum_packet as usize;
        if !fits {
            out.truncate(start);
        }
        fits
    };
    let explained = why.filter(|_| asked && version.has_properties()).map(|text| packet.explained(text));
    explained.is_some_and(|packet| put(&packet)) || put(packet)
}
