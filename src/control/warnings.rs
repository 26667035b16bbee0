//! What a configuration may say and what whoever wrote it may not have meant. Nothing here refuses anything. Opens
//! nothing but the file's metadata.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::config::Config;
use super::problem::Problem;
use crate::policy::rules::{ClientMatch, Rule, TopicMatch};

/// What to warn of in a configuration.
pub(super) fn of(config: &Config) -> Vec<Problem> {
    let mut warnings = Vec::new();
    topic_rules(config, &mut warnings);
    names_by_anyone(config, &mut warnings);
    passwords_in_the_clear(config, &mut warnings);
    warnings
}

/// Warns of a file that holds hashes of passwords and that others can read.
pub(super) fn of_file(path: &Path, config: &Config) -> Option<Problem> {
    let mode = fs::metadata(path).ok()?.mode() & 0o7777;
    (!config.users.is_empty() && mode & 0o077 != 0).then(|| Problem {
        path: String::new(),
        line: None,
        what: format!("{} holds hashes of passwords, and others can read it (mode {mode:o})", path.display()),
        remedy: "make it yours alone with `chmod 600`".into(),
    })
}

fn warning(path: String, what: String, remedy: &str) -> Problem {
    Problem { path, line: None, what, remedy: remedy.into() }
}

fn topic_rules(config: &Config, warnings: &mut Vec<Problem>) {
    match (config.rules_apply(), config.rules.is_empty()) {
        (true, true) => warnings.push(warning(
            "rules".into(),
            "topic rules apply and there are none: nobody can publish or subscribe to anything".into(),
            "add one, for all with `tidemq rules add all --access read-write`",
        )),
        (false, false) => warnings.push(warning(
            "rule".into(),
            "topic rules are there and do not apply: no enabled listener requires client certificates".into(),
            "write `require = true` in [certificates], or `apply = \"always\"` in [rules]",
        )),
        _ => {}
    }
}

/// Whoever has a certificate of a public authority has a name that somebody else decided on.
fn names_by_anyone(config: &Config, warnings: &mut Vec<Problem>) {
    let presented = config.listeners.iter().any(|listener| listener.enabled && listener.tls);
    let certificates = &config.certificates;
    let anyone = certificates.trust_operating_system && !certificates.trusted_authorized_only;
    let by_pattern = |rule: &Rule| {
        matches!(rule.client, ClientMatch::Pattern(_)) || matches!(rule.topic, TopicMatch::Pattern(_))
    };
    let Some(index) = config.rules.iter().position(by_pattern) else { return };
    if presented && anyone && config.rules_apply() {
        warnings.push(warning(
            "certificates.trust_operating_system".into(),
            format!(
                "every authority that the operating system trusts can give a client a name that rule[{index}] ({:?}) \
                 matches by its pattern",
                config.rules[index].name
            ),
            "write `trust_operating_system = false`, or `trusted_authorized_only = true`",
        ));
    }
}

fn passwords_in_the_clear(config: &Config, warnings: &mut Vec<Problem>) {
    if config.users.is_empty() {
        return;
    }
    for (index, listener) in config.listeners.iter().enumerate() {
        if listener.enabled && !listener.tls && !listener.address.ip().is_loopback() {
            warnings.push(warning(
                format!("listener[{index}].tls"),
                format!("passwords travel to {listener} in the clear"),
                "write `tls = true`",
            ));
        }
    }
}
