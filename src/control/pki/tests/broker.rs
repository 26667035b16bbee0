//! The broker's own certificate is kept as long as it serves, and made anew when it does not.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::super::broker::{BrokerCertificate, Made, Names, current, ensure};
use super::super::{Issuer, PkiError, SanName, Store};
use super::*;

fn names(texts: &[&str]) -> Vec<SanName> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn at_least(texts: &[&str]) -> Names {
    Names::AtLeast(names(texts))
}

fn unchanged(store: &Store, issuer: Option<&Issuer>, names: &Names, now: i64, as_before: &BrokerCertificate) {
    let kept = ensure(store, issuer, names, now).unwrap();
    assert_eq!((kept.made, kept.thumbprint), (Made::Before, as_before.thumbprint));
    assert_eq!(kept.certified.key, as_before.certified.key);
    assert_eq!(kept.renew_at, as_before.renew_at);
}

#[test]
fn it_is_kept_until_two_thirds_of_its_life_are_over() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    let issuer = issuer();
    let wanted = at_least(&["broker.example", "10.0.0.1"]);
    assert!(current(&store).unwrap().is_none());
    let first = ensure(&store, Some(&issuer), &wanted, NOW).unwrap();
    assert_eq!(first.made, Made::Now);
    assert_eq!(first.renew_at, NOW - 3_600 + 365 * DAY / 3 * 2);
    unchanged(&store, Some(&issuer), &wanted, NOW, &first);
    unchanged(&Store::open(temp.path()).unwrap(), Some(&issuer), &wanted, first.renew_at - 1, &first);
    let file = temp.path().join("pki/broker/current.pem");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    let second = ensure(&store, Some(&issuer), &wanted, first.renew_at).unwrap();
    assert_eq!(second.made, Made::Now);
    assert_ne!(second.thumbprint, first.thumbprint);
    // A clock that was set back makes it one of the future, which nobody accepts.
    let past = ensure(&store, Some(&issuer), &wanted, NOW - DAY).unwrap();
    assert_eq!(past.made, Made::Now);
}

#[test]
fn it_follows_its_issuer_and_its_names() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    let (one, other) = (issuer(), issuer());
    let wanted = at_least(&["broker.example", "10.0.0.1"]);
    let first = ensure(&store, Some(&one), &wanted, NOW).unwrap();
    // An address that is gone may come back.
    unchanged(&store, Some(&one), &at_least(&["broker.example"]), NOW, &first);
    let more = ensure(&store, Some(&one), &at_least(&["broker.example", "10.0.0.2"]), NOW).unwrap();
    assert_eq!(more.made, Made::Now);
    // Names that somebody wrote down are meant exactly.
    let exactly = Names::Exactly(names(&["broker.example"]));
    let exact = ensure(&store, Some(&one), &exactly, NOW).unwrap();
    assert_eq!(
        (exact.made, &exact.description.alternative_names[..]),
        (Made::Now, &["DNS:broker.example".to_owned()][..])
    );
    unchanged(&store, Some(&one), &exactly, NOW, &exact);
    // An authority of the same name is another one.
    let moved = ensure(&store, Some(&other), &exactly, NOW).unwrap();
    assert_eq!(moved.made, Made::Now);
    let alone = ensure(&store, None, &exactly, NOW).unwrap();
    assert_eq!((alone.made, alone.description.self_issued), (Made::Now, true));
    unchanged(&store, None, &exactly, NOW, &alone);
    assert_eq!(ensure(&store, Some(&one), &exactly, NOW).unwrap().made, Made::Now);
}

#[test]
fn a_damaged_one_is_replaced_and_an_open_one_refused() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    let wanted = at_least(&["broker.example"]);
    ensure(&store, None, &wanted, NOW).unwrap();
    let file = temp.path().join("pki/broker/current.pem");
    fs::write(&file, "nothing").unwrap();
    assert!(current(&store).unwrap().is_none());
    assert_eq!(ensure(&store, None, &wanted, NOW).unwrap().made, Made::Now);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(ensure(&store, None, &wanted, NOW), Err(PkiError::Readable { .. })));
    assert!(matches!(Store::open(temp.path()), Err(PkiError::Readable { .. })));
    // What cannot be made leaves what is there.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let kept = current(&store).unwrap().unwrap();
    assert!(ensure(&store, None, &Names::Exactly(Vec::new()), NOW).is_err());
    unchanged(&store, None, &wanted, NOW, &kept);
}
