//! Pages as they could look, for tests: with values that people would see, and with names that want to deceive them.

use serde_json::json;

use super::access::{User, UsersPage};
use super::certificates::{
    AuthoritiesPage, Authority, BrokerCertificatePage, ClientCertificatesPage, Life, ListedCertificate,
    Presented, Status, Trial as Tried,
};
use super::clients::{Client, ClientPage, ClientsPage, Subscription};
use super::diagnostics::{DiagnosticsPage, Rejection, Slow};
use super::form::{FieldProblem, Form, Grade};
use super::history::{Change, ChangesPage, Generation, GenerationPage, HistoryPage, Weight};
use super::list::{self, List};
use super::login::LoginPage;
use super::retained::{Branch, Message, RetainedPage, Step};
use super::rules::{Access, Action, Answer, Editor, KeptTest, Kind, Matching, RuleRow, RulesPage, Test};
use super::settings::{Decision, Limit, Server, SettingsPage};
use super::shell::{Page, Shell, Theme, Trial};
use super::status::{self, Bar, Drops, Fact, Latency, StatusPage, Tile};
use crate::control::console::text::{Foreign, Moment};

/// Names that would be markup, move text about, or hide.
pub(crate) const HOSTILE: [&str; 6] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "'onmouseover='alert(1)",
    "txt.\u{202e}exe",
    "a\u{200b}b\u{0}c\u{7}\n",
    "{{ 7 * 7 }}&lt;&amp;",
];

pub(crate) fn shell(page: Page) -> Shell {
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

pub(crate) fn login() -> LoginPage {
    LoginPage {
        theme: Theme::Auto,
        problem: Some("the token is wrong".into()),
        next: "/status".into(),
        passwords: false,
        token_file: "/var/lib/tidemq/admin.token".into(),
    }
}

pub(crate) fn status() -> StatusPage {
    let values =
        [15_023, 15_480, 61_200, 9_182_733, 734_618_640, 100_012, 18_211, 37, 9_182_733, 1_204, 61_877, 12];
    let tile = |((name, key, kind), value): ((&'static str, &'static str, status::Kind), u64)| {
        let wave = |second: i32| {
            (f64::from(second) / 7.0).sin() * 0.2 + (f64::from(second) / 2.3).cos() * 0.05 + 1.0
        };
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
        shards: Bar::all(vec![
            ("0".into(), 3_801),
            ("1".into(), 3_744),
            ("2".into(), 3_690),
            ("3".into(), 3_788),
        ]),
        listeners: Bar::all(vec![
            ("tls 0.0.0.0:8883".into(), 15_010),
            ("websocket+tls [2001:db8::17]:8084/mqtt (one packet a frame)".into(), 13),
        ]),
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

pub(crate) fn disabled() -> StatusPage {
    let tile = |(name, key, kind)| Tile { name, key, kind, value: 0, history: Vec::new() };
    StatusPage {
        shell: Shell { running: false, pending: 0, ..shell(Page::Status) },
        tiles: status::VALUES.into_iter().map(tile).collect(),
        latency: Latency::default(),
        shards: Bar::all(vec![]),
        listeners: Bar::all(vec![]),
        ..status()
    }
}

pub(crate) fn form() -> Form {
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
    let changed = ["certificates.require", "listener[0].tls"].map(str::to_owned);
    Form::new(&draft, &applied, changed, vec![problem])
}

pub(crate) fn settings() -> SettingsPage {
    let form = form();
    SettingsPage {
        shell: shell(Page::BrokerSettings),
        servers: Server::all(&form),
        decision: Decision::of(&form),
        users: "3 users".into(),
        limits: vec![
            Limit::new("limits.packet_bytes", "Largest packet", "Largest packet taken from a client."),
            Limit::new(
                "limits.backlog_messages",
                "Messages waiting",
                "What may wait for one client, online or offline.",
            ),
        ],
        limits_open: false,
        form,
    }
}

fn matching(what: &'static str, kind: Kind, text: &str) -> Matching {
    Matching { what, kind, text: text.into() }
}

fn rule_rows() -> Vec<RuleRow> {
    let rule = |index: usize, name: &str, access, client, topic| RuleRow {
        index,
        last: index == 3,
        name: name.into(),
        access,
        client,
        topic,
        findings: Vec::new(),
        hits: (index != 2).then(|| "decided 1,234 times".into()),
        changed: index == 2,
        open: false,
        problems: Vec::new(),
    };
    let mut rules = vec![
        rule(
            0,
            "secrets",
            Access::Deny,
            matching("client", Kind::All, ""),
            matching("topic", Kind::Specific, "private/#"),
        ),
        rule(
            1,
            "temperatures",
            Access::Write,
            matching("client", Kind::Pattern, "device.*"),
            matching("topic", Kind::Pattern, "/{%client%}/temperature"),
        ),
        rule(
            2,
            HOSTILE[0],
            Access::Read,
            matching("client", Kind::Specific, HOSTILE[3]),
            matching("topic", Kind::Specific, HOSTILE[1]),
        ),
        rule(
            3,
            "the house",
            Access::ReadWrite,
            matching("client", Kind::Specific, "house"),
            matching("topic", Kind::All, ""),
        ),
    ];
    rules[2].findings.push("it can never decide: rule 1 “secrets” comes first for all of its topics".into());
    rules
}

pub(crate) fn rules() -> RulesPage {
    RulesPage {
        shell: shell(Page::TopicAccessRules),
        form: form(),
        banners: vec![
            "topic rules are there and do not apply: no enabled listener requires client certificates".into(),
        ],
        counted:
            "Counted are publishes, wills and subscriptions since generation 7; no rule matched 12 times."
                .into(),
        rules: rule_rows(),
        blank: Editor {
            client: matching("client", Kind::All, ""),
            topic: matching("topic", Kind::All, ""),
            ..Editor::default()
        },
        tests: vec![
            KeptTest {
                name: "temperatures are private".into(),
                said: "device1 may not publish to /device2/temperature".into(),
                passes: true,
                url: "/configuration/topic-access-rules?client=device1".into(),
            },
            KeptTest {
                name: HOSTILE[1].into(),
                said: HOSTILE[0].into(),
                passes: false,
                url: "/status".into(),
            },
        ],
        test: Test {
            client: "device1".into(),
            action: Action::Publish,
            topic: "/device1/temperature".into(),
            draft: Some(Answer {
                allowed: true,
                rule: Some(1),
                decided: "rule 2 “temperatures” (Write): /{%client%}/temperature = /device1/temperature"
                    .into(),
                passed: vec![Foreign::from("rule 1 “secrets”: topic does not match (private/#)")],
                notes: Vec::new(),
            }),
            applied: Some(Answer {
                allowed: false,
                rule: None,
                decided: "no rule matches".into(),
                passed: Vec::new(),
                notes: Vec::new(),
            }),
        },
    }
}

const THUMBPRINT: &str = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

fn life(days: i64) -> Life {
    Life { from: 0, until: 365 * 86_400, now: (365 - days) * 86_400 }
}

pub(crate) fn authorities() -> AuthoritiesPage {
    let authority = |name: &str, key, issues| Authority {
        name: name.into(),
        subject: Foreign::of(format!("CN={name}")),
        sha256: THUMBPRINT.into(),
        sha1: Some(THUMBPRINT[..40].into()),
        key_type: "ECDSA P-256".into(),
        key,
        issues,
        changed: !key,
        life: Some(life(if key { 200 } else { 12 })),
        listed: 3,
    };
    let authorities = vec![authority("built-in", true, true), authority(HOSTILE[1], false, false)];
    AuthoritiesPage { shell: shell(Page::CertificateAuthorities), authorities }
}

pub(crate) fn broker_certificate() -> BrokerCertificatePage {
    BrokerCertificatePage {
        shell: shell(Page::BrokerCertificate),
        current: Some(Presented {
            subject: "CN=broker.example.org".into(),
            issuer: "CN=tidemq built-in".into(),
            names: "broker.example.org, localhost, 127.0.0.1, ::1".into(),
            chain: vec!["CN=broker.example.org".into(), "CN=tidemq built-in".into()],
            key_type: "ECDSA P-256".into(),
            life: life(90),
            sha256: THUMBPRINT.into(),
            sha1: THUMBPRINT[..40].into(),
        }),
        automatic: true,
        changed: false,
        doubts: vec!["it does not name localhost".into()],
        names: "".into(),
        renewal: Some("2027-07-30T12:00:00Z".into()),
        stored: Vec::new(),
    }
}

pub(crate) fn client_certificates() -> ClientCertificatesPage {
    let certificate = |index: usize| ListedCertificate {
        name: HOSTILE.get(index).map_or_else(|| format!("device{index}").into(), |name| (*name).into()),
        subject: Some(Foreign::of(format!("CN=device{index}"))),
        issuer: Some("CN=tidemq built-in".into()),
        sha256: THUMBPRINT.into(),
        life: Some(life(index as i64 * 40 - 30)),
        status: [Status::Authorized, Status::Revoked, Status::Unlisted][index % 3],
        online: index.is_multiple_of(3).then(|| "1 online".into()),
        rejection: (index == 1).then(|| "revoked, 3 min ago".into()),
        changed: index == 2,
    };
    let (list, certificates) =
        List::of("/configuration/client-certificates", "", 0, (0..9).map(certificate).collect());
    ClientCertificatesPage {
        shell: shell(Page::ClientCertificates),
        matters: "Of the trusted ones only what is listed as Authorized is accepted.",
        warnings: vec!["device4 and device5 are certificates of one name".into()],
        list,
        certificates,
        trial: Some(Tried {
            pem: HOSTILE[0].into(),
            accepted: false,
            said: HOSTILE.map(Foreign::from).to_vec(),
        }),
    }
}

pub(crate) fn users() -> UsersPage {
    let users = HOSTILE
        .iter()
        .chain(&["anna", "bob"])
        .map(|name| User { name: (*name).into(), changed: *name == "bob" });
    let (list, users) = List::of("/configuration/users", "", 0, users.collect());
    UsersPage { shell: shell(Page::Users), required: false, list, users, typed: "".into() }
}

fn client(index: usize) -> Client {
    Client {
        id: HOSTILE.get(index).map_or_else(|| format!("sensor-{index:05}").into(), |id| (*id).into()),
        name: (index.is_multiple_of(2)).then(|| Foreign::of(format!("device{index}"))),
        address: (index % 5 != 4).then(|| "192.0.2.7:53121".into()),
        protocol: "5.0 over TLS".into(),
        since: Some("2023-11-14T22:13:20Z".into()),
        subscriptions: index as u64,
        waiting: 1_200 * index as u64,
    }
}

pub(crate) fn clients() -> ClientsPage {
    let clients: Vec<Client> = (0..12).map(client).collect();
    let list = List { path: "/clients", total: 15_023, offset: 50, shown: 12, size: 50, ..List::default() };
    ClientsPage {
        shell: shell(Page::Clients),
        list,
        state: "connected",
        clients,
        totals: "15,023 connected, 15,480 sessions".into(),
    }
}

pub(crate) fn no_clients() -> ClientsPage {
    let list = List { path: "/clients", ..List::default() };
    ClientsPage {
        shell: shell(Page::Clients),
        list,
        state: "all",
        clients: Vec::new(),
        totals: "0 connected, 0 sessions".into(),
    }
}

pub(crate) fn one_client() -> ClientPage {
    let filters = HOSTILE.iter().chain(&["$share/workers/jobs/#", "sensors/+/temperature"]);
    let subscription =
        |filter: &&str| Subscription { filter: (*filter).into(), qos: 1, options: "no local".into() };
    ClientPage {
        shell: shell(Page::Clients),
        client: client(0),
        facts: vec![
            list::Fact::new("Name", "device0"),
            list::Fact::new("Address", "192.0.2.7:53121"),
            list::Fact::new("Certificate", HOSTILE[3]),
            list::Fact::new("Keep Alive", "60 s"),
        ],
        subscriptions: filters.map(subscription).collect(),
    }
}

pub(crate) fn retained() -> RetainedPage {
    let branch = |name: &&str| Branch {
        name: (*name).into(),
        below: (name.len().is_multiple_of(2)).then(|| "/retained?below=x".into()),
        message: (!name.len().is_multiple_of(3)).then(|| "/retained?topic=x".into()),
        shown: *name == "kitchen",
        count: 1_204,
    };
    let branches: Vec<Branch> = HOSTILE.iter().chain(&["kitchen", "bath", "", "hall"]).map(branch).collect();
    RetainedPage {
        shell: shell(Page::Retained),
        total_text: "100,012 messages".into(),
        filter: "".into(),
        trail: vec![
            Step { name: "house".into(), url: "/retained?below=house".into() },
            Step { name: HOSTILE[3].into(), url: "/retained?below=house%2Fx".into() },
        ],
        list: List {
            path: "/retained",
            total: 230,
            shown: branches.len() as u64,
            size: 50,
            ..List::default()
        },
        branches,
        message: Some(Message {
            topic: "house/kitchen".into(),
            facts: vec![
                list::Fact::new("QoS", 1),
                list::Fact::new("Payload", "48 B"),
                list::Fact::new("Content type", HOSTILE[0]),
            ],
            base64: "eyJ0ZW1wZXJhdHVyZSI6MjEuNSwidGV4dCI6IjxiPmhpPC9iPiJ9".into(),
            text: "{\"temperature\":21.5,\"text\":\"<b>hi</b>\"}".into(),
            cut: false,
        }),
    }
}

pub(crate) fn diagnostics() -> DiagnosticsPage {
    let rejection = |(index, name): (usize, &&str)| Rejection {
        when: Foreign::of(format!("2023-11-14T22:13:2{index}Z")),
        kind: if index.is_multiple_of(2) { "connection".into() } else { "publish".into() },
        who: vec![(*name).into(), "192.0.2.7:53121".into()],
        times: index as u64,
        topic: (index % 2 == 1).then(|| HOSTILE[5].into()),
        thumbprint: (index.is_multiple_of(2)).then(|| THUMBPRINT.into()),
        authorize: index.is_multiple_of(2),
        cause: "the certificate is trusted, and not listed as Authorized".into(),
        remedy: Some("list it under Client Certificates".into()),
        test: (index % 2 == 1)
            .then(|| "/configuration/topic-access-rules?client=a&action=publish&topic=b".into()),
    };
    let (list, rejections) =
        List::of("/diagnostics", "", 0, HOSTILE.iter().enumerate().map(rejection).collect());
    let slow = HOSTILE.iter().map(|id| Slow {
        id: (*id).into(),
        url: "/clients/one?id=x".into(),
        messages: "1,204".into(),
        bytes: "3.0 MiB".into(),
        output: "64 KiB".into(),
    });
    let slow = slow.collect();
    DiagnosticsPage {
        form: form(),
        shell: shell(Page::Diagnostics),
        client: "".into(),
        topic: "".into(),
        list,
        rejections,
        slow,
    }
}

fn changes() -> Vec<Change> {
    let change = |path: &str, before: Option<&str>, after: Option<&str>, effect: &str, weight| Change {
        path: path.into(),
        before: before.map(Foreign::from),
        after: after.map(Foreign::from),
        effect: effect.into(),
        notes: vec![
            "clients without TLS are disconnected".into(),
            "connected there now: 15,023 clients".into(),
        ],
        weight,
    };
    vec![
        change("listener[0].tls", Some("false"), Some("true"), "live", Weight::Heavy),
        change("limits.packet_bytes", Some("1048576"), Some("4096"), "new connections", Weight::Later),
        change(&format!("user[{:?}].name", HOSTILE[1]), None, Some(HOSTILE[1]), "live", Weight::Light),
    ]
}

pub(crate) fn pending() -> ChangesPage {
    ChangesPage {
        shell: shell(Page::Changes),
        problems: vec![FieldProblem {
            path: "rules".into(),
            what: "topic rules apply and there are none: nobody can publish or subscribe to anything".into(),
            remedy: "add one".into(),
            grade: Grade::Warning,
        }],
        changes: changes(),
        summary: "3 changes: 1 live, 1 for new connections, 1 that somebody notices".into(),
    }
}

pub(crate) fn nothing_pending() -> ChangesPage {
    ChangesPage {
        shell: Shell { pending: 0, ..shell(Page::Changes) },
        problems: Vec::new(),
        changes: Vec::new(),
        summary: String::new(),
    }
}

fn generation(number: u64) -> Generation {
    Generation {
        number,
        when: Some(Foreign::of(format!("2023-11-14T22:{:02}:20Z", number % 60))),
        author: "console from 127.0.0.1".into(),
        comment: if number.is_multiple_of(3) { HOSTILE[0].into() } else { "".into() },
        changes: number % 7,
        current: number == 41,
        trial: false,
    }
}

pub(crate) fn history() -> HistoryPage {
    let (list, generations) = List::of("/history", "", 0, (20..42).rev().map(generation).collect());
    HistoryPage { shell: shell(Page::History), list, generations }
}

pub(crate) fn one_generation() -> GenerationPage {
    GenerationPage {
        shell: shell(Page::History),
        generation: generation(39),
        changes: changes(),
        since: Some(changes()),
        revives: vec![Foreign::from("user \"anna\" and her password")],
    }
}

/// Every page by a name, rendered.
pub(crate) fn all() -> Vec<(&'static str, String)> {
    use askama::Template;
    let pages: Vec<(&'static str, askama::Result<String>)> = vec![
        ("login", login().render()),
        ("status", status().render()),
        ("disabled", disabled().render()),
        ("settings", settings().render()),
        ("authorities", authorities().render()),
        ("broker-certificate", broker_certificate().render()),
        ("client-certificates", client_certificates().render()),
        ("rules", rules().render()),
        ("users", users().render()),
        ("clients", clients().render()),
        ("no-clients", no_clients().render()),
        ("client", one_client().render()),
        ("retained", retained().render()),
        ("diagnostics", diagnostics().render()),
        ("pending", pending().render()),
        ("nothing-pending", nothing_pending().render()),
        ("history", history().render()),
        ("generation", one_generation().render()),
    ];
    pages.into_iter().map(|(name, page)| (name, page.expect("a sample can be rendered"))).collect()
}
