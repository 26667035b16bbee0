//! The operating system's authorities. Where they lie is told by the environment, which a test may not change in its
//! own process: so each runs again in a process of its own.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use tidemq::net::tls::trust::{SystemAuthorities, WebPkiTrust};
use tidemq::policy::certificates::{Distrust, Trust};

use super::issue::{Validity, client, now, pem, stranger, trusted};

/// In the child: where the chain lies that it is to verify.
const CHAIN: &str = "TIDEMQ_TEST_CHAIN";

/// Runs one of the tests below in a process that takes `store` for the system's authorities.
fn in_a_process(test: &str, store: &Path, chain: &Path) {
    let test = format!("system::{test}");
    let output = Command::new(std::env::current_exe().expect("a path"))
        .args(["--exact", &test, "--include-ignored", "--nocapture"])
        .env("SSL_CERT_FILE", store)
        .env_remove("SSL_CERT_DIR")
        .env(CHAIN, chain)
        .output()
        .expect("it ran");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn they_are_loaded_and_trusted() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, chain) = (folder.path().join("store.pem"), folder.path().join("chain.der"));
    let mut file = std::fs::File::create(&store).expect("a file");
    file.write_all(pem(&trusted().certificate).as_bytes()).expect("written");
    // One that is there, but no certificate.
    file.write_all(pem(b"not a certificate").as_bytes()).expect("written");
    std::fs::write(&chain, &trusted().issue(&client("device", Validity::Valid)).chain[0]).expect("written");
    in_a_process("child_loads_one", &store, &chain);
    std::fs::write(&store, b"").expect("written");
    in_a_process("child_loads_none", &store, &chain);
    in_a_process("child_misses_the_store", &folder.path().join("nowhere.pem"), &chain);
}

/// What the child is to verify.
fn chain() -> Vec<Box<[u8]>> {
    let path = std::env::var_os(CHAIN).expect("the parent says where it lies");
    vec![std::fs::read(path).expect("a chain").into()]
}

#[test]
#[ignore = "the test above runs it, in a process of its own"]
fn child_loads_one() {
    let system = SystemAuthorities::load();
    assert_eq!((system.count(), system.problems().len()), (1, 1), "{:?}", system.problems());
    let configured = std::slice::from_ref(&stranger().certificate);
    let with = WebPkiTrust::new(configured, Some(&system)).expect("authorities");
    assert_eq!((with.count(), with.verify(&chain(), now()).map(|_| ())), (2, Ok(())));
    let without = WebPkiTrust::new(configured, None).expect("authorities");
    assert_eq!((without.count(), without.verify(&chain(), now())), (1, Err(Distrust::UnknownIssuer)));
}

#[test]
#[ignore = "the test above runs it, in a process of its own"]
fn child_loads_none() {
    let system = SystemAuthorities::load();
    assert_eq!((system.count(), system.problems().len()), (0, 0), "{:?}", system.problems());
    let trust = WebPkiTrust::new(&[], Some(&system)).expect("authorities");
    assert_eq!(trust.verify(&chain(), now()), Err(Distrust::UnknownIssuer));
}

#[test]
#[ignore = "the test above runs it, in a process of its own"]
fn child_misses_the_store() {
    let system = SystemAuthorities::load();
    assert_eq!((system.count(), system.problems().len()), (0, 1), "{:?}", system.problems());
    assert!(system.problems()[0].contains("nowhere.pem"), "{:?}", system.problems());
}
