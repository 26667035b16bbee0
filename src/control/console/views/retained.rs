//! Retained messages: the topics as a tree, a level at a time, and one message.

use askama::Template;

use super::list::{Fact, List};
use super::shell::{Page, Shell};
use crate::control::console::text::{Foreign, plural};

/// The page.
#[derive(Template)]
#[template(path = "retained.html")]
pub struct RetainedPage {
    pub shell: Shell,
    /// `100,012 messages`
    pub total_text: String,
    /// What was searched for.
    pub filter: Foreign,
    /// The levels above the ones that are shown.
    pub trail: Vec<Step>,
    pub branches: Vec<Branch>,
    pub list: List,
    pub message: Option<Message>,
}

/// A level above.
pub struct Step {
    pub name: Foreign,
    pub url: String,
}

/// A level, or a topic that was found.
pub struct Branch {
    pub name: Foreign,
    /// What lies below it.
    pub below: Option<String>,
    /// The message that is retained there.
    pub message: Option<String>,
    /// It is the one that is shown.
    pub shown: bool,
    /// Messages there and below.
    pub count: u64,
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
pub struct Message {
    pub topic: Foreign,
    pub facts: Vec<Fact>,
    /// The payload, or its beginning.
    pub base64: String,
    /// The same as text.
    pub text: Foreign,
    /// It is longer.
    pub cut: bool,
}
