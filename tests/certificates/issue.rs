//! Authorities and certificates of these tests, made by rcgen. They know nothing of the broker.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SignatureAlgorithm,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// When a certificate is valid, seen from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Validity {
    Valid,
    Expired,
    NotYet,
}

impl Validity {
    fn bounds(self) -> (SystemTime, SystemTime) {
        const HOUR: Duration = Duration::from_secs(3_600);
        const YEARS: Duration = Duration::from_secs(3 * 365 * 86_400);
        let now = SystemTime::now();
        match self {
            Validity::Valid => (now - HOUR, now + YEARS),
            Validity::Expired => (now - YEARS, now - HOUR),
            Validity::NotYet => (now + HOUR, now + YEARS),
        }
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

pub(crate) fn key(algorithm: &'static SignatureAlgorithm) -> KeyPair {
    KeyPair::generate_for(algorithm).expect("a key")
}

fn name(common: impl Into<DnValue>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

/// A certificate's contents, to be altered before it is issued.
pub(crate) fn contents(common_name: impl Into<DnValue>, validity: Validity) -> CertificateParams {
    let mut contents = CertificateParams::default();
    let (not_before, not_after) = validity.bounds();
    (contents.not_before, contents.not_after) = (not_before.into(), not_after.into());
    contents.distinguished_name = name(common_name);
    contents
}

/// Contents of a client's certificate.
pub(crate) fn client(common_name: impl Into<DnValue>, validity: Validity) -> CertificateParams {
    let mut contents = contents(common_name, validity);
    contents.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    contents.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    contents
}

/// Contents of an authority's.
pub(crate) fn authority(common_name: &str, validity: Validity) -> CertificateParams {
    let mut contents = contents(common_name, validity);
    contents.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    contents.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    contents
}

/// A chain, its owner's certificate first, and the key to it.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

impl Identity {
    pub(crate) fn new(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> Identity {
        Identity { chain, key: key.serialize_der() }
    }

    pub(crate) fn self_signed(contents: &CertificateParams) -> Identity {
        let key = key(&PKCS_ECDSA_P256_SHA256);
        Identity::new(vec![contents.self_signed(&key).expect("made").der().clone()], &key)
    }

    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }

    /// The same key, another chain.
    pub(crate) fn with_chain(&self, chain: Vec<CertificateDer<'static>>) -> Identity {
        Identity { chain, key: self.key.clone() }
    }
}

/// Who issues.
pub(crate) struct Authority {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn root(contents: CertificateParams, algorithm: &'static SignatureAlgorithm) -> Authority {
        let key = key(algorithm);
        let certificate = contents.self_signed(&key).expect("made").der().clone();
        Authority { certificate, issuer: Issuer::new(contents, key) }
    }

    pub(crate) fn named(common_name: &str) -> Authority {
        Authority::root(authority(common_name, Validity::Valid), &PKCS_ECDSA_P256_SHA256)
    }

    /// An authority under this one.
    pub(crate) fn delegate(&self, contents: CertificateParams) -> Authority {
        let key = key(&PKCS_ECDSA_P256_SHA256);
        let certificate = contents.signed_by(&key, &self.issuer).expect("made").der().clone();
        Authority { certificate, issuer: Issuer::new(contents, key) }
    }

    /// A certificate for a new key, alone in its chain.
    pub(crate) fn issue(&self, contents: &CertificateParams) -> Identity {
        self.issue_for(contents, &PKCS_ECDSA_P256_SHA256)
    }

    pub(crate) fn issue_for(
        &self,
        contents: &CertificateParams,
        algorithm: &'static SignatureAlgorithm,
    ) -> Identity {
        let key = key(algorithm);
        let certificate = contents.signed_by(&key, &self.issuer).expect("made").der().clone();
        Identity::new(vec![certificate], &key)
    }
}

/// The one that the tests trust, unless they say otherwise.
pub(crate) fn trusted() -> &'static Authority {
    static TRUSTED: OnceLock<Authority> = OnceLock::new();
    TRUSTED.get_or_init(|| Authority::named("The Configured Authority"))
}

/// One that nobody trusts.
pub(crate) fn stranger() -> &'static Authority {
    static STRANGER: OnceLock<Authority> = OnceLock::new();
    STRANGER.get_or_init(|| Authority::named("Somebody Else's Authority"))
}

/// The broker's own certificate, for localhost, and the authority that clients trust.
pub(crate) fn broker() -> &'static (Identity, Authority) {
    static BROKER: OnceLock<(Identity, Authority)> = OnceLock::new();
    BROKER.get_or_init(|| {
        let authority = Authority::named("The Broker's Authority");
        let mut contents = contents("localhost", Validity::Valid);
        contents.subject_alt_names = vec![rcgen::SanType::DnsName("localhost".try_into().expect("a name"))];
        contents.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        (authority.issue(&contents), authority)
    })
}

pub(crate) fn pem(der: &[u8]) -> String {
    use base64::Engine;
    let base64 = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> =
        base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
