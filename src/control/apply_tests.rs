//! Apply is whole or has not happened, keeps what people wrote, and does not choose between two edits.

use std::fs;

use super::*;
use crate::control::config::{FRESH, Listener};
use crate::control::{edit, pki};

pub(super) struct Folder(pub(super) tempfile::TempDir);

impl Folder {
    pub(super) fn new() -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        fs::create_dir(folder.0.path().join("state")).unwrap();
        folder
    }

    pub(super) fn file(&self) -> PathBuf {
        self.0.path().join("config.toml")
    }

    pub(super) fn record_file(&self) -> PathBuf {
        data_dir::record_file(self.0.path())
    }

    pub(super) fn store(&self) -> Store {
        self.store_with(Overrides::default())
    }

    pub(super) fn store_with(&self, overrides: Overrides) -> Store {
        Store::open(self.file(), self.0.path(), overrides).unwrap()
    }

    pub(super) fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    /// Replaces a piece of the file, as a person with an editor would.
    pub(super) fn edit(&self, from: &str, to: &str) {
        let text = self.text();
        assert!(text.contains(from), "the test edits what is not there: {from}");
        fs::write(self.file(), text.replace(from, to)).unwrap();
    }

    /// The files that an Apply writes.
    pub(super) fn names(&self) -> Vec<String> {
        let entries = |folder: &Path| fs::read_dir(folder).unwrap().map(Result::unwrap);
        let all = entries(self.0.path()).chain(entries(&self.0.path().join("state")));
        let mut names: Vec<String> = all
            .filter(|entry| entry.path().is_file() && entry.file_name() != "edit.lock")
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

pub(super) fn apply(store: &mut Store, occasion: Occasion) -> Result<Committed, ApplyError> {
    let committed = store.prepare(occasion)?.commit(|_| {})?;
    store.record(&committed);
    Ok(committed)
}

/// A folder with the fresh configuration applied as generation 1.
pub(super) fn applied_once() -> (Folder, Store) {
    let folder = Folder::new();
    let mut store = folder.store();
    store.write_fresh_if_absent().unwrap();
    let committed = apply(&mut store, Occasion::Start).unwrap();
    assert_eq!(committed.applied.generation, Generation(1));
    (folder, store)
}

#[test]
fn a_fresh_configuration_is_generation_one_and_survives_reopening() {
    let (folder, _) = applied_once();
    assert!(folder.text().contains("generation = 1\n"));
    let mut again = folder.store();
    assert_eq!(again.applied().unwrap().unwrap().generation, Generation(1));
    let same = apply(&mut again, Occasion::Start).unwrap();
    assert_eq!((same.applied.generation, same.changes.len()), (Generation(1), 0));
}

#[test]
fn an_edit_is_installed_with_the_next_generation_and_keeps_comments_and_order() {
    let (folder, mut store) = applied_once();
    folder.edit("packet_bytes = \"1 MiB\"", "packet_bytes = 4096   # small devices only");
    let edited = folder.text();
    let prepared = store.prepare(Occasion::Running).unwrap();
    let mut installed = None;
    let committed = prepared.commit(|compiled| installed = Some(compiled.snapshot.clone())).unwrap();
    store.record(&committed);
    let snapshot = installed.unwrap();
    assert_eq!((snapshot.generation, snapshot.limits.packet_bytes), (Generation(2), 4_096));
    assert_eq!(committed.changes[0].path, "limits.packet_bytes");
    assert_eq!(folder.text(), edited.replace("generation = 1", "generation = 2"));
    assert_eq!(folder.names(), ["applied.toml", "config.toml"]);
}

#[test]
fn a_bad_edit_changes_nothing_and_names_every_problem() {
    let (folder, store) = applied_once();
    folder.edit("topic_levels = 128", "topic_levels = 0");
    folder.edit("level = \"info\"", "level = \"loud\"");
    let Err(error) = store.prepare(Occasion::Running) else { panic!("it was taken") };
    let said = error.to_string();
    assert!(said.contains("limits.topic_levels") && said.contains("log.level"), "{said}");
    assert_eq!(store.applied().unwrap().unwrap().generation, Generation(1));
    assert_eq!(folder.names(), ["applied.toml", "config.toml"]);
}

#[test]
fn a_change_that_needs_a_restart_is_refused_by_name_and_taken_at_the_start() {
    let change =
        |path: &str, effect| Change { path: path.into(), before: None, after: None, effect, note: None };
    let changes = [change("log.level", Effect::Live), change("broker.storage", Effect::Restart)];
    let Err(ApplyError::Restart(refused)) = check_effects(Occasion::Running, &changes) else {
        panic!("it was not refused")
    };
    assert_eq!(refused, changes[1..]);
    assert!(check_effects(Occasion::Start, &changes).is_ok());
    assert!(check_effects(Occasion::Running, &changes[..1]).is_ok());
}

#[test]
fn a_rule_test_that_fails_refuses_the_apply_and_says_what_the_rules_say() {
    let (folder, mut store) = applied_once();
    let rules = "[[rule]]\nname = \"all\"\naccess = \"read\"\nclient_match = \"all\"\ntopic_match = \"all\"\n\
        [[rule_test]]\nname = \"mine\"\naction = \"subscribe\"\ntopic = \"a/#\"\nexpect = \"allowed\"\n\
        [[rule_test]]\nname = \"quiet\"\nclient = \"d\"\naction = \"publish\"\ntopic = \"a\"\nexpect = \"refused\"\n\
        [[rule_test]]\nname = \"ours\"\naction = \"publish\"\ntopic = \"$SYS/a\"\nexpect = \"refused\"\n";
    fs::write(folder.file(), format!("{}{rules}", folder.text())).unwrap();
    let applied = apply(&mut store, Occasion::Running).unwrap().applied.config;
    assert_eq!(applied.rule_tests.len(), 3);
    folder
        .edit("access = \"read\"\nclient_match = \"all\"", "access = \"read-write\"\nclient_match = \"all\"");
    let Err(ApplyError::Invalid(_, problems)) = store.prepare(Occasion::Running).map(|_| ()) else {
        panic!("it was taken")
    };
    assert_eq!(problems.0.len(), 1, "{problems}");
    let problem = &problems.0[0];
    assert_eq!(problem.path, "rule_test[1]");
    assert!(problem.line.is_some() && problem.what.contains("ALLOWED by rule 1 \"all\""), "{problem}");
}

#[test]
fn dropping_what_was_prepared_is_the_rollback() {
    let (folder, store) = applied_once();
    folder.edit("topic_levels = 128", "topic_levels = 12");
    let before = (folder.text(), fs::read(folder.record_file()).unwrap());
    let prepared = store.prepare(Occasion::Running).unwrap();
    assert_eq!(folder.names().len(), 4, "both new files wait: {:?}", folder.names());
    drop(prepared);
    assert_eq!((folder.text(), fs::read(folder.record_file()).unwrap()), before);
    assert_eq!(folder.names(), ["applied.toml", "config.toml"]);
}

#[test]
fn an_edit_of_an_old_text_is_shown_and_not_chosen() {
    let (folder, mut store) = applied_once();
    let old = folder.text();
    folder.edit("topic_levels = 128", "topic_levels = 12");
    apply(&mut store, Occasion::Running).unwrap();
    // Someone saves an editor that was opened before that Apply.
    fs::write(folder.file(), old.replace("topic_bytes = 1024", "topic_bytes = 512")).unwrap();
    let Err(ApplyError::Conflict(conflict)) = store.prepare(Occasion::Running).map(|_| ()) else {
        panic!("it was not noticed")
    };
    assert_eq!((conflict.made_from, conflict.applied), (Generation(1), Generation(2)));
    let paths: Vec<&str> = conflict.changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(paths, ["limits.topic_bytes", "limits.topic_levels"]);
    assert!(conflict.to_string().contains("generation = 2"));
    // The remedy works.
    folder.edit("generation = 1", "generation = 2");
    let committed = apply(&mut store, Occasion::Running).unwrap();
    assert_eq!(committed.applied.generation, Generation(3));
    assert_eq!(committed.applied.config.limits.topic_levels, 128);
}

#[test]
fn a_file_that_names_no_generation_is_taken_as_it_is_and_never_rewritten() {
    let folder = Folder::new();
    fs::write(folder.file(), "# by hand\n[limits]\ntopic_levels = 9\n").unwrap();
    let mut store = folder.store();
    assert_eq!(apply(&mut store, Occasion::Start).unwrap().applied.generation, Generation(1));
    folder.edit("9", "10");
    let committed = apply(&mut store, Occasion::Running).unwrap();
    assert_eq!(committed.applied.generation, Generation(2));
    assert_eq!(folder.text(), "# by hand\n[limits]\ntopic_levels = 10\n");
    assert_eq!(folder.store().applied().unwrap().unwrap().generation, Generation(2));
}

#[test]
fn an_edit_between_prepare_and_commit_is_not_lost() {
    let (folder, store) = applied_once();
    folder.edit("topic_levels = 128", "topic_levels = 12");
    let prepared = store.prepare(Occasion::Running).unwrap();
    folder.edit("topic_levels = 12", "topic_levels = 13");
    let mut installed = false;
    let Err(ApplyError::Moved(_)) = prepared.commit(|_| installed = true) else {
        panic!("it was overwritten")
    };
    assert!(!installed);
    assert!(folder.text().contains("topic_levels = 13"));
}

#[test]
fn the_command_line_stands_over_the_file_and_stays_out_of_it() {
    let folder = Folder::new();
    let listener = Draft::read("[[listener]]\naddress = \"127.0.0.1:0\"").unwrap().config.listeners.remove(0);
    let overrides = Overrides { listen: vec![listener], ..Overrides::default() };
    let mut store = folder.store_with(overrides);
    store.write_fresh_if_absent().unwrap();
    let committed = apply(&mut store, Occasion::Start).unwrap();
    assert!(committed.applied.config.enabled);
    assert_eq!(committed.applied.config.listeners.len(), 1);
    assert!(folder.text().contains("enabled = false"));
    // A configured listener that is not in use may change: it needs no restart.
    folder.edit("127.0.0.1:1883", "127.0.0.1:1884");
    assert!(apply(&mut store, Occasion::Running).unwrap().changes.is_empty());
}

#[test]
fn enable_at_the_first_start_is_written_into_the_fresh_file() {
    let folder = Folder::new();
    let overrides = Overrides { enable: true, ..Overrides::default() };
    let store = folder.store_with(overrides);
    store.write_fresh_if_absent().unwrap();
    assert!(folder.text().contains("\nenabled = true\n"));
    assert!(store.prepare(Occasion::Start).unwrap().applied().config.enabled);
}

#[test]
fn a_fresh_configuration_has_an_authority_of_its_own() {
    let folder = Folder::new();
    let mut store = folder.store();
    store.write_fresh_if_absent().unwrap();
    let text = folder.text();
    store.write_fresh_if_absent().unwrap();
    assert_eq!(folder.text(), text, "it is written once");
    let without: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#') && !FRESH.lines().any(|fresh| fresh == *line))
        .collect();
    assert!(
        matches!(without.as_slice(), ["[[authority]]", "name = \"built-in\"", thumbprint, "issues = true"]
        if thumbprint.starts_with("thumbprint = ")),
        "{without:?}"
    );
    let config = apply(&mut store, Occasion::Start).unwrap().applied.config;
    let authority =
        pki::Store::open(folder.0.path()).unwrap().certified(&config.authorities[0].thumbprint).unwrap();
    assert!(authority.key.is_some(), "it can issue");
    let said = pki::describe(authority.certificate()).unwrap();
    assert!(
        said.is_authority && said.subject.starts_with("CN=tidemq built-in authority"),
        "{}",
        said.subject
    );
}

#[test]
fn what_the_command_line_says_is_judged_with_the_file() {
    let folder = Folder::new();
    let listener = Listener::at(super::super::config::Protocol::Tcp, "127.0.0.1:0".parse().unwrap());
    let store = folder.store_with(Overrides { enable: true, listen: vec![listener], ..Overrides::default() });
    let required = "[certificates]\nrequire = true\n[[listener]]\naddress = \"127.0.0.1:1\"\ntls = true\n";
    fs::write(folder.file(), required).unwrap();
    let Err(ApplyError::Invalid(_, problems)) = store.prepare(Occasion::Start).map(|_| ()) else {
        panic!("it was taken")
    };
    assert!(problems.0[0].what.contains("tcp 127.0.0.1:0 has no TLS"), "{problems}");
}

#[test]
fn what_the_store_lacks_is_told_with_its_line_and_nothing_is_written() {
    let (folder, store) = applied_once();
    let thumbprint = "0123456789abcdef".repeat(4);
    fs::write(
        folder.file(),
        format!("{}\n[[authority]]\nname = \"lost\"\nthumbprint = {thumbprint:?}\n", folder.text()),
    )
    .unwrap();
    let lines = folder.text().lines().count();
    let Err(ApplyError::Invalid(_, problems)) = store.prepare(Occasion::Running).map(|_| ()) else {
        panic!("it was taken")
    };
    let problem = &problems.0[0];
    assert_eq!((problem.path.as_str(), problem.line), ("authority[1].thumbprint", Some(lines)));
    assert!(problem.what.contains("there is no certificate"), "{problem}");
    assert_eq!(folder.names(), ["applied.toml", "config.toml"]);
}

#[test]
fn warnings_come_with_an_apply_and_do_not_hinder_it() {
    let (folder, mut store) = applied_once();
    folder.edit("apply = \"certificates\"", "apply = \"always\"");
    let committed = apply(&mut store, Occasion::Running).unwrap();
    assert_eq!(committed.warnings.len(), 1);
    assert!(
        committed.warnings[0].what.contains("nobody can publish or subscribe"),
        "{:?}",
        committed.warnings
    );
    assert!(committed.warnings[0].line.is_some());
}

#[test]
fn hashes_of_passwords_that_others_can_read_are_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, mut store) = applied_once();
    let user = "\n[[user]]\nname = \"anna\"\npassword = \
        \"$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0c2FsdHNhbHQ\"\n";
    fs::write(folder.file(), format!("{}{user}", folder.text())).unwrap();
    fs::set_permissions(folder.file(), fs::Permissions::from_mode(0o644)).unwrap();
    let warnings = store.prepare(Occasion::Running).unwrap().warnings.clone();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].what.contains("others can read it (mode 644)"), "{}", warnings[0]);
    // The Apply writes its generation into the file, and makes it its owner's alone by that.
    apply(&mut store, Occasion::Running).unwrap();
    assert!(store.prepare(Occasion::Running).unwrap().warnings.is_empty());
}

#[test]
fn an_edit_under_way_is_waited_for() {
    let (folder, store) = applied_once();
    let mut edit = edit::Edit::begin(&folder.file(), folder.0.path()).unwrap();
    edit.set("limits.topic_levels", 9).unwrap();
    let applying = std::thread::scope(|scope| {
        let applying = scope.spawn(|| {
            let store = folder.store();
            store.prepare(Occasion::Running).map(|prepared| prepared.applied().config.limits.topic_levels)
        });
        edit.save().unwrap();
        applying.join().unwrap()
    });
    assert!(matches!(applying.unwrap(), 9), "the edit was begun first");
    drop(store);
}

#[test]
fn variables_stand_over_the_file_and_stay_out_of_it() {
    let folder = Folder::new();
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let environment = |variables: Vec<(String, String)>| Overrides {
        environment: crate::control::environment::Environment::new(variables),
        ..Overrides::default()
    };
    let mut store = folder.store_with(environment(vec![variable("TIDEMQ__LIMITS__TOPIC_LEVELS", "7")]));
    store.write_fresh_if_absent().unwrap();
    assert_eq!(apply(&mut store, Occasion::Start).unwrap().applied.config.limits.topic_levels, 7);
    assert_eq!(store.applied().unwrap().unwrap().config.limits.topic_levels, 7);
    assert!(folder.text().contains("topic_levels = 128"));
    // The file's own word does not count as long as the variable is there.
    folder.edit("topic_levels = 128", "topic_levels = 12");
    assert!(store.difference().unwrap().is_empty());
    let store = folder.store_with(environment(vec![variable("TIDEMQ__LIMIT__TOPIC_LEVELS", "7")]));
    let Err(ApplyError::Invalid(_, problems)) = store.prepare(Occasion::Start).map(|_| ()) else {
        panic!("it was taken")
    };
    assert_eq!(problems.0[0].path, "$TIDEMQ__LIMIT__TOPIC_LEVELS");
    assert_eq!(problems.0[0].remedy, "did you mean `TIDEMQ__LIMITS__TOPIC_LEVELS`?");
}

#[test]
fn an_apply_is_refused_that_was_asked_for_another_state() {
    let (folder, mut store) = applied_once();
    folder.edit("topic_levels = 128", "topic_levels = 12");
    let seen = draft_hash(&folder.text());
    let request = |generation, hash: &str| ApplyRequest {
        expected_generation: Some(Generation(generation)),
        expected_draft: Some(hash.to_owned()),
        ..Occasion::Running.into()
    };
    let outdated = store.prepare(request(7, &seen)).map(|_| ());
    assert!(matches!(outdated, Err(ApplyError::Outdated { applied: Generation(1), .. })), "{outdated:?}");
    let edited = store.prepare(request(1, "0123456789abcdef")).map(|_| ());
    assert!(matches!(&edited, Err(ApplyError::Edited { found, .. }) if *found == seen), "{edited:?}");
    let committed = store.prepare(request(1, &seen)).unwrap().commit(|_| {}).unwrap();
    store.record(&committed);
    assert_eq!(committed.applied.generation, Generation(2));
}
