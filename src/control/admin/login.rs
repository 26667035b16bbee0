//! A browser logs in: by the token, the password, or a link that is good once. What it gets is a cookie.

use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::Instant;

use axum_extra::extract::cookie::{Cookie, SameSite};
use tokio::sync::Semaphore;

use super::App;
use super::guard::{COOKIE, Peer, too_many};
use super::problem::Problem;

/// Passwords verified at once: each takes a core and 19 MiB.
static VERIFYING: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(1));

/// What a browser logs in with.
pub(in crate::control) enum Proof {
    /// The token or the password.
    Secret(String),
    /// The code of a link.
    Link(String),
}

/// Begins a session: its cookie.
///
/// # Errors
/// The proof is wrong, or too many were.
pub(in crate::control) async fn begin(
    app: &App,
    peer: Peer,
    proof: Proof,
) -> Result<Cookie<'static>, Problem> {
    let (from, secure) = match peer {
        Peer::Remote { address, tls } => (address.ip(), tls),
        Peer::Local { .. } => (IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), false),
    };
    let now = Instant::now();
    let wait = app.access.must_wait(from, now);
    let proved = match (proof, wait) {
        // Nobody guesses a token: who has it need not wait for who tries.
        (Proof::Secret(secret), _) if app.access.is_token(secret.trim()) => true,
        (_, Some(wait)) => return Err(too_many(wait)),
        (Proof::Link(code), None) => app.access.use_link(&code, now),
        (Proof::Secret(secret), None) => is_password(app, secret).await?,
    };
    if !proved {
        app.access.was_wrong(from, now);
        return Err(Problem::unauthorised("that is neither the token nor the password")
            .remedy("the token is in `admin.token` of the data directory"));
    }
    let id = app.access.begin(now).map_err(Problem::fault)?;
    Ok(cookie(id, secure))
}

async fn is_password(app: &App, given: String) -> Result<bool, Problem> {
    let Some(password) = app.access.password() else { return Ok(false) };
    let _turn = VERIFYING.acquire().await.map_err(Problem::fault)?;
    app.desk.aside(move || password.verify(given.as_bytes())).await
}

fn cookie(id: String, secure: bool) -> Cookie<'static> {
    Cookie::build((COOKIE, id)).path("/").http_only(true).same_site(SameSite::Strict).secure(secure).build()
}

/// Ends a session: the cookie that takes the old one away.
pub(in crate::control) fn end(app: &App, id: &str) -> Cookie<'static> {
    app.access.end(id);
    Cookie::build((COOKIE, "")).path("/").removal().build()
}
