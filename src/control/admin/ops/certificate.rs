//! What authorities, the broker's certificate and clients' certificates have in common: what one says, how a file with one
//! comes and goes, and how something about them is done to store and draft at once. Nothing here ever shows a key.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::desk::Desk;
use super::super::problem::Problem;
use super::draft::hash;
use super::editing::{OfDraft, expect};
use super::named::when;
use super::secret::{File, Secret};
use crate::control::certificates::{Form, Registry};
use crate::control::commands::Paths;
use crate::control::pki::{Certified, Description, Imported, KeyType, SanName, Thumbprint, import, read};
use crate::policy::certificates::CommonName;

/// A certificate that ends within so many seconds is marked.
const SOON_SECS: i64 = 30 * 86_400;

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct CertificateShown {
    /// SHA-256 of the whole certificate.
    pub(in crate::control) thumbprint: String,
    /// SHA-1 of it, for comparing with what older tools show.
    pub(in crate::control) sha1: String,
    /// Whose it is: `CN=device1,O=Example`.
    pub(in crate::control) subject: String,
    /// Who issued it.
    pub(in crate::control) issuer: String,
    /// The Common Name of its subject: the client name of the topic rules. `null`: it has not one.
    pub(in crate::control) common_name: Option<String>,
    /// `DNS:broker.example`, `IP:::1`
    pub(in crate::control) alternative_names: Vec<String>,
    /// The serial number as hexadecimal digits.
    pub(in crate::control) serial: String,
    /// Type and size of its key: `ECDSA P-256`.
    pub(in crate::control) key: String,
    /// What its key may be used for, in the standard's words; empty if it does not say.
    pub(in crate::control) usages: Vec<String>,
    /// X.509 version.
    pub(in crate::control) version: u32,
    /// It is an authority's.
    pub(in crate::control) is_authority: bool,
    /// It was issued by its own subject.
    pub(in crate::control) self_issued: bool,
    /// From when it is valid, as RFC 3339 writes it.
    pub(in crate::control) not_before: String,
    /// The same in seconds since 1970.
    pub(in crate::control) not_before_unix_secs: i64,
    /// Until when it is valid, as RFC 3339 writes it.
    pub(in crate::control) not_after: String,
    /// The same in seconds since 1970.
    pub(in crate::control) not_after_unix_secs: i64,
    /// Its time is over.
    pub(in crate::control) expired: bool,
    /// It is valid and ends within 30 days.
    pub(in crate::control) expires_soon: bool,
    /// Its time has not come.
    pub(in crate::control) not_yet_valid: bool,
}

/// A kind of key that is made here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(in crate::control) enum KeyKind {
    #[default]
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
    #[serde(rename = "ecdsa-p384")]
    EcdsaP384,
    #[serde(rename = "ed25519")]
    Ed25519,
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    #[serde(rename = "rsa-4096")]
    Rsa4096,
}

/// In which form a certificate is taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::control) enum CertificateForm {
    /// PEM.
    #[default]
    Pem,
    /// PEM, with what leads to its authority.
    PemChain,
    /// DER.
    Der,
}

/// In which form.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::control) struct FormAsked {
    /// `pem`, `pem-chain` (with what leads to its authority) or `der`.
    pub(in crate::control) form: CertificateForm,
}

/// A file to be taken away.
#[derive(Clone, Debug)]
pub(in crate::control) struct Download {
    /// A name for it: letters, digits, `-`, `.` and `_` only.
    pub(in crate::control) file_name: String,
    pub(in crate::control) content_type: &'static str,
    pub(in crate::control) bytes: Vec<u8>,
}

impl From<KeyKind> for KeyType {
    fn from(kind: KeyKind) -> KeyType {
        match kind {
            KeyKind::EcdsaP256 => KeyType::EcdsaP256,
            KeyKind::EcdsaP384 => KeyType::EcdsaP384,
            KeyKind::Ed25519 => KeyType::Ed25519,
            KeyKind::Rsa2048 => KeyType::Rsa2048,
            KeyKind::Rsa3072 => KeyType::Rsa3072,
            KeyKind::Rsa4096 => KeyType::Rsa4096,
        }
    }
}

impl CertificateShown {
    /// What a description says, at a time in seconds since 1970.
    pub(super) fn of(said: Description, now: i64) -> CertificateShown {
        let moment = |secs: i64| when(u64::try_from(secs).unwrap_or(0));
        let (expired, not_yet_valid) = (now > said.not_after, now < said.not_before);
        let common_name = match said.common_name {
            CommonName::One(name) => Some(name.into_string()),
            CommonName::None | CommonName::Several => None,
        };
        CertificateShown {
            thumbprint: said.sha256.to_string(),
            sha1: said.sha1,
            subject: said.subject,
            issuer: said.issuer,
            common_name,
            alternative_names: said.alternative_names,
            serial: said.serial,
            key: said.key,
            usages: said.usages.into_iter().map(str::to_owned).collect(),
            version: said.version,
            is_authority: said.is_authority,
            self_issued: said.self_issued,
            not_before: moment(said.not_before),
            not_before_unix_secs: said.not_before,
            not_after: moment(said.not_after),
            not_after_unix_secs: said.not_after,
            expired,
            expires_soon: !expired && !not_yet_valid && said.not_after - now < SOON_SECS,
            not_yet_valid,
        }
    }
}

impl Download {
    /// A certificate, never with its key. `name`: what people call it.
    pub(super) fn of(certified: &Certified, form: CertificateForm, name: &str) -> Download {
        let (form, ending, content_type) = match form {
            CertificateForm::Pem => (Form::Pem, "pem", "application/x-pem-file"),
            CertificateForm::PemChain => (Form::PemChain, "pem", "application/x-pem-file"),
            CertificateForm::Der => (Form::Der, "cer", "application/pkix-cert"),
        };
        Download { file_name: file_name(name, ending), content_type, bytes: form.of(certified) }
    }
}

/// A name that any system takes, from one that somebody outside may have chosen.
pub(super) fn file_name(name: &str, ending: &str) -> String {
    const CHARACTERS: usize = 64;
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' };
    let name: String = name.chars().take(CHARACTERS).map(plain).collect();
    let name = if name.chars().any(|c| c.is_ascii_alphanumeric()) { name } else { "certificate".into() };
    format!("{name}.{ending}")
}

/// Reads a file that a request has brought, or two.
pub(super) fn imported(
    data: &File,
    key: Option<&File>,
    password: Option<&Secret>,
) -> Result<Imported, Problem> {
    let bytes = data.bytes("data")?;
    let key = key.map(|key| key.bytes("key")).transpose()?;
    let password = password.map(Secret::text).filter(|password| !password.is_empty());
    Ok(match key {
        Some(key) => read::import_pair(&bytes, &key, password)?,
        None => import(&bytes, password)?,
    })
}

/// Names that a certificate is to bear.
pub(super) fn san_names(names: &[String]) -> Result<Vec<SanName>, Problem> {
    Ok(names.iter().map(|name| name.parse()).collect::<Result<_, _>>()?)
}

/// A thumbprint in a path. What is none cannot be there.
pub(super) fn thumbprint(text: &str) -> Result<Thumbprint, Problem> {
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(80).collect();
        Problem::not_found(format!("`{}` is no thumbprint", shown.escape_debug()))
            .remedy("give the certificate's SHA-256 thumbprint: 64 hexadecimal digits")
    })
}

/// Looks at store and draft.
pub(super) async fn look<T: Send + 'static>(
    desk: &Desk,
    look: impl FnOnce(&Registry) -> Result<T, Problem> + Send + 'static,
) -> Result<OfDraft<T>, Problem> {
    let paths = desk.paths();
    desk.aside(move || {
        let registry = Registry::open(&paths)?;
        Ok(OfDraft { answer: look(&registry)?, hash: Some(hash(registry.text())) })
    })
    .await?
}

/// Changes store and draft, all of it or nothing. `show` says what is there then.
pub(super) async fn change<K: Send + 'static, T: Send + 'static>(
    desk: &Desk,
    expected: Option<String>,
    change: impl FnOnce(&mut Registry) -> Result<K, Problem> + Send + 'static,
    show: impl FnOnce(&Registry, K) -> Result<T, Problem> + Send + 'static,
) -> Result<OfDraft<T>, Problem> {
    let paths = desk.paths();
    desk.aside(move || changed(&paths, expected.as_deref(), change, show)).await?
}

/// The same, where a key is made: one after the other, and nobody who revokes something waits for it.
pub(super) async fn make<K: Send + 'static, T: Send + 'static>(
    desk: &Desk,
    expected: Option<String>,
    make: impl FnOnce(&mut Registry) -> Result<K, Problem> + Send + 'static,
    show: impl FnOnce(&Registry, K) -> Result<T, Problem> + Send + 'static,
) -> Result<OfDraft<T>, Problem> {
    let paths = desk.paths();
    desk.in_turn(move || changed(&paths, expected.as_deref(), make, show)).await?
}

fn changed<K, T>(
    paths: &Paths,
    expected: Option<&str>,
    change: impl FnOnce(&mut Registry) -> Result<K, Problem>,
    show: impl FnOnce(&Registry, K) -> Result<T, Problem>,
) -> Result<OfDraft<T>, Problem> {
    let mut registry = Registry::open(paths)?;
    // Asked again under the lock; here it saves a key that would be made for nothing.
    expect(registry.text(), expected)?;
    let changed = change(&mut registry)?;
    registry.commit_if(|text| expect(text, expected))?;
    let answer = show(&registry, changed)?;
    Ok(OfDraft { answer, hash: Some(hash(registry.text())) })
}
