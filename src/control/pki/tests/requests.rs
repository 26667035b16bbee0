//! Signing requests: what is taken over, and what is not.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, PublicKeyData,
};

use super::super::make::Profile;
use super::super::request::SigningRequest;
use super::super::{PkiError, describe};
use super::*;

fn request(change: impl FnOnce(&mut CertificateParams)) -> (rcgen::CertificateSigningRequest, KeyPair) {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let mut params = CertificateParams::new(["device9.example".to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "device9");
    change(&mut params);
    (params.serialize_request(&key).unwrap(), key)
}

#[test]
fn key_and_names_are_taken_over_and_nothing_else() {
    let (request, key) = request(|params| {
        params.distinguished_name.push(DnType::OrganizationName, "Whatever they like");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let issuer = issuer();
    for bytes in [request.pem().unwrap().into_bytes(), request.der().to_vec()] {
        let read = SigningRequest::read(&bytes).unwrap();
        assert_eq!((read.common_name.as_str(), read.key.as_str()), ("device9", "ECDSA P-384"));
        let made = read.sign(&issuer, Profile::Client, 30, NOW).unwrap();
        let said = describe(made.certificate()).unwrap();
        assert!(!said.is_authority && made.key.is_none());
        assert_eq!(said.usages, ["digitalSignature", "clientAuth"]);
        assert_eq!(said.subject, "CN=device9");
        assert_eq!(said.alternative_names, ["DNS:device9.example"]);
        let parsed = describe::parse(made.certificate()).unwrap();
        assert_eq!(parsed.public_key().subject_public_key.data.as_ref(), key.der_bytes());
        let server = read.sign(&issuer, Profile::Server, 30, NOW).unwrap();
        assert_eq!(describe(server.certificate()).unwrap().usages, ["digitalSignature", "serverAuth"]);
    }
}

#[test]
fn what_is_not_a_sound_request_is_refused() {
    let (sound, _) = request(|_| {});
    let mut forged = sound.der().to_vec();
    // The last byte belongs to the signature.
    *forged.last_mut().unwrap() ^= 1;
    assert!(
        matches!(SigningRequest::read(&forged), Err(PkiError::BadRequest(why)) if why.contains("signature"))
    );
    let (nameless, _) = request(|params| params.distinguished_name = rcgen::DistinguishedName::new());
    assert!(
        matches!(SigningRequest::read(nameless.der()), Err(PkiError::BadRequest(why)) if why.contains("no Common Name"))
    );
    let twice = |params: &mut CertificateParams| {
        params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 3]), "device10");
    };
    let (twice, _) = request(twice);
    assert!(
        matches!(SigningRequest::read(twice.der()), Err(PkiError::BadRequest(why)) if why.contains("several"))
    );
    let certificate = authority("Authority");
    let refused = SigningRequest::read(certificate.certificate()).unwrap_err();
    assert!(refused.to_string().contains("certificate already"), "{refused}");
    for bytes in [&b""[..], b"hello", &sound.der()[..40]] {
        assert!(SigningRequest::read(bytes).is_err());
    }
    let (control, _) = request(|params| params.distinguished_name.push(DnType::CommonName, "a\nb"));
    let read = SigningRequest::read(control.der()).unwrap();
    assert!(matches!(read.sign(&issuer(), Profile::Client, 30, NOW), Err(PkiError::BadName { .. })));
}
