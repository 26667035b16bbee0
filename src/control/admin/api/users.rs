//! Users: their names. A password goes in and never comes out.

use axum::extract::State;
use axum::response::Response;

use super::super::App;
use super::super::body::{self, Path};
use super::super::ops::users::{self, UserNew, UserPassword, UserShown};
use super::super::problem::Problem;
use super::of_draft::{IfMatch, created, gone, shown};

const TAG: &str = "users";

/// The users of the draft.
#[utoipa::path(get, path = "/api/v1/users", tag = TAG, responses((status = 200, body = Vec<UserShown>)))]
pub(super) async fn list(State(app): State<App>) -> Result<Response, Problem> {
    Ok(shown(users::list(&app.desk).await?))
}

/// Adds a user to the draft.
#[utoipa::path(post, path = "/api/v1/users", tag = TAG, params(IfMatch), request_body = UserNew,
    responses((status = 201, body = UserShown)))]
pub(super) async fn add(
    State(app): State<App>,
    expected: IfMatch,
    body::Json(user): body::Json<UserNew>,
) -> Result<Response, Problem> {
    Ok(created(users::add(&app.desk, user, expected.if_match).await?))
}

/// Gives a user of the draft another password. Once applied, whoever is connected with the old one is disconnected.
#[utoipa::path(put, path = "/api/v1/users/{name}", tag = TAG, request_body = UserPassword,
    params(("name" = String, Path, description = "Percent-encoded"), IfMatch),
    responses((status = 200, body = UserShown)))]
pub(super) async fn change_password(
    State(app): State<App>,
    expected: IfMatch,
    Path(name): Path<String>,
    body::Json(password): body::Json<UserPassword>,
) -> Result<Response, Problem> {
    Ok(shown(users::change_password(&app.desk, name, password, expected.if_match).await?))
}

/// Removes a user from the draft. Once applied, whoever is connected with that name is disconnected.
#[utoipa::path(delete, path = "/api/v1/users/{name}", tag = TAG,
    params(("name" = String, Path, description = "Percent-encoded"), IfMatch),
    responses((status = 204, description = "It is gone")))]
pub(super) async fn remove(
    State(app): State<App>,
    expected: IfMatch,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    Ok(gone(users::remove(&app.desk, name, expected.if_match).await?))
}
