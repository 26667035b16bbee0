//! AUTH (5.0). What the method does with its data is not known here.

use super::packet::{PacketType, Sender, Version};
use super::property::{Area, Property, UserProperties};
use super::reader::Reader;
use super::reason::ReasonCode;
use super::violation::Violation;
use super::writer::{put_measured, put_packet};

/// An AUTH packet. The method is absent only in the empty packet, which says success.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are the standard's")]
pub struct Auth<'a> {
    pub reason: ReasonCode,
    pub method: Option<&'a str>,
    pub data: Option<&'a [u8]>,
    pub reason_string: Option<&'a str>,
    pub user: UserProperties<'a>,
}

impl<'a> Auth<'a> {
    pub(super) fn decode(sender: Sender, body: &'a [u8]) -> Result<Auth<'a>, Violation> {
        let mut reader = Reader::new(body);
        // Reason and properties may be missing when all is well `[MQTT 5.0, 3.15.2.1]`.
        let code = if reader.is_empty() { 0 } else { reader.u8()? };
        // [MQTT-3.15.2-1]
        let reason = ReasonCode::from_u8(code)
            .filter(|reason| reason.may_stand_in(PacketType::Auth, sender))
            .ok_or(Violation::UnknownReasonCode)?;
        let mut auth =
            Auth { reason, method: None, data: None, reason_string: None, user: UserProperties::default() };
        if body.is_empty() {
            return Ok(auth);
        }
        let raw = reader.area()?;
        reader.finish()?;
        auth.user = UserProperties::of_area(raw);
        let mut area = Area::new(raw);
        while let Some(property) = area.next()? {
            match property {
                Property::AuthenticationMethod(method) => auth.method = Some(method),
                Property::AuthenticationData(data) => auth.data = Some(data),
                Property::ReasonString(text) => auth.reason_string = Some(text),
                Property::User(..) => {}
                _ => return Err(Violation::MisplacedProperty),
            }
        }
        // "It is a Protocol Error to omit the Authentication Method" `[MQTT 5.0, 3.15.2.2.2]`.
        if auth.method.is_none() { Err(Violation::AuthWithoutMethod) } else { Ok(auth) }
    }

    /// Appends the packet; nothing before 5.0, which has no AUTH.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        if !version.has_properties() {
            return;
        }
        let is_empty = self.reason == ReasonCode::Success
            && self.method.is_none()
            && self.data.is_none()
            && self.reason_string.is_none()
            && self.user.is_empty();
        put_packet(out, PacketType::Auth.first_byte(), |out| {
            if is_empty {
                return;
            }
            out.push(self.reason as u8);
            put_measured(out, |out| {
                let properties = [
                    self.method.map(Property::AuthenticationMethod),
                    self.data.map(Property::AuthenticationData),
                    self.reason_string.map(Property::ReasonString),
                ];
                for property in properties.into_iter().flatten() {
                    property.append_to(out);
                }
                self.user.append_to(out);
            });
        });
    }
}
