//! PUBACK, PUBREC, PUBREL, PUBCOMP, and SUBACK and UNSUBACK. Which exchange they end is not known here.

use super::packet::{PacketId, PacketType, Sender, Version};
use super::property::{Area, Property, UserProperties};
use super::reader::Reader;
use super::reason::ReasonCode;
use super::violation::Violation;
use super::writer::{put_measured, put_packet, put_u16};

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are the standard's")]
pub struct Ack<'a> {
    pub packet_id: PacketId,
    pub reason: ReasonCode,
    pub reason_string: Option<&'a str>,
    pub user: UserProperties<'a>,
}

impl<'a> Ack<'a> {
    /// An acknowledgement without properties.
    pub fn new(packet_id: PacketId, reason: ReasonCode) -> Ack<'a> {
        Ack { packet_id, reason, reason_string: None, user: UserProperties::default() }
    }

    pub(super) fn decode(
        version: Version,
        packet_type: PacketType,
        sender: Sender,
        body: &'a [u8],
    ) -> Result<Ack<'a>, Violation> {
        let mut reader = Reader::new(body);
        let packet_id = PacketId::read(&mut reader)?;
        if !version.has_properties() {
            reader.finish()?;
            return Ok(Ack::new(packet_id, ReasonCode::Success));
        }
        if reader.is_empty() {
            return Ok(Ack::new(packet_id, ReasonCode::Success));
        }
        let reason = ReasonCode::from_u8(reader.u8()?)
            .filter(|reason| reason.may_stand_in(packet_type, sender))
            .ok_or(Violation::UnknownReasonCode)?;
        // The property length may be missing too `[MQTT 5.0, 3.4.2.2.1]`.
        if reader.is_empty() {
            return Ok(Ack::new(packet_id, reason));
        }
        let (reason_string, user) = read_properties(&mut reader)?;
        reader.finish()?;
        Ok(Ack { packet_id, reason, reason_string, user })
    }

    /// Appends the acknowledgement as a packet of `packet_type`.
    pub fn encode(&self, packet_type: PacketType, version: Version, out: &mut Vec<u8>) {
        if self.reason_string.is_none() && self.user.is_empty() {
            return encode_short(packet_type, self.packet_id, self.reason, version, out);
        }
        put_packet(out, packet_type.first_byte(), |out| {
            put_u16(out, self.packet_id.as_u16());
            if version.has_properties() {
                out.push(self.reason as u8);
                put_properties(out, self.reason_string, self.user);
            }
        });
    }
}

/// Appends a PUBACK, PUBREC, PUBREL or PUBCOMP without properties: four bytes, five for a reason other than
/// success in 5.0.
#[inline]
pub fn encode_short(
    packet_type: PacketType,
    packet_id: PacketId,
    reason: ReasonCode,
    version: Version,
    out: &mut Vec<u8>,
) {
    let [high, low] = packet_id.as_u16().to_be_bytes();
    if version.has_properties() && reason != ReasonCode::Success {
        out.extend_from_slice(&[packet_type.first_byte(), 3, high, low, reason as u8]);
    } else {
        out.extend_from_slice(&[packet_type.first_byte(), 2, high, low]);
    }
}

/// SUBACK: one code a filter, in order. For 3.1.1 the encoder writes every failure as 0x80.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are the standard's")]
pub struct SubAck<'a> {
    pub packet_id: PacketId,
    pub reason_string: Option<&'a str>,
    pub user: UserProperties<'a>,
    /// Reason codes as bytes; each is one that SUBACK may carry.
    pub codes: &'a [u8],
}

impl<'a> SubAck<'a> {
    pub(super) fn decode(version: Version, body: &'a [u8]) -> Result<SubAck<'a>, Violation> {
        let mut reader = Reader::new(body);
        let packet_id = PacketId::read(&mut reader)?;
        let (reason_string, user) = read_properties_of(version, &mut reader)?;
        let codes = reader.take_rest();
        if version.has_properties() {
            check_codes(PacketType::SubAck, codes)?;
        } else if codes.is_empty() {
            return Err(Violation::NoReasonCodes);
        } else if codes.iter().any(|code| !matches!(code, 0..=2 | 0x80)) {
            // v3 [MQTT-3.9.3-2]
            return Err(Violation::UnknownReasonCode);
        }
        Ok(SubAck { packet_id, reason_string, user, codes })
    }

    /// Appends the packet.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        put_packet(out, PacketType::SubAck.first_byte(), |out| {
            put_u16(out, self.packet_id.as_u16());
            if version.has_properties() {
                put_properties(out, self.reason_string, self.user);
                out.extend_from_slice(self.codes);
            } else {
                out.extend(self.codes.iter().map(|&code| code.min(0x80)));
            }
        });
    }
}

/// UNSUBACK: one code a filter (5.0), none (3.1.1).
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are the standard's")]
pub struct UnsubAck<'a> {
    pub packet_id: PacketId,
    pub reason_string: Option<&'a str>,
    pub user: UserProperties<'a>,
    pub codes: &'a [u8],
}

impl<'a> UnsubAck<'a> {
    pub(super) fn decode(version: Version, body: &'a [u8]) -> Result<UnsubAck<'a>, Violation> {
        let mut reader = Reader::new(body);
        let packet_id = PacketId::read(&mut reader)?;
        if !version.has_properties() {
            reader.finish()?;
            return Ok(UnsubAck {
                packet_id,
                reason_string: None,
                user: UserProperties::default(),
                codes: &[],
            });
        }
        let (reason_string, user) = read_properties(&mut reader)?;
        let codes = reader.take_rest();
        check_codes(PacketType::UnsubAck, codes)?;
        Ok(UnsubAck { packet_id, reason_string, user, codes })
    }

    /// Appends the packet.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        put_packet(out, PacketType::UnsubAck.first_byte(), |out| {
            put_u16(out, self.packet_id.as_u16());
            if version.has_properties() {
                put_properties(out, self.reason_string, self.user);
                out.extend_from_slice(self.codes);
            }
        });
    }
}

/// One code for each filter `[MQTT-3.8.4-6, 3.11.3-1]`, so at least one, each of the packet's table.
fn check_codes(packet_type: PacketType, codes: &[u8]) -> Result<(), Violation> {
    if codes.is_empty() {
        return Err(Violation::NoReasonCodes);
    }
    let is_known = |&code: &u8| {
        ReasonCode::from_u8(code).is_some_and(|reason| reason.may_stand_in(packet_type, Sender::Server))
    };
    // [MQTT-3.9.3-2] [MQTT-3.11.3-2]
    if codes.iter().all(is_known) { Ok(()) } else { Err(Violation::UnknownReasonCode) }
}

type ReasonProperties<'a> = (Option<&'a str>, UserProperties<'a>);

fn read_properties_of<'a>(
    version: Version,
    reader: &mut Reader<'a>,
) -> Result<ReasonProperties<'a>, Violation> {
    if version.has_properties() { read_properties(reader) } else { Ok(Default::default()) }
}

/// The properties that every acknowledgement has: a reason string and user properties.
fn read_properties<'a>(reader: &mut Reader<'a>) -> Result<ReasonProperties<'a>, Violation> {
    let raw = reader.area()?;
    let mut area = Area::new(raw);
    let mut reason_string = None;
    while let Some(property) = area.next()? {
        match property {
            Property::ReasonString(text) => reason_string = Some(text),
            Property::User(..) => {}
            _ => return Err(Violation::MisplacedProperty),
        }
    }
    Ok((reason_string, UserProperties::of_area(raw)))
}

fn put_properties(out: &mut Vec<u8>, reason_string: Option<&str>, user: UserProperties<'_>) {
    put_measured(out, |out| {
        if let Some(text) = reason_string {
            Property::ReasonString(text).append_to(out);
        }
        user.append_to(out);
    });
}
