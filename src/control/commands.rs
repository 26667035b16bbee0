//! The commands that end at once: `config`, and those that ask the running broker.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;
use toml_edit::Value;

use super::admin::ops::changes::{ChangeMade, Pending};
use super::admin::problem::Flaw;
use super::apply::{ApplyError, ApplyRequest, Committed, Occasion, Overrides, Store};
use super::cli::{Config, Place};
use super::client::Client;
use super::config::FRESH;
use super::config::reference::{self, FieldDoc, SectionDoc};
use super::data_dir::{self, DataDir, Places};
use super::diff::fields;
use super::disk;
use super::edit::Edit;
use super::environment::Environment;
use super::failure::{Exit, Failure};
use super::output::{self, raw, tell};
use super::problem::Problem;
use super::queries::Guarded;
use super::thread::{ApplyReport, report_of};
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
        Config::Diff(place) => diff(place),
        Config::Apply { place, guarded } => apply_as(&paths(place)?, guarded),
        Config::Generations(generations) => generations.run(),
        Config::Reference { markdown: true, .. } => Ok(raw(reference::markdown().trim_end())),
        Config::Reference { path, markdown: false } => explain(path.as_deref()),
        Config::Schema => Ok(raw(&format!("{:#}", reference::json_schema()))),
        Config::Set { editing, path, value } => {
            let paths = paths(&editing.place)?;
            let mut edit = Edit::begin(&paths.config, &paths.data)?;
            // What is no value is a text without its quotation marks.
            edit.set(path, value.parse::<Value>().unwrap_or_else(|_| value.as_str().into()))?;
            finish_edit(edit, &paths, editing.apply, &format!("{path} is set"))
        }
        Config::Show { fresh: true, .. } => Ok(raw(FRESH.trim_end())),
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
    // As an Apply from here would judge it.
    let environment = Environment::of_this_process();
    let draft = environment.over(&text).map_err(|problems| ApplyError::Invalid(file.to_owned(), problems))?;
    let warnings: Vec<Problem> =
        draft.warnings.into_iter().chain(warnings::of_file(file, &draft.config)).collect();
    let variables: Vec<&str> = environment.names().collect();
    let with = if variables.is_empty() { String::new() } else { format!(" with {}", variables.join(", ")) };
    let said = json!({
        "file": file, "valid": true, "environment": variables, "warnings": Flaw::all(&warnings)
    });
    Ok(output::show(&said, |_| format!("{}: valid{with}{}", file.display(), warnings_told(&warnings))))
}

/// What an Apply would change. A running broker knows with what it was started, such as `--enable`; without one the file
/// is compared as it is.
fn diff(place: &Place) -> Result<ExitCode, Failure> {
    let paths = paths(place)?;
    let running = Client::new(&paths.data);
    if place.config.is_none() && running.is_there() {
        let pending: Pending = running.get("/config/changes")?;
        if pending.problems.is_empty() {
            return Ok(show_changes(Some(pending.generation), &pending.changes));
        }
    }
    let store = store(&paths, Overrides::default())?;
    let changes: Vec<_> = store.difference()?.iter().map(ChangeMade::from).collect();
    Ok(show_changes(store.applied()?.map(|applied| applied.generation.0), &changes))
}

fn show_changes(applied: Option<u64>, changes: &[ChangeMade]) -> ExitCode {
    let text = |_: &serde_json::Value| match applied {
        None => "nothing was applied yet: the whole file would be".to_owned(),
        Some(_) if changes.is_empty() => "the file changes nothing".to_owned(),
        Some(_) => changes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    };
    output::show(&json!({ "applied_generation": applied, "changes": changes }), text)
}

fn show(paths: &Paths) -> Result<ExitCode, Failure> {
    let store = store(paths, Overrides::default())?;
    let Some(applied) = store.applied()? else {
        return Ok(tell("nothing was applied yet; `tidemq config show --fresh` shows where a start begins"));
    };
    let fields: Vec<String> = fields(&applied.config).iter().map(ToString::to_string).collect();
    let named = fields.iter().filter_map(|field| field.split_once(" = "));
    let named: serde_json::Map<_, _> = named.map(|(path, value)| (path.to_owned(), value.into())).collect();
    let said = json!({ "generation": applied.generation.0, "fields": named });
    Ok(output::show(&said, |_| format!("generation = {}\n{}", applied.generation.0, fields.join("\n"))))
}

/// Explains a field, those of a section, or all.
fn explain(path: Option<&str>) -> Result<ExitCode, Failure> {
    let wanted = |section: &SectionDoc, field: &FieldDoc| {
        path.is_none_or(|path| [section.path, section.name(), field.path].contains(&path))
    };
    let mut found: Vec<&FieldDoc> = Vec::new();
    let mut text = Vec::new();
    for section in reference::sections() {
        let fields: Vec<&FieldDoc> = section.fields.iter().filter(|field| wanted(section, field)).collect();
        if fields.len() > 1 {
            // The fields that stand in front of all sections have no name of one.
            let name = if section.path.is_empty() { String::new() } else { format!("[{}] ", section.path) };
            text.push(format!("{name}{}", section.doc));
        }
        text.extend(fields.iter().map(|field| explained(field)));
        found.extend(fields);
    }
    if found.is_empty() {
        let cause = format!("there is no field and no section {:?}", path.unwrap_or_default());
        return Err(Failure::new(Exit::Given, cause, "`tidemq config reference` names all"));
    }
    Ok(output::show(&json!({ "fields": found }), |_| text.join("\n\n")))
}

fn explained(field: &FieldDoc) -> String {
    let default = field.default_written().map_or_else(String::new, |default| format!(" (default {default})"));
    let lines = [
        field.doc.to_owned(),
        format!("Takes {}; {}.", field.takes(), field.effect),
        field.variable().map_or_else(String::new, |name| format!("${name}")),
    ];
    let lines: String =
        lines.iter().filter(|line| !line.is_empty()).map(|line| format!("\n    {line}")).collect();
    format!("{}{default}{lines}", field.path)
}

/// Applies the configuration file: by the running broker, else here.
pub(super) fn apply(paths: &Paths) -> Result<ExitCode, Failure> {
    apply_as(paths, &Guarded::default())
}

/// The same, with what is asked of the broker along with it. Without a broker there is nobody to keep a promise.
fn apply_as(paths: &Paths, guarded: &Guarded) -> Result<ExitCode, Failure> {
    let client = Client::new(&paths.data);
    if client.is_there() || data_dir::in_use(&paths.data).is_some() {
        let report: ApplyReport = client.call(hyper::Method::POST, "/apply", Some(&guarded.asked()))?;
        return Ok(output::show(&report, |report| report.summary.clone()));
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
    if guarded.confirm_within.is_some() {
        let cause = "no broker runs: nobody could take it back";
        return Err(Failure::new(Exit::NotRunning, cause, "start it, or leave out `--confirm-within`"));
    }
    let _data = DataDir::open(&paths.data)?;
    let store = store(paths, Overrides::default())?;
    let request = ApplyRequest {
        author: format!("user {} of this machine", rustix::process::geteuid().as_raw()),
        comment: guarded.comment.clone(),
        ..Occasion::Start.into()
    };
    let committed = store.prepare(request)?.commit(|_| {})?;
    let mut report = report_of(&committed, None);
    report.summary.push_str("\nno broker runs: it holds from the next start");
    Ok(output::show(&report, |report| report.summary.clone()))
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
