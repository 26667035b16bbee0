//! Makes valid packets out of arbitrary bytes: a tape of choices. The same tape gives the same packet, and a
//! shorter or smaller one a simpler packet, so that a property test can shrink it. Also used by the fuzz smoke.

use std::num::{NonZeroU16, NonZeroU32};

use super::mqtt::ack::{Ack, SubAck, UnsubAck};
use super::mqtt::auth::Auth;
use super::mqtt::connack::{ConnAck, ConnAckProperties};
use super::mqtt::connect::{Connect, ConnectProperties, Will, WillProperties};
use super::mqtt::disconnect::Disconnect;
use super::mqtt::property::{PayloadFormat, Property, UserProperties, UserPropertiesBuilder};
use super::mqtt::publish::{Publish, PublishProperties};
use super::mqtt::subscribe::{FiltersBuilder, RetainHandling, Subscribe, SubscriptionOptions};
use super::mqtt::unsubscribe::{FilterNamesBuilder, Unsubscribe};
use super::mqtt::{Packet, PacketId, PacketType, QoS, ReasonCode, Sender, Version};

/// Text of which every string of a sample is a part: one to four bytes a character, a byte order mark, and the
/// last character there is, but no wildcard.
const TEXT: &str = "sensors/kitchen/temperature $SYS/\u{FEFF}überall/größe/€/∞/日本語/𝄞/🌡/\u{10FFFF}/\u{1}\
    and so on, until it takes more than one byte to say how long the properties are: 0123456789 abcdefghijklmnop \
    qrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ //double//slashes// and a tail that has nothing of interest in it";

const FILTERS: [&str; 8] = ["#", "+", "a/b", "a/+/c", "$share/g/a/#", "", "not/#/valid", "größe/+"];

/// The choices, consumed from the front; zeros when there are no more.
pub(super) struct Tape<'a> {
    bytes: &'a [u8],
}

impl<'a> Tape<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Tape<'a> {
        Tape { bytes }
    }

    fn byte(&mut self) -> u8 {
        match self.bytes.split_first() {
            Some((&first, rest)) => {
                self.bytes = rest;
                first
            }
            None => 0,
        }
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    fn u32(&mut self) -> u32 {
        u32::from(self.u16()) << 16 | u32::from(self.u16())
    }

    fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    fn below(&mut self, end: usize) -> usize {
        usize::from(self.u16()) % end
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Tape<'a>) -> T) -> Option<T> {
        self.flag().then(|| make(self))
    }

    fn qos(&mut self) -> QoS {
        QoS::from_u8(self.byte() % 3).expect("below three")
    }

    fn packet_id(&mut self) -> PacketId {
        PacketId::new(self.u16().max(1)).expect("not zero")
    }

    fn data(&mut self) -> &'a [u8] {
        let len = self.below(40).min(self.bytes.len());
        let (data, rest) = self.bytes.split_at(len);
        self.bytes = rest;
        data
    }

    fn text(&mut self) -> &'static str {
        let len = if self.byte() < 250 { self.below(24) } else { self.below(TEXT.len()) };
        let start = boundary(self.below(TEXT.len() - len));
        &TEXT[start..boundary(start + len)]
    }

    fn topic(&mut self) -> &'static str {
        let text = self.text();
        if text.is_empty() { "t" } else { text }
    }

    fn reason(&mut self, packet_type: PacketType, sender: Sender) -> ReasonCode {
        let allowed: Vec<_> =
            ReasonCode::ALL.iter().filter(|reason| reason.may_stand_in(packet_type, sender)).collect();
        *allowed[self.below(allowed.len())]
    }
}

fn boundary(mut at: usize) -> usize {
    while !TEXT.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// What a packet borrows, made before it.
pub(super) struct Parts {
    version: Version,
    sender: Sender,
    packet_type: PacketType,
    user: UserPropertiesBuilder,
    area: Vec<u8>,
    filters: FiltersBuilder,
    names: FilterNamesBuilder,
    codes: Vec<u8>,
}

/// The packets that a side may send in a version.
pub(super) fn packet_types(version: Version, sender: Sender) -> Vec<PacketType> {
    use PacketType as T;
    let mut types = vec![T::Publish, T::PubAck, T::PubRec, T::PubRel, T::PubComp];
    types.extend(match sender {
        Sender::Client => [T::Connect, T::Subscribe, T::Unsubscribe, T::PingReq],
        Sender::Server => [T::ConnAck, T::SubAck, T::UnsubAck, T::PingResp],
    });
    if version.has_properties() {
        types.extend([T::Disconnect, T::Auth]);
    } else if sender == Sender::Client {
        types.push(T::Disconnect);
    }
    types
}

impl Parts {
    /// Chooses a packet type and what its packet borrows.
    pub(super) fn new(tape: &mut Tape<'_>, version: Version, sender: Sender) -> Parts {
        let types = packet_types(version, sender);
        let packet_type = types[tape.below(types.len())];
        let mut parts = Parts {
            version,
            sender,
            packet_type,
            user: UserPropertiesBuilder::default(),
            area: Vec::new(),
            filters: FiltersBuilder::default(),
            names: FilterNamesBuilder::default(),
            codes: Vec::new(),
        };
        if version.has_properties() {
            for _ in 0..tape.byte() % 4 {
                parts.user.push(tape.text(), tape.text());
            }
            parts.fill_area(tape);
        }
        for _ in 0..=tape.byte() % 5 {
            let filter = FILTERS[tape.below(FILTERS.len())];
            parts.names.push(filter);
            parts.filters.push(filter, options(tape, version));
            parts.codes.push(parts.code(tape));
        }
        parts
    }

    /// The properties of a message in any order, each once but for user properties.
    fn fill_area(&mut self, tape: &mut Tape<'_>) {
        let mut left = vec![0, 1, 2, 3, 4, 4, 4];
        for _ in 0..tape.below(left.len()) {
            let property = match left.swap_remove(tape.below(left.len())) {
                0 => Property::PayloadFormat(if tape.flag() {
                    PayloadFormat::Utf8
                } else {
                    PayloadFormat::Unspecified
                }),
                1 => Property::ContentType(tape.text()),
                2 => Property::ResponseTopic(tape.topic()),
                3 => Property::CorrelationData(tape.data()),
                _ => Property::User(tape.text(), tape.text()),
            };
            property.append_to(&mut self.area);
        }
    }

    fn code(&self, tape: &mut Tape<'_>) -> u8 {
        match self.packet_type {
            PacketType::SubAck if !self.version.has_properties() => [0, 1, 2, 0x80][tape.below(4)],
            PacketType::SubAck | PacketType::UnsubAck => tape.reason(self.packet_type, self.sender) as u8,
            _ => 0,
        }
    }

    /// The packet.
    pub(super) fn packet<'a>(&'a self, tape: &mut Tape<'a>) -> Packet<'a> {
        let user = self.user.user();
        match self.packet_type {
            PacketType::Connect => Packet::Connect(self.connect(tape)),
            PacketType::ConnAck => Packet::ConnAck(self.connack(tape)),
            PacketType::Publish => Packet::Publish(self.publish(tape)),
            PacketType::PubAck => Packet::PubAck(self.ack(tape)),
            PacketType::PubRec => Packet::PubRec(self.ack(tape)),
            PacketType::PubRel => Packet::PubRel(self.ack(tape)),
            PacketType::PubComp => Packet::PubComp(self.ack(tape)),
            PacketType::Subscribe => Packet::Subscribe(Subscribe {
                packet_id: tape.packet_id(),
                subscription_id: self.property(tape, subscription_id),
                user,
                filters: self.filters.filters(),
            }),
            PacketType::SubAck => Packet::SubAck(SubAck {
                packet_id: tape.packet_id(),
                reason_string: self.property(tape, Tape::text),
                user,
                codes: &self.codes,
            }),
            PacketType::Unsubscribe => Packet::Unsubscribe(Unsubscribe {
                packet_id: tape.packet_id(),
                user,
                filters: self.names.filters(),
            }),
            PacketType::UnsubAck => Packet::UnsubAck(UnsubAck {
                packet_id: tape.packet_id(),
                reason_string: self.property(tape, Tape::text),
                user,
                codes: if self.version.has_properties() { &self.codes } else { &[] },
            }),
            PacketType::PingReq => Packet::PingReq,
            PacketType::PingResp => Packet::PingResp,
            PacketType::Disconnect => Packet::Disconnect(self.disconnect(tape)),
            PacketType::Auth => Packet::Auth(self.auth(tape)),
        }
    }

    /// A property, perhaps, where the version has them.
    fn property<'a, T>(&self, tape: &mut Tape<'a>, make: impl FnOnce(&mut Tape<'a>) -> T) -> Option<T> {
        if self.version.has_properties() { tape.maybe(make) } else { None }
    }

    fn reason(&self, tape: &mut Tape<'_>) -> ReasonCode {
        if self.version.has_properties() {
            tape.reason(self.packet_type, self.sender)
        } else {
            ReasonCode::Success
        }
    }

    fn connect<'a>(&'a self, tape: &mut Tape<'a>) -> Connect<'a> {
        let user_name = tape.maybe(Tape::text);
        let password =
            if user_name.is_some() || self.version.has_properties() { tape.maybe(Tape::data) } else { None };
        let authentication_method = self.property(tape, Tape::text);
        Connect {
            version: self.version,
            clean_start: tape.flag(),
            keep_alive_secs: tape.u16(),
            client_id: tape.text(),
            will: tape.maybe(|tape| self.will(tape)),
            user_name,
            password,
            properties: ConnectProperties {
                session_expiry_secs: self.property(tape, Tape::u32),
                receive_maximum: self.property(tape, non_zero),
                maximum_packet_size: self.property(tape, subscription_id),
                topic_alias_maximum: self.property(tape, Tape::u16),
                request_response_information: self.property(tape, Tape::flag),
                request_problem_information: self.property(tape, Tape::flag),
                authentication_method,
                authentication_data: authentication_method.and_then(|_| tape.maybe(Tape::data)),
                user: self.user.user(),
            },
        }
    }

    fn will<'a>(&'a self, tape: &mut Tape<'a>) -> Will<'a> {
        Will {
            qos: tape.qos(),
            retain: tape.flag(),
            topic: tape.topic(),
            payload: tape.data(),
            properties: WillProperties {
                delay_secs: self.property(tape, Tape::u32),
                message_expiry_secs: self.property(tape, Tape::u32),
                raw: &self.area,
            },
        }
    }

    fn connack<'a>(&'a self, tape: &mut Tape<'a>) -> ConnAck<'a> {
        let reason = if self.version.has_properties() {
            tape.reason(PacketType::ConnAck, Sender::Server)
        } else {
            ReasonCode::from_connect_return_code(tape.byte() % 6).expect("below six")
        };
        let may_be_present = reason == ReasonCode::Success && self.version != Version::V3_1;
        ConnAck {
            session_present: tape.flag() && may_be_present,
            reason,
            properties: ConnAckProperties {
                session_expiry_secs: self.property(tape, Tape::u32),
                receive_maximum: self.property(tape, |tape| tape.u16().max(1)),
                maximum_qos: self
                    .property(tape, |tape| if tape.flag() { QoS::AtLeastOnce } else { QoS::AtMostOnce }),
                retain_available: self.property(tape, Tape::flag),
                maximum_packet_size: self.property(tape, |tape| tape.u32().max(1)),
                assigned_client_id: self.property(tape, Tape::text),
                topic_alias_maximum: self.property(tape, Tape::u16),
                reason_string: self.property(tape, Tape::text),
                wildcard_subscription_available: self.property(tape, Tape::flag),
                subscription_identifiers_available: self.property(tape, Tape::flag),
                shared_subscription_available: self.property(tape, Tape::flag),
                server_keep_alive_secs: self.property(tape, Tape::u16),
                response_information: self.property(tape, Tape::text),
                server_reference: self.property(tape, Tape::text),
                authentication_method: self.property(tape, Tape::text),
                authentication_data: self.property(tape, Tape::data),
                user: self.user.user(),
            },
        }
    }

    fn publish<'a>(&'a self, tape: &mut Tape<'a>) -> Publish<'a> {
        let qos = tape.qos();
        let topic_alias = self.property(tape, non_zero);
        let mut properties = PublishProperties {
            message_expiry_secs: self.property(tape, Tape::u32),
            topic_alias,
            raw: &self.area,
            ..Default::default()
        };
        if self.version.has_properties() && self.sender == Sender::Server {
            for _ in 0..tape.byte() % 4 {
                properties.subscription_ids.push(subscription_id(tape).get());
            }
        }
        Publish {
            dup: qos != QoS::AtMostOnce && tape.flag(),
            qos,
            retain: tape.flag(),
            topic: if topic_alias.is_some() { tape.text() } else { tape.topic() },
            packet_id: (qos != QoS::AtMostOnce).then(|| tape.packet_id()),
            properties,
            payload: tape.data(),
        }
    }

    fn ack<'a>(&'a self, tape: &mut Tape<'a>) -> Ack<'a> {
        let reason = self.reason(tape);
        Ack {
            packet_id: tape.packet_id(),
            reason,
            reason_string: self.property(tape, Tape::text),
            user: self.user.user(),
        }
    }

    fn disconnect<'a>(&'a self, tape: &mut Tape<'a>) -> Disconnect<'a> {
        let from_client = self.sender == Sender::Client;
        Disconnect {
            reason: self.reason(tape),
            session_expiry_secs: self.property(tape, Tape::u32).filter(|_| from_client),
            reason_string: self.property(tape, Tape::text),
            server_reference: self.property(tape, Tape::text).filter(|_| !from_client),
            user: self.user.user(),
        }
    }

    fn auth<'a>(&'a self, tape: &mut Tape<'a>) -> Auth<'a> {
        let reason = self.reason(tape);
        // Without a method there is only the empty packet.
        let method = if reason == ReasonCode::Success { tape.maybe(Tape::text) } else { Some(tape.text()) };
        Auth {
            reason,
            method,
            data: method.and_then(|_| tape.maybe(Tape::data)),
            reason_string: method.and_then(|_| tape.maybe(Tape::text)),
            user: if method.is_some() { self.user.user() } else { UserProperties::default() },
        }
    }
}

fn non_zero(tape: &mut Tape<'_>) -> NonZeroU16 {
    NonZeroU16::MIN.saturating_add(tape.u16() >> 1)
}

/// Any number that a Variable Byte Integer can say, but zero; of any of its four lengths.
fn subscription_id(tape: &mut Tape<'_>) -> NonZeroU32 {
    let bits = [7, 14, 21, 28][tape.below(4)];
    NonZeroU32::new((tape.u32() & ((1 << bits) - 1)).max(1)).expect("not zero")
}

fn options(tape: &mut Tape<'_>, version: Version) -> SubscriptionOptions {
    let plain = SubscriptionOptions::of_qos(tape.qos());
    if !version.has_properties() {
        return plain;
    }
    SubscriptionOptions {
        no_local: tape.flag(),
        retain_as_published: tape.flag(),
        retain_handling: [RetainHandling::Send, RetainHandling::SendIfNew, RetainHandling::DoNotSend]
            [tape.below(3)],
        ..plain
    }
}
