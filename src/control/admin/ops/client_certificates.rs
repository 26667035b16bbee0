//! Client certificates: which are listed as authorized or revoked, and which were issued here and are not listed.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::desk::Desk;
use super::super::problem::Problem;
use super::certificate::{self, CertificateForm, CertificateShown, Download, imported, thumbprint};
use super::editing::OfDraft;
use super::secret::{File, Secret};
use crate::control::certificates::{Registry, name_of};
use crate::control::pki::{Certified, Expiry, Thumbprint, describe};
use crate::policy::{Listing, Presented};

/// How a client certificate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::control) enum ClientStatus {
    /// Listed: it counts where a list is asked for.
    Authorized,
    /// Listed: it is refused, whatever else speaks for it.
    Revoked,
    /// Issued here and not listed.
    Unlisted,
}

/// How a client certificate is to be listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::control) enum ClientListing {
    /// It counts where a list is asked for.
    #[default]
    Authorized,
    /// It is refused, whatever else speaks for it.
    Revoked,
}

/// A client certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct ClientCertificateShown {
    /// What people call it.
    pub(in crate::control) name: String,
    /// SHA-256 of it.
    pub(in crate::control) thumbprint: String,
    pub(in crate::control) status: ClientStatus,
    /// How many of the others have the same Common Name.
    pub(in crate::control) same_common_name: usize,
    /// What it says; `null`: only its thumbprint is here.
    pub(in crate::control) certificate: Option<CertificateShown>,
}

/// A client certificate with which somebody is connected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct CertificateOnline {
    /// SHA-256 of it.
    pub(in crate::control) thumbprint: String,
    /// How many connections present it.
    pub(in crate::control) connections: u64,
}

/// A client certificate to be listed: the file, or nothing but its thumbprint.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::control) struct ClientCertificateNew {
    /// The certificate: PEM, DER or PKCS#12. A key in it is let go.
    #[serde(default)]
    pub(in crate::control) data: Option<File>,
    /// The password of the file, if it has one.
    #[serde(default)]
    pub(in crate::control) password: Option<Secret>,
    /// Its SHA-256 thumbprint, if the file is not at hand.
    #[serde(default)]
    pub(in crate::control) thumbprint: Option<String>,
    /// What it is called here; without this, its Common Name.
    #[serde(default)]
    pub(in crate::control) name: Option<String>,
    #[serde(default)]
    pub(in crate::control) status: ClientListing,
    /// Take it although it has expired: it counts where trust is not asked for.
    #[serde(default)]
    pub(in crate::control) expired: bool,
}

/// A certificate that was refused and is to be listed as authorized.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::control) struct RejectedAuthorized {
    /// Its thumbprint, as the list of rejections shows it.
    pub(in crate::control) thumbprint: String,
    /// What it is called here; without this, its Common Name.
    #[serde(default)]
    pub(in crate::control) name: Option<String>,
}

/// What is to become of a client certificate that is listed, or was issued here.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::control) struct ClientCertificateChange {
    pub(in crate::control) status: ClientListing,
    /// What it is called from now on; without this, as before.
    #[serde(default)]
    pub(in crate::control) name: Option<String>,
}

impl From<ClientListing> for Listing {
    fn from(listing: ClientListing) -> Listing {
        match listing {
            ClientListing::Authorized => Listing::Authorized,
            ClientListing::Revoked => Listing::Revoked,
        }
    }
}

impl From<Listing> for ClientStatus {
    fn from(listing: Listing) -> ClientStatus {
        match listing {
            Listing::Authorized => ClientStatus::Authorized,
            Listing::Revoked => ClientStatus::Revoked,
        }
    }
}

/// The listed ones in the order of the file, then those that were issued here and are not listed.
pub(in crate::control) async fn list(desk: &Desk) -> Result<OfDraft<Vec<ClientCertificateShown>>, Problem> {
    certificate::look(desk, shown).await
}

/// Who is connected with one of them right now.
pub(in crate::control) async fn online(desk: &Desk) -> Result<Vec<CertificateOnline>, Problem> {
    let known = certificate::look(desk, |registry| {
        let listed = registry.config().client_certificates.iter().map(|one| one.thumbprint);
        Ok(listed.chain(registry.unlisted()?.into_iter().map(|(thumbprint, _)| thumbprint)).collect())
    });
    let known: Vec<Thumbprint> = known.await?.answer;
    desk.ask(move |control| {
        let Some(running) = &control.running else { return Vec::new() };
        let counts = running.node().online(&known);
        let present = known.iter().zip(counts).filter(|(_, connections)| *connections > 0);
        let shown = present.map(|(thumbprint, connections)| CertificateOnline {
            thumbprint: thumbprint.to_string(),
            connections,
        });
        shown.collect()
    })
    .await
}

/// Lists one.
pub(in crate::control) async fn add(
    desk: &Desk,
    asked: ClientCertificateNew,
    expected: Option<String>,
) -> Result<OfDraft<ClientCertificateShown>, Problem> {
    let add = move |registry: &mut Registry| {
        let name = asked.name.as_deref().filter(|name| !name.is_empty());
        let listing = Listing::from(asked.status);
        let listed = match (&asked.data, &asked.thumbprint) {
            (Some(data), None) => {
                let imported = imported(data, None, asked.password.as_ref())?;
                let taken = asked.expired || listing == Listing::Revoked;
                let expiry = if taken { Expiry::Taken } else { Expiry::Refused };
                let certified = imported.into_client(expiry, registry.now())?;
                registry.list_client(name, certified, listing)?
            }
            (None, Some(text)) => {
                let thumbprint = text.parse().map_err(|_| {
                    Problem::not_taken("bad-thumbprint", "this is not a SHA-256 thumbprint")
                        .remedy("give 64 hexadecimal digits")
                })?;
                registry.list_thumbprint(name, thumbprint, listing)?
            }
            _ => {
                return Err(Problem::not_taken("one-of-two", "either a file or a thumbprint is expected")
                    .remedy("give `data` or `thumbprint`, and not both"));
            }
        };
        Ok(listed.thumbprint)
    };
    certificate::change(desk, expected, add, shown_one).await
}

/// Lists as authorized what was presented by a client that was refused lately.
pub(in crate::control) async fn authorize_rejected(
    desk: &Desk,
    asked: RejectedAuthorized,
    expected: Option<String>,
) -> Result<OfDraft<ClientCertificateShown>, Problem> {
    let which = thumbprint(&asked.thumbprint)?;
    let rejections =
        desk.ask(|control| control.running.as_ref().map(|running| running.node().rejections(0).rejections));
    let rejections = rejections.await?.ok_or_else(Problem::disabled)?;
    let certificates = rejections.iter().filter_map(|rejection| rejection.certificate.as_deref());
    let presented = presented(certificates, &which)?;
    authorize(desk, presented, asked.name, expected).await
}

/// A certificate that was refused lately.
pub(super) fn presented<'a>(
    mut refused: impl Iterator<Item = &'a Presented>,
    which: &Thumbprint,
) -> Result<Certified, Problem> {
    let found = refused.find(|presented| presented.thumbprint == *which);
    // Its own alone: what it sent with it is whatever it liked to.
    let own = found.and_then(|presented| presented.chain.first());
    let own = own.ok_or_else(|| {
        Problem::not_found(format!("no certificate {which} was refused lately"))
            .remedy("only the last rejections are kept: let the client try again, or give the certificate")
    })?;
    Ok(Certified { chain: vec![own.to_vec().into()], key: None })
}

pub(super) async fn authorize(
    desk: &Desk,
    presented: Certified,
    name: Option<String>,
    expected: Option<String>,
) -> Result<OfDraft<ClientCertificateShown>, Problem> {
    let add = move |registry: &mut Registry| {
        let name = name.as_deref().filter(|name| !name.is_empty());
        Ok(registry.list_client(name, presented, Listing::Authorized)?.thumbprint)
    };
    certificate::change(desk, expected, add, shown_one).await
}

/// Changes how a certificate is listed, and what it is called; lists one that was issued here and is not listed.
pub(in crate::control) async fn change(
    desk: &Desk,
    which: String,
    asked: ClientCertificateChange,
    expected: Option<String>,
) -> Result<OfDraft<ClientCertificateShown>, Problem> {
    let which = thumbprint(&which)?;
    let change = move |registry: &mut Registry| {
        let mut meant = registry.known_client(which)?;
        if let Some(name) = asked.name.filter(|name| !name.is_empty()) {
            match meant.listing {
                Some(_) => registry.rename_found(&meant, &name)?,
                None => meant.name = name,
            }
        }
        registry.mark_found(&meant, asked.status.into());
        Ok(which)
    };
    certificate::change(desk, expected, change, shown_one).await
}

/// Takes a certificate off the list; forgets one that was issued here and is not listed.
pub(in crate::control) async fn remove(
    desk: &Desk,
    which: String,
    expected: Option<String>,
) -> Result<OfDraft<()>, Problem> {
    let which = thumbprint(&which)?;
    let remove = move |registry: &mut Registry| {
        let meant = registry.known_client(which)?;
        Ok(registry.unlist_found(&meant)?)
    };
    certificate::change(desk, expected, remove, |_, ()| Ok(())).await
}

/// A client's certificate.
pub(in crate::control) async fn download(
    desk: &Desk,
    which: String,
    form: CertificateForm,
) -> Result<Download, Problem> {
    let which = thumbprint(&which)?;
    let found = certificate::look(desk, move |registry| {
        let meant = registry.known_client(which)?;
        if !registry.store().has(&which) {
            return Err(Problem::not_found("the certificate itself is not here, only its thumbprint")
                .remedy("list it again from its file"));
        }
        let chain = registry.store().chain(&which)?;
        Ok(Download::of(&Certified { chain, key: None }, form, &meant.name))
    });
    Ok(found.await?.answer)
}

pub(super) fn shown(registry: &Registry) -> Result<Vec<ClientCertificateShown>, Problem> {
    let mut all = Vec::new();
    for one in &registry.config().client_certificates {
        // It may have been listed by its thumbprint alone.
        let chain = registry.store().chain(&one.thumbprint).ok();
        let said = chain.map(|chain| describe(&chain[0])).transpose()?;
        all.push(ClientCertificateShown {
            name: one.name.clone(),
            thumbprint: one.thumbprint.to_string(),
            status: one.status.into(),
            same_common_name: 0,
            certificate: said.map(|said| CertificateShown::of(said, registry.now())),
        });
    }
    for (thumbprint, certified) in registry.unlisted()? {
        let said = describe(certified.certificate())?;
        all.push(ClientCertificateShown {
            name: name_of(&certified)?,
            thumbprint: thumbprint.to_string(),
            status: ClientStatus::Unlisted,
            same_common_name: 0,
            certificate: Some(CertificateShown::of(said, registry.now())),
        });
    }
    mark_duplicates(&mut all);
    Ok(all)
}

fn mark_duplicates(all: &mut [ClientCertificateShown]) {
    let common_name = |one: &ClientCertificateShown| one.certificate.as_ref()?.common_name.clone();
    let mut by_name: HashMap<String, usize> = HashMap::new();
    all.iter().filter_map(common_name).for_each(|name| *by_name.entry(name).or_default() += 1);
    for one in all.iter_mut() {
        one.same_common_name = common_name(one).map_or(0, |name| by_name[&name] - 1);
    }
}

pub(super) fn shown_one(registry: &Registry, which: Thumbprint) -> Result<ClientCertificateShown, Problem> {
    let which = which.to_string();
    let mut all = shown(registry)?.into_iter();
    all.find(|one| one.thumbprint == which)
        .ok_or_else(|| Problem::fault(format!("the certificate {which} is not where it was put")))
}
