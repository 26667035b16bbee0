//! What a certificate says, for lists, for people, and for what decides by it.

use std::net::IpAddr;

use rustls_pki_types::CertificateDer;
use sha1::Sha1;
use sha2::Digest;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry as oids;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Version};

use super::PkiError;
pub use crate::net::tls::presented::thumbprint;
pub(super) use crate::net::tls::presented::{common_name, subject_text};
use crate::policy::certificates::{CommonName, Thumbprint};

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Whose it is, for people: `CN=device1,O=Example`.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// The Common Name of its subject: the client name.
    pub common_name: CommonName,
    /// Its alternative names: `DNS:broker.example`, `IP:::1`.
    pub alternative_names: Vec<String>,
    /// From when it is valid, in seconds since 1970.
    pub not_before: i64,
    /// Until when it is valid, in seconds since 1970.
    pub not_after: i64,
    /// The serial number as hexadecimal digits.
    pub serial: String,
    /// Type and size of its key: `ECDSA P-256`, `RSA 2048`.
    pub key: String,
    /// Whether it is an authority's.
    pub is_authority: bool,
    /// What its key may be used for, in the standard's words; empty if it does not say.
    pub usages: Vec<&'static str>,
    /// X.509 version: 3, or 1 for ancient ones.
    pub version: u32,
    /// Whether it was issued by its own subject.
    pub self_issued: bool,
    /// SHA-1 of the whole certificate, as hexadecimal digits.
    pub sha1: String,
    /// SHA-256 of the whole certificate.
    pub sha256: Thumbprint,
}

/// Reads a whole certificate and nothing behind it.
pub(super) fn parse(certificate: &[u8]) -> Result<X509Certificate<'_>, PkiError> {
    match X509Certificate::from_der(certificate) {
        Ok(([], parsed)) => Ok(parsed),
        _ => Err(PkiError::Broken("the certificate".into())),
    }
}

/// Whose a certificate is, for a message.
pub(super) fn subject(certificate: &[u8]) -> String {
    parse(certificate)
        .map_or_else(|_| "nobody that can be read".into(), |parsed| subject_text(parsed.subject()))
}

/// Says what a certificate says.
///
/// # Errors
/// It is none.
pub fn describe(certificate: &CertificateDer<'_>) -> Result<Description, PkiError> {
    let parsed = parse(certificate)?;
    let authority = parsed.basic_constraints().ok().flatten().is_some_and(|found| found.value.ca);
    Ok(Description {
        subject: subject_text(parsed.subject()),
        issuer: subject_text(parsed.issuer()),
        common_name: common_name(parsed.subject()),
        alternative_names: alternative_names(&parsed),
        not_before: parsed.validity().not_before.timestamp(),
        not_after: parsed.validity().not_after.timestamp(),
        serial: hexadecimal(parsed.raw_serial()),
        key: key(parsed.public_key()),
        is_authority: authority,
        usages: usages(&parsed),
        version: if parsed.version() == X509Version::V3 { 3 } else { parsed.version().0 + 1 },
        self_issued: parsed.subject().as_raw() == parsed.issuer().as_raw(),
        sha1: hexadecimal(&Sha1::digest(certificate)),
        sha256: thumbprint(certificate),
    })
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A moment as people write it: `2026-11-22 21:17:55 UTC`.
#[must_use]
pub fn moment(unix_secs: i64) -> String {
    let format = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    let moment = time::OffsetDateTime::from_unix_timestamp(unix_secs).ok();
    moment.and_then(|moment| moment.format(format).ok()).unwrap_or_else(|| format!("second {unix_secs}"))
}

fn alternative_names(parsed: &X509Certificate<'_>) -> Vec<String> {
    let found = parsed.subject_alternative_name().ok().flatten();
    found.map_or_else(Vec::new, |names| names.value.general_names.iter().map(general_name).collect())
}

pub(super) fn general_name(found: &GeneralName<'_>) -> String {
    match found {
        GeneralName::DNSName(text) => format!("DNS:{}", text.escape_debug()),
        GeneralName::RFC822Name(text) => format!("email:{}", text.escape_debug()),
        GeneralName::URI(text) => format!("URI:{}", text.escape_debug()),
        GeneralName::IPAddress(bytes) => match address(bytes) {
            Some(address) => format!("IP:{address}"),
            None => format!("IP:#{}", hexadecimal(bytes)),
        },
        GeneralName::DirectoryName(found) => format!("name:{}", subject_text(found)),
        other => other.to_string().escape_debug().to_string(),
    }
}

pub(super) fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    four.or_else(|| <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from))
}

/// Type and size of a public key.
pub(super) fn key(public: &SubjectPublicKeyInfo<'_>) -> String {
    let curve = || public.algorithm.parameters.as_ref().and_then(|found| found.as_oid().ok());
    match public.parsed() {
        Ok(PublicKey::RSA(key)) => format!("RSA {}", key.key_size()),
        Ok(PublicKey::EC(point)) => match curve() {
            Some(curve) if curve == oids::OID_EC_P256 => "ECDSA P-256".into(),
            Some(curve) if curve == oids::OID_NIST_EC_P384 => "ECDSA P-384".into(),
            Some(curve) if curve == oids::OID_NIST_EC_P521 => "ECDSA P-521".into(),
            _ => format!("ECDSA of {} bits", point.key_size()),
        },
        _ if public.algorithm.algorithm == oids::OID_SIG_ED25519 => "Ed25519".into(),
        _ => public.algorithm.algorithm.to_id_string(),
    }
}

fn usages(parsed: &X509Certificate<'_>) -> Vec<&'static str> {
    let mut usages = Vec::new();
    for extension in parsed.extensions() {
        let said: &[(bool, &str)] = match extension.parsed_extension() {
            ParsedExtension::KeyUsage(key) => &[
                (key.digital_signature(), "digitalSignature"),
                (key.non_repudiation(), "contentCommitment"),
                (key.key_encipherment(), "keyEncipherment"),
                (key.data_encipherment(), "dataEncipherment"),
                (key.key_agreement(), "keyAgreement"),
                (key.key_cert_sign(), "keyCertSign"),
                (key.crl_sign(), "cRLSign"),
            ],
            ParsedExtension::ExtendedKeyUsage(extended) => &[
                (extended.any, "anyExtendedKeyUsage"),
                (extended.server_auth, "serverAuth"),
                (extended.client_auth, "clientAuth"),
                (extended.code_signing, "codeSigning"),
                (extended.email_protection, "emailProtection"),
            ],
            _ => continue,
        };
        usages.extend(said.iter().filter(|(is, _)| *is).map(|(_, word)| *word));
    }
    usages
}
