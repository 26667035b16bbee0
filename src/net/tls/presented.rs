//! Reads what a peer presented: thumbprint, subject and Common Name. Never fails: what cannot be read has no name.
//!
//! It does not judge; nothing here says that a certificate is sound.

use std::fmt::Write;

use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::asn1_rs::{Any, Tag};
use x509_parser::oid_registry::{OID_X509_COMMON_NAME, OidRegistry};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use crate::policy::certificates::{CommonName, Presented, Thumbprint};

/// Longest subject text, in characters. It is for people; the name that rules judge by is kept whole.
const SUBJECT_CHARS: usize = 256;

/// Reads a chain, the peer's own certificate first. It is not empty; the certificate of an empty one would be no bytes.
///
/// The Common Name is exact, however long, or [`CommonName::None`]. The subject is capped, at 256 characters.
pub fn read(chain: &[CertificateDer<'_>]) -> Presented {
    let own: &[u8] = chain.first().map_or(&[], AsRef::as_ref);
    let (subject, common_name) = match X509Certificate::from_der(own) {
        Ok((_, certificate)) => {
            let name = certificate.subject();
            (subject_text(name).into(), common_name(name))
        }
        Err(_) => (Box::default(), CommonName::None),
    };
    Presented {
        thumbprint: thumbprint(own),
        subject,
        common_name,
        chain: chain.iter().map(|der| Box::from(der.as_ref())).collect(),
    }
}

/// SHA-256 of a certificate as DER.
pub fn thumbprint(der: &[u8]) -> Thumbprint {
    Thumbprint(Sha256::digest(der).into())
}

/// The Common Name of a subject. All of them count, also those that cannot be read and those that share a relative name.
pub fn common_name(name: &X509Name<'_>) -> CommonName {
    let mut values = name.iter_common_name();
    let Some(first) = values.next() else { return CommonName::None };
    if values.next().is_some() {
        return CommonName::Several;
    }
    match text(first.attr_value()) {
        Some(name) if !name.is_empty() && !name.contains('\0') => CommonName::One(name.into()),
        _ => CommonName::None,
    }
}

/// The text of a string type, where there is no doubt what it says.
///
/// T.61 has shift sequences and is used for Latin-1 as well: only its ASCII is beyond doubt. Types that are ASCII by
/// definition are not held to their narrower alphabets, because issuers are not.
fn text(value: &Any<'_>) -> Option<String> {
    let bytes = value.data;
    let ascii = || bytes.is_ascii().then(|| bytes.iter().copied().map(char::from).collect());
    match value.tag() {
        Tag::Utf8String => String::from_utf8(bytes.to_vec()).ok(),
        Tag::PrintableString | Tag::Ia5String | Tag::NumericString | Tag::VisibleString | Tag::T61String => {
            ascii()
        }
        Tag::BmpString => {
            let (units, rest) = bytes.as_chunks();
            let units: Vec<u16> = units.iter().copied().map(u16::from_be_bytes).collect();
            String::from_utf16(&units).ok().filter(|_| rest.is_empty())
        }
        Tag::UniversalString => {
            let (points, rest) = bytes.as_chunks();
            let points = points.iter().copied().map(u32::from_be_bytes).map(char::from_u32);
            points.collect::<Option<String>>().filter(|_| rest.is_empty())
        }
        _ => None,
    }
}

/// A name for people, capped at 256 characters, as RFC 4514 writes it: the last relative name first, special characters
/// escaped.
pub fn subject_text(name: &X509Name<'_>) -> String {
    let types = OidRegistry::default().with_x509().with_pkcs1();
    let relative: Vec<_> = name.iter_rdn().collect();
    let mut out = String::new();
    for (number, attributes) in relative.into_iter().rev().enumerate() {
        for (place, attribute) in attributes.iter().enumerate() {
            match (number, place) {
                (0, 0) => {}
                (_, 0) => out.push(','),
                _ => out.push('+'),
            }
            write_attribute(&mut out, attribute, &types);
        }
    }
    match out.char_indices().nth(SUBJECT_CHARS) {
        Some((end, _)) => {
            out.truncate(end);
            out.push('…');
            out
        }
        None => out,
    }
}

fn write_attribute(out: &mut String, attribute: &AttributeTypeAndValue<'_>, types: &OidRegistry<'_>) {
    let oid = attribute.attr_type();
    let short = if *oid == OID_X509_COMMON_NAME {
        Some("CN")
    } else {
        types.get(oid).map(x509_parser::oid_registry::OidEntry::sn).filter(|name| !name.is_empty())
    };
    let written = match short {
        Some(name) => write!(out, "{}=", abbreviation(name)),
        None => write!(out, "{oid}="),
    };
    written.expect("a string takes everything");
    match text(attribute.attr_value()) {
        Some(value) => escape(out, &value),
        None => {
            out.push('#');
            // A long one is cut anyway.
            for byte in attribute.attr_value().data.iter().take(SUBJECT_CHARS) {
                write!(out, "{byte:02x}").expect("a string takes everything");
            }
        }
    }
}

/// The abbreviations of RFC 4514; others as the registry of object identifiers has them.
fn abbreviation(name: &str) -> &str {
    match name {
        "commonName" => "CN",
        "countryName" => "C",
        "organizationName" => "O",
        "organizationalUnit" | "organizationalUnitName" => "OU",
        "stateOrProvinceName" => "ST",
        "localityName" => "L",
        "streetAddress" => "STREET",
        "domainComponent" => "DC",
        "userId" => "UID",
        other => other,
    }
}

/// Escapes what RFC 4514 asks for and what would fool a reader: control characters and those that turn the direction
/// of a line, as the hexadecimal digits of their bytes.
fn escape(out: &mut String, value: &str) {
    let last = value.chars().count().saturating_sub(1);
    for (place, character) in value.chars().enumerate().take(SUBJECT_CHARS + 1) {
        let special = matches!(character, '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=')
            || (place == 0 && matches!(character, ' ' | '#'))
            || (place == last && character == ' ');
        let hidden = character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if hidden {
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                write!(out, "\\{byte:02x}").expect("a string takes everything");
            }
        } else {
            if special {
                out.push('\\');
            }
            out.push(character);
        }
    }
}
