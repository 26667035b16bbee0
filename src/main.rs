//! The `tidemq` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    tidemq::control::run()
}
