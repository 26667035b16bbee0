//! Packets as the virtual clients write and read them, by the library's codec: owned values on the way in.

use std::num::{NonZeroU16, NonZeroU32};

use tidemq::mqtt::ack::Ack;
use tidemq::mqtt::disconnect::Disconnect;
use tidemq::mqtt::property::UserProperties;
use tidemq::mqtt::publish::{Publish, PublishProperties};
use tidemq::mqtt::subscribe::{Filters, Subscribe, SubscriptionOptions};
use tidemq::mqtt::unsubscribe::{FilterNames, Unsubscribe};
use tidemq::mqtt::{Packet, PacketId, QoS, ReasonCode, Sender, Version, decode, frame};

/// What a server sends, owned.
#[derive(Clone, Debug)]
pub enum Heard {
    ConnAck(HeardConnAck),
    Publish(HeardPublish),
    PubAck(u16, u8),
    PubRec(u16, u8),
    PubRel(u16, u8),
    PubComp(u16, u8),
    SubAck(u16, Vec<u8>),
    UnsubAck(u16, Vec<u8>),
    PingResp,
    Disconnect(u8),
}

/// Bytes that show as text.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Text(pub Vec<u8>);

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let head = &self.0[..self.0.len().min(16)];
        write!(f, "\"{}\" ({} bytes)", head.escape_ascii(), self.0.len())
    }
}

#[derive(Clone, Debug)]
pub struct HeardConnAck {
    pub session_present: bool,
    pub code: u8,
    pub receive_maximum: u16,
    pub topic_alias_maximum: u16,
    pub keep_alive_secs: Option<u16>,
    pub expiry_secs: Option<u32>,
    /// What is announced: largest packet, shared subscriptions.
    pub maximum_packet_size: Option<u32>,
    pub shared_available: bool,
}

#[derive(Clone, Debug)]
pub struct HeardPublish {
    pub dup: bool,
    pub qos: QoS,
    pub retain: bool,
    pub topic: String,
    pub packet_id: Option<u16>,
    pub alias: Option<u16>,
    pub ids: Vec<u32>,
    pub expiry_secs: Option<u32>,
    /// The properties that pass unaltered, in order, as bytes.
    pub passed_on: Text,
    pub payload: Text,
    /// Of the whole packet.
    pub bytes: usize,
}

/// Takes the first whole packet off `bytes`; `Err` when no client could read it.
pub fn hear(version: Version, bytes: &mut Vec<u8>, maximum: usize) -> Result<Option<Heard>, String> {
    let head = frame::split(bytes, maximum).map_err(|v| format!("not a frame: {v:?}"))?;
    let Some(frame) = head.filter(|frame| frame.len <= bytes.len()) else { return Ok(None) };
    let packet = decode(version, Sender::Server, frame, &bytes[..frame.len])
        .map_err(|v| format!("cannot be decoded: {v:?}: {:02x?}", &bytes[..frame.len.min(64)]))?;
    let heard = own(packet, frame.len)?;
    bytes.drain(..frame.len);
    Ok(Some(heard))
}

fn own(packet: Packet<'_>, bytes: usize) -> Result<Heard, String> {
    Ok(match packet {
        Packet::ConnAck(p) => Heard::ConnAck(HeardConnAck {
            session_present: p.session_present,
            code: p.reason as u8,
            receive_maximum: p.properties.receive_maximum.unwrap_or(u16::MAX),
            topic_alias_maximum: p.properties.topic_alias_maximum.unwrap_or(0),
            keep_alive_secs: p.properties.server_keep_alive_secs,
            expiry_secs: p.properties.session_expiry_secs,
            maximum_packet_size: p.properties.maximum_packet_size,
            shared_available: p.properties.shared_subscription_available.unwrap_or(true),
        }),
        Packet::Publish(p) => Heard::Publish(HeardPublish {
            dup: p.dup,
            qos: p.qos,
            retain: p.retain,
            topic: p.topic.to_owned(),
            packet_id: p.packet_id.map(PacketId::as_u16),
            alias: p.properties.topic_alias.map(NonZeroU16::get),
            ids: p.properties.subscription_ids.to_vec(),
            expiry_secs: p.properties.message_expiry_secs,
            passed_on: Text(passed_on(&p.properties)),
            payload: Text(p.payload.to_vec()),
            bytes,
        }),
        Packet::PubAck(p) => Heard::PubAck(p.packet_id.as_u16(), p.reason as u8),
        Packet::PubRec(p) => Heard::PubRec(p.packet_id.as_u16(), p.reason as u8),
        Packet::PubRel(p) => Heard::PubRel(p.packet_id.as_u16(), p.reason as u8),
        Packet::PubComp(p) => Heard::PubComp(p.packet_id.as_u16(), p.reason as u8),
        Packet::SubAck(p) => Heard::SubAck(p.packet_id.as_u16(), p.codes.to_vec()),
        Packet::UnsubAck(p) => Heard::UnsubAck(p.packet_id.as_u16(), p.codes.to_vec()),
        Packet::PingResp => Heard::PingResp,
        Packet::Disconnect(p) => Heard::Disconnect(p.reason as u8),
        other => return Err(format!("a server does not send {other:?}")),
    })
}

fn passed_on(properties: &PublishProperties<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    properties.append_passed_on(&mut out);
    out
}

/// The bytes of a packet.
pub fn bytes(packet: &Packet<'_>, version: Version) -> Vec<u8> {
    let mut out = Vec::new();
    packet.encode(version, &mut out);
    out
}

/// Which acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::enum_variant_names, reason = "the names are the standard's")]
pub enum AckKind {
    PubAck,
    PubRec,
    PubRel,
    PubComp,
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
pub fn ack(version: Version, kind: AckKind, packet_id: u16) -> Vec<u8> {
    ack_with(version, kind, packet_id, ReasonCode::Success)
}

/// The same, with a reason.
pub fn ack_with(version: Version, kind: AckKind, packet_id: u16, reason: ReasonCode) -> Vec<u8> {
    let ack = Ack { packet_id: id(packet_id), reason, reason_string: None, user: UserProperties::default() };
    let packet = match kind {
        AckKind::PubAck => Packet::PubAck(ack),
        AckKind::PubRec => Packet::PubRec(ack),
        AckKind::PubRel => Packet::PubRel(ack),
        AckKind::PubComp => Packet::PubComp(ack),
    };
    bytes(&packet, version)
}

/// A packet identifier that is not zero.
pub fn id(packet_id: u16) -> PacketId {
    PacketId::new(packet_id).expect("clients count from 1")
}

/// A PUBLISH as a client writes it.
pub struct Published<'a> {
    pub dup: bool,
    pub qos: QoS,
    pub retain: bool,
    /// Empty when the alias stands in for it.
    pub topic: &'a str,
    pub alias: Option<u16>,
    pub expiry_secs: Option<u32>,
    pub packet_id: Option<u16>,
    /// A property area of what passes unaltered.
    pub passed_on: &'a [u8],
    /// Subscription identifiers: a client must not send any.
    pub ids: &'a [u32],
    pub payload: &'a [u8],
}

/// PUBLISH.
pub fn publish(version: Version, p: &Published<'_>) -> Vec<u8> {
    let properties = PublishProperties {
        message_expiry_secs: p.expiry_secs,
        topic_alias: p.alias.and_then(NonZeroU16::new),
        subscription_ids: p.ids.into(),
        raw: p.passed_on,
    };
    let packet = Packet::Publish(Publish {
        dup: p.dup,
        qos: p.qos,
        retain: p.retain,
        topic: p.topic,
        packet_id: p.packet_id.map(id),
        properties,
        payload: p.payload,
    });
    bytes(&packet, version)
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    let len = u16::try_from(text.len()).expect("short filters");
    out.extend(len.to_be_bytes());
    out.extend(text.as_bytes());
}

/// SUBSCRIBE.
pub fn subscribe(
    version: Version,
    packet_id: u16,
    sub_id: Option<u32>,
    filters: &[(String, SubscriptionOptions)],
) -> Vec<u8> {
    let mut raw = Vec::new();
    for (filter, options) in filters {
        push_text(&mut raw, filter);
        let bits = options.qos as u8
            | u8::from(options.no_local) << 2
            | u8::from(options.retain_as_published) << 3
            | (options.retain_handling as u8) << 4;
        raw.push(if version == Version::V5 { bits } else { bits & 3 });
    }
    let packet = Packet::Subscribe(Subscribe {
        packet_id: id(packet_id),
        subscription_id: sub_id.and_then(NonZeroU32::new),
        user: UserProperties::default(),
        filters: Filters { raw: &raw },
    });
    bytes(&packet, version)
}

/// UNSUBSCRIBE.
pub fn unsubscribe(version: Version, packet_id: u16, filters: &[String]) -> Vec<u8> {
    let mut raw = Vec::new();
    for filter in filters {
        push_text(&mut raw, filter);
    }
    let packet = Packet::Unsubscribe(Unsubscribe {
        packet_id: id(packet_id),
        user: UserProperties::default(),
        filters: FilterNames { raw: &raw },
    });
    bytes(&packet, version)
}

/// DISCONNECT.
pub fn disconnect(version: Version, reason: ReasonCode, expiry_secs: Option<u32>) -> Vec<u8> {
    let packet = Packet::Disconnect(Disconnect {
        reason,
        session_expiry_secs: expiry_secs,
        reason_string: None,
        server_reference: None,
        user: UserProperties::default(),
    });
    bytes(&packet, version)
}
