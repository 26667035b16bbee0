//! Edits of the draft: made under the file's lock, only if the draft is still the one that they were made for, and all of
//! one or nothing. What is edited is not known here.

use super::super::desk::Desk;
use super::super::problem::Problem;
use super::draft::hash;
use crate::control::apply::ApplyError;
use crate::control::config::Draft;
use crate::control::disk::{self, OsDisk};
use crate::control::edit::{Edit, Lock};

/// An answer, and the hash of the draft that it speaks of; `None`: it speaks of what is in force.
#[derive(Clone, Debug)]
pub(in crate::control) struct OfDraft<T> {
    pub(in crate::control) answer: T,
    pub(in crate::control) hash: Option<String>,
}

impl<T> OfDraft<T> {
    /// The same with another answer.
    pub(in crate::control) fn map<U>(self, into: impl FnOnce(T) -> U) -> OfDraft<U> {
        OfDraft { answer: into(self.answer), hash: self.hash }
    }
}

/// Refuses if a draft's text is another one than the one that a change was made for.
pub(super) fn expect(text: &str, expected: Option<&str>) -> Result<(), Problem> {
    let found = hash(text);
    match expected {
        Some(expected) if expected != found => {
            Err(Problem::precondition(format!("the draft is {found} now")))
        }
        _ => Ok(()),
    }
}

/// Edits the draft. `change` is told what it says, and what it answers is answered once the file is written.
pub(super) async fn edit<T: Send + 'static>(
    desk: &Desk,
    expected: Option<String>,
    change: impl FnOnce(&mut Edit, &Draft) -> Result<T, Problem> + Send + 'static,
) -> Result<OfDraft<T>, Problem> {
    let paths = desk.paths();
    desk.aside(move || {
        let mut edit = Edit::begin(&paths.config, &paths.data)?;
        expect(edit.text_before(), expected.as_deref())?;
        let draft = edit.draft()?;
        let answer = change(&mut edit, &draft)?;
        let saved = edit.save()?;
        Ok(OfDraft { answer, hash: Some(hash(&saved.text)) })
    })
    .await?
}

/// Reads the draft.
pub(super) async fn read<T: Send + 'static>(
    desk: &Desk,
    look: impl FnOnce(Draft) -> T + Send + 'static,
) -> Result<OfDraft<T>, Problem> {
    let file = desk.file();
    desk.aside(move || {
        let text = disk::read_text(&file).map_err(ApplyError::from)?;
        let draft = Draft::read(&text).map_err(|problems| Problem::invalid(&problems))?;
        Ok(OfDraft { answer: look(draft), hash: Some(hash(&text)) })
    })
    .await?
}

/// Puts a whole text in the draft's place, also of one that is no TOML any more.
pub(super) async fn edit_text(
    desk: &Desk,
    expected: Option<String>,
    text: String,
) -> Result<OfDraft<()>, Problem> {
    let paths = desk.paths();
    desk.aside(move || {
        let _lock = Lock::take(&paths.data)?;
        let before = disk::read_text(&paths.config).map_err(ApplyError::from)?;
        expect(&before, expected.as_deref())?;
        Draft::read(&text).map_err(|problems| Problem::invalid(&problems))?;
        disk::replace(&OsDisk, &paths.config, text.as_bytes()).map_err(ApplyError::from)?;
        Ok(OfDraft { answer: (), hash: Some(hash(&text)) })
    })
    .await?
}
