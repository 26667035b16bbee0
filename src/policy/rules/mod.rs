//! Topic access rules, compiled: who may publish and subscribe to what. Knows names and topics, no certificates and no
//! sessions.
//!
//! The first rule that matches by client and topic decides, by its access alone; if none matches, access is refused.
//! A client's rules are resolved once per connection and generation ([`Rules::client`]); judging a topic is then a
//! walk down one trie of all rules' topics, which allocates nothing.

mod check;
mod clients;
mod rule;
mod topic;

use std::sync::Arc;

use crate::mqtt::topic::parse_shared;
use clients::Clients;
use topic::{Relation, RuleTopic};

pub use clients::ClientRules;
pub use rule::{Access, Action, ClientMatch, Rule, RuleField, RuleIndex, RuleProblem, TopicMatch};

/// What a topic name was judged to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The client may act.
    pub allowed: bool,
    /// The rule that decided; `None`: none matches.
    pub rule: Option<RuleIndex>,
}

/// What a subscription's filter was judged to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterVerdict {
    /// The client may subscribe.
    pub allowed: bool,
    /// The rule that decided: the first that covers the filter; `None`: none does.
    pub rule: Option<RuleIndex>,
    /// The client may subscribe, but an earlier rule that does not grant reading overlaps the filter: each message is
    /// to be judged by its own topic.
    pub judged_at_delivery: bool,
}

/// Rules, compiled and immutable. A clone shares everything but the working memory of regular expressions: a shard has
/// its own, so that they do not contend.
#[derive(Clone, Debug)]
pub struct Rules {
    compiled: Arc<Compiled>,
    clients: Clients,
}

#[derive(Debug, Default)]
struct Compiled {
    rules: Vec<Rule>,
    topics: Vec<RuleTopic>,
    places: Vec<u32>,
}

/// No rules: everything is refused.
impl Default for Rules {
    fn default() -> Rules {
        Rules::compile(Vec::new()).expect("no rule is wrong")
    }
}

impl Rules {
    /// Checks and compiles rules.
    ///
    /// # Errors
    /// Everything that is wrong with any of them.
    pub fn compile(rules: Vec<Rule>) -> Result<Rules, Vec<RuleProblem>> {
        let mut problems = Vec::new();
        for (index, rule) in (0..).map(RuleIndex).zip(&rules) {
            let found = check::faults(rule).into_iter();
            problems.extend(found.map(|(field, what, remedy)| RuleProblem {
                index,
                name: rule.name.clone(),
                field,
                what,
                remedy,
            }));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let clients = Clients::new(&rules).map_err(|index| {
            vec![RuleProblem {
                index,
                name: rules[index.0 as usize].name.clone(),
                field: RuleField::Client,
                what: format!(
                    "all regular expressions together take more than {} MiB when compiled",
                    clients::PATTERNS_BYTES >> 20
                ),
                remedy: "use fewer or simpler ones, or (?-u) where ASCII suffices".into(),
            }]
        })?;
        let topics: Vec<RuleTopic> = rules.iter().map(|rule| RuleTopic::new(&rule.topic)).collect();
        let places = (0..).take(rules.len()).collect();
        Ok(Rules { compiled: Arc::new(Compiled { rules, topics, places }), clients })
    }

    /// As they were given.
    pub fn rules(&self) -> &[Rule] {
        &self.compiled.rules
    }

    /// Whether some rule cannot be judged without a client name.
    pub fn needs_names(&self) -> bool {
        let topics = self.compiled.topics.iter();
        self.rules().iter().any(|rule| rule.client != ClientMatch::All)
            || topics.into_iter().any(RuleTopic::holds_name)
    }

    /// The rules of the client with this name, empty if it has none. Kept with its connection.
    pub fn client(&self, name: &str) -> ClientRules {
        self.clients.resolve(name, &self.compiled.places)
    }

    fn fits(&self, client: &ClientRules, index: usize) -> bool {
        self.compiled.rules[index].client == ClientMatch::All || client.own().holds(index as u32)
    }

    fn may_stand(&self, client: &ClientRules, index: usize) -> bool {
        client.usable_name().is_some() || !self.compiled.topics[index].holds_name()
    }

    /// Judges a publish, or the reading of a message at its delivery, by the topic's name.
    pub fn judge(&self, client: &ClientRules, action: Action, topic: &str) -> Verdict {
        let decides = |index: &usize| {
            self.fits(client, *index)
                && self.may_stand(client, *index)
                && self.compiled.topics[*index].matches(client.name(), topic)
        };
        match (0..self.compiled.rules.len()).find(decides) {
            None => Verdict { allowed: false, rule: None },
            Some(index) => Verdict {
                allowed: self.compiled.rules[index].access.grants(action),
                rule: Some(RuleIndex(index as u32)),
            },
        }
    }

    /// Judges a subscription by its valid filter; one that is shared (`$share/g/f`) by the filter behind its share
    /// name.
    pub fn judge_filter(&self, client: &ClientRules, filter: &str) -> FilterVerdict {
        let filter = match parse_shared(filter) {
            None => filter,
            Some(Ok(shared)) => shared.filter,
            Some(Err(())) => return FilterVerdict { allowed: false, rule: None, judged_at_delivery: false },
        };
        let mut judged_at_delivery = false;
        for (index, rule) in self.compiled.rules.iter().enumerate() {
            if !self.fits(client, index) || !self.may_stand(client, index) {
                continue;
            }
            let grants = rule.access.grants(Action::Subscribe);
            match self.compiled.topics[index].relation(client.name(), filter) {
                Relation::Apart => {}
                Relation::Overlaps => judged_at_delivery |= !grants,
                Relation::Covers => {
                    return FilterVerdict {
                        allowed: grants,
                        rule: Some(RuleIndex(index as u32)),
                        judged_at_delivery: grants && judged_at_delivery,
                    };
                }
            }
        }
        FilterVerdict { allowed: false, rule: None, judged_at_delivery: false }
    }
}
