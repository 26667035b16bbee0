//! A client packet by packet: what it answers, and what it will not take.

use super::*;
use crate::plan::Login;
use tidemq::mqtt::connack::ConnAckProperties;

#[derive(Default)]
struct Log {
    connected: Option<(bool, u16)>,
    delivered: Vec<(QoS, bool)>,
    acknowledged: Vec<(u16, ReasonCode)>,
}

impl Observer for Log {
    fn connected(&mut self, session_present: bool, receive_maximum: u16) {
        self.connected = Some((session_present, receive_maximum));
    }
    fn subscribed(&mut self, _: &[u8]) {}
    fn delivered(&mut self, d: Delivery<'_>) {
        self.delivered.push((d.qos, d.dup));
    }
    fn acknowledged(&mut self, message: Outgoing, reason: ReasonCode) {
        self.acknowledged.push((message.packet_id.as_u16(), reason));
    }
}

fn bytes(packet: &Packet<'_>, version: Version) -> Vec<u8> {
    let mut out = Vec::new();
    packet.encode(version, &mut out);
    out
}

fn connack(session_present: bool, reason: ReasonCode) -> Packet<'static> {
    let properties = ConnAckProperties { receive_maximum: Some(7), ..Default::default() };
    Packet::ConnAck(ConnAck { session_present, reason, properties })
}

fn id(id: u16) -> PacketId {
    PacketId::new(id).expect("not zero")
}

fn connected(version: Version) -> (Client, Log) {
    let (mut client, mut log, mut out) = (Client::new(version), Log::default(), Vec::new());
    let login = Login::default();
    client.connect(&Identity { client_id: "c", login: &login, durability: Durability::Durable }, &mut out);
    client
        .handle_bytes(&bytes(&connack(false, ReasonCode::Success), version), &mut out, &mut log)
        .expect("accepted");
    assert_eq!(client.stage(), Stage::Connected);
    (client, log)
}

fn publish(qos: QoS, packet_id: u16, dup: bool) -> Packet<'static> {
    let packet_id = PacketId::new(packet_id);
    let properties = Default::default();
    Packet::Publish(Publish { dup, qos, retain: false, topic: "t", packet_id, properties, payload: b"x" })
}

fn outgoing(client: &Client, qos: QoS) -> Outgoing {
    let packet_id = client.inflight.free_id().expect("free");
    Outgoing { packet_id, qos, released: false, stream: 0, seq: 0, due: 0, sent: 0 }
}

/// What the client answers to a packet, by type.
fn answer(client: &mut Client, log: &mut Log, packet: &Packet<'_>) -> Vec<PacketType> {
    let (version, mut out) = (client.version(), Vec::new());
    client.handle_bytes(&bytes(packet, version), &mut out, log).expect("well behaved");
    let (mut kinds, mut at) = (Vec::new(), 0);
    while let Some(head) = frame::split(&out[at..], 1000).expect("framed") {
        kinds.push(head.packet_type().expect("a type"));
        at += head.len;
    }
    kinds
}

#[test]
fn connack_tells_the_receive_maximum_of_5_0() {
    assert_eq!(connected(Version::V5).1.connected, Some((false, 7)));
    assert_eq!(connected(Version::V3_1_1).1.connected, Some((false, u16::MAX)));
}

#[test]
fn a_qos_2_message_is_delivered_once_even_over_a_reconnect() {
    let (mut client, mut log) = connected(Version::V5);
    let first = publish(QoS::ExactlyOnce, 3, false);
    assert_eq!(answer(&mut client, &mut log, &first), [PacketType::PubRec]);
    client.down();
    let login = Login::default();
    let identity = Identity { client_id: "c", login: &login, durability: Durability::Durable };
    client.connect(&identity, &mut Vec::new());
    answer(&mut client, &mut log, &connack(true, ReasonCode::Success));
    assert_eq!(answer(&mut client, &mut log, &publish(QoS::ExactlyOnce, 3, true)), [PacketType::PubRec]);
    assert_eq!(log.delivered, [(QoS::ExactlyOnce, false)]);
    let release = Packet::PubRel(Ack::new(id(3), ReasonCode::Success));
    assert_eq!(answer(&mut client, &mut log, &release), [PacketType::PubComp]);
    answer(&mut client, &mut log, &publish(QoS::ExactlyOnce, 3, false));
    assert_eq!(log.delivered.len(), 2, "the identifier was free again");
}

#[test]
fn a_resumed_session_repeats_in_order_what_is_unfinished() {
    let (mut client, mut log) = connected(Version::V3_1_1);
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce, QoS::ExactlyOnce] {
        let message = outgoing(&client, qos);
        client.publish(message, "t", b"x", &mut Vec::new());
    }
    let received = Packet::PubRec(Ack::new(id(2), ReasonCode::Success));
    assert_eq!(answer(&mut client, &mut log, &received), [PacketType::PubRel]);
    let mut out = Vec::new();
    client.inflight.unfinished().for_each(|m| client.repeat(m, "t", b"x", &mut out));
    let firsts: Vec<u8> = out.chunks(8).map(|c| c[0]).collect();
    // PUBLISH with DUP at QoS 1 (8 bytes), then PUBREL (4), then PUBLISH with DUP at QoS 2 (8).
    assert_eq!((firsts[0], out[8], out[12]), (0x3a, 0x62, 0x3c));
    assert_eq!(out.len(), 20);
    for packet in [
        Packet::PubAck(Ack::new(id(1), ReasonCode::Success)),
        Packet::PubComp(Ack::new(id(2), ReasonCode::Success)),
    ] {
        answer(&mut client, &mut log, &packet);
    }
    assert_eq!(log.acknowledged, [(1, ReasonCode::Success), (2, ReasonCode::Success)]);
    assert_eq!(client.inflight.len(), 1);
}

#[test]
fn a_refused_qos_2_message_is_done_with() {
    let (mut client, mut log) = connected(Version::V5);
    let message = outgoing(&client, QoS::ExactlyOnce);
    client.publish(message, "t", b"x", &mut Vec::new());
    let refused = Packet::PubRec(Ack::new(id(1), ReasonCode::NotAuthorized));
    assert_eq!(answer(&mut client, &mut log, &refused), []);
    assert_eq!((client.inflight.len(), log.acknowledged[0].1), (0, ReasonCode::NotAuthorized));
}

#[test]
fn a_pubrel_that_came_twice_is_no_refusal() {
    let (mut client, mut log) = connected(Version::V5);
    let message = outgoing(&client, QoS::ExactlyOnce);
    client.publish(message, "t", b"x", &mut Vec::new());
    let received = Packet::PubRec(Ack::new(id(1), ReasonCode::Success));
    assert_eq!(answer(&mut client, &mut log, &received), [PacketType::PubRel]);
    let unknown = Packet::PubComp(Ack::new(id(1), ReasonCode::PacketIdentifierNotFound));
    assert_eq!(answer(&mut client, &mut log, &unknown), []);
    assert_eq!((client.inflight.len(), log.acknowledged[0].1), (0, ReasonCode::Success));
}

#[test]
fn what_does_not_belong_there_ends_the_connection() {
    let end = |client: &mut Client, packet: &Packet<'_>| {
        let bytes = bytes(packet, client.version());
        client.handle_bytes(&bytes, &mut Vec::new(), &mut Log::default()).expect_err("must not be taken")
    };
    let mut fresh = Client::new(Version::V5);
    assert_eq!(end(&mut fresh, &publish(QoS::AtMostOnce, 0, false)), Ended::Unexpected(PacketType::Publish));
    let (mut client, _) = connected(Version::V5);
    let again = connack(false, ReasonCode::Success);
    assert_eq!(end(&mut client, &again), Ended::Unexpected(PacketType::ConnAck));
    let (mut client, _) = connected(Version::V5);
    let bye = Packet::Disconnect(Disconnect::new(ReasonCode::SessionTakenOver));
    assert_eq!(end(&mut client, &bye), Ended::Disconnected(ReasonCode::SessionTakenOver));
    let (mut client, _) = connected(Version::V5);
    let bad = client.handle_bytes(&[0x36, 2, 0, 0], &mut Vec::new(), &mut Log::default());
    assert_eq!(bad, Err(Ended::Violation(Violation::QoS3)));
}

#[test]
fn packets_may_come_byte_by_byte() {
    let (mut client, mut log) = connected(Version::V5);
    let mut stream = bytes(&publish(QoS::AtLeastOnce, 1, false), Version::V5);
    stream.extend(bytes(&Packet::PingResp, Version::V5));
    stream.extend(bytes(&publish(QoS::AtMostOnce, 0, false), Version::V5));
    let mut out = Vec::new();
    for byte in stream {
        client.handle_bytes(&[byte], &mut out, &mut log).expect("well formed");
    }
    assert_eq!(log.delivered, [(QoS::AtLeastOnce, false), (QoS::AtMostOnce, false)]);
    assert_eq!(out, [0x40, 2, 0, 1]);
}

#[test]
fn a_run_of_like_messages_is_read_as_each_of_them() {
    struct Payloads(Vec<(String, Vec<u8>)>);
    impl Observer for Payloads {
        fn connected(&mut self, _: bool, _: u16) {}
        fn subscribed(&mut self, _: &[u8]) {}
        fn delivered(&mut self, d: Delivery<'_>) {
            self.0.push((d.topic.into(), d.payload.into()));
        }
        fn acknowledged(&mut self, _: Outgoing, _: ReasonCode) {}
    }
    let (mut client, _) = connected(Version::V5);
    let messages =
        [("a/b", "one"), ("a/b", "two"), ("a/b", "four"), ("a/c", "five"), ("a/c", "sixx"), ("a/b", "four")];
    let mut stream = Vec::new();
    for (topic, payload) in messages {
        client.publish_at_most_once(topic, payload.as_bytes(), &mut stream);
    }
    for cut in 0..stream.len() {
        let mut seen = Payloads(Vec::new());
        let (a, b) = stream.split_at(cut);
        client.handle_bytes(a, &mut Vec::new(), &mut seen).expect("well formed");
        client.handle_bytes(b, &mut Vec::new(), &mut seen).expect("well formed");
        let expected: Vec<_> =
            messages.iter().map(|(t, p)| ((*t).to_owned(), p.as_bytes().to_vec())).collect();
        assert_eq!(seen.0, expected, "cut at {cut}");
    }
}
