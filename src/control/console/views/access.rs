//! Users.

use askama::Template;

use super::list::List;
use super::shell::{Page, Shell};
use crate::control::console::text::Foreign;

/// Users.
#[derive(Template)]
#[template(path = "users.html")]
pub struct UsersPage {
    pub shell: Shell,
    /// "Require client credentials"
    pub required: bool,
    pub list: List,
    pub users: Vec<User>,
    /// The name that was typed and not taken.
    pub typed: Foreign,
}

/// A user.
pub struct User {
    pub name: Foreign,
    /// It is not applied as it is.
    pub changed: bool,
}
