//! DISCONNECT. Whether the will is published is not known here.

use super::packet::{PacketType, Sender, Version};
use super::property::{Area, Property, UserProperties};
use super::reader::Reader;
use super::reason::ReasonCode;
use super::violation::Violation;
use super::writer::{put_measured, put_packet};

/// A DISCONNECT packet; 3.1.1 has only the empty one, which only clients send.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are the standard's")]
pub struct Disconnect<'a> {
    pub reason: ReasonCode,
    pub session_expiry_secs: Option<u32>,
    pub reason_string: Option<&'a str>,
    pub server_reference: Option<&'a str>,
    pub user: UserProperties<'a>,
}

impl<'a> Disconnect<'a> {
    /// A DISCONNECT without properties.
    pub fn new(reason: ReasonCode) -> Disconnect<'a> {
        Disconnect {
            reason,
            session_expiry_secs: None,
            reason_string: None,
            server_reference: None,
            user: UserProperties::default(),
        }
    }

    pub(super) fn decode(
        version: Version,
        sender: Sender,
        body: &'a [u8],
    ) -> Result<Disconnect<'a>, Violation> {
        let mut reader = Reader::new(body);
        if !version.has_properties() {
            reader.finish()?;
            return Ok(Disconnect::new(ReasonCode::Success));
        }
        // Both the reason and the properties may be missing `[MQTT 5.0, 3.14.2.1, 3.14.2.2.1]`.
        let code = if reader.is_empty() { 0 } else { reader.u8()? };
        // [MQTT-3.14.2-1]
        let reason = ReasonCode::from_u8(code)
            .filter(|reason| reason.may_stand_in(PacketType::Disconnect, sender))
            .ok_or(Violation::UnknownReasonCode)?;
        let mut disconnect = Disconnect::new(reason);
        if reader.is_empty() {
            return Ok(disconnect);
        }
        let raw = reader.area()?;
        reader.finish()?;
        disconnect.user = UserProperties::of_area(raw);
        let mut area = Area::new(raw);
        while let Some(property) = area.next()? {
            match property {
                // [MQTT-3.14.2-2]
                Property::SessionExpirySecs(secs) if sender == Sender::Client => {
                    disconnect.session_expiry_secs = Some(secs);
                }
                Property::ReasonString(text) => disconnect.reason_string = Some(text),
                Property::ServerReference(text) if sender == Sender::Server => {
                    disconnect.server_reference = Some(text);
                }
                Property::User(..) => {}
                _ => return Err(Violation::MisplacedProperty),
            }
        }
        Ok(disconnect)
    }

    /// Appends the packet, in its shortest form.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        let properties = [
            self.session_expiry_secs.map(Property::SessionExpirySecs),
            self.reason_string.map(Property::ReasonString),
            self.server_reference.map(Property::ServerReference),
        ];
        let has_properties = properties.iter().any(Option::is_some) || !self.user.is_empty();
        put_packet(out, PacketType::Disconnect.first_byte(), |out| {
            if !version.has_properties() || (self.reason == ReasonCode::Success && !has_properties) {
                return;
            }
            out.push(self.reason as u8);
            if has_properties {
                put_measured(out, |out| {
                    for property in properties.into_iter().flatten() {
                        property.append_to(out);
                    }
                    self.user.append_to(out);
                });
            }
        });
    }
}
