//! Each format is read, in any order; what is wrong is said in so many words, and never holds a key or a password.

use rcgen::{DnType, KeyPair};
use rustls_pki_types::PrivateKeyDer;

use super::super::export::{self, Protection};
use super::super::read::{self, Imported, import, import_pair};
use super::super::request::SigningRequest;
use super::super::suitable::Expiry;
use super::super::{Certified, PkiError, describe};
use super::*;
use crate::policy::certificates::CommonName;

fn bundle(certified: &Certified) -> Vec<u8> {
    export::bundle(certified).unwrap().to_vec()
}

fn same(read: &Imported, made: &Certified) {
    assert_eq!(read.certified.chain, made.chain);
    assert_eq!(read.certified.key, made.key);
    assert_eq!(read.left_out, 0);
}

fn refused(bytes: &[u8], password: Option<&str>) -> PkiError {
    let error = import(bytes, password).expect_err("it is no good");
    assert!(!error.remedy().is_empty(), "{error}");
    error
}

#[test]
fn each_format_comes_back_as_it_went() {
    let made = client(&issuer(), "device1");
    same(&import(&bundle(&made), None).unwrap(), &made);
    for protection in [Protection::Modern, Protection::Old] {
        let file = export::pkcs12(&made, "häßlich 1", protection).unwrap();
        same(&import(&file, Some("häßlich 1")).unwrap(), &made);
        assert!(matches!(refused(&file, Some("hasslich 1")), PkiError::WrongPassword(_)));
        assert!(matches!(refused(&file, None), PkiError::PasswordWanted(_)));
        assert!(import(&file[..file.len() - 9], Some("häßlich 1")).is_err());
    }
    let alone = Certified { key: None, ..made.clone() };
    same(&import(export::pem(&made.chain).as_bytes(), None).unwrap(), &alone);
    let leaf = Certified { chain: made.chain[..1].to_vec(), key: None };
    same(&import(export::der(&made), None).unwrap(), &leaf);
    for empty in ["", "\u{1f600}", "a\0b"] {
        assert!(matches!(export::pkcs12(&made, empty, Protection::Modern), Err(PkiError::Exporting(_))));
    }
    assert!(matches!(export::bundle(&alone), Err(PkiError::KeyWanted(_))));
    assert!(matches!(export::pkcs12(&alone, "x", Protection::Modern), Err(PkiError::KeyWanted(_))));
    assert!(!export::pem(&made.chain).contains("PRIVATE"));
}

#[test]
fn order_and_company_do_not_matter() {
    let issuer = issuer();
    let made = client(&issuer, "device1");
    let text = String::from_utf8(bundle(&made)).unwrap();
    let sections = text.split("-----BEGIN").skip(1).map(|one| format!("-----BEGIN{one}"));
    let mut sections: Vec<String> = sections.collect();
    sections.reverse();
    let told = "Bag Attributes\n    friendlyName: d\u{fc}\nsubject=CN=device1\n".to_owned();
    let mixed = told + &sections.join("some text between\r\n");
    same(&import(mixed.as_bytes(), None).unwrap(), &made);
    same(&import(mixed.replace('\n', "\r\n").as_bytes(), None).unwrap(), &made);
    // What has nothing to do with it is left out, if the key says which is meant.
    let stranger = export::pem(&authority("Stranger").chain);
    let read = import((stranger.clone() + &text).as_bytes(), None).unwrap();
    assert_eq!((read.certified.chain.len(), read.left_out), (2, 1));
    let without_key = stranger + &export::pem(&made.chain);
    let error = refused(without_key.as_bytes(), None);
    assert!(matches!(&error, PkiError::SeveralCertificates(who) if who.contains("CN=Stranger")), "{error}");
}

#[test]
fn certificate_and_key_may_lie_in_two_files() {
    let made = client(&issuer(), "device1");
    let (chain, all) = (export::pem(&made.chain), bundle(&made));
    same(&import_pair(chain.as_bytes(), &all, None).unwrap(), &made);
    same(&import_pair(chain.as_bytes(), made.key.as_ref().unwrap().secret_der(), None).unwrap(), &made);
    let other = bundle(&authority("Other"));
    let error = import_pair(chain.as_bytes(), &other, None).unwrap_err();
    assert!(matches!(&error, PkiError::Mismatch(who) if who.contains("device1")), "{error}");
    assert!(matches!(
        import_pair(chain.as_bytes(), chain.as_bytes(), None),
        Err(PkiError::Unsupported { .. })
    ));
    assert!(matches!(import_pair(&all, &other, None), Err(PkiError::SeveralKeys(2))));
}

#[test]
fn keys_come_in_other_forms_too() {
    let pair = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let mut params = CertificateParams::new(["a.example".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "rsa");
    let certificate = params.self_signed(&pair).unwrap();
    // PKCS#8 holds PKCS#1 as it is.
    let pkcs8 = pair.serialize_der();
    let inner = pkcs8[1..].windows(2).position(|found| found == [0x30, 0x82]).unwrap();
    let pkcs1 = &pkcs8[1..][inner..];
    let pem = pem::encode(&pem::Pem::new("RSA PRIVATE KEY", pkcs1));
    let read = import((certificate.pem() + &pem).as_bytes(), None).unwrap();
    let key = read.certified.key.unwrap();
    assert!(matches!(&key, PrivateKeyDer::Pkcs8(_)));
    same(
        &import_pair(certificate.der(), pkcs1, None).unwrap(),
        &Certified { chain: vec![certificate.into()], key: Some(key) },
    );
}

#[test]
fn what_is_none_is_named() {
    let made = client(&issuer(), "device1");
    let key_alone = pem::encode(&pem::Pem::new("PRIVATE KEY", made.key.as_ref().unwrap().secret_der()));
    assert!(matches!(refused(key_alone.as_bytes(), None), PkiError::OnlyAKey));
    assert!(matches!(refused(made.key.as_ref().unwrap().secret_der(), None), PkiError::OnlyAKey));
    let mut params = CertificateParams::new(["a.example".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "x");
    let csr = params.serialize_request(&KeyPair::generate().unwrap()).unwrap();
    for csr in [csr.pem().unwrap().into_bytes(), csr.der().to_vec()] {
        let error = refused(&csr, None);
        assert!(
            error.to_string().contains("signing request") && error.remedy().contains("ca sign"),
            "{error}"
        );
    }
    let section = |tag: &str| pem::encode(&pem::Pem::new(tag, *b"0"));
    for (bytes, word) in [
        (&b""[..], "empty"),
        (b"hello, world", "text"),
        (&b"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n".repeat(4), "base64"),
        (b"\xff\xfe-\0-\0", "UTF-16"),
        (b"PK\x03\x04zip", "ZIP"),
        (b"\x89PNG\xff", "other file"),
        (b"\xfe\xed\xfe\xed\0\0", "Java key store"),
        (b"\x30\x80\x02\x01\x03", "BER"),
        (b"\x30\x03\x02\x01\x07", "damaged"),
        (section("X509 CRL").as_bytes(), "CRL"),
        (section("PKCS7").as_bytes(), "PKCS#7"),
        (section("PUBLIC KEY").as_bytes(), "public key"),
        (section("OPENSSH PRIVATE KEY").as_bytes(), "OpenSSH"),
        (section("TRUSTED CERTIFICATE").as_bytes(), "openssl's own"),
        (section("PGP MESSAGE").as_bytes(), "PGP"),
        (section("SOMETHING").as_bytes(), "SOMETHING"),
        (section("CERTIFICATE").as_bytes(), "damaged"),
        (&vec![b'x'; read::INPUT_BYTES + 1], "large"),
    ] {
        let error = refused(bytes, None);
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
    let text = export::pem(&made.chain);
    for cut in [text.len() - 40, text.len() / 3] {
        assert!(matches!(refused(&text.as_bytes()[..cut], None), PkiError::Broken(_)), "{cut}");
    }
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    assert!(refused(old.as_bytes(), Some("secret")).remedy().contains("openssl pkey"));
}

/// Each byte of it changed in turn, and each beginning of it.
fn damaged(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let changed = (0..bytes.len()).flat_map(move |place| {
        [1, 0x20, 0x80, 0xff].map(|bits| {
            let mut changed = bytes.to_vec();
            changed[place] ^= bits;
            changed
        })
    });
    changed.chain((0..bytes.len()).map(|end| bytes[..end].to_vec()))
}

#[test]
fn no_damage_ends_the_process() {
    let made = foreign_authority(with_two_units);
    let mut taken = 0;
    for bytes in damaged(made.certificate()) {
        if let Ok(read) = import(&bytes, None) {
            // What can be read can be described, and taken or refused.
            describe(read.certified.certificate()).unwrap();
            taken += usize::from(read.into_authority(NOW).is_ok());
        }
    }
    assert!(taken > 0, "a changed signature is not looked at here");
    let key = made.key.as_ref().unwrap().secret_der();
    for bytes in damaged(key) {
        let Err(error) = import_pair(made.certificate(), &bytes, None) else { continue };
        assert!(!error.to_string().is_empty());
    }
    let mut params = CertificateParams::new(["a.example".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "a");
    let request = params.serialize_request(&KeyPair::generate().unwrap()).unwrap();
    let said = |read: SigningRequest| (read.common_name, read.names, read.key);
    let sound = said(SigningRequest::read(request.der()).unwrap());
    // Its signature covers all that is taken over.
    for bytes in damaged(request.der()) {
        let Ok(read) = SigningRequest::read(&bytes) else { continue };
        assert_eq!(said(read), sound);
    }
    let file = export::pkcs12(&made, "x", Protection::Modern).unwrap();
    // Further on stands how often the password is hashed, which would take its time.
    for bytes in damaged(&file[..64]) {
        let whole = [&bytes[..], &file[bytes.len()..]].concat();
        assert!(whole == *file || import(&whole, Some("x")).is_err());
    }
}

#[test]
fn a_key_of_no_use_is_refused_with_the_kinds_that_are() {
    let made = client(&issuer(), "device1");
    let bad = pem::encode(&pem::Pem::new("PRIVATE KEY", *b"\x30\x03\x02\x01\x00"));
    let error = refused((export::pem(&made.chain) + &bad).as_bytes(), None);
    assert!(matches!(error, PkiError::BadKey(_)) && error.remedy().contains("Ed25519"), "{error}");
}

#[test]
fn each_purpose_looks_at_what_it_needs() {
    let of = |certified: &Certified| import(&bundle(certified), None).unwrap();
    let plain = |certified: &Certified| import(export::pem(&certified.chain).as_bytes(), None).unwrap();
    let authority = foreign_authority(|_| {});
    assert_eq!(of(&authority).into_authority(NOW).unwrap().key, authority.key);
    assert!(plain(&authority).into_authority(NOW).unwrap().key.is_none());
    assert!(matches!(of(&foreign(|_| {})).into_authority(NOW), Err(PkiError::NotAnAuthority { .. })));
    assert!(matches!(of(&authority).into_authority(NOW + 2 * DAY), Err(PkiError::Expired { .. })));

    let server = foreign(for_servers);
    assert_eq!(of(&server).into_broker(NOW).unwrap().key, server.key);
    of(&foreign(|_| {})).into_broker(NOW).unwrap();
    assert!(matches!(plain(&server).into_broker(NOW), Err(PkiError::KeyWanted(_))));
    assert!(matches!(of(&server).into_broker(NOW + 2 * DAY), Err(PkiError::Expired { .. })));
    assert!(matches!(of(&server).into_broker(NOW - 2 * DAY), Err(PkiError::NotYetValid { .. })));
    // What openssl's `req -x509` makes at a stroke: many clients take it, and not all.
    let made = of(&authority).into_broker(NOW).unwrap();
    assert!(made.doubts_as_broker().unwrap()[0].contains("authority's own"));
    assert!(server.doubts_as_broker().unwrap().is_empty());
    let device = client(&issuer(), "device1");
    assert!(matches!(of(&device).into_broker(NOW), Err(PkiError::NotForServers { .. })));
    let nameless = foreign(|params| params.subject_alt_names.clear());
    let made = of(&nameless).into_broker(NOW).unwrap();
    assert!(made.doubts_as_broker().unwrap()[0].contains("alternative names"));

    let listed = of(&device).into_client(Expiry::Refused, NOW).unwrap();
    assert!(listed.key.is_none() && listed.thumbprint() == device.thumbprint());
    let late = NOW + 31 * DAY;
    assert!(matches!(of(&device).into_client(Expiry::Refused, late), Err(PkiError::Expired { .. })));
    of(&device).into_client(Expiry::Taken, late).unwrap();
}

#[test]
fn common_names_are_read_as_decided() {
    let name = |change: &dyn Fn(&mut rcgen::DistinguishedName)| {
        let made = foreign(|params| {
            params.distinguished_name = rcgen::DistinguishedName::new();
            change(&mut params.distinguished_name);
        });
        let said = describe(made.certificate()).unwrap();
        (said.common_name, said.subject)
    };
    let common = |text: &'static str| name(&move |names| names.push(DnType::CommonName, text));
    assert_eq!(name(&|_| {}), (CommonName::None, String::new()));
    assert_eq!(common(""), (CommonName::None, "CN=".into()));
    assert_eq!(common("a\0b"), (CommonName::None, "CN=a\\00b".into()));
    assert_eq!(common("a\x1b[2Jb"), (CommonName::One("a\x1b[2Jb".into()), "CN=a\\1b[2Jb".into()));
    assert_eq!(common("a,O=b"), (CommonName::One("a,O=b".into()), "CN=a\\,O\\=b".into()));
    let two = name(&|names| {
        names.push(DnType::CommonName, "one");
        names.push(DnType::CustomDnType(vec![2, 5, 4, 3]), "two");
    });
    assert_eq!(two, (CommonName::Several, "CN=two,CN=one".into()));
    let wide = name(&|names| {
        let text = rcgen::string::BmpString::try_from("Zoë").unwrap();
        names.push(DnType::CommonName, rcgen::DnValue::BmpString(text));
    });
    assert_eq!(wide, (CommonName::One("Zoë".into()), "CN=Zoë".into()));
}
