//! What is put into the store comes out again, and nobody else can read it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::super::{Certified, PkiError, Store, Thumbprint};
use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn open_to_others(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_is_put_in_comes_out() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    let issuer = issuer();
    let made = client(&issuer, "device1");
    let thumbprint = store.put(&made).unwrap();
    assert_eq!(thumbprint, made.thumbprint());
    // Another process finds it too.
    let store = Store::open(temp.path()).unwrap();
    assert!(store.has(&thumbprint) && store.has_key(&thumbprint));
    assert_eq!(store.chain(&thumbprint).unwrap(), made.chain);
    assert_eq!(&store.key(&thumbprint).unwrap(), made.key.as_ref().unwrap());
    assert_eq!(store.certified(&thumbprint).unwrap().key, made.key);
    assert_eq!(store.list().unwrap(), [thumbprint]);
    // The certificate alone does not take its key away.
    store.put(&Certified { key: None, ..made.clone() }).unwrap();
    assert!(store.has_key(&thumbprint));
    store.remove_key(&thumbprint).unwrap();
    assert!(matches!(store.key(&thumbprint), Err(PkiError::NoKey(missing)) if missing == thumbprint));
    assert!(store.certified(&thumbprint).unwrap().key.is_none());
    store.remove(&thumbprint).unwrap();
    store.remove(&thumbprint).unwrap();
    assert!(matches!(store.chain(&thumbprint), Err(PkiError::Unknown(missing)) if missing == thumbprint));
    assert!(store.list().unwrap().is_empty());
}

#[test]
fn a_key_that_does_not_fit_is_not_stored() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    let mixed = Certified { key: authority("Other").key, ..authority("Authority") };
    assert!(matches!(store.put(&mixed), Err(PkiError::Mismatch(_))));
    assert!(store.list().unwrap().is_empty());
    assert_eq!(fs::read_dir(temp.path().join("pki/keys")).unwrap().count(), 0);
}

#[test]
fn only_its_owner_can_read_it() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    let thumbprint = store.put(&authority("Authority")).unwrap();
    let root = temp.path().join("pki");
    let key = root.join(format!("keys/{thumbprint}.pem"));
    for folder in ["", "certificates", "keys", "broker"] {
        assert_eq!(mode(&root.join(folder)), 0o700, "{folder}");
    }
    assert_eq!(mode(&key), 0o600);
    assert_eq!(mode(&root.join(format!("certificates/{thumbprint}.pem"))), 0o600);

    open_to_others(&key, 0o640);
    let refused = Store::open(temp.path()).unwrap_err();
    assert!(refused.to_string().contains(&key.display().to_string()) && refused.to_string().contains("0640"));
    assert!(refused.remedy().contains("chmod 600"), "{}", refused.remedy());
    assert!(matches!(store.key(&thumbprint), Err(PkiError::Readable { mode: 0o640, .. })));
    open_to_others(&key, 0o400);
    Store::open(temp.path()).unwrap();

    for folder in ["", "certificates", "keys", "broker"] {
        let folder = root.join(folder);
        open_to_others(&folder, 0o750);
        let refused = Store::open(temp.path()).unwrap_err();
        assert!(matches!(&refused, PkiError::Readable { path, mode: 0o750 } if *path == folder), "{refused}");
        assert!(refused.remedy().contains("chmod 700"), "{}", refused.remedy());
        open_to_others(&folder, 0o700);
    }
}

#[test]
fn a_damaged_file_is_named() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    let (first, second) = (authority("First"), authority("Second"));
    let thumbprints = [store.put(&first).unwrap(), store.put(&second).unwrap()];
    let file = |folder: &str, of: &Thumbprint| temp.path().join(format!("pki/{folder}/{of}.pem"));
    fs::copy(file("certificates", &thumbprints[0]), file("certificates", &thumbprints[1])).unwrap();
    assert!(matches!(store.chain(&thumbprints[1]), Err(PkiError::Damaged { .. })));
    fs::write(file("certificates", &thumbprints[1]), "nothing").unwrap();
    assert!(matches!(store.chain(&thumbprints[1]), Err(PkiError::Damaged { .. })));
    fs::copy(file("keys", &thumbprints[1]), file("keys", &thumbprints[0])).unwrap();
    assert!(matches!(store.certified(&thumbprints[0]), Err(PkiError::Mismatch(_))));
    fs::write(file("keys", &thumbprints[0]), "").unwrap();
    assert!(matches!(store.key(&thumbprints[0]), Err(PkiError::Damaged { .. })));
    // What else lies there is nobody's certificate.
    fs::write(temp.path().join("pki/certificates/notes.pem"), "x").unwrap();
    assert_eq!(store.list().unwrap().len(), 2);
}
