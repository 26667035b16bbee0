//! Packets as a client makes and reads them: a codec of a few lines, which knows nothing of the broker's. What a test
//! wants to be wrong, it writes as bytes.

/// Which standard a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 3.1.1.
    V3,
    /// 5.0.
    V5,
}

pub use Version::{V3, V5};

pub const PINGREQ: [u8; 2] = [0xC0, 0];
pub const PINGRESP: [u8; 2] = [0xD0, 0];
/// DISCONNECT as 3.1.1 has it, and the short form of Reason Code 0x00 in 5.0.
pub const DISCONNECT: [u8; 2] = [0xE0, 0];

/// One after the other.
pub fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// A Variable Byte Integer.
pub fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (value & 0x7F) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

/// A packet of this first byte.
pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    join(&[&[first], &varint(body.len()), body])
}

/// Binary Data: two bytes of length, then the bytes.
pub fn binary(bytes: &[u8]) -> Vec<u8> {
    join(&[&(bytes.len() as u16).to_be_bytes(), bytes])
}

/// A UTF-8 Encoded String.
pub fn text(text: &str) -> Vec<u8> {
    binary(text.as_bytes())
}

/// Identifiers of properties.
pub mod prop {
    pub const PAYLOAD_FORMAT: u8 = 0x01;
    pub const MESSAGE_EXPIRY: u8 = 0x02;
    pub const CONTENT_TYPE: u8 = 0x03;
    pub const RESPONSE_TOPIC: u8 = 0x08;
    pub const CORRELATION_DATA: u8 = 0x09;
    pub const SUBSCRIPTION_ID: u8 = 0x0B;
    pub const SESSION_EXPIRY: u8 = 0x11;
    pub const ASSIGNED_CLIENT_ID: u8 = 0x12;
    pub const SERVER_KEEP_ALIVE: u8 = 0x13;
    pub const AUTHENTICATION_METHOD: u8 = 0x15;
    pub const AUTHENTICATION_DATA: u8 = 0x16;
    pub const REQUEST_PROBLEM_INFORMATION: u8 = 0x17;
    pub const WILL_DELAY: u8 = 0x18;
    pub const REQUEST_RESPONSE_INFORMATION: u8 = 0x19;
    pub const RESPONSE_INFORMATION: u8 = 0x1A;
    pub const SERVER_REFERENCE: u8 = 0x1C;
    pub const REASON_STRING: u8 = 0x1F;
    pub const RECEIVE_MAXIMUM: u8 = 0x21;
    pub const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
    pub const TOPIC_ALIAS: u8 = 0x23;
    pub const MAXIMUM_QOS: u8 = 0x24;
    pub const RETAIN_AVAILABLE: u8 = 0x25;
    pub const USER: u8 = 0x26;
    pub const MAXIMUM_PACKET_SIZE: u8 = 0x27;
    pub const WILDCARD_AVAILABLE: u8 = 0x28;
    pub const SUBSCRIPTION_ID_AVAILABLE: u8 = 0x29;
    pub const SHARED_AVAILABLE: u8 = 0x2A;
}

/// Properties in the order in which they are added; as many of one kind as are added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties(pub Vec<u8>);

impl Properties {
    pub fn new() -> Properties {
        Properties::default()
    }

    fn with(mut self, id: u8, value: &[u8]) -> Properties {
        self.0.push(id);
        self.0.extend(value);
        self
    }

    pub fn byte(self, id: u8, value: u8) -> Properties {
        self.with(id, &[value])
    }

    pub fn two(self, id: u8, value: u16) -> Properties {
        self.with(id, &value.to_be_bytes())
    }

    pub fn four(self, id: u8, value: u32) -> Properties {
        self.with(id, &value.to_be_bytes())
    }

    pub fn varint(self, id: u8, value: usize) -> Properties {
        self.with(id, &varint(value))
    }

    pub fn binary(self, id: u8, value: &[u8]) -> Properties {
        self.with(id, &binary(value))
    }

    pub fn text(self, id: u8, value: &str) -> Properties {
        self.with(id, &text(value))
    }

    pub fn user(self, name: &str, value: &str) -> Properties {
        self.with(prop::USER, &join(&[&text(name), &text(value)]))
    }

    /// With the Property Length in front.
    pub fn bytes(&self) -> Vec<u8> {
        join(&[&varint(self.0.len()), &self.0])
    }

    /// As `version` has them: 3.1.1 has none.
    fn of(&self, version: Version) -> Vec<u8> {
        match version {
            V3 => Vec::new(),
            V5 => self.bytes(),
        }
    }
}

/// CONNECT.
#[derive(Clone, Debug)]
pub struct Connect {
    version: Version,
    clean: bool,
    keep_alive: u16,
    properties: Properties,
    id: String,
    will: Option<Will>,
    user: Option<String>,
    password: Option<Vec<u8>>,
}

#[derive(Clone, Debug)]
pub struct Will {
    qos: u8,
    retain: bool,
    properties: Properties,
    topic: String,
    payload: Vec<u8>,
}

impl Will {
    pub fn new(topic: &str, payload: &[u8]) -> Will {
        Will {
            qos: 0,
            retain: false,
            properties: Properties::new(),
            topic: topic.to_owned(),
            payload: payload.to_vec(),
        }
    }

    pub fn qos(self, qos: u8) -> Will {
        Will { qos, ..self }
    }

    pub fn retained(self) -> Will {
        Will { retain: true, ..self }
    }

    pub fn properties(self, properties: Properties) -> Will {
        Will { properties, ..self }
    }
}

impl Connect {
    /// Clean Start, no Keep Alive.
    pub fn new(version: Version, id: &str) -> Connect {
        Connect {
            version,
            clean: true,
            keep_alive: 0,
            properties: Properties::new(),
            id: id.to_owned(),
            will: None,
            user: None,
            password: None,
        }
    }

    /// Clean Start 0; with 5.0 the session also outlives its connection, as in 3.1.1.
    pub fn lasting(mut self) -> Connect {
        self.clean = false;
        if self.version == V5 {
            self.properties = self.properties.four(prop::SESSION_EXPIRY, 3_600);
        }
        self
    }

    pub fn clean(self, clean: bool) -> Connect {
        Connect { clean, ..self }
    }

    pub fn keep_alive(self, secs: u16) -> Connect {
        Connect { keep_alive: secs, ..self }
    }

    /// In place of those it has.
    pub fn properties(self, properties: Properties) -> Connect {
        Connect { properties, ..self }
    }

    pub fn will(self, will: Will) -> Connect {
        Connect { will: Some(will), ..self }
    }

    pub fn user(self, name: &str) -> Connect {
        Connect { user: Some(name.to_owned()), ..self }
    }

    pub fn password(self, password: &[u8]) -> Connect {
        Connect { password: Some(password.to_vec()), ..self }
    }

    pub fn version(&self) -> Version {
        self.version
    }

    pub fn bytes(&self) -> Vec<u8> {
        let level = if self.version == V3 { 4 } else { 5 };
        let mut flags = u8::from(self.clean) << 1;
        flags |= u8::from(self.user.is_some()) << 7 | u8::from(self.password.is_some()) << 6;
        let mut body = Vec::new();
        if let Some(will) = &self.will {
            flags |= 4 | will.qos << 3 | u8::from(will.retain) << 5;
        }
        body.extend(b"\0\x04MQTT");
        body.extend([level, flags]);
        body.extend(self.keep_alive.to_be_bytes());
        body.extend(self.properties.of(self.version));
        body.extend(text(&self.id));
        if let Some(will) = &self.will {
            body.extend(will.properties.of(self.version));
            body.extend(text(&will.topic));
            body.extend(binary(&will.payload));
        }
        body.extend(self.user.as_deref().map(text).unwrap_or_default());
        body.extend(self.password.as_deref().map(binary).unwrap_or_default());
        packet(0x10, &body)
    }
}

/// PUBLISH, as it is made and as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    pub dup: bool,
    pub qos: u8,
    pub retain: bool,
    pub topic: String,
    /// 0 with QoS 0.
    pub id: u16,
    pub properties: Properties,
    pub payload: Vec<u8>,
}

impl Publish {
    /// QoS 0.
    pub fn new(topic: &str, payload: &[u8]) -> Publish {
        Publish {
            dup: false,
            qos: 0,
            retain: false,
            topic: topic.to_owned(),
            id: 0,
            properties: Properties::new(),
            payload: payload.to_vec(),
        }
    }

    pub fn qos(self, qos: u8, id: u16) -> Publish {
        Publish { qos, id, ..self }
    }

    pub fn retained(self) -> Publish {
        Publish { retain: true, ..self }
    }

    pub fn dup(self) -> Publish {
        Publish { dup: true, ..self }
    }

    pub fn properties(self, properties: Properties) -> Publish {
        Publish { properties, ..self }
    }

    pub fn bytes(&self, version: Version) -> Vec<u8> {
        let first = 0x30 | u8::from(self.dup) << 3 | self.qos << 1 | u8::from(self.retain);
        let id = if self.qos > 0 { self.id.to_be_bytes().to_vec() } else { Vec::new() };
        packet(first, &join(&[&text(&self.topic), &id, &self.properties.of(version), &self.payload]))
    }
}

/// SUBSCRIBE to filters with their options (in 3.1.1: the requested QoS).
pub fn subscribe(version: Version, id: u16, filters: &[(&str, u8)]) -> Vec<u8> {
    subscribe_with(version, id, &Properties::new(), filters)
}

pub fn subscribe_with(version: Version, id: u16, properties: &Properties, filters: &[(&str, u8)]) -> Vec<u8> {
    let mut body = join(&[&id.to_be_bytes(), &properties.of(version)]);
    for (filter, options) in filters {
        body.extend(text(filter));
        body.push(*options);
    }
    packet(0x82, &body)
}

pub fn unsubscribe(version: Version, id: u16, filters: &[&str]) -> Vec<u8> {
    let mut body = join(&[&id.to_be_bytes(), &Properties::new().of(version)]);
    filters.iter().for_each(|filter| body.extend(text(filter)));
    packet(0xA2, &body)
}

/// The first bytes of acknowledgements.
pub const PUBACK: u8 = 0x40;
pub const PUBREC: u8 = 0x50;
pub const PUBREL: u8 = 0x62;
pub const PUBCOMP: u8 = 0x70;

/// PUBACK, PUBREC, PUBREL or PUBCOMP: success, in the short form that both standards have.
pub fn ack(first: u8, id: u16) -> Vec<u8> {
    packet(first, &id.to_be_bytes())
}

/// The same with a Reason Code (5.0).
pub fn ack_because(first: u8, id: u16, reason: u8) -> Vec<u8> {
    packet(first, &join(&[&id.to_be_bytes(), &[reason]]))
}

/// DISCONNECT with a Reason Code and properties (5.0).
pub fn disconnect(reason: u8, properties: &Properties) -> Vec<u8> {
    packet(0xE0, &join(&[&[reason], &properties.bytes()]))
}

/// A packet from the broker, cut off but not decoded.
#[derive(Clone, PartialEq, Eq)]
pub struct Packet {
    pub first: u8,
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Packet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02X} {:02X?} {:?}", self.first, self.body, String::from_utf8_lossy(&self.body))
    }
}

impl Packet {
    /// Takes the first whole packet off `bytes`; `None` when there is none.
    pub fn take(bytes: &mut Vec<u8>) -> Option<Packet> {
        let lengths = bytes.get(1..)?;
        let last = lengths.iter().take(4).position(|byte| byte & 0x80 == 0)?;
        let head = 2 + last;
        let len = lengths[..=last].iter().rev().fold(0, |len, byte| len << 7 | usize::from(byte & 0x7F));
        assert_eq!(varint(len), lengths[..=last], "the Remaining Length takes the bytes it needs");
        if bytes.len() < head + len {
            return None;
        }
        let body = bytes[head..head + len].to_vec();
        let first = bytes[0];
        bytes.drain(..head + len);
        Some(Packet { first, body })
    }

    /// How long it was on the wire.
    pub fn wire_len(&self) -> usize {
        1 + varint(self.body.len()).len() + self.body.len()
    }

    /// The Packet Identifier of anything but PUBLISH.
    pub fn id(&self) -> u16 {
        u16::from_be_bytes([self.body[0], self.body[1]])
    }

    /// The Reason Code of CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, DISCONNECT and AUTH: 0 when it is left out.
    pub fn reason(&self) -> u8 {
        let at = match self.first >> 4 {
            2 => 1,
            14 | 15 => 0,
            4..=7 => 2,
            kind => panic!("a packet of type {kind} has no single Reason Code"),
        };
        self.body.get(at).copied().unwrap_or(0)
    }

    /// Session Present of a CONNACK.
    pub fn session_present(&self) -> bool {
        assert_eq!(self.first, 0x20, "{self:?}");
        assert!(self.body[0] <= 1, "bits 7-1 are reserved: {self:?}");
        self.body[0] == 1
    }

    /// The properties of a 5.0 packet other than PUBLISH, as (identifier, value's bytes).
    pub fn properties(&self) -> Vec<(u8, Vec<u8>)> {
        let at = match self.first >> 4 {
            4..=7 => 3,
            2 | 9 | 11 => 2,
            14 | 15 => 1,
            kind => panic!("where a packet of type {kind} has its properties is not known here"),
        };
        let Some(area) = self.body.get(at..).filter(|area| !area.is_empty()) else { return Vec::new() };
        let (len, used) = read_varint(area);
        if !matches!(self.first >> 4, 9 | 11) {
            assert_eq!(area.len(), used + len, "the properties are the end: {self:?}");
        }
        split_properties(&area[used..used + len])
    }

    /// The value of a property; `None` when it is absent. It may not stand twice.
    pub fn property(&self, id: u8) -> Option<Vec<u8>> {
        let mut found = self.properties().into_iter().filter(|(each, _)| *each == id).map(|(_, value)| value);
        let value = found.next();
        assert_eq!(found.next(), None, "property {id:#04X} stands twice: {self:?}");
        value
    }

    /// The codes of a SUBACK or UNSUBACK.
    pub fn codes(&self, version: Version) -> &[u8] {
        assert!(matches!(self.first, 0x90 | 0xB0), "{self:?}");
        match version {
            V3 => &self.body[2..],
            V5 => {
                let (len, used) = read_varint(&self.body[2..]);
                &self.body[2 + used + len..]
            }
        }
    }

    /// It is a PUBLISH.
    #[track_caller]
    pub fn publish(&self, version: Version) -> Publish {
        assert_eq!(self.first >> 4, 3, "not a PUBLISH: {self:?}");
        let qos = self.first >> 1 & 3;
        let topic_len = usize::from(u16::from_be_bytes([self.body[0], self.body[1]]));
        let mut at = 2 + topic_len;
        let topic = String::from_utf8(self.body[2..at].to_vec()).expect("a topic is UTF-8");
        let id = if qos > 0 { u16::from_be_bytes([self.body[at], self.body[at + 1]]) } else { 0 };
        at += if qos > 0 { 2 } else { 0 };
        let mut properties = Properties::new();
        if version == V5 {
            let (len, used) = read_varint(&self.body[at..]);
            properties.0 = self.body[at + used..at + used + len].to_vec();
            at += used + len;
        }
        let (dup, retain) = (self.first & 8 != 0, self.first & 1 != 0);
        Publish { dup, qos, retain, topic, id, properties, payload: self.body[at..].to_vec() }
    }
}

/// Value and how many bytes it took.
fn read_varint(bytes: &[u8]) -> (usize, usize) {
    let last = bytes.iter().position(|byte| byte & 0x80 == 0).expect("it ends");
    let value = bytes[..=last].iter().rev().fold(0, |len, byte| len << 7 | usize::from(byte & 0x7F));
    assert_eq!(varint(value), bytes[..=last], "it takes the bytes it needs");
    (value, last + 1)
}

/// Properties without their length, as (identifier, value's bytes); the lengths of strings are left out, those of a
/// pair's two strings are not.
pub fn split_properties(mut area: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut found = Vec::new();
    while let Some((&id, rest)) = area.split_first() {
        let string = |bytes: &[u8]| 2 + usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
        let (skip, len) = match id {
            0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28..=0x2A => (0, 1),
            0x13 | 0x21..=0x23 => (0, 2),
            0x02 | 0x11 | 0x18 | 0x27 => (0, 4),
            0x0B => (0, read_varint(rest).1),
            0x03 | 0x08 | 0x09 | 0x12 | 0x15 | 0x16 | 0x1A | 0x1C | 0x1F => (2, string(rest)),
            0x26 => (0, string(rest) + string(&rest[string(rest)..])),
            _ => panic!("there is no property {id:#04X}"),
        };
        found.push((id, rest[skip..len].to_vec()));
        area = &rest[len..];
    }
    found
}

#[test]
fn what_is_made_is_read() {
    let bytes = Connect::new(V5, "ab").keep_alive(258).will(Will::new("w", b"x").qos(1)).user("u").bytes();
    assert_eq!(bytes, b"\x10\x19\0\x04MQTT\x05\x8E\x01\x02\0\0\x02ab\0\0\x01w\0\x01x\0\x01u");
    let properties = Properties::new().two(prop::TOPIC_ALIAS, 5).user("n", "v").text(prop::CONTENT_TYPE, "c");
    let made = Publish::new("t", b"p").qos(1, 7).properties(properties);
    let mut bytes = [made.bytes(V5), PINGRESP.to_vec(), vec![0xD0]].concat();
    let read = Packet::take(&mut bytes).expect("it is whole").publish(V5);
    assert_eq!(read, made);
    let split = split_properties(&read.properties.0);
    assert_eq!(split, [(0x23, vec![0, 5]), (0x26, b"\0\x01n\0\x01v".to_vec()), (3, b"c".to_vec())]);
    assert_eq!(Packet::take(&mut bytes), Some(Packet { first: 0xD0, body: Vec::new() }));
    assert_eq!(Packet::take(&mut bytes), None);
    assert_eq!([varint(127), varint(128)].concat(), [0x7F, 0x80, 1]);
}
