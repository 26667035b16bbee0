//! An authority that can issue, and the issuing itself.

use der::asn1::BitString;
use der::{Any, Decode, Encode};
use rcgen::{CertificateParams, KeyIdMethod, KeyPair, PublicKeyData, SigningKey};
use rustls_pki_types::CertificateDer;
use x509_parser::extensions::ParsedExtension;

use super::describe::{self, Description};
use super::{Certified, PkiError, suitable};

/// Where the issuer's name stands in a certificate (RFC 5280, TBSCertificate, with its version).
const ISSUER: usize = 3;

/// An authority with its key.
#[derive(Debug)]
pub struct Issuer {
    chain: Vec<CertificateDer<'static>>,
    description: Description,
    /// Its subject, byte for byte.
    subject: Any,
    key_identifier: KeyIdMethod,
    key: KeyPair,
}

impl Issuer {
    /// Takes an authority's certificate and key, at a time in seconds since 1970.
    ///
    /// # Errors
    /// It has no key, is no authority, or has expired.
    pub fn new(authority: &Certified, now: i64) -> Result<Issuer, PkiError> {
        let description = describe::describe(authority.certificate())?;
        suitable::authority(authority.certificate(), now)?;
        let Some(key) = &authority.key else {
            return Err(PkiError::AuthorityWithoutKey(description.subject));
        };
        super::keys::must_fit(authority.certificate(), key)?;
        let key = KeyPair::try_from(key).map_err(making)?;
        let parsed = describe::parse(authority.certificate())?;
        let key_identifier = parsed.iter_extensions().find_map(|found| match found.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0.to_vec()),
            _ => None,
        });
        Ok(Issuer {
            subject: Any::from_der(parsed.subject().as_raw()).map_err(making)?,
            key_identifier: key_identifier.map_or(KeyIdMethod::Sha256, KeyIdMethod::PreSpecified),
            chain: authority.chain.clone(),
            description,
            key,
        })
    }

    /// What its certificate says.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Its own certificate, and what leads from it further up.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// Issues a certificate. It is not looked at here: see `verify`.
    pub(super) fn issue(
        &self,
        params: &CertificateParams,
        public: &impl PublicKeyData,
    ) -> Result<CertificateDer<'static>, PkiError> {
        let mut nameless = CertificateParams::default();
        nameless.key_identifier_method = self.key_identifier.clone();
        let issued = params.signed_by(public, &rcgen::Issuer::new(nameless, &self.key)).map_err(making)?;
        self.sign_as_named(issued.der()).map_err(making)
    }

    /// Puts the authority's own name into a certificate and signs it.
    ///
    /// The maker of certificates keeps a name as a map from type to value, which loses one of two organisational units
    /// or domain components. Verifiers compare names byte by byte, so the authority's own bytes are what must stand there.
    fn sign_as_named(
        &self,
        issued: &CertificateDer<'_>,
    ) -> Result<CertificateDer<'static>, Box<dyn std::error::Error>> {
        let mut parts = Vec::<Any>::from_der(issued)?;
        let [signed, _algorithm, signature] = parts.as_mut_slice() else {
            return Err("a certificate has three parts".into());
        };
        let mut said = Vec::<Any>::from_der(&signed.to_der()?)?;
        *said.get_mut(ISSUER).ok_or("a certificate names its issuer")? = self.subject.clone();
        let said = said.to_der()?;
        let bits = BitString::from_bytes(&self.key.sign(&said)?)?;
        (*signed, *signature) = (Any::from_der(&said)?, Any::encode_from(&bits)?);
        Ok(parts.to_der()?.into())
    }
}

pub(super) fn making(error: impl std::fmt::Display) -> PkiError {
    PkiError::Making(error.to_string())
}
