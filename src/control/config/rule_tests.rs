//! Tests of the topic rules that the configuration holds: what must come true of them, or nothing is applied. They are
//! judged by the rules' own judge alone.

use super::access::{self, Once};
use super::{Config, Problem};
use crate::control::read::Section;
use crate::policy::Rules;
use crate::policy::rules::Action;

/// Here and below it the broker alone publishes.
const SYSTEM: &str = "$SYS";

/// What must come true of the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleTest {
    /// What people call it.
    pub name: String,
    /// The client's name; empty: it has none.
    pub client: String,
    /// What it wants to do.
    pub action: Action,
    /// The topic name, or the filter that it subscribes with.
    pub topic: String,
    /// Whether it may.
    pub expect: Expected,
}

/// What is to become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It may.
    Allowed,
    /// It may not.
    Refused,
}

/// How the file writes each of them.
pub(in crate::control) const ACTIONS: &[(&str, Action)] =
    &[("publish", Action::Publish), ("subscribe", Action::Subscribe)];
pub(in crate::control) const EXPECTED: &[(&str, Expected)] =
    &[("allowed", Expected::Allowed), ("refused", Expected::Refused)];

pub(super) fn read(sections: Vec<Section<'_>>, problems: &mut Vec<Problem>) -> Vec<RuleTest> {
    let mut names = Once::new("rule_test");
    let mut tests = Vec::new();
    for (index, mut s) in sections.into_iter().enumerate() {
        let name = access::name(&mut s, &mut names, index);
        let client = s.text("client").to_owned();
        let action = s.required("action", ACTIONS);
        let topic = s.string("topic").map(str::to_owned);
        if topic.is_none() && !s.has("topic") {
            s.report("topic", "is missing".into(), "write the topic that the test is about".into());
        }
        let expect = s.required("expect", EXPECTED);
        problems.extend(s.finish());
        let all = name.zip(action).zip(topic).zip(expect);
        tests.extend(all.map(|(((name, action), topic), expect)| RuleTest {
            name,
            client,
            action,
            topic,
            expect,
        }));
    }
    tests
}

/// What the rules say, and whether the client may.
pub(in crate::control) fn verdict(
    rules: &Rules,
    client: &str,
    action: Action,
    topic: &str,
) -> (bool, String) {
    if action == Action::Publish && topic.split('/').next() == Some(SYSTEM) {
        return (false, format!("REFUSED: clients never publish to {SYSTEM}, whatever the rules say"));
    }
    let explanation = rules.explain(client, action, topic);
    (explanation.allowed, explanation.to_string())
}

/// Runs the tests of a valid configuration: those that fail, each with what the rules say.
pub(in crate::control) fn failed(config: &Config) -> Vec<Problem> {
    if config.rule_tests.is_empty() {
        return Vec::new();
    }
    let rules =
        Rules::compile(config.rules.clone()).expect("a valid configuration has no rule that is wrong");
    let failing = |(index, test): (usize, &RuleTest)| {
        let (allowed, explanation) = verdict(&rules, &test.client, test.action, &test.topic);
        let expected = test.expect == Expected::Allowed;
        (allowed != expected).then(|| Problem {
            path: format!("rule_test[{index}]"),
            line: None,
            what: format!("{:?} expects the opposite of what the rules say: {explanation}", test.name),
            remedy: "correct the rules, or what the test expects".into(),
        })
    };
    config.rule_tests.iter().enumerate().filter_map(failing).collect()
}
