//! `tidemq console`: a link by which a browser logs in once, and the password by which it logs in besides the token.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use hyper::Method;

use super::broker;
use crate::control::admin::Link;
use crate::control::cli::Place;
use crate::control::edit::Edit;
use crate::control::failure::{Exit, Failure};
use crate::control::output::show;
use crate::control::{commands, passwords};

/// `tidemq console`
#[derive(Args, Debug)]
pub(in crate::control) struct Console {
    #[command(flatten)]
    place: Place,
    /// Give the console a password instead, which is asked for twice or read from standard input
    #[arg(long)]
    set_password: bool,
    /// Read that password from this file; a line break at its end does not count
    #[arg(long, value_name = "FILE", requires = "set_password")]
    password_file: Option<PathBuf>,
    /// Apply the configuration file at once, with whatever else was edited in it
    #[arg(long, requires = "set_password")]
    apply: bool,
}

impl Console {
    /// Runs it.
    pub(in crate::control) fn run(&self) -> Result<ExitCode, Failure> {
        if self.set_password { self.new_password() } else { self.link() }
    }

    fn new_password(&self) -> Result<ExitCode, Failure> {
        let paths = commands::paths(&self.place)?;
        // Before the edit begins: that holds a lock.
        let password = passwords::take(self.password_file.as_deref())?;
        let stored = passwords::hash(&password)
            .map_err(|error| Failure::new(Exit::Fault, error, "the system has no getrandom(2)"))?;
        let mut edit = Edit::begin(&paths.config, &paths.data)?;
        edit.set("admin.password", stored.as_phc())?;
        commands::finish_edit(edit, &paths, self.apply, "the console has another password")
    }

    fn link(&self) -> Result<ExitCode, Failure> {
        let link: Link = broker(&self.place)?.call(Method::POST, "/login-links", None)?;
        match &link.url {
            Some(url) => Ok(show(&link, |_| format!("{url}\nopens the console once, within five minutes"))),
            None => Err(Failure::new(
                Exit::NotRunning,
                "console and API listen on no address",
                "write `address = \"127.0.0.1:9883\"` into [admin], then apply",
            )),
        }
    }
}
