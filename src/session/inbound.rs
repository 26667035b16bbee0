//! What a client publishes with QoS 1 and 2: acknowledgements in the order of the publishes, and the packet
//! identifiers of QoS 2 messages that were received but not yet released.

use std::collections::VecDeque;

use crate::mqtt::{PacketId, ReasonCode};

/// How a publish is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckKind {
    /// QoS 1: PUBACK.
    PubAck,
    /// QoS 2: PUBREC.
    PubRec,
}

/// What became of a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its topic's home has it and found subscribers.
    Matched,
    /// Its topic's home has it; nobody subscribes.
    NoMatch,
    /// It was refused.
    Refused(ReasonCode),
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    packet_id: PacketId,
    kind: AckKind,
    outcome: Option<Outcome>,
}

/// The inbound half of a session.
#[derive(Debug, Default)]
pub struct Inbound {
    pending: VecDeque<Pending>,
    /// Ticket of `pending[0]`.
    first_ticket: u64,
    /// QoS 2 identifiers received and not released `[MQTT-4.3.3-10]`, ascending.
    unreleased: Vec<PacketId>,
    /// How many of `pending` are QoS 1.
    pending_qos1: usize,
}

impl Inbound {
    /// Publishes of QoS 1 and 2 that the client may count against our Receive Maximum.
    pub fn unacknowledged(&self) -> usize {
        self.pending_qos1 + self.unreleased.len()
    }

    /// Whether this QoS 2 identifier was received before and not released: then its message is not new.
    pub fn is_unreleased(&self, id: PacketId) -> bool {
        self.unreleased.binary_search(&id).is_ok()
    }

    /// A publish arrived. Returns its ticket; tickets of consecutive calls are consecutive.
    pub fn open(&mut self, packet_id: PacketId, kind: AckKind) -> u64 {
        match kind {
            AckKind::PubAck => self.pending_qos1 += 1,
            AckKind::PubRec => {
                if let Err(at) = self.unreleased.binary_search(&packet_id) {
                    self.unreleased.insert(at, packet_id);
                }
            }
        }
        self.pending.push_back(Pending { packet_id, kind, outcome: None });
        self.first_ticket + self.pending.len() as u64 - 1
    }

    /// The outcome of `count` publishes from `ticket` on. Tickets of an earlier connection are ignored.
    pub fn settle(&mut self, ticket: u64, count: u32, outcome: Outcome) {
        for t in ticket..ticket + u64::from(count) {
            let Some(at) = t.checked_sub(self.first_ticket) else { continue };
            if let Some(p) = self.pending.get_mut(at as usize) {
                p.outcome = Some(outcome);
            }
        }
    }

    /// The next acknowledgement that may be sent: in the order of the publishes, never past one that waits.
    pub fn poll_ack(&mut self) -> Option<(PacketId, AckKind, Outcome)> {
        let Pending { packet_id, kind, outcome } = *self.pending.front()?;
        let outcome = outcome?;
        self.pending.pop_front();
        self.first_ticket += 1;
        match (kind, outcome) {
            (AckKind::PubAck, _) => self.pending_qos1 -= 1,
            // [MQTT-4.3.3-9]: a PUBREC with 0x80 or more frees the identifier.
            (AckKind::PubRec, Outcome::Refused(_)) => {
                self.release(packet_id);
            }
            (AckKind::PubRec, _) => {}
        }
        Some((packet_id, kind, outcome))
    }

    /// PUBREL. False: no such identifier was received.
    pub fn release(&mut self, id: PacketId) -> bool {
        match self.unreleased.binary_search(&id) {
            Ok(at) => {
                self.unreleased.remove(at);
                true
            }
            Err(_) => false,
        }
    }

    /// The connection is gone: nobody waits for the pending acknowledgements. A publish repeated on the next
    /// connection is acknowledged anew.
    pub fn disconnect(&mut self) {
        self.first_ticket += self.pending.len() as u64;
        self.pending.clear();
        self.pending_qos1 = 0;
    }

    /// Whether there is nothing to remember.
    pub fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.unreleased.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(id: u16) -> PacketId {
        PacketId::new(id).expect("not zero")
    }

    #[test]
    fn acknowledgements_keep_the_order_of_the_publishes() {
        let mut inbound = Inbound::default();
        let first = inbound.open(id(5), AckKind::PubAck);
        let second = inbound.open(id(3), AckKind::PubRec);
        assert_eq!(second, first + 1);
        inbound.settle(second, 1, Outcome::Matched);
        assert_eq!(inbound.poll_ack(), None, "the first one waits");
        inbound.settle(first, 1, Outcome::NoMatch);
        assert_eq!(inbound.poll_ack(), Some((id(5), AckKind::PubAck, Outcome::NoMatch)));
        assert_eq!(inbound.poll_ack(), Some((id(3), AckKind::PubRec, Outcome::Matched)));
        assert_eq!(inbound.unacknowledged(), 1, "QoS 2 counts until its PUBREL");
        assert!(inbound.release(id(3)) && !inbound.release(id(3)));
        assert!(inbound.is_idle());
    }

    #[test]
    fn answers_for_an_earlier_connection_find_nobody() {
        let mut inbound = Inbound::default();
        let old = inbound.open(id(5), AckKind::PubAck);
        inbound.disconnect();
        let new = inbound.open(id(5), AckKind::PubAck);
        inbound.settle(old, 1, Outcome::Matched);
        assert_eq!(inbound.poll_ack(), None);
        inbound.settle(new, 1, Outcome::Matched);
        assert!(inbound.poll_ack().is_some());
    }

    #[test]
    fn a_refused_qos_2_publish_frees_its_identifier() {
        let mut inbound = Inbound::default();
        let ticket = inbound.open(id(8), AckKind::PubRec);
        assert!(inbound.is_unreleased(id(8)));
        inbound.settle(ticket, 1, Outcome::Refused(ReasonCode::QuotaExceeded));
        assert!(inbound.poll_ack().is_some());
        assert!(!inbound.is_unreleased(id(8)));
    }
}
