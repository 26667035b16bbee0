//! Signing in and out, light and dark, the header by itself.

use axum::Router;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};

use super::Shown;
use crate::control::admin::access::TOKEN_FILE;
use crate::control::admin::guard::{COOKIE, Peer};
use crate::control::admin::login::{self, Proof};
use crate::control::console::Console;
use crate::control::console::frame::{Fields, THEME, Visit, outside, own_path};
use crate::control::console::trouble::shown;
use crate::control::console::views::login::LoginPage;
use crate::control::console::views::shell::{HeaderPage, Page, Theme};

/// How long a browser remembers light or dark: a year.
const REMEMBER: time::Duration = time::Duration::days(365);

pub(super) fn router() -> Router<Console> {
    Router::new()
        .route("/", get(async || Redirect::to("/status")))
        .route("/login", get(login_page).post(log_in))
        .route("/login/{code}", get(by_link))
        .route("/logout", post(log_out))
        .route("/theme", post(theme))
        .route("/header", get(header))
}

fn page(console: &Console, theme: Theme, problem: Option<String>, next: &str) -> LoginPage {
    LoginPage {
        theme,
        problem: problem.map(outside),
        next: outside(own_path(next)),
        passwords: console.app.access.password().is_some(),
        token_file: outside(console.app.desk.data().join(TOKEN_FILE).display()),
    }
}

async fn login_page(visit: Visit) -> Response {
    shown(&page(visit.console(), visit.theme, None, visit.asked("next")))
}

async fn log_in(visit: Visit, Extension(peer): Extension<Peer>, jar: CookieJar, fields: Fields) -> Response {
    let next = own_path(fields.text("next")).to_owned();
    match login::begin(visit.app(), peer, Proof::Secret(fields.text("secret").to_owned())).await {
        Ok(cookie) => (jar.add(cookie), Redirect::to(&next)).into_response(),
        Err(problem) => {
            let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::UNAUTHORIZED);
            let said = format!("{}; {}", problem.detail, problem.remedy);
            (status, shown(&page(visit.console(), visit.theme, Some(said), &next))).into_response()
        }
    }
}

async fn by_link(
    visit: Visit,
    Extension(peer): Extension<Peer>,
    jar: CookieJar,
    Path(code): Path<String>,
) -> Response {
    match login::begin(visit.app(), peer, Proof::Link(code)).await {
        Ok(cookie) => (jar.add(cookie), Redirect::to("/status")).into_response(),
        Err(_) => {
            let said = "the link is not good any more: it is for once, and for five minutes".to_owned();
            (StatusCode::UNAUTHORIZED, shown(&page(visit.console(), visit.theme, Some(said), "/status")))
                .into_response()
        }
    }
}

async fn log_out(State(console): State<Console>, jar: CookieJar) -> Response {
    let id = jar.get(COOKIE).map(|cookie| cookie.value().to_owned()).unwrap_or_default();
    (jar.add(login::end(&console.app, &id)), Redirect::to("/login")).into_response()
}

async fn theme(jar: CookieJar, fields: Fields) -> Response {
    let theme = Theme::named(fields.text("theme"));
    let cookie = Cookie::build((THEME, theme.name())).path("/").same_site(SameSite::Strict).max_age(REMEMBER);
    (jar.add(cookie), Redirect::to(own_path(fields.text("here")))).into_response()
}

/// Header and countdown by themselves, for pages that stay open.
async fn header(visit: Visit) -> Shown {
    Ok(shown(&HeaderPage { shell: visit.shell(Page::Status).await? }))
}
