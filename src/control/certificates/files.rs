//! Files that a command is given and files that it leaves, and passwords.

use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::control::failure::{Exit, Failure};
use crate::control::pki::read::INPUT_BYTES;
use crate::control::pki::{Imported, PkiError, import, read};

/// Whose eyes a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Eyes {
    /// It holds a key.
    Owner,
    /// It holds nothing secret.
    All,
}

/// A file to be left behind; `-` is standard output.
pub(super) struct Output {
    path: PathBuf,
    bytes: Zeroizing<Vec<u8>>,
    eyes: Eyes,
}

impl Output {
    /// Refuses a place where something lies already: a key could be lost.
    pub(super) fn new(path: &Path, bytes: Zeroizing<Vec<u8>>, eyes: Eyes) -> Result<Output, Failure> {
        if !is_standard(path) && path.symlink_metadata().is_ok() {
            let cause = format!("{}: it exists already", path.display());
            return Err(Failure::new(Exit::Given, cause, "name another file, or remove that one"));
        }
        Ok(Output { path: path.to_owned(), bytes, eyes })
    }

    /// Whether it goes to standard output.
    pub(super) fn is_standard(&self) -> bool {
        is_standard(&self.path)
    }

    /// Writes it.
    pub(super) fn write(&self) -> Result<(), Failure> {
        let failed = |error: io::Error| {
            Failure::new(
                Exit::Given,
                format!("{}: cannot write it: {error}", self.path.display()),
                "name another file",
            )
        };
        if is_standard(&self.path) {
            return io::stdout().write_all(&self.bytes).map_err(failed);
        }
        let mode = if self.eyes == Eyes::Owner { 0o600 } else { 0o644 };
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(mode).open(&self.path).map_err(failed)?;
        let written = file.write_all(&self.bytes).and_then(|()| file.sync_all());
        if written.is_err() {
            self.remove();
        }
        written.map_err(failed)
    }

    /// Takes back what was written.
    pub(super) fn remove(&self) {
        if !is_standard(&self.path)
            && let Err(error) = fs::remove_file(&self.path)
        {
            eprintln!("tidemq: {}: cannot remove it again: {error}", self.path.display());
        }
    }
}

/// `-` is standard input or output.
fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

/// Reads a file that was given; `-` is standard input.
pub(super) fn input(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut bytes = Zeroizing::new(Vec::new());
    // One more than is taken, so that a longer one is seen to be longer.
    let most = INPUT_BYTES as u64 + 1;
    let read = if is_standard(path) {
        io::stdin().lock().take(most).read_to_end(&mut bytes)
    } else {
        fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes))
    };
    match read {
        Ok(_) => Ok(bytes),
        Err(error) => Err(Failure::new(
            Exit::Given,
            format!("{}: cannot read it: {error}", path.display()),
            "name a file that is there",
        )),
    }
}

/// Names the file in a failure about what it holds.
pub(super) fn about(path: &Path, error: PkiError) -> Failure {
    let failure = Failure::from(error);
    if is_standard(path) {
        return failure;
    }
    Failure { cause: format!("{}: {}", path.display(), failure.cause), ..failure }
}

/// Imports what a file holds, or two; asks for a password if it needs one and none was given.
pub(super) fn imported(
    file: &Path,
    key: Option<&Path>,
    password_file: Option<&Path>,
) -> Result<Imported, Failure> {
    let bytes = input(file)?;
    let key_bytes = key.map(input).transpose()?;
    let read = |password: Option<&str>| match &key_bytes {
        Some(key) => read::import_pair(&bytes, key, password),
        None => import(&bytes, password),
    };
    let given = password_file.map(password_in).transpose()?;
    match read(given.as_ref().map(|password| password.as_str())) {
        Err(PkiError::PasswordWanted(what)) if given.is_none() && can_ask() => {
            let asked = ask(&format!("Password of {what}: "))?;
            read(Some(&asked))
        }
        other => other,
    }
    .map_err(|error| match error {
        PkiError::PasswordWanted(_) => {
            Failure { remedy: "give it with `--password-file FILE`".into(), ..about(file, error) }
        }
        other => about(file, other),
    })
}

/// The password to protect a file with: from a file, or asked for twice.
pub(super) fn new_password(password_file: Option<&Path>) -> Result<Zeroizing<String>, Failure> {
    if let Some(file) = password_file {
        return password_in(file);
    }
    if !can_ask() {
        return Err(Failure::new(
            Exit::Given,
            "a PKCS#12 file needs a password",
            "give it with `--password-file FILE`",
        ));
    }
    let password = ask("Password for the PKCS#12 file: ")?;
    if *password == *ask("The same again: ")? {
        return Ok(password);
    }
    Err(Failure::new(Exit::Given, "the two passwords are not the same", "try again"))
}

fn can_ask() -> bool {
    io::stdin().is_terminal()
}

fn ask(prompt: &str) -> Result<Zeroizing<String>, Failure> {
    let asked = rpassword::prompt_password(prompt);
    asked.map(Zeroizing::new).map_err(|error| {
        Failure::new(
            Exit::Given,
            format!("no password was given: {error}"),
            "give it with `--password-file FILE`",
        )
    })
}

/// The first line of a file; `-` is standard input.
fn password_in(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let bytes = input(path)?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match std::str::from_utf8(line) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(Failure::new(
            Exit::Given,
            format!("{}: its first line is not text", path.display()),
            "write the password there as UTF-8",
        )),
    }
}
