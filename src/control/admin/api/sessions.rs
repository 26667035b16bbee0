//! Sessions of browsers.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use axum_extra::extract::CookieJar;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::App;
use super::super::body;
use super::super::guard::{COOKIE, Peer};
use super::super::login::{self, Proof};
use super::super::problem::Problem;

const TAG: &str = "access";

/// What a session is begun with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    /// The token of the data directory, or the password of the configuration.
    #[schema(write_only)]
    secret: String,
}

/// Begins a session: the answer sets its cookie.
#[utoipa::path(post, path = "/api/v1/session", tag = TAG, security(()), request_body = Login,
    responses((status = 204, description = "The cookie is set")))]
pub(super) async fn begin(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    jar: CookieJar,
    body::Json(login): body::Json<Login>,
) -> Result<(StatusCode, CookieJar), Problem> {
    let cookie = login::begin(&app, peer, Proof::Secret(login.secret)).await?;
    Ok((StatusCode::NO_CONTENT, jar.add(cookie)))
}

/// Ends the session.
#[utoipa::path(delete, path = "/api/v1/session", tag = TAG, security(()),
    responses((status = 204, description = "The cookie is taken away")))]
pub(super) async fn end(State(app): State<App>, jar: CookieJar) -> (StatusCode, CookieJar) {
    let id = jar.get(COOKIE).map(|cookie| cookie.value().to_owned()).unwrap_or_default();
    (StatusCode::NO_CONTENT, jar.add(login::end(&app, &id)))
}

/// A link by which a browser logs in once.
#[derive(Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct Link {
    /// Where to go within five minutes; `null`: console and API listen nowhere.
    pub(in crate::control) url: Option<String>,
}

/// Makes a link by which a browser logs in once, within five minutes.
#[utoipa::path(post, path = "/api/v1/login-links", tag = TAG, responses((status = 200, body = Link)))]
pub(super) async fn link(State(app): State<App>) -> Result<Json<Link>, Problem> {
    let address = app.desk.ask(|control| control.admin().url()).await?;
    let code = app.access.link(std::time::Instant::now()).map_err(Problem::fault)?;
    Ok(Json(Link { url: address.map(|address| format!("{address}login/{code}")) }))
}
