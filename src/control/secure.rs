//! What TLS needs besides the configuration's text: the broker's certificate and key, and whom client certificates are
//! trusted by. It opens the store of certificates; what can be wrong there is told as a problem of the field that names
//! it. Knows no listener and no connection.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls_pki_types::CertificateDer;

use super::config::{Authority, BrokerChoice, Config};
use super::pki::broker::{self, Names};
use super::pki::{self, Issuer, PkiError, SanName, Store, describe, host_names, moment};
use super::problem::Problem;
use crate::net::tls::config::Certified;
use crate::net::tls::trust::{SystemAuthorities, WebPkiTrust};
use crate::policy::Thumbprint;

/// An imported certificate that ends within so many seconds is warned of.
const SOON_SECS: i64 = 30 * 86_400;

/// Seconds since 1970, UTC.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Where the broker's certificate comes from.
#[derive(Clone, Debug)]
pub(super) struct Source {
    data: PathBuf,
    choice: BrokerChoice,
    names: Vec<String>,
    issuing: Option<Thumbprint>,
    /// Of the authority that issues, as the operator would write it.
    issuing_path: String,
}

/// The broker's certificate, ready for use.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    /// With its chain and key.
    pub(super) certified: Certified,
    /// Its own thumbprint.
    pub(super) thumbprint: Thumbprint,
    /// Until when it is valid, in seconds since 1970.
    pub(super) not_after: i64,
    /// Where another one comes from when it is time.
    pub(super) source: Source,
    /// What to tell about it.
    pub(super) warnings: Vec<Problem>,
}

/// Whom client certificates are trusted by, and what to warn of.
pub(super) struct Trusted {
    pub(super) trust: Arc<WebPkiTrust>,
    pub(super) warnings: Vec<Problem>,
}

fn problem(path: impl Into<String>, error: &PkiError) -> Problem {
    Problem { path: path.into(), line: None, what: error.to_string(), remedy: error.remedy() }
}

fn warning(path: &str, what: String, remedy: &str) -> Problem {
    Problem { path: path.into(), line: None, what, remedy: remedy.into() }
}

impl Source {
    /// As the configuration says, in this data directory.
    pub(super) fn new(config: &Config, data: &Path) -> Source {
        let issuing = config.authorities.iter().position(|authority| authority.issues);
        Source {
            data: data.to_owned(),
            choice: config.broker_certificate.certificate,
            names: config.broker_certificate.names.clone(),
            issuing: issuing.map(|index| config.authorities[index].thumbprint),
            issuing_path: issuing.map_or_else(String::new, |index| format!("authority[{index}].thumbprint")),
        }
    }

    /// The certificate to present at a time, in seconds since 1970. One that the broker makes itself is made anew when
    /// two thirds of its life are over, or when it lacks a name.
    ///
    /// # Errors
    /// It is not there, cannot be read or made, or is of no use.
    pub(super) fn identity(&self, now: i64) -> Result<Identity, Problem> {
        match self.choice {
            BrokerChoice::Auto => self.own(now),
            BrokerChoice::Stored(thumbprint) => {
                let stored = self.stored(&thumbprint, now);
                stored.map_err(|error| problem("broker_certificate.certificate", &error))?
            }
        }
    }

    fn own(&self, now: i64) -> Result<Identity, Problem> {
        let wrong = |error: PkiError| problem("broker_certificate", &error);
        let store = Store::open(&self.data).map_err(wrong)?;
        let (issuer, warnings) = self.issuer(&store, now)?;
        let names: Result<Vec<SanName>, PkiError> = self.names.iter().map(|name| name.parse()).collect();
        let names = match names.map_err(|error| problem("broker_certificate.names", &error))? {
            none if none.is_empty() => Names::AtLeast(host_names()),
            names => Names::Exactly(names),
        };
        let made = broker::ensure(&store, issuer.as_ref(), &names, now).map_err(wrong)?;
        self.identified(made.certified, made.description.not_after, warnings)
    }

    fn stored(&self, thumbprint: &Thumbprint, now: i64) -> Result<Result<Identity, Problem>, PkiError> {
        let certified = Store::open(&self.data)?.certified(thumbprint)?;
        if certified.key.is_none() {
            return Err(PkiError::NoKey(*thumbprint));
        }
        pki::suits_a_server(&certified, now)?;
        let not_after = describe(certified.certificate())?.not_after;
        let soon = (not_after - now < SOON_SECS).then(|| {
            warning(
                "broker_certificate.certificate",
                format!("the broker's certificate ends on {}", moment(not_after)),
                "import another in time, or write \"auto\" to have one made and renewed",
            )
        });
        let doubts = certified.doubts_as_broker()?.into_iter().map(|doubt| {
            let what = format!("the broker's certificate may not be accepted: {doubt}");
            warning("broker_certificate.certificate", what, "import another, or write \"auto\"")
        });
        let warnings = soon.into_iter().chain(doubts).collect();
        Ok(self.identified(certified, not_after, warnings))
    }

    fn identified(
        &self,
        certified: pki::Certified,
        not_after: i64,
        warnings: Vec<Problem>,
    ) -> Result<Identity, Problem> {
        let thumbprint = certified.thumbprint();
        let wrong = |what: String| warning("broker_certificate", what, "import another, or write \"auto\"");
        let key = certified.key.ok_or_else(|| wrong("the broker's certificate has no key".into()))?;
        let certified = Certified::new(certified.chain, key).map_err(|error| wrong(error.to_string()))?;
        Ok(Identity { certified, thumbprint, not_after, source: self.clone(), warnings })
    }

    /// Who issues; nobody, if there is no authority that can: the certificate is signed by itself then.
    fn issuer(&self, store: &Store, now: i64) -> Result<(Option<Issuer>, Vec<Problem>), Problem> {
        let Some(thumbprint) = &self.issuing else { return Ok((None, Vec::new())) };
        let issuer = store.certified(thumbprint).and_then(|authority| Issuer::new(&authority, now));
        match issuer {
            Ok(issuer) => Ok((Some(issuer), Vec::new())),
            Err(PkiError::NoKey(_) | PkiError::AuthorityWithoutKey(_)) => Ok((None, Vec::new())),
            Err(error @ PkiError::Expired { .. }) => {
                let what = format!("{error}: the broker's certificate is signed by itself");
                Ok((
                    None,
                    vec![warning(&self.issuing_path, what, "make another authority with `tidemq ca create`")],
                ))
            }
            Err(error) => Err(problem(self.issuing_path.clone(), &error)),
        }
    }
}

/// The configured authorities, and the operating system's if they count and are asked for.
///
/// # Errors
/// All that is wrong with any of them.
pub(super) fn trusted(config: &Config, data: &Path, system: bool) -> Result<Trusted, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut configured = Vec::new();
    let store = (!config.authorities.is_empty()).then(|| Store::open(data)).transpose();
    let store = store.map_err(|error| vec![problem("authority", &error)])?;
    for (index, authority) in config.authorities.iter().enumerate() {
        let found = store.as_ref().map(|store| certificate(store, authority));
        match found {
            Some(Ok(certificate)) => configured.push(certificate),
            Some(Err(error)) => problems.push(problem(format!("authority[{index}].thumbprint"), &error)),
            None => {}
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut warnings = Vec::new();
    let system = (system && config.certificates.trust_operating_system).then(SystemAuthorities::load);
    if let Some(system) = &system {
        if system.count() == 0 {
            warnings.push(warning(
                "certificates.trust_operating_system",
                "the operating system has no certificate authorities that could be loaded".into(),
                "install its package ca-certificates, or write `trust_operating_system = false`",
            ));
        }
        system.problems().iter().for_each(|what| tracing::debug!("{what}"));
    }
    let trust = WebPkiTrust::new(&configured, system.as_ref()).map_err(|unusable| {
        let path = format!("authority[{}].thumbprint", unusable.number);
        vec![warning(&path, unusable.to_string(), "remove it, or import it again")]
    })?;
    Ok(Trusted { trust: Arc::new(trust), warnings })
}

fn certificate(store: &Store, authority: &Authority) -> Result<CertificateDer<'static>, PkiError> {
    let chain = store.chain(&authority.thumbprint)?;
    chain.into_iter().next().ok_or(PkiError::Unknown(authority.thumbprint))
}
