//! The commands that end at once: `config`, and those that ask the running broker.

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use toml_edit::Value;

use super::apply::{ApplyError, Committed, Occasion, Overrides, Store};
use super::cli::{Config, Place};
use super::client::Client;
use super::config::{Draft, FRESH};
use super::data_dir::{self, DataDir, Places};
use super::diff::fields;
use super::disk;
use super::edit::Edit;
use super::environment::Environment;
use super::failure::{Exit, Failure};
use super::problem::Problem;
use super::thread::ApplyReport;
use super::warnings;

/// The paths that a command line means.
pub(super) struct Paths {
    pub(super) data: PathBuf,
    pub(super) config: PathBuf,
}

/// Finds them; whether they are there is another question.
pub(super) fn paths(place: &Place) -> Result<Paths, Failure> {
    let data = data_dir::locate(place.data.as_deref(), &Places::of_this_process())?;
    let config = place.config.clone().unwrap_or_else(|| data_dir::config_file(&data));
    Ok(Paths { data, config })
}

/// Opens the configuration file and the record beside it.
pub(super) fn store(paths: &Paths, overrides: Overrides) -> Result<Store, Failure> {
    let overrides = Overrides { environment: Environment::of_this_process(), ..overrides };
    Ok(Store::open(paths.config.clone(), &paths.data, overrides)?)
}

/// Runs `tidemq config`.
pub(super) fn config(command: &Config) -> Result<ExitCode, Failure> {
    match command {
        Config::Check { place, file } => match file {
            Some(file) => check(file),
            None => check(&paths(place)?.config),
        },
        Config::Diff(place) => diff(&paths(place)?),
        Config::Apply(place) => apply(&paths(place)?),
        Config::Set { editing, path, value } => {
            let paths = paths(&editing.place)?;
            let mut edit = Edit::begin(&paths.config, &paths.data)?;
            // What is no value is a text without its quotation marks.
            edit.set(path, value.parse::<Value>().unwrap_or_else(|_| value.as_str().into()))?;
            finish_edit(edit, &paths, editing.apply, &format!("{path} is set"))
        }
        Config::Show { fresh: true, .. } => Ok(tell(FRESH.trim_end())),
        Config::Show { place, fresh: false } => show(&paths(place)?),
    }
}

/// Saves an edit, says what was done, and applies it if that is asked for.
pub(super) fn finish_edit(edit: Edit, paths: &Paths, at_once: bool, done: &str) -> Result<ExitCode, Failure> {
    edit.save()?;
    if at_once {
        tell(done);
        return apply(paths);
    }
    Ok(tell(&format!("{done}; it holds once `tidemq config apply` has applied it")))
}

/// Asks the running broker for a text, and tells it.
pub(super) fn asked(place: &Place, path: &str) -> Result<ExitCode, Failure> {
    let answer = Client::new(&paths(place)?.data).send(hyper::Method::GET, path, None)?;
    Ok(tell(String::from_utf8_lossy(&answer.bytes).trim_end()))
}

fn check(file: &Path) -> Result<ExitCode, Failure> {
    let text = disk::read_text(file).map_err(|fault| Failure::new(Exit::Data, fault, ""))?;
    let draft = Draft::read(&text).map_err(|problems| ApplyError::Invalid(file.to_owned(), problems))?;
    let warnings: Vec<Problem> =
        draft.warnings.into_iter().chain(warnings::of_file(file, &draft.config)).collect();
    Ok(tell(&format!("{}: valid{}", file.display(), warnings_told(&warnings))))
}

fn diff(paths: &Paths) -> Result<ExitCode, Failure> {
    let store = store(paths, Overrides::default())?;
    let changes = store.difference()?;
    if store.applied()?.is_none() {
        return Ok(tell("nothing was applied yet: the whole file would be"));
    }
    if changes.is_empty() {
        return Ok(tell("the file changes nothing"));
    }
    let lines: Vec<String> = changes.iter().map(ToString::to_string).collect();
    Ok(tell(&lines.join("\n")))
}

fn show(paths: &Paths) -> Result<ExitCode, Failure> {
    let store = store(paths, Overrides::default())?;
    let Some(applied) = store.applied()? else {
        return Ok(tell("nothing was applied yet; `tidemq config show --fresh` shows where a start begins"));
    };
    let mut lines = vec![format!("generation = {}", applied.generation.0)];
    lines.extend(fields(&applied.config).iter().map(ToString::to_string));
    Ok(tell(&lines.join("\n")))
}

/// Applies the configuration file: by the running broker, else here.
pub(super) fn apply(paths: &Paths) -> Result<ExitCode, Failure> {
    let client = Client::new(&paths.data);
    if client.is_there() || data_dir::in_use(&paths.data).is_some() {
        let nothing = serde_json::json!({});
        let report: ApplyReport = client.call(hyper::Method::POST, "/apply", Some(&nothing))?;
        return Ok(tell(&report.summary));
    }
    // Nobody listens: apply it here, under the directory's lock.
    if !paths.data.exists() {
        let cause = format!("{}: there is nothing to apply", paths.data.display());
        return Err(Failure::new(
            Exit::Data,
            cause,
            "`tidemq serve` makes it, or name another with `--data DIR`",
        ));
    }
    let _data = DataDir::open(&paths.data)?;
    let store = store(paths, Overrides::default())?;
    let committed = store.prepare(Occasion::Start)?.commit(|_| {})?;
    Ok(tell(&format!("{}\nno broker runs: it holds from the next start", summary(&committed))))
}

/// What an Apply did, for people.
pub(super) fn summary(committed: &Committed) -> String {
    let generation = committed.applied.generation.0;
    let mut text = format!("generation {generation} is applied");
    if committed.changes.is_empty() {
        text.push_str(", and nothing changed");
    }
    for change in &committed.changes {
        text.push_str(&format!("\n  {change}"));
    }
    text.push_str(&warnings_told(&committed.warnings));
    if let Some(fault) = &committed.fault {
        let warning = Problem {
            path: String::new(),
            line: None,
            what: format!("it is in force, but may be lost by a crash ({fault})"),
            remedy: "see to the disk and apply again".into(),
        };
        text.push_str(&format!("\n{warning}"));
    }
    text
}

/// Warnings, each on a line that begins with a line break.
fn warnings_told(warnings: &[Problem]) -> String {
    warnings.iter().map(|warning| format!("\nwarning: {warning}")).collect()
}

/// Says it on standard output. Who reads may be gone: a pipe into `head` is no failure.
pub(super) fn tell(text: &str) -> ExitCode {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => ExitCode::from(Exit::Fault.code()),
        _ => ExitCode::SUCCESS,
    }
}
