//! 3.8 to 3.11 where things happen at once: requests behind each other, connections that break in between, retained
//! messages that have to wait.

use std::collections::BTreeSet;

use crate::broker::{Client, everywhere};
use crate::shorthand::{hears, lasting, narrow, payloads, publishes, suback, subscribes, unsuback};
use crate::sockets::Process;
use crate::wire::{
    Connect, PUBACK, Properties, Publish, V3, V5, Version, ack, join, subscribe, subscribe_with, text,
    unsubscribe,
};

fn message(topic: &str, qos: u8) -> Publish {
    Publish::new(topic, b"payload").qos(qos, u16::from(qos))
}

/// Each request behind the one before it, which may still be on its way to other shards.
fn requests_behind_each_other(version: Version) {
    everywhere(|b| {
        let publisher = b.of(version, "publisher");
        for filter in ["a/b", "a/+", "#"] {
            for rounds in 1..6 {
                let client = b.of(version, "client");
                let mut stream = Vec::new();
                for _ in 0..rounds {
                    stream.extend(subscribe(version, 7, &[(filter, 1), ("other", 0)]));
                    stream.extend(unsubscribe(version, 8, &[filter]));
                }
                let (subscribed, unsubscribed) = (suback(version, 7, &[1, 0]), unsuback(version, 8, &[0]));
                client.send(&stream);
                let mut answers: Vec<Vec<u8>> = client
                    .packets()
                    .iter()
                    .map(|packet| crate::wire::packet(packet.first, &packet.body))
                    .collect();
                answers.sort();
                let expected = [vec![subscribed.clone(); rounds], vec![unsubscribed; rounds]].concat();
                assert_eq!(answers, expected, "every request is answered");
                publisher.publish(&message("a/b", 0));
                client.expect_nothing();
                client.send(&join(&[&stream, &subscribe(version, 7, &[(filter, 1), ("other", 0)])]));
                assert_eq!(client.packets().len(), 2 * rounds + 1);
                publisher.publish(&message("a/b", 0));
                hears(&client, version, &message("a/b", 0));
                client.expect_nothing();
            }
        }
    });
}

#[test]
fn v5_3_8_4_1_requests_behind_each_other_are_all_answered_and_the_last_one_holds() {
    requests_behind_each_other(V5);
}

#[test]
fn v3_3_8_4_1_requests_behind_each_other_are_all_answered_and_the_last_one_holds() {
    requests_behind_each_other(V3);
}

/// A durable session's subscription stands although its client was gone before the SUBACK.
#[test]
fn v5_4_1_0_1_a_subscription_stands_although_its_suback_was_not_heard() {
    everywhere(|b| {
        for version in [V3, V5] {
            for filter in ["a/b", "a/+"] {
                let (client, _) = lasting(b, version, "client");
                client.send(&subscribe(version, 7, &[(filter, 1)]));
                // The broker has it, the client has not read the answer.
                client.cut();
                let publisher = b.of(version, "publisher");
                publishes(&publisher, &message("a/b", 1));
                let (client, present) = lasting(b, version, "client");
                assert!(present);
                hears(&client, version, &message("a/b", 1));
                client.expect_nothing();
                b.connect(&Connect::new(version, "client"));
            }
        }
    });
}

#[test]
fn v5_3_8_4_1_user_properties_change_nothing() {
    everywhere(|b| {
        let client = b.v5("client");
        let user = Properties::new().user("n", "v").user("", "").user("n", "v");
        client.send(&subscribe_with(V5, 7, &user, &[("a/b", 1)]));
        client.expect(&suback(V5, 7, &[1]));
        publishes(&b.v5("publisher"), &message("a/b", 1));
        hears(&client, V5, &message("a/b", 1));
        let body = join(&[&[0, 8], &user.bytes(), &text("a/b")]);
        client.send(&crate::wire::packet(0xA2, &body));
        client.expect(&unsuback(V5, 8, &[0]));
    });
}

/// Hundreds of retained messages through a window of two: each arrives once.
#[test]
fn v5_3_3_1_9_retained_messages_wait_for_a_narrow_window_and_all_arrive() {
    everywhere(|b| {
        let publisher = b.v5("publisher");
        for number in 0..300_u16 {
            publisher.write(
                &Publish::new(&format!("t/{number}"), b"kept").qos(1, 1 + number).retained().bytes(V5),
            );
        }
        assert_eq!(publisher.packets().len(), 300);
        let client = narrow(b, "client", 2);
        let mut topics = BTreeSet::new();
        let mut open: Vec<u16> = Vec::new();
        client.write(&subscribe(V5, 7, &[("t/+", 1)]));
        for _ in 0..1_000 {
            for packet in client.packets().iter().filter(|packet| packet.first != 0x90) {
                let came = packet.publish(V5);
                assert!(came.retain && topics.insert(came.topic.clone()), "{} came twice", came.topic);
                open.push(came.id);
            }
            assert!(open.len() <= 2);
            let Some(id) = open.pop() else { break };
            client.send(&ack(PUBACK, id));
        }
        assert_eq!(topics.len(), 300);
    });
}

/// What was retained when a durable session subscribed is pending for it: a connection that breaks loses none of it.
#[test]
fn v5_3_3_1_9_a_connection_that_breaks_loses_nothing_of_what_was_retained() {
    everywhere(|b| {
        let publisher = b.v5("publisher");
        for number in 0..40_u16 {
            publishes(&publisher, &Publish::new(&format!("t/{number}"), b"kept").qos(1, 1).retained());
        }
        let client = narrow(b, "client", 3);
        client.send(&subscribe(V5, 7, &[("t/#", 1)]));
        let mut topics = BTreeSet::new();
        let mut note = |client: &Client| {
            for packet in client.packets().iter().filter(|packet| packet.first >> 4 == 3) {
                topics.insert(packet.publish(V5).topic);
            }
            topics.len()
        };
        assert_eq!(note(&client), 3);
        client.cut();
        let client = narrow(b, "client", 100);
        assert_eq!(note(&client), 40);
    });
}

/// While a subscription is being made, its topics' retained messages change: the last state arrives last, and what
/// was cleared does not come after its clearing.
#[test]
fn v5_3_3_1_9_what_changes_while_it_is_replayed_ends_with_the_newest() {
    everywhere(|b| {
        let publisher = b.v5("publisher");
        for round in 0..10_u8 {
            for number in 0..30 {
                publishes(
                    &publisher,
                    &Publish::new(&format!("t/{number}"), &[round, 0]).qos(1, 1).retained(),
                );
            }
            let client = b.v5("client");
            client.write(&subscribe(V5, 7, &[("t/+", 0)]));
            for number in 0..30 {
                let topic = format!("t/{number}");
                let payload: &[u8] = if number % 2 == 0 { &[round, 1] } else { b"" };
                publisher.write(&Publish::new(&topic, payload).retained().bytes(V5));
            }
            b.settle();
            let mut last = vec![None; 30];
            for packet in client.packets().iter().filter(|packet| packet.first != 0x90) {
                let came = packet.publish(V5);
                let number: usize = came.topic[2..].parse().expect("a number");
                last[number] = Some(came.payload);
            }
            for (number, last) in last.into_iter().enumerate() {
                match last {
                    Some(payload) if number % 2 == 0 => assert_eq!(payload, [round, 1]),
                    // Cleared after it was heard of, or before.
                    Some(payload) => assert_eq!(payload, b""),
                    None => assert!(number % 2 == 1, "t/{number} is retained and did not come"),
                }
            }
        }
    });
}

/// The real binary: as soon as one client has its SUBACK, what another publishes reaches it, from every shard.
#[test]
fn v5_3_8_4_1_whoever_has_its_suback_hears_what_is_published_from_then_on() {
    let broker = Process::start();
    let connected = |id: &str| {
        let mut client = broker.client();
        client.send(&Connect::new(V5, id).bytes());
        assert_eq!(client.packet().reason(), 0);
        client
    };
    let mut publishers: Vec<_> = (0..4).map(|number| connected(&format!("publisher {number}"))).collect();
    for round in 0..40_u8 {
        let mut client = connected(&format!("client {round}"));
        let filter = if round % 2 == 0 { format!("t/{round}") } else { format!("+/{round}") };
        client.send(&subscribe(V5, 7, &[(&filter, 0)]));
        assert_eq!(client.packet().codes(V5), [0]);
        let sent = Publish::new(&format!("t/{round}"), &[round]);
        publishers[usize::from(round) % 4].send(&sent.bytes(V5));
        assert_eq!(client.packet().publish(V5), sent);
    }
}

#[test]
fn v5_3_10_4_2_nothing_comes_after_unsuback_whatever_is_under_way() {
    everywhere(|b| {
        let publishers: Vec<Client> = (0..4).map(|number| b.v5(&format!("publisher {number}"))).collect();
        for filter in ["a/b", "a/+"] {
            let client = b.v5("client");
            subscribes(&client, V5, filter, 0);
            for round in 0..20 {
                for publisher in &publishers {
                    publisher.write(&Publish::new("a/b", &[round]).bytes(V5));
                }
                client.write(&unsubscribe(V5, 8, &[filter]));
                let packets = client.packets();
                let at = packets.iter().position(|packet| packet.first == 0xB0).expect("UNSUBACK");
                assert_eq!(at + 1, packets.len(), "{packets:?}");
                subscribes(&client, V5, filter, 0);
                assert_eq!(payloads(&client, V5), Vec::<Vec<u8>>::new());
            }
            assert_eq!(client.packets(), []);
        }
    });
}

#[test]
fn v5_4_3_3_1_identifiers_in_use_before_a_reconnect_are_not_given_out_after_it() {
    everywhere(|b| {
        let publisher = b.v5("publisher");
        lasting(b, V5, "client").0.subscribe("a/b", 2);
        let mut held = BTreeSet::new();
        for _ in 0..6 {
            let (client, present) = lasting(b, V5, "client");
            assert!(present);
            let again: BTreeSet<u16> = client.packets().iter().map(|packet| packet.publish(V5).id).collect();
            assert_eq!(again, held);
            for qos in 1..3 {
                publishes(&publisher, &message("a/b", qos));
                let id = hears(&client, V5, &message("a/b", qos));
                assert!(held.insert(id), "{id} is in use");
            }
            client.cut();
        }
    });
}
