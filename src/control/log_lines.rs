//! How an event of the log is written: a line of text for people, or a JSON object a line for machines. What an event
//! says may come from outside and is escaped: one event, one line that begins with a time. Knows no output.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, Value};
use time::OffsetDateTime;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

pub(super) use super::config::LogFormat;
use super::escape;
use super::terminal::{Colours, Tone};

/// How events are written now; whoever holds a clone may change it.
#[derive(Clone, Debug)]
pub(super) struct LogLines {
    json: Arc<AtomicBool>,
    colours: Colours,
}

impl LogLines {
    pub(super) fn new(format: LogFormat, colours: Colours) -> LogLines {
        LogLines { json: Arc::new(AtomicBool::new(format == LogFormat::Json)), colours }
    }

    /// From the next event on.
    pub(super) fn set(&self, format: LogFormat) {
        // Nothing is ordered by it: an event under way may be written either way.
        self.json.store(format == LogFormat::Json, Ordering::Relaxed);
    }
}

impl<S, N> FormatEvent<S, N> for LogLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut said = Said::default();
        event.record(&mut said);
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        let line = if self.json.load(Ordering::Relaxed) {
            said.json(&now(), level, target)
        } else {
            said.text(&now(), level, target, self.colours)
        };
        writeln!(out, "{line}")
    }
}

fn now() -> String {
    let format = time::macros::format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z"
    );
    OffsetDateTime::now_utc().format(format).unwrap_or_default()
}

/// What an event says.
#[derive(Debug, Default)]
struct Said {
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl Said {
    fn text(&self, at: &str, level: Level, target: &str, colours: Colours) -> String {
        let tone = match level {
            Level::ERROR => Tone::Bad,
            Level::WARN => Tone::Doubtful,
            Level::INFO => Tone::Good,
            _ => Tone::Faint,
        };
        let level = colours.paint(tone, &format!("{level:>5}"));
        let (at, target) =
            (colours.paint(Tone::Faint, at), colours.paint(Tone::Faint, &format!("{target}:")));
        let mut line = format!("{at} {level} {target} {}", escape::lines(&self.message));
        for (name, value) in &self.fields {
            let value = value.as_str().map_or_else(|| value.to_string(), escape::line);
            line.push_str(&format!(" {name}={value}"));
        }
        line
    }

    fn json(self, at: &str, level: Level, target: &str) -> String {
        let mut object = Map::new();
        object.insert("time".into(), at.into());
        object.insert("level".into(), level.as_str().to_ascii_lowercase().into());
        object.insert("target".into(), target.into());
        object.insert("message".into(), self.message.into());
        if !self.fields.is_empty() {
            let fields = self.fields.into_iter().map(|(name, value)| (name.to_owned(), value));
            object.insert("fields".into(), Value::Object(fields.collect()));
        }
        escape::json(&Value::Object(object).to_string())
    }

    fn add(&mut self, field: &Field, value: Value) {
        if field.name() == "message" {
            self.message = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        } else {
            self.fields.push((field.name(), value));
        }
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::Mutex;

    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::{fmt as layers, registry};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written of the events of `doing`.
    fn written(lines: &LogLines, doing: impl FnOnce()) -> String {
        let written = Written::default();
        let writer = written.clone();
        let layer = layers::layer().with_writer(move || writer.clone()).event_format(lines.clone());
        tracing::subscriber::with_default(registry().with(layer), doing);
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    /// A client identifier that would like to be a line of the log, and to clear the screen.
    const FORGER: &str = "x\n2026-11-30T00:00:00.000000Z ERROR tidemq: all is lost\x1b[2J\u{9b}2J\r";

    #[test]
    fn a_name_can_neither_forge_a_line_of_text_nor_drive_a_terminal() {
        let lines = LogLines::new(LogFormat::Text, Colours::Off);
        let text = written(&lines, || {
            tracing::warn!("client {FORGER} is odd");
            tracing::warn!(client = FORGER, tries = 3, "odd");
            tracing::warn!(client = %FORGER, "odd");
        });
        let begin_with_a_time = text.lines().filter(|line| line.starts_with("20")).count();
        assert_eq!(begin_with_a_time, 3, "{text}");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        assert!(text.contains("tries=3") && text.contains("client=x\\n2026"), "{text}");
    }

    #[test]
    fn in_json_an_event_is_one_line_that_says_what_was_sent() {
        let lines = LogLines::new(LogFormat::Json, Colours::On);
        let text = written(&lines, || tracing::warn!(client = FORGER, tries = 3, "client {FORGER} is odd"));
        assert_eq!(text.lines().count(), 1);
        assert!(!text.trim_end().chars().any(char::is_control), "{text:?}");
        let event: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(event["level"], "warn");
        assert_eq!(event["message"], format!("client {FORGER} is odd"));
        assert_eq!((&event["fields"]["client"], &event["fields"]["tries"]), (&FORGER.into(), &3.into()));
        assert!(event["target"].as_str().unwrap().starts_with("tidemq::"));
    }

    #[test]
    fn the_format_changes_while_it_is_written() {
        let lines = LogLines::new(LogFormat::Text, Colours::Off);
        let text = written(&lines, || {
            tracing::info!("one\ntwo");
            lines.set(LogFormat::Json);
            tracing::info!("three");
        });
        let all: Vec<&str> = text.lines().collect();
        assert_eq!(all.len(), 3);
        assert!(all[0].ends_with(" INFO tidemq::control::log_lines::tests: one"), "{}", all[0]);
        assert_eq!(all[1], "    two");
        assert!(all[2].starts_with('{'), "{}", all[2]);
    }
}
