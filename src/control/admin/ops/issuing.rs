//! Certificates made for clients: with a key, or for a client that keeps its own. A key that is made here leaves in the
//! answer and is kept nowhere.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::desk::Desk;
use super::super::problem::Problem;
use super::certificate::{self, CertificateShown, KeyKind, file_name, san_names, thumbprint};
use super::editing::OfDraft;
use super::secret::{File, Secret};
use crate::control::certificates::{Bundle, Registry};
use crate::control::pki::export::Protection;
use crate::control::pki::make::{CLIENT_DAYS, ClientRequest, Profile};
use crate::control::pki::request::SigningRequest;
use crate::control::pki::{Certified, Issuer, SanName, describe};
use crate::policy::Listing;

/// In which form key, certificate and chain are handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::control) enum BundleForm {
    /// PEM, without a password.
    #[default]
    Pem,
    /// PKCS#12 under a password.
    Pkcs12,
}

/// A client certificate to be issued, with a key.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::control) struct ClientIssue {
    /// Its Common Name: the client name of the topic rules.
    pub(in crate::control) name: String,
    /// Its other names: `DNS:NAME`, `IP:ADDRESS`, `email:ADDRESS`, `URI:URI`.
    #[serde(default)]
    pub(in crate::control) sans: Vec<String>,
    /// How long it lasts; never longer than its authority.
    #[serde(default = "client_days")]
    #[schema(minimum = 1, maximum = 36500, default = client_days)]
    pub(in crate::control) days: u32,
    #[serde(default)]
    pub(in crate::control) key_type: KeyKind,
    #[serde(default)]
    pub(in crate::control) form: BundleForm,
    /// The password of the PKCS#12 file.
    #[serde(default)]
    pub(in crate::control) password: Option<Secret>,
    /// Protect the PKCS#12 file as old systems can read it: Windows before 10, macOS before 15.
    #[serde(default)]
    pub(in crate::control) old_encryption: bool,
    /// Thumbprint of the authority that issues it; without this, the one that the configuration says.
    #[serde(default)]
    pub(in crate::control) authority: Option<String>,
    /// List it as authorized.
    #[serde(default)]
    pub(in crate::control) authorize: bool,
}

/// Whom a signed certificate is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::control) enum SignedFor {
    /// A client of the broker.
    #[default]
    Client,
    /// Another service, that shows it to its clients.
    Server,
}

/// The request of somebody who keeps the key.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::control) struct ClientSign {
    /// The signing request: PEM or DER.
    pub(in crate::control) request: File,
    /// How long the certificate lasts; never longer than its authority.
    #[serde(default = "client_days")]
    #[schema(minimum = 1, maximum = 36500, default = client_days)]
    pub(in crate::control) days: u32,
    #[serde(default)]
    pub(in crate::control) profile: SignedFor,
    /// Thumbprint of the authority that signs it; without this, the one that the configuration says.
    #[serde(default)]
    pub(in crate::control) authority: Option<String>,
    /// List it as authorized; for clients only.
    #[serde(default)]
    pub(in crate::control) authorize: bool,
}

/// What was issued.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct ClientIssued {
    pub(in crate::control) certificate: CertificateShown,
    /// What the list calls it; `null`: it is not listed.
    pub(in crate::control) listed_as: Option<String>,
    /// A name for the file: letters, digits, `-`, `.` and `_` only.
    pub(in crate::control) file_name: String,
    /// `application/x-pem-file` or `application/x-pkcs12`
    pub(in crate::control) content_type: String,
    /// The file, as base64: certificate and chain; with the private key, if one was made. It is given this once.
    #[schema(content_encoding = "base64")]
    pub(in crate::control) data: String,
}

fn client_days() -> u32 {
    CLIENT_DAYS
}

/// Issues a certificate to a client, with a key.
pub(in crate::control) async fn issue(
    desk: &Desk,
    asked: ClientIssue,
    expected: Option<String>,
) -> Result<OfDraft<ClientIssued>, Problem> {
    let names = san_names(&asked.sans)?;
    let issue = move |registry: &mut Registry| issued(registry, &asked, names);
    certificate::make(desk, expected, issue, |_, issued| Ok(issued)).await
}

fn issued(
    registry: &mut Registry,
    asked: &ClientIssue,
    names: Vec<SanName>,
) -> Result<ClientIssued, Problem> {
    let issuer = issuer(registry, asked.authority.as_deref())?;
    let request = ClientRequest {
        common_name: asked.name.clone(),
        names,
        days: asked.days,
        key_type: asked.key_type.into(),
    };
    let protection = if asked.old_encryption { Protection::Old } else { Protection::Modern };
    let (bundle, ending, content_type) = match (asked.form, &asked.password) {
        (BundleForm::Pem, None) => (Bundle::Pem, "pem", "application/x-pem-file"),
        (BundleForm::Pkcs12, Some(password)) => {
            (Bundle::Pkcs12(password.text(), protection), "p12", "application/x-pkcs12")
        }
        (BundleForm::Pkcs12, None) => {
            return Err(Problem::not_taken("password-wanted", "a PKCS#12 file needs a password")
                .remedy("give one, or ask for PEM"));
        }
        (BundleForm::Pem, Some(_)) => {
            return Err(Problem::not_taken("no-password", "PEM is written without a password")
                .remedy("leave the password out, or ask for PKCS#12"));
        }
    };
    let (made, bytes) = registry.issue_as(&issuer, &request, bundle)?;
    let listed_as = if asked.authorize { Some(authorized(registry, &made)?) } else { None };
    Ok(ClientIssued {
        certificate: CertificateShown::of(describe(made.certificate())?, registry.now()),
        listed_as,
        file_name: file_name(&asked.name, ending),
        content_type: content_type.to_owned(),
        data: STANDARD.encode(&*bytes),
    })
}

/// Signs the request of somebody who keeps the key.
pub(in crate::control) async fn sign(
    desk: &Desk,
    asked: ClientSign,
    expected: Option<String>,
) -> Result<OfDraft<ClientIssued>, Problem> {
    if asked.authorize && asked.profile == SignedFor::Server {
        let detail = "a server's certificate cannot be listed as a client's";
        return Err(Problem::not_taken("not-a-client", detail).remedy("leave out `authorize`"));
    }
    let sign = move |registry: &mut Registry| {
        let issuer = issuer(registry, asked.authority.as_deref())?;
        let request = SigningRequest::read(&asked.request.bytes("request")?)?;
        let profile = match asked.profile {
            SignedFor::Client => Profile::Client,
            SignedFor::Server => Profile::Server,
        };
        let (made, text) = registry.sign_as(&issuer, &request, profile, asked.days)?;
        let listed_as = if asked.authorize { Some(authorized(registry, &made)?) } else { None };
        Ok(ClientIssued {
            certificate: CertificateShown::of(describe(made.certificate())?, registry.now()),
            listed_as,
            file_name: file_name(&request.common_name, "pem"),
            content_type: "application/x-pem-file".to_owned(),
            data: STANDARD.encode(text),
        })
    };
    certificate::change(desk, expected, sign, |_, signed| Ok(signed)).await
}

fn issuer(registry: &Registry, which: Option<&str>) -> Result<Issuer, Problem> {
    match which.filter(|which| !which.is_empty()) {
        Some(which) => Ok(registry.as_issuer(&registry.authority_of(&thumbprint(which)?)?)?),
        None => Ok(registry.chosen_issuer()?),
    }
}

fn authorized(registry: &mut Registry, made: &Certified) -> Result<String, Problem> {
    let certified = Certified { chain: made.chain.clone(), key: None };
    Ok(registry.list_client(None, certified, Listing::Authorized)?.name)
}
