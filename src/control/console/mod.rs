//! The console: pages for browsers, over the same operations as the API, so that it can do nothing that the API cannot.
//!
//! `views` are the pages as values with their templates, `pages` the handlers that fill them, `assets` the style sheet and
//! the scripts. Whatever comes from outside is shown as text ([`text::Foreign`]).

mod assets;
mod files;
mod frame;
mod notices;
mod pages;
mod text;
mod trouble;
mod views;

use std::sync::Arc;

use axum::Router;

use self::notices::Notices;
use super::admin::App;

/// What the pages' handlers work with.
#[derive(Clone)]
struct Console {
    app: App,
    notices: Arc<Notices>,
}

/// Every page and file of the console. Who may see them is judged by whoever serves them.
pub(in crate::control) fn router(app: App) -> Router {
    let console = Console { app, notices: Arc::default() };
    pages::router().merge(files::router()).with_state(console)
}
