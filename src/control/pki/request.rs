//! Signing requests: a client keeps its key and asks for a certificate. Only its public key, its Common Name and its
//! alternative names are taken over; what it asks for besides is not.

use rcgen::SubjectPublicKeyInfo;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

use super::describe;
use super::make::{Leaf, Profile, with_chain};
use super::{Certified, Issuer, PkiError, SanName, read};
use crate::policy::certificates::CommonName;

/// A signing request whose signature fits.
#[derive(Debug)]
pub struct SigningRequest {
    /// Its Common Name.
    pub common_name: String,
    /// Its alternative names.
    pub names: Vec<SanName>,
    /// Type and size of its key.
    pub key: String,
    public: SubjectPublicKeyInfo,
}

/// The smallest RSA key that verifiers accept, in bits.
const RSA_BITS: usize = 2_048;

impl SigningRequest {
    /// Reads a request, PEM or DER.
    ///
    /// # Errors
    /// It is none, its signature does not fit, it has not one Common Name, or its names or key cannot be taken over.
    pub fn read(bytes: &[u8]) -> Result<SigningRequest, PkiError> {
        let der = read::request_der(bytes)?;
        let bad = |why: &str| PkiError::BadRequest(why.to_owned());
        let (_, request) = X509CertificationRequest::from_der(&der)
            .map_err(|_| PkiError::Broken("the signing request".into()))?;
        request
            .verify_signature()
            .map_err(|_| bad("its signature does not fit, or is of an unknown kind"))?;
        let said = &request.certification_request_info;
        let common_name = match describe::common_name(&said.subject) {
            CommonName::One(name) => name.into_string(),
            CommonName::None => return Err(bad("it has no Common Name")),
            CommonName::Several => return Err(bad("it has several Common Names")),
        };
        if matches!(said.subject_pki.parsed(), Ok(PublicKey::RSA(key)) if key.key_size() < RSA_BITS) {
            return Err(bad("its RSA key has less than 2048 bits"));
        }
        let public = SubjectPublicKeyInfo::from_der(said.subject_pki.raw)
            .map_err(|_| bad("its key is of a kind that TLS does not use"))?;
        let mut names = Vec::new();
        for extension in request.requested_extensions().into_iter().flatten() {
            if let ParsedExtension::SubjectAlternativeName(found) = extension {
                for name in &found.general_names {
                    names.push(SanName::read(name)?);
                }
            }
        }
        Ok(SigningRequest { common_name, names, key: describe::key(&said.subject_pki), public })
    }

    /// Issues what was asked for, at a time in seconds since 1970. The chain leads up to the authority; the key stays
    /// with who asked.
    ///
    /// # Errors
    /// The names or the days cannot be, or what the authority issues would not be accepted.
    pub fn sign(
        &self,
        issuer: &Issuer,
        profile: Profile,
        days: u32,
        now: i64,
    ) -> Result<Certified, PkiError> {
        let leaf = Leaf { profile, common_name: &self.common_name, names: &self.names, days };
        let certificate = leaf.issue(issuer, &self.public, now)?;
        Ok(with_chain(certificate, issuer, None))
    }
}
