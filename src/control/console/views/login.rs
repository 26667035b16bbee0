//! The page that asks for the token or the password.

use askama::Template;

use super::shell::Theme;
use crate::control::console::assets;
use crate::control::console::text::Foreign;

/// The page that asks for the token or the password.
#[derive(Template)]
#[template(path = "login.html")]
pub(crate) struct LoginPage {
    /// Light or dark.
    pub(crate) theme: Theme,
    /// Why the last attempt did not succeed.
    pub(crate) problem: Option<Foreign>,
    /// Where to go then.
    pub(crate) next: Foreign,
    /// Whether there is a password beside the token.
    pub(crate) passwords: bool,
    /// Where the token lies.
    pub(crate) token_file: Foreign,
}

impl LoginPage {
    fn asset(&self, name: &str) -> String {
        assets::url(name)
    }
}

/// What is shown when a page cannot be made.
#[derive(Template)]
#[template(path = "trouble.html")]
pub(crate) struct TroublePage {
    /// What kind of trouble it is.
    pub(crate) title: Foreign,
    /// What happened.
    pub(crate) detail: Foreign,
    /// What to do about it.
    pub(crate) remedy: Foreign,
}

impl TroublePage {
    fn asset(&self, name: &str) -> String {
        assets::url(name)
    }
}
