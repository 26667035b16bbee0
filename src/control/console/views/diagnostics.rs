//! Diagnostics: the log of MQTT messages, and who was rejected and why.

use askama::Template;

use super::form::Form;
use super::list::List;
use super::shell::{Page, Shell};
use crate::control::console::text::Foreign;

/// The page.
#[derive(Template)]
#[template(path = "diagnostics.html")]
pub(crate) struct DiagnosticsPage {
    pub(crate) shell: Shell,
    /// The settings of the log.
    pub(crate) form: Form,
    /// Whose messages are to be watched.
    pub(crate) client: Foreign,
    /// Of which topics.
    pub(crate) topic: Foreign,
    pub(crate) list: List,
    pub(crate) rejections: Vec<Rejection>,
    /// For whom most waits.
    pub(crate) slow: Vec<Slow>,
}

/// A client for which something waits.
pub(crate) struct Slow {
    pub(crate) id: Foreign,
    pub(crate) url: String,
    pub(crate) messages: String,
    pub(crate) bytes: String,
    pub(crate) output: String,
}

/// Something that was rejected.
pub(crate) struct Rejection {
    pub(crate) when: Foreign,
    /// `connection`, `publish`, `subscribe`
    pub(crate) kind: Foreign,
    /// Who it was: client id, user, subject, address, as far as they are known.
    pub(crate) who: Vec<Foreign>,
    /// How often, the last time then.
    pub(crate) times: u64,
    /// The topic or the filter that it was about.
    pub(crate) topic: Option<Foreign>,
    /// Of the certificate that it showed.
    pub(crate) thumbprint: Option<String>,
    /// It was refused because of that.
    pub(crate) authorize: bool,
    pub(crate) cause: Foreign,
    pub(crate) remedy: Option<Foreign>,
    /// Where the rules are tried for it.
    pub(crate) test: Option<String>,
}
