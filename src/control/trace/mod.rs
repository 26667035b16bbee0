//! Where traced packets go: to whoever listens now, and to the message log, a file that is put aside when it is full.
//! It takes them from a bounded channel on a thread of its own. Whoever is too slow - the disk, a listener - loses what
//! is its own, which is counted; no shard ever waits for any of it.

mod live;
mod record;
mod rotated;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use self::live::Listeners;
pub(super) use self::live::{Heard, Listener};
pub(super) use self::record::{Direction, Message, Record};
pub(super) use self::rotated::Keep;
use self::rotated::Rotated;

/// A file that could not be written is tried again after so long.
const RETRY: Duration = Duration::from_secs(5);

/// The message log in a data directory.
#[must_use]
pub(super) fn file_in(data: &Path) -> PathBuf {
    data.join("messages.log")
}

/// Which packets somebody wants.
pub(super) trait Wish: Clone + Send + 'static {
    /// Whether this is one of them.
    fn wants(&self, record: &Record) -> bool;
}

/// What became of lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Lines of the file.
    pub(super) written: u64,
    /// Lines that the disk did not take.
    pub(super) unwritten: u64,
}

/// Takes what is traced. The thread behind it ends with the channel.
#[derive(Clone, Debug)]
pub(super) struct Sink<W> {
    inner: Arc<Mutex<Inner<W>>>,
}

impl<W: Wish> Sink<W> {
    /// Starts to take records; the file lies at `path` once it is wanted.
    pub(super) fn start(path: PathBuf, records: Receiver<Vec<Record>>) -> io::Result<Sink<W>> {
        let inner = Inner { listeners: Listeners::default(), log: None, path, counts: Counts::default() };
        let sink = Sink { inner: Arc::new(Mutex::new(inner)) };
        let taking = sink.clone();
        let take = move || {
            while let Ok(first) = records.recv() {
                let mut inner = taking.lock();
                inner.take(&first);
                // What is there already goes with it, in one write; others get their turn in between.
                for more in records.try_iter().take(64) {
                    inner.take(&more);
                }
                inner.flush();
            }
        };
        thread::Builder::new().name("messages".into()).spawn(take)?;
        Ok(sink)
    }

    fn lock(&self) -> MutexGuard<'_, Inner<W>> {
        // A panic ends the process; a lock that is poisoned all the same is as good as it was.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on somebody hears what is wanted.
    pub(super) fn listen(&self, wish: W) -> Listener {
        self.lock().listeners.add(wish)
    }

    /// What the file is to hold from now on, and how much is kept; `None`: nothing more.
    ///
    /// # Errors
    /// The file cannot be opened; what was before goes on.
    pub(super) fn log(&self, wanted: Option<(W, Keep)>) -> io::Result<()> {
        let mut inner = self.lock();
        inner.flush();
        inner.log = match (wanted, inner.log.take()) {
            (None, _) => None,
            (Some((wish, keep)), Some(mut log)) => {
                log.keep(keep);
                Some(Log { wish, ..log })
            }
            (Some((wish, keep)), None) => {
                let file = Some(Rotated::open(&inner.path, keep)?);
                Some(Log { wish, keep, file, retry: Instant::now() })
            }
        };
        Ok(())
    }

    /// All that is wanted by somebody now. Nothing: tracing can be switched off.
    pub(super) fn wishes(&self) -> Vec<W> {
        let mut inner = self.lock();
        let logged = inner.log.as_ref().map(|log| log.wish.clone());
        inner.listeners.wishes().cloned().chain(logged).collect()
    }

    pub(super) fn counts(&self) -> Counts {
        self.lock().counts
    }
}

#[derive(Debug)]
struct Inner<W> {
    listeners: Listeners<W>,
    log: Option<Log<W>>,
    path: PathBuf,
    counts: Counts,
}

/// The file, and what it is to hold.
#[derive(Debug)]
struct Log<W> {
    wish: W,
    keep: Keep,
    /// `None`: it could not be written.
    file: Option<Rotated>,
    /// When it is tried again.
    retry: Instant,
}

impl<W> Log<W> {
    fn keep(&mut self, keep: Keep) {
        self.keep = keep;
        if let Some(file) = &mut self.file {
            file.keep(keep);
        }
    }

    fn failed(&mut self, path: &Path, error: &io::Error) {
        tracing::warn!("{}: messages are not logged: {error}", path.display());
        self.file = None;
        self.retry = Instant::now() + RETRY;
    }

    /// Whether the line was taken.
    fn write(&mut self, path: &Path, line: &str) -> bool {
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
}

impl<W: Wish> Inner<W> {
    fn take(&mut self, records: &[Record]) {
        for record in records {
            let mut made: Option<Arc<str>> = None;
            let mut line = || Arc::clone(made.get_or_insert_with(|| record::line(record).into()));
            self.listeners.tell(|wish| wish.wants(record), &mut line);
            if let Some(log) = self.log.as_mut().filter(|log| log.wish.wants(record)) {
                if log.write(&self.path, &line()) {
                    self.counts.written += 1;
                } else {
                    self.counts.unwritten += 1;
                }
            }
        }
    }

    fn flush(&mut self) {
        let Some(log) = &mut self.log else { return };
        if let Some(Err(error)) = log.file.as_mut().map(Rotated::flush) {
            log.failed(&self.path, &error);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc::{SyncSender, sync_channel};

    use super::*;

    /// Packets of one client.
    #[derive(Clone, Debug, PartialEq)]
    struct Of(&'static str);

    impl Wish for Of {
        fn wants(&self, record: &Record) -> bool {
            *record.client == *self.0
        }
    }

    fn record(client: &str, payload: &str) -> Record {
        let message = Message {
            topic: "t".into(),
            qos: 0,
            retain: false,
            payload: payload.as_bytes().into(),
            payload_bytes: payload.len(),
        };
        Record {
            unix_micros: 0,
            direction: Direction::In,
            packet: "publish",
            client: client.into(),
            message: Some(message),
        }
    }

    struct Setup {
        temp: tempfile::TempDir,
        sink: Sink<Of>,
        records: SyncSender<Vec<Record>>,
    }

    impl Setup {
        fn new() -> Setup {
            let temp = tempfile::tempdir().unwrap();
            let (records, incoming) = sync_channel(4);
            let sink = Sink::start(file_in(temp.path()), incoming).unwrap();
            Setup { temp, sink, records }
        }

        /// Whoever listens to this hears it after all that was sent before.
        fn send(&self, client: &str, payload: &str) {
            self.records.send(vec![record(client, payload)]).unwrap();
        }

        fn file(&self) -> String {
            fs::read_to_string(file_in(self.temp.path())).unwrap()
        }
    }

    fn heard(listener: &mut Listener) -> Heard {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(listener.next()).expect("the sink runs")
    }

    const KEEP: Keep = Keep { bytes: 1 << 20, files: 1 };

    #[test]
    fn the_file_and_each_listener_get_what_they_want() {
        let setup = Setup::new();
        let (mut a, mut end) = (setup.sink.listen(Of("a")), setup.sink.listen(Of("end")));
        setup.sink.log(Some((Of("b"), KEEP))).unwrap();
        assert_eq!(setup.sink.wishes(), [Of("a"), Of("end"), Of("b")]);
        for client in ["a", "b", "c"] {
            setup.send(client, "x");
        }
        setup.send("end", "");
        let Heard::Line(line) = heard(&mut a) else { panic!("not a line") };
        assert!(line.contains("\"client_id\":\"a\""), "{line}");
        heard(&mut end);
        // The lock is free again once what was taken has been flushed.
        assert_eq!(setup.sink.counts(), Counts { written: 1, unwritten: 0 });
        assert!(setup.file().contains("\"client_id\":\"b\""));
        drop((a, end));
        setup.sink.log(None).unwrap();
        assert_eq!(setup.sink.wishes(), []);
    }

    #[test]
    fn a_listener_that_stops_and_a_disk_that_fails_cost_only_their_own_lines() {
        let setup = Setup::new();
        let silent = setup.sink.listen(Of("a"));
        let mut end = setup.sink.listen(Of("end"));
        setup.sink.log(Some((Of("a"), Keep { bytes: 1_000, files: 1 }))).unwrap();
        // In the place of the file that is put aside lies what cannot be replaced.
        fs::create_dir_all(setup.temp.path().join("messages.log.1/x")).unwrap();
        let payload = "x".repeat(900);
        for _ in 0..3_000 {
            setup.send("a", &payload);
        }
        setup.send("end", "");
        heard(&mut end);
        let Counts { written, unwritten } = setup.sink.counts();
        assert_eq!((written, written + unwritten), (1, 3_000));
        drop(silent);
    }

    #[test]
    fn a_file_that_cannot_be_made_is_told() {
        let setup = Setup::new();
        fs::create_dir(file_in(setup.temp.path())).unwrap();
        setup.sink.log(Some((Of("a"), KEEP))).unwrap_err();
        assert_eq!(setup.sink.wishes(), []);
    }
}
