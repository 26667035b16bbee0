//! Chains: intermediates, whose authority is what, usage, signatures, size.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, Issuer,
    PKCS_ECDSA_P256_SHA256,
};
use rustls::pki_types::CertificateDer;
use tidemq::net::tls::presented;
use tidemq::net::tls::trust::{CHAIN_BYTES, CHAIN_CERTIFICATES, UnusableAuthority, WebPkiTrust};
use tidemq::policy::certificates::{CertificateRefusal, Distrust, Requirement};

use super::handshake::{self, VERSIONS, shake};
use super::issue::{Authority, Identity, Validity, authority, client, key, now, trusted};
use super::table::{listing, trusting};

type Der = CertificateDer<'static>;

fn verify(authorities: &[&Der], chain: &[&Der]) -> Result<(), Distrust> {
    let chain: Vec<Der> = chain.iter().map(|&der| der.clone()).collect();
    let presented = presented::read(&chain);
    match trusting(authorities).judge(Some(&presented), Requirement::Required, now()) {
        Ok(()) => Ok(()),
        Err(CertificateRefusal::Untrusted(why)) => Err(why),
        Err(other) => panic!("{other}"),
    }
}

fn device() -> CertificateParams {
    client("device", Validity::Valid)
}

/// Root, two intermediates, a device.
struct Line {
    root: Authority,
    upper: Authority,
    lower: Authority,
    device: Identity,
}

impl Line {
    fn new() -> Line {
        let root = Authority::named("Root");
        let upper = root.delegate(authority("Upper", Validity::Valid));
        let lower = upper.delegate(authority("Lower", Validity::Valid));
        let device = lower.issue(&device());
        Line { root, upper, lower, device }
    }

    /// Root, upper, lower and the device's.
    fn certificates(&self) -> (&Der, &Der, &Der, &Der) {
        let Line { root, upper, lower, device } = self;
        (&root.certificate, &upper.certificate, &lower.certificate, &device.chain[0])
    }
}

#[test]
fn intermediates_are_sent_in_any_order_or_missed() {
    let line = Line::new();
    let (root, upper, lower, device) = line.certificates();
    assert_eq!(verify(&[root], &[device, lower, upper]), Ok(()));
    assert_eq!(verify(&[root], &[device, upper, lower]), Ok(()));
    assert_eq!(verify(&[root], &[device, lower, upper, root]), Ok(()));
    let noise = &trusted().certificate;
    assert_eq!(verify(&[root], &[device, noise, upper, noise, lower]), Ok(()));
    for missing in [&[device][..], &[device, lower], &[device, upper], &[device, root]] {
        assert_eq!(verify(&[root], missing), Err(Distrust::UnknownIssuer));
    }
    // The peer's own certificate must be the first.
    assert_eq!(verify(&[root], &[lower, device, upper]), Err(Distrust::WrongUsage));
}

#[test]
fn an_intermediate_is_an_authority_if_it_is_configured() {
    let line = Line::new();
    let (root, upper, lower, device) = line.certificates();
    assert_eq!(verify(&[lower], &[device]), Ok(()));
    assert_eq!(verify(&[lower], &[device, lower, upper, root]), Ok(()));
    assert_eq!(verify(&[upper], &[device, lower]), Ok(()));
    assert_eq!(verify(&[upper], &[device]), Err(Distrust::UnknownIssuer));
    // And nothing beside it is trusted.
    let beside = line.root.issue(&self::device());
    assert_eq!(verify(&[lower], &[&beside.chain[0]]), Err(Distrust::UnknownIssuer));
}

#[test]
fn any_of_several_authorities_will_do() {
    let line = Line::new();
    let (root, upper, lower, device) = line.certificates();
    let others = [&trusted().certificate, root];
    assert_eq!(verify(&others, &[device, lower, upper]), Ok(()));
    assert_eq!(verify(&others, &[&trusted().issue(&self::device()).chain[0]]), Ok(()));
    assert_eq!(verify(&[], &[device, lower, upper, root]), Err(Distrust::UnknownIssuer));
}

#[test]
fn chains_are_verified_in_handshakes() {
    let line = Line::new();
    let (root, upper, lower, device) = line.certificates();
    let cases = [
        (vec![device.clone(), lower.clone(), upper.clone()], None),
        (vec![device.clone(), upper.clone(), lower.clone()], None),
        (vec![device.clone()], Some(rustls::AlertDescription::UnknownCA)),
        (vec![lower.clone(), device.clone()], Some(rustls::AlertDescription::UnsupportedCertificate)),
    ];
    let server = handshake::server(trusting(&[root]), Requirement::Required);
    for version in VERSIONS {
        for (chain, alert) in &cases {
            let identity = line.device.with_chain(chain.clone());
            let ended = shake(&server, &Arc::new(handshake::client(version, Some(&identity))));
            assert_eq!(ended.alert, *alert, "{version:?}");
            if alert.is_none() {
                assert_eq!(ended.certificates(), chain.len());
            }
        }
    }
}

#[test]
fn an_issuer_out_of_its_time_issues_nothing() {
    for (validity, expected) in
        [(Validity::Expired, Distrust::Expired), (Validity::NotYet, Distrust::NotYetValid)]
    {
        let root = Authority::root(authority("Root", validity), &PKCS_ECDSA_P256_SHA256);
        let own = root.issue(&device());
        assert_eq!(verify(&[&root.certificate], &[&own.chain[0]]), Err(expected.clone()));
        let middle = trusted().delegate(authority("Middle", validity));
        let own = middle.issue(&device());
        let sent = [&own.chain[0], &middle.certificate];
        assert_eq!(verify(&[&trusted().certificate], &sent), Err(expected.clone()));
        assert_eq!(verify(&[&middle.certificate], &sent), Err(expected));
    }
}

/// The old certificate may stay configured.
#[test]
fn an_authority_is_renewed_with_its_key() {
    let old = Authority::root(authority("Root", Validity::Expired), &PKCS_ECDSA_P256_SHA256);
    let renewed = authority("Root", Validity::Valid).self_signed(old.issuer.key()).expect("made");
    let device = old.issue(&device());
    let (old, renewed, device) = (&old.certificate, renewed.der(), &device.chain[0]);
    assert_eq!(verify(&[old], &[device]), Err(Distrust::Expired));
    for configured in [&[renewed][..], &[old, renewed], &[renewed, old]] {
        assert_eq!(verify(configured, &[device]), Ok(()));
    }
}

fn constrained(name: &str, most: u8) -> CertificateParams {
    let mut contents = authority(name, Validity::Valid);
    contents.is_ca = IsCa::Ca(BasicConstraints::Constrained(most));
    contents
}

#[test]
fn path_lengths_count() {
    for (most, expected) in [(0, Err(Distrust::WrongUsage)), (1, Ok(()))] {
        let root = Authority::root(constrained("Root", most), &PKCS_ECDSA_P256_SHA256);
        assert_eq!(verify(&[&root.certificate], &[&root.issue(&device()).chain[0]]), Ok(()));
        let upper = root.delegate(constrained("Upper", most));
        let own = upper.issue(&device());
        assert_eq!(verify(&[&root.certificate], &[&own.chain[0], &upper.certificate]), expected);
        let root = Authority::named("Root");
        let upper = root.delegate(constrained("Upper", most));
        let lower = upper.delegate(authority("Lower", Validity::Valid));
        let own = lower.issue(&device());
        let sent = [&own.chain[0], &lower.certificate, &upper.certificate];
        assert_eq!(verify(&[&root.certificate], &sent), expected);
    }
}

#[test]
fn usage_counts() {
    let issue = |usages: Vec<ExtendedKeyUsagePurpose>| {
        let mut contents = device();
        contents.extended_key_usages = usages;
        trusted().issue(&contents)
    };
    use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
    let root = &trusted().certificate;
    assert_eq!(verify(&[root], &[&issue(vec![ServerAuth]).chain[0]]), Err(Distrust::WrongUsage));
    assert_eq!(verify(&[root], &[&issue(vec![ServerAuth, ClientAuth]).chain[0]]), Ok(()));
    assert_eq!(verify(&[root], &[&issue(Vec::new()).chain[0]]), Ok(()));
    // An authority is nobody's client.
    let middle = trusted().delegate(authority("Middle", Validity::Valid));
    assert_eq!(verify(&[root], &[&middle.certificate]), Err(Distrust::WrongUsage));
    // And a client nobody's authority.
    let contents = device();
    let holder = key(&PKCS_ECDSA_P256_SHA256);
    let issued = contents.signed_by(&holder, &trusted().issuer).expect("made");
    let usurper = Issuer::new(contents, holder);
    let own = client("other", Validity::Valid);
    let own = own.signed_by(&key(&PKCS_ECDSA_P256_SHA256), &usurper).expect("made");
    assert_eq!(verify(&[root], &[own.der(), issued.der()]), Err(Distrust::WrongUsage));
}

fn broken(certificate: &Der) -> Der {
    let mut bytes = certificate.to_vec();
    // The last byte is the signature's.
    *bytes.last_mut().expect("not empty") ^= 1;
    bytes.into()
}

#[test]
fn signatures_count() {
    let root = &trusted().certificate;
    let own = trusted().issue(&device());
    assert_eq!(verify(&[root], &[&broken(&own.chain[0])]), Err(Distrust::BadSignature));
    let middle = trusted().delegate(authority("Middle", Validity::Valid));
    let own = middle.issue(&device());
    let sent = [&own.chain[0], &broken(&middle.certificate)];
    assert_eq!(verify(&[root], &sent), Err(Distrust::BadSignature));
    // An authority of the same name, with another key.
    let namesake = Authority::named("The Configured Authority");
    let own = namesake.issue(&device());
    assert_eq!(verify(&[root], &[&own.chain[0]]), Err(Distrust::BadSignature));
    assert_eq!(verify(&[root, &namesake.certificate], &[&own.chain[0]]), Ok(()));
    // A certificate that is listed needs nobody's signature.
    let own = trusted().issue(&device());
    let changed = own.with_chain(vec![broken(&own.chain[0])]);
    for version in VERSIONS {
        let client = Arc::new(handshake::client(version, Some(&changed)));
        let ended = shake(&handshake::server(trusting(&[root]), Requirement::Required), &client);
        assert_eq!(ended.alert, Some(rustls::AlertDescription::BadCertificate));
        let policy = listing(&changed.chain[0]);
        assert!(shake(&handshake::server(policy, Requirement::Required), &client).server.is_ok());
    }
}

/// Neither the reader nor the verifier is led astray, wherever the bit lies.
#[test]
fn no_bit_may_be_flipped() {
    let root = &trusted().certificate;
    let own = trusted().issue(&device());
    let whole = &own.chain[0];
    assert_eq!(verify(&[root], &[whole]), Ok(()));
    for place in 0..8 * whole.len() {
        let mut bytes = whole.to_vec();
        bytes[place / 8] ^= 1 << (place % 8);
        assert!(verify(&[root], &[&bytes.into()]).is_err(), "bit {place}");
    }
}

#[test]
fn self_signed_ones_are_trusted_only_as_authorities() {
    let own = Identity::self_signed(&device());
    let certificate = &own.chain[0];
    assert_eq!(verify(&[&trusted().certificate], &[certificate]), Err(Distrust::UnknownIssuer));
    assert_eq!(verify(&[certificate], &[certificate]), Ok(()));
    // What `openssl req -x509` makes is an authority: it may be listed.
    let own = Identity::self_signed(&authority("device", Validity::Valid));
    let policy = listing(&own.chain[0]);
    for version in VERSIONS {
        let client = Arc::new(handshake::client(version, Some(&own)));
        let ended = shake(&handshake::server(policy.clone(), Requirement::Required), &client);
        assert_eq!(ended.alert, None);
    }
}

/// A certificate with an extension of so many bytes that nobody knows.
fn padded(bytes: usize) -> Identity {
    let mut contents = device();
    let extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![0; bytes]);
    contents.custom_extensions = vec![extension];
    trusted().issue(&contents)
}

#[test]
fn chains_are_as_long_as_is_sensible() {
    let root = &trusted().certificate;
    let large = padded(16 * 1024);
    assert_eq!(verify(&[root], &[&large.chain[0]]), Ok(()));
    let mut many = vec![&large.chain[0]];
    many.resize(CHAIN_CERTIFICATES, root);
    assert_eq!(verify(&[root], &many), Ok(()));
    many.push(root);
    assert!(matches!(verify(&[root], &many), Err(Distrust::Other(why)) if why.contains("17 certificates")));
    let larger = padded(CHAIN_BYTES);
    assert!(matches!(verify(&[root], &[&larger.chain[0]]), Err(Distrust::Other(_))));
    // In the handshake, trusted or listed: 64 KiB is where rustls itself ends.
    for version in VERSIONS {
        for (identity, accepted) in [(&large, true), (&larger, false), (&padded(100_000), false)] {
            let client = Arc::new(handshake::client(version, Some(identity)));
            for policy in [trusting(&[root]), listing(&identity.chain[0])] {
                let ended = shake(&handshake::server(policy, Requirement::Required), &client);
                assert_eq!(ended.server.is_ok(), accepted, "{version:?}, {:?}", ended.alert);
            }
        }
    }
}

/// Authorities of one name, each of which may have issued each: webpki would try every order.
#[test]
fn entangled_chains_cost_little() {
    let namesake = || Identity::self_signed(&authority("Hydra", Validity::Valid)).chain.remove(0);
    let hydra = Authority::named("Hydra");
    let own = hydra.issue(&device());
    let mut sent = own.chain.clone();
    sent.resize_with(CHAIN_CERTIFICATES, namesake);
    let sent: Vec<&Der> = sent.iter().collect();
    // Not "too entangled": that would be said after 200,000 attempts.
    assert_eq!(verify(&[&trusted().certificate], &sent), Err(Distrust::UnknownIssuer));
    // Two of a name are tried, as cross-signed ones need.
    let sent = [&own.chain[0], &namesake(), &hydra.certificate];
    assert_eq!(verify(&[&hydra.certificate], &sent), Ok(()));
}

#[test]
fn what_is_no_certificate_is_no_authority() {
    let junk = CertificateDer::from(&b"junk"[..]);
    let error = WebPkiTrust::new(&[trusted().certificate.clone(), junk.clone()], None).expect_err("junk");
    assert!(matches!(error, UnusableAuthority { number: 1, .. }), "{error}");
    let root = &trusted().certificate;
    let device = trusted().issue(&device());
    assert!(matches!(verify(&[root], &[&junk]), Err(Distrust::Other(_))));
    assert!(matches!(verify(&[root], &[]), Err(Distrust::Other(_))));
    assert_eq!(verify(&[root], &[&device.chain[0], &junk]), Ok(()));
}
