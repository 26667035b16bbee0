//! Apply.

use axum::Json;
use axum::extract::State;

use super::super::App;
use super::super::body;
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
