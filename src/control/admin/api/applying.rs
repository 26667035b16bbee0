//! Apply.

use std::convert::Infallible;

use axum::Json;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;

use super::super::App;
use super::super::body;
use super::super::feed::Told;
use super::super::ops;
use super::super::ops::applying::ApplyAsked;
use super::super::problem::Problem;
use crate::control::thread::ApplyReport;

const TAG: &str = "configuration";

/// Applies the draft: all of it or nothing. When it answers, every shard judges by it.
#[utoipa::path(post, path = "/api/v1/apply", tag = TAG, request_body = ApplyAsked,
    responses((status = 200, body = ApplyReport)))]
pub(super) async fn apply(
    State(app): State<App>,
    body::Json(asked): body::Json<ApplyAsked>,
) -> Result<Json<ApplyReport>, Problem> {
    Ok(Json(ops::applying::apply(&app.desk, asked).await?))
}

/// What happens on the operator's side from now on, as server-sent events: `applied`, `confirmed`, `reverted`; `missed` says
/// how many a listener lost that did not keep up.
#[utoipa::path(get, path = "/api/v1/events", tag = TAG,
    responses((status = 200, body = Told, content_type = "text/event-stream")))]
pub(super) async fn events(State(app): State<App>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(app.feed.events()).keep_alive(KeepAlive::default())
}
