//! PEM: sections of base64 between lines that say what they are.

use rustls_pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};

use super::super::PkiError;
use super::{Found, der_input};

const BEGIN: &[u8] = b"-----BEGIN ";

/// Whether an input says that it is PEM.
pub(super) fn is_pem(bytes: &[u8]) -> bool {
    sections_begun(bytes) > 0
}

fn sections_begun(bytes: &[u8]) -> usize {
    bytes.windows(BEGIN.len()).filter(|found| *found == BEGIN).count()
}

fn parse(bytes: &[u8]) -> Result<Vec<pem::Pem>, PkiError> {
    let sections = pem::parse_many(bytes).map_err(|_| PkiError::Broken("the PEM text".into()))?;
    // The parser stops without a word at a section that does not end.
    if sections.len() == sections_begun(bytes) {
        Ok(sections)
    } else {
        Err(PkiError::Broken("the PEM text".into()))
    }
}

/// Takes certificates and keys out of PEM.
pub(super) fn find(bytes: &[u8], password: Option<&str>, found: &mut Found) -> Result<(), PkiError> {
    for section in parse(bytes)? {
        let encrypted =
            section.headers().iter().any(|(name, value)| name == "Proc-Type" && value.contains("ENCRYPTED"));
        let tag = section.tag().to_owned();
        match tag.as_str() {
            "CERTIFICATE" | "X509 CERTIFICATE" => found.certificate(section.into_contents())?,
            _ if encrypted => {
                return Err(PkiError::Unsupported {
                    what: "a private key that is encrypted in openssl's old way".into(),
                    remedy:
                        "take off its password with `openssl pkey -in FILE -out key.pem`, and remove key.pem \
                             afterwards"
                            .into(),
                });
            }
            "PRIVATE KEY" => found.key(PrivatePkcs8KeyDer::from(section.into_contents()).into())?,
            "RSA PRIVATE KEY" => found.key(PrivatePkcs1KeyDer::from(section.into_contents()).into())?,
            "EC PRIVATE KEY" => found.key(PrivateSec1KeyDer::from(section.into_contents()).into())?,
            "ENCRYPTED PRIVATE KEY" => {
                let key: PrivateKeyDer<'static> = der_input::decrypted(section.contents(), password)?;
                found.key(key)?;
            }
            other => {
                found.other.get_or_insert_with(|| of_no_use(other));
            }
        }
    }
    Ok(())
}

/// The first signing request in PEM.
pub(super) fn request(bytes: &[u8]) -> Result<Option<Vec<u8>>, PkiError> {
    let is_request =
        |section: &pem::Pem| matches!(section.tag(), "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST");
    Ok(parse(bytes)?.into_iter().find(is_request).map(pem::Pem::into_contents))
}

/// What is neither a certificate nor a key, by the word of its first line.
fn of_no_use(tag: &str) -> PkiError {
    let (what, remedy) = match tag {
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => return der_input::a_request(),
        "X509 CRL" => return der_input::a_revocation_list(),
        "PKCS7" | "CMS" => return der_input::pkcs7(),
        "TRUSTED CERTIFICATE" => (
            "openssl's own form of a certificate",
            "convert it with `openssl x509 -in FILE -out certificate.pem`",
        ),
        "PUBLIC KEY" | "RSA PUBLIC KEY" => return PkiError::NotACertificate("a public key".into()),
        "OPENSSH PRIVATE KEY" => (
            "a key of OpenSSH",
            "give a certificate; OpenSSH's keys have none, and `ssh-keygen -p -m PKCS8 -f FILE` converts them",
        ),
        "EC PARAMETERS" | "DH PARAMETERS" => return PkiError::NotACertificate("parameters of a key".into()),
        _ if tag.starts_with("PGP") => return PkiError::NotACertificate("something of PGP".into()),
        _ => {
            let shown: String = tag.chars().take(40).flat_map(char::escape_debug).collect();
            return PkiError::NotACertificate(format!("PEM of the kind `{shown}`"));
        }
    };
    PkiError::Unsupported { what: what.into(), remedy: remedy.into() }
}
