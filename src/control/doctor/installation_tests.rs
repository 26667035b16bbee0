//! What `doctor` finds in installations that are made here, good and bad ones.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

use super::*;
use crate::control::config::FRESH;
use crate::control::pki::KeyType;
use crate::control::pki::make::{self, AuthorityRequest};

const DAY: i64 = 86_400;

struct Installation {
    _temp: tempfile::TempDir,
    paths: Paths,
}

impl Installation {
    fn new(config: &str) -> Installation {
        let temp = tempfile::tempdir().unwrap();
        let data = temp.path().join("data");
        DirBuilder::new().mode(0o700).create(&data).unwrap();
        let config_file = data.join("config.toml");
        fs::write(&config_file, config).unwrap();
        Installation { _temp: temp, paths: Paths { data, config: config_file } }
    }

    fn found(&self, verdict: Verdict) -> Vec<Finding> {
        look(&self.paths).into_iter().filter(|finding| finding.verdict == verdict).collect()
    }

    fn write(&self, name: &str, mode: u32) -> PathBuf {
        let path = self.paths.data.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    /// An authority that ends in so many days, as the configuration names it.
    fn authority(&self, days: i64) -> String {
        let store = Store::open(&self.paths.data).unwrap();
        let request = AuthorityRequest { common_name: "a".into(), days: 400, key_type: KeyType::default() };
        let made = make::authority(&request, secure::now() + (days - 400) * DAY).unwrap();
        let thumbprint = store.put(&made).unwrap();
        format!("[[authority]]\nname = \"a\"\nthumbprint = \"{thumbprint}\"\nissues = true\n")
    }
}

/// A configuration whose addresses are always free.
fn fresh() -> String {
    FRESH.replace("127.0.0.1:1883", "127.0.0.1:0").replace("127.0.0.1:9883", "127.0.0.1:0")
}

#[test]
fn a_fresh_installation_is_well() {
    let installation = Installation::new(&fresh());
    installation.write("state/home.key", 0o600);
    installation.write("pki/certificates/public.pem", 0o644);
    assert_eq!(installation.found(Verdict::Problem), []);
    assert_eq!(installation.found(Verdict::Warning), []);
}

#[test]
fn what_is_not_there_yet_is_no_problem_and_is_not_made() {
    let temp = tempfile::tempdir().unwrap();
    let data = temp.path().join("none");
    let paths = Paths { config: data.join("config.toml"), data };
    assert!(look(&paths).iter().all(|finding| finding.verdict == Verdict::Ok));
    assert!(!paths.data.exists());
}

#[test]
fn secrets_that_others_may_read_are_named() {
    let installation = Installation::new(&fresh());
    let key = installation.write("pki/keys/1.pem", 0o640);
    let token = installation.write("admin.token", 0o604);
    let found = installation.found(Verdict::Problem);
    let mut remedies: Vec<String> = found.into_iter().map(|finding| finding.remedy).collect();
    remedies.sort();
    assert_eq!(remedies, [token, key].map(|path| format!("chmod 600 {}", path.display())));
    fs::set_permissions(&installation.paths.data, Permissions::from_mode(0o755)).unwrap();
    assert!(installation.found(Verdict::Warning)[0].remedy.starts_with("chmod 700"));
}

#[test]
fn every_problem_of_the_configuration_is_a_finding_with_its_place() {
    let installation = Installation::new("enabled = 1\n[limits]\npacket_byte = 1\n");
    let found = installation.found(Verdict::Problem);
    let whats: Vec<&str> = found.iter().map(|finding| finding.what.as_str()).collect();
    assert_eq!(whats.len(), 2);
    assert!(whats[0].starts_with("enabled (line 1): "), "{whats:?}");
    assert!(whats[1].starts_with("limits.packet_byte (line 3): "), "{whats:?}");
    assert!(found.iter().all(|finding| !finding.remedy.is_empty()));
}

#[test]
fn certificates_that_end_or_ended_are_told() {
    for (days, verdict, word) in [
        (300, Verdict::Ok, "valid until"),
        (10, Verdict::Warning, "ends soon"),
        (-1, Verdict::Problem, "expired"),
    ] {
        let installation = Installation::new(&fresh());
        let text = fresh() + &installation.authority(days);
        fs::write(&installation.paths.config, text).unwrap();
        let found = installation.found(verdict);
        let told: Vec<&Finding> = found.iter().filter(|finding| finding.check == CERTIFICATE).collect();
        assert_eq!(told.len(), 1, "{days}: {:?}", look(&installation.paths));
        assert!(told[0].what.contains(word), "{}", told[0].what);
    }
    let installation = Installation::new(&fresh());
    Store::open(&installation.paths.data).unwrap();
    let gone = format!("[[authority]]\nname = \"a\"\nthumbprint = \"{}\"\n", "ab".repeat(32));
    fs::write(&installation.paths.config, fresh() + &gone).unwrap();
    assert_eq!(installation.found(Verdict::Problem).len(), 1, "its file is not there");
}
