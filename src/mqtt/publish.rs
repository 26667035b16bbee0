//! PUBLISH: the hot path. Decoding allocates nothing (save for a third subscription identifier, which only a
//! server may send); [`Header`] writes what goes to the subscribers. Who they are is not known here.

use std::num::{NonZeroU16, NonZeroU32};

use smallvec::SmallVec;

use super::packet::{PacketId, PacketType, QoS, Version};
use super::property::{self, Area, PayloadFormat, Property, UserProperties};
use super::reader::Reader;
use super::violation::Violation;
use super::writer::{put_str, put_varint, varint_len};

/// A PUBLISH packet.
#[derive(Clone, Debug, PartialEq)]
pub struct Publish<'a> {
    /// DUP flag.
    pub dup: bool,
    /// Quality of service.
    pub qos: QoS,
    /// RETAIN flag.
    pub retain: bool,
    /// Topic name: valid, or empty when a topic alias stands in for it (5.0).
    pub topic: &'a str,
    /// Present exactly when `qos` is 1 or 2.
    pub packet_id: Option<PacketId>,
    /// Properties (5.0).
    pub properties: PublishProperties<'a>,
    /// Payload.
    pub payload: &'a [u8],
}

/// Properties of PUBLISH. Two are equal when they say the same, however the areas are ordered between what is
/// passed on and what is not.
#[derive(Clone, Debug, Default)]
pub struct PublishProperties<'a> {
    /// Message Expiry Interval in seconds.
    pub message_expiry_secs: Option<u32>,
    /// Topic alias; zero was refused while decoding `[MQTT-3.3.2-8]`.
    pub topic_alias: Option<NonZeroU16>,
    /// The subscription identifiers, in order (a client must not send any; a client may receive several).
    pub subscription_ids: SmallVec<[u32; 2]>,
    /// The whole property area as it was received, validated: see `append_passed_on`. To build one to send, use
    /// `Property::append_to`; the three properties above are taken from their fields, not from here.
    pub raw: &'a [u8],
}

const DUP: u8 = 0x08;
const RETAIN: u8 = 0x01;

/// Decodes a PUBLISH: `first` is its first byte, `body` what follows the fixed header. That a client sends no
/// subscription identifier `[MQTT-3.3.4-6]` is for the caller to check, who knows the sender.
#[inline]
pub fn decode(version: Version, first: u8, body: &[u8]) -> Result<Publish<'_>, Violation> {
    // [MQTT-3.3.1-4], v3 too.
    let qos = QoS::from_u8(first >> 1 & 3).ok_or(Violation::QoS3)?;
    let dup = first & DUP != 0;
    // [MQTT-3.3.1-2], v3 too.
    if dup && qos == QoS::AtMostOnce {
        return Err(Violation::DupOnQoS0);
    }
    let mut reader = Reader::new(body);
    // [MQTT-3.3.2-1] [MQTT-3.3.2-2], v3 too.
    let topic = reader.topic_or_empty()?;
    // [MQTT-2.2.1-2] [MQTT-2.2.1-3], v3 [MQTT-2.3.1-5] [MQTT-2.3.1-1].
    let packet_id = if qos == QoS::AtMostOnce { None } else { Some(PacketId::read(&mut reader)?) };
    let properties = if version.has_properties() {
        PublishProperties::decode(reader.area()?)?
    } else {
        PublishProperties::default()
    };
    // [MQTT-4.7.3-1], v3 too; 5.0 3.3.2.1: only a topic alias may stand for the name.
    if topic.is_empty() && properties.topic_alias.is_none() {
        return Err(Violation::EmptyTopic);
    }
    let payload = reader.take_rest();
    Ok(Publish { dup, qos, retain: first & RETAIN != 0, topic, packet_id, properties, payload })
}

impl Publish<'_> {
    /// Appends the packet.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        let mut passed_on = Vec::new();
        if version.has_properties() {
            self.properties.append_passed_on(&mut passed_on);
        }
        Header {
            dup: self.dup,
            qos: self.qos,
            retain: self.retain,
            topic: self.topic,
            packet_id: self.packet_id,
            message_expiry_secs: self.properties.message_expiry_secs,
            subscription_ids: &self.properties.subscription_ids,
            topic_alias: self.properties.topic_alias,
            passed_on: &passed_on,
        }
        .encode(version, self.payload, out);
    }
}

impl<'a> PublishProperties<'a> {
    #[inline]
    fn decode(raw: &'a [u8]) -> Result<PublishProperties<'a>, Violation> {
        if raw.is_empty() { Ok(PublishProperties::default()) } else { Self::decode_some(raw) }
    }

    fn decode_some(raw: &'a [u8]) -> Result<PublishProperties<'a>, Violation> {
        use Property as P;
        let mut p = PublishProperties { raw, ..Default::default() };
        let mut area = Area::new(raw);
        while let Some(property) = area.next()? {
            match property {
                P::MessageExpirySecs(secs) => p.message_expiry_secs = Some(secs),
                P::TopicAlias(alias) => p.topic_alias = Some(alias),
                P::SubscriptionId(number) => p.subscription_ids.push(number.get()),
                P::PayloadFormat(_)
                | P::ContentType(_)
                | P::ResponseTopic(_)
                | P::CorrelationData(_)
                | P::User(..) => {}
                _ => return Err(Violation::MisplacedProperty),
            }
        }
        Ok(p)
    }

    /// Appends the properties that reach every receiver unaltered and in order: all but the topic alias, the
    /// message expiry and the subscription identifiers.
    pub fn append_passed_on(&self, out: &mut Vec<u8>) {
        property::append_passed_on(self.raw, out);
    }

    /// Payload Format Indicator.
    pub fn payload_format(&self) -> Option<PayloadFormat> {
        property::find(
            self.raw,
            |p| if let Property::PayloadFormat(format) = p { Some(format) } else { None },
        )
    }

    /// Content Type.
    pub fn content_type(&self) -> Option<&'a str> {
        property::find(self.raw, |p| if let Property::ContentType(text) = p { Some(text) } else { None })
    }

    /// Response Topic: a valid topic name.
    pub fn response_topic(&self) -> Option<&'a str> {
        property::find(self.raw, |p| if let Property::ResponseTopic(name) = p { Some(name) } else { None })
    }

    /// Correlation Data.
    pub fn correlation_data(&self) -> Option<&'a [u8]> {
        property::find(self.raw, |p| if let Property::CorrelationData(data) = p { Some(data) } else { None })
    }

    /// The user properties.
    pub fn user(&self) -> UserProperties<'a> {
        UserProperties::of_area(self.raw)
    }
}

impl PartialEq for PublishProperties<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.message_expiry_secs == other.message_expiry_secs
            && self.topic_alias == other.topic_alias
            && self.subscription_ids == other.subscription_ids
            && property::passed_on(self.raw).eq(property::passed_on(other.raw))
    }
}

/// Everything of a PUBLISH but its payload, ready to be written. For versions before 5.0 the last four fields
/// count for nothing.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    /// DUP flag. Not written with QoS 0 `[MQTT-3.3.1-2]`.
    pub dup: bool,
    /// Quality of service.
    pub qos: QoS,
    /// RETAIN flag.
    pub retain: bool,
    /// Topic name; empty when the topic alias stands for it.
    pub topic: &'a str,
    /// Present exactly when `qos` is 1 or 2. Its two bytes may be patched later: see `encode`.
    pub packet_id: Option<PacketId>,
    /// Message Expiry Interval in seconds: what remains of it.
    pub message_expiry_secs: Option<u32>,
    /// Subscription identifiers: none is 0, none above 268,435,455.
    pub subscription_ids: &'a [u32],
    /// Topic alias.
    pub topic_alias: Option<NonZeroU16>,
    /// Property bytes as `append_passed_on` gave them.
    pub passed_on: &'a [u8],
}

impl Header<'_> {
    /// Bytes of the property area, without its length.
    #[inline]
    fn properties_len(&self) -> usize {
        let ids: usize = self.subscription_ids.iter().map(|&number| 1 + varint_len(number as usize)).sum();
        self.message_expiry_secs.map_or(0, |_| 5)
            + self.topic_alias.map_or(0, |_| 3)
            + ids
            + self.passed_on.len()
    }

    /// The remaining length, and the length of the property area.
    #[inline]
    fn lens(&self, version: Version, payload_len: usize) -> (usize, usize) {
        let plain = 2 + self.topic.len() + self.packet_id.map_or(0, |_| 2) + payload_len;
        if version.has_properties() {
            let properties = self.properties_len();
            (plain + varint_len(properties) + properties, properties)
        } else {
            (plain, 0)
        }
    }

    /// Bytes of the whole packet with a payload of `payload_len` bytes.
    #[inline]
    pub fn encoded_len(&self, version: Version, payload_len: usize) -> usize {
        let (remaining, _) = self.lens(version, payload_len);
        1 + varint_len(remaining) + remaining
    }

    /// Appends the whole packet. Returns where, counted from the packet's first byte, its packet identifier
    /// stands, if it has one: a copy of the packet is made another subscriber's by patching these two bytes.
    /// Panics when the topic is longer than 65,535 bytes or the packet than 256 MiB.
    #[inline]
    pub fn encode(&self, version: Version, payload: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        debug_assert_eq!(
            self.packet_id.is_some(),
            self.qos != QoS::AtMostOnce,
            "a packet id goes with its QoS"
        );
        let (remaining, properties) = self.lens(version, payload.len());
        let header_len = 1 + varint_len(remaining);
        out.reserve(header_len + remaining);
        // [MQTT-3.3.1-2]
        let dup = if self.dup && self.qos != QoS::AtMostOnce { DUP } else { 0 };
        let retain = if self.retain { RETAIN } else { 0 };
        out.push(PacketType::Publish.first_byte() | dup | (self.qos as u8) << 1 | retain);
        put_varint(out, remaining);
        put_str(out, self.topic);
        let id_offset = self.packet_id.map(|packet_id| {
            out.extend_from_slice(&packet_id.as_u16().to_be_bytes());
            header_len + 2 + self.topic.len()
        });
        if version.has_properties() {
            put_varint(out, properties);
            if properties > 0 {
                self.put_properties(out);
            }
        }
        out.extend_from_slice(payload);
        id_offset
    }

    fn put_properties(&self, out: &mut Vec<u8>) {
        if let Some(secs) = self.message_expiry_secs {
            Property::MessageExpirySecs(secs).append_to(out);
        }
        if let Some(alias) = self.topic_alias {
            Property::TopicAlias(alias).append_to(out);
        }
        for &number in self.subscription_ids {
            let number = NonZeroU32::new(number).expect("a subscription identifier is never zero");
            Property::SubscriptionId(number).append_to(out);
        }
        out.extend_from_slice(self.passed_on);
    }
}
