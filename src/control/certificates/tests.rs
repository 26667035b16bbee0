//! All or nothing, also when somebody else edits the file meanwhile. What each command does is tried from outside, by
//! `tests/e2e`.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::control::certificates::authorities::{Handing, Issuing};
use crate::control::certificates::files::Eyes;
use crate::control::pki::make::{AuthorityRequest, ClientRequest};
use crate::control::pki::{Issuer, KeyType};
use crate::policy::certificates::Listing;

struct Place {
    temp: tempfile::TempDir,
    paths: Paths,
}

impl Place {
    fn new() -> Place {
        let temp = tempfile::tempdir().unwrap();
        let data = temp.path().join("data");
        let paths = Paths { config: data.join("config.toml"), data };
        Place { temp, paths }
    }

    fn open(&self) -> Registry {
        Registry::open(&self.paths).unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.paths.config).unwrap()
    }

    fn create(&self, name: &str) {
        let mut registry = self.open();
        registry.create_authority(&authority(name), Issuing::Yes).unwrap();
        registry.commit().unwrap();
    }
}

fn authority(name: &str) -> AuthorityRequest {
    AuthorityRequest { common_name: name.into(), days: 9, key_type: KeyType::EcdsaP256 }
}

fn issue(registry: &mut Registry, issuer: &Issuer, path: &Path) -> Certified {
    let request =
        ClientRequest { common_name: "a".into(), names: Vec::new(), days: 9, key_type: KeyType::EcdsaP256 };
    registry.issue(issuer, &request, &Handing::Pem(path)).unwrap()
}

#[test]
fn what_was_left_is_taken_back_when_something_fails() {
    let place = Place::new();
    place.create("Authority");
    let mut registry = place.open();
    let issuer = registry.issuer(None).unwrap();
    let made = issue(&mut registry, &issuer, &place.file("a.pem"));
    registry.list_client(None, Certified { key: None, ..made.clone() }, Listing::Authorized).unwrap();
    let nowhere = Output::new(&place.file("no/such/folder"), Vec::new().into(), Eyes::All).unwrap();
    registry.outputs.push(nowhere);
    let (before, stored) = (place.text(), registry.store.list().unwrap());
    let failure = registry.commit().unwrap_err();
    assert!(failure.cause.contains("no/such/folder"), "{failure}");
    assert!(!place.file("a.pem").exists());
    let registry = place.open();
    assert_eq!((place.text(), registry.store.list().unwrap()), (before, stored));

    // A file that came in between is not written over, nor removed.
    let mut registry = place.open();
    issue(&mut registry, &issuer, &place.file("a.pem"));
    fs::write(place.file("a.pem"), "mine").unwrap();
    assert!(registry.commit().is_err());
    assert_eq!(fs::read_to_string(place.file("a.pem")).unwrap(), "mine");
}

#[test]
fn a_draft_that_would_be_invalid_leaves_nothing() {
    let place = Place::new();
    place.create("Authority");
    let mut registry = place.open();
    let made = registry.create_authority(&authority("Other"), Issuing::IfNone).unwrap();
    // Somebody else is quicker and takes the name.
    place.create("Other");
    let before = place.text();
    let failure = registry.commit().unwrap_err();
    assert!(failure.cause.contains("Other"), "{failure}");
    assert_eq!(place.text(), before);
    assert!(!place.open().store.has(&made.thumbprint()));
    assert!(!place.open().store.has_key(&made.thumbprint()));
}

#[test]
fn an_edit_between_reading_and_writing_is_not_lost() {
    let place = Place::new();
    place.create("First");
    let mut registry = place.open();
    registry.use_authority("First").unwrap();
    let (head, tail) = (place.text(), "\n# a word of somebody's\n");
    fs::write(&place.paths.config, head + tail).unwrap();
    registry.commit().unwrap();
    assert!(place.text().ends_with(tail), "{}", place.text());

    // An authority that is gone is not put back.
    let mut registry = place.open();
    registry.remove_authority("First").unwrap();
    let mut other = place.open();
    other.remove_authority("First").unwrap();
    other.commit().unwrap();
    let failure = registry.commit().unwrap_err();
    assert!(failure.cause.contains("there is no authority"), "{failure}");
}

#[test]
fn only_one_authority_issues_and_the_last_one_chosen_does() {
    let place = Place::new();
    for name in ["One", "Two", "Three"] {
        place.create(name);
        let registry = place.open();
        let issuing: Vec<&str> = registry
            .draft
            .config()
            .authorities
            .iter()
            .filter(|one| one.issues)
            .map(|one| one.name.as_str())
            .collect();
        assert_eq!(issuing, [name]);
    }
    let mut registry = place.open();
    registry.use_authority("One").unwrap();
    registry.commit().unwrap();
    assert_eq!(place.open().issuer(None).unwrap().description().subject, "CN=One");
}
