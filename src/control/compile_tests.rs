//! What a configuration comes to, and what is told when the store does not hold what it names.

use super::*;
use crate::control::config::{Draft, FRESH};
use crate::control::pki::make::{self, AuthorityRequest, BrokerRequest};
use crate::control::pki::{Certified, Issuer, KeyType, Store};
use crate::policy::rules::Action;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn store(&self) -> Store {
        Store::open(self.0.path()).unwrap()
    }

    fn compile(&self, text: &str) -> Result<Compiled, Vec<Problem>> {
        let config = Draft::read(text).unwrap().config;
        compile(&config, Generation(3), self.0.path(), Earlier::Plain)
    }

    fn problems(&self, text: &str) -> Vec<(String, String)> {
        let problems = self.compile(text).expect_err("something is wrong");
        problems.into_iter().map(|problem| (problem.path, problem.what)).collect()
    }
}

fn authority(name: &str, now: i64) -> Certified {
    let request = AuthorityRequest { common_name: name.to_owned(), days: 10, key_type: KeyType::default() };
    make::authority(&request, now).unwrap()
}

fn broker(now: i64) -> Certified {
    let names = vec!["localhost".parse().unwrap()];
    let request = BrokerRequest { names, days: 10, key_type: KeyType::default() };
    make::broker(Some(&Issuer::new(&authority("ca", now), now).unwrap()), &request, now).unwrap()
}

const TLS: &str = "enabled = true\n[certificates]\ntrust_operating_system = false\n[[listener]]\naddress = \"127.0.0.1:0\"\ntls = true\n";

fn with_authority(thumbprint: &crate::policy::Thumbprint, issues: bool) -> String {
    format!("{TLS}[[authority]]\nname = \"ca\"\nthumbprint = \"{thumbprint}\"\nissues = {issues}\n")
}

fn with_certificate(thumbprint: &crate::policy::Thumbprint) -> String {
    format!("{TLS}[broker_certificate]\ncertificate = \"{thumbprint}\"\n")
}

#[test]
fn a_disabled_broker_has_no_listeners_and_an_enabled_one_its_enabled_ones() {
    let folder = Folder::new();
    assert!(folder.compile(FRESH).unwrap().listeners.is_empty());
    let text =
        FRESH.replace("enabled = false", "enabled = true").replace("topic_levels = 128", "topic_levels = 9");
    let compiled = folder.compile(&text).unwrap();
    let written: Vec<String> =
        compiled.listeners.iter().map(|(listener, policy)| format!("{listener} {}", policy.tls)).collect();
    assert_eq!(written, ["tcp 127.0.0.1:1883 false", "websocket 127.0.0.1:8083/mqtt false"]);
    assert_eq!(compiled.snapshot.generation, Generation(3));
    assert_eq!(compiled.snapshot.limits.topic_levels, 9);
    assert!(compiled.snapshot.persistent_sessions);
    assert!(compiled.identity.is_none());
    assert!(!folder.0.path().join("pki").exists(), "without TLS nobody needs the store");
}

#[test]
fn rules_apply_where_certificates_are_required_or_always() {
    let folder = Folder::new();
    let rule =
        "[[rule]]\nname = \"all\"\naccess = \"write\"\nclient_match = \"all\"\ntopic_match = \"all\"\n";
    assert!(folder.compile(rule).unwrap().snapshot.rules.is_none());
    let always = folder
        .compile(&format!("[rules]\napply = \"always\"\nrefused_publish_v3 = \"close\"\n{rule}"))
        .unwrap();
    assert_eq!(always.snapshot.names, ClientNames::CertificatesAndUsers);
    assert_eq!(always.snapshot.refused_publish_v3, crate::policy::RefusedPublish::Close);
    let rules = always.snapshot.rules.unwrap();
    assert!(rules.judge(&rules.client(""), Action::Publish, "t").allowed);

    let required = TLS.replace("[certificates]", "[certificates]\nrequire = true");
    let required = folder.compile(&required).unwrap();
    assert_eq!(required.snapshot.names, ClientNames::Certificates);
    let rules = required.snapshot.rules.expect("they apply, and there is none");
    assert!(!rules.judge(&rules.client("device1"), Action::Publish, "t").allowed);
    assert_eq!(required.listeners[0].1.certificate, Requirement::Required);

    let exempt = "[certificates]\nrequire = true\n[[listener]]\naddress = \"127.0.0.1:0\"\ntls = true\nrequire_client_certificate = false\n";
    let exempt = folder.compile(&format!("enabled = true\n{exempt}")).unwrap();
    assert!(exempt.snapshot.rules.is_none(), "no listener requires one");
    assert_eq!(exempt.listeners[0].1.certificate, Requirement::Optional);
}

#[test]
fn the_broker_makes_its_certificate_once_with_the_authority_that_issues() {
    let folder = Folder::new();
    let now = secure::now();
    let thumbprint = folder.store().put(&authority("ca", now)).unwrap();
    let text = format!(
        "{}[broker_certificate]\nnames = [\"broker.example.org\"]\n",
        with_authority(&thumbprint, true)
    );
    let first = folder.compile(&text).unwrap().identity.unwrap();
    assert_eq!(folder.compile(&text).unwrap().identity.unwrap().thumbprint, first.thumbprint);
    // It lacks a name then.
    let other = folder.compile(&text.replace("broker.", "mqtt.")).unwrap().identity.unwrap();
    assert_ne!(other.thumbprint, first.thumbprint);
    // When two thirds of its life are over there is another.
    let later = now + 7 * 86_400;
    let renewed = other.source.identity(later).unwrap();
    assert_ne!(renewed.thumbprint, other.thumbprint);
    assert_eq!(other.source.identity(later).unwrap().thumbprint, renewed.thumbprint);
    // And when its authority has come to its end, it signs itself and says so.
    let last = other.source.identity(now + 20 * 86_400).unwrap();
    assert!(last.warnings[0].what.contains("signed by itself"), "{:?}", last.warnings);
}

#[test]
fn an_authority_without_a_key_lets_the_broker_sign_its_certificate_itself() {
    let folder = Folder::new();
    let certified = Certified { key: None, ..authority("ca", secure::now()) };
    let thumbprint = folder.store().put(&certified).unwrap();
    assert!(folder.compile(&with_authority(&thumbprint, true)).unwrap().identity.is_some());
}

#[test]
fn an_imported_certificate_must_be_there_whole_and_of_use() {
    let folder = Folder::new();
    let now = secure::now();
    let good = folder.store().put(&broker(now)).unwrap();
    let identity = folder.compile(&with_certificate(&good)).unwrap().identity.unwrap();
    assert_eq!(identity.thumbprint, good);
    assert!(identity.warnings[0].what.contains("ends on"), "it lasts ten days: {:?}", identity.warnings);

    let expired = folder.store().put(&broker(now - 20 * 86_400)).unwrap();
    let keyless = folder.store().put(&Certified { key: None, ..broker(now) }).unwrap();
    let ca = folder.store().put(&authority("ca", now)).unwrap();
    let doubtful = folder.compile(&with_certificate(&ca)).unwrap().warnings;
    assert!(doubtful.iter().any(|warning| warning.what.contains("an authority's own")), "{doubtful:?}");
    let absent = crate::policy::Thumbprint([7; 32]);
    for (thumbprint, what) in
        [(expired, "has expired"), (keyless, "no private key"), (absent, "there is no certificate 0707")]
    {
        let problems = folder.problems(&with_certificate(&thumbprint));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].0, "broker_certificate.certificate");
        assert!(problems[0].1.contains(what), "{problems:?}");
    }
}

#[test]
fn all_that_is_wrong_with_the_store_is_told_at_once() {
    let folder = Folder::new();
    let (one, other) = (crate::policy::Thumbprint([1; 32]), crate::policy::Thumbprint([2; 32]));
    let text = format!(
        "{}[[authority]]\nname = \"b\"\nthumbprint = \"{other}\"\n[broker_certificate]\ncertificate = \"{other}\"\n",
        with_authority(&one, true)
    );
    let paths: Vec<String> = folder.problems(&text).into_iter().map(|(path, _)| path).collect();
    assert_eq!(
        paths,
        ["authority[0].thumbprint", "authority[1].thumbprint", "broker_certificate.certificate"]
    );
    let auto = folder.problems(&with_authority(&one, true));
    assert_eq!(auto.len(), 1, "once is enough: {auto:?}");
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let thumbprint = folder.store().put(&broker(secure::now())).unwrap();
    let keys = folder.0.path().join("pki").join("keys");
    let key = std::fs::read_dir(&keys).unwrap().next().unwrap().unwrap().path();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let problems = folder.compile(&with_certificate(&thumbprint)).unwrap_err();
    assert!(
        problems[0].what.contains("others may read it") && problems[0].remedy.contains("chmod 600"),
        "{problems:?}"
    );
}
