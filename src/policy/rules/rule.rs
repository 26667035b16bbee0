//! A rule as the operator writes it: data, nothing is judged here.

use std::fmt;

/// What a client wants to do with a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Take messages: a subscription, and each message that is delivered to it.
    Subscribe,
    /// Give one.
    Publish,
}

impl fmt::Display for Action {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Action::Subscribe => "subscribe",
            Action::Publish => "publish",
        })
    }
}

/// "Topic Access": what a rule grants if it decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Nothing.
    Deny,
    /// To subscribe.
    Read,
    /// To publish.
    Write,
    /// Both.
    ReadWrite,
}

impl Access {
    /// Whether a rule with this access, once it decides, lets a client act.
    #[inline]
    pub fn grants(self, action: Action) -> bool {
        match action {
            Action::Subscribe => matches!(self, Access::Read | Access::ReadWrite),
            Action::Publish => matches!(self, Access::Write | Access::ReadWrite),
        }
    }
}

/// As the settings name it.
impl fmt::Display for Access {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Access::Deny => "Deny",
            Access::Read => "Read",
            Access::Write => "Write",
            Access::ReadWrite => "Read / Write",
        })
    }
}

/// "Client Match" with its "Client".
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ClientMatch {
    /// Any client, also one without a name.
    All,
    /// The client with exactly this name.
    Specific(String),
    /// Clients of which the whole name matches this regular expression.
    Pattern(String),
}

/// "Topic Match" with its "Topic".
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TopicMatch {
    /// Any topic, also those that begin with `$`.
    All,
    /// Topics that this MQTT filter matches.
    Specific(String),
    /// The same after `{%client%}` in the filter was replaced by the client's name.
    Pattern(String),
}

/// A topic access rule. It matches by client and topic; the first that matches decides by its access alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// For people; two rules may have the same.
    pub name: String,
    /// What it grants.
    pub access: Access,
    /// Whom it is about.
    pub client: ClientMatch,
    /// Which topics it is about.
    pub topic: TopicMatch,
}

/// A rule's place in the order, from 0. People are told its position, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleIndex(pub u32);

impl RuleIndex {
    /// The place as people count, from 1.
    pub fn position(self) -> usize {
        self.0 as usize + 1
    }
}

/// Where a rule is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleField {
    /// "Client".
    Client,
    /// "Topic".
    Topic,
}

impl fmt::Display for RuleField {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            RuleField::Client => "Client",
            RuleField::Topic => "Topic",
        })
    }
}

/// One thing that is wrong with a rule, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleProblem {
    /// Which rule.
    pub index: RuleIndex,
    /// Its name.
    pub name: String,
    /// Which of its fields.
    pub field: RuleField,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for RuleProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RuleProblem { index, name, field, what, remedy } = self;
        write!(out, "rule {} \"{}\", {field}: {what}; {remedy}", index.position(), name.escape_debug())
    }
}

impl std::error::Error for RuleProblem {}
