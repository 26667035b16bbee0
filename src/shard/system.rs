//! What the broker says of itself: messages below `$SYS`, and the sums that whoever publishes them asks for.
//!
//! They are routed like any other message, retained, QoS 0, and count nowhere: not as received, sent or dropped, and
//! not against the limits on what is retained. Who computes them and when is not known here.

use std::sync::Arc;

use crate::mqtt::QoS;
use crate::mqtt::publish::{Publish, PublishProperties};
use crate::session::{Run, RunBuilder};
use crate::time::Time;

use super::connection::WaitsFor;
use super::{Paused, Shard};

/// Nobody's client identifier: No Local never applies.
const PUBLISHER: u64 = 0;

/// In a sum of (messages, bytes): takes one summand out and puts another in.
pub(super) fn replace(sum: &mut (usize, usize), before: (usize, usize), after: (usize, usize)) {
    *sum = (sum.0 + after.0 - before.0, sum.1 + after.1 - before.1);
}

impl Shard {
    /// Publishes to a topic below `$SYS/` and retains it; an empty payload clears what is retained there. Any shard
    /// takes it, the topic's home does so without a detour.
    ///
    /// It waits for no credit. Whoever calls this bounds how many are under way: for each topic no second one before
    /// the first is given to every shard.
    pub fn handle_system(&mut self, topic: &str, payload: &[u8]) {
        assert!(topic.starts_with("$SYS/"), "{topic} is not the broker's own");
        let properties = PublishProperties::default();
        let (dup, qos, retain, packet_id) = (false, QoS::AtMostOnce, true, None);
        let mut builder = RunBuilder::default();
        builder.push(&Publish { dup, qos, retain, topic, packet_id, properties, payload }, Time::NEVER);
        let run = builder.build(self.id, PUBLISHER, self.now);
        self.send_home(run, None);
    }

    /// At the topic's home: retained without a look at the limits, and without a byte of what they allow.
    pub(super) fn retain_system(&mut self, run: &Arc<Run>) {
        if !self.cursors.is_empty() {
            self.overtake(run.topic());
        }
        let replaced = self.retained.put(run.topic(), run.clone(), 0);
        self.retained_system += usize::from(replaced.is_none());
    }

    /// Retained messages of clients.
    pub(super) fn retained_messages(&self) -> usize {
        self.retained.len() - self.retained_system
    }

    pub(super) fn count_paused(&self) -> Paused {
        let mut paused = Paused::default();
        // Who was closed while it was paused may still stand in the queue.
        for c in self.paused.iter().filter_map(|conn| self.connection(*conn)).filter(|c| c.paused) {
            *match c.waits_for {
                WaitsFor::Credit => &mut paused.credit,
                WaitsFor::Output => &mut paused.output,
                WaitsFor::Subscriptions => &mut paused.subscriptions,
            } += 1;
        }
        paused
    }
}
