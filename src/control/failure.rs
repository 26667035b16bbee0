//! How a command ends when it cannot do what was asked: the cause, the remedy, the exit code.

use std::fmt;
use std::process::ExitCode;

use super::apply::ApplyError;
use super::data_dir::DataDirError;
use super::escape;
use super::output::{self, Form};
use super::pki::PkiError;
use super::terminal::{Colours, Tone};

/// The exit codes; `tidemq --help` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Something failed that should not.
    Fault = 1,
    /// The configuration has problems.
    Invalid = 3,
    /// The configuration is valid and was not applied: an edit of an old one, or one that needs a restart.
    NotApplied = 4,
    /// The machine does not give what the broker needs: an address, io_uring, memory.
    Machine = 5,
    /// The data directory cannot be used.
    Data = 6,
    /// The command needs a running broker and there is none.
    NotRunning = 7,
    /// What was given cannot be taken: a wrong file, a wrong password, a name that is taken.
    Given = 8,
    /// The answer to what was asked is no.
    No = 9,
}

impl Exit {
    /// The one of a number; a number that is none of them says that something failed.
    #[must_use]
    pub fn of_code(code: u8) -> Exit {
        const ALL: [Exit; 8] = [
            Exit::Fault,
            Exit::Invalid,
            Exit::NotApplied,
            Exit::Machine,
            Exit::Data,
            Exit::NotRunning,
            Exit::Given,
            Exit::No,
        ];
        ALL.into_iter().find(|exit| exit.code() == code).unwrap_or(Exit::Fault)
    }

    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// What `--help` says of the exit codes; 2 is the argument parser's.
pub const EXIT_CODES: &str = "Exit codes:
  0  done
  1  something failed that should not
  2  the command line is wrong
  3  the configuration has problems
  4  the configuration was not applied: it was edited from an old one, or needs a restart
  5  the machine does not give what is needed: an address, io_uring, memory
  6  the data directory cannot be used
  7  no broker is running
  8  what was given cannot be taken: a wrong file, a wrong password, a name that is taken
  9  the answer is no: topic rules refuse what was tested, something about them is odd, the doctor found problems";

/// Why a command ends early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// The cause.
    pub cause: String,
    /// What to do about it; may be empty.
    pub remedy: String,
}

impl Failure {
    /// A failure with its remedy.
    #[must_use]
    pub fn new(exit: Exit, cause: impl fmt::Display, remedy: &str) -> Failure {
        Failure { exit, cause: cause.to_string(), remedy: remedy.to_owned() }
    }

    /// Says it on standard error.
    #[must_use]
    pub fn tell(&self) -> ExitCode {
        match output::form() {
            Form::Json => {
                let Failure { exit, cause, remedy } = self;
                let said = serde_json::json!({ "error": cause, "remedy": remedy, "exit_code": exit.code() });
                eprintln!("{}", output::document(&said));
            }
            Form::Text => {
                let name = Colours::of(&std::io::stderr()).paint(Tone::Bad, "tidemq:");
                eprintln!("{name} {}", escape::text(&self.to_string()));
            }
        }
        ExitCode::from(self.exit.code())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.cause)?;
        if !self.remedy.is_empty() {
            write!(out, "\n  {}", self.remedy)?;
        }
        Ok(())
    }
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Failure {
        let (exit, remedy) = match &error {
            ApplyError::Invalid(..) => (Exit::Invalid, ""),
            ApplyError::Conflict(_) => (Exit::NotApplied, ""),
            ApplyError::Restart(_) => {
                (Exit::NotApplied, "restart the broker to take them, or take them back")
            }
            ApplyError::Moved(_) | ApplyError::Edited { .. } | ApplyError::Outdated { .. } => {
                (Exit::NotApplied, "look at what is there now, and apply it again")
            }
            ApplyError::NothingApplied => {
                (Exit::Data, "`tidemq config apply` applies the configuration file")
            }
            ApplyError::NoSuchGeneration(_) => (Exit::Given, "`tidemq config history` shows them"),
            ApplyError::Revives(_) => (Exit::NotApplied, "say that this is meant, if it is"),
            ApplyError::Disk(_) => {
                (Exit::Data, "see whether it is there, who owns it and whether the disk is full")
            }
            ApplyError::Busy(_) => (Exit::NotApplied, "try it again"),
            ApplyError::Authority(cause) => {
                return Failure::new(Exit::Data, &error, &cause.remedy());
            }
            ApplyError::Damaged { .. } => {
                (Exit::Data, "remove it: the configuration file is then taken as it is")
            }
        };
        Failure::new(exit, &error, remedy)
    }
}

impl From<PkiError> for Failure {
    fn from(error: PkiError) -> Failure {
        let exit = match &error {
            PkiError::Readable { .. }
            | PkiError::Damaged { .. }
            | PkiError::Unknown(_)
            | PkiError::NoKey(_)
            | PkiError::Disk(_) => Exit::Data,
            PkiError::Making(_) => Exit::Fault,
            _ => Exit::Given,
        };
        let remedy = error.remedy();
        Failure::new(exit, error, &remedy)
    }
}

impl From<DataDirError> for Failure {
    fn from(error: DataDirError) -> Failure {
        let remedy = match &error {
            DataDirError::Nowhere => "name a directory with `--data DIR`",
            DataDirError::InUse { .. } => "stop that one, or name another directory with `--data DIR`",
            DataDirError::Readable { .. } => "make it yours alone with `chmod 600`",
            DataDirError::Damaged { .. } => {
                "restore it from a backup, or remove it: sessions kept on disk are then lost"
            }
            DataDirError::Entropy(_) => "the system has no getrandom(2)",
            DataDirError::Disk(_) => "see who owns it, or name another directory with `--data DIR`",
        };
        Failure::new(Exit::Data, &error, remedy)
    }
}
