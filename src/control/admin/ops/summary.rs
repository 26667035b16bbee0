//! How things stand, in a few numbers: what stands in the header of every page of the console. No shard is asked.

use std::sync::Arc;

use super::super::desk::Desk;
use super::super::problem::Problem;
use super::changes::{Pending, pending};

/// How things stand.
#[derive(Clone, Debug)]
pub(in crate::control) struct Summary {
    /// The broker is enabled and runs.
    pub(in crate::control) running: bool,
    /// What the draft would change.
    pub(in crate::control) pending: Arc<Pending>,
}

/// Looks.
pub(in crate::control) async fn summary(desk: &Desk) -> Result<Summary, Problem> {
    let running = desk.ask(|control| control.running.is_some()).await?;
    Ok(Summary { running, pending: pending(desk).await? })
}
