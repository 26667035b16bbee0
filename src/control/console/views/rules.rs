//! Topic Access Rules: the rules in their order, what was found out about them, and the test that is always in sight.

use askama::Template;

use super::form::Form;
use super::shell::{Page, Shell};
use crate::control::console::text::Foreign;

/// The page.
#[derive(Template)]
#[template(path = "topic_access_rules.html")]
pub(crate) struct RulesPage {
    /// What stands around it.
    pub(crate) shell: Shell,
    /// What holds for all rules.
    pub(crate) form: Form,
    /// What to know before anything else, such as that nobody can publish.
    pub(crate) banners: Vec<Foreign>,
    /// What was counted, and what was not; empty: nothing.
    pub(crate) counted: String,
    /// The rules of the draft.
    pub(crate) rules: Vec<RuleRow>,
    /// The form for a new one, as it was typed.
    pub(crate) blank: Editor,
    /// The test.
    pub(crate) test: Test,
    /// The tests that guard Apply.
    pub(crate) tests: Vec<KeptTest>,
}

/// A test that guards Apply.
pub(crate) struct KeptTest {
    pub(crate) name: Foreign,
    /// `device1 may publish to /device1/temperature`
    pub(crate) said: Foreign,
    /// It comes out as expected, by the draft.
    pub(crate) passes: bool,
    /// Where it is tried.
    pub(crate) url: String,
}

impl KeptTest {
    fn outcome(&self) -> &'static str {
        if self.passes { "passes" } else { "fails" }
    }

    fn class(&self) -> &'static str {
        if self.passes { "good" } else { "bad" }
    }
}

/// One rule.
pub(crate) struct RuleRow {
    /// Its place, from 0.
    pub(crate) index: usize,
    /// It is the last.
    pub(crate) last: bool,
    /// What people call it.
    pub(crate) name: Foreign,
    /// What it grants.
    pub(crate) access: Access,
    /// Whom it is about.
    pub(crate) client: Matching,
    /// What it is about.
    pub(crate) topic: Matching,
    /// What was found out about it, such as that another one hides it.
    pub(crate) findings: Vec<Foreign>,
    /// How often it has decided; `None`: it is not in force, or no rule is.
    pub(crate) hits: Option<String>,
    /// It is not applied as it is.
    pub(crate) changed: bool,
    /// Its form is shown.
    pub(crate) open: bool,
    /// What is wrong with what was typed.
    pub(crate) problems: Vec<Foreign>,
}

/// What a rule grants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Access {
    Deny,
    Read,
    Write,
    #[default]
    ReadWrite,
}

/// How a rule finds clients or topics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    All,
    Specific,
    Pattern,
}

/// How a rule finds clients or topics, and what by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Matching {
    /// `client` or `topic`.
    pub(crate) what: &'static str,
    /// How.
    pub(crate) kind: Kind,
    /// What by; empty for [`Kind::All`].
    pub(crate) text: Foreign,
}

const ACCESSES: [Access; 4] = [Access::Deny, Access::Read, Access::Write, Access::ReadWrite];
const KINDS: [Kind; 3] = [Kind::All, Kind::Specific, Kind::Pattern];

impl Access {
    /// As the configuration writes it; an unknown word is the one that grants nothing.
    pub(crate) fn keyed(key: &str) -> Access {
        ACCESSES.into_iter().find(|access| access.key() == key).unwrap_or(Access::Deny)
    }

    fn key(&self) -> &'static str {
        match self {
            Access::Deny => "deny",
            Access::Read => "read",
            Access::Write => "write",
            Access::ReadWrite => "read-write",
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Access::Deny => "Deny",
            Access::Read => "Read",
            Access::Write => "Write",
            Access::ReadWrite => "Read / Write",
        }
    }
}

impl Kind {
    /// As the configuration writes it.
    pub(crate) fn keyed(key: &str) -> Kind {
        KINDS.into_iter().find(|kind| kind.key() == key).unwrap_or_default()
    }

    fn key(&self) -> &'static str {
        match self {
            Kind::All => "all",
            Kind::Specific => "specific",
            Kind::Pattern => "pattern",
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Kind::All => "All",
            Kind::Specific => "Specific",
            Kind::Pattern => "Pattern",
        }
    }
}

impl Matching {
    fn said(&self) -> &'static str {
        match (self.what, self.kind) {
            ("client", Kind::All) => "all clients",
            ("client", Kind::Specific) => "client",
            ("client", Kind::Pattern) => "clients like",
            (_, Kind::All) => "all topics",
            (_, Kind::Specific) => "topic",
            (_, Kind::Pattern) => "topics like",
        }
    }

    fn value(&self) -> Option<&Foreign> {
        (self.kind != Kind::All).then_some(&self.text)
    }
}

impl RuleRow {
    fn position(&self) -> usize {
        self.index + 1
    }

    fn first(&self) -> bool {
        self.index == 0
    }

    fn up(&self) -> usize {
        self.index.saturating_sub(1)
    }

    fn down(&self) -> usize {
        self.index + 1
    }

    fn editor(&self) -> Editor {
        Editor {
            index: Some(self.index),
            name: self.name.clone(),
            access: self.access,
            client: self.client.clone(),
            topic: self.topic.clone(),
            problems: self.problems.clone(),
        }
    }
}

/// The form of a rule.
#[derive(Clone, Default)]
pub(crate) struct Editor {
    /// Which rule; nothing: a new one.
    pub(crate) index: Option<usize>,
    pub(crate) name: Foreign,
    pub(crate) access: Access,
    pub(crate) client: Matching,
    pub(crate) topic: Matching,
    /// What is wrong with what was typed.
    pub(crate) problems: Vec<Foreign>,
}

impl Editor {
    fn action(&self) -> &'static str {
        if self.index.is_some() {
            "/configuration/topic-access-rules/edit"
        } else {
            "/configuration/topic-access-rules/add"
        }
    }

    fn accesses(&self) -> &'static [Access] {
        &ACCESSES
    }

    fn kinds(&self) -> &'static [Kind] {
        &KINDS
    }
}

/// The test: what was asked, and the answers.
#[derive(Default)]
pub(crate) struct Test {
    pub(crate) client: Foreign,
    pub(crate) action: Action,
    pub(crate) topic: Foreign,
    /// By the draft; nothing: nothing was asked.
    pub(crate) draft: Option<Answer>,
    /// By what is applied, if that is not the same.
    pub(crate) applied: Option<Answer>,
}

/// What a client wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Action {
    #[default]
    Publish,
    Subscribe,
}

impl Action {
    /// As the configuration writes it.
    pub(crate) fn key(&self) -> &'static str {
        match self {
            Action::Publish => "publish",
            Action::Subscribe => "subscribe",
        }
    }
}

impl Test {
    fn publish(&self) -> bool {
        self.action == Action::Publish
    }
}

/// A verdict with its reasons.
pub(crate) struct Answer {
    pub(crate) allowed: bool,
    /// The place of the rule that decided, from 0.
    pub(crate) rule: Option<usize>,
    /// Which rule decided, with its topic as it came out.
    pub(crate) decided: Foreign,
    /// Why the rules before it did not, a line each.
    pub(crate) passed: Vec<Foreign>,
    /// What else to know, such as that rules do not apply.
    pub(crate) notes: Vec<Foreign>,
}

impl Answer {
    fn class(&self) -> &'static str {
        if self.allowed { "allowed" } else { "refused" }
    }

    fn answer(&self) -> &'static str {
        if self.allowed { "ALLOWED" } else { "REFUSED" }
    }
}
