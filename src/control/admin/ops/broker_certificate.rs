//! The certificate that the broker shows to clients: which it is, where it comes from, and how it becomes another.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::desk::Desk;
use super::super::problem::Problem;
use super::certificate::{self, CertificateForm, CertificateShown, Download, KeyKind, imported, san_names};
use super::editing::OfDraft;
use super::named::when;
use super::secret::{File, Secret};
use crate::control::certificates::{Registry, server_names};
use crate::control::config::BrokerChoice;
use crate::control::pki::{Certified, PkiError, broker, describe};

/// Where the broker's certificate comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::control) enum BrokerSource {
    /// The broker makes it, and renews it in time.
    Auto,
    /// It was imported.
    Stored,
    /// The broker will make it when it starts with TLS.
    None,
}

/// The broker's certificate as the draft chooses it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct BrokerCertificateShown {
    pub(in crate::control) source: BrokerSource,
    /// What it says; `null`: it is not made yet, or not in the store.
    pub(in crate::control) certificate: Option<CertificateShown>,
    /// The names that the configuration gives to one that the broker makes; empty: those of the machine.
    pub(in crate::control) names: Vec<String>,
    /// When the broker makes another, as RFC 3339 writes it; `null`: it does not.
    pub(in crate::control) renew_at: Option<String>,
    /// The same in seconds since 1970.
    pub(in crate::control) renew_at_unix_secs: Option<i64>,
    /// Why some clients may not accept it, or why it cannot be applied.
    pub(in crate::control) doubts: Vec<String>,
    /// Certificates of the store that have their key and are no authority's: any of them can be used.
    pub(in crate::control) stored: Vec<CertificateShown>,
}

/// A certificate that the broker is to make.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::control) struct BrokerCertificateNew {
    /// Host names and addresses that clients know the broker by, from now on; empty: those of the configuration, else the
    /// machine's.
    pub(in crate::control) names: Vec<String>,
    /// Nothing: as before.
    pub(in crate::control) key_type: Option<KeyKind>,
}

/// A certificate that somebody else has issued to the broker.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::control) struct BrokerCertificateImport {
    /// The certificate, its chain and its key: PKCS#12 or PEM; or the certificate alone.
    pub(in crate::control) data: File,
    /// Its key, if it is not in the same file.
    #[serde(default)]
    pub(in crate::control) key: Option<File>,
    /// The password of the file, if it has one.
    #[serde(default)]
    pub(in crate::control) password: Option<Secret>,
}

/// A certificate that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct BrokerCertificateTaken {
    pub(in crate::control) broker_certificate: BrokerCertificateShown,
    /// Certificates in the file that have nothing to do with it and were left out.
    pub(in crate::control) left_out: usize,
}

/// Which certificate the broker is to show.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::control) struct BrokerCertificateUse {
    /// `auto`: the broker makes and renews it; or the thumbprint of one that was imported.
    pub(in crate::control) certificate: String,
}

/// The one that the draft chooses.
pub(in crate::control) async fn show(desk: &Desk) -> Result<OfDraft<BrokerCertificateShown>, Problem> {
    certificate::look(desk, shown).await
}

/// Has the broker make a new one at once, issued by the authority that issues, or by itself if there is none.
pub(in crate::control) async fn renew(
    desk: &Desk,
    asked: BrokerCertificateNew,
    expected: Option<String>,
) -> Result<OfDraft<BrokerCertificateShown>, Problem> {
    let names = san_names(&asked.names)?;
    server_names(&names)?;
    let renew = move |registry: &mut Registry| {
        registry.new_broker_certificate(&names, asked.key_type.map(Into::into))?;
        Ok(())
    };
    certificate::make(desk, expected, renew, |registry, ()| shown(registry)).await
}

/// Takes one that somebody else has issued.
pub(in crate::control) async fn take(
    desk: &Desk,
    asked: BrokerCertificateImport,
    expected: Option<String>,
) -> Result<OfDraft<BrokerCertificateTaken>, Problem> {
    let take = move |registry: &mut Registry| {
        let imported = imported(&asked.data, asked.key.as_ref(), asked.password.as_ref())?;
        let left_out = imported.left_out;
        registry.import_broker_certificate(imported)?;
        Ok(left_out)
    };
    certificate::change(desk, expected, take, |registry, left_out| {
        Ok(BrokerCertificateTaken { broker_certificate: shown(registry)?, left_out })
    })
    .await
}

/// Lets the broker make and renew its own, or show one of the store.
pub(in crate::control) async fn choose(
    desk: &Desk,
    asked: BrokerCertificateUse,
    expected: Option<String>,
) -> Result<OfDraft<BrokerCertificateShown>, Problem> {
    let choose = move |registry: &mut Registry| {
        if asked.certificate == "auto" {
            registry.automatic_broker_certificate();
            return Ok(());
        }
        let thumbprint = asked.certificate.parse().map_err(|_| {
            Problem::not_taken("bad-thumbprint", "this is neither `auto` nor a thumbprint")
                .remedy("give `auto`, or 64 hexadecimal digits")
        })?;
        if !registry.store().has(&thumbprint) {
            return Err(PkiError::Unknown(thumbprint).into());
        }
        Ok(registry.use_broker_certificate(&thumbprint)?)
    };
    certificate::change(desk, expected, choose, |registry, ()| shown(registry)).await
}

/// Its certificate, never its key.
pub(in crate::control) async fn download(desk: &Desk, form: CertificateForm) -> Result<Download, Problem> {
    let found = certificate::look(desk, move |registry| match registry.broker_certificate()? {
        Some((certified, _)) => Ok(Download::of(&certified, form, "broker")),
        None => Err(Problem::not_found("there is no broker certificate yet")
            .remedy("the broker makes one when it starts with TLS; or have one made now")),
    });
    Ok(found.await?.answer)
}

fn shown(registry: &Registry) -> Result<BrokerCertificateShown, Problem> {
    let configured = &registry.config().broker_certificate;
    let mut shown = BrokerCertificateShown {
        source: BrokerSource::None,
        certificate: None,
        names: configured.names.clone(),
        renew_at: None,
        renew_at_unix_secs: None,
        doubts: Vec::new(),
        stored: stored(registry)?,
    };
    match configured.certificate {
        BrokerChoice::Auto => {
            let Some(made) = broker::current(registry.store())? else { return Ok(shown) };
            shown.source = BrokerSource::Auto;
            shown.renew_at = Some(when(u64::try_from(made.renew_at).unwrap_or(0)));
            shown.renew_at_unix_secs = Some(made.renew_at);
            shown.certificate = Some(CertificateShown::of(made.description, registry.now()));
        }
        BrokerChoice::Stored(thumbprint) => {
            shown.source = BrokerSource::Stored;
            match registry.store().certified(&thumbprint) {
                Ok(certified) => {
                    let doubts = certified.doubts_as_broker()?;
                    shown.doubts = doubts.into_iter().map(str::to_owned).collect();
                    let said = describe(certified.certificate())?;
                    shown.certificate = Some(CertificateShown::of(said, registry.now()));
                }
                Err(error) => shown.doubts.push(error.to_string()),
            }
        }
    }
    Ok(shown)
}

/// What else could be used.
fn stored(registry: &Registry) -> Result<Vec<CertificateShown>, Problem> {
    let store = registry.store();
    let with_key = store.list()?.into_iter().filter(|thumbprint| store.has_key(thumbprint));
    let mut found = Vec::new();
    for chain in with_key.filter_map(|thumbprint| store.chain(&thumbprint).ok()) {
        let certified = Certified { chain, key: None };
        let said = describe(certified.certificate())?;
        if !said.is_authority {
            found.push(CertificateShown::of(said, registry.now()));
        }
    }
    Ok(found)
}
