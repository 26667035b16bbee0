//! What is pending, what was applied, and the way back.

use std::cmp::Reverse;

use askama::Template;

use super::form::FieldProblem;
use super::list::List;
use super::shell::{Page, Shell};
use crate::control::console::text::Foreign;

/// What is pending.
#[derive(Template)]
#[template(path = "changes.html")]
pub(crate) struct ChangesPage {
    pub(crate) shell: Shell,
    pub(crate) problems: Vec<FieldProblem>,
    pub(crate) changes: Vec<Change>,
    /// What they come to: `3 changes: 2 live, 1 for new connections`.
    pub(crate) summary: String,
}

/// A field that differs.
pub(crate) struct Change {
    pub(crate) path: Foreign,
    pub(crate) before: Option<Foreign>,
    pub(crate) after: Option<Foreign>,
    /// When it takes effect.
    pub(crate) effect: Foreign,
    /// Whom it disturbs, and what else it comes to.
    pub(crate) notes: Vec<Foreign>,
    pub(crate) weight: Weight,
}

/// How much a change disturbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    /// Nobody notices.
    Light,
    /// Connections made from then on.
    Later,
    /// Somebody is disconnected, or a restart is needed.
    Heavy,
}

/// More changes than a table shows stand in the order of how much they disturb.
pub(crate) fn fit_to_be_shown(mut changes: Vec<Change>) -> Vec<Change> {
    // As many as `change_table.html` takes.
    if changes.len() > 500 {
        changes.sort_by_key(|change| Reverse(change.weight));
    }
    changes
}

impl Change {
    fn class(&self) -> &'static str {
        match self.weight {
            Weight::Light => "good",
            Weight::Later => "accent",
            Weight::Heavy => "warning",
        }
    }
}

/// What was applied.
#[derive(Template)]
#[template(path = "history.html")]
pub(crate) struct HistoryPage {
    pub(crate) shell: Shell,
    pub(crate) list: List,
    pub(crate) generations: Vec<Generation>,
}

/// One of it.
#[derive(Template)]
#[template(path = "generation.html")]
pub(crate) struct GenerationPage {
    pub(crate) shell: Shell,
    pub(crate) generation: Generation,
    /// What it changed.
    pub(crate) changes: Vec<Change>,
    /// What rolling back to it would change; nothing: it is the one that is applied.
    pub(crate) since: Option<Vec<Change>>,
    /// What it would bring back: revoked certificates, removed users, old passwords.
    pub(crate) revives: Vec<Foreign>,
}

/// An applied configuration.
pub(crate) struct Generation {
    pub(crate) number: u64,
    /// Nothing: nobody knows.
    pub(crate) when: Option<Foreign>,
    pub(crate) author: Foreign,
    pub(crate) comment: Foreign,
    pub(crate) changes: u64,
    pub(crate) current: bool,
    pub(crate) trial: bool,
}
