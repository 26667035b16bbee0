//! A configuration about to be applied: its new files wait beside the old ones. Committing renames them, in an order in
//! which a machine may die between any two steps; dropping it removes them.

use std::path::PathBuf;

use super::pending::Pending;
use super::{Applied, ApplyError, Store};
use crate::control::compile::{Compiled, Earlier};
use crate::control::diff::Change;
use crate::control::disk::{self, FileFault};
use crate::control::edit::Lock;
use crate::control::history::Entry;
use crate::control::problem::Problem;

/// A configuration about to be applied. Dropping it is the rollback.
pub struct Prepared<'s> {
    pub(super) store: &'s Store,
    /// Nobody edits the file meanwhile.
    pub(super) _lock: Lock,
    /// What the file said.
    pub(super) read: String,
    /// Whether it is what is in force already.
    pub(super) unchanged: bool,
    /// Where the file's text is kept that was not applied and gives way.
    pub(super) set_aside: Option<PathBuf>,
    /// What waits for a confirmation from then on.
    pub(super) pending: Option<Pending>,
    /// What will be remembered of it.
    pub(super) entry: Entry,
    pub(super) warnings: Vec<Problem>,
    /// What whoever asked has to be told besides.
    pub(super) notes: Vec<String>,
    pub(super) applied: Applied,
    pub(super) compiled: Compiled,
}

/// What a commit did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// What is in force now.
    pub applied: Applied,
    /// What it changed.
    pub changes: Vec<Change>,
    /// What whoever wrote it may not have meant.
    pub warnings: Vec<Problem>,
    /// What else is to be told: what was set aside, what was not brought back.
    pub notes: Vec<String>,
    /// It is taken back unless it is confirmed.
    pub pending: Option<Pending>,
    pub(super) entry: Entry,
    pub(super) earlier: Earlier,
    /// It is in force, and the disk refused to remember that: what it said.
    pub fault: Option<String>,
    /// It is in force and remembered, and the history lacks it: what the disk said.
    pub history_fault: Option<String>,
}

impl Prepared<'_> {
    /// What it would change.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.entry.changes
    }

    /// What would be in force.
    #[must_use]
    pub fn applied(&self) -> &Applied {
        &self.applied
    }

    /// What the shards would judge by, and what would be bound.
    #[must_use]
    pub fn compiled(&self) -> &Compiled {
        &self.compiled
    }

    /// What whoever wrote it may not have meant.
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// What else is to be told: what would be set aside, what would not be brought back.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Moves the files into place, then hands the snapshot to `install`, which returns when every shard holds it.
    /// Give the result to [`Store::record`].
    ///
    /// # Errors
    /// The file was edited since, or could not be replaced. Nothing was touched.
    pub fn commit(self, install: impl FnOnce(&Compiled)) -> Result<Committed, ApplyError> {
        let store = self.store;
        if disk::read_text(&store.file)? != self.read {
            return Err(ApplyError::Moved(store.file.clone()));
        }
        let (mut fault, mut history_fault) = (None, None);
        if !self.unchanged {
            self.put_before()?;
            if self.rewrites() {
                store.disk.rename(&disk::staged(&store.file), &store.file)?;
            }
            // From here on the next start takes the new file: what fails now is told, not rolled back.
            fault = self.remember().err().map(|fault| fault.to_string());
        }
        install(&self.compiled);
        if !self.unchanged {
            history_fault = self.keep_history().err().map(|fault| fault.to_string());
        }
        let earlier = if self.compiled.identity.is_some() { Earlier::Tls } else { store.earlier };
        Ok(Committed {
            applied: self.applied.clone(),
            changes: self.entry.changes.clone(),
            warnings: self.warnings.clone(),
            notes: self.notes.clone(),
            pending: self.pending.clone(),
            entry: self.entry.clone(),
            earlier,
            fault,
            history_fault,
        })
    }

    fn rewrites(&self) -> bool {
        self.entry.text != self.read
    }

    /// Writes all new files beside the old ones.
    pub(super) fn stage(&self) -> Result<(), FileFault> {
        let store = self.store;
        if self.rewrites() {
            store.disk.write_synced(&disk::staged(&store.file), self.entry.text.as_bytes())?;
        }
        if let Some(aside) = &self.set_aside {
            store.disk.write_synced(&disk::staged(aside), self.read.as_bytes())?;
        }
        if let Some(pending) = &self.pending {
            store.disk.write_synced(&disk::staged(&store.pending_file), pending.written().as_bytes())?;
        }
        store.disk.write_synced(&disk::staged(&store.record_file), self.entry.written().as_bytes())
    }

    /// What must be there before the new file is: without it the file is as it was, and it says nothing about that one.
    fn put_before(&self) -> Result<(), FileFault> {
        let disk = &self.store.disk;
        let pending = self.pending.as_ref().map(|_| &self.store.pending_file);
        for path in self.set_aside.iter().chain(pending) {
            disk.rename(&disk::staged(path), path)?;
            disk.sync_folder(disk::folder(path))?;
        }
        Ok(())
    }

    fn remember(&self) -> Result<(), FileFault> {
        let store = self.store;
        if self.rewrites() {
            store.disk.sync_folder(disk::folder(&store.file))?;
        }
        store.disk.rename(&disk::staged(&store.record_file), &store.record_file)?;
        store.disk.sync_folder(disk::folder(&store.record_file))?;
        // Whoever applies something else has decided about what waited.
        if self.pending.is_none() && store.pending.is_some() {
            store.disk.remove(&store.pending_file)?;
            store.disk.sync_folder(disk::folder(&store.pending_file))?;
        }
        Ok(())
    }

    /// A crash may have cut the last one off: the record holds the same.
    fn keep_history(&self) -> Result<(), FileFault> {
        let store = self.store;
        if let Some(before) = store.record.as_ref().filter(|record| !store.history.holds(record.generation)) {
            store.history.keep(&*store.disk, before)?;
        }
        store.history.keep(&*store.disk, &self.entry)
    }
}

impl Drop for Prepared<'_> {
    fn drop(&mut self) {
        if self.unchanged {
            return;
        }
        let store = self.store;
        // After a commit they are no longer there. A leftover is harmless: the next Apply writes it anew.
        let pending = self.pending.as_ref().map(|_| &store.pending_file);
        for path in [&store.file, &store.record_file].into_iter().chain(&self.set_aside).chain(pending) {
            if let Err(fault) = store.disk.remove(&disk::staged(path)) {
                tracing::warn!("{fault}");
            }
        }
    }
}
