//! Certificate authorities: which there are, which of them issues, and who would lose trust without one.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::desk::Desk;
use super::super::problem::Problem;
use super::certificate::{self, CertificateForm, CertificateShown, Download, KeyKind, imported, thumbprint};
use super::editing::OfDraft;
use super::secret::{File, Secret};
use crate::control::certificates::{Issuing, Registry};
use crate::control::config::Authority;
use crate::control::pki::make::{AUTHORITY_DAYS, AuthorityRequest};
use crate::control::pki::read::issued;
use crate::control::pki::{Certified, Thumbprint, describe};
use crate::policy::Listing;

/// An authority of the draft.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct AuthorityShown {
    /// What people call it.
    pub(in crate::control) name: String,
    /// SHA-256 of its certificate.
    pub(in crate::control) thumbprint: String,
    /// It issues what is issued here.
    pub(in crate::control) issues: bool,
    /// Its private key is here: it can issue.
    pub(in crate::control) has_key: bool,
    /// Client certificates listed as authorized that it has issued: without it they are trusted no longer.
    pub(in crate::control) authorized_clients: usize,
    /// Client certificates that were issued here by it and are not listed; they would lose trust too.
    pub(in crate::control) unlisted_clients: usize,
    /// What its certificate says; `null`: it is not in the store, and the draft cannot be applied.
    pub(in crate::control) certificate: Option<CertificateShown>,
}

/// An authority to be made.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::control) struct AuthorityNew {
    /// Its Common Name, and what it is called here.
    pub(in crate::control) name: String,
    /// How long it lasts.
    #[serde(default = "authority_days")]
    #[schema(minimum = 1, maximum = 36500, default = authority_days)]
    pub(in crate::control) days: u32,
    #[serde(default)]
    pub(in crate::control) key_type: KeyKind,
    /// It issues from now on, in place of another. Without this it issues if no other one does.
    #[serde(default)]
    pub(in crate::control) issues: bool,
}

/// An authority that exists.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::control) struct AuthorityImport {
    /// Its certificate, with its key perhaps: PEM, DER or PKCS#12.
    pub(in crate::control) data: File,
    /// Its key, if it is not in the same file.
    #[serde(default)]
    pub(in crate::control) key: Option<File>,
    /// The password of the file, if it has one.
    #[serde(default)]
    pub(in crate::control) password: Option<Secret>,
    /// What it is called here; without this, its Common Name.
    #[serde(default)]
    pub(in crate::control) name: Option<String>,
    /// It issues from now on, in place of another. Without this it issues if no other one does and its key came too.
    #[serde(default)]
    pub(in crate::control) issues: bool,
}

/// An authority that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct AuthorityTaken {
    pub(in crate::control) authority: AuthorityShown,
    /// Certificates in the file that have nothing to do with it and were left out.
    pub(in crate::control) left_out: usize,
}

fn authority_days() -> u32 {
    AUTHORITY_DAYS
}

fn issuing(at_once: bool) -> Issuing {
    if at_once { Issuing::Yes } else { Issuing::IfNone }
}

/// The authorities of the draft.
pub(in crate::control) async fn list(desk: &Desk) -> Result<OfDraft<Vec<AuthorityShown>>, Problem> {
    certificate::look(desk, shown).await
}

/// Makes an authority.
pub(in crate::control) async fn create(
    desk: &Desk,
    asked: AuthorityNew,
    expected: Option<String>,
) -> Result<OfDraft<AuthorityShown>, Problem> {
    let make = move |registry: &mut Registry| {
        let AuthorityNew { name, days, key_type, issues } = asked;
        let request = AuthorityRequest { common_name: name, days, key_type: key_type.into() };
        Ok(registry.create_authority(&request, issuing(issues))?.thumbprint())
    };
    certificate::make(desk, expected, make, shown_one).await
}

/// Trusts an authority that exists; with its private key it can issue.
pub(in crate::control) async fn take(
    desk: &Desk,
    asked: AuthorityImport,
    expected: Option<String>,
) -> Result<OfDraft<AuthorityTaken>, Problem> {
    let take = move |registry: &mut Registry| {
        let imported = imported(&asked.data, asked.key.as_ref(), asked.password.as_ref())?;
        let left_out = imported.left_out;
        let name = asked.name.as_deref().filter(|name| !name.is_empty());
        let (taken, _) = registry.import_authority(imported, name, issuing(asked.issues))?;
        Ok((taken.thumbprint(), left_out))
    };
    certificate::change(desk, expected, take, |registry, (thumbprint, left_out)| {
        Ok(AuthorityTaken { authority: shown_one(registry, thumbprint)?, left_out })
    })
    .await
}

/// Lets an authority issue from now on, in place of another.
pub(in crate::control) async fn let_issue(
    desk: &Desk,
    which: String,
    expected: Option<String>,
) -> Result<OfDraft<AuthorityShown>, Problem> {
    let which = thumbprint(&which)?;
    let choose = move |registry: &mut Registry| {
        registry.let_issue(&registry.authority_of(&which)?)?;
        Ok(which)
    };
    certificate::change(desk, expected, choose, shown_one).await
}

/// Takes an authority out of the draft: once applied, what it issued is trusted no longer. Its certificate and key stay in
/// the data directory, as earlier generations may name them.
pub(in crate::control) async fn remove(
    desk: &Desk,
    which: String,
    expected: Option<String>,
) -> Result<OfDraft<()>, Problem> {
    let which = thumbprint(&which)?;
    let remove = move |registry: &mut Registry| {
        let authority = registry.authority_of(&which)?;
        registry.drop_authority(&authority);
        Ok(())
    };
    certificate::change(desk, expected, remove, |_, ()| Ok(())).await
}

/// An authority's certificate, never its key.
pub(in crate::control) async fn download(
    desk: &Desk,
    which: String,
    form: CertificateForm,
) -> Result<Download, Problem> {
    let which = thumbprint(&which)?;
    let found = certificate::look(desk, move |registry| {
        let authority = registry.authority_of(&which)?;
        let chain = registry.store().chain(&which)?;
        Ok(Download::of(&Certified { chain, key: None }, form, &authority.name))
    });
    Ok(found.await?.answer)
}

fn shown(registry: &Registry) -> Result<Vec<AuthorityShown>, Problem> {
    let counts = Counts::new(registry)?;
    registry.config().authorities.iter().map(|one| shown_of(registry, &counts, one)).collect()
}

fn shown_one(registry: &Registry, which: Thumbprint) -> Result<AuthorityShown, Problem> {
    shown_of(registry, &Counts::new(registry)?, &registry.authority_of(&which)?)
}

fn shown_of(registry: &Registry, counts: &Counts, one: &Authority) -> Result<AuthorityShown, Problem> {
    let chain = registry.store().chain(&one.thumbprint).ok();
    let said = chain.as_ref().map(|chain| describe(&chain[0])).transpose()?;
    let issued_of = |clients: &[Certified]| {
        let own = chain.iter().map(|chain| &chain[0]);
        own.map(|own| clients.iter().filter(|client| issued(own, client.certificate())).count()).sum()
    };
    Ok(AuthorityShown {
        name: one.name.clone(),
        thumbprint: one.thumbprint.to_string(),
        issues: one.issues,
        has_key: registry.store().has_key(&one.thumbprint),
        authorized_clients: issued_of(&counts.authorized),
        unlisted_clients: issued_of(&counts.unlisted),
        certificate: said.map(|said| CertificateShown::of(said, registry.now())),
    })
}

/// The clients' certificates that are here.
struct Counts {
    authorized: Vec<Certified>,
    unlisted: Vec<Certified>,
}

impl Counts {
    fn new(registry: &Registry) -> Result<Counts, Problem> {
        let listed = registry.config().client_certificates.iter();
        let authorized = listed
            .filter(|one| one.status == Listing::Authorized)
            // One that was listed by its thumbprint alone is not here, and nobody knows who issued it.
            .filter_map(|one| registry.store().chain(&one.thumbprint).ok())
            .map(|chain| Certified { chain, key: None })
            .collect();
        let unlisted = registry.unlisted()?.into_iter().map(|(_, certified)| certified).collect();
        Ok(Counts { authorized, unlisted })
    }
}
