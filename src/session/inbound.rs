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
    /// A QoS 2 message that came before: what becomes of it is said to the first one.
    repeated: bool,
}

/// A QoS 2 message that was received and not released.
#[derive(Clone, Copy, Debug)]
struct Unreleased {
    id: PacketId,
    /// It came, or came again, on this connection: it counts against our Receive Maximum.
    counted: bool,
    /// Its PUBREC is not yet on its way on this connection.
    pending: bool,
    /// Its topic's home has not answered, perhaps since an earlier connection.
    unsettled: bool,
    /// Its PUBREL came before its PUBREC went.
    released: bool,
}

/// What a PUBREL comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// The identifier is free.
    Done,
    /// It came before the PUBREC: it is free, and PUBCOMP goes, after that.
    Later,
    /// No such identifier was received.
    Unknown,
}

/// An acknowledgement to be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct ReadyAck {
    pub packet_id: PacketId,
    pub kind: AckKind,
    pub outcome: Outcome,
    /// A PUBCOMP follows at once: the PUBREL was early.
    pub released: bool,
}

/// The inbound half of a session.
#[derive(Debug, Default)]
pub struct Inbound {
    pending: VecDeque<Pending>,
    /// Ticket of `pending[0]`.
    first_ticket: u64,
    /// QoS 2 identifiers received and not released `[MQTT-4.3.3-10]`, ascending: never more than there are.
    unreleased: Vec<Unreleased>,
    /// Tickets of QoS 2 publishes whose connection ended before their outcome was known, ascending.
    orphans: VecDeque<(u64, PacketId)>,
    /// How many of `pending` are QoS 1.
    pending_qos1: usize,
    /// How many of `unreleased` are counted.
    counted: usize,
}

impl Inbound {
    /// Publishes of QoS 1 and 2 that the client may count against our Receive Maximum. What it published on an earlier
    /// connection does not: its quota is whole again with each `[MQTT-4.9.0-1]`.
    pub fn unacknowledged(&self) -> usize {
        self.pending_qos1 + self.counted
    }

    /// Whether this QoS 2 identifier was received before and not released: then its message is not new.
    pub fn is_unreleased(&self, id: PacketId) -> bool {
        self.find(id).is_ok()
    }

    /// Whether this QoS 2 identifier counts already.
    pub fn is_counted(&self, id: PacketId) -> bool {
        self.find(id).is_ok_and(|at| self.unreleased[at].counted)
    }

    /// A publish arrived. Returns its ticket; tickets of consecutive calls are consecutive.
    pub fn open(&mut self, packet_id: PacketId, kind: AckKind) -> u64 {
        match kind {
            AckKind::PubAck => self.pending_qos1 += 1,
            AckKind::PubRec => {
                if let Err(at) = self.find(packet_id) {
                    let (counted, pending, unsettled) = (true, true, true);
                    let new = Unreleased { id: packet_id, counted, pending, unsettled, released: false };
                    self.unreleased.insert(at, new);
                    self.counted += 1;
                }
            }
        }
        self.pending.push_back(Pending { packet_id, kind, outcome: None, repeated: false });
        self.first_ticket + self.pending.len() as u64 - 1
    }

    /// A QoS 2 publish arrived again, before its identifier was released: it is acknowledged in its turn as the first
    /// one is, once that is known, and goes nowhere `[MQTT-4.3.3-10]`.
    pub fn repeat(&mut self, packet_id: PacketId) {
        let Ok(at) = self.find(packet_id) else { return };
        let first = self.unreleased[at];
        let outcome = if first.unsettled {
            None
        } else {
            let unsent = self.pending.iter().find(|p| p.kind == AckKind::PubRec && p.packet_id == packet_id);
            Some(unsent.and_then(|p| p.outcome).unwrap_or(Outcome::Matched))
        };
        self.counted += usize::from(!first.counted);
        self.unreleased[at] = Unreleased { counted: true, pending: true, ..first };
        self.pending.push_back(Pending { packet_id, kind: AckKind::PubRec, outcome, repeated: true });
    }

    /// The outcome of `count` publishes from `ticket` on. For an earlier connection's only QoS 2 matters.
    pub fn settle(&mut self, ticket: u64, count: u32, outcome: Outcome) {
        for t in ticket..ticket + u64::from(count) {
            if let Some(at) = t.checked_sub(self.first_ticket) {
                let Some(p) = self.pending.get_mut(at as usize) else { continue };
                p.outcome = Some(outcome);
                if p.kind == AckKind::PubRec {
                    let id = p.packet_id;
                    self.settle_id(id, outcome);
                }
            } else if let Ok(at) = self.orphans.binary_search_by_key(&t, |(ticket, _)| *ticket) {
                let (_, id) = self.orphans.remove(at).expect("just found");
                self.settle_id(id, outcome);
            }
        }
    }

    /// What became of a QoS 2 message: whoever repeated it meanwhile is answered so.
    fn settle_id(&mut self, id: PacketId, outcome: Outcome) {
        let Ok(at) = self.find(id) else { return };
        self.unreleased[at].unsettled = false;
        if !self.unreleased[at].pending {
            if let Outcome::Refused(_) = outcome {
                self.remove(at); // sent again, it is a new message, to be judged anew
            }
            return;
        }
        for p in self.pending.iter_mut().filter(|p| p.repeated && p.packet_id == id) {
            p.outcome.get_or_insert(outcome);
        }
    }

    /// The next acknowledgement that may be sent: in the order of the publishes, never past one that waits.
    pub fn poll_ack(&mut self) -> Option<ReadyAck> {
        let Pending { packet_id, kind, outcome, .. } = *self.pending.front()?;
        let outcome = outcome?;
        self.pending.pop_front();
        self.first_ticket += 1;
        let mut released = false;
        match kind {
            AckKind::PubAck => self.pending_qos1 -= 1,
            AckKind::PubRec => {
                if let Ok(at) = self.find(packet_id) {
                    let refused = matches!(outcome, Outcome::Refused(_));
                    released = self.unreleased[at].released && !refused;
                    self.unreleased[at].pending = false;
                    // [MQTT-4.3.3-9]: a PUBREC with 0x80 or more frees the identifier.
                    if refused || released {
                        self.remove(at);
                    }
                }
            }
        }
        Some(ReadyAck { packet_id, kind, outcome, released })
    }

    /// PUBREL.
    pub fn release(&mut self, id: PacketId) -> Release {
        let Ok(at) = self.find(id) else { return Release::Unknown };
        if self.unreleased[at].pending {
            self.unreleased[at].released = true;
            return Release::Later;
        }
        self.remove(at);
        Release::Done
    }

    /// The connection is gone: nobody waits for the pending acknowledgements. A publish repeated on the next
    /// connection is acknowledged anew.
    pub fn disconnect(&mut self) {
        for p in std::mem::take(&mut self.pending) {
            let ticket = self.first_ticket;
            self.first_ticket += 1;
            match (p.kind, p.outcome) {
                (AckKind::PubRec, None) if !p.repeated => {
                    self.orphans.push_back((ticket, p.packet_id));
                }
                // The client does not know of it and will send it again.
                (AckKind::PubRec, Some(Outcome::Refused(_))) => {
                    if let Ok(at) = self.find(p.packet_id) {
                        self.remove(at);
                    }
                }
                _ => {}
            }
        }
        self.pending_qos1 = 0;
        self.counted = 0;
        for u in &mut self.unreleased {
            (u.counted, u.pending, u.released) = (false, false, false);
        }
    }

    /// Whether there is nothing to remember.
    pub fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.unreleased.is_empty() && self.orphans.is_empty()
    }

    fn find(&self, id: PacketId) -> Result<usize, usize> {
        self.unreleased.binary_search_by_key(&id, |u| u.id)
    }

    fn remove(&mut self, at: usize) {
        self.counted -= usize::from(self.unreleased.remove(at).counted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(id: u16) -> PacketId {
        PacketId::new(id).expect("not zero")
    }

    const FULL: Outcome = Outcome::Refused(ReasonCode::QuotaExceeded);

    fn ack(packet_id: PacketId, kind: AckKind, outcome: Outcome) -> Option<ReadyAck> {
        Some(ReadyAck { packet_id, kind, outcome, released: false })
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
        assert_eq!(inbound.poll_ack(), ack(id(5), AckKind::PubAck, Outcome::NoMatch));
        assert_eq!(inbound.poll_ack(), ack(id(3), AckKind::PubRec, Outcome::Matched));
        assert_eq!(inbound.unacknowledged(), 1, "QoS 2 counts until its PUBREL");
        assert_eq!((inbound.release(id(3)), inbound.release(id(3))), (Release::Done, Release::Unknown));
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
        inbound.settle(ticket, 1, FULL);
        assert!(inbound.poll_ack().is_some());
        assert!(!inbound.is_unreleased(id(8)));
        assert!(inbound.is_idle());
    }

    /// [MQTT-4.9.0-1]
    #[test]
    fn the_quota_is_whole_again_with_each_connection() {
        let mut inbound = Inbound::default();
        for n in 1..=3 {
            let ticket = inbound.open(id(n), AckKind::PubRec);
            inbound.settle(ticket, 1, Outcome::Matched);
            assert!(inbound.poll_ack().is_some());
        }
        inbound.disconnect();
        assert_eq!(inbound.unacknowledged(), 0);
        assert!(inbound.is_unreleased(id(2)) && !inbound.is_counted(id(2)), "it is remembered all the same");
        inbound.repeat(id(2));
        assert_eq!(inbound.unacknowledged(), 1, "what is sent again counts");
        inbound.repeat(id(2));
        assert_eq!(inbound.unacknowledged(), 1);
        assert_eq!(inbound.poll_ack(), ack(id(2), AckKind::PubRec, Outcome::Matched));
        assert_eq!(inbound.release(id(1)), Release::Done);
        assert_eq!(inbound.unacknowledged(), 1, "a PUBREL from before gives nothing back");
    }

    #[test]
    fn a_pubrel_that_comes_before_the_pubrec_waits_for_it() {
        let mut inbound = Inbound::default();
        let ticket = inbound.open(id(4), AckKind::PubRec);
        assert_eq!(inbound.release(id(4)), Release::Later);
        assert!(inbound.is_unreleased(id(4)), "a repetition is still one");
        inbound.settle(ticket, 1, Outcome::Matched);
        assert_eq!(inbound.poll_ack().map(|a| a.released), Some(true));
        assert!(inbound.is_idle());
    }

    #[test]
    fn a_repetition_is_answered_as_the_first_one() {
        for outcome in [Outcome::NoMatch, FULL] {
            // Before the outcome is known, and after, on the same connection.
            for early in [true, false] {
                let mut inbound = Inbound::default();
                let ticket = inbound.open(id(6), AckKind::PubRec);
                if early {
                    inbound.repeat(id(6));
                }
                inbound.settle(ticket, 1, outcome);
                if !early {
                    inbound.repeat(id(6));
                }
                for _ in 0..2 {
                    assert_eq!(inbound.poll_ack(), ack(id(6), AckKind::PubRec, outcome));
                }
            }
            // Refused while nobody was there: what comes again is a new message.
            let mut inbound = Inbound::default();
            let ticket = inbound.open(id(6), AckKind::PubRec);
            inbound.disconnect();
            inbound.settle(ticket, 1, outcome);
            assert_eq!(inbound.is_unreleased(id(6)), outcome == Outcome::NoMatch);
            // It comes again before the outcome is known.
            let mut inbound = Inbound::default();
            let ticket = inbound.open(id(6), AckKind::PubRec);
            inbound.disconnect();
            inbound.repeat(id(6));
            assert_eq!(inbound.poll_ack(), None);
            inbound.settle(ticket, 1, outcome);
            assert_eq!(inbound.poll_ack(), ack(id(6), AckKind::PubRec, outcome));
        }
    }

    #[test]
    fn a_refusal_that_could_not_be_sent_is_forgotten() {
        let mut inbound = Inbound::default();
        inbound.open(id(1), AckKind::PubAck);
        let ticket = inbound.open(id(2), AckKind::PubRec);
        inbound.settle(ticket, 1, FULL);
        inbound.disconnect();
        assert!(inbound.is_idle());
    }
}
