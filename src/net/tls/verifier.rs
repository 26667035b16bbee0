//! Judges client certificates in full handshakes, so that a peer that is refused is told so by the right TLS alert.
//!
//! What is acceptable is the policy's business ([`CertificatePolicy::judge`]); here it is asked, and its answer put into
//! TLS's words. A resumed handshake does not come here: rustls takes the certificates from the session, and whoever
//! takes in the connection judges them again.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};

use super::{presented, trust};
use crate::policy::certificates::{
    CertificatePolicy, CertificateRefusal, Distrust, Presented, Requirement, Trusted,
};

/// A certificate that was refused in a handshake, and why.
pub type Refused = (Arc<Presented>, CertificateRefusal);

thread_local! {
    /// rustls hands nothing but its own errors through, and a verifier belongs to all connections of a listener: so the
    /// refusal is laid down here. It is for the connection whose bytes are being processed on this thread right now;
    /// who processes them takes it away when that has failed, before it turns to another.
    static REFUSED: RefCell<Option<Refused>> = const { RefCell::new(None) };

    /// The same of a certificate that was found acceptable, so that nobody reads and verifies it once more.
    static ACCEPTED: RefCell<Option<Accepted>> = const { RefCell::new(None) };
}

/// Takes what the verifier has refused while this thread processed the bytes of a connection, to be asked right after
/// processing has failed. `None`: the handshake failed for something else; a certificate that is missing is
/// [`Error::NoCertificatesPresented`].
///
/// The peer has not proved to hold the certificate's key: TLS asks for the proof after the certificate. Who could not
/// prove it is here too, as [`CertificateRefusal::Unproved`].
pub fn take_refused() -> Option<Refused> {
    REFUSED.take()
}

/// A certificate that was found acceptable in a handshake, and who trusts it, if that was asked.
pub type Accepted = (Arc<Presented>, Option<Trusted>);

/// Takes what the verifier has found acceptable while this thread processed the bytes of a connection, to be asked right
/// after that. That its peer holds the key is certain only when the handshake is over.
pub fn take_accepted() -> Option<Accepted> {
    ACCEPTED.take()
}

/// Verifies client certificates of a listener, by the policy of one configuration.
pub struct PolicyVerifier {
    policy: Arc<CertificatePolicy>,
    requirement: Requirement,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PolicyVerifier {
    /// One for the listeners that ask the same.
    pub fn new(policy: Arc<CertificatePolicy>, requirement: Requirement) -> PolicyVerifier {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        PolicyVerifier { policy, requirement, algorithms }
    }

    fn judge(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        presented: &Presented,
        now: UnixTime,
    ) -> Result<Option<Trusted>, CertificateRefusal> {
        let trusted = self.policy.judge_again(Some(presented), self.requirement, now.as_secs(), None)?;
        // Also of those that need no trust: with some nothing can be proved.
        trust::usable(own, others).map(|_| trusted).map_err(CertificateRefusal::Untrusted)
    }
}

impl fmt::Debug for PolicyVerifier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "PolicyVerifier, a certificate is {:?}", self.requirement)
    }
}

/// The signature of the handshake, after the certificate was found acceptable.
fn proved(
    certificate: &CertificateDer<'_>,
    verified: Result<HandshakeSignatureValid, Error>,
) -> Result<HandshakeSignatureValid, Error> {
    verified.inspect_err(|_| {
        let presented = presented::read(std::slice::from_ref(certificate));
        REFUSED.set(Some((Arc::new(presented), CertificateRefusal::Unproved)));
    })
}

/// What a refusal is in TLS's words. The comments name the alert that the peer sees.
fn in_tls(refusal: &CertificateRefusal) -> Error {
    let error = match refusal {
        // certificate_required
        CertificateRefusal::Missing => return Error::NoCertificatesPresented,
        // certificate_revoked
        CertificateRefusal::Revoked => CertificateError::Revoked,
        // decrypt_error
        CertificateRefusal::Unproved => CertificateError::BadSignature,
        // access_denied
        CertificateRefusal::NotAuthorized | CertificateRefusal::NotEncrypted => {
            CertificateError::ApplicationVerificationFailure
        }
        CertificateRefusal::Untrusted(why) => match why {
            // unknown_ca
            Distrust::UnknownIssuer => CertificateError::UnknownIssuer,
            // certificate_expired, which stands for both
            Distrust::Expired => CertificateError::Expired,
            Distrust::NotYetValid => CertificateError::NotValidYet,
            // unsupported_certificate
            Distrust::WrongUsage | Distrust::Version1 => CertificateError::InvalidPurpose,
            // bad_certificate: rustls's BadSignature would be decrypt_error, which is about the handshake's signature
            Distrust::BadSignature => CertificateError::BadEncoding,
            // certificate_unknown
            Distrust::Other(what) => {
                CertificateError::Other(OtherError(Arc::from(
                    Box::<dyn std::error::Error + Send + Sync>::from(what.as_str()),
                )))
            }
        },
    };
    Error::InvalidCertificate(error)
}

impl ClientCertVerifier for PolicyVerifier {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        self.requirement == Requirement::Required
    }

    /// No hints: many clients would keep back a certificate whose issuer is not among them, and one that is listed as
    /// Authorized needs no issuer that is known here.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        REFUSED.take();
        ACCEPTED.take();
        let chain: Vec<CertificateDer<'_>> = std::iter::once(own).chain(others).cloned().collect();
        let presented = presented::read(&chain);
        match self.judge(own, others, &presented, now) {
            Ok(trusted) => {
                ACCEPTED.set(Some((Arc::new(presented), trusted)));
                Ok(ClientCertVerified::assertion())
            }
            Err(refusal) => {
                let error = in_tls(&refusal);
                REFUSED.set(Some((Arc::new(presented), refusal)));
                Err(error)
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        proved(certificate, verify_tls12_signature(message, certificate, signature, &self.algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        proved(certificate, verify_tls13_signature(message, certificate, signature, &self.algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
