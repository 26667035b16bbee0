//! `tidemq rules`: tries, looks over and edits the topic rules. It judges by the rules' own judge alone.

pub(super) mod tried;
pub(super) mod written;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;
use toml_edit::Value;

use self::tried::{compiled, tried};
use self::written::{TABLE, Written, name_of};

use super::admin::ops::rules::RuleShown;
use super::admin::ops::trials::{RuleFinding, verdict};
use super::apply::Overrides;
use super::cli::{Place, named};
use super::commands::{self, Paths};
use super::config::{ACCESSES, Config, Draft, MATCHES, Match};
use super::edit::Edit;
use super::failure::{Exit, Failure};
use super::{disk, edit::EditError, output};
use crate::policy::rules::{Access, Action, Rule};

/// `tidemq rules`
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Lists the rules in their order
    List(Which),
    /// Says whether a client may publish or subscribe, which rule decides, and why the earlier ones do not
    ///
    /// Exit code 0: it may; 9: it may not.
    Test {
        #[command(flatten)]
        which: Which,
        /// The client's name: the Common Name of its certificate [default: it has none]
        #[arg(long, value_name = "NAME", default_value = "")]
        client: String,
        /// What it wants to do: publish (or write), subscribe (or read)
        #[arg(long, value_parser = action)]
        action: Action,
        /// The topic that it publishes to, or the filter that it subscribes with
        #[arg(long)]
        topic: String,
    },
    /// Looks for rules that never decide, match nothing, or may not say what was meant
    ///
    /// Exit code 0: there is nothing to say; 9: there is.
    Lint(Which),
    /// Adds a rule, behind the others or at a position
    Add(Add),
    /// Removes a rule
    Remove {
        #[command(flatten)]
        editing: Editing,
        /// Its position, from 1, or its name
        rule: String,
    },
    /// Moves a rule to another position
    Move {
        #[command(flatten)]
        editing: Editing,
        /// Its position, from 1, or its name
        rule: String,
        /// The position that it then has
        #[arg(value_parser = clap::value_parser!(u32).range(1..))]
        to: u32,
    },
}

/// Of which configuration.
#[derive(Args, Debug)]
pub(super) struct Which {
    #[command(flatten)]
    place: Place,
    /// Those that are in force, not those in the configuration file
    #[arg(long)]
    applied: bool,
}

/// An edit of the configuration file.
#[derive(Args, Debug)]
pub(super) struct Editing {
    #[command(flatten)]
    pub(super) place: Place,
    /// Apply the configuration file at once, with whatever else was edited in it
    #[arg(long)]
    pub(super) apply: bool,
}

/// `tidemq rules add`
#[derive(Args, Debug)]
pub(super) struct Add {
    #[command(flatten)]
    editing: Editing,
    /// What people call it
    name: String,
    /// What it grants: deny, read (to subscribe), write (to publish), or read-write
    #[arg(long, value_parser = |text: &str| named(ACCESSES, text))]
    access: Access,
    /// The client with this name [default: all clients]
    #[arg(long, value_name = "NAME", conflicts_with = "client_pattern")]
    client: Option<String>,
    /// Clients of which the whole name matches this regular expression
    #[arg(long, value_name = "REGEX")]
    client_pattern: Option<String>,
    /// Topics that this filter matches [default: all topics]
    #[arg(long, value_name = "FILTER", conflicts_with = "topic_pattern")]
    topic: Option<String>,
    /// Topics that this filter matches with {%client%} replaced by the client's name
    #[arg(long, value_name = "FILTER")]
    topic_pattern: Option<String>,
    /// The position that it has, from 1 [default: behind the others]
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(u32).range(1..))]
    at: Option<u32>,
}

fn action(text: &str) -> Result<Action, String> {
    match text {
        "publish" | "write" => Ok(Action::Publish),
        "subscribe" | "read" => Ok(Action::Subscribe),
        _ => Err("write publish or subscribe".into()),
    }
}

/// Runs `tidemq rules`.
pub(super) fn run(command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::List(which) => {
            let config = configured(which)?;
            Ok(output::show(&RuleShown::all(&config.rules), |_| listed(&config)))
        }
        Command::Test { which, client, action, topic } => {
            let config = configured(which)?;
            let said = verdict(tried(&config, client, *action, topic), config.rules_apply());
            Ok(answered(&said, &said.text, said.allowed))
        }
        Command::Lint(which) => {
            let found = compiled(&configured(which)?).lint();
            let told: Vec<String> = found.iter().map(ToString::to_string).collect();
            let text = if found.is_empty() {
                "nothing is odd".into()
            } else {
                told.join(
                    "
",
                )
            };
            let (odd, found) = (!found.is_empty(), found.into_iter().map(RuleFinding::from));
            Ok(answered(&found.collect::<Vec<_>>(), &text, !odd))
        }
        Command::Add(add) => {
            let (mut edit, paths) = begin(&add.editing.place)?;
            let index = add.at.map_or(usize::MAX, |position| position as usize - 1);
            edit.insert(TABLE, index, &fields(add))?;
            let done = format!("rule {:?} is added", add.name);
            commands::finish_edit(edit, &paths, add.editing.apply, &done)
        }
        Command::Remove { editing, rule } => {
            let (mut edit, paths) = begin(&editing.place)?;
            let (index, name) = found(&edit.draft()?.config.rules, rule)?;
            edit.remove_at(TABLE, index)?;
            commands::finish_edit(edit, &paths, editing.apply, &format!("rule {name:?} is removed"))
        }
        Command::Move { editing, rule, to } => {
            let (mut edit, paths) = begin(&editing.place)?;
            let (index, name) = found(&edit.draft()?.config.rules, rule)?;
            edit.move_to(TABLE, index, *to as usize - 1)?;
            let done = format!("rule {name:?} is rule {to} now");
            commands::finish_edit(edit, &paths, editing.apply, &done)
        }
    }
}

fn answered<T: Serialize>(said: &T, text: &str, yes: bool) -> ExitCode {
    let told = output::show(said, |_| text.to_owned());
    if yes { told } else { ExitCode::from(Exit::No.code()) }
}

fn begin(place: &Place) -> Result<(Edit, Paths), Failure> {
    let paths = commands::paths(place)?;
    Ok((Edit::begin(&paths.config, &paths.data)?, paths))
}

/// The configuration that is asked about.
fn configured(which: &Which) -> Result<Config, Failure> {
    let paths = commands::paths(&which.place)?;
    if which.applied {
        let applied = commands::store(&paths, Overrides::default())?.applied()?;
        return applied.map(|applied| applied.config).ok_or_else(|| {
            Failure::new(
                Exit::Data,
                "nothing was applied yet",
                "`tidemq config apply` applies the configuration file",
            )
        });
    }
    let file = paths.config;
    let text = disk::read_text(&file).map_err(EditError::from)?;
    Ok(Draft::read(&text).map_err(|problems| super::apply::ApplyError::Invalid(file, problems))?.config)
}

fn listed(config: &Config) -> String {
    let line = |(index, rule): (usize, &Rule)| {
        let (client_match, client) = Match::of_client(&rule.client);
        let (topic_match, topic) = Match::of_topic(&rule.topic);
        let side = |how: Match, text: &str| match how {
            Match::All => "all".to_owned(),
            _ => format!("{} {text:?}", name_of(MATCHES, how)),
        };
        format!(
            "{} {:?}: {}, clients: {}, topics: {}",
            index + 1,
            rule.name,
            name_of(ACCESSES, rule.access),
            side(client_match, client),
            side(topic_match, topic)
        )
    };
    let lines: Vec<String> = config.rules.iter().enumerate().map(line).collect();
    if lines.is_empty() { "there are no rules".into() } else { lines.join("\n") }
}

/// The rule that is meant, by its position or its name.
fn found(rules: &[Rule], asked: &str) -> Result<(usize, String), Failure> {
    let wrong = |cause: String, remedy: &str| Err(Failure::new(Exit::Given, cause, remedy));
    if let Ok(position) = asked.parse::<usize>() {
        let index = position.wrapping_sub(1);
        return match rules.get(index) {
            Some(rule) => Ok((index, rule.name.clone())),
            None => wrong(format!("there is no rule {position}"), "`tidemq rules list` shows them"),
        };
    }
    let mut named = rules.iter().enumerate().filter(|(_, rule)| rule.name == asked);
    match (named.next(), named.next()) {
        (Some((index, rule)), None) => Ok((index, rule.name.clone())),
        (None, _) => wrong(format!("there is no rule {asked:?}"), "`tidemq rules list` shows them"),
        (Some(_), Some(_)) => wrong(format!("there are several rules {asked:?}"), "name its position"),
    }
}

fn fields(add: &Add) -> Vec<(&'static str, Value)> {
    Written {
        name: &add.name,
        access: add.access,
        client: side(&add.client, &add.client_pattern),
        topic: side(&add.topic, &add.topic_pattern),
    }
    .fields()
}

/// How a rule finds clients or topics, and what by.
fn side<'a>(specific: &'a Option<String>, pattern: &'a Option<String>) -> (Match, Option<&'a str>) {
    match (specific, pattern) {
        (Some(text), _) => (Match::Specific, Some(text)),
        (None, Some(text)) => (Match::Pattern, Some(text)),
        (None, None) => (Match::All, None),
    }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
