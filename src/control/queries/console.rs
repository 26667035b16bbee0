//! `tidemq console`: a link by which a browser logs in once.

use std::process::ExitCode;

use clap::Args;
use hyper::Method;

use super::broker;
use crate::control::admin::Link;
use crate::control::cli::Place;
use crate::control::failure::{Exit, Failure};
use crate::control::output::show;

/// `tidemq console`
#[derive(Args, Debug)]
pub(in crate::control) struct Console {
    #[command(flatten)]
    place: Place,
}

impl Console {
    /// Runs it.
    pub(in crate::control) fn run(&self) -> Result<ExitCode, Failure> {
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
