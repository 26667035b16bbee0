//! A configuration goes to JSON and back without a loss, comments stay, secrets are not needed, and what is wrong is told
//! all at once.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use super::*;
use crate::control::config::json::{of, of_text};
use crate::control::config::{FRESH, draft_hash};

struct Folder(tempfile::TempDir);

impl Folder {
    fn with(text: &str) -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        fs::write(folder.file(), text).unwrap();
        folder
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("config.toml")
    }

    fn edit(&self) -> Edit {
        Edit::begin(&self.file(), self.0.path()).unwrap()
    }
}

const THUMBPRINT: &str = "ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01";
const HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0c2FsdHNhbHQ";

fn full() -> String {
    format!(
        "{FRESH}\n# Ann's\n[[user]]\nname = \"ann\" # the boss\npassword = {HASH:?}\n[[user]]\nname = \"bob\"\n\
         password = {HASH:?}\n# lost in May\n[[client_certificate]]\nname = \"d\"\nthumbprint = {:?}\n\
         status = \"revoked\"\n[[rule]]\nname = \"r\"\naccess = \"read\"\nclient_match = \"all\"\ntopic_match = \"specific\"\n\
         topic = \"a/#\"\n[[rule_test]]\nname = \"t\"\naction = \"subscribe\"\ntopic = \"a/b\"\nexpect = \"allowed\"\n",
        THUMBPRINT.to_uppercase()
    )
    .replace("password = \"\"", &format!("password = {HASH:?}"))
}

/// The paths of what is wrong.
fn wrong(done: Result<(), EditError>) -> Vec<String> {
    let Err(EditError::Invalid(_, problems)) = done else { panic!("it was taken: {done:?}") };
    assert!(problems.0.iter().all(|problem| problem.line.is_none()), "{problems}");
    problems.0.into_iter().map(|problem| problem.path).collect()
}

#[test]
fn the_json_is_complete_and_shows_no_secret() {
    let value = of_text(&full()).unwrap();
    assert_eq!(value["limits"]["packet_bytes"], json!(1 << 20));
    assert_eq!(value["listener"][0]["path"], Json::Null);
    assert_eq!(value["listener"][1]["path"], json!("/mqtt"));
    assert_eq!(
        value["user"],
        json!([{ "name": "ann", "password": null }, { "name": "bob", "password": null }])
    );
    assert_eq!(value["client_certificate"][0]["thumbprint"], json!(THUMBPRINT));
    assert_eq!(value["authority"], json!([]));
    assert_eq!(value["generation"], json!(0));
    assert_eq!(value["diagnostics"]["packets"], json!([]));
    assert!(!value.to_string().contains("argon2"));
    for field in reference::fields() {
        let pointer = format!("/{}", field.path.replace("[].", "/0/").replace('.', "/"));
        let there = value.pointer(&pointer).is_some() || field.path.starts_with("authority");
        assert!(there, "{}", field.path);
    }
}

#[test]
fn what_was_shown_is_taken_back_and_changes_nothing() {
    let folder = Folder::with(&full());
    let mut edit = folder.edit();
    edit.replace_json(&of_text(&full()).unwrap()).unwrap();
    let before = Draft::read(&full()).unwrap();
    let after = edit.draft().unwrap();
    assert_eq!(after.config, before.config);
    assert_eq!(after.made_from, before.made_from);
    assert_eq!(after.text, full());
    // Nor is more written into a short file than it needs.
    let short = Folder::with("enabled = false\n");
    let mut edit = short.edit();
    let mut value = of_text("enabled = false\n").unwrap();
    edit.replace_json(&value).unwrap();
    assert_eq!(edit.text(), "enabled = false\n");
    value["limits"]["topic_levels"] = json!(9);
    edit.replace_json(&value).unwrap();
    assert_eq!(edit.text(), "enabled = false\n\n[limits]\ntopic_levels = 9\n");
}

#[test]
fn the_document_becomes_what_the_json_says_and_comments_stay() {
    let folder = Folder::with(&full());
    let mut edit = folder.edit();
    let mut value = of_text(&full()).unwrap();
    value["limits"]["packet_bytes"] = json!(4_096);
    value["limits"]["output_stall_secs"] = Json::Null;
    value["user"] = json!([{ "name": "bob" }, { "name": "ann" }]);
    value["listener"].as_array_mut().unwrap().remove(0);
    value.as_object_mut().unwrap().remove("admin");
    value.as_object_mut().unwrap().remove("status");
    edit.replace_json(&value).unwrap();
    let draft = edit.draft().unwrap();
    assert!(draft.text.contains("packet_bytes = \"4 KiB\"\n"), "{}", draft.text);
    assert!(
        !draft.text.contains("\noutput_stall_secs") && !draft.text.contains("[status]"),
        "{}",
        draft.text
    );
    let names: Vec<&str> = draft.config.users.iter().map(|user| user.name.as_str()).collect();
    assert_eq!(names, ["bob", "ann"]);
    assert!(draft.text.contains("# Ann's\n[[user]]\nname = \"ann\" # the boss\n"), "{}", draft.text);
    assert_eq!(draft.config.users[1].password.as_phc(), HASH, "it was left out");
    assert_eq!(draft.config.listeners.len(), 1);
    assert_eq!(draft.config.listeners[0].websocket_path(), Some("/mqtt"));
    assert!(draft.config.admin.password.is_some(), "a secret that is left out is kept");
    assert!(draft.text.contains("# lost in May"));
}

#[test]
fn nobody_inherits_the_password_of_somebody_else() {
    let folder = Folder::with(&full());
    let mut edit = folder.edit();
    let mut value = of_text(&full()).unwrap();
    value["user"][0]["name"] = json!("anna");
    assert_eq!(wrong(edit.replace_json(&value)), ["user[0].password"]);
    value["user"][0]["password"] = json!(HASH);
    edit.replace_json(&value).unwrap();
    assert_eq!(edit.draft().unwrap().config.users[0].name, "anna");
}

#[test]
fn a_patch_changes_what_it_names() {
    let folder = Folder::with(&full());
    let mut edit = folder.edit();
    let before = edit.text();
    edit.merge_json(&json!({ "enabled": true, "limits": { "topic_levels": 9, "topic_bytes": null } }))
        .unwrap();
    edit.merge_json(&json!({ "admin": { "password": "" }, "diagnostics": { "packets": ["publish"] } }))
        .unwrap();
    let text = edit.text();
    let gone: Vec<&str> = before.lines().filter(|line| !text.contains(line)).collect();
    let phc = format!("password = {HASH:?}");
    assert_eq!(
        gone,
        ["# Longest topic name or filter.", "topic_bytes = 1024", "topic_levels = 128", "packets = []"]
    );
    assert!(text.contains("packets = [\"publish\"]"), "{text}");
    assert_eq!((before.matches(&phc).count(), text.matches(&phc).count()), (3, 2));
    edit.merge_json(&json!({ "user": null, "client_certificate": [] })).unwrap();
    let config = edit.draft().unwrap().config;
    assert!(config.users.is_empty() && config.client_certificates.is_empty() && config.enabled);
}

#[test]
fn all_that_is_wrong_is_told_with_its_path_and_nothing_is_changed() {
    let folder = Folder::with(&full());
    let mut edit = folder.edit();
    let patch = json!({
        "enabled": "yes",
        "limits": { "packet_byte": 1, "topic_levels": 0, "sessions": 1.5, "retained_bytes": u64::MAX },
        "listener": [{ "address": 1883 }, 7],
        "log": ["level"],
        "rule": [{ "name": "r", "access": { "a": 1 }, "client_match": "all", "topic_match": "all", "x": [null] }],
    });
    let mut paths = wrong(edit.merge_json(&patch));
    paths.sort();
    assert_eq!(
        paths,
        [
            "enabled",
            "limits.packet_byte",
            "limits.retained_bytes",
            "limits.sessions",
            "limits.topic_levels",
            "listener[0].address",
            "listener[1]",
            "log",
            "rule[0].access",
            "rule[0].x",
        ]
    );
    assert_eq!(edit.text(), full());
    assert_eq!(wrong(edit.replace_json(&json!([]))), [""]);
    assert!(edit.replace_text("enabled = 1").is_err());
    assert_eq!(edit.text(), full());
    edit.replace_text("enabled = false\n").unwrap();
    assert_eq!(edit.save().unwrap().text, "enabled = false\n");
}

#[test]
fn an_empty_object_is_a_file_of_defaults() {
    let folder = Folder::with(FRESH);
    let mut edit = folder.edit();
    edit.replace_json(&json!({})).unwrap();
    let draft = edit.draft().unwrap();
    assert_eq!(of(&draft.config), of(&Draft::read("").unwrap().config));
    assert!(draft.made_from.is_some());
}

#[test]
fn a_text_is_told_from_another_by_its_hash() {
    assert_eq!(draft_hash(""), "e3b0c44298fc1c14");
    assert_ne!(draft_hash("a"), draft_hash("b"));
}
