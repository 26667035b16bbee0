//! A worker: all the clients of one core as a plain value. Bytes, connections and the time go in; bytes, connections
//! to open or close and the next wake-up come out. It has no socket, clock or thread, so the whole measuring loop
//! runs in a test against a mock broker and a virtual clock (`tests.rs`).

mod carrier;
mod connecting;
mod cutting;
mod link;
#[cfg(test)]
mod mock;
#[cfg(test)]
mod mock_websocket;
mod publishing;
mod seen;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use link::{Closing, LinkId};
use link::{Link, Standing};
use publishing::Publishing;
pub use seen::Seen;
use seen::View;

use crate::client::Ended;
use crate::plan::Plan;
use crate::schedule::{Nanos, SECOND};
use crate::tally::{Act, Count, Tally};
use crate::tls::{Agreed, End, PLAIN_BYTES};
use crate::websocket::Broken;

/// What the driver shall do, in this order, after it has flushed the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Connect a socket for this link.
    Open(LinkId),
    /// Close the socket of this link.
    Close(LinkId, Closing),
}

/// How long a worker may go without looking at what others retired.
const LOOK_AGAIN: Nanos = SECOND / 10;

/// A larger buffer, in bytes, is given back once it is empty.
const LARGE_BUFFER: usize = 64 << 10;

/// The clients of one core.
pub struct Worker {
    plan: Arc<Plan>,
    me: u32,
    links: Vec<Link>,
    dirty: Vec<LinkId>,
    actions: Vec<Action>,
    /// Where plaintext is decrypted to; empty without TLS.
    place: Vec<u8>,
    act: Act,
    connecting: connecting::Connecting,
    publishing: Publishing,
    cutting: Option<cutting::Cutting>,
    seen: Seen,
    tally: Tally,
    /// Why connections failed, and how many.
    failures: BTreeMap<String, u64>,
    handshakes: Handshakes,
    /// Resumed sessions that the broker no longer had.
    lost_sessions: u64,
    cuts: u64,
}

/// The handshakes of TLS.
#[derive(Clone, Debug, Default)]
pub struct Handshakes {
    /// What was agreed on, and how often.
    pub agreed: BTreeMap<String, u64>,
    /// In which a session was resumed.
    pub resumed: u64,
}

impl Handshakes {
    fn count(&mut self, Agreed { on, resumed }: Agreed) {
        *self.agreed.entry(on).or_default() += 1;
        self.resumed += u64::from(resumed);
    }

    /// Adds another worker's.
    pub fn add(&mut self, other: &Handshakes) {
        for (on, n) in &other.agreed {
            *self.agreed.entry(on.clone()).or_default() += n;
        }
        self.resumed += other.resumed;
    }
}

/// What a worker found, at the end.
pub struct Findings {
    /// Latencies and deliveries.
    pub seen: Seen,
    /// The last tally.
    pub tally: Tally,
    /// For each of its subscribers: index of the client in the plan, and its tracks.
    pub subscribers: Vec<(u32, Vec<crate::ledger::Track>)>,
    /// For each of its streams: how many messages were published.
    pub published: Vec<(u32, u32)>,
    /// Why connections failed, and how many.
    pub failures: BTreeMap<String, u64>,
    /// The handshakes of TLS.
    pub handshakes: Handshakes,
    /// Resumed sessions that the broker no longer had.
    pub lost_sessions: u64,
    /// Connections cut on purpose.
    pub cuts: u64,
    /// Times at which a closed loop gave up what was outstanding.
    pub stalls: u64,
}

impl Worker {
    /// Worker `me` of the plan's, with its share of the clients. `now` is when the first connection is due.
    pub fn new(plan: Arc<Plan>, me: u32, now: Nanos) -> Worker {
        let mine = plan.clients.iter().enumerate().filter(|(_, c)| c.worker == me);
        let mut links: Vec<Link> = mine.map(|(i, _)| Link::new(i as u32, &plan)).collect();
        let publishing = Publishing::new(&plan, &mut links);
        Worker {
            me,
            dirty: Vec::new(),
            actions: Vec::new(),
            place: if plan.security.is_some() { vec![0; PLAIN_BYTES] } else { Vec::new() },
            act: Act::Connect,
            connecting: connecting::Connecting::new(&plan, me, now),
            publishing,
            cutting: None,
            seen: Seen::new(&plan),
            tally: Tally::default(),
            failures: BTreeMap::new(),
            handshakes: Handshakes::default(),
            lost_sessions: 0,
            cuts: 0,
            links,
            plan,
        }
    }

    /// How many clients it has.
    pub fn len(&self) -> usize {
        self.links.len()
    }

    /// All its clients were ready once, or are given up.
    pub fn has_connected(&self) -> bool {
        self.tally[Count::Ready] + self.tally[Count::Failed] >= self.links.len() as u64
    }

    /// One turn after everything that arrived was handled: what the conductor wants, and everything that is due.
    /// `retired_elsewhere`: deliveries, at other workers, of messages published here.
    pub fn poll(&mut self, now: Nanos, (act, start): (Act, Nanos), retired_elsewhere: u64) {
        if act > self.act {
            self.act = act;
            match act {
                Act::Connect => {}
                Act::Leave => self.leave(),
                Act::Return => self.come_back(now),
                Act::Publish => self.begin(start),
                Act::Drain => self.publishing.end(now, &mut self.tally),
                Act::Finish => self.finish(),
            }
        }
        self.poll_connecting(now);
        if self.act == Act::Publish {
            self.poll_publishing(now, retired_elsewhere);
        }
        self.poll_cutting(now);
        self.poll_pings(now);
        self.settle();
    }

    fn begin(&mut self, start: Nanos) {
        self.seen.measure_from = start + self.plan.warmup;
        self.publishing.begin(&self.plan, start);
        self.cutting = self.plan.cuts.map(|c| cutting::Cutting::new(c, self.me, self.plan.workers, start));
    }

    fn settle(&mut self) {
        let t = &mut self.tally;
        let [loose, sure, twice] = self.seen.deliveries.map(|d| d.unique);
        t[Count::UniqueLoose] = loose;
        t[Count::UniqueSure] = sure + twice;
        t[Count::Acked] = self.seen.acked;
        t[Count::Away] = self.connecting.established - self.connecting.ready_now;
    }

    /// When `poll` wants to be called again though nothing arrived.
    pub fn next_wake(&self, now: Nanos) -> Nanos {
        let mut wake = now + LOOK_AGAIN;
        wake = wake.min(self.connecting.next_wake(self.links.len()));
        if self.act == Act::Publish {
            wake = wake.min(self.publishing.next_wake(now));
        }
        if let Some(cutting) = &self.cutting {
            wake = wake.min(cutting.next_wake(self.act < Act::Drain));
        }
        wake
    }

    /// The numbers for the board, and what was delivered here by the worker that published it.
    pub fn tally(&self) -> (&Tally, &[u64]) {
        (&self.tally, &self.seen.retired)
    }

    /// Folds the latencies since the last call into the total and into `recent`.
    pub fn fold(&mut self, recent: &mut crate::record::Recent) {
        self.seen.recorder.take_recent(recent);
    }

    /// Nothing is connected any more, after `Act::Finish`.
    pub fn is_finished(&self) -> bool {
        let gone = |l: &Link| matches!(l.standing, Standing::Waiting | Standing::Failed | Standing::Left);
        self.act == Act::Finish && self.actions.is_empty() && self.links.iter().all(gone)
    }

    /// Everything that it found.
    pub fn into_findings(self) -> Findings {
        let subscribers = self.links.into_iter().filter(|l| !l.tracks.is_empty());
        Findings {
            seen: self.seen,
            tally: self.tally,
            subscribers: subscribers.map(|l| (l.client_no, l.tracks)).collect(),
            failures: self.failures,
            handshakes: self.handshakes,
            lost_sessions: self.lost_sessions,
            cuts: self.cuts,
            stalls: self.publishing.stalls,
            published: self.publishing.published(),
        }
    }

    /// What to open and close; empties the list.
    pub fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// The links with new output; empties the list into `to`, which is empty.
    pub fn take_dirty(&mut self, to: &mut Vec<LinkId>) {
        std::mem::swap(&mut self.dirty, to);
        for &id in to.iter() {
            let link = &mut self.links[id as usize];
            link.dirty = false;
            link.carrier.seal(&mut link.out);
        }
    }

    /// What waits to be sent on a link. The driver removes what it has sent.
    pub fn output(&mut self, id: LinkId) -> &mut Vec<u8> {
        let link = &mut self.links[id as usize];
        link.carrier.wire(&mut link.out)
    }

    /// There is room again on a link that still has output.
    pub fn handle_writable(&mut self, id: LinkId) {
        self.mark(id);
    }

    /// All output of a link was sent.
    pub fn handle_sent(&mut self, id: LinkId) {
        let sent = self.output(id);
        if sent.capacity() > LARGE_BUFFER {
            *sent = Vec::new();
        }
        sent.clear();
        self.publishing.retry(&self.links[id as usize]);
        self.mark(id);
    }

    /// Bytes arrived at `now`. False: why was counted, and the driver closes the socket.
    pub fn handle_bytes(&mut self, id: LinkId, bytes: &[u8], now: Nanos) -> bool {
        let link = &mut self.links[id as usize];
        let mut view = View::new(&mut self.seen, &self.plan, link.tracks.as_mut_slice(), &link.scope, now);
        let before = link.carrier.reached();
        let take = |piece: &[u8]| link.client.handle_bytes(piece, &mut link.out, &mut view);
        let result = link.carrier.handle_bytes(bytes, &mut self.place, take);
        let reached = link.carrier.reached();
        let (connected, granted, acked) = (view.connected, std::mem::take(&mut view.granted), view.acked);
        if reached != before {
            self.handle_reached(id, before, reached, now);
        }
        let link = &mut self.links[id as usize];
        if acked > 0 {
            self.tally[Count::Inflight] -= acked;
            self.publishing.retry(link);
        }
        if let Some((session_present, receive_maximum)) = connected {
            self.handle_connected(id, session_present, receive_maximum, now);
        }
        if !granted.is_empty() {
            self.handle_granted(id, &granted, now);
        }
        if let Err(why) = result {
            self.handle_ended(id, why, now);
        }
        self.mark(id);
        if let Err(Ended::WebSocket(Broken::Closed(_)) | Ended::Tls) = result {
            // It is answered, by a good-bye or an alert, before the socket is closed.
            self.actions.push(Action::Close(id, Closing::Orderly));
            return true;
        }
        result.is_ok()
    }

    /// The connection cannot go on: says why.
    fn handle_ended(&mut self, id: LinkId, why: Ended, now: Nanos) {
        match (why, self.links[id as usize].carrier.end()) {
            (Ended::Tls, Some(End::Failed(why))) => {
                let why = why.clone();
                self.lose(id, &why, now);
            }
            (Ended::Tls, _) => self.handle_closed(id, None, now),
            _ => self.lose(id, &describe(why), now),
        }
    }

    fn mark(&mut self, id: LinkId) {
        let link = &mut self.links[id as usize];
        if !link.dirty && link.carrier.has_output(&mut link.out) {
            link.dirty = true;
            self.dirty.push(id);
        }
    }
}

fn describe(why: Ended) -> String {
    match why {
        Ended::Refused(reason) => format!("CONNACK refused: {reason:?} (0x{:02x})", reason as u8),
        Ended::Disconnected(reason) => {
            format!("the broker sent DISCONNECT: {reason:?} (0x{:02x})", reason as u8)
        }
        Ended::Violation(violation) => format!("the broker broke the protocol: {}", violation.describe()),
        Ended::WebSocket(broken) => broken.to_string(),
        Ended::Tls => "TLS has ended".into(),
        Ended::Unexpected(kind) => format!("the broker sent {kind:?}, which does not belong there"),
    }
}
