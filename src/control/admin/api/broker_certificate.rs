//! The certificate that the broker shows to clients.

use axum::extract::State;
use axum::response::Response;

use super::super::App;
use super::super::body::{self, Query};
use super::super::ops::broker_certificate::{
    self, BrokerCertificateImport, BrokerCertificateNew, BrokerCertificateShown, BrokerCertificateTaken,
    BrokerCertificateUse,
};
use super::super::ops::certificate::FormAsked;
use super::super::problem::Problem;
use super::of_draft::{IfMatch, created, file, shown};

const TAG: &str = "broker certificate";

/// The certificate that the draft chooses for the broker.
#[utoipa::path(get, path = "/api/v1/broker-certificate", tag = TAG,
    responses((status = 200, body = BrokerCertificateShown)))]
pub(super) async fn show(State(app): State<App>) -> Result<Response, Problem> {
    Ok(shown(broker_certificate::show(&app.desk).await?))
}

/// Has the broker make a new one, issued by the authority that issues, or by itself if there is none.
#[utoipa::path(post, path = "/api/v1/broker-certificate/new", tag = TAG, params(IfMatch),
    request_body = BrokerCertificateNew, responses((status = 201, body = BrokerCertificateShown)))]
pub(super) async fn renew(
    State(app): State<App>,
    expected: IfMatch,
    body::Json(asked): body::Json<BrokerCertificateNew>,
) -> Result<Response, Problem> {
    Ok(created(broker_certificate::renew(&app.desk, asked, expected.if_match).await?))
}

/// Takes one that somebody else has issued, with its key, and chooses it in the draft.
#[utoipa::path(post, path = "/api/v1/broker-certificate/import", tag = TAG, params(IfMatch),
    request_body = BrokerCertificateImport, responses((status = 201, body = BrokerCertificateTaken)))]
pub(super) async fn take(
    State(app): State<App>,
    expected: IfMatch,
    body::Json(asked): body::Json<BrokerCertificateImport>,
) -> Result<Response, Problem> {
    Ok(created(broker_certificate::take(&app.desk, asked, expected.if_match).await?))
}

/// Lets the broker make and renew its own, or show one that was imported, in the draft.
#[utoipa::path(post, path = "/api/v1/broker-certificate/use", tag = TAG, params(IfMatch),
    request_body = BrokerCertificateUse, responses((status = 200, body = BrokerCertificateShown)))]
pub(super) async fn choose(
    State(app): State<App>,
    expected: IfMatch,
    body::Json(asked): body::Json<BrokerCertificateUse>,
) -> Result<Response, Problem> {
    Ok(shown(broker_certificate::choose(&app.desk, asked, expected.if_match).await?))
}

/// The broker's certificate, never its key.
#[utoipa::path(get, path = "/api/v1/broker-certificate/certificate", tag = TAG, params(FormAsked),
    responses((status = 200, description = "The certificate",
        content((String = "application/x-pem-file"), (String = "application/pkix-cert")))))]
pub(super) async fn download(
    State(app): State<App>,
    Query(asked): Query<FormAsked>,
) -> Result<Response, Problem> {
    Ok(file(broker_certificate::download(&app.desk, asked.form).await?))
}
