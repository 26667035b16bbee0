//! The page that asks for the token or the password.

use askama::Template;

use super::shell::Theme;
use crate::control::console::assets;
use crate::control::console::text::Foreign;

/// The page that asks for the token or the password.
#[derive(Template)]
#[template(path = "login.html")]
pub struct LoginPage {
    /// Light or dark.
    pub theme: Theme,
    /// Why the last attempt did not succeed.
    pub problem: Option<Foreign>,
    /// Where to go then.
    pub next: Foreign,
    /// Whether there is a password beside the token.
    pub passwords: bool,
    /// Where the token lies.
    pub token_file: Foreign,
}

impl LoginPage {
    fn asset(&self, name: &str) -> String {
        assets::url(name)
    }
}
