//! PUBLISH in 5.0: golden vectors, what is passed on, accessors, and the encoder of the fan-out.

use std::num::NonZeroU16;

use super::mqtt::property::{PayloadFormat, Property};
use super::mqtt::publish::{self, Header, Publish, PublishProperties};
use super::mqtt::{Packet, QoS, Sender, Version};
use super::{decode_one, golden, id};

const V: Version = Version::V5;
const C: Sender = Sender::Client;
const S: Sender = Sender::Server;

/// Everything that is passed on, in an order of the publisher's own.
const PASSED_ON: &[u8] =
    b"\x26\x00\x01n\x00\x01v\x08\x00\x01r\x01\x01\x26\x00\x01n\x00\x00\x03\x00\x01t\x09\x00\x02\x00\xFF";

fn publish<'a>(properties: PublishProperties<'a>, payload: &'a [u8]) -> Publish<'a> {
    Publish {
        dup: false,
        qos: QoS::AtMostOnce,
        retain: false,
        topic: "a/b",
        packet_id: None,
        properties,
        payload,
    }
}

#[test]
fn without_properties() {
    for sender in [C, S] {
        let plain = publish(PublishProperties::default(), b"hi");
        golden(V, sender, Packet::Publish(plain.clone()), b"\x30\x08\x00\x03a/b\x00hi");
        let twice = Publish { dup: true, qos: QoS::AtLeastOnce, packet_id: Some(id(10)), ..plain };
        golden(V, sender, Packet::Publish(twice), b"\x3A\x0A\x00\x03a/b\x00\x0A\x00hi");
    }
}

#[test]
fn with_every_property() {
    let properties = PublishProperties {
        message_expiry_secs: Some(300),
        topic_alias: NonZeroU16::new(5),
        subscription_ids: [1, 268_435_455, 128].into_iter().collect(),
        raw: PASSED_ON,
    };
    let area = [&b"\x02\x00\x00\x01\x2C\x23\x00\x05\x0B\x01\x0B\xFF\xFF\xFF\x7F\x0B\x80\x01"[..], PASSED_ON]
        .concat();
    assert_eq!(area.len(), 0x2E);
    let bytes = [&b"\x30\x36\x00\x03a/b\x2E"[..], &area, b"hi"].concat();
    golden(V, S, Packet::Publish(publish(properties, b"hi")), &bytes);
    let Ok(Packet::Publish(decoded)) = decode_one(V, S, &bytes) else { panic!("just decoded") };
    assert_eq!(decoded.properties.raw, area, "the whole area, as it was received");
}

/// `[MQTT-3.3.2-17, 3.3.2-18]`: unaltered and in order, whatever stands between.
#[test]
fn what_is_passed_on_keeps_its_order() {
    let area = [
        &PASSED_ON[..7],
        b"\x02\x00\x00\x00\x01",
        &PASSED_ON[7..11],
        b"\x23\x00\x01",
        &PASSED_ON[11..],
        b"\x0B\x80\x01",
    ]
    .concat();
    let bytes = [&b"\x30\x2D\x00\x03a/b\x27"[..], &area].concat();
    let Ok(Packet::Publish(decoded)) = decode_one(V, S, &bytes) else { panic!("valid") };
    let mut passed_on = vec![b'x'];
    decoded.properties.append_passed_on(&mut passed_on);
    assert_eq!(passed_on[1..], *PASSED_ON, "appended to what was there");
    assert_eq!(decoded.properties.message_expiry_secs, Some(1));
    assert_eq!(decoded.properties.topic_alias, NonZeroU16::new(1));
    assert_eq!(decoded.properties.subscription_ids[..], [128]);
}

#[test]
fn properties_by_name() {
    let properties = PublishProperties { raw: PASSED_ON, ..Default::default() };
    assert_eq!(properties.payload_format(), Some(PayloadFormat::Utf8));
    assert_eq!(properties.content_type(), Some("t"));
    assert_eq!(properties.response_topic(), Some("r"));
    assert_eq!(properties.correlation_data(), Some(&b"\x00\xFF"[..]));
    let user = properties.user();
    assert_eq!(user.iter().collect::<Vec<_>>(), [("n", "v"), ("n", "")]);
    assert_eq!((user.count(), user.encoded_len(), user.is_empty()), (2, 13, false));
    assert_eq!(format!("{user:?}"), r#"[("n", "v"), ("n", "")]"#);

    let none = PublishProperties::default();
    assert_eq!(none.payload_format(), None);
    assert_eq!((none.content_type(), none.response_topic(), none.correlation_data()), (None, None, None));
    assert_eq!((none.user().count(), none.user().encoded_len(), none.user().is_empty()), (0, 0, true));
}

/// A topic alias may stand for the topic name (3.3.2.3.4), with it or instead of it.
#[test]
fn an_alias_may_stand_for_the_topic() {
    let alias = |number| PublishProperties { topic_alias: NonZeroU16::new(number), ..Default::default() };
    let without_topic = Publish { topic: "", ..publish(alias(0xFFFF), b"p") };
    golden(V, C, Packet::Publish(without_topic), b"\x30\x07\x00\x00\x03\x23\xFF\xFFp");
    golden(V, C, Packet::Publish(publish(alias(1), b"p")), b"\x30\x0A\x00\x03a/b\x03\x23\x00\x01p");
}

#[test]
fn an_area_is_built_of_properties() {
    let mut raw = Vec::new();
    Property::User("n", "v").append_to(&mut raw);
    Property::ResponseTopic("r").append_to(&mut raw);
    Property::PayloadFormat(PayloadFormat::Utf8).append_to(&mut raw);
    Property::User("n", "").append_to(&mut raw);
    Property::ContentType("t").append_to(&mut raw);
    Property::CorrelationData(b"\x00\xFF").append_to(&mut raw);
    assert_eq!(raw, PASSED_ON);
}

fn header(packet_id: Option<u16>) -> Header<'static> {
    Header {
        dup: true,
        qos: if packet_id.is_some() { QoS::AtLeastOnce } else { QoS::AtMostOnce },
        retain: true,
        topic: "a/b",
        packet_id: packet_id.map(id),
        message_expiry_secs: Some(9),
        subscription_ids: &[3],
        topic_alias: NonZeroU16::new(7),
        passed_on: b"\x01\x00",
    }
}

#[test]
fn a_header_is_written_in_front_of_its_payload() {
    let mut out = b"before".to_vec();
    let offset = header(Some(0x1234)).encode(V, b"pay", &mut out);
    let packet = b"\x3B\x17\x00\x03a/b\x12\x34\x0C\x02\x00\x00\x00\x09\x23\x00\x07\x0B\x03\x01\x00pay";
    assert_eq!(out[6..], packet[..]);
    assert_eq!(offset, Some(7));
    assert_eq!(header(Some(1)).encoded_len(V, 3), packet.len());

    // [MQTT-3.3.1-2]: no DUP with QoS 0; and 3.1.1 has no properties.
    out.clear();
    assert_eq!(header(None).encode(Version::V3_1_1, b"pay", &mut out), None);
    assert_eq!(out, b"\x31\x08\x00\x03a/bpay");
    assert_eq!(header(None).encoded_len(Version::V3_1_1, 3), out.len());
}

/// The longer the remaining length, the further back the packet identifier.
#[test]
fn the_packet_id_is_found_behind_a_long_remaining_length() {
    for (len, offset) in [(100, 7), (200, 8), (20_000, 9), (3_000_000, 10)] {
        let mut out = Vec::new();
        let payload = vec![0; len];
        assert_eq!(header(Some(0xABCD)).encode(V, &payload, &mut out), Some(offset));
        assert_eq!(out[offset..offset + 2], [0xAB, 0xCD]);
        assert_eq!(out.len(), header(Some(1)).encoded_len(V, len));
    }
}

/// `publish::decode` is given the body alone, and leaves it to its caller who the sender is.
#[test]
fn the_hot_path_decodes_a_body() {
    let decoded = publish::decode(Version::V3_1_1, 0x33, b"\x00\x01t\x00\x05payload").expect("valid");
    assert_eq!((decoded.topic, decoded.packet_id, decoded.retain), ("t", Some(id(5)), true));
    assert_eq!(decoded.payload, b"payload");
    let numbered = publish::decode(V, 0x30, b"\x00\x01t\x02\x0B\x05p").expect("of a server it is");
    assert_eq!(numbered.properties.subscription_ids[..], [5]);
}
