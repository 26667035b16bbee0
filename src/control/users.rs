//! `tidemq user`: who may connect by user name and password.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::cli::Place;
use super::commands::{self, Paths};
use super::config::Draft;
use super::edit::{Edit, EditError, Key};
use super::failure::{Exit, Failure};
use super::{output, passwords, validate};
use crate::policy::StoredPassword;

const TABLE: &str = "user";

/// `tidemq user`
#[derive(Debug, Subcommand)]
pub(super) enum User {
    /// Adds a user
    Add(NewPassword),
    /// Gives a user another password; once applied, whoever is connected with the old one is disconnected
    Passwd(NewPassword),
    /// Removes a user
    Remove {
        #[command(flatten)]
        place: Place,
        /// The user name
        name: String,
        /// Apply the configuration file at once, with everything else that was changed in it
        #[arg(long)]
        apply: bool,
    },
    /// Lists the user names in the configuration file
    List(Place),
}

/// A user and where the password comes from. It is asked for twice, or read from standard input if that is no terminal.
#[derive(Args, Debug)]
pub(super) struct NewPassword {
    #[command(flatten)]
    place: Place,
    /// The user name, as clients send it
    name: String,
    /// Read the password from this file; a line break at its end does not count
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Apply the configuration file at once, with everything else that was changed in it
    #[arg(long)]
    apply: bool,
}

/// What is to become of a user.
enum Wanted {
    New(StoredPassword),
    Changed(StoredPassword),
    Gone,
}

/// Runs `tidemq user`.
pub(super) fn run(command: &User) -> Result<ExitCode, Failure> {
    let (place, name, apply, password) = match command {
        User::List(place) => return list(&commands::paths(place)?.config),
        User::Add(new) | User::Passwd(new) => {
            (&new.place, &new.name, new.apply, Some(new.password_file.as_deref()))
        }
        User::Remove { place, name, apply } => (place, name, *apply, None),
    };
    let paths = commands::paths(place)?;
    // What can be refused without the password is refused before anybody types one.
    let exists = names(&read(&paths.config)?).any(|user| user == name);
    check(command, name, exists)?;
    // Before the edit begins: that holds a lock.
    let stored = password.map(|file| store(file)).transpose()?;
    let wanted = match (command, stored) {
        (User::Add(_), Some(stored)) => Wanted::New(stored),
        (_, Some(stored)) => Wanted::Changed(stored),
        (_, None) => Wanted::Gone,
    };
    change(&paths, name, &wanted)?;
    let done = match wanted {
        Wanted::New(_) => format!("user {name} is added"),
        Wanted::Changed(_) => format!("user {name} has another password"),
        Wanted::Gone => format!("user {name} is removed"),
    };
    if apply {
        output::tell(&done);
        return commands::apply(&paths);
    }
    Ok(output::tell(&format!("{done}; it holds once `tidemq config apply` has applied it")))
}

fn store(file: Option<&Path>) -> Result<StoredPassword, Failure> {
    let password = passwords::take(file)?;
    passwords::hash(&password)
        .map_err(|error| Failure::new(Exit::Fault, error, "the system has no getrandom(2)"))
}

/// Whether the command fits what is there.
fn check(command: &User, name: &str, exists: bool) -> Result<(), Failure> {
    match command {
        User::Add(_) if exists => Err(Failure::new(
            Exit::Invalid,
            format!("there is a user {name:?} already"),
            "`tidemq user passwd` gives it another password",
        )),
        User::Add(_) if !validate::is_name(name) => Err(Failure::new(
            Exit::Invalid,
            format!("{name:?} is not a name"),
            "a user name has 1 to 256 bytes, and no control characters",
        )),
        User::Passwd(_) | User::Remove { .. } if !exists => Err(Failure::new(
            Exit::Invalid,
            format!("there is no user {name:?}"),
            "`tidemq user list` shows who there is, `tidemq user add` adds one",
        )),
        _ => Ok(()),
    }
}

/// Changes the configuration file.
fn change(paths: &Paths, name: &str, wanted: &Wanted) -> Result<(), Failure> {
    let mut edit = Edit::begin(&paths.config, &paths.data)?;
    let key = Key { field: "name", value: name };
    // Somebody else may have been here since.
    let exists = names(&edit.draft()?).any(|user| user == name);
    match wanted {
        Wanted::New(_) if exists => {
            return Err(Failure::new(
                Exit::Invalid,
                format!("there is a user {name:?} already"),
                "try again",
            ));
        }
        Wanted::Changed(_) if !exists => {
            return Err(Failure::new(
                Exit::Invalid,
                format!("there is no user {name:?} any more"),
                "try again",
            ));
        }
        Wanted::New(stored) | Wanted::Changed(stored) => {
            edit.put(TABLE, key, &[("password", stored.as_phc().into())])?;
        }
        Wanted::Gone => edit.remove(TABLE, key)?,
    }
    edit.save()?;
    Ok(())
}

fn list(config: &Path) -> Result<ExitCode, Failure> {
    let draft = read(config)?;
    let all: Vec<&str> = names(&draft).collect();
    let text = |_: &_| if all.is_empty() { "there are no users".to_owned() } else { all.join("\n") };
    Ok(output::show(&json!({ "users": all }), text))
}

fn names(draft: &Draft) -> impl Iterator<Item = &str> {
    draft.config.users.iter().map(|user| user.name.as_str())
}

/// The configuration file, without the lock that an edit takes.
fn read(config: &Path) -> Result<Draft, Failure> {
    let text = super::disk::read_text(config).map_err(|fault| {
        Failure::new(
            Exit::Data,
            fault,
            "`tidemq serve` makes it, or name another with `--data DIR` or `--config FILE`",
        )
    })?;
    Draft::read(&text).map_err(|problems| EditError::Invalid(config.to_owned(), problems).into())
}

impl From<EditError> for Failure {
    fn from(error: EditError) -> Failure {
        let (exit, remedy) = match &error {
            EditError::Invalid(..) => (Exit::Invalid, ""),
            EditError::NotThere(_) | EditError::BadPath(_) => (Exit::Given, ""),
            EditError::Busy(_) => (Exit::Fault, "try again"),
            EditError::Disk(_) => {
                (Exit::Data, "see whether it is there, who owns it and whether the disk is full")
            }
        };
        Failure::new(exit, &error, remedy)
    }
}

#[cfg(test)]
#[path = "users_tests.rs"]
mod tests;
