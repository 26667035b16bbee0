//! Back to what was applied: what comes back is told, what must not come back does not, and no draft is lost.

use std::fs;

use super::tests::{Folder, applied_once, apply};
use super::*;

const ONE: &str = "ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01";
const TWO: &str = "cd02cd02cd02cd02cd02cd02cd02cd02cd02cd02cd02cd02cd02cd02cd02cd02";
const OLD: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0c2FsdHNhbHQ";
const NEW: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$QUJDREVGR0hJSktM$c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0c2FsdHNhbHQ";

fn asked(author: &str, comment: &str) -> ApplyRequest {
    ApplyRequest { author: author.into(), comment: comment.into(), ..Occasion::Running.into() }
}

fn commit(store: &mut Store, request: ApplyRequest) -> Committed {
    let committed = store.prepare(request).unwrap().commit(|_| {}).unwrap();
    store.record(&committed);
    committed
}

fn certificate(name: &str, thumbprint: &str, status: &str) -> String {
    format!("[[client_certificate]]\nname = {name:?}\nthumbprint = {thumbprint:?}\nstatus = {status:?}\n")
}

fn user(name: &str, password: &str) -> String {
    format!("[[user]]\nname = {name:?}\npassword = {password:?}\n")
}

/// What is written behind the fresh configuration, applied as a generation of its own.
fn write(folder: &Folder, fresh: &str, store: &Store, more: &str) {
    let generation = store.record.as_ref().map_or(0, |record| record.generation);
    let text = fresh.replace("generation = 1\n", &format!("generation = {generation}\n"));
    fs::write(folder.file(), format!("{text}\n{more}")).unwrap();
}

/// Generation 2: two certificates, three users and a password of the console; generation 3: some of it taken away.
fn taken_away() -> (Folder, Store) {
    let (folder, mut store) = applied_once();
    let fresh = folder.text();
    let (gone, kept) = (certificate("d1", ONE, "authorized"), certificate("d2", TWO, "revoked"));
    let with_password =
        |password: &str| fresh.replace("password = \"\"", &format!("password = {password:?}"));
    write(
        &folder,
        &with_password(OLD),
        &store,
        &(gone + &kept + &user("ann", OLD) + &user("bob", OLD) + &user("cid", OLD)),
    );
    commit(&mut store, asked("ann", "more"));
    let (gone, kept) = (certificate("lost", ONE, "revoked"), certificate("d2", TWO, "revoked"));
    write(&folder, &with_password(NEW), &store, &(gone + &kept + &user("ann", NEW) + &user("cid", OLD)));
    commit(&mut store, asked("bob", "less"));
    (folder, store)
}

#[test]
fn every_generation_is_kept_with_who_applied_it_and_what_it_changed() {
    let (folder, mut store) = applied_once();
    folder.edit("topic_levels = 128", "topic_levels = 12");
    let text = folder.text().replace("generation = 1", "generation = 2");
    commit(&mut store, asked("ann", "for the new sensors"));
    let entry = &folder.store().history()[0];
    assert_eq!(
        (entry.generation, entry.author.as_str(), entry.comment.as_str()),
        (2, "ann", "for the new sensors")
    );
    assert!(entry.applied_at > 1_700_000_000);
    assert_eq!(
        (&entry.text, entry.changes[0].to_string().as_str()),
        (&text, "limits.topic_levels: 128 -> 12 (live)")
    );
    assert_eq!(store.entry(Generation(1)).unwrap().generation, 1);
    assert_eq!(store.entry(Generation(7)), None);
    // What changes nothing is no generation.
    commit(&mut store, asked("ann", "again"));
    assert_eq!(store.history().len(), 2);
}

#[test]
fn a_record_of_an_older_version_is_read() {
    let (folder, _) = applied_once();
    let text = folder.text();
    let old = format!("generation = 1\ntext = {text:?}\n");
    fs::write(folder.record_file(), old).unwrap();
    let store = folder.store();
    assert_eq!(store.applied_text(), Some(text.as_str()));
    assert_eq!(store.history()[0].generation, 1);
}

#[test]
fn a_rollback_is_a_generation_of_its_own_and_sets_an_unapplied_draft_aside() {
    let (folder, mut store) = applied_once();
    folder.edit("topic_levels = 128", "topic_levels = 12 # smaller");
    commit(&mut store, asked("", ""));
    folder.edit("topic_bytes = 1024", "topic_bytes = 77");
    let draft = folder.text();
    let plan = store.rollback_plan(Generation(1)).unwrap();
    assert_eq!(plan.changes[0].to_string(), "limits.topic_levels: 12 -> 128 (live)");
    assert!(plan.revived.is_empty());
    let prepared = store.prepare_rollback(asked("ann", ""), Generation(1), Revival::Refused).unwrap();
    assert_eq!(folder.text(), draft, "nothing is touched yet");
    let committed = prepared.commit(|_| {}).unwrap();
    store.record(&committed);
    assert_eq!(committed.applied.generation, Generation(3));
    assert_eq!(committed.applied.config.limits.topic_levels, 128);
    assert!(folder.text().contains("generation = 3") && !folder.text().contains("smaller"));
    assert_eq!(fs::read_to_string(folder.0.path().join("config.toml.before-rollback")).unwrap(), draft);
    assert!(committed.notes[0].contains("before-rollback"), "{:?}", committed.notes);
    assert_eq!(store.history()[0].comment, "back to generation 1");
    assert_eq!(folder.names(), ["applied.toml", "config.toml", "config.toml.before-rollback"]);
    assert!(matches!(store.rollback_plan(Generation(9)), Err(ApplyError::NoSuchGeneration(_))));
}

#[test]
fn dropping_a_prepared_rollback_leaves_nothing() {
    let (folder, mut store) = applied_once();
    folder.edit("topic_levels = 128", "topic_levels = 12");
    commit(&mut store, asked("", ""));
    folder.edit("topic_levels = 12", "topic_levels = 13");
    let draft = folder.text();
    drop(store.prepare_rollback(Occasion::Running, Generation(1), Revival::Refused).unwrap());
    assert_eq!(
        (folder.text(), folder.names()),
        (draft, vec!["applied.toml".to_owned(), "config.toml".to_owned()])
    );
}

#[test]
fn a_rollback_that_revives_is_refused_until_that_is_accepted() {
    let (_folder, mut store) = taken_away();
    let refused = store.prepare_rollback(Occasion::Running, Generation(2), Revival::Refused).map(|_| ());
    let Err(ApplyError::Revives(revived)) = refused else { panic!("it was not refused: {refused:?}") };
    assert_eq!(revived.len(), 4, "{revived:?}");
    for part in ["\"lost\"", "\"ann\" has another password", "\"bob\" is removed", "the console"] {
        assert!(revived.iter().any(|revived| revived.contains(part)), "{part}: {revived:?}");
    }
    let prepared = store.prepare_rollback(Occasion::Running, Generation(2), Revival::Accepted).unwrap();
    let committed = prepared.commit(|_| {}).unwrap();
    store.record(&committed);
    assert_eq!(committed.notes.len(), 4);
    assert_eq!(committed.applied.config.users.len(), 3);
}

#[test]
fn what_is_not_confirmed_is_taken_back_without_what_was_taken_away() {
    let (folder, mut store) = applied_once();
    let fresh = folder.text();
    let all =
        certificate("d1", ONE, "authorized") + &user("ann", OLD) + &user("bob", OLD) + &user("cid", OLD);
    write(&folder, &fresh.replace("password = \"\"", &format!("password = {OLD:?}")), &store, &all);
    commit(&mut store, asked("", ""));
    let fewer = certificate("d1", ONE, "revoked")
        + &certificate("d2", TWO, "revoked")
        + &user("ann", NEW)
        + &user("cid", OLD)
        + &user("dan", NEW);
    let smaller = fresh.replace("topic_levels = 128", "topic_levels = 12");
    write(&folder, &smaller, &store, &fewer);
    let committed = commit(&mut store, ApplyRequest { confirm_within_secs: Some(60), ..asked("ann", "") });
    let pending = committed.pending.unwrap();
    assert_eq!((pending.generation(), store.pending()), (Generation(3), Some(&pending)));
    assert!(!pending.is_over(pending.until - 1) && pending.is_over(pending.until));

    let committed = store.prepare_revert(Occasion::Running).unwrap().commit(|_| {}).unwrap();
    store.record(&committed);
    let config = &committed.applied.config;
    assert_eq!((committed.applied.generation, config.limits.topic_levels), (Generation(4), 128));
    let listed: Vec<String> =
        config.client_certificates.iter().map(|one| format!("{} {:?}", one.name, one.status)).collect();
    assert_eq!(listed, ["d1 Revoked", "d2 Revoked"]);
    let users: Vec<(&str, &str)> =
        config.users.iter().map(|user| (user.name.as_str(), user.password.as_phc())).collect();
    assert_eq!(users, [("ann", NEW), ("cid", OLD)]);
    assert!(config.admin.password.is_none(), "it was taken away");
    assert_eq!(committed.notes.len(), 5, "{:?}", committed.notes);
    assert_eq!((store.pending(), folder.store().pending()), (None, None));
    assert_eq!(store.history()[0].author, "tidemq");
    assert_eq!(folder.names(), ["applied.toml", "config.toml"]);
}

#[test]
fn what_is_confirmed_stays() {
    let (folder, mut store) = applied_once();
    assert_eq!(store.confirm().unwrap(), None);
    folder.edit("topic_levels = 128", "topic_levels = 12");
    commit(&mut store, ApplyRequest { confirm_within_secs: Some(60), ..asked("", "") });
    // An Apply that changes nothing confirms nothing.
    apply(&mut store, Occasion::Running).unwrap();
    assert!(store.pending().is_some() && folder.store().pending().is_some());
    assert_eq!(store.confirm().unwrap(), Some(Generation(2)));
    assert_eq!((store.pending(), folder.store().pending()), (None, None));
    assert!(matches!(store.prepare_revert(Occasion::Running).map(|_| ()), Err(ApplyError::NothingApplied)));
}

#[test]
fn another_apply_confirms_and_one_to_be_confirmed_goes_back_to_what_was_meant() {
    let (folder, mut store) = applied_once();
    let confirmed = folder.text();
    for levels in ["12", "13"] {
        folder.edit("topic_levels = 1", &format!("topic_levels = {levels} # 1"));
        commit(&mut store, ApplyRequest { confirm_within_secs: Some(60), ..asked("", "") });
    }
    assert_eq!(store.pending().unwrap().back_to, confirmed);
    folder.edit("topic_bytes = 1024", "topic_bytes = 77");
    commit(&mut store, asked("", ""));
    assert_eq!((store.pending(), folder.store().pending()), (None, None));
}

#[test]
fn a_start_within_the_time_waits_on_and_one_after_it_takes_back() {
    for (secs, levels, generation) in [(3_600, 12, 2), (0, 128, 3)] {
        let (folder, mut store) = applied_once();
        folder.edit("topic_levels = 128", "topic_levels = 12");
        commit(&mut store, ApplyRequest { confirm_within_secs: Some(secs), ..asked("", "") });
        let mut next = folder.store();
        let committed = next.prepare_start(Occasion::Start).unwrap().commit(|_| {}).unwrap();
        next.record(&committed);
        assert_eq!(committed.applied.config.limits.topic_levels, levels);
        assert_eq!(committed.applied.generation, Generation(generation));
        assert_eq!(next.pending().is_some(), secs > 0);
    }
}

#[test]
fn a_draft_is_discarded_for_what_is_applied() {
    let (folder, store) = applied_once();
    let applied = folder.text();
    assert!(!store.discard(None).unwrap());
    folder.edit("topic_levels = 128", "topic_levels = 12");
    assert!(matches!(store.discard(Some("0123456789abcdef")), Err(ApplyError::Edited { .. })));
    assert!(store.discard(Some(&draft_hash(&folder.text()))).unwrap());
    assert_eq!(folder.text(), applied);
    // Also one that is no TOML, and one that is gone.
    fs::write(folder.file(), "enabled = ").unwrap();
    assert!(store.discard(None).unwrap());
    fs::remove_file(folder.file()).unwrap();
    assert!(store.discard(None).unwrap());
    assert_eq!(folder.text(), applied);
    assert!(matches!(Folder::new().store().discard(None), Err(ApplyError::NothingApplied)));
}
