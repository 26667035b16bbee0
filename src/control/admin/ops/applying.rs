//! Apply, confirm, roll back, discard, and what was applied before.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::desk::Desk;
use super::super::problem::Problem;
use super::changes::ChangeMade;
use super::named::moment;
use crate::control::apply::{ApplyRequest, Occasion, Revival};
use crate::control::history::Entry;
use crate::control::thread::{ApplyReport, Asked};
use crate::policy::Generation;

/// The longest time that a confirmation is waited for.
const CONFIRM_MOST: Duration = Duration::from_secs(86_400);

/// What to apply, and under which conditions.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::control) struct ApplyAsked {
    /// What the history says about it.
    #[schema(max_length = 1000)]
    pub(in crate::control) comment: String,
    /// The draft must be the one with this hash.
    pub(in crate::control) expected_draft: Option<String>,
    /// This must be the generation in force.
    pub(in crate::control) expected_generation: Option<u64>,
    /// It is taken back unless it is confirmed within so many seconds: a guard against locking oneself out.
    #[schema(minimum = 1, maximum = 86400)]
    pub(in crate::control) confirm_within_secs: Option<u32>,
}

/// To which generation, and under which conditions.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::control) struct RollbackAsked {
    /// To which generation.
    pub(in crate::control) generation: u64,
    /// Revoked certificates, removed users and old passwords may come back. Without it a rollback that would bring any
    /// back is refused, and says which.
    #[serde(default)]
    pub(in crate::control) accept_revived: bool,
    /// What the history says about it.
    #[serde(default)]
    #[schema(max_length = 1000)]
    pub(in crate::control) comment: String,
    /// It is taken back unless it is confirmed within so many seconds.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 86400)]
    pub(in crate::control) confirm_within_secs: Option<u32>,
}

/// What waits for a confirmation.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct Waiting {
    /// The generation in force.
    pub(in crate::control) generation: u64,
    /// Until when it has to be confirmed, as RFC 3339 writes it; `null`: nothing waits.
    pub(in crate::control) confirm_until: Option<String>,
    /// The same in seconds from now.
    pub(in crate::control) seconds_left: Option<i64>,
}

/// An applied configuration in a list.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct GenerationListed {
    pub(in crate::control) generation: u64,
    /// When it was applied, as RFC 3339 writes it; `null`: nobody knows.
    pub(in crate::control) applied_at: Option<String>,
    pub(in crate::control) author: String,
    pub(in crate::control) comment: String,
    /// How many fields it changed.
    pub(in crate::control) changes: usize,
    /// It is in force.
    pub(in crate::control) in_force: bool,
}

/// An applied configuration.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct GenerationShown {
    #[serde(flatten)]
    pub(in crate::control) listed: GenerationListed,
    /// What it changed.
    pub(in crate::control) changed: Vec<ChangeMade>,
    /// What going back to it would change now; none for the one in force.
    pub(in crate::control) rollback_changes: Vec<ChangeMade>,
    /// What going back to it would bring back: revoked certificates, removed users, old passwords.
    pub(in crate::control) rollback_revives: Vec<String>,
}

/// Which page of the history.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::control) struct HistoryAsked {
    /// Only generations before this one: the last of the page before.
    pub(in crate::control) before: Option<u64>,
    /// So many, 200 at most.
    #[param(minimum = 1, maximum = 200)]
    pub(in crate::control) most: Option<usize>,
}

fn request(author: &str, comment: String, confirm_within_secs: Option<u32>) -> Result<ApplyRequest, Problem> {
    const COMMENT: usize = 1_000;
    if comment.chars().count() > COMMENT {
        return Err(Problem::bad_request(format!("the comment is longer than {COMMENT} characters")));
    }
    let longest = CONFIRM_MOST.as_secs();
    if confirm_within_secs.is_some_and(|secs| secs == 0 || u64::from(secs) > longest) {
        return Err(Problem::bad_request(format!("confirm_within_secs is 1 to {longest}")));
    }
    let author = author.to_owned();
    Ok(ApplyRequest { author, comment, confirm_within_secs, ..Occasion::Running.into() })
}

/// Applies the draft: all of it or nothing. When it answers, every shard judges by it.
pub(in crate::control) async fn apply(
    desk: &Desk,
    author: &str,
    asked: ApplyAsked,
) -> Result<ApplyReport, Problem> {
    let request = ApplyRequest {
        expected_draft: asked.expected_draft,
        expected_generation: asked.expected_generation.map(Generation),
        ..request(author, asked.comment, asked.confirm_within_secs)?
    };
    Ok(desk.ask(move |control| control.apply(Asked::File(request))).await??)
}

/// What waits for a confirmation.
pub(in crate::control) async fn waiting(desk: &Desk) -> Result<Waiting, Problem> {
    desk.ask(|control| {
        let pending = control.store.pending();
        Waiting {
            generation: control.applied().generation.0,
            confirm_until: pending.map(|pending| moment(pending.until)),
            seconds_left: pending.map(|pending| (pending.until - crate::control::secure::now()).max(0)),
        }
    })
    .await
}

/// What is in force is meant. It is a fault to confirm what does not wait: it may have been taken back.
pub(in crate::control) async fn confirm(desk: &Desk, generation: Option<u64>) -> Result<Waiting, Problem> {
    let confirmed = desk
        .ask(move |control| {
            let now = control.applied().generation.0;
            if generation.is_some_and(|expected| expected != now) {
                return Err(Problem::precondition(format!("generation {now} is in force")));
            }
            Ok(control.confirm()?)
        })
        .await??;
    if confirmed.is_none() {
        let detail = "nothing waits for a confirmation: it was confirmed, or taken back in time";
        return Err(Problem::conflict("nothing-waits", detail));
    }
    waiting(desk).await
}

/// Goes back to what was applied once, as a new generation.
pub(in crate::control) async fn roll_back(
    desk: &Desk,
    author: &str,
    asked: RollbackAsked,
) -> Result<ApplyReport, Problem> {
    let request = request(author, asked.comment, asked.confirm_within_secs)?;
    let revival = if asked.accept_revived { Revival::Accepted } else { Revival::Refused };
    let generation = Generation(asked.generation);
    Ok(desk.ask(move |control| control.apply(Asked::Rollback(request, generation, revival))).await??)
}

/// The draft becomes what is in force. Answers whether it was something else.
pub(in crate::control) async fn discard(desk: &Desk, expected: Option<String>) -> Result<bool, Problem> {
    Ok(desk.ask(move |control| control.store.discard(expected.as_deref())).await??)
}

/// What was applied, the newest first: a page of it.
pub(in crate::control) async fn history(
    desk: &Desk,
    asked: HistoryAsked,
) -> Result<Vec<GenerationListed>, Problem> {
    let (all, now) = desk.ask(|control| (control.store.history(), control.applied().generation.0)).await?;
    let before = asked.before.unwrap_or(u64::MAX);
    let page =
        all.iter().filter(|entry| entry.generation < before).take(asked.most.unwrap_or(50).clamp(1, 200));
    Ok(page.map(|entry| listed(entry, now)).collect())
}

/// One of them.
pub(in crate::control) async fn generation(desk: &Desk, generation: u64) -> Result<GenerationShown, Problem> {
    desk.ask(move |control| {
        let now = control.applied().generation.0;
        let entry = control.store.entry(Generation(generation));
        let entry = entry.ok_or_else(|| {
            Problem::not_found(format!("the history does not hold generation {generation}"))
        })?;
        let changed = entry.changes.iter().map(ChangeMade::from).collect();
        let plan =
            if generation == now { None } else { Some(control.store.rollback_plan(Generation(generation))?) };
        let (changes, revives) = plan.map(|plan| (plan.changes, plan.revived)).unwrap_or_default();
        Ok(GenerationShown {
            listed: listed(&entry, now),
            changed,
            rollback_changes: changes.iter().map(ChangeMade::from).collect(),
            rollback_revives: revives,
        })
    })
    .await?
}

fn listed(entry: &Entry, now: u64) -> GenerationListed {
    GenerationListed {
        generation: entry.generation,
        applied_at: (entry.applied_at > 0).then(|| moment(entry.applied_at)),
        author: entry.author.clone(),
        comment: entry.comment.clone(),
        changes: entry.changes.len(),
        in_force: entry.generation == now,
    }
}
