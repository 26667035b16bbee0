//! A packet as it is traced: a record that outlives it, of bounded size. Never a password, and nothing of
//! authentication data. Who asked for it is not known here.

use std::fmt::Display;
use std::net::SocketAddr;

use crate::mqtt::connect::Connect;
use crate::mqtt::property::UserProperties;
use crate::mqtt::publish::Publish;
use crate::mqtt::{Packet, PacketType, QoS, Version, Violation};
use crate::policy::trace::{Direction, Named};

/// Most bytes of a client identifier, a topic or a filter that are kept.
const TEXT_MOST: usize = 1_024;
/// Most filters, and most codes.
const FILTERS_MOST: usize = 8;
/// Most details, and most bytes of each.
const DETAILS_MOST: usize = 16;
const DETAIL_MOST: usize = 256;

/// A packet that was traced. Texts are as they came, from outside, and cut where they are very long: escape them where
/// they are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    /// When, in microseconds since 1970, UTC: when the turn began in which it was read, or handed to its socket.
    pub unix_micros: u64,
    /// From the client or to it.
    pub direction: Direction,
    /// The client identifier; empty before the broker has assigned one.
    pub client_id: Box<str>,
    /// The client's address.
    pub peer: SocketAddr,
    /// Version of the protocol.
    pub version: Version,
    /// What it is.
    pub packet: PacketType,
    /// All its bytes.
    pub packet_bytes: usize,
    /// The topic of a PUBLISH, by its name also where an alias stood for it; that of the will of a CONNECT.
    pub topic: Option<Box<str>>,
    /// QoS of a PUBLISH.
    pub qos: Option<QoS>,
    /// RETAIN of a PUBLISH.
    pub retain: bool,
    /// DUP of a PUBLISH.
    pub dup: bool,
    /// Packet identifier.
    pub packet_id: Option<u16>,
    /// Bytes of the payload.
    pub payload_bytes: usize,
    /// As much of it as was asked for.
    pub payload: Box<[u8]>,
    /// The reason code or return code of an answer or a DISCONNECT; of SUBACK and UNSUBACK one for each filter, the
    /// first eight.
    pub codes: Vec<u8>,
    /// Filters of SUBSCRIBE, each with its QoS, and of UNSUBSCRIBE: the first eight.
    pub filters: Vec<(Box<str>, Option<QoS>)>,
    /// Whatever else it says, by its name: what a CONNECT and a CONNACK ask for, properties. The first sixteen.
    pub details: Vec<(&'static str, String)>,
}

/// Where a packet was met.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene<'a> {
    pub(super) unix_micros: u64,
    pub(super) direction: Direction,
    pub(super) client_id: &'a str,
    pub(super) peer: SocketAddr,
    pub(super) version: Version,
    /// All its bytes.
    pub(super) packet_bytes: usize,
}

/// The filters that a packet names.
pub(super) fn filters<'a>(packet: &Packet<'a>) -> Vec<&'a str> {
    match packet {
        Packet::Subscribe(subscribe) => subscribe.filters.iter().map(|(filter, _)| filter).collect(),
        Packet::Unsubscribe(unsubscribe) => unsubscribe.filters.iter().collect(),
        _ => Vec::new(),
    }
}

/// What a packet names. `topic` is that of a PUBLISH, its alias resolved; `filters` are those of [`filters`].
pub(super) fn named<'a>(packet: &Packet<'_>, topic: &'a str, filters: &'a [&'a str]) -> Named<'a> {
    match packet {
        Packet::Publish(_) => Named::Topic(topic),
        Packet::Subscribe(_) | Packet::Unsubscribe(_) => Named::Filters(filters),
        _ => Named::Nothing,
    }
}

impl Traced {
    /// Of a packet that is whole and right. `topic` is that of a PUBLISH, its alias resolved.
    pub(super) fn new(scene: Scene<'_>, packet: &Packet<'_>, topic: &str, payload_bytes: usize) -> Traced {
        let mut traced = Traced::blank(scene, packet.packet_type());
        match packet {
            Packet::Connect(connect) => traced.connect(connect),
            Packet::ConnAck(connack) => {
                traced.codes.push(connack.reason as u8);
                traced.say_flag("session present", connack.session_present);
                let p = &connack.properties;
                traced.say("session expiry", p.session_expiry_secs);
                traced.say("receive maximum", p.receive_maximum);
                traced.say("maximum packet size", p.maximum_packet_size);
                traced.say("topic alias maximum", p.topic_alias_maximum);
                traced.say("assigned client id", p.assigned_client_id);
                traced.say("server keep alive", p.server_keep_alive_secs);
                traced.say("response information", p.response_information);
                traced.say("reason", p.reason_string);
            }
            Packet::Publish(publish) => traced.publish(publish, topic, payload_bytes),
            Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
                traced.packet_id = Some(ack.packet_id.as_u16());
                traced.codes.push(ack.reason as u8);
                traced.say("reason", ack.reason_string);
                traced.say_user(ack.user);
            }
            Packet::Subscribe(subscribe) => {
                traced.packet_id = Some(subscribe.packet_id.as_u16());
                let filters = subscribe.filters.iter().take(FILTERS_MOST);
                traced.filters =
                    filters.map(|(filter, o)| (cut(filter, TEXT_MOST).into(), Some(o.qos))).collect();
                traced.say("subscription identifier", subscribe.subscription_id);
                traced.say_user(subscribe.user);
            }
            Packet::Unsubscribe(unsubscribe) => {
                traced.packet_id = Some(unsubscribe.packet_id.as_u16());
                let filters = unsubscribe.filters.iter().take(FILTERS_MOST);
                traced.filters = filters.map(|filter| (cut(filter, TEXT_MOST).into(), None)).collect();
                traced.say_user(unsubscribe.user);
            }
            Packet::SubAck(suback) => traced.answer(suback.packet_id, suback.codes, suback.reason_string),
            Packet::UnsubAck(unsuback) => {
                traced.answer(unsuback.packet_id, unsuback.codes, unsuback.reason_string);
            }
            Packet::PingReq | Packet::PingResp => {}
            Packet::Disconnect(disconnect) => {
                traced.codes.push(disconnect.reason as u8);
                traced.say("session expiry", disconnect.session_expiry_secs);
                traced.say("reason", disconnect.reason_string);
                traced.say_user(disconnect.user);
            }
            Packet::Auth(auth) => {
                traced.codes.push(auth.reason as u8);
                traced.say("authentication method", auth.method);
                traced.say("reason", auth.reason_string);
            }
        }
        traced
    }

    /// Of a packet that breaks the protocol.
    pub(super) fn broken(scene: Scene<'_>, packet: PacketType, violation: Violation) -> Traced {
        let mut traced = Traced::blank(scene, packet);
        traced.say("violation", Some(violation.name()));
        traced
    }

    fn blank(scene: Scene<'_>, packet: PacketType) -> Traced {
        let Scene { unix_micros, direction, client_id, peer, version, packet_bytes } = scene;
        Traced {
            unix_micros,
            direction,
            client_id: cut(client_id, TEXT_MOST).into(),
            peer,
            version,
            packet,
            packet_bytes,
            topic: None,
            qos: None,
            retain: false,
            dup: false,
            packet_id: None,
            payload_bytes: 0,
            payload: Box::default(),
            codes: Vec::new(),
            filters: Vec::new(),
            details: Vec::new(),
        }
    }

    fn connect(&mut self, connect: &Connect<'_>) {
        self.version = connect.version;
        self.say_flag("clean start", connect.clean_start);
        self.say("keep alive", Some(connect.keep_alive_secs));
        self.say("user name", connect.user_name);
        self.say_flag("password", connect.password.is_some());
        if let Some(will) = &connect.will {
            self.topic = Some(cut(will.topic, TEXT_MOST).into());
            self.say("will", Some(format!("QoS {}, {} bytes", will.qos as u8, will.payload.len())));
            self.say_flag("will retain", will.retain);
            self.say("will delay", will.properties.delay_secs);
        }
        let p = &connect.properties;
        self.say("session expiry", p.session_expiry_secs);
        self.say("receive maximum", p.receive_maximum);
        self.say("maximum packet size", p.maximum_packet_size);
        self.say("topic alias maximum", p.topic_alias_maximum);
        self.say("authentication method", p.authentication_method);
        self.say_user(p.user);
    }

    fn publish(&mut self, publish: &Publish<'_>, topic: &str, payload_bytes: usize) {
        self.topic = Some(cut(topic, TEXT_MOST).into());
        self.qos = Some(publish.qos);
        (self.retain, self.dup) = (publish.retain, publish.dup);
        self.packet_id = publish.packet_id.map(crate::mqtt::PacketId::as_u16);
        self.payload_bytes = publish.payload.len();
        self.payload = publish.payload[..payload_bytes.min(publish.payload.len())].into();
        let p = &publish.properties;
        self.say("topic alias", p.topic_alias);
        self.say("message expiry", p.message_expiry_secs);
        self.say("content type", p.content_type());
        self.say("response topic", p.response_topic());
        self.say("correlation data", p.correlation_data().map(|data| format!("{} bytes", data.len())));
        for id in &p.subscription_ids {
            self.say("subscription identifier", Some(id));
        }
        self.say_user(p.user());
    }

    fn answer(&mut self, id: crate::mqtt::PacketId, codes: &[u8], reason: Option<&str>) {
        self.packet_id = Some(id.as_u16());
        self.codes = codes[..codes.len().min(FILTERS_MOST)].to_vec();
        self.say("reason", reason);
    }

    fn say(&mut self, name: &'static str, value: Option<impl Display>) {
        if let Some(value) = value
            && self.details.len() < DETAILS_MOST
        {
            let mut text = value.to_string();
            text.truncate(cut(&text, DETAIL_MOST).len());
            self.details.push((name, text));
        }
    }

    fn say_flag(&mut self, name: &'static str, is_set: bool) {
        self.say(name, is_set.then_some("yes"));
    }

    fn say_user(&mut self, user: UserProperties<'_>) {
        for (name, value) in user.iter().take(DETAILS_MOST) {
            self.say(
                "user property",
                Some(format!("{}={}", cut(name, DETAIL_MOST), cut(value, DETAIL_MOST))),
            );
        }
    }
}

/// The beginning of a text, no longer than `most` bytes.
fn cut(text: &str, most: usize) -> &str {
    let fits = |end: &usize| text.is_char_boundary(*end);
    &text[..(0..=most.min(text.len())).rev().find(fits).unwrap_or_default()]
}
