//! What a configuration may not say although every field of it is well formed. Opens nothing: whether an address
//! can be bound is found out by binding it.

use std::net::IpAddr;

use super::config::{Config, Protocol};
use super::problem::Problem;
use super::read::Section;
use crate::net::PacketsPerFrame;

/// Longest beginning of a Response Information.
const RESPONSE_INFORMATION_BYTES: usize = 256;

/// Judges one listener.
pub(super) fn listener(
    section: &mut Section<'_>,
    protocol: Protocol,
    path: Option<&str>,
    packets_per_frame: Option<PacketsPerFrame>,
) {
    match protocol {
        Protocol::Tcp => {
            let there = [
                ("path", "a path", path.is_some()),
                ("packets_per_frame", "frames", packets_per_frame.is_some()),
            ];
            for (name, what, _) in there.into_iter().filter(|(_, _, there)| *there) {
                let what = format!("only a websocket listener has {what}");
                section.report(name, what, "remove it, or write `protocol = \"websocket\"`".into());
            }
        }
        Protocol::WebSocket => {
            if let Some(path) = path.filter(|path| !is_relative_url(path)) {
                let what = format!("`{path}` is not a relative URL");
                section.report("path", what, "begin it with `/`, without spaces, `?` or `#`".into());
            }
        }
    }
}

/// Judges what several fields say together.
pub(super) fn whole(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    listeners(config, &mut problems);
    certificates(config, &mut problems);
    admin(config, &mut problems);
    sizes(config, &mut problems);
    problems
}

fn listeners(config: &Config, problems: &mut Vec<Problem>) {
    if config.enabled && !config.listeners.iter().any(|listener| listener.enabled) {
        problems.push(Problem {
            path: "listener".into(),
            line: None,
            what: "the broker is enabled and no listener is: nobody could connect".into(),
            remedy: "enable one, or write `enabled = false` for the broker".into(),
        });
    }
    for (index, listener) in config.listeners.iter().enumerate().filter(|(_, listener)| listener.enabled) {
        let mut others = config.listeners.iter().enumerate().take(index).filter(|(_, other)| other.enabled);
        // Port 0 is a different port each time.
        let twin =
            others.find(|(_, other)| other.address == listener.address && listener.address.port() != 0);
        if let Some((twin, _)) = twin {
            problems.push(Problem {
                path: format!("listener[{index}].address"),
                line: None,
                what: format!("{} is already taken by listener[{twin}]", listener.address),
                remedy: "give one of them another port, or disable it".into(),
            });
        }
    }
}

/// Without TLS there is no certificate to require.
fn certificates(config: &Config, problems: &mut Vec<Problem>) {
    for (index, listener) in config.listeners.iter().enumerate() {
        if listener.enabled && !listener.tls && config.requires_certificate(listener) {
            problems.push(Problem {
                path: format!("listener[{index}].tls"),
                line: None,
                what: format!("client certificates are required, and {listener} has no TLS to present one"),
                remedy: "write `tls = true`, or `require_client_certificate = false` to exempt this listener"
                    .into(),
            });
        }
    }
}

/// Tokens and passwords do not travel in the clear.
fn admin(config: &Config, problems: &mut Vec<Problem>) {
    let admin = &config.admin;
    if admin.enabled && !admin.tls && !admin.address.ip().is_loopback() {
        problems.push(Problem {
            path: "admin.address".into(),
            line: None,
            what: format!("{} can be reached by others, and nothing would be encrypted", admin.address),
            remedy: "write `tls = true` in [admin], or an address of this machine alone such as \"127.0.0.1:9883\""
                .into(),
        });
    }
}

fn sizes(config: &Config, problems: &mut Vec<Problem>) {
    let limits = &config.limits;
    for (path, bytes) in
        [("limits.backlog_bytes", limits.backlog_bytes), ("limits.output_bytes", limits.output_bytes)]
    {
        if bytes < limits.packet_bytes {
            problems.push(Problem {
                path: path.into(),
                line: None,
                what: format!(
                    "{bytes} is less than limits.packet_bytes ({}): the largest message could never be delivered",
                    limits.packet_bytes
                ),
                remedy: "raise it, or lower limits.packet_bytes".into(),
            });
        }
    }
}

/// Response Information stands in front of a client identifier, and both together in a CONNACK.
pub(super) fn response_information(section: &mut Section<'_>, prefix: &str) {
    if prefix.len() > RESPONSE_INFORMATION_BYTES || prefix.contains(['+', '#', '\0']) {
        section.report(
            "response_information",
            format!("`{prefix}` cannot begin a topic name of at most {RESPONSE_INFORMATION_BYTES} bytes"),
            "write the beginning of a topic name without wildcards, such as \"replies/\"".into(),
        );
    }
}

/// Can a client ask for this path?
pub(super) fn is_relative_url(path: &str) -> bool {
    path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#'))
}

/// May an entry be called so?
pub(super) fn is_name(name: &str) -> bool {
    const BYTES: usize = 256;
    !name.is_empty() && name.len() <= BYTES && !name.contains(char::is_control)
}

/// Is this a host name, with a wildcard in front perhaps, or an address?
pub(super) fn is_host(name: &str) -> bool {
    const BYTES: usize = 253;
    const LABEL_BYTES: usize = 63;
    let label = |label: &str| {
        (1..=LABEL_BYTES).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let plain = name.strip_prefix("*.").unwrap_or(name);
    name.parse::<IpAddr>().is_ok() || (name.len() <= BYTES && plain.split('.').all(label))
}
