//! What a command says on standard output: text for people or, with `--json`, JSON for machines: one document a line, of
//! which each means the same as the text would. Who reads may be gone: a pipe into `head` is no failure.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use serde_json::json;

use super::escape;
use super::failure::Exit;

/// What the command line of this process asked for; it is said once, before any command runs.
static JSON: AtomicBool = AtomicBool::new(false);

/// In what a command answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Json,
}

/// From now on the process answers so.
pub(super) fn choose(form: Form) {
    JSON.store(form == Form::Json, Ordering::Relaxed);
}

/// How the process answers.
pub(super) fn form() -> Form {
    if JSON.load(Ordering::Relaxed) { Form::Json } else { Form::Text }
}

/// Says a text; as JSON it is a message.
pub(super) fn tell(text: &str) -> ExitCode {
    match form() {
        Form::Text => raw(text),
        Form::Json => raw(&document(&json!({ "message": text }))),
    }
}

/// Says a value: as a text that is made of it, or as it is.
pub(super) fn show<T: Serialize>(value: &T, text: impl FnOnce(&T) -> String) -> ExitCode {
    match form() {
        Form::Text => raw(&text(value)),
        Form::Json => raw(&document(value)),
    }
}

/// A JSON document on one line that no terminal is driven by.
pub(super) fn document<T: Serialize>(value: &T) -> String {
    let written = serde_json::to_string(value).expect("what commands answer has nothing that JSON lacks");
    escape::json(&written)
}

/// Says what is neither, such as a file that is written to standard output.
pub(super) fn raw(text: &str) -> ExitCode {
    code(line(&mut io::stdout(), text))
}

/// A line, at once.
pub(super) fn line(out: &mut impl Write, text: impl fmt::Display) -> io::Result<()> {
    writeln!(out, "{text}").and_then(|()| out.flush())
}

/// How a command ends whose output ended so.
pub(super) fn code(written: io::Result<()>) -> ExitCode {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => ExitCode::from(Exit::Fault.code()),
        _ => ExitCode::SUCCESS,
    }
}
