//! 3.8 and 3.9: SUBSCRIBE and SUBACK.

use crate::broker::everywhere;
use crate::shorthand::{
    NO_LOCAL, acknowledge, breaks, fits, grants, hears, ill_formed, lasting, of_every_size, payloads,
    publishes, retained, string, suback, subscribes, with_area,
};
use crate::wire::{Properties, Publish, V3, V5, Version, prop, subscribe, subscribe_with};

fn message(topic: &str, qos: u8, id: u16) -> Publish {
    Publish::new(topic, b"payload").qos(qos, id)
}

/// More levels than the broker takes: a filter that is well-formed and refused.
fn too_deep() -> String {
    "a/".repeat(200)
}

/// What a refused filter is answered with: 3.1.1 has one code for every failure.
fn refusal(version: Version, code: u8) -> u8 {
    if version == V3 { 0x80 } else { code }
}

fn other_flags_close(version: Version) {
    everywhere(|b| {
        for flags in (0..16).filter(|flags| *flags != 2) {
            let mut bytes = subscribe(version, 7, &[("a/b", 0)]);
            bytes[0] = 0x80 | flags;
            breaks(b, version, &bytes, 0x81);
        }
    });
}

#[test]
fn v5_3_8_1_1_other_flags_of_subscribe_are_malformed() {
    other_flags_close(V5);
}

#[test]
fn v3_3_8_1_1_other_flags_of_subscribe_close_the_connection() {
    other_flags_close(V3);
}

fn filters_are_utf_8(version: Version) {
    everywhere(|b| {
        for filter in ill_formed() {
            breaks(b, version, &with_area(version, 0x82, &[0, 7], &[&filter[..], &[0]].concat()), 0x81);
            // A well-formed one before it does not save it.
            let after = [&string("a/b")[..], &[0], &filter, &[0]].concat();
            breaks(b, version, &with_area(version, 0x82, &[0, 7], &after), 0x81);
        }
    });
}

#[test]
fn v5_3_8_3_1_filters_are_utf_8() {
    filters_are_utf_8(V5);
}

#[test]
fn v3_3_8_3_1_filters_are_utf_8() {
    filters_are_utf_8(V3);
}

fn there_is_a_filter(version: Version) {
    everywhere(|b| breaks(b, version, &subscribe(version, 7, &[]), 0x82));
}

#[test]
fn v5_3_8_3_2_a_subscribe_without_a_filter_is_a_protocol_error() {
    there_is_a_filter(V5);
}

#[test]
fn v3_3_8_3_3_a_subscribe_without_a_filter_closes_the_connection() {
    there_is_a_filter(V3);
}

#[test]
fn v5_3_8_3_2_a_filter_without_options_is_malformed() {
    everywhere(|b| {
        for version in [V3, V5] {
            breaks(b, version, &with_area(version, 0x82, &[0, 7], &string("a/b")), 0x81);
        }
    });
}

#[test]
fn v3_3_8_3_2_filters_with_wildcards_are_supported() {
    everywhere(|b| {
        let subscriber = b.v3("subscriber");
        subscriber.send(&subscribe(V3, 7, &[("+/b", 0), ("a/#", 1), ("#", 2)]));
        subscriber.expect(&suback(V3, 7, &[0, 1, 2]));
        publishes(&b.v3("publisher"), &message("a/b", 2, 7));
        hears(&subscriber, V3, &message("a/b", 2, 0));
    });
}

#[test]
fn v5_3_8_3_3_no_local_keeps_a_clients_own_messages_from_it() {
    everywhere(|b| {
        let client = b.subscriber(V5, "client", "a/b", 2 | NO_LOCAL);
        let other = b.subscriber(V5, "other", "a/+", 2 | NO_LOCAL);
        for qos in 0..3 {
            publishes(&client, &message("a/b", qos, 7));
            hears(&other, V5, &message("a/b", qos, 0));
            publishes(&other, &message("a/b", qos, 7));
            hears(&client, V5, &message("a/b", qos, 0));
            client.expect_nothing();
            other.expect_nothing();
        }
    });
}

#[test]
fn v5_3_8_3_3_no_local_goes_by_the_client_identifier_and_not_by_the_connection() {
    everywhere(|b| {
        let (client, _) = lasting(b, V5, "client");
        client.subscribe("a/#", 2 | NO_LOCAL);
        client.write(&message("a/b", 1, 7).bytes(V5));
        client.cut();
        let (client, present) = lasting(b, V5, "client");
        assert!(present);
        publishes(&client, &message("a/b", 1, 8));
        client.expect_nothing();
        // Without the option the client's own messages come.
        client.subscribe("a/#", 2);
        publishes(&client, &message("a/b", 0, 0));
        hears(&client, V5, &message("a/b", 0, 0));
    });
}

#[test]
fn v5_3_8_3_4_no_local_on_a_shared_subscription_is_a_protocol_error() {
    everywhere(|b| {
        for qos in 0..3 {
            breaks(b, V5, &subscribe(V5, 7, &[("$share/g/a", qos | NO_LOCAL)]), 0x82);
            breaks(b, V5, &subscribe(V5, 7, &[("a", 0), ("$share/g/a", qos | NO_LOCAL)]), 0x82);
        }
    });
}

#[test]
fn v5_3_8_3_5_reserved_bits_of_the_options_are_malformed() {
    everywhere(|b| {
        for options in [0x40, 0x80, 0xC0, 0x41] {
            breaks(b, V5, &subscribe(V5, 7, &[("a/b", options)]), 0x81);
            breaks(b, V5, &subscribe(V5, 7, &[("a", 0), ("a/b", options)]), 0x81);
        }
        // Values that are errors of the protocol: QoS 3 and Retain Handling 3.
        for options in [0x03, 0x30, 0x33] {
            breaks(b, V5, &subscribe(V5, 7, &[("a/b", options)]), 0x82);
        }
    });
}

#[test]
fn v3_3_8_3_4_reserved_bits_and_qos_3_close_the_connection() {
    everywhere(|b| {
        let publisher = b.v3("publisher");
        for options in (3..=255).step_by(3).chain([4, 8, 16, 32, 64, 128]) {
            breaks(b, V3, &subscribe(V3, 7, &[("a/b", options)]), 0x81);
        }
        // Nothing of such a packet counts.
        let (client, _) = lasting(b, V3, "client");
        client.send(&subscribe(V3, 7, &[("a/b", 1), ("b", 0xFF)]));
        client.expect_closed();
        publisher.publish(&message("a/b", 0, 0));
        let (client, present) = lasting(b, V3, "client");
        assert!(present);
        publisher.publish(&message("a/b", 0, 0));
        client.expect_nothing();
    });
}

fn every_subscribe_is_answered(version: Version) {
    everywhere(|b| {
        let client = b.of(version, "client");
        for filter in ["a/b", "a/+", "#", "/", "+/+/+/+", "$x", "a/b"] {
            client.send(&subscribe(version, 7, &[(filter, 1)]));
            grants(&client, version, 7, &[1]);
            client.expect_nothing();
        }
        client.send(&subscribe(version, 7, &[(&too_deep(), 1)]));
        grants(&client, version, 7, &[refusal(version, 0x8F)]);
    });
}

#[test]
fn v5_3_8_4_1_every_subscribe_is_answered_with_one_suback() {
    every_subscribe_is_answered(V5);
}

#[test]
fn v3_3_8_4_1_every_subscribe_is_answered_with_one_suback() {
    every_subscribe_is_answered(V3);
}

fn the_answer_has_the_identifier(version: Version) {
    everywhere(|b| {
        let client = b.of(version, "client");
        let ids = [1, 2, 0xFF, 0x100, 0x7FFF, 0xFFFF, 1];
        for id in ids {
            client.write(&subscribe(version, id, &[(&format!("{id}/#"), 1), (&format!("{id}"), 2)]));
        }
        let mut answered: Vec<u16> = client
            .packets()
            .iter()
            .map(|packet| {
                assert_eq!((packet.first, packet.codes(version)), (0x90, &[1, 2][..]));
                packet.id()
            })
            .collect();
        answered.sort_unstable();
        assert_eq!(answered, [1, 1, 2, 0xFF, 0x100, 0x7FFF, 0xFFFF]);
    });
}

#[test]
fn v5_3_8_4_2_suback_has_the_identifier_of_its_subscribe() {
    the_answer_has_the_identifier(V5);
}

#[test]
fn v3_3_8_4_2_suback_has_the_identifier_of_its_subscribe() {
    the_answer_has_the_identifier(V3);
}

fn the_same_filter_replaces(version: Version) {
    everywhere(|b| {
        let publisher = b.of(version, "publisher");
        publishes(&publisher, &Publish::new("a/b", b"kept").qos(2, 7).retained());
        let client = b.of(version, "client");
        for qos in [0, 2, 1] {
            let again = subscribes(&client, version, "a/b", qos);
            let expected = Publish::new("a/b", b"kept").qos(qos, 0).retained();
            assert_eq!(again.len(), 1, "what is retained comes again");
            assert_eq!(Publish { id: 0, ..again[0].clone() }, expected);
            publishes(&publisher, &message("a/b", 2, 8));
            hears(&client, version, &message("a/b", qos, 0));
            client.expect_nothing();
        }
    });
}

#[test]
fn v5_3_8_4_3_the_same_filter_replaces_its_subscription() {
    the_same_filter_replaces(V5);
}

#[test]
fn v3_3_8_4_3_the_same_filter_replaces_its_subscription_and_what_is_retained_comes_again() {
    the_same_filter_replaces(V3);
}

#[test]
fn v5_3_8_4_3_identifier_and_options_are_replaced_too() {
    everywhere(|b| {
        let client = b.v5("client");
        let with = |id| Properties::new().varint(prop::SUBSCRIPTION_ID, id);
        client.send(&subscribe_with(V5, 7, &with(5), &[("a/b", 2 | NO_LOCAL)]));
        client.expect(&suback(V5, 7, &[2]));
        client.publish(&message("a/b", 0, 0));
        client.expect_nothing();
        client.send(&subscribe_with(V5, 7, &with(6), &[("a/b", 1)]));
        client.expect(&suback(V5, 7, &[1]));
        client.publish(&message("a/b", 0, 0));
        hears(&client, V5, &message("a/b", 0, 0).properties(with(6)));
        client.subscribe("a/b", 0);
        client.publish(&message("a/b", 0, 0));
        hears(&client, V5, &message("a/b", 0, 0));
        client.expect_nothing();
    });
}

/// Everything that is published while a subscription is replaced, again and again, comes once and in order.
fn replacing_loses_nothing(version: Version) {
    everywhere(|b| {
        let client = b.of(version, "client");
        let publisher = b.of(version, "publisher");
        for filter in ["a/b", "a/+"] {
            publishes(&publisher, &Publish::new("a/b", b"kept").qos(1, 1).retained());
            let mut kept = subscribes(&client, version, filter, 1).len();
            let (mut heard, mut subacks) = (Vec::new(), 0);
            for number in 0..100 {
                publisher.write(&Publish::new("a/b", &[number]).qos(1, 1 + u16::from(number)).bytes(version));
                if number % 5 == 0 {
                    client.write(&subscribe(version, 7, &[(filter, 1)]));
                }
                if number % 5 == 4 {
                    b.settle();
                }
            }
            for packet in client.packets() {
                match packet.first {
                    0x90 => subacks += 1,
                    _ if packet.publish(version).payload == b"kept" => kept += 1,
                    _ => heard.push(packet.publish(version).payload[0]),
                }
            }
            assert_eq!(heard, (0..100).collect::<Vec<u8>>(), "each once, in order");
            assert_eq!(subacks, 20);
            assert_eq!(kept, 21, "and what is retained with each");
            client.send(&crate::wire::unsubscribe(version, 8, &[filter]));
            assert_eq!(client.packet().first, 0xB0);
            publisher.received();
        }
    });
}

#[test]
fn v5_3_8_4_4_replacing_a_subscription_repeats_what_is_retained_and_loses_nothing() {
    replacing_loses_nothing(V5);
}

#[test]
fn v3_3_8_4_3_replacing_a_subscription_does_not_interrupt_the_flow() {
    replacing_loses_nothing(V3);
}

fn several_filters(version: Version) {
    everywhere(|b| {
        let publisher = b.of(version, "publisher");
        publishes(&publisher, &Publish::new("a/b", b"kept").qos(2, 7).retained());
        // One after the other as in one packet, where the last of two equal filters holds.
        let filters = [("a/b", 0), ("c", 2), ("a/b", 1), ("d/#", 0)];
        let one = b.of(version, "one");
        one.send(&subscribe(version, 7, &filters));
        let (subacks, kept): (Vec<_>, Vec<_>) =
            one.packets().into_iter().partition(|packet| packet.first == 0x90);
        assert_eq!(subacks.len(), 1, "one SUBACK");
        assert_eq!(subacks[0].codes(version), [0, 2, 1, 0]);
        assert!(!kept.is_empty() && kept.iter().all(|packet| packet.publish(version).payload == b"kept"));
        let each = b.of(version, "each");
        for (filter, qos) in filters {
            subscribes(&each, version, filter, qos);
        }
        for topic in ["a/b", "c", "d", "d/e/f", "e"] {
            for qos in 0..3 {
                publishes(&publisher, &message(topic, qos, 7));
                let heard = [&one, &each].map(|client| {
                    let came = client.packets();
                    came.iter()
                        .map(|packet| packet.publish(version))
                        .map(|m| (m.topic, m.qos, m.retain))
                        .collect::<Vec<_>>()
                });
                assert_eq!(heard[0], heard[1]);
                assert_eq!(heard[0].len(), usize::from(topic != "e"));
            }
        }
    });
}

#[test]
fn v5_3_8_4_5_several_filters_are_so_many_subscribes_with_one_suback() {
    several_filters(V5);
}

#[test]
fn v3_3_8_4_4_several_filters_are_so_many_subscribes_with_one_suback() {
    several_filters(V3);
}

fn a_code_for_each_filter(version: Version) {
    everywhere(|b| {
        let client = b.of(version, "client");
        for count in [1, 2, 17, 100] {
            let filters: Vec<(String, u8)> =
                (0..count).map(|number| (format!("a/{number}"), (number % 3) as u8)).collect();
            let filters: Vec<(&str, u8)> = filters.iter().map(|(f, qos)| (f.as_str(), *qos)).collect();
            client.send(&subscribe(version, 7, &filters));
            let codes: Vec<u8> = filters.iter().map(|(_, qos)| *qos).collect();
            client.expect(&suback(version, 7, &codes));
        }
    });
}

#[test]
fn v5_3_8_4_6_suback_has_a_code_for_each_filter() {
    a_code_for_each_filter(V5);
}

#[test]
fn v3_3_8_4_5_suback_has_a_code_for_each_filter_which_is_the_qos_granted_or_a_failure() {
    a_code_for_each_filter(V3);
}

fn granted_or_refused(version: Version) {
    everywhere(|b| {
        let client = b.of(version, "client");
        let deep = too_deep();
        let publisher = b.of(version, "publisher");
        client.send(&subscribe(version, 7, &[("a/b", 2), (&deep, 2), ("c", 0)]));
        grants(&client, version, 7, &[2, refusal(version, 0x8F), 0]);
        publishes(&publisher, &message("a/b", 2, 7));
        hears(&client, version, &message("a/b", 2, 0));
        publishes(&publisher, &message("c", 2, 7));
        hears(&client, version, &message("c", 0, 0));
    });
}

#[test]
fn v5_3_8_4_7_each_code_is_the_qos_granted_or_a_failure() {
    granted_or_refused(V5);
}

#[test]
fn v3_3_8_4_5_a_failure_is_told_and_the_other_filters_hold() {
    granted_or_refused(V3);
}

fn the_lower_qos(version: Version) {
    everywhere(|b| {
        let publisher = b.of(version, "publisher");
        for granted in 0..3 {
            let client = b.subscriber(version, "client", "a/b", granted);
            for qos in 0..3 {
                publishes(&publisher, &message("a/b", qos, 7));
                let id = hears(&client, version, &message("a/b", qos.min(granted), 0));
                acknowledge(&client, qos.min(granted), id);
                publishes(&publisher, &Publish::new("kept", b"payload").qos(qos, 7).retained());
                let kept = subscribes(&client, version, "kept", granted);
                assert_eq!((kept.len(), kept[0].qos), (1, qos.min(granted)));
                acknowledge(&client, kept[0].qos, kept[0].id);
                client.send(&crate::wire::unsubscribe(version, 8, &["kept"]));
                assert_eq!(client.packet().first, 0xB0);
            }
        }
    });
}

#[test]
fn v5_3_8_4_8_a_message_comes_with_the_lower_of_its_qos_and_the_one_granted() {
    the_lower_qos(V5);
}

#[test]
fn v3_3_8_4_6_a_message_comes_with_the_lower_of_its_qos_and_the_one_granted() {
    the_lower_qos(V3);
}

fn suback_fits() {
    everywhere(|b| {
        let deep = "a/".repeat(130);
        of_every_size(b, |client, maximum| {
            client.send(&subscribe(V5, 7, &[(&deep, 0)]));
            assert_eq!(fits(client, maximum, 0x90).codes(V5), [0x8F]);
        });
    });
}

#[test]
fn v5_3_9_2_1_a_reason_string_never_makes_suback_too_large() {
    suback_fits();
}

#[test]
fn v5_3_9_2_2_user_properties_never_make_suback_too_large() {
    suback_fits();
}

fn codes_are_in_order(version: Version) {
    everywhere(|b| {
        let client = b.of(version, "client");
        let (deep, failure) = (too_deep(), refusal(version, 0x8F));
        let filters = [(deep.as_str(), 0), ("a", 2), ("b/#", 0), (&deep, 1), ("+", 1), ("c", 2), (&deep, 2)];
        client.send(&subscribe(version, 7, &filters));
        grants(&client, version, 7, &[failure, 2, 0, failure, 1, 2, failure]);
    });
}

#[test]
fn v5_3_9_3_1_the_codes_are_in_the_order_of_the_filters() {
    codes_are_in_order(V5);
}

#[test]
fn v3_3_9_3_1_the_codes_are_in_the_order_of_the_filters() {
    codes_are_in_order(V3);
}

/// More filters than a packet may have, filters too deep and too long: each refusal has a code of the table.
fn codes_are_of_the_table(version: Version, table: &[u8]) {
    everywhere(|b| {
        let client = b.of(version, "client");
        let mut filters: Vec<String> = (0..300).map(|number| format!("a/{number}")).collect();
        filters.push(too_deep());
        filters.push("l".repeat(60_000));
        filters.push("$SYS/#".to_owned());
        for chunk in filters.chunks(150).chain([&filters[..]]) {
            let filters: Vec<(&str, u8)> = chunk.iter().map(|filter| (filter.as_str(), 1)).collect();
            client.send(&subscribe(version, 7, &filters));
            let packet = client.packet();
            let codes = packet.codes(version);
            assert!(
                codes.len() == chunk.len() && codes.iter().all(|code| table.contains(code)),
                "{codes:02X?}"
            );
        }
    });
}

#[test]
fn v5_3_9_3_2_each_code_is_one_of_subacks_table() {
    codes_are_of_the_table(V5, &[0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2]);
}

#[test]
fn v3_3_9_3_2_each_code_is_0_1_2_or_80() {
    codes_are_of_the_table(V3, &[0, 1, 2, 0x80]);
}

#[test]
fn v5_3_8_4_1_what_is_published_after_suback_comes_from_every_shard() {
    everywhere(|b| {
        let publishers: Vec<_> = (0..6).map(|number| b.v5(&format!("publisher {number}"))).collect();
        let client = b.v5("client");
        client.subscribe("t/#", 0);
        for number in 0..60_u8 {
            let publisher = &publishers[usize::from(number) % publishers.len()];
            publisher.publish(&Publish::new(&format!("t/{number}"), &[number]));
        }
        let mut came = payloads(&client, V5);
        came.sort();
        assert_eq!(came, (0..60).map(|number| vec![number]).collect::<Vec<_>>());
        assert_eq!(retained(b, V5, "t/#"), []);
    });
}
