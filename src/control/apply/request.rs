//! What is to be applied, on what occasion and under which conditions; what stands over the file meanwhile.

use std::net::SocketAddr;

use crate::control::config::{Config, Draft, Listener};
use crate::control::environment::Environment;
use crate::control::problem::Problems;
use crate::policy::Generation;

/// When something is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// Before the first connection: everything may change.
    Start,
    /// While clients are connected: a change that needs a restart is refused.
    Running,
}

/// An Apply that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplyRequest {
    /// When.
    pub occasion: Occasion,
    /// Who asks, for the history; empty: nobody said.
    pub author: String,
    /// What is said about it, for the history.
    pub comment: String,
    /// This generation must be in force.
    pub expected_generation: Option<Generation>,
    /// The file must be the one with this hash ([`crate::control::config::draft_hash`]).
    pub expected_draft: Option<String>,
    /// It is taken back unless it is confirmed within so many seconds.
    pub confirm_within_secs: Option<u32>,
}

impl From<Occasion> for ApplyRequest {
    fn from(occasion: Occasion) -> ApplyRequest {
        ApplyRequest {
            occasion,
            author: String::new(),
            comment: String::new(),
            expected_generation: None,
            expected_draft: None,
            confirm_within_secs: None,
        }
    }
}

/// What the command line and the environment say in place of the file, for as long as the process runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The broker is enabled, whatever the file says.
    pub enable: bool,
    /// These, in place of the configured listeners. Not empty: implies `enable`.
    pub listen: Vec<Listener>,
    /// Where console and API are, in place of what the file says.
    pub admin: Option<AdminAt>,
    /// The variables.
    pub environment: Environment,
}

/// Where console and API are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminAt {
    /// Nowhere but at the socket of the data directory.
    Off,
    /// At this address.
    Address(SocketAddr),
}

impl Overrides {
    /// Reads a text with what the environment says in its place; what the command line says is not in it yet.
    ///
    /// # Errors
    /// All that is wrong with both together.
    pub(in crate::control) fn read(&self, text: &str) -> Result<Draft, Problems> {
        self.environment.over(text)
    }

    /// Whether the command line says anything.
    pub(super) fn is_by_command_line(&self) -> bool {
        self.enable || !self.listen.is_empty() || self.admin.is_some()
    }

    /// A configuration with what the command line says laid over it.
    pub(in crate::control) fn over(&self, mut config: Config) -> Config {
        config.enabled |= self.enable || !self.listen.is_empty();
        if !self.listen.is_empty() {
            config.listeners.clone_from(&self.listen);
        }
        match self.admin {
            None => {}
            Some(AdminAt::Off) => config.admin.enabled = false,
            Some(AdminAt::Address(address)) => (config.admin.enabled, config.admin.address) = (true, address),
        }
        config
    }
}
