//! `tidemq config history|rollback|discard|confirm`: what was applied, and how to go back to it.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};

use super::{Query, broker};
use crate::control::admin::ops::applying::{GenerationListed, GenerationShown, Waiting};
use crate::control::admin::ops::changes::ChangeMade;
use crate::control::cli::Place;
use crate::control::escape;
use crate::control::failure::Failure;
use crate::control::output::show;
use crate::control::table::Table;
use crate::control::thread::ApplyReport;

/// How an Apply is guarded and remembered.
#[derive(Args, Clone, Debug, Default)]
pub(in crate::control) struct Guarded {
    /// What the history says about it
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(in crate::control) comment: String,
    /// Take it back unless `tidemq config confirm` comes within this time, such as 60s or 5m
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    pub(in crate::control) confirm_within: Option<u32>,
}

impl Guarded {
    /// What the API is asked for.
    pub(in crate::control) fn asked(&self) -> Value {
        json!({ "comment": self.comment, "confirm_within_secs": self.confirm_within })
    }
}

/// `tidemq config history` and the like.
#[derive(Debug, Subcommand)]
pub(in crate::control) enum Generations {
    /// Lists what was applied, the newest first; of one generation, what it changed and what going back to it would
    History {
        #[command(flatten)]
        place: Place,
        /// One generation
        generation: Option<u64>,
        /// So many at most
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=200))]
        most: u64,
    },
    /// Applies again what was applied once, as a new generation; a draft that was not applied is kept beside the file
    Rollback {
        #[command(flatten)]
        place: Place,
        /// To which generation
        generation: u64,
        /// Let revoked certificates, removed users and old passwords come back
        #[arg(long)]
        accept_revived: bool,
        #[command(flatten)]
        guarded: Guarded,
    },
    /// Takes back what was edited in the configuration file and not applied
    Discard(Place),
    /// Confirms an Apply that would otherwise be taken back
    Confirm(Place),
}

/// A time as people write it, in seconds.
fn seconds(text: &str) -> Result<u32, String> {
    let wrong = || "write a time such as 60s, 5m or 1h, at most a day".to_owned();
    let (number, unit) = match text.chars().last() {
        Some('s') => (text.strip_suffix('s'), 1),
        Some('m') => (text.strip_suffix('m'), 60),
        Some('h') => (text.strip_suffix('h'), 3_600),
        _ => (Some(text), 1),
    };
    let number = number.and_then(|number| number.parse::<u32>().ok()).ok_or_else(wrong)?;
    number.checked_mul(unit).filter(|secs| (1..=86_400).contains(secs)).ok_or_else(wrong)
}

impl Generations {
    /// Runs it.
    pub(in crate::control) fn run(&self) -> Result<ExitCode, Failure> {
        match self {
            Generations::History { place, generation: Some(generation), .. } => {
                let found: GenerationShown = broker(place)?.get(&format!("/history/{generation}"))?;
                Ok(show(&found, shown))
            }
            Generations::History { place, generation: None, most } => {
                let query = Query::default().with("most", Some(&most.to_string()));
                let all: Vec<GenerationListed> = broker(place)?.get(&format!("/history{}", query.0))?;
                Ok(show(&json!({ "generations": all }), |_| listed(&all)))
            }
            Generations::Rollback { place, generation, accept_revived, guarded } => {
                let mut asked = guarded.asked();
                asked["generation"] = (*generation).into();
                asked["accept_revived"] = (*accept_revived).into();
                let report: ApplyReport = broker(place)?.call(Method::POST, "/rollback", Some(&asked))?;
                Ok(show(&report, |report| report.summary.clone()))
            }
            Generations::Discard(place) => {
                let done: Value = broker(place)?.call(Method::POST, "/config/discard", None)?;
                Ok(show(&done, |done| {
                    let text = if done["discarded"] == true {
                        "the configuration file is what is applied again"
                    } else {
                        "nothing was edited"
                    };
                    text.to_owned()
                }))
            }
            Generations::Confirm(place) => {
                let broker = broker(place)?;
                let asked = json!({});
                let now: Waiting = broker.call(Method::POST, "/apply/confirmation", Some(&asked))?;
                Ok(show(&now, |now| format!("generation {} is confirmed", now.generation)))
            }
        }
    }
}

fn listed(all: &[GenerationListed]) -> String {
    if all.is_empty() {
        return "nothing was applied yet".into();
    }
    let mut table = Table::new(&["generation", "applied_at", "changes", "author", "comment"]);
    for one in all {
        table.push(vec![
            one.generation.into(),
            one.applied_at.clone().into(),
            one.changes.into(),
            one.author.as_str().into(),
            (!one.comment.is_empty()).then(|| one.comment.clone()).into(),
        ]);
    }
    table.text()
}

fn shown(found: &GenerationShown) -> String {
    let GenerationShown { listed, changed, rollback_changes, rollback_revives } = found;
    let at = listed.applied_at.as_deref().unwrap_or("nobody knows when");
    let mut lines =
        vec![format!("generation {}, {at}, by {}", listed.generation, escape::line(&listed.author))];
    if !listed.comment.is_empty() {
        lines.push(escape::line(&listed.comment));
    }
    lines.extend(changes("it changed", changed));
    lines.extend(changes("to go back to it would change", rollback_changes));
    if !rollback_revives.is_empty() {
        lines.push("and would bring back, with `--accept-revived` only:".into());
        lines.extend(rollback_revives.iter().map(|what| format!("  {}", escape::line(what))));
    }
    lines.join("\n")
}

fn changes(heading: &str, changes: &[ChangeMade]) -> Vec<String> {
    if changes.is_empty() {
        return Vec::new();
    }
    let side = |value: &Option<String>| value.as_deref().map_or_else(|| "nothing".into(), escape::line);
    let line = |change: &ChangeMade| {
        format!("  {}: {} -> {}", escape::line(&change.path), side(&change.before), side(&change.after))
    };
    std::iter::once(format!("{heading}:")).chain(changes.iter().map(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, secs) in [("60s", 60), ("5m", 300), ("1h", 3_600), ("7", 7), ("24h", 86_400)] {
            assert_eq!(seconds(text), Ok(secs));
        }
        for bad in ["", "s", "0", "0s", "25h", "1d", "-1s", "1.5m", "99999999999h"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
