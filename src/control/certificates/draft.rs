//! What is to be changed in the configuration file: gathered first, made whole at the end, under the file's lock. Entries
//! are found again by their thumbprints, so that nothing is lost if somebody else edits the file meanwhile.

use std::path::{Path, PathBuf};

use toml_edit::Value;

use crate::control::apply::ApplyError;
use crate::control::config::{Config, Draft};
use crate::control::disk;
use crate::control::edit::{Edit, EditError, Key};
use crate::control::pki::Thumbprint;

use super::Refused;

/// A change of the file.
enum Change {
    Add { table: &'static str, fields: Vec<(&'static str, Value)> },
    Put { table: &'static str, thumbprint: Thumbprint, field: &'static str, value: Value },
    Remove { table: &'static str, thumbprint: Thumbprint },
    Set { path: &'static str, value: Value },
}

/// The persistent draft, as it was read, and what is to be changed in it.
pub(super) struct DraftFile {
    path: PathBuf,
    data: PathBuf,
    draft: Draft,
    changes: Vec<Change>,
}

impl DraftFile {
    /// Reads `path`, the configuration of the data directory `data`.
    ///
    /// # Errors
    /// It cannot be read, or has problems.
    pub(super) fn open(path: &Path, data: &Path) -> Result<DraftFile, Refused> {
        let text = disk::read_text(path).map_err(ApplyError::from)?;
        let draft = Draft::read(&text).map_err(|problems| ApplyError::Invalid(path.to_owned(), problems))?;
        Ok(DraftFile { path: path.to_owned(), data: data.to_owned(), draft, changes: Vec::new() })
    }

    /// What it said when it was read.
    pub(super) fn config(&self) -> &Config {
        &self.draft.config
    }

    /// The same as text.
    pub(super) fn text(&self) -> &str {
        &self.draft.text
    }

    /// It says this now, and nothing is to be changed any more.
    pub(super) fn become_saved(&mut self, draft: Draft) {
        self.draft = draft;
        self.changes.clear();
    }

    /// Which file it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether something is to be changed.
    pub(super) fn is_changed(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Adds an entry behind the others of its table.
    pub(super) fn add(&mut self, table: &'static str, fields: Vec<(&'static str, Value)>) {
        self.changes.push(Change::Add { table, fields });
    }

    /// Changes one field of the entry of a thumbprint.
    pub(super) fn put(
        &mut self,
        table: &'static str,
        thumbprint: Thumbprint,
        field: &'static str,
        value: impl Into<Value>,
    ) {
        self.changes.push(Change::Put { table, thumbprint, field, value: value.into() });
    }

    /// Removes the entry of a thumbprint.
    pub(super) fn remove(&mut self, table: &'static str, thumbprint: Thumbprint) {
        self.changes.push(Change::Remove { table, thumbprint });
    }

    /// Changes a field of a section: `broker_certificate.names`.
    pub(super) fn set(&mut self, path: &'static str, value: impl Into<Value>) {
        self.changes.push(Change::Set { path, value: value.into() });
    }

    /// Makes the changes in the file as it is now, and keeps others from it. Nothing is written until it is saved.
    ///
    /// # Errors
    /// The file would have problems, or somebody else holds it.
    pub(super) fn begin(&self) -> Result<Edit, Refused> {
        let mut edit = Edit::begin(&self.path, &self.data)?;
        for change in &self.changes {
            make(&mut edit, change)?;
        }
        edit.draft()?;
        Ok(edit)
    }
}

fn make(edit: &mut Edit, change: &Change) -> Result<(), EditError> {
    let text = |thumbprint: &Thumbprint| thumbprint.to_string();
    match change {
        Change::Add { table, fields } => edit.insert(table, usize::MAX, fields),
        Change::Put { table, thumbprint, field, value } => {
            let key = Key { field: "thumbprint", value: &text(thumbprint) };
            edit.put(table, key, &[(*field, value.clone())]).map(|_| ())
        }
        Change::Remove { table, thumbprint } => {
            edit.remove(table, Key { field: "thumbprint", value: &text(thumbprint) })
        }
        Change::Set { path, value } => edit.set(path, value.clone()),
    }
}
