//! Golden vectors of 3.1.1, and what is different in 3.1: byte-exact, every packet type, both directions.
//! The examples of the standard are among them.

use super::mqtt::ack::{Ack, SubAck, UnsubAck};
use super::mqtt::connack::{ConnAck, ConnAckProperties};
use super::mqtt::connect::{Connect, ConnectProperties, Will, WillProperties};
use super::mqtt::disconnect::Disconnect;
use super::mqtt::property::UserPropertiesBuilder;
use super::mqtt::publish::{Publish, PublishProperties};
use super::mqtt::subscribe::{FiltersBuilder, RetainHandling, Subscribe, SubscriptionOptions};
use super::mqtt::unsubscribe::{FilterNamesBuilder, Unsubscribe};
use super::mqtt::{Packet, QoS, ReasonCode, Sender, Version};
use super::{encode, golden, id, read_as};

const V: Version = Version::V3_1_1;
const C: Sender = Sender::Client;
const S: Sender = Sender::Server;

fn connect(version: Version, client_id: &str) -> Connect<'_> {
    Connect {
        version,
        clean_start: true,
        keep_alive_secs: 60,
        client_id,
        will: None,
        user_name: None,
        password: None,
        properties: ConnectProperties::default(),
    }
}

#[test]
fn connect_minimal() {
    golden(V, C, Packet::Connect(connect(V, "a")), b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x3C\x00\x01a");
    let resumed = Connect { clean_start: false, keep_alive_secs: 0, ..connect(V, "a") };
    golden(V, C, Packet::Connect(resumed), b"\x10\x0D\x00\x04MQTT\x04\x00\x00\x00\x00\x01a");
    golden(V, C, Packet::Connect(connect(V, "")), b"\x10\x0C\x00\x04MQTT\x04\x02\x00\x3C\x00\x00");
}

/// The flags of figure 3.6 of the standard, without a will's retain.
#[test]
fn connect_with_everything() {
    let will = Will {
        qos: QoS::AtLeastOnce,
        retain: false,
        topic: "w/t",
        payload: b"\x00\xFF",
        properties: WillProperties::default(),
    };
    let full = Connect {
        keep_alive_secs: 10,
        will: Some(will),
        user_name: Some("u"),
        password: Some(b"\xFEp"),
        ..connect(V, "cid")
    };
    golden(
        V,
        C,
        Packet::Connect(full.clone()),
        b"\x10\x1F\x00\x04MQTT\x04\xCE\x00\x0A\x00\x03cid\x00\x03w/t\x00\x02\x00\xFF\x00\x01u\x00\x02\xFEp",
    );
    let will = full.will.as_ref().map(|will| Will { qos: QoS::ExactlyOnce, retain: true, ..will.clone() });
    let without_password = Connect { will, password: None, clean_start: false, ..full };
    golden(
        V,
        C,
        Packet::Connect(without_password),
        b"\x10\x1B\x00\x04MQTT\x04\xB4\x00\x0A\x00\x03cid\x00\x03w/t\x00\x02\x00\xFF\x00\x01u",
    );
}

#[test]
fn connect_3_1_is_called_mqisdp() {
    let version = Version::V3_1;
    let bytes = b"\x10\x0F\x00\x06MQIsdp\x03\x02\x00\x3C\x00\x01a";
    golden(version, C, Packet::Connect(connect(version, "a")), bytes);
    // Before CONNECT a connection has no version: the packet says its own.
    read_as(Version::V5, C, bytes, Packet::Connect(connect(version, "a")));
    let named = Connect { user_name: Some("u"), password: Some(b"p"), ..connect(version, "a") };
    golden(
        version,
        C,
        Packet::Connect(named),
        b"\x10\x15\x00\x06MQIsdp\x03\xC2\x00\x3C\x00\x01a\x00\x01u\x00\x01p",
    );
}

/// "The Remaining Length field takes precedence over the User Name flag" (3.1).
#[test]
fn connect_3_1_may_end_before_user_name_and_password() {
    let version = Version::V3_1;
    let without = b"\x10\x0F\x00\x06MQIsdp\x03\xC2\x00\x3C\x00\x01a";
    read_as(version, C, without, Packet::Connect(connect(version, "a")));
    let with_name = b"\x10\x12\x00\x06MQIsdp\x03\xC2\x00\x3C\x00\x01a\x00\x01u";
    let named = Connect { user_name: Some("u"), ..connect(version, "a") };
    read_as(version, C, with_name, Packet::Connect(named));
}

#[test]
fn a_password_alone_is_left_out_before_5_0() {
    let alone = Connect { password: Some(b"p"), ..connect(V, "a") };
    assert_eq!(encode(V, &Packet::Connect(alone)), b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x3C\x00\x01a");
}

fn connack(session_present: bool, reason: ReasonCode) -> Packet<'static> {
    Packet::ConnAck(ConnAck { session_present, reason, properties: ConnAckProperties::default() })
}

#[test]
fn connack_return_codes() {
    golden(V, S, connack(false, ReasonCode::Success), b"\x20\x02\x00\x00");
    golden(V, S, connack(true, ReasonCode::Success), b"\x20\x02\x01\x00");
    golden(V, S, connack(false, ReasonCode::UnsupportedProtocolVersion), b"\x20\x02\x00\x01");
    golden(V, S, connack(false, ReasonCode::ClientIdentifierNotValid), b"\x20\x02\x00\x02");
    golden(V, S, connack(false, ReasonCode::ServerUnavailable), b"\x20\x02\x00\x03");
    golden(V, S, connack(false, ReasonCode::BadUserNameOrPassword), b"\x20\x02\x00\x04");
    golden(V, S, connack(false, ReasonCode::NotAuthorized), b"\x20\x02\x00\x05");
    assert_eq!(encode(V, &connack(false, ReasonCode::Banned)), b"\x20\x02\x00\x05");
    assert_eq!(encode(V, &connack(false, ReasonCode::ServerBusy)), b"\x20\x02\x00\x03");
}

/// v3 `[MQTT-3.2.2-4]`: session present only with return code 0.
#[test]
fn connack_of_a_failure_has_no_session() {
    assert_eq!(encode(V, &connack(true, ReasonCode::NotAuthorized)), b"\x20\x02\x00\x05");
    // In 3.1 the byte was reserved.
    assert_eq!(encode(Version::V3_1, &connack(true, ReasonCode::Success)), b"\x20\x02\x00\x00");
    read_as(Version::V3_1, S, b"\x20\x02\x01\x00", connack(false, ReasonCode::Success));
}

/// v3 `[MQTT-3.2.2-6]`: closed without a CONNACK.
#[test]
fn connack_without_a_return_code_is_not_written() {
    for reason in [ReasonCode::MalformedPacket, ReasonCode::ProtocolError, ReasonCode::UnspecifiedError] {
        assert_eq!(encode(V, &connack(false, reason)), b"");
    }
}

fn publish<'a>(topic: &'a str, payload: &'a [u8]) -> Publish<'a> {
    Publish {
        dup: false,
        qos: QoS::AtMostOnce,
        retain: false,
        topic,
        packet_id: None,
        properties: PublishProperties::default(),
        payload,
    }
}

#[test]
fn publish_of_each_qos() {
    for sender in [C, S] {
        golden(V, sender, Packet::Publish(publish("a/b", b"hi")), b"\x30\x07\x00\x03a/bhi");
        golden(V, sender, Packet::Publish(publish("a/b", b"")), b"\x30\x05\x00\x03a/b");
        let retained = Publish { retain: true, ..publish("a/b", b"hi") };
        golden(V, sender, Packet::Publish(retained), b"\x31\x07\x00\x03a/bhi");
        // The variable header example of the standard: topic a/b, packet identifier 10.
        let once = Publish { qos: QoS::AtLeastOnce, packet_id: Some(id(10)), ..publish("a/b", b"hi") };
        golden(V, sender, Packet::Publish(once.clone()), b"\x32\x09\x00\x03a/b\x00\x0Ahi");
        let again = Publish { dup: true, retain: true, ..once };
        golden(V, sender, Packet::Publish(again.clone()), b"\x3B\x09\x00\x03a/b\x00\x0Ahi");
        let exactly = Publish { qos: QoS::ExactlyOnce, packet_id: Some(id(0xFFFF)), ..again };
        golden(V, sender, Packet::Publish(exactly), b"\x3D\x09\x00\x03a/b\xFF\xFFhi");
    }
}

/// A and U+2A6D4, the example of 1.5.3; and a byte order mark, which stays `[MQTT-1.5.3-3]`.
#[test]
fn publish_keeps_every_character() {
    golden(V, C, Packet::Publish(publish("A\u{2A6D4}", b"")), b"\x30\x07\x00\x05A\xF0\xAA\x9B\x94");
    golden(V, C, Packet::Publish(publish("\u{FEFF}a", b"")), b"\x30\x06\x00\x04\xEF\xBB\xBFa");
}

#[test]
fn the_remaining_length_takes_one_to_four_bytes() {
    for (remaining, header) in [
        (127, &b"\x30\x7F"[..]),
        (128, b"\x30\x80\x01"),
        (16_383, b"\x30\xFF\x7F"),
        (16_384, b"\x30\x80\x80\x01"),
        (2_097_151, b"\x30\xFF\xFF\x7F"),
        (2_097_152, b"\x30\x80\x80\x80\x01"),
    ] {
        let payload = vec![b'x'; remaining - 3];
        let mut bytes = header.to_vec();
        bytes.extend(b"\x00\x01t");
        bytes.extend(&payload);
        golden(V, C, Packet::Publish(publish("t", &payload)), &bytes);
    }
}

#[test]
fn acknowledgements() {
    for sender in [C, S] {
        let ack = || Ack::new(id(0x1234), ReasonCode::Success);
        golden(V, sender, Packet::PubAck(ack()), b"\x40\x02\x12\x34");
        golden(V, sender, Packet::PubRec(ack()), b"\x50\x02\x12\x34");
        golden(V, sender, Packet::PubRel(ack()), b"\x62\x02\x12\x34");
        golden(V, sender, Packet::PubComp(ack()), b"\x70\x02\x12\x34");
    }
}

/// 3.1.1 has no room for a reason, a reason string or user properties.
#[test]
fn acknowledgements_leave_reasons_out() {
    let mut user = UserPropertiesBuilder::default();
    user.push("name", "value");
    let ack = Ack {
        reason_string: Some("because"),
        user: user.user(),
        ..Ack::new(id(1), ReasonCode::PacketIdentifierNotFound)
    };
    assert_eq!(encode(V, &Packet::PubComp(ack)), b"\x70\x02\x00\x01");
    let ack = Ack::new(id(1), ReasonCode::NotAuthorized);
    assert_eq!(encode(V, &Packet::PubAck(ack)), b"\x40\x02\x00\x01");
}

/// The example of the standard: a/b with QoS 1, c/d with QoS 2.
#[test]
fn subscribe_and_suback() {
    let mut filters = FiltersBuilder::default();
    filters.push("a/b", SubscriptionOptions::of_qos(QoS::AtLeastOnce));
    filters.push("c/d", SubscriptionOptions::of_qos(QoS::ExactlyOnce));
    let subscribe = Subscribe {
        packet_id: id(10),
        subscription_id: None,
        user: Default::default(),
        filters: filters.filters(),
    };
    let bytes = b"\x82\x0E\x00\x0A\x00\x03a/b\x01\x00\x03c/d\x02";
    golden(V, C, Packet::Subscribe(subscribe.clone()), bytes);
    // In 3.1 SUBSCRIBE, UNSUBSCRIBE and PUBREL had a DUP flag.
    let in_3_1 = b"\x8A\x0E\x00\x0A\x00\x03a/b\x01\x00\x03c/d\x02";
    read_as(Version::V3_1, C, in_3_1, Packet::Subscribe(subscribe));
    read_as(Version::V3_1, S, b"\x6A\x02\x00\x01", Packet::PubRel(Ack::new(id(1), ReasonCode::Success)));

    // The example of the standard: granted 0, granted 2, failure.
    let suback =
        SubAck { packet_id: id(10), reason_string: None, user: Default::default(), codes: &[0, 2, 0x80] };
    golden(V, S, Packet::SubAck(suback.clone()), b"\x90\x05\x00\x0A\x00\x02\x80");
    let failures = SubAck { reason_string: Some("no"), codes: &[0x87, 1, 0x8F, 0xA2], ..suback };
    assert_eq!(encode(V, &Packet::SubAck(failures)), b"\x90\x06\x00\x0A\x80\x01\x80\x80");
}

#[test]
fn subscribe_leaves_options_of_5_0_out() {
    let mut filters = FiltersBuilder::default();
    filters.push(
        "a",
        SubscriptionOptions {
            qos: QoS::AtLeastOnce,
            no_local: true,
            retain_as_published: true,
            retain_handling: RetainHandling::DoNotSend,
        },
    );
    let subscribe = Subscribe {
        packet_id: id(1),
        subscription_id: std::num::NonZeroU32::new(7),
        user: Default::default(),
        filters: filters.filters(),
    };
    assert_eq!(encode(V, &Packet::Subscribe(subscribe)), b"\x82\x06\x00\x01\x00\x01a\x01");
}

/// The example of the standard: a/b and c/d.
#[test]
fn unsubscribe_and_unsuback() {
    let mut filters = FilterNamesBuilder::default();
    filters.push("a/b");
    filters.push("c/d");
    assert_eq!(filters.filters().iter().collect::<Vec<_>>(), ["a/b", "c/d"]);
    let unsubscribe = Unsubscribe { packet_id: id(10), user: Default::default(), filters: filters.filters() };
    golden(V, C, Packet::Unsubscribe(unsubscribe), b"\xA2\x0C\x00\x0A\x00\x03a/b\x00\x03c/d");
    let unsuback = UnsubAck { packet_id: id(10), reason_string: None, user: Default::default(), codes: &[] };
    golden(V, S, Packet::UnsubAck(unsuback.clone()), b"\xB0\x02\x00\x0A");
    let with_codes = UnsubAck { codes: &[0, 0x11], ..unsuback };
    assert_eq!(encode(V, &Packet::UnsubAck(with_codes)), b"\xB0\x02\x00\x0A");
}

#[test]
fn packets_without_a_body() {
    golden(V, C, Packet::PingReq, b"\xC0\x00");
    golden(V, S, Packet::PingResp, b"\xD0\x00");
    golden(V, C, Packet::Disconnect(Disconnect::new(ReasonCode::Success)), b"\xE0\x00");
    let with_will = Disconnect::new(ReasonCode::DisconnectWithWill);
    assert_eq!(encode(V, &Packet::Disconnect(with_will)), b"\xE0\x00");
}
