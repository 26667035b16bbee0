//! 3.10 and 3.11: UNSUBSCRIBE and UNSUBACK.

use crate::broker::everywhere;
use crate::shorthand::{
    acknowledge, breaks, fits, hears, ill_formed, lasting, narrow, of_every_size, payloads, publishes,
    string, suback, unsuback, with_area,
};
use crate::wire::{PUBACK, PUBCOMP, PUBREC, PUBREL, Publish, V3, V5, Version, ack, subscribe, unsubscribe};

fn message(topic: &str, qos: u8, id: u16) -> Publish {
    Publish::new(topic, b"payload").qos(qos, id)
}

fn other_flags_close(version: Version) {
    everywhere(|b| {
        for flags in (0..16).filter(|flags| *flags != 2) {
            let mut bytes = unsubscribe(version, 7, &["a/b"]);
            bytes[0] = 0xA0 | flags;
            breaks(b, version, &bytes, 0x81);
        }
    });
}

#[test]
fn v5_3_10_1_1_other_flags_of_unsubscribe_are_malformed() {
    other_flags_close(V5);
}

#[test]
fn v3_3_10_1_1_other_flags_of_unsubscribe_close_the_connection() {
    other_flags_close(V3);
}

fn filters_are_utf_8(version: Version) {
    everywhere(|b| {
        for filter in ill_formed() {
            breaks(b, version, &with_area(version, 0xA2, &[0, 7], &filter), 0x81);
            breaks(b, version, &with_area(version, 0xA2, &[0, 7], &[string("a/b"), filter].concat()), 0x81);
        }
    });
}

#[test]
fn v5_3_10_3_1_filters_are_utf_8() {
    filters_are_utf_8(V5);
}

#[test]
fn v3_3_10_3_1_filters_are_utf_8() {
    filters_are_utf_8(V3);
}

fn there_is_a_filter(version: Version) {
    everywhere(|b| breaks(b, version, &unsubscribe(version, 7, &[]), 0x82));
}

#[test]
fn v5_3_10_3_2_an_unsubscribe_without_a_filter_is_a_protocol_error() {
    there_is_a_filter(V5);
}

#[test]
fn v3_3_10_3_2_an_unsubscribe_without_a_filter_closes_the_connection() {
    there_is_a_filter(V3);
}

fn filters_are_compared_by_character(version: Version) {
    everywhere(|b| {
        let client = b.of(version, "client");
        let publisher = b.of(version, "publisher");
        for filter in ["a/b", "a/+", "a/#", "é"] {
            client.subscribe(filter, 0);
            // What matches it, or looks like it, is not it: the last is é in another form.
            for other in ["a/c", "+/b", "A/b", "a/b/", "/a/b", "a", "#", "a/B", "e\u{301}"] {
                client.send(&unsubscribe(version, 7, &[other]));
                client.expect(&unsuback(version, 7, &[0x11]));
            }
            let topic = if filter == "é" { filter } else { "a/b" };
            publishes(&publisher, &message(topic, 1, 7));
            hears(&client, version, &message(topic, 0, 0));
            client.send(&unsubscribe(version, 7, &[filter]));
            client.expect(&unsuback(version, 7, &[0]));
            publisher.publish(&message(topic, 0, 0));
            client.expect_nothing();
        }
    });
}

#[test]
fn v5_3_10_4_1_filters_are_compared_character_by_character() {
    filters_are_compared_by_character(V5);
}

#[test]
fn v3_3_10_4_1_filters_are_compared_character_by_character() {
    filters_are_compared_by_character(V3);
}

fn nothing_new_is_added(version: Version) {
    everywhere(|b| {
        let (client, _) = lasting(b, version, "client");
        client.subscribe("a/b", 2);
        client.subscribe("a/+", 1);
        let other = b.subscriber(version, "other", "a/b", 2);
        let publisher = b.of(version, "publisher");
        client.send(&unsubscribe(version, 7, &["a/b"]));
        client.expect(&unsuback(version, 7, &[0]));
        for qos in 0..3 {
            publishes(&publisher, &message("a/b", qos, 7));
            hears(&other, version, &message("a/b", qos, 0));
            hears(&client, version, &message("a/b", qos.min(1), 0));
        }
        client.send(&unsubscribe(version, 8, &["a/+"]));
        client.expect(&unsuback(version, 8, &[0]));
        for qos in 0..3 {
            publishes(&publisher, &message("a/b", qos, 7));
            hears(&other, version, &message("a/b", qos, 0));
        }
        client.expect_nothing();
        // Nor does it wait for the next connection.
        client.send(&crate::wire::DISCONNECT);
        publishes(&publisher, &message("a/b", 2, 9));
        let (client, present) = lasting(b, version, "client");
        assert!(present);
        let came = client.packets();
        assert!(came.iter().all(|packet| packet.publish(version).dup), "only what was under way: {came:?}");
    });
}

#[test]
fn v5_3_10_4_2_nothing_new_is_added_for_a_filter_that_was_unsubscribed() {
    nothing_new_is_added(V5);
}

#[test]
fn v3_3_10_4_2_nothing_new_is_added_for_a_filter_that_was_unsubscribed() {
    nothing_new_is_added(V3);
}

fn what_has_begun_is_completed(version: Version) {
    everywhere(|b| {
        let (client, _) = lasting(b, version, "client");
        client.subscribe("a/b", 2);
        let publisher = b.of(version, "publisher");
        for qos in 1..3 {
            publishes(&publisher, &message("a/b", qos, 7));
        }
        publishes(&publisher, &Publish::new("a/b", b"released").qos(2, 7));
        let first = hears(&client, version, &message("a/b", 1, 0));
        let second = hears(&client, version, &message("a/b", 2, 0));
        let third = hears(&client, version, &Publish::new("a/b", b"released").qos(2, 0));
        client.send(&ack(PUBREC, third));
        client.expect(&ack(PUBREL, third));
        client.send(&unsubscribe(version, 7, &["a/b"]));
        client.expect(&unsuback(version, 7, &[0]));
        client.cut();
        let (client, _) = lasting(b, version, "client");
        client.expect(&message("a/b", 1, first).dup().bytes(version));
        client.expect(&message("a/b", 2, second).dup().bytes(version));
        client.expect(&ack(PUBREL, third));
        client.send(&ack(PUBACK, first));
        acknowledge(&client, 2, second);
        client.send(&ack(PUBCOMP, third));
        client.cut();
        lasting(b, version, "client").0.expect_nothing();
    });
}

#[test]
fn v5_3_10_4_3_deliveries_that_have_begun_are_completed() {
    what_has_begun_is_completed(V5);
}

#[test]
fn v3_3_10_4_3_deliveries_that_have_begun_are_completed() {
    what_has_begun_is_completed(V3);
}

/// What waits may be sent all the same: the standard leaves it open. It must be none of it or the first so many.
#[test]
fn v5_3_10_4_3_what_only_waits_comes_in_order_or_not_at_all() {
    everywhere(|b| {
        let client = narrow(b, "client", 1);
        client.subscribe("a/b", 1);
        let publisher = b.v5("publisher");
        for number in 0..5 {
            publishes(&publisher, &Publish::new("a/b", &[number]).qos(1, 7));
        }
        let first = client.published();
        client.send(&unsubscribe(V5, 7, &["a/b"]));
        client.expect(&unsuback(V5, 7, &[0]));
        publisher.publish(&Publish::new("a/b", &[99]).qos(1, 8));
        client.cut();
        let client = narrow(b, "client", 100);
        let heard: Vec<u8> = payloads(&client, V5).concat();
        assert_eq!(first.payload, [0]);
        assert!(heard.len() <= 5 && heard.iter().copied().eq(0..heard.len() as u8), "{heard:?}");
    });
}

fn every_unsubscribe_is_answered(version: Version) {
    everywhere(|b| {
        let client = b.of(version, "client");
        for filter in ["a/b", "a/+", "#", "/", "$x"] {
            client.subscribe(filter, 1);
            client.send(&unsubscribe(version, 0x1234, &[filter]));
            client.expect(&unsuback(version, 0x1234, &[0]));
            client.expect_nothing();
        }
        for id in [1, 0xFF, 0x100, 0xFFFF] {
            client.send(&unsubscribe(version, id, &["#"]));
            client.expect(&unsuback(version, id, &[0x11]));
        }
    });
}

#[test]
fn v5_3_10_4_4_every_unsubscribe_is_answered_with_an_unsuback() {
    every_unsubscribe_is_answered(V5);
}

#[test]
fn v3_3_10_4_4_every_unsubscribe_is_answered_with_an_unsuback_of_its_identifier() {
    every_unsubscribe_is_answered(V3);
}

fn it_is_answered_although_nothing_was_there(version: Version) {
    everywhere(|b| {
        let client = b.of(version, "client");
        let _other = b.subscriber(version, "other", "a/b", 1);
        for id in [7, 7, 8] {
            client.send(&unsubscribe(version, id, &["a/b"]));
            client.expect(&unsuback(version, id, &[0x11]));
        }
    });
}

#[test]
fn v5_3_10_4_5_unsuback_has_the_identifier_and_comes_even_when_nothing_was_deleted() {
    it_is_answered_although_nothing_was_there(V5);
}

#[test]
fn v3_3_10_4_5_unsuback_comes_even_when_nothing_was_deleted() {
    it_is_answered_although_nothing_was_there(V3);
}

fn several_filters(version: Version) {
    everywhere(|b| {
        let client = b.of(version, "client");
        client.send(&subscribe(version, 6, &[("a", 0), ("b", 0), ("c", 0), ("d/#", 0)]));
        client.expect(&suback(version, 6, &[0, 0, 0, 0]));
        client.send(&unsubscribe(version, 7, &["a", "x", "d/#", "a", "c"]));
        client.expect(&unsuback(version, 7, &[0, 0x11, 0, 0x11, 0]));
        client.expect_nothing();
        let publisher = b.of(version, "publisher");
        for topic in ["a", "c", "d", "d/e", "b"] {
            publisher.publish(&message(topic, 0, 0));
        }
        hears(&client, version, &message("b", 0, 0));
        client.expect_nothing();
    });
}

#[test]
fn v5_3_10_4_6_several_filters_are_so_many_unsubscribes_with_one_unsuback() {
    several_filters(V5);
}

#[test]
fn v3_3_10_4_6_several_filters_are_so_many_unsubscribes_with_one_unsuback() {
    several_filters(V3);
}

fn unsuback_fits() {
    everywhere(|b| {
        of_every_size(b, |client, maximum| {
            client.send(&unsubscribe(V5, 7, &["a"]));
            assert_eq!(fits(client, maximum, 0xB0).codes(V5), [0x11]);
        });
    });
}

#[test]
fn v5_3_11_2_1_a_reason_string_never_makes_unsuback_too_large() {
    unsuback_fits();
}

#[test]
fn v5_3_11_2_2_user_properties_never_make_unsuback_too_large() {
    unsuback_fits();
}

#[test]
fn v5_3_11_3_1_the_codes_are_in_the_order_of_the_filters() {
    everywhere(|b| {
        let client = b.v5("client");
        let there = ["a", "b/+", "c/#"];
        for mask in 0..8_u8 {
            for (at, filter) in there.iter().enumerate() {
                if mask & 1 << at != 0 {
                    client.subscribe(filter, 1);
                }
            }
            let codes = [0, 1, 2].map(|at| if mask & 1 << at != 0 { 0 } else { 0x11 });
            client.send(&unsubscribe(V5, 7, &there));
            client.expect(&unsuback(V5, 7, &codes));
        }
    });
}

#[test]
fn v5_3_11_3_2_each_code_is_one_of_unsubacks_table() {
    everywhere(|b| {
        let client = b.v5("client");
        client.subscribe("a/1", 0);
        let mut filters: Vec<String> = (0..300).map(|number| format!("a/{number}")).collect();
        filters.push("a/".repeat(300));
        filters.push("l".repeat(60_000));
        let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
        client.send(&unsubscribe(V5, 7, &filters));
        let packet = client.packet();
        let codes = packet.codes(V5);
        let table = [0, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91];
        assert!(codes.len() == 302 && codes.iter().all(|code| table.contains(code)), "{codes:02X?}");
        assert_eq!(codes[1], 0);
    });
}
