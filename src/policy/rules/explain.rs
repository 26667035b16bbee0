//! Why a client may or may not act: the judge's verdict, the rule that decided, and why every earlier one did not.
//! It never judges by itself. Text from outside is escaped where it is shown.

use std::fmt;

use super::rule::{Access, Action, ClientMatch, RuleIndex, TopicMatch};
use super::topic::Relation;
use super::{ClientRules, Rules};
use crate::mqtt::topic::{check_name, is_valid_filter, parse_shared};

/// A verdict and its reasons. All texts are as they came, some from outside: escape them where they are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The client's name; empty: it has none.
    pub client: String,
    /// What it wants to do.
    pub action: Action,
    /// The topic name, or the filter to subscribe with, as asked.
    pub topic: String,
    /// Whether it may.
    pub allowed: bool,
    /// It may subscribe, and each message is then judged by its own topic.
    pub judged_at_delivery: bool,
    /// What is wrong with the topic: it is refused, whatever the rules say.
    pub fault: Option<String>,
    /// The rule that decided; `None`: none matches.
    pub decided: Option<Decided>,
    /// Every rule before that, or every rule, and why it did not decide.
    pub passed: Vec<Passed>,
}

/// The rule that decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// Which it is.
    pub rule: RuleIndex,
    /// Its name.
    pub name: String,
    /// What it grants.
    pub access: Access,
    /// Its topic as written; `None`: All.
    pub topic: Option<String>,
    /// The same with the client's name in it, if that changes it.
    pub expanded: Option<String>,
}

/// A rule that did not decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Which it is.
    pub rule: RuleIndex,
    /// Its name.
    pub name: String,
    /// Why.
    pub why: WhyNot,
}

/// Why a rule did not decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyNot {
    /// It is about other clients: the match that failed.
    Client(ClientMatch),
    /// It is about other topics: the filter, with the client's name in it.
    Topic(String),
    /// Its topic, as written, holds the placeholder, and the client's name cannot stand in a topic.
    NameUnfit(String),
    /// It matches some of the topics of the subscription and not all: the filter, with the client's name in it.
    Overlaps {
        /// The filter.
        filter: String,
        /// It does not grant reading: each message is judged by its own topic.
        refuses_reading: bool,
    },
}

fn text(topic: &TopicMatch) -> Option<&str> {
    match topic {
        TopicMatch::All => None,
        TopicMatch::Specific(text) | TopicMatch::Pattern(text) => Some(text),
    }
}

/// What is wrong with a topic that somebody asks about; clients cannot come so far with it.
fn fault(action: Action, topic: &str) -> Option<String> {
    match action {
        Action::Publish if check_name(topic).is_err() => {
            Some("not a topic name: it is empty or too long, or holds +, # or U+0000".into())
        }
        Action::Subscribe if !is_valid_filter(topic) => {
            Some("not a topic filter: + stands alone between slashes, # alone at the end".into())
        }
        _ => None,
    }
}

impl Rules {
    /// Judges a client's publish by a topic name, or its subscription by a filter, and says why.
    pub fn explain(&self, client_name: &str, action: Action, topic: &str) -> Explanation {
        let client = self.client(client_name);
        let mut explanation = Explanation {
            client: client_name.to_owned(),
            action,
            topic: topic.to_owned(),
            allowed: false,
            judged_at_delivery: false,
            fault: fault(action, topic),
            decided: None,
            passed: Vec::new(),
        };
        if explanation.fault.is_some() {
            return explanation;
        }
        let decider = match action {
            Action::Publish => {
                let verdict = self.judge(&client, action, topic);
                explanation.allowed = verdict.allowed;
                verdict.rule
            }
            Action::Subscribe => {
                let verdict = self.judge_filter(&client, topic);
                explanation.allowed = verdict.allowed;
                explanation.judged_at_delivery = verdict.judged_at_delivery;
                verdict.rule
            }
        };
        explanation.decided = decider.map(|rule| self.decided(&client, rule));
        let passed = decider.map_or(self.rules().len() as u32, |rule| rule.0);
        explanation.passed = (0..passed)
            .map(RuleIndex)
            .map(|rule| Passed {
                rule,
                name: self.rules()[rule.0 as usize].name.clone(),
                why: self.why_not(&client, rule, action, topic),
            })
            .collect();
        explanation
    }

    fn decided(&self, client: &ClientRules, rule: RuleIndex) -> Decided {
        let (written, compiled) = (&self.rules()[rule.0 as usize], &self.compiled.topics[rule.0 as usize]);
        Decided {
            rule,
            name: written.name.clone(),
            access: written.access,
            topic: text(&written.topic).map(str::to_owned),
            expanded: compiled.holds_name().then(|| compiled.expanded(client.name())).flatten(),
        }
    }

    /// Why a rule that the judge passed over did not decide: by the same comparison of levels.
    fn why_not(&self, client: &ClientRules, rule: RuleIndex, action: Action, topic: &str) -> WhyNot {
        let (written, compiled) = (&self.rules()[rule.0 as usize], &self.compiled.topics[rule.0 as usize]);
        if written.client != ClientMatch::All && !client.own().holds(rule.0) {
            return WhyNot::Client(written.client.clone());
        }
        if compiled.holds_name() && client.usable_name().is_none() {
            return WhyNot::NameUnfit(text(&written.topic).unwrap_or_default().to_owned());
        }
        let filter = compiled.expanded(client.name()).unwrap_or_default();
        let subscribed = match parse_shared(topic) {
            Some(Ok(shared)) => shared.filter,
            _ => topic,
        };
        match action {
            Action::Subscribe if compiled.relation(client.name(), subscribed) == Relation::Overlaps => {
                let refuses_reading = !written.access.grants(Action::Subscribe);
                WhyNot::Overlaps { filter, refuses_reading }
            }
            _ => WhyNot::Topic(filter),
        }
    }
}

/// For people: the verdict, and a line for each rule that did not decide.
impl fmt::Display for Explanation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.allowed { "ALLOWED" } else { "REFUSED" };
        match (&self.fault, &self.decided) {
            (Some(fault), _) => write!(out, "{verdict}: `{}` is {fault}", self.topic.escape_debug())?,
            (None, None) => write!(out, "{verdict}: no rule matches")?,
            (None, Some(decided)) => write!(out, "{verdict} by {decided}")?,
        }
        if self.judged_at_delivery {
            write!(out, "; each message is judged by its own topic")?;
        }
        for Passed { rule, name, why } in &self.passed {
            write!(out, "\n  rule {} \"{}\": {why}", rule.position(), name.escape_debug())?;
        }
        Ok(())
    }
}

impl fmt::Display for Decided {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Decided { rule, name, access, topic, expanded } = self;
        write!(out, "rule {} \"{}\" ({access}): ", rule.position(), name.escape_debug())?;
        match topic {
            None => write!(out, "any topic")?,
            Some(topic) => write!(out, "{}", topic.escape_debug())?,
        }
        match expanded {
            None => Ok(()),
            Some(expanded) => write!(out, " = {}", expanded.escape_debug()),
        }
    }
}

impl fmt::Display for WhyNot {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WhyNot::Client(ClientMatch::All) => write!(out, "client does not match"),
            WhyNot::Client(ClientMatch::Specific(name)) => {
                write!(out, "client does not match (it is not {})", name.escape_debug())
            }
            WhyNot::Client(ClientMatch::Pattern(pattern)) => {
                write!(
                    out,
                    "client does not match (its whole name does not match {})",
                    pattern.escape_debug()
                )
            }
            WhyNot::Topic(filter) => write!(out, "topic does not match ({})", filter.escape_debug()),
            WhyNot::NameUnfit(topic) => write!(
                out,
                "topic does not match (the client's name cannot stand in {})",
                topic.escape_debug()
            ),
            WhyNot::Overlaps { filter, refuses_reading } => {
                write!(out, "topic overlaps but does not cover ({})", filter.escape_debug())?;
                if *refuses_reading { write!(out, ": judged at each message") } else { Ok(()) }
            }
        }
    }
}
