//! Who asks, and may he? Judged before any handler: the Host, where a browser says it comes from, token or session. It
//! reads a request's head and nothing else.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::CookieJar;

use super::access::Access;
use super::problem::Problem;

/// The cookie of a browser's session.
pub(in crate::control) const COOKIE: &str = "tidemq_session";

/// What a browser says about where a request comes from, beside Origin.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::control) enum Peer {
    /// A process of this machine, by the socket in the data directory, and whose it is.
    Local {
        /// The user's number.
        uid: u32,
    },
    /// Anybody.
    Remote {
        /// From where.
        address: SocketAddr,
        /// The connection is encrypted.
        tls: bool,
    },
}

/// Who asks: allowed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::control) struct Caller {
    /// What the history calls him.
    pub(in crate::control) author: String,
}

/// What nobody needs to be known for: to log in, how it looks, and whether the broker lives.
fn is_open(path: &str) -> bool {
    matches!(path, "/login" | "/health/live" | "/health/ready" | "/api/v1/session")
        || path.starts_with("/assets/")
        || path.starts_with("/login/")
}

/// Lets through who may.
pub(super) async fn guard(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let wants_page = !parts.uri.path().starts_with("/api/")
        && header_text(&parts.headers, header::ACCEPT).is_some_and(|accept| accept.contains("text/html"));
    let response = match judge(&parts, &access, Instant::now()) {
        Ok(caller) => {
            parts.extensions.insert(caller);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(problem) if problem.status == 401 && wants_page => Redirect::to(&login(&parts)).into_response(),
        Err(problem) => problem.into_response(),
    };
    with_safe_headers(response)
}

/// Where a browser logs in, and then comes back to the page that it wanted.
fn login(parts: &Parts) -> String {
    match parts.uri.path() {
        path if parts.method == Method::GET && path.len() > 1 => format!("/login?next={path}"),
        _ => "/login".into(),
    }
}

/// Who asks.
///
/// # Errors
/// Why that is not allowed.
fn judge(parts: &Parts, access: &Access, now: Instant) -> Result<Caller, Problem> {
    let peer = parts.extensions.get::<Peer>().copied();
    let address = match peer {
        Some(Peer::Local { uid }) => return Ok(Caller { author: format!("user {uid} of this machine") }),
        Some(Peer::Remote { address, .. }) => address,
        None => return Err(Problem::fault("the connection's other end is not known")),
    };
    let (host, authority) = host(parts)?;
    if !access.is_host(&host) {
        let detail = format!("this broker is not known as {:?}", host.chars().take(64).collect::<String>());
        return Err(Problem::forbidden("wrong-host", detail)
            .remedy("ask it by its address, or write the name into `hosts` of [admin]"));
    }
    let from_here = same_origin(parts, &authority)?;
    if is_open(parts.uri.path()) {
        return Ok(Caller { author: format!("{}", address.ip()) });
    }
    known(parts, access, address.ip(), from_here, now)
}

/// Whose token or session it is.
fn known(
    parts: &Parts,
    access: &Access,
    from: IpAddr,
    from_here: FromHere,
    now: Instant,
) -> Result<Caller, Problem> {
    if let Some(given) = header_text(&parts.headers, header::AUTHORIZATION) {
        let token = given.strip_prefix("Bearer ").or_else(|| given.strip_prefix("bearer "));
        if token.is_some_and(|token| access.is_token(token.trim())) {
            return Ok(Caller { author: format!("token from {from}") });
        }
        // Nobody guesses a token; who tries is slowed down all the same, and no one else at his address is.
        if let Some(wait) = access.must_wait(from, now) {
            return Err(too_many(wait));
        }
        access.was_wrong(from, now);
        return Err(Problem::unauthorised("the token is wrong")
            .remedy("send what is in `admin.token` of the data directory: `Authorization: Bearer ...`"));
    }
    let jar = CookieJar::from_headers(&parts.headers);
    if let Some(cookie) = jar.get(COOKIE) {
        if !access.is_session(cookie.value(), now) {
            return Err(Problem::unauthorised("the session is over").remedy("log in again"));
        }
        if !parts.method.is_safe() && from_here == FromHere::NotSaid {
            let detail = "a browser's session changes something only for a page of this console";
            return Err(Problem::forbidden("no-origin", detail).remedy("send Origin, or use the token"));
        }
        return Ok(Caller { author: format!("console from {from}") });
    }
    Err(Problem::unauthorised("neither a token nor a session was sent").remedy(
        "send what is in `admin.token` of the data directory: `Authorization: Bearer ...`, or log in",
    ))
}

pub(super) fn too_many(wait: std::time::Duration) -> Problem {
    let secs = wait.as_secs() + 1;
    Problem::too_many(format!("too many wrong tries from this address: the next one is heard in {secs} s"))
        .remedy("wait, then send what is in `admin.token` of the data directory")
}

/// Whether a browser says that the request comes from a page of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FromHere {
    Yes,
    NotSaid,
}

/// A request from a page of somebody else is refused, whatever it asks for.
fn same_origin(parts: &Parts, authority: &str) -> Result<FromHere, Problem> {
    let foreign = |from: &str| {
        let detail = format!(
            "a page of {:?} asks, and only this console's own may",
            from.chars().take(128).collect::<String>()
        );
        Problem::forbidden("other-origin", detail).remedy("open the console by its own address")
    };
    if let Some(origin) = header_text(&parts.headers, header::ORIGIN) {
        let (scheme, rest) = origin.split_once("://").ok_or_else(|| foreign(origin))?;
        let expected = match parts.extensions.get::<Peer>() {
            Some(Peer::Remote { tls: true, .. }) => "https",
            _ => "http",
        };
        let same = scheme == expected && rest.eq_ignore_ascii_case(authority);
        return if same { Ok(FromHere::Yes) } else { Err(foreign(origin)) };
    }
    match header_text(&parts.headers, FETCH_SITE) {
        Some("same-origin") => Ok(FromHere::Yes),
        // No browser; or typed by a person, or a bookmark.
        None | Some("none") => Ok(FromHere::NotSaid),
        // A link on another page may lead here, as long as nothing is changed.
        Some(_) if parts.method.is_safe() && is_navigation(&parts.headers) => Ok(FromHere::NotSaid),
        Some(site) => Err(foreign(site)),
    }
}

fn is_navigation(headers: &HeaderMap) -> bool {
    header_text(headers, HeaderName::from_static("sec-fetch-mode")) == Some("navigate")
}

/// The host that a request names, without and with its port.
fn host(parts: &Parts) -> Result<(String, String), Problem> {
    let named =
        header_text(&parts.headers, header::HOST).or_else(|| parts.uri.authority().map(Authority::as_str));
    let authority = named.ok_or_else(|| Problem::bad_request("the request names no host"))?;
    let parsed: Authority = authority.parse().map_err(|_| Problem::bad_request("the host is not one"))?;
    Ok((parsed.host().to_owned(), authority.to_owned()))
}

fn header_text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// What every answer says to a browser.
fn with_safe_headers(mut response: Response) -> Response {
    const CONTENT: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                           font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
                           frame-ancestors 'none'";
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
