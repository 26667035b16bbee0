//! `tidemq top`: the broker and its greatest clients on a terminal, live. What is drawn is a value made of what the broker
//! answered; [`super::screen`] puts it on the terminal.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::json;

use super::screen::{Happened, Screen};
use super::status::rate;
use super::{Query, broker};
use crate::control::admin::ops::clients::Client as Row;
use crate::control::cli::Place;
use crate::control::client::Client;
use crate::control::escape;
use crate::control::failure::Failure;
use crate::control::output::{self, Form, show};
use crate::control::status::Status;
use crate::control::terminal::{Colours, Tone};

/// `tidemq top`
#[derive(Args, Debug)]
pub(in crate::control) struct Top {
    #[command(flatten)]
    place: Place,
    /// By what clients are sorted at first: backlog-bytes, backlog-messages, in-flight, output-bytes, subscriptions,
    /// bytes-received, bytes-sent or messages-received
    #[arg(long, value_name = "MEASURE", default_value = MEASURES[0].1,
        value_parser = MEASURES.map(|(_, name, _)| name))]
    by: String,
    /// Seconds between two looks
    #[arg(long, value_name = "SECS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=60))]
    every: u64,
}

/// Key, name in the API, heading.
const MEASURES: [(char, &str, &str); 8] = [
    ('b', "backlog-bytes", "BACKLOG B"),
    ('m', "backlog-messages", "BACKLOG MSG"),
    ('i', "in-flight", "IN FLIGHT"),
    ('o', "output-bytes", "OUTPUT B"),
    ('s', "subscriptions", "SUBSCRIPT."),
    ('r', "bytes-received", "RECEIVED B"),
    ('t', "bytes-sent", "SENT B"),
    ('p', "messages-received", "RECV. MSG"),
];

/// Clients that the machine-readable answer holds.
const ROWS_OF_JSON: usize = 100;

impl Top {
    /// Runs it.
    pub(in crate::control) fn run(&self) -> Result<ExitCode, Failure> {
        let broker = broker(&self.place)?;
        let by = MEASURES.iter().position(|(_, name, _)| *name == self.by).unwrap_or(0);
        if output::form() == Form::Json {
            let (status, clients) = look(&broker, by, ROWS_OF_JSON)?;
            let both = json!({ "status": status, "clients": clients });
            return Ok(show(&both, ToString::to_string));
        }
        let mut view = View::new(&broker, by)?;
        let mut screen = Screen::open()?;
        let every = Duration::from_secs(self.every);
        let mut due = Instant::now() + every;
        loop {
            let (width, height) = screen.size();
            screen.draw(&view.frame(width, height, screen.colours()))?;
            match screen.wait(due.saturating_duration_since(Instant::now()))? {
                Happened::Key(key) if view.key(key) == Wish::Leave => return Ok(ExitCode::SUCCESS),
                Happened::Key(_) | Happened::Resized => {}
                Happened::Ended => return Ok(ExitCode::SUCCESS),
                Happened::Nothing => {
                    due = Instant::now() + every;
                    if view.paused {
                        continue;
                    }
                }
            }
            if !view.paused {
                view.look(&broker, usize::from(height))?;
            }
        }
    }
}

fn look(broker: &Client, by: usize, rows: usize) -> Result<(Status, Vec<Row>), Failure> {
    let query =
        Query::default().with("by", Some(MEASURES[by].1)).with("most", Some(&rows.max(1).to_string()));
    Ok((broker.get("/status")?, broker.get(&format!("/top-clients{}", query.0))?))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish {
    Stay,
    Leave,
}

/// What is shown.
struct View {
    status: Status,
    taken: Instant,
    before: Option<(Status, Duration)>,
    clients: Vec<Row>,
    by: usize,
    paused: bool,
}

impl View {
    fn new(broker: &Client, by: usize) -> Result<View, Failure> {
        let (status, clients) = look(broker, by, ROWS_OF_JSON)?;
        Ok(View { status, taken: Instant::now(), before: None, clients, by, paused: false })
    }

    fn look(&mut self, broker: &Client, rows: usize) -> Result<(), Failure> {
        let (status, clients) = look(broker, self.by, rows)?;
        self.clients = clients;
        // Rates of a moment say nothing: a key that was pressed does not begin a new one.
        if self.taken.elapsed() >= Duration::from_millis(500) {
            let over = self.taken.elapsed();
            self.before = Some((std::mem::replace(&mut self.status, status), over));
            self.taken = Instant::now();
        }
        Ok(())
    }

    fn key(&mut self, key: KeyEvent) -> Wish {
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Wish::Leave,
            KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => return Wish::Leave,
            KeyCode::Char(' ') => self.paused = !self.paused,
            KeyCode::Right => self.by = (self.by + 1) % MEASURES.len(),
            KeyCode::Left => self.by = (self.by + MEASURES.len() - 1) % MEASURES.len(),
            KeyCode::Char(typed) => {
                if let Some(by) = MEASURES.iter().position(|(key, ..)| *key == typed) {
                    self.by = by;
                }
            }
            _ => {}
        }
        Wish::Stay
    }

    /// The lines of a screen; none is wider than it.
    fn frame(&self, width: u16, height: u16, colours: Colours) -> Vec<String> {
        let (width, height) = (usize::from(width), usize::from(height));
        let mut lines = self.head();
        lines.push(String::new());
        let heads = lines.len() + 1;
        let sorted = MEASURES[self.by].2;
        let mut heading = format!("{:<24} {:<22} {:>5}", "CLIENT ID", "PEER", "MQTT");
        for (_, _, name) in MEASURES {
            let marked = if name == sorted { format!("{name}*") } else { name.to_owned() };
            heading.push_str(&format!(" {marked:>12}"));
        }
        lines.push(heading);
        lines.extend(self.clients.iter().map(row));
        let keys = "keys: left, right or b m i o s r t p sort; space pauses; q ends";
        let room = height.saturating_sub(1).max(1);
        lines.truncate(room);
        lines.resize(room, String::new());
        lines.push(if self.paused { format!("paused; {keys}") } else { keys.to_owned() });
        let cut = |line: &String| line.chars().take(width).collect::<String>();
        let tone = |(index, line): (usize, String)| match index {
            0 => colours.paint(Tone::Strong, &line),
            index if index + 1 == heads => colours.paint(Tone::Strong, &line),
            index if index == room => colours.paint(Tone::Faint, &line),
            _ => line,
        };
        lines.iter().map(cut).enumerate().map(tone).collect()
    }

    fn head(&self) -> Vec<String> {
        let s = &self.status;
        let speed = |of: fn(&Status) -> u64| {
            self.before.as_ref().map_or(0.0, |(before, over)| rate(of(before), of(s), *over))
        };
        let state = if s.running { format!("up {} s", s.uptime_secs) } else { "disabled".into() };
        let dropped: u64 = s.drops.values().sum();
        vec![
            format!(
                "tidemq {}  {state}  generation {}  {} shards  {} MiB",
                s.version,
                s.generation,
                s.shards.len(),
                s.resident_bytes >> 20
            ),
            format!(
                "Clients {}  Sessions {}  Subscriptions {}  Messages Retained {}",
                s.clients, s.sessions, s.subscriptions, s.messages_retained
            ),
            format!(
                "Messages Received {:.0}/s  Messages Sent {:.0}/s  bytes in {:.0}/s  out {:.0}/s",
                speed(|s| s.messages_received),
                speed(|s| s.messages_sent),
                speed(|s| s.bytes_received),
                speed(|s| s.bytes_sent)
            ),
            format!(
                "Rejected: connections {}  publishes {}  subscribes {}  dropped {dropped}  waiting {} messages",
                s.connection_requests_rejected,
                s.publish_requests_rejected,
                s.subscribe_requests_rejected,
                s.backlog_messages
            ),
            format!(
                "Latency p50 {} us  p99 {} us  p99.9 {} us",
                s.latency.p50_us, s.latency.p99_us, s.latency.p999_us
            ),
        ]
    }
}

fn row(client: &Row) -> String {
    let connection = client.connection.as_ref();
    let number = |of: fn(&crate::control::admin::ops::clients::ClientConnection) -> u64| {
        connection.map_or_else(|| "-".into(), |connection| of(connection).to_string())
    };
    let short = |text: &str, width: usize| escape::line(text).chars().take(width).collect::<String>();
    let peer = connection.map_or("(disconnected)", |connection| &connection.peer);
    let mut line =
        format!("{:<24} {:<22} {:>5}", short(&client.client_id, 24), short(peer, 22), client.version);
    for value in [
        client.backlog_bytes.to_string(),
        client.backlog_messages.to_string(),
        client.in_flight.to_string(),
        number(|connection| connection.output_bytes as u64),
        client.subscriptions.to_string(),
        number(|connection| connection.bytes_received),
        number(|connection| connection.bytes_sent),
        number(|connection| connection.messages_received),
    ] {
        line.push_str(&format!(" {value:>12}"));
    }
    line
}

#[cfg(test)]
#[path = "top_tests.rs"]
mod tests;
