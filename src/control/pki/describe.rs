//! What a certificate says, for lists, for people, and for what decides by it.

use std::net::IpAddr;

use rustls_pki_types::CertificateDer;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::oid_registry as oids;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{AttributeTypeAndValue, SubjectPublicKeyInfo, X509Name, X509Version};

use super::PkiError;
use crate::policy::certificates::{CommonName, Thumbprint};

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Whose it is, for people: `CN=device1,O=Example`. Special and control characters are escaped.
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

/// SHA-256 of a certificate.
#[must_use]
pub fn thumbprint(certificate: &[u8]) -> Thumbprint {
    Thumbprint(Sha256::digest(certificate).into())
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
    parse(certificate).map_or_else(|_| "nobody that can be read".into(), |parsed| name(parsed.subject()))
}

/// Says what a certificate says.
///
/// # Errors
/// It is none.
pub fn describe(certificate: &CertificateDer<'_>) -> Result<Description, PkiError> {
    let parsed = parse(certificate)?;
    let authority = parsed.basic_constraints().ok().flatten().is_some_and(|found| found.value.ca);
    Ok(Description {
        subject: name(parsed.subject()),
        issuer: name(parsed.issuer()),
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

/// A distinguished name as RFC 4514 escapes it, so that no value can pass for two; in the certificate's order.
#[must_use]
pub fn name(name: &X509Name<'_>) -> String {
    let parts = name.iter().map(|rdn| rdn.iter().map(attribute).collect::<Vec<_>>().join("+"));
    parts.collect::<Vec<_>>().join(",")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let kind = oid2abbrev(attribute.attr_type(), oid_registry());
    let kind = kind.map_or_else(|_| attribute.attr_type().to_id_string(), str::to_owned);
    match text(attribute) {
        Some(text) => format!("{kind}={}", escaped(&text)),
        None => format!("{kind}=#{}", hexadecimal(attribute.attr_value().data)),
    }
}

fn escaped(text: &str) -> String {
    let last = text.chars().count().saturating_sub(1);
    let mut out = String::with_capacity(text.len());
    for (place, found) in text.chars().enumerate() {
        match found {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' => out.extend(['\\', found]),
            '#' | ' ' if place == 0 => out.extend(['\\', found]),
            ' ' if place == last => out.push_str("\\ "),
            // What would move the cursor, or turn the line around.
            _ if found.is_control()
                || matches!(found, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                let mut bytes = [0; 4];
                let bytes = found.encode_utf8(&mut bytes).bytes();
                bytes.for_each(|byte| out.push_str(&format!("\\{byte:02X}")));
            }
            _ => out.push(found),
        }
    }
    out
}

/// A value as text, if its type is a text's and its bytes are well formed.
fn text(attribute: &AttributeTypeAndValue<'_>) -> Option<String> {
    use x509_parser::asn1_rs::{BmpString, Tag, UniversalString};
    let value = attribute.attr_value();
    match value.tag() {
        Tag::BmpString => BmpString::try_from(value.clone()).ok().map(|text| text.string()),
        Tag::UniversalString => UniversalString::try_from(value.clone()).ok().map(|text| text.string()),
        _ => attribute.as_str().ok().map(str::to_owned),
    }
}

/// The Common Name of a subject: the client name.
#[must_use]
pub fn common_name(subject: &X509Name<'_>) -> CommonName {
    let mut found = subject.iter_common_name();
    match (found.next(), found.next()) {
        (None, _) => CommonName::None,
        (Some(_), Some(_)) => CommonName::Several,
        (Some(one), None) => match text(one).filter(|text| !text.is_empty() && !text.contains('\0')) {
            Some(text) => CommonName::One(text.into()),
            None => CommonName::None,
        },
    }
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
        GeneralName::DirectoryName(found) => format!("name:{}", name(found)),
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
