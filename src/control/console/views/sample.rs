//! Pages as they could look, for tests: with values that people would see, and with names that want to deceive them.

use serde_json::json;

use super::form::{FieldProblem, Form, Grade};
use super::login::LoginPage;
use super::rules::{Access, Action, Answer, Editor, Kind, Matching, RuleRow, RulesPage, Test};
use super::settings::{Decision, Limit, Server, SettingsPage};
use super::shell::{Page, Shell, Theme, Trial};
use super::status::{self, Drops, Fact, Latency, Shard, StatusPage, Tile};
use crate::control::console::text::{Foreign, Moment};

/// Names that would be markup, move text about, or hide.
pub(in crate::control) const HOSTILE: [&str; 6] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "'onmouseover='alert(1)",
    "txt.\u{202e}exe",
    "a\u{200b}b\u{0}c\u{7}\n",
    "{{ 7 * 7 }}&lt;&amp;",
];

pub(in crate::control) fn shell(page: Page) -> Shell {
    Shell {
        page,
        theme: Theme::Auto,
        running: true,
        generation: 41,
        pending: 3,
        problems: 0,
        etag: "\"5f\"".into(),
        trial: None,
        notice: None,
        here: page.path().into(),
    }
}

pub(in crate::control) fn login() -> LoginPage {
    LoginPage {
        theme: Theme::Auto,
        problem: Some("the token is wrong".into()),
        next: "/status".into(),
        passwords: false,
        token_file: "/var/lib/tidemq/admin.token".into(),
    }
}

pub(in crate::control) fn status() -> StatusPage {
    let values = [15_023, 15_480, 61_200, 9_182_733, 734_618_640, 100_012, 18_211, 37, 9_182_733, 1_204, 61_877, 12];
    let tile = |((name, key, kind), value): ((&'static str, &'static str, status::Kind), u64)| {
        let wave = |second: i32| (f64::from(second) / 7.0).sin() * 0.2 + (f64::from(second) / 2.3).cos() * 0.05 + 1.0;
        let size = if kind == status::Kind::Level { value as f64 } else { value as f64 / 9_000.0 };
        Tile { name, key, kind, value, history: (0..60).map(|second| size * wave(second)).collect() }
    };
    StatusPage {
        shell: Shell { trial: Some(Trial { generation: 41, seconds: 48 }), ..shell(Page::Status) },
        since: Some(Moment(1_700_000_000)),
        version: "tidemq 0.1.0",
        tiles: status::VALUES.into_iter().zip(values).map(tile).collect(),
        latency: Latency { p50: Some(21_000), p99: Some(184_000), p999: Some(2_310_000) },
        latency_span: "the last 5 minutes",
        shards: Shard::all(&[3_801, 3_744, 3_690, 3_788]),
        drops: vec![
            Drops { reason: "backlog-full".into(), count: 1_204, per_second: 2.2 },
            Drops { reason: "output-full".into(), count: 0, per_second: 0.0 },
            Drops { reason: "expired".into(), count: 12, per_second: 0.0 },
        ],
        facts: vec![
            Fact::size("Memory", "memory", Some(412 << 20)),
            Fact::size("Memory a connection", "memory_per_connection", Some(19_200)),
            Fact::size("Queued for clients", "bytes_queued", Some(3 << 20)),
            Fact::number("Handshakes under way", "handshakes", 0),
        ],
    }
}

pub(in crate::control) fn disabled() -> StatusPage {
    let tile = |(name, key, kind)| Tile { name, key, kind, value: 0, history: Vec::new() };
    StatusPage {
        shell: Shell { running: false, pending: 0, ..shell(Page::Status) },
        tiles: status::VALUES.into_iter().map(tile).collect(),
        latency: Latency::default(),
        shards: Shard::all(&[0, 0]),
        ..status()
    }
}

pub(in crate::control) fn form() -> Form {
    let applied = json!({
        "enabled": true,
        "listener": [
            {"protocol": "tcp", "address": "127.0.0.1:1883", "tls": false, "enabled": true, "require_client_certificate": true},
            {"protocol": "websocket", "address": "127.0.0.1:8083", "path": "/mqtt", "tls": false, "enabled": false,
             "require_client_certificate": true, "packets_per_frame": "many"},
        ],
        "certificates": {"require": false, "trusted_authorized_only": false, "any_authorized": false,
                         "trust_operating_system": true, "client_id": "any"},
        "credentials": {"require": false},
        "broker": {"persistent_sessions": true, "storage": "memory", "response_information": ""},
        "rules": {"apply": "certificates", "refused_publish_v3": "acknowledge"},
        "limits": {"packet_bytes": "1 MiB", "backlog_messages": 10_000},
        "status": {"sys_interval_secs": 10}, "log": {"level": "info"}, "admin": {"address": "127.0.0.1:9883"},
    });
    let mut draft = applied.clone();
    draft["certificates"]["require"] = json!(true);
    draft["listener"][0]["tls"] = json!(true);
    let problem = FieldProblem {
        path: "listener[1].require_client_certificate".into(),
        what: "certificates are required on a listener without TLS".into(),
        remedy: "switch TLS on, or exempt this listener".into(),
        grade: Grade::Problem,
    };
    Form::new(&draft, &applied, vec![problem])
}

pub(in crate::control) fn settings() -> SettingsPage {
    let form = form();
    SettingsPage {
        shell: shell(Page::BrokerSettings),
        servers: Server::all(&form),
        decision: Decision::of(&form),
        users: "3 users".into(),
        limits: vec![
            Limit::new("limits.packet_bytes", "Largest packet taken from a client."),
            Limit::new("limits.backlog_messages", "What may wait for one client, online or offline."),
        ],
        limits_open: false,
        form,
    }
}

fn matching(what: &'static str, kind: Kind, text: &str) -> Matching {
    Matching { what, kind, text: text.into() }
}

pub(in crate::control) fn rules() -> RulesPage {
    let rule = |index: usize, name: &str, access, client, topic| RuleRow {
        index,
        last: index == 3,
        name: name.into(),
        access,
        client,
        topic,
        hits: Some(1_204 * index as u64),
        findings: Vec::new(),
        changed: index == 2,
        open: false,
        problems: Vec::new(),
    };
    let mut rules = vec![
        rule(0, "secrets", Access::Deny, matching("client", Kind::All, ""), matching("topic", Kind::Specific, "private/#")),
        rule(1, "temperatures", Access::Write, matching("client", Kind::Pattern, "device.*"),
             matching("topic", Kind::Pattern, "/{%client%}/temperature")),
        rule(2, HOSTILE[0], Access::Read, matching("client", Kind::Specific, HOSTILE[3]), matching("topic", Kind::Specific, HOSTILE[1])),
        rule(3, "the house", Access::ReadWrite, matching("client", Kind::Specific, "house"), matching("topic", Kind::All, "")),
    ];
    rules[2].findings.push("it can never decide: rule 1 “secrets” comes first for all of its topics".into());
    RulesPage {
        shell: shell(Page::TopicAccessRules),
        form: form(),
        banners: vec!["topic rules are there and do not apply: no enabled listener requires client certificates".into()],
        rules,
        blank: Editor { client: matching("client", Kind::All, ""), topic: matching("topic", Kind::All, ""), ..Editor::default() },
        test: Test {
            client: "device1".into(),
            action: Action::Publish,
            topic: "/device1/temperature".into(),
            draft: Some(Answer {
                allowed: true,
                decided: "rule 2 “temperatures” (Write): /{%client%}/temperature = /device1/temperature".into(),
                passed: vec![Foreign::from("rule 1 “secrets”: topic does not match (private/#)")],
            }),
            applied: Some(Answer { allowed: false, decided: "no rule matches".into(), passed: Vec::new() }),
        },
    }
}
