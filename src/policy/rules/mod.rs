//! Topic access rules, compiled: who may publish and subscribe to what. Knows names and topics, no certificates and no
//! sessions.
//!
//! The first rule that matches by client and topic decides, by its access alone; if none matches, access is refused.
//! A client's rules are resolved once per connection and generation ([`Rules::client`]); judging a topic is then a
//! walk down one trie of all rules' topics, which allocates nothing.

mod check;
mod clients;
mod explain;
mod lint;
mod places;
mod rule;
mod topic;
mod trie;
mod walk;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::mqtt::topic::parse_shared;
use clients::Clients;
use places::{Entry, NO_RULE, PlaceId};
use topic::RuleTopic;
use trie::Trie;
use walk::Walk;

pub use clients::ClientRules;
pub use explain::{Decided, Explanation, Passed, WhyNot};
pub use lint::{Finding, Oddity};
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

#[derive(Debug)]
struct Compiled {
    rules: Vec<Rule>,
    /// Of the rules: see [`Rules::digest`].
    digest: u64,
    /// What each grants: in a row, as judging reads nothing else of a rule.
    access: Vec<Access>,
    topics: Vec<RuleTopic>,
    /// Where each rule's topic stands in the trie.
    places: Vec<PlaceId>,
    trie: Trie,
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
        let problem = |(index, (field, what, remedy)): (RuleIndex, check::Fault)| RuleProblem {
            index,
            name: rules[index.0 as usize].name.clone(),
            field,
            what,
            remedy,
        };
        let problems: Vec<RuleProblem> = check::faults(&rules).map(problem).collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        let clients = Clients::new(&rules).map_err(|index| {
            let limit = clients::PATTERNS_BYTES >> 20;
            let what = format!("all regular expressions together take more than {limit} MiB when compiled");
            let remedy = "use fewer or simpler ones, or (?-u) where ASCII suffices".to_owned();
            vec![problem((index, (RuleField::Client, what, remedy)))]
        })?;
        let topics: Vec<RuleTopic> = rules.iter().map(|rule| RuleTopic::new(&rule.topic)).collect();
        let entries = (0..).zip(&rules).map(|(index, rule)| Entry {
            rule: index,
            is_for_all: rule.client == ClientMatch::All,
            grants_reading: rule.access.grants(Action::Subscribe),
        });
        let (trie, places) = Trie::new(topics.iter().zip(entries));
        let access = rules.iter().map(|rule| rule.access).collect();
        let mut hasher = DefaultHasher::new();
        rules.hash(&mut hasher);
        let digest = hasher.finish();
        Ok(Rules { compiled: Arc::new(Compiled { rules, digest, access, topics, places, trie }), clients })
    }

    /// The same for the same rules in the same order; for others another.
    pub fn digest(&self) -> u64 {
        self.compiled.digest
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

    /// Judges a publish, or the reading of a message at its delivery, by the topic's name.
    pub fn judge(&self, client: &ClientRules, action: Action, topic: &str) -> Verdict {
        let first = Walk::new(&self.compiled.trie, client, topic).first_match();
        match self.compiled.access.get(first as usize) {
            Some(access) => Verdict { allowed: access.grants(action), rule: Some(RuleIndex(first)) },
            None => Verdict { allowed: false, rule: None },
        }
    }

    /// Judges a subscription by its valid filter; one that is shared (`$share/g/f`) by the filter behind its share
    /// name.
    pub fn judge_filter(&self, client: &ClientRules, filter: &str) -> FilterVerdict {
        let refused = |rule| FilterVerdict { allowed: false, rule, judged_at_delivery: false };
        let filter = match parse_shared(filter) {
            None => filter,
            Some(Ok(shared)) => shared.filter,
            Some(Err(())) => return refused(None),
        };
        let walk = Walk::new(&self.compiled.trie, client, filter);
        let first = walk.first_covering();
        if first == NO_RULE {
            return refused(None);
        }
        let rule = Some(RuleIndex(first));
        let grants_reading = |rule: u32| self.compiled.access[rule as usize].grants(Action::Subscribe);
        if !grants_reading(first) {
            return refused(rule);
        }
        let judged_at_delivery = walk.is_refused_in_part(first, &grants_reading);
        FilterVerdict { allowed: true, rule, judged_at_delivery }
    }
}

#[cfg(test)]
mod tests;
