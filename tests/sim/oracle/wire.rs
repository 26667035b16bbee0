//! What must hold on one connection, packet by packet: the window, packet identifiers, the order of
//! acknowledgements.

use std::collections::{BTreeMap, VecDeque};

use tidemq::mqtt::QoS;

use crate::history::MessageNo;

/// Publishes from the broker on one connection that the client has not yet acknowledged.
pub struct Window {
    maximum: usize,
    /// The session had a connection before: repetitions may come.
    resumed: bool,
    open: BTreeMap<u16, (QoS, Option<MessageNo>)>,
    /// A first delivery came: no repetition after it.
    fresh: bool,
}

impl Window {
    /// For a client that allows `maximum` unacknowledged publishes.
    pub fn new(maximum: usize, resumed: bool) -> Window {
        Window { maximum, resumed, open: BTreeMap::new(), fresh: false }
    }

    /// PUBLISH with QoS above 0. `held`: what the client still holds under this packet identifier from a
    /// connection before.
    pub fn publish(
        &mut self,
        packet_id: u16,
        qos: QoS,
        dup: bool,
        message: Option<MessageNo>,
        held: Option<Option<MessageNo>>,
    ) -> Result<(), String> {
        if self.open.contains_key(&packet_id) {
            return Err(format!("packet identifier {packet_id} is in use [MQTT-2.2.1-4]"));
        }
        if dup && !self.resumed {
            return Err(format!("DUP with packet identifier {packet_id} in a new session [MQTT-3.3.1-1]"));
        }
        if dup && self.fresh {
            return Err(format!("a repetition ({packet_id}) after a first delivery [MQTT-4.4.0-1]"));
        }
        if !dup && held.is_some() {
            return Err(format!("packet identifier {packet_id} is in use from before [MQTT-2.2.1-4]"));
        }
        if dup && held.is_some_and(|held| held != message) {
            return Err(format!("{packet_id} is repeated with another message: {held:?} became {message:?}"));
        }
        self.fresh |= !dup;
        self.open.insert(packet_id, (qos, message));
        if self.open.len() > self.maximum {
            return Err(format!(
                "{} unacknowledged, {} allowed [MQTT-3.3.4-9]",
                self.open.len(),
                self.maximum
            ));
        }
        Ok(())
    }

    /// May the broker repeat what an earlier connection left open?
    pub fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// PUBACK or PUBCOMP was sent.
    pub fn done(&mut self, packet_id: u16) {
        self.open.remove(&packet_id);
    }
}

/// PUBACK and PUBREC come in the order of the publishes `[MQTT-4.6.0-2, 4.6.0-3]`.
#[derive(Default)]
pub struct AckOrder {
    waiting: VecDeque<u16>,
}

impl AckOrder {
    /// PUBLISH was sent.
    pub fn published(&mut self, packet_id: u16) {
        self.waiting.push_back(packet_id);
    }

    /// PUBACK or PUBREC came.
    pub fn acked(&mut self, packet_id: u16) -> Result<(), String> {
        match self.waiting.pop_front() {
            Some(first) if first == packet_id => Ok(()),
            first => Err(format!("{packet_id} acknowledged, {first:?} was published first")),
        }
    }

    /// Everything was acknowledged.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
