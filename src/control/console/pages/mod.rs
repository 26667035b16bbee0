//! The handlers of the pages: they ask operations, fill a view and render it; forms call an operation and lead back to a
//! page that says what it came to.

mod certificates;
mod clients;
mod diagnostics;
mod doors;
mod history;
mod retained;
mod rule_tests;
mod rules;
mod settings;
mod status;
mod users;

use axum::Router;

use super::Console;
use super::trouble::Trouble;

/// What a handler of a page gives.
type Shown = Result<axum::response::Response, Trouble>;

pub(super) fn router() -> Router<Console> {
    let routers = [
        doors::router(),
        status::router(),
        settings::router(),
        certificates::router(),
        rules::router(),
        rule_tests::router(),
        users::router(),
        clients::router(),
        retained::router(),
        diagnostics::router(),
        history::router(),
    ];
    routers.into_iter().fold(Router::new(), Router::merge)
}
