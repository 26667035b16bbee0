//! `tidemq completions` and `tidemq man`: what a shell completes, and manual pages, both made from the definition of the
//! command line. Knows no command by name.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;

use super::failure::{Exit, Failure};
use super::output::{raw, tell};

/// `tidemq completions`
#[derive(Args, Debug)]
pub(super) struct Completions {
    /// The shell, for example: tidemq completions bash > /etc/bash_completion.d/tidemq
    shell: Shell,
}

/// `tidemq man`
#[derive(Args, Debug)]
pub(super) struct Manual {
    /// Write a page for each command into this folder, which is made if it is not there [default: write the page of
    /// `tidemq` itself to standard output]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Writes what a shell needs to complete `command`.
pub(super) fn complete(wanted: &Completions, mut command: Command) -> Result<ExitCode, Failure> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(wanted.shell, &mut command, name, &mut script);
    text(script)
}

/// Writes the manual pages of `command` and all below it.
pub(super) fn manual(wanted: &Manual, command: Command) -> Result<ExitCode, Failure> {
    let Some(folder) = &wanted.out else {
        let mut page = Vec::new();
        Man::new(command).render(&mut page).map_err(|error| unwritten(Path::new("-"), &error))?;
        return text(page);
    };
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(command, folder))
        .map_err(|error| unwritten(folder, &error))?;
    Ok(tell(&format!(
        "the manual is in {}; `man -l {}/tidemq.1` shows it",
        folder.display(),
        folder.display()
    )))
}

fn unwritten(place: &Path, error: &io::Error) -> Failure {
    let cause = format!("{}: the manual cannot be written: {error}", place.display());
    Failure::new(Exit::Given, cause, "name a folder that you may write with `--out DIR`")
}

fn text(bytes: Vec<u8>) -> Result<ExitCode, Failure> {
    let text = String::from_utf8(bytes).map_err(|error| Failure::new(Exit::Fault, error, ""))?;
    Ok(raw(text.trim_end()))
}
