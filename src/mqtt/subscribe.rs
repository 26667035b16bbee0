//! SUBSCRIBE. Whether a filter is valid or allowed is not judged here.

use std::num::NonZeroU32;

use super::packet::{PacketId, PacketType, QoS, Version};
use super::property::{Area, Property, UserProperties};
use super::reader::Reader;
use super::violation::Violation;
use super::writer::{put_measured, put_packet, put_str, put_u16};

/// A SUBSCRIBE packet.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are the standard's")]
pub struct Subscribe<'a> {
    pub packet_id: PacketId,
    /// Subscription identifier (5.0).
    pub subscription_id: Option<NonZeroU32>,
    pub user: UserProperties<'a>,
    /// At least one `[MQTT-3.8.3-2]`.
    pub filters: Filters<'a>,
}

/// The topic filters of a SUBSCRIBE, as they stand in the packet: validated, read while iterating.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Filters<'a> {
    /// The payload of the packet.
    pub raw: &'a [u8],
}

/// How a subscription wants its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the standard's")]
pub struct SubscriptionOptions {
    pub qos: QoS,
    pub no_local: bool,
    pub retain_as_published: bool,
    pub retain_handling: RetainHandling,
}

/// When retained messages are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RetainHandling {
    /// 0: at the time of the subscribe. The only one of 3.1.1.
    Send = 0,
    /// 1: only if the subscription does not exist yet.
    SendIfNew = 1,
    /// 2: never.
    DoNotSend = 2,
}

const NO_LOCAL: u8 = 0x04;
const RETAIN_AS_PUBLISHED: u8 = 0x08;
const RESERVED: u8 = 0xC0;

impl SubscriptionOptions {
    /// Those of 3.1.1, which has only the QoS.
    pub fn of_qos(qos: QoS) -> SubscriptionOptions {
        SubscriptionOptions {
            qos,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Send,
        }
    }

    fn decode(byte: u8) -> Result<SubscriptionOptions, Violation> {
        // [MQTT-3.8.3-5]
        if byte & RESERVED != 0 {
            return Err(Violation::SubscriptionOptions);
        }
        Ok(SubscriptionOptions {
            qos: QoS::from_u8(byte & 3).ok_or(Violation::SubscriptionQoS3)?,
            no_local: byte & NO_LOCAL != 0,
            retain_as_published: byte & RETAIN_AS_PUBLISHED != 0,
            retain_handling: match byte >> 4 & 3 {
                0 => RetainHandling::Send,
                1 => RetainHandling::SendIfNew,
                2 => RetainHandling::DoNotSend,
                _ => return Err(Violation::RetainHandling3),
            },
        })
    }

    fn to_byte(self) -> u8 {
        self.qos as u8
            | if self.no_local { NO_LOCAL } else { 0 }
            | if self.retain_as_published { RETAIN_AS_PUBLISHED } else { 0 }
            | (self.retain_handling as u8) << 4
    }
}

fn read_filter<'a>(reader: &mut Reader<'a>) -> Result<(&'a str, SubscriptionOptions), Violation> {
    // [MQTT-3.8.3-1], v3 too.
    let filter = reader.str()?;
    Ok((filter, SubscriptionOptions::decode(reader.u8()?)?))
}

impl<'a> Filters<'a> {
    fn decode(version: Version, raw: &'a [u8]) -> Result<Filters<'a>, Violation> {
        // [MQTT-3.8.3-2], v3 [MQTT-3.8.3-3].
        if raw.is_empty() {
            return Err(Violation::NoFilters);
        }
        let mut reader = Reader::new(raw);
        while !reader.is_empty() {
            let (_, options) = read_filter(&mut reader)?;
            // v3 [MQTT-3.8.3-4]: all but the QoS is reserved.
            if !version.has_properties() && options != SubscriptionOptions::of_qos(options.qos) {
                return Err(Violation::SubscriptionOptions);
            }
        }
        Ok(Filters { raw })
    }

    /// Each filter with its options. A filter is valid UTF-8 but not yet a valid topic filter: an invalid one
    /// is for the caller to refuse: see `topic::is_valid_filter`.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, SubscriptionOptions)> {
        let mut reader = Reader::new(self.raw);
        std::iter::from_fn(move || read_filter(&mut reader).ok())
    }
}

/// Builds the filters of a SUBSCRIBE.
#[derive(Clone, Debug, Default)]
pub struct FiltersBuilder {
    raw: Vec<u8>,
}

impl FiltersBuilder {
    /// Appends a filter. Panics when it is longer than 65,535 bytes.
    pub fn push(&mut self, filter: &str, options: SubscriptionOptions) {
        put_str(&mut self.raw, filter);
        self.raw.push(options.to_byte());
    }

    /// The filters.
    pub fn filters(&self) -> Filters<'_> {
        Filters { raw: &self.raw }
    }
}

impl<'a> Subscribe<'a> {
    pub(super) fn decode(version: Version, body: &'a [u8]) -> Result<Subscribe<'a>, Violation> {
        let mut reader = Reader::new(body);
        let packet_id = PacketId::read(&mut reader)?;
        let mut subscription_id = None;
        let mut user = UserProperties::default();
        if version.has_properties() {
            let raw = reader.area()?;
            user = UserProperties::of_area(raw);
            let mut area = Area::new(raw);
            while let Some(property) = area.next()? {
                match property {
                    Property::SubscriptionId(number) => {
                        if subscription_id.replace(number).is_some() {
                            return Err(Violation::RepeatedProperty);
                        }
                    }
                    Property::User(..) => {}
                    _ => return Err(Violation::MisplacedProperty),
                }
            }
        }
        let filters = Filters::decode(version, reader.take_rest())?;
        Ok(Subscribe { packet_id, subscription_id, user, filters })
    }

    /// Appends the packet.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        put_packet(out, PacketType::Subscribe.first_byte(), |out| {
            put_u16(out, self.packet_id.as_u16());
            if version.has_properties() {
                put_measured(out, |out| {
                    if let Some(number) = self.subscription_id {
                        Property::SubscriptionId(number).append_to(out);
                    }
                    self.user.append_to(out);
                });
                out.extend_from_slice(self.filters.raw);
            } else {
                for (filter, options) in self.filters.iter() {
                    put_str(out, filter);
                    out.push(options.qos as u8);
                }
            }
        });
    }
}
