//! Topic rules.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;

use super::super::App;
use super::super::body::{self, Path, Query};
use super::super::ops::rules::{self, RuleGiven, RuleHitsShown, RuleMove, RuleShown, WhichAsked};
use super::super::ops::trials::{self, RuleFinding, RuleTest, RuleVerdict};
use super::super::problem::Problem;
use super::of_draft::{IfMatch, created, gone, shown};

const TAG: &str = "rules";

/// The topic rules in their order: the first that matches decides.
#[utoipa::path(get, path = "/api/v1/rules", tag = TAG, params(WhichAsked),
    responses((status = 200, body = Vec<RuleShown>)))]
pub(super) async fn list(
    State(app): State<App>,
    Query(asked): Query<WhichAsked>,
) -> Result<Response, Problem> {
    Ok(shown(rules::list(&app.desk, asked.of).await?))
}

/// How often the rules that are in force have decided about a publish, a will or a subscription.
#[utoipa::path(get, path = "/api/v1/rules/hits", tag = TAG, responses((status = 200, body = RuleHitsShown)))]
pub(super) async fn hits(State(app): State<App>) -> Result<Json<RuleHitsShown>, Problem> {
    Ok(Json(rules::hits(&app.desk).await?))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AddAsked {
    /// The position that it has, from 1; behind the others if nothing is said.
    #[param(minimum = 1)]
    at: Option<usize>,
}

/// Adds a rule to the draft.
#[utoipa::path(post, path = "/api/v1/rules", tag = TAG, params(AddAsked, IfMatch), request_body = RuleGiven,
    responses((status = 201, body = RuleShown)))]
pub(super) async fn add(
    State(app): State<App>,
    expected: IfMatch,
    Query(asked): Query<AddAsked>,
    body::Json(rule): body::Json<RuleGiven>,
) -> Result<Response, Problem> {
    Ok(created(rules::add(&app.desk, rule, asked.at, expected.if_match).await?))
}

/// Puts another rule in the place of one, in the draft.
#[utoipa::path(put, path = "/api/v1/rules/{position}", tag = TAG, request_body = RuleGiven,
    params(("position" = usize, Path, description = "From 1"), IfMatch),
    responses((status = 200, body = RuleShown)))]
pub(super) async fn change(
    State(app): State<App>,
    expected: IfMatch,
    Path(position): Path<usize>,
    body::Json(rule): body::Json<RuleGiven>,
) -> Result<Response, Problem> {
    Ok(shown(rules::change(&app.desk, position, rule, expected.if_match).await?))
}

/// Removes a rule from the draft.
#[utoipa::path(delete, path = "/api/v1/rules/{position}", tag = TAG,
    params(("position" = usize, Path, description = "From 1"), IfMatch),
    responses((status = 204, description = "It is gone")))]
pub(super) async fn remove(
    State(app): State<App>,
    expected: IfMatch,
    Path(position): Path<usize>,
) -> Result<Response, Problem> {
    Ok(gone(rules::remove(&app.desk, position, expected.if_match).await?))
}

/// Moves a rule to another position, in the draft.
#[utoipa::path(post, path = "/api/v1/rules/{position}/move", tag = TAG, request_body = RuleMove,
    params(("position" = usize, Path, description = "From 1"), IfMatch),
    responses((status = 200, body = RuleShown)))]
pub(super) async fn move_to(
    State(app): State<App>,
    expected: IfMatch,
    Path(position): Path<usize>,
    body::Json(to): body::Json<RuleMove>,
) -> Result<Response, Problem> {
    Ok(shown(rules::move_to(&app.desk, position, to, expected.if_match).await?))
}

/// Tries whether a client may publish or subscribe, which rule decides, and why the earlier ones do not.
#[utoipa::path(post, path = "/api/v1/rules/test", tag = TAG, request_body = RuleTest,
    responses((status = 200, body = RuleVerdict)))]
pub(super) async fn test(
    State(app): State<App>,
    body::Json(asked): body::Json<RuleTest>,
) -> Result<Json<RuleVerdict>, Problem> {
    Ok(Json(trials::test(&app.desk, asked).await?.answer))
}

/// Rules that never decide, match nothing, or may not say what was meant.
#[utoipa::path(get, path = "/api/v1/rules/lint", tag = TAG, params(WhichAsked),
    responses((status = 200, body = Vec<RuleFinding>)))]
pub(super) async fn lint(
    State(app): State<App>,
    Query(asked): Query<WhichAsked>,
) -> Result<Response, Problem> {
    Ok(shown(trials::lint(&app.desk, asked.of).await?))
}
