//! How things stand, in a few numbers: what stands in the header of every page of the console.

use super::super::desk::Desk;
use super::super::problem::Problem;
use super::draft::hash;
use crate::control::apply::ApplyError;
use crate::control::config::Draft;
use crate::control::diff::diff;
use crate::control::disk;

/// How things stand. No shard is asked.
#[derive(Clone, Debug)]
pub(in crate::control) struct Summary {
    /// The broker is enabled and runs.
    pub(in crate::control) running: bool,
    /// The generation in force.
    pub(in crate::control) generation: u64,
    /// Hash of the draft's text.
    pub(in crate::control) hash: String,
    /// Fields of the draft that differ from what is in force.
    pub(in crate::control) pending: usize,
    /// What is wrong with the draft.
    pub(in crate::control) problems: usize,
}

/// Looks.
pub(in crate::control) async fn summary(desk: &Desk) -> Result<Summary, Problem> {
    let (running, applied) =
        desk.ask(|control| (control.running.is_some(), control.applied().clone())).await?;
    let file = desk.file();
    desk.aside(move || {
        let text = disk::read_text(&file).map_err(ApplyError::from)?;
        let (pending, problems) = match Draft::read(&text) {
            Ok(draft) => (diff(&applied.config, &draft.config).len(), 0),
            Err(problems) => (0, problems.0.len()),
        };
        let generation = applied.generation.0;
        Ok(Summary { running, generation, hash: hash(&text), pending, problems })
    })
    .await?
}
