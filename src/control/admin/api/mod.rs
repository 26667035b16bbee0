//! The operations as JSON over HTTP below `/api/v1`, with the OpenAPI document that is made from this very code. Handlers
//! are thin: they read a request, call an operation, write its answer.

#![allow(
    unused_qualifications,
    reason = "utoipa's attributes name the types of parameters once more, and the lint takes that for ours"
)]

mod applying;
mod authorities;
mod broker_certificate;
mod client_certificates;
mod clients;
mod documented;
mod draft;
mod of_draft;
mod retained;
mod rules;
mod sessions;
mod status;
mod trace;
mod users;

use axum::Router;
use axum::routing::get;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(in crate::control) use self::sessions::Link;
use self::status::Span;
use super::App;
use super::ops::certificate::CertificateForm;
use super::ops::clients::{By, Kick, State};
use super::ops::tracing::TraceDirection;
use super::problem::Problem;

/// What is the same for all of it, and what nothing but a query names.
#[derive(OpenApi)]
#[openapi(
    components(schemas(Problem, By, CertificateForm, Kick, Span, State, TraceDirection)),
    info(
        title = "tidemq",
        description = "Everything that the console and the command line do. Send what is in `admin.token` of the data \
                   directory as a bearer token, or speak to `control.sock` there, which asks for none. A failure is \
                   `application/problem+json`, with the remedy."
    )
)]
struct Documented;

/// Every path of it.
pub(super) fn router(app: App) -> Router {
    let (routes, mut document) = OpenApiRouter::with_openapi(Documented::openapi())
        .routes(routes!(status::now))
        .routes(routes!(status::history))
        .routes(routes!(status::report))
        .routes(routes!(status::rejected))
        .routes(routes!(status::rejected_text))
        .routes(routes!(status::metrics))
        .routes(routes!(status::live))
        .routes(routes!(status::ready))
        .routes(routes!(draft::show, draft::replace, draft::patch))
        .routes(routes!(draft::replace_text))
        .routes(routes!(draft::check))
        .routes(routes!(draft::applied))
        .routes(routes!(draft::pending))
        .routes(routes!(draft::reference))
        .routes(routes!(draft::schema))
        .routes(routes!(applying::apply))
        .routes(routes!(applying::waiting, applying::confirm))
        .routes(routes!(applying::roll_back))
        .routes(routes!(applying::discard))
        .routes(routes!(applying::history))
        .routes(routes!(applying::generation))
        .routes(routes!(applying::events))
        .routes(routes!(trace::packets))
        .routes(routes!(clients::list))
        .routes(routes!(clients::top))
        .routes(routes!(clients::show, clients::kick))
        .routes(routes!(clients::subscriptions))
        .routes(routes!(retained::list))
        .routes(routes!(retained::level))
        .routes(routes!(retained::show, retained::remove))
        .merge(edits())
        .routes(routes!(sessions::begin, sessions::end))
        .routes(routes!(sessions::link))
        .split_for_parts();
    documented::finish(&mut document);
    let text = document.to_json().expect("the document is JSON");
    let shown = move || {
        let text = text.clone();
        async move { ([("content-type", "application/json")], text) }
    };
    routes
        .route("/api/v1/openapi.json", get(shown))
        .method_not_allowed_fallback(async || {
            let status = axum::http::StatusCode::METHOD_NOT_ALLOWED;
            Problem::unreadable(status, "this path does not know the method")
        })
        .with_state(app)
}

/// What edits the lists of the draft.
fn edits() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(rules::list, rules::add))
        .routes(routes!(rules::change, rules::remove))
        .routes(routes!(rules::move_to))
        .routes(routes!(rules::hits))
        .routes(routes!(rules::test))
        .routes(routes!(rules::lint))
        .routes(routes!(users::list, users::add))
        .routes(routes!(users::change_password, users::remove))
        .routes(routes!(authorities::list, authorities::create))
        .routes(routes!(authorities::take))
        .routes(routes!(authorities::download))
        .routes(routes!(authorities::let_issue))
        .routes(routes!(authorities::remove))
        .routes(routes!(broker_certificate::show))
        .routes(routes!(broker_certificate::renew))
        .routes(routes!(broker_certificate::take))
        .routes(routes!(broker_certificate::choose))
        .routes(routes!(broker_certificate::download))
        .routes(routes!(client_certificates::list, client_certificates::add))
        .routes(routes!(client_certificates::online))
        .routes(routes!(client_certificates::authorize_rejected))
        .routes(routes!(client_certificates::present))
        .routes(routes!(client_certificates::change, client_certificates::remove))
        .routes(routes!(client_certificates::download))
        .routes(routes!(client_certificates::issue))
        .routes(routes!(client_certificates::sign))
}

#[cfg(test)]
mod tests;
