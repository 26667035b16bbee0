//! The draft: the configuration file, as it stands between two Applies.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::super::desk::Desk;
use super::super::problem::{Flaw, Problem};
use crate::control::apply::ApplyError;
use crate::control::config::Draft;
use crate::control::disk;

/// The draft and how it stands to what is in force.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct DraftShown {
    /// Hash of its text: send it as `If-Match` (or `expected_draft`) with a change, and nobody's change is overwritten.
    pub(in crate::control) hash: String,
    /// The text, as TOML.
    pub(in crate::control) text: String,
    /// What is wrong with it; it cannot be applied then.
    pub(in crate::control) problems: Vec<Flaw>,
    /// What whoever wrote it may not have meant.
    pub(in crate::control) warnings: Vec<Flaw>,
}

/// What tells one text of a draft from another.
pub(in crate::control) fn hash(text: &str) -> String {
    const BYTES: usize = 8;
    Sha256::digest(text.as_bytes())[..BYTES].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Refuses if the draft is another one than the one that a change was made for.
pub(super) fn check_hash(file: &Path, expected: &str) -> Result<(), Problem> {
    let text = disk::read_text(file).map_err(ApplyError::from)?;
    let found = hash(&text);
    if found == expected { Ok(()) } else { Err(Problem::precondition(format!("the draft is {found} now"))) }
}

/// Reads it.
pub(in crate::control) async fn show(desk: &Desk) -> Result<DraftShown, Problem> {
    let file = desk.file();
    desk.aside(move || {
        let text = disk::read_text(&file).map_err(ApplyError::from)?;
        let (problems, warnings) = match Draft::read(&text) {
            Ok(draft) => (Vec::new(), Flaw::all(&draft.warnings)),
            Err(problems) => (Flaw::all(&problems.0), Vec::new()),
        };
        Ok(DraftShown { hash: hash(&text), text, problems, warnings })
    })
    .await?
}
