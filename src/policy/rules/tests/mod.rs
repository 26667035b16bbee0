//! Rules by the source's words and the decisions; [`reference`] judges rule by rule and is what all else is held to.

use super::*;

mod against_reference;
mod clients;
mod explain;
mod lint;
mod problems;
mod reference;
mod table;

/// `"specific:a"`, `"pattern:a.*"`, `"all"`.
fn client_match(text: &str) -> ClientMatch {
    match text.split_once(':') {
        Some(("specific", name)) => ClientMatch::Specific(name.into()),
        Some(("pattern", pattern)) => ClientMatch::Pattern(pattern.into()),
        _ if text == "all" => ClientMatch::All,
        _ => panic!("{text}"),
    }
}

fn topic_match(text: &str) -> TopicMatch {
    match text.split_once(':') {
        Some(("specific", filter)) => TopicMatch::Specific(filter.into()),
        Some(("pattern", filter)) => TopicMatch::Pattern(filter.into()),
        _ if text == "all" => TopicMatch::All,
        _ => panic!("{text}"),
    }
}

fn rule(access: Access, client: &str, topic: &str) -> Rule {
    let name = format!("{access} {client} {topic}");
    Rule { name, access, client: client_match(client), topic: topic_match(topic) }
}

fn compiled(rules: &[(Access, &str, &str)]) -> Rules {
    let rules = rules.iter().map(|(access, client, topic)| rule(*access, client, topic)).collect();
    Rules::compile(rules).expect("nothing is wrong with them")
}

fn publishes(rules: &Rules, name: &str, topic: &str) -> bool {
    rules.judge(&rules.client(name), Action::Publish, topic).allowed
}

fn reads(rules: &Rules, name: &str, topic: &str) -> bool {
    rules.judge(&rules.client(name), Action::Subscribe, topic).allowed
}

fn subscribes(rules: &Rules, name: &str, filter: &str) -> bool {
    rules.judge_filter(&rules.client(name), filter).allowed
}

/// The rule that decided, counted from 1; 0: none.
fn decider(rule: Option<RuleIndex>) -> usize {
    rule.map_or(0, RuleIndex::position)
}
