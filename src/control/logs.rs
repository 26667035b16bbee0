//! The log: events of every thread to standard error, through one writing thread. A shard's thread never waits for
//! a terminal or a pipe: the queue is bounded, and what does not fit is dropped and counted by the appender.

use std::io::stderr;

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt, reload};

use super::config::Level;
use super::log_lines::{LogFormat, LogLines};
use super::terminal::Colours;

/// Lines that may wait for the writing thread.
const LINES_WAITING: usize = 8_192;

/// The running log; what still waits is written when this is dropped.
pub(super) struct Logs {
    filter: reload::Handle<Targets, Registry>,
    lines: LogLines,
    _writer: WorkerGuard,
}

impl Logs {
    /// Starts the log of this process.
    pub(super) fn start(level: Level, format: LogFormat) -> Logs {
        let (writer, guard) =
            NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LINES_WAITING).finish(stderr());
        let (filter, handle) = reload::Layer::new(targets(level));
        let lines = LogLines::new(format, Colours::of(&stderr()));
        let layer = fmt::layer().with_writer(writer).event_format(lines.clone());
        // Fails only if the process has a log already: then that one is used.
        if tracing_subscriber::registry().with(filter).with(layer).try_init().is_err() {
            tracing::debug!("the process has a log already");
        }
        Logs { filter: handle, lines, _writer: guard }
    }

    /// Changes the least severe level that is written, and how.
    pub(super) fn set(&self, level: Level, format: LogFormat) {
        self.lines.set(format);
        if let Err(error) = self.filter.reload(targets(level)) {
            tracing::warn!("the level of the log cannot be changed: {error}");
        }
    }
}

/// Ours at `level`; what the libraries say only if it is a warning.
fn targets(level: Level) -> Targets {
    let ours = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    Targets::new().with_default(ours.min(LevelFilter::WARN)).with_target("tidemq", ours)
}
