//! Possession of the key must be proved: a certificate is public.

use std::sync::Arc;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
use rustls::{AlertDescription, CertificateError, Error};
use tidemq::net::tls::presented;
use tidemq::policy::certificates::{CertificateRefusal, Requirement};

use super::handshake::{VERSIONS, client, server, shake};
use super::issue::{self, Identity, Validity, key, trusted};
use super::table::{listing, trusting};

#[test]
fn somebody_elses_certificate_is_of_no_use() {
    let stolen = trusted().issue(&issue::client("victim", Validity::Valid));
    let keys: [KeyPair; 3] = [key(&PKCS_ECDSA_P256_SHA256), key(&PKCS_ECDSA_P384_SHA384), key(&PKCS_ED25519)];
    for thief in keys.iter().map(|key| Identity::new(stolen.chain.clone(), key)) {
        for version in VERSIONS {
            for policy in [trusting(&[&trusted().certificate]), listing(&stolen.chain[0])] {
                for requirement in [Requirement::Required, Requirement::Optional] {
                    let server = server(policy.clone(), requirement);
                    let honest = shake(&server, &Arc::new(client(version, Some(&stolen))));
                    assert_eq!(honest.alert, None);
                    let ended = shake(&server, &Arc::new(client(version, Some(&thief))));
                    assert_eq!(ended.alert, Some(AlertDescription::DecryptError), "{version:?}");
                    assert!(matches!(ended.server, Err(Error::InvalidCertificate(_))));
                    let (who, why) = ended.refused.expect("refused");
                    assert_eq!(why, CertificateRefusal::Unproved);
                    assert_eq!(who.thumbprint, presented::thumbprint(&stolen.chain[0]));
                }
            }
        }
    }
}

/// What was refused on one connection is not laid to the charge of the next.
#[test]
fn a_refusal_is_taken_once() {
    let identity = trusted().issue(&issue::client("device", Validity::Valid));
    let server = server(trusting(&[]), Requirement::Required);
    for version in VERSIONS {
        let ended = shake(&server, &Arc::new(client(version, Some(&identity))));
        assert!(ended.refused.is_some());
        assert_eq!(ended.server.err(), Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)));
        assert!(shake(&server, &Arc::new(client(version, None))).refused.is_none());
    }
}
