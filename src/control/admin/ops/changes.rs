//! What the draft would change, before it is applied.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::desk::Desk;
use super::super::problem::{Flaw, Problem};
use super::draft::hash;
use crate::control::apply::ApplyError;
use crate::control::diff::{Change, diff, write_change};
use crate::control::disk;

/// A field that an Apply has changed.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct ChangeMade {
    /// `limits.packet_bytes`
    pub(in crate::control) path: String,
    /// `null`: it was not there.
    pub(in crate::control) before: Option<String>,
    /// `null`: it is no longer there.
    pub(in crate::control) after: Option<String>,
    /// When it takes effect: `live`, `new connections`, `needs a restart`.
    pub(in crate::control) effect: String,
    /// What it comes to, where that can be said.
    pub(in crate::control) note: Option<String>,
}

/// As a [`Change`] is written.
impl fmt::Display for ChangeMade {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ChangeMade { path, before, after, effect, note } = self;
        write_change(out, path, [before, after], effect, note.as_deref())
    }
}

impl From<&Change> for ChangeMade {
    fn from(change: &Change) -> ChangeMade {
        ChangeMade {
            path: change.path.clone(),
            before: change.before.clone(),
            after: change.after.clone(),
            effect: change.effect.to_string(),
            note: change.note.clone(),
        }
    }
}

/// What the draft would change.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct Pending {
    /// Hash of the draft's text.
    pub(in crate::control) hash: String,
    /// The generation in force, from which it differs so.
    pub(in crate::control) generation: u64,
    /// Each field that differs; none: there is nothing to apply.
    pub(in crate::control) changes: Vec<ChangeMade>,
    /// What is wrong with it: it cannot be applied.
    pub(in crate::control) problems: Vec<Flaw>,
    /// What whoever wrote it may not have meant.
    pub(in crate::control) warnings: Vec<Flaw>,
}

/// The last answer: very many rules take long to compare, and every page of the console asks.
static LAST: Mutex<Option<Arc<Pending>>> = Mutex::new(None);

/// Compares the draft with what is in force.
pub(in crate::control) async fn pending(desk: &Desk) -> Result<Arc<Pending>, Problem> {
    let (generation, applied, overrides) = desk
        .ask(|control| {
            let applied = control.applied();
            (applied.generation.0, applied.config.clone(), control.store.overrides().clone())
        })
        .await?;
    let file = desk.file();
    desk.aside(move || {
        let text = disk::read_text(&file).map_err(ApplyError::from)?;
        let hash = hash(&text);
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = last.as_ref().filter(|last| last.hash == hash && last.generation == generation) {
            return Ok(Arc::clone(known));
        }
        let mut pending = Pending { hash, generation, ..Pending::default() };
        match overrides.read(&text) {
            Ok(draft) => {
                pending.warnings = Flaw::all(&draft.warnings);
                let changes = diff(&applied, &overrides.over(draft.config));
                pending.changes = changes.iter().map(ChangeMade::from).collect();
            }
            Err(problems) => pending.problems = Flaw::all(&problems.0),
        }
        let pending = Arc::new(pending);
        *last = Some(Arc::clone(&pending));
        Ok(pending)
    })
    .await?
}
