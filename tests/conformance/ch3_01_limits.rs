//! Section 3.1, what a 5.0 CONNECT asks of the broker: sizes, Topic Aliases, information.

use std::collections::{HashMap, HashSet};

use crate::broker::{Broker, Client, everywhere, everywhere_configured, everywhere_with};
use crate::wire::{
    Connect, PINGREQ, PINGRESP, PUBACK, PUBREL, Packet, Properties, Publish, V5, ack, ack_because, prop,
    split_properties, subscribe, subscribe_with, unsubscribe,
};

fn maximum_packet_size(size: u32) -> Properties {
    Properties::new().four(prop::MAXIMUM_PACKET_SIZE, size)
}

/// A listener to `t` who takes packets of 100 bytes, and a publisher.
fn small_listener(b: &Broker, qos: u8, properties: Properties) -> (Client, Client) {
    let (listener, connack) = b.connect(&Connect::new(V5, "small").properties(properties));
    assert!(connack.wire_len() <= 100);
    listener.subscribe("t", qos);
    (listener, b.v5("publisher"))
}

/// A PUBLISH of QoS 0 or 1 to `t` that takes so many bytes on the wire.
fn of_size(size: usize, qos: u8) -> Publish {
    let publish = |payload: usize| Publish::new("t", &vec![b'x'; payload]).qos(qos, 1);
    let too_much = publish(size).bytes(V5).len() - size;
    let publish = publish(size - too_much);
    assert_eq!(publish.bytes(V5).len(), size);
    publish
}

#[test]
fn v5_3_1_2_24_nothing_above_the_maximum_packet_size_is_sent() {
    everywhere(|b| {
        for qos in [0, 1] {
            let (listener, publisher) = small_listener(b, qos, maximum_packet_size(100));
            publisher.publish(&of_size(101, qos));
            listener.expect_nothing();
            publisher.publish(&of_size(100, qos));
            assert_eq!(listener.packet().wire_len(), 100);
            publisher.publish(&of_size(99, qos));
            assert_eq!(listener.packet().wire_len(), 99);
            listener.expect_nothing();
        }
    });
}

#[test]
fn v5_3_1_2_24_retained_and_waiting_messages_are_measured_too() {
    everywhere(|b| {
        let publisher = b.v5("publisher");
        publisher.publish(&of_size(101, 1).retained());
        publisher.publish(&Publish::new("t/fits", b"x").retained());
        let session = Connect::new(V5, "small").lasting();
        let (listener, _) = b.connect(&session);
        listener.subscribe("live/#", 1);
        listener.cut();
        publisher.publish(&Publish::new("live/large", &[b'x'; 200]).qos(1, 1));
        publisher.publish(&Publish::new("live/fits", b"x").qos(1, 1));
        let limits = maximum_packet_size(100).four(prop::SESSION_EXPIRY, 3_600);
        let (listener, _) = b.connect(&Connect::new(V5, "small").clean(false).properties(limits));
        assert_eq!(listener.published().topic, "live/fits");
        listener.expect_nothing();
        listener.subscribe("t/#", 1);
        assert_eq!(listener.published().topic, "t/fits");
        listener.expect_nothing();
    });
}

#[test]
fn v5_3_1_2_24_no_packet_is_larger_than_even_the_smallest_size() {
    // Whatever is asked for: what comes fits.
    let method = |size| maximum_packet_size(size).text(prop::AUTHENTICATION_METHOD, "nobody has this");
    everywhere(|b| {
        for size in 1..120 {
            for properties in [maximum_packet_size(size), method(size)] {
                let client = b.client();
                client.send(&Connect::new(V5, "").properties(properties).bytes());
                for packet in [
                    subscribe(V5, 1, &[("a", 0), ("b", 1), ("c", 2), ("$share/g", 0)]),
                    Publish::new("a", b"0123456789").qos(1, 1).bytes(V5),
                    unsubscribe(V5, 2, &["a", "b", "nowhere"]),
                    ack(PUBREL, 77),
                    vec![0x80, 0],
                ] {
                    client.send(&packet);
                }
                let packets = client.packets();
                let too_large: Vec<&Packet> =
                    packets.iter().filter(|packet| packet.wire_len() > size as usize).collect();
                assert!(too_large.is_empty(), "a client that takes {size} bytes got {too_large:?}");
            }
        }
    });
}

#[test]
fn v5_3_1_2_25_what_is_too_large_counts_as_sent() {
    everywhere(|b| {
        // With a Receive Maximum of 1, one that did not count as sent would block the next for ever.
        let limits = maximum_packet_size(100).two(prop::RECEIVE_MAXIMUM, 1);
        let (listener, publisher) = small_listener(b, 1, limits);
        for id in 1..=20 {
            let size = if id % 2 == 0 { 90 } else { 150 };
            publisher.publish(&of_size(size, 1));
            assert_eq!(publisher.packet().first, PUBACK, "for the publisher it was delivered");
            if id % 2 == 0 {
                let heard = listener.published();
                assert_eq!(heard.bytes(V5).len(), 90);
                listener.send(&ack(PUBACK, heard.id));
            }
            listener.expect_nothing();
        }
        // Others, who take more, are not affected.
        let large = b.subscriber(V5, "large", "t", 1);
        publisher.publish(&of_size(150, 1));
        assert_eq!(large.published().bytes(V5).len(), 150);
        listener.expect_nothing();
    });
}

/// What a listener of this Topic Alias Maximum hears of many topics, by what the aliases stand for.
fn heard_topics(b: &Broker, properties: Properties, maximum: u16) -> Vec<String> {
    let (listener, _) = b.connect(&Connect::new(V5, "listener").properties(properties));
    listener.subscribe("t/#", 1);
    let publisher = b.v5("publisher");
    let (mut topics, mut aliases) = (Vec::new(), HashMap::new());
    for round in 0..4 {
        for number in 0..6 {
            publisher.publish(&Publish::new(&format!("t/{number}/of/a/topic"), &[round]).qos(round % 2, 1));
            let heard = listener.published();
            if heard.qos == 1 {
                listener.send(&ack(PUBACK, heard.id));
            }
            let alias =
                split_properties(&heard.properties.0).into_iter().find(|(id, _)| *id == prop::TOPIC_ALIAS);
            let alias = alias.map(|(_, value)| u16::from_be_bytes([value[0], value[1]]));
            assert!(
                alias.is_none_or(|alias| (1..=maximum).contains(&alias)),
                "{alias:?}, {maximum} are allowed"
            );
            match (alias, heard.topic.is_empty()) {
                (Some(alias), false) => drop(aliases.insert(alias, heard.topic.clone())),
                (None, true) => panic!("neither topic nor alias: {heard:?}"),
                _ => {}
            }
            let topic = alias.and_then(|alias| aliases.get(&alias).cloned()).unwrap_or(heard.topic);
            assert_eq!(topic, format!("t/{number}/of/a/topic"));
            topics.push(topic);
        }
    }
    listener.expect_nothing();
    topics
}

#[test]
fn v5_3_1_2_26_no_topic_alias_above_the_maximum_is_sent() {
    everywhere(|b| {
        for maximum in [1, 2, 5, 100, u16::MAX] {
            let properties = Properties::new().two(prop::TOPIC_ALIAS_MAXIMUM, maximum);
            assert_eq!(heard_topics(b, properties, maximum).len(), 24);
        }
    });
}

#[test]
fn v5_3_1_2_27_without_a_maximum_no_topic_alias_is_sent() {
    everywhere(|b| {
        for properties in [Properties::new(), Properties::new().two(prop::TOPIC_ALIAS_MAXIMUM, 0)] {
            assert_eq!(heard_topics(b, properties, 0).len(), 24);
        }
    });
}

#[test]
fn v5_3_1_2_28_response_information_is_not_returned_unasked() {
    let asks = |value| Properties::new().byte(prop::REQUEST_RESPONSE_INFORMATION, value);
    everywhere_configured(
        |snapshot| snapshot.response_information = "answers/".to_owned(),
        |b| {
            for properties in [Properties::new(), asks(0)] {
                let (_, connack) = b.connect(&Connect::new(V5, "client").properties(properties));
                assert_eq!(connack.property(prop::RESPONSE_INFORMATION), None);
            }
            // It is there for whoever asks.
            let (_, connack) = b.connect(&Connect::new(V5, "client").properties(asks(1)));
            assert_eq!(connack.property(prop::RESPONSE_INFORMATION), Some(b"answers/client".to_vec()));
        },
    );
}

/// Which packets but PUBLISH, CONNACK and DISCONNECT have a Reason String or User Properties, and which were seen at
/// all, when much goes wrong for a client with this CONNECT.
fn explained(b: &Broker, connect: &Connect) -> (HashSet<u8>, HashSet<u8>) {
    let user = Properties::new().user("n", "v");
    let long = "longer/than/the/limit/of/it";
    let (mut explained, mut seen) = (HashSet::new(), HashSet::new());
    for packet in [
        subscribe_with(V5, 1, &user, &[("fine", 2), (long, 0), ("$SYS/#", 1)]),
        subscribe(V5, 1, &[("$share/g", 0)]),
        subscribe(V5, 1, &[("a/#/b", 0)]),
        unsubscribe(V5, 2, &["nowhere", "fine"]),
        unsubscribe(V5, 2, &[long]),
        Publish::new("$SYS/x", b"x").qos(1, 3).bytes(V5),
        Publish::new("$SYS/x", b"x").qos(2, 4).bytes(V5),
        Publish::new("nobody", b"x").qos(1, 5).properties(user).bytes(V5),
        ack(PUBREL, 77),
        ack_because(0x50, 78, 0x80),
    ] {
        let (client, _) = b.connect(connect);
        client.send(&packet);
        for packet in client.packets().iter().filter(|packet| packet.first != 0xE0) {
            seen.insert(packet.first);
            if packet.properties().iter().any(|(id, _)| matches!(*id, prop::REASON_STRING | prop::USER)) {
                explained.insert(packet.first);
            }
        }
    }
    (explained, seen)
}

#[test]
fn v5_3_1_2_29_without_problem_information_only_three_packets_have_reasons() {
    let wants = |value| Properties::new().byte(prop::REQUEST_PROBLEM_INFORMATION, value);
    everywhere_with(
        |limits| limits.topic_bytes = 20,
        |b| {
            let (without, seen) = explained(b, &Connect::new(V5, "client").properties(wants(0)));
            assert_eq!(without, HashSet::new());
            assert!([0x40, 0x50, 0x70, 0x90, 0xB0].iter().all(|kind| seen.contains(kind)), "{seen:02X?}");
            // Whoever wants them, or does not say, is told: it is not for want of reasons.
            let (with, _) = explained(b, &Connect::new(V5, "client").properties(wants(1)));
            assert!(with.contains(&0x40) && with.contains(&0x90), "{with:02X?}");
            assert_eq!(explained(b, &Connect::new(V5, "client")).0, with);
        },
    );
}

#[test]
fn v5_3_1_2_29_what_is_published_is_not_information_about_a_problem() {
    everywhere(|b| {
        let without = Properties::new().byte(prop::REQUEST_PROBLEM_INFORMATION, 0);
        let (listener, _) = b.connect(&Connect::new(V5, "listener").properties(without));
        listener.subscribe("t", 0);
        let publish = Publish::new("t", b"x").properties(Properties::new().user("n", "v"));
        b.v5("publisher").publish(&publish);
        listener.expect(&publish.bytes(V5));
        listener.send(&PINGREQ);
        listener.expect(&PINGRESP);
    });
}
