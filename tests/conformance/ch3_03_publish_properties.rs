//! 3.3.2.3 the properties of PUBLISH (5.0): what is passed on unaltered, message expiry, topic aliases.

use std::collections::BTreeMap;

use crate::broker::{Broker, Client, everywhere, everywhere_with};
use crate::shorthand::{
    acknowledge, breaks, hears, ill_formed, lasting, narrow, payloads, publishes, subscribes, with_area,
};
use crate::wire::{
    Connect, Packet, Properties, Publish, V3, V5, join, packet, prop, split_properties, text, varint,
};

fn message(qos: u8, properties: &Properties) -> Publish {
    Publish::new("a/b", b"payload").qos(qos, u16::from(qos)).properties(properties.clone())
}

/// A PUBLISH of QoS 0 with this property area, which may be wrong.
fn with_properties(area: &[u8]) -> Vec<u8> {
    packet(0x30, &join(&[&text("a/b"), &varint(area.len()), area, b"payload"]))
}

/// These properties reach everyone to the byte: at each QoS, live, retained, and after waiting for a client.
fn reach_all_unaltered(properties: &Properties) {
    everywhere(|b| {
        let (sleeper, _) = lasting(b, V5, "sleeper");
        sleeper.subscribe("a/b", 2);
        sleeper.close();
        let blocked = narrow(b, "blocked", 1);
        blocked.subscribe("a/b", 2);
        let listeners = [0, 1, 2].map(|qos| b.subscriber(V5, &format!("listener {qos}"), "a/+", qos));
        let old = b.subscriber(V3, "old", "a/b", 0);
        let publisher = b.v5("publisher");
        for qos in 0..3 {
            publishes(&publisher, &message(qos, properties).retained());
            for (granted, listener) in (0..3).zip(&listeners) {
                hears(listener, V5, &message(qos.min(granted), properties));
            }
            hears(&old, V3, &message(0, &Properties::new()));
            let late = b.subscriber(V5, "late", "none", 0);
            let replayed = subscribes(&late, V5, "a/b", 0);
            assert_eq!(replayed, [Publish { retain: true, id: 0, ..message(0, properties) }]);
        }
        let (sleeper, _) = lasting(b, V5, "sleeper");
        for qos in 1..3 {
            hears(&sleeper, V5, &message(qos, properties));
        }
        hears(&blocked, V5, &message(0, properties));
        for qos in 1..3 {
            let id = hears(&blocked, V5, &message(qos, properties));
            acknowledge(&blocked, qos, id);
        }
    });
}

#[test]
fn v5_3_3_2_4_the_payload_format_indicator_reaches_everyone_unaltered() {
    for format in 0..2 {
        reach_all_unaltered(&Properties::new().byte(prop::PAYLOAD_FORMAT, format));
    }
}

#[test]
fn v5_3_3_2_15_the_response_topic_reaches_everyone_unaltered() {
    reach_all_unaltered(&Properties::new().text(prop::RESPONSE_TOPIC, "/réponse//to me"));
}

#[test]
fn v5_3_3_2_16_correlation_data_reaches_everyone_unaltered() {
    for data in [b"".as_slice(), b"\0\xFF\xC0 no text"] {
        reach_all_unaltered(&Properties::new().binary(prop::CORRELATION_DATA, data));
    }
}

#[test]
fn v5_3_3_2_17_user_properties_reach_everyone_unaltered() {
    reach_all_unaltered(
        &Properties::new().user("", "").user("clé", "\u{FEFF}værdi").user("n", &"v".repeat(300)),
    );
}

#[test]
fn v5_3_3_2_18_user_properties_keep_their_order() {
    let mut properties = Properties::new().user("z", "1");
    for (name, value) in [("a", "2"), ("z", "1"), ("m", ""), ("a", "0"), ("z", "3")] {
        properties = properties.user(name, value);
    }
    reach_all_unaltered(&properties);
}

#[test]
fn v5_3_3_2_20_the_content_type_reaches_everyone_unaltered() {
    reach_all_unaltered(&Properties::new().text(prop::CONTENT_TYPE, "application/x; a=\"ü\""));
    reach_all_unaltered(&Properties::new().text(prop::CONTENT_TYPE, ""));
}

/// 4.10: a requester and a responder that know nothing of each other but what the messages say.
#[test]
fn v5_3_3_2_16_a_response_finds_its_request() {
    everywhere(|b| {
        let responder = b.subscriber(V5, "responder", "service/+", 1);
        let requesters: Vec<(Client, String)> = (0..3)
            .map(|number| {
                let topic = format!("answers/{number}");
                (b.subscriber(V5, &format!("requester {number}"), &topic, 2), topic)
            })
            .collect();
        for round in 0..5_u8 {
            for (requester, topic) in &requesters {
                let properties = Properties::new()
                    .text(prop::RESPONSE_TOPIC, topic)
                    .binary(prop::CORRELATION_DATA, &[0, round]);
                publishes(requester, &Publish::new("service/x", b"?").qos(1, 5).properties(properties));
            }
            for _ in &requesters {
                let request = responder.published();
                let found = split_properties(&request.properties.0);
                let value = |id| found.iter().find(|(each, _)| *each == id).map(|(_, value)| value.clone());
                let topic =
                    String::from_utf8(value(prop::RESPONSE_TOPIC).expect("where to")).expect("a topic");
                let data = value(prop::CORRELATION_DATA).expect("which");
                let properties = Properties::new().binary(prop::CORRELATION_DATA, &data);
                responder.publish(&Publish::new(&topic, topic.as_bytes()).properties(properties));
                acknowledge(&responder, 1, request.id);
            }
            for (requester, topic) in &requesters {
                let properties = Properties::new().binary(prop::CORRELATION_DATA, &[0, round]);
                hears(requester, V5, &Publish::new(topic, topic.as_bytes()).properties(properties));
                requester.expect_nothing();
            }
        }
    });
}

fn strings_are_well_formed(property: u8) {
    everywhere(|b| {
        let subscriber = b.subscriber(V5, "subscriber", "#", 2);
        for string in ill_formed() {
            breaks(b, V5, &with_properties(&join(&[&[property], &string])), 0x81);
        }
        subscriber.expect_nothing();
    });
}

#[test]
fn v5_3_3_2_13_the_response_topic_is_utf_8() {
    strings_are_well_formed(prop::RESPONSE_TOPIC);
}

#[test]
fn v5_3_3_2_19_the_content_type_is_utf_8() {
    strings_are_well_formed(prop::CONTENT_TYPE);
}

#[test]
fn v5_3_3_2_14_a_response_topic_with_a_wildcard_is_a_protocol_error() {
    everywhere(|b| {
        let subscriber = b.subscriber(V5, "subscriber", "#", 2);
        for topic in ["#", "+", "a/+/b", "a/#"] {
            let properties = Properties::new().text(prop::RESPONSE_TOPIC, topic);
            breaks(b, V5, &message(1, &properties).bytes(V5), 0x82);
        }
        subscriber.expect_nothing();
    });
}

fn expiring(secs: u32) -> Properties {
    Properties::new().four(prop::MESSAGE_EXPIRY, secs)
}

#[test]
fn v5_3_3_2_5_a_copy_whose_delivery_has_not_begun_in_time_is_deleted() {
    everywhere(|b| {
        let (sleeper, _) = lasting(b, V5, "sleeper");
        sleeper.subscribe("a/b", 2);
        sleeper.close();
        let blocked = narrow(b, "blocked", 1);
        blocked.subscribe("a/b", 2);
        let publisher = b.v5("publisher");
        publishes(&publisher, &message(1, &Properties::new()));
        publishes(&publisher, &message(2, &expiring(10)).retained());
        publishes(&publisher, &Publish::new("a/b", b"lives on").qos(1, 5).properties(expiring(11)));
        let first = hears(&blocked, V5, &message(1, &Properties::new()));
        b.advance(10);
        acknowledge(&blocked, 1, first);
        hears(&blocked, V5, &Publish::new("a/b", b"lives on").qos(1, 0).properties(expiring(1)));
        blocked.expect_nothing();
        let (sleeper, _) = lasting(b, V5, "sleeper");
        assert_eq!(payloads(&sleeper, V5), [b"payload".as_slice(), b"lives on"]);
        assert_eq!(crate::shorthand::retained(b, V5, "a/b"), [], "what is retained expires too");
        assert_eq!(crate::shorthand::retained(b, V5, "#"), []);
    });
}

#[test]
fn v5_3_3_2_5_time_does_not_run_for_what_has_no_expiry() {
    everywhere(|b| {
        let (sleeper, _) = lasting(b, V5, "sleeper");
        sleeper.subscribe("a/b", 1);
        sleeper.close();
        let publisher = b.v5("publisher");
        publishes(&publisher, &message(1, &Properties::new()).retained());
        b.advance(3_599);
        let (sleeper, present) = lasting(b, V5, "sleeper");
        assert!(present);
        hears(&sleeper, V5, &message(1, &Properties::new()));
        assert_eq!(crate::shorthand::retained(b, V5, "a/b").len(), 1);
    });
}

#[test]
fn v5_3_3_2_6_what_is_forwarded_says_what_remains_of_its_expiry() {
    everywhere(|b| {
        let (sleeper, _) = lasting(b, V5, "sleeper");
        sleeper.subscribe("a/b", 1);
        sleeper.close();
        let listener = b.subscriber(V5, "listener", "a/b", 2);
        let publisher = b.v5("publisher");
        publishes(&publisher, &message(2, &expiring(100)).retained());
        hears(&listener, V5, &message(2, &expiring(100)));
        b.advance(30);
        let late = b.subscriber(V5, "late", "none", 0);
        assert_eq!(subscribes(&late, V5, "a/b", 0), [message(0, &expiring(70)).qos(0, 0).retained()]);
        b.advance(69);
        let (sleeper, _) = lasting(b, V5, "sleeper");
        hears(&sleeper, V5, &message(1, &expiring(1)));
        assert_eq!(subscribes(&late, V5, "a/b", 0), [message(0, &expiring(1)).qos(0, 0).retained()]);
        publishes(&publisher, &message(1, &expiring(u32::MAX)));
        hears(&listener, V5, &message(1, &expiring(u32::MAX)));
    });
}

fn alias(number: u16) -> Properties {
    Properties::new().two(prop::TOPIC_ALIAS, number)
}

/// How many aliases the broker takes; the CONNACK must say so.
fn announced(connack: &Packet) -> u16 {
    let value = connack.property(prop::TOPIC_ALIAS_MAXIMUM).expect("the broker takes topic aliases");
    u16::from_be_bytes([value[0], value[1]])
}

#[test]
fn v5_3_3_2_7_an_alias_does_not_outlive_its_connection() {
    everywhere(|b| {
        let subscriber = b.subscriber(V5, "subscriber", "#", 0);
        let (client, _) = lasting(b, V5, "client");
        client.publish(&Publish::new("a/b", b"1").properties(alias(1)));
        client.publish(&Publish::new("", b"2").properties(alias(1)));
        assert_eq!(payloads(&subscriber, V5), [b"1", b"2"]);
        let other = b.v5("another client");
        other.publish(&Publish::new("", b"3").properties(alias(1)));
        other.expect_disconnect(0x82);
        client.close();
        let (client, present) = lasting(b, V5, "client");
        assert!(present);
        client.publish(&Publish::new("", b"4").properties(alias(1)));
        client.expect_disconnect(0x82);
        subscriber.expect_nothing();
    });
}

#[test]
fn v5_3_3_2_7_what_waited_or_is_repeated_has_its_topic_on_the_next_connection() {
    everywhere(|b| {
        let connect = |clean| {
            let properties =
                Properties::new().four(prop::SESSION_EXPIRY, 3_600).two(prop::TOPIC_ALIAS_MAXIMUM, 5);
            b.connect(&Connect::new(V5, "client").clean(clean).properties(properties)).0
        };
        let client = connect(true);
        client.subscribe("a/b", 1);
        let publisher = b.v5("publisher");
        let mut known = BTreeMap::new();
        for number in 0..4 {
            publishes(&publisher, &Publish::new("a/b", &[number]).qos(1, 1));
            assert_eq!(resolve(&client, &mut known, 5), ["a/b"]);
        }
        client.cut();
        publishes(&publisher, &Publish::new("a/b", b"while away").qos(1, 1));
        let client = connect(false);
        // Nothing is known any more: `resolve` fails where a topic is missing.
        assert_eq!(resolve(&client, &mut BTreeMap::new(), 5), ["a/b"; 5]);
    });
}

#[test]
fn v5_3_3_2_8_the_alias_0_is_refused_and_never_used() {
    everywhere(|b| {
        let subscriber = b.subscriber(V5, "subscriber", "#", 0);
        for topic in ["a/b", ""] {
            breaks(b, V5, &Publish::new(topic, b"payload").properties(alias(0)).bytes(V5), 0x94);
        }
        subscriber.expect_nothing();
        let (client, mut known) = (with_aliases(b, 2), BTreeMap::new());
        for round in 0..3 {
            for number in 0..4 {
                let topic = format!("t/{number}");
                b.v5("publisher").publish(&Publish::new(&topic, b"payload"));
                assert_eq!(resolve(&client, &mut known, 2), [topic], "round {round}");
            }
        }
    });
}

fn with_aliases(b: &Broker, maximum: u16) -> Client {
    let properties = Properties::new().two(prop::TOPIC_ALIAS_MAXIMUM, maximum);
    let (client, _) = b.connect(&Connect::new(V5, "aliased").properties(properties));
    client.subscribe("#", 1);
    client
}

/// The topics of what came, where an alias may stand for one; each alias must be from 1 to `maximum`, and one
/// without a topic must be known.
#[track_caller]
fn resolve(client: &Client, known: &mut BTreeMap<u16, String>, maximum: u16) -> Vec<String> {
    let mut topics = Vec::new();
    for came in client.packets() {
        let came = came.publish(V5);
        let aliases: Vec<u16> = split_properties(&came.properties.0)
            .iter()
            .filter(|(id, _)| *id == prop::TOPIC_ALIAS)
            .map(|(_, value)| u16::from_be_bytes([value[0], value[1]]))
            .collect();
        match (aliases[..].first(), came.topic.is_empty()) {
            (None, false) => topics.push(came.topic),
            (Some(&alias), new) => {
                assert!(aliases.len() == 1 && (1..=maximum).contains(&alias), "{aliases:?}");
                if !new {
                    known.insert(alias, came.topic);
                }
                topics.push(known.get(&alias).expect("an alias that was given a topic").clone());
            }
            (None, true) => panic!("neither topic nor alias: {came:?}"),
        }
    }
    topics
}

#[test]
fn v5_3_3_2_9_an_alias_above_our_maximum_is_refused() {
    everywhere(|b| {
        let (client, connack) = b.connect(&Connect::new(V5, "client"));
        let above = announced(&connack) + 1;
        let subscriber = b.subscriber(V5, "subscriber", "#", 0);
        client.publish(&Publish::new("a/b", b"payload").properties(alias(above)));
        client.expect_disconnect(0x94);
        breaks(b, V5, &Publish::new("a/b", b"payload").properties(alias(u16::MAX)).bytes(V5), 0x94);
        subscriber.expect_nothing();
    });
}

#[test]
fn v5_3_3_2_11_no_alias_above_the_clients_maximum_is_used() {
    everywhere(|b| {
        for maximum in [0, 1, 3] {
            let (client, mut known) = (with_aliases(b, maximum), BTreeMap::new());
            let old = b.subscriber(V3, "old", "#", 0);
            let publisher = b.v5("publisher");
            for number in 0..20 {
                let topic = format!("t/{}", number % 7);
                publishes(&publisher, &Publish::new(&topic, b"payload").qos(1, 1).properties(alias(1)));
                assert_eq!(resolve(&client, &mut known, maximum), [topic.as_str()]);
                hears(&old, V3, &Publish::new(&topic, b"payload"));
            }
        }
        // Who says nothing allows none.
        let silent = b.subscriber(V5, "silent", "#", 0);
        b.v5("publisher").publish(&Publish::new("a/b", b"payload").properties(alias(1)));
        hears(&silent, V5, &Publish::new("a/b", b"payload"));
    });
}

/// A message that gives an alias its topic is dropped: then the client does not know it.
#[test]
fn v5_3_3_2_11_an_alias_whose_first_message_was_too_large_is_not_used() {
    everywhere(|b| {
        let properties =
            Properties::new().two(prop::TOPIC_ALIAS_MAXIMUM, 5).four(prop::MAXIMUM_PACKET_SIZE, 100);
        let (client, _) = b.connect(&Connect::new(V5, "client").properties(properties));
        client.subscribe("#", 1);
        let (publisher, mut known) = (b.v5("publisher"), BTreeMap::new());
        for qos in [0, 1, 0, 1] {
            for number in 0..4 {
                let topic = format!("t/{qos}/{number}");
                publisher.publish(&Publish::new(&topic, &[0; 200]).qos(qos, 7));
                client.expect_nothing();
                publisher.publish(&Publish::new(&topic, b"small").qos(qos, 8));
                assert_eq!(resolve(&client, &mut known, 5), std::slice::from_ref(&topic));
                publisher.publish(&Publish::new(&topic, &[0; 90]).qos(qos, 9));
                // Without its topic it may be small enough.
                assert!(resolve(&client, &mut known, 5).iter().all(|came| *came == topic));
            }
        }
    });
}

#[test]
fn v5_3_3_2_11_an_alias_whose_first_message_did_not_fit_the_output_is_not_used() {
    everywhere_with(
        |limits| limits.output_bytes = 2_000,
        |b| {
            let (client, mut known) = (with_aliases(b, 40), BTreeMap::new());
            let publisher = b.v5("publisher");
            for round in 0..3 {
                client.room(Some(0));
                for number in 0..30 {
                    publisher.publish(&Publish::new(&format!("t/{round}/{number}"), &[0; 150]));
                }
                client.room(None);
                let came = resolve(&client, &mut known, 40).len();
                assert!(came > 0 && came < 30, "{came} came");
                for number in 0..30 {
                    let topic = format!("t/{round}/{number}");
                    publisher.publish(&Publish::new(&topic, b"small"));
                    assert_eq!(resolve(&client, &mut known, 40), [topic]);
                }
            }
        },
    );
}

#[test]
fn v5_3_3_2_12_every_alias_up_to_our_maximum_is_taken() {
    everywhere(|b| {
        let subscriber = b.subscriber(V5, "subscriber", "#", 0);
        let (client, connack) = b.connect(&Connect::new(V5, "client"));
        let all = 1..=announced(&connack);
        for round in 1..3 {
            for number in all.clone() {
                let topic = format!("{round}/{number}");
                client.publish(&Publish::new(&topic, b"with topic").properties(alias(number)));
                hears(&subscriber, V5, &Publish::new(&topic, b"with topic"));
            }
            for number in all.clone().rev() {
                for (qos, id) in [(0, 0), (1, 7), (2, round * 1_000 + number)] {
                    client.publish(&Publish::new("", b"by alias").qos(qos, id).properties(alias(number)));
                    let topic = format!("{round}/{number}");
                    hears(&subscriber, V5, &Publish::new(&topic, b"by alias"));
                }
            }
        }
        let answers = client.packets();
        assert!(answers.iter().all(|packet| packet.reason() == 0), "{answers:?}");
        // An alias that was never given a topic.
        let fresh = b.v5("fresh");
        fresh.publish(&Publish::new("", b"payload").properties(alias(1)));
        fresh.expect_disconnect(0x82);
        subscriber.expect_nothing();
    });
}

#[test]
fn v5_3_3_2_12_an_alias_that_stands_in_for_a_retained_message_and_a_repeated_one() {
    everywhere(|b| {
        let (client, _) = lasting(b, V5, "client");
        client.publish(&Publish::new("a/b", b"old").properties(alias(3)));
        client.publish(&Publish::new("", b"kept").properties(alias(3)).retained());
        assert_eq!(crate::shorthand::retained(b, V5, "a/b"), [("a/b".to_owned(), 0, true, b"kept".to_vec())]);
        let subscriber = b.subscriber(V5, "subscriber", "none", 0);
        subscriber.subscribe("a/b", crate::shorthand::RETAIN_HANDLING_2);
        // A repeated QoS 2 message gives its alias a topic although it is not delivered again.
        client.publish(&Publish::new("a/b", b"once").qos(2, 9).properties(alias(4)));
        client.publish(&Publish::new("a/b", b"once").qos(2, 9).dup().properties(alias(5)));
        client.publish(&Publish::new("", b"after").properties(alias(5)));
        assert_eq!(payloads(&subscriber, V5), [b"once".as_slice(), b"after"]);
    });
}

#[test]
fn v5_3_3_2_1_a_topic_may_be_empty_only_with_an_alias() {
    everywhere(|b| {
        let subscriber = b.subscriber(V5, "subscriber", "#", 0);
        breaks(b, V5, &Publish::new("", b"payload").bytes(V5), 0x82);
        breaks(b, V5, &with_area(V5, 0x32, &[0, 0, 0, 7], b"payload"), 0x82);
        subscriber.expect_nothing();
    });
}
