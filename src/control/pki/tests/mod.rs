//! Certificates there and back: made, verified, kept, read in each form, refused with the right words.

mod broker;
mod making;
mod reading;
mod requests;
mod storing;

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls_pki_types::PrivatePkcs8KeyDer;

use super::make::{self, AuthorityRequest, ClientRequest};
use super::{Certified, Issuer, KeyType};

/// A moment at which all is tried: 2026-11-22.
pub(super) const NOW: i64 = 1_795_305_600;
pub(super) const DAY: i64 = 86_400;

pub(super) fn authority(name: &str) -> Certified {
    let request = AuthorityRequest { common_name: name.into(), days: 3_650, key_type: KeyType::EcdsaP256 };
    make::authority(&request, NOW).unwrap()
}

pub(super) fn issuer() -> Issuer {
    Issuer::new(&authority("Authority"), NOW).unwrap()
}

pub(super) fn client(issuer: &Issuer, name: &str) -> Certified {
    make::client(issuer, &client_request(name), NOW).unwrap()
}

pub(super) fn client_request(name: &str) -> ClientRequest {
    ClientRequest { common_name: name.into(), names: Vec::new(), days: 30, key_type: KeyType::EcdsaP256 }
}

/// A certificate as somebody else made it.
pub(super) fn foreign(change: impl FnOnce(&mut CertificateParams)) -> Certified {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["host.example".to_owned()]).unwrap();
    params.not_before = time::OffsetDateTime::from_unix_timestamp(NOW - DAY).unwrap();
    params.not_after = time::OffsetDateTime::from_unix_timestamp(NOW + DAY).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Foreign");
    change(&mut params);
    let made = params.self_signed(&key).unwrap();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    Certified { chain: vec![made.into()], key: Some(key) }
}

pub(super) fn foreign_authority(change: impl FnOnce(&mut CertificateParams)) -> Certified {
    foreign(|params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(params);
    })
}

/// An organisational unit twice: the maker's map takes a type once, and does not know that this number is that type.
pub(super) fn with_two_units(params: &mut CertificateParams) {
    params.distinguished_name.push(DnType::OrganizationalUnitName, "First");
    params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 11]), "Second");
}

pub(super) fn for_servers(params: &mut CertificateParams) {
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
}
