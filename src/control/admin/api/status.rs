//! Status, metrics, health.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::super::App;
use super::super::body::Query;
use super::super::ops;
use super::super::ops::rejected::{Rejected, RejectedAsked};
use super::super::problem::Problem;
use crate::control::rejections;
use crate::control::status::{self, Point, Status};

const TAG: &str = "status";

/// What the broker tells of itself now.
#[utoipa::path(get, path = "/api/v1/status", tag = TAG, responses((status = 200, body = Status)))]
pub(super) async fn now(State(app): State<App>) -> Result<Json<Status>, Problem> {
    Ok(Json(ops::status::now(&app.desk).await?))
}

/// How far back, and how finely.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Span {
    /// A quarter of an hour, a point every 5 seconds.
    #[default]
    Minutes,
    /// A day, a point a minute.
    Day,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct OfSpan {
    /// `minutes`: a quarter of an hour, a point every 5 seconds; `day`: a day, a point a minute.
    #[serde(default)]
    span: Span,
}

/// The counters over time, oldest first.
#[utoipa::path(get, path = "/api/v1/status/history", tag = TAG, params(OfSpan),
    responses((status = 200, body = Vec<Point>)))]
pub(super) async fn history(
    State(app): State<App>,
    Query(asked): Query<OfSpan>,
) -> Result<Json<Vec<Point>>, Problem> {
    Ok(Json(match asked.span {
        Span::Minutes => ops::status::fine(&app.desk).await?,
        Span::Day => ops::status::coarse(&app.desk).await?,
    }))
}

/// Every counter and each shard, as text for people.
#[utoipa::path(get, path = "/api/v1/report", tag = TAG,
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn report(State(app): State<App>) -> Result<String, Problem> {
    app.desk.ask(|control| control.report()).await
}

/// The last connections that were not let in, as text for people.
#[utoipa::path(get, path = "/api/v1/rejected/text", tag = TAG,
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn rejected_text(State(app): State<App>) -> Result<String, Problem> {
    app.desk
        .ask(|control| match &control.running {
            Some(running) => rejections::describe(&running.node().rejections(0).rejections),
            None => "the broker is disabled".into(),
        })
        .await
}

/// What was refused last, with reasons and remedies, oldest first.
#[utoipa::path(get, path = "/api/v1/rejected", tag = TAG, params(RejectedAsked),
    responses((status = 200, body = Rejected)))]
pub(super) async fn rejected(
    State(app): State<App>,
    Query(asked): Query<RejectedAsked>,
) -> Result<Json<Rejected>, Problem> {
    Ok(Json(ops::rejected::list(&app.desk, asked).await?))
}

/// The status for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = TAG,
    responses((status = 200, body = String, content_type = "application/openmetrics-text")))]
pub(super) async fn metrics(State(app): State<App>) -> Result<impl IntoResponse, Problem> {
    let text = status::metrics(ops::status::now(&app.desk).await?);
    Ok(([("content-type", "application/openmetrics-text; version=1.0.0; charset=utf-8")], text))
}

/// Whether the process lives: the control thread answers.
#[utoipa::path(get, path = "/health/live", tag = TAG, security(()),
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn live(State(app): State<App>) -> Result<&'static str, Problem> {
    app.desk.ask(|_| "live").await
}

/// Whether clients can connect.
#[utoipa::path(get, path = "/health/ready", tag = TAG, security(()), responses(
    (status = 200, body = String, content_type = "text/plain"),
    (status = 503, body = String, content_type = "text/plain", description = "The broker is disabled or is stopping"),
))]
pub(super) async fn ready(State(app): State<App>) -> (StatusCode, &'static str) {
    match app.desk.ask(|control| control.running.is_some()).await {
        Ok(true) => (StatusCode::OK, "ready"),
        Ok(false) => (StatusCode::SERVICE_UNAVAILABLE, "disabled"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
    }
}
