//! Kinds of keys, of clients and of authorities; and X.509 version 1.

use std::sync::{Arc, OnceLock};

use rcgen::{
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519, PKCS_RSA_SHA256,
    SignatureAlgorithm, SubjectPublicKeyInfo,
};
use rustls::AlertDescription;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tidemq::net::tls::presented;
use tidemq::policy::certificates::{CertificateRefusal, CommonName, Distrust, Requirement};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::der::{self, Attribute, Version};
use super::handshake::{self, VERSIONS, shake};
use super::issue::{Authority, Identity, Validity, authority, client, key, now, trusted};
use super::table::{listing, trusting};

static KINDS: [&SignatureAlgorithm; 5] = [
    &PKCS_RSA_SHA256,
    &PKCS_ECDSA_P256_SHA256,
    &PKCS_ECDSA_P384_SHA384,
    &PKCS_ECDSA_P521_SHA512,
    &PKCS_ED25519,
];

/// An authority of each kind with a client of each kind.
fn made() -> &'static Vec<(Authority, Vec<Identity>)> {
    static MADE: OnceLock<Vec<(Authority, Vec<Identity>)>> = OnceLock::new();
    MADE.get_or_init(|| {
        let issue = |kind| {
            let authority = Authority::root(authority("Root", Validity::Valid), kind);
            let issued = |kind| authority.issue_for(&client("device", Validity::Valid), kind);
            let clients = KINDS.iter().copied().map(issued).collect();
            (authority, clients)
        };
        KINDS.iter().copied().map(issue).collect()
    })
}

#[test]
fn every_kind_is_issued_by_every_kind() {
    for (authority, clients) in made() {
        for version in VERSIONS {
            let server = handshake::server(trusting(&[&authority.certificate]), Requirement::Required);
            for identity in clients {
                let ended = shake(&server, &Arc::new(handshake::client(version, Some(identity))));
                assert_eq!(ended.alert, None, "{version:?}, {:?}", ended.refused);
                assert_eq!(ended.certificates(), 1);
            }
        }
    }
}

#[test]
fn every_kind_proves_its_key_when_nobody_is_trusted() {
    let (_, clients) = &made()[0];
    for identity in clients {
        let server = handshake::server(listing(&identity.chain[0]), Requirement::Required);
        for version in VERSIONS {
            let ended = shake(&server, &Arc::new(handshake::client(version, Some(identity))));
            assert_eq!(ended.alert, None, "{version:?}, {:?}", ended.refused);
        }
    }
}

fn pem(text: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(text.as_bytes()).expect("a certificate")
}

/// Made by `openssl req -x509 -newkey rsa:1024`, and a certificate that it has issued. Its key is thrown away.
fn small() -> (CertificateDer<'static>, CertificateDer<'static>) {
    (pem(include_str!("rsa1024/authority.pem")), pem(include_str!("rsa1024/device.pem")))
}

#[test]
fn an_authority_with_a_small_rsa_key_is_no_good() {
    let (authority, device) = small();
    let presented = presented::read(&[device]);
    assert_eq!(presented.common_name, CommonName::One("device".into()));
    let judged = trusting(&[&authority]).judge(Some(&presented), Requirement::Required, now());
    assert_eq!(judged, Err(CertificateRefusal::Untrusted(Distrust::BadSignature)));
}

/// Also where nobody need be trusted: the proof would be worth nothing.
#[test]
fn a_client_with_a_small_rsa_key_is_refused() {
    let (authority, _) = small();
    let (_, parsed) = X509Certificate::from_der(&authority).expect("a certificate");
    let small = SubjectPublicKeyInfo::from_der(parsed.public_key().raw).expect("a key");
    let contents = client("device", Validity::Valid);
    let certificate = contents.signed_by(&small, &trusted().issuer).expect("made").der().clone();
    let identity = Identity::new(vec![certificate.clone()], &key(&PKCS_RSA_SHA256));
    for version in VERSIONS {
        for policy in [trusting(&[&trusted().certificate]), listing(&certificate)] {
            let client = Arc::new(handshake::client(version, Some(&identity)));
            let ended = shake(&handshake::server(policy, Requirement::Required), &client);
            assert_eq!(ended.alert, Some(AlertDescription::CertificateUnknown));
            let (_, why) = ended.refused.expect("refused");
            assert!(why.to_string().contains("1024 bits"), "{why}");
        }
    }
}

/// What Debian's `openssl x509 -req` makes unless it is told otherwise.
#[test]
fn version_1_is_refused_with_the_remedy() {
    let (_, root) = X509Certificate::from_der(&trusted().certificate).expect("a certificate");
    let (subject, key) =
        (der::name(&[&[Attribute(3, 12, b"device".to_vec())]]), key(&PKCS_ECDSA_P256_SHA256));
    let issue =
        |version| der::certificate(version, &subject, &key, root.subject().as_raw(), trusted().issuer.key());
    let version_3 = Identity::new(vec![issue(Version::V3)], &key);
    let version_1 = Identity::new(vec![issue(Version::V1)], &key);
    for version in VERSIONS {
        let trusting = handshake::server(trusting(&[&trusted().certificate]), Requirement::Required);
        let ended = shake(&trusting, &Arc::new(handshake::client(version, Some(&version_3))));
        assert_eq!(ended.alert, None, "{:?}", ended.refused);
        let client = Arc::new(handshake::client(version, Some(&version_1)));
        let listing = handshake::server(listing(&version_1.chain[0]), Requirement::Required);
        for server in [trusting, listing] {
            let ended = shake(&server, &client);
            assert_eq!(ended.alert, Some(AlertDescription::UnsupportedCertificate));
            let (who, why) = ended.refused.expect("refused");
            assert_eq!(why, CertificateRefusal::Untrusted(Distrust::Version1));
            assert!(why.to_string().contains("-extfile"), "{why}");
            assert_eq!(who.common_name, CommonName::One("device".into()));
        }
    }
}

/// Old authorities are of version 1, and the operating system may still hold some.
#[test]
fn an_authority_may_be_of_version_1() {
    let key_pair = key(&PKCS_ECDSA_P256_SHA256);
    let name = der::name(&[&[Attribute(3, 12, b"Old Root".to_vec())]]);
    let root = der::certificate(Version::V1, &name, &key_pair, &name, &key_pair);
    let contents = authority("Old Root", Validity::Valid);
    let old = Authority { certificate: root, issuer: rcgen::Issuer::new(contents, key_pair) };
    let presented = presented::read(&old.issue(&client("device", Validity::Valid)).chain);
    let judged = trusting(&[&old.certificate]).judge(Some(&presented), Requirement::Required, now());
    assert_eq!(judged, Ok(()));
}
