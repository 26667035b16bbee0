//! 4.7 topic names and topic filters.

use crate::broker::{Broker, everywhere, everywhere_with};
use crate::shorthand::{breaks, hears, lasting, publish_to_bytes, publishes, retained, with_area};
use crate::wire::{Publish, V3, V5, Version, binary, subscribe, unsubscribe};

fn to(topic: &str) -> Publish {
    Publish::new(topic, b"payload")
}

/// Whether a filter matches a topic: live, for a session that is away, and for what is retained.
#[track_caller]
fn matches(b: &Broker, version: Version, filter: &str, topic: &str) -> bool {
    let listener = b.subscriber(version, "listener", filter, 0);
    let (away, _) = lasting(b, version, "away");
    away.subscribe(filter, 1);
    away.cut();
    let publisher = b.of(version, "publisher");
    publisher.publish(&to(topic).qos(1, 1).retained());
    let live = listener.packets().len();
    let waited = lasting(b, version, "away").0.packets().len();
    let kept = retained(b, version, filter).len();
    assert!(live == waited && live == kept && live < 2, "{filter} {topic}: {live}, {waited} and {kept} came");
    // Nothing is left for the next question.
    publisher.publish(&Publish::new(topic, b"").retained());
    b.connect(&crate::wire::Connect::new(version, "away"));
    live == 1
}

fn wildcards_are_for_filters(version: Version) {
    everywhere(|b| {
        let listener = b.subscriber(version, "listener", "#", 0);
        for topic in ["+", "#", "a/+", "a/#", "a/+/b", "+a", "a#"] {
            breaks(b, version, &to(topic).bytes(version), 0x81);
        }
        listener.expect_nothing();
        assert!(matches(b, version, "+/b", "a/b") && matches(b, version, "a/#", "a/b"));
    });
}

#[test]
fn v5_4_7_0_1_wildcards_stand_in_filters_and_not_in_names() {
    wildcards_are_for_filters(V5);
}

#[test]
fn v3_4_7_1_1_wildcards_stand_in_filters_and_not_in_names() {
    wildcards_are_for_filters(V3);
}

/// An ill-formed filter: nothing of its packet counts.
fn is_no_filter(b: &Broker, version: Version, filter: &str) {
    breaks(b, version, &subscribe(version, 7, &[(filter, 0)]), 0x8F);
    breaks(b, version, &subscribe(version, 7, &[("a", 0), (filter, 0)]), 0x8F);
    breaks(b, version, &unsubscribe(version, 7, &[filter]), 0x8F);
}

fn the_multi_level_wildcard(version: Version) {
    everywhere(|b| {
        for filter in ["a#", "#a", "a/b#", "a/#/b", "#/", "#/a", "##", "a/##", "+#", "a/#b"] {
            is_no_filter(b, version, filter);
        }
        let here = [
            ("#", "a", true),
            ("#", "/", true),
            ("#", "a/b/c", true),
            ("a/#", "a", true),
            ("a/#", "a/", true),
            ("a/#", "a/b/c", true),
            ("a/#", "ab", false),
            ("a/#", "b/a", false),
            ("a/b/#", "a", false),
            ("/#", "/", true),
            ("/#", "/a", true),
            ("/#", "a", false),
            ("+/#", "a", true),
            ("+/#", "/a", true),
            ("a/+/#", "a", false),
            ("a/+/#", "a/b", true),
        ];
        for (filter, topic, wanted) in here {
            assert_eq!(matches(b, version, filter, topic), wanted, "{filter} and {topic}");
        }
    });
}

#[test]
fn v5_4_7_1_1_the_multi_level_wildcard_is_alone_or_after_a_separator_and_last() {
    the_multi_level_wildcard(V5);
}

#[test]
fn v3_4_7_1_2_the_multi_level_wildcard_is_alone_or_after_a_separator_and_last() {
    the_multi_level_wildcard(V3);
}

fn the_single_level_wildcard(version: Version) {
    everywhere(|b| {
        for filter in ["a+", "+a", "a/+b", "a/b+/c", "++", "/++"] {
            is_no_filter(b, version, filter);
        }
        let here = [
            ("+", "a", true),
            ("+", "/", false),
            ("+", "a/b", false),
            ("+", "/a", false),
            ("/+", "/a", true),
            ("/+", "/", true),
            ("+/+", "/a", true),
            ("+/+", "/", true),
            ("+/+", "a", false),
            ("+/+/+", "//", true),
            ("a/+", "a", false),
            ("a/+", "a/", true),
            ("a/+", "a/b", true),
            ("a/+", "a/b/c", false),
            ("a/+/c", "a//c", true),
            ("a/+/c", "a/b/c", true),
            ("a/+/c", "a/c", false),
            ("+/b", "a/b", true),
            ("+/b", "b", false),
        ];
        for (filter, topic, wanted) in here {
            assert_eq!(matches(b, version, filter, topic), wanted, "{filter} and {topic}");
        }
    });
}

#[test]
fn v5_4_7_1_2_the_single_level_wildcard_takes_a_whole_level() {
    the_single_level_wildcard(V5);
}

#[test]
fn v3_4_7_1_3_the_single_level_wildcard_takes_a_whole_level() {
    the_single_level_wildcard(V3);
}

fn dollar_topics(version: Version) {
    everywhere(|b| {
        let here = [
            ("#", "$a", false),
            ("#", "$a/b", false),
            ("+", "$a", false),
            ("+/b", "$a/b", false),
            ("+/+", "$a/b", false),
            ("+/#", "$a/b", false),
            ("+/#", "$/", false),
            ("#", "$", false),
            ("$a/#", "$a/b", true),
            ("$a/#", "$a", true),
            ("$a/+", "$a/b", true),
            ("$a", "$a", true),
            ("$", "$", true),
            // Only the first character counts.
            ("#", "a/$b", true),
            ("+/+", "a/$b", true),
            ("+/$b", "/$b", true),
        ];
        for (filter, topic, wanted) in here {
            assert_eq!(matches(b, version, filter, topic), wanted, "{filter} and {topic}");
        }
    });
}

#[test]
fn v5_4_7_2_1_a_filter_that_begins_with_a_wildcard_does_not_match_dollar_topics() {
    dollar_topics(V5);
}

#[test]
fn v3_4_7_2_1_a_filter_that_begins_with_a_wildcard_does_not_match_dollar_topics() {
    dollar_topics(V3);
}

/// Overlapping subscriptions each match or do not: one by a wildcard in front adds nothing.
#[test]
fn v5_4_7_2_1_a_dollar_topic_comes_once_to_who_subscribes_to_it_and_to_everything() {
    everywhere(|b| {
        let listener = b.subscriber(V5, "listener", "#", 2);
        listener.subscribe("$a/b", 0);
        publishes(&b.v5("publisher"), &to("$a/b").qos(2, 7));
        hears(&listener, V5, &to("$a/b"));
        listener.expect_nothing();
    });
}

fn at_least_one_character(version: Version) {
    everywhere(|b| {
        let listener = b.subscriber(version, "listener", "#", 0);
        breaks(b, version, &to("").bytes(version), 0x82);
        is_no_filter(b, version, "");
        listener.expect_nothing();
        for topic in ["/", " ", "//", "é"] {
            assert!(matches(b, version, topic, topic), "{topic:?} is a name and a filter");
        }
    });
}

#[test]
fn v5_4_7_3_1_names_and_filters_have_at_least_one_character() {
    at_least_one_character(V5);
}

#[test]
fn v3_4_7_3_1_names_and_filters_have_at_least_one_character() {
    at_least_one_character(V3);
}

fn no_nul(version: Version) {
    everywhere(|b| {
        let listener = b.subscriber(version, "listener", "#", 0);
        for text in [b"\0".as_slice(), b"a\0", b"\0a", b"a/\0/b"] {
            breaks(b, version, &publish_to_bytes(version, &binary(text)), 0x81);
            breaks(b, version, &with_area(version, 0x82, &[0, 7], &[&binary(text)[..], &[0]].concat()), 0x81);
            breaks(b, version, &with_area(version, 0xA2, &[0, 7], &binary(text)), 0x81);
        }
        listener.expect_nothing();
    });
}

#[test]
fn v5_4_7_3_2_names_and_filters_have_no_nul() {
    no_nul(V5);
}

#[test]
fn v3_4_7_3_2_names_and_filters_have_no_nul() {
    no_nul(V3);
}

/// The longest that two bytes of length allow, where the broker's own limit is as high.
fn as_long_as_may_be(version: Version) {
    everywhere_with(
        |limits| limits.topic_bytes = u16::MAX,
        |b| {
            for topic in ["a".repeat(65_535), "é".repeat(32_767) + "b"] {
                assert!(matches(b, version, &topic, &topic));
                assert!(matches(b, version, "#", &topic));
            }
        },
    );
}

#[test]
fn v5_4_7_3_3_names_and_filters_may_have_65_535_bytes() {
    as_long_as_may_be(V5);
}

#[test]
fn v3_4_7_3_3_names_and_filters_may_have_65_535_bytes() {
    as_long_as_may_be(V3);
}

/// The broker's own limit, which is lower: such a name is refused, and nobody hears it.
#[test]
fn v5_4_7_3_3_a_name_above_the_brokers_limit_is_refused() {
    everywhere_with(
        |limits| limits.topic_bytes = 100,
        |b| {
            assert!(matches(b, V5, "#", &"a".repeat(100)));
            let listener = b.subscriber(V5, "listener", "#", 0);
            breaks(b, V5, &to(&"a".repeat(101)).bytes(V5), 0x90);
            listener.expect_nothing();
        },
    );
}

fn nothing_is_normalised(version: Version) {
    everywhere(|b| {
        // Case, composed and decomposed, compatible, a mark, spaces, separators, controls, what is unassigned.
        let names = [
            "a/b",
            "A/b",
            "a/B",
            "a/b/",
            "/a/b",
            "a//b",
            "a/b ",
            " a/b",
            "a/./b",
            "a/x/../b",
            "é",
            "e\u{301}",
            "\u{FB01}",
            "fi",
            "\u{FEFF}a/b",
            "a\u{AD}/b",
            "\u{10FFFF}",
            "\u{FFFD}",
            "a\u{1}b",
            "%61/b",
            "a\\b",
        ];
        let clients: Vec<_> =
            names.iter().map(|name| b.subscriber(version, &format!("for {name}"), name, 0)).collect();
        let publisher = b.of(version, "publisher");
        for (at, name) in names.iter().enumerate() {
            publisher.publish(&to(name));
            for (number, client) in clients.iter().enumerate() {
                if number == at {
                    hears(client, version, &to(name));
                }
                client.expect_nothing();
            }
        }
    });
}

#[test]
fn v5_4_7_3_4_matching_normalises_nothing() {
    nothing_is_normalised(V5);
}

#[test]
fn v3_4_7_3_4_matching_normalises_nothing() {
    nothing_is_normalised(V3);
}
