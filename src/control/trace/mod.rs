//! Where traced packets go: to whoever listens now, and to the message log, a file that is put aside when it is full.
//! They are taken from a node's bounded channel on a thread of its own. Whoever is too slow - the disk, a listener -
//! loses what is its own, which is counted; no shard ever waits for any of it.

mod live;
mod log;
mod record;
mod rotated;
mod spec;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crossbeam_channel::Receiver;

use self::live::Listeners;
pub(super) use self::live::{Heard, Listener};
use self::log::Log;
use super::config::Diagnostics;
use crate::mqtt::PacketType;
use crate::node::{Node, Traced};
use crate::policy::trace::{Named, TraceProblem, TraceSet, TraceSpec};

/// Records that are taken before others get the lock.
const BATCH: usize = 256;

/// The message log in a data directory.
#[must_use]
pub(super) fn file_in(data: &Path) -> PathBuf {
    data.join("messages").join("messages.log")
}

/// What became of lines of the message log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// They are in the file.
    pub(super) written: u64,
    /// The disk did not take them.
    pub(super) unwritten: u64,
}

/// What is traced now, and who gets it.
#[derive(Debug)]
pub(super) struct Tracing {
    inner: Arc<Mutex<Inner>>,
    /// What the node was told to trace.
    armed: Vec<TraceSpec>,
}

impl Tracing {
    /// Nothing yet; the log lies at `path` once one is wanted.
    pub(super) fn new(path: PathBuf) -> Tracing {
        let inner = Inner { listeners: Listeners::default(), log: None, path, counts: Counts::default() };
        Tracing { inner: Arc::new(Mutex::new(inner)), armed: Vec::new() }
    }

    /// A node has been started: what is wanted is traced there, until it ends.
    pub(super) fn follow(&mut self, node: &Node) {
        self.armed = Vec::new();
        if let Err(error) = self.take_from(node.traced()) {
            tracing::error!("nothing can be traced: {error}");
        }
        self.arm(Some(node));
    }

    fn take_from(&self, records: Receiver<Traced>) -> std::io::Result<()> {
        let inner = Arc::clone(&self.inner);
        let take = move || {
            while let Ok(first) = records.recv() {
                let mut inner = lock(&inner);
                inner.take(&first);
                // What is there already goes with it, in one write.
                records.try_iter().take(BATCH).for_each(|more| inner.take(&more));
                inner.flush();
            }
        };
        thread::Builder::new().name("messages".into()).spawn(take).map(|_| ())
    }

    /// An Apply has decided about the message log.
    pub(super) fn apply(&mut self, wanted: &Diagnostics, node: Option<&Node>) {
        {
            let mut inner = lock(&self.inner);
            inner.flush();
            let before = inner.log.take();
            inner.log = spec::of_log(wanted).map(|wish| Log::new(wish, spec::keep(wanted), before));
        }
        self.arm(node);
    }

    /// From now on somebody hears what is wanted, also of clients that are not connected yet.
    ///
    /// # Errors
    /// The filter is none, or too many listen already.
    pub(super) fn listen(
        &mut self,
        wanted: TraceSpec,
        node: Option<&Node>,
    ) -> Result<Listener, TraceProblem> {
        let wish = TraceSet::new(vec![wanted.clone()])?;
        let mut all = self.wanted();
        all.push(wanted);
        TraceSet::new(all)?;
        let listener = lock(&self.inner).listeners.add(wish);
        self.arm(node);
        Ok(listener)
    }

    /// Who has left wants nothing any more: to be called now and then.
    pub(super) fn tidy(&mut self, node: Option<&Node>) {
        self.arm(node);
    }

    /// Has a node trace what is wanted; nothing, if that is nothing.
    fn arm(&mut self, node: Option<&Node>) {
        let Some(node) = node else { return };
        let wanted = self.wanted();
        if wanted == self.armed {
            return;
        }
        let set = (!wanted.is_empty()).then(|| TraceSet::new(wanted.clone()));
        match set.transpose() {
            Ok(set) => {
                node.trace(set.map(Arc::new).as_ref());
                self.armed = wanted;
            }
            // Each was looked at when it came.
            Err(problem) => tracing::error!("nothing new can be traced: {problem}"),
        }
    }

    fn wanted(&self) -> Vec<TraceSpec> {
        let mut inner = lock(&self.inner);
        let logged = inner.log.as_ref().map(|log| log.wish().specs().to_vec()).unwrap_or_default();
        inner.listeners.wishes().flat_map(TraceSet::specs).cloned().chain(logged).collect()
    }

    /// What became of the lines of the message log so far.
    pub(super) fn counts(&self) -> Counts {
        lock(&self.inner).counts
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    // A panic ends the process; what is in here is as good as it was all the same.
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Inner {
    listeners: Listeners<TraceSet>,
    log: Option<Log>,
    path: PathBuf,
    counts: Counts,
}

impl Inner {
    fn take(&mut self, record: &Traced) {
        let mut made: Option<Arc<str>> = None;
        let mut line = || Arc::clone(made.get_or_insert_with(|| record::line(record).into()));
        self.listeners.tell(|wish| wants(wish, record), &mut line);
        if let Some(log) = self.log.as_mut().filter(|log| wants(log.wish(), record)) {
            if log.write(&self.path, &line()) {
                self.counts.written += 1;
            } else {
                self.counts.unwritten += 1;
            }
        }
    }

    fn flush(&mut self) {
        if let Some(log) = &mut self.log {
            log.flush(&self.path);
        }
    }
}

/// Whether this is one of the packets that are wanted; the shard knows only that somebody wants it.
fn wants(wish: &TraceSet, record: &Traced) -> bool {
    let filters: Vec<&str> = record.filters.iter().map(|(filter, _)| &**filter).collect();
    let named = match (&record.topic, record.packet) {
        (Some(topic), _) => Named::Topic(topic),
        (None, PacketType::Subscribe | PacketType::Unsubscribe) => Named::Filters(&filters),
        (None, _) => Named::Nothing,
    };
    wish.payload_bytes(&record.client_id, record.direction, record.packet, named).is_some()
}

#[cfg(test)]
mod tests;
