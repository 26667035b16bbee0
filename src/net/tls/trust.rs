//! Whether chains lead to a trusted authority: the authorities, and the verification by webpki.
//!
//! It knows no list and no option: what follows from trust is `policy::certificates`'s business.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use sha2::{Digest, Sha256};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::policy::certificates::{Distrust, Trust, Trusted};

/// Most bytes of a chain, all its certificates together.
pub const CHAIN_BYTES: usize = 32 * 1024;

/// Most certificates of a chain.
pub const CHAIN_CERTIFICATES: usize = 16;

/// Most certificates with one and the same subject that are tried as issuers. webpki looks at every order in which
/// they may follow each other; without this bound a few kilobytes could keep it busy for seconds.
const SAME_SUBJECT: usize = 2;

/// Smallest RSA key, in bits.
const RSA_BITS: usize = 2048;

/// What is known of an authority beyond what webpki keeps.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    not_before: i64,
    not_after: i64,
    /// How many authorities may stand between it and the peer's certificate.
    path_length: Option<u32>,
}

/// The authorities of one configuration.
pub struct WebPkiTrust {
    anchors: Vec<TrustAnchor<'static>>,
    /// Of each anchor.
    bounds: Vec<Bounds>,
    algorithms: &'static [&'static dyn SignatureVerificationAlgorithm],
    /// Of all that was added.
    fingerprint: u64,
}

impl fmt::Debug for WebPkiTrust {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "WebPkiTrust of {} authorities", self.anchors.len())
    }
}

/// A configured authority cannot be used as one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("authority number {number} cannot be used: {why}")]
pub struct UnusableAuthority {
    /// Its place among the configured ones, from 0.
    pub number: usize,
    /// What is wrong with it.
    pub why: String,
}

/// The operating system's authorities, as they were when they were loaded.
#[derive(Debug, Default)]
pub struct SystemAuthorities {
    certificates: Vec<CertificateDer<'static>>,
    problems: Vec<String>,
}

impl SystemAuthorities {
    /// Loads them: reads files, `SSL_CERT_FILE` and `SSL_CERT_DIR` are obeyed. What cannot be loaded or used is left
    /// out and said in [`SystemAuthorities::problems`].
    pub fn load() -> SystemAuthorities {
        let loaded = rustls_native_certs::load_native_certs();
        let mut problems: Vec<String> = loaded.errors.iter().map(ToString::to_string).collect();
        let mut certificates = loaded.certs;
        certificates.retain(|certificate| match anchor(certificate) {
            Ok(_) => true,
            Err(why) => {
                problems.push(format!("an authority of the operating system cannot be used: {why}"));
                false
            }
        });
        SystemAuthorities { certificates, problems }
    }

    /// How many can be used.
    pub fn count(&self) -> usize {
        self.certificates.len()
    }

    /// What could not be loaded, one sentence each.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

fn anchor(certificate: &CertificateDer<'_>) -> Result<(TrustAnchor<'static>, Bounds), String> {
    let anchor = webpki::anchor_from_trusted_cert(certificate).map_err(|error| error.to_string())?.to_owned();
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| error.to_string())?;
    let constraints = parsed.basic_constraints().map_err(|error| error.to_string())?;
    let bounds = Bounds {
        not_before: parsed.validity().not_before.timestamp(),
        not_after: parsed.validity().not_after.timestamp(),
        path_length: constraints.and_then(|constraints| constraints.value.path_len_constraint),
    };
    Ok((anchor, bounds))
}

impl WebPkiTrust {
    /// Trusts configured authorities (self-signed or not), and the operating system's if they are given.
    ///
    /// # Errors
    /// A configured authority that cannot be read.
    pub fn new(
        configured: &[CertificateDer<'_>],
        system: Option<&SystemAuthorities>,
    ) -> Result<WebPkiTrust, UnusableAuthority> {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms.all;
        let mut trust = WebPkiTrust { anchors: Vec::new(), bounds: Vec::new(), algorithms, fingerprint: 0 };
        let mut digest = Sha256::new();
        for (number, certificate) in configured.iter().enumerate() {
            trust.add(anchor(certificate).map_err(|why| UnusableAuthority { number, why })?);
            digest.update(Sha256::digest(certificate));
        }
        let system = system.map_or(&[][..], |system| &system.certificates);
        for certificate in system {
            if let Ok(usable) = anchor(certificate) {
                trust.add(usable);
                digest.update(Sha256::digest(certificate));
            }
        }
        let digest = digest.finalize();
        let (head, _) = digest.split_first_chunk().expect("32 bytes have eight");
        trust.fingerprint = u64::from_le_bytes(*head);
        Ok(trust)
    }

    fn add(&mut self, (anchor, bounds): (TrustAnchor<'static>, Bounds)) {
        self.anchors.push(anchor);
        self.bounds.push(bounds);
    }

    /// How many authorities there are.
    pub fn count(&self) -> usize {
        self.anchors.len()
    }

    /// When the first certificate of a path, its authority included, expires.
    fn until(&self, own: &[u8], path: &VerifiedPath<'_>) -> u64 {
        let same = self.anchors.iter().zip(&self.bounds).filter(|(anchor, _)| *anchor == path.anchor());
        let anchors = same.map(|(_, bounds)| bounds.not_after);
        let end = |der: &[u8]| {
            X509Certificate::from_der(der).map_or(0, |(_, parsed)| parsed.validity().not_after.timestamp())
        };
        let between = path.intermediate_certificates().map(|certificate| end(&certificate.der()));
        let first = between.chain(anchors).chain([end(own)]).min();
        first.and_then(|secs| u64::try_from(secs).ok()).unwrap_or_default()
    }

    /// webpki takes an authority for eternal: whether this one may speak now, and for a path of this length, is looked
    /// at here. One authority may be there several times, renewed with its key.
    fn bounded(&self, path: &VerifiedPath<'_>, now: UnixTime) -> Result<(), webpki::Error> {
        let secs = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let length = path.intermediate_certificates().count();
        let same = self.anchors.iter().zip(&self.bounds).filter(|(anchor, _)| *anchor == path.anchor());
        let mut refused = webpki::Error::UnknownIssuer;
        for (_, bounds) in same {
            let time = |secs: i64| {
                UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(secs).unwrap_or_default()))
            };
            refused = if secs > bounds.not_after {
                webpki::Error::CertExpired { time: now, not_after: time(bounds.not_after) }
            } else if secs < bounds.not_before {
                webpki::Error::CertNotValidYet { time: now, not_before: time(bounds.not_before) }
            } else if bounds
                .path_length
                .is_some_and(|most| usize::try_from(most).is_ok_and(|most| length > most))
            {
                webpki::Error::PathLenConstraintViolated
            } else {
                return Ok(());
            };
        }
        Err(refused)
    }
}

impl Trust for WebPkiTrust {
    fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    fn verify(&self, chain: &[Box<[u8]>], unix_secs: u64) -> Result<Trusted, Distrust> {
        let sent: Vec<CertificateDer<'_>> = chain.iter().map(|der| CertificateDer::from(&**der)).collect();
        let Some((own, others)) = sent.split_first() else {
            return Err(Distrust::Other("there is no certificate".to_owned()));
        };
        let der = own;
        let own = usable(der, others)?;
        let now = UnixTime::since_unix_epoch(Duration::from_secs(unix_secs));
        let issuers = issuers(others);
        let path = own.verify_for_usage(
            self.algorithms,
            &self.anchors,
            &issuers,
            now,
            KeyUsage::client_auth(),
            None,
            Some(&|path| self.bounded(path, now)),
        );
        let path = path.map_err(distrust)?;
        Ok(Trusted { by: self.fingerprint, until_unix_secs: self.until(der, &path) })
    }
}

/// Those that may be issuers, bounded.
fn issuers<'a>(others: &'a [CertificateDer<'a>]) -> Vec<CertificateDer<'a>> {
    let mut subjects: HashMap<&[u8], usize> = HashMap::new();
    let mut kept = Vec::new();
    for der in others {
        // What cannot be read cannot be an issuer either; webpki would pass over it.
        let Ok((_, certificate)) = X509Certificate::from_der(der) else { continue };
        let count = subjects.entry(certificate.tbs_certificate.subject.as_raw()).or_default();
        *count += 1;
        if *count <= SAME_SUBJECT {
            kept.push(CertificateDer::from(der.as_ref()));
        }
    }
    kept
}

/// The peer's own certificate, if TLS can be spoken with it at all, whoever has issued it: its key can prove something,
/// and the chain has a size that may be kept.
///
/// # Errors
/// Why it is of no use.
pub fn usable<'a>(
    own: &'a CertificateDer<'a>,
    others: &[CertificateDer<'_>],
) -> Result<EndEntityCert<'a>, Distrust> {
    let bytes = own.len() + others.iter().map(|der| der.len()).sum::<usize>();
    if bytes > CHAIN_BYTES || others.len() >= CHAIN_CERTIFICATES {
        return Err(Distrust::Other(format!(
            "its chain has {bytes} bytes in {} certificates, more than {CHAIN_BYTES} or {CHAIN_CERTIFICATES}",
            others.len() + 1
        )));
    }
    let certificate = EndEntityCert::try_from(own).map_err(distrust)?;
    let key = X509Certificate::from_der(own).map_err(|error| Distrust::Other(error.to_string()))?.1;
    if let Ok(PublicKey::RSA(key)) = key.public_key().parsed()
        && key.key_size() < RSA_BITS
    {
        return Err(Distrust::Other(format!(
            "its RSA key has {} bits, fewer than {RSA_BITS}",
            key.key_size()
        )));
    }
    Ok(certificate)
}

/// What webpki's errors are called here.
fn distrust(error: webpki::Error) -> Distrust {
    use webpki::Error;
    match error {
        Error::UnknownIssuer => Distrust::UnknownIssuer,
        Error::CertExpired { .. } => Distrust::Expired,
        Error::CertNotValidYet { .. } => Distrust::NotYetValid,
        Error::RequiredEkuNotFoundContext(_)
        | Error::EmptyEkuExtension
        | Error::CaUsedAsEndEntity
        | Error::EndEntityUsedAsCa
        | Error::PathLenConstraintViolated
        | Error::NameConstraintViolation => Distrust::WrongUsage,
        Error::InvalidSignatureForPublicKey | Error::SignatureAlgorithmMismatch => Distrust::BadSignature,
        Error::UnsupportedCertVersion => Distrust::Version1,
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Distrust::Other(
            "a signature in its chain is made with an algorithm that is not supported".to_owned(),
        ),
        Error::MaximumSignatureChecksExceeded
        | Error::MaximumPathBuildCallsExceeded
        | Error::MaximumPathDepthExceeded
        | Error::MaximumNameConstraintComparisonsExceeded => {
            Distrust::Other("its chain is too long or too entangled".to_owned())
        }
        Error::UnsupportedCriticalExtension => {
            Distrust::Other("it has a critical extension that is not supported".to_owned())
        }
        other => Distrust::Other(other.to_string()),
    }
}
