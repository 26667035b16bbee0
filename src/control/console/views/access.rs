//! Users.

use askama::Template;

use super::list::List;
use super::shell::{Page, Shell};
use crate::control::console::text::Foreign;

/// Users.
#[derive(Template)]
#[template(path = "users.html")]
pub(crate) struct UsersPage {
    pub(crate) shell: Shell,
    /// "Require client credentials"
    pub(crate) required: bool,
    pub(crate) list: List,
    pub(crate) users: Vec<User>,
    /// The name that was typed and not taken.
    pub(crate) typed: Foreign,
}

/// A user.
pub(crate) struct User {
    pub(crate) name: Foreign,
    /// It is not applied as it is.
    pub(crate) changed: bool,
}
