//! Client certificates: listed, issued, signed.

use axum::Json;
use axum::extract::State;
use axum::response::Response;

use super::super::App;
use super::super::body::{self, Path, Query};
use super::super::ops::certificate::FormAsked;
use super::super::ops::client_certificates::{
    self, CertificateOnline, ClientCertificateChange, ClientCertificateNew, ClientCertificateShown,
    RejectedAuthorized,
};
use super::super::ops::issuing::{self, ClientIssue, ClientIssued, ClientSign};
use super::super::ops::presenting::{self, CertificateTrial, CertificateVerdict};
use super::super::problem::Problem;
use super::of_draft::{IfMatch, created, file, gone, shown};

const TAG: &str = "client certificates";

/// The listed ones, then those that were issued here and are not listed.
#[utoipa::path(get, path = "/api/v1/client-certificates", tag = TAG,
    responses((status = 200, body = Vec<ClientCertificateShown>)))]
pub(super) async fn list(State(app): State<App>) -> Result<Response, Problem> {
    Ok(shown(client_certificates::list(&app.desk).await?))
}

/// The ones of this list with which somebody is connected right now.
#[utoipa::path(get, path = "/api/v1/client-certificates/online", tag = TAG,
    responses((status = 200, body = Vec<CertificateOnline>)))]
pub(super) async fn online(State(app): State<App>) -> Result<Json<Vec<CertificateOnline>>, Problem> {
    Ok(Json(client_certificates::online(&app.desk).await?))
}

/// Lists a certificate in the draft: from a file, or by nothing but its thumbprint.
#[utoipa::path(post, path = "/api/v1/client-certificates", tag = TAG, params(IfMatch),
    request_body = ClientCertificateNew, responses((status = 201, body = ClientCertificateShown)))]
pub(super) async fn add(
    State(app): State<App>,
    expected: IfMatch,
    body::Json(asked): body::Json<ClientCertificateNew>,
) -> Result<Response, Problem> {
    Ok(created(client_certificates::add(&app.desk, asked, expected.if_match).await?))
}

/// Lists as authorized, in the draft, what was presented by a client that was refused lately.
#[utoipa::path(post, path = "/api/v1/client-certificates/authorize-rejected", tag = TAG, params(IfMatch),
    request_body = RejectedAuthorized, responses((status = 201, body = ClientCertificateShown)))]
pub(super) async fn authorize_rejected(
    State(app): State<App>,
    expected: IfMatch,
    body::Json(asked): body::Json<RejectedAuthorized>,
) -> Result<Response, Problem> {
    Ok(created(client_certificates::authorize_rejected(&app.desk, asked, expected.if_match).await?))
}

/// Says what would become of a client that presents a certificate, where one is required. Nobody connects.
#[utoipa::path(post, path = "/api/v1/client-certificates/try", tag = TAG, request_body = CertificateTrial,
    responses((status = 200, body = CertificateVerdict)))]
pub(super) async fn present(
    State(app): State<App>,
    body::Json(asked): body::Json<CertificateTrial>,
) -> Result<Response, Problem> {
    Ok(shown(presenting::present(&app.desk, asked).await?))
}

/// Changes how a certificate is listed in the draft, and what it is called; lists one that was issued here.
#[utoipa::path(put, path = "/api/v1/client-certificates/{thumbprint}", tag = TAG,
    params(("thumbprint" = String, Path, description = "SHA-256"), IfMatch),
    request_body = ClientCertificateChange, responses((status = 200, body = ClientCertificateShown)))]
pub(super) async fn change(
    State(app): State<App>,
    expected: IfMatch,
    Path(thumbprint): Path<String>,
    body::Json(asked): body::Json<ClientCertificateChange>,
) -> Result<Response, Problem> {
    Ok(shown(client_certificates::change(&app.desk, thumbprint, asked, expected.if_match).await?))
}

/// Takes a certificate off the draft's list; forgets one that was issued here and is not listed.
#[utoipa::path(delete, path = "/api/v1/client-certificates/{thumbprint}", tag = TAG,
    params(("thumbprint" = String, Path, description = "SHA-256"), IfMatch),
    responses((status = 204, description = "It is gone")))]
pub(super) async fn remove(
    State(app): State<App>,
    expected: IfMatch,
    Path(thumbprint): Path<String>,
) -> Result<Response, Problem> {
    Ok(gone(client_certificates::remove(&app.desk, thumbprint, expected.if_match).await?))
}

/// A client's certificate.
#[utoipa::path(get, path = "/api/v1/client-certificates/{thumbprint}/certificate", tag = TAG,
    params(("thumbprint" = String, Path, description = "SHA-256"), FormAsked),
    responses((status = 200, description = "The certificate",
        content((String = "application/x-pem-file"), (String = "application/pkix-cert")))))]
pub(super) async fn download(
    State(app): State<App>,
    Path(thumbprint): Path<String>,
    Query(asked): Query<FormAsked>,
) -> Result<Response, Problem> {
    Ok(file(client_certificates::download(&app.desk, thumbprint, asked.form).await?))
}

/// Issues a certificate to a client, with a key. The key is in this answer and is kept nowhere.
#[utoipa::path(post, path = "/api/v1/client-certificates/issue", tag = TAG, params(IfMatch),
    request_body = ClientIssue, responses((status = 201, body = ClientIssued)))]
pub(super) async fn issue(
    State(app): State<App>,
    expected: IfMatch,
    body::Json(asked): body::Json<ClientIssue>,
) -> Result<Response, Problem> {
    Ok(created(issuing::issue(&app.desk, asked, expected.if_match).await?))
}

/// Signs the request of a client, or of another service, that keeps its key.
#[utoipa::path(post, path = "/api/v1/client-certificates/sign", tag = TAG, params(IfMatch),
    request_body = ClientSign, responses((status = 201, body = ClientIssued)))]
pub(super) async fn sign(
    State(app): State<App>,
    expected: IfMatch,
    body::Json(asked): body::Json<ClientSign>,
) -> Result<Response, Problem> {
    Ok(created(issuing::sign(&app.desk, asked, expected.if_match).await?))
}
