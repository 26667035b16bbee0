//! What differs between two configurations and when a difference takes effect. Every field is listed by taking its
//! struct apart completely: a new field does not compile until someone has decided when a change of it holds.

use std::collections::BTreeMap;
use std::fmt;

use super::config::{
    Admin, Broker, Config, LEVELS, Level, Listener, Log, PACKETS_PER_FRAME, PROTOCOLS, Protocol, STORAGES,
    Status, Storage,
};
use crate::net::PacketsPerFrame;
use crate::policy::Limits;

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
    /// As the file would write it.
    pub value: String,
    /// When a change of it takes effect.
    pub effect: Effect,
}

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// `limits.packet_bytes`
    pub path: String,
    /// `None`: it was not there.
    pub before: Option<String>,
    /// `None`: it is no longer there.
    pub after: Option<String>,
    /// When it takes effect.
    pub effect: Effect,
}

impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
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
            effect: Effect::$effect,
        });)+
    };
}

/// Every field of a configuration.
#[must_use]
pub fn fields(config: &Config) -> Vec<Field> {
    let Config { enabled, listeners, admin, broker, limits, status, log } = config;
    let mut out = vec![Field { path: "enabled".into(), value: enabled.written(), effect: Effect::Live }];
    for (index, listener) in listeners.iter().enumerate() {
        list!(out, format!("listener[{index}]."), listener => Listener {
            protocol: Live, address: Live, path: Live, packets_per_frame: NewConnections, enabled: Live,
        });
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
    let mut changes: BTreeMap<String, Change> = fields(before)
        .into_iter()
        .map(|Field { path, value, effect }| {
            (path.clone(), Change { path, before: Some(value), after: None, effect })
        })
        .collect();
    for Field { path, value, effect } in fields(after) {
        changes.entry(path.clone()).or_insert(Change { path, before: None, after: None, effect }).after =
            Some(value);
    }
    changes.into_values().filter(|change| change.before != change.after).collect()
}

/// As the file would write it.
trait Written {
    fn written(&self) -> String;
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

written_by_name!(Protocol => PROTOCOLS, PacketsPerFrame => PACKETS_PER_FRAME, Storage => STORAGES, Level => LEVELS);

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
        assert_eq!(gone.len(), 5);
        assert!(gone.iter().all(|change| change.path.starts_with("listener[1].") && change.after.is_none()));
        let back = diff(&after, &before);
        assert!(back.iter().all(|change| change.before.is_none() && change.after.is_some()));
    }
}
