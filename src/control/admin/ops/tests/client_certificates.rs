//! Client certificates: listed, revoked, taken from what was refused.

use super::super::certificate::CertificateForm;
use super::super::client_certificates::*;
use super::super::secret::File;
use super::*;
use crate::control::pki::export;
use crate::control::pki::make::{self, AuthorityRequest, ClientRequest};
use crate::control::pki::{Certified, Issuer, KeyType, import};
use crate::policy::Presented;
use crate::policy::certificates::CommonName;

/// A certificate that somebody else has issued; it ended `ago` seconds before now.
fn foreign(name: &str, ago: i64) -> Certified {
    let request = AuthorityRequest { common_name: "Foreign".into(), days: 9, key_type: KeyType::EcdsaP256 };
    let at = now() - ago;
    let issuer = Issuer::new(&make::authority(&request, at).unwrap(), at).unwrap();
    let request =
        ClientRequest { common_name: name.into(), names: Vec::new(), days: 1, key_type: KeyType::EcdsaP256 };
    make::client(&issuer, &request, at).unwrap()
}

fn file(certified: &Certified) -> ClientCertificateNew {
    ClientCertificateNew { data: Some(File::of(export::der(certified))), ..ClientCertificateNew::default() }
}

fn status(status: ClientListing) -> ClientCertificateChange {
    ClientCertificateChange { status, name: None }
}

impl Place {
    async fn clients(&self) -> Vec<ClientCertificateShown> {
        let listed = list(&self.desk).await.unwrap();
        assert_eq!(listed.hash, self.tag());
        listed.answer
    }
}

#[tokio::test]
async fn one_is_listed_from_its_file_revoked_renamed_and_taken_off() {
    let place = Place::new();
    let made = foreign("device1", 0);
    let added = add(&place.desk, file(&made), place.tag()).await.unwrap();
    assert_eq!((added.answer.name.as_str(), added.answer.status), ("device1", ClientStatus::Authorized));
    assert_eq!(added.hash, place.tag());
    let thumbprint = made.thumbprint().to_string();
    assert_eq!(added.answer.certificate.unwrap().common_name.as_deref(), Some("device1"));

    let revoked = change(&place.desk, thumbprint.clone(), status(ClientListing::Revoked), place.tag());
    assert_eq!(revoked.await.unwrap().answer.status, ClientStatus::Revoked);
    let renamed = ClientCertificateChange { name: Some(HOSTILE[0].into()), ..status(ClientListing::Revoked) };
    let renamed = change(&place.desk, thumbprint.clone(), renamed, place.tag()).await.unwrap().answer;
    assert_eq!((renamed.name.as_str(), renamed.status), (HOSTILE[0], ClientStatus::Revoked));
    let file = download(&place.desk, thumbprint.clone(), CertificateForm::Pem).await.unwrap();
    assert_eq!(import(&file.bytes, None).unwrap().certified.thumbprint(), made.thumbprint());

    remove(&place.desk, thumbprint.clone(), place.tag()).await.unwrap();
    assert!(!place.text().contains(&thumbprint));
}

#[tokio::test]
async fn a_thumbprint_suffices_and_duplicates_are_marked() {
    let place = Place::new();
    let bare = ClientCertificateNew {
        thumbprint: Some("AB:".repeat(31) + "AB"),
        status: ClientListing::Revoked,
        ..ClientCertificateNew::default()
    };
    let added = add(&place.desk, bare, None).await.unwrap().answer;
    assert_eq!((added.thumbprint, added.certificate), ("ab".repeat(32), None));
    assert_eq!(download(&place.desk, "ab".repeat(32), CertificateForm::Pem).await.unwrap_err().status, 404);
    for name in ["device1", "device1", "device2"] {
        add(&place.desk, file(&foreign(name, 0)), None).await.unwrap();
    }
    let all: Vec<(String, usize)> =
        place.clients().await.into_iter().map(|one| (one.name, one.same_common_name)).collect();
    let expected = [("certificate abababababababab", 0), ("device1", 1), ("device1 (2)", 1), ("device2", 0)];
    assert_eq!(all, expected.map(|(name, others)| (name.to_owned(), others)));
}

#[tokio::test]
async fn an_expired_one_is_taken_only_if_that_is_meant() {
    const LONG_AGO: i64 = 5 * 86_400;
    let place = Place::new();
    let made = foreign("device1", LONG_AGO);
    assert_eq!(refused(add(&place.desk, file(&made), None).await).0, 422);
    let meant = ClientCertificateNew { expired: true, ..file(&made) };
    let added = add(&place.desk, meant, None).await.unwrap().answer.certificate.unwrap();
    assert!(added.expired && !added.expires_soon);
    let other = ClientCertificateNew { status: ClientListing::Revoked, ..file(&foreign("x", LONG_AGO)) };
    assert_eq!(add(&place.desk, other, None).await.unwrap().answer.status, ClientStatus::Revoked);
}

#[tokio::test]
async fn what_was_refused_lately_is_authorized_and_nothing_that_came_with_it() {
    let place = Place::new();
    let made = foreign(HOSTILE[1], 0);
    let presented_chain = made.chain.iter().map(|one| one.to_vec().into_boxed_slice()).collect();
    let refused_lately = Presented {
        thumbprint: made.thumbprint(),
        subject: "CN=x".into(),
        common_name: CommonName::One("x".into()),
        chain: presented_chain,
    };
    let found = presented([&refused_lately].into_iter(), &made.thumbprint()).unwrap();
    let listed = authorize(&place.desk, found.clone(), None, place.tag()).await.unwrap().answer;
    assert_eq!((listed.name.as_str(), listed.status), (HOSTILE[1], ClientStatus::Authorized));
    let kept = download(&place.desk, listed.thumbprint, CertificateForm::PemChain).await.unwrap();
    assert_eq!(import(&kept.bytes, None).unwrap().certified.chain.len(), 1);

    let again = refused(authorize(&place.desk, found, None, None).await);
    assert_eq!((again.0, again.1.as_str()), (409, "tidemq:listed"));
    assert_eq!(presented([].into_iter(), &made.thumbprint()).unwrap_err().status, 404);
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_leaves_the_file() {
    let place = Place::new();
    let made = foreign("device1", 0);
    add(&place.desk, file(&made), None).await.unwrap();
    let (before, desk, thumbprint) = (place.text(), &place.desk, made.thumbprint().to_string());
    assert_eq!(refused(add(desk, file(&made), None).await).1, "tidemq:listed");
    let named = ClientCertificateNew { name: Some("device1".into()), ..file(&foreign("x", 0)) };
    assert_eq!(refused(add(desk, named, None).await).1, "tidemq:name-taken");
    let nothing = ClientCertificateNew::default();
    assert_eq!(refused(add(desk, nothing, None).await).1, "tidemq:one-of-two");
    let both = ClientCertificateNew { thumbprint: Some("ab".repeat(32)), ..file(&made) };
    assert_eq!(refused(add(desk, both, None).await).1, "tidemq:one-of-two");
    let sha1 = ClientCertificateNew { thumbprint: Some("ab".repeat(20)), ..ClientCertificateNew::default() };
    assert_eq!(refused(add(desk, sha1, None).await).0, 422);
    assert_eq!(refused(add(desk, file(&foreign("x", 0)), stale()).await).0, 412);
    let revoke = || status(ClientListing::Revoked);
    assert_eq!(refused(change(desk, thumbprint.clone(), revoke(), stale()).await).0, 412);
    assert_eq!(refused(remove(desk, thumbprint, stale()).await).0, 412);
    for nobody in ["device1", "../x", &"ab".repeat(32)] {
        assert_eq!(refused(change(desk, nobody.into(), revoke(), None).await).0, 404, "{nobody}");
        assert_eq!(refused(remove(desk, nobody.into(), None).await).0, 404, "{nobody}");
    }
    assert_eq!(place.text(), before);
}
