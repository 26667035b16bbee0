//! Properties (5.0): identifiers, their types, and how an area of them is read and written. Where each may
//! stand is said by the packet that matches on them.

use std::num::{NonZeroU16, NonZeroU32};

use super::packet::QoS;
use super::reader::Reader;
use super::topic;
use super::violation::Violation;
use super::writer::{put_binary, put_str, put_u16, put_u32, put_varint};

mod id {
    pub(super) const PAYLOAD_FORMAT: u8 = 0x01;
    pub(super) const MESSAGE_EXPIRY: u8 = 0x02;
    pub(super) const CONTENT_TYPE: u8 = 0x03;
    pub(super) const RESPONSE_TOPIC: u8 = 0x08;
    pub(super) const CORRELATION_DATA: u8 = 0x09;
    pub(super) const SUBSCRIPTION_ID: u8 = 0x0B;
    pub(super) const SESSION_EXPIRY: u8 = 0x11;
    pub(super) const ASSIGNED_CLIENT_ID: u8 = 0x12;
    pub(super) const SERVER_KEEP_ALIVE: u8 = 0x13;
    pub(super) const AUTHENTICATION_METHOD: u8 = 0x15;
    pub(super) const AUTHENTICATION_DATA: u8 = 0x16;
    pub(super) const REQUEST_PROBLEM_INFORMATION: u8 = 0x17;
    pub(super) const WILL_DELAY: u8 = 0x18;
    pub(super) const REQUEST_RESPONSE_INFORMATION: u8 = 0x19;
    pub(super) const RESPONSE_INFORMATION: u8 = 0x1A;
    pub(super) const SERVER_REFERENCE: u8 = 0x1C;
    pub(super) const REASON_STRING: u8 = 0x1F;
    pub(super) const RECEIVE_MAXIMUM: u8 = 0x21;
    pub(super) const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
    pub(super) const TOPIC_ALIAS: u8 = 0x23;
    pub(super) const MAXIMUM_QOS: u8 = 0x24;
    pub(super) const RETAIN_AVAILABLE: u8 = 0x25;
    pub(super) const USER: u8 = 0x26;
    pub(super) const MAXIMUM_PACKET_SIZE: u8 = 0x27;
    pub(super) const WILDCARD_SUBSCRIPTION_AVAILABLE: u8 = 0x28;
    pub(super) const SUBSCRIPTION_ID_AVAILABLE: u8 = 0x29;
    pub(super) const SHARED_SUBSCRIPTION_AVAILABLE: u8 = 0x2A;
}

/// What a payload is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PayloadFormat {
    /// 0: bytes, as without the property.
    Unspecified = 0,
    /// 1: UTF-8 text.
    Utf8 = 1,
}

/// One property with its value; a value out of its range cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the standard's")]
pub enum Property<'a> {
    PayloadFormat(PayloadFormat),
    MessageExpirySecs(u32),
    ContentType(&'a str),
    ResponseTopic(&'a str),
    CorrelationData(&'a [u8]),
    SubscriptionId(NonZeroU32),
    SessionExpirySecs(u32),
    AssignedClientId(&'a str),
    ServerKeepAliveSecs(u16),
    AuthenticationMethod(&'a str),
    AuthenticationData(&'a [u8]),
    RequestProblemInformation(bool),
    WillDelaySecs(u32),
    RequestResponseInformation(bool),
    ResponseInformation(&'a str),
    ServerReference(&'a str),
    ReasonString(&'a str),
    ReceiveMaximum(NonZeroU16),
    TopicAliasMaximum(u16),
    TopicAlias(NonZeroU16),
    /// `ExactlyOnce` is not written: it is what absence says.
    MaximumQoS(QoS),
    RetainAvailable(bool),
    User(&'a str, &'a str),
    MaximumPacketSize(NonZeroU32),
    WildcardSubscriptionAvailable(bool),
    SubscriptionIdentifiersAvailable(bool),
    SharedSubscriptionAvailable(bool),
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, Violation> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Violation::PropertyValue),
    }
}

impl<'a> Property<'a> {
    #[inline]
    fn read(id: u8, reader: &mut Reader<'a>) -> Result<Property<'a>, Violation> {
        use Property as P;
        Ok(match id {
            id::PAYLOAD_FORMAT => P::PayloadFormat(match flag(reader)? {
                false => PayloadFormat::Unspecified,
                true => PayloadFormat::Utf8,
            }),
            id::MESSAGE_EXPIRY => P::MessageExpirySecs(reader.u32()?),
            id::CONTENT_TYPE => P::ContentType(reader.str()?),
            id::RESPONSE_TOPIC => {
                let name = reader.str()?;
                // [MQTT-3.3.2-14]
                topic::check_name(name).map_err(|_| Violation::ResponseTopic)?;
                P::ResponseTopic(name)
            }
            id::CORRELATION_DATA => P::CorrelationData(reader.binary()?),
            id::SUBSCRIPTION_ID => {
                P::SubscriptionId(NonZeroU32::new(reader.varint()?).ok_or(Violation::PropertyValue)?)
            }
            id::SESSION_EXPIRY => P::SessionExpirySecs(reader.u32()?),
            id::ASSIGNED_CLIENT_ID => P::AssignedClientId(reader.str()?),
            id::SERVER_KEEP_ALIVE => P::ServerKeepAliveSecs(reader.u16()?),
            id::AUTHENTICATION_METHOD => P::AuthenticationMethod(reader.str()?),
            id::AUTHENTICATION_DATA => P::AuthenticationData(reader.binary()?),
            id::REQUEST_PROBLEM_INFORMATION => P::RequestProblemInformation(flag(reader)?),
            id::WILL_DELAY => P::WillDelaySecs(reader.u32()?),
            id::REQUEST_RESPONSE_INFORMATION => P::RequestResponseInformation(flag(reader)?),
            id::RESPONSE_INFORMATION => P::ResponseInformation(reader.str()?),
            id::SERVER_REFERENCE => P::ServerReference(reader.str()?),
            id::REASON_STRING => P::ReasonString(reader.str()?),
            id::RECEIVE_MAXIMUM => {
                P::ReceiveMaximum(NonZeroU16::new(reader.u16()?).ok_or(Violation::PropertyValue)?)
            }
            id::TOPIC_ALIAS_MAXIMUM => P::TopicAliasMaximum(reader.u16()?),
            // [MQTT-3.3.2-8]
            id::TOPIC_ALIAS => {
                P::TopicAlias(NonZeroU16::new(reader.u16()?).ok_or(Violation::TopicAliasZero)?)
            }
            id::MAXIMUM_QOS => P::MaximumQoS(match flag(reader)? {
                false => QoS::AtMostOnce,
                true => QoS::AtLeastOnce,
            }),
            id::RETAIN_AVAILABLE => P::RetainAvailable(flag(reader)?),
            id::USER => P::User(reader.str()?, reader.str()?),
            id::MAXIMUM_PACKET_SIZE => {
                P::MaximumPacketSize(NonZeroU32::new(reader.u32()?).ok_or(Violation::PropertyValue)?)
            }
            id::WILDCARD_SUBSCRIPTION_AVAILABLE => P::WildcardSubscriptionAvailable(flag(reader)?),
            id::SUBSCRIPTION_ID_AVAILABLE => P::SubscriptionIdentifiersAvailable(flag(reader)?),
            id::SHARED_SUBSCRIPTION_AVAILABLE => P::SharedSubscriptionAvailable(flag(reader)?),
            // Identifiers are Variable Byte Integers, but all of them are below 0x80.
            _ => return Err(Violation::UnknownProperty),
        })
    }

    /// Appends the property to a property area: this is how a `raw` area is built.
    pub fn append_to(self, out: &mut Vec<u8>) {
        use Property as P;
        match self {
            P::PayloadFormat(format) => out.extend([id::PAYLOAD_FORMAT, format as u8]),
            P::MessageExpirySecs(secs) => put_id_u32(out, id::MESSAGE_EXPIRY, secs),
            P::ContentType(text) => put_id_str(out, id::CONTENT_TYPE, text),
            P::ResponseTopic(text) => put_id_str(out, id::RESPONSE_TOPIC, text),
            P::CorrelationData(data) => put_id_binary(out, id::CORRELATION_DATA, data),
            P::SubscriptionId(number) => {
                out.push(id::SUBSCRIPTION_ID);
                put_varint(out, number.get() as usize);
            }
            P::SessionExpirySecs(secs) => put_id_u32(out, id::SESSION_EXPIRY, secs),
            P::AssignedClientId(text) => put_id_str(out, id::ASSIGNED_CLIENT_ID, text),
            P::ServerKeepAliveSecs(secs) => put_id_u16(out, id::SERVER_KEEP_ALIVE, secs),
            P::AuthenticationMethod(text) => put_id_str(out, id::AUTHENTICATION_METHOD, text),
            P::AuthenticationData(data) => put_id_binary(out, id::AUTHENTICATION_DATA, data),
            P::RequestProblemInformation(yes) => put_id_flag(out, id::REQUEST_PROBLEM_INFORMATION, yes),
            P::WillDelaySecs(secs) => put_id_u32(out, id::WILL_DELAY, secs),
            P::RequestResponseInformation(yes) => put_id_flag(out, id::REQUEST_RESPONSE_INFORMATION, yes),
            P::ResponseInformation(text) => put_id_str(out, id::RESPONSE_INFORMATION, text),
            P::ServerReference(text) => put_id_str(out, id::SERVER_REFERENCE, text),
            P::ReasonString(text) => put_id_str(out, id::REASON_STRING, text),
            P::ReceiveMaximum(maximum) => put_id_u16(out, id::RECEIVE_MAXIMUM, maximum.get()),
            P::TopicAliasMaximum(maximum) => put_id_u16(out, id::TOPIC_ALIAS_MAXIMUM, maximum),
            P::TopicAlias(alias) => put_id_u16(out, id::TOPIC_ALIAS, alias.get()),
            P::MaximumQoS(QoS::ExactlyOnce) => {}
            P::MaximumQoS(qos) => out.extend([id::MAXIMUM_QOS, qos as u8]),
            P::RetainAvailable(yes) => put_id_flag(out, id::RETAIN_AVAILABLE, yes),
            P::User(name, value) => {
                put_id_str(out, id::USER, name);
                put_str(out, value);
            }
            P::MaximumPacketSize(size) => put_id_u32(out, id::MAXIMUM_PACKET_SIZE, size.get()),
            P::WildcardSubscriptionAvailable(yes) => {
                put_id_flag(out, id::WILDCARD_SUBSCRIPTION_AVAILABLE, yes);
            }
            P::SubscriptionIdentifiersAvailable(yes) => put_id_flag(out, id::SUBSCRIPTION_ID_AVAILABLE, yes),
            P::SharedSubscriptionAvailable(yes) => put_id_flag(out, id::SHARED_SUBSCRIPTION_AVAILABLE, yes),
        }
    }
}

fn put_id_flag(out: &mut Vec<u8>, id: u8, yes: bool) {
    out.extend([id, u8::from(yes)]);
}

fn put_id_u16(out: &mut Vec<u8>, id: u8, value: u16) {
    out.push(id);
    put_u16(out, value);
}

fn put_id_u32(out: &mut Vec<u8>, id: u8, value: u32) {
    out.push(id);
    put_u32(out, value);
}

fn put_id_str(out: &mut Vec<u8>, id: u8, text: &str) {
    out.push(id);
    put_str(out, text);
}

fn put_id_binary(out: &mut Vec<u8>, id: u8, data: &[u8]) {
    out.push(id);
    put_binary(out, data);
}

/// Reads a property area that was just received: refuses what is no property and what is repeated.
pub(super) struct Area<'a> {
    reader: Reader<'a>,
    /// Bit n: the property with identifier n was seen.
    seen: u64,
}

/// What may stand more than once. Subscription identifiers only in PUBLISH: SUBSCRIBE looks after itself.
const REPEATABLE: u64 = 1 << id::USER | 1 << id::SUBSCRIPTION_ID;

impl<'a> Area<'a> {
    #[inline]
    pub(super) fn new(raw: &'a [u8]) -> Area<'a> {
        Area { reader: Reader::new(raw), seen: 0 }
    }

    /// The next property, `None` at the end.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Property<'a>>, Violation> {
        if self.reader.is_empty() {
            return Ok(None);
        }
        let id = self.reader.u8()?;
        let property = Property::read(id, &mut self.reader)?;
        // `read` knows no identifier of 64 or above.
        let bit = 1u64 << (id & 0x3F);
        if self.seen & bit & !REPEATABLE != 0 {
            return Err(Violation::RepeatedProperty);
        }
        self.seen |= bit;
        Ok(Some(property))
    }
}

/// Walks a validated area: each property with the bytes that it takes. Ends where the area is not valid.
#[derive(Clone, Copy)]
struct Walk<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Walk<'a> {
    type Item = (u8, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let len = property_len(self.rest)?;
        let (property, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some((property[0], property))
    }
}

/// Bytes that the property at the head of `bytes` takes, its identifier included; they need not all be there.
#[inline]
fn property_len(bytes: &[u8]) -> Option<usize> {
    let binary_end = |at: usize| {
        let len = bytes.get(at..at + 2)?;
        Some(at + 2 + usize::from(u16::from_be_bytes([len[0], len[1]])))
    };
    match *bytes.first()? {
        id::PAYLOAD_FORMAT
        | id::REQUEST_PROBLEM_INFORMATION
        | id::REQUEST_RESPONSE_INFORMATION
        | id::MAXIMUM_QOS
        | id::RETAIN_AVAILABLE
        | id::WILDCARD_SUBSCRIPTION_AVAILABLE
        | id::SUBSCRIPTION_ID_AVAILABLE
        | id::SHARED_SUBSCRIPTION_AVAILABLE => Some(2),
        id::SERVER_KEEP_ALIVE | id::RECEIVE_MAXIMUM | id::TOPIC_ALIAS_MAXIMUM | id::TOPIC_ALIAS => Some(3),
        id::MESSAGE_EXPIRY | id::SESSION_EXPIRY | id::WILL_DELAY | id::MAXIMUM_PACKET_SIZE => Some(5),
        id::SUBSCRIPTION_ID => bytes[1..].iter().take(4).position(|byte| byte & 0x80 == 0).map(|at| at + 2),
        id::USER => binary_end(binary_end(1)?),
        id::CONTENT_TYPE
        | id::RESPONSE_TOPIC
        | id::CORRELATION_DATA
        | id::ASSIGNED_CLIENT_ID
        | id::AUTHENTICATION_METHOD
        | id::AUTHENTICATION_DATA
        | id::RESPONSE_INFORMATION
        | id::SERVER_REFERENCE
        | id::REASON_STRING => binary_end(1),
        _ => None,
    }
}

/// The properties of a message's validated area that reach its receivers unaltered and in order
/// `[MQTT-3.3.2-4, 3.3.2-15, 3.3.2-16, 3.3.2-17, 3.3.2-18, 3.3.2-20]`, each as its bytes: not the topic alias, the
/// message expiry, the subscription identifiers or the will delay, which are the connection's or change on the way.
pub fn passed_on(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    const HELD_BACK: u64 =
        1 << id::TOPIC_ALIAS | 1 << id::MESSAGE_EXPIRY | 1 << id::SUBSCRIPTION_ID | 1 << id::WILL_DELAY;
    Walk { rest: raw }.filter(|&(id, _)| 1u64 << id & HELD_BACK == 0).map(|(_, bytes)| bytes)
}

/// Appends what [`passed_on`] yields.
pub fn append_passed_on(raw: &[u8], out: &mut Vec<u8>) {
    for property in passed_on(raw) {
        out.extend_from_slice(property);
    }
}

/// The first property of `raw`, a validated area, that `wanted` takes.
pub(super) fn find<'a, T>(raw: &'a [u8], wanted: impl Fn(Property<'a>) -> Option<T>) -> Option<T> {
    Walk { rest: raw }.find_map(|(id, bytes)| wanted(Property::read(id, &mut Reader::new(&bytes[1..])).ok()?))
}

/// User properties: the pairs of one property area, in order. Other properties of the area are skipped.
#[derive(Clone, Copy, Default)]
pub struct UserProperties<'a> {
    /// A validated property area (without its length).
    raw: &'a [u8],
}

impl<'a> UserProperties<'a> {
    /// Those of a validated property area.
    #[inline]
    pub(super) fn of_area(raw: &'a [u8]) -> UserProperties<'a> {
        UserProperties { raw }
    }

    /// The pairs, in order.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.walk().filter_map(|bytes| {
            let mut reader = Reader::new(&bytes[1..]);
            Some((reader.str().ok()?, reader.str().ok()?))
        })
    }

    fn walk(self) -> impl Iterator<Item = &'a [u8]> {
        Walk { rest: self.raw }.filter(|&(id, _)| id == id::USER).map(|(_, bytes)| bytes)
    }

    /// How many pairs there are. Reads lengths only.
    pub fn count(self) -> usize {
        self.walk().count()
    }

    /// How many bytes the pairs take on the wire. Reads lengths only.
    pub fn encoded_len(self) -> usize {
        self.walk().map(<[u8]>::len).sum()
    }

    /// Are there none?
    pub fn is_empty(self) -> bool {
        self.walk().next().is_none()
    }

    /// Appends the pairs to a property area.
    pub(super) fn append_to(self, out: &mut Vec<u8>) {
        for pair in self.walk() {
            out.extend_from_slice(pair);
        }
    }
}

impl PartialEq for UserProperties<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.walk().eq(other.walk())
    }
}

impl std::fmt::Debug for UserProperties<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Builds user properties.
#[derive(Clone, Debug, Default)]
pub struct UserPropertiesBuilder {
    raw: Vec<u8>,
}

impl UserPropertiesBuilder {
    /// Appends a pair. Panics when either is longer than 65,535 bytes.
    pub fn push(&mut self, name: &str, value: &str) {
        Property::User(name, value).append_to(&mut self.raw);
    }

    /// The pairs.
    pub fn user(&self) -> UserProperties<'_> {
        UserProperties { raw: &self.raw }
    }
}
