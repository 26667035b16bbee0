//! 4.6 message ordering.

use crate::broker::{Broker, Client, everywhere};
use crate::shorthand::{hears, lasting, narrow, publishes, subscribes};
use crate::wire::{
    PUBACK, PUBCOMP, PUBREC, PUBREL, Packet, Publish, V3, V5, Version, ack, subscribe, unsubscribe,
};

fn numbered(topic: &str, qos: u8, number: u8) -> Publish {
    Publish::new(topic, &[number]).qos(qos, if qos > 0 { 1 + u16::from(number) } else { 0 })
}

/// What a subscriber has not acknowledged comes again in the order in which it came first.
fn repeated_in_order(version: Version) {
    everywhere(|b| {
        let (subscriber, _) = lasting(b, version, "subscriber");
        subscriber.subscribe("a/b", 2);
        let publisher = b.of(version, "publisher");
        for number in 0..20 {
            publishes(&publisher, &numbered("a/b", 1 + number % 2, number));
        }
        let first: Vec<Publish> = subscriber.packets().iter().map(|packet| packet.publish(version)).collect();
        assert_eq!(first.len(), 20);
        // Acknowledged here and there.
        for at in [2, 4, 12] {
            subscriber.send(&ack(PUBACK, first[at].id));
        }
        subscriber.cut();
        let (subscriber, _) = lasting(b, version, "subscriber");
        let again: Vec<Publish> = subscriber.packets().iter().map(|packet| packet.publish(version)).collect();
        let expected = first.iter().enumerate().filter(|(at, _)| ![2, 4, 12].contains(at));
        let expected: Vec<Publish> = expected.map(|(_, message)| message.clone().dup()).collect();
        assert_eq!(again, expected);
    });
}

#[test]
fn v3_4_6_0_1_messages_are_sent_again_in_their_order() {
    repeated_in_order(V3);
}

#[test]
fn v5_4_4_0_1_messages_are_sent_again_in_their_order() {
    repeated_in_order(V5);
}

/// PUBACK and PUBREC come in the order of the messages, although their topics have homes on several shards.
fn acknowledged_in_order(version: Version, qos: u8) {
    everywhere(|b| {
        let _listener = b.subscriber(version, "listener", "#", 0);
        let publisher = b.of(version, "publisher");
        let first = if qos == 1 { PUBACK } else { PUBREC };
        for number in 0..100_u8 {
            publisher.write(&numbered(&format!("t/{}", number % 7), qos, number).bytes(version));
        }
        let answered: Vec<u8> = (0..100).flat_map(|number| ack(first, 1 + number)).collect();
        publisher.expect(&answered);
        publisher.expect_nothing();
    });
}

#[test]
fn v3_4_6_0_2_pubacks_come_in_the_order_of_the_messages() {
    acknowledged_in_order(V3, 1);
}

#[test]
fn v5_4_6_0_2_pubacks_come_in_the_order_of_the_messages() {
    acknowledged_in_order(V5, 1);
}

#[test]
fn v3_4_6_0_3_pubrecs_come_in_the_order_of_the_messages() {
    acknowledged_in_order(V3, 2);
}

#[test]
fn v5_4_6_0_3_pubrecs_come_in_the_order_of_the_messages() {
    acknowledged_in_order(V5, 2);
}

fn released_in_order(version: Version) {
    everywhere(|b| {
        let subscriber = b.subscriber(version, "subscriber", "t/+", 2);
        let publisher = b.of(version, "publisher");
        for number in 0..30 {
            publishes(&publisher, &numbered(&format!("t/{}", number % 3), 2, number));
        }
        let mut ids: Vec<u16> =
            subscriber.packets().iter().map(|packet| packet.publish(version).id).collect();
        ids.reverse();
        subscriber.send(&ids.iter().flat_map(|id| ack(PUBREC, *id)).collect::<Vec<u8>>());
        subscriber.expect(&ids.iter().flat_map(|id| ack(PUBREL, *id)).collect::<Vec<u8>>());
        subscriber.send(&ids.iter().flat_map(|id| ack(PUBCOMP, *id)).collect::<Vec<u8>>());
        subscriber.expect_nothing();
    });
}

#[test]
fn v3_4_6_0_4_pubrels_come_in_the_order_of_the_pubrecs() {
    released_in_order(V3);
}

#[test]
fn v5_4_6_0_4_pubrels_come_in_the_order_of_the_pubrecs() {
    released_in_order(V5);
}

/// Acknowledges every message that came and returns them.
fn take(subscriber: &Client, version: Version) -> Vec<Publish> {
    let mut taken = Vec::new();
    loop {
        let packets: Vec<Packet> = subscriber.packets();
        if packets.is_empty() {
            return taken;
        }
        for packet in packets {
            match packet.first {
                PUBREL => subscriber.write(&ack(PUBCOMP, packet.id())),
                _ => {
                    let came = packet.publish(version);
                    match came.qos {
                        0 => {}
                        1 => subscriber.write(&ack(PUBACK, came.id)),
                        _ => subscriber.write(&ack(PUBREC, came.id)),
                    }
                    taken.push(came);
                }
            }
        }
    }
}

/// Several clients publish to several topics at once, at each QoS; each subscriber hears each one's messages of a
/// topic and QoS in their order, all of them.
fn order_is_kept(b: &Broker, version: Version) {
    let subscribers: Vec<Client> = ["t/0", "t/+", "#", "t/1", "+/0"]
        .iter()
        .map(|filter| b.subscriber(version, &format!("to {filter}"), filter, 2))
        .collect();
    let publishers: Vec<Client> =
        (0..3).map(|number| b.of(version, &format!("publisher {number}"))).collect();
    for number in 0..60_u8 {
        for (who, publisher) in publishers.iter().enumerate() {
            let topic = format!("t/{}", number % 2);
            let qos = number / 2 % 3;
            let id = if qos > 0 { 1 + u16::from(number) } else { 0 };
            publisher.write(&Publish::new(&topic, &[who as u8, number]).qos(qos, id).bytes(version));
        }
        if number % 20 == 19 {
            b.settle();
        }
    }
    for (subscriber, topics) in subscribers.iter().zip([1, 2, 2, 1, 1]) {
        let taken = take(subscriber, version);
        assert_eq!(taken.len(), 90 * topics, "all of them, once");
        for who in 0..3 {
            for topic in ["t/0", "t/1"] {
                for qos in 0..3 {
                    let of = |m: &&Publish| m.payload[0] == who && m.topic == topic && m.qos == qos;
                    let numbers: Vec<u8> = taken.iter().filter(of).map(|m| m.payload[1]).collect();
                    assert!(numbers.is_sorted(), "publisher {who}, {topic}, QoS {qos}: {numbers:?}");
                }
            }
        }
    }
}

#[test]
fn v5_4_6_0_5_subscribers_hear_one_clients_messages_of_a_topic_and_qos_in_order() {
    everywhere(|b| order_is_kept(b, V5));
}

#[test]
fn v3_4_6_0_6_subscribers_hear_one_clients_messages_of_a_topic_and_qos_in_order() {
    everywhere(|b| order_is_kept(b, V3));
}

/// Offline and online again, with a full window, retained and live: one order.
fn order_survives(version: Version) {
    everywhere(|b| {
        let publisher = b.of(version, "publisher");
        lasting(b, version, "subscriber").0.subscribe("a/b", 2);
        let mut heard = Vec::new();
        for round in 0..10_u8 {
            // Some while it is away, some while it comes, some while it is there.
            for number in 0..9 {
                publisher.write(&numbered("a/b", 1 + number % 2, round * 9 + number).bytes(version));
                if number == 2 {
                    b.settle();
                }
                if number == 5 {
                    let (subscriber, present) = lasting(b, version, "subscriber");
                    assert!(present);
                    heard.extend(take(&subscriber, version));
                    subscriber.cut();
                }
            }
            for release in publisher.packets().iter().filter(|packet| packet.first == PUBREC) {
                publisher.send(&ack(PUBREL, release.id()));
            }
            publisher.received();
        }
        heard.extend(take(&lasting(b, version, "subscriber").0, version));
        for qos in 1..3 {
            let mut numbers: Vec<u8> = heard.iter().filter(|m| m.qos == qos).map(|m| m.payload[0]).collect();
            assert!(numbers.is_sorted(), "QoS {qos}: {numbers:?}");
            numbers.dedup();
            assert_eq!(numbers.len(), if qos == 1 { 50 } else { 40 }, "all of them");
        }
    });
}

#[test]
fn v5_4_6_0_6_the_order_holds_while_a_subscriber_comes_and_goes() {
    order_survives(V5);
}

#[test]
fn v3_4_6_0_5_the_order_holds_while_a_subscriber_comes_and_goes() {
    order_survives(V3);
}

#[test]
fn v5_4_6_0_6_the_order_holds_behind_a_full_window() {
    everywhere(|b| {
        let subscriber = narrow(b, "subscriber", 2);
        subscriber.subscribe("a/#", 2);
        let publisher = b.v5("publisher");
        for number in 0..90 {
            publishes(&publisher, &numbered("a/b", 1 + number % 2, number));
        }
        let heard: Vec<u8> = take(&subscriber, V5).iter().map(|m| m.payload[0]).collect();
        assert_eq!(heard, (0..90).collect::<Vec<u8>>());
    });
}

#[test]
fn v5_4_6_0_6_what_is_retained_comes_before_what_is_newer() {
    everywhere(|b| {
        let publisher = b.v5("publisher");
        for topic in 0..20 {
            publishes(&publisher, &numbered(&format!("t/{topic}"), 1, 0).retained());
        }
        let subscriber = b.v5("subscriber");
        for round in 1..10 {
            subscriber.write(&subscribe(V5, 9, &[("t/+", 1)]));
            for topic in 0..20 {
                publisher.write(&numbered(&format!("t/{topic}"), 1, round).retained().bytes(V5));
            }
            let (mut last, mut heard) = ([0; 20], 0);
            let mut packets: Vec<Packet> = Vec::new();
            b.settle();
            packets.extend(subscriber.packets());
            for packet in packets.iter().filter(|packet| packet.first != 0x90) {
                let came = packet.publish(V5);
                subscriber.write(&ack(PUBACK, came.id));
                let topic: usize = came.topic[2..].parse().expect("a number");
                assert!(came.payload[0] >= last[topic], "{} came after {}", came.payload[0], last[topic]);
                assert!(came.payload[0] == round || came.payload[0] == round - 1);
                last[topic] = came.payload[0];
                heard += 1;
            }
            assert_eq!(last, [round; 20], "each topic's newest comes last");
            assert!((20..=40).contains(&heard), "each retained, then each live one, or one of them: {heard}");
            publisher.received();
            subscriber.send(&unsubscribe(V5, 10, &["t/+"]));
            assert_eq!(subscriber.packet().first, 0xB0);
        }
    });
}

#[test]
fn v5_4_6_0_6_what_is_retained_and_what_is_live_come_once_each() {
    everywhere(|b| {
        let publisher = b.v5("publisher");
        let subscriber = b.v5("subscriber");
        publishes(&publisher, &Publish::new("a/b", b"kept").qos(1, 1).retained());
        let kept = subscribes(&subscriber, V5, "a/b", 1);
        assert_eq!(kept.len(), 1);
        publishes(&publisher, &Publish::new("a/b", b"live").qos(1, 1).retained());
        hears(&subscriber, V5, &Publish::new("a/b", b"live").qos(1, 0));
        subscriber.expect_nothing();
    });
}
