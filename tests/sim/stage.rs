//! What clients share: the network, the clock, the oracle and the trace.

use std::collections::VecDeque;

use tidemq::time::Time;

use crate::history::{ClientNo, Event, Fault, Moment, SocketNo, Stamp};
use crate::net::{Mark, Net};
use crate::oracle::Oracle;
use crate::plan::Plan;
use crate::rng::Rng;

/// Lines of the trace that are kept.
const TRACE_LINES: usize = 20_000;

/// Everything but the shards and the clients.
pub struct Stage {
    pub plan: Plan,
    pub net: Net,
    pub oracle: Oracle,
    pub now: Time,
    pub stamp: Stamp,
    /// The clients' stream.
    pub rng: Rng,
    /// No more mischief: everybody reads, acknowledges and stays.
    pub calm: bool,
    trace: VecDeque<(Moment, Option<ClientNo>, String)>,
}

impl Stage {
    /// An empty stage.
    pub fn new(plan: Plan, net: Net, oracle: Oracle, rng: Rng) -> Stage {
        Stage { plan, net, oracle, now: Time(1_000_000), stamp: 0, rng, calm: false, trace: VecDeque::new() }
    }

    /// One more thing happened.
    pub fn tell(&mut self, client: Option<ClientNo>, event: Event) -> Result<(), Fault> {
        if matches!(event, Event::Idle { .. }) {
            self.stamp += 1;
        } else {
            self.note(client, format!("{event:?}"));
        }
        self.oracle.observe(Moment { stamp: self.stamp, now: self.now }, event)
    }

    /// A line of the trace.
    pub fn note(&mut self, client: Option<ClientNo>, text: String) {
        self.stamp += 1;
        if self.trace.len() == TRACE_LINES {
            self.trace.pop_front();
        }
        self.trace.push_back((Moment { stamp: self.stamp, now: self.now }, client, text));
    }

    /// A client writes a packet.
    pub fn write(&mut self, socket: SocketNo, bytes: &[u8], mark: Mark) {
        self.net.socket(socket).write(bytes, mark);
    }

    /// The last lines that concern a client (or all), oldest first.
    pub fn tail(&self, client: Option<ClientNo>, lines: usize) -> Vec<String> {
        let concerns = |who: &Option<ClientNo>| client.is_none() || who.is_none() || *who == client;
        let mut tail: Vec<String> = self
            .trace
            .iter()
            .rev()
            .filter(|(_, who, _)| concerns(who))
            .take(lines)
            .map(|(at, who, text)| {
                let who = who.map_or(String::new(), |c| format!("c{} ", c.0));
                format!("{:>7} {:>12.6}s {who}{}", at.stamp, at.now.0 as f64 / 1e6, shorten(text))
            })
            .collect();
        tail.reverse();
        tail
    }
}

fn shorten(text: &str) -> String {
    if text.len() > 400 { text.chars().take(400).collect() } else { text.to_owned() }
}
