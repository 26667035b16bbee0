//! The broker's certificate.

use super::super::broker_certificate::*;
use super::super::certificate::CertificateForm;
use super::super::secret::File;
use super::*;
use crate::control::pki::export;
use crate::control::pki::make::{self, BrokerRequest};
use crate::control::pki::{Certified, KeyType, import};

fn foreign(names: &[&str]) -> Certified {
    let names = names.iter().map(|name| name.parse().unwrap()).collect();
    make::broker(None, &BrokerRequest { names, days: 9, key_type: KeyType::EcdsaP256 }, now()).unwrap()
}

fn named(names: &[&str]) -> BrokerCertificateNew {
    BrokerCertificateNew { names: names.iter().map(|&name| name.into()).collect(), key_type: None }
}

fn which(certificate: &str) -> BrokerCertificateUse {
    BrokerCertificateUse { certificate: certificate.into() }
}

fn import_of(bytes: &[u8]) -> BrokerCertificateImport {
    BrokerCertificateImport { data: File::of(bytes), key: None, password: None }
}

#[tokio::test]
async fn the_broker_makes_one_with_the_names_that_one_gives() {
    let place = Place::new();
    let nothing = show(&place.desk).await.unwrap().answer;
    assert_eq!((nothing.source, nothing.certificate), (BrokerSource::None, None));
    assert_eq!(download(&place.desk, CertificateForm::Pem).await.unwrap_err().status, 404);

    place.authority("Authority").await;
    let asked =
        BrokerCertificateNew { key_type: Some(KeyKind::Ed25519), ..named(&["broker.example", "192.0.2.7"]) };
    let made = renew(&place.desk, asked, place.tag()).await.unwrap();
    assert_eq!(made.hash, place.tag());
    let (shown, said) = (made.answer.clone(), made.answer.certificate.unwrap());
    assert_eq!((shown.source, said.key.as_str()), (BrokerSource::Auto, "Ed25519"));
    assert_eq!(said.issuer, "CN=Authority");
    assert_eq!(said.alternative_names, ["DNS:broker.example", "IP:192.0.2.7"]);
    assert_eq!(shown.names, ["broker.example", "192.0.2.7"]);
    let renewal = shown.renew_at_unix_secs.unwrap();
    assert!(renewal > now() && renewal < said.not_after_unix_secs && shown.renew_at.is_some());

    // Without names, those of the configuration; without a type, as before.
    let again = renew(&place.desk, named(&[]), None).await.unwrap().answer.certificate.unwrap();
    assert_ne!(again.thumbprint, said.thumbprint);
    assert_eq!((again.alternative_names, again.key), (said.alternative_names, said.key));
    let file = download(&place.desk, CertificateForm::Der).await.unwrap();
    assert_eq!((file.content_type, file.file_name.as_str()), ("application/pkix-cert", "broker.cer"));
    let certified = import(&file.bytes, None).unwrap().certified;
    assert_eq!((certified.thumbprint().to_string(), certified.key), (again.thumbprint, None));
}

#[tokio::test]
async fn one_that_was_imported_is_shown_and_can_be_chosen_again() {
    let place = Place::new();
    let made = foreign(&["broker.example"]);
    let text = export::bundle(&made).unwrap();
    let taken = take(&place.desk, import_of(&text), place.tag()).await.unwrap();
    assert_eq!((taken.hash, taken.answer.left_out), (place.tag(), 0));
    let shown = taken.answer.broker_certificate;
    let thumbprint = made.thumbprint().to_string();
    assert_eq!((shown.source, shown.renew_at), (BrokerSource::Stored, None));
    assert_eq!(shown.certificate.unwrap().thumbprint, thumbprint);

    let auto = choose(&place.desk, which("auto"), place.tag()).await.unwrap().answer;
    assert_eq!((auto.source, auto.stored[0].thumbprint.as_str()), (BrokerSource::None, thumbprint.as_str()));
    let chosen = choose(&place.desk, which(&thumbprint), place.tag()).await.unwrap().answer;
    assert_eq!(chosen.source, BrokerSource::Stored);
}

#[tokio::test]
async fn what_cannot_be_the_brokers_is_refused() {
    let place = Place::new();
    let (desk, before) = (&place.desk, place.text());
    let made = foreign(&["broker.example"]);
    let public = refused(take(desk, import_of(export::pem(&made.chain).as_bytes()), None).await);
    assert!(public.0 == 422 && public.2.contains("private key"), "{}", public.2);
    let other = export::bundle(&foreign(&["other.example"])).unwrap();
    let key = BrokerCertificateImport { key: Some(File::of(&other)), ..import_of(export::der(&made)) };
    assert_eq!(refused(take(desk, key, None).await).0, 422);
    for bad in [HOSTILE[1], "", "someone@example.org", "URI:x:y"] {
        assert_eq!(refused(renew(desk, named(&[bad]), None).await).0, 422, "{bad}");
    }
    assert_eq!(refused(choose(desk, which("else"), None).await).0, 422);
    assert_eq!(refused(choose(desk, which(&"0".repeat(64)), None).await).0, 404);
    assert_eq!(refused(renew(desk, named(&["a.example"]), stale()).await).0, 412);
    assert_eq!(refused(choose(desk, which("auto"), stale()).await).0, 412);
    let text = export::bundle(&made).unwrap();
    assert_eq!(refused(take(desk, import_of(&text), stale()).await).0, 412);
    assert_eq!(place.text(), before);
    assert_eq!(show(desk).await.unwrap().answer.source, BrokerSource::None);
}
