//! Which retained message a topic can hold. Its home decides the order; with several publishers every order that is
//! consistent with what was seen is accepted.

use tidemq::mqtt::QoS;
use tidemq::mqtt::subscribe::RetainHandling;

use super::{Oracle, Post};
use crate::history::{ClientNo, Delivery, Fault, MessageNo, Moment, Stamp};

/// What a fresh subscriber may find on a topic.
#[derive(Debug)]
pub struct Retained {
    pub candidates: Vec<MessageNo>,
    pub may_be_none: bool,
}

impl Post {
    /// The topic's home took it, certainly.
    fn is_definite(&self) -> bool {
        self.acked.is_some_and(|(_, code)| code < 0x80) || !self.live_at.is_empty()
    }

    /// The home took it (the last time, if it was repeated) not before.
    fn earliest(&self) -> Stamp {
        let send = if self.message.qos == QoS::AtLeastOnce { self.sends.last() } else { self.sends.first() };
        send.map_or(Stamp::MAX, |send| send.at.stamp)
    }

    /// The home took it (the last time) not after.
    fn latest(&self) -> Stamp {
        let acked = self.acked.map(|(stamp, _)| stamp).filter(|_| !self.message.is_will);
        acked.or(self.settled).unwrap_or(Stamp::MAX)
    }

    /// Was `self` certainly taken before `other`? `raced`: their connections may have been read the other way
    /// round.
    fn is_before(&self, other: &Post, raced: bool) -> bool {
        let same = self.message.publisher == other.message.publisher && !raced;
        let own = same && !self.message.is_will && !other.message.is_will;
        let last = self.sends.last().map_or(Stamp::MAX, |send| send.at.stamp);
        self.latest() < other.earliest() || (own && last < other.earliest())
    }
}

impl Oracle {
    fn posts_on<'a>(&'a self, topic: &'a str) -> impl Iterator<Item = (MessageNo, &'a Post)> {
        let all = self.posts.iter().enumerate().map(|(index, post)| (MessageNo(index), post));
        all.filter(move |(_, post)| post.message.topic == topic && !post.sends.is_empty())
    }

    fn retained_posts<'a>(&'a self, topic: &'a str) -> impl Iterator<Item = (MessageNo, &'a Post)> {
        self.posts_on(topic).filter(|(_, post)| post.message.retain)
    }

    /// Had another message certainly taken its place before `by`?
    fn is_replaced(&self, no: MessageNo, by: Stamp) -> bool {
        let post = &self.posts[no.0];
        self.retained_posts(&post.message.topic).any(|(other, replacement)| {
            other != no
                && replacement.is_definite()
                && post.is_before(replacement, self.raced(other, no))
                && replacement.latest() < by
        })
    }

    /// What a subscriber that comes now, everything having settled, may find.
    pub fn retained(&self, topic: &str) -> Retained {
        let mut candidates = Vec::new();
        let mut may_be_none = !self.retained_posts(topic).any(|(_, post)| post.is_definite());
        for (no, post) in self.retained_posts(topic).filter(|(no, _)| !self.is_replaced(*no, Stamp::MAX)) {
            may_be_none |= post.message.empty || post.message.expiry_secs.is_some();
            if !post.message.empty {
                candidates.push(no);
            }
        }
        Retained { candidates, may_be_none }
    }

    /// How many replays of a message the subscriptions of a session allow.
    pub(super) fn replays_allowed(&self, client: ClientNo, no: MessageNo, epoch: u32) -> u32 {
        let post = &self.posts[no.0];
        if !post.message.retain {
            return 0;
        }
        let view = &self.clients[client.0];
        let asked = view.possible(epoch, &post.message.topic, 0);
        asked.filter(|g| g.options.retain_handling != RetainHandling::DoNotSend).count() as u32
    }

    pub(super) fn check_replay(
        &self,
        at: Moment,
        client: ClientNo,
        no: MessageNo,
        d: &Delivery,
        epoch: u32,
    ) -> Result<(), Fault> {
        let fault = |rule, text: String| Err(Fault::of(rule, client, format!("{no:?}: {text} ({d:?})")));
        let view = &self.clients[client.0];
        let asked: Vec<_> = view
            .possible(epoch, &d.topic, 0)
            .filter(|g| g.options.retain_handling != RetainHandling::DoNotSend)
            .collect();
        let Some(first) = asked.iter().map(|g| g.sent).min() else { return Ok(()) };
        if self.is_replaced(no, first) {
            return fault(
                "a retained message that had been replaced",
                format!("subscribed at {first}, now {}", at.stamp),
            );
        }
        let all = view.possible(epoch, &d.topic, 0).count();
        let newer = |(other, post): &(MessageNo, &Post)| {
            let seen = post.live_at.get(&client);
            // Another QoS may come first: it does not wait for the window.
            self.posts[no.0].is_before(post, self.raced(*other, no))
                && seen.is_some_and(|(stamp, qos)| *stamp > first && *qos == d.qos)
        };
        if let (1, false, Some((_, post))) = (all, d.dup, self.posts_on(&d.topic).find(newer)) {
            let text = format!("{} sends, seen at {:?}", post.sends.len(), post.live_at.get(&client));
            return fault("a retained message after a newer live one", text);
        }
        Ok(())
    }
}
