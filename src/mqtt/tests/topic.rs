//! Topic names and filters, with the examples of the standard (4.7, 4.8.2).

use super::mqtt::Violation;
use super::mqtt::topic::{
    Shared, check_name, has_wildcard, is_valid_filter, level_count, matches, parse_shared,
};

#[test]
fn mqtt_4_7_3_a_name_has_a_character_and_no_wildcard() {
    let longest = "x".repeat(65_535);
    for name in ["a", "/", "//", " ", "a b", "$SYS/x", "/finance", "\u{10FFFF}", &longest] {
        assert_eq!(check_name(name), Ok(()), "{name}");
    }
    for name in ["", "#", "+", "a/#", "a+b", &"x".repeat(65_536)] {
        assert_eq!(check_name(name), Err(Violation::TopicName), "{name}");
    }
    assert_eq!(check_name("a\0b"), Err(Violation::NulInString));
    assert_eq!(check_name("#\0"), Err(Violation::NulInString));
}

#[test]
fn mqtt_4_7_1_wildcards_stand_alone_in_their_level() {
    for filter in [
        "#",
        "+",
        "/",
        "a",
        "sport/tennis/player1/#",
        "sport/#",
        "+/tennis/#",
        "sport/+/player1",
        "/+",
        "+/+",
        "$SYS/#",
        "a//b",
        "$share",
        "$shared/a",
        "$share/g/a/+/#",
        "$share/g//",
        "$share/g/$share/h/a",
    ] {
        assert!(is_valid_filter(filter), "{filter}");
    }
    for filter in [
        "",
        "sport/tennis#",
        "sport/tennis/#/ranking",
        "sport+",
        "+a",
        "a/+b/c",
        "##",
        "#/",
        "a/#/b",
        "a\0",
        "$share/",
        "$share//a",
        "$share/g",
        "$share/g/",
        "$share/+/a",
        "$share/g#/a",
        "$share/g/a#",
    ] {
        assert!(!is_valid_filter(filter), "{filter}");
    }
    assert!(is_valid_filter(&"x".repeat(65_535)));
    assert!(!is_valid_filter(&"x".repeat(65_536)));
}

#[test]
fn wildcards_and_levels_are_counted() {
    assert!(has_wildcard("a/+") && has_wildcard("#") && !has_wildcard("a/b"));
    for (topic, levels) in [("a", 1), ("/", 2), ("a/b/c", 3), ("a//", 3), ("größe/ü", 2)] {
        assert_eq!(level_count(topic), levels, "{topic}");
    }
}

#[test]
fn mqtt_4_7_1_filters_match() {
    for (filter, name) in [
        ("sport/tennis/player1/#", "sport/tennis/player1"),
        ("sport/tennis/player1/#", "sport/tennis/player1/ranking"),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon"),
        ("sport/#", "sport"),
        ("#", "a"),
        ("#", "/"),
        ("#", "a/b/c"),
        ("sport/tennis/+", "sport/tennis/player1"),
        ("sport/+", "sport/"),
        ("+/+", "/finance"),
        ("/+", "/finance"),
        ("+", "finance"),
        ("a//b", "a//b"),
        ("a/+/b", "a//b"),
        ("a/#", "a/"),
        ("+/#", "a"),
        ("$SYS/#", "$SYS/"),
        ("$SYS/monitor/+", "$SYS/monitor/Clients"),
        ("größe/+", "größe/ü"),
    ] {
        assert!(matches(filter, name), "{filter} matches {name}");
    }
    for (filter, name) in [
        ("sport/tennis/+", "sport/tennis/player1/ranking"),
        ("sport/+", "sport"),
        ("+", "/finance"),
        ("a/b", "a"),
        ("a", "a/b"),
        ("a", "A"),
        ("a", "a/"),
        ("/a", "a"),
        ("sport/tennis/player1/#", "sport/tennis/player10"),
        ("a/+/#", "a"),
    ] {
        assert!(!matches(filter, name), "{filter} does not match {name}");
    }
}

#[test]
fn mqtt_4_7_2_1_a_leading_wildcard_does_not_match_a_leading_dollar() {
    for filter in ["#", "+", "+/monitor/Clients", "+/#"] {
        assert!(!matches(filter, "$SYS/monitor/Clients"), "{filter}");
    }
    assert!(!matches("+", "$SYS"));
    assert!(matches("a/+", "a/$x"), "only at the front");
}

#[test]
fn mqtt_4_8_2_a_shared_subscription_has_a_name_and_a_filter() {
    let shared = |share_name, filter| Some(Ok(Shared { share_name, filter }));
    assert_eq!(parse_shared("$share/consumer1/sport/tennis/+"), shared("consumer1", "sport/tennis/+"));
    assert_eq!(parse_shared("$share/g//finance"), shared("g", "/finance"));
    assert_eq!(parse_shared("$share/ü/#"), shared("ü", "#"));
    for invalid in ["$share/", "$share//a", "$share/g", "$share/g/", "$share/+/a", "$share/a#/b"] {
        assert_eq!(parse_shared(invalid), Some(Err(())), "{invalid}");
    }
    for plain in ["", "a", "$share", "$SHARE/g/a", "$shared/g/a", "share/g/a", "/$share/g/a"] {
        assert_eq!(parse_shared(plain), None, "{plain}");
    }
}
