//! Edits of the draft over HTTP: status codes, headers, and what is in no answer. No connection is made.

use std::fs;
use std::sync::Arc;
use std::sync::mpsc::channel;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower_service::Service;

use super::super::access::Access;
use super::super::desk::Desk;
use super::super::feed::Feed;
use super::*;
use crate::control::commands::Paths;
use crate::control::config::{Draft, FRESH};

struct Place {
    temp: TempDir,
    router: Router,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    bytes: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes.clone()).unwrap()
    }
}

impl Place {
    fn new() -> Place {
        let temp = tempfile::tempdir().unwrap();
        let paths = Paths { data: temp.path().to_owned(), config: temp.path().join("config.toml") };
        fs::write(&paths.config, FRESH).unwrap();
        let (events, _) = channel();
        let access = Arc::new(Access::open(temp.path()).unwrap());
        let router = router(App { desk: Desk::new(events, paths), access, feed: Feed::new() });
        Place { temp, router }
    }

    async fn send(&self, method: &str, path: &str, if_match: Option<&str>, body: Option<Value>) -> Answer {
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/api/v1/{path}") };
        let mut request = Request::builder().method(method).uri(path);
        if let Some(tag) = if_match {
            request = request.header("if-match", tag);
        }
        let body = match body {
            None => Body::empty(),
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
        };
        let mut router = self.router.clone();
        let response = router.call(request.body(body).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 1 << 20).await.unwrap().to_vec();
        Answer { status: parts.status.as_u16(), headers: parts.headers, bytes }
    }

    fn draft(&self) -> Draft {
        Draft::read(&fs::read_to_string(self.temp.path().join("config.toml")).unwrap()).unwrap()
    }
}

#[tokio::test]
async fn a_change_bears_the_tag_of_the_draft_that_it_leaves() {
    let place = Place::new();
    let read = place.send("GET", "rules", None, None).await;
    let first = read.header("etag").to_owned();
    assert!(read.status == 200 && first.starts_with('"') && first.ends_with('"'));
    let rule = json!({"name": "one", "access": "read-write"});
    let made = place.send("POST", "rules", Some(&first), Some(rule.clone())).await;
    assert_eq!((made.status, &made.json()["position"]), (201, &json!(1)));
    let second = made.header("etag").to_owned();
    assert!(!second.is_empty() && second != first);

    let late = place.send("POST", "rules?at=1", Some(&first), Some(rule.clone())).await;
    assert_eq!((late.status, late.header("content-type")), (412, "application/problem+json"));
    assert_eq!(late.json()["type"], "tidemq:changed");
    let unreadable = place.send("PUT", "rules/1", Some("\"a\", \"b\""), Some(rule.clone())).await;
    assert_eq!(unreadable.status, 400);
    let changed = place.send("PUT", "rules/1", Some(&second), Some(rule)).await;
    assert_eq!((changed.status, changed.header("etag")), (200, second.as_str()), "it says what it said");
    let gone = place.send("DELETE", "rules/1", None, None).await;
    assert_eq!((gone.status, gone.bytes.len()), (204, 0));
    assert_eq!(gone.header("etag"), place.send("GET", "users", None, None).await.header("etag"));
}

#[tokio::test]
async fn a_password_is_in_no_answer_and_a_name_may_hold_anything() {
    let place = Place::new();
    let user = |password: Value| Some(json!({"name": "a/b %\"'", "password": password}));
    for wrong in [json!(4711), json!(["4711"]), json!({"4711": 1})] {
        let answer = place.send("POST", "users", None, user(wrong)).await;
        assert!(answer.status == 400 && !answer.text().contains("4711"), "{}", answer.text());
    }
    let bare = place.send("PUT", "users/x", None, Some(json!("tide-\"4711\""))).await;
    assert!(bare.status == 400 && !bare.text().contains("4711"), "{}", bare.text());
    assert!(bare.text().contains("type: string, expected"), "{}", bare.text());
    let unknown = json!({"name": "x", "password": "tide-4711", "else": 1});
    let answer = place.send("POST", "users", None, Some(unknown)).await;
    assert!(answer.status == 400 && !answer.text().contains("4711"), "{}", answer.text());
    let made = place.send("POST", "users", None, user(json!("tide-4711"))).await;
    assert_eq!((made.status, made.json()), (201, json!({"name": "a/b %\"'"})));
    let other = Some(json!({"password": "tide-4712"}));
    let changed = place.send("PUT", "users/a%2Fb%20%25%22%27", None, other).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    assert!(place.draft().config.users[0].password.verify(b"tide-4712"));
    assert_eq!(place.send("DELETE", "users/a%2Fb%20%25%22%27", None, None).await.status, 204);
    assert_eq!(place.send("DELETE", "users/a%2Fb%20%25%22%27", None, None).await.status, 404);
}

#[tokio::test]
async fn a_certificate_is_sent_as_the_file_that_it_is() {
    let place = Place::new();
    let made = place.send("POST", "authorities", None, Some(json!({"name": "Authority \"1\""}))).await;
    assert_eq!((made.status, &made.json()["issues"]), (201, &json!(true)));
    let path = format!("authorities/{}", made.json()["thumbprint"].as_str().unwrap());
    for (form, kind, begin) in [
        ("", "application/x-pem-file", &b"-----BEGIN CERTIFICATE-----"[..]),
        ("?form=der", "application/pkix-cert", b"\x30\x82"),
    ] {
        let file = place.send("GET", &format!("{path}/certificate{form}"), None, None).await;
        assert_eq!((file.status, file.header("content-type")), (200, kind));
        assert!(file.bytes.starts_with(begin));
        assert!(file.header("content-disposition").starts_with("attachment; filename=\"Authority__1_."));
    }
    assert_eq!(place.send("GET", &format!("{path}/certificate?form=key"), None, None).await.status, 400);
    let issued = json!({"name": "device1", "authorize": true});
    let issued = place.send("POST", "client-certificates/issue", None, Some(issued)).await;
    assert_eq!((issued.status, &issued.json()["listed_as"]), (201, &json!("device1")));
    let listed = place.send("GET", "client-certificates", None, None).await.json();
    assert_eq!((listed[0]["status"].as_str(), listed.as_array().unwrap().len()), (Some("authorized"), 1));
    assert_eq!(place.send("POST", &format!("{path}/use"), None, None).await.status, 200);
    assert_eq!(place.send("DELETE", &path, None, None).await.status, 204);
}

#[tokio::test]
async fn nobody_sits_at_the_desk_and_that_is_said() {
    let place = Place::new();
    let rejected = Some(json!({"thumbprint": "ab".repeat(32)}));
    let answer = place.send("POST", "client-certificates/authorize-rejected", None, rejected).await;
    assert_eq!((answer.status, answer.json()["type"].as_str()), (503, Some("tidemq:stopping")));
    assert_eq!(place.send("GET", "rules?of=applied", None, None).await.status, 503);
    assert_eq!(place.send("GET", "rules?of=else", None, None).await.status, 400);
    assert_eq!(place.send("GET", "rules?off=draft", None, None).await.status, 400);
}

#[tokio::test]
async fn the_document_is_whole_and_says_that_secrets_go_in_only() {
    let place = Place::new();
    let document = place.send("GET", "/api/v1/openapi.json", None, None).await.json();
    let schemas = &document["components"]["schemas"];
    let text = document.to_string();
    let named = text.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap());
    for name in named {
        assert!(schemas.get(name).is_some(), "`{name}` is named and not there: list it in `Documented`");
    }
    assert_eq!(schemas["Secret"]["writeOnly"], json!(true));
    assert_eq!(schemas["File"]["writeOnly"], json!(true));
    let operation = &document["paths"]["/api/v1/users/{name}"]["put"];
    let header =
        operation["parameters"].as_array().unwrap().iter().find(|one| one["in"] == "header").unwrap();
    assert_eq!((header["name"].as_str(), header["required"].as_bool()), (Some("If-Match"), Some(false)));
}
