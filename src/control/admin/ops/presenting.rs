//! What would become of a client that presents a certificate: judged by the judge of every connection, by the draft or by
//! what is in force. Nobody connects.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::desk::Desk;
use super::super::problem::Problem;
use super::certificate::imported;
use super::editing::OfDraft;
use super::rules::{Which, configured};
use super::secret::{File, Secret};
use crate::control::compile::certificate_policy;
use crate::control::config::Config;
use crate::control::pki::Certified;
use crate::control::secure;
use crate::net::tls::presented;
use crate::policy::Requirement;
use crate::policy::certificates::CommonName;

/// A certificate to be tried.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::control) struct CertificateTrial {
    /// The certificate: PEM, DER or PKCS#12. A key in it is let go.
    pub(in crate::control) data: File,
    /// The password of the file, if it has one.
    #[serde(default)]
    pub(in crate::control) password: Option<Secret>,
    /// By which configuration.
    #[serde(default)]
    pub(in crate::control) of: Which,
}

/// What would become of a client with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct CertificateVerdict {
    pub(in crate::control) accepted: bool,
    /// Why it is refused; `null`: it is accepted.
    pub(in crate::control) refusal: Option<String>,
    /// Whether it leads to an authority that is configured, or that the operating system trusts if that counts.
    pub(in crate::control) trusted: bool,
    /// SHA-256 of it.
    pub(in crate::control) thumbprint: String,
    pub(in crate::control) subject: String,
    /// The client name that topic rules judge by; `null`: it has none, or several.
    pub(in crate::control) client_name: Option<String>,
}

/// Tries it where a certificate is required.
pub(in crate::control) async fn present(
    desk: &Desk,
    asked: CertificateTrial,
) -> Result<OfDraft<CertificateVerdict>, Problem> {
    let CertificateTrial { data, password, of } = asked;
    let OfDraft { answer: config, hash } = configured(desk, of).await?;
    let paths = desk.paths();
    let answer = desk
        .aside(move || {
            let Certified { chain, .. } = imported(&data, None, password.as_ref())?.certified;
            judged(&config, &paths.data, &chain)
        })
        .await??;
    Ok(OfDraft { answer, hash })
}

fn judged(
    config: &Config,
    data: &std::path::Path,
    chain: &[rustls_pki_types::CertificateDer<'static>],
) -> Result<CertificateVerdict, Problem> {
    let trusted = secure::trusted(config, data, true);
    let trust =
        trusted.map_err(|problems| Problem::invalid(&crate::control::problem::Problems(problems)))?.trust;
    let policy = certificate_policy(config, trust);
    let now = u64::try_from(secure::now()).unwrap_or(0);
    let presented = presented::read(chain);
    let verdict = policy.judge(Some(&presented), Requirement::Required, now);
    Ok(CertificateVerdict {
        accepted: verdict.is_ok(),
        refusal: verdict.err().map(|refusal| refusal.to_string()),
        trusted: policy.trust.verify(&presented.chain, now).is_ok(),
        thumbprint: presented.thumbprint.to_string(),
        subject: presented.subject.to_string(),
        client_name: match &presented.common_name {
            CommonName::One(name) => Some(name.to_string()),
            CommonName::None | CommonName::Several => None,
        },
    })
}
