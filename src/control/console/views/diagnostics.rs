//! Diagnostics: the log of MQTT messages, and who was rejected and why.

use askama::Template;

use super::list::List;
use super::shell::{Page, Shell};
use crate::control::console::text::{Foreign, Moment};

/// The page.
#[derive(Template)]
#[template(path = "diagnostics.html")]
pub struct DiagnosticsPage {
    pub shell: Shell,
    /// Whose messages are to be watched.
    pub client: Foreign,
    /// Of which topics.
    pub topic: Foreign,
    pub list: List,
    pub rejections: Vec<Rejection>,
}

/// Something that was rejected.
pub struct Rejection {
    pub when: Moment,
    /// `connection`, `publish`, `subscribe`
    pub kind: Foreign,
    /// Who it was: client id, user, subject, address, as far as they are known.
    pub who: Vec<Foreign>,
    /// Of the certificate that it showed.
    pub thumbprint: Option<String>,
    pub cause: Foreign,
    pub remedy: Option<Foreign>,
    /// Where the rules are tried for it.
    pub test: Option<String>,
}
