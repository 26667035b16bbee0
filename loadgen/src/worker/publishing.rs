//! A worker's publishers: who publishes now, at which due time, and who is held up.
//!
//! Open loop: operation `k` of the run belongs to publisher `k` modulo the publishers and is due by the timetable.
//! A publisher that cannot send keeps its place: what it owes stays due when it was due, and is sent as soon as it
//! can. So neither a stalled broker nor a slow generator makes an operation disappear from the measurement.

use tidemq::mqtt::QoS;

use super::Worker;
use super::link::{Link, LinkId, NOBODY, Standing};
use crate::client::Stage;
use crate::inflight::Outgoing;
use crate::plan::{Plan, Rate, Role};
use crate::record::Phase;
use crate::schedule::{Nanos, Pace, Timetable, Window};
use crate::stamp::Stamp;
use crate::stop::Stop;
use crate::tally::{Count, Tally};

/// Bytes waiting on a connection above which its publisher waits.
const OUT_LIMIT: usize = 256 << 10;

/// Messages published in one turn, so that what arrives meanwhile is not kept waiting.
const BUDGET: u32 = 1024;

struct Publisher {
    link: LinkId,
    /// Its number among all publishers of the run.
    index: u64,
    /// Its next operation in its own count.
    next: u64,
    first_stream: u32,
    /// Messages published on each of its streams.
    counts: Vec<u32>,
    /// It could not publish though it was due.
    held_up: bool,
    done: bool,
}

/// The publishers of a worker.
pub struct Publishing {
    publishers: Vec<Publisher>,
    /// Publishers of the whole run.
    all: u64,
    pace: Option<Pace>,
    start: Nanos,
    stop: Stop,
    /// Whose turn it is, and in the open loop of which round.
    cursor: usize,
    round: u64,
    /// Consecutive messages of one publisher in a closed loop.
    burst: u64,
    /// Nobody subscribes: a closed loop counts acknowledgements.
    by_acks: bool,
    /// Publishers that were held up and may try again.
    retry: Vec<u32>,
    remaining: usize,
    /// Open loop: nothing more falls due; only what is owed is left.
    all_due: bool,
    budget: u32,
    payload: Vec<u8>,
    run: u32,
    max_inflight: usize,
    /// Times at which a closed loop gave up what was outstanding.
    pub stalls: u64,
}

impl Publishing {
    /// The publishers among `links`.
    pub fn new(plan: &Plan, links: &mut [Link]) -> Publishing {
        let mut publishers: Vec<Publisher> = Vec::new();
        for (id, link) in links.iter_mut().enumerate() {
            let Role::Publisher { index, streams } = &plan.clients[link.client_no as usize].role else {
                continue;
            };
            link.publisher = publishers.len() as u32;
            publishers.push(Publisher {
                link: id as LinkId,
                index: u64::from(*index),
                next: 0,
                first_stream: streams.start,
                counts: vec![0; streams.len()],
                held_up: false,
                done: false,
            });
        }
        Publishing {
            remaining: publishers.len(),
            publishers,
            all: u64::from(plan.publishers),
            pace: None,
            start: 0,
            stop: Stop::default(),
            cursor: 0,
            round: 0,
            burst: 1,
            by_acks: plan.streams.iter().all(|s| s.fan == 0),
            retry: Vec::new(),
            all_due: false,
            budget: 0,
            payload: vec![b'x'; plan.payload],
            run: plan.run,
            max_inflight: usize::from(plan.max_inflight),
            stalls: 0,
        }
    }

    /// Publishing starts at `start`.
    pub fn begin(&mut self, plan: &Plan, start: Nanos) {
        self.start = start;
        self.stop = plan.stop(start);
        let mine = self.publishers.len() as u64;
        self.pace = Some(match plan.rate {
            Rate::PerSec(per_sec) => Pace::Open(Timetable { start, per_sec }),
            Rate::Window(window) => {
                let share = (window * mine / self.all.max(1)).max(1);
                self.burst = (share / mine.max(1)).max(1);
                let fan = plan.streams.iter().map(|s| s.fan).max().unwrap_or(0).max(1);
                Pace::Closed(Window::new(share * u64::from(fan)))
            }
        });
    }

    /// Nothing more is published; what was due by now and is not sent is counted.
    pub fn end(&mut self, now: Nanos, tally: &mut Tally) {
        for p in self.publishers.iter_mut().filter(|p| !p.done) {
            if let Some(Pace::Open(table)) = self.pace {
                let owed = (p.next..).map(|n| n * self.all + p.index).map(|k| (k, table.due(k)));
                let owed = owed.take_while(|&(k, due)| due <= now && !self.stop.is_over(k, due));
                tally[Count::Unsent] += owed.count() as u64;
            }
            p.done = true;
        }
        self.remaining = 0;
        tally[Count::Done] = 1;
    }

    /// Whatever held up the publisher of this link may be over.
    pub fn retry(&mut self, link: &Link) {
        if link.publisher != NOBODY && self.publishers[link.publisher as usize].held_up {
            self.retry.push(link.publisher);
        }
    }

    /// When the next operation is due.
    pub fn next_wake(&self, now: Nanos) -> Nanos {
        if self.remaining == 0 {
            return Nanos::MAX;
        }
        if now < self.start {
            return self.start;
        }
        if self.budget == 0 || !self.retry.is_empty() {
            return now;
        }
        match self.pace {
            Some(Pace::Open(table)) if !self.all_due => table.due(self.cursor_operation()).max(now),
            _ => Nanos::MAX,
        }
    }

    fn cursor_operation(&self) -> u64 {
        self.round * self.all + self.publishers[self.cursor].index
    }

    /// Messages published on each stream of this worker.
    pub fn published(self) -> Vec<(u32, u32)> {
        let streams = self.publishers.into_iter().flat_map(|p| (p.first_stream..).zip(p.counts));
        streams.collect()
    }

    /// Writes again what a resumed session has not finished.
    pub fn resume(&mut self, plan: &Plan, link: &mut Link) {
        for message in link.client.inflight.unfinished() {
            let &Outgoing { stream, seq, due, sent, .. } = message;
            Stamp { run: self.run, stream, seq, due, sent }.write(&mut self.payload);
            let topic = &plan.streams[stream as usize].topic;
            link.client.repeat(message, topic, &self.payload, &mut link.out);
        }
    }
}

impl Worker {
    /// Publishes what is due or what there is room for.
    pub(super) fn poll_publishing(&mut self, now: Nanos, retired_elsewhere: u64) {
        if self.publishing.remaining == 0 {
            self.tally[Count::Done] = 1;
            return;
        }
        if now < self.publishing.start {
            return;
        }
        self.publishing.budget = BUDGET;
        match self.publishing.pace {
            Some(Pace::Open(table)) => self.publish_by_timetable(table, now),
            Some(Pace::Closed(window)) => {
                let retired = if self.publishing.by_acks {
                    self.seen.acked
                } else {
                    self.seen.retired[self.me as usize] + retired_elsewhere
                };
                self.publish_into_window(window, retired, now);
            }
            None => {}
        }
        if self.publishing.remaining == 0 {
            self.tally[Count::Done] = 1;
        }
    }

    fn publish_by_timetable(&mut self, table: Timetable, now: Nanos) {
        while self.publishing.budget > 0
            && let Some(p) = self.publishing.retry.pop()
        {
            self.pay(p as usize, table, now);
        }
        while self.publishing.budget > 0 && !self.publishing.all_due {
            let k = self.publishing.cursor_operation();
            if self.publishing.stop.is_over(k, table.due(k)) {
                // Later ones are over too: who owes nothing is done.
                self.publishing.all_due = true;
                for p in 0..self.publishing.publishers.len() {
                    self.pay(p, table, now);
                }
                return;
            }
            if table.due(k) > now {
                return;
            }
            self.pay(self.publishing.cursor, table, now);
            self.publishing.cursor += 1;
            if self.publishing.cursor == self.publishing.publishers.len() {
                self.publishing.cursor = 0;
                self.publishing.round += 1;
            }
        }
    }

    /// Everything that a publisher owes by now, as far as it can.
    fn pay(&mut self, p: usize, table: Timetable, now: Nanos) {
        loop {
            let publisher = &self.publishing.publishers[p];
            let k = publisher.next * self.publishing.all + publisher.index;
            let due = table.due(k);
            if publisher.done {
                return;
            }
            if self.publishing.stop.is_over(k, due) {
                self.publisher_done(p);
                return;
            }
            if due > now {
                return;
            }
            if self.publishing.budget == 0 {
                self.publishing.retry.push(p as u32);
                return;
            }
            if !self.can_publish(p) {
                self.publishing.publishers[p].held_up = true;
                return;
            }
            let held_up = std::mem::take(&mut self.publishing.publishers[p].held_up);
            if !held_up && due >= self.seen.measure_from {
                self.seen.recorder.record(Phase::Lag, now - due);
            }
            self.publish(p, due, now);
            // While it catches up, its lateness is not the generator's.
            self.publishing.publishers[p].held_up = held_up && table.due(k + self.publishing.all) <= now;
        }
    }

    fn publish_into_window(&mut self, mut window: Window, retired: u64, now: Nanos) {
        if window.write_off(retired, now) {
            self.publishing.stalls += 1;
        }
        let mut idle = 0;
        let publishers = self.publishing.publishers.len();
        while idle < publishers && self.publishing.budget > 0 && window.has_room(retired) {
            let p = self.publishing.cursor;
            self.publishing.cursor = (p + 1) % publishers;
            let mut burst = self.publishing.burst;
            idle += 1;
            while burst > 0 && self.publishing.budget > 0 && window.has_room(retired) {
                let publisher = &self.publishing.publishers[p];
                let k = publisher.next * self.publishing.all + publisher.index;
                if publisher.done || !self.can_publish(p) {
                    break;
                }
                if self.publishing.stop.is_over(k, now) {
                    self.publisher_done(p);
                    break;
                }
                window.take(self.publish(p, now, now).max(1));
                burst -= 1;
                idle = 0;
            }
        }
        self.publishing.pace = Some(Pace::Closed(window));
    }

    fn publisher_done(&mut self, p: usize) {
        let publisher = &mut self.publishing.publishers[p];
        if !publisher.done {
            publisher.done = true;
            publisher.held_up = false;
            self.publishing.remaining -= 1;
        }
    }

    fn can_publish(&self, p: usize) -> bool {
        let publisher = &self.publishing.publishers[p];
        let link = &self.links[publisher.link as usize];
        let ready = link.standing == Standing::Ready && link.client.stage() == Stage::Connected;
        if !ready || link.out.len() >= OUT_LIMIT {
            return false;
        }
        if self.plan.streams[next_stream(publisher)].qos == QoS::AtMostOnce {
            return true;
        }
        let limit = self.publishing.max_inflight.min(usize::from(link.receive_maximum));
        link.client.inflight.len() < limit && link.client.inflight.free_id().is_some()
    }

    /// Publishes the next message of a publisher that can; returns its fan-out.
    fn publish(&mut self, p: usize, due: Nanos, now: Nanos) -> u64 {
        let publishing = &mut self.publishing;
        let publisher = &mut publishing.publishers[p];
        let stream_no = next_stream(publisher);
        let stream = &self.plan.streams[stream_no];
        let count = &mut publisher.counts[stream_no - publisher.first_stream as usize];
        let seq = *count;
        *count += 1;
        publisher.next += 1;
        publishing.budget -= 1;
        let id = publisher.link;
        let link = &mut self.links[id as usize];
        let (payload, tally) = (&mut publishing.payload, &mut self.tally);
        Stamp { run: publishing.run, stream: stream_no as u32, seq, due, sent: now }.write(payload);
        let (topic, fan) = (stream.topic.as_str(), u64::from(stream.fan));
        let id_if_sure = if stream.qos == QoS::AtMostOnce { None } else { link.client.inflight.free_id() };
        if let Some(packet_id) = id_if_sure {
            let (stream_no, qos) = (stream_no as u32, stream.qos);
            let message =
                Outgoing { packet_id, qos, released: false, stream: stream_no, seq, due, sent: now };
            link.client.publish(message, topic, payload, &mut link.out);
            tally[Count::Inflight] += 1;
            tally[Count::ExpectedSure] += fan;
        } else {
            link.client.publish_at_most_once(topic, payload, &mut link.out);
            tally[Count::ExpectedLoose] += fan;
        }
        tally[Count::Published] += 1;
        self.mark(id);
        fan
    }
}

/// The stream of a publisher's next message: its streams in turn.
fn next_stream(publisher: &Publisher) -> usize {
    publisher.first_stream as usize + (publisher.next % publisher.counts.len() as u64) as usize
}
