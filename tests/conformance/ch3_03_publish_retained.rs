//! 3.3.1.3 RETAIN: what is stored, what is replayed, and the flag on what is forwarded.

use crate::broker::everywhere;
use crate::shorthand::{
    RETAIN_AS_PUBLISHED, RETAIN_HANDLING_1, RETAIN_HANDLING_2, hears, lasting, publishes, retained,
    subscribes, unsuback,
};
use crate::wire::{Publish, V3, V5, Version, unsubscribe};

fn kept(topic: &str, qos: u8, payload: &[u8]) -> (String, u8, bool, Vec<u8>) {
    (topic.to_owned(), qos, true, payload.to_vec())
}

fn message(qos: u8, payload: &[u8]) -> Publish {
    Publish::new("r/t", payload).qos(qos, if qos > 0 { 7 } else { 0 })
}

/// Stored with its QoS, in place of the one before, and longer than its publisher is there.
fn is_stored_and_replaced(version: Version) {
    everywhere(|b| {
        for (qos, payload) in [(1, b"one"), (2, b"two"), (0, b"tri"), (2, b"for")] {
            let publisher = b.of(version, "publisher");
            publishes(&publisher, &message(qos, payload).retained());
            assert_eq!(retained(b, version, "r/t"), [kept("r/t", qos, payload)], "while it is there");
            publisher.cut();
            assert_eq!(retained(b, version, "r/+"), [kept("r/t", qos, payload)], "after it has gone");
        }
    });
}

#[test]
fn v5_3_3_1_5_a_retained_message_is_stored_with_its_qos_and_replaces_the_one_before() {
    is_stored_and_replaced(V5);
}

#[test]
fn v3_3_3_1_5_a_retained_message_is_stored_with_its_qos() {
    is_stored_and_replaced(V3);
}

#[test]
fn v3_3_3_1_6_a_new_subscription_gets_the_last_retained_message_of_each_topic_that_matches() {
    everywhere(|b| {
        let publisher = b.v3("publisher");
        let mut topics: Vec<String> = (0..20).map(|number| format!("r/{number}/x")).collect();
        topics.sort();
        for topic in &topics {
            publishes(&publisher, &Publish::new(topic, b"old").qos(1, 1).retained());
            publishes(&publisher, &Publish::new(topic, topic.as_bytes()).qos(1, 1).retained());
        }
        let all: Vec<_> = topics.iter().map(|topic| kept(topic, 1, topic.as_bytes())).collect();
        for filter in ["r/+/x", "r/#", "#", "+/+/x", "+/+/+"] {
            assert_eq!(retained(b, V3, filter), all, "{filter}");
        }
        assert_eq!(retained(b, V3, "r/7/x"), [kept("r/7/x", 1, b"r/7/x")]);
        assert_eq!(retained(b, V3, "r/+"), [], "which matches none");
    });
}

#[test]
fn v3_3_3_1_7_a_retained_message_of_qos_0_replaces_what_was_retained() {
    everywhere(|b| {
        let publisher = b.v3("publisher");
        publishes(&publisher, &message(2, b"before").retained());
        publishes(&publisher, &message(0, b"after").retained());
        assert_eq!(retained(b, V3, "r/t"), [kept("r/t", 0, b"after")]);
    });
}

#[test]
fn v3_3_3_1_8_what_a_new_subscription_brings_is_marked_as_retained() {
    everywhere(|b| {
        let publisher = b.v3("publisher");
        publishes(&publisher, &message(1, b"kept").retained());
        let subscriber = b.v3("subscriber");
        assert!(subscribes(&subscriber, V3, "r/t", 1).iter().all(|m| m.retain), "the first time");
        let again = subscribes(&subscriber, V3, "r/t", 1);
        assert!(again.len() == 1 && again[0].retain, "and when it subscribes once more: {again:?}");
    });
}

#[test]
fn v3_3_3_1_9_what_is_published_to_an_established_subscription_is_not_marked_as_retained() {
    everywhere(|b| {
        let subscriber = b.subscriber(V3, "subscriber", "r/#", 2);
        let publisher = b.v3("publisher");
        for qos in 0..3 {
            publishes(&publisher, &message(qos, b"now").retained());
            hears(&subscriber, V3, &message(qos, b"now"));
        }
        subscriber.expect_nothing();
    });
}

/// An empty message clears; who listens now gets it like any other.
fn an_empty_payload_clears(version: Version) {
    everywhere(|b| {
        let publisher = b.of(version, "publisher");
        for qos in 0..3 {
            publishes(&publisher, &message(1, b"kept").retained());
            let listener = b.subscriber(version, "listener", "r/none", 0);
            assert_eq!(subscribes(&listener, version, "r/t", 2).len(), 1);
            publishes(&publisher, &message(qos, b"").retained());
            hears(&listener, version, &message(qos, b""));
            listener.expect_nothing();
            assert_eq!(retained(b, version, "r/t"), []);
            assert_eq!(retained(b, version, "#"), []);
        }
    });
}

#[test]
fn v5_3_3_1_6_an_empty_retained_message_is_forwarded_and_removes_what_was_retained() {
    an_empty_payload_clears(V5);
}

#[test]
fn v3_3_3_1_10_an_empty_retained_message_is_forwarded_and_removes_what_was_retained() {
    an_empty_payload_clears(V3);
}

fn an_empty_payload_is_not_stored(version: Version) {
    everywhere(|b| {
        let publisher = b.of(version, "publisher");
        for qos in 0..3 {
            let empty = message(qos, b"").retained();
            publisher.publish(&empty);
            assert_eq!(retained(b, version, "r/t"), [], "where nothing was");
        }
    });
}

#[test]
fn v5_3_3_1_7_an_empty_retained_message_is_not_stored() {
    an_empty_payload_is_not_stored(V5);
}

#[test]
fn v3_3_3_1_11_an_empty_retained_message_is_not_stored() {
    an_empty_payload_is_not_stored(V3);
}

fn without_retain_nothing_is_stored_or_removed(version: Version) {
    everywhere(|b| {
        let publisher = b.of(version, "publisher");
        let _listener = b.subscriber(version, "listener", "r/t", 2);
        for qos in 0..3 {
            publishes(&publisher, &message(qos, b"fleeting"));
        }
        assert_eq!(retained(b, version, "r/t"), [], "nothing is stored");
        publishes(&publisher, &message(1, b"kept").retained());
        for qos in 0..3 {
            publishes(&publisher, &message(qos, b"other"));
            publishes(&publisher, &message(qos, b""));
        }
        assert_eq!(retained(b, version, "r/t"), [kept("r/t", 1, b"kept")], "nor replaced, nor removed");
    });
}

#[test]
fn v5_3_3_1_8_a_message_without_retain_stores_nothing_and_removes_nothing() {
    without_retain_nothing_is_stored_or_removed(V5);
}

#[test]
fn v3_3_3_1_12_a_message_without_retain_stores_nothing_and_removes_nothing() {
    without_retain_nothing_is_stored_or_removed(V3);
}

#[test]
fn v5_3_3_1_9_retain_handling_0_sends_all_that_matches_with_every_subscribe() {
    everywhere(|b| {
        let publisher = b.v5("publisher");
        let mut topics: Vec<String> = (0..30).map(|number| format!("r/{number}/x")).collect();
        topics.push("r".to_owned());
        topics.sort();
        for topic in &topics {
            publishes(&publisher, &Publish::new(topic, topic.as_bytes()).qos(1, 1).retained());
        }
        let subscriber = b.v5("subscriber");
        for round in 0..3 {
            let came = subscribes(&subscriber, V5, "r/#", 0);
            assert!(came.iter().all(|m| m.retain && m.qos == 0), "RETAIN is set, QoS is the lower one");
            let mut names: Vec<String> = came.into_iter().map(|m| m.topic).collect();
            names.sort();
            assert_eq!(names, topics, "round {round}");
        }
    });
}

#[test]
fn v5_3_3_1_9_a_resumed_session_is_not_a_new_subscription() {
    everywhere(|b| {
        let (subscriber, _) = lasting(b, V5, "subscriber");
        subscriber.subscribe("r/t", 1);
        subscriber.cut();
        publishes(&b.subscriber(V5, "publisher", "r/t", 0), &message(0, b"kept").retained());
        let (subscriber, present) = lasting(b, V5, "subscriber");
        assert!(present);
        subscriber.expect_nothing();
    });
}

#[test]
fn v5_3_3_1_10_retain_handling_1_sends_only_when_the_subscription_is_new() {
    everywhere(|b| {
        publishes(&b.v5("publisher"), &message(1, b"kept").retained());
        let subscriber = b.v5("subscriber");
        assert_eq!(subscribes(&subscriber, V5, "r/t", 1 | RETAIN_HANDLING_1).len(), 1, "it is new");
        assert_eq!(subscribes(&subscriber, V5, "r/t", 2 | RETAIN_HANDLING_1), [], "it is there");
        assert_eq!(
            subscribes(&subscriber, V5, "r/+", 1 | RETAIN_HANDLING_1).len(),
            1,
            "another filter is new"
        );
        subscriber.send(&unsubscribe(V5, 5, &["r/t"]));
        subscriber.expect(&unsuback(V5, 5, &[0]));
        assert_eq!(subscribes(&subscriber, V5, "r/t", 1 | RETAIN_HANDLING_1).len(), 1, "it is new again");
    });
}

#[test]
fn v5_3_3_1_11_retain_handling_2_sends_nothing_retained() {
    everywhere(|b| {
        let publisher = b.v5("publisher");
        publishes(&publisher, &message(1, b"kept").retained());
        let subscriber = b.v5("subscriber");
        for _ in 0..2 {
            assert_eq!(subscribes(&subscriber, V5, "r/t", 1 | RETAIN_HANDLING_2), []);
            assert_eq!(subscribes(&subscriber, V5, "#", 1 | RETAIN_HANDLING_2), []);
        }
        publishes(&publisher, &message(1, b"live").retained());
        hears(&subscriber, V5, &message(1, b"live"));
        subscriber.expect_nothing();
    });
}

#[test]
fn v5_3_3_1_12_without_retain_as_published_what_is_forwarded_is_not_marked() {
    everywhere(|b| {
        let subscriber = b.subscriber(V5, "subscriber", "r/t", 2);
        let publisher = b.v5("publisher");
        for qos in 0..3 {
            publishes(&publisher, &message(qos, b"live").retained());
            hears(&subscriber, V5, &message(qos, b"live"));
            publishes(&publisher, &message(qos, b"").retained());
            hears(&subscriber, V5, &message(qos, b""));
            publishes(&publisher, &message(qos, b"live"));
            hears(&subscriber, V5, &message(qos, b"live"));
        }
    });
}

#[test]
fn v5_3_3_1_13_with_retain_as_published_the_flag_is_the_publishers() {
    everywhere(|b| {
        let subscriber = b.subscriber(V5, "subscriber", "r/t", 2 | RETAIN_AS_PUBLISHED);
        let (sleeper, _) = lasting(b, V5, "sleeper");
        sleeper.subscribe("r/t", 2 | RETAIN_AS_PUBLISHED);
        sleeper.cut();
        let publisher = b.v5("publisher");
        for qos in 0..3 {
            for each in
                [message(qos, b"live").retained(), message(qos, b"live"), message(qos, b"").retained()]
            {
                publishes(&publisher, &each);
                hears(&subscriber, V5, &each);
            }
        }
        let (sleeper, _) = lasting(b, V5, "sleeper");
        for qos in 1..3 {
            hears(&sleeper, V5, &message(qos, b"live").retained());
            hears(&sleeper, V5, &message(qos, b"live"));
            hears(&sleeper, V5, &message(qos, b"").retained());
        }
    });
}
