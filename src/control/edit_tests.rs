//! An edit changes what it is to change, keeps what people wrote around it, and is whole or not made.

use std::fs;

use super::*;
use crate::control::config::FRESH;

struct Folder(tempfile::TempDir);

impl Folder {
    fn with(text: &str) -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        fs::write(folder.file(), text).unwrap();
        folder
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("config.toml")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    fn edit(&self) -> Edit {
        Edit::begin(&self.file(), self.0.path()).unwrap()
    }

    /// What the lines are that an edit has added, in their order; it has removed none.
    fn added(&self, before: &str) -> Vec<String> {
        let text = self.text();
        let mut old = before.lines().peekable();
        let mut added = Vec::new();
        for line in text.lines() {
            if old.peek() == Some(&line) {
                old.next();
            } else {
                added.push(line.to_owned());
            }
        }
        assert_eq!(old.next(), None, "a line is gone:\n{text}");
        added
    }
}

const THUMBPRINT: &str = "ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01";

fn listed(status: &str) -> [(&str, Value); 2] {
    [("name", "device1".into()), ("status", status.into())]
}

fn by_thumbprint(value: &str) -> Key<'_> {
    Key { field: "thumbprint", value }
}

#[test]
fn a_field_is_set_where_it_stands_and_its_comment_stays() {
    let folder = Folder::with("# mine\nenabled = false # for now\n\n[log]\nlevel = \"info\"\n");
    let mut edit = folder.edit();
    edit.set("log.level", "debug").unwrap();
    edit.set("limits.topic_levels", 9).unwrap();
    edit.save().unwrap();
    assert_eq!(
        folder.text(),
        "# mine\nenabled = false # for now\n\n[log]\nlevel = \"debug\"\n\n[limits]\ntopic_levels = 9\n"
    );
}

#[test]
fn a_listener_is_named_by_its_number() {
    let folder = Folder::with(FRESH);
    let mut edit = folder.edit();
    edit.set("listener[1].tls", true).unwrap();
    assert!(matches!(edit.set("listener[2].tls", true), Err(EditError::BadPath(_))));
    assert!(matches!(edit.set("listener[x].tls", true), Err(EditError::BadPath(_))));
    assert!(matches!(edit.set("enabled.tls", true), Err(EditError::BadPath(_))));
    assert!(matches!(edit.set("", true), Err(EditError::BadPath(_))));
    let listeners = edit.save().unwrap().config.listeners;
    assert_eq!(listeners.iter().map(|listener| listener.tls).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn an_entry_is_added_behind_its_section_replaced_by_its_key_and_removed() {
    let folder = Folder::with(FRESH);
    let mut edit = folder.edit();
    assert_eq!(
        edit.put("client_certificate", by_thumbprint(THUMBPRINT), &listed("authorized")).unwrap(),
        Put::Added
    );
    edit.save().unwrap();
    let thumbprint = format!("thumbprint = {THUMBPRINT:?}");
    assert_eq!(
        folder.added(FRESH),
        ["[[client_certificate]]", &thumbprint, "name = \"device1\"", "status = \"authorized\"", ""]
    );
    let text = folder.text();
    let at = |what: &str| text.find(what).unwrap();
    assert!(at("[certificates]") < at("[[client_c") && at("[[client_c") < at("[credentials]"), "{text}");

    fs::write(folder.file(), text.replace("\nstatus = \"authorized\"", "\nstatus = \"authorized\" # by Ann"))
        .unwrap();
    let mut edit = folder.edit();
    let upper = THUMBPRINT.to_uppercase();
    assert_eq!(
        edit.put("client_certificate", by_thumbprint(&upper), &listed("revoked")).unwrap(),
        Put::Replaced
    );
    edit.save().unwrap();
    assert_eq!(folder.text(), text.replace("\nstatus = \"authorized\"", "\nstatus = \"revoked\" # by Ann"));

    let mut edit = folder.edit();
    edit.remove("client_certificate", by_thumbprint(THUMBPRINT)).unwrap();
    edit.save().unwrap();
    assert_eq!(folder.text(), FRESH);
    let gone = folder.edit().remove("client_certificate", by_thumbprint(THUMBPRINT));
    assert!(gone.unwrap_err().to_string().contains(THUMBPRINT));
}

fn listener(port: u16) -> [(&'static str, Value); 1] {
    [("address", format!("127.0.0.1:{port}").into())]
}

#[test]
fn entries_keep_their_order_and_comments_wherever_they_stand() {
    let folder = Folder::with(
        "# one\n[[listener]]\naddress = \"127.0.0.1:1\"\n\n[log]\nlevel = \"info\"\n\n# two\n[[listener]]\naddress = \"127.0.0.1:2\"\n",
    );
    let ports = |edit: &Edit| -> Vec<u16> {
        edit.draft().unwrap().config.listeners.iter().map(|listener| listener.address.port()).collect()
    };
    let mut edit = folder.edit();
    edit.insert("listener", 1, &listener(3)).unwrap();
    assert_eq!(ports(&edit), [1, 3, 2]);
    edit.move_to("listener", 2, 0).unwrap();
    assert_eq!(ports(&edit), [2, 1, 3]);
    edit.insert("listener", 99, &listener(4)).unwrap();
    edit.remove_at("listener", 2).unwrap();
    assert_eq!(ports(&edit), [2, 1, 4]);
    assert!(edit.move_to("listener", 0, 3).is_err() && edit.remove_at("listener", 3).is_err());
    assert_eq!(ports(&edit), [2, 1, 4]);
    edit.save().unwrap();
    let text = folder.text();
    assert!(text.contains("# two\n[[listener]]\naddress = \"127.0.0.1:2\""), "{text}");
    assert!(text.contains("# one\n[[listener]]\naddress = \"127.0.0.1:1\""), "{text}");
}

#[test]
fn entries_written_inline_are_edited_too() {
    let folder = Folder::with("listener = [{ address = \"127.0.0.1:1\" }]\n");
    let mut edit = folder.edit();
    edit.insert("listener", 1, &listener(2)).unwrap();
    assert_eq!(edit.save().unwrap().config.listeners.len(), 2);
    let folder = Folder::with("listener = 5\n");
    assert!(matches!(folder.edit().insert("listener", 1, &listener(2)), Err(EditError::BadPath(_))));
}

#[test]
fn an_edit_that_would_leave_a_problem_is_not_made() {
    let folder = Folder::with(FRESH);
    let mut edit = folder.edit();
    edit.set("certificates.require", true).unwrap();
    edit.set("limits.topic_level", 5).unwrap();
    let error = edit.save().unwrap_err().to_string();
    assert!(error.contains("did you mean `topic_levels`?"), "{error}");
    let mut edit = folder.edit();
    edit.set("certificates.require", true).unwrap();
    let error = edit.save().unwrap_err().to_string();
    assert!(error.contains("listener[0].tls") && error.contains("has no TLS"), "{error}");
    assert_eq!(folder.text(), FRESH);
    let names: Vec<_> =
        fs::read_dir(folder.0.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "the file and the lock alone: {names:?}");
}

#[test]
fn what_is_no_toml_is_not_edited() {
    let folder = Folder::with("enabled = \n");
    let error = Edit::begin(&folder.file(), folder.0.path()).unwrap_err();
    assert!(error.to_string().contains("line 1"), "{error}");
}

#[test]
fn one_edits_at_a_time() {
    let folder = Folder::with(FRESH);
    let first = folder.edit();
    let (file, data) = (folder.file(), folder.0.path().to_owned());
    let second = thread::spawn(move || {
        let mut edit = Edit::begin(&file, &data).unwrap();
        edit.set("limits.topic_bytes", 100).unwrap();
        edit.save().unwrap();
    });
    let mut first = first;
    first.set("limits.topic_levels", 9).unwrap();
    first.save().unwrap();
    second.join().unwrap();
    let limits = Draft::read(&folder.text()).unwrap().config.limits;
    assert_eq!((limits.topic_levels, limits.topic_bytes), (9, 100), "neither edit is lost");
}
