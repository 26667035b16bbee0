//! Back to what was applied before: an old text as a new generation, and what that brings back. The draft that gives way
//! is kept beside the file.

use super::pending::revoked_only;
use super::{ApplyError, ApplyRequest, Prepared, Source, Store};
use crate::control::config::{Config, draft_hash};
use crate::control::diff::{Change, diff};
use crate::control::disk;
use crate::control::edit::Lock;
use crate::control::history::Entry;
use crate::policy::Generation;

/// What a rollback would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollbackPlan {
    /// To which generation.
    pub generation: Generation,
    /// The text that would be applied, before it gets its new generation.
    pub text: String,
    /// What it would change.
    pub changes: Vec<Change>,
    /// What it would bring back that was taken away since, for people: revoked certificates, removed users, old passwords.
    pub revived: Vec<String>,
}

/// Whether a rollback may bring back what was taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revival {
    /// It is refused then.
    Refused,
    /// Whoever asks has seen what comes back.
    Accepted,
}

impl Store {
    /// What was applied, the newest first.
    #[must_use]
    pub fn history(&self) -> Vec<Entry> {
        let mut all = self.history.all();
        // A crash may have cut it off.
        if let Some(record) = self.record.as_ref().filter(|record| !self.history.holds(record.generation)) {
            all.insert(0, record.clone());
        }
        all
    }

    /// One of them.
    #[must_use]
    pub fn entry(&self, generation: Generation) -> Option<Entry> {
        let current = self.record.as_ref().filter(|record| record.generation == generation.0);
        current.cloned().or_else(|| self.history.entry(generation.0))
    }

    /// What it would be to go back to a generation.
    ///
    /// # Errors
    /// The history does not hold it, or it says nothing to this version.
    pub fn rollback_plan(&self, generation: Generation) -> Result<RollbackPlan, ApplyError> {
        let entry = self.entry(generation).ok_or(ApplyError::NoSuchGeneration(generation))?;
        let record = self.record.as_ref().ok_or(ApplyError::NothingApplied)?;
        let target = self.read(&self.file, &entry.text)?.config;
        let now = self.read(&self.record_file, &record.text)?.config;
        let revived = revived(&now, &target);
        let changes = diff(&self.overrides.over(now), &self.overrides.over(target));
        Ok(RollbackPlan { generation, text: entry.text, changes, revived })
    }

    /// Prepares to go back to a generation, as a new one. A file that was not applied is kept aside when it is committed.
    ///
    /// # Errors
    /// It brings back what was taken away and that is refused, or why it cannot be applied.
    pub fn prepare_rollback(
        &self,
        request: impl Into<ApplyRequest>,
        generation: Generation,
        revival: Revival,
    ) -> Result<Prepared<'_>, ApplyError> {
        let RollbackPlan { text, revived, .. } = self.rollback_plan(generation)?;
        if revival == Revival::Refused && !revived.is_empty() {
            return Err(ApplyError::Revives(revived));
        }
        let mut request = request.into();
        if request.comment.is_empty() {
            request.comment = format!("back to generation {}", generation.0);
        }
        self.prepare_from(request, Source::Given { text, notes: revived })
    }

    /// The file becomes what is applied; `expected`: the hash that it must have. False: it was that already.
    ///
    /// # Errors
    /// Nothing was applied yet, the file is another one than expected, or the disk failed.
    pub fn discard(&self, expected: Option<&str>) -> Result<bool, ApplyError> {
        let record = self.record.as_ref().ok_or(ApplyError::NothingApplied)?;
        let _lock = Lock::take(&self.data)?;
        let text = disk::read_text_if_there(&self.file)?;
        let found = draft_hash(text.as_deref().unwrap_or_default());
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            let (file, expected) = (self.file.clone(), expected.to_owned());
            return Err(ApplyError::Edited { file, expected, found });
        }
        if text.as_deref() == Some(&record.text) {
            return Ok(false);
        }
        disk::replace(&*self.disk, &self.file, record.text.as_bytes())?;
        Ok(true)
    }
}

fn revived(now: &Config, target: &Config) -> Vec<String> {
    let mut revived: Vec<String> = revoked_only(now, target)
        .map(|listed| format!("the certificate {:?} ({}) is revoked now", listed.name, listed.thumbprint))
        .collect();
    for user in &target.users {
        match now.users.iter().find(|now| now.name == user.name) {
            Some(same) if same.password == user.password => {}
            Some(_) => revived.push(format!("the user {:?} has another password now", user.name)),
            None => revived.push(format!("the user {:?} is removed now", user.name)),
        }
    }
    if target.admin.password.is_some() && target.admin.password != now.admin.password {
        revived.push("the console has another password now, or none".into());
    }
    revived
}
