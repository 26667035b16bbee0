//! Apply: a text becomes what the broker judges by, whole or not at all.
//!
//! [`Store::prepare`] does all that can fail and touches nothing live; dropping what it returns is the rollback.
//! [`Prepared::commit`] moves the prepared files into place and hands the snapshot over. It knows files and
//! configurations; the running broker is a closure to it.
//!
//! Two files decide what is in force: the configuration file, which people edit too, and the *applied record*, a copy
//! of the text that was applied last, with its generation. The text itself names the generation it was made from, so
//! that an edit of an old text is noticed after something else was applied in between.

use std::path::{Path, PathBuf};

use super::compile::{Compiled, Earlier, compile};
use super::config::{Config, Draft, draft_hash, rule_tests};
use super::data_dir;
use super::diff::{Change, Effect, diff};
use super::disk::{self, Disk, OsDisk};
use super::edit::Lock;
use super::history::{Entry, History};
use super::problem::{Problem, Problems};
use super::read::located;
use super::{fresh, secure, validate, warnings};
use crate::policy::Generation;

mod error;
mod pending;
mod prepared;
mod request;
mod rollback;

pub use error::{ApplyError, Conflict};
pub use pending::{Pending, Reversion};
pub use prepared::{Committed, Prepared};
pub use request::{AdminAt, ApplyRequest, Occasion, Overrides};
pub use rollback::{Revival, RollbackPlan};

/// What is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Its number.
    pub generation: Generation,
    /// The file's configuration with the word of environment and command line over it.
    pub config: Config,
}

/// The configuration file of a data directory and the record of what was applied.
pub struct Store {
    data: PathBuf,
    file: PathBuf,
    record_file: PathBuf,
    pending_file: PathBuf,
    record: Option<Entry>,
    /// What that text says, once this process has applied it.
    in_force: Option<Applied>,
    pending: Option<Pending>,
    history: History,
    overrides: Overrides,
    disk: Box<dyn Disk>,
    /// What was installed before by this process.
    earlier: Earlier,
}

/// What is to be applied.
enum Source {
    /// The configuration file as it is.
    File,
    /// This, in place of the file; with what is to be told of it.
    Given { text: String, notes: Vec<String> },
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
        let (record_file, pending_file) = (data_dir::record_file(data), data_dir::pending_file(data));
        let damaged = |path: &Path| {
            let path = path.to_owned();
            |reason| ApplyError::Damaged { path, reason }
        };
        let record = disk::read_text_if_there(&record_file)?.map(|text| Entry::read(&text));
        let pending = disk::read_text_if_there(&pending_file)?.map(|text| Pending::read(&text));
        Ok(Store {
            record: record.transpose().map_err(damaged(&record_file))?,
            in_force: None,
            pending: pending.transpose().map_err(damaged(&pending_file))?,
            history: History::new(data_dir::history_folder(data)),
            data: data.to_owned(),
            file,
            record_file,
            pending_file,
            overrides,
            disk,
            earlier: Earlier::Plain,
        })
    }

    /// What command line and environment say in place of the file.
    pub(super) fn overrides(&self) -> &Overrides {
        &self.overrides
    }

    /// The configuration file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The text that was applied last; `None`: nothing yet.
    #[must_use]
    pub fn applied_text(&self) -> Option<&str> {
        self.record.as_ref().map(|record| record.text.as_str())
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
        if self.in_force.is_some() {
            return Ok(self.in_force.clone());
        }
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
    pub fn prepare(&self, request: impl Into<ApplyRequest>) -> Result<Prepared<'_>, ApplyError> {
        self.prepare_from(request.into(), Source::File)
    }

    fn prepare_from(&self, request: ApplyRequest, source: Source) -> Result<Prepared<'_>, ApplyError> {
        let lock = Lock::take(&self.data)?;
        let read = disk::read_text(&self.file)?;
        self.expect(&request, &read)?;
        let of_file = matches!(source, Source::File);
        let (text, mut notes) = match source {
            Source::File => (read.clone(), Vec::new()),
            Source::Given { text, notes } => (text, notes),
        };
        let draft = self.read(&self.file, &text)?;
        let (made_from, generation) = match (of_file, &self.record) {
            (false, Some(record)) => (draft.made_from, Generation(record.generation + 1)),
            _ => (draft.made_from, self.next_generation(&text, &draft)?),
        };
        let (config, compiled, changes, warnings) = self.judge(draft, &text, generation, request.occasion)?;
        let unchanged = of_file && self.applied_text() == Some(&text);
        let new_text = match made_from {
            Some(made_from) if made_from != generation => stamped(&text, generation),
            _ => text,
        };
        // It may be the result of this very Apply, cut off before the record was written.
        let gives_way = !of_file && self.applied_text() != Some(&read) && read != new_text;
        let set_aside = gives_way.then(|| set_aside(&self.file));
        notes.extend(set_aside.as_ref().map(|path| {
            format!("{} was not applied as it was: it is kept as {}", self.file.display(), path.display())
        }));
        let prepared = Prepared {
            store: self,
            _lock: lock,
            read,
            unchanged,
            set_aside,
            pending: if unchanged { self.pending().cloned() } else { self.will_wait(&request, generation) },
            entry: Entry {
                generation: generation.0,
                applied_at: secure::now(),
                author: request.author,
                comment: request.comment,
                text: new_text,
                changes,
            },
            warnings,
            notes,
            applied: Applied { generation, config },
            compiled,
        };
        if !unchanged {
            prepared.stage()?;
        }
        Ok(prepared)
    }

    /// Whether everything is as whoever asked believes.
    fn expect(&self, request: &ApplyRequest, text: &str) -> Result<(), ApplyError> {
        let applied = Generation(self.record.as_ref().map_or(0, |record| record.generation));
        if let Some(expected) = request.expected_generation.filter(|expected| *expected != applied) {
            return Err(ApplyError::Outdated { expected, applied });
        }
        let found = draft_hash(text);
        match &request.expected_draft {
            Some(expected) if *expected != found => {
                Err(ApplyError::Edited { file: self.file.clone(), expected: expected.clone(), found })
            }
            _ => Ok(()),
        }
    }

    /// Everything that can be wrong with a text that is well formed; what it comes to.
    fn judge(
        &self,
        draft: Draft,
        text: &str,
        generation: Generation,
        occasion: Occasion,
    ) -> Result<(Config, Compiled, Vec<Change>, Vec<Problem>), ApplyError> {
        let invalid = |problems| ApplyError::Invalid(self.file.clone(), Problems(problems));
        let config = self.overrides.over(draft.config);
        // What the command line says in place of the file is judged with the rest of it.
        let mut problems = validate::whole(&config);
        if problems.is_empty() {
            problems = located(text, rule_tests::failed(&config));
        }
        if !problems.is_empty() {
            return Err(invalid(problems));
        }
        let mut warnings = self.warnings(&config, draft.warnings);
        let changes = self.changes(&config);
        check_effects(occasion, &changes)?;
        let compiled = compile(&config, generation, &self.data, self.earlier)
            .map_err(|problems| invalid(located(text, problems)))?;
        warnings.extend(located(text, compiled.warnings.clone()));
        Ok((config, compiled, changes, warnings))
    }

    /// What waits for a confirmation once this generation is applied.
    fn will_wait(&self, request: &ApplyRequest, generation: Generation) -> Option<Pending> {
        let waiting = self.pending();
        if let (Some(secs), Some(record)) = (request.confirm_within_secs, &self.record) {
            let back_to = waiting.map_or(&record.text, |waiting| &waiting.back_to).clone();
            let until = secure::now().saturating_add(secs.into());
            return Some(Pending { generation: generation.0, until, back_to });
        }
        // An Apply that was cut after its file was in place is completed, and still waits.
        self.pending.clone().filter(|pending| pending.generation == generation.0)
    }

    fn read(&self, path: &Path, text: &str) -> Result<Draft, ApplyError> {
        self.overrides.read(text).map_err(|problems| ApplyError::Invalid(path.to_owned(), problems))
    }

    /// What to warn of in what is about to be in force; `of_file`: in the file, with its lines.
    fn warnings(&self, config: &Config, of_file: Vec<Problem>) -> Vec<Problem> {
        let by_command_line = self.overrides.is_by_command_line();
        let mut warnings = if by_command_line { warnings::of(config) } else { of_file };
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

    /// Takes note of what a commit did.
    pub fn record(&mut self, committed: &Committed) {
        self.record = Some(committed.entry.clone());
        self.in_force = Some(committed.applied.clone());
        self.pending.clone_from(&committed.pending);
        self.earlier = committed.earlier;
    }
}

/// Refuses changes that only a start can make.
fn check_effects(occasion: Occasion, changes: &[Change]) -> Result<(), ApplyError> {
    let need_restart: Vec<Change> =
        changes.iter().filter(|change| change.effect == Effect::Restart).cloned().collect();
    match occasion {
        Occasion::Running if !need_restart.is_empty() => Err(ApplyError::Restart(need_restart)),
        Occasion::Running | Occasion::Start => Ok(()),
    }
}

/// Where a file's text is kept that gives way.
fn set_aside(file: &Path) -> PathBuf {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!("{name}.before-rollback"))
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

#[cfg(test)]
#[path = "apply_faults_tests.rs"]
mod faults_tests;

#[cfg(test)]
#[path = "apply_rollback_tests.rs"]
mod rollback_tests;
