//! The source's example, and tables of what the decisions say, each with an edge.

use super::*;

#[test]
fn the_example_of_the_source() {
    let rules = compiled(&[(Access::Write, "pattern:device.*", "pattern:/{%client%}/temperature")]);
    for device in ["device1", "device2", "device3"] {
        for other in ["device1", "device2", "device3"] {
            let topic = format!("/{other}/temperature");
            assert_eq!(publishes(&rules, device, &topic), device == other, "{device} {topic}");
            assert!(
                !reads(&rules, device, &topic) && !subscribes(&rules, device, &topic),
                "only Write is granted"
            );
        }
        assert!(!publishes(&rules, device, &format!("/{device}/humidity")));
    }
    assert!(!publishes(&rules, "sensor1", "/sensor1/temperature"), "the client does not match");
    assert!(!publishes(&rules, "", "//temperature"), "no name, no topic");
}

#[test]
fn without_rules_nothing_is_allowed() {
    for rules in [Rules::default(), compiled(&[])] {
        assert_eq!(
            rules.judge(&rules.client("dev1"), Action::Publish, "a"),
            Verdict { allowed: false, rule: None }
        );
        assert!(!subscribes(&rules, "dev1", "a") && !subscribes(&rules, "", "#"));
        assert!(!rules.needs_names());
    }
}

#[test]
fn one_rule_for_everybody_allows_everything() {
    let rules = compiled(&[(Access::ReadWrite, "all", "all")]);
    for name in ["", "dev1", "a/b", "$x"] {
        assert!(
            publishes(&rules, name, "a") && reads(&rules, name, "$SYS/x") && subscribes(&rules, name, "#")
        );
        assert!(subscribes(&rules, name, "$SYS/#") && subscribes(&rules, name, "$share/g/+/x"));
    }
    assert!(!rules.needs_names());
}

#[test]
fn the_first_rule_that_matches_decides_by_its_access_alone() {
    use Access::{Deny, Read, ReadWrite, Write};
    for (first, second, publish, read) in [
        (Write, ReadWrite, true, false),
        (Read, ReadWrite, false, true),
        (Deny, ReadWrite, false, false),
        (ReadWrite, Deny, true, true),
    ] {
        let rules = compiled(&[(first, "all", "specific:a/+"), (second, "all", "specific:a/#")]);
        assert_eq!(publishes(&rules, "x", "a/b"), publish, "{first}");
        assert_eq!(reads(&rules, "x", "a/b"), read, "{first}");
        assert_eq!(subscribes(&rules, "x", "a/b"), read, "{first}");
        let (topic, filter) = (
            rules.judge(&rules.client("x"), Action::Publish, "a/b/c"),
            rules.judge_filter(&rules.client("x"), "a/#"),
        );
        assert_eq!(
            (decider(topic.rule), decider(filter.rule)),
            (2, 2),
            "the first does not match, or does not cover"
        );
    }
}

/// Rule topic, topic name, whether it matches.
#[test]
fn topics_match_as_filters_do() {
    for (filter, topic, wanted) in [
        ("a/#", "a", true),
        ("a/#", "a/", true),
        ("a/#", "a/b/c", true),
        ("a/#", "ab", false),
        ("a/+", "a", false),
        ("a/+", "a/", true),
        ("+", "a/", false),
        ("+/+", "/", true),
        ("/+", "/a", true),
        ("/+", "a", false),
        ("+", "/a", false),
        ("#", "/a", true),
        ("+/x", "/x", true),
        ("#", "$SYS/x", false),
        ("+/x", "$SYS/x", false),
        ("$SYS/#", "$SYS/x", true),
        ("$SYS/+", "$SYS/x", true),
        ("$SYS/#", "$SYS", true),
        ("a/+/#", "a", false),
        ("a/+/#", "a/b", true),
        ("a/$x", "a/$x", true),
        ("a/+", "a/$x", true),
        ("a", "A", false),
        ("ä/+", "ä/ö", true),
    ] {
        let specific = compiled(&[(Access::Write, "all", &format!("specific:{filter}"))]);
        let pattern = compiled(&[(Access::Write, "all", &format!("pattern:{filter}"))]);
        assert_eq!(publishes(&specific, "", topic), wanted, "{filter} {topic}");
        assert_eq!(publishes(&pattern, "n", topic), wanted, "{filter} {topic}");
    }
}

/// Rule topic, filter, whether it covers it, and whether it overlaps it.
#[test]
fn subscriptions_need_a_rule_that_covers_them() {
    for (theirs, filter, covers, overlaps) in [
        ("a/#", "a", true, true),
        ("a/#", "a/#", true, true),
        ("a/#", "a/+/b/#", true, true),
        ("a/#", "#", false, true),
        ("a/#", "+", false, true),
        ("a/#", "+/+", false, true),
        ("a/#", "b/#", false, false),
        ("#", "+/x", true, true),
        ("#", "$SYS/#", false, false),
        ("+/#", "#", true, true),
        ("+/+/#", "#", false, true),
        ("#", "+/#", true, true),
        ("a/+/#", "a/#", false, true),
        ("a/+", "a/#", false, true),
        ("a/+", "a/+", true, true),
        ("a/+", "a/b", true, true),
        ("a/b", "a/+", false, true),
        ("a/b", "a/b/#", false, true),
        ("a/b/c", "a/b", false, false),
        ("a/b", "a/b/c", false, false),
        ("+/x", "$SYS/x", false, false),
        ("$SYS/x", "+/x", false, false),
        ("$SYS/x", "#", false, false),
        ("$SYS/#", "$SYS/#", true, true),
        ("$SYS/+/#", "$SYS/#", false, true),
        ("/a", "+/a", false, true),
        ("+/a", "/a", true, true),
        ("a//b", "a/+/b", false, true),
        ("a/+/b", "a//b", true, true),
    ] {
        let topic = format!("specific:{theirs}");
        let rules = compiled(&[(Access::Read, "all", &topic)]);
        assert_eq!(subscribes(&rules, "", filter), covers, "{theirs} covers {filter}");
        assert_eq!(
            subscribes(&rules, "", &format!("$share/g/{filter}")),
            covers,
            "{theirs} covers {filter}, shared"
        );
        let rules = compiled(&[(Access::Deny, "all", &topic), (Access::Read, "all", "all")]);
        let verdict = rules.judge_filter(&rules.client(""), filter);
        assert_eq!(verdict.allowed, !covers, "{theirs} {filter}");
        assert_eq!(verdict.judged_at_delivery, overlaps && !covers, "{theirs} overlaps {filter}");
    }
}

#[test]
fn only_earlier_rules_of_the_client_that_refuse_reading_ask_for_judging_at_delivery() {
    for (first, client, wanted) in [
        (Access::Deny, "all", true),
        (Access::Write, "all", true),
        (Access::Read, "all", false),
        (Access::ReadWrite, "all", false),
        (Access::Deny, "specific:dev1", true),
        (Access::Deny, "pattern:dev.*", true),
        (Access::Deny, "specific:dev2", false),
        (Access::Deny, "pattern:dev", false),
    ] {
        let rules = compiled(&[
            (first, client, "specific:a/secret"),
            (Access::Read, "all", "specific:a/#"),
            (Access::Deny, "all", "specific:a/b"),
        ]);
        let of = |filter| rules.judge_filter(&rules.client("dev1"), filter);
        assert_eq!(decider(of("a/#").rule), 2);
        assert_eq!(of("a/#").judged_at_delivery, wanted, "{first} {client}");
        assert_eq!(of("a/+").judged_at_delivery, wanted, "{first} {client}");
        assert!(!of("a/b").judged_at_delivery, "nothing earlier overlaps it");
        assert_eq!(of("a/b").allowed, of("a/c").allowed, "a later rule does not count");
    }
}

#[test]
fn a_shared_filter_that_is_none_is_refused() {
    let rules = compiled(&[(Access::ReadWrite, "all", "all")]);
    for filter in ["$share/", "$share/g", "$share/g/", "$share/+/a"] {
        assert!(!subscribes(&rules, "", filter), "{filter}");
    }
}

/// Levels of a rule's topic, the client, the same level of a topic, whether it matches.
#[test]
fn the_client_name_stands_for_the_placeholder_as_data() {
    for (level, name, text, wanted) in [
        ("{%client%}", "dev1", "dev1", true),
        ("{%client%}", "dev1", "dev2", false),
        ("{%client%}", "dev1", "dev11", false),
        ("{%client%}", "dev1", "", false),
        ("x-{%client%}", "dev1", "x-dev1", true),
        ("x-{%client%}", "dev1", "y-dev1", false),
        ("{%client%}-y", "dev1", "dev1-y", true),
        ("x{%client%}y", "dev1", "xdev1y", true),
        ("x{%client%}y", "dev1", "xdev1", false),
        ("{%client%}{%client%}", "ab", "abab", true),
        ("{%client%}{%client%}", "ab", "ab", false),
        ("{%client%}.{%client%}", "ab", "ab.ab", true),
        ("a{%client%}", "a", "aa", true),
        ("a{%client%}", "aa", "aaa", true),
        ("{%client%}a", "aa", "aaa", true),
        ("{%client%}", "ä", "ä", true),
        ("x{%client%}", "ö", "xö", true),
        ("{%client%}", "a b", "a b", true),
        ("{%client%}", "{%client%}", "{%client%}", true),
        ("{%client%}", "a/b", "a/b", false),
        ("{%client%}", "+", "a", false),
        ("{%client%}", "#", "a", false),
        ("{%client%}", "a+", "a+", false),
        ("{%client%}", "$SYS", "$SYS", false),
        ("x{%client%}", "$y", "x$y", false),
        ("{%client%}", "a\0", "a\0", false),
        ("{%client%}", "a\n", "a\n", false),
        ("{%client%}", "a\u{85}", "a\u{85}", false),
        ("{%client%}", "", "", false),
        ("x{%client%}", "", "x", false),
    ] {
        for (front, behind) in [("", ""), ("t/", ""), ("", "/t"), ("t/", "/t")] {
            let pattern = format!("{front}{level}{behind}");
            let topic = format!("{front}{text}{behind}");
            let rules = compiled(&[(Access::ReadWrite, "all", &format!("pattern:{pattern}"))]);
            assert_eq!(publishes(&rules, name, &topic), wanted, "{pattern} {name:?} {topic}");
            if !text.contains(['\0', '+', '#']) && !topic.is_empty() {
                assert_eq!(subscribes(&rules, name, &topic), wanted, "{pattern} {name:?} {topic}");
            }
        }
    }
    // A name that is no data matches no pattern that holds the placeholder, wherever that stands.
    let rules = compiled(&[
        (Access::ReadWrite, "all", "pattern:a/{%client%}/#"),
        (Access::Write, "all", "pattern:b/+"),
    ]);
    assert!(!publishes(&rules, "+", "a/x") && !publishes(&rules, "x/y", "a/x/y"));
    assert!(publishes(&rules, "+", "b/x"), "this one holds none");
}

/// A name with syntax in it never widens a subscription.
#[test]
fn names_are_no_filters() {
    let rules = compiled(&[
        (Access::Read, "all", "pattern:{%client%}/x"),
        (Access::Deny, "all", "pattern:u/{%client%}"),
    ]);
    for name in ["+", "#", "a/b", "", "$s"] {
        for filter in ["+/x", "#", "a/b/x", "/x", "$s/x"] {
            assert!(!subscribes(&rules, name, filter), "{name} {filter}");
        }
    }
    assert!(subscribes(&rules, "dev1", "dev1/x") && !subscribes(&rules, "dev1", "+/x"));
}

#[test]
fn deep_topics_and_filters_are_walked() {
    let levels = |count| vec!["a"; count].join("/");
    let rules = compiled(&[(Access::ReadWrite, "all", &format!("specific:{}/#", levels(255)))]);
    let deepest = "/".repeat(65_535);
    assert!(publishes(&rules, "", &levels(300)) && publishes(&rules, "", &levels(255)));
    assert!(!publishes(&rules, "", &levels(254)) && !publishes(&rules, "", &deepest));
    assert!(subscribes(&rules, "", &format!("{}/+/#", levels(255))) && !subscribes(&rules, "", "#"));
}
