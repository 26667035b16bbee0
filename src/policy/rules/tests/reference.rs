//! Judging as the source and the decisions word it: rules one after the other, placeholders written out, filters
//! compared by the topics that they match. Slow, and shares nothing with what it is held against.

use crate::mqtt::topic::matches;

use super::*;

/// A pattern of clients, and what it means in plain words.
type Meaning = (&'static str, fn(&str) -> bool);

pub(super) const PATTERNS: [Meaning; 8] = [
    ("dev.*", |name| name.starts_with("dev")),
    ("dev[0-9]+", |name| {
        name.strip_prefix("dev")
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    }),
    ("d|dev1", |name| name == "d" || name == "dev1"),
    ("(?i)DEV1", |name| name.eq_ignore_ascii_case("dev1")),
    ("(?x)dev1 # the first", |name| name == "dev1"),
    ("e|de", |name| name == "e" || name == "de"),
    (".*1", |name| name.ends_with('1')),
    ("$|.*[/+#]", |name| name.ends_with(['/', '+', '#'])),
];

fn fits_client(client: &ClientMatch, name: &str) -> bool {
    match client {
        ClientMatch::All => true,
        ClientMatch::Specific(theirs) => !name.is_empty() && theirs == name,
        ClientMatch::Pattern(pattern) => {
            let (_, fits) = PATTERNS.iter().find(|(known, _)| known == pattern).expect("one of the table");
            !name.is_empty() && fits(name)
        }
    }
}

/// The filter of a rule's topic for a client: `Err` if it matches nothing, `None` if it matches everything.
fn filter_for(topic: &TopicMatch, name: &str) -> Result<Option<String>, ()> {
    match topic {
        TopicMatch::All => Ok(None),
        TopicMatch::Pattern(filter) if filter.contains("{%client%}") => {
            let harmful = name.chars().any(|c| c == '/' || c == '+' || c == '#' || c.is_control());
            if name.is_empty() || name.starts_with('$') || harmful {
                return Err(());
            }
            Ok(Some(filter.replace("{%client%}", name)))
        }
        TopicMatch::Specific(filter) | TopicMatch::Pattern(filter) => Ok(Some(filter.clone())),
    }
}

fn fits_topic(rule: &Rule, name: &str, topic: &str) -> bool {
    match filter_for(&rule.topic, name) {
        Ok(None) => true,
        Ok(Some(filter)) => matches(&filter, topic),
        Err(()) => false,
    }
}

pub(super) fn judge(rules: &[Rule], name: &str, action: Action, topic: &str) -> Verdict {
    for (index, rule) in (0..).zip(rules) {
        if fits_client(&rule.client, name) && fits_topic(rule, name, topic) {
            return Verdict { allowed: rule.access.grants(action), rule: Some(RuleIndex(index)) };
        }
    }
    Verdict { allowed: false, rule: None }
}

/// Topics of up to four levels: more than a filter of the tests has, and with levels that none names; `name` stands
/// where placeholders may put it. The empty topic is among them, though nobody may send it: filters are compared as if
/// it were one, so that `/+/#` does not cover `/#`.
pub(super) fn universe(name: &str) -> Vec<String> {
    let named = [name.to_owned(), format!("x-{name}"), format!("{name}{name}"), format!("$s{name}")];
    let mut levels: Vec<String> =
        ["a", "b", "", "z", "$s", "$z"].into_iter().chain(NAMED).map(str::to_owned).collect();
    levels.extend(named.into_iter().filter(|level| !level.contains(['/', '+', '#', '\0'])));
    levels.sort();
    levels.dedup();
    let mut all = levels.clone();
    let mut longest = levels.clone();
    for depth in 1..4 {
        let last = if depth < 3 { &levels[..] } else { &levels[..2] };
        longest = longest
            .iter()
            .flat_map(|front| last.iter().map(move |level| format!("{front}/{level}")))
            .collect();
        all.extend_from_slice(&longest);
    }
    all
}

/// Levels that the filters of tests name, whoever the client is.
const NAMED: [&str; 2] = ["dev1", "x-dev1"];

/// What the decisions say of a subscription, by the topics that its filter matches.
pub(super) fn judge_filter(universe: &[String], rules: &[Rule], name: &str, filter: &str) -> FilterVerdict {
    let within: Vec<&String> = universe.iter().filter(|topic| matches(filter, topic)).collect();
    assert!(!within.is_empty(), "{filter} matches something");
    let mut judged_at_delivery = false;
    for (index, rule) in (0..).zip(rules) {
        if !fits_client(&rule.client, name) {
            continue;
        }
        let common = within.iter().filter(|topic| fits_topic(rule, name, topic)).count();
        let allowed = rule.access.grants(Action::Subscribe);
        if common == within.len() {
            let judged_at_delivery = allowed && judged_at_delivery;
            return FilterVerdict { allowed, rule: Some(RuleIndex(index)), judged_at_delivery };
        }
        judged_at_delivery |= common > 0 && !allowed;
    }
    FilterVerdict { allowed: false, rule: None, judged_at_delivery: false }
}
