//! What goes to a client with QoS 1 and 2: what is in flight, and the backlog of what waits for room.
//!
//! In flight is never more than the client allows `[MQTT-3.3.4-9]`; what is over that waits, in order, and is not
//! lost. After a reconnect everything in flight is sent again with its identifier before anything new
//! `[MQTT-4.4.0-1]`.

use std::collections::VecDeque;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::ids::Slot;
use crate::mqtt::{PacketId, QoS};
use crate::time::Time;

use super::publication::Run;

/// The subscription identifiers that a delivery carries; mostly none.
pub type Ids = SmallVec<[u32; 1]>;

/// One publication on its way to one client.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The run that holds it.
    pub run: Arc<Run>,
    /// Its place in the run.
    pub item: u32,
    /// QoS of the delivery: 1 or 2, and 0 behind something that must come first.
    pub qos: QoS,
    /// RETAIN as the client sees it.
    pub retain: bool,
    /// Subscription identifiers.
    pub ids: Ids,
    /// The shared subscription by which it comes.
    pub shared: Option<Slot>,
}

impl Offer {
    fn holds_back(&self) -> bool {
        self.retain || self.qos == QoS::AtMostOnce
    }
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Messages.
    pub messages: usize,
    /// Bytes.
    pub bytes: usize,
}

#[derive(Debug)]
struct InFlight {
    id: PacketId,
    /// How many identifiers had been given out before it.
    serial: u64,
    /// `None`: the client has the message (PUBREC) and PUBREL waits for its PUBCOMP.
    offer: Option<Offer>,
    /// Whether it went out on an earlier connection.
    dup: bool,
}

/// What `poll_send` wants sent.
#[derive(Debug)]
pub enum ToSend<'a> {
    /// A PUBLISH.
    Publish {
        /// What.
        offer: &'a Offer,
        /// With which identifier.
        id: PacketId,
        /// Whether it went out before.
        dup: bool,
    },
    /// A PUBREL that went out before.
    PubRel(PacketId),
    /// A PUBLISH of QoS 0 that waited for its turn.
    Once(Offer),
}

/// How an acknowledgement fits what is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledged {
    /// As it should be.
    Fits,
    /// Nothing with this identifier is in flight.
    Unknown,
    /// It is in flight, but this is not the packet that may come next for it.
    Misfit,
}

/// The outgoing half of a session.
#[derive(Debug, Default)]
pub struct Outgoing {
    in_flight: VecDeque<InFlight>,
    /// The first so many of `in_flight` were sent on this connection.
    sent: usize,
    next_id: u16,
    serial: u64,
    /// Most in flight: the client's Receive Maximum or our limit. 0 while offline.
    window: usize,
    backlog: VecDeque<Offer>,
    backlog_bytes: usize,
    /// How many of `backlog` are retained messages, or of QoS 0.
    holding_back: usize,
}

impl Outgoing {
    /// A connection takes the session up: everything in flight will be sent again.
    pub fn connect(&mut self, window: usize) {
        self.window = window;
        self.sent = 0;
        for f in &mut self.in_flight {
            f.dup = true;
        }
    }

    /// The connection is gone; nothing is sent until the next one.
    pub fn disconnect(&mut self) {
        self.window = 0;
        self.sent = 0;
        if self.holding_back > 0 {
            self.take_waiting_if(|offer| offer.qos == QoS::AtMostOnce); // not kept for whoever is not there
        }
    }

    /// Whether what is published at QoS 0 now must wait too: a retained message does, which may be of the same topic
    /// and must not come after a newer one.
    pub fn holds_back(&self) -> bool {
        self.holding_back > 0
    }

    /// How many new messages may be sent now. Zero while something older waits.
    pub fn room(&self) -> usize {
        if !self.backlog.is_empty() || self.sent < self.in_flight.len() {
            return 0;
        }
        self.window.saturating_sub(self.in_flight.len())
    }

    /// Puts a new message in flight; the caller sends it. Only while `room() > 0`.
    pub fn send(&mut self, offer: Offer) -> PacketId {
        let id = self.free_id();
        self.in_flight.push_back(InFlight { id, serial: self.serial, offer: Some(offer), dup: false });
        self.sent += 1;
        id
    }

    /// Lets a message wait. False: the backlog is full, the message is dropped. Of QoS 0 only so many may wait that
    /// half of it is left to the others.
    pub fn wait(&mut self, offer: Offer, limit: Limit) -> bool {
        let bytes = offer.run.item_bytes(&offer.run.items()[offer.item as usize]);
        let part = if offer.qos == QoS::AtMostOnce { 2 } else { 1 };
        if self.backlog.len() >= limit.messages / part || self.backlog_bytes + bytes > limit.bytes / part {
            return false;
        }
        self.backlog_bytes += bytes;
        self.holding_back += usize::from(offer.holds_back());
        self.backlog.push_back(offer);
        true
    }

    /// The next thing to send: first what is in flight from an earlier connection, then the backlog, while there
    /// is room. Counts in `expired` what the backlog held too long.
    pub fn poll_send(&mut self, now: Time, expired: &mut u64) -> Option<ToSend<'_>> {
        if self.sent < self.in_flight.len() {
            if self.sent >= self.window {
                return None;
            }
            let f = &self.in_flight[self.sent];
            self.sent += 1;
            return Some(match &f.offer {
                Some(offer) => ToSend::Publish { offer, id: f.id, dup: f.dup },
                None => ToSend::PubRel(f.id),
            });
        }
        while self.next_may_go() {
            let offer = self.backlog.pop_front()?;
            let item = offer.run.items()[offer.item as usize];
            self.backlog_bytes -= offer.run.item_bytes(&item);
            self.holding_back -= usize::from(offer.holds_back());
            if item.expires <= now {
                *expired += 1;
                continue;
            }
            if offer.qos == QoS::AtMostOnce {
                return Some(ToSend::Once(offer));
            }
            let id = self.send(offer);
            let f = self.in_flight.back().expect("just pushed");
            let offer = f.offer.as_ref().expect("just pushed with its offer");
            return Some(ToSend::Publish { offer, id, dup: false });
        }
        None
    }

    /// Takes back what `poll_send` just gave or `send` just took: the client cannot take a packet of this size,
    /// which counts as delivered `[MQTT-3.1.2-25]`.
    pub fn skip(&mut self, id: PacketId) {
        if let Some(at) = self.position(id) {
            self.remove(at);
        }
    }

    /// PUBACK.
    pub fn puback(&mut self, id: PacketId) -> Acknowledged {
        match self.position(id) {
            None => Acknowledged::Unknown,
            Some(at) if self.awaits(at, QoS::AtLeastOnce) => {
                self.remove(at);
                Acknowledged::Fits
            }
            Some(_) => Acknowledged::Misfit,
        }
    }

    /// PUBREC that accepts the message: from now on only PUBREL is sent for it `[MQTT-4.3.3-8]`. A repeated
    /// PUBREC fits too.
    pub fn pubrec(&mut self, id: PacketId) -> Acknowledged {
        let Some(at) = self.position(id) else { return Acknowledged::Unknown };
        if self.in_flight[at].offer.is_some() && !self.awaits(at, QoS::ExactlyOnce) {
            return Acknowledged::Misfit;
        }
        self.in_flight[at].offer = None;
        Acknowledged::Fits
    }

    /// PUBREC that refuses the message: it is done with, and the identifier free `[MQTT-4.3.3-4]`.
    pub fn pubrec_refused(&mut self, id: PacketId) -> Acknowledged {
        match self.position(id) {
            None => Acknowledged::Unknown,
            Some(at) if self.awaits(at, QoS::ExactlyOnce) => {
                self.remove(at);
                Acknowledged::Fits
            }
            Some(_) => Acknowledged::Misfit,
        }
    }

    /// PUBCOMP.
    pub fn pubcomp(&mut self, id: PacketId) -> Acknowledged {
        match self.position(id) {
            None => Acknowledged::Unknown,
            Some(at) if self.in_flight[at].offer.is_none() => {
                self.remove(at);
                Acknowledged::Fits
            }
            Some(_) => Acknowledged::Misfit,
        }
    }

    /// Takes out what waits by shared subscriptions and has never been sent: other members may have it.
    pub fn take_waiting_shared(&mut self) -> Vec<Offer> {
        self.take_waiting_if(|offer| offer.shared.is_some())
    }

    /// The same for one subscription, which has ended: what is in flight stays this client's.
    pub fn take_waiting_of(&mut self, slot: Slot) -> Vec<Offer> {
        for offer in self.in_flight.iter_mut().filter_map(|f| f.offer.as_mut()) {
            if offer.shared == Some(slot) {
                offer.shared = None;
            }
        }
        self.take_waiting_if(|offer| offer.shared == Some(slot))
    }

    /// The session ends: what other members of shared subscriptions may have. Not what was sent at QoS 2
    /// `[MQTT-4.8.2-5]`.
    pub fn take_shared(&mut self) -> Vec<Offer> {
        let unacknowledged = self.in_flight.drain(..).filter_map(|f| f.offer);
        let mut taken: Vec<Offer> =
            unacknowledged.filter(|offer| offer.shared.is_some() && offer.qos == QoS::AtLeastOnce).collect();
        self.sent = 0;
        taken.append(&mut self.take_waiting_shared());
        taken
    }

    fn take_waiting_if(&mut self, goes: impl Fn(&Offer) -> bool) -> Vec<Offer> {
        let (taken, kept): (Vec<Offer>, Vec<Offer>) = self.backlog.drain(..).partition(|offer| goes(offer));
        self.backlog = kept.into();
        let bytes = |offer: &Offer| offer.run.item_bytes(&offer.run.items()[offer.item as usize]);
        self.backlog_bytes -= taken.iter().map(bytes).sum::<usize>();
        self.holding_back -= taken.iter().filter(|offer| offer.holds_back()).count();
        taken
    }

    /// Whether `poll_send` may have something.
    pub fn has_more(&self) -> bool {
        let unsent = self.sent < self.in_flight.len() && self.sent < self.window;
        unsent || (self.sent == self.in_flight.len() && self.next_may_go())
    }

    /// Whether something waits whose turn it is: QoS 0 needs no room in the window.
    fn next_may_go(&self) -> bool {
        let Some(next) = self.backlog.front() else { return false };
        self.window > 0 && (self.in_flight.len() < self.window || next.qos == QoS::AtMostOnce)
    }

    /// Messages in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Messages that wait.
    pub fn waiting(&self) -> usize {
        self.backlog.len()
    }

    /// Messages that wait, and their bytes.
    pub fn backlog(&self) -> (usize, usize) {
        (self.backlog.len(), self.backlog_bytes)
    }

    /// Whether there is nothing to remember.
    pub fn is_idle(&self) -> bool {
        self.in_flight.is_empty() && self.backlog.is_empty()
    }

    fn awaits(&self, at: usize, qos: QoS) -> bool {
        self.in_flight[at].offer.as_ref().is_some_and(|o| o.qos == qos)
    }

    /// Acknowledgements come in order from most clients: the front is looked at first.
    fn position(&self, id: PacketId) -> Option<usize> {
        self.in_flight.iter().position(|f| f.id == id)
    }

    fn remove(&mut self, at: usize) {
        self.in_flight.remove(at);
        if at < self.sent {
            self.sent -= 1;
        }
    }

    /// An identifier that is not in use. The oldest in flight tells whether the counter can have come round to
    /// one that is; only then is it searched.
    fn free_id(&mut self) -> PacketId {
        loop {
            self.serial += 1;
            self.next_id = self.next_id.wrapping_add(1);
            let Some(id) = PacketId::new(self.next_id) else { continue };
            let lap =
                self.in_flight.front().is_some_and(|f| self.serial - f.serial >= u64::from(u16::MAX) - 1);
            if !lap || self.position(id).is_none() {
                return id;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ShardId;
    use crate::mqtt::publish::{Publish, PublishProperties};
    use crate::session::RunBuilder;

    const LIMIT: Limit = Limit { messages: 3, bytes: 1_000 };

    fn offer(payload: &str, expires: Time) -> Offer {
        let mut builder = RunBuilder::default();
        let properties = PublishProperties::default();
        let publish = Publish {
            dup: false,
            qos: QoS::ExactlyOnce,
            retain: false,
            topic: "t",
            packet_id: PacketId::new(1),
            properties,
            payload: payload.as_bytes(),
        };
        builder.push(&publish, expires);
        let run = builder.build(ShardId(0), 0, Time(0));
        Offer { run, item: 0, qos: QoS::AtLeastOnce, retain: false, ids: Ids::new(), shared: None }
    }

    fn sent(outgoing: &mut Outgoing, now: Time) -> Vec<(String, bool)> {
        let (mut all, mut expired) = (Vec::new(), 0);
        while let Some(next) = outgoing.poll_send(now, &mut expired) {
            all.push(match next {
                ToSend::Publish { offer, dup, .. } => {
                    let payload = offer.run.payload(&offer.run.items()[0]);
                    (String::from_utf8_lossy(payload).into_owned(), dup)
                }
                ToSend::Once(offer) => {
                    let item = offer.run.items()[offer.item as usize];
                    (String::from_utf8_lossy(offer.run.payload(&item)).into_owned(), false)
                }
                ToSend::PubRel(id) => (format!("PUBREL {}", id.as_u16()), true),
            });
        }
        all
    }

    #[test]
    fn identifiers_in_use_are_skipped_when_the_counter_comes_round() {
        let mut outgoing = Outgoing::default();
        outgoing.connect(10);
        let stuck = outgoing.send(offer("stuck", Time::NEVER));
        let other = outgoing.send(offer("other", Time::NEVER));
        for _ in 0..200_000 {
            let id = outgoing.send(offer("x", Time::NEVER));
            assert!(id != stuck && id != other, "{id:?} is in use");
            assert_eq!(outgoing.puback(id), Acknowledged::Fits);
        }
    }

    #[test]
    fn a_full_backlog_drops_the_newest_and_keeps_the_order() {
        let mut outgoing = Outgoing::default();
        for (i, kept) in [true, true, true, false].into_iter().enumerate() {
            assert_eq!(outgoing.wait(offer(&i.to_string(), Time::NEVER), LIMIT), kept);
        }
        outgoing.connect(2);
        let plain: Vec<String> = sent(&mut outgoing, Time(1)).into_iter().map(|(p, _)| p).collect();
        assert_eq!(plain, ["0", "1"], "as many as the window allows");
        assert_eq!((outgoing.in_flight(), outgoing.waiting()), (2, 1));
    }

    #[test]
    fn after_a_reconnect_what_was_in_flight_goes_first_within_the_new_window() {
        let mut outgoing = Outgoing::default();
        outgoing.connect(3);
        let ids: Vec<PacketId> = ["a", "b", "c"]
            .map(|p| Offer { qos: QoS::ExactlyOnce, ..offer(p, Time::NEVER) })
            .map(|o| outgoing.send(o))
            .into();
        assert_eq!(outgoing.pubrec(ids[1]), Acknowledged::Fits);
        outgoing.disconnect();
        assert!(outgoing.wait(offer("d", Time::NEVER), LIMIT));
        assert_eq!(sent(&mut outgoing, Time(1)), [], "nobody is there");
        outgoing.connect(2);
        let pubrel = format!("PUBREL {}", ids[1].as_u16());
        assert_eq!(sent(&mut outgoing, Time(1)), [("a".to_owned(), true), (pubrel, true)]);
        assert_eq!(outgoing.pubrec(ids[0]), Acknowledged::Fits);
        assert_eq!(outgoing.pubcomp(ids[0]), Acknowledged::Fits);
        assert_eq!(sent(&mut outgoing, Time(1)), [("c".to_owned(), true)]);
        assert_eq!(outgoing.pubcomp(ids[1]), Acknowledged::Fits);
        assert_eq!(sent(&mut outgoing, Time(1)), [("d".to_owned(), false)]);
    }

    #[test]
    fn what_expired_in_the_backlog_is_dropped_and_counted() {
        let mut outgoing = Outgoing::default();
        assert!(outgoing.wait(offer("late", Time(5)), LIMIT));
        outgoing.connect(1);
        let mut expired = 0;
        assert!(outgoing.poll_send(Time(6), &mut expired).is_none());
        assert_eq!(expired, 1);
        assert!(outgoing.is_idle());
    }

    #[test]
    fn an_acknowledgement_of_the_wrong_type_does_not_fit() {
        let mut outgoing = Outgoing::default();
        outgoing.connect(9);
        let one = outgoing.send(offer("1", Time::NEVER));
        assert_eq!(outgoing.pubcomp(one), Acknowledged::Misfit);
        assert_eq!(outgoing.pubrec(one), Acknowledged::Misfit);
        assert_eq!(outgoing.puback(one), Acknowledged::Fits);
        assert_eq!(outgoing.puback(one), Acknowledged::Unknown);
    }
}
