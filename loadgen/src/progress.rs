//! The progress line: one that is rewritten on a terminal, else a plain line every few seconds. Standard error.

use std::io::{IsTerminal, Write};

use crate::record::Recent;
use crate::schedule::{Nanos, SECOND};
use crate::show;
use crate::tally::{Board, Count, Tally};

/// How progress is shown.
pub struct Progress {
    every: Option<Nanos>,
    rewrite: bool,
    last: (Nanos, Tally),
    recent: Recent,
    clients: u64,
}

impl Progress {
    /// For a run of so many clients; `quiet` shows nothing.
    pub fn new(clients: u64, quiet: bool) -> Progress {
        let rewrite = std::io::stderr().is_terminal();
        let every = if rewrite { SECOND / 2 } else { 5 * SECOND };
        let every = (!quiet).then_some(every);
        Progress { every, rewrite, last: (0, Tally::default()), recent: Recent::default(), clients }
    }

    /// Shows the state if it is time to.
    pub fn show(&mut self, now: Nanos, tally: &Tally, board: &Board) {
        let Some(every) = self.every else { return };
        if now - self.last.0 < every {
            return;
        }
        for worker in 0..board.rows.len() {
            board.with_recent(worker, |recent| {
                self.recent.0.add(&recent.0).expect("same bounds");
                recent.0.reset();
            });
        }
        let line = self.line(now, tally);
        self.recent.0.reset();
        self.last = (now, *tally);
        // That nobody reads it is no reason to stop.
        let _ = if self.rewrite {
            write!(std::io::stderr(), "\r\x1b[2K{line}")
        } else {
            writeln!(std::io::stderr(), "{line}")
        };
    }

    /// The line is left.
    pub fn end(&self) {
        if self.rewrite && self.every.is_some() && self.last.0 > 0 {
            let _ = writeln!(std::io::stderr());
        }
    }

    fn line(&self, now: Nanos, tally: &Tally) -> String {
        let seconds = (now - self.last.0).max(1) as f64 / SECOND as f64;
        let rate = |new: u64, old: u64| show::count((new.saturating_sub(old) as f64 / seconds) as u64);
        let before = &self.last.1;
        let mut line = format!("{:6.1} s", now as f64 / SECOND as f64);
        if tally[Count::Published] == 0 {
            let ready = tally[Count::Ready];
            line += &format!("  ready {ready} of {} ({}/s)", self.clients, rate(ready, before[Count::Ready]));
        } else {
            let (published, unique) = (tally[Count::Published], tally.unique());
            line += &format!(
                "  published {} ({}/s)  delivered {} ({}/s)",
                show::count(published),
                rate(published, before[Count::Published]),
                show::count(unique),
                rate(unique, before.unique()),
            );
            if !self.recent.0.is_empty() {
                let at = |q| show::nanos(self.recent.0.value_at_quantile(q));
                line += &format!("  p50 {}  p99 {}", at(0.5), at(0.99));
            }
        }
        if tally[Count::Failed] > 0 {
            line += &format!("  FAILED {}", tally[Count::Failed]);
        }
        if tally[Count::Away] > 0 {
            line += &format!("  away {}", tally[Count::Away]);
        }
        line
    }
}
