//! What the codec costs: `cargo bench --bench codec`.

use std::hint::black_box;
use std::num::NonZeroU16;

use tidemq::mqtt::connect::{Connect, ConnectProperties};
use tidemq::mqtt::property::Property;
use tidemq::mqtt::publish::{self, Header};
use tidemq::mqtt::subscribe::{FiltersBuilder, Subscribe, SubscriptionOptions};
use tidemq::mqtt::{
    Packet, PacketId, PacketType, QoS, ReasonCode, Sender, Version, ack, decode, frame, topic,
};

mod common;

const TOPIC: &str = "sensors/kitchen1";
const PAYLOAD: &[u8] = b"21.5 degrees, ok";

/// A PUBLISH with a topic and a payload of 16 bytes each.
fn header(qos: QoS) -> Header<'static> {
    Header {
        dup: false,
        qos,
        retain: false,
        topic: TOPIC,
        packet_id: if qos == QoS::AtMostOnce { None } else { PacketId::new(7) },
        message_expiry_secs: None,
        subscription_ids: &[],
        topic_alias: None,
        passed_on: &[],
    }
}

fn bytes(version: Version, header: &Header<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    header.encode(version, PAYLOAD, &mut out);
    out
}

fn split_and_decode(name: &str, version: Version, packet: &[u8]) {
    common::report(name, 1, || {
        let input = black_box(packet);
        let frame = frame::split(input, 1 << 20).expect("valid").expect("whole");
        let publish = publish::decode(version, frame.first, &input[frame.header_len..frame.len]);
        let publish = publish.expect("valid");
        (publish.topic.len(), publish.payload.len(), publish.packet_id)
    });
}

fn encode(name: &str, version: Version, header: Header<'_>) {
    let mut out = Vec::with_capacity(64 * 1024);
    common::report(name, 100, || {
        out.clear();
        for _ in 0..100 {
            black_box(black_box(&header).encode(version, black_box(PAYLOAD), &mut out));
        }
        out.len()
    });
}

fn decode_whole(name: &str, version: Version, packet: &[u8]) {
    common::report(name, 1, || {
        let input = black_box(packet);
        let frame = frame::split(input, 1 << 20).expect("valid").expect("whole");
        decode(version, Sender::Client, frame, input).expect("valid").packet_type()
    });
}

fn whole(version: Version, packet: &Packet<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    packet.encode(version, &mut out);
    out
}

fn connect(version: Version) -> Vec<u8> {
    whole(
        version,
        &Packet::Connect(Connect {
            version,
            clean_start: true,
            keep_alive_secs: 60,
            client_id: "a-client-identifier",
            will: None,
            user_name: Some("user"),
            password: Some(b"password"),
            properties: ConnectProperties {
                session_expiry_secs: Some(3600),
                receive_maximum: NonZeroU16::new(100),
                ..Default::default()
            },
        }),
    )
}

fn subscribe(version: Version) -> Vec<u8> {
    let mut filters = FiltersBuilder::default();
    for filter in ["sensors/+/temperature", "sensors/kitchen1", "alarms/#"] {
        filters.push(filter, SubscriptionOptions::of_qos(QoS::AtLeastOnce));
    }
    let packet_id = PacketId::new(1).expect("not zero");
    whole(
        version,
        &Packet::Subscribe(Subscribe {
            packet_id,
            subscription_id: None,
            user: Default::default(),
            filters: filters.filters(),
        }),
    )
}

fn main() {
    let mut passed_on = Vec::new();
    Property::ContentType("text/plain").append_to(&mut passed_on);
    Property::CorrelationData(b"12345678").append_to(&mut passed_on);
    Property::User("unit", "celsius").append_to(&mut passed_on);
    let with_properties =
        Header { message_expiry_secs: Some(60), passed_on: &passed_on, ..header(QoS::AtMostOnce) };
    let (v3, v5) = (Version::V3_1_1, Version::V5);
    let (qos0, qos1) = (header(QoS::AtMostOnce), header(QoS::AtLeastOnce));

    common::heading("split and decode PUBLISH, topic and payload 16 bytes");
    split_and_decode("3.1.1 QoS 0", v3, &bytes(v3, &qos0));
    split_and_decode("5.0 QoS 0", v5, &bytes(v5, &qos0));
    split_and_decode("5.0 QoS 0, four properties", v5, &bytes(v5, &with_properties));
    split_and_decode("3.1.1 QoS 1", v3, &bytes(v3, &qos1));
    split_and_decode("5.0 QoS 1", v5, &bytes(v5, &qos1));

    common::heading("append PUBLISH");
    encode("3.1.1 QoS 0", v3, qos0);
    encode("5.0 QoS 0", v5, qos0);
    encode("5.0 QoS 0, four properties", v5, with_properties);
    encode("3.1.1 QoS 1", v3, qos1);
    encode("5.0 QoS 1", v5, qos1);

    common::heading("the rest");
    let publish = bytes(v3, &qos0);
    decode_whole("3.1.1 PUBLISH QoS 0 as a Packet", v3, &publish);
    for (version, name) in [(v3, "3.1.1"), (v5, "5.0")] {
        decode_whole(&format!("{name} CONNECT"), version, &connect(version));
        decode_whole(&format!("{name} SUBSCRIBE, three filters"), version, &subscribe(version));
    }
    let mut out = Vec::with_capacity(1024);
    common::report("append PUBACK", 100, || {
        out.clear();
        let packet_id = black_box(PacketId::new(7).expect("not zero"));
        for _ in 0..100 {
            ack::encode_short(PacketType::PubAck, packet_id, black_box(ReasonCode::Success), v5, &mut out);
        }
        out.len()
    });
    common::report("match sensors/+/temperature", 1, || {
        topic::matches(black_box("sensors/+/temperature"), black_box("sensors/kitchen1/temperature"))
    });
}
