//! Certificates as files for others: PEM and DER without the key, PEM and PKCS#12 with it for the client that was issued
//! one.

use p12_keystore::{
    Certificate, EncryptionAlgorithm, KeyStore, KeyStoreEntry, MacAlgorithm, PrivateKey, PrivateKeyChain,
};
use rustls_pki_types::CertificateDer;
use zeroize::Zeroizing;

use super::store::{pem_of_chain, pem_of_key};
use super::{Certified, PkiError, describe};
use crate::policy::certificates::CommonName;

/// How often the password is hashed.
const ITERATIONS: u32 = 10_000;

/// How a PKCS#12 file is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protection {
    /// AES-256 and SHA-256: openssl since 1.1, Windows since 10 (1709), macOS since 15, Android since 14, Java since 8u301.
    #[default]
    Modern,
    /// Triple DES and SHA-1, for those that know nothing better.
    Old,
}

/// A certificate and its chain as PEM; never the key.
#[must_use]
pub fn pem(chain: &[CertificateDer<'_>]) -> String {
    pem_of_chain(chain)
}

/// A certificate as DER; never the key.
#[must_use]
pub fn der(certified: &Certified) -> &[u8] {
    certified.certificate()
}

/// Key, certificate and chain as PEM in one file, for the client that they were issued to.
///
/// # Errors
/// There is no key.
pub fn bundle(certified: &Certified) -> Result<Zeroizing<Vec<u8>>, PkiError> {
    let key = certified.key.as_ref().ok_or_else(|| without_key(certified))?;
    let mut text = pem_of_key(key);
    text.extend_from_slice(pem_of_chain(&certified.chain).as_bytes());
    Ok(text)
}

/// Key, certificate and chain as PKCS#12 under a password.
///
/// # Errors
/// There is no key, or the password is empty or cannot be written there.
pub fn pkcs12(
    certified: &Certified,
    password: &str,
    protection: Protection,
) -> Result<Zeroizing<Vec<u8>>, PkiError> {
    if password.is_empty() {
        return Err(PkiError::Exporting("it needs a password"));
    }
    if password.chars().any(|found| u32::from(found) > 0xffff || found == '\0') {
        return Err(PkiError::Exporting("its password holds characters that PKCS#12 cannot write"));
    }
    let failed = |_| PkiError::Exporting("its content cannot be written");
    let key = certified.key.as_ref().ok_or_else(|| without_key(certified))?;
    let key = PrivateKey::from_der(key.secret_der()).map_err(failed)?;
    let certificates = certified.chain.iter().map(|one| Certificate::from_der(one));
    let certificates = certificates.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let said = describe(certified.certificate())?;
    let alias = match &said.common_name {
        CommonName::One(name) if name.chars().all(|found| u32::from(found) <= 0xffff) => name.as_ref(),
        _ => "tidemq",
    };
    let mut file = KeyStore::new();
    let chain = PrivateKeyChain::new(&said.sha256.0[..], key, certificates);
    file.add_entry(alias, KeyStoreEntry::PrivateKeyChain(chain));
    let (encryption, mac) = match protection {
        Protection::Modern => (EncryptionAlgorithm::PbeWithHmacSha256AndAes256, MacAlgorithm::HmacSha256),
        Protection::Old => (EncryptionAlgorithm::PbeWithShaAnd3KeyTripleDesCbc, MacAlgorithm::HmacSha1),
    };
    let writer = file.writer(password).encryption_algorithm(encryption).mac_algorithm(mac);
    let bytes = writer.encryption_iterations(ITERATIONS).mac_iterations(ITERATIONS).write();
    bytes.map(Zeroizing::new).map_err(failed)
}

fn without_key(certified: &Certified) -> PkiError {
    PkiError::KeyWanted(describe::subject(certified.certificate()))
}
