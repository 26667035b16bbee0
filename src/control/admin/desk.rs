//! The way from the admin's thread to the control thread: a job is posted and its answer awaited, so that no request
//! ever waits on a lock or a shard. Knows nothing of what a job does.

use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Arc, LazyLock};

use tokio::sync::{Semaphore, oneshot};
use tokio::task;

use super::problem::Problem;
use crate::control::commands::Paths;
use crate::control::thread::{Control, Event};

/// Jobs at once that take a core each for as long as they last.
static TURNS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(1));

/// Asks the control thread. Cheap to clone.
#[derive(Clone)]
pub(in crate::control) struct Desk {
    events: Sender<Event>,
    paths: Arc<Paths>,
}

impl Desk {
    /// `events`: what the control thread takes its work from; `paths`: which files it works on.
    pub(in crate::control) fn new(events: Sender<Event>, paths: Paths) -> Desk {
        Desk { events, paths: Arc::new(paths) }
    }

    /// The data directory.
    pub(in crate::control) fn data(&self) -> &Path {
        &self.paths.data
    }

    /// The configuration file: the draft.
    pub(super) fn file(&self) -> PathBuf {
        self.paths.config.clone()
    }

    /// Both.
    pub(super) fn paths(&self) -> Arc<Paths> {
        Arc::clone(&self.paths)
    }

    /// Has the control thread do something, after whatever it does now, and waits for what it answers.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Control) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(move |control: &mut Control| {
            // Whoever asked may be gone.
            let _gone = reply.send(job(control));
        });
        self.events.send(Event::Job(job)).map_err(|_| Problem::stopping())?;
        answer.await.map_err(|_| Problem::stopping())
    }

    /// Does what takes long (files, keys, hashes) on a thread that nobody waits for.
    pub(super) async fn aside<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        task::spawn_blocking(job).await.map_err(|_| Problem::stopping())
    }

    /// The same of what takes a core, or much memory: one after the other, so that the shards have the rest.
    pub(super) async fn in_turn<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let _turn = TURNS.acquire().await.map_err(|_| Problem::stopping())?;
        self.aside(job).await
    }
}
