//! What differs between two configurations and when a difference takes effect. Every field is listed by taking its
//! struct apart completely: a new field does not compile until someone has decided when a change of it holds.

use std::collections::BTreeMap;
use std::fmt;

use super::config::{
    ACCESSES, Admin, Authority, Broker, BrokerCertificate, BrokerChoice, CLIENT_IDS, Certificates,
    ClientCertificate, Config, Credentials, LEVELS, LISTINGS, Level, Listener, Log, MATCHES, Match,
    PACKETS_PER_FRAME, PROTOCOLS, Protocol, REFUSED_PUBLISH, RULES_APPLY, RuleSettings, RulesApply, STORAGES,
    Status, Storage, User,
};
use crate::net::PacketsPerFrame;
use crate::policy::rules::{Access, Rule};
use crate::policy::{ClientIdPolicy, Limits, Listing, RefusedPublish, StoredPassword, Thumbprint};

/// When a change takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// With Apply, for every client.
    Live,
    /// With Apply, for connections made from then on.
    NewConnections,
    /// With the next start only: Apply refuses it.
    Restart,
}

impl fmt::Display for Effect {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Effect::Live => "live",
            Effect::NewConnections => "new connections",
            Effect::Restart => "needs a restart",
        })
    }
}

/// One field of a configuration, by the path the file gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// `limits.packet_bytes`
    pub path: String,
    /// As the file would write it; of a secret, what tells it from another.
    value: String,
    /// It is never shown.
    secret: bool,
    /// When a change of it takes effect.
    pub effect: Effect,
}

impl fmt::Display for Field {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} = {}", self.path, if self.secret { "(not shown)" } else { &self.value })
    }
}

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// `limits.packet_bytes`
    pub path: String,
    /// `None`: it was not there. Of a secret: that there was one.
    pub before: Option<String>,
    /// `None`: it is no longer there. Of a secret: that there is one.
    pub after: Option<String>,
    /// When it takes effect.
    pub effect: Effect,
}

impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.before == self.after {
            return write!(out, "{}: changed ({})", self.path, self.effect);
        }
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".into());
        write!(out, "{}: {} -> {} ({})", self.path, value(&self.before), value(&self.after), self.effect)
    }
}

/// Takes a struct apart, completely, and lists its fields with their effects.
macro_rules! list {
    ($out:ident, $prefix:expr, $value:expr => $type:ident { $($field:ident: $effect:ident),+ $(,)? }) => {
        let $type { $($field),+ } = $value;
        $($out.push(Field {
            path: format!("{}{}", $prefix, stringify!($field)),
            value: $field.written(),
            secret: $field.is_secret(),
            effect: Effect::$effect,
        });)+
    };
}

/// Every field of a configuration.
#[must_use]
pub fn fields(config: &Config) -> Vec<Field> {
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
        admin,
        broker,
        limits,
        status,
        log,
    } = config;
    let mut out = Vec::new();
    out.push(Field { path: "enabled".into(), value: enabled.written(), secret: false, effect: Effect::Live });
    for (index, listener) in listeners.iter().enumerate() {
        list!(out, format!("listener[{index}]."), listener => Listener {
            protocol: Live, address: Live, path: Live, packets_per_frame: NewConnections, tls: Live,
            require_client_certificate: Live, enabled: Live,
        });
    }
    list!(out, "certificates.", certificates => Certificates {
        require: Live, trusted_authorized_only: Live, any_authorized: Live, trust_operating_system: Live,
        client_id: NewConnections,
    });
    // Names are told apart by name: who adds one in front has not changed all the others.
    for certificate in client_certificates {
        list!(out, entry("client_certificate", &certificate.name), certificate => ClientCertificate {
            name: Live, thumbprint: Live, status: Live,
        });
    }
    list!(out, "credentials.", credentials => Credentials { require: Live });
    for user in users {
        list!(out, entry("user", &user.name), user => User { name: Live, password: Live });
    }
    list!(out, "broker_certificate.", broker_certificate => BrokerCertificate {
        certificate: NewConnections, names: NewConnections,
    });
    for authority in authorities {
        list!(out, entry("authority", &authority.name), authority => Authority {
            name: Live, thumbprint: Live, issues: Live,
        });
    }
    list!(out, "rules.", rule_settings => RuleSettings { apply: Live, refused_publish_v3: Live });
    for (index, rule) in rules.iter().enumerate() {
        rule_fields(&format!("rule[{index}]."), rule, &mut out);
    }
    list!(out, "admin.", admin => Admin { address: Restart });
    list!(out, "broker.", broker => Broker {
        persistent_sessions: Live, storage: Restart, response_information: NewConnections,
    });
    limit_fields(limits, &mut out);
    list!(out, "status.", status => Status { sys_interval_secs: Live });
    list!(out, "log.", log => Log { level: Live });
    out
}

fn rule_fields(prefix: &str, rule: &Rule, out: &mut Vec<Field>) {
    let Rule { name, access, client, topic } = rule;
    let (client_match, client) = Match::of_client(client);
    let (topic_match, topic) = Match::of_topic(topic);
    for (field, value) in [
        ("name", name.written()),
        ("access", access.written()),
        ("client_match", client_match.written()),
        ("client", client.to_owned().written()),
        ("topic_match", topic_match.written()),
        ("topic", topic.to_owned().written()),
    ] {
        let path = format!("{prefix}{field}");
        out.push(Field { path, value, secret: false, effect: Effect::Live });
    }
}

/// `user["alice"].`
fn entry(table: &str, name: &str) -> String {
    format!("{table}[{name:?}].")
}

fn limit_fields(limits: &Limits, out: &mut Vec<Field>) {
    list!(out, "limits.", limits => Limits {
        packet_bytes: NewConnections,
        connect_packet_bytes: NewConnections,
        client_id_bytes: NewConnections,
        topic_bytes: Live,
        topic_levels: Live,
        subscriptions_per_client: Live,
        filters_per_packet: Live,
        inflight_messages: NewConnections,
        receive_maximum: NewConnections,
        topic_aliases_in: NewConnections,
        topic_aliases_out: NewConnections,
        backlog_messages: Live,
        backlog_bytes: Live,
        output_bytes: Live,
        output_stall_secs: Live,
        output_stall_bytes: Live,
        connect_timeout_secs: NewConnections,
        tls_handshakes: NewConnections,
        failed_logins_per_minute: Live,
        keep_alive_maximum_secs: NewConnections,
        session_expiry_maximum_secs: NewConnections,
        retained_messages: Live,
        retained_bytes: Live,
        sessions: Live,
        connections: NewConnections,
        user_properties: Live,
        user_property_bytes: Live,
    });
}

/// What differs, ordered by path.
#[must_use]
pub fn diff(before: &Config, after: &Config) -> Vec<Change> {
    let mut sides: BTreeMap<String, [Option<Field>; 2]> = BTreeMap::new();
    for (side, config) in [before, after].into_iter().enumerate() {
        for field in fields(config) {
            let path = field.path.clone();
            sides.entry(path).or_default()[side] = Some(field);
        }
    }
    let value = |field: &Option<Field>| field.as_ref().map(|field| field.value.clone());
    let shown = |field: &Option<Field>| {
        field.as_ref().map(|field| if field.secret { "one".to_owned() } else { field.value.clone() })
    };
    let differ = sides.into_iter().filter(|(_, [before, after])| value(before) != value(after));
    let change = |(path, [before, after]): (String, [Option<Field>; 2])| {
        let effect = before.as_ref().or(after.as_ref()).map_or(Effect::Live, |field| field.effect);
        Change { path, before: shown(&before), after: shown(&after), effect }
    };
    differ.map(change).collect()
}

/// As the file would write it.
trait Written {
    fn written(&self) -> String;

    /// Whether it is kept from everybody's eyes.
    fn is_secret(&self) -> bool {
        false
    }
}

impl Written for StoredPassword {
    fn written(&self) -> String {
        self.as_phc().to_owned()
    }

    fn is_secret(&self) -> bool {
        true
    }
}

impl Written for Thumbprint {
    fn written(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Written for BrokerChoice {
    fn written(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Written for Vec<String> {
    fn written(&self) -> String {
        format!("{self:?}")
    }
}

macro_rules! written_plainly {
    ($($type:ty),+) => {
        $(impl Written for $type {
            fn written(&self) -> String {
                self.to_string()
            }
        })+
    };
}

written_plainly!(bool, u16, u32, u64);

impl Written for std::net::SocketAddr {
    fn written(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Written for String {
    fn written(&self) -> String {
        format!("{self:?}")
    }
}

impl<T: Written> Written for Option<T> {
    fn written(&self) -> String {
        self.as_ref().map_or_else(|| "nothing".into(), Written::written)
    }
}

macro_rules! written_by_name {
    ($($type:ty => $names:ident),+) => {
        $(impl Written for $type {
            fn written(&self) -> String {
                let name = $names.iter().find(|(_, value)| value == self).map(|(name, _)| name);
                format!("{:?}", name.expect("the table names every value"))
            }
        })+
    };
}

written_by_name!(
    Protocol => PROTOCOLS, PacketsPerFrame => PACKETS_PER_FRAME, Storage => STORAGES, Level => LEVELS,
    ClientIdPolicy => CLIENT_IDS, Listing => LISTINGS, RulesApply => RULES_APPLY, RefusedPublish => REFUSED_PUBLISH,
    Access => ACCESSES, Match => MATCHES
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::config::{Draft, FRESH};

    #[test]
    fn equal_configurations_do_not_differ() {
        let fresh = Draft::read(FRESH).unwrap().config;
        assert_eq!(diff(&fresh, &fresh), []);
    }

    #[test]
    fn a_change_is_named_with_both_values_and_its_effect() {
        let before = Draft::read(FRESH).unwrap().config;
        let mut after = before.clone();
        after.limits.packet_bytes = 4_096;
        after.broker.storage = Storage::Disk;
        after.limits.receive_maximum = 7;
        let changes: Vec<String> = diff(&before, &after).iter().map(ToString::to_string).collect();
        assert_eq!(
            changes,
            [
                "broker.storage: \"memory\" -> \"disk\" (needs a restart)",
                "limits.packet_bytes: 1048576 -> 4096 (new connections)",
                "limits.receive_maximum: 1024 -> 7 (new connections)",
            ]
        );
    }

    #[test]
    fn a_listener_that_comes_or_goes_is_a_change_of_each_of_its_fields() {
        let before = Draft::read(FRESH).unwrap().config;
        let mut after = before.clone();
        after.listeners.pop();
        let gone = diff(&before, &after);
        assert_eq!(gone.len(), 7);
        assert!(gone.iter().all(|change| change.path.starts_with("listener[1].") && change.after.is_none()));
        let back = diff(&after, &before);
        assert!(back.iter().all(|change| change.before.is_none() && change.after.is_some()));
    }
    const THUMBPRINT: &str = "ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01";
    const HASH: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0c2FsdHNhbHQ";

    /// What a text changes that becomes another.
    fn changes(before: &str, after: &str) -> Vec<String> {
        let read = |text: &str| Draft::read(text).unwrap().config;
        diff(&read(before), &read(after)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn users_and_certificates_are_told_apart_by_name_and_hashes_are_never_shown() {
        let user = |name: &str, hash: &str| format!("[[user]]\nname = {name:?}\npassword = {hash:?}\n");
        let other = HASH.replace("c2FsdHNhbHRzYWx0$", "QUJDREVGR0hJSktM$");
        assert_eq!(
            changes(&user("bob", HASH), &format!("{}{}", user("alice", HASH), user("bob", &other))),
            [
                "user[\"alice\"].name: nothing -> \"alice\" (live)",
                "user[\"alice\"].password: nothing -> one (live)",
                "user[\"bob\"].password: changed (live)",
            ]
        );
        let shown: Vec<String> = fields(&Draft::read(&user("bob", HASH)).unwrap().config)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert!(shown.contains(&"user[\"bob\"].password = (not shown)".to_owned()), "{shown:?}");
        let listed = |status: &str| {
            format!(
                "[[client_certificate]]\nname = \"d\"\nthumbprint = {THUMBPRINT:?}\nstatus = {status:?}\n"
            )
        };
        assert_eq!(
            changes(&listed("authorized"), &listed("revoked")),
            ["client_certificate[\"d\"].status: \"authorized\" -> \"revoked\" (live)"]
        );
    }
}
