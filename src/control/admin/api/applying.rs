//! Apply, confirm, roll back, discard, the history, and what happens.

use std::convert::Infallible;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::{Extension, Json};
use futures_util::Stream;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::App;
use super::super::body::{self, Path, Query};
use super::super::feed::Told;
use super::super::guard::Caller;
use super::super::ops::applying::{
    self, ApplyAsked, GenerationListed, GenerationShown, HistoryAsked, RollbackAsked, Waiting,
};
use super::super::problem::Problem;
use super::of_draft::IfMatch;
use crate::control::thread::ApplyReport;

const TAG: &str = "configuration";

/// Applies the draft: all of it or nothing. When it answers, every shard judges by it.
#[utoipa::path(post, path = "/api/v1/apply", tag = TAG, request_body = ApplyAsked,
    responses((status = 200, body = ApplyReport)))]
pub(super) async fn apply(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body::Json(asked): body::Json<ApplyAsked>,
) -> Result<Json<ApplyReport>, Problem> {
    Ok(Json(applying::apply(&app.desk, &caller.author, asked).await?))
}

/// Whether what is in force waits for a confirmation, and until when.
#[utoipa::path(get, path = "/api/v1/apply/confirmation", tag = TAG, responses((status = 200, body = Waiting)))]
pub(super) async fn waiting(State(app): State<App>) -> Result<Json<Waiting>, Problem> {
    Ok(Json(applying::waiting(&app.desk).await?))
}

/// What is confirmed.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ConfirmAsked {
    /// This must be the generation in force.
    generation: Option<u64>,
}

/// What is in force is meant: it is not taken back.
#[utoipa::path(post, path = "/api/v1/apply/confirmation", tag = TAG, request_body = ConfirmAsked,
    responses((status = 200, body = Waiting)))]
pub(super) async fn confirm(
    State(app): State<App>,
    body::Json(asked): body::Json<ConfirmAsked>,
) -> Result<Json<Waiting>, Problem> {
    Ok(Json(applying::confirm(&app.desk, asked.generation).await?))
}

/// Goes back to what was applied once, as a new generation. A draft that was not applied is kept beside the file.
#[utoipa::path(post, path = "/api/v1/rollback", tag = TAG, request_body = RollbackAsked,
    responses((status = 200, body = ApplyReport)))]
pub(super) async fn roll_back(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body::Json(asked): body::Json<RollbackAsked>,
) -> Result<Json<ApplyReport>, Problem> {
    Ok(Json(applying::roll_back(&app.desk, &caller.author, asked).await?))
}

/// What a discard has done.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(super) struct Discarded {
    /// The draft was something else than what is in force.
    discarded: bool,
}

/// The draft becomes what is in force.
#[utoipa::path(post, path = "/api/v1/config/discard", tag = TAG, params(IfMatch),
    responses((status = 200, body = Discarded)))]
pub(super) async fn discard(State(app): State<App>, expected: IfMatch) -> Result<Json<Discarded>, Problem> {
    Ok(Json(Discarded { discarded: applying::discard(&app.desk, expected.if_match).await? }))
}

/// What was applied, the newest first: a page of it.
#[utoipa::path(get, path = "/api/v1/history", tag = TAG, params(HistoryAsked),
    responses((status = 200, body = Vec<GenerationListed>)))]
pub(super) async fn history(
    State(app): State<App>,
    Query(asked): Query<HistoryAsked>,
) -> Result<Json<Vec<GenerationListed>>, Problem> {
    Ok(Json(applying::history(&app.desk, asked).await?))
}

/// One of them: what it changed, and what it would be to go back to it.
#[utoipa::path(get, path = "/api/v1/history/{generation}", tag = TAG,
    params(("generation" = u64, Path, description = "Its number")),
    responses((status = 200, body = GenerationShown)))]
pub(super) async fn generation(
    State(app): State<App>,
    Path(generation): Path<u64>,
) -> Result<Json<GenerationShown>, Problem> {
    Ok(Json(applying::generation(&app.desk, generation).await?))
}

/// What happens on the operator's side from now on, as server-sent events: `applied`, `confirmed`, `reverted`; `missed` says
/// how many a listener lost that did not keep up.
#[utoipa::path(get, path = "/api/v1/events", tag = TAG,
    responses((status = 200, body = Told, content_type = "text/event-stream")))]
pub(super) async fn events(State(app): State<App>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(app.feed.events()).keep_alive(KeepAlive::default())
}
