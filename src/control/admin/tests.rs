//! The admin side as a whole: a control thread with a disabled broker, asked over its socket and over TCP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};

use super::access::{Access, TOKEN_FILE};
use super::desk::Desk;
use super::*;
use crate::control::apply::{Overrides, Store};
use crate::control::client::Client;
use crate::control::commands::Paths;
use crate::control::config::FRESH;
use crate::control::data_dir::{DataDir, config_file};
use crate::control::failure::Exit;
use crate::control::running::Layout;
use crate::control::socket;
use crate::control::starter::Starter;
use crate::control::thread::{Control, Event};

/// A control thread on a data directory of its own, ended with the value.
struct Bench {
    temp: tempfile::TempDir,
    events: Sender<Event>,
    working: Option<JoinHandle<()>>,
    address: SocketAddr,
    token: String,
}

impl Bench {
    fn start() -> Bench {
        let temp = tempfile::tempdir().unwrap();
        let file = config_file(temp.path());
        std::fs::write(&file, FRESH.replace("127.0.0.1:9883", "127.0.0.1:0")).unwrap();
        let (events, incoming) = channel();
        let (data, posted) = (temp.path().to_owned(), events.clone());
        let (tell, told) = channel();
        let working = thread::spawn(move || {
            let local = socket::bind(&data).unwrap();
            let access = Access::open(&data).unwrap();
            let desk = Desk::new(posted, Paths { data: data.clone(), config: file.clone() });
            let admin = Admin::start(local, access, desk).unwrap();
            let store = Store::open(file, &data, Overrides::default()).unwrap();
            let layout = Layout { shards: 1, cores: vec![0] };
            let (held, starter) = (DataDir::open(&data).unwrap(), Starter::on_its_own());
            let mut control = Control::start(store, held, layout, admin, starter).unwrap();
            let url = control.admin().url().unwrap();
            tell.send(url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap()).unwrap();
            control.work(&incoming);
        });
        let address = told.recv().unwrap();
        let token = std::fs::read_to_string(temp.path().join(TOKEN_FILE)).unwrap().trim().to_owned();
        Bench { temp, events, working: Some(working), address, token }
    }

    fn client(&self) -> Client {
        Client::new(self.temp.path())
    }

    /// Asks over TCP: status line and headers, then the body.
    fn ask(&self, head: &str, body: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let length = body.len();
        let (method_and_path, headers) = head.split_once('\n').unwrap_or((head, ""));
        let request = format!(
            "{method_and_path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {length}\r\n{}\r\n{body}",
            self.address,
            headers.lines().map(|line| format!("{}\r\n", line.trim())).collect::<String>()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        let (head, body) = said.split_once("\r\n\r\n").expect("an answer has a head");
        (head.to_owned(), body.to_owned())
    }

    fn status(&self, head: &str, body: &str) -> u16 {
        let (head, _) = self.ask(head, body);
        head.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.events.send(Event::Stop).unwrap();
        self.working.take().unwrap().join().unwrap();
    }
}

#[test]
fn the_command_line_needs_no_token_and_a_problem_keeps_its_exit_code_and_remedy() {
    let bench = Bench::start();
    let status: Value = bench.client().get("/status").unwrap();
    assert_eq!((&status["running"], &status["generation"]), (&json!(false), &json!(1)));
    let nothing = bench.client().get::<Value>("/nothing").unwrap_err();
    assert_eq!(nothing.exit, Exit::Given);
    let gone = bench.client().get::<Value>("/clients/nobody").unwrap_err();
    assert_eq!(gone.exit, Exit::NotRunning);
    assert!(gone.remedy.contains("enabled = true"), "{gone}");
    let none = Client::new(&bench.temp.path().join("elsewhere")).get::<Value>("/status").unwrap_err();
    assert_eq!(none.exit, Exit::NotRunning);
}

#[test]
fn an_apply_takes_the_draft_that_was_meant_and_says_what_it_changed() {
    let bench = Bench::start();
    let before: Value = bench.client().get("/config/draft").unwrap();
    let file = config_file(bench.temp.path());
    let edited = before["text"].as_str().unwrap().replace("client_id_bytes = 256", "client_id_bytes = 100");
    std::fs::write(&file, &edited).unwrap();
    let apply = |asked: Value| bench.client().call::<Value>(hyper::Method::POST, "/apply", Some(&asked));
    let changed = apply(json!({ "expected_draft": before["hash"] })).unwrap_err();
    assert_eq!(changed.exit, Exit::NotApplied, "{changed}");
    assert!(apply(json!({ "expected_generation": 9 })).is_err());
    let report = apply(json!({ "expected_generation": 1 })).unwrap();
    assert_eq!(report["generation"], 2);
    assert_eq!(report["changes"][0]["path"], "limits.client_id_bytes");
    std::fs::write(&file, "listener = 7").unwrap();
    let wrong = apply(json!({})).unwrap_err();
    assert_eq!(wrong.exit, Exit::Invalid);
    assert!(wrong.to_string().contains("listener"), "{wrong}");
    assert_eq!(apply(json!({ "nonsense": true })).unwrap_err().exit, Exit::Given);
}

#[test]
fn over_tcp_a_token_or_a_session_is_asked_for_and_a_session_changes_things_only_from_its_own_page() {
    let bench = Bench::start();
    assert_eq!(bench.status("GET /api/v1/status", ""), 401);
    assert_eq!(bench.status(&format!("GET /api/v1/status\nAuthorization: Bearer {}", bench.token), ""), 200);
    assert_eq!(bench.status("GET /health/live", ""), 200);
    assert_eq!(bench.status("GET /health/ready", ""), 503, "the broker is disabled");

    let json = "Content-Type: application/json";
    let login = |secret: &str| {
        bench.ask(&format!("POST /api/v1/session\n{json}"), &json!({ "secret": secret }).to_string())
    };
    assert!(login("wrong").0.starts_with("HTTP/1.1 401"));
    let (head, _) = login(&bench.token);
    let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie");
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let cookie = cookie.split(';').next().unwrap();
    assert_eq!(bench.status(&format!("GET /api/v1/status\nCookie: {cookie}"), ""), 200);
    let apply =
        |more: &str| bench.status(&format!("POST /api/v1/apply\n{json}\nCookie: {cookie}\n{more}"), "{}");
    assert_eq!(apply(""), 403, "a form of another page sends no Origin of ours");
    assert_eq!(apply("Origin: http://evil.example"), 403);
    assert_eq!(apply(&format!("Origin: http://{}", bench.address)), 200);
    assert_eq!(bench.status(&format!("DELETE /api/v1/session\nCookie: {cookie}"), ""), 204);
    assert_eq!(bench.status(&format!("GET /api/v1/status\nCookie: {cookie}"), ""), 401);
}

#[test]
fn what_cannot_be_understood_is_told_as_a_problem() {
    let bench = Bench::start();
    let token = format!("Authorization: Bearer {}", bench.token);
    let json = "Content-Type: application/json";
    for (head, body, status) in [
        (format!("POST /api/v1/apply\n{token}"), "{}", 415),
        (format!("POST /api/v1/apply\n{token}\n{json}"), "{", 400),
        (format!("POST /api/v1/apply\n{token}\n{json}"), "7", 400),
        (format!("PUT /api/v1/apply\n{token}\n{json}"), "{}", 405),
        (format!("GET /api/v1/clients?most=many\n{token}"), "", 400),
        (format!("GET /api/v1/clients?after=nowhere\n{token}"), "", 400),
        (format!("GET /api/v1/status/history?span=century\n{token}"), "", 400),
    ] {
        let (answer, text) = bench.ask(&head, body);
        assert_eq!(answer.split(' ').nth(1).unwrap(), status.to_string(), "{head}: {text}");
        assert!(answer.contains("content-type: application/problem+json"), "{head}: {answer}");
        let problem: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(problem["status"], status);
    }
}

#[test]
fn who_listens_hears_of_an_apply() {
    let bench = Bench::start();
    let mut stream = TcpStream::connect(bench.address).unwrap();
    let head = format!(
        "GET /api/v1/events HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n",
        bench.token
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().contains(" 200 "));
    // The head is complete when the handler has begun to listen.
    assert!(lines.any(|line| line.is_empty()));
    bench.client().call::<Value>(hyper::Method::POST, "/apply", Some(&json!({}))).unwrap();
    assert!(lines.any(|line| line == "event: applied"));
    let data = lines.next().unwrap();
    assert!(data.contains("\"generation\":1"), "{data}");
}

#[test]
fn the_document_describes_every_path_and_every_operation_may_answer_a_problem() {
    let bench = Bench::start();
    let document: Value = bench.client().get("/openapi.json").unwrap();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.contains_key("/api/v1/apply") && paths.contains_key("/metrics"));
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.contains_key("401"), "{method} {path}");
            assert!(operation["summary"].is_string(), "{method} {path} says nothing about itself");
        }
    }
}
