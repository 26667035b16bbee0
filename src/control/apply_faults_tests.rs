//! Whatever the disk does and wherever the machine dies: a whole old configuration or a whole new one, and never a half one.

use std::cell::Cell;
use std::fs;
use std::io::Error;

use super::tests::{Folder, applied_once, apply};
use super::*;
use crate::control::disk::FileFault;

/// What happens to the operation at which it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// The machine dies: nothing later happens, clean-up included.
    Death,
    /// The system refuses this one with an error.
    Refusal(i32),
}

/// A disk on which the operation with this number meets trouble.
struct Troubled {
    left: Cell<usize>,
    trouble: Trouble,
}

impl Troubled {
    fn at(step: usize, trouble: Trouble) -> Box<Troubled> {
        Box::new(Troubled { left: Cell::new(step), trouble })
    }

    /// Whether this operation meets it.
    fn strikes(&self) -> bool {
        match (self.left.get(), self.trouble) {
            (usize::MAX, _) => false,
            (0, Trouble::Death) => true,
            (0, Trouble::Refusal(_)) => {
                self.left.set(usize::MAX);
                true
            }
            (left, _) => {
                self.left.set(left - 1);
                false
            }
        }
    }

    fn step(&self, doing: impl FnOnce() -> Result<(), FileFault>) -> Result<(), FileFault> {
        if self.strikes() { Err(self.fault()) } else { doing() }
    }

    fn fault(&self) -> FileFault {
        let error = match self.trouble {
            Trouble::Death => Error::other("the machine is dead"),
            Trouble::Refusal(code) => Error::from_raw_os_error(code),
        };
        FileFault::new(Path::new("a file"), "go on")(error)
    }
}

impl Disk for Troubled {
    fn write_synced(&self, path: &Path, bytes: &[u8]) -> Result<(), FileFault> {
        if !self.strikes() {
            return OsDisk.write_synced(path, bytes);
        }
        // In the middle of a write, unless nothing is written any more at all.
        let dead = self.trouble == Trouble::Death && !path.parent().is_some_and(Path::exists);
        if !dead {
            fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        }
        Err(self.fault())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), FileFault> {
        self.step(|| OsDisk.rename(from, to))
    }

    fn sync_folder(&self, folder: &Path) -> Result<(), FileFault> {
        self.step(|| OsDisk.sync_folder(folder))
    }

    fn make_folder(&self, path: &Path) -> Result<(), FileFault> {
        self.step(|| OsDisk.make_folder(path))
    }

    fn remove(&self, path: &Path) -> Result<(), FileFault> {
        self.step(|| OsDisk.remove(path))
    }
}

const NO_SPACE: i32 = 28;
const NO_DESCRIPTORS: i32 = 24;

fn levels(store: &Store) -> (u64, u16) {
    let applied = store.applied().unwrap().unwrap();
    (applied.generation.0, applied.config.limits.topic_levels)
}

#[test]
fn a_machine_that_dies_at_any_step_leaves_the_old_or_the_new_configuration_whole() {
    let mut outcomes = Vec::new();
    for steps in 0.. {
        let (folder, _) = applied_once();
        folder.edit("topic_levels = 128", "topic_levels = 12");
        let edited = folder.text();
        let dying = Troubled::at(steps, Trouble::Death);
        let mut store = Store::on(dying, folder.file(), folder.0.path(), Overrides::default()).unwrap();
        let outcome = apply(&mut store, Occasion::Running);
        let done = matches!(&outcome, Ok(done) if done.fault.is_none() && done.history_fault.is_none());

        // The text is what the person wrote, or that with its new generation: never half of anything.
        let text = folder.text();
        let renamed = text == edited.replace("generation = 1", "generation = 2");
        assert!(text == edited || renamed, "after {steps} steps:\n{text}");
        let (generation, levels_then) = levels(&folder.store());
        assert!(matches!((generation, levels_then), (1, 128) | (2, 12)), "after {steps} steps");
        assert!(renamed || generation == 1, "the record is never ahead of the file");
        let generations: Vec<u64> = folder.store().history().iter().map(|entry| entry.generation).collect();
        assert!(generations == [1] || generations == [2, 1], "after {steps} steps: {generations:?}");

        // The next start takes the file as generation 2, whatever the step.
        let mut next = folder.store();
        apply(&mut next, Occasion::Start).unwrap();
        assert_eq!(levels(&next), (2, 12));
        assert_eq!(folder.names(), ["applied.toml", "config.toml"], "after {steps} steps");
        let generations: Vec<u64> = next.history().iter().map(|entry| entry.generation).collect();
        assert_eq!(generations, [2, 1], "after {steps} steps");
        outcomes.push((renamed, generation));
        if done {
            break;
        }
    }
    assert!(outcomes.contains(&(false, 1)), "no step before the rename was tried");
    assert!(outcomes.contains(&(true, 1)), "no step between the renames was tried");
    assert_eq!(outcomes.last(), Some(&(true, 2)));
}

#[test]
fn a_full_disk_or_no_descriptors_at_any_step_leave_all_of_the_old_or_all_of_the_new() {
    for code in [NO_SPACE, NO_DESCRIPTORS] {
        let (mut refused, mut in_force) = (0, 0);
        for step in 0.. {
            let (folder, _) = applied_once();
            folder.edit("topic_levels = 128", "topic_levels = 12");
            let edited = folder.text();
            let disk = Troubled::at(step, Trouble::Refusal(code));
            let mut store = Store::on(disk, folder.file(), folder.0.path(), Overrides::default()).unwrap();
            let mut installed = false;
            let outcome =
                store.prepare(Occasion::Running).and_then(|prepared| prepared.commit(|_| installed = true));
            match outcome {
                Err(error) => {
                    assert!(matches!(error, ApplyError::Disk(_)), "{error}");
                    assert!(!installed && folder.text() == edited, "after {step} steps");
                    assert_eq!(levels(&folder.store()), (1, 128));
                    assert_eq!(folder.names(), ["applied.toml", "config.toml"], "after {step} steps");
                    // Once there is room again it can be applied.
                    assert_eq!(apply(&mut store, Occasion::Running).unwrap().fault, None);
                    refused += 1;
                }
                Ok(committed) => {
                    assert!(installed);
                    let told = committed.fault.is_some() || committed.history_fault.is_some();
                    store.record(&committed);
                    assert_eq!(levels(&store), (2, 12));
                    let mut next = folder.store();
                    apply(&mut next, Occasion::Start).unwrap();
                    assert_eq!(levels(&next), (2, 12), "after {step} steps");
                    in_force += usize::from(told);
                    // Only what cleans up or bounds the history may fail unseen.
                    if !told && folder.store().history().len() == 2 {
                        break;
                    }
                }
            }
        }
        assert!(refused >= 3 && in_force >= 5, "refused {refused}, in force and told {in_force}");
    }
}

#[test]
fn a_fault_of_the_history_fails_no_apply_and_is_made_up_for() {
    let (folder, _) = applied_once();
    let history = folder.0.path().join("state/history");
    fs::remove_dir_all(&history).unwrap();
    fs::write(&history, "in the way").unwrap();
    folder.edit("topic_levels = 128", "topic_levels = 12");
    let mut store = folder.store();
    let committed = apply(&mut store, Occasion::Running).unwrap();
    assert!(committed.history_fault.is_some() && committed.fault.is_none());
    assert_eq!(store.history().len(), 1, "the record itself is known");
    fs::remove_file(&history).unwrap();
    folder.edit("topic_levels = 12", "topic_levels = 13");
    assert_eq!(apply(&mut store, Occasion::Running).unwrap().history_fault, None);
    let generations: Vec<u64> = folder.store().history().iter().map(|entry| entry.generation).collect();
    assert_eq!(generations, [3, 2]);
}

/// Generation 2 with 12 levels, of which the confirmation fails to come; a draft that was never applied.
fn unconfirmed() -> (Folder, Store) {
    let (folder, mut store) = applied_once();
    folder.edit("topic_levels = 128", "topic_levels = 12");
    let request = ApplyRequest { confirm_within_secs: Some(0), ..Occasion::Running.into() };
    let committed = store.prepare(request).unwrap().commit(|_| {}).unwrap();
    store.record(&committed);
    folder.edit("topic_levels = 12", "topic_levels = 99");
    (folder, store)
}

#[test]
fn a_revert_that_dies_at_any_step_is_not_begun_or_completed_at_the_next_start() {
    for steps in 0.. {
        let (folder, _) = unconfirmed();
        let dying = Troubled::at(steps, Trouble::Death);
        let mut store = Store::on(dying, folder.file(), folder.0.path(), Overrides::default()).unwrap();
        let outcome = store.prepare_revert(Occasion::Running).and_then(|prepared| prepared.commit(|_| {}));
        let done = matches!(&outcome, Ok(done) if done.fault.is_none() && done.history_fault.is_none());
        if let Ok(committed) = &outcome {
            store.record(committed);
        }
        let mut next = folder.store();
        let committed = next.prepare_start(Occasion::Start).unwrap().commit(|_| {}).unwrap();
        next.record(&committed);
        assert_eq!(levels(&next), (3, 128), "after {steps} steps");
        assert_eq!(next.pending(), None);
        let aside = fs::read_to_string(folder.0.path().join("config.toml.before-rollback")).unwrap();
        assert!(aside.contains("topic_levels = 99"));
        let expected = ["applied.toml", "config.toml", "config.toml.before-rollback"];
        let names = folder.names();
        assert!(names == expected || names.contains(&"pending.toml".to_owned()), "{names:?}");
        assert_eq!(folder.store().pending(), None, "after {steps} steps");
        if done {
            break;
        }
    }
}

#[test]
fn an_apply_to_be_confirmed_that_dies_at_any_step_waits_or_has_not_happened() {
    let mut outcomes = Vec::new();
    for steps in 0.. {
        let (folder, _) = applied_once();
        folder.edit("topic_levels = 128", "topic_levels = 12");
        let dying = Troubled::at(steps, Trouble::Death);
        let store = Store::on(dying, folder.file(), folder.0.path(), Overrides::default()).unwrap();
        let request = ApplyRequest { confirm_within_secs: Some(3_600), ..Occasion::Running.into() };
        let outcome = store.prepare(request).and_then(|prepared| prepared.commit(|_| {}));
        let renamed = folder.text().contains("generation = 2");
        let mut next = folder.store();
        let committed = next.prepare_start(Occasion::Start).unwrap().commit(|_| {}).unwrap();
        next.record(&committed);
        // What took its place in the file waits for its confirmation, however much of the rest was done.
        assert!(!renamed || next.pending().is_some(), "after {steps} steps");
        assert_eq!(levels(&next), (2, 12));
        outcomes.push(renamed);
        if matches!(&outcome, Ok(done) if done.fault.is_none() && done.history_fault.is_none()) {
            break;
        }
    }
    assert!(outcomes.contains(&true) && outcomes.contains(&false));
}
