//! A text becomes a configuration or all that is wrong with it.

use super::*;
use crate::policy::rules::{Access, ClientMatch, TopicMatch};
use crate::policy::{ClientIdPolicy, Listing, RefusedPublish};

fn problems(text: &str) -> Vec<Problem> {
    Draft::read(text).expect_err("the text has problems").0
}

fn paths(text: &str) -> Vec<String> {
    problems(text).into_iter().map(|problem| problem.path).collect()
}

#[test]
fn the_fresh_configuration_is_disabled_and_reachable_from_this_machine_alone() {
    let draft = Draft::read(FRESH).unwrap();
    assert_eq!(draft.made_from, Some(Generation(0)));
    let config = draft.config;
    assert!(!config.enabled);
    assert_eq!(config.listeners[0].address, "127.0.0.1:1883".parse().unwrap());
    assert!(config.listeners[0].enabled);
    assert_eq!(config.listeners[1].protocol, Protocol::WebSocket);
    assert_eq!(config.listeners[1].address, "127.0.0.1:8083".parse().unwrap());
    assert_eq!(config.listeners[1].path.as_deref(), Some("/mqtt"));
    assert!(!config.listeners[1].enabled);
    assert_eq!(config.admin.address, "127.0.0.1:9883".parse().unwrap());
    assert!(config.broker.persistent_sessions);
    assert_eq!(config.limits, Limits::default());
}

#[test]
fn the_fresh_text_holds_every_field() {
    let fresh = Draft::read(FRESH).unwrap().config;
    let table: toml::Table = FRESH.parse().unwrap();
    for field in crate::control::diff::fields(&fresh) {
        let mut at = &toml::Value::Table(table.clone());
        for step in field.path.replace("[0]", "").replace("[1]", "").split('.') {
            at = match at {
                toml::Value::Array(items) => items.iter().find_map(|item| item.get(step)).expect(&field.path),
                at => at.get(step).expect(&field.path),
            };
        }
    }
}

#[test]
fn what_is_left_out_has_its_default() {
    let config = Draft::read("").unwrap().config;
    assert!(!config.enabled);
    assert_eq!(config.listeners, []);
    assert_eq!(config.limits, Limits::default());
    assert_eq!(Draft::read("").unwrap().made_from, None);
}

#[test]
fn all_problems_come_at_once_each_with_its_path_and_line() {
    let text = r#"
enabled = "yes"

[[listener]]
address = "localhost"

[[listener]]
protocol = "quic"
adress = "127.0.0.1:1"

[admin]
address = 9883

[broker]
storage = "disk"

[limits]
packet_bytes = "12 MB"
receive_maximum = 0
client_id_bytes = -1

[log]
level = "loud"
"#;
    let problems = problems(text);
    let found: Vec<(&str, Option<usize>)> = problems.iter().map(|p| (p.path.as_str(), p.line)).collect();
    assert_eq!(
        found,
        [
            ("enabled", Some(2)),
            ("listener[0].address", Some(5)),
            ("listener[1].address", Some(7)),
            ("listener[1].protocol", Some(8)),
            ("listener[1].adress", Some(9)),
            ("admin.address", Some(12)),
            ("broker.storage", Some(15)),
            ("limits.packet_bytes", Some(18)),
            ("limits.receive_maximum", Some(19)),
            ("limits.client_id_bytes", Some(20)),
            ("log.level", Some(23)),
        ]
    );
    assert!(problems.iter().all(|problem| !problem.remedy.is_empty() && !problem.what.is_empty()));
}

#[test]
fn an_unknown_field_is_refused_with_the_nearest_known_one() {
    let unknown = problems("[limits]\npacket_byte = 1\n").remove(0);
    assert_eq!(unknown.path, "limits.packet_byte");
    assert_eq!(unknown.remedy, "did you mean `packet_bytes`?");
    let unknown = problems("[[listeners]]\naddress = \"127.0.0.1:1\"\n").remove(0);
    assert_eq!((unknown.path.as_str(), unknown.remedy.as_str()), ("listeners", "did you mean `listener`?"));
    let unknown = problems("[log]\nxyz = 1\n").remove(0);
    assert_eq!(unknown.remedy, "known here: level, format");
}

#[test]
fn syntax_errors_come_with_their_lines() {
    let problems = problems("enabled = \n\n[limits\n");
    assert_eq!(problems[0].line, Some(1));
    assert!(problems.iter().any(|problem| problem.line == Some(3)), "{problems:?}");
}

#[test]
fn a_websocket_listener_without_a_path_has_the_usual_one() {
    let listener = "enabled = true\n[[listener]]\nprotocol = \"websocket\"\naddress = \"127.0.0.1:8083\"\n";
    let path = |more: &str| {
        let config = Draft::read(&format!("{listener}{more}")).unwrap().config;
        config.listeners[0].websocket_path().map(str::to_owned)
    };
    assert_eq!(path("").as_deref(), Some("/mqtt"));
    assert_eq!(path("path = \"/a/b\"\n").as_deref(), Some("/a/b"));
}

#[test]
fn what_a_frame_holds_is_said_of_websockets_alone() {
    let listener = |more: &str| format!("[[listener]]\naddress = \"127.0.0.1:8083\"\n{more}\n");
    let one = "packets_per_frame = \"one\"";
    let websocket = listener(&format!("protocol = \"websocket\"\n{one}"));
    assert_eq!(
        Draft::read(&websocket).unwrap().config.listeners[0].packets_per_frame,
        Some(PacketsPerFrame::One)
    );
    assert_eq!(paths(&listener(one)), ["listener[0].packets_per_frame"]);
    assert_eq!(paths(&websocket.replace("one", "two")), ["listener[0].packets_per_frame"]);
}

#[test]
fn paths_belong_to_websockets_and_are_relative_urls() {
    assert_eq!(paths("[[listener]]\naddress = \"127.0.0.1:1\"\npath = \"/mqtt\"\n"), ["listener[0].path"]);
    for path in ["mqtt", "/m qtt", "/mqtt?x", ""] {
        let text = format!(
            "[[listener]]\nprotocol = \"websocket\"\nenabled = false\naddress = \"127.0.0.1:1\"\npath = {path:?}\n"
        );
        assert_eq!(paths(&text), ["listener[0].path"], "{path:?}");
    }
}

#[test]
fn an_enabled_broker_needs_a_listener_and_no_address_is_taken_twice() {
    assert_eq!(paths("enabled = true"), ["listener"]);
    let listener = "[[listener]]\naddress = \"127.0.0.1:1883\"\n";
    assert_eq!(paths(&format!("{listener}{listener}")), ["listener[1].address"]);
    let any = "[[listener]]\naddress = \"127.0.0.1:0\"\n";
    assert!(Draft::read(&format!("{any}{any}")).is_ok());
}

#[test]
fn limits_that_contradict_each_other_are_refused() {
    assert_eq!(
        paths("[limits]\npacket_bytes = \"8 MiB\"\nbacklog_bytes = \"4 MiB\"\n"),
        ["limits.output_bytes", "limits.backlog_bytes"]
    );
}

#[test]
fn numbers_too_large_for_their_field_are_refused_not_cut() {
    assert_eq!(paths("[limits]\ntopic_levels = 65536\n"), ["limits.topic_levels"]);
    assert_eq!(Draft::read("[limits]\ntopic_levels = 0xff\n").unwrap().config.limits.topic_levels, 255);
}

const ONE: &str = "ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01";
const TWO: &str = "cd02cd02cd02cd02cd02cd02cd02cd02cd02cd02cd02cd02cd02cd02cd02cd02";
const HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0c2FsdHNhbHQ";

fn certificate(name: &str, thumbprint: &str, status: &str) -> String {
    format!("[[client_certificate]]\nname = {name:?}\nthumbprint = {thumbprint:?}\nstatus = {status:?}\n")
}

fn authority(name: &str, thumbprint: &str, issues: bool) -> String {
    format!("[[authority]]\nname = {name:?}\nthumbprint = {thumbprint:?}\nissues = {issues}\n")
}

fn user(name: &str, password: &str) -> String {
    format!("[[user]]\nname = {name:?}\npassword = {password:?}\n")
}

fn rule(fields: &str) -> String {
    format!("[[rule]]\nname = \"r\"\n{fields}\n")
}

const ALL: &str = "access = \"read-write\"\nclient_match = \"all\"\ntopic_match = \"all\"";

/// The only problem of a text: its path and what is wrong.
#[track_caller]
fn problem(text: &str) -> (String, String) {
    let mut problems = problems(text);
    assert_eq!(problems.len(), 1, "{problems:?}");
    let problem = problems.remove(0);
    assert!(problem.line.is_some() && !problem.remedy.is_empty(), "{problem}");
    (problem.path, problem.what)
}

#[test]
fn who_may_connect_is_read_as_it_is_written() {
    let text = format!(
        "[certificates]\nany_authorized = true\nclient_id = \"starts-with-name\"\n[rules]\nrefused_publish_v3 = \"close\"\n{}{}{}{}",
        certificate("device1", &ONE.to_uppercase(), "revoked"),
        authority("ours", TWO, true),
        user("alice", HASH),
        rule(
            "access = \"deny\"\nclient_match = \"pattern\"\nclient = \"dev.*\"\ntopic_match = \"specific\"\ntopic = \"a/#\""
        ),
    );
    let config = Draft::read(&text).unwrap().config;
    assert!(config.certificates.any_authorized && config.certificates.trust_operating_system);
    assert_eq!(config.certificates.client_id, ClientIdPolicy::StartsWithName);
    assert_eq!(config.client_certificates[0].thumbprint, ONE.parse().unwrap());
    assert_eq!(config.client_certificates[0].status, Listing::Revoked);
    assert!(config.authorities[0].issues);
    assert_eq!(config.users[0].password.as_phc(), HASH);
    assert_eq!(config.rules[0].access, Access::Deny);
    assert_eq!(config.rules[0].client, ClientMatch::Pattern("dev.*".into()));
    assert_eq!(config.rules[0].topic, TopicMatch::Specific("a/#".into()));
    assert_eq!(config.rule_settings.refused_publish_v3, RefusedPublish::Close);
    assert!(!format!("{config:?}").contains("c2FsdHNhbHRz"), "no hash in the log");
}

#[test]
fn an_entry_is_listed_once() {
    for (text, path, what) in [
        (
            certificate("a", ONE, "revoked") + &certificate("b", ONE, "authorized"),
            "client_certificate[1].thumbprint",
            "both as authorized and as revoked",
        ),
        (
            certificate("a", ONE, "revoked") + &certificate("b", ONE, "revoked"),
            "client_certificate[1].thumbprint",
            "that of client_certificate[0] too",
        ),
        (
            certificate("a", ONE, "revoked") + &certificate("a", TWO, "revoked"),
            "client_certificate[1].name",
            "the name of client_certificate[0] too",
        ),
        (authority("a", ONE, false) + &authority("b", ONE, false), "authority[1].thumbprint", "authority[0]"),
        (authority("a", ONE, false) + &authority("a", TWO, false), "authority[1].name", "authority[0]"),
        (authority("a", ONE, true) + &authority("b", TWO, true), "authority[1].issues", "issues already"),
        (user("a", HASH) + &user("a", HASH), "user[1].name", "the name of user[0] too"),
    ] {
        let (found, said) = problem(&text);
        assert_eq!(found, path);
        assert!(said.contains(what), "{said}");
    }
}

#[test]
fn thumbprints_names_and_hashes_are_looked_at() {
    for (text, path, what) in [
        (certificate("a", &ONE[..40], "revoked"), "client_certificate[0].thumbprint", "SHA-1"),
        (authority("a", "x", false), "authority[0].thumbprint", "not a thumbprint"),
        (certificate("a", ONE, "trusted"), "client_certificate[0].status", "`trusted` is not known"),
        ("[[authority]]\nname = \"a\"\n".into(), "authority[0].thumbprint", "is missing"),
        (format!("[[authority]]\nthumbprint = {ONE:?}\n"), "authority[0].name", "is missing"),
        (user("", HASH), "user[0].name", "is not a name"),
        (user("a\tb", HASH), "user[0].name", "is not a name"),
        ("[[user]]\nname = \"a\"\n".into(), "user[0].password", "is missing"),
        (user("a", &HASH.replace("argon2id", "argon2i")), "user[0].password", "argon2id"),
        ("[broker_certificate]\ncertificate = \"mine\"\n".into(), "broker_certificate.certificate", "`mine`"),
        ("[broker_certificate]\nnames = [\"a b\"]\n".into(), "broker_certificate.names", "`a b`"),
        ("[broker_certificate]\nnames = \"a\"\n".into(), "broker_certificate.names", "not a list"),
        ("[certificates]\nclient_id = \"name\"\n".into(), "certificates.client_id", "`name`"),
    ] {
        let (found, said) = problem(&text);
        assert_eq!(found, path, "{text}");
        assert!(said.contains(what), "{said}");
    }
    let names = "[broker_certificate]\nnames = [\"a.example\", \"*.a.example\", \"::1\", \"192.0.2.1\"]\n";
    assert_eq!(Draft::read(names).unwrap().config.broker_certificate.names.len(), 4);
    let (_, said) = problem(&user("a", "swordfish"));
    assert!(!said.contains("swordfish"), "what was written is not repeated");
}

#[test]
fn what_is_wrong_with_rules_is_told_by_rule_and_field() {
    let client = |how: &str, client: &str| {
        rule(&format!("access = \"read\"\ntopic_match = \"all\"\nclient_match = {how:?}\n{client}"))
    };
    let topic = |how: &str, topic: &str| {
        rule(&format!("access = \"read\"\nclient_match = \"all\"\ntopic_match = {how:?}\n{topic}"))
    };
    for (text, path, what) in [
        (client("pattern", "client = \"(\""), "rule[0].client", "rule \"r\""),
        (client("pattern", ""), "rule[0].client", "is missing"),
        (client("all", "client = \"x\""), "rule[0].client", "client_match is \"all\""),
        (client("some", ""), "rule[0].client_match", "`some`"),
        (topic("specific", "topic = \"a/#/b\""), "rule[0].topic", "rule \"r\""),
        (topic("pattern", "topic = \"{%cleint%}/a\""), "rule[0].topic", "rule \"r\""),
        (rule("access = \"read\"\nclient_match = \"all\""), "rule[0].topic_match", "is missing"),
        (rule(&ALL.replace("read-write", "all")), "rule[0].access", "`all`"),
    ] {
        let (found, said) = problem(&text);
        assert_eq!(found, path, "{text}");
        assert!(said.contains(what), "{said}");
    }
    // A rule that is not read does not change the others' numbers.
    let text = format!("{}{}", client("all", "client = \"x\""), client("pattern", "client = \"(\""));
    assert_eq!(paths(&text), ["rule[0].client", "rule[1].client"]);
}

#[test]
fn certificates_are_required_over_tls_or_not_at_all() {
    let listener = |more: &str| format!("[[listener]]\naddress = \"127.0.0.1:1\"\n{more}");
    let required = "[certificates]\nrequire = true\n";
    let (path, what) = problem(&format!("{required}{}", listener("")));
    assert_eq!(path, "listener[0].tls");
    assert!(what.contains("tcp 127.0.0.1:1 has no TLS"), "{what}");
    for more in ["tls = true\n", "require_client_certificate = false\n", "enabled = false\n"] {
        assert!(Draft::read(&format!("{required}{}", listener(more))).is_ok(), "{more}");
    }
    assert!(Draft::read(&listener("require_client_certificate = false\n")).is_ok());
}

/// What is warned of, path by path.
fn warnings(text: &str) -> Vec<String> {
    Draft::read(text).unwrap().warnings.into_iter().map(|warning| warning.path).collect()
}

#[test]
fn warnings_tell_what_may_not_have_been_meant() {
    assert!(warnings(FRESH).is_empty());
    let tls = "[[listener]]\naddress = \"127.0.0.1:1\"\ntls = true\n";
    let required = format!("[certificates]\nrequire = true\n{tls}");
    assert_eq!(warnings(&required), ["rules"]);
    assert!(warnings(&format!("{required}{}", rule(ALL))).is_empty());
    assert_eq!(warnings(&format!("{tls}{}", rule(ALL))), ["rule"]);

    let pattern = rule(&ALL.replace("\"all\"\ntopic", "\"pattern\"\nclient = \"dev.*\"\ntopic"));
    assert_eq!(warnings(&format!("{required}{pattern}")), ["certificates.trust_operating_system"]);
    for option in ["trust_operating_system = false", "trusted_authorized_only = true"] {
        let text = required.replace("require = true", &format!("require = true\n{option}"));
        assert!(warnings(&format!("{text}{pattern}")).is_empty(), "{option}");
    }

    let open = |more: &str| format!("[[listener]]\naddress = \"0.0.0.0:1\"\n{more}{}", user("a", HASH));
    assert_eq!(warnings(&open("")), ["listener[0].tls"]);
    assert!(warnings(&open("tls = true\n")).is_empty() && warnings(&open("enabled = false\n")).is_empty());
    assert!(warnings(&open("").replace("0.0.0.0", "127.0.0.1")).is_empty());
}

#[test]
fn console_and_api_are_encrypted_or_stay_on_this_machine() {
    let admin = |fields: &str| format!("[admin]\n{fields}\n");
    let (path, what) = problem(&admin("address = \"0.0.0.0:9883\""));
    assert_eq!(path, "admin.address");
    assert!(what.contains("nothing would be encrypted"), "{what}");
    for fine in ["address = \"0.0.0.0:9883\"\ntls = true", "address = \"0.0.0.0:9883\"\nenabled = false"] {
        assert!(Draft::read(&admin(fine)).is_ok(), "{fine}");
    }
    assert!(Draft::read(&admin("address = \"[::1]:9883\"")).is_ok());
    let (path, what) = problem(&admin("password = \"swordfish\""));
    assert!(path == "admin.password" && !what.contains("swordfish"), "{what}");
    let (path, _) = problem(&admin("hosts = [\"https://a.example\"]"));
    assert_eq!(path, "admin.hosts");
    let config =
        Draft::read(&admin(&format!("password = {HASH:?}\nhosts = [\"a.example\"]"))).unwrap().config;
    assert!(config.admin.password.is_some() && !format!("{config:?}").contains("c2FsdHNhbHRz"));
}

#[test]
fn what_is_logged_of_messages_is_said_by_client_topic_direction_and_packet() {
    use crate::mqtt::packet::PacketType;
    let diagnostics = |fields: &str| format!("[diagnostics]\n{fields}\n");
    let text = diagnostics(
        "topic = \"a/+\"\ndirection = \"in\"\npackets = [\"publish\", \"pubrel\"]\nfile_bytes = \"1 MiB\"",
    );
    let read = Draft::read(&text).unwrap().config.diagnostics;
    assert_eq!((read.direction, read.file_bytes, read.log_messages), (Direction::In, 1 << 20, false));
    assert_eq!(read.packets, [PacketType::Publish, PacketType::PubRel]);
    let (path, what) = problem(&diagnostics("topic = \"a/#/b\""));
    assert!(path == "diagnostics.topic" && what.contains("not a topic filter"), "{what}");
    let (path, what) = problem(&diagnostics("packets = [\"publish\", \"publsh\"]"));
    assert!(path == "diagnostics.packets" && what.contains("`publsh`"), "{what}");
}

#[test]
fn a_rule_test_has_all_that_it_is_about() {
    let test = |fields: &str| format!("[[rule_test]]\nname = \"t\"\n{fields}\n");
    let whole = "action = \"publish\"\ntopic = \"a\"\nexpect = \"allowed\"";
    assert_eq!(Draft::read(&test(whole)).unwrap().config.rule_tests[0].client, "");
    for field in ["action", "topic", "expect"] {
        let without: Vec<&str> = whole.lines().filter(|line| !line.starts_with(field)).collect();
        assert_eq!(problem(&test(&without.join("\n"))).0, format!("rule_test[0].{field}"));
    }
    assert_eq!(problem(&test(&whole.replace("allowed", "yes"))).0, "rule_test[0].expect");
    assert_eq!(problem(&(test(whole) + &test(whole))).0, "rule_test[1].name");
}
