//! Retained messages: the topics as a tree, a level at a time, and one message.

use askama::Template;

use super::list::{Fact, List};
use super::shell::{Page, Shell};
use crate::control::console::text::{Foreign, plural};

/// The page.
#[derive(Template)]
#[template(path = "retained.html")]
pub(crate) struct RetainedPage {
    pub(crate) shell: Shell,
    /// `100,012 messages`
    pub(crate) total_text: String,
    /// What was searched for.
    pub(crate) filter: Foreign,
    /// The levels above the ones that are shown.
    pub(crate) trail: Vec<Step>,
    pub(crate) branches: Vec<Branch>,
    pub(crate) list: List,
    pub(crate) message: Option<Message>,
}

/// A level above.
pub(crate) struct Step {
    pub(crate) name: Foreign,
    pub(crate) url: String,
}

/// A level, or a topic that was found.
pub(crate) struct Branch {
    pub(crate) name: Foreign,
    /// What lies below it.
    pub(crate) below: Option<String>,
    /// The message that is retained there.
    pub(crate) message: Option<String>,
    /// It is the one that is shown.
    pub(crate) shown: bool,
    /// Messages there and below.
    pub(crate) count: u64,
}

impl Branch {
    /// A level may be empty: it is still to be seen and pressed.
    fn label(&self) -> Foreign {
        if self.name.is_empty() { "(an empty level)".into() } else { self.name.clone() }
    }

    fn many(&self) -> String {
        if self.below.is_some() { plural(self.count, "message", "messages") } else { String::new() }
    }
}

/// One message.
pub(crate) struct Message {
    pub(crate) topic: Foreign,
    pub(crate) facts: Vec<Fact>,
    /// The payload, or its beginning.
    pub(crate) base64: String,
    /// The same as text.
    pub(crate) text: Foreign,
    /// It is longer.
    pub(crate) cut: bool,
}
