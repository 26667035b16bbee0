//! Certificates made for clients. A key leaves in the answer and stays nowhere.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DnType, KeyPair};

use super::super::client_certificates::{self, ClientStatus};
use super::super::issuing::*;
use super::super::secret::File;
use super::*;
use crate::control::pki::{Imported, Store, import};

fn asked(name: &str) -> ClientIssue {
    ClientIssue {
        name: name.into(),
        sans: Vec::new(),
        days: 9,
        key_type: KeyKind::default(),
        form: BundleForm::Pem,
        password: None,
        old_encryption: false,
        authority: None,
        authorize: false,
    }
}

fn request(common_name: &str) -> ClientSign {
    let mut params = CertificateParams::new(["host.example".to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let made = params.serialize_request(&KeyPair::generate().unwrap()).unwrap();
    ClientSign {
        request: File::of(made.pem().unwrap().as_bytes()),
        days: 9,
        profile: SignedFor::Client,
        authority: None,
        authorize: false,
    }
}

/// Issues one, for other tests.
pub(super) async fn issue_one(place: &Place, name: &str, authorize: bool) -> ClientIssued {
    issue(&place.desk, ClientIssue { authorize, ..asked(name) }, None).await.unwrap().answer
}

fn opened(issued: &ClientIssued, password: Option<&str>) -> Imported {
    import(&STANDARD.decode(&issued.data).unwrap(), password).unwrap()
}

/// As [`refused`], of what must not be shown.
fn refusal(result: Result<OfDraft<ClientIssued>, Problem>) -> (u16, String) {
    let (status, kind, _) = refused(result.map(|of| of.map(|issued| issued.file_name)));
    (status, kind)
}

#[tokio::test]
async fn a_client_gets_key_certificate_and_chain_and_nobody_else_the_key() {
    let place = Place::new();
    place.authority("Authority").await;
    let before = place.text();
    let made = issue_one(&place, "device1", false).await;
    assert_eq!(
        (made.file_name.as_str(), made.content_type.as_str()),
        ("device1.pem", "application/x-pem-file")
    );
    let bundle = opened(&made, None).certified;
    assert!(bundle.key.is_some() && bundle.chain.len() == 2);
    assert_eq!(bundle.thumbprint().to_string(), made.certificate.thumbprint);
    assert_eq!((made.listed_as.as_deref(), place.text()), (None, before));
    let store = Store::open(place.temp.path()).unwrap();
    assert!(store.has(&bundle.thumbprint()) && !store.has_key(&bundle.thumbprint()));
    let listed = client_certificates::list(&place.desk).await.unwrap().answer;
    assert_eq!((listed.len(), listed[0].status), (1, ClientStatus::Unlisted));

    let pkcs12 = ClientIssue {
        form: BundleForm::Pkcs12,
        password: Some("tide-4711".to_owned().into()),
        sans: vec!["DNS:host.example".into()],
        authorize: true,
        ..asked(HOSTILE[2])
    };
    let made = issue(&place.desk, pkcs12, place.tag()).await.unwrap();
    assert_eq!(made.hash, place.tag());
    let made = made.answer;
    assert_eq!(
        (made.file_name.as_str(), made.listed_as.as_deref()),
        ("______etc_passwd.p12", Some(HOSTILE[2]))
    );
    assert!(opened(&made, Some("tide-4711")).certified.key.is_some());
    assert_eq!(made.certificate.alternative_names, ["DNS:host.example"]);
    assert!(!place.text().contains("4711"));
}

#[tokio::test]
async fn one_that_was_issued_here_is_listed_or_forgotten_later() {
    let place = Place::new();
    place.authority("Authority").await;
    let made = issue_one(&place, "device1", false).await.certificate.thumbprint;
    let change = client_certificates::ClientCertificateChange {
        status: client_certificates::ClientListing::Revoked,
        name: Some("lost".into()),
    };
    let listed = client_certificates::change(&place.desk, made.clone(), change, None).await.unwrap().answer;
    assert_eq!((listed.name.as_str(), listed.status), ("lost", ClientStatus::Revoked));
    client_certificates::remove(&place.desk, made.clone(), None).await.unwrap();
    let before = place.tag();
    let stale_removal = client_certificates::remove(&place.desk, made.clone(), stale()).await;
    assert_eq!(refused(stale_removal).0, 412);
    let forgotten = client_certificates::remove(&place.desk, made, before.clone()).await.unwrap();
    assert_eq!(forgotten.hash, before, "the file says nothing of it");
    assert_eq!(client_certificates::list(&place.desk).await.unwrap().answer, []);
}

#[tokio::test]
async fn the_authority_that_is_named_issues() {
    let place = Place::new();
    place.authority("First").await;
    let second = place.authority("Second").await;
    let named = ClientIssue { authority: Some(second.thumbprint), ..asked("device1") };
    let made = issue(&place.desk, named, None).await.unwrap().answer;
    assert_eq!(made.certificate.issuer, "CN=Second");
}

#[tokio::test]
async fn a_request_is_signed_for_a_client_and_for_another_service() {
    let place = Place::new();
    place.authority("Authority").await;
    let signed = ClientSign { authorize: true, ..request("device1") };
    let made = sign(&place.desk, signed, place.tag()).await.unwrap();
    assert_eq!((made.hash, made.answer.listed_as.as_deref()), (place.tag(), Some("device1")));
    assert!(opened(&made.answer, None).certified.key.is_none());

    let server = ClientSign { profile: SignedFor::Server, ..request("service") };
    let made = sign(&place.desk, server, None).await.unwrap().answer;
    assert_eq!(made.certificate.usages, ["digitalSignature", "serverAuth"]);
    assert_eq!(client_certificates::list(&place.desk).await.unwrap().answer.len(), 1);
    let both = ClientSign { profile: SignedFor::Server, authorize: true, ..request("service") };
    assert_eq!(refusal(sign(&place.desk, both, None).await), (422, "tidemq:not-a-client".into()));
}

#[tokio::test]
async fn what_cannot_be_issued_is_refused_and_leaves_nothing() {
    let place = Place::new();
    let desk = &place.desk;
    assert_eq!(refusal(issue(desk, asked("x"), None).await), (409, "tidemq:nobody-issues".into()));
    place.authority("Authority").await;
    let (before, stored) = (place.text(), Store::open(place.temp.path()).unwrap().list().unwrap());
    let password = || Some("4711".to_owned().into());
    for (bad, kind) in [
        (ClientIssue { form: BundleForm::Pkcs12, ..asked("x") }, "tidemq:password-wanted"),
        (ClientIssue { password: password(), ..asked("x") }, "tidemq:no-password"),
        (ClientIssue { days: 0, ..asked("x") }, "tidemq:not-taken"),
        (ClientIssue { sans: vec!["DNS: ".into()], ..asked("x") }, "tidemq:not-taken"),
        (asked(""), "tidemq:not-taken"),
    ] {
        assert_eq!(refusal(issue(desk, bad, None).await), (422, kind.into()));
    }
    let nobody = ClientIssue { authority: Some("Authority".into()), ..asked("x") };
    assert_eq!(refusal(issue(desk, nobody, None).await).0, 404);
    assert_eq!(refusal(issue(desk, asked("x"), stale()).await).0, 412);
    let junk = ClientSign { request: File::of(b"junk"), ..request("x") };
    assert_eq!(refusal(sign(desk, junk, None).await).0, 422);
    assert_eq!(refusal(sign(desk, request("x"), stale()).await).0, 412);
    assert_eq!((place.text(), Store::open(place.temp.path()).unwrap().list().unwrap()), (before, stored));
}
