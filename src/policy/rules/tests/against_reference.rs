//! Random rules, clients and topics, judged here and by the reference.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::select;

use super::reference::{self, PATTERNS};
use super::*;

/// What each client may ask for.
static UNIVERSES: LazyLock<Vec<Vec<String>>> =
    LazyLock::new(|| NAMES.iter().map(|name| reference::universe(name)).collect());

pub(super) fn universe(name: &str) -> &'static [String] {
    let at = NAMES.iter().position(|known| *known == name).expect("one of the list");
    &UNIVERSES[at]
}

pub(super) const NAMES: [&str; 10] = ["", "dev1", "dev2", "d", "de", "DEV1", "a", "x/", "$s", "dev+"];

fn access() -> impl Strategy<Value = Access> {
    select(&[Access::Deny, Access::Read, Access::Write, Access::ReadWrite])
}

fn client() -> impl Strategy<Value = ClientMatch> {
    prop_oneof![
        2 => Just(ClientMatch::All),
        2 => select(&NAMES[1..]).prop_map(|name| ClientMatch::Specific(name.into())),
        3 => select(&PATTERNS[..]).prop_map(|(pattern, _)| ClientMatch::Pattern(pattern.into())),
    ]
}

/// A valid filter of up to three levels.
fn filter(levels: &'static [&'static str]) -> impl Strategy<Value = String> {
    let shapes = prop::collection::vec(select(levels), 0..=3);
    (shapes, any::<bool>()).prop_filter_map("a filter holds something", |(mut levels, with_hash)| {
        if with_hash {
            levels.truncate(2);
            levels.push("#");
        }
        Some(levels.join("/")).filter(|filter| !filter.is_empty())
    })
}

const PLAIN: [&str; 6] = ["a", "b", "", "+", "+", "$s"];
const WITH_NAMES: [&str; 9] =
    ["a", "", "+", "$s", "{%client%}", "{%client%}", "x-{%client%}", "{%client%}{%client%}", "$s{%client%}"];
const SUBSCRIBED: [&str; 8] = ["a", "b", "", "+", "+", "$s", "dev1", "x-dev1"];

fn topic() -> impl Strategy<Value = TopicMatch> {
    prop_oneof![
        1 => Just(TopicMatch::All),
        3 => filter(&PLAIN).prop_map(TopicMatch::Specific),
        3 => filter(&WITH_NAMES).prop_map(TopicMatch::Pattern),
    ]
}

fn any_rule() -> impl Strategy<Value = Rule> {
    (access(), client(), topic()).prop_map(|(access, client, topic)| Rule {
        name: "any".into(),
        access,
        client,
        topic,
    })
}

pub(super) fn any_rules() -> impl Strategy<Value = Vec<Rule>> {
    prop::collection::vec(any_rule(), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn every_topic_is_judged_as_by_the_reference(rules in any_rules(), name in select(&NAMES[..])) {
        let compiled = Rules::compile(rules.clone()).expect("the strategy makes no bad rule");
        let client = compiled.client(name);
        for topic in universe(name) {
            for action in [Action::Publish, Action::Subscribe] {
                let wanted = reference::judge(&rules, name, action, topic);
                prop_assert_eq!(compiled.judge(&client, action, topic), wanted, "{} {} {}", name, action, topic);
            }
        }
    }

    #[test]
    fn every_filter_is_judged_as_by_the_reference(
        rules in any_rules(), name in select(&NAMES[..]), filters in prop::collection::vec(filter(&SUBSCRIBED), 8),
    ) {
        let compiled = Rules::compile(rules.clone()).expect("the strategy makes no bad rule");
        let client = compiled.client(name);
        for filter in filters {
            let wanted = reference::judge_filter(universe(name), &rules, name, &filter);
            prop_assert_eq!(compiled.judge_filter(&client, &filter), wanted, "{} {}", name, filter);
            let shared = format!("$share/g/{filter}");
            prop_assert_eq!(compiled.judge_filter(&client, &shared), wanted, "{} {}", name, shared);
        }
    }

    /// One function judges and explains; what it says of the rules before the deciding one fits the verdict.
    #[test]
    fn an_explanation_says_what_the_judge_does(
        rules in any_rules(), name in select(&NAMES[..]), filter in filter(&SUBSCRIBED), topic in any::<prop::sample::Index>(),
    ) {
        let compiled = Rules::compile(rules.clone()).expect("the strategy makes no bad rule");
        let topic = topic.get(universe(name));
        let explained = compiled.explain(name, Action::Publish, topic);
        let wanted = reference::judge(&rules, name, Action::Publish, topic);
        prop_assert_eq!((explained.allowed, explained.decided.as_ref().map(|d| d.rule)), (wanted.allowed, wanted.rule));
        prop_assert_eq!(explained.passed.len(), wanted.rule.map_or(rules.len(), |rule| rule.0 as usize));
        let explained = compiled.explain(name, Action::Subscribe, &filter);
        let wanted = reference::judge_filter(universe(name), &rules, name, &filter);
        let rule = explained.decided.as_ref().map(|d| d.rule);
        prop_assert_eq!((explained.allowed, rule, explained.judged_at_delivery), (wanted.allowed, wanted.rule, wanted.judged_at_delivery));
        let refusing = explained.passed.iter().any(|passed| matches!(passed.why, WhyNot::Overlaps { refuses_reading: true, .. }));
        prop_assert_eq!(explained.judged_at_delivery, wanted.allowed && refusing);
    }

    /// A rule that is said never to decide can go, and nobody notices.
    #[test]
    fn what_never_decides_can_be_removed(
        rules in any_rules(), filters in prop::collection::vec(filter(&SUBSCRIBED), 8),
    ) {
        let compiled = Rules::compile(rules.clone()).expect("the strategy makes no bad rule");
        let never = |finding: &Finding| matches!(finding.oddity, Oddity::Shadowed(_) | Oddity::NeverMatches(_));
        let removed: Vec<RuleIndex> = compiled.lint().iter().filter(|f| never(f)).map(|f| f.rule).collect();
        let kept: Vec<u32> = (0..rules.len() as u32).filter(|index| !removed.contains(&RuleIndex(*index))).collect();
        let fewer = Rules::compile(kept.iter().map(|index| rules[*index as usize].clone()).collect()).expect("as before");
        let before = |rule: Option<RuleIndex>| rule.map(|rule| RuleIndex(kept[rule.0 as usize]));
        for name in NAMES {
            let (client, of_fewer) = (compiled.client(name), fewer.client(name));
            for topic in universe(name) {
                let (all, few) = (compiled.judge(&client, Action::Publish, topic), fewer.judge(&of_fewer, Action::Publish, topic));
                prop_assert_eq!((all.allowed, all.rule), (few.allowed, before(few.rule)), "{} {}", name, topic);
            }
            for filter in &filters {
                let (all, few) = (compiled.judge_filter(&client, filter), fewer.judge_filter(&of_fewer, filter));
                prop_assert_eq!((all.allowed, all.rule), (few.allowed, before(few.rule)), "{} {}", name, filter);
            }
        }
    }

    /// What the flag is for: without it, whatever the subscription matches may be read.
    #[test]
    fn a_subscription_without_the_flag_needs_no_judging_at_delivery(
        rules in any_rules(), name in select(&NAMES[..]), filter in filter(&SUBSCRIBED),
    ) {
        let compiled = Rules::compile(rules).expect("the strategy makes no bad rule");
        let client = compiled.client(name);
        let verdict = compiled.judge_filter(&client, &filter);
        if verdict.allowed && !verdict.judged_at_delivery {
            let matched = universe(name).iter().filter(|topic| crate::mqtt::topic::matches(&filter, topic));
            for topic in matched {
                prop_assert!(compiled.judge(&client, Action::Subscribe, topic).allowed, "{} {}", filter, topic);
            }
        }
    }
}

/// As many rules as need the bits of places and clients: the same topics over and over, for many clients.
#[test]
fn many_rules_are_judged_as_by_the_reference() {
    let topics = ["all", "specific:a/#", "specific:+/b", "pattern:a/{%client%}", "specific:z/z"];
    let clients =
        ["specific:dev2", "pattern:dev.*", "pattern:.*1", "pattern:dev[0-9]+", "pattern:e|de", "specific:de"];
    let accesses = [Access::Deny, Access::Read, Access::Write, Access::ReadWrite];
    let all_kinds: Vec<Rule> = clients
        .iter()
        .flat_map(|client| topics.iter().map(move |topic| (client, topic)))
        .zip(accesses.iter().cycle())
        .map(|((client, topic), access)| rule(*access, client, topic))
        .collect();
    // Long runs of a client or of a topic that does not match, so that what decides lies far behind.
    for (run, skipped) in
        [(0, "none"), (200, "specific:nobody"), (3_000, "specific:nobody"), (3_000, "pattern:e|de")]
    {
        let mut rules: Vec<Rule> =
            (0..run).map(|n| rule(accesses[n % 4], skipped, topics[n % topics.len()])).collect();
        rules.extend((0..6).flat_map(|n| all_kinds.iter().cycle().skip(n * 5).take(25).cloned()));
        rules.extend(
            (0..run).map(|n| rule(accesses[n % 4], "pattern:dev.*", ["specific:q", "specific:a/b"][n % 2])),
        );
        let compiled = Rules::compile(rules.clone()).unwrap();
        for name in NAMES {
            let client = compiled.client(name);
            for topic in ["a", "a/b", "a/dev1", "a/de", "b/b", "b", "$s", "z/z", "q"] {
                let wanted = reference::judge(&rules, name, Action::Publish, topic);
                assert_eq!(
                    compiled.judge(&client, Action::Publish, topic),
                    wanted,
                    "{skipped} {run} {name} {topic}"
                );
            }
            for filter in ["a/#", "+/b", "#", "a/+", "b/b"] {
                let wanted = reference::judge_filter(universe(name), &rules, name, filter);
                assert_eq!(compiled.judge_filter(&client, filter), wanted, "{skipped} {run} {name} {filter}");
            }
        }
    }
}
