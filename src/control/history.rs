//! What was applied, generation by generation: one file each in the data directory, so that any of them can be looked at
//! and gone back to. A crash leaves an entry or none. It knows nothing of how something is applied.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::config::draft_hash;
use super::diff::Change;
use super::disk::{self, Disk, FileFault};
use crate::policy::Generation;

/// How many are kept.
pub const KEPT: usize = 200;

/// How much they may take on the disk: a configuration with very many rules has some megabytes. The newest is kept anyway.
const KEPT_BYTES: u64 = 128 << 20;

/// One applied configuration.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its number.
    pub generation: u64,
    /// When it was applied, in seconds since 1970; 0: nobody knows.
    #[serde(default)]
    pub applied_at: i64,
    /// Who applied it; empty: nobody said.
    #[serde(default)]
    pub author: String,
    /// What was said about it.
    #[serde(default)]
    pub comment: String,
    /// The whole text, hashes of passwords included.
    pub text: String,
    /// What it changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
}

/// Even a hash of a password is no business of a log.
impl fmt::Debug for Entry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Entry { generation, applied_at, author, comment, text, changes } = self;
        let hash = draft_hash(text);
        write!(out, "Entry({generation}, {applied_at}, {author:?}, {comment:?}, text {hash}, {changes:?})")
    }
}

impl Entry {
    /// Its number.
    #[must_use]
    pub fn generation(&self) -> Generation {
        Generation(self.generation)
    }

    /// As a file holds it.
    pub(super) fn written(&self) -> String {
        toml::to_string(self).expect("numbers and texts are TOML")
    }

    /// Reads what [`Entry::written`] has written.
    pub(super) fn read(text: &str) -> Result<Entry, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }
}

/// The folder of the entries.
#[derive(Debug)]
pub(super) struct History {
    folder: PathBuf,
}

impl History {
    pub(super) fn new(folder: PathBuf) -> History {
        History { folder }
    }

    /// Whether there is an entry of a generation.
    pub(super) fn holds(&self, generation: u64) -> bool {
        self.path(generation).exists()
    }

    /// Keeps an entry, and no more than [`KEPT`] of them.
    pub(super) fn keep(&self, disk: &dyn Disk, entry: &Entry) -> Result<(), FileFault> {
        disk.make_folder(&self.folder)?;
        disk::replace(disk, &self.path(entry.generation), entry.written().as_bytes())?;
        self.too_many(KEPT_BYTES).iter().try_for_each(|generation| disk.remove(&self.path(*generation)))
    }

    /// Which have to go: all behind the newest that may stay.
    fn too_many(&self, bytes_kept: u64) -> Vec<u64> {
        let mut bytes = 0;
        let fits = |(index, generation): &(usize, &u64)| {
            bytes += fs::metadata(self.path(**generation)).map_or(0, |file| file.len());
            *index == 0 || (*index < KEPT && bytes <= bytes_kept)
        };
        let all = self.generations();
        let kept = all.iter().rev().enumerate().take_while(fits).count();
        all[..all.len() - kept].to_vec()
    }

    /// All entries that can be read, the newest first.
    pub(super) fn all(&self) -> Vec<Entry> {
        self.generations().into_iter().rev().filter_map(|generation| self.entry(generation)).collect()
    }

    /// One entry; `None`: it is not there, or not what it should be.
    pub(super) fn entry(&self, generation: u64) -> Option<Entry> {
        let path = self.path(generation);
        let text = disk::read_text_if_there(&path).inspect_err(|fault| tracing::warn!("{fault}")).ok()??;
        let damaged = |reason: &String| tracing::warn!("{}: it is damaged ({reason})", path.display());
        Entry::read(&text).inspect_err(damaged).ok()
    }

    /// Their numbers, the oldest first.
    fn generations(&self) -> Vec<u64> {
        let number = |path: PathBuf| {
            let of = |path: &Path| path.file_stem()?.to_str()?.parse::<u64>().ok();
            of(&path).filter(|generation| self.path(*generation) == path)
        };
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut all: Vec<u64> = entries.filter_map(|entry| number(entry.path())).collect();
        all.sort_unstable();
        all
    }

    fn path(&self, generation: u64) -> PathBuf {
        self.folder.join(format!("{generation:010}.toml"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::disk::OsDisk;

    fn entry(generation: u64) -> Entry {
        Entry { generation, author: "ann".into(), text: format!("# {generation}\n"), ..Entry::default() }
    }

    #[test]
    fn the_newest_entries_are_kept_and_listed_first() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::new(folder.path().join("history"));
        assert!(history.all().is_empty());
        for generation in 1..=KEPT as u64 + 3 {
            history.keep(&OsDisk, &entry(generation)).unwrap();
        }
        let all = history.all();
        assert_eq!((all.len(), all[0].generation, all[KEPT - 1].generation), (KEPT, KEPT as u64 + 3, 4));
        assert!(history.holds(4) && !history.holds(3));
        assert_eq!(history.entry(4), Some(entry(4)));
    }

    #[test]
    fn large_ones_are_fewer() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::new(folder.path().to_owned());
        for generation in 1..=5 {
            history.keep(&OsDisk, &entry(generation)).unwrap();
        }
        let one = fs::metadata(history.path(5)).unwrap().len();
        assert_eq!(history.too_many(2 * one), [1, 2, 3]);
        assert_eq!(history.too_many(0), [1, 2, 3, 4]);
        assert!(history.too_many(5 * one).is_empty());
        let said = format!("{:?}", Entry { text: "$argon2id$".into(), ..entry(1) });
        assert!(!said.contains("argon2id"), "{said}");
    }

    #[test]
    fn what_is_no_entry_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::new(folder.path().to_owned());
        history.keep(&OsDisk, &entry(1)).unwrap();
        for name in ["0000000002.toml", ".0000000003.toml.new", "4.toml", "notes"] {
            fs::write(folder.path().join(name), "generation = ").unwrap();
        }
        assert_eq!(history.all(), [entry(1)]);
    }
}
