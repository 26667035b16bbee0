//! A configuration compiled into what the shards judge by and what is to be bound. Opens nothing.

use std::sync::Arc;
use std::time::Duration;

use super::config::{Config, Listener};
use crate::policy::{Credentials, Generation, Snapshot};

/// What a configuration comes to.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// What the shards judge by.
    pub snapshot: Arc<Snapshot>,
    /// Where clients connect, in the order of the file; empty if the broker is disabled.
    pub listeners: Vec<Listener>,
    /// How often `$SYS` is brought up to date; `None`: it is empty.
    pub sys_interval: Option<Duration>,
}

/// Compiles a configuration under the generation that it gets when it is applied.
#[must_use]
pub fn compile(config: &Config, generation: Generation) -> Compiled {
    let snapshot = Snapshot {
        generation,
        limits: config.limits.clone(),
        persistent_sessions: config.broker.persistent_sessions,
        response_information: config.broker.response_information.clone(),
        credentials: Arc::new(credentials(config)),
        ..Snapshot::default()
    };
    let listeners = config.open_listeners().map(|(_, listener)| listener.clone()).collect();
    let secs = config.status.sys_interval_secs;
    let sys_interval = (secs > 0).then(|| Duration::from_secs(secs.into()));
    Compiled { snapshot: Arc::new(snapshot), listeners, sys_interval }
}

fn credentials(config: &Config) -> Credentials {
    let users = config.users.iter().map(|user| {
        let stored = user.password.clone();
        (user.name.as_str().into(), stored)
    });
    Credentials::new(config.credentials.require, users)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::config::{Draft, FRESH};

    #[test]
    fn a_disabled_broker_has_no_listeners_and_an_enabled_one_its_enabled_ones() {
        let mut config = Draft::read(FRESH).unwrap().config;
        assert_eq!(compile(&config, Generation(3)).listeners, []);
        config.enabled = true;
        assert_eq!(compile(&config, Generation(3)).listeners.len(), 1);
        config.listeners[1].enabled = true;
        config.limits.topic_levels = 9;
        let compiled = compile(&config, Generation(3));
        let written: Vec<String> = compiled.listeners.iter().map(ToString::to_string).collect();
        assert_eq!(written, ["tcp 127.0.0.1:1883", "websocket 127.0.0.1:8083/mqtt"]);
        assert_eq!(compiled.snapshot.generation, Generation(3));
        assert_eq!(compiled.snapshot.limits.topic_levels, 9);
        assert!(compiled.snapshot.persistent_sessions);
    }
}
