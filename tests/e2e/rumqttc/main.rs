//! rumqttc as a client program of the matrix: `words.py` beside this folder says what it obeys and answers.
//! It knows nothing of the broker but the address that it is told.

#![allow(
    clippy::disallowed_methods,
    reason = "the bans keep the broker's pure layers pure; this is a test program"
)]

mod v311;
mod v5;
mod words;

use std::io::BufRead;
use std::sync::mpsc::{Receiver, Sender, channel};

use words::{Line, Said};

/// Commands that wait in the library's own queue; one comes after the other.
const QUEUED: usize = 1_000;
/// Larger than any packet of the matrix; the library's own limit is 10 KiB.
const PACKET_BYTES: u32 = 1 << 20;

/// What a connection reports to the thread that reads commands.
enum Report {
    /// An answer to a command.
    Answer(Said),
    /// The connection is over, for this reason.
    Ended(String),
}

/// What can be asked of the client of either version.
trait Commands {
    fn subscribe(&self, line: &Line);
    fn unsubscribe(&self, line: &Line);
    fn publish(&self, line: &Line);
    fn disconnect(&self);
}

/// A connection: a thread polls it, says its messages at once and reports the rest.
struct Connected {
    commands: Box<dyn Commands>,
    reports: Receiver<Report>,
}

impl Connected {
    fn new(
        commands: Box<dyn Commands>,
        poll: impl FnMut(&Sender<Report>) -> bool + Send + 'static,
    ) -> Connected {
        let (sender, reports) = channel();
        let mut poll = poll;
        std::thread::spawn(move || while poll(&sender) {});
        Connected { commands, reports }
    }

    /// Says the answer to a command.
    fn answer(&self) {
        match self.reports.recv() {
            Ok(Report::Answer(said)) => said.aloud(),
            Ok(Report::Ended(why)) => Said::new("problem").text("why", &why).aloud(),
            Err(_) => Said::new("problem").text("why", "the connection is over").aloud(),
        }
    }

    fn disconnect(self) {
        self.commands.disconnect();
        while let Ok(report) = self.reports.recv() {
            if matches!(report, Report::Ended(_)) {
                break;
            }
        }
        Said::new("disconnected").aloud();
    }
}

/// Reports the end of a connection, after which there is nothing to poll.
fn ended(reason: &impl std::fmt::Debug, reports: &Sender<Report>) -> bool {
    // Nobody may listen any more, which is an end as well.
    let _ = reports.send(Report::Ended(format!("{reason:?}")));
    false
}

/// The library does not know its version at run time; the lock file that it was built from does.
fn version() -> &'static str {
    let lock = include_str!("../../../Cargo.lock");
    let package = lock.split("[[package]]").find(|package| package.contains("name = \"rumqttc\""));
    package
        .and_then(|package| package.split("version = \"").nth(1))
        .and_then(|rest| rest.split('"').next())
        .expect("the lock file names what this was built from")
}

fn main() {
    Said::new("hello").text("version", version()).aloud();
    let mut connection = None;
    for text in std::io::stdin().lock().lines() {
        let text = text.expect("commands are text");
        let line = Line::read(&text);
        if line.verb == "connect" {
            let made =
                if line.number("version") == Some(5) { v5::connect(&line) } else { v311::connect(&line) };
            made.answer();
            connection = Some(made);
            continue;
        }
        let connected = connection.take().expect("connect comes first");
        match line.verb {
            "subscribe" => connected.commands.subscribe(&line),
            "unsubscribe" => connected.commands.unsubscribe(&line),
            "publish" => connected.commands.publish(&line),
            "disconnect" => {
                connected.disconnect();
                continue;
            }
            other => panic!("no such command: {other}"),
        }
        connected.answer();
        connection = Some(connected);
    }
}
