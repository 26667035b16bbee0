//! What is found odd, and what is not. That a shadowed rule can go is shown against the reference.

use super::*;

fn oddities(rules: &[(Access, &str, &str)]) -> Vec<(usize, Oddity)> {
    compiled(rules).lint().into_iter().map(|finding| (finding.rule.position(), finding.oddity)).collect()
}

/// An earlier rule, a later one, whether the later one never decides.
#[test]
fn a_rule_is_shadowed_by_one_that_matches_all_it_matches() {
    for ((client, topic), (later_client, later_topic), wanted) in [
        (("all", "all"), ("all", "all"), true),
        (("all", "all"), ("specific:x", "specific:$SYS/#"), true),
        (("all", "specific:#"), ("all", "specific:$SYS/x"), false),
        (("all", "specific:#"), ("all", "all"), false),
        (("all", "specific:+/#"), ("all", "specific:#"), true),
        (("all", "specific:a/#"), ("pattern:d.*", "specific:a"), true),
        (("all", "specific:a/#"), ("all", "pattern:a/{%client%}"), true),
        (("all", "specific:+"), ("all", "pattern:{%client%}"), true),
        (("all", "specific:+"), ("all", "pattern:$s{%client%}"), false),
        (("all", "pattern:{%client%}"), ("all", "specific:+"), false),
        (("all", "pattern:{%client%}/#"), ("all", "pattern:{%client%}/a"), true),
        (("all", "pattern:x{%client%}"), ("all", "pattern:{%client%}"), false),
        (("all", "pattern:{%client%}/#"), ("specific:dev1", "specific:dev1/a"), true),
        (("all", "pattern:{%client%}/#"), ("specific:dev1", "specific:dev2/a"), false),
        (("all", "pattern:{%client%}/#"), ("specific:+", "specific:a/b"), false),
        (("specific:dev1", "all"), ("specific:dev1", "specific:a"), true),
        (("specific:dev1", "all"), ("specific:dev2", "specific:a"), false),
        (("specific:dev1", "all"), ("pattern:dev1.*", "specific:a"), false),
        (("pattern:dev.*", "all"), ("specific:dev1", "specific:a"), true),
        (("pattern:dev.*", "all"), ("specific:xdev1", "specific:a"), false),
        (("pattern:dev.*", "specific:a"), ("pattern:dev.*", "specific:a"), true),
        (("pattern:dev.*", "specific:a/+"), ("pattern:dev.*", "specific:a/#"), false),
        (("pattern:dev.*", "all"), ("all", "all"), false),
    ] {
        let found = oddities(&[(Access::Deny, client, topic), (Access::Read, later_client, later_topic)]);
        let shadowed = found.contains(&(2, Oddity::Shadowed(RuleIndex(0))));
        assert_eq!(shadowed, wanted, "{client} {topic}, {later_client} {later_topic}: {found:?}");
    }
}

#[test]
fn the_first_of_those_that_shadow_is_named() {
    let found = oddities(&[
        (Access::Deny, "pattern:dev.*", "specific:a/#"),
        (Access::Read, "all", "specific:+/b"),
        (Access::Read, "specific:dev1", "specific:a/b"),
        (Access::Read, "pattern:dev.*", "specific:a/b"),
    ]);
    assert_eq!(found, [(3, Oddity::Shadowed(RuleIndex(0))), (4, Oddity::Shadowed(RuleIndex(0)))]);
}

#[test]
fn what_can_never_be_of_use_is_found() {
    let found = oddities(&[
        (Access::Read, "specific:a/b", "pattern:x/{%client%}"),
        (Access::Read, "specific:a\0", "all"),
        (Access::Write, "all", "specific:$SYS/#"),
        (Access::Read, "all", "specific:$SYS/#"),
    ]);
    assert!(matches!(&found[0], (1, Oddity::NeverMatches(why)) if why.contains("a/b")), "{found:?}");
    assert!(matches!(&found[1], (2, Oddity::NeverMatches(_))), "{found:?}");
    assert!(matches!(&found[2], (3, Oddity::GrantsInVain(_))), "{found:?}");
    assert_eq!(found[3..], [(4, Oddity::Shadowed(RuleIndex(2)))]);
}

/// Client, topic, which field is suspicious.
#[test]
fn what_was_probably_not_meant_is_found() {
    use RuleField::{Client, Topic};
    for (client, topic, wanted) in [
        ("pattern:device1", "all", Some(Client)),
        ("pattern:dev*", "all", Some(Client)),
        ("specific:dev.*", "all", Some(Client)),
        ("specific: dev", "all", Some(Client)),
        ("all", "specific:a/%client%", Some(Topic)),
        ("all", "specific:a/{client}", Some(Topic)),
        ("all", "pattern:a/%c", Some(Topic)),
        ("pattern:dev.*", "all", None),
        ("pattern:.*dev", "all", None),
        ("pattern:^dev[0-9]+$", "all", None),
        ("specific:dev", "specific:a/+", None),
        ("all", "pattern:a/{%client%}/%", None),
    ] {
        let found = oddities(&[(Access::Read, client, topic)]);
        let fields: Vec<Option<RuleField>> = found
            .iter()
            .map(|(_, oddity)| if let Oddity::Suspicious(field, _) = oddity { Some(*field) } else { None })
            .collect();
        assert_eq!(fields, Vec::from_iter(wanted.map(Some)), "{client} {topic}");
    }
}

#[test]
fn findings_name_the_rule_and_escape_it() {
    let rules = Rules::compile(vec![
        rule(Access::Read, "all", "all"),
        Rule { name: "x\n".into(), ..rule(Access::Deny, "pattern:a\t", "all") },
    ]);
    let text: Vec<String> = rules.unwrap().lint().iter().map(Finding::to_string).collect();
    assert_eq!(text[0], "rule 2 \"x\\n\": it never decides: rule 1 matches all that it matches");
    assert!(text[1].starts_with("rule 2 \"x\\n\": Client: "), "{text:?}");
}
