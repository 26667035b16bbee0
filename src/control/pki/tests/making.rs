//! What is made says what was asked and verifies; what cannot be is refused.

use rustls_pki_types::ServerName;

use super::super::make::{self, AuthorityRequest, BrokerRequest, ClientRequest};
use super::super::verify::{self, Use};
use super::super::{Certified, Issuer, KeyType, PkiError, describe, keys};
use super::*;
use crate::policy::certificates::CommonName;

fn one(name: &str) -> CommonName {
    CommonName::One(name.into())
}

#[test]
fn an_authority_says_that_it_is_one() {
    let made = authority("Plant 7");
    let said = describe(made.certificate()).unwrap();
    assert!(said.is_authority && said.self_issued);
    assert_eq!(said.common_name, one("Plant 7"));
    assert_eq!((said.subject.as_str(), said.issuer.as_str()), ("CN=Plant 7", "CN=Plant 7"));
    assert_eq!(said.usages, ["keyCertSign", "cRLSign"]);
    assert_eq!((said.not_before, said.not_after), (NOW - 3_600, NOW - 3_600 + 3_650 * DAY));
    assert_eq!(said.key, "ECDSA P-256");
    assert_eq!((said.version, said.serial.len()), (3, 40));
    assert_eq!((said.sha1.len(), said.sha256), (40, made.thumbprint()));
    keys::must_fit(made.certificate(), made.key.as_ref().unwrap()).unwrap();
    // Two that are asked for alike are not the same.
    assert_ne!(authority("Plant 7").thumbprint(), made.thumbprint());
}

#[test]
fn every_type_of_key_issues_and_is_issued_for() {
    for key_type in [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::Ed25519, KeyType::Rsa2048] {
        assert_eq!(key_type.to_string().parse::<KeyType>().unwrap(), key_type);
        let request = AuthorityRequest { common_name: "Any".into(), days: 1, key_type };
        let authority = make::authority(&request, NOW).unwrap();
        let issuer = Issuer::new(&authority, NOW).unwrap();
        let request = ClientRequest { key_type, ..client_request("device1") };
        let made = make::client(&issuer, &request, NOW).unwrap();
        keys::must_fit(made.certificate(), made.key.as_ref().unwrap()).unwrap();
        let said = describe(made.certificate()).unwrap();
        assert_eq!(KeyType::described(&said.key), Some(key_type));
    }
    assert!(matches!("rsa-1024".parse::<KeyType>(), Err(PkiError::BadKeyType(_))));
}

#[test]
fn a_client_certificate_is_for_clients_and_no_longer_than_its_authority() {
    let issuer = issuer();
    let names = ["DNS:device1.example", "IP:10.0.0.1", "email:a@b.example", "URI:urn:device:1"];
    let request = ClientRequest {
        names: names.iter().map(|name| name.parse().unwrap()).collect(),
        days: 36_500,
        ..client_request("device1")
    };
    let made = make::client(&issuer, &request, NOW).unwrap();
    let said = describe(made.certificate()).unwrap();
    assert_eq!(said.common_name, one("device1"));
    assert_eq!(said.issuer, "CN=Authority");
    assert_eq!(said.alternative_names, names);
    assert_eq!(said.usages, ["digitalSignature", "clientAuth"]);
    assert!(!said.is_authority);
    assert_eq!(said.not_after, issuer.description().not_after);
    assert_eq!(made.chain[1], issuer.chain()[0]);
    let root = &issuer.chain()[0];
    verify::against(root, made.certificate(), &Use::Client, NOW).unwrap();
    let name = ServerName::try_from("device1.example").unwrap();
    assert!(verify::against(root, made.certificate(), &Use::Server(&name), NOW).is_err());
    assert!(
        verify::against(&authority("Authority").chain[0], made.certificate(), &Use::Client, NOW).is_err()
    );
    assert!(verify::against(root, made.certificate(), &Use::Client, said.not_after + DAY).is_err());
}

#[test]
fn names_and_days_that_cannot_be_are_refused() {
    let issuer = issuer();
    for name in ["", "a\0b", "a\nb", &"x".repeat(65)] {
        let refused = make::client(&issuer, &client_request(name), NOW);
        assert!(matches!(refused, Err(PkiError::BadName { .. })), "{name:?}");
        let request = AuthorityRequest { common_name: name.into(), days: 1, key_type: KeyType::EcdsaP256 };
        assert!(matches!(make::authority(&request, NOW), Err(PkiError::BadName { .. })), "{name:?}");
    }
    // What only topic patterns do not like can be a name.
    for name in ["a/b", "a+b", "#", "$SYS", "Zoë", &"x".repeat(64), "a,b=c"] {
        let made = client(&issuer, name);
        assert_eq!(describe(made.certificate()).unwrap().common_name, one(name));
    }
    for days in [0, 36_501] {
        let refused = make::client(&issuer, &ClientRequest { days, ..client_request("a") }, NOW);
        assert!(matches!(refused, Err(PkiError::BadDays { .. })), "{days}");
    }
}

fn broker_request(names: &[&str]) -> BrokerRequest {
    BrokerRequest {
        names: names.iter().map(|name| name.parse().unwrap()).collect(),
        days: make::BROKER_DAYS,
        key_type: KeyType::EcdsaP256,
    }
}

#[test]
fn the_broker_is_known_by_each_of_its_names() {
    let issuer = issuer();
    let issued =
        make::broker(Some(&issuer), &broker_request(&["broker.example", "10.0.0.1", "::1"]), NOW).unwrap();
    let alone = make::broker(None, &broker_request(&["broker.example", "10.0.0.1", "::1"]), NOW).unwrap();
    assert_eq!(issued.chain.len(), 1, "clients have the authority");
    for (made, root) in [(&issued, &issuer.chain()[0]), (&alone, &alone.chain[0])] {
        for name in ["broker.example", "10.0.0.1", "::1"] {
            let name = ServerName::try_from(name).unwrap();
            verify::against(root, made.certificate(), &Use::Server(&name), NOW).unwrap();
        }
        let other = ServerName::try_from("other.example").unwrap();
        assert!(verify::against(root, made.certificate(), &Use::Server(&other), NOW).is_err());
        assert!(verify::against(root, made.certificate(), &Use::Client, NOW).is_err());
    }
    let said = describe(alone.certificate()).unwrap();
    assert!(said.self_issued && !said.is_authority);
    assert_eq!(said.common_name, one("broker.example"));
    make::broker(None, &broker_request(&["*.example.com"]), NOW).unwrap();
    for nameless in [&[][..], &["a@b.example"]] {
        let refused = make::broker(None, &broker_request(nameless), NOW);
        assert!(matches!(refused, Err(PkiError::BadName { .. })));
    }
    let long = BrokerRequest { days: 399, ..broker_request(&["a.example"]) };
    assert!(matches!(make::broker(None, &long, NOW), Err(PkiError::BadDays { most: 398, .. })));
}

#[test]
fn an_imported_authority_issues_under_its_whole_name() {
    let authority = foreign_authority(with_two_units);
    let issuer = Issuer::new(&authority, NOW).unwrap();
    assert_eq!(issuer.description().subject, "OU=Second,OU=First,CN=Foreign");
    // Each is verified when it is made.
    let made = client(&issuer, "device1");
    assert_eq!(describe(made.certificate()).unwrap().issuer, "OU=Second,OU=First,CN=Foreign");
    make::broker(Some(&issuer), &broker_request(&["a.example"]), NOW).unwrap();
}

#[test]
fn an_authority_that_constrains_names_issues_no_others() {
    let authority = foreign_authority(|params| {
        let permitted = vec![rcgen::GeneralSubtree::DnsName("plant.example".into())];
        params.name_constraints =
            Some(rcgen::NameConstraints { permitted_subtrees: permitted, excluded_subtrees: Vec::new() });
    });
    let issuer = Issuer::new(&authority, NOW).unwrap();
    make::broker(Some(&issuer), &broker_request(&["a.plant.example"]), NOW).unwrap();
    let refused = make::broker(Some(&issuer), &broker_request(&["a.other.example"]), NOW);
    assert!(matches!(refused, Err(PkiError::Unverified { .. })), "{refused:?}");
}

#[test]
fn only_an_authority_with_its_key_issues() {
    let without_key = Certified { key: None, ..authority("Authority") };
    assert!(matches!(Issuer::new(&without_key, NOW), Err(PkiError::AuthorityWithoutKey(_))));
    let late = NOW + 4_000 * DAY;
    assert!(matches!(Issuer::new(&authority("Authority"), late), Err(PkiError::Expired { .. })));
    assert!(matches!(Issuer::new(&foreign(|_| {}), NOW), Err(PkiError::NotAnAuthority { .. })));
    let no_signing = foreign_authority(|params| params.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign]);
    assert!(matches!(Issuer::new(&no_signing, NOW), Err(PkiError::NotAnAuthority { .. })));
    let mixed = Certified { key: authority("Other").key, ..authority("Authority") };
    assert!(matches!(Issuer::new(&mixed, NOW), Err(PkiError::Mismatch(_))));
}

#[test]
fn no_key_is_ever_shown() {
    let made = authority("Authority");
    let secret = made.key.as_ref().unwrap().secret_der();
    let bytes = format!("{secret:?}");
    let shown = [format!("{made:?}"), format!("{:?}", Issuer::new(&made, NOW).unwrap())];
    for shown in shown {
        assert!(!shown.contains(&bytes[1..bytes.len() - 1]), "{shown}");
        assert!(!shown.contains(&describe::hexadecimal(secret)), "{shown}");
    }
}
