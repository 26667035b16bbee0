//! A client of the lockstep: it writes what an action says, reads what comes, and remembers what it owes. Whether
//! what came is right is for the model to say.

use std::collections::{BTreeMap, VecDeque};
use std::num::{NonZeroU16, NonZeroU32};
use std::rc::Rc;

use tidemq::mqtt::connect::{self, ConnectProperties, Will, WillProperties};
use tidemq::mqtt::property::Property;
use tidemq::mqtt::subscribe::{RetainHandling, SubscriptionOptions};
use tidemq::mqtt::{Packet, QoS, ReasonCode, Version};

use super::script::{Connect, Publish};
use crate::history::{ClientNo, SocketNo};
use crate::model::{Connecting, Message, Told};
use crate::wire::{self, AckKind, Heard, Published, Text};

/// A packet to be written, and what it tells the model.
pub struct Packets(pub Vec<(Vec<u8>, Told)>);

/// One client identifier.
pub struct Peer {
    pub no: ClientNo,
    pub id: String,
    pub link: Option<Link>,
    /// Connections that were taken over, until the broker closes them.
    pub old: Vec<Link>,
    last_id: u16,
    /// Publishes not yet completed, oldest first.
    out: VecDeque<Out>,
    /// It was given its session back: what is open must be repeated before anything else.
    pub repeats: bool,
    made: usize,
    /// It broke the window and does not know what is open: it begins again.
    must_clean: bool,
}

struct Out {
    packet_id: u16,
    message: Rc<Message>,
    released: bool,
}

/// One connection.
pub struct Link {
    pub socket: SocketNo,
    pub version: Version,
    pub rx: Vec<u8>,
    pub reading: bool,
    pub accepted: bool,
    pub asked_expiry: u32,
    pub quota: usize,
    due: VecDeque<(AckKind, u16)>,
    alias_maximum: u16,
    aliases: BTreeMap<NonZeroU16, String>,
    shared: bool,
}

impl Link {
    pub fn new(socket: SocketNo, connect: &Connect) -> Link {
        Link {
            socket,
            version: connect.version,
            rx: Vec::new(),
            reading: true,
            accepted: false,
            asked_expiry: connect.expiry_secs,
            quota: 0,
            due: VecDeque::new(),
            alias_maximum: 0,
            aliases: BTreeMap::new(),
            shared: false,
        }
    }
}

impl Peer {
    pub fn new(number: usize) -> Peer {
        Peer {
            no: ClientNo(number),
            id: format!("client-{number}"),
            link: None,
            old: Vec::new(),
            last_id: 0,
            out: VecDeque::new(),
            repeats: false,
            made: 0,
            must_clean: false,
        }
    }

    fn message(&mut self, p: &Publish, v5: bool) -> Rc<Message> {
        self.made += 1;
        let mut payload = format!("{}.{}:", self.no.0, self.made).into_bytes();
        payload.resize(p.bytes.max(payload.len()), b'.');
        Rc::new(Message {
            publisher: self.no,
            topic: p.topic.to_owned(),
            qos: p.qos,
            retain: p.retain,
            expiry_secs: p.expiry_secs.filter(|_| v5),
            passed_on: if v5 { p.passed_on.clone() } else { Text::default() },
            payload: Text(if p.bytes == 0 { Vec::new() } else { payload }),
        })
    }

    /// CONNECT.
    pub fn connect(&mut self, c: &Connect) -> Packets {
        let v5 = c.version == Version::V5;
        let clean = c.clean || self.must_clean;
        let will = c.will.as_ref().map(|(p, delay)| (self.message(p, v5), if v5 { *delay } else { 0 }));
        let connecting = Connecting {
            version: c.version,
            clean,
            expiry_secs: c.expiry_secs,
            keep_alive_secs: c.keep_alive_secs,
            receive_maximum: c.receive_maximum.filter(|_| v5),
            maximum_packet: c.maximum_packet.filter(|_| v5),
            alias_maximum: if v5 { c.alias_maximum } else { 0 },
            will: will.clone(),
        };
        let packet = connect::Connect {
            version: c.version,
            clean_start: clean,
            keep_alive_secs: c.keep_alive_secs,
            client_id: &self.id,
            will: will.as_ref().map(|(message, delay)| Will {
                qos: message.qos,
                retain: message.retain,
                topic: &message.topic,
                payload: &message.payload.0,
                properties: WillProperties {
                    delay_secs: v5.then_some(*delay),
                    message_expiry_secs: message.expiry_secs,
                    raw: &message.passed_on.0,
                },
            }),
            user_name: None,
            password: None,
            properties: ConnectProperties {
                session_expiry_secs: v5.then_some(c.expiry_secs),
                receive_maximum: connecting.receive_maximum.and_then(NonZeroU16::new),
                maximum_packet_size: connecting.maximum_packet.and_then(NonZeroU32::new),
                topic_alias_maximum: v5.then_some(c.alias_maximum),
                ..ConnectProperties::default()
            },
        };
        Packets(vec![(wire::bytes(&Packet::Connect(packet), c.version), Told::Connect(connecting))])
    }

    /// PUBLISH, as many as the broker allows.
    pub fn publish(&mut self, p: &Publish, many: usize) -> Packets {
        let mut packets = Vec::new();
        for _ in 0..many {
            let Some(link) = &self.link else { break };
            if p.qos != QoS::AtMostOnce && self.out.len() >= link.quota {
                break;
            }
            let message = self.message(p, link.version == Version::V5);
            let packet_id = (p.qos != QoS::AtMostOnce).then(|| self.fresh_id());
            if let Some(packet_id) = packet_id {
                self.out.push_back(Out { packet_id, message: Rc::clone(&message), released: false });
            }
            let link = self.link.as_mut().expect("looked at above");
            packets.push(link.write(message, packet_id, false, p.alias));
        }
        Packets(packets)
    }

    /// Everything that an earlier connection left open, in order `[MQTT-4.4.0-1]`.
    pub fn repeat(&mut self) -> Packets {
        self.repeats = false;
        let Some(link) = &mut self.link else { return Packets(Vec::new()) };
        let again = self.out.iter().map(|out| match out.released {
            true => link.acknowledge(AckKind::PubRel, out.packet_id, false),
            false => link.write(Rc::clone(&out.message), Some(out.packet_id), true, None),
        });
        Packets(again.collect())
    }

    /// More QoS 2 than the broker's Receive Maximum.
    pub fn flood(&mut self, p: &Publish) -> Packets {
        let p = Publish { qos: QoS::ExactlyOnce, ..p.clone() };
        self.must_clean = true;
        let mut packets = Vec::new();
        let Some(many) = self.link.as_ref().map(|link| link.quota + 1) else { return Packets(packets) };
        for _ in 0..many {
            let message = self.message(&p, true);
            let id = self.fresh_id();
            let link = self.link.as_mut().expect("looked at above");
            packets.push(link.write(message, Some(id), false, None));
        }
        Packets(packets)
    }

    fn fresh_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            if self.last_id != 0 && self.out.iter().all(|out| out.packet_id != self.last_id) {
                return self.last_id;
            }
        }
    }

    /// SUBSCRIBE; shared filters only where the broker has them.
    pub fn subscribe(&mut self, id: Option<u32>, filters: &[(String, SubscriptionOptions)]) -> Packets {
        let packet_id = self.fresh_id();
        let Some(link) = &self.link else { return Packets(Vec::new()) };
        let v5 = link.version == Version::V5;
        let plain = SubscriptionOptions {
            qos: QoS::AtMostOnce,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Send,
        };
        let filters: Vec<(String, SubscriptionOptions)> = filters
            .iter()
            .filter(|(filter, _)| (link.shared && v5) || !filter.starts_with("$share/"))
            .map(|(filter, o)| {
                (filter.clone(), if v5 { *o } else { SubscriptionOptions { qos: o.qos, ..plain } })
            })
            .collect();
        if filters.is_empty() {
            return Packets(Vec::new());
        }
        let id = id.filter(|_| v5);
        let bytes = wire::subscribe(link.version, packet_id, id, &filters);
        Packets(vec![(bytes, Told::Subscribe { packet_id, id, filters })])
    }

    /// UNSUBSCRIBE.
    pub fn unsubscribe(&mut self, filter: String) -> Packets {
        let packet_id = self.fresh_id();
        let Some(link) = &self.link else { return Packets(Vec::new()) };
        let filters = vec![filter];
        let bytes = wire::unsubscribe(link.version, packet_id, &filters);
        Packets(vec![(bytes, Told::Unsubscribe { packet_id, filters })])
    }

    /// PUBACK, PUBREC, PUBREL and PUBCOMP that are due, in order.
    pub fn acknowledge(&mut self, most: usize, refuses: bool) -> Packets {
        let Some(link) = &mut self.link else { return Packets(Vec::new()) };
        let refuses = refuses && link.version == Version::V5;
        let many = most.min(link.due.len());
        let due: Vec<(AckKind, u16)> = link.due.drain(..many).collect();
        Packets(due.into_iter().map(|(kind, id)| link.acknowledge(kind, id, refuses)).collect())
    }

    /// One of its connections.
    pub fn link_on(&mut self, socket: SocketNo) -> Option<&mut Link> {
        self.link.iter_mut().chain(&mut self.old).find(|link| link.socket == socket)
    }

    /// PUBLISH with an alias that was not allowed, and the like.
    pub fn crime(&self, bytes: Vec<u8>, code: u8) -> Packets {
        Packets(vec![(bytes, Told::Crime(code))])
    }

    /// Notes what a packet asks for.
    pub fn hear(&mut self, socket: SocketNo, heard: &Heard) {
        let Some(link) = self.link.as_mut().filter(|link| link.socket == socket) else { return };
        match heard {
            Heard::ConnAck(ack) => {
                let v5 = link.version == Version::V5;
                link.accepted = true;
                self.must_clean = false;
                link.quota = if v5 { usize::from(ack.receive_maximum) } else { 3 };
                link.alias_maximum = ack.topic_alias_maximum;
                link.shared = v5 && ack.shared_available;
            }
            Heard::Publish(p) => match (p.qos, p.packet_id) {
                (QoS::AtLeastOnce, Some(id)) => link.due.push_back((AckKind::PubAck, id)),
                (QoS::ExactlyOnce, Some(id)) => link.due.push_back((AckKind::PubRec, id)),
                _ => {}
            },
            Heard::PubRel(id, _) => link.due.push_back((AckKind::PubComp, *id)),
            Heard::PubAck(id, _) | Heard::PubComp(id, _) => self.out.retain(|out| out.packet_id != *id),
            Heard::PubRec(id, code) if *code >= 0x80 => self.out.retain(|out| out.packet_id != *id),
            Heard::PubRec(id, _) => {
                self.out.iter_mut().filter(|out| out.packet_id == *id).for_each(|out| out.released = true);
                link.due.push_back((AckKind::PubRel, *id));
            }
            Heard::SubAck(..) | Heard::UnsubAck(..) | Heard::PingResp | Heard::Disconnect(_) => {}
        }
    }

    /// Whether its session goes on: the model knows, also where 3.1 does not say.
    pub fn resumes(&mut self, session_present: bool) {
        if session_present {
            self.repeats = !self.out.is_empty();
        } else {
            self.out.clear();
        }
    }
}

impl Link {
    fn write(
        &mut self,
        message: Rc<Message>,
        packet_id: Option<u16>,
        dup: bool,
        alias: Option<NonZeroU16>,
    ) -> (Vec<u8>, Told) {
        let alias = alias.filter(|alias| alias.get() <= self.alias_maximum && self.version == Version::V5);
        let known = alias.is_some_and(|alias| self.aliases.get(&alias) == Some(&message.topic));
        if let Some(alias) = alias {
            self.aliases.insert(alias, message.topic.clone());
        }
        let v5 = self.version == Version::V5;
        // Repeated on a connection of an older version it has no properties any more.
        let message = if v5 { message } else { Rc::new(message.without_properties()) };
        let bytes = wire::publish(
            self.version,
            &Published {
                dup,
                qos: message.qos,
                retain: message.retain,
                topic: if known { "" } else { &message.topic },
                alias: alias.map(NonZeroU16::get),
                expiry_secs: message.expiry_secs,
                packet_id,
                passed_on: &message.passed_on.0,
                ids: &[],
                payload: &message.payload.0,
            },
        );
        (bytes, Told::Publish { message, packet_id })
    }

    fn acknowledge(&self, kind: AckKind, packet_id: u16, refuses: bool) -> (Vec<u8>, Told) {
        let refuses = refuses && matches!(kind, AckKind::PubAck | AckKind::PubRec);
        let reason = if refuses { ReasonCode::UnspecifiedError } else { ReasonCode::Success };
        let bytes = wire::ack_with(self.version, kind, packet_id, reason);
        (bytes, Told::Ack { kind, packet_id, refuses })
    }
}

/// A PUBLISH that no client may send.
pub fn forbidden_publish(property: Property<'_>) -> Vec<u8> {
    let mut area = Vec::new();
    property.append_to(&mut area);
    let mut body = vec![0, 1, b'x', area.len() as u8];
    body.extend(area);
    let mut packet = vec![0x30, body.len() as u8];
    packet.extend(body);
    packet
}
