//! The handlers of the pages: they ask operations, fill a view and render it; forms call an operation and lead back to a
//! page that says what it came to.

mod clients;
mod doors;
mod retained;
mod status;

use axum::Router;

use super::Console;
use super::trouble::Trouble;

/// What a handler of a page gives.
type Shown = Result<axum::response::Response, Trouble>;

pub(super) fn router() -> Router<Console> {
    Router::new()
        .merge(doors::router())
        .merge(status::router())
        .merge(clients::router())
        .merge(retained::router())
}
