//! Golden vectors of 5.0: byte-exact, every packet type with every property, both directions.

use std::num::{NonZeroU16, NonZeroU32};

use super::mqtt::ack::{Ack, SubAck, UnsubAck};
use super::mqtt::auth::Auth;
use super::mqtt::connack::{ConnAck, ConnAckProperties};
use super::mqtt::connect::{Connect, ConnectProperties, Will, WillProperties};
use super::mqtt::disconnect::Disconnect;
use super::mqtt::property::{UserProperties, UserPropertiesBuilder};
use super::mqtt::subscribe::{FiltersBuilder, RetainHandling, Subscribe, SubscriptionOptions};
use super::mqtt::unsubscribe::{FilterNamesBuilder, Unsubscribe};
use super::mqtt::{Packet, QoS, ReasonCode, Sender, Version};
use super::{decode_one, encode, golden, id, read_as};

const V: Version = Version::V5;
const C: Sender = Sender::Client;
const S: Sender = Sender::Server;

fn user() -> UserPropertiesBuilder {
    let mut user = UserPropertiesBuilder::default();
    user.push("n", "v");
    user.push("n", "");
    user
}

/// How these two pairs stand in a packet: 13 bytes.
const USER: &[u8; 13] = b"\x26\x00\x01n\x00\x01v\x26\x00\x01n\x00\x00";

fn connect() -> Connect<'static> {
    Connect {
        version: V,
        clean_start: true,
        keep_alive_secs: 10,
        client_id: "c",
        will: None,
        user_name: None,
        password: None,
        properties: ConnectProperties::default(),
    }
}

#[test]
fn connect_minimal() {
    golden(V, C, Packet::Connect(connect()), b"\x10\x0E\x00\x04MQTT\x05\x02\x00\x0A\x00\x00\x01c");
    // The variable header of figure 3-6: flags of user name, password, will QoS 1 and clean start aside, a
    // session expiry of 10.
    let lasting = Connect {
        properties: ConnectProperties { session_expiry_secs: Some(10), ..Default::default() },
        ..connect()
    };
    golden(
        V,
        C,
        Packet::Connect(lasting),
        b"\x10\x13\x00\x04MQTT\x05\x02\x00\x0A\x05\x11\x00\x00\x00\x0A\x00\x01c",
    );
    let token = Connect { password: Some(b"t"), ..connect() };
    golden(V, C, Packet::Connect(token), b"\x10\x11\x00\x04MQTT\x05\x42\x00\x0A\x00\x00\x01c\x00\x01t");
}

#[test]
fn connect_with_every_property() {
    let user = user();
    let will_raw = [&b"\x01\x01\x03\x00\x01t\x08\x00\x01r\x09\x00\x02\x00\xFF"[..], USER].concat();
    let full = Connect {
        will: Some(Will {
            qos: QoS::ExactlyOnce,
            retain: true,
            topic: "w",
            payload: b"p",
            properties: WillProperties { delay_secs: Some(5), message_expiry_secs: Some(6), raw: &will_raw },
        }),
        user_name: Some("u"),
        password: Some(b"s"),
        properties: ConnectProperties {
            session_expiry_secs: Some(u32::MAX),
            receive_maximum: NonZeroU16::new(20),
            maximum_packet_size: NonZeroU32::new(0x1_0000),
            topic_alias_maximum: Some(0),
            request_response_information: Some(true),
            request_problem_information: Some(false),
            authentication_method: Some("m"),
            authentication_data: Some(b"\x00\x01"),
            user: user.user(),
        },
        ..connect()
    };
    let connect_area = [
        &b"\x11\xFF\xFF\xFF\xFF\x21\x00\x14\x27\x00\x01\x00\x00\x22\x00\x00\x19\x01\x17\x00"[..],
        b"\x15\x00\x01m\x16\x00\x02\x00\x01",
        USER,
    ]
    .concat();
    assert_eq!(connect_area.len(), 0x2A);
    let will_area = [&b"\x18\x00\x00\x00\x05\x02\x00\x00\x00\x06"[..], &will_raw].concat();
    assert_eq!(will_area.len(), 0x26);
    let bytes = [
        &b"\x10\x6B\x00\x04MQTT\x05\xF6\x00\x0A\x2A"[..],
        &connect_area,
        b"\x00\x01c\x26",
        &will_area,
        b"\x00\x01w\x00\x01p\x00\x01u\x00\x01s",
    ]
    .concat();
    golden(V, C, Packet::Connect(full), &bytes);

    let Ok(Packet::Connect(decoded)) = decode_one(V, C, &bytes) else { panic!("just decoded") };
    let will = decoded.will.expect("it has one");
    assert_eq!(will.properties.raw, will_area, "the whole area, as it was received");
    assert_eq!(will.properties.user(), user.user());
    let mut passed_on = Vec::new();
    will.properties.append_passed_on(&mut passed_on);
    assert_eq!(passed_on, will_raw, "neither the delay nor the expiry");
}

#[test]
fn connack_minimal() {
    let connack =
        |session_present, reason| ConnAck { session_present, reason, properties: Default::default() };
    golden(V, S, Packet::ConnAck(connack(false, ReasonCode::Success)), b"\x20\x03\x00\x00\x00");
    golden(V, S, Packet::ConnAck(connack(true, ReasonCode::Success)), b"\x20\x03\x01\x00\x00");
    golden(V, S, Packet::ConnAck(connack(false, ReasonCode::Banned)), b"\x20\x03\x00\x8A\x00");
    // [MQTT-3.2.2-6]
    assert_eq!(encode(V, &Packet::ConnAck(connack(true, ReasonCode::Banned))), b"\x20\x03\x00\x8A\x00");
}

#[test]
fn connack_with_every_property() {
    let user = user();
    let full = ConnAck {
        session_present: true,
        reason: ReasonCode::Success,
        properties: ConnAckProperties {
            session_expiry_secs: Some(0x0102_0304),
            receive_maximum: Some(1024),
            maximum_qos: Some(QoS::AtLeastOnce),
            retain_available: Some(false),
            maximum_packet_size: Some(1),
            assigned_client_id: Some("id"),
            topic_alias_maximum: Some(32),
            reason_string: Some("r"),
            wildcard_subscription_available: Some(true),
            subscription_identifiers_available: Some(false),
            shared_subscription_available: Some(true),
            server_keep_alive_secs: Some(30),
            response_information: Some("ri"),
            server_reference: Some("sr"),
            authentication_method: Some("m"),
            authentication_data: Some(b"\xFF"),
            user: user.user(),
        },
    };
    let area = [
        &b"\x11\x01\x02\x03\x04\x21\x04\x00\x24\x01\x25\x00\x27\x00\x00\x00\x01\x12\x00\x02id"[..],
        b"\x22\x00\x20\x1F\x00\x01r\x28\x01\x29\x00\x2A\x01\x13\x00\x1E\x1A\x00\x02ri\x1C\x00\x02sr",
        b"\x15\x00\x01m\x16\x00\x01\xFF",
        USER,
    ]
    .concat();
    assert_eq!(area.len(), 0x45);
    let bytes = [&b"\x20\x48\x01\x00\x45"[..], &area].concat();
    golden(V, S, Packet::ConnAck(full), &bytes);
}

/// What absence says is not written, nor what may not be sent.
#[test]
fn connack_leaves_out_what_absence_says() {
    let properties = ConnAckProperties {
        maximum_qos: Some(QoS::ExactlyOnce),
        receive_maximum: Some(0),
        maximum_packet_size: Some(0),
        ..Default::default()
    };
    let connack = ConnAck { session_present: false, reason: ReasonCode::Success, properties };
    assert_eq!(encode(V, &Packet::ConnAck(connack)), b"\x20\x03\x00\x00\x00");
}

#[test]
fn acknowledgements_have_three_forms() {
    let user = user();
    for sender in [C, S] {
        let plain = || Ack::new(id(0x1234), ReasonCode::Success);
        golden(V, sender, Packet::PubAck(plain()), b"\x40\x02\x12\x34");
        golden(V, sender, Packet::PubRec(plain()), b"\x50\x02\x12\x34");
        golden(V, sender, Packet::PubRel(plain()), b"\x62\x02\x12\x34");
        golden(V, sender, Packet::PubComp(plain()), b"\x70\x02\x12\x34");

        let refused = || Ack::new(id(1), ReasonCode::NotAuthorized);
        golden(V, sender, Packet::PubAck(refused()), b"\x40\x03\x00\x01\x87");
        golden(V, sender, Packet::PubRec(refused()), b"\x50\x03\x00\x01\x87");
        let unknown = || Ack::new(id(1), ReasonCode::PacketIdentifierNotFound);
        golden(V, sender, Packet::PubRel(unknown()), b"\x62\x03\x00\x01\x92");
        golden(V, sender, Packet::PubComp(unknown()), b"\x70\x03\x00\x01\x92");

        let explained = Ack { reason_string: Some("no"), user: user.user(), ..refused() };
        let bytes = [&b"\x40\x16\x00\x01\x87\x12\x1F\x00\x02no"[..], USER].concat();
        golden(V, sender, Packet::PubAck(explained), &bytes);
        let success = Ack { reason_string: Some("ok"), ..plain() };
        golden(V, sender, Packet::PubComp(success), b"\x70\x09\x12\x34\x00\x05\x1F\x00\x02ok");
    }
    golden(V, S, Packet::PubAck(Ack::new(id(1), ReasonCode::NoMatchingSubscribers)), b"\x40\x03\x00\x01\x10");
}

/// The longer forms may be used where the shorter would do.
#[test]
fn acknowledgements_in_their_longer_forms() {
    let success = || Ack::new(id(1), ReasonCode::Success);
    read_as(V, C, b"\x40\x03\x00\x01\x00", Packet::PubAck(success()));
    read_as(V, C, b"\x40\x04\x00\x01\x00\x00", Packet::PubAck(success()));
    read_as(V, S, b"\xE0\x01\x00", Packet::Disconnect(Disconnect::new(ReasonCode::Success)));
    read_as(V, C, b"\xE0\x02\x00\x00", Packet::Disconnect(Disconnect::new(ReasonCode::Success)));
}

#[test]
fn subscribe_and_suback() {
    let user = user();
    let mut filters = FiltersBuilder::default();
    filters.push("a/b", SubscriptionOptions::of_qos(QoS::AtLeastOnce));
    let every = SubscriptionOptions {
        qos: QoS::ExactlyOnce,
        no_local: true,
        retain_as_published: true,
        retain_handling: RetainHandling::DoNotSend,
    };
    filters.push("c/#", every);
    filters.push("", SubscriptionOptions { retain_handling: RetainHandling::SendIfNew, ..every });
    assert_eq!(filters.filters().iter().count(), 3);
    assert_eq!(filters.filters().iter().nth(1), Some(("c/#", every)));
    let subscribe = Subscribe {
        packet_id: id(10),
        subscription_id: None,
        user: UserProperties::default(),
        filters: filters.filters(),
    };
    let payload = b"\x00\x03a/b\x01\x00\x03c/#\x2E\x00\x00\x1E";
    let bytes = [&b"\x82\x12\x00\x0A\x00"[..], payload].concat();
    golden(V, C, Packet::Subscribe(subscribe.clone()), &bytes);
    let numbered =
        Subscribe { subscription_id: NonZeroU32::new(268_435_455), user: user.user(), ..subscribe };
    let bytes = [&b"\x82\x24\x00\x0A\x12\x0B\xFF\xFF\xFF\x7F"[..], USER, payload].concat();
    golden(V, C, Packet::Subscribe(numbered), &bytes);

    let codes = [0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2];
    let suback =
        SubAck { packet_id: id(10), reason_string: None, user: UserProperties::default(), codes: &codes };
    let bytes = [&b"\x90\x0F\x00\x0A\x00"[..], &codes].concat();
    golden(V, S, Packet::SubAck(suback.clone()), &bytes);
    let explained = SubAck { reason_string: Some("s"), user: user.user(), codes: &[0x87], ..suback };
    let bytes = [&b"\x90\x15\x00\x0A\x11\x1F\x00\x01s"[..], USER, b"\x87"].concat();
    golden(V, S, Packet::SubAck(explained), &bytes);
}

#[test]
fn unsubscribe_and_unsuback() {
    let user = user();
    let mut filters = FilterNamesBuilder::default();
    filters.push("a/b");
    filters.push("c/d");
    let unsubscribe =
        Unsubscribe { packet_id: id(10), user: UserProperties::default(), filters: filters.filters() };
    golden(V, C, Packet::Unsubscribe(unsubscribe.clone()), b"\xA2\x0D\x00\x0A\x00\x00\x03a/b\x00\x03c/d");
    let bytes = [&b"\xA2\x1A\x00\x0A\x0D"[..], USER, b"\x00\x03a/b\x00\x03c/d"].concat();
    golden(V, C, Packet::Unsubscribe(Unsubscribe { user: user.user(), ..unsubscribe }), &bytes);

    let codes = [0, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91];
    let unsuback =
        UnsubAck { packet_id: id(10), reason_string: None, user: UserProperties::default(), codes: &codes };
    let bytes = [&b"\xB0\x0A\x00\x0A\x00"[..], &codes].concat();
    golden(V, S, Packet::UnsubAck(unsuback.clone()), &bytes);
    let explained = UnsubAck { reason_string: Some("s"), user: user.user(), codes: &[0x11], ..unsuback };
    let bytes = [&b"\xB0\x15\x00\x0A\x11\x1F\x00\x01s"[..], USER, b"\x11"].concat();
    golden(V, S, Packet::UnsubAck(explained), &bytes);
}

#[test]
fn disconnect() {
    let user = user();
    let plain = Disconnect::new;
    golden(V, C, Packet::Disconnect(plain(ReasonCode::Success)), b"\xE0\x00");
    golden(V, C, Packet::Disconnect(plain(ReasonCode::DisconnectWithWill)), b"\xE0\x01\x04");
    golden(V, S, Packet::Disconnect(plain(ReasonCode::SessionTakenOver)), b"\xE0\x01\x8E");
    let lasting = Disconnect {
        session_expiry_secs: Some(60),
        reason_string: Some("r"),
        user: user.user(),
        ..plain(ReasonCode::Success)
    };
    let bytes = [&b"\xE0\x18\x00\x16\x11\x00\x00\x00\x3C\x1F\x00\x01r"[..], USER].concat();
    golden(V, C, Packet::Disconnect(lasting), &bytes);
    let moved = Disconnect { server_reference: Some("other"), ..plain(ReasonCode::UseAnotherServer) };
    golden(V, S, Packet::Disconnect(moved), b"\xE0\x0A\x9C\x08\x1C\x00\x05other");
}

#[test]
fn auth() {
    let user = user();
    let step = Auth {
        reason: ReasonCode::ContinueAuthentication,
        method: Some("m"),
        data: Some(b"\x00"),
        reason_string: Some("r"),
        user: user.user(),
    };
    let area = [&b"\x15\x00\x01m\x16\x00\x01\x00\x1F\x00\x01r"[..], USER].concat();
    for sender in [C, S] {
        golden(V, sender, Packet::Auth(step.clone()), &[&b"\xF0\x1B\x18\x19"[..], &area].concat());
    }
    let again = Auth { reason: ReasonCode::ReAuthenticate, ..step.clone() };
    golden(V, C, Packet::Auth(again), &[&b"\xF0\x1B\x19\x19"[..], &area].concat());
    let done = Auth {
        reason: ReasonCode::Success,
        method: None,
        data: None,
        reason_string: None,
        user: UserProperties::default(),
    };
    golden(V, S, Packet::Auth(done), b"\xF0\x00");
    assert_eq!(encode(Version::V3_1_1, &Packet::Auth(step)), b"", "3.1.1 has no AUTH");
}

#[test]
fn packets_without_a_body() {
    golden(V, C, Packet::PingReq, b"\xC0\x00");
    golden(V, S, Packet::PingResp, b"\xD0\x00");
}

/// An area of 128 bytes and more: two bytes of length.
#[test]
fn a_long_property_area_is_measured_in_two_bytes() {
    let text = "x".repeat(125);
    let ack = Ack { reason_string: Some(&text), ..Ack::new(id(1), ReasonCode::QuotaExceeded) };
    let bytes = [&b"\x40\x85\x01\x00\x01\x97\x80\x01\x1F\x00\x7D"[..], text.as_bytes()].concat();
    golden(V, S, Packet::PubAck(ack), &bytes);
}
