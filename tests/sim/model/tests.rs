//! The model alone: what it must refuse, so that it cannot agree with everything.

use std::rc::Rc;

use tidemq::mqtt::subscribe::SubscriptionOptions;
use tidemq::mqtt::{QoS, Version};
use tidemq::time::Time;

use super::{Connecting, Limits, Message, Model, Told};
use crate::history::{ClientNo, SocketNo};
use crate::wire::{Heard, HeardConnAck, HeardPublish, Text};

const WHO: ClientNo = ClientNo(0);
const ON: SocketNo = SocketNo(0);

fn subscriber() -> Model {
    let limits = Limits {
        inflight: 2,
        receive_maximum: 5,
        expiry_maximum_secs: 60,
        persistent: true,
        packet_bytes: 100,
    };
    let mut model = Model::new(limits, Time::from_secs(1));
    model.told(
        WHO,
        ON,
        Told::Connect(Connecting {
            version: Version::V5,
            clean: true,
            expiry_secs: 60,
            keep_alive_secs: 0,
            receive_maximum: None,
            maximum_packet: None,
            alias_maximum: 0,
            will: None,
        }),
    );
    let ack = HeardConnAck {
        session_present: false,
        code: 0,
        receive_maximum: 5,
        topic_alias_maximum: 0,
        keep_alive_secs: None,
        expiry_secs: None,
        maximum_packet_size: Some(100),
        shared_available: true,
    };
    assert_eq!(model.hear(ON, &Heard::ConnAck(ack)), Ok(()));
    let filters = vec![("t".to_owned(), SubscriptionOptions::of_qos(QoS::AtLeastOnce))];
    model.told(WHO, ON, Told::Subscribe { packet_id: 1, id: Some(7), filters });
    assert_eq!(model.hear(ON, &Heard::SubAck(1, vec![1])), Ok(()));
    model
}

fn publish(model: &mut Model, payload: &str) {
    let message = Rc::new(Message {
        publisher: WHO,
        topic: "t".to_owned(),
        qos: QoS::AtLeastOnce,
        retain: false,
        expiry_secs: None,
        passed_on: Text::default(),
        payload: Text(payload.into()),
    });
    model.told(WHO, ON, Told::Publish { message, packet_id: Some(9) });
    assert_eq!(model.hear(ON, &Heard::PubAck(9, 0)), Ok(()));
}

fn delivery(payload: &str, packet_id: u16) -> HeardPublish {
    HeardPublish {
        dup: false,
        qos: QoS::AtLeastOnce,
        retain: false,
        topic: "t".to_owned(),
        packet_id: Some(packet_id),
        alias: None,
        ids: vec![7],
        expiry_secs: None,
        passed_on: Text::default(),
        payload: Text(payload.into()),
        bytes: 10,
    }
}

#[test]
fn what_is_owed_may_come_once_and_as_it_must_look() {
    let mut model = subscriber();
    publish(&mut model, "a");
    for wrong in [
        HeardPublish { qos: QoS::AtMostOnce, packet_id: None, ..delivery("a", 1) },
        HeardPublish { ids: Vec::new(), ..delivery("a", 1) },
        HeardPublish { retain: true, ..delivery("a", 1) },
        HeardPublish { dup: true, ..delivery("a", 1) },
        HeardPublish { expiry_secs: Some(3), ..delivery("a", 1) },
        delivery("b", 1),
    ] {
        assert!(model.hear(ON, &Heard::Publish(wrong.clone())).is_err(), "{wrong:?}");
    }
    assert_eq!(model.hear(ON, &Heard::Publish(delivery("a", 1))), Ok(()));
    assert!(model.hear(ON, &Heard::Publish(delivery("a", 2))).is_err(), "twice");
}

#[test]
fn order_and_window_hold() {
    let mut model = subscriber();
    ["a", "b", "c"].iter().for_each(|payload| publish(&mut model, payload));
    assert!(model.hear(ON, &Heard::Publish(delivery("b", 1))).is_err(), "a comes first");
    assert_eq!(model.hear(ON, &Heard::Publish(delivery("a", 1))), Ok(()));
    assert_eq!(model.hear(ON, &Heard::Publish(delivery("b", 2))), Ok(()));
    assert!(model.hear(ON, &Heard::Publish(delivery("c", 3))).is_err(), "two are unacknowledged");
    assert!(model.at_rest(|_| true).is_ok(), "c waits");
}

#[test]
fn what_never_comes_is_missed() {
    let mut model = subscriber();
    publish(&mut model, "a");
    assert!(model.at_rest(|_| true).is_err());
    let mut model = subscriber();
    model.told(WHO, ON, Told::Ping);
    assert!(model.at_rest(|_| true).is_err(), "PINGRESP");
    assert!(subscriber().closed(ON, true).is_err(), "nobody had a reason to close");
}
