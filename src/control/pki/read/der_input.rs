//! DER: bytes that do not say what they are. Each parser is asked in turn; what none takes is named by its look.

use der::{Any, Decode, Tag, Tagged};
use p12_keystore::Pkcs12Archive;
use p12_keystore::error::Error as Pkcs12Error;
use pkcs8::EncryptedPrivateKeyInfoRef;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use super::super::{PkiError, describe};
use super::Found;

/// No certificate is shorter, as base64.
const SHORTEST: usize = 100;

/// Takes certificates and keys out of DER and PKCS#12.
pub(super) fn find(bytes: &[u8], password: Option<&str>, found: &mut Found) -> Result<(), PkiError> {
    if describe::parse(bytes).is_ok() {
        return found.certificate(bytes.to_vec());
    }
    if is_request(bytes) {
        found.other = Some(a_request());
        return Ok(());
    }
    // The last parser that could have the input names what is wrong with it.
    let parts = Vec::<Any>::from_der(bytes).unwrap_or_default();
    let tags: Vec<Tag> = parts.iter().map(Tagged::tag).collect();
    let first_number = parts.first().and_then(|first| first.decode_as::<u8>().ok());
    match (tags.as_slice(), first_number) {
        ([Tag::Integer, Tag::Sequence] | [Tag::Integer, Tag::Sequence, Tag::Sequence], Some(3)) => {
            pkcs12(bytes, password, found)
        }
        ([Tag::Sequence, Tag::OctetString], _) => found.key(decrypted(bytes, password)?),
        ([Tag::ObjectIdentifier, ..], _) => Err(pkcs7()),
        ([Tag::Integer, ..], _) => match PrivateKeyDer::try_from(bytes) {
            Ok(key) => found.key(key.clone_key()),
            Err(_) => Err(unknown(bytes)),
        },
        _ if CertificateRevocationList::from_der(bytes).is_ok() => Err(a_revocation_list()),
        _ => Err(unknown(bytes)),
    }
}

pub(super) fn is_request(bytes: &[u8]) -> bool {
    matches!(X509CertificationRequest::from_der(bytes), Ok(([], _)))
}

pub(super) fn a_request() -> PkiError {
    PkiError::Unsupported {
        what: "a signing request, which is not a certificate yet,".into(),
        remedy: "give what the authority made of it; this broker's authority signs it with `tidemq ca sign`"
            .into(),
    }
}

pub(super) fn a_revocation_list() -> PkiError {
    PkiError::Unsupported {
        what: "a list of revoked certificates (CRL)".into(),
        remedy: "revoke certificates one by one with `tidemq cert client revoke`".into(),
    }
}

pub(super) fn pkcs7() -> PkiError {
    PkiError::Unsupported {
        what: "PKCS#7 (.p7b)".into(),
        remedy: "convert it with `openssl pkcs7 -print_certs -in FILE -out certificates.pem` (-inform DER if it is binary)"
            .into(),
    }
}

/// Opens a key as PKCS#8 under a password.
pub(super) fn decrypted(der: &[u8], password: Option<&str>) -> Result<PrivateKeyDer<'static>, PkiError> {
    let Ok(encrypted) = EncryptedPrivateKeyInfoRef::try_from(der) else {
        // Its parts are right, so what it names is not known here: an old cipher.
        return Err(PkiError::Unsupported {
            what: "a private key that is encrypted in an old way".into(),
            remedy: "convert it with `openssl pkcs8 -topk8 -v2 aes-256-cbc -in FILE -out key.pem`".into(),
        });
    };
    let password = password.ok_or(PkiError::PasswordWanted("the private key"))?;
    let opened = encrypted.decrypt(password).map_err(|_| PkiError::WrongPassword("the private key"))?;
    Ok(PrivatePkcs8KeyDer::from(opened.as_bytes().to_vec()).into())
}

fn pkcs12(bytes: &[u8], password: Option<&str>, found: &mut Found) -> Result<(), PkiError> {
    const FILE: &str = "the PKCS#12 file";
    let archive = Pkcs12Archive::from_pkcs12(bytes, password.unwrap_or_default()).map_err(|error| match error {
        Pkcs12Error::MacError(_) | Pkcs12Error::UnpadError | Pkcs12Error::Pkcs5Error(_) => match password {
            None => PkiError::PasswordWanted(FILE),
            Some(_) => PkiError::WrongPassword(FILE),
        },
        _ => PkiError::Unsupported {
            what: "this PKCS#12 file".into(),
            remedy: "convert it with `openssl pkcs12 -in FILE -nodes -out all.pem` (-legacy if openssl asks for it), \
                     import all.pem, and remove it afterwards"
                .into(),
        },
    })?;
    for bag in archive.certs {
        found.certificate(bag.cert.as_der().to_vec())?;
    }
    for bag in archive.keys {
        found.key(PrivatePkcs8KeyDer::from(bag.key.as_der().to_vec()).into())?;
    }
    found.other = Some(PkiError::NotACertificate("a PKCS#12 file without any certificate".into()));
    Ok(())
}

/// Names what is known by its look.
fn unknown(bytes: &[u8]) -> PkiError {
    let what = match bytes {
        [] => "empty",
        [0xfe, 0xed, 0xfe, 0xed, ..] | [0xce, 0xce, 0xce, 0xce, ..] => {
            return PkiError::Unsupported {
                what: "a Java key store (JKS)".into(),
                remedy: "convert it with `keytool -importkeystore -srckeystore FILE -destkeystore all.p12 \
                         -deststoretype pkcs12`"
                    .into(),
            };
        }
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "text in UTF-16; save it as plain ASCII",
        [b'P', b'K', 3, 4, ..] => "a ZIP archive",
        [b's', b's', b'h', b'-', ..] => "a public key of OpenSSH",
        [0x30, 0x80, ..] => {
            return PkiError::Unsupported {
                what: "a file in BER".into(),
                remedy: "convert it with openssl, such as `openssl pkcs12 -in FILE -nodes -out all.pem`"
                    .into(),
            };
        }
        [0x30, ..] => return PkiError::Broken("the DER file".into()),
        _ if bytes.len() >= SHORTEST && bytes.trim_ascii().iter().all(is_base64) => {
            "base64 without its BEGIN and END lines"
        }
        _ if std::str::from_utf8(bytes).is_ok() => "some other text",
        _ => "some other file",
    };
    PkiError::NotACertificate(what.into())
}

fn is_base64(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'\r' | b'\n')
}
