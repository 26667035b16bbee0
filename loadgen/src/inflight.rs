//! The half of an MQTT session that the client keeps: what it sent and is not done with, and the QoS 2 identifiers
//! that it received and were not released yet. It outlives connections.
//!
//! Knows packet identifiers and stages; writes no packet.

use std::collections::VecDeque;

use tidemq::mqtt::{PacketId, QoS};

use crate::schedule::Nanos;

/// A message that was sent at QoS 1 or 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Its identifier on this session.
    pub packet_id: PacketId,
    /// QoS 1 or 2.
    pub qos: QoS,
    /// PUBREC has come: only PUBREL may be sent for it now.
    pub released: bool,
    /// Its stream.
    pub stream: u32,
    /// Its number in the stream.
    pub seq: u32,
    /// When it was due.
    pub due: Nanos,
    /// When it was first sent.
    pub sent: Nanos,
}

/// The client's session state.
#[derive(Clone, Debug, Default)]
pub struct Inflight {
    /// In the order of sending, so that a resumed session repeats them in that order `[MQTT-4.6.0-1]`.
    outgoing: VecDeque<Outgoing>,
    last_id: u16,
    /// QoS 2 identifiers received, PUBREL not yet.
    incoming: Vec<u16>,
}

impl Inflight {
    /// Messages sent and not done with.
    pub fn len(&self) -> usize {
        self.outgoing.len()
    }

    /// An identifier for a new message; `None` while the next one is still in use (the oldest message has then been
    /// in flight for 65,535 others).
    pub fn free_id(&self) -> Option<PacketId> {
        let next = PacketId::new(self.last_id.wrapping_add(1)).or(PacketId::new(1))?;
        // Identifiers go round in order and messages stand in order of sending: the first in use is the oldest's.
        (self.outgoing.front().is_none_or(|o| o.packet_id != next)).then_some(next)
    }

    /// A message was sent with the identifier from `free_id`.
    pub fn push(&mut self, message: Outgoing) {
        self.last_id = message.packet_id.as_u16();
        self.outgoing.push_back(message);
    }

    /// PUBACK or PUBCOMP for `id`, or a PUBREC that refuses it: the message is done with. `None`: none such.
    pub fn finish(&mut self, id: PacketId) -> Option<Outgoing> {
        let i = self.outgoing.iter().position(|o| o.packet_id == id)?;
        self.outgoing.remove(i)
    }

    /// PUBREC for `id`. False: no QoS 2 message has that identifier.
    pub fn release(&mut self, id: PacketId) -> bool {
        let found = self.outgoing.iter_mut().find(|o| o.packet_id == id && o.qos == QoS::ExactlyOnce);
        found.is_some_and(|o| {
            o.released = true;
            true
        })
    }

    /// What a resumed session must repeat, in order.
    pub fn unfinished(&self) -> impl Iterator<Item = &Outgoing> {
        self.outgoing.iter()
    }

    /// A QoS 2 PUBLISH with `id` came. True: the first time, so it is a delivery `[MQTT-4.3.3-10]`.
    pub fn receive(&mut self, id: PacketId) -> bool {
        let new = !self.incoming.contains(&id.as_u16());
        if new {
            self.incoming.push(id.as_u16());
        }
        new
    }

    /// PUBREL for `id` came. False: it was not known.
    pub fn released(&mut self, id: PacketId) -> bool {
        let found = self.incoming.iter().position(|&x| x == id.as_u16());
        found.map(|i| self.incoming.swap_remove(i)).is_some()
    }

    /// The server has lost the session: identifiers that it sent mean nothing any more.
    pub fn forget_incoming(&mut self) {
        self.incoming.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(id: u16) -> PacketId {
        PacketId::new(id).expect("not zero")
    }

    fn send(s: &mut Inflight, qos: QoS) -> PacketId {
        let packet_id = s.free_id().expect("free");
        s.push(Outgoing { packet_id, qos, released: false, stream: 0, seq: 0, due: 0, sent: 0 });
        packet_id
    }

    #[test]
    fn identifiers_go_round_and_skip_none_in_use() {
        let mut s = Inflight::default();
        let first = send(&mut s, QoS::AtLeastOnce);
        assert_eq!(first, id(1));
        for _ in 0..65_534 {
            let next = send(&mut s, QoS::AtLeastOnce);
            s.finish(next).expect("just sent");
        }
        assert_eq!(s.free_id(), None, "1 is still in flight");
        s.finish(first).expect("in flight");
        assert_eq!(send(&mut s, QoS::AtLeastOnce), id(1));
        assert_eq!(s.finish(id(9)), None);
    }

    #[test]
    fn only_a_qos_2_message_can_be_released() {
        let mut s = Inflight::default();
        let (one, two) = (send(&mut s, QoS::AtLeastOnce), send(&mut s, QoS::ExactlyOnce));
        assert!(!s.release(one));
        assert!(s.release(two) && s.release(two), "PUBREC may come again after a reconnect");
        assert_eq!(s.unfinished().map(|o| o.released).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn a_repeated_qos_2_publish_is_no_second_delivery_until_it_is_released() {
        let mut s = Inflight::default();
        assert!(s.receive(id(5)));
        assert!(!s.receive(id(5)));
        assert!(s.released(id(5)));
        assert!(!s.released(id(5)));
        assert!(s.receive(id(5)), "the identifier is free again");
    }
}
