//! Private keys: made, brought into one form, compared with certificates.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, Ed25519KeyPair,
};
use rcgen::{KeyPair, RsaKeySize};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::PkiError;
use super::describe::{self, subject};

/// A kind of key that is made here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyType {
    /// Small and fast, known everywhere.
    #[default]
    EcdsaP256,
    /// Larger.
    EcdsaP384,
    /// Small and fast; old devices do not know it.
    Ed25519,
    /// For devices that know nothing else.
    Rsa2048,
    /// Larger.
    Rsa3072,
    /// Larger still: slow in every handshake.
    Rsa4096,
}

/// As they are written.
const NAMES: [(&str, KeyType); 6] = [
    ("ecdsa-p256", KeyType::EcdsaP256),
    ("ecdsa-p384", KeyType::EcdsaP384),
    ("ed25519", KeyType::Ed25519),
    ("rsa-2048", KeyType::Rsa2048),
    ("rsa-3072", KeyType::Rsa3072),
    ("rsa-4096", KeyType::Rsa4096),
];

impl fmt::Display for KeyType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, _) = NAMES.iter().find(|(_, known)| known == self).expect("the table names every type");
        out.write_str(name)
    }
}

impl FromStr for KeyType {
    type Err = PkiError;

    fn from_str(text: &str) -> Result<KeyType, PkiError> {
        let found = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        found.map(|(_, known)| *known).ok_or_else(|| PkiError::BadKeyType(text.to_owned()))
    }
}

impl KeyType {
    /// The type of a key as a description says it: `ECDSA P-256`; `None` if none such is made here.
    #[must_use]
    pub fn described(text: &str) -> Option<KeyType> {
        let plain = |text: &str| text.to_ascii_lowercase().replace([' ', '-'], "");
        NAMES.iter().find(|(name, _)| plain(name) == plain(text)).map(|(_, known)| *known)
    }
}

/// Makes a key.
pub(super) fn generate(kind: KeyType) -> Result<KeyPair, PkiError> {
    let rsa = |size| KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size);
    match kind {
        KeyType::EcdsaP256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
        KeyType::EcdsaP384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
        KeyType::Ed25519 => return ed25519(),
        KeyType::Rsa2048 => rsa(RsaKeySize::_2048),
        KeyType::Rsa3072 => rsa(RsaKeySize::_3072),
        KeyType::Rsa4096 => rsa(RsaKeySize::_4096),
    }
    .map_err(|error| PkiError::Making(error.to_string()))
}

/// In the first version of PKCS#8: openssl 3.0 does not read the second, which the maker would write.
fn ed25519() -> Result<KeyPair, PkiError> {
    let made = Ed25519KeyPair::generate().and_then(|pair| pair.to_pkcs8v1());
    let document = made.map_err(|error| PkiError::Making(error.to_string()))?;
    let key = PrivatePkcs8KeyDer::from(document.as_ref());
    KeyPair::from_pkcs8_der_and_sign_algo(&key, &rcgen::PKCS_ED25519)
        .map_err(|error| PkiError::Making(error.to_string()))
}

/// The key as PKCS#8.
pub(super) fn of_pair(pair: &KeyPair) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(pair.serialize_der()).into()
}

/// Any key that TLS can use, as PKCS#8.
pub(super) fn as_pkcs8(key: PrivateKeyDer<'static>) -> Result<PrivateKeyDer<'static>, PkiError> {
    let wrapped = match &key {
        PrivateKeyDer::Pkcs8(_) => Some(key.clone_key()),
        PrivateKeyDer::Pkcs1(rsa) => of_pkcs1(rsa.secret_pkcs1_der()),
        PrivateKeyDer::Sec1(ec) => of_sec1(ec.secret_sec1_der()),
        _ => None,
    };
    let usable = wrapped.filter(|key| any_supported_type(key).is_ok());
    usable.ok_or(PkiError::BadKey("it is damaged, too small, or of a kind that TLS does not use"))
}

fn of_pkcs1(der: &[u8]) -> Option<PrivateKeyDer<'static>> {
    let pkcs8: Pkcs8V1Der<'_> = rsa::KeyPair::from_der(der).ok()?.as_der().ok()?;
    Some(PrivatePkcs8KeyDer::from(pkcs8.as_ref().to_vec()).into())
}

fn of_sec1(der: &[u8]) -> Option<PrivateKeyDer<'static>> {
    let curves =
        [&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P384_SHA384_ASN1_SIGNING, &ECDSA_P521_SHA512_ASN1_SIGNING];
    let pair = curves.iter().find_map(|curve| EcdsaKeyPair::from_private_key_der(curve, der).ok())?;
    Some(PrivatePkcs8KeyDer::from(pair.to_pkcs8v1().ok()?.as_ref().to_vec()).into())
}

/// Whether a certificate was made for a key.
///
/// # Errors
/// The certificate cannot be read, or the key is none that TLS can use.
pub(super) fn fits(certificate: &[u8], key: &PrivateKeyDer<'_>) -> Result<bool, PkiError> {
    let parsed = describe::parse(certificate)?;
    let unusable = PkiError::BadKey("it is damaged, too small, or of a kind that TLS does not use");
    let public = any_supported_type(key).ok().and_then(|key| key.public_key().map(|spki| spki.to_vec()));
    public.map(|spki| spki == parsed.public_key().raw).ok_or(unusable)
}

/// As [`fits`], as an error.
pub(super) fn must_fit(certificate: &[u8], key: &PrivateKeyDer<'_>) -> Result<(), PkiError> {
    if fits(certificate, key)? { Ok(()) } else { Err(PkiError::Mismatch(subject(certificate))) }
}
