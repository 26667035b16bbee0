//! What clients trust and who they are: good files, and every bad one with what is said of it.

use super::*;
use crate::tls_server::Authority;

struct Folder(tempfile::TempDir);

impl Folder {
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }
}

fn error(options: &TlsOptions) -> String {
    let error = Security::new(options, "localhost", &Transport::Tcp).unwrap_err();
    format!("{error:#}")
}

#[test]
fn bad_files_are_named_with_the_remedy() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let authority = Authority::new("ca");
    let (one, other) = (authority.issue(&[], |_| ()), authority.issue(&[], |_| ()));
    let blind = || TlsOptions { insecure: true, ..TlsOptions::default() };
    let ca = |path| TlsOptions { ca: Some(path), ..TlsOptions::default() };
    let cert = |cert, key| TlsOptions { cert: Some(cert), key, ..blind() };
    let dir = |path| TlsOptions { cert_dir: Some(path), ..blind() };
    let good = folder.write("one.crt", &one.pem);
    let damaged = one.pem.replace("-----END", "!!\n-----END");
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let none = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    for (options, says) in [
        (ca(folder.0.path().join("absent")), "cannot read"),
        (ca(folder.write("ca.der", "\u{1}\u{2}")), "no certificate in PEM"),
        (ca(folder.write("damaged", &damaged)), "damaged"),
        (ca(folder.write("ca.none", none)), "certificate 1 cannot be an authority"),
        (cert(good.clone(), None), "no private key"),
        (cert(good.clone(), Some(folder.write("enc", encrypted))), "openssl pkey"),
        (cert(good.clone(), Some(folder.write("other", &other.key_pem))), "does not belong"),
        (cert(good, Some(folder.0.path().join("nokey"))), "cannot read"),
        (dir(folder.0.path().join("nowhere")), "cannot read"),
        (dir(folder.write("empty/README", "")), "cannot read"),
        (dir(folder.0.path().join("empty")), "NAME.pem"),
    ] {
        let said = error(&options);
        assert!(said.contains(says), "{options:?}: {said}");
        assert!(!said.contains("PRIVATE KEY-----\n"), "no key is shown: {said}");
    }
}

#[test]
fn certificates_of_a_folder_are_taken_in_turn_by_name_and_what_is_verified_is_said() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let authority = Authority::new("ca");
    for name in ["b", "a", "c"] {
        let made = authority.issue(&[], |_| ());
        folder.write(&format!("clients/{name}.pem"), &(made.pem + &made.key_pem));
    }
    folder.write("clients/notes.txt", "not one");
    let options = TlsOptions {
        ca: Some(folder.write("ca.pem", &authority.pem)),
        cert_dir: Some(folder.0.path().join("clients")),
        ..TlsOptions::default()
    };
    let security = Security::new(&options, "[::1]", &Transport::Tcp).unwrap();
    assert_eq!(security.names(), ["a", "b", "c"]);
    let said = &security.described;
    assert!(said.contains("by the 1 of ") && said.contains("3 of ") && said.contains("in turn"), "{said}");
    let options = TlsOptions { insecure: true, ..TlsOptions::default() };
    let security = Security::new(&options, "localhost", &Transport::Tcp).unwrap();
    assert!(security.described.contains("NOT verified") && security.names().is_empty());
}
