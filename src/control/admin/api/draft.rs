//! The draft and what is in force.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde_json::Value;

use super::super::App;
use super::super::body;
use super::super::ops::changes::{self, Pending};
use super::super::ops::draft::{self, AppliedShown, CheckAsked, Checked, DraftShown};
use super::super::ops::editing::OfDraft;
use super::super::problem::Problem;
use super::of_draft::{IfMatch, gone, shown};
use crate::control::config::reference::{self, SectionDoc};

const TAG: &str = "configuration";

/// The draft: the configuration file as it stands.
#[utoipa::path(get, path = "/api/v1/config/draft", tag = TAG, responses((status = 200, body = DraftShown)))]
pub(super) async fn show(State(app): State<App>) -> Result<Response, Problem> {
    let answer = draft::show(&app.desk).await?;
    let hash = Some(answer.hash.clone());
    Ok(shown(OfDraft { answer, hash }))
}

/// Puts a whole configuration in the draft's place; comments of the file stay where the fields do. A secret that is left out
/// keeps what it was; anything else that is left out gets its default.
#[utoipa::path(put, path = "/api/v1/config/draft", tag = TAG, params(IfMatch), request_body = Value,
    responses((status = 204, description = "It is written")))]
pub(super) async fn replace(
    State(app): State<App>,
    expected: IfMatch,
    body::Json(config): body::Json<Value>,
) -> Result<Response, Problem> {
    Ok(gone(draft::replace(&app.desk, config, expected.if_match).await?))
}

/// Changes what a JSON merge patch (RFC 7396) names: `{"limits": {"client_id_bytes": 64}}`. `null` takes a field away.
#[utoipa::path(patch, path = "/api/v1/config/draft", tag = TAG, params(IfMatch), request_body = Value,
    responses((status = 204, description = "It is written")))]
pub(super) async fn patch(
    State(app): State<App>,
    expected: IfMatch,
    body::Json(changes): body::Json<Value>,
) -> Result<Response, Problem> {
    Ok(gone(draft::patch(&app.desk, changes, expected.if_match).await?))
}

/// Puts a whole text in the draft's place, as TOML.
#[utoipa::path(put, path = "/api/v1/config/draft/text", tag = TAG, params(IfMatch),
    request_body(content = String, content_type = "application/toml"),
    responses((status = 204, description = "It is written")))]
pub(super) async fn replace_text(
    State(app): State<App>,
    expected: IfMatch,
    body::Text(text): body::Text,
) -> Result<Response, Problem> {
    Ok(gone(draft::replace_text(&app.desk, text, expected.if_match).await?))
}

/// Checks a configuration without a trace: every problem at once, each with its place and a remedy.
#[utoipa::path(post, path = "/api/v1/config/check", tag = TAG, request_body = CheckAsked,
    responses((status = 200, body = Checked)))]
pub(super) async fn check(
    State(app): State<App>,
    body::Json(asked): body::Json<CheckAsked>,
) -> Result<Json<Checked>, Problem> {
    Ok(Json(draft::check(&app.desk, asked).await?))
}

/// What is in force.
#[utoipa::path(get, path = "/api/v1/config/applied", tag = TAG, responses((status = 200, body = AppliedShown)))]
pub(super) async fn applied(State(app): State<App>) -> Result<Json<AppliedShown>, Problem> {
    Ok(Json(draft::applied(&app.desk).await?))
}

/// What the draft would change, and when each change takes effect.
#[utoipa::path(get, path = "/api/v1/config/changes", tag = TAG, responses((status = 200, body = Pending)))]
pub(super) async fn pending(State(app): State<App>) -> Result<Json<Pending>, Problem> {
    Ok(Json(Pending::clone(&*changes::pending(&app.desk).await?)))
}

/// Every field of the configuration: what it means, what it takes, its default, when a change of it takes effect.
#[utoipa::path(get, path = "/api/v1/config/reference", tag = TAG,
    responses((status = 200, body = Vec<SectionDoc>)))]
pub(super) async fn reference() -> Json<&'static [SectionDoc]> {
    Json(reference::sections())
}

/// The JSON Schema of a configuration.
#[utoipa::path(get, path = "/api/v1/config/schema", tag = TAG, responses((status = 200, body = Value)))]
pub(super) async fn schema() -> Json<Value> {
    Json(reference::json_schema())
}
