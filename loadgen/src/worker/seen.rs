//! What arrived at a worker's clients: latencies and deliveries, judged as they come. The hot path of receiving.

use tidemq::mqtt::{QoS, ReasonCode};

use super::link::Scope;
use crate::client::{Delivery, Observer};
use crate::group::Group;
use crate::inflight::Outgoing;
use crate::ledger::{Arrival, Deliveries, Track};
use crate::plan::{Plan, Rate, Stream};
use crate::record::{Phase, Recorder};
use crate::schedule::Nanos;
use crate::stamp::Stamp;

/// Everything that a worker has seen.
pub struct Seen {
    /// Latencies.
    pub recorder: Recorder,
    /// Deliveries by QoS.
    pub deliveries: [Deliveries; 3],
    /// Unique deliveries by the worker that published.
    pub retired: Vec<u64>,
    /// Messages acknowledged to publishers here.
    pub acked: u64,
    /// Messages that the broker refused (5.0 reason code of 0x80 or above).
    pub refused: u64,
    /// Messages of nobody in this run.
    pub foreign: u64,
    /// Deliveries to a subscriber that did not ask for them, or at another QoS or topic than published.
    pub misdelivered: u64,
    /// When the last delivery came.
    pub last_delivery: Nanos,
    /// Messages due before this are not measured.
    pub measure_from: Nanos,
    /// What came to the members of the shared subscription here, if there is one.
    pub group: Option<Group>,
    /// In an open loop the raw latency differs from the one that counts.
    has_raw: bool,
}

impl Seen {
    /// Nothing yet.
    pub fn new(plan: &Plan) -> Seen {
        Seen {
            recorder: Recorder::default(),
            deliveries: Default::default(),
            retired: vec![0; plan.workers as usize],
            acked: 0,
            refused: 0,
            foreign: 0,
            misdelivered: 0,
            last_delivery: 0,
            measure_from: Nanos::MAX,
            group: plan.shared.then(|| Group::new(plan.streams.len())),
            has_raw: matches!(plan.rate, Rate::PerSec(_)),
        }
    }
}

/// One connection's view for the time of a few packets.
pub struct View<'a> {
    seen: &'a mut Seen,
    run: u32,
    streams: &'a [Stream],
    tracks: &'a mut [Track],
    scope: &'a Scope,
    now: Nanos,
    /// CONNACK came: session present, Receive Maximum.
    pub connected: Option<(bool, u16)>,
    /// SUBACK came.
    pub granted: Vec<u8>,
    /// So many messages were acknowledged.
    pub acked: u64,
}

impl<'a> View<'a> {
    /// The view of a link with these tracks. `now`: when the bytes were there.
    pub fn new(
        seen: &'a mut Seen,
        plan: &'a Plan,
        tracks: &'a mut [Track],
        scope: &'a Scope,
        now: Nanos,
    ) -> Self {
        let (run, streams) = (plan.run, plan.streams.as_slice());
        View { seen, run, streams, tracks, scope, now, connected: None, granted: Vec::new(), acked: 0 }
    }
}

impl Observer for View<'_> {
    fn connected(&mut self, session_present: bool, receive_maximum: u16) {
        self.connected = Some((session_present, receive_maximum));
    }

    fn subscribed(&mut self, codes: &[u8]) {
        self.granted.extend_from_slice(codes);
    }

    #[inline]
    fn delivered(&mut self, delivery: Delivery<'_>) {
        let seen = &mut *self.seen;
        let Some(stamp) = Stamp::read(delivery.payload).filter(|s| s.run == self.run) else {
            seen.foreign += 1;
            return;
        };
        let track = stamp.stream.checked_sub(self.scope.first).and_then(|i| self.tracks.get_mut(i as usize));
        let (Some(track), Some(stream)) = (track, self.streams.get(stamp.stream as usize)) else {
            seen.misdelivered += 1;
            return;
        };
        let asked_for = self.scope.only_topic.is_none_or(|t| t == stream.topic_no);
        if !asked_for || delivery.qos != stream.qos.min(self.scope.qos) || delivery.topic != stream.topic {
            seen.misdelivered += 1;
            return;
        }
        let arrival = match &mut seen.group {
            None => track.note(stamp.seq),
            Some(group) => {
                track.count_one();
                group.note(stamp.stream as usize, stamp.seq)
            }
        };
        seen.deliveries[delivery.qos as usize].count(arrival, delivery.dup);
        if arrival == Arrival::Repeat {
            return;
        }
        seen.retired[stream.origin as usize] += 1;
        seen.last_delivery = self.now;
        if stamp.due >= seen.measure_from {
            seen.recorder.record_end_to_end(self.now.saturating_sub(stamp.due));
            if seen.has_raw {
                seen.recorder.record(Phase::EndToEndRaw, self.now.saturating_sub(stamp.sent));
            }
        }
    }

    fn acknowledged(&mut self, message: Outgoing, reason: ReasonCode) {
        self.acked += 1;
        self.seen.acked += 1;
        if reason.is_error() {
            self.seen.refused += 1;
            return;
        }
        if message.due < self.seen.measure_from {
            return;
        }
        let (phase, raw) = match message.qos {
            QoS::ExactlyOnce => (Phase::PubComp, Phase::PubCompRaw),
            _ => (Phase::PubAck, Phase::PubAckRaw),
        };
        self.seen.recorder.record(phase, self.now.saturating_sub(message.due));
        if self.seen.has_raw {
            self.seen.recorder.record(raw, self.now.saturating_sub(message.sent));
        }
    }
}
