//! What differs between two configurations, when each difference takes effect, and what it comes to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::config::Config;
use super::config::values::{self, Group, Place, Plain};

mod notes;

pub use super::config::reference::Effect;

/// One field of a configuration, by the path the file gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// `limits.packet_bytes`
    pub path: String,
    value: Plain,
    /// When a change of it takes effect.
    pub effect: Effect,
}

impl fmt::Display for Field {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Plain::Secret(secret) if secret.is_empty() => write!(out, "{} = \"\"", self.path),
            Plain::Secret(_) => write!(out, "{} = (not shown)", self.path),
            value => write!(out, "{} = {}", self.path, value.written()),
        }
    }
}

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// `limits.packet_bytes`
    pub path: String,
    /// `None`: it was not there. Of a secret: that there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// `None`: it is no longer there. Of a secret: that there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// When it takes effect.
    pub effect: Effect,
    /// What it comes to, where that can be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Change { path, before, after, effect, note } = self;
        write_change(out, path, [before, after], effect, note.as_deref())
    }
}

/// `limits.packet_bytes: 1024 -> 2048 (new connections)`
pub(super) fn write_change(
    out: &mut fmt::Formatter<'_>,
    path: &str,
    [before, after]: [&Option<String>; 2],
    effect: &dyn fmt::Display,
    note: Option<&str>,
) -> fmt::Result {
    if before == after {
        write!(out, "{path}: changed")?;
    } else {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".into());
        write!(out, "{path}: {} -> {}", value(before), value(after))?;
    }
    match note {
        Some(note) => write!(out, " ({effect}: {note})"),
        None => write!(out, " ({effect})"),
    }
}

/// Every field of a configuration.
#[must_use]
pub fn fields(config: &Config) -> Vec<Field> {
    fields_of(&values::of(config))
}

fn fields_of(groups: &[Group]) -> Vec<Field> {
    let mut out = Vec::new();
    for group in groups {
        for (name, value) in &group.fields {
            let (path, effect) = (group.path(name), group.doc(name).effect);
            out.push(Field { path, value: value.clone(), effect });
        }
    }
    out
}

/// What differs, ordered by path.
#[must_use]
pub fn diff(before: &Config, after: &Config) -> Vec<Change> {
    let by_name = rules_have_names(before) && rules_have_names(after);
    let mut sides: BTreeMap<String, [Option<Field>; 2]> = BTreeMap::new();
    for (side, config) in [before, after].into_iter().enumerate() {
        let mut groups = values::of(config);
        if by_name {
            groups.iter_mut().for_each(name_rule);
        }
        for field in fields_of(&groups) {
            let path = field.path.clone();
            sides.entry(path).or_default()[side] = Some(field);
        }
    }
    // A field that says nothing is as good as one that is not there.
    let value = |field: &Option<Field>| {
        field.as_ref().map(|field| field.value.clone()).filter(|value| *value != Plain::Nothing)
    };
    let shown = |field: &Option<Field>| value(field).map(|value| value.shown());
    let differ = sides.into_iter().filter(|(_, [before, after])| value(before) != value(after));
    let change = |(path, [before, after]): (String, [Option<Field>; 2])| {
        let effect = before.as_ref().or(after.as_ref()).map_or(Effect::Live, |field| field.effect);
        Change { path, before: shown(&before), after: shown(&after), effect, note: None }
    };
    let mut changes: Vec<Change> = differ.map(change).collect();
    if by_name {
        changes.extend(order_of_rules(before, after));
    }
    notes::add(&mut changes, before, after);
    changes
}

/// Whether rules can be told apart by their names: who adds one in front has not changed all the others then.
fn rules_have_names(config: &Config) -> bool {
    let names: BTreeSet<&str> = config.rules.iter().map(|rule| rule.name.as_str()).collect();
    names.len() == config.rules.len()
}

fn name_rule(group: &mut Group) {
    if group.table != "rule[]" {
        return;
    }
    if let Some((_, Plain::Text(name))) = group.fields.iter().find(|(field, _)| *field == "name") {
        group.place = Place::Named(name.clone());
    }
}

/// The rules that were there and still are, if they stand in another order.
fn order_of_rules(before: &Config, after: &Config) -> Option<Change> {
    let names = |one: &Config, other: &Config| -> Vec<String> {
        let there = |name: &String| other.rules.iter().any(|rule| rule.name == *name);
        one.rules.iter().map(|rule| rule.name.clone()).filter(there).collect()
    };
    let (old, new) = (names(before, after), names(after, before));
    let written = |names: &[String]| Some(format!("{names:?}"));
    (old != new).then(|| Change {
        path: "rule".into(),
        before: written(&old),
        after: written(&new),
        effect: Effect::Live,
        note: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::config::{Draft, FRESH, Storage};

    #[test]
    fn equal_configurations_do_not_differ() {
        let fresh = Draft::read(FRESH).unwrap().config;
        assert_eq!(diff(&fresh, &fresh), []);
    }

    #[test]
    fn a_change_is_named_with_both_values_and_its_effect() {
        let before = Draft::read(FRESH).unwrap().config;
        let mut after = before.clone();
        after.limits.packet_bytes = 4_096;
        after.broker.storage = Storage::Disk;
        after.limits.receive_maximum = 7;
        let changes: Vec<String> = diff(&before, &after).iter().map(ToString::to_string).collect();
        assert_eq!(
            changes,
            [
                "broker.storage: \"memory\" -> \"disk\" (needs a restart)",
                "limits.packet_bytes: 1048576 -> 4096 (new connections)",
                "limits.receive_maximum: 1024 -> 7 (new connections)",
            ]
        );
    }

    #[test]
    fn a_listener_that_comes_or_goes_is_a_change_of_each_of_its_fields() {
        let before = Draft::read(FRESH).unwrap().config;
        let mut after = before.clone();
        after.listeners.pop();
        let gone = diff(&before, &after);
        assert_eq!(gone.len(), 7);
        assert!(gone.iter().all(|change| change.note.is_none()), "it was not open");
        assert!(gone.iter().all(|change| change.path.starts_with("listener[1].") && change.after.is_none()));
        let back = diff(&after, &before);
        assert!(back.iter().all(|change| change.before.is_none() && change.after.is_some()));
        // One of plain TCP says nothing of WebSocket.
        after.listeners.clear();
        let all = diff(&before, &after);
        assert_eq!(all.len(), 12, "{all:?}");
        assert!(all.iter().all(|change| change.before.is_some()), "{all:?}");
    }

    const THUMBPRINT: &str = "ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01";
    const HASH: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0c2FsdHNhbHQ";

    /// What a text changes that becomes another.
    fn changes(before: &str, after: &str) -> Vec<String> {
        let read = |text: &str| Draft::read(text).unwrap().config;
        diff(&read(before), &read(after)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn users_and_certificates_are_told_apart_by_name_and_hashes_are_never_shown() {
        let user = |name: &str, hash: &str| format!("[[user]]\nname = {name:?}\npassword = {hash:?}\n");
        let other = HASH.replace("c2FsdHNhbHRzYWx0$", "QUJDREVGR0hJSktM$");
        assert_eq!(
            changes(&user("bob", HASH), &format!("{}{}", user("alice", HASH), user("bob", &other))),
            [
                "user[\"alice\"].name: nothing -> \"alice\" (live)",
                "user[\"alice\"].password: nothing -> one (live)",
                "user[\"bob\"].password: changed (live: who is connected as \"bob\" is disconnected)",
            ]
        );
        let shown: Vec<String> = fields(&Draft::read(&user("bob", HASH)).unwrap().config)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert!(shown.contains(&"user[\"bob\"].password = (not shown)".to_owned()), "{shown:?}");
        let listed = |status: &str| {
            format!(
                "[[client_certificate]]\nname = \"d\"\nthumbprint = {THUMBPRINT:?}\nstatus = {status:?}\n"
            )
        };
        assert_eq!(
            changes(&listed("authorized"), &listed("revoked")),
            [
                "client_certificate[\"d\"].status: \"authorized\" -> \"revoked\" (live: who presents \"d\" is disconnected)"
            ]
        );
    }

    #[test]
    fn rules_are_told_apart_by_name_and_their_order_is_told() {
        let rule = |name: &str, access: &str| {
            format!(
                "[[rule]]\nname = {name:?}\naccess = {access:?}\nclient_match = \"all\"\ntopic_match = \"all\"\n"
            )
        };
        let (a, b, c) = (rule("a", "read"), rule("b", "read"), rule("c", "deny"));
        let added = changes(&format!("{a}{b}"), &format!("{c}{a}{b}"));
        assert_eq!(added.len(), 6, "{added:?}");
        assert!(added.iter().all(|change| change.starts_with("rule[\"c\"].")), "{added:?}");
        assert!(added.iter().any(|change| change.contains("is rule 1 of 3")), "{added:?}");
        assert_eq!(
            changes(&format!("{a}{b}"), &format!("{b}{a}")),
            [r#"rule: ["a", "b"] -> ["b", "a"] (live: the first rule that matches decides)"#]
        );
        // Two of one name: by their places.
        assert!(changes(&format!("{a}{a}"), &format!("{c}{a}{a}"))[0].starts_with("rule[0]."));
    }

    #[test]
    fn what_a_change_comes_to_is_told() {
        let listener = |address: &str, more: &str| {
            format!("enabled = true\n[[listener]]\naddress = \"127.0.0.1:{address}\"\n{more}")
        };
        let two = |more: &str| listener("1", "") + "[[listener]]\naddress = \"127.0.0.1:2\"\n" + more;
        for (before, after, told) in [
            (
                listener("1", ""),
                listener("2", ""),
                "127.0.0.1:1 closes, who is connected there is disconnected; 127.0.0.1:2 opens",
            ),
            (
                listener("1", ""),
                listener("1", "tls = true\n"),
                "127.0.0.1:1 keeps its socket; clients without TLS are disconnected",
            ),
            (listener("1", ""), two(""), "127.0.0.1:2 opens"),
            (two(""), two("enabled = false\n"), "127.0.0.1:2 closes, who is connected there is disconnected"),
            (listener("1", ""), listener("1", "").replace("true", "false"), "every client is disconnected"),
            (
                "[[user]]\nname = \"ann\"\npassword = ".to_owned() + &format!("{HASH:?}"),
                String::new(),
                "who is connected as \"ann\" is disconnected",
            ),
        ] {
            let changes = changes(&before, &after);
            assert!(changes.iter().any(|change| change.contains(told)), "{told}: {changes:?}");
        }
        let listed = |status: &str| {
            format!(
                "[[client_certificate]]\nname = \"d\"\nthumbprint = {THUMBPRINT:?}\nstatus = {status:?}\n"
            )
        };
        assert!(changes(&listed("authorized"), &listed("revoked"))[0].contains("\"d\" is disconnected"));
        assert!(changes(&listed("revoked"), "").iter().any(|change| change.contains("no longer revoked")));
    }

    #[test]
    fn a_change_survives_a_file() {
        let before = Draft::read(FRESH).unwrap().config;
        let mut after = before.clone();
        after.listeners.pop();
        after.enabled = true;
        let changes = diff(&before, &after);
        let written = serde_json::to_string(&changes).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Change>>(&written).unwrap(), changes);
    }
}
