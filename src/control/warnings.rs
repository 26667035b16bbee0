//! What a configuration may say and what whoever wrote it may not have meant. Nothing here refuses anything. Opens
//! nothing but the file's metadata.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::config::Config;
use super::problem::Problem;

/// What to warn of in a configuration.
pub(super) fn of(config: &Config) -> Vec<Problem> {
    let mut warnings = Vec::new();
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
