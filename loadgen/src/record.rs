//! Latencies: one histogram for each phase and core, added up at the end.
//!
//! Knows durations in nanoseconds and phases by name; not what was measured, nor how it is shown.

use hdrhistogram::Histogram;

use crate::schedule::{Nanos, SECOND};

/// What was measured. The order is that of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Phase {
    /// From the connection's due time to the connected socket.
    Tcp,
    /// From the connected socket to the end of the TLS handshake.
    Tls,
    /// From CONNECT handed to the connection to CONNACK.
    ConnAck,
    /// From SUBSCRIBE to SUBACK.
    SubAck,
    /// From a QoS 1 message's due time to PUBACK.
    PubAck,
    /// From a QoS 2 message's due time to PUBCOMP.
    PubComp,
    /// From the due time to the delivery at a subscriber.
    EndToEnd,
    /// As `PubAck`, from the moment of sending.
    PubAckRaw,
    /// As `PubComp`, from the moment of sending.
    PubCompRaw,
    /// As `EndToEnd`, from the moment of sending.
    EndToEndRaw,
    /// From the due time to the moment of sending, for operations that only the generator itself held up.
    Lag,
}

impl Phase {
    /// Every phase, in the order of the report.
    pub const ALL: [Phase; 11] = [
        Phase::Tcp,
        Phase::Tls,
        Phase::ConnAck,
        Phase::SubAck,
        Phase::PubAck,
        Phase::PubAckRaw,
        Phase::PubComp,
        Phase::PubCompRaw,
        Phase::EndToEnd,
        Phase::EndToEndRaw,
        Phase::Lag,
    ];

    /// The name in the table.
    pub fn title(self) -> &'static str {
        match self {
            Phase::Tcp => "TCP connect",
            Phase::Tls => "TLS handshake",
            Phase::ConnAck => "CONNACK",
            Phase::SubAck => "SUBACK",
            Phase::PubAck => "PUBACK",
            Phase::PubComp => "PUBCOMP",
            Phase::EndToEnd => "end to end",
            Phase::PubAckRaw => "PUBACK, raw",
            Phase::PubCompRaw => "PUBCOMP, raw",
            Phase::EndToEndRaw => "end to end, raw",
            Phase::Lag => "generator's lag",
        }
    }

    /// The name in JSON and of files.
    pub fn key(self) -> &'static str {
        match self {
            Phase::Tcp => "tcp",
            Phase::Tls => "tls",
            Phase::ConnAck => "connack",
            Phase::SubAck => "suback",
            Phase::PubAck => "puback",
            Phase::PubComp => "pubcomp",
            Phase::EndToEnd => "end_to_end",
            Phase::PubAckRaw => "puback_raw",
            Phase::PubCompRaw => "pubcomp_raw",
            Phase::EndToEndRaw => "end_to_end_raw",
            Phase::Lag => "lag",
        }
    }
}

/// Up to ten minutes, three digits, nothing below 64 ns told apart.
fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(64, 600 * SECOND, 3).expect("constant bounds are valid")
}

/// One core's histograms.
#[derive(Clone, Debug)]
pub struct Recorder {
    phases: [Option<Box<Histogram<u64>>>; Phase::ALL.len()],
    /// End to end since the last `take_recent`, for the progress line.
    recent: Histogram<u64>,
    /// Neighbouring end-to-end values are mostly equal (one message to many subscribers in one turn): they are
    /// counted here and recorded as one.
    run: (Nanos, u64),
}

impl Default for Recorder {
    fn default() -> Recorder {
        Recorder { phases: Default::default(), recent: empty(), run: (0, 0) }
    }
}

impl Recorder {
    /// Records a latency, in nanoseconds.
    pub fn record(&mut self, phase: Phase, nanos: Nanos) {
        self.phases[phase as usize].get_or_insert_with(|| Box::new(empty())).saturating_record(nanos);
    }

    /// Takes back everything that was recorded of a phase.
    pub fn forget(&mut self, phase: Phase) {
        self.phases[phase as usize] = None;
    }

    /// Records an end-to-end latency.
    #[inline]
    pub fn record_end_to_end(&mut self, nanos: Nanos) {
        if nanos != self.run.0 {
            self.flush_run();
            self.run.0 = nanos;
        }
        self.run.1 += 1;
    }

    fn flush_run(&mut self) {
        if self.run.1 > 0 {
            self.recent.saturating_record_n(self.run.0, self.run.1);
            self.run.1 = 0;
        }
    }

    /// Adds the end-to-end latencies since the last call to `to`, and to the total.
    pub fn take_recent(&mut self, to: &mut Recent) {
        self.flush_run();
        let total = self.phases[Phase::EndToEnd as usize].get_or_insert_with(|| Box::new(empty()));
        total.add(&self.recent).expect("same bounds");
        to.0.add(&self.recent).expect("same bounds");
        self.recent.reset();
    }

    /// Adds another core's histograms, whose `take_recent` was called last.
    pub fn merge(&mut self, other: &Recorder) {
        for (mine, theirs) in self.phases.iter_mut().zip(&other.phases) {
            let Some(theirs) = theirs else { continue };
            mine.get_or_insert_with(|| Box::new(empty())).add(theirs.as_ref()).expect("same bounds");
        }
    }

    /// The histogram of a phase, in nanoseconds, if anything was recorded.
    pub fn histogram(&self, phase: Phase) -> Option<&Histogram<u64>> {
        self.phases[phase as usize].as_deref().filter(|h| !h.is_empty())
    }
}

/// The end-to-end latencies of the last moments, for the progress line.
#[derive(Debug)]
pub struct Recent(pub Histogram<u64>);

impl Default for Recent {
    fn default() -> Recent {
        Recent(empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_know_their_place() {
        let mut seen = Phase::ALL.map(|p| p as usize);
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    }

    #[test]
    fn cores_add_up() {
        let (mut a, mut b, mut recent) = (Recorder::default(), Recorder::default(), Recent::default());
        for i in 1..=100 {
            a.record_end_to_end(i * 1000);
            b.record_end_to_end(i * 1_000_000);
        }
        b.record(Phase::PubAck, 5);
        a.take_recent(&mut recent);
        b.take_recent(&mut recent);
        assert_eq!(recent.0.len(), 200);
        a.merge(&b);
        let h = a.histogram(Phase::EndToEnd).expect("recorded");
        assert_eq!(h.len(), 200);
        assert!(h.value_at_quantile(0.5).abs_diff(100_000) < 1000);
        assert!(a.histogram(Phase::PubAck).is_some());
        assert!(a.histogram(Phase::SubAck).is_none());
    }

    #[test]
    fn a_run_of_equal_values_counts_each() {
        let (mut r, mut recent) = (Recorder::default(), Recent::default());
        for v in [7000, 7000, 7000, 9000, 7000] {
            r.record_end_to_end(v);
        }
        r.take_recent(&mut recent);
        let h = r.histogram(Phase::EndToEnd).expect("recorded");
        assert_eq!((h.count_at(7000), h.count_at(9000)), (4, 1));
    }
}
