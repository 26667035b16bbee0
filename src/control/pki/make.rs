//! New certificates: authorities, clients, the broker. Each is verified as its peers will verify it before it is handed
//! out.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SerialNumber,
};
use rustls_pki_types::{CertificateDer, ServerName};
use time::OffsetDateTime;

use super::issuer::making;
use super::keys::{self, KeyType};
use super::verify::{self, Use};
use super::{Certified, Issuer, PkiError, SanName, describe, names};

/// Seconds of a day.
const DAY: i64 = 86_400;
/// Clocks differ: a certificate is valid from an hour before it was made.
pub const BACKDATED_SECS: i64 = 3_600;
/// Days that an authority lasts unless one says otherwise.
pub const AUTHORITY_DAYS: u32 = 3_653;
/// Days that a client's certificate lasts unless one says otherwise.
pub const CLIENT_DAYS: u32 = 365;
/// Days that the broker's certificate lasts unless one says otherwise.
pub const BROKER_DAYS: u32 = 365;
/// The most that others accept of a server's certificate, in days.
pub const BROKER_MOST_DAYS: u32 = 398;
/// The most for all others, in days.
pub const MOST_DAYS: u32 = 36_500;

/// What an authority is to be.
#[derive(Clone, Debug)]
pub struct AuthorityRequest {
    /// Its Common Name.
    pub common_name: String,
    /// How long it lasts, from [`BACKDATED_SECS`] ago.
    pub days: u32,
    /// Its key.
    pub key_type: KeyType,
}

/// What a client's certificate is to be.
#[derive(Clone, Debug)]
pub struct ClientRequest {
    /// Its Common Name: the client name of the topic rules.
    pub common_name: String,
    /// Its other names.
    pub names: Vec<SanName>,
    /// How long it lasts, from [`BACKDATED_SECS`] ago; never longer than its authority.
    pub days: u32,
    /// Its key.
    pub key_type: KeyType,
}

/// What the broker's certificate is to be.
#[derive(Clone, Debug)]
pub struct BrokerRequest {
    /// The names that clients know it by; at least one. The first is its Common Name too, if it fits there.
    pub names: Vec<SanName>,
    /// How long it lasts, from [`BACKDATED_SECS`] ago; never longer than its authority.
    pub days: u32,
    /// Its key.
    pub key_type: KeyType,
}

/// Whom a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// A client, that shows it to the broker.
    Client,
    /// A server, that shows it to clients.
    Server,
}

/// Makes an authority, at a time in seconds since 1970.
///
/// # Errors
/// The name or the days cannot be.
pub fn authority(request: &AuthorityRequest, now: i64) -> Result<Certified, PkiError> {
    names::common_name(&request.common_name)?;
    let key = keys::generate(request.key_type)?;
    let mut params = begin(&request.common_name, lifetime(request.days, MOST_DAYS, now, None)?)?;
    // It issues what peers show, and no other authorities.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let made = params.self_signed(&key).map_err(making)?;
    Ok(Certified { chain: vec![made.into()], key: Some(keys::of_pair(&key)) })
}

/// Makes a client's certificate and key, at a time in seconds since 1970. The chain leads up to the authority.
///
/// # Errors
/// The names or the days cannot be, or what the authority issues would not be accepted.
pub fn client(issuer: &Issuer, request: &ClientRequest, now: i64) -> Result<Certified, PkiError> {
    let key = keys::generate(request.key_type)?;
    let leaf = Leaf {
        profile: Profile::Client,
        common_name: &request.common_name,
        names: &request.names,
        days: request.days,
    };
    let certificate = leaf.issue(issuer, &key, now)?;
    Ok(with_chain(certificate, issuer, Some(&key)))
}

/// Makes the broker's certificate, issued by an authority or by itself, at a time in seconds since 1970. The chain holds
/// what clients may lack: the authorities between it and the last one.
///
/// # Errors
/// The names or the days cannot be, or what was made would not be accepted.
pub fn broker(issuer: Option<&Issuer>, request: &BrokerRequest, now: i64) -> Result<Certified, PkiError> {
    let key = keys::generate(request.key_type)?;
    let host = |name: &SanName| match name {
        SanName::Dns(text) => text.clone(),
        other => other.to_string().split_once(':').map_or_else(String::new, |(_, text)| text.to_owned()),
    };
    let common_name = request.names.iter().map(host).find(|name| names::common_name(name).is_ok());
    let leaf = Leaf {
        profile: Profile::Server,
        common_name: common_name.as_deref().unwrap_or("tidemq"),
        names: &request.names,
        days: request.days,
    };
    let Some(issuer) = issuer else {
        let certificate: CertificateDer<'static> =
            leaf.params(&key, now, None)?.self_signed(&key).map_err(making)?.into();
        leaf.verify(&certificate, &certificate, now)?;
        return Ok(Certified { chain: vec![certificate], key: Some(keys::of_pair(&key)) });
    };
    let certificate = leaf.issue(issuer, &key, now)?;
    let mut certified = with_chain(certificate, issuer, Some(&key));
    // Clients have the last authority already, or do not trust it.
    certified.chain.retain(|one| {
        describe::parse(one).is_ok_and(|parsed| parsed.subject().as_raw() != parsed.issuer().as_raw())
    });
    Ok(certified)
}

/// What stands between a certificate and its last authority, behind it.
pub(super) fn with_chain(
    certificate: CertificateDer<'static>,
    issuer: &Issuer,
    key: Option<&KeyPair>,
) -> Certified {
    let chain = std::iter::once(certificate).chain(issuer.chain().iter().cloned()).collect();
    Certified { chain, key: key.map(keys::of_pair) }
}

/// A certificate that issues nothing.
pub(super) struct Leaf<'a> {
    pub(super) profile: Profile,
    pub(super) common_name: &'a str,
    pub(super) names: &'a [SanName],
    pub(super) days: u32,
}

impl Leaf<'_> {
    /// Issues it for a public key, and verifies it.
    pub(super) fn issue(
        &self,
        issuer: &Issuer,
        public: &impl rcgen::PublicKeyData,
        now: i64,
    ) -> Result<CertificateDer<'static>, PkiError> {
        let params = self.params(public, now, Some(issuer.description().not_after))?;
        let certificate = issuer.issue(&params, public)?;
        self.verify(&issuer.chain()[0], &certificate, now)?;
        Ok(certificate)
    }

    fn params(
        &self,
        public: &impl rcgen::PublicKeyData,
        now: i64,
        end: Option<i64>,
    ) -> Result<CertificateParams, PkiError> {
        names::common_name(self.common_name)?;
        let (most, usage) = match self.profile {
            Profile::Client => (MOST_DAYS, ExtendedKeyUsagePurpose::ClientAuth),
            Profile::Server => (BROKER_MOST_DAYS, ExtendedKeyUsagePurpose::ServerAuth),
        };
        if self.names.len() > names::NAMES {
            return Err(PkiError::BadName {
                name: self.common_name.to_owned(),
                why: "it has more than 200 other names",
            });
        }
        if self.profile == Profile::Server && self.server_name().is_none() {
            return Err(PkiError::BadName {
                name: self.common_name.to_owned(),
                why: "a server needs a host's name or an address that clients know it by",
            });
        }
        let mut params = begin(self.common_name, lifetime(self.days, most, now, end)?)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.subject_alt_names = self.names.iter().map(SanName::to_rcgen).collect::<Result<_, _>>()?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // Old stacks of TLS 1.2 look for it.
        if self.profile == Profile::Server && public.algorithm() == &rcgen::PKCS_RSA_SHA256 {
            params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        }
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        Ok(params)
    }

    fn server_name(&self) -> Option<ServerName<'static>> {
        self.names.iter().find_map(SanName::server_name)
    }

    fn verify(
        &self,
        authority: &CertificateDer<'_>,
        certificate: &CertificateDer<'_>,
        now: i64,
    ) -> Result<(), PkiError> {
        match (self.profile, self.server_name()) {
            (Profile::Server, Some(name)) => {
                verify::against(authority, certificate, &Use::Server(&name), now)
            }
            _ => verify::against(authority, certificate, &Use::Client, now),
        }
    }
}

/// From when to when, in seconds since 1970.
fn lifetime(days: u32, most: u32, now: i64, end: Option<i64>) -> Result<(i64, i64), PkiError> {
    if !(1..=most).contains(&days) {
        return Err(PkiError::BadDays { days, most });
    }
    let from = now - BACKDATED_SECS;
    let until = from + i64::from(days) * DAY;
    Ok((from, end.map_or(until, |end| until.min(end))))
}

fn begin(common_name: &str, (from, until): (i64, i64)) -> Result<CertificateParams, PkiError> {
    let moment = |secs| OffsetDateTime::from_unix_timestamp(secs).map_err(making);
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    (params.not_before, params.not_after) = (moment(from)?, moment(until)?);
    params.serial_number = Some(serial()?);
    Ok(params)
}

/// 20 random bytes, positive, and never shorter than 20.
fn serial() -> Result<SerialNumber, PkiError> {
    let mut bytes = [0; 20];
    getrandom::fill(&mut bytes).map_err(making)?;
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}
