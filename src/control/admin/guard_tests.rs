//! Which requests are let through: a table.

use std::fs;

use super::super::access::TOKEN_FILE;
use super::*;

struct Asked {
    method: Method,
    path: &'static str,
    headers: Vec<(&'static str, String)>,
    tls: bool,
}

fn ask(path: &'static str) -> Asked {
    let headers = vec![("host", "127.0.0.1:9883".to_owned())];
    Asked { method: Method::GET, path, headers, tls: false }
}

impl Asked {
    fn with(mut self, name: &'static str, value: impl Into<String>) -> Asked {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
        self
    }

    fn by(self, method: Method) -> Asked {
        Asked { method, ..self }
    }

    fn judged(self, access: &Access) -> Result<Caller, (u16, String)> {
        self.judged_from(access, "192.0.2.7:4711")
    }

    fn judged_from(self, access: &Access, from: &str) -> Result<Caller, (u16, String)> {
        let mut request = axum::http::Request::builder().method(self.method).uri(self.path);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        parts.extensions.insert(Peer::Remote { address: from.parse().unwrap(), tls: self.tls });
        judge(&parts, access, Instant::now()).map_err(|problem| (problem.status, problem.kind))
    }
}

fn setting() -> (Access, String, tempfile::TempDir) {
    let temp = tempfile::tempdir().unwrap();
    let access = Access::open(temp.path()).unwrap();
    let token = fs::read_to_string(temp.path().join(TOKEN_FILE)).unwrap().trim().to_owned();
    (access, token, temp)
}

const STATUS: &str = "/api/v1/status";

#[test]
fn without_a_token_nothing_but_what_is_open() {
    let (access, token, _temp) = setting();
    let status = |asked: Asked| asked.judged(&access).map(|_| ()).map_err(|(status, _)| status);
    assert_eq!(status(ask(STATUS)), Err(401));
    assert_eq!(status(ask("/")), Err(401));
    assert_eq!(status(ask("/metrics")), Err(401));
    assert_eq!(status(ask("/health/live")), Ok(()));
    assert_eq!(status(ask("/login")), Ok(()));
    assert_eq!(status(ask(STATUS).with("authorization", format!("Bearer {token}"))), Ok(()));
    assert_eq!(status(ask(STATUS).with("authorization", "Bearer nonsense")), Err(401));
    assert_eq!(status(ask(STATUS).with("authorization", token.clone())), Err(401));
    assert_eq!(status(ask(STATUS).with("cookie", format!("{COOKIE}={token}"))), Err(401));
}

#[test]
fn a_name_that_is_not_ours_is_refused_before_anything_else() {
    let (access, token, _temp) = setting();
    let with = |host: &str| {
        let asked = ask(STATUS).with("authorization", format!("Bearer {token}")).with("host", host);
        asked.judged(&access).map(|_| ()).map_err(|(_, kind)| kind)
    };
    for host in ["localhost:9883", "LOCALHOST", "127.0.0.1", "[::1]:9883", "192.0.2.1:80"] {
        assert_eq!(with(host), Ok(()), "{host}");
    }
    assert_eq!(with("evil.example:9883"), Err("tidemq:wrong-host".into()));
    assert_eq!(with("localhost.evil.example"), Err("tidemq:wrong-host".into()));
    access.set_hosts(vec!["broker.example".into()]);
    assert_eq!(with("broker.example:9883"), Ok(()));
}

#[test]
fn a_page_of_another_origin_gets_nothing() {
    let (access, token, _temp) = setting();
    let cookie = format!("{COOKIE}={}", access.begin(Instant::now()).unwrap());
    let own = || ask(STATUS).with("cookie", cookie.clone());
    let kind = |asked: Asked| asked.judged(&access).map(|_| ()).map_err(|(_, kind)| kind);
    assert_eq!(kind(own()), Ok(()));
    assert_eq!(kind(own().with("origin", "http://127.0.0.1:9883")), Ok(()));
    for origin in ["http://evil.example", "null", "http://127.0.0.1:9884", "https://127.0.0.1:9883"] {
        assert_eq!(kind(own().with("origin", origin)), Err("tidemq:other-origin".into()), "{origin}");
        let with_token = ask(STATUS).with("authorization", format!("Bearer {token}"));
        assert_eq!(kind(with_token.with("origin", origin)), Err("tidemq:other-origin".into()));
    }
    assert_eq!(kind(own().with("sec-fetch-site", "cross-site")), Err("tidemq:other-origin".into()));
    assert_eq!(kind(own().with("sec-fetch-site", "same-site")), Err("tidemq:other-origin".into()));
    let link = own().with("sec-fetch-site", "cross-site").with("sec-fetch-mode", "navigate");
    assert_eq!(kind(link), Ok(()), "a link may lead here");

    let post = || own().by(Method::POST);
    assert_eq!(kind(post()), Err("tidemq:no-origin".into()));
    assert_eq!(kind(post().with("origin", "http://127.0.0.1:9883")), Ok(()));
    assert_eq!(kind(post().with("sec-fetch-site", "same-origin")), Ok(()));
    let forged = post().with("sec-fetch-site", "cross-site").with("sec-fetch-mode", "navigate");
    assert_eq!(kind(forged), Err("tidemq:other-origin".into()));
    let encrypted = Asked { tls: true, ..post().with("origin", "https://127.0.0.1:9883") };
    assert_eq!(kind(encrypted), Ok(()));
}

#[test]
fn who_guesses_has_to_wait_and_who_has_the_token_does_not() {
    let (access, token, _temp) = setting();
    let right = || ask(STATUS).with("authorization", format!("Bearer {token}"));
    let mut wrong = 0;
    while ask(STATUS).with("authorization", "Bearer guess").judged(&access).unwrap_err().0 == 401 {
        wrong += 1;
        assert!(wrong < 20, "somebody guesses for ever");
    }
    assert!(right().judged(&access).is_ok());
    let elsewhere = ask(STATUS).with("authorization", "Bearer guess").judged_from(&access, "192.0.2.8:1");
    assert_eq!(elsewhere.unwrap_err().0, 401, "another address is not concerned");
}

#[test]
fn a_process_of_this_machine_is_known_by_its_socket() {
    let (access, _token, _temp) = setting();
    let (mut parts, ()) = axum::http::Request::builder().uri(STATUS).body(()).unwrap().into_parts();
    parts.extensions.insert(Peer::Local { uid: 7 });
    assert_eq!(judge(&parts, &access, Instant::now()).unwrap().author, "user 7 of this machine");
}
