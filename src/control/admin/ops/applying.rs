//! Apply.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::desk::Desk;
use super::super::problem::Problem;
use super::draft::check_hash;
use crate::control::thread::ApplyReport;

/// What to apply, and under which conditions.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::control) struct ApplyAsked {
    /// What the history says about it.
    pub(in crate::control) comment: String,
    /// The draft must be the one with this hash.
    pub(in crate::control) expected_draft: Option<String>,
    /// This must be the generation in force.
    pub(in crate::control) expected_generation: Option<u64>,
}

/// Applies the draft: all of it or nothing. When it answers, every shard judges by it.
pub(in crate::control) async fn apply(desk: &Desk, asked: ApplyAsked) -> Result<ApplyReport, Problem> {
    let report = desk.ask(move |control| {
        if let Some(expected) = asked.expected_generation {
            let now = control.applied().generation.0;
            if now != expected {
                return Err(Problem::precondition(format!("generation {now} is in force, not {expected}")));
            }
        }
        if let Some(expected) = &asked.expected_draft {
            check_hash(control.store.file(), expected)?;
        }
        Ok(control.apply()?)
    });
    report.await?
}
