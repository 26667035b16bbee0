//! What is pending, what was applied, and the way back.

use askama::Template;

use super::form::FieldProblem;
use super::list::List;
use super::shell::{Page, Shell};
use crate::control::console::text::{Foreign, Moment};

/// What is pending.
#[derive(Template)]
#[template(path = "changes.html")]
pub struct ChangesPage {
    pub shell: Shell,
    pub problems: Vec<FieldProblem>,
    pub changes: Vec<Change>,
    /// What they come to: `3 changes: 2 live, 1 for new connections`.
    pub summary: String,
}

/// A field that differs.
pub struct Change {
    pub path: Foreign,
    pub before: Option<Foreign>,
    pub after: Option<Foreign>,
    /// When it takes effect, and whom it drops.
    pub effect: Foreign,
    pub weight: Weight,
}

/// How much a change disturbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Nobody notices.
    Light,
    /// Connections made from then on.
    Later,
    /// Somebody is disconnected, or a restart is needed.
    Heavy,
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
pub struct HistoryPage {
    pub shell: Shell,
    pub list: List,
    pub generations: Vec<Generation>,
}

/// One of it.
#[derive(Template)]
#[template(path = "generation.html")]
pub struct GenerationPage {
    pub shell: Shell,
    pub generation: Generation,
    /// What it changed.
    pub changes: Vec<Change>,
    /// What rolling back to it would change; nothing: it is the one that is applied.
    pub since: Option<Vec<Change>>,
    /// The whole configuration as the file had it.
    pub text: Foreign,
}

/// An applied configuration.
pub struct Generation {
    pub number: u64,
    pub when: Moment,
    pub author: Foreign,
    pub comment: Foreign,
    pub changes: u64,
    pub current: bool,
    pub trial: bool,
}
