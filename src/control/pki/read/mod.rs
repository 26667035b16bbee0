//! Reads what people have: PEM, DER, PKCS#12, in whatever order and with whatever beside it; and says what it is when it
//! is something else.

mod der_input;
mod pem_input;

use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::describe::{self, subject};
use super::{Certified, PkiError, keys};

/// The longest input, in bytes: files of certificates are small.
pub const INPUT_BYTES: usize = 1 << 20;

/// What an input held.
#[derive(Debug)]
pub struct Imported {
    /// The certificate that was meant: the one that the key belongs to, or the one that issued none of the others. Its
    /// issuers follow as far as they came with it.
    pub certified: Certified,
    /// Certificates that have nothing to do with it and were left out.
    pub left_out: usize,
}

/// What was found in an input, in any order.
#[derive(Default)]
struct Found {
    certificates: Vec<CertificateDer<'static>>,
    keys: Vec<PrivateKeyDer<'static>>,
    /// The first thing that is neither, and why it is of no use.
    other: Option<PkiError>,
}

impl Found {
    fn certificate(&mut self, der: Vec<u8>) -> Result<(), PkiError> {
        describe::parse(&der)?;
        let certificate = CertificateDer::from(der);
        if !self.certificates.contains(&certificate) {
            self.certificates.push(certificate);
        }
        Ok(())
    }

    fn key(&mut self, key: PrivateKeyDer<'static>) -> Result<(), PkiError> {
        let key = keys::as_pkcs8(key)?;
        if !self.keys.contains(&key) {
            self.keys.push(key);
        }
        Ok(())
    }
}

/// Reads a certificate, what leads to its authority, and its key, from PEM, DER or PKCS#12.
///
/// # Errors
/// It is something else, damaged, protected by another password, or its parts do not belong together.
pub fn import(bytes: &[u8], password: Option<&str>) -> Result<Imported, PkiError> {
    assemble(find(bytes, password)?)
}

/// As [`import`], from two files: one for the certificate, one for its key.
///
/// # Errors
/// As [`import`]; and the second one holds no key.
pub fn import_pair(certificate: &[u8], key: &[u8], password: Option<&str>) -> Result<Imported, PkiError> {
    let mut found = find(certificate, password)?;
    let beside = find(key, password)?;
    if beside.keys.is_empty() {
        let what = beside.other.map_or_else(|| "a certificate".to_owned(), |other| other.to_string());
        return Err(PkiError::Unsupported {
            what: format!("the file that should hold the private key ({what})"),
            remedy: "give a file with a private key, PEM or DER".into(),
        });
    }
    for key in beside.keys {
        found.key(key)?;
    }
    assemble(found)
}

/// The DER of a signing request, from PEM or DER.
pub(super) fn request_der(bytes: &[u8]) -> Result<Vec<u8>, PkiError> {
    bounded(bytes)?;
    let der = if pem_input::is_pem(bytes) {
        pem_input::request(bytes)?
    } else {
        der_input::is_request(bytes).then(|| bytes.to_vec())
    };
    let what = || match find(bytes, None) {
        Ok(found) if !found.certificates.is_empty() => "it is a certificate already".to_owned(),
        Ok(_) => "it is a private key".to_owned(),
        Err(error) => error.to_string(),
    };
    der.ok_or_else(|| PkiError::BadRequest(what()))
}

fn bounded(bytes: &[u8]) -> Result<(), PkiError> {
    if bytes.len() <= INPUT_BYTES {
        Ok(())
    } else {
        Err(PkiError::NotACertificate("a large file of another kind".into()))
    }
}

fn find(bytes: &[u8], password: Option<&str>) -> Result<Found, PkiError> {
    bounded(bytes)?;
    let mut found = Found::default();
    if pem_input::is_pem(bytes) {
        pem_input::find(bytes, password, &mut found)?;
    } else {
        der_input::find(bytes, password, &mut found)?;
    }
    if found.certificates.is_empty() && found.keys.is_empty() {
        return Err(found.other.unwrap_or_else(|| PkiError::NotACertificate("empty".into())));
    }
    Ok(found)
}

/// Picks the certificate that is meant, and puts its issuers behind it.
fn assemble(found: Found) -> Result<Imported, PkiError> {
    let Found { mut certificates, mut keys, .. } = found;
    if certificates.is_empty() {
        return Err(PkiError::OnlyAKey);
    }
    if keys.len() > 1 {
        return Err(PkiError::SeveralKeys(keys.len()));
    }
    let key = keys.pop();
    let meant = match &key {
        Some(key) => of_key(&certificates, key)?,
        None => issues_nothing(&certificates)?,
    };
    let mut chain = vec![certificates.swap_remove(meant)];
    while let Some(issuer) = issuer_of(chain.last().expect("it begins with one"), &certificates) {
        chain.push(certificates.swap_remove(issuer));
    }
    Ok(Imported { certified: Certified { chain, key }, left_out: certificates.len() })
}

fn of_key(certificates: &[CertificateDer<'_>], key: &PrivateKeyDer<'_>) -> Result<usize, PkiError> {
    for (place, certificate) in certificates.iter().enumerate() {
        if keys::fits(certificate, key)? {
            return Ok(place);
        }
    }
    Err(PkiError::Mismatch(subjects(certificates)))
}

/// The one certificate that issued none of the others.
fn issues_nothing(certificates: &[CertificateDer<'_>]) -> Result<usize, PkiError> {
    let issues = |place: usize| {
        let others = certificates.iter().enumerate().filter(|(other, _)| *other != place);
        others.into_iter().any(|(_, other)| issued(&certificates[place], other))
    };
    let mut leaves = (0..certificates.len()).filter(|place| !issues(*place));
    match (leaves.next(), leaves.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(PkiError::SeveralCertificates(subjects(certificates))),
    }
}

fn issuer_of(certificate: &CertificateDer<'_>, among: &[CertificateDer<'_>]) -> Option<usize> {
    // Its own issuer ends the chain.
    (!issued(certificate, certificate))
        .then(|| among.iter().position(|candidate| issued(candidate, certificate)))
        .flatten()
}

/// Whether one certificate's name and key have issued another. A signature of a kind that cannot be checked here counts.
pub fn issued(issuer: &CertificateDer<'_>, certificate: &CertificateDer<'_>) -> bool {
    use x509_parser::error::X509Error;
    let (Ok(issuer), Ok(certificate)) = (describe::parse(issuer), describe::parse(certificate)) else {
        return false;
    };
    if certificate.issuer().as_raw() != issuer.subject().as_raw() {
        return false;
    }
    let signed = certificate.verify_signature(Some(issuer.public_key()));
    matches!(signed, Ok(()) | Err(X509Error::SignatureUnsupportedAlgorithm))
}

fn subjects(certificates: &[CertificateDer<'_>]) -> String {
    let named: Vec<String> = certificates.iter().take(5).map(|one| subject(one)).collect();
    let more = if certificates.len() > named.len() { ", ..." } else { "" };
    format!("{}{more}", named.join("; "))
}
