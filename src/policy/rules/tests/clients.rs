//! Which rules fit a client's name.

use super::*;

/// Client match, name, whether it fits.
#[test]
fn a_client_fits_by_its_whole_name() {
    for (client, name, wanted) in [
        ("all", "", true),
        ("all", "x", true),
        ("specific:dev1", "dev1", true),
        ("specific:dev1", "dev11", false),
        ("specific:dev1", "Dev1", false),
        ("specific:dev.*", "dev1", false),
        ("specific:dev.*", "dev.*", true),
        ("specific:a/b+\n", "a/b+\n", true),
        ("pattern:dev.*", "dev", true),
        ("pattern:dev.*", "dev1", true),
        ("pattern:dev.*", "xdev1", false),
        ("pattern:dev.*", "", false),
        ("pattern:.*", "", false),
        ("pattern:.*", "anything", true),
        ("pattern:a|b", "a", true),
        ("pattern:a|b", "b", true),
        ("pattern:a|b", "ab", false),
        ("pattern:a|b", "xb", false),
        ("pattern:a|ab", "ab", true),
        ("pattern:^dev$", "dev", true),
        ("pattern:dev$|x", "dev", true),
        ("pattern:(?m)^dev$", "dev\nx", false),
        ("pattern:dev", "dev\n", false),
        ("pattern:(?i)dev", "DEV", true),
        ("pattern:(?x)dev # of any kind", "dev", true),
        ("pattern:(?x)dev # of any kind", "devx", false),
        ("pattern:(?x) a | b # either", "b", true),
        ("pattern:dev\\", "dev", false),
        ("pattern:[ä-ö]+", "äö", true),
        ("pattern:.", "ä", true),
    ] {
        let Ok(rules) = Rules::compile(vec![rule(Access::Write, client, "all")]) else {
            assert_eq!(client, "pattern:dev\\");
            continue;
        };
        assert_eq!(publishes(&rules, name, "t"), wanted, "{client} {name:?}");
        assert_eq!(rules.needs_names(), client != "all");
    }
}

#[test]
fn a_pattern_in_a_topic_needs_names() {
    assert!(compiled(&[(Access::Write, "all", "pattern:a/{%client%}")]).needs_names());
    assert!(!compiled(&[(Access::Write, "all", "pattern:a/+")]).needs_names());
}

/// All rules of a client count, whichever way they name it, in the order of the rules.
#[test]
fn every_way_to_name_a_client_counts() {
    let rules = compiled(&[
        (Access::Write, "pattern:.*1", "specific:a"),
        (Access::Write, "specific:dev1", "specific:b"),
        (Access::Write, "pattern:dev.*", "specific:c"),
        (Access::Write, "all", "specific:d"),
        (Access::Deny, "pattern:.*1", "specific:d"),
        (Access::Write, "pattern:.*1", "specific:e"),
    ]);
    for (name, topics) in [("dev1", "abcde"), ("dev2", "cd"), ("x1", "ade"), ("x", "d"), ("", "d")] {
        let allowed: String =
            "abcdef".chars().filter(|topic| publishes(&rules, name, &topic.to_string())).collect();
        assert_eq!(allowed, topics, "{name}");
    }
}

/// More than one set holds.
#[test]
fn many_patterns_are_told_apart() {
    let rule = |n| rule(Access::Write, &format!("pattern:dev{n}(-[0-9])?"), &format!("specific:t{n}"));
    let rules = Rules::compile((0..1_100).map(rule).collect()).unwrap();
    for n in [0, 1, 499, 500, 501, 999, 1_000, 1_099] {
        for name in [format!("dev{n}"), format!("dev{n}-7")] {
            let verdict = rules.judge(&rules.client(&name), Action::Publish, &format!("t{n}"));
            assert_eq!(decider(verdict.rule), n + 1, "{name}");
            assert!(!publishes(&rules, &name, &format!("t{}", n + 1)));
        }
    }
    assert!(!publishes(&rules, "dev1100", "t1100"));
}

#[test]
fn a_very_long_name_is_one() {
    let name = "n".repeat(10_000);
    let rules =
        compiled(&[(Access::Write, "pattern:n+", "pattern:{%client%}/t"), (Access::Read, "all", "all")]);
    assert!(publishes(&rules, &name, &format!("{name}/t")));
    assert!(!publishes(&rules, &name, "n/t"));
}

#[test]
fn a_client_of_other_rules_does_no_harm() {
    let many: Vec<Rule> = (0..5_000).map(|_| rule(Access::Write, "pattern:dev.*", "all")).collect();
    let many = Rules::compile(many).unwrap();
    let (none, client) = (Rules::default(), many.client("dev1"));
    assert!(!none.judge(&client, Action::Publish, "a").allowed);
    assert!(!none.judge_filter(&client, "#").allowed);
    assert!(!many.judge(&none.client("dev1"), Action::Publish, "a").allowed);
}

#[test]
fn rules_and_clients_can_be_shared_among_threads() {
    fn assert_shared<T: Send + Sync + Clone + std::fmt::Debug>() {}
    assert_shared::<Rules>();
    assert_shared::<ClientRules>();
}
