//! Apply: a text becomes what the broker judges by, whole or not at all.
//!
//! [`Store::prepare`] does all that can fail and touches nothing live; dropping what it returns is the rollback.
//! [`Prepared::commit`] moves the prepared files into place and hands the snapshot over. It knows files and
//! configurations; the running broker is a closure to it.
//!
//! Two files decide what is in force: the configuration file, which people edit too, and the *applied record*, a copy
//! of the text that was applied last, with its generation. The text itself names the generation it was made from, so
//! that an edit of an old text is noticed after something else was applied in between.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::compile::{Compiled, Earlier, compile};
use super::config::{Config, Draft, Listener, rule_tests};
use super::data_dir;
use super::diff::{Change, Effect, diff};
use super::disk::{self, Disk, FileFault, OsDisk};
use super::edit::{EditError, Lock};
use super::fresh;
use super::pki::PkiError;
use super::problem::{Problem, Problems};
use super::read::located;
use super::{validate, warnings};
use crate::policy::Generation;

/// Why a configuration was not applied. Nothing was touched.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The text has problems.
    #[error("{}", Listed(.0, .1))]
    Invalid(PathBuf, Problems),
    /// It was made from another applied configuration than the one in force.
    #[error(transparent)]
    Conflict(Box<Conflict>),
    /// It changes what only a start can change.
    #[error("{}", NeedRestart(.0))]
    Restart(Vec<Change>),
    /// The file was edited between prepare and commit.
    #[error("{}: it was edited while it was being applied", .0.display())]
    Moved(PathBuf),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] FileFault),
    /// Somebody edits the file and does not come to an end.
    #[error("{}: it is being edited by somebody else", .0.display())]
    Busy(PathBuf),
    /// The authority of a fresh configuration cannot be made.
    #[error("no certificate authority can be made: {0}")]
    Authority(#[from] PkiError),
    /// The applied record cannot be read.
    #[error("{}: it is damaged ({reason})", path.display())]
    Damaged {
        /// The applied record.
        path: PathBuf,
        /// What the parser said.
        reason: String,
    },
}

/// File and applied configuration both moved: what the file would change.
#[derive(Debug)]
pub struct Conflict {
    /// The file.
    pub file: PathBuf,
    /// What it says it was made from.
    pub made_from: Generation,
    /// What is applied.
    pub applied: Generation,
    /// From applied to file.
    pub changes: Vec<Change>,
}

impl std::error::Error for Conflict {}

impl fmt::Display for Conflict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, made_from, applied) = (self.file.display(), self.made_from.0, self.applied.0);
        writeln!(
            out,
            "{file}: it was made from generation {made_from}, and generation {applied} is applied."
        )?;
        writeln!(out, "It differs from what is applied in:")?;
        for change in &self.changes {
            writeln!(out, "  {change}")?;
        }
        write!(out, "To apply it as it is, write `generation = {applied}` in it")
    }
}

struct Listed<'a>(&'a Path, &'a Problems);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.1.0.len();
        let plural = if count == 1 { "" } else { "s" };
        write!(out, "{}: {count} problem{plural}", self.0.display())?;
        self.1.0.iter().try_for_each(|problem| write!(out, "\n  {problem}"))
    }
}

struct NeedRestart<'a>(&'a [Change]);

impl fmt::Display for NeedRestart<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "a restart is needed, nothing was applied:")?;
        self.0.iter().try_for_each(|change| write!(out, "\n  {change}"))
    }
}

/// What the command line says in place of the file, for as long as the process runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The broker is enabled, whatever the file says.
    pub enable: bool,
    /// These, in place of the configured listeners. Not empty: implies `enable`.
    pub listen: Vec<Listener>,
    /// Where console and API are, in place of what the file says.
    pub admin: Option<AdminAt>,
}

/// Where console and API are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminAt {
    /// Nowhere but at the socket of the data directory.
    Off,
    /// At this address.
    Address(SocketAddr),
}

impl Overrides {
    /// A configuration with this laid over it.
    pub(super) fn over(&self, mut config: Config) -> Config {
        config.enabled |= self.enable || !self.listen.is_empty();
        if !self.listen.is_empty() {
            config.listeners.clone_from(&self.listen);
        }
        match self.admin {
            None => {}
            Some(AdminAt::Off) => config.admin.enabled = false,
            Some(AdminAt::Address(address)) => (config.admin.enabled, config.admin.address) = (true, address),
        }
        config
    }
}

/// When something is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// Before the first connection: everything may change.
    Start,
    /// While clients are connected: a change that needs a restart is refused.
    Running,
}

/// What was applied last, as it is kept on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    generation: u64,
    text: String,
}

/// What is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Its number.
    pub generation: Generation,
    /// The file's configuration with the command line's word over it.
    pub config: Config,
}

/// The configuration file of a data directory and the record of what was applied.
pub struct Store {
    data: PathBuf,
    file: PathBuf,
    record_file: PathBuf,
    record: Option<Record>,
    overrides: Overrides,
    disk: Box<dyn Disk>,
    /// What was installed before by this process.
    earlier: Earlier,
}

impl Store {
    /// Reads what was applied last. `file`: the configuration; `data`: the data directory.
    ///
    /// # Errors
    /// The record is there and cannot be read.
    pub fn open(file: PathBuf, data: &Path, overrides: Overrides) -> Result<Store, ApplyError> {
        Store::on(Box::new(OsDisk), file, data, overrides)
    }

    fn on(
        disk: Box<dyn Disk>,
        file: PathBuf,
        data: &Path,
        overrides: Overrides,
    ) -> Result<Store, ApplyError> {
        let record_file = data_dir::record_file(data);
        let record = match disk::read_text_if_there(&record_file)? {
            None => None,
            Some(text) => Some(toml::from_str(&text).map_err(|error| ApplyError::Damaged {
                path: record_file.clone(),
                reason: error.message().to_owned(),
            })?),
        };
        let (data, earlier) = (data.to_owned(), Earlier::Plain);
        Ok(Store { data, file, record_file, record, overrides, disk, earlier })
    }

    /// What the command line says in place of the file.
    pub(super) fn overrides(&self) -> &Overrides {
        &self.overrides
    }

    /// The configuration file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Writes a fresh configuration if there is no file, with an authority made for it; enabled if the command line says
    /// so.
    ///
    /// # Errors
    /// The disk failed, or the authority cannot be made.
    pub fn write_fresh_if_absent(&self) -> Result<(), ApplyError> {
        if disk::read_text_if_there(&self.file)?.is_some() {
            return Ok(());
        }
        let mut text = fresh::text(&self.data)?;
        if self.overrides.enable {
            text = enabled(&text);
        }
        Ok(disk::replace(&*self.disk, &self.file, text.as_bytes())?)
    }

    /// What was applied last; `None`: nothing yet.
    ///
    /// # Errors
    /// This version no longer takes what another applied.
    pub fn applied(&self) -> Result<Option<Applied>, ApplyError> {
        let Some(record) = &self.record else { return Ok(None) };
        let config = self.read(&self.record_file, &record.text)?.config;
        Ok(Some(Applied { generation: Generation(record.generation), config: self.overrides.over(config) }))
    }

    /// What the file would change.
    ///
    /// # Errors
    /// The file cannot be read, or has problems.
    pub fn difference(&self) -> Result<Vec<Change>, ApplyError> {
        let draft = self.read(&self.file, &disk::read_text(&self.file)?)?;
        Ok(self.changes(&self.overrides.over(draft.config)))
    }

    /// Does everything that can fail and touches nothing live.
    ///
    /// # Errors
    /// Why the file cannot be applied now.
    pub fn prepare(&self, occasion: Occasion) -> Result<Prepared<'_>, ApplyError> {
        let lock = Lock::take(&self.data)?;
        let text = disk::read_text(&self.file)?;
        let draft = self.read(&self.file, &text)?;
        let generation = self.next_generation(&text, &draft)?;
        let config = self.overrides.over(draft.config);
        // What the command line says in place of the file is judged with the rest of it.
        let problems = validate::whole(&config);
        if !problems.is_empty() {
            return Err(ApplyError::Invalid(self.file.clone(), Problems(problems)));
        }
        let failed = rule_tests::failed(&config);
        if !failed.is_empty() {
            return Err(ApplyError::Invalid(self.file.clone(), Problems(located(&text, failed))));
        }
        let mut warnings = self.warnings(&config, draft.warnings);
        let changes = self.changes(&config);
        let need_restart: Vec<Change> =
            changes.iter().filter(|change| change.effect == Effect::Restart).cloned().collect();
        if occasion == Occasion::Running && !need_restart.is_empty() {
            return Err(ApplyError::Restart(need_restart));
        }
        let compiled = compile(&config, generation, &self.data, self.earlier)
            .map_err(|problems| ApplyError::Invalid(self.file.clone(), Problems(located(&text, problems))))?;
        warnings.extend(located(&text, compiled.warnings.clone()));
        let applied = Applied { generation, config };
        let unchanged = self.record.as_ref().is_some_and(|record| record.text == text);
        let new_text = match draft.made_from {
            Some(made_from) if made_from != generation => stamped(&text, generation),
            _ => text.clone(),
        };
        let prepared = Prepared {
            store: self,
            _lock: lock,
            read: text,
            new_text,
            unchanged,
            changes,
            warnings,
            applied,
            compiled,
        };
        if !unchanged {
            prepared.stage()?;
        }
        Ok(prepared)
    }

    fn read(&self, path: &Path, text: &str) -> Result<Draft, ApplyError> {
        Draft::read(text).map_err(|problems| ApplyError::Invalid(path.to_owned(), problems))
    }

    /// What to warn of in what is about to be in force; `of_file`: in the file, with its lines.
    fn warnings(&self, config: &Config, of_file: Vec<Problem>) -> Vec<Problem> {
        let mut warnings =
            if self.overrides == Overrides::default() { of_file } else { warnings::of(config) };
        warnings.extend(warnings::of_file(&self.file, config));
        warnings
    }

    fn changes(&self, config: &Config) -> Vec<Change> {
        match self.applied() {
            Ok(Some(applied)) => diff(&applied.config, config),
            // What was applied says nothing to this version: there is nothing to compare with.
            Ok(None) | Err(_) => Vec::new(),
        }
    }

    /// The generation under which the file would be applied.
    fn next_generation(&self, text: &str, draft: &Draft) -> Result<Generation, ApplyError> {
        let Some(record) = &self.record else {
            return Ok(Generation(draft.made_from.map_or(0, |made_from| made_from.0) + 1));
        };
        if record.text == text {
            return Ok(Generation(record.generation));
        }
        match draft.made_from {
            // The file does not take part: whoever writes it whole decides.
            None => Ok(Generation(record.generation + 1)),
            Some(made_from) if made_from.0 == record.generation => Ok(Generation(record.generation + 1)),
            // An Apply that was cut between its two renames: the file is its result.
            Some(made_from) if made_from.0 == record.generation + 1 => Ok(made_from),
            Some(made_from) => Err(ApplyError::Conflict(Box::new(Conflict {
                file: self.file.clone(),
                made_from,
                applied: Generation(record.generation),
                changes: self.changes(&self.overrides.over(draft.config.clone())),
            }))),
        }
    }
}

/// A configuration about to be applied. Dropping it is the rollback.
pub struct Prepared<'s> {
    store: &'s Store,
    /// Nobody edits the file meanwhile.
    _lock: Lock,
    read: String,
    new_text: String,
    unchanged: bool,
    changes: Vec<Change>,
    warnings: Vec<Problem>,
    applied: Applied,
    compiled: Compiled,
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
    record: Record,
    earlier: Earlier,
    /// It is in force, and the disk refused to remember that: what it said.
    pub fault: Option<String>,
}

impl Prepared<'_> {
    /// What it would change.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
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
        let mut fault = None;
        if !self.unchanged {
            if self.rewrites() {
                store.disk.rename(&disk::staged(&store.file), &store.file)?;
            }
            // From here on the next start takes the new file: what fails now is told, not rolled back.
            fault = self.remember().err().map(|fault| fault.to_string());
        }
        install(&self.compiled);
        let record = self.next_record();
        let earlier = if self.compiled.identity.is_some() { Earlier::Tls } else { store.earlier };
        let (applied, changes, warnings) =
            (self.applied.clone(), self.changes.clone(), self.warnings.clone());
        Ok(Committed { applied, changes, warnings, record, earlier, fault })
    }

    fn rewrites(&self) -> bool {
        self.new_text != self.read
    }

    fn next_record(&self) -> Record {
        Record { generation: self.applied.generation.0, text: self.new_text.clone() }
    }

    fn stage(&self) -> Result<(), FileFault> {
        let store = self.store;
        if self.rewrites() {
            store.disk.write_synced(&disk::staged(&store.file), self.new_text.as_bytes())?;
        }
        let record = toml::to_string(&self.next_record()).expect("a number and a text are TOML");
        store.disk.write_synced(&disk::staged(&store.record_file), record.as_bytes())
    }

    fn remember(&self) -> Result<(), FileFault> {
        let store = self.store;
        if self.rewrites() {
            store.disk.sync_folder(disk::folder(&store.file))?;
        }
        store.disk.rename(&disk::staged(&store.record_file), &store.record_file)?;
        store.disk.sync_folder(disk::folder(&store.record_file))
    }
}

impl Drop for Prepared<'_> {
    fn drop(&mut self) {
        if self.unchanged {
            return;
        }
        // After a commit they are no longer there. A leftover is harmless: the next Apply writes it anew.
        for path in [&self.store.file, &self.store.record_file] {
            if let Err(fault) = self.store.disk.remove(&disk::staged(path)) {
                tracing::warn!("{fault}");
            }
        }
    }
}

impl Store {
    /// Takes note of what a commit did.
    pub fn record(&mut self, committed: &Committed) {
        self.record = Some(committed.record.clone());
        self.earlier = committed.earlier;
    }
}

impl From<EditError> for ApplyError {
    fn from(error: EditError) -> ApplyError {
        match error {
            EditError::Disk(fault) => ApplyError::Disk(fault),
            EditError::Busy(path) => ApplyError::Busy(path),
            EditError::Invalid(path, problems) => ApplyError::Invalid(path, problems),
            EditError::NotThere(_) | EditError::BadPath(_) => unreachable!("taking the lock edits nothing"),
        }
    }
}

/// The text with its generation replaced, everything else as it was.
fn stamped(text: &str, generation: Generation) -> String {
    let number = i64::try_from(generation.0).expect("a generation grows by one");
    edited(text, "generation", number.into())
}

/// The text with the broker enabled.
fn enabled(text: &str) -> String {
    edited(text, "enabled", true.into())
}

fn edited(text: &str, key: &str, value: toml_edit::Value) -> String {
    let mut document: toml_edit::DocumentMut = text.parse().expect("it was read as TOML before");
    let decor = document.get(key).and_then(|item| item.as_value()).map(|value| value.decor().clone());
    let mut value = value;
    if let Some(decor) = decor {
        *value.decor_mut() = decor;
    }
    document[key] = toml_edit::Item::Value(value);
    document.to_string()
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
