//! UNSUBSCRIBE. Whether a filter is valid or subscribed is not judged here.

use super::packet::{PacketId, PacketType, Version};
use super::property::{Area, Property, UserProperties};
use super::reader::Reader;
use super::violation::Violation;
use super::writer::{put_measured, put_packet, put_str, put_u16};

/// An UNSUBSCRIBE packet.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are the standard's")]
pub struct Unsubscribe<'a> {
    pub packet_id: PacketId,
    pub user: UserProperties<'a>,
    /// At least one `[MQTT-3.10.3-2]`.
    pub filters: FilterNames<'a>,
}

/// The topic filters of an UNSUBSCRIBE, as they stand in the packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FilterNames<'a> {
    /// The payload of the packet.
    pub raw: &'a [u8],
}

impl<'a> FilterNames<'a> {
    fn decode(raw: &'a [u8]) -> Result<FilterNames<'a>, Violation> {
        // [MQTT-3.10.3-2], v3 too.
        if raw.is_empty() {
            return Err(Violation::NoFilters);
        }
        let mut reader = Reader::new(raw);
        while !reader.is_empty() {
            // [MQTT-3.10.3-1], v3 too.
            reader.str()?;
        }
        Ok(FilterNames { raw })
    }

    /// Each filter: valid UTF-8, not yet a valid topic filter.
    pub fn iter(self) -> impl Iterator<Item = &'a str> {
        let mut reader = Reader::new(self.raw);
        std::iter::from_fn(move || reader.str().ok())
    }
}

/// Builds the filters of an UNSUBSCRIBE.
#[derive(Clone, Debug, Default)]
pub struct FilterNamesBuilder {
    raw: Vec<u8>,
}

impl FilterNamesBuilder {
    /// Appends a filter. Panics when it is longer than 65,535 bytes.
    pub fn push(&mut self, filter: &str) {
        put_str(&mut self.raw, filter);
    }

    /// The filters.
    pub fn filters(&self) -> FilterNames<'_> {
        FilterNames { raw: &self.raw }
    }
}

impl<'a> Unsubscribe<'a> {
    pub(super) fn decode(version: Version, body: &'a [u8]) -> Result<Unsubscribe<'a>, Violation> {
        let mut reader = Reader::new(body);
        let packet_id = PacketId::read(&mut reader)?;
        let mut user = UserProperties::default();
        if version.has_properties() {
            let raw = reader.area()?;
            user = UserProperties::of_area(raw);
            let mut area = Area::new(raw);
            while let Some(property) = area.next()? {
                if !matches!(property, Property::User(..)) {
                    return Err(Violation::MisplacedProperty);
                }
            }
        }
        let filters = FilterNames::decode(reader.take_rest())?;
        Ok(Unsubscribe { packet_id, user, filters })
    }

    /// Appends the packet.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        put_packet(out, PacketType::Unsubscribe.first_byte(), |out| {
            put_u16(out, self.packet_id.as_u16());
            if version.has_properties() {
                put_measured(out, |out| self.user.append_to(out));
            }
            out.extend_from_slice(self.filters.raw);
        });
    }
}
