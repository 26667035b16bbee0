//! What is odd about rules that are valid: such as never decide, and such as probably do not say what was meant.
//! A finding that a rule never decides is certain; there may be more such rules.

use std::collections::HashMap;
use std::fmt;

use super::Rules;
use super::check::misspelt;
use super::rule::{Access, Action, ClientMatch, Rule, RuleField, RuleIndex, TopicMatch};
use super::topic::{PLACEHOLDER, RuleTopic, is_name_usable};

/// Something odd about a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which rule.
    pub rule: RuleIndex,
    /// Its name.
    pub name: String,
    /// What it is.
    pub oddity: Oddity,
}

/// What may be odd about a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// This earlier rule matches every client and topic that it matches: it never decides.
    Shadowed(RuleIndex),
    /// It matches nothing.
    NeverMatches(String),
    /// What it grants is never of use.
    GrantsInVain(String),
    /// It probably does not say what was meant: where, why, and what may have been meant.
    Suspicious(RuleField, String),
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "rule {} \"{}\": {}", self.rule.position(), self.name.escape_debug(), self.oddity)
    }
}

impl fmt::Display for Oddity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Oddity::Shadowed(by) => {
                write!(out, "it never decides: rule {} matches all that it matches", by.position())
            }
            Oddity::NeverMatches(why) => write!(out, "it matches nothing: {why}"),
            Oddity::GrantsInVain(why) => out.write_str(why),
            Oddity::Suspicious(field, why) => write!(out, "{field}: {why}"),
        }
    }
}

impl Rules {
    /// Everything odd about the rules, in their order.
    pub fn lint(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        let earlier = Earlier::new(self);
        for (index, rule) in self.rules().iter().enumerate() {
            let mut add = |oddity| {
                found.push(Finding { rule: RuleIndex(index as u32), name: rule.name.clone(), oddity });
            };
            if let Some(why) = never_matches(rule, &self.compiled.topics[index]) {
                add(Oddity::NeverMatches(why));
            } else if let Some(by) = earlier.shadowing(index) {
                add(Oddity::Shadowed(RuleIndex(by)));
            }
            if let Some(why) = grants_in_vain(rule) {
                add(Oddity::GrantsInVain(why));
            }
            let suspicious =
                [(RuleField::Client, odd_client(&rule.client)), (RuleField::Topic, odd_topic(&rule.topic))];
            for (field, why) in suspicious {
                why.into_iter().for_each(|why| add(Oddity::Suspicious(field, why)));
            }
        }
        found
    }
}

/// Which rules are known to match every client that another one matches.
struct Earlier<'a> {
    rules: &'a Rules,
    /// Rules about all clients.
    all: Vec<u32>,
    /// Rules by their pattern.
    by_pattern: HashMap<&'a str, Vec<u32>>,
}

impl<'a> Earlier<'a> {
    fn new(rules: &'a Rules) -> Earlier<'a> {
        let mut earlier = Earlier { rules, all: Vec::new(), by_pattern: HashMap::new() };
        for (index, rule) in (0..).zip(rules.rules()) {
            match &rule.client {
                ClientMatch::All => earlier.all.push(index),
                ClientMatch::Specific(_) => {}
                ClientMatch::Pattern(pattern) => earlier.by_pattern.entry(pattern).or_default().push(index),
            }
        }
        earlier
    }

    /// The first rule before `index` that matches all that it matches.
    fn shadowing(&self, index: usize) -> Option<u32> {
        let (rule, topic) = (&self.rules.rules()[index], &self.rules.compiled.topics[index]);
        let covers = |by: &&u32| self.rules.compiled.topics[**by as usize].covers(topic);
        let first = |list: &[u32]| list.iter().take_while(|by| (**by as usize) < index).find(covers).copied();
        let of_all = first(&self.all);
        let of_own = match &rule.client {
            ClientMatch::All => None,
            ClientMatch::Pattern(pattern) => first(&self.by_pattern[&**pattern]),
            ClientMatch::Specific(name) => return self.shadowing_one(index, name),
        };
        of_all.into_iter().chain(of_own).min()
    }

    /// The same of a rule about one client: its name is known, and patterns can be asked.
    fn shadowing_one(&self, index: usize, name: &str) -> Option<u32> {
        let client = self.rules.client(name);
        let topics = &self.rules.compiled.topics;
        let expanded = topics[index].expanded(name);
        let covers = |by: &usize| match &expanded {
            None => topics[*by] == RuleTopic::Every,
            Some(filter) => {
                (client.usable_name().is_some() || !topics[*by].holds_name())
                    && topics[*by].relation(name, filter) == super::topic::Relation::Covers
            }
        };
        let fits =
            |by: &usize| self.rules.rules()[*by].client == ClientMatch::All || client.own().holds(*by as u32);
        (0..index).find(|by| fits(by) && covers(by)).map(|by| by as u32)
    }
}

fn never_matches(rule: &Rule, topic: &RuleTopic) -> Option<String> {
    match &rule.client {
        ClientMatch::Specific(name) if name.contains('\0') => Some("no client's name holds U+0000".into()),
        ClientMatch::Specific(name) if topic.holds_name() && !is_name_usable(name) => {
            Some(format!("the name {} cannot stand for {PLACEHOLDER}", name.escape_debug()))
        }
        _ => None,
    }
}

fn grants_in_vain(rule: &Rule) -> Option<String> {
    let (TopicMatch::Specific(topic) | TopicMatch::Pattern(topic)) = &rule.topic else { return None };
    let is_system = topic == "$SYS" || topic.starts_with("$SYS/");
    (is_system && rule.access.grants(Action::Publish)).then(|| {
        let instead = if rule.access == Access::Write { "remove it" } else { "Read says the same" };
        format!("it grants writing below $SYS, which no client may: {instead}")
    })
}

fn odd_client(client: &ClientMatch) -> Option<String> {
    const SYNTAX: &[char] = &['\\', '.', '+', '*', '?', '(', ')', '|', '[', ']', '{', '}', '^', '$'];
    match client {
        ClientMatch::Specific(name) if name.trim() != name => {
            Some("the name begins or ends with a space".into())
        }
        ClientMatch::Specific(name) if name.ends_with(".*") => {
            Some("this is one name and no pattern: Client Match may have been meant to be Pattern".into())
        }
        ClientMatch::All | ClientMatch::Specific(_) => None,
        ClientMatch::Pattern(pattern) if !pattern.contains(SYNTAX) => {
            Some("the pattern matches this one name only: Client Match Specific says so".into())
        }
        ClientMatch::Pattern(pattern) => {
            // `dev*` is `de`, `dev`, `devv`.
            let front = pattern.strip_suffix('*')?;
            let is_glob = !front.contains(SYNTAX) && !front.is_empty();
            is_glob.then(|| {
                let escaped = front.escape_debug();
                format!("{escaped}* repeats its last character: {escaped}.* matches names that begin with {escaped}")
            })
        }
    }
}

fn odd_topic(topic: &TopicMatch) -> Option<String> {
    match topic {
        TopicMatch::All => None,
        TopicMatch::Specific(text) => misspelt(text).map(|found| {
            let found = found.escape_debug();
            format!(
                "{found} stands for itself here: with Topic Match Pattern, {PLACEHOLDER} is the client's name"
            )
        }),
        TopicMatch::Pattern(text) => {
            let foreign = text.split('/').find(|level| matches!(*level, "%c" | "%u" | "${username}"));
            foreign.map(|found| format!("{found} stands for itself here: {PLACEHOLDER} is the client's name"))
        }
    }
}
