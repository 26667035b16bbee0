//! CONNACK. Why a CONNECT is accepted or refused is not known here.

use std::num::{NonZeroU16, NonZeroU32};

use super::packet::{PacketType, QoS, Sender, Version};
use super::property::{Area, Property, UserProperties};
use super::reader::Reader;
use super::reason::ReasonCode;
use super::violation::Violation;
use super::writer::{put_measured, put_packet};

/// A CONNACK packet. 3.1.1 has six return codes: the encoder maps the reason (`ReasonCode::connect_return_code`).
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are the standard's")]
pub struct ConnAck<'a> {
    pub session_present: bool,
    pub reason: ReasonCode,
    pub properties: ConnAckProperties<'a>,
}

/// Properties of CONNACK; an absent one has the standard's default.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the names are the standard's")]
pub struct ConnAckProperties<'a> {
    pub session_expiry_secs: Option<u32>,
    /// `Some(0)` is not written: it may not be sent.
    pub receive_maximum: Option<u16>,
    /// `ExactlyOnce` is not written: it is what absence says.
    pub maximum_qos: Option<QoS>,
    pub retain_available: Option<bool>,
    /// `Some(0)` is not written: it may not be sent.
    pub maximum_packet_size: Option<u32>,
    pub assigned_client_id: Option<&'a str>,
    pub topic_alias_maximum: Option<u16>,
    pub reason_string: Option<&'a str>,
    pub wildcard_subscription_available: Option<bool>,
    pub subscription_identifiers_available: Option<bool>,
    pub shared_subscription_available: Option<bool>,
    pub server_keep_alive_secs: Option<u16>,
    pub response_information: Option<&'a str>,
    pub server_reference: Option<&'a str>,
    pub authentication_method: Option<&'a str>,
    pub authentication_data: Option<&'a [u8]>,
    pub user: UserProperties<'a>,
}

impl<'a> ConnAck<'a> {
    pub(super) fn decode(version: Version, body: &'a [u8]) -> Result<ConnAck<'a>, Violation> {
        let mut reader = Reader::new(body);
        let flags = reader.u8()?;
        let code = reader.u8()?;
        let reason = if version.has_properties() {
            // [MQTT-3.2.2-8]
            ReasonCode::from_u8(code)
                .filter(|reason| reason.may_stand_in(PacketType::ConnAck, Sender::Server))
                .ok_or(Violation::UnknownReasonCode)?
        } else {
            ReasonCode::from_connect_return_code(code).ok_or(Violation::UnknownReasonCode)?
        };
        // [MQTT-3.2.2-1] [MQTT-3.2.2-6]
        if flags > 1 || (flags == 1 && reason != ReasonCode::Success) {
            return Err(Violation::ConnAckFlags);
        }
        let properties = if version.has_properties() {
            ConnAckProperties::decode(reader.area()?)?
        } else {
            ConnAckProperties::default()
        };
        reader.finish()?;
        // In 3.1 the byte was reserved and said nothing.
        Ok(ConnAck { session_present: flags == 1 && version != Version::V3_1, reason, properties })
    }

    /// Appends the packet. Nothing is written when 3.1.1 has no return code for the reason: it then closes
    /// without a CONNACK.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        let code = if version.has_properties() {
            self.reason as u8
        } else {
            let Some(code) = self.reason.connect_return_code() else { return };
            code
        };
        // [MQTT-3.2.2-6]; and 3.1 has no session present flag.
        let session_present =
            self.session_present && self.reason == ReasonCode::Success && version != Version::V3_1;
        put_packet(out, PacketType::ConnAck.first_byte(), |out| {
            out.extend([u8::from(session_present), code]);
            if version.has_properties() {
                put_measured(out, |out| self.properties.append_to(out));
            }
        });
    }
}

impl<'a> ConnAckProperties<'a> {
    fn decode(raw: &'a [u8]) -> Result<ConnAckProperties<'a>, Violation> {
        use Property as P;
        let mut p = ConnAckProperties { user: UserProperties::of_area(raw), ..Default::default() };
        let mut area = Area::new(raw);
        while let Some(property) = area.next()? {
            match property {
                P::SessionExpirySecs(secs) => p.session_expiry_secs = Some(secs),
                P::ReceiveMaximum(maximum) => p.receive_maximum = Some(maximum.get()),
                P::MaximumQoS(qos) => p.maximum_qos = Some(qos),
                P::RetainAvailable(yes) => p.retain_available = Some(yes),
                P::MaximumPacketSize(size) => p.maximum_packet_size = Some(size.get()),
                P::AssignedClientId(id) => p.assigned_client_id = Some(id),
                P::TopicAliasMaximum(maximum) => p.topic_alias_maximum = Some(maximum),
                P::ReasonString(text) => p.reason_string = Some(text),
                P::WildcardSubscriptionAvailable(yes) => p.wildcard_subscription_available = Some(yes),
                P::SubscriptionIdentifiersAvailable(yes) => p.subscription_identifiers_available = Some(yes),
                P::SharedSubscriptionAvailable(yes) => p.shared_subscription_available = Some(yes),
                P::ServerKeepAliveSecs(secs) => p.server_keep_alive_secs = Some(secs),
                P::ResponseInformation(text) => p.response_information = Some(text),
                P::ServerReference(text) => p.server_reference = Some(text),
                P::AuthenticationMethod(method) => p.authentication_method = Some(method),
                P::AuthenticationData(data) => p.authentication_data = Some(data),
                P::User(..) => {}
                _ => return Err(Violation::MisplacedProperty),
            }
        }
        Ok(p)
    }

    fn append_to(&self, out: &mut Vec<u8>) {
        use Property as P;
        let properties = [
            self.session_expiry_secs.map(P::SessionExpirySecs),
            self.receive_maximum.and_then(NonZeroU16::new).map(P::ReceiveMaximum),
            self.maximum_qos.map(P::MaximumQoS),
            self.retain_available.map(P::RetainAvailable),
            self.maximum_packet_size.and_then(NonZeroU32::new).map(P::MaximumPacketSize),
            self.assigned_client_id.map(P::AssignedClientId),
            self.topic_alias_maximum.map(P::TopicAliasMaximum),
            self.reason_string.map(P::ReasonString),
            self.wildcard_subscription_available.map(P::WildcardSubscriptionAvailable),
            self.subscription_identifiers_available.map(P::SubscriptionIdentifiersAvailable),
            self.shared_subscription_available.map(P::SharedSubscriptionAvailable),
            self.server_keep_alive_secs.map(P::ServerKeepAliveSecs),
            self.response_information.map(P::ResponseInformation),
            self.server_reference.map(P::ServerReference),
            self.authentication_method.map(P::AuthenticationMethod),
            self.authentication_data.map(P::AuthenticationData),
        ];
        for property in properties.into_iter().flatten() {
            property.append_to(out);
        }
        self.user.append_to(out);
    }
}
