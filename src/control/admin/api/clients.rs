//! Clients and subscriptions.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::super::App;
use super::super::body::{Path, Query};
use super::super::ops::clients::{
    self, Client, ClientPage, ClientShown, ClientsAsked, Kick, SubscriptionPage, SubscriptionsAsked, TopAsked,
};
use super::super::problem::Problem;

const TAG: &str = "clients";

/// Clients, connected and not: a page of them.
#[utoipa::path(get, path = "/api/v1/clients", tag = TAG, params(ClientsAsked),
    responses((status = 200, body = ClientPage)))]
pub(super) async fn list(
    State(app): State<App>,
    Query(asked): Query<ClientsAsked>,
) -> Result<Json<ClientPage>, Problem> {
    Ok(Json(clients::list(&app.desk, asked).await?))
}

/// The clients that are greatest in something, greatest first.
#[utoipa::path(get, path = "/api/v1/top-clients", tag = TAG, params(TopAsked),
    responses((status = 200, body = Vec<Client>)))]
pub(super) async fn top(
    State(app): State<App>,
    Query(asked): Query<TopAsked>,
) -> Result<Json<Vec<Client>>, Problem> {
    Ok(Json(clients::top(&app.desk, asked).await?))
}

/// One client, with its subscriptions.
#[utoipa::path(get, path = "/api/v1/clients/{client_id}", tag = TAG,
    params(("client_id" = String, Path, description = "Percent-encoded: it may hold anything")),
    responses((status = 200, body = ClientShown)))]
pub(super) async fn show(
    State(app): State<App>,
    Path(client_id): Path<String>,
) -> Result<Json<ClientShown>, Problem> {
    Ok(Json(clients::show(&app.desk, client_id).await?))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct KickAsked {
    /// `connection`: it may come again, and its session is kept; `session`: what was kept for it goes too.
    what: Kick,
}

/// Puts a client out. A 5.0 client is told (0x98); its will is published.
#[utoipa::path(delete, path = "/api/v1/clients/{client_id}", tag = TAG,
    params(("client_id" = String, Path, description = "Percent-encoded: it may hold anything"), KickAsked),
    responses((status = 204, description = "It is gone")))]
pub(super) async fn kick(
    State(app): State<App>,
    Path(client_id): Path<String>,
    Query(asked): Query<KickAsked>,
) -> Result<StatusCode, Problem> {
    clients::kick(&app.desk, client_id, asked.what).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Subscriptions of all clients: a page of them.
#[utoipa::path(get, path = "/api/v1/subscriptions", tag = TAG, params(SubscriptionsAsked),
    responses((status = 200, body = SubscriptionPage)))]
pub(super) async fn subscriptions(
    State(app): State<App>,
    Query(asked): Query<SubscriptionsAsked>,
) -> Result<Json<SubscriptionPage>, Problem> {
    Ok(Json(clients::subscriptions(&app.desk, asked).await?))
}
