//! What `doctor` says of an installation: the data directory and who may read it, the configuration, the addresses that
//! it names, certificates, and room on the disk.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::statvfs;
use rustix::process::geteuid;

use super::ports::{self, Runs};
use super::{Finding, Verdict};
use crate::control::commands::Paths;
use crate::control::config::{BrokerChoice, Config, Draft};
use crate::control::pki::{Description, PkiError, Store, Thumbprint, broker, describe, moment};
use crate::control::{data_dir, disk, secure, warnings};

/// Certificates that end within so many seconds are warned of.
const SOON_SECS: i64 = 30 * 86_400;
/// Less free room than this, in bytes, and an Apply or a log may fail.
const ROOM_LEAST: u64 = 64 << 20;

/// Looks at the installation.
pub(super) fn look(paths: &Paths) -> Vec<Finding> {
    let mut findings = Vec::new();
    let runs = data_dir::in_use(&paths.data).map_or(Runs::No, Runs::Yes);
    findings.push(Finding::ok(
        "broker",
        match runs {
            Runs::No => "none runs on this data directory".into(),
            Runs::Yes(pid) => pid.map_or("it runs".into(), |pid| format!("it runs (process {pid})")),
        },
    ));
    findings.extend(data(&paths.data));
    let config = configuration(&paths.config, &mut findings);
    if let Some(config) = config {
        for (index, listener) in config.listeners.iter().enumerate().filter(|(_, listener)| listener.enabled)
        {
            findings.push(ports::look(&format!("listener[{index}]"), listener.address, runs));
        }
        if config.admin.enabled {
            findings.push(ports::look("admin", config.admin.address, runs));
        }
        if paths.data.join("pki").exists() {
            findings.extend(certificates(&config, &paths.data));
        }
    }
    findings
}

/// The directory, what of it others may read, and how much room there is.
fn data(data: &Path) -> Vec<Finding> {
    const CHECK: &str = "data";
    let shown = data.display();
    let metadata = match fs::metadata(data) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return vec![Finding::ok(CHECK, format!("{shown} is not there yet: the first start makes it"))];
        }
        Err(error) => {
            return vec![Finding::problem(CHECK, format!("{shown}: {error}"), "see who owns it")];
        }
    };
    let (owner, own) = (metadata.uid(), geteuid().as_raw());
    if owner != own && !geteuid().is_root() {
        return vec![Finding::warning(
            CHECK,
            format!("{shown} belongs to another user (number {owner}): not all can be looked at"),
            format!("sudo -u '#{owner}' tidemq doctor --data {shown}"),
        )];
    }
    let mut findings = Vec::new();
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        let what = format!("others may look into {shown} (mode {mode:04o})");
        findings.push(Finding::warning(CHECK, what, format!("chmod 700 {shown}")));
    }
    let mut secrets = Vec::new();
    readable_secrets(data, data, &mut secrets);
    for (path, mode) in secrets {
        findings.push(Finding::problem(
            CHECK,
            format!("others may read {} (mode {mode:04o})", path.display()),
            format!("chmod 600 {}", path.display()),
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, format!("{shown} is its owner's alone")));
    }
    findings.extend(room(data));
    findings
}

/// What in the data directory is nobody else's business, and can be read by others.
fn readable_secrets(root: &Path, folder: &Path, found: &mut Vec<(PathBuf, u32)>) {
    // The configuration is judged by what it holds; certificates are public; a lock holds a number.
    const PUBLIC: [&str; 3] = ["config.toml", "lock", "pki/certificates"];
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let inside = path.strip_prefix(root).unwrap_or(&path);
        if PUBLIC.iter().any(|public| inside == Path::new(public)) {
            continue;
        }
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        let mode = metadata.mode() & 0o7777;
        if metadata.is_dir() {
            readable_secrets(root, &path, found);
        } else if metadata.is_file() && mode & 0o077 != 0 {
            found.push((path, mode));
        }
    }
}

fn room(data: &Path) -> Option<Finding> {
    let statistics = statvfs(data).ok()?;
    let free = statistics.f_bavail.saturating_mul(statistics.f_frsize);
    let what = format!("{} MiB are free for {}", free >> 20, data.display());
    Some(if statistics.f_favail == 0 && statistics.f_files > 0 {
        Finding::problem("disk", "no more files can be made on this file system", "remove some")
    } else if free < ROOM_LEAST {
        Finding::problem("disk", what, "make room: an Apply has to write its configuration")
    } else {
        Finding::ok("disk", what)
    })
}

/// The configuration, if it is valid; what is wrong with it is found.
fn configuration(file: &Path, findings: &mut Vec<Finding>) -> Option<Config> {
    const CHECK: &str = "configuration";
    let text = match disk::read_text_if_there(file) {
        Ok(Some(text)) => text,
        Ok(None) => {
            let what = format!("{} is not there yet: the first start writes it", file.display());
            findings.push(Finding::ok(CHECK, what));
            return None;
        }
        Err(fault) => {
            findings.push(Finding::problem(CHECK, fault, "see who owns it"));
            return None;
        }
    };
    match Draft::read(&text) {
        Ok(draft) => {
            findings.push(Finding::ok(CHECK, format!("{} is valid", file.display())));
            let all = draft.warnings.iter().cloned().chain(warnings::of_file(file, &draft.config));
            findings.extend(all.map(|warning| {
                let place =
                    if warning.path.is_empty() { String::new() } else { format!("{}: ", warning.path) };
                Finding::warning(CHECK, format!("{place}{}", warning.what), warning.remedy)
            }));
            Some(draft.config)
        }
        Err(problems) => {
            findings.extend(problems.0.into_iter().map(|problem| {
                let (remedy, told) = (problem.remedy.clone(), problem.to_string());
                let what = told.strip_suffix(&format!("; {remedy}")).unwrap_or(&told).to_owned();
                Finding::problem(CHECK, what, remedy)
            }));
            None
        }
    }
}

const CERTIFICATE: &str = "certificate";

fn certificates(config: &Config, data: &Path) -> Vec<Finding> {
    let store = match Store::open(data) {
        Ok(store) => store,
        // Which files others may read was said already.
        Err(PkiError::Readable { .. }) => return Vec::new(),
        Err(error) => return vec![Finding::problem(CERTIFICATE, &error, error.remedy())],
    };
    let now = secure::now();
    let mut findings = Vec::new();
    for authority in &config.authorities {
        let name = format!("authority {:?}", authority.name);
        let remedy = "make another with `tidemq ca create`, or import one";
        findings.push(stored(&store, &authority.thumbprint, &name, now, remedy));
    }
    findings.extend(of_broker(config, &store, now));
    for client in &config.client_certificates {
        let name = format!("client certificate {:?}", client.name);
        // One that was listed by its thumbprint alone is not there, and need not be.
        if store.has(&client.thumbprint) {
            let found =
                stored(&store, &client.thumbprint, &name, now, "issue another with `tidemq ca issue`");
            // What does not let a client in any more is the client's trouble, not the broker's.
            if found.verdict != Verdict::Ok {
                findings.push(Finding { verdict: Verdict::Warning, ..found });
            }
        }
    }
    findings
}

fn stored(store: &Store, thumbprint: &Thumbprint, name: &str, now: i64, remedy: &str) -> Finding {
    let said = store.chain(thumbprint).and_then(|chain| describe(&chain[0]));
    match said {
        Ok(said) => lasts(&said, name, now, remedy),
        Err(error) => Finding::problem(CERTIFICATE, format!("{name}: {error}"), error.remedy()),
    }
}

fn of_broker(config: &Config, store: &Store, now: i64) -> Option<Finding> {
    const NAME: &str = "the broker's certificate";
    match config.broker_certificate.certificate {
        BrokerChoice::Stored(thumbprint) => {
            let remedy = "import another with `tidemq cert broker import`, or write \"auto\"";
            let found = stored(store, &thumbprint, NAME, now, remedy);
            if found.verdict != Verdict::Problem && !store.has_key(&thumbprint) {
                let what = format!("{NAME} has no private key");
                return Some(Finding::problem(CERTIFICATE, what, "import it with its key"));
            }
            Some(found)
        }
        BrokerChoice::Auto => match broker::current(store) {
            // The broker renews it long before it ends, if it runs; the next start does so otherwise.
            Ok(current) => {
                let until = moment(current?.description.not_after);
                Some(Finding::ok(
                    CERTIFICATE,
                    format!("{NAME} is valid until {until}, and renewed by itself"),
                ))
            }
            Err(error) => Some(Finding::problem(CERTIFICATE, format!("{NAME}: {error}"), error.remedy())),
        },
    }
}

fn lasts(said: &Description, name: &str, now: i64, remedy: &str) -> Finding {
    let until = moment(said.not_after);
    if now > said.not_after {
        Finding::problem(CERTIFICATE, format!("{name} has expired on {until}"), remedy)
    } else if now < said.not_before {
        let from = moment(said.not_before);
        let what = format!("{name} is not valid before {from}");
        Finding::problem(CERTIFICATE, what, "see whether the clock is right, or wait")
    } else if said.not_after - now < SOON_SECS {
        Finding::warning(CERTIFICATE, format!("{name} ends soon, on {until}"), remedy)
    } else {
        Finding::ok(CERTIFICATE, format!("{name} is valid until {until}"))
    }
}

#[cfg(test)]
#[path = "installation_tests.rs"]
mod tests;
