//! What an explanation says to people.

use super::*;

fn explained(rules: &Rules, client: &str, action: Action, topic: &str) -> Vec<String> {
    rules.explain(client, action, topic).to_string().lines().map(|line| line.trim().to_owned()).collect()
}

fn named(rules: &[(&str, Access, &str, &str)]) -> Rules {
    let rules = rules.iter();
    let rules = rules
        .map(|(name, access, client, topic)| Rule { name: (*name).into(), ..rule(*access, client, topic) });
    Rules::compile(rules.collect()).unwrap()
}

#[test]
fn the_example_of_the_source_is_explained() {
    let rules = named(&[
        ("others", Access::Deny, "specific:device7", "all"),
        ("humidity", Access::ReadWrite, "all", "specific:+/+/humidity"),
        ("temperatures", Access::Write, "pattern:device.*", "pattern:/{%client%}/temperature"),
    ]);
    assert_eq!(
        explained(&rules, "device1", Action::Publish, "/device1/temperature"),
        [
            "ALLOWED by rule 3 \"temperatures\" (Write): /{%client%}/temperature = /device1/temperature",
            "rule 1 \"others\": client does not match (it is not device7)",
            "rule 2 \"humidity\": topic does not match (+/+/humidity)",
        ]
    );
    assert_eq!(
        explained(&rules, "device1", Action::Subscribe, "/device1/temperature")[0],
        "REFUSED by rule 3 \"temperatures\" (Write): /{%client%}/temperature = /device1/temperature"
    );
    assert_eq!(
        explained(&rules, "device2", Action::Publish, "/device1/temperature"),
        [
            "REFUSED: no rule matches",
            "rule 1 \"others\": client does not match (it is not device7)",
            "rule 2 \"humidity\": topic does not match (+/+/humidity)",
            "rule 3 \"temperatures\": topic does not match (/device2/temperature)",
        ]
    );
    assert_eq!(
        explained(&rules, "x/y", Action::Publish, "t")[3],
        "rule 3 \"temperatures\": client does not match (its whole name does not match device.*)"
    );
    assert_eq!(
        explained(&rules, "device7", Action::Publish, "t"),
        ["REFUSED by rule 1 \"others\" (Deny): any topic"]
    );
}

#[test]
fn overlapping_rules_are_told() {
    let rules = named(&[
        ("secret", Access::Deny, "all", "specific:a/secret"),
        ("news", Access::Read, "all", "specific:a/news"),
        ("own", Access::Deny, "all", "pattern:{%client%}"),
        ("all", Access::Read, "all", "specific:a/#"),
    ]);
    let all = [
        "ALLOWED by rule 4 \"all\" (Read): a/#; each message is judged by its own topic",
        "rule 1 \"secret\": topic overlaps but does not cover (a/secret): judged at each message",
        "rule 2 \"news\": topic overlaps but does not cover (a/news)",
        "rule 3 \"own\": topic does not match (the client's name cannot stand in {%client%})",
    ];
    assert_eq!(explained(&rules, "", Action::Subscribe, "a/#"), all);
    assert_eq!(explained(&rules, "", Action::Subscribe, "$share/g/a/#"), all);
}

#[test]
fn text_from_outside_is_escaped() {
    let rules = named(&[("a\n\u{1b}[31m", Access::Deny, "specific:x\n", "specific:t\t")]);
    let text = rules.explain("y\n", Action::Publish, "\u{7}\n").to_string();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(!text.contains(['\u{1b}', '\t', '\u{7}']), "{text}");
    let text = rules.explain("x\n", Action::Publish, "t\t").to_string();
    assert_eq!(text, "REFUSED by rule 1 \"a\\n\\u{1b}[31m\" (Deny): t\\t");
}

#[test]
fn what_is_no_topic_is_refused_with_the_reason() {
    let rules = compiled(&[(Access::ReadWrite, "all", "all")]);
    for (action, topic) in [
        (Action::Publish, "a/+"),
        (Action::Publish, ""),
        (Action::Publish, "#"),
        (Action::Subscribe, "a#"),
        (Action::Subscribe, ""),
        (Action::Subscribe, "$share/g"),
    ] {
        let explained = rules.explain("x", action, topic);
        assert!(!explained.allowed && explained.fault.is_some() && explained.decided.is_none(), "{topic}");
        assert!(explained.to_string().contains("is not a topic"), "{explained}");
    }
}
