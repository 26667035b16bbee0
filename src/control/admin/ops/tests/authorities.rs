//! Certificate authorities.

use super::super::authorities::*;
use super::super::certificate::CertificateForm;
use super::super::client_certificates;
use super::super::secret::File;
use super::*;
use crate::control::pki::export::{self, Protection};
use crate::control::pki::make::{self, AuthorityRequest};
use crate::control::pki::{Certified, KeyType, Store, import};

fn foreign(name: &str) -> Certified {
    let request = AuthorityRequest { common_name: name.into(), days: 9, key_type: KeyType::EcdsaP256 };
    make::authority(&request, now()).unwrap()
}

fn new(name: &str) -> AuthorityNew {
    AuthorityNew { name: name.into(), days: 30, key_type: KeyKind::default(), issues: true }
}

fn file(bytes: &[u8]) -> AuthorityImport {
    AuthorityImport { data: File::of(bytes), key: None, password: None, name: None, issues: false }
}

impl Place {
    async fn authorities(&self) -> Vec<AuthorityShown> {
        let listed = list(&self.desk).await.unwrap();
        assert_eq!(listed.hash, self.tag());
        listed.answer
    }
}

#[tokio::test]
async fn the_first_authority_issues_and_another_does_when_it_is_chosen() {
    let place = Place::new();
    let first = place.authority("First").await;
    assert!(first.issues && first.has_key);
    let second = place.authority("Second").await;
    assert!(!second.issues && second.has_key);
    let said = second.certificate.clone().unwrap();
    assert!(said.is_authority && said.self_issued && !said.expired && said.expires_soon);
    assert_eq!((said.subject.as_str(), &said.thumbprint), ("CN=Second", &second.thumbprint));
    assert!(said.not_after.ends_with('Z') && said.not_after_unix_secs > now());

    let chosen = let_issue(&place.desk, second.thumbprint.clone(), place.tag()).await.unwrap();
    assert!(chosen.answer.issues && chosen.hash == place.tag());
    let issuing: Vec<bool> = place.authorities().await.iter().map(|one| one.issues).collect();
    assert_eq!(issuing, [false, true]);

    let gone = remove(&place.desk, second.thumbprint.clone(), place.tag()).await.unwrap();
    assert_eq!(gone.hash, place.tag());
    assert_eq!(place.authorities().await.len(), 1);
    // An earlier generation may name it.
    let store = Store::open(place.temp.path()).unwrap();
    assert!(store.has_key(&second.thumbprint.parse().unwrap()));
}

#[tokio::test]
async fn an_authority_is_taken_with_its_key_or_without_from_what_people_have() {
    let place = Place::new();
    let made = foreign("Foreign");
    let public = take(&place.desk, file(export::pem(&made.chain).as_bytes()), place.tag()).await.unwrap();
    let authority = public.answer.authority;
    assert!(authority.name == "Foreign" && !authority.has_key && !authority.issues);
    let without = refused(let_issue(&place.desk, authority.thumbprint.clone(), None).await);
    assert_eq!((without.0, without.1.as_str()), (409, "tidemq:no-key"));
    let again = refused(take(&place.desk, file(export::der(&made)), None).await);
    assert_eq!((again.0, again.1.as_str()), (409, "tidemq:known"));

    let protected = export::pkcs12(&made, "tide-4711", Protection::Modern).unwrap();
    let with = |password: Option<&str>| AuthorityImport {
        password: password.map(|text| text.to_owned().into()),
        ..file(&protected)
    };
    let wanted = refused(take(&place.desk, with(None), None).await);
    assert_eq!((wanted.0, wanted.1.as_str()), (422, "tidemq:password-wanted"));
    let wrong = refused(take(&place.desk, with(Some("4712")), None).await);
    assert_eq!((wrong.0, wrong.1.as_str()), (422, "tidemq:wrong-password"));
    assert!(!wrong.2.contains("4712"));
    let complete = take(&place.desk, with(Some("tide-4711")), None).await.unwrap().answer.authority;
    assert!(complete.has_key && complete.issues);
    assert_eq!(place.authorities().await.len(), 1);
    assert!(!place.text().contains("4711"));
}

#[tokio::test]
async fn who_would_lose_trust_is_counted() {
    let place = Place::new();
    let (one, other) = (place.authority("Same").await, foreign("Same"));
    // The other one bears the same name and has issued nothing.
    take(&place.desk, AuthorityImport { name: Some("other".into()), ..file(export::der(&other)) }, None)
        .await
        .unwrap();
    for (name, authorize) in [("a", true), ("b", true), ("c", false)] {
        issuing::issue_one(&place, name, authorize).await;
    }
    let revoked = issuing::issue_one(&place, "d", true).await;
    let change = client_certificates::ClientCertificateChange {
        status: client_certificates::ClientListing::Revoked,
        name: None,
    };
    client_certificates::change(&place.desk, revoked.certificate.thumbprint, change, None).await.unwrap();
    let counts: Vec<(usize, usize)> =
        place.authorities().await.iter().map(|one| (one.authorized_clients, one.unlisted_clients)).collect();
    assert_eq!(counts, [(2, 1), (0, 0)]);
    assert_eq!(place.authorities().await[0].thumbprint, one.thumbprint);
}

#[tokio::test]
async fn a_certificate_is_taken_away_without_its_key() {
    let place = Place::new();
    let name = HOSTILE[2];
    let made = place.authority(name).await;
    for form in [CertificateForm::Pem, CertificateForm::PemChain, CertificateForm::Der] {
        let file = download(&place.desk, made.thumbprint.clone(), form).await.unwrap();
        let imported = import(&file.bytes, None).unwrap().certified;
        assert_eq!((imported.thumbprint().to_string(), imported.key), (made.thumbprint.clone(), None));
        let ending = if form == CertificateForm::Der { "cer" } else { "pem" };
        assert_eq!(file.file_name, format!("______etc_passwd.{ending}"));
    }
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_leaves_nothing() {
    let place = Place::new();
    let one = place.authority("One").await;
    let (before, desk) = (place.text(), &place.desk);
    let stored = || Store::open(place.temp.path()).unwrap().list().unwrap().len();
    let kept = stored();
    assert_eq!(refused(create(desk, new("One"), None).await).1, "tidemq:name-taken");
    assert_eq!(refused(create(desk, new("Two"), stale()).await).0, 412);
    assert_eq!(refused(let_issue(desk, one.thumbprint.clone(), stale()).await).0, 412);
    assert_eq!(refused(remove(desk, one.thumbprint.clone(), stale()).await).0, 412);
    for bad in ["", "line\nbreak", &"x".repeat(65)] {
        assert_eq!(refused(create(desk, new(bad), None).await).0, 422, "{bad:?}");
    }
    let days = AuthorityNew { days: 0, ..new("Two") };
    assert_eq!(refused(create(desk, days, None).await).0, 422);
    for nobody in ["One", "x", &"0".repeat(64), "../../x"] {
        assert_eq!(refused(let_issue(desk, nobody.into(), None).await).0, 404, "{nobody}");
        assert_eq!(refused(remove(desk, nobody.into(), None).await).0, 404, "{nobody}");
        assert_eq!(download(desk, nobody.into(), CertificateForm::Pem).await.unwrap_err().status, 404);
    }
    let junk = refused(take(desk, file(b"junk"), None).await);
    assert_eq!(junk.0, 422);
    assert_eq!((place.text(), stored()), (before, kept));
}

#[tokio::test]
async fn one_that_is_called_by_the_thumbprint_of_another_is_not_taken_for_it() {
    let place = Place::new();
    let one = place.authority("One").await;
    let made = foreign("Foreign");
    let impostor = AuthorityImport { name: Some(one.thumbprint.clone()), ..file(export::der(&made)) };
    take(&place.desk, impostor, None).await.unwrap();
    remove(&place.desk, one.thumbprint.clone(), None).await.unwrap();
    let left = place.authorities().await;
    assert_eq!((left.len(), &left[0].thumbprint), (1, &made.thumbprint().to_string()));
}
