//! Why a configuration was not applied, in words.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::control::diff::Change;
use crate::control::disk::FileFault;
use crate::control::edit::EditError;
use crate::control::pki::PkiError;
use crate::control::problem::Problems;
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
    /// Another configuration is in force than whoever asked believed.
    #[error("generation {} is in force, not {}", applied.0, expected.0)]
    Outdated {
        /// What was believed.
        expected: Generation,
        /// What is.
        applied: Generation,
    },
    /// The file is another one than whoever asked had seen.
    #[error("{}: it was edited since: its hash is {found}, not {expected}", file.display())]
    Edited {
        /// The file.
        file: PathBuf,
        /// The hash that was named.
        expected: String,
        /// The hash that it has.
        found: String,
    },
    /// Nothing was applied yet.
    #[error("nothing was applied yet")]
    NothingApplied,
    /// The history does not hold it.
    #[error("the history holds no generation {}", .0.0)]
    NoSuchGeneration(Generation),
    /// Going back would bring back what was taken away from somebody, and nobody has said that this is meant.
    #[error("{}", Revives(.0))]
    Revives(Vec<String>),
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

struct Revives<'a>(&'a [String]);

impl fmt::Display for Revives<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "nothing was applied, for it would bring back what was taken away:")?;
        self.0.iter().try_for_each(|revived| write!(out, "\n  {revived}"))
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
