//! The sections of the configuration that are for the operator: console and API, `$SYS`, the log, the log of MQTT messages.
//! Their values and how the text becomes them. Opens nothing.

use std::net::SocketAddr;

use super::Problem;
use crate::control::read::Section;
use crate::control::validate;
use crate::mqtt::packet::PacketType;
use crate::mqtt::topic;
use crate::policy::StoredPassword;
use crate::policy::credentials::BadStoredPassword;

/// Console and API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// `false`: they do not listen.
    pub enabled: bool,
    /// Where they listen.
    pub address: SocketAddr,
    /// They are encrypted, with the broker's certificate.
    pub tls: bool,
    /// Names by which the console may be asked for, besides the usual ones.
    pub hosts: Vec<String>,
    /// What is kept of the password that opens them besides the token; `None`: there is none.
    pub password: Option<StoredPassword>,
}

/// What the broker says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Seconds between two looks at the counters for what is published below `$SYS`; 0 = nothing is.
    pub sys_interval_secs: u16,
}

/// The log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least severe events that are written.
    pub level: Level,
    /// How they are written.
    pub format: LogFormat,
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

/// How an event of the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The log of MQTT messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics {
    /// There is one.
    pub log_messages: bool,
    /// Of this client identifier; empty: of every one.
    pub client: String,
    /// Of packets with a topic those that this filter matches.
    pub topic: String,
    /// Which way.
    pub direction: Direction,
    /// Which packets; none: all.
    pub packets: Vec<PacketType>,
    /// So much of a payload.
    pub payload_bytes: u32,
    /// So large becomes a file.
    pub file_bytes: u64,
    /// So many files are kept.
    pub files: u16,
}

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Either way.
    Both,
    /// From a client.
    In,
    /// To a client.
    Out,
}

/// How the file writes each of them.
pub(in crate::control) const LEVELS: &[(&str, Level)] = &[
    ("error", Level::Error),
    ("warn", Level::Warn),
    ("info", Level::Info),
    ("debug", Level::Debug),
    ("trace", Level::Trace),
];
pub(in crate::control) const LOG_FORMATS: &[(&str, LogFormat)] =
    &[("text", LogFormat::Text), ("json", LogFormat::Json)];
pub(in crate::control) const DIRECTIONS: &[(&str, Direction)] =
    &[("both", Direction::Both), ("in", Direction::In), ("out", Direction::Out)];
pub(in crate::control) const PACKETS: &[(&str, PacketType)] = &[
    ("connect", PacketType::Connect),
    ("connack", PacketType::ConnAck),
    ("publish", PacketType::Publish),
    ("puback", PacketType::PubAck),
    ("pubrec", PacketType::PubRec),
    ("pubrel", PacketType::PubRel),
    ("pubcomp", PacketType::PubComp),
    ("subscribe", PacketType::Subscribe),
    ("suback", PacketType::SubAck),
    ("unsubscribe", PacketType::Unsubscribe),
    ("unsuback", PacketType::UnsubAck),
    ("pingreq", PacketType::PingReq),
    ("pingresp", PacketType::PingResp),
    ("disconnect", PacketType::Disconnect),
    ("auth", PacketType::Auth),
];

pub(super) fn read_admin(mut s: Section<'_>, problems: &mut Vec<Problem>) -> Admin {
    let enabled = s.boolean("enabled");
    let address = s.address("address", "write IP:PORT, such as \"127.0.0.1:9883\"");
    let tls = s.boolean("tls");
    let hosts = s.strings("hosts");
    for host in hosts.iter().filter(|host| !validate::is_host(host)) {
        let what = format!("`{host}` is neither a host name nor an address");
        s.report("hosts", what, "write names such as [\"broker.example.org\"], without a port".into());
    }
    // What was written may be the password itself: it is not repeated.
    let password = match s.text("password") {
        "" => None,
        text => text
            .parse::<StoredPassword>()
            .map_err(|bad| s.report("password", bad.to_string(), BadStoredPassword::REMEDY.into()))
            .ok(),
    };
    problems.extend(s.finish());
    Admin { enabled, address, tls, hosts, password }
}

pub(super) fn read_status(mut s: Section<'_>, problems: &mut Vec<Problem>) -> Status {
    let sys_interval_secs = s.whole("sys_interval_secs");
    problems.extend(s.finish());
    Status { sys_interval_secs }
}

pub(super) fn read_log(mut s: Section<'_>, problems: &mut Vec<Problem>) -> Log {
    let log = Log { level: s.choice("level", LEVELS), format: s.choice("format", LOG_FORMATS) };
    problems.extend(s.finish());
    log
}

pub(super) fn read_diagnostics(mut s: Section<'_>, problems: &mut Vec<Problem>) -> Diagnostics {
    let diagnostics = Diagnostics {
        log_messages: s.boolean("log_messages"),
        client: s.text("client").to_owned(),
        topic: s.text("topic").to_owned(),
        direction: s.choice("direction", DIRECTIONS),
        packets: s.choices("packets", PACKETS),
        payload_bytes: s.whole("payload_bytes"),
        file_bytes: s.whole("file_bytes"),
        files: s.whole("files"),
    };
    if !topic::is_valid_filter(&diagnostics.topic) {
        let what = format!("`{}` is not a topic filter", diagnostics.topic.escape_debug());
        s.report("topic", what, "write one such as \"devices/+/state\", or \"#\" for every topic".into());
    }
    problems.extend(s.finish());
    diagnostics
}
