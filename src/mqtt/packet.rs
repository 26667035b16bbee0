//! The packet model, one for all versions: what a packet means, not how it is written.
//!
//! Fields that a version lacks have their neutral value (no properties, `Success`).

use std::num::NonZeroU16;

use super::ack::{Ack, SubAck, UnsubAck};
use super::auth::Auth;
use super::connack::ConnAck;
use super::connect::Connect;
use super::disconnect::Disconnect;
use super::frame::Frame;
use super::property::UserProperties;
use super::publish::{self, Publish};
use super::reader::Reader;
use super::subscribe::Subscribe;
use super::unsubscribe::Unsubscribe;
use super::violation::Violation;

/// The protocol level of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Version {
    /// MQTT 3.1, protocol name `MQIsdp`. Treated as 3.1.1 after CONNECT.
    V3_1 = 3,
    /// MQTT 3.1.1.
    V3_1_1 = 4,
    /// MQTT 5.0.
    V5 = 5,
}

impl Version {
    /// Only 5.0 has properties, reason codes in every acknowledgement, and AUTH.
    #[inline]
    pub fn has_properties(self) -> bool {
        self == Version::V5
    }
}

/// Who sent a packet: a server may not receive a CONNACK, a client no CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The packet comes from a client.
    Client,
    /// The packet comes from a server.
    Server,
}

/// Quality of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum QoS {
    /// QoS 0.
    AtMostOnce = 0,
    /// QoS 1.
    AtLeastOnce = 1,
    /// QoS 2.
    ExactlyOnce = 2,
}

impl QoS {
    /// The QoS for 0, 1 and 2.
    #[inline]
    pub fn from_u8(byte: u8) -> Option<QoS> {
        match byte {
            0 => Some(QoS::AtMostOnce),
            1 => Some(QoS::AtLeastOnce),
            2 => Some(QoS::ExactlyOnce),
            _ => None,
        }
    }
}

/// A packet identifier: never zero `[MQTT-2.2.1-3]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketId(pub NonZeroU16);

impl PacketId {
    /// The identifier, or `None` for zero.
    #[inline]
    pub fn new(id: u16) -> Option<PacketId> {
        NonZeroU16::new(id).map(PacketId)
    }

    /// The next two bytes as an identifier; zero is refused `[MQTT-2.2.1-3]`.
    #[inline]
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<PacketId, Violation> {
        PacketId::new(reader.u16()?).ok_or(Violation::PacketIdZero)
    }

    /// The identifier as it is written.
    #[inline]
    pub fn as_u16(self) -> u16 {
        self.0.get()
    }
}

/// A control packet's type: the high nibble of its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the standard's")]
pub enum PacketType {
    Connect = 1,
    ConnAck = 2,
    Publish = 3,
    PubAck = 4,
    PubRec = 5,
    PubRel = 6,
    PubComp = 7,
    Subscribe = 8,
    SubAck = 9,
    Unsubscribe = 10,
    UnsubAck = 11,
    PingReq = 12,
    PingResp = 13,
    Disconnect = 14,
    Auth = 15,
}

impl PacketType {
    /// The type that a packet's first byte says, or `None` for the reserved 0 `[MQTT 2.1.2]`.
    #[inline]
    pub fn of(first: u8) -> Option<PacketType> {
        Some(match first >> 4 {
            1 => PacketType::Connect,
            2 => PacketType::ConnAck,
            3 => PacketType::Publish,
            4 => PacketType::PubAck,
            5 => PacketType::PubRec,
            6 => PacketType::PubRel,
            7 => PacketType::PubComp,
            8 => PacketType::Subscribe,
            9 => PacketType::SubAck,
            10 => PacketType::Unsubscribe,
            11 => PacketType::UnsubAck,
            12 => PacketType::PingReq,
            13 => PacketType::PingResp,
            14 => PacketType::Disconnect,
            15 => PacketType::Auth,
            _ => return None,
        })
    }

    /// The first byte of a packet of this type: the type, and the flags that the standard fixes. For PUBLISH
    /// those of a plain QoS 0 message.
    #[inline]
    pub fn first_byte(self) -> u8 {
        let flags = match self {
            PacketType::PubRel | PacketType::Subscribe | PacketType::Unsubscribe => 0b0010,
            _ => 0,
        };
        (self as u8) << 4 | flags
    }
}

/// One control packet.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are the standard's")]
pub enum Packet<'a> {
    Connect(Connect<'a>),
    ConnAck(ConnAck<'a>),
    Publish(Publish<'a>),
    PubAck(Ack<'a>),
    PubRec(Ack<'a>),
    PubRel(Ack<'a>),
    PubComp(Ack<'a>),
    Subscribe(Subscribe<'a>),
    SubAck(SubAck<'a>),
    Unsubscribe(Unsubscribe<'a>),
    UnsubAck(UnsubAck<'a>),
    PingReq,
    PingResp,
    Disconnect(Disconnect<'a>),
    Auth(Auth<'a>),
}

/// A whole PINGREQ, the same in every version.
pub const PINGREQ: [u8; 2] = [0xC0, 0];
/// A whole PINGRESP, the same in every version.
pub const PINGRESP: [u8; 2] = [0xD0, 0];

/// Decodes one whole packet: `bytes` is exactly the packet that `frame` describes. A CONNECT says its version
/// itself: for it `version` counts for nothing.
pub fn decode<'a>(
    version: Version,
    sender: Sender,
    frame: Frame,
    bytes: &'a [u8],
) -> Result<Packet<'a>, Violation> {
    let body = frame.body(bytes)?;
    let packet_type = frame.packet_type().ok_or(Violation::UnknownPacketType)?;
    if packet_type == PacketType::Auth && !version.has_properties() {
        return Err(Violation::UnknownPacketType);
    }
    check_flags(version, packet_type, frame.first)?;
    check_side(version, packet_type, sender)?;
    let ack = |body| Ack::decode(version, packet_type, sender, body);
    Ok(match packet_type {
        PacketType::Connect => Packet::Connect(Connect::decode(body)?),
        PacketType::ConnAck => Packet::ConnAck(ConnAck::decode(version, body)?),
        PacketType::Publish => {
            let publish = publish::decode(version, frame.first, body)?;
            // [MQTT-3.3.4-6]
            if sender == Sender::Client && !publish.properties.subscription_ids.is_empty() {
                return Err(Violation::SubscriptionIdFromClient);
            }
            Packet::Publish(publish)
        }
        PacketType::PubAck => Packet::PubAck(ack(body)?),
        PacketType::PubRec => Packet::PubRec(ack(body)?),
        PacketType::PubRel => Packet::PubRel(ack(body)?),
        PacketType::PubComp => Packet::PubComp(ack(body)?),
        PacketType::Subscribe => Packet::Subscribe(Subscribe::decode(version, body)?),
        PacketType::SubAck => Packet::SubAck(SubAck::decode(version, body)?),
        PacketType::Unsubscribe => Packet::Unsubscribe(Unsubscribe::decode(version, body)?),
        PacketType::UnsubAck => Packet::UnsubAck(UnsubAck::decode(version, body)?),
        PacketType::PingReq => Reader::new(body).finish().map(|()| Packet::PingReq)?,
        PacketType::PingResp => Reader::new(body).finish().map(|()| Packet::PingResp)?,
        PacketType::Disconnect => Packet::Disconnect(Disconnect::decode(version, sender, body)?),
        PacketType::Auth => Packet::Auth(Auth::decode(sender, body)?),
    })
}

/// `[MQTT-2.1.3-1]` (v3 `[MQTT-2.2.2-1, 2.2.2-2]`). Those of PUBLISH are its own.
fn check_flags(version: Version, packet_type: PacketType, first: u8) -> Result<(), Violation> {
    let flags = first & 0x0F;
    let is_right = match packet_type {
        PacketType::Publish => true,
        // [MQTT-3.6.1-1] [MQTT-3.8.1-1] [MQTT-3.10.1-1]. In 3.1 these had a DUP flag.
        PacketType::PubRel | PacketType::Subscribe | PacketType::Unsubscribe => {
            flags == 0b0010 || (version == Version::V3_1 && flags == 0b1010)
        }
        _ => flags == 0,
    };
    if is_right { Ok(()) } else { Err(Violation::ReservedFlags) }
}

fn check_side(version: Version, packet_type: PacketType, sender: Sender) -> Result<(), Violation> {
    use PacketType as T;
    let only = match packet_type {
        T::Connect | T::Subscribe | T::Unsubscribe | T::PingReq => Some(Sender::Client),
        T::Disconnect if !version.has_properties() => Some(Sender::Client),
        T::ConnAck | T::SubAck | T::UnsubAck | T::PingResp => Some(Sender::Server),
        T::Publish | T::PubAck | T::PubRec | T::PubRel | T::PubComp | T::Disconnect | T::Auth => None,
    };
    match (sender, only) {
        (Sender::Client, Some(Sender::Server)) => Err(Violation::PacketOfServer),
        (Sender::Server, Some(Sender::Client)) => Err(Violation::PacketOfClient),
        _ => Ok(()),
    }
}

impl Packet<'_> {
    /// Appends the packet as `version` writes it; what the version has no room for is left out. Nothing at all is
    /// written for a CONNACK whose reason 3.1.1 has no return code for, and for an AUTH before 5.0. Panics when a
    /// string is longer than 65,535 bytes or the packet than 256 MiB.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        match self {
            Packet::Connect(connect) => connect.encode(out),
            Packet::ConnAck(connack) => connack.encode(version, out),
            Packet::Publish(publish) => publish.encode(version, out),
            Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
                ack.encode(self.packet_type(), version, out);
            }
            Packet::Subscribe(subscribe) => subscribe.encode(version, out),
            Packet::SubAck(suback) => suback.encode(version, out),
            Packet::Unsubscribe(unsubscribe) => unsubscribe.encode(version, out),
            Packet::UnsubAck(unsuback) => unsuback.encode(version, out),
            Packet::PingReq => out.extend(PINGREQ),
            Packet::PingResp => out.extend(PINGRESP),
            Packet::Disconnect(disconnect) => disconnect.encode(version, out),
            Packet::Auth(auth) => auth.encode(version, out),
        }
    }

    /// The packet with a reason string, if it is one that may have one.
    #[must_use]
    pub fn explained<'b>(&'b self, text: &'b str) -> Packet<'b> {
        let mut packet: Packet<'b> = self.clone();
        match &mut packet {
            Packet::ConnAck(connack) => connack.properties.reason_string = Some(text),
            Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
                ack.reason_string = Some(text);
            }
            Packet::SubAck(suback) => suback.reason_string = Some(text),
            Packet::UnsubAck(unsuback) => unsuback.reason_string = Some(text),
            Packet::Disconnect(disconnect) => disconnect.reason_string = Some(text),
            Packet::Auth(auth) => auth.reason_string = Some(text),
            Packet::Connect(_)
            | Packet::Publish(_)
            | Packet::Subscribe(_)
            | Packet::Unsubscribe(_)
            | Packet::PingReq
            | Packet::PingResp => {}
        }
        packet
    }

    /// The packet's user properties; none where there are none. Those of a CONNECT's will are the will's.
    pub fn user(&self) -> UserProperties<'_> {
        match self {
            Packet::Connect(connect) => connect.properties.user,
            Packet::ConnAck(connack) => connack.properties.user,
            Packet::Publish(publish) => publish.properties.user(),
            Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
                ack.user
            }
            Packet::Subscribe(subscribe) => subscribe.user,
            Packet::SubAck(suback) => suback.user,
            Packet::Unsubscribe(unsubscribe) => unsubscribe.user,
            Packet::UnsubAck(unsuback) => unsuback.user,
            Packet::PingReq | Packet::PingResp => UserProperties::default(),
            Packet::Disconnect(disconnect) => disconnect.user,
            Packet::Auth(auth) => auth.user,
        }
    }

    /// The packet's type.
    pub fn packet_type(&self) -> PacketType {
        match self {
            Packet::Connect(_) => PacketType::Connect,
            Packet::ConnAck(_) => PacketType::ConnAck,
            Packet::Publish(_) => PacketType::Publish,
            Packet::PubAck(_) => PacketType::PubAck,
            Packet::PubRec(_) => PacketType::PubRec,
            Packet::PubRel(_) => PacketType::PubRel,
            Packet::PubComp(_) => PacketType::PubComp,
            Packet::Subscribe(_) => PacketType::Subscribe,
            Packet::SubAck(_) => PacketType::SubAck,
            Packet::Unsubscribe(_) => PacketType::Unsubscribe,
            Packet::UnsubAck(_) => PacketType::UnsubAck,
            Packet::PingReq => PacketType::PingReq,
            Packet::PingResp => PacketType::PingResp,
            Packet::Disconnect(_) => PacketType::Disconnect,
            Packet::Auth(_) => PacketType::Auth,
        }
    }
}
