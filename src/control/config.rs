//! The configuration as a value: parsed, whole, comparable. How the text becomes it; what a text must hold for
//! that. It opens nothing and knows neither files nor the running broker.

use std::fmt;
use std::net::SocketAddr;

use sha2::{Digest, Sha256};
use toml::de::DeTable;

use super::problem::{Problem, Problems};
use super::read::{Section, line_of, located};
use super::{validate, warnings};
use crate::net::PacketsPerFrame;
use crate::policy::rules::Rule;
use crate::policy::{Generation, Limits};

mod access;
pub mod json;
mod operator;
pub mod reference;
pub(super) mod rule_tests;
pub(super) mod values;

pub(super) use access::{ACCESSES, MATCHES, Match};
pub use access::{
    Authority, BrokerCertificate, BrokerChoice, Certificates, ClientCertificate, Credentials, RuleSettings,
    RulesApply, User,
};
pub(super) use operator::PACKETS;
pub use operator::{Admin, Diagnostics, Direction, Level, Log, LogFormat, Status};
pub use rule_tests::RuleTest;

/// The text of a fresh configuration, with its comments.
pub const FRESH: &str = include_str!("fresh.toml");

/// A text that was read without a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The text, as it stands in the file.
    pub text: String,
    /// The applied configuration that the text says it was made from; `None` if it does not say.
    pub made_from: Option<Generation>,
    /// What it says.
    pub config: Config,
    /// What it may say, and what whoever wrote it may not have meant.
    pub warnings: Vec<Problem>,
}

/// What the operator decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `false`: nobody can connect.
    pub enabled: bool,
    /// Where clients connect, in the order of the file.
    pub listeners: Vec<Listener>,
    /// What is asked of client certificates.
    pub certificates: Certificates,
    /// The client certificates that are listed.
    pub client_certificates: Vec<ClientCertificate>,
    /// What is asked of user names and passwords.
    pub credentials: Credentials,
    /// The users.
    pub users: Vec<User>,
    /// What listeners with TLS present.
    pub broker_certificate: BrokerCertificate,
    /// The certificate authorities.
    pub authorities: Vec<Authority>,
    /// What holds for all topic rules.
    pub rule_settings: RuleSettings,
    /// Topic rules, in their order.
    pub rules: Vec<Rule>,
    /// What must come true of them.
    pub rule_tests: Vec<RuleTest>,
    /// Console and API.
    pub admin: Admin,
    /// Sessions and messages.
    pub broker: Broker,
    /// What clients may use.
    pub limits: Limits,
    /// What the broker says of itself.
    pub status: Status,
    /// The log.
    pub log: Log,
    /// The log of MQTT messages.
    pub diagnostics: Diagnostics,
}

/// One address at which clients connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// How.
    pub protocol: Protocol,
    /// Where.
    pub address: SocketAddr,
    /// The relative URL of a WebSocket listener; `None`: [`PATH`].
    pub path: Option<String>,
    /// What a frame of a WebSocket listener holds; `None`: many packets.
    pub packets_per_frame: Option<PacketsPerFrame>,
    /// "Use encryption (TLS)"
    pub tls: bool,
    /// `false`: no client certificate is required here, whatever [`Certificates::require`] says.
    pub require_client_certificate: bool,
    /// `false`: it is kept in the file and not bound.
    pub enabled: bool,
}

/// How clients speak MQTT at a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// MQTT on a TCP connection.
    Tcp,
    /// MQTT in WebSocket frames.
    WebSocket,
}

/// Sessions and messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// `false`: every session ends with its connection.
    pub persistent_sessions: bool,
    /// Where they lie.
    pub storage: Storage,
    /// With what the Response Information of a 5.0 client begins; empty: none is given.
    pub response_information: String,
}

/// Where sessions and messages lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In memory, cleared by a restart.
    Memory,
    /// On disk.
    Disk,
}

/// How the file writes each of them.
pub(super) const PROTOCOLS: &[(&str, Protocol)] =
    &[("tcp", Protocol::Tcp), ("websocket", Protocol::WebSocket)];
pub(super) const PACKETS_PER_FRAME: &[(&str, PacketsPerFrame)] =
    &[("many", PacketsPerFrame::Many), ("one", PacketsPerFrame::One)];
pub(super) const STORAGES: &[(&str, Storage)] = &[("memory", Storage::Memory), ("disk", Storage::Disk)];
/// Where WebSocket clients of a listener without a path connect.
pub const PATH: &str = "/mqtt";

/// What tells a text from another: the first 16 hexadecimal digits of its SHA-256.
#[must_use]
pub fn draft_hash(text: &str) -> String {
    Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

impl Draft {
    /// Reads and validates a whole text.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the file's sections.
    pub fn read(text: &str) -> Result<Draft, Problems> {
        let (table, syntax) = DeTable::parse_recoverable(text);
        if !syntax.is_empty() {
            let mut problems: Vec<Problem> = syntax.iter().map(|error| syntax_problem(text, error)).collect();
            problems.sort_by_key(|problem| problem.line);
            return Err(Problems(problems));
        }
        let mut root = Section::root(text, table.get_ref());
        let made_from = made_from(&mut root);
        let mut problems = Vec::new();
        let config = read_config(&mut root, &mut problems);
        problems.extend(root.finish());
        if problems.is_empty() {
            problems.extend(validate::whole(&config));
        }
        let mut problems = located(text, problems);
        problems.sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        let warnings = located(text, warnings::of(&config));
        Ok(Draft { text: text.to_owned(), made_from, config, warnings })
    }
}

impl Listener {
    /// One that is enabled, with nothing else said of it.
    #[must_use]
    pub fn at(protocol: Protocol, address: SocketAddr) -> Listener {
        Listener {
            protocol,
            address,
            path: None,
            packets_per_frame: None,
            tls: false,
            require_client_certificate: true,
            enabled: true,
        }
    }

    /// The path that WebSocket clients ask for.
    pub fn websocket_path(&self) -> Option<&str> {
        match self.protocol {
            Protocol::Tcp => None,
            Protocol::WebSocket => Some(self.path.as_deref().unwrap_or(PATH)),
        }
    }
}

/// `tcp 127.0.0.1:1883`, `tls 127.0.0.1:8883`, `websocket 127.0.0.1:8083/mqtt`, `websocket+tls 127.0.0.1:8084/mqtt (one
/// packet a frame)`
impl fmt::Display for Listener {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match (self.protocol, self.tls) {
            (Protocol::Tcp, false) => "tcp",
            (Protocol::Tcp, true) => "tls",
            (Protocol::WebSocket, false) => "websocket",
            (Protocol::WebSocket, true) => "websocket+tls",
        };
        write!(out, "{how} {}{}", self.address, self.websocket_path().unwrap_or_default())?;
        match self.packets_per_frame {
            Some(PacketsPerFrame::One) => out.write_str(" (one packet a frame)"),
            Some(PacketsPerFrame::Many) | None => Ok(()),
        }
    }
}

impl Config {
    /// The listeners that are to be bound: those that are enabled, if the broker is.
    pub fn open_listeners(&self) -> impl Iterator<Item = (usize, &Listener)> {
        self.listeners.iter().enumerate().filter(|(_, listener)| self.enabled && listener.enabled)
    }

    /// Whether clients of this listener must present a certificate.
    #[must_use]
    pub fn requires_certificate(&self, listener: &Listener) -> bool {
        self.certificates.require && listener.require_client_certificate
    }

    /// Whether topic rules judge what clients do: as soon as an enabled listener requires a certificate, or always.
    #[must_use]
    pub fn rules_apply(&self) -> bool {
        let mut enabled = self.listeners.iter().filter(|listener| listener.enabled);
        self.rule_settings.apply == RulesApply::Always
            || enabled.any(|listener| self.requires_certificate(listener))
    }
}

fn syntax_problem(text: &str, error: &toml::de::Error) -> Problem {
    Problem {
        path: String::new(),
        line: error.span().map(|span| line_of(text, span.start)),
        what: format!("is not TOML: {}", error.message()),
        remedy: "correct it (https://toml.io)".into(),
    }
}

fn made_from(root: &mut Section<'_>) -> Option<Generation> {
    root.whole_if_there("generation").map(Generation)
}

fn read_config(root: &mut Section<'_>, problems: &mut Vec<Problem>) -> Config {
    let enabled = root.boolean("enabled");
    let mut listeners = Vec::new();
    for section in root.sections("listener") {
        listeners.extend(read_listener(section, problems));
    }
    Config {
        enabled,
        listeners,
        certificates: access::read_certificates(root.section("certificates"), problems),
        client_certificates: access::read_client_certificates(root.sections("client_certificate"), problems),
        credentials: access::read_credentials(root.section("credentials"), problems),
        users: access::read_users(root.sections("user"), problems),
        broker_certificate: access::read_broker_certificate(root.section("broker_certificate"), problems),
        authorities: access::read_authorities(root.sections("authority"), problems),
        rule_settings: access::read_rule_settings(root.section("rules"), problems),
        rules: access::read_rules(root.sections("rule"), problems),
        rule_tests: rule_tests::read(root.sections("rule_test"), problems),
        admin: operator::read_admin(root.section("admin"), problems),
        broker: read_broker(root.section("broker"), problems),
        limits: read_limits(root.section("limits"), problems),
        status: operator::read_status(root.section("status"), problems),
        log: operator::read_log(root.section("log"), problems),
        diagnostics: operator::read_diagnostics(root.section("diagnostics"), problems),
    }
}

/// `None`: it has a problem without which there is no listener, and that was reported.
fn read_listener(mut section: Section<'_>, problems: &mut Vec<Problem>) -> Option<Listener> {
    let protocol = section.choice("protocol", PROTOCOLS);
    let enabled = section.boolean("enabled");
    let before = section.problems();
    let address = section.parsed("address", "write IP:PORT, such as \"127.0.0.1:1883\" or \"[::]:1883\"");
    if address.is_none() && section.problems() == before {
        section.report("address", "is missing".into(), "write IP:PORT, such as \"127.0.0.1:1883\"".into());
    }
    let path = section.string("path").map(str::to_owned);
    let packets_per_frame = section.choice_if_there("packets_per_frame", PACKETS_PER_FRAME);
    let tls = section.boolean("tls");
    let require_client_certificate = section.boolean("require_client_certificate");
    validate::listener(&mut section, protocol, path.as_deref(), packets_per_frame);
    problems.extend(section.finish());
    let address = address?;
    Some(Listener { protocol, address, path, packets_per_frame, tls, require_client_certificate, enabled })
}

fn read_broker(mut section: Section<'_>, problems: &mut Vec<Problem>) -> Broker {
    let persistent_sessions = section.boolean("persistent_sessions");
    let storage = section.choice("storage", STORAGES);
    if storage == Storage::Disk {
        section.report("storage", "`disk` is not available yet".into(), "write \"memory\"".into());
    }
    let response_information = section.text("response_information").to_owned();
    validate::response_information(&mut section, &response_information);
    problems.extend(section.finish());
    Broker { persistent_sessions, storage, response_information }
}

fn read_limits(mut s: Section<'_>, problems: &mut Vec<Problem>) -> Limits {
    let limits = Limits {
        packet_bytes: s.whole("packet_bytes"),
        connect_packet_bytes: s.whole("connect_packet_bytes"),
        client_id_bytes: s.whole("client_id_bytes"),
        topic_bytes: s.whole("topic_bytes"),
        topic_levels: s.whole("topic_levels"),
        subscriptions_per_client: s.whole("subscriptions_per_client"),
        filters_per_packet: s.whole("filters_per_packet"),
        inflight_messages: s.whole("inflight_messages"),
        receive_maximum: s.whole("receive_maximum"),
        topic_aliases_in: s.whole("topic_aliases_in"),
        topic_aliases_out: s.whole("topic_aliases_out"),
        backlog_messages: s.whole("backlog_messages"),
        backlog_bytes: s.whole("backlog_bytes"),
        output_bytes: s.whole("output_bytes"),
        output_stall_secs: s.whole("output_stall_secs"),
        output_stall_bytes: s.whole("output_stall_bytes"),
        connect_timeout_secs: s.whole("connect_timeout_secs"),
        tls_handshakes: s.whole("tls_handshakes"),
        failed_logins_per_minute: s.whole("failed_logins_per_minute"),
        keep_alive_maximum_secs: s.whole("keep_alive_maximum_secs"),
        session_expiry_maximum_secs: s.whole("session_expiry_maximum_secs"),
        retained_messages: s.whole("retained_messages"),
        retained_bytes: s.whole("retained_bytes"),
        sessions: s.whole("sessions"),
        connections: s.whole("connections"),
        user_properties: s.whole("user_properties"),
        user_property_bytes: s.whole("user_property_bytes"),
    };
    problems.extend(s.finish());
    limits
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
