//! Changes the configuration file as a document: what people wrote around a value stays. An edit is whole and valid or
//! nothing is written. It applies nothing; the running broker does not hear of it.
//!
//! ```text
//! let mut edit = Edit::begin(&paths)?;
//! edit.put("user", Key { field: "name", value: "alice" }, &[("password", hash.into())])?;
//! edit.save()?;
//! ```

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, TableLike, Value};

use super::config::Draft;
use super::disk::{self, FileFault, OsDisk};
use super::problem::{Problem, Problems};
use crate::policy::Thumbprint;

mod json;

/// How long the lock of another edit, or of an Apply, is waited for: each holds it for milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// Behind which section the entries of a table are written that has none yet.
const BEHIND: [(&str, &str); 5] = [
    ("client_certificate", "certificates"),
    ("user", "credentials"),
    ("authority", "broker_certificate"),
    ("rule", "rules"),
    ("rule_test", "rules"),
];

/// Why an edit was not made. The file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// What would be there has problems, or what is there is no TOML.
    #[error("{}: nothing was changed, for there would be problems:{}", .0.display(), listed(.1))]
    Invalid(PathBuf, Problems),
    /// There is no such entry.
    #[error("there is no {0}")]
    NotThere(String),
    /// No field can be meant by this.
    #[error("`{0}` does not name a field")]
    BadPath(String),
    /// Somebody else edits or applies, and does not come to an end.
    #[error("{}: it is being edited by somebody else", .0.display())]
    Busy(PathBuf),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] FileFault),
}

fn listed(problems: &Problems) -> String {
    problems.0.iter().map(|problem| format!("\n  {problem}")).collect()
}

/// Which entry of an array of tables: the one of which `field` is `value`.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// `name`, `thumbprint`
    pub field: &'static str,
    /// What it must be. Thumbprints are compared as such, however they are written.
    pub value: &'a str,
}

impl Key<'_> {
    fn fits(self, table: &Table) -> bool {
        let Some(text) = table.get(self.field).and_then(Item::as_str) else { return false };
        let thumbprint = |text: &str| text.parse::<Thumbprint>().ok();
        text == self.value
            || self.field == "thumbprint"
                && thumbprint(text).is_some_and(|found| Some(found) == thumbprint(self.value))
    }
}

/// What [`Edit::put`] has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// There was no such entry: it was added as the last one.
    Added,
    /// The fields of the entry were replaced.
    Replaced,
}

/// An edit of the configuration file. Nobody else edits or applies it until this is saved or dropped: ask people for
/// passwords before.
#[derive(Debug)]
pub struct Edit {
    file: PathBuf,
    text: String,
    document: DocumentMut,
    _lock: Lock,
}

impl Edit {
    /// Begins to edit `file`, the configuration of the data directory `data`.
    ///
    /// # Errors
    /// It cannot be read or is no TOML, or somebody else edits it.
    pub fn begin(file: &Path, data: &Path) -> Result<Edit, EditError> {
        let lock = Lock::take(data)?;
        let text = disk::read_text(file)?;
        let document = parsed(file, &text)?;
        Ok(Edit { file: file.to_owned(), text, document, _lock: lock })
    }

    /// What the file said when this began; it still does.
    #[must_use]
    pub fn text_before(&self) -> &str {
        &self.text
    }

    /// The text as it stands.
    #[must_use]
    pub fn text(&self) -> String {
        self.document.to_string()
    }

    /// The document becomes `text`.
    ///
    /// # Errors
    /// It has problems. The document is as it was.
    pub fn replace_text(&mut self, text: &str) -> Result<(), EditError> {
        Draft::read(text).map_err(|problems| EditError::Invalid(self.file.clone(), problems))?;
        self.document = parsed(&self.file, text)?;
        Ok(())
    }

    /// What it says now.
    ///
    /// # Errors
    /// It has problems.
    pub fn draft(&self) -> Result<Draft, EditError> {
        Draft::read(&self.document.to_string())
            .map_err(|problems| EditError::Invalid(self.file.clone(), problems))
    }

    /// Sets one field: `enabled`, `certificates.require`, `listener[0].tls`.
    ///
    /// # Errors
    /// There is no such place.
    pub fn set(&mut self, path: &str, value: impl Into<Value>) -> Result<(), EditError> {
        let bad = || EditError::BadPath(path.to_owned());
        let mut table = self.document.as_table_mut();
        let mut steps: Vec<&str> = path.split('.').collect();
        let field = steps.pop().filter(|field| is_bare(field)).ok_or_else(bad)?;
        for step in steps {
            table = match step.split_once('[') {
                None if is_bare(step) => table
                    .entry(step)
                    .or_insert_with(|| Item::Table(Table::new()))
                    .as_table_mut()
                    .ok_or_else(bad)?,
                None => return Err(bad()),
                Some((name, rest)) => {
                    let index =
                        rest.strip_suffix(']').and_then(|index| index.parse().ok()).ok_or_else(bad)?;
                    let array = table.get_mut(name).and_then(Item::as_array_of_tables_mut);
                    array.and_then(|array| array.get_mut(index)).ok_or_else(bad)?
                }
            };
        }
        set_field(table, field, value.into());
        Ok(())
    }

    /// Sets fields of an entry, which is added if it is not there. Other fields of it stay.
    ///
    /// # Errors
    /// In the file `table` is something else than a list of tables.
    pub fn put(
        &mut self,
        table: &'static str,
        key: Key<'_>,
        fields: &[(&str, Value)],
    ) -> Result<Put, EditError> {
        let mut entries = self.take(table)?;
        let found = entries.iter().position(|entry| key.fits(entry));
        let index = found.unwrap_or_else(|| {
            let mut entry = Table::new();
            set_field(&mut entry, key.field, key.value.into());
            entries.push(entry);
            entries.len() - 1
        });
        fields.iter().for_each(|(field, value)| set_field(&mut entries[index], field, value.clone()));
        self.give(table, entries);
        Ok(if found.is_some() { Put::Replaced } else { Put::Added })
    }

    /// Removes an entry.
    ///
    /// # Errors
    /// It is not there.
    pub fn remove(&mut self, table: &'static str, key: Key<'_>) -> Result<(), EditError> {
        let found = self.take(table)?.iter().position(|entry| key.fits(entry));
        let index = found.ok_or_else(|| {
            EditError::NotThere(format!("{table} of which the {} is {:?}", key.field, key.value))
        })?;
        self.remove_at(table, index)
    }

    /// Adds an entry in front of the one at `index`, from 0; behind all if there are not so many.
    ///
    /// # Errors
    /// In the file `table` is something else than a list of tables.
    pub fn insert(
        &mut self,
        table: &'static str,
        index: usize,
        fields: &[(&str, Value)],
    ) -> Result<(), EditError> {
        let mut entries = self.take(table)?;
        entries.insert(index.min(entries.len()), entry(fields));
        self.give(table, entries);
        Ok(())
    }

    /// Gives the entry at `index`, from 0, these fields and no others.
    ///
    /// # Errors
    /// There are not so many.
    pub fn replace_at(
        &mut self,
        table: &'static str,
        index: usize,
        fields: &[(&str, Value)],
    ) -> Result<(), EditError> {
        let mut entries = self.take(table)?;
        let not_there = || EditError::NotThere(format!("{table}[{index}]"));
        let entry = entries.get_mut(index).ok_or_else(not_there)?;
        let gone = |name: &str| !fields.iter().any(|(field, _)| *field == name);
        let gone: Vec<String> =
            entry.iter().map(|(name, _)| name).filter(|name| gone(name)).map(str::to_owned).collect();
        gone.iter().for_each(|name| drop(entry.remove(name)));
        fields.iter().for_each(|(field, value)| set_field(entry, field, value.clone()));
        self.give(table, entries);
        Ok(())
    }

    /// Removes the entry at `index`, from 0.
    ///
    /// # Errors
    /// There are not so many.
    pub fn remove_at(&mut self, table: &'static str, index: usize) -> Result<(), EditError> {
        let mut entries = self.take(table)?;
        if index >= entries.len() {
            return Err(EditError::NotThere(format!("{table}[{index}]")));
        }
        entries.remove(index);
        self.give(table, entries);
        Ok(())
    }

    /// Moves the entry at `from` so that it is at `to`, both from 0.
    ///
    /// # Errors
    /// There are not so many.
    pub fn move_to(&mut self, table: &'static str, from: usize, to: usize) -> Result<(), EditError> {
        let mut entries = self.take(table)?;
        if let Some(index) = [from, to].into_iter().find(|index| *index >= entries.len()) {
            return Err(EditError::NotThere(format!("{table}[{index}]")));
        }
        let entry = entries.remove(from);
        entries.insert(to, entry);
        self.give(table, entries);
        Ok(())
    }

    /// Writes the file, if what it says then has no problem.
    ///
    /// # Errors
    /// It has, or the disk fails. The file is as it was.
    pub fn save(self) -> Result<Draft, EditError> {
        let draft = self.draft()?;
        disk::replace(&OsDisk, &self.file, draft.text.as_bytes())?;
        Ok(draft)
    }

    fn take(&self, table: &'static str) -> Result<Vec<Table>, EditError> {
        entries(&self.document, table)
    }

    fn give(&mut self, table: &'static str, entries: Vec<Table>) {
        replace(&mut self.document, table, entries);
    }
}

fn parsed(file: &Path, text: &str) -> Result<DocumentMut, EditError> {
    text.parse().map_err(|error: toml_edit::TomlError| {
        // The broker's own reader says it better.
        let problems = Draft::read(text).err().unwrap_or_else(|| {
            Problems(vec![Problem {
                path: String::new(),
                line: None,
                what: format!("is not TOML: {}", error.message()),
                remedy: "correct it".into(),
            }])
        });
        EditError::Invalid(file.to_owned(), problems)
    })
}

/// The entries of a table.
pub(super) fn entries(document: &DocumentMut, table: &str) -> Result<Vec<Table>, EditError> {
    let Some(item) = document.get(table) else { return Ok(Vec::new()) };
    if item.as_array().is_some_and(Array::is_empty) {
        return Ok(Vec::new());
    }
    // It may be written as inline tables in brackets too.
    let array = item.clone().into_array_of_tables().map_err(|_| EditError::BadPath(table.to_owned()))?;
    Ok(array.into_iter().collect())
}

/// Tables are written in the order of their positions: all entries get the first one's, and stand in their order.
pub(super) fn replace(document: &mut DocumentMut, table: &str, entries: Vec<Table>) {
    if entries.is_empty() {
        document.remove(table);
        return;
    }
    let behind = BEHIND.iter().find(|(name, _)| *name == table);
    let section = behind.and_then(|(_, section)| document.get(section)).and_then(Item::as_table);
    let position = first_position(document, table).or_else(|| section.and_then(Table::position));
    let mut array = ArrayOfTables::new();
    for mut entry in entries {
        entry.set_position(position);
        array.push(entry);
    }
    match document.get_mut(table) {
        Some(item) => *item = Item::ArrayOfTables(array),
        None => {
            document.insert(table, Item::ArrayOfTables(array));
        }
    }
}

fn first_position(document: &DocumentMut, table: &str) -> Option<isize> {
    let array = document.get(table).and_then(Item::as_array_of_tables)?;
    array.iter().filter_map(Table::position).min()
}

fn entry(fields: &[(&str, Value)]) -> Table {
    let mut entry = Table::new();
    fields.iter().for_each(|(field, value)| set_field(&mut entry, field, value.clone()));
    entry
}

fn is_bare(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Sets a field; what stands around an old value stays around the new one.
pub(super) fn set_field(table: &mut dyn TableLike, field: &str, mut value: Value) {
    if let Some(old) = table.get(field).and_then(Item::as_value) {
        *value.decor_mut() = old.decor().clone();
    }
    match table.get_mut(field) {
        Some(item) => *item = Item::Value(value),
        None => {
            table.insert(field, Item::Value(value));
        }
    }
}

/// Held by who edits or applies the configuration of a data directory.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "the lock ends with the file")] File);

impl Lock {
    /// Waits for it, a while.
    pub(super) fn take(data: &Path) -> Result<Lock, EditError> {
        let path = data.join("edit.lock");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(FileFault::new(&path, "open it"))?;
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock(file)),
                Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => thread::sleep(BETWEEN_TRIES),
                Err(TryLockError::WouldBlock) => return Err(EditError::Busy(path)),
                Err(TryLockError::Error(error)) => return Err(FileFault::new(&path, "lock it")(error).into()),
            }
        }
    }
}

#[cfg(test)]
#[path = "edit_tests.rs"]
mod tests;
