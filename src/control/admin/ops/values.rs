//! The draft beside what is in force, as values under the names of the file, and changes of single fields.

use serde_json::Value;

use super::super::desk::Desk;
use super::super::problem::{Flaw, Problem};
use super::draft::hash;
use super::editing::{self, OfDraft};
use crate::control::apply::ApplyError;
use crate::control::config::{Draft, json};
use crate::control::diff::{Change, diff};
use crate::control::disk;

/// Both configurations.
#[derive(Clone, Debug)]
pub(in crate::control) struct Values {
    /// Hash of the draft's text.
    pub(in crate::control) hash: String,
    /// The draft; of one that has problems, what is in force.
    pub(in crate::control) draft: Value,
    pub(in crate::control) applied: Value,
    /// What is wrong with the draft.
    pub(in crate::control) problems: Vec<Flaw>,
    /// What whoever wrote it may not have meant.
    pub(in crate::control) warnings: Vec<Flaw>,
    /// What applying it would change.
    pub(in crate::control) changes: Vec<Change>,
}

/// Reads both.
pub(in crate::control) async fn both(desk: &Desk) -> Result<Values, Problem> {
    let applied = desk.ask(|control| control.applied().config.clone()).await?;
    let file = desk.file();
    desk.aside(move || {
        let text = disk::read_text(&file).map_err(ApplyError::from)?;
        let in_force = json::of(&applied);
        Ok(match Draft::read(&text) {
            Ok(draft) => Values {
                hash: hash(&text),
                draft: json::of(&draft.config),
                applied: in_force,
                problems: Vec::new(),
                warnings: Flaw::all(&draft.warnings),
                changes: diff(&applied, &draft.config),
            },
            Err(problems) => Values {
                hash: hash(&text),
                draft: in_force.clone(),
                applied: in_force,
                problems: Flaw::all(&problems.0),
                warnings: Vec::new(),
                changes: Vec::new(),
            },
        })
    })
    .await?
}

/// Changes what `patch` names in the draft: a merge patch (RFC 7396).
pub(in crate::control) async fn patch(
    desk: &Desk,
    patch: Value,
    expected: Option<String>,
) -> Result<OfDraft<()>, Problem> {
    editing::edit(desk, expected, move |edit, _| Ok(edit.merge_json(&patch)?)).await
}
