//! The message log: what it is to hold, and the file. A disk that fails costs it its own lines; it is tried again.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::rotated::{Keep, Rotated};
use crate::policy::trace::TraceSet;

/// A file that could not be written is tried again after so long.
const RETRY: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Log {
    wish: TraceSet,
    keep: Keep,
    /// `None`: it is opened with the next line, unless it is too early for another try.
    file: Option<Rotated>,
    retry: Instant,
}

impl Log {
    /// One that goes on with the file of the one before it.
    pub(super) fn new(wish: TraceSet, keep: Keep, before: Option<Log>) -> Log {
        let mut file = before.and_then(|before| before.file);
        if let Some(file) = &mut file {
            file.keep(keep);
        }
        Log { wish, keep, file, retry: Instant::now() }
    }

    /// What it is to hold.
    pub(super) fn wish(&self) -> &TraceSet {
        &self.wish
    }

    /// Whether the line was taken.
    pub(super) fn write(&mut self, path: &Path, line: &str) -> bool {
        if self.file.is_none() && self.retry <= Instant::now() {
            match Rotated::open(path, self.keep) {
                Ok(file) => self.file = Some(file),
                Err(error) => self.failed(path, &error),
            }
        }
        match self.file.as_mut().map(|file| file.write(line)) {
            Some(Ok(())) => true,
            Some(Err(error)) => {
                self.failed(path, &error);
                false
            }
            None => false,
        }
    }

    /// Hands what was written to the operating system.
    pub(super) fn flush(&mut self, path: &Path) {
        if let Some(Err(error)) = self.file.as_mut().map(Rotated::flush) {
            self.failed(path, &error);
        }
    }

    fn failed(&mut self, path: &Path, error: &io::Error) {
        tracing::warn!("{}: messages are not logged for now: {error}", path.display());
        self.file = None;
        self.retry = Instant::now() + RETRY;
    }
}
