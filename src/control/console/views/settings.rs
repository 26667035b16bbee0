//! Broker Settings: the source's settings by its words, each a field of the configuration.

use askama::Template;

use super::form::Form;
use super::shell::{Page, Shell};

/// The page.
#[derive(Template)]
#[template(path = "broker_settings.html")]
pub(crate) struct SettingsPage {
    /// What stands around it.
    pub(crate) shell: Shell,
    /// The values.
    pub(crate) form: Form,
    /// The listeners.
    pub(crate) servers: Vec<Server>,
    /// What the certificate settings come to.
    pub(crate) decision: Decision,
    /// `3 users`
    pub(crate) users: String,
    /// The limits.
    pub(crate) limits: Vec<Limit>,
    /// They are shown at once, because one of them is wrong or was changed.
    pub(crate) limits_open: bool,
}

/// A listener.
pub(crate) struct Server {
    /// Its place in the configuration.
    pub(crate) index: usize,
    /// Its place among those of its kind, from 1.
    pub(crate) number: usize,
    /// It takes WebSockets.
    pub(crate) websocket: bool,
}

impl Server {
    /// The listeners of a form.
    pub(crate) fn all(form: &Form) -> Vec<Server> {
        let mut numbers = [0, 0];
        let server = |index: usize| {
            let websocket = form.is(&format!("listener[{index}].protocol"), "websocket");
            let number = &mut numbers[usize::from(websocket)];
            *number += 1;
            Server { index, number: *number, websocket }
        };
        (0..form.len("listener")).map(server).collect()
    }

    fn path(&self, field: &str) -> String {
        format!("listener[{}].{field}", self.index)
    }

    fn kind(&self) -> &'static str {
        if self.websocket { "WebSockets Server" } else { "TCP Server" }
    }

    fn enable(&self) -> &'static str {
        if self.websocket { "Enable WebSockets Server" } else { "Enable TCP Server" }
    }
}

/// What becomes of a certificate, by what it is. Revoked ones and strangers are always refused.
pub(crate) struct Decision {
    /// None is presented.
    pub(crate) none: Verdict,
    /// Trusted and listed as Authorized.
    pub(crate) trusted_listed: Verdict,
    /// Trusted and not listed.
    pub(crate) trusted: Verdict,
    /// Listed as Authorized and not trusted.
    pub(crate) listed: Verdict,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted,
    Refused,
}

impl Verdict {
    fn of(accepted: bool) -> Verdict {
        if accepted { Verdict::Accepted } else { Verdict::Refused }
    }

    fn text(&self) -> &'static str {
        match self {
            Verdict::Accepted => "Accepted",
            Verdict::Refused => "Refused",
        }
    }

    fn class(&self) -> &'static str {
        match self {
            Verdict::Accepted => "good",
            Verdict::Refused => "bad",
        }
    }
}

impl Decision {
    /// As the settings of a form have it: the table of the product's decisions, for people.
    pub(crate) fn of(form: &Form) -> Decision {
        let only = form.on("certificates.trusted_authorized_only");
        let any = form.on("certificates.any_authorized");
        Decision {
            none: Verdict::of(!form.on("certificates.require")),
            trusted_listed: Verdict::Accepted,
            trusted: Verdict::of(!only),
            listed: Verdict::of(any),
        }
    }
}

/// A limit.
pub(crate) struct Limit {
    /// `limits.packet_bytes`
    pub(crate) path: String,
    /// `Packet bytes`
    pub(crate) label: String,
    /// What it is.
    pub(crate) hint: String,
}

impl Limit {
    /// By its path, and what the reference says of it.
    pub(crate) fn new(path: &str, label: &str, hint: &str) -> Limit {
        Limit { path: path.to_owned(), label: label.to_owned(), hint: hint.to_owned() }
    }
}
