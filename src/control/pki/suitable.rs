//! What a certificate must be for a purpose, beyond being well formed.

use rustls::RootCertStore;
use rustls::server::ParsedCertificate;

use super::describe::{self, Description, moment};
use super::{Certified, Imported, PkiError};

/// Whether a certificate can be a trusted authority's now (seconds since 1970).
pub(super) fn authority(
    certificate: &rustls_pki_types::CertificateDer<'_>,
    now: i64,
) -> Result<(), PkiError> {
    let said = describe::describe(certificate)?;
    let refuse = |why| Err(PkiError::NotAnAuthority { subject: said.subject.clone(), why });
    if said.version != 3 {
        return refuse("an X.509 version 1 certificate cannot say that it is one");
    }
    if !said.is_authority {
        return refuse("its basic constraints do not say so (CA:TRUE)");
    }
    let parsed = describe::parse(certificate)?;
    let may_sign = parsed.key_usage().ok().flatten().is_none_or(|usage| usage.value.key_cert_sign());
    if !may_sign {
        return refuse("its key usage does not allow signing certificates (keyCertSign)");
    }
    if RootCertStore::empty().add(certificate.clone().into_owned()).is_err() {
        return refuse("it is written in a way that TLS here does not understand");
    }
    unexpired(&said, now)
}

/// Whether a certificate has not expired.
fn unexpired(said: &Description, now: i64) -> Result<(), PkiError> {
    if now <= said.not_after {
        return Ok(());
    }
    Err(PkiError::Expired { subject: said.subject.clone(), when: moment(said.not_after) })
}

/// Whether a certificate can be the broker's now.
pub(in crate::control) fn server(certified: &Certified, now: i64) -> Result<(), PkiError> {
    let said = describe::describe(certified.certificate())?;
    let refuse = |why| Err(PkiError::NotForServers { subject: said.subject.clone(), why });
    if certified.key.is_none() {
        return Err(PkiError::KeyWanted(said.subject));
    }
    if said.version != 3 {
        return Err(PkiError::Version1(said.subject));
    }
    let parsed = describe::parse(certified.certificate())?;
    let usage = parsed.extended_key_usage().ok().flatten();
    if usage.is_some_and(|usage| !usage.value.server_auth && !usage.value.any) {
        return refuse("it is not meant for server authentication (serverAuth)");
    }
    if ParsedCertificate::try_from(certified.certificate()).is_err() {
        return refuse("it is written in a way that TLS here does not understand");
    }
    if now < said.not_before {
        return Err(PkiError::NotYetValid { subject: said.subject, when: moment(said.not_before) });
    }
    unexpired(&said, now)
}

impl Certified {
    /// Why some clients will not accept it from the broker, although others do.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn doubts_as_broker(&self) -> Result<Vec<&'static str>, PkiError> {
        let said = describe::describe(self.certificate())?;
        let mut doubts = Vec::new();
        if said.is_authority {
            doubts.push("it is an authority's own (CA:TRUE), which many clients do not accept from a server");
        }
        if said.alternative_names.is_empty() {
            doubts
                .push("it has no alternative names, and most clients look for the broker's name there only");
        }
        Ok(doubts)
    }
}

impl Imported {
    /// As a trusted authority, at a time in seconds since 1970. The key may be missing: it cannot issue then.
    ///
    /// # Errors
    /// It is no authority's, or has expired.
    pub fn into_authority(self, now: i64) -> Result<Certified, PkiError> {
        authority(self.certified.certificate(), now)?;
        Ok(self.certified)
    }

    /// As the broker's certificate, at a time in seconds since 1970.
    ///
    /// # Errors
    /// Its key is missing, it is not for servers, or not valid at that time.
    pub fn into_broker(self, now: i64) -> Result<Certified, PkiError> {
        server(&self.certified, now)?;
        Ok(self.certified)
    }

    /// As one of the listed client certificates, at a time in seconds since 1970. A key is let go: it is the client's.
    ///
    /// # Errors
    /// It has expired, where that matters to who asks.
    pub fn into_client(self, expired: Expiry, now: i64) -> Result<Certified, PkiError> {
        if expired == Expiry::Refused {
            unexpired(&describe::describe(self.certified.certificate())?, now)?;
        }
        Ok(Certified { key: None, ..self.certified })
    }
}

/// What becomes of a client certificate whose time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It is refused.
    Refused,
    /// It is taken: one can revoke an expired certificate, or authorize it where trust is not asked for.
    Taken,
}
