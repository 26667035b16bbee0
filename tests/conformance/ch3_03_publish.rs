//! 3.3 PUBLISH: flags, the topic name, the answers, the actions (3.3.4; 3.3.5 of 3.1.1). RETAIN and the properties have
//! files of their own.

use crate::broker::{everywhere, everywhere_with};
use crate::shorthand::{
    NO_LOCAL, RETAIN_AS_PUBLISHED, acknowledge, breaks, hears, ill_formed, lasting, narrow, payloads,
    publish_to_bytes, publishes, string, suback, with_area,
};
use crate::wire::{
    PINGREQ, PINGRESP, PUBACK, PUBCOMP, PUBREC, PUBREL, Properties, Publish, V3, V5, Version, ack,
    ack_because, prop, subscribe, subscribe_with,
};

fn message(qos: u8, id: u16) -> Publish {
    Publish::new("a/b", b"payload").qos(qos, id)
}

fn redelivery_is_marked(version: Version) {
    everywhere(|b| {
        for qos in 1..3 {
            let (subscriber, _) = lasting(b, version, "subscriber");
            subscriber.subscribe("a/b", qos);
            publishes(&b.of(version, "publisher"), &message(qos, 7));
            let id = hears(&subscriber, version, &message(qos, 7));
            subscriber.close();
            for _ in 0..2 {
                let (again, present) = lasting(b, version, "subscriber");
                assert!(present);
                again.expect(&message(qos, id).dup().bytes(version));
                again.expect_nothing();
                again.cut();
            }
            let (again, _) = lasting(b, version, "subscriber");
            again.expect(&message(qos, id).dup().bytes(version));
            acknowledge(&again, qos, id);
        }
    });
}

#[test]
fn v5_3_3_1_1_what_is_sent_again_is_marked_as_a_duplicate() {
    redelivery_is_marked(V5);
}

#[test]
fn v3_3_3_1_1_what_is_sent_again_is_marked_as_a_duplicate() {
    redelivery_is_marked(V3);
}

fn qos_0_is_never_a_duplicate(version: Version) {
    everywhere(|b| {
        let subscriber = b.subscriber(version, "subscriber", "a/b", 0);
        let publisher = b.of(version, "publisher");
        for qos in 1..3 {
            publishes(&publisher, &message(qos, 7).dup());
            hears(&subscriber, version, &message(0, 0));
        }
        publisher.send(&message(0, 0).dup().bytes(version));
        publisher.expect_disconnect(0x81);
        subscriber.expect_nothing();
    });
}

#[test]
fn v5_3_3_1_2_a_message_of_qos_0_is_never_marked_as_a_duplicate() {
    qos_0_is_never_a_duplicate(V5);
}

#[test]
fn v3_3_3_1_2_a_message_of_qos_0_is_never_marked_as_a_duplicate() {
    qos_0_is_never_a_duplicate(V3);
}

fn dup_is_not_passed_on(version: Version) {
    everywhere(|b| {
        let subscriber = b.subscriber(version, "subscriber", "a/b", 2);
        let publisher = b.of(version, "publisher");
        for qos in 1..3 {
            publishes(&publisher, &message(qos, 7).dup());
            let id = hears(&subscriber, version, &message(qos, 0));
            acknowledge(&subscriber, qos, id);
        }
        // Nor is it kept with what is retained.
        publishes(&publisher, &message(1, 8).dup().retained());
        let late = b.subscriber(version, "late", "none", 0);
        late.send(&subscribe(version, 9, &[("a/b", 1)]));
        let kept =
            late.packets().into_iter().find(|packet| packet.first >> 4 == 3).expect("what is retained");
        assert!(!kept.publish(version).dup, "{kept:?}");
    });
}

#[test]
fn v5_3_3_1_3_the_flag_of_what_came_is_not_passed_on() {
    dup_is_not_passed_on(V5);
}

#[test]
fn v3_3_3_1_3_the_flag_of_what_came_is_not_passed_on() {
    dup_is_not_passed_on(V3);
}

fn qos_3_is_malformed(version: Version) {
    everywhere(|b| {
        let subscriber = b.subscriber(version, "subscriber", "#", 2);
        for first in [0x36, 0x37, 0x3E, 0x3F] {
            let before = [string("a/b"), vec![0, 7]].concat();
            breaks(b, version, &with_area(version, first, &before, b"payload"), 0x81);
        }
        subscriber.expect_nothing();
    });
}

#[test]
fn v5_3_3_1_4_a_message_with_both_bits_of_qos_is_malformed() {
    qos_3_is_malformed(V5);
}

#[test]
fn v3_3_3_1_4_a_message_with_both_bits_of_qos_closes_the_connection() {
    qos_3_is_malformed(V3);
}

fn the_topic_is_a_string(version: Version) {
    everywhere(|b| {
        let subscriber = b.subscriber(version, "subscriber", "#", 2);
        for topic in ill_formed() {
            breaks(b, version, &publish_to_bytes(version, &topic), 0x81);
        }
        // Longer than the packet, and cut off within its own length.
        breaks(b, version, &[0x30, 3, 0, 2, b'a'], 0x81);
        breaks(b, version, &[0x30, 1, 0], 0x81);
        breaks(b, version, &[0x30, 0], 0x81);
        subscriber.expect_nothing();
    });
}

#[test]
fn v5_3_3_2_1_the_topic_name_comes_first_and_is_utf_8() {
    the_topic_is_a_string(V5);
}

#[test]
fn v3_3_3_2_1_the_topic_name_comes_first_and_is_utf_8() {
    the_topic_is_a_string(V3);
}

fn the_topic_has_no_wildcards(version: Version) {
    everywhere(|b| {
        let subscriber = b.subscriber(version, "subscriber", "#", 2);
        for topic in ["#", "+", "a/#", "a/+/b", "a+", "#a", "a/b#"] {
            breaks(b, version, &Publish::new(topic, b"payload").bytes(version), 0x81);
        }
        subscriber.expect_nothing();
    });
}

#[test]
fn v5_3_3_2_2_a_topic_name_with_a_wildcard_is_malformed() {
    the_topic_has_no_wildcards(V5);
}

#[test]
fn v3_3_3_2_2_a_topic_name_with_a_wildcard_closes_the_connection() {
    the_topic_has_no_wildcards(V3);
}

fn the_topic_is_the_publishers_and_matches(version: Version) {
    everywhere(|b| {
        let filters = ["a/b/c", "a/+/c", "+/b/+", "a/#", "#", "a/b/c/#"];
        let subscribers: Vec<_> =
            filters.iter().map(|filter| b.subscriber(version, &format!("to {filter}"), filter, 0)).collect();
        let others: Vec<_> = ["a/b", "a/b/c/d", "A/b/c", "a/+", "/a/b/c", "+"]
            .iter()
            .map(|filter| b.subscriber(version, &format!("not to {filter}"), filter, 0))
            .collect();
        let sent = Publish::new("a/b/c", b"payload");
        b.of(version, "publisher").publish(&sent);
        for subscriber in &subscribers {
            hears(subscriber, version, &sent);
        }
        for each in subscribers.iter().chain(&others) {
            each.expect_nothing();
        }
    });
}

#[test]
fn v5_3_3_2_3_what_is_forwarded_has_the_publishers_topic_and_matches_the_filter() {
    the_topic_is_the_publishers_and_matches(V5);
}

#[test]
fn v3_3_3_2_3_what_is_forwarded_has_the_publishers_topic_and_matches_the_filter() {
    the_topic_is_the_publishers_and_matches(V3);
}

fn each_qos_has_its_answer(version: Version) {
    everywhere(|b| {
        let _subscriber = b.subscriber(version, "subscriber", "a/b", 0);
        let publisher = b.of(version, "publisher");
        publisher.publish(&message(0, 0));
        publisher.expect_nothing();
        publisher.publish(&message(1, 0x1234));
        publisher.expect(&[0x40, 2, 0x12, 0x34]);
        publisher.publish(&message(2, 0xFFFF));
        publisher.expect(&[0x50, 2, 0xFF, 0xFF]);
        publisher.send(&ack(PUBREL, 0xFFFF));
        publisher.expect(&[0x70, 2, 0xFF, 0xFF]);
        publisher.expect_nothing();
    });
}

#[test]
fn v5_3_3_4_1_each_qos_has_its_answer() {
    each_qos_has_its_answer(V5);
}

#[test]
fn v3_3_3_4_1_each_qos_has_its_answer() {
    each_qos_has_its_answer(V3);
}

fn overlapping_subscriptions_give_the_highest_qos(version: Version) {
    everywhere(|b| {
        for granted in [[0, 1, 2], [2, 1, 0], [1, 0, 0], [0, 0, 1], [0, 2, 0]] {
            let subscriber = b.of(version, "subscriber");
            for (filter, qos) in ["a/b", "a/+", "#"].iter().zip(granted) {
                subscriber.subscribe(filter, qos);
            }
            let publisher = b.of(version, "publisher");
            for qos in 0..3 {
                publishes(&publisher, &message(qos, 5));
                let highest = qos.min(granted.into_iter().max().expect("three"));
                hears(&subscriber, version, &message(highest, 0));
                subscriber.expect_nothing();
            }
        }
    });
}

#[test]
fn v5_3_3_4_2_overlapping_subscriptions_give_one_copy_with_the_highest_qos() {
    overlapping_subscriptions_give_the_highest_qos(V5);
}

#[test]
fn v3_3_3_5_1_overlapping_subscriptions_give_one_copy_with_the_highest_qos() {
    overlapping_subscriptions_give_the_highest_qos(V3);
}

fn identifiers(message: &Publish) -> Vec<usize> {
    let split = crate::wire::split_properties(&message.properties.0);
    assert!(split.iter().all(|(id, _)| *id == prop::SUBSCRIPTION_ID), "no other property was sent");
    let mut ids: Vec<usize> = split
        .iter()
        .map(|(_, value)| value.iter().rev().fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7F)))
        .collect();
    ids.sort_unstable();
    ids
}

#[test]
fn v5_3_3_4_3_a_delivery_carries_the_identifier_of_its_subscription() {
    everywhere(|b| {
        let subscriber = b.v5("subscriber");
        for (number, id) in [1, 127, 128, 16_384, 268_435_455].into_iter().enumerate() {
            let filter = format!("a/{number}");
            let properties = Properties::new().varint(prop::SUBSCRIPTION_ID, id);
            subscriber.send(&subscribe_with(V5, 9, &properties, &[(&filter, 1)]));
            subscriber.expect(&suback(V5, 9, &[1]));
            for qos in 0..2 {
                let sent = Publish::new(&filter, b"payload").qos(qos, u16::from(qos));
                publishes(&b.v5("publisher"), &sent);
                hears(&subscriber, V5, &sent.properties(properties.clone()));
            }
        }
        subscriber.subscribe("none", 1);
        publishes(&b.v5("publisher"), &Publish::new("none", b"payload"));
        hears(&subscriber, V5, &Publish::new("none", b"payload"));
    });
}

#[test]
fn v5_3_3_4_3_the_identifier_comes_with_retained_queued_and_repeated_messages() {
    everywhere(|b| {
        let properties = Properties::new().varint(prop::SUBSCRIPTION_ID, 300);
        publishes(&b.v5("publisher"), &message(1, 1).retained());
        let (subscriber, _) = lasting(b, V5, "subscriber");
        subscriber.send(&subscribe_with(V5, 9, &properties, &[("a/b", 1)]));
        let mut came = subscriber.packets();
        came.retain(|packet| packet.first != 0x90);
        let kept = came[0].publish(V5);
        assert_eq!((came.len(), kept.retain, &kept.properties), (1, true, &properties));
        subscriber.cut();
        publishes(&b.v5("publisher"), &message(1, 2));
        let (subscriber, _) = lasting(b, V5, "subscriber");
        let again = message(1, kept.id).retained().dup().properties(properties.clone());
        subscriber.expect(&again.bytes(V5));
        hears(&subscriber, V5, &message(1, 0).properties(properties.clone()));
    });
}

#[test]
fn v5_3_3_4_4_one_copy_carries_the_identifiers_of_all_subscriptions_that_match() {
    everywhere(|b| {
        let subscriber = b.v5("subscriber");
        let filters = [("a/b", 7), ("a/+", 8), ("#", 200), ("a/b/#", 7), ("a/c", 9)];
        for (filter, id) in filters {
            let properties = Properties::new().varint(prop::SUBSCRIPTION_ID, id);
            subscriber.send(&subscribe_with(V5, 9, &properties, &[(filter, 0)]));
            subscriber.expect(&suback(V5, 9, &[0]));
        }
        subscriber.subscribe("+/b", 1);
        publishes(&b.v5("publisher"), &message(1, 3));
        let came = subscriber.published();
        assert_eq!(
            identifiers(&came),
            [7, 7, 8, 200],
            "each that matches, and of one that has none, nothing"
        );
        assert_eq!((came.qos, came.topic.as_str()), (1, "a/b"));
        subscriber.expect_nothing();
    });
}

#[test]
fn v5_3_3_4_4_a_subscription_that_does_not_want_the_clients_own_messages_adds_nothing() {
    everywhere(|b| {
        let client = b.v5("both");
        let with = |id| Properties::new().varint(prop::SUBSCRIPTION_ID, id);
        client.send(&subscribe_with(V5, 9, &with(1), &[("a/b", 2 | NO_LOCAL | RETAIN_AS_PUBLISHED)]));
        client.expect(&suback(V5, 9, &[2]));
        client.send(&subscribe_with(V5, 9, &with(2), &[("a/+", 0)]));
        client.expect(&suback(V5, 9, &[0]));
        client.publish(&message(0, 0).retained());
        hears(&client, V5, &message(0, 0).properties(with(2)));
        client.expect_nothing();
    });
}

#[test]
fn v5_3_3_4_6_a_client_must_not_send_a_subscription_identifier() {
    everywhere(|b| {
        let subscriber = b.subscriber(V5, "subscriber", "#", 0);
        for qos in 0..3 {
            let properties = Properties::new().varint(prop::SUBSCRIPTION_ID, 5);
            breaks(b, V5, &message(qos, 3).properties(properties).bytes(V5), 0x82);
        }
        subscriber.expect_nothing();
    });
}

#[test]
fn v5_3_3_4_7_a_client_that_exceeds_our_receive_maximum_is_told_and_closed() {
    everywhere_with(
        |limits| limits.receive_maximum = 3,
        |b| {
            let (client, connack) = b.connect(&crate::wire::Connect::new(V5, "client"));
            assert_eq!(connack.property(prop::RECEIVE_MAXIMUM), Some(vec![0, 3]));
            let _subscriber = b.subscriber(V5, "subscriber", "a/b", 0);
            for id in 1..=3 {
                client.publish(&message(2, id));
                client.expect(&ack(PUBREC, id));
            }
            // Repeated, it is not one more; released, it is one less.
            client.publish(&message(2, 3).dup());
            client.expect(&ack(PUBREC, 3));
            client.send(&ack(PUBREL, 2));
            client.expect(&ack(PUBCOMP, 2));
            client.publish(&message(2, 4));
            client.expect(&ack(PUBREC, 4));
            client.publish(&message(0, 0));
            client.expect_nothing();
            client.publish(&message(1, 5));
            client.expect_disconnect(0x93);
        },
    );
}

#[test]
fn v5_3_3_4_9_no_more_is_sent_than_the_client_allows_and_what_is_over_that_waits() {
    everywhere(|b| {
        let subscriber = narrow(b, "subscriber", 3);
        subscriber.subscribe("a/b", 2);
        let publisher = b.v5("publisher");
        for number in 0..200 {
            let qos = 1 + number % 2;
            publishes(&publisher, &Publish::new("a/b", &[number]).qos(qos, 1));
        }
        let (mut heard, mut open) = (Vec::new(), Vec::new());
        loop {
            for packet in subscriber.packets() {
                let came = packet.publish(V5);
                heard.push(came.payload[0]);
                open.push((came.id, came.qos));
            }
            assert!(open.len() <= 3, "{open:?} are unacknowledged");
            assert!(open.len() == 3 || heard.len() == 200, "and no fewer than may be");
            if open.is_empty() {
                break;
            }
            let (id, qos) = open.remove(0);
            if qos == 2 {
                subscriber.send(&ack(PUBREC, id));
                subscriber.expect(&ack(PUBREL, id));
                subscriber.expect_nothing();
            }
            subscriber.send(&ack(if qos == 2 { PUBCOMP } else { PUBACK }, id));
        }
        assert_eq!(heard, (0..200).collect::<Vec<u8>>(), "all of them, in order");
    });
}

#[test]
fn v5_3_3_4_9_a_refusing_pubrec_makes_room_and_a_new_connection_has_all_of_it() {
    everywhere(|b| {
        let subscriber = narrow(b, "subscriber", 2);
        subscriber.subscribe("a/b", 2);
        let publisher = b.v5("publisher");
        for number in 1..=5 {
            publishes(&publisher, &Publish::new("a/b", &[number]).qos(2, 1));
        }
        let first = subscriber.published();
        assert_eq!(subscriber.published().payload, [2]);
        subscriber.expect_nothing();
        subscriber.send(&ack_because(PUBREC, first.id, 0x97));
        assert_eq!(subscriber.published().payload, [3]);
        subscriber.expect_nothing();
        subscriber.cut();
        // Receive Maximum belongs to the connection: this one allows one.
        let subscriber = narrow(b, "subscriber", 1);
        let again = subscriber.published();
        assert_eq!((again.dup, again.payload), (true, vec![2]));
        subscriber.expect_nothing();
        subscriber.cut();
        let subscriber = narrow(b, "subscriber", 9);
        assert_eq!(payloads(&subscriber, V5), [[2], [3], [4], [5]]);
    });
}

#[test]
fn v5_3_3_4_10_while_the_window_is_closed_everything_else_goes_on() {
    everywhere(|b| {
        let subscriber = narrow(b, "subscriber", 1);
        subscriber.subscribe("a/b", 2);
        let publisher = b.v5("publisher");
        for id in 1..=3 {
            publishes(&publisher, &message(2, id));
        }
        let id = hears(&subscriber, V5, &message(2, 0));
        subscriber.expect_nothing();
        subscriber.send(&PINGREQ);
        subscriber.expect(&PINGRESP);
        subscriber.subscribe("c", 0);
        subscriber.publish(&Publish::new("c", b"own").qos(2, 9));
        let mut answers = subscriber.packets();
        answers.sort_by_key(|packet| packet.first);
        assert_eq!(answers[0].publish(V5), Publish::new("c", b"own"), "QoS 0 needs no room");
        assert_eq!((answers.len(), answers[1].first, answers[1].id()), (2, PUBREC, 9));
        subscriber.send(&ack(PUBREL, 9));
        subscriber.expect(&ack(PUBCOMP, 9));
        subscriber.send(&ack(PUBREC, id));
        subscriber.expect(&ack(PUBREL, id));
        subscriber.expect_nothing();
    });
}

#[test]
fn v3_3_3_5_2_a_publish_that_is_not_allowed_is_acknowledged_or_ends_the_connection() {
    everywhere(|b| {
        let subscriber = b.subscriber(V3, "subscriber", "$SYS/made/up", 2);
        let client = b.v3("client");
        for (qos, answer) in [(1, PUBACK), (2, PUBREC)] {
            client.publish(&Publish::new("$SYS/made/up", b"forged").qos(qos, 5));
            client.expect(&ack(answer, 5));
        }
        client.send(&ack(PUBREL, 5));
        client.expect(&ack(PUBCOMP, 5));
        client.publish(&Publish::new("$SYS/made/up", b"forged").retained());
        client.expect_nothing();
        subscriber.expect_nothing();
        assert_eq!(crate::shorthand::retained(b, V3, "$SYS/made/up"), []);
    });
}
