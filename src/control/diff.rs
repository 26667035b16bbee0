//! What differs between two configurations and when a difference takes effect.

use std::collections::BTreeMap;
use std::fmt;

use super::config::Config;
use super::config::values::{self, Plain};

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// `limits.packet_bytes`
    pub path: String,
    /// `None`: it was not there. Of a secret: that there was one.
    pub before: Option<String>,
    /// `None`: it is no longer there. Of a secret: that there is one.
    pub after: Option<String>,
    /// When it takes effect.
    pub effect: Effect,
}

impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.before == self.after {
            return write!(out, "{}: changed ({})", self.path, self.effect);
        }
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".into());
        write!(out, "{}: {} -> {} ({})", self.path, value(&self.before), value(&self.after), self.effect)
    }
}

/// Every field of a configuration.
#[must_use]
pub fn fields(config: &Config) -> Vec<Field> {
    let mut out = Vec::new();
    for group in values::of(config) {
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
    let mut sides: BTreeMap<String, [Option<Field>; 2]> = BTreeMap::new();
    for (side, config) in [before, after].into_iter().enumerate() {
        for field in fields(config) {
            let path = field.path.clone();
            sides.entry(path).or_default()[side] = Some(field);
        }
    }
    let value = |field: &Option<Field>| field.as_ref().map(|field| field.value.clone());
    let shown = |field: &Option<Field>| field.as_ref().map(|field| field.value.shown());
    let differ = sides.into_iter().filter(|(_, [before, after])| value(before) != value(after));
    let change = |(path, [before, after]): (String, [Option<Field>; 2])| {
        let effect = before.as_ref().or(after.as_ref()).map_or(Effect::Live, |field| field.effect);
        Change { path, before: shown(&before), after: shown(&after), effect }
    };
    differ.map(change).collect()
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
        assert!(gone.iter().all(|change| change.path.starts_with("listener[1].") && change.after.is_none()));
        let back = diff(&after, &before);
        assert!(back.iter().all(|change| change.before.is_none() && change.after.is_some()));
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
                "user[\"bob\"].password: changed (live)",
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
            ["client_certificate[\"d\"].status: \"authorized\" -> \"revoked\" (live)"]
        );
    }
}
