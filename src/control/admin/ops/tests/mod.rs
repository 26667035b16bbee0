//! Edits of the draft on a data directory without a broker: what becomes of the file, what is answered, what is refused
//! and with which words.

mod authorities;
mod broker_certificate;
mod client_certificates;
mod issuing;
mod rules;
mod users;

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::time::{SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use super::super::desk::Desk;
use super::super::problem::Problem;
use super::authorities::{self as authority_ops, AuthorityNew, AuthorityShown};
use super::certificate::KeyKind;
use super::draft::hash;
use super::editing::OfDraft;
use crate::control::commands::Paths;
use crate::control::config::FRESH;

/// A data directory and a desk at which nobody sits.
struct Place {
    temp: TempDir,
    desk: Desk,
}

impl Place {
    fn new() -> Place {
        Place::with(FRESH)
    }

    fn with(text: &str) -> Place {
        let temp = tempfile::tempdir().unwrap();
        let paths = Paths { data: temp.path().to_owned(), config: temp.path().join("config.toml") };
        fs::write(&paths.config, text).unwrap();
        let (events, _) = channel();
        Place { temp, desk: Desk::new(events, paths) }
    }

    fn file(&self) -> PathBuf {
        self.temp.path().join("config.toml")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    /// What `If-Match` would say now.
    fn tag(&self) -> Option<String> {
        Some(hash(&self.text()))
    }

    async fn authority(&self, name: &str) -> AuthorityShown {
        let asked = AuthorityNew { name: name.into(), days: 30, key_type: KeyKind::default(), issues: false };
        authority_ops::create(&self.desk, asked, None).await.unwrap().answer
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

/// How it was refused: status, kind, all that is said. Nobody who sits before a browser is sent to a command line.
fn refused<T: std::fmt::Debug>(result: Result<OfDraft<T>, Problem>) -> (u16, String, String) {
    let problem = result.unwrap_err();
    let flaws = problem.problems.iter();
    let flaws: String =
        flaws.map(|flaw| format!("{}: {}; {}\n", flaw.path, flaw.what, flaw.remedy)).collect();
    let said = format!("{}\n{}\n{flaws}", problem.detail, problem.remedy);
    assert!(!said.contains("tidemq "), "{said}");
    assert!(!problem.remedy.is_empty() || !problem.problems.is_empty(), "{said}");
    (problem.status, problem.kind, said)
}

const STALE: &str = "0123456789abcdef";

fn stale() -> Option<String> {
    Some(STALE.into())
}

/// Names that somebody may choose in order to break something.
const HOSTILE: [&str; 5] =
    ["\"]\\n[[user]]", "<script>alert(1)</script>", "../../etc/passwd", "a'b\"\"\"c", "\u{202e}gnp.exe %2F"];
