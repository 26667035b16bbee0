//! `tidemq doctor`: looks over the machine and the installation, and says what is well, what is doubtful and what will
//! fail, each with a remedy. It changes nothing and asks no broker.

mod clock;
mod installation;
mod machine;
mod ports;

use std::fmt;
use std::io::stdout;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::cli::Place;
use super::commands;
use super::failure::{Exit, Failure};
use super::output;
use super::terminal::{Colours, Tone};

/// `tidemq doctor`
#[derive(Args, Debug)]
pub(super) struct Doctor {
    #[command(flatten)]
    place: Place,
}

/// How well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warning,
    Problem,
}

impl Verdict {
    fn word(self) -> (&'static str, Tone) {
        match self {
            Verdict::Ok => ("ok", Tone::Good),
            Verdict::Warning => ("warning", Tone::Doubtful),
            Verdict::Problem => ("problem", Tone::Bad),
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    /// What was looked at: `kernel`, `port`.
    check: &'static str,
    verdict: Verdict,
    /// What was found.
    what: String,
    /// What to do about it; empty when all is well.
    remedy: String,
}

impl Finding {
    fn ok(check: &'static str, what: impl fmt::Display) -> Finding {
        Finding { check, verdict: Verdict::Ok, what: what.to_string(), remedy: String::new() }
    }

    fn warning(check: &'static str, what: impl fmt::Display, remedy: impl fmt::Display) -> Finding {
        let (what, remedy) = (what.to_string(), remedy.to_string());
        Finding { check, verdict: Verdict::Warning, what, remedy }
    }

    fn problem(check: &'static str, what: impl fmt::Display, remedy: impl fmt::Display) -> Finding {
        let (what, remedy) = (what.to_string(), remedy.to_string());
        Finding { check, verdict: Verdict::Problem, what, remedy }
    }

    /// From an error that says its cause, a colon, and the remedy.
    fn from_error(check: &'static str, error: impl fmt::Display) -> Finding {
        let text = error.to_string();
        let (what, remedy) = text.split_once(": ").unwrap_or((&text, ""));
        Finding::problem(check, what, remedy)
    }
}

/// All that was found.
#[derive(Debug, Serialize)]
struct Report {
    findings: Vec<Finding>,
    problems: usize,
    warnings: usize,
}

impl Report {
    fn new(findings: Vec<Finding>) -> Report {
        let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
        Report { problems: count(Verdict::Problem), warnings: count(Verdict::Warning), findings }
    }

    fn text(&self, colours: Colours) -> String {
        let mut lines = Vec::new();
        for Finding { check, verdict, what, remedy } in &self.findings {
            let (word, tone) = verdict.word();
            // Padded before it is painted: what makes a colour has no width.
            let word = colours.paint(tone, &format!("{word:<8}"));
            lines.push(format!("{word} {check:<14} {what}"));
            if !remedy.is_empty() {
                lines.push(format!("{:24}{remedy}", ""));
            }
        }
        lines.push(match (self.problems, self.warnings) {
            (0, 0) => "all is well".into(),
            (problems, warnings) => {
                format!("{}, {}", counted(problems, "problem"), counted(warnings, "warning"))
            }
        });
        lines.join("\n")
    }
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Runs `tidemq doctor`.
pub(super) fn run(doctor: &Doctor) -> Result<ExitCode, Failure> {
    let paths = commands::paths(&doctor.place)?;
    let mut findings = machine::look();
    findings.extend(clock::look(&paths.data));
    findings.extend(installation::look(&paths));
    let report = Report::new(findings);
    let told = output::show(&report, |report| report.text(Colours::of(&stdout())));
    Ok(if report.problems == 0 { told } else { ExitCode::from(Exit::No.code()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_counted_and_told_with_their_remedies() {
        let report = Report::new(vec![
            Finding::ok("kernel", "Linux 6.1"),
            Finding::warning("clock", "it is not synchronised", "start a time service"),
            Finding::from_error("port", "127.0.0.1:1 is already in use: stop it"),
        ]);
        assert_eq!((report.problems, report.warnings), (1, 1));
        let text = report.text(Colours::Off);
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "ok       kernel         Linux 6.1",
                "warning  clock          it is not synchronised",
                "                        start a time service",
                "problem  port           127.0.0.1:1 is already in use",
                "                        stop it",
                "1 problem, 1 warning",
            ]
        );
        assert!(!text.contains('\x1b') && report.text(Colours::On).contains('\x1b'));
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["findings"][2]["verdict"], "problem");
        assert_eq!(json["findings"][2]["remedy"], "stop it");
        assert_eq!(json["problems"], 1);
    }
}
