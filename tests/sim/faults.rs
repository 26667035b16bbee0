//! Faults that are put between the shards, and between a shard and its clients, to show that they are found: each
//! breaks one rule of the mesh or of the wire, as a broken shard would. There is no switch in the product for this.

use tidemq::shard::Message;

use crate::history::SocketNo;
use crate::net::{Item, Net};
use crate::rng::Rng;

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// A message between shards of this kind is lost.
    Lose(&'static str),
    /// Two messages of one channel change places, the first of them of this kind.
    Swap(&'static str),
    /// A message of this kind is held back until later ones of its channel have passed.
    Delay(&'static str),
    /// DUP is missing from what is repeated.
    ForgetDup,
    /// RETAIN is set on what is live, or missing from what is not.
    FlipRetain,
    /// A byte of a payload is another.
    Alter,
}

/// Breaks a rule now and then.
pub struct Saboteur {
    sabotage: Sabotage,
    rng: Rng,
    /// It strikes in so many of a hundred cases.
    percent: usize,
}

impl Saboteur {
    /// A saboteur with a stream of its own.
    pub fn new(sabotage: Sabotage, percent: usize, seed: u64) -> Saboteur {
        Saboteur { sabotage, rng: Rng::salted(seed, "saboteur"), percent }
    }

    /// Looks at what is on its way.
    ///
    /// `aligned`: connections whose unread bytes begin with a packet.
    pub fn tamper(&mut self, net: &mut Net, aligned: &[SocketNo]) {
        match self.sabotage {
            Sabotage::Lose(kind) => self.on_links(net, kind, |queue, at| {
                queue.remove(at);
            }),
            Sabotage::Swap(kind) => self.on_links(net, kind, |queue, at| {
                if at + 1 < queue.len() {
                    queue.swap(at, at + 1);
                }
            }),
            Sabotage::Delay(kind) => self.on_links(net, kind, |queue, at| {
                if let Some(item) = queue.remove(at) {
                    queue.push_back(item);
                }
            }),
            Sabotage::ForgetDup => self.on_publishes(net, aligned, |first, _| *first &= !0x08),
            Sabotage::FlipRetain => self.on_publishes(net, aligned, |first, _| *first ^= 0x01),
            Sabotage::Alter => self.on_publishes(net, aligned, |_, last| *last ^= 0x01),
        }
    }

    fn on_links(
        &mut self,
        net: &mut Net,
        kind: &str,
        strike: impl Fn(&mut std::collections::VecDeque<Item>, usize),
    ) {
        for link in net.links.iter_mut().flatten() {
            let found = link.queue.iter().position(|item| is_of_kind(item, kind));
            if let Some(at) = found
                && self.rng.percent(self.percent)
            {
                strike(&mut link.queue, at);
            }
        }
    }

    /// `strike` gets the first and the last byte of a PUBLISH that a client has yet to read.
    fn on_publishes(&mut self, net: &mut Net, aligned: &[SocketNo], strike: impl Fn(&mut u8, &mut u8)) {
        for no in aligned {
            let socket = net.socket(*no);
            for (first, last) in socket.unread_publishes() {
                if self.rng.percent(self.percent) {
                    let (mut a, mut b) = (socket.down[first], socket.down[last]);
                    strike(&mut a, &mut b);
                    (socket.down[first], socket.down[last]) = (a, b);
                }
            }
        }
    }
}

fn is_of_kind(item: &Item, kind: &str) -> bool {
    match item {
        Item::Message(message) => kind_of(message) == kind,
        Item::Connection(_) => false,
    }
}

/// A message's kind, by the name it shows: shards do not let others look into it.
fn kind_of(message: &Message) -> String {
    let shown = format!("{message:?}");
    shown.trim_start_matches("Message(").split([' ', '{']).next().unwrap_or_default().to_owned()
}
