//! The draft.

use axum::Json;
use axum::extract::State;

use super::super::App;
use super::super::ops;
use super::super::ops::draft::DraftShown;
use super::super::problem::Problem;

const TAG: &str = "configuration";

/// The draft: the configuration file as it stands.
#[utoipa::path(get, path = "/api/v1/config/draft", tag = TAG, responses((status = 200, body = DraftShown)))]
pub(super) async fn show(State(app): State<App>) -> Result<Json<DraftShown>, Problem> {
    Ok(Json(ops::draft::show(&app.desk).await?))
}
