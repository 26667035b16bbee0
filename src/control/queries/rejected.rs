//! `tidemq rejected`: who was not let in, and why.

use std::process::ExitCode;

use clap::Args;
use hyper::Method;

use super::broker;
use crate::control::cli::Place;
use crate::control::failure::Failure;
use crate::control::output::tell;

/// `tidemq rejected`
#[derive(Args, Debug)]
pub(in crate::control) struct Rejected {
    #[command(flatten)]
    place: Place,
}

impl Rejected {
    /// Runs it.
    pub(in crate::control) fn run(&self) -> Result<ExitCode, Failure> {
        let answer = broker(&self.place)?.send(Method::GET, "/rejected/text", None)?;
        Ok(tell(String::from_utf8_lossy(&answer.bytes).trim_end()))
    }
}
