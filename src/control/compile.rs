//! A configuration compiled into what the shards judge by, what is to be bound and what TLS is spoken with. It opens the
//! store of certificates, and nothing else.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::config::{Admin, Config, Diagnostics, Listener, Log, RulesApply};
use super::problem::Problem;
use super::secure::{self, Identity, Source};
use crate::policy::certificates::{NoTrust, Trust};
use crate::policy::{
    CertificatePolicy, ClientNames, Credentials, Generation, ListenerPolicy, Requirement, Rules, Snapshot,
};

/// What a configuration comes to.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// What the shards judge by; it lacks the listeners, which have no numbers yet.
    pub(super) snapshot: Snapshot,
    /// Where clients connect, and what is asked of them, in the order of the file; empty if the broker is disabled.
    pub(super) listeners: Vec<(Listener, ListenerPolicy)>,
    /// What listeners with TLS present, and the console and the API with TLS; `None`: there is none.
    pub(super) identity: Option<Identity>,
    /// How often `$SYS` is brought up to date; `None`: it is empty.
    pub(super) sys_interval: Option<Duration>,
    /// Console and API.
    pub admin: Admin,
    /// The log.
    pub log: Log,
    /// The log of MQTT messages.
    pub diagnostics: Diagnostics,
    /// What was found that its author may not have meant.
    pub(super) warnings: Vec<Problem>,
}

/// Whether connections with TLS may be there beside those that the configuration's own listeners bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// None was ever made.
    Plain,
    /// They may be left from listeners that are gone; they are judged anew.
    Tls,
}

/// Compiles a valid configuration under the generation that it gets when it is applied. `data`: the data directory.
///
/// # Errors
/// All that is wrong with the certificates that it names.
pub fn compile(
    config: &Config,
    generation: Generation,
    data: &Path,
    earlier: Earlier,
) -> Result<Compiled, Vec<Problem>> {
    let policy = |listener: &Listener| ListenerPolicy {
        tls: listener.tls,
        certificate: if config.requires_certificate(listener) {
            Requirement::Required
        } else {
            Requirement::Optional
        },
    };
    let listeners: Vec<_> =
        config.open_listeners().map(|(_, listener)| (listener.clone(), policy(listener))).collect();
    let tls = listeners.iter().any(|(listener, _)| listener.tls);
    let admin_tls = config.admin.enabled && config.admin.tls;
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    let mut trust: Arc<dyn Trust> = Arc::new(NoTrust);
    if tls || earlier == Earlier::Tls || !config.authorities.is_empty() {
        match secure::trusted(config, data, tls || earlier == Earlier::Tls) {
            Ok(trusted) => {
                trust = trusted.trust;
                warnings.extend(trusted.warnings);
            }
            Err(wrong) => problems.extend(wrong),
        }
    }
    let mut identity = None;
    if tls || admin_tls {
        match Source::new(config, data).identity(secure::now()) {
            Ok(found) => {
                warnings.extend(found.warnings.iter().cloned());
                identity = Some(found);
            }
            // An authority that is not there was told already.
            Err(wrong) if problems.iter().any(|problem| problem.path == wrong.path) => {}
            Err(wrong) => problems.push(wrong),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let secs = config.status.sys_interval_secs;
    let sys_interval = (secs > 0).then(|| Duration::from_secs(secs.into()));
    let snapshot = snapshot(config, generation, trust);
    let (admin, log, diagnostics) = (config.admin.clone(), config.log, config.diagnostics.clone());
    Ok(Compiled { snapshot, listeners, identity, sys_interval, admin, log, diagnostics, warnings })
}

/// The options about client certificates and the list of a configuration, as the judge takes them.
pub(super) fn certificate_policy(config: &Config, trust: Arc<dyn Trust>) -> CertificatePolicy {
    CertificatePolicy {
        trusted_authorized_only: config.certificates.trusted_authorized_only,
        any_authorized: config.certificates.any_authorized,
        listed: config.client_certificates.iter().map(|listed| (listed.thumbprint, listed.status)).collect(),
        trust,
    }
}

fn snapshot(config: &Config, generation: Generation, trust: Arc<dyn Trust>) -> Snapshot {
    let certificates = certificate_policy(config, trust);
    let users = config.users.iter().map(|user| (user.name.clone().into_boxed_str(), user.password.clone()));
    let rules = config.rules_apply().then(|| {
        let rules = Rules::compile(config.rules.clone());
        Arc::new(rules.expect("a valid configuration has no rule that is wrong"))
    });
    Snapshot {
        generation,
        limits: config.limits.clone(),
        persistent_sessions: config.broker.persistent_sessions,
        response_information: config.broker.response_information.clone(),
        certificates: Arc::new(certificates),
        credentials: Arc::new(Credentials::new(config.credentials.require, users)),
        client_id: config.certificates.client_id,
        rules,
        names: match config.rule_settings.apply {
            RulesApply::Certificates => ClientNames::Certificates,
            RulesApply::Always => ClientNames::CertificatesAndUsers,
        },
        refused_publish_v3: config.rule_settings.refused_publish_v3,
        ..Snapshot::default()
    }
}

#[cfg(test)]
#[path = "compile_tests.rs"]
mod tests;
