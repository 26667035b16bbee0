//! A configuration taken apart into its fields. Every struct is taken apart completely: a new field does not compile
//! until it is listed here, and is not listed until the reference describes it.

use std::net::SocketAddr;

use super::access::{
    ACCESSES, Authority, BrokerCertificate, BrokerChoice, CLIENT_IDS, Certificates, ClientCertificate,
    Credentials, LISTINGS, MATCHES, Match, REFUSED_PUBLISH, RULES_APPLY, RuleSettings, RulesApply, User,
};
use super::operator::{
    Admin, DIRECTIONS, Diagnostics, Direction, LEVELS, LOG_FORMATS, Level, Log, LogFormat, PACKETS, Status,
};
use super::reference::{self, FieldDoc};
use super::rule_tests::{ACTIONS, EXPECTED, Expected, RuleTest};
use super::{Broker, Config, Listener, PACKETS_PER_FRAME, PROTOCOLS, Protocol, STORAGES, Storage};
use crate::mqtt::packet::PacketType;
use crate::net::PacketsPerFrame;
use crate::policy::rules::{Access, Action, Rule};
use crate::policy::{ClientIdPolicy, Limits, Listing, RefusedPublish, StoredPassword, Thumbprint};

/// What a field holds, as JSON and TOML know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::control) enum Plain {
    Boolean(bool),
    Number(u64),
    Text(String),
    Texts(Vec<String>),
    /// What tells a secret from another; never shown. Empty: there is none.
    Secret(String),
    /// The field is left out.
    Nothing,
}

/// One table with its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::control) struct Group {
    /// As the reference calls it: `limits`, `listener[]`.
    pub(in crate::control) table: &'static str,
    /// Which entry of a list.
    pub(in crate::control) place: Place,
    pub(in crate::control) fields: Vec<(&'static str, Plain)>,
}

/// Which entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::control) enum Place {
    /// It is no list.
    Alone,
    /// Entries are told apart by their places.
    Index(usize),
    /// Entries are told apart by their names: who adds one in front has not changed all the others.
    Named(String),
}

impl Group {
    /// `limits.packet_bytes`, `listener[0].tls`, `user["alice"].password`
    pub(in crate::control) fn path(&self, field: &str) -> String {
        let table = self.table.trim_end_matches("[]");
        match &self.place {
            Place::Alone if table.is_empty() => field.to_owned(),
            Place::Alone => format!("{table}.{field}"),
            Place::Index(index) => format!("{table}[{index}].{field}"),
            Place::Named(name) => format!("{table}[{name:?}].{field}"),
        }
    }

    pub(in crate::control) fn doc(&self, field: &str) -> &'static FieldDoc {
        reference::field(self.table, field)
    }
}

/// Takes a struct apart, completely.
macro_rules! group {
    ($out:ident, $table:literal, $place:expr, $value:expr => $type:ident { $($field:ident),+ $(,)? }) => {
        let $type { $($field),+ } = $value;
        let fields = vec![$((stringify!($field), $field.plain())),+];
        $out.push(Group { table: $table, place: $place, fields });
    };
}

/// Every table of a configuration, every default included.
pub(in crate::control) fn of(config: &Config) -> Vec<Group> {
    let Config {
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
        rule_tests,
        admin,
        broker,
        limits,
        status,
        log,
        diagnostics,
    } = config;
    let named = |name: &String| Place::Named(name.clone());
    let root = vec![("enabled", enabled.plain())];
    let mut out = vec![Group { table: "", place: Place::Alone, fields: root }];
    for (index, listener) in listeners.iter().enumerate() {
        group!(out, "listener[]", Place::Index(index), listener => Listener {
            protocol, address, path, packets_per_frame, tls, require_client_certificate, enabled,
        });
    }
    group!(out, "certificates", Place::Alone, certificates => Certificates {
        require, trusted_authorized_only, any_authorized, trust_operating_system, client_id,
    });
    for certificate in client_certificates {
        group!(out, "client_certificate[]", named(&certificate.name), certificate => ClientCertificate {
            name, thumbprint, status,
        });
    }
    group!(out, "credentials", Place::Alone, credentials => Credentials { require });
    for user in users {
        group!(out, "user[]", named(&user.name), user => User { name, password });
    }
    group!(out, "broker_certificate", Place::Alone, broker_certificate => BrokerCertificate {
        certificate, names,
    });
    for authority in authorities {
        group!(out, "authority[]", named(&authority.name), authority => Authority { name, thumbprint, issues });
    }
    group!(out, "rules", Place::Alone, rule_settings => RuleSettings { apply, refused_publish_v3 });
    out.extend(rules.iter().enumerate().map(|(index, rule)| of_rule(index, rule)));
    for test in rule_tests {
        group!(out, "rule_test[]", named(&test.name), test => RuleTest { name, client, action, topic, expect });
    }
    group!(out, "admin", Place::Alone, admin => Admin { enabled, address, tls, hosts, password });
    group!(out, "broker", Place::Alone, broker => Broker {
        persistent_sessions, storage, response_information,
    });
    out.push(of_limits(limits));
    group!(out, "status", Place::Alone, status => Status { sys_interval_secs });
    group!(out, "log", Place::Alone, log => Log { level, format });
    group!(out, "diagnostics", Place::Alone, diagnostics => Diagnostics {
        log_messages, client, topic, direction, packets, payload_bytes, file_bytes, files,
    });
    out
}

fn of_rule(index: usize, rule: &Rule) -> Group {
    let Rule { name, access, client, topic } = rule;
    let (client_match, client) = Match::of_client(client);
    let (topic_match, topic) = Match::of_topic(topic);
    let fields = vec![
        ("name", name.plain()),
        ("access", access.plain()),
        ("client_match", client_match.plain()),
        ("client", Plain::Text(client.to_owned())),
        ("topic_match", topic_match.plain()),
        ("topic", Plain::Text(topic.to_owned())),
    ];
    Group { table: "rule[]", place: Place::Index(index), fields }
}

fn of_limits(limits: &Limits) -> Group {
    let mut out = Vec::new();
    group!(out, "limits", Place::Alone, limits => Limits {
        packet_bytes,
        connect_packet_bytes,
        client_id_bytes,
        topic_bytes,
        topic_levels,
        subscriptions_per_client,
        filters_per_packet,
        inflight_messages,
        receive_maximum,
        topic_aliases_in,
        topic_aliases_out,
        backlog_messages,
        backlog_bytes,
        output_bytes,
        output_stall_secs,
        output_stall_bytes,
        connect_timeout_secs,
        tls_handshakes,
        failed_logins_per_minute,
        keep_alive_maximum_secs,
        session_expiry_maximum_secs,
        retained_messages,
        retained_bytes,
        sessions,
        connections,
        user_properties,
        user_property_bytes,
    });
    out.remove(0)
}

impl Plain {
    /// As the file would write it; of a secret, what tells it from another.
    pub(in crate::control) fn written(&self) -> String {
        match self {
            Plain::Boolean(is) => is.to_string(),
            Plain::Number(number) => number.to_string(),
            Plain::Text(text) => format!("{text:?}"),
            Plain::Texts(texts) => format!("{texts:?}"),
            Plain::Secret(secret) => secret.clone(),
            Plain::Nothing => "nothing".into(),
        }
    }

    /// The same for everybody's eyes.
    pub(in crate::control) fn shown(&self) -> String {
        match self {
            Plain::Secret(secret) if secret.is_empty() => "none".into(),
            Plain::Secret(_) => "one".into(),
            other => other.written(),
        }
    }
}

/// As JSON and TOML know it.
trait AsPlain {
    fn plain(&self) -> Plain;
}

impl AsPlain for bool {
    fn plain(&self) -> Plain {
        Plain::Boolean(*self)
    }
}

impl AsPlain for String {
    fn plain(&self) -> Plain {
        Plain::Text(self.clone())
    }
}

impl AsPlain for Vec<String> {
    fn plain(&self) -> Plain {
        Plain::Texts(self.clone())
    }
}

impl AsPlain for Vec<PacketType> {
    fn plain(&self) -> Plain {
        Plain::Texts(self.iter().map(|packet| word_of(PACKETS, packet)).collect())
    }
}

impl AsPlain for StoredPassword {
    fn plain(&self) -> Plain {
        Plain::Secret(self.as_phc().to_owned())
    }
}

impl AsPlain for Option<StoredPassword> {
    fn plain(&self) -> Plain {
        self.as_ref().map_or(Plain::Secret(String::new()), AsPlain::plain)
    }
}

impl AsPlain for Option<String> {
    fn plain(&self) -> Plain {
        self.as_ref().map_or(Plain::Nothing, AsPlain::plain)
    }
}

impl AsPlain for Option<PacketsPerFrame> {
    fn plain(&self) -> Plain {
        self.as_ref().map_or(Plain::Nothing, AsPlain::plain)
    }
}

macro_rules! plain_numbers {
    ($($type:ty),+) => {
        $(impl AsPlain for $type {
            fn plain(&self) -> Plain {
                Plain::Number((*self).into())
            }
        })+
    };
}

plain_numbers!(u16, u32, u64);

macro_rules! plain_as_shown {
    ($($type:ty),+) => {
        $(impl AsPlain for $type {
            fn plain(&self) -> Plain {
                Plain::Text(self.to_string())
            }
        })+
    };
}

plain_as_shown!(SocketAddr, Thumbprint, BrokerChoice);

fn word_of<T: PartialEq>(words: &[(&str, T)], value: &T) -> String {
    let found = words.iter().find(|(_, known)| known == value);
    found.map(|(word, _)| (*word).to_owned()).expect("the table names every value")
}

macro_rules! plain_words {
    ($($type:ty => $words:ident),+ $(,)?) => {
        $(impl AsPlain for $type {
            fn plain(&self) -> Plain {
                Plain::Text(word_of($words, self))
            }
        })+
    };
}

plain_words!(
    Protocol => PROTOCOLS, PacketsPerFrame => PACKETS_PER_FRAME, Storage => STORAGES, Level => LEVELS,
    LogFormat => LOG_FORMATS, Direction => DIRECTIONS, ClientIdPolicy => CLIENT_IDS, Listing => LISTINGS,
    RulesApply => RULES_APPLY, RefusedPublish => REFUSED_PUBLISH, Access => ACCESSES, Match => MATCHES,
    Action => ACTIONS, Expected => EXPECTED,
);
