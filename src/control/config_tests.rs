//! A text becomes a configuration or all that is wrong with it.

use super::*;

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
    assert_eq!(unknown.remedy, "known here: level");
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
