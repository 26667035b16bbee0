//! The channels between shards: one bounded inbox a shard, and who wakes whom.
//!
//! A shard never waits to send: what does not fit is kept, in order, and merged. Two promises make that safe without
//! any polling:
//! - **The doorbell.** A shard says "sleeping", then looks at its inbox once more; whoever puts something there looks
//!   whether it sleeps. With a fence on either side one of the two sees the other.
//! - **Wants space.** A shard that keeps something for a peer says so at the peer, then tries once more; the peer,
//!   after it has taken something, looks who wants space, takes the wish back and rings. A shard does not sleep over a
//!   wish that was taken back.
//!
//! Knows nothing of what the messages say, and no executor.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::order::Order;
use super::report::NodeCounters;
use crate::net::Envelope;
use crate::net::socket::Event;
use crate::routing::ShardId;

/// Parcels an inbox holds. Batches are as long as turns make them, so few are enough.
pub(super) const CAPACITY: usize = 256;
/// Parcels taken a turn, per shard that may send some.
const TAKEN_PER_PEER: usize = 4;

/// What lies in an inbox.
#[derive(Debug)]
pub(super) enum Parcel<M> {
    /// A turn's messages.
    Batch(ShardId, Vec<M>),
    /// A connection that comes home.
    Envelope(Envelope),
    /// From the control thread.
    Order(Order),
}

/// What others must know to wake a shard. On cache lines of its own: it is written at every sleep.
#[derive(Debug)]
#[repr(align(128))]
struct Bell {
    sleeping: AtomicBool,
    event: Arc<Event>,
    /// By shard: it keeps something for this one.
    wants_space: Vec<AtomicBool>,
}

impl Bell {
    /// Call after something was put where the sleeper looks. True: it slept and was woken.
    fn ring(&self) -> bool {
        // Pairs with the fence of `fall_asleep`: either the sleeper sees what was put, or this sees that it sleeps.
        fence(Ordering::SeqCst);
        let slept = self.sleeping.load(Ordering::Relaxed) && self.sleeping.swap(false, Ordering::AcqRel);
        if slept {
            self.event.raise();
        }
        slept
    }
}

/// One shard's side.
#[derive(Debug)]
pub(super) struct Port<M> {
    me: ShardId,
    inbox: Receiver<Parcel<M>>,
    peers: Vec<Sender<Parcel<M>>>,
    bells: Arc<Vec<Bell>>,
    /// By peer: what did not fit. Never bypassed.
    kept: Vec<VecDeque<Parcel<M>>>,
}

/// The control thread's side.
#[derive(Debug)]
pub(super) struct Switchboard<M> {
    inboxes: Vec<Sender<Parcel<M>>>,
    bells: Arc<Vec<Bell>>,
}

/// The mesh of `shards` shards.
pub(super) fn mesh<M>(shards: u16, capacity: usize) -> io::Result<(Vec<Port<M>>, Switchboard<M>)> {
    let (inboxes, outlets): (Vec<_>, Vec<_>) = (0..shards).map(|_| bounded(capacity)).unzip();
    let bells = (0..shards).map(|_| {
        let wants_space = (0..shards).map(|_| AtomicBool::new(false)).collect();
        Ok(Bell { sleeping: AtomicBool::new(false), event: Arc::new(Event::new()?), wants_space })
    });
    let bells = Arc::new(bells.collect::<io::Result<Vec<_>>>()?);
    let ports = (0..shards).zip(outlets).map(|(me, inbox)| Port {
        me: ShardId(me),
        inbox,
        peers: inboxes.clone(),
        bells: Arc::clone(&bells),
        kept: (0..shards).map(|_| VecDeque::new()).collect(),
    });
    Ok((ports.collect(), Switchboard { inboxes, bells }))
}

impl<M> Port<M> {
    pub(super) fn me(&self) -> ShardId {
        self.me
    }

    /// The other shards.
    pub(super) fn peers(&self) -> impl Iterator<Item = ShardId> + use<M> {
        let me = self.me;
        (0..self.peers.len()).map(|peer| ShardId(peer as u16)).filter(move |peer| *peer != me)
    }

    /// What wakes this shard.
    pub(super) fn event(&self) -> Arc<Event> {
        Arc::clone(&self.bells[self.me.index()].event)
    }

    /// Gives `take` what lies in the inbox, a turn's worth. Answers how much it was.
    pub(super) fn receive(&self, counters: &mut NodeCounters, mut take: impl FnMut(Parcel<M>)) -> usize {
        let mut taken = 0;
        while taken < TAKEN_PER_PEER * self.peers.len()
            && let Ok(parcel) = self.inbox.try_recv()
        {
            take(parcel);
            taken += 1;
        }
        if taken > 0 {
            self.offer_space(counters);
        }
        taken
    }

    /// Rings those who keep something for this shard: there is room now.
    fn offer_space(&self, counters: &mut NodeCounters) {
        // Pairs with the fence of `want_space`: either its second try finds the room, or this sees the wish.
        fence(Ordering::SeqCst);
        for (peer, wish) in self.bells[self.me.index()].wants_space.iter().enumerate() {
            if wish.load(Ordering::Relaxed) && wish.swap(false, Ordering::AcqRel) {
                counters.rings += u64::from(self.bells[peer].ring());
            }
        }
    }

    /// A turn's messages for `peer`.
    pub(super) fn send_batch(&mut self, peer: ShardId, messages: Vec<M>, counters: &mut NodeCounters) {
        if !messages.is_empty() {
            self.send(peer, Parcel::Batch(self.me, messages), counters);
        }
    }

    /// A connection whose client lives at `peer`.
    pub(super) fn send_envelope(&mut self, peer: ShardId, envelope: Envelope, counters: &mut NodeCounters) {
        self.send(peer, Parcel::Envelope(envelope), counters);
    }

    fn send(&mut self, peer: ShardId, parcel: Parcel<M>, counters: &mut NodeCounters) {
        let kept = &mut self.kept[peer.index()];
        match (kept.back_mut(), parcel) {
            (Some(Parcel::Batch(_, last)), Parcel::Batch(_, messages)) => last.extend(messages),
            (_, parcel) => kept.push_back(parcel),
        }
        self.send_kept(peer, counters);
    }

    /// Tries again to send what was kept, for every peer.
    pub(super) fn retry(&mut self, counters: &mut NodeCounters) {
        for peer in 0..self.kept.len() {
            if !self.kept[peer].is_empty() {
                self.send_kept(ShardId(peer as u16), counters);
            }
        }
    }

    fn send_kept(&mut self, peer: ShardId, counters: &mut NodeCounters) {
        if self.fits(peer, counters) {
            return;
        }
        counters.full += 1;
        self.bells[peer.index()].wants_space[self.me.index()].store(true, Ordering::Relaxed);
        // Pairs with the fence of `offer_space`.
        fence(Ordering::SeqCst);
        self.fits(peer, counters);
    }

    /// Sends what is kept for `peer` as far as it fits. True: everything did.
    fn fits(&mut self, peer: ShardId, counters: &mut NodeCounters) -> bool {
        while let Some(parcel) = self.kept[peer.index()].pop_front() {
            match self.peers[peer.index()].try_send(parcel) {
                Ok(()) => {
                    counters.batches += 1;
                    counters.rings += u64::from(self.bells[peer.index()].ring());
                }
                Err(TrySendError::Full(parcel)) => {
                    self.kept[peer.index()].push_front(parcel);
                    return false;
                }
                // The peer has stopped, as the whole node does.
                Err(TrySendError::Disconnected(_)) => {}
            }
        }
        true
    }

    /// From now on whoever sends something rings. The caller looks for work once more before it sleeps.
    pub(super) fn fall_asleep(&self) {
        self.bells[self.me.index()].sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Nothing has come, and nobody has room for what is kept. To be asked after `fall_asleep`.
    pub(super) fn is_quiet(&self) -> bool {
        let still_wanted =
            |peer: usize| self.bells[peer].wants_space[self.me.index()].load(Ordering::Relaxed);
        self.inbox.is_empty()
            && (0..self.kept.len()).all(|peer| self.kept[peer].is_empty() || still_wanted(peer))
    }

    /// The end of a sleep. True: somebody rang.
    pub(super) fn wake_up(&self) -> bool {
        !self.bells[self.me.index()].sleeping.swap(false, Ordering::Relaxed)
    }

    /// Is nothing kept?
    pub(super) fn has_sent_all(&self) -> bool {
        self.kept.iter().all(VecDeque::is_empty)
    }
}

impl<M> Switchboard<M> {
    /// Gives an order to a shard, waiting for room. False: the shard has ended.
    pub(super) fn order(&self, shard: ShardId, order: Order) -> bool {
        let sent = self.inboxes[shard.index()].send(Parcel::Order(order)).is_ok();
        self.bells[shard.index()].ring();
        sent
    }

    /// Every shard.
    pub(super) fn shards(&self) -> impl Iterator<Item = ShardId> + use<M> {
        (0..self.inboxes.len()).map(|shard| ShardId(shard as u16))
    }
}
