//! CONNECT. Whether it is accepted is not known here.

use std::num::{NonZeroU16, NonZeroU32};

use super::frame;
use super::packet::{PacketType, QoS, Version};
use super::property::{self, Area, Property, UserProperties};
use super::reader::Reader;
use super::topic;
use super::violation::Violation;
use super::writer::{put_binary, put_measured, put_packet, put_str, put_u16};

const USER_NAME: u8 = 0x80;
const PASSWORD: u8 = 0x40;
const WILL_RETAIN: u8 = 0x20;
const WILL_QOS: u8 = 0x18;
const WILL: u8 = 0x04;
const CLEAN_START: u8 = 0x02;
const RESERVED: u8 = 0x01;

/// A CONNECT packet `[MQTT 5.0, 3.1]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Connect<'a> {
    /// Protocol level.
    pub version: Version,
    /// Clean Start (3.1.1: Clean Session).
    pub clean_start: bool,
    /// Keep Alive in seconds; 0 = off.
    pub keep_alive_secs: u16,
    /// Client identifier, may be empty.
    pub client_id: &'a str,
    /// Will, when the will flag is set.
    pub will: Option<Will<'a>>,
    /// User name.
    pub user_name: Option<&'a str>,
    /// Password: binary.
    pub password: Option<&'a [u8]>,
    /// Properties (5.0).
    pub properties: ConnectProperties<'a>,
}

/// The will of a CONNECT.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are the standard's")]
pub struct Will<'a> {
    pub qos: QoS,
    pub retain: bool,
    pub topic: &'a str,
    pub payload: &'a [u8],
    pub properties: WillProperties<'a>,
}

/// Properties of CONNECT.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the names are the standard's")]
pub struct ConnectProperties<'a> {
    pub session_expiry_secs: Option<u32>,
    pub receive_maximum: Option<NonZeroU16>,
    pub maximum_packet_size: Option<NonZeroU32>,
    pub topic_alias_maximum: Option<u16>,
    pub request_response_information: Option<bool>,
    pub request_problem_information: Option<bool>,
    pub authentication_method: Option<&'a str>,
    pub authentication_data: Option<&'a [u8]>,
    pub user: UserProperties<'a>,
}

/// Properties of the will. Two are equal when they say the same, however the areas are ordered between what is
/// passed on and what is not.
#[derive(Clone, Debug, Default)]
pub struct WillProperties<'a> {
    /// Will Delay Interval in seconds.
    pub delay_secs: Option<u32>,
    /// Message Expiry Interval in seconds.
    pub message_expiry_secs: Option<u32>,
    /// The whole property area as it was received, validated: see `append_passed_on`.
    pub raw: &'a [u8],
}

/// What can be said of a CONNECT before it is judged: whose it is. Used to find the client's home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientIdPeek<'a> {
    /// The bytes do not yet reach the end of the client identifier, or of the packet.
    Incomplete,
    /// The client identifier, perhaps empty. The whole packet is there.
    ClientId(&'a str),
    /// This will not become a well-formed CONNECT, or not one within `maximum`; whoever decodes it will say why.
    Hopeless,
}

/// Looks for the client identifier in the first bytes of a connection. A first byte that is no CONNECT's, and a
/// packet announced as longer than `maximum` bytes, are hopeless at once.
pub fn peek_client_id(bytes: &[u8], maximum: usize) -> ClientIdPeek<'_> {
    if bytes.first().is_some_and(|&first| first != PacketType::Connect.first_byte()) {
        return ClientIdPeek::Hopeless;
    }
    let frame = match frame::split(bytes, maximum) {
        Ok(Some(frame)) => frame,
        Ok(None) => return ClientIdPeek::Incomplete,
        Err(_) => return ClientIdPeek::Hopeless,
    };
    let Some(packet) = bytes.get(..frame.len) else { return ClientIdPeek::Incomplete };
    frame.body(packet).and_then(client_id).map_or(ClientIdPeek::Hopeless, ClientIdPeek::ClientId)
}

fn client_id(body: &[u8]) -> Result<&str, Violation> {
    let mut reader = Reader::new(body);
    let version = read_version(&mut reader)?;
    // Connect flags and keep alive.
    reader.take(3)?;
    if version.has_properties() {
        reader.area()?;
    }
    reader.str()
}

/// In which version a CONNECT that could not be decoded is to be answered, when it says one; a level above 5 is
/// answered as 5.0, so that a client from the future can read 0x84. `None`: this is nobody who speaks MQTT.
/// `packet` is the whole packet or its beginning.
pub fn answer_version(packet: &[u8]) -> Option<Version> {
    let header_len = match packet {
        [0x10, lengths @ ..] => lengths.iter().take(4).position(|byte| byte & 0x80 == 0)? + 2,
        _ => return None,
    };
    let mut reader = Reader::new(&packet[header_len..]);
    let name = reader.binary().ok()?;
    match (name, reader.u8().ok()?) {
        (b"MQTT", 5..) => Some(Version::V5),
        (b"MQTT", _) => Some(Version::V3_1_1),
        (b"MQIsdp", _) => Some(Version::V3_1),
        _ => None,
    }
}

fn read_version(reader: &mut Reader<'_>) -> Result<Version, Violation> {
    let name = reader.binary()?;
    // [MQTT-3.1.2-1], v3 too.
    if name != b"MQTT" && name != b"MQIsdp" {
        return Err(Violation::ProtocolName);
    }
    // [MQTT-3.1.2-2], v3 too.
    match (name, reader.u8()?) {
        (b"MQIsdp", 3) => Ok(Version::V3_1),
        (b"MQTT", 4) => Ok(Version::V3_1_1),
        (b"MQTT", 5) => Ok(Version::V5),
        _ => Err(Violation::UnsupportedVersion),
    }
}

fn check_flags(version: Version, flags: u8) -> Result<(), Violation> {
    // [MQTT-3.1.2-3], v3 too.
    if flags & RESERVED != 0 {
        return Err(Violation::ConnectFlags);
    }
    // [MQTT-3.1.2-11] [MQTT-3.1.2-13], v3 [MQTT-3.1.2-13] [MQTT-3.1.2-15].
    if flags & WILL == 0 && flags & (WILL_QOS | WILL_RETAIN) != 0 {
        return Err(Violation::ConnectFlags);
    }
    // v3 [MQTT-3.1.2-22], 3.1 too. 5.0 lets a password stand alone.
    if !version.has_properties() && flags & (USER_NAME | PASSWORD) == PASSWORD {
        return Err(Violation::PasswordWithoutUserName);
    }
    Ok(())
}

impl<'a> Connect<'a> {
    /// Decodes what follows the fixed header.
    pub(super) fn decode(body: &'a [u8]) -> Result<Connect<'a>, Violation> {
        let mut reader = Reader::new(body);
        let version = read_version(&mut reader)?;
        let flags = reader.u8()?;
        check_flags(version, flags)?;
        let keep_alive_secs = reader.u16()?;
        let properties = if version.has_properties() {
            ConnectProperties::decode(reader.area()?)?
        } else {
            ConnectProperties::default()
        };
        // [MQTT-3.1.3-4], v3 too.
        let client_id = reader.str()?;
        let will = if flags & WILL == 0 { None } else { Some(Will::decode(version, flags, &mut reader)?) };
        // 3.1 clients may set a flag and end the packet before its field: its length takes precedence.
        let is_there = |flag: u8, reader: &Reader<'_>| {
            flags & flag != 0 && !(version == Version::V3_1 && reader.is_empty())
        };
        // [MQTT-3.1.3-12], v3 [MQTT-3.1.3-11].
        let user_name = if is_there(USER_NAME, &reader) { Some(reader.str()?) } else { None };
        let password = if is_there(PASSWORD, &reader) { Some(reader.binary()?) } else { None };
        reader.finish()?;
        Ok(Connect {
            version,
            clean_start: flags & CLEAN_START != 0,
            keep_alive_secs,
            client_id,
            will,
            user_name,
            password,
            properties,
        })
    }

    /// Appends the packet as its own `version` writes it. 3.1.1 cannot say a password without a user name: it is
    /// left out.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let password = self.password.filter(|_| self.version.has_properties() || self.user_name.is_some());
        let mut flags = 0;
        for (flag, is_set) in [
            (USER_NAME, self.user_name.is_some()),
            (PASSWORD, password.is_some()),
            (WILL, self.will.is_some()),
            (WILL_RETAIN, self.will.as_ref().is_some_and(|will| will.retain)),
            (CLEAN_START, self.clean_start),
        ] {
            flags |= if is_set { flag } else { 0 };
        }
        flags |= self.will.as_ref().map_or(0, |will| (will.qos as u8) << 3);
        put_packet(out, PacketType::Connect.first_byte(), |out| {
            put_str(out, if self.version == Version::V3_1 { "MQIsdp" } else { "MQTT" });
            out.extend([self.version as u8, flags]);
            put_u16(out, self.keep_alive_secs);
            if self.version.has_properties() {
                put_measured(out, |out| self.properties.append_to(out));
            }
            put_str(out, self.client_id);
            if let Some(will) = &self.will {
                will.append_to(self.version, out);
            }
            if let Some(user_name) = self.user_name {
                put_str(out, user_name);
            }
            if let Some(password) = password {
                put_binary(out, password);
            }
        });
    }
}

impl<'a> Will<'a> {
    fn decode(version: Version, flags: u8, reader: &mut Reader<'a>) -> Result<Will<'a>, Violation> {
        // [MQTT-3.1.2-12], v3 [MQTT-3.1.2-14].
        let qos = QoS::from_u8((flags & WILL_QOS) >> 3).ok_or(Violation::QoS3)?;
        let properties = if version.has_properties() {
            WillProperties::decode(reader.area()?)?
        } else {
            WillProperties::default()
        };
        // [MQTT-3.1.3-11], v3 [MQTT-3.1.3-10].
        let topic = reader.str()?;
        topic::check_name(topic)?;
        let payload = reader.binary()?;
        Ok(Will { qos, retain: flags & WILL_RETAIN != 0, topic, payload, properties })
    }

    fn append_to(&self, version: Version, out: &mut Vec<u8>) {
        if version.has_properties() {
            put_measured(out, |out| {
                if let Some(secs) = self.properties.delay_secs {
                    Property::WillDelaySecs(secs).append_to(out);
                }
                if let Some(secs) = self.properties.message_expiry_secs {
                    Property::MessageExpirySecs(secs).append_to(out);
                }
                self.properties.append_passed_on(out);
            });
        }
        put_str(out, self.topic);
        put_binary(out, self.payload);
    }
}

impl<'a> ConnectProperties<'a> {
    fn decode(raw: &'a [u8]) -> Result<ConnectProperties<'a>, Violation> {
        use Property as P;
        let mut p = ConnectProperties { user: UserProperties::of_area(raw), ..Default::default() };
        let mut area = Area::new(raw);
        while let Some(property) = area.next()? {
            match property {
                P::SessionExpirySecs(secs) => p.session_expiry_secs = Some(secs),
                P::ReceiveMaximum(maximum) => p.receive_maximum = Some(maximum),
                P::MaximumPacketSize(size) => p.maximum_packet_size = Some(size),
                P::TopicAliasMaximum(maximum) => p.topic_alias_maximum = Some(maximum),
                P::RequestResponseInformation(yes) => p.request_response_information = Some(yes),
                P::RequestProblemInformation(yes) => p.request_problem_information = Some(yes),
                P::AuthenticationMethod(method) => p.authentication_method = Some(method),
                P::AuthenticationData(data) => p.authentication_data = Some(data),
                P::User(..) => {}
                _ => return Err(Violation::MisplacedProperty),
            }
        }
        // "It is a Protocol Error to include Authentication Data if there is no Authentication Method"
        // `[MQTT 5.0, 3.1.2.11.10]`.
        if p.authentication_data.is_some() && p.authentication_method.is_none() {
            return Err(Violation::AuthWithoutMethod);
        }
        Ok(p)
    }

    fn append_to(&self, out: &mut Vec<u8>) {
        use Property as P;
        let properties = [
            self.session_expiry_secs.map(P::SessionExpirySecs),
            self.receive_maximum.map(P::ReceiveMaximum),
            self.maximum_packet_size.map(P::MaximumPacketSize),
            self.topic_alias_maximum.map(P::TopicAliasMaximum),
            self.request_response_information.map(P::RequestResponseInformation),
            self.request_problem_information.map(P::RequestProblemInformation),
            self.authentication_method.map(P::AuthenticationMethod),
            self.authentication_data.map(P::AuthenticationData),
        ];
        for property in properties.into_iter().flatten() {
            property.append_to(out);
        }
        self.user.append_to(out);
    }
}

impl<'a> WillProperties<'a> {
    fn decode(raw: &'a [u8]) -> Result<WillProperties<'a>, Violation> {
        use Property as P;
        let mut p = WillProperties { raw, ..Default::default() };
        let mut area = Area::new(raw);
        while let Some(property) = area.next()? {
            match property {
                P::WillDelaySecs(secs) => p.delay_secs = Some(secs),
                P::MessageExpirySecs(secs) => p.message_expiry_secs = Some(secs),
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

    /// Appends the properties that a PUBLISH of the will passes on unaltered: all but the delay and the expiry.
    pub fn append_passed_on(&self, out: &mut Vec<u8>) {
        property::append_passed_on(self.raw, out);
    }

    /// The user properties.
    pub fn user(&self) -> UserProperties<'a> {
        UserProperties::of_area(self.raw)
    }
}

impl PartialEq for WillProperties<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.delay_secs == other.delay_secs
            && self.message_expiry_secs == other.message_expiry_secs
            && property::passed_on(self.raw).eq(property::passed_on(other.raw))
    }
}
