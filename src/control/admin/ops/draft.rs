//! The draft: the configuration file, as it stands between two Applies; read, replaced, patched, checked.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::super::desk::Desk;
use super::super::problem::{Flaw, Problem};
use super::editing::{self, OfDraft};
use crate::control::apply::ApplyError;
use crate::control::config::{Draft, json};
use crate::control::{config, disk};

/// The draft.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct DraftShown {
    /// Hash of its text: send it as `If-Match` (or `expected_draft`) with a change, and nobody's change is overwritten.
    pub(in crate::control) hash: String,
    /// The text, as TOML.
    pub(in crate::control) text: String,
    /// The same as JSON, complete: defaults are written out and secrets left out. `null`: it has problems.
    pub(in crate::control) config: Option<Value>,
    /// What is wrong with it; it cannot be applied then.
    pub(in crate::control) problems: Vec<Flaw>,
    /// What whoever wrote it may not have meant.
    pub(in crate::control) warnings: Vec<Flaw>,
}

/// What is in force.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct AppliedShown {
    pub(in crate::control) generation: u64,
    /// Complete: defaults are written out, what the command line says is laid over it, secrets are left out.
    pub(in crate::control) config: Value,
}

/// A configuration to be checked: one of the two.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::control) struct CheckAsked {
    /// As TOML.
    pub(in crate::control) text: Option<String>,
}

/// What a check finds.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct Checked {
    pub(in crate::control) valid: bool,
    pub(in crate::control) problems: Vec<Flaw>,
    pub(in crate::control) warnings: Vec<Flaw>,
}

/// What tells one text of a draft from another.
pub(in crate::control) fn hash(text: &str) -> String {
    config::draft_hash(text)
}

/// Reads it.
pub(in crate::control) async fn show(desk: &Desk) -> Result<DraftShown, Problem> {
    let file = desk.file();
    desk.aside(move || {
        let text = disk::read_text(&file).map_err(ApplyError::from)?;
        Ok(shown(text))
    })
    .await?
}

fn shown(text: String) -> DraftShown {
    let (config, problems, warnings) = match Draft::read(&text) {
        Ok(draft) => (Some(json::of(&draft.config)), Vec::new(), Flaw::all(&draft.warnings)),
        Err(problems) => (None, Flaw::all(&problems.0), Vec::new()),
    };
    DraftShown { hash: hash(&text), text, config, problems, warnings }
}

/// Puts a whole configuration in its place, as JSON; comments stay where the fields do.
pub(in crate::control) async fn replace(
    desk: &Desk,
    config: Value,
    expected: Option<String>,
) -> Result<OfDraft<()>, Problem> {
    editing::edit(desk, expected, move |edit, _| Ok(edit.replace_json(&config)?)).await
}

/// Changes what a JSON merge patch (RFC 7396) names.
pub(in crate::control) async fn patch(
    desk: &Desk,
    patch: Value,
    expected: Option<String>,
) -> Result<OfDraft<()>, Problem> {
    editing::edit(desk, expected, move |edit, _| Ok(edit.merge_json(&patch)?)).await
}

/// Puts a whole text in its place.
pub(in crate::control) async fn replace_text(
    desk: &Desk,
    text: String,
    expected: Option<String>,
) -> Result<OfDraft<()>, Problem> {
    editing::edit_text(desk, expected, text).await
}

/// Checks a text without a trace.
pub(in crate::control) async fn check(desk: &Desk, asked: CheckAsked) -> Result<Checked, Problem> {
    let file = desk.file();
    desk.aside(move || {
        let text = match asked.text {
            Some(text) => text,
            None => disk::read_text(&file).map_err(ApplyError::from)?,
        };
        let DraftShown { problems, warnings, .. } = shown(text);
        Ok(Checked { valid: problems.is_empty(), problems, warnings })
    })
    .await?
}

/// What is in force.
pub(in crate::control) async fn applied(desk: &Desk) -> Result<AppliedShown, Problem> {
    let (generation, config) =
        desk.ask(|control| (control.applied().generation.0, control.applied().config.clone())).await?;
    Ok(AppliedShown { generation, config: json::of(&config) })
}
