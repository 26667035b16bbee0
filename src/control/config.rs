//! The configuration as a value: parsed, whole, comparable. How the text becomes it; what a text must hold for
//! that. It opens nothing and knows neither files nor the running broker.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use toml::de::DeTable;

use super::problem::{Problem, Problems};
use super::read::{Section, line_of, located};
use super::{validate, warnings};
use crate::net::PacketsPerFrame;
use crate::policy::rules::Rule;
use crate::policy::{Generation, Limits};

mod access;

pub(super) use access::{ACCESSES, CLIENT_IDS, LISTINGS, MATCHES, Match, REFUSED_PUBLISH, RULES_APPLY};
pub use access::{
    Authority, BrokerCertificate, BrokerChoice, Certificates, ClientCertificate, Credentials, RuleSettings,
    RulesApply, User,
};

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

/// Console and API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Where they will listen.
    pub address: SocketAddr,
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

/// What the broker says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Seconds between two looks at the counters for what is published below `$SYS`; 0 = nothing is.
    pub sys_interval_secs: u16,
}

/// The log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least severe events that are written.
    pub level: Level,
}

/// How severe an event of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something may fail.
    Warn,
    /// What an operator wants to know.
    Info,
    /// What a developer wants to know.
    Debug,
    /// Everything.
    Trace,
}

/// How the file writes each of them.
pub(super) const PROTOCOLS: &[(&str, Protocol)] =
    &[("tcp", Protocol::Tcp), ("websocket", Protocol::WebSocket)];
pub(super) const PACKETS_PER_FRAME: &[(&str, PacketsPerFrame)] =
    &[("many", PacketsPerFrame::Many), ("one", PacketsPerFrame::One)];
pub(super) const STORAGES: &[(&str, Storage)] = &[("memory", Storage::Memory), ("disk", Storage::Disk)];
pub(super) const LEVELS: &[(&str, Level)] = &[
    ("error", Level::Error),
    ("warn", Level::Warn),
    ("info", Level::Info),
    ("debug", Level::Debug),
    ("trace", Level::Trace),
];

/// Largest packet that MQTT can frame: [MQTT-1.5.5], 4 bytes of length, and the header itself.
const PACKET_BYTES_MOST: u32 = 268_435_455;

/// Where WebSocket clients of a listener without a path connect.
pub const PATH: &str = "/mqtt";

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

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
    const ABSENT: u64 = u64::MAX;
    let generation = root.number("generation", ABSENT, 0..=i64::MAX as u64);
    (generation != ABSENT).then_some(Generation(generation))
}

fn read_config(root: &mut Section<'_>, problems: &mut Vec<Problem>) -> Config {
    let enabled = root.boolean("enabled", false);
    let mut listeners = Vec::new();
    for section in root.sections("listener") {
        listeners.extend(read_listener(section, problems));
    }
    let certificates = access::read_certificates(root.section("certificates"), problems);
    let client_certificates = access::read_client_certificates(root.sections("client_certificate"), problems);
    let credentials = access::read_credentials(root.section("credentials"), problems);
    let users = access::read_users(root.sections("user"), problems);
    let broker_certificate = access::read_broker_certificate(root.section("broker_certificate"), problems);
    let authorities = access::read_authorities(root.sections("authority"), problems);
    let rule_settings = access::read_rule_settings(root.section("rules"), problems);
    let rules = access::read_rules(root.sections("rule"), problems);
    let admin = read_admin(root.section("admin"), problems);
    let broker = read_broker(root.section("broker"), problems);
    let limits = read_limits(root.section("limits"), problems);
    let mut status = root.section("status");
    let sys_interval_secs = status.number("sys_interval_secs", 10, 0..=u16::MAX);
    problems.extend(status.finish());
    let mut log = root.section("log");
    let level = log.choice("level", LEVELS, Level::Info);
    problems.extend(log.finish());
    let status = Status { sys_interval_secs };
    Config {
        enabled,
        listeners,
        certificates,
        client_certificates,
        credentials,
        users,
        broker_certificate,
        authorities,
        rule_settings,
        rules,
        admin,
        broker,
        limits,
        status,
        log: Log { level },
    }
}

/// `None`: it has a problem without which there is no listener, and that was reported.
fn read_listener(mut section: Section<'_>, problems: &mut Vec<Problem>) -> Option<Listener> {
    let protocol = section.choice("protocol", PROTOCOLS, Protocol::Tcp);
    let enabled = section.boolean("enabled", true);
    let before = section.problems();
    let address = section.parsed("address", "write IP:PORT, such as \"127.0.0.1:1883\" or \"[::]:1883\"");
    if address.is_none() && section.problems() == before {
        section.report("address", "is missing".into(), "write IP:PORT, such as \"127.0.0.1:1883\"".into());
    }
    let path = section.string("path").map(str::to_owned);
    let packets_per_frame = section.choice_if_there("packets_per_frame", PACKETS_PER_FRAME);
    let tls = section.boolean("tls", false);
    let require_client_certificate = section.boolean("require_client_certificate", true);
    validate::listener(&mut section, protocol, path.as_deref(), packets_per_frame);
    problems.extend(section.finish());
    let address = address?;
    Some(Listener { protocol, address, path, packets_per_frame, tls, require_client_certificate, enabled })
}

fn read_admin(mut section: Section<'_>, problems: &mut Vec<Problem>) -> Admin {
    let address = section.parsed("address", "write IP:PORT, such as \"127.0.0.1:9883\"");
    problems.extend(section.finish());
    Admin { address: address.unwrap_or(SocketAddr::new(LOOPBACK, 9883)) }
}

fn read_broker(mut section: Section<'_>, problems: &mut Vec<Problem>) -> Broker {
    let persistent_sessions = section.boolean("persistent_sessions", true);
    let storage = section.choice("storage", STORAGES, Storage::Memory);
    if storage == Storage::Disk {
        section.report("storage", "`disk` is not available yet".into(), "write \"memory\"".into());
    }
    let response_information = section.string("response_information").unwrap_or_default().to_owned();
    validate::response_information(&mut section, &response_information);
    problems.extend(section.finish());
    Broker { persistent_sessions, storage, response_information }
}

fn read_limits(mut s: Section<'_>, problems: &mut Vec<Problem>) -> Limits {
    let d = Limits::default();
    let limits = Limits {
        packet_bytes: s.size("packet_bytes", d.packet_bytes, 128..=PACKET_BYTES_MOST),
        connect_packet_bytes: s.size("connect_packet_bytes", d.connect_packet_bytes, 128..=PACKET_BYTES_MOST),
        // [MQTT-3.1.3-5]: a server must take 23.
        client_id_bytes: s.number("client_id_bytes", d.client_id_bytes, 23..=u16::MAX),
        topic_bytes: s.number("topic_bytes", d.topic_bytes, 1..=u16::MAX),
        topic_levels: s.number("topic_levels", d.topic_levels, 1..=u16::MAX),
        subscriptions_per_client: s.number(
            "subscriptions_per_client",
            d.subscriptions_per_client,
            1..=u32::MAX,
        ),
        filters_per_packet: s.number("filters_per_packet", d.filters_per_packet, 1..=u16::MAX),
        inflight_messages: s.number("inflight_messages", d.inflight_messages, 1..=u16::MAX),
        // [MQTT-3.2.2.3.3]: a Receive Maximum of 0 is a protocol error.
        receive_maximum: s.number("receive_maximum", d.receive_maximum, 1..=u16::MAX),
        topic_aliases_in: s.number("topic_aliases_in", d.topic_aliases_in, 0..=u16::MAX),
        // Each delivery looks through them.
        topic_aliases_out: s.number("topic_aliases_out", d.topic_aliases_out, 0..=1_024),
        backlog_messages: s.number("backlog_messages", d.backlog_messages, 0..=u32::MAX),
        backlog_bytes: s.size("backlog_bytes", d.backlog_bytes, 0..=u32::MAX),
        output_bytes: s.size("output_bytes", d.output_bytes, 1_024..=u32::MAX),
        output_stall_secs: s.number("output_stall_secs", d.output_stall_secs, 1..=u16::MAX),
        output_stall_bytes: s.size("output_stall_bytes", d.output_stall_bytes, 1..=u32::MAX),
        connect_timeout_secs: s.number("connect_timeout_secs", d.connect_timeout_secs, 1..=u16::MAX),
        tls_handshakes: s.number("tls_handshakes", d.tls_handshakes, 1..=u32::MAX),
        failed_logins_per_minute: s.number(
            "failed_logins_per_minute",
            d.failed_logins_per_minute,
            0..=u16::MAX,
        ),
        keep_alive_maximum_secs: s.number("keep_alive_maximum_secs", d.keep_alive_maximum_secs, 0..=u16::MAX),
        session_expiry_maximum_secs: s.number(
            "session_expiry_maximum_secs",
            d.session_expiry_maximum_secs,
            0..=u32::MAX,
        ),
        retained_messages: s.number("retained_messages", d.retained_messages, 0..=i64::MAX as u64),
        retained_bytes: s.size("retained_bytes", d.retained_bytes, 0..=i64::MAX as u64),
        sessions: s.number("sessions", d.sessions, 1..=i64::MAX as u64),
        connections: s.number("connections", d.connections, 0..=u32::MAX),
        user_properties: s.number("user_properties", d.user_properties, 0..=u16::MAX),
        user_property_bytes: s.size("user_property_bytes", d.user_property_bytes, 0..=u32::MAX),
    };
    problems.extend(s.finish());
    limits
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
