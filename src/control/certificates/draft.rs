//! The configuration file as something to edit: entries are added, changed and removed, and everything else of the text,
//! its comments included, stays as it was. Knows tables and keys, not what they mean.

use std::path::{Path, PathBuf};

use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, Value};

use crate::control::apply::ApplyError;
use crate::control::config::{Config, Draft};
use crate::control::disk::{self, OsDisk};
use crate::control::failure::{Exit, Failure};

/// The persistent draft, read and perhaps changed.
pub(super) struct DraftFile {
    path: PathBuf,
    read: String,
    document: DocumentMut,
    config: Config,
}

impl DraftFile {
    /// Reads it.
    ///
    /// # Errors
    /// It cannot be read, or has problems.
    pub(super) fn open(path: &Path) -> Result<DraftFile, Failure> {
        let read = disk::read_text(path).map_err(ApplyError::from)?;
        let config = parse(path, &read)?.config;
        let document = read.parse::<DocumentMut>();
        let document = document.map_err(|error| Failure::new(Exit::Invalid, error, "correct the file"))?;
        Ok(DraftFile { path: path.to_owned(), read, document, config })
    }

    /// What it said when it was read.
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Which file it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether something was changed.
    pub(super) fn is_changed(&self) -> bool {
        self.document.to_string() != self.read
    }

    /// Adds an entry behind the others of its kind.
    pub(super) fn add(&mut self, kind: &str, fields: Vec<(&str, Value)>) -> Result<(), Failure> {
        let mut table = Table::new();
        table.decor_mut().set_prefix("\n");
        for (key, value) in fields {
            table.insert(key, Item::Value(value));
        }
        self.entries(kind)?.push(table);
        Ok(())
    }

    /// Changes one field of the entry at a place.
    pub(super) fn set_in(
        &mut self,
        kind: &str,
        place: usize,
        key: &str,
        value: Value,
    ) -> Result<(), Failure> {
        if let Some(table) = self.entries(kind)?.get_mut(place) {
            set(table, key, value);
        }
        Ok(())
    }

    /// Removes the entry at a place.
    pub(super) fn remove(&mut self, kind: &str, place: usize) -> Result<(), Failure> {
        let entries = self.entries(kind)?;
        if place < entries.len() {
            entries.remove(place);
        }
        if entries.is_empty() {
            self.document.remove(kind);
        }
        Ok(())
    }

    /// Changes one field of a section.
    pub(super) fn set(&mut self, section: &str, key: &str, value: Value) -> Result<(), Failure> {
        let item = self.document.entry(section).or_insert_with(|| Item::Table(Table::new()));
        match item.as_table_mut() {
            Some(table) => set(table, key, value),
            None => return Err(self.inline(section)),
        }
        Ok(())
    }

    fn entries(&mut self, kind: &str) -> Result<&mut ArrayOfTables, Failure> {
        let written_otherwise = self.inline(kind);
        let item = self.document.entry(kind).or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
        item.as_array_of_tables_mut().ok_or(written_otherwise)
    }

    fn inline(&self, what: &str) -> Failure {
        let cause = format!("{}: `{what}` is written as a value in one line", self.path.display());
        Failure::new(
            Exit::Invalid,
            cause,
            &format!("write it as [{what}] or [[{what}]], or edit the file by hand"),
        )
    }

    /// The text as it would be written, once it is known to be a valid configuration.
    ///
    /// # Errors
    /// It has problems.
    pub(super) fn checked(&self) -> Result<String, Failure> {
        let text = self.document.to_string();
        parse(&self.path, &text)?;
        Ok(text)
    }

    /// Writes it.
    ///
    /// # Errors
    /// It has problems, somebody else has changed the file meanwhile, or the disk fails; it stays as it was then.
    pub(super) fn write(&self) -> Result<(), Failure> {
        let text = self.checked()?;
        if disk::read_text(&self.path).map_err(ApplyError::from)? != self.read {
            let cause = format!("{}: it was edited meanwhile", self.path.display());
            return Err(Failure::new(Exit::NotApplied, cause, "do it again"));
        }
        Ok(disk::replace(&OsDisk, &self.path, text.as_bytes()).map_err(ApplyError::from)?)
    }
}

fn parse(path: &Path, text: &str) -> Result<Draft, Failure> {
    Ok(Draft::read(text).map_err(|problems| ApplyError::Invalid(path.to_owned(), problems))?)
}

/// Puts a value in the place of another; a comment behind it stays.
fn set(table: &mut Table, key: &str, mut value: Value) {
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        None => {
            table.insert(key, Item::Value(value));
        }
    }
}
