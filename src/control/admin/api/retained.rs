//! Retained messages.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::super::App;
use super::super::body::Query;
use super::super::ops::retained::{self, Level, LevelAsked, RetainedAsked, RetainedPage, RetainedShown};
use super::super::problem::Problem;

const TAG: &str = "retained";

/// Retained messages in the order of their topics: a page of them.
#[utoipa::path(get, path = "/api/v1/retained", tag = TAG, params(RetainedAsked),
    responses((status = 200, body = RetainedPage)))]
pub(super) async fn list(
    State(app): State<App>,
    Query(asked): Query<RetainedAsked>,
) -> Result<Json<RetainedPage>, Problem> {
    Ok(Json(retained::list(&app.desk, asked).await?))
}

/// One level of the tree of topics: a page of it.
#[utoipa::path(get, path = "/api/v1/retained/level", tag = TAG, params(LevelAsked),
    responses((status = 200, body = Level)))]
pub(super) async fn level(
    State(app): State<App>,
    Query(asked): Query<LevelAsked>,
) -> Result<Json<Level>, Problem> {
    Ok(Json(retained::level(&app.desk, asked).await?))
}

/// A topic may hold anything, slashes at its ends too: it is named behind the path.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct OfTopic {
    /// The topic.
    topic: String,
}

/// One retained message.
#[utoipa::path(get, path = "/api/v1/retained/message", tag = TAG, params(OfTopic),
    responses((status = 200, body = RetainedShown)))]
pub(super) async fn show(
    State(app): State<App>,
    Query(of): Query<OfTopic>,
) -> Result<Json<RetainedShown>, Problem> {
    Ok(Json(retained::show(&app.desk, of.topic).await?))
}

/// Removes a retained message: later subscribers do not get it, and nobody is told.
#[utoipa::path(delete, path = "/api/v1/retained/message", tag = TAG, params(OfTopic),
    responses((status = 204, description = "It is gone")))]
pub(super) async fn remove(State(app): State<App>, Query(of): Query<OfTopic>) -> Result<StatusCode, Problem> {
    retained::remove(&app.desk, of.topic).await?;
    Ok(StatusCode::NO_CONTENT)
}
