//! Certificate authorities.

use axum::extract::State;
use axum::response::Response;

use super::super::App;
use super::super::body::{self, Path, Query};
use super::super::ops::authorities::{self, AuthorityImport, AuthorityNew, AuthorityShown, AuthorityTaken};
use super::super::ops::certificate::FormAsked;
use super::super::problem::Problem;
use super::of_draft::{IfMatch, created, file, gone, shown};

const TAG: &str = "authorities";

/// The authorities of the draft.
#[utoipa::path(get, path = "/api/v1/authorities", tag = TAG,
    responses((status = 200, body = Vec<AuthorityShown>)))]
pub(super) async fn list(State(app): State<App>) -> Result<Response, Problem> {
    Ok(shown(authorities::list(&app.desk).await?))
}

/// Makes an authority and adds it to the draft.
#[utoipa::path(post, path = "/api/v1/authorities", tag = TAG, params(IfMatch), request_body = AuthorityNew,
    responses((status = 201, body = AuthorityShown)))]
pub(super) async fn create(
    State(app): State<App>,
    expected: IfMatch,
    body::Json(asked): body::Json<AuthorityNew>,
) -> Result<Response, Problem> {
    Ok(created(authorities::create(&app.desk, asked, expected.if_match).await?))
}

/// Adds an authority that exists to the draft; with its private key it can issue.
#[utoipa::path(post, path = "/api/v1/authorities/import", tag = TAG, params(IfMatch),
    request_body = AuthorityImport, responses((status = 201, body = AuthorityTaken)))]
pub(super) async fn take(
    State(app): State<App>,
    expected: IfMatch,
    body::Json(asked): body::Json<AuthorityImport>,
) -> Result<Response, Problem> {
    Ok(created(authorities::take(&app.desk, asked, expected.if_match).await?))
}

/// An authority's certificate, never its key.
#[utoipa::path(get, path = "/api/v1/authorities/{thumbprint}/certificate", tag = TAG,
    params(("thumbprint" = String, Path, description = "SHA-256"), FormAsked),
    responses((status = 200, description = "The certificate",
        content((String = "application/x-pem-file"), (String = "application/pkix-cert")))))]
pub(super) async fn download(
    State(app): State<App>,
    Path(thumbprint): Path<String>,
    Query(asked): Query<FormAsked>,
) -> Result<Response, Problem> {
    Ok(file(authorities::download(&app.desk, thumbprint, asked.form).await?))
}

/// Lets an authority issue from now on, in place of another, in the draft.
#[utoipa::path(post, path = "/api/v1/authorities/{thumbprint}/use", tag = TAG,
    params(("thumbprint" = String, Path, description = "SHA-256"), IfMatch),
    responses((status = 200, body = AuthorityShown)))]
pub(super) async fn let_issue(
    State(app): State<App>,
    expected: IfMatch,
    Path(thumbprint): Path<String>,
) -> Result<Response, Problem> {
    Ok(shown(authorities::let_issue(&app.desk, thumbprint, expected.if_match).await?))
}

/// Takes an authority out of the draft. Once applied, what it issued is trusted no longer. Its certificate and key stay in
/// the data directory: earlier generations may name them.
#[utoipa::path(delete, path = "/api/v1/authorities/{thumbprint}", tag = TAG,
    params(("thumbprint" = String, Path, description = "SHA-256"), IfMatch),
    responses((status = 204, description = "It is gone")))]
pub(super) async fn remove(
    State(app): State<App>,
    expected: IfMatch,
    Path(thumbprint): Path<String>,
) -> Result<Response, Problem> {
    Ok(gone(authorities::remove(&app.desk, thumbprint, expected.if_match).await?))
}
