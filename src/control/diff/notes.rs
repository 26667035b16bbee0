//! What a change comes to, as far as it can be said without the broker: which sockets open and close, whom it disconnects.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::Change;
use crate::control::config::{Config, Listener};
use crate::policy::Listing;

/// Adds what can be said.
pub(super) fn add(changes: &mut [Change], before: &Config, after: &Config) {
    for change in changes.iter_mut() {
        change.note = of_path(change, before, after);
    }
    listeners(changes, before, after);
}

fn of_path(change: &Change, before: &Config, after: &Config) -> Option<String> {
    let is_on = |value: &Option<String>| value.as_deref() == Some("true");
    let (turned_on, turned_off) = (is_on(&change.after), is_on(&change.before));
    let (table, field) = change.path.rsplit_once('.').unwrap_or(("", &change.path));
    let (list, name) = table.split_once('[').unwrap_or((table, ""));
    let name = name.trim_end_matches(']');
    let note = match (list, field) {
        ("", "enabled") if turned_on => "clients can connect".into(),
        ("", "enabled") => "every client is disconnected, all listeners close".into(),
        ("", "rule") => "the first rule that matches decides".into(),
        ("certificates", "require") if turned_on => {
            "clients without a certificate are disconnected, save where their listener exempts them".into()
        }
        ("certificates", "trusted_authorized_only") if turned_on => {
            "clients whose certificate is not listed as authorized are disconnected".into()
        }
        ("certificates", "any_authorized" | "trust_operating_system") if turned_off => {
            "clients who got in by it alone are disconnected".into()
        }
        ("credentials", "require") if turned_on => "clients without a password are disconnected".into(),
        ("broker", "persistent_sessions") if turned_off => "sessions of clients that are away end".into(),
        ("client_certificate", "status") => certificate(change, before, name)?,
        ("user", "name") if change.after.is_none() => gone(name),
        ("user", "password") if change.before.is_some() && change.after.is_some() => gone(name),
        ("authority", "thumbprint") if change.before.is_some() => {
            "clients whose certificate it has issued are trusted no longer".into()
        }
        ("rule", "name") => rule(change, after)?,
        ("admin", "address") => "the console and the API move there".into(),
        _ => return None,
    };
    Some(note)
}

fn gone(name: &str) -> String {
    format!("who is connected as {name} is disconnected")
}

fn certificate(change: &Change, before: &Config, name: &str) -> Option<String> {
    let was = before.client_certificates.iter().find(|listed| format!("{:?}", listed.name) == name);
    match (was.map(|listed| listed.status), change.after.as_deref()) {
        (_, Some("\"revoked\"")) => Some(format!("who presents {name} is disconnected")),
        (Some(Listing::Revoked), _) => Some(format!("{name} is no longer revoked")),
        (Some(Listing::Authorized), _) => Some(format!("{name} is no longer authorized")),
        (None, _) => None,
    }
}

fn rule(change: &Change, after: &Config) -> Option<String> {
    if change.after.is_none() {
        return Some("subscriptions that are allowed no longer are removed".into());
    }
    let place = after.rules.iter().position(|rule| Some(format!("{:?}", rule.name)) == change.after)?;
    Some(format!("is rule {} of {}", place + 1, after.rules.len()))
}

/// One note for each listener that changes, at the change that says most of it.
fn listeners(changes: &mut [Change], before: &Config, after: &Config) {
    // Clients that the broker itself turns away need no more explanation.
    if !(before.enabled && after.enabled) {
        return;
    }
    let bound = |config: &Config| -> BTreeSet<SocketAddr> {
        config.open_listeners().map(|(_, listener)| listener.address).collect()
    };
    let (old, new) = (bound(before), bound(after));
    for index in 0..before.listeners.len().max(after.listeners.len()) {
        let [was, is] = [before, after].map(|config| config.listeners.get(index));
        let Some(note) = listener(was, is, &old, &new) else { continue };
        let changed = |field: &str| {
            let path = format!("listener[{index}].{field}");
            changes.iter().position(|change| change.path == path)
        };
        let most = ["address", "enabled", "tls", "require_client_certificate", "protocol", "path"];
        if let Some(at) = most.into_iter().find_map(changed) {
            changes[at].note = Some(note);
        }
    }
}

fn listener(
    was: Option<&Listener>,
    is: Option<&Listener>,
    old: &BTreeSet<SocketAddr>,
    new: &BTreeSet<SocketAddr>,
) -> Option<String> {
    let [was, is] = [was, is].map(|listener| listener.filter(|listener| listener.enabled));
    let closes = was.map(|was| was.address).filter(|address| !new.contains(address));
    let opens = is.map(|is| is.address).filter(|address| !old.contains(address));
    let mut parts = Vec::new();
    parts.extend(closes.map(|address| format!("{address} closes, who is connected there is disconnected")));
    parts.extend(opens.map(|address| format!("{address} opens")));
    if let (Some(was), Some(is), None, None) = (was, is, closes, opens) {
        parts.push(format!("{} keeps its socket", is.address));
        if is.tls && !was.tls {
            parts.push("clients without TLS are disconnected".into());
        }
        if is.require_client_certificate && !was.require_client_certificate {
            parts
                .push("clients without a certificate are disconnected if [certificates] requires one".into());
        }
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}
