//! Who subscribes to what: rows for a table of subscriptions.

use super::{Looked, Needle, PageCursor};
use crate::mqtt::QoS;
use crate::mqtt::topic::{matches, parse_shared};
use crate::routing::ShardId;
use crate::shard::Shard;
use crate::shard::client::{Client, Subscription};

/// Which subscriptions are asked for: all that is given must hold.
#[derive(Clone, Debug)]
pub struct SubscriptionQuery {
    /// Stands in the filter as it was subscribed with, `$share` included, in either case. Empty: any.
    pub text: String,
    /// Of this client alone.
    pub client_id: Option<String>,
    /// They match messages of this topic.
    pub topic: Option<String>,
    /// Most rows of a page.
    pub most: usize,
    /// Where the page before ended.
    pub after: Option<PageCursor>,
}

impl Default for SubscriptionQuery {
    /// The first hundred.
    fn default() -> SubscriptionQuery {
        SubscriptionQuery { text: String::new(), client_id: None, topic: None, most: 100, after: None }
    }
}

/// A subscription. Texts are from outside: escape them where they are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionRow {
    /// Whose it is.
    pub client_id: Box<str>,
    /// Whether its client is connected.
    pub connected: bool,
    /// The topic filter; of a shared subscription what follows the share name.
    pub filter: Box<str>,
    /// The share name.
    pub share: Option<Box<str>>,
    /// Most that its messages are delivered with.
    pub qos: QoS,
    /// No Local.
    pub no_local: bool,
    /// Retain As Published.
    pub retain_as_published: bool,
    /// Subscription Identifier.
    pub identifier: Option<u32>,
    /// A topic access rule overlaps it: each of its messages is judged by its own topic.
    pub judged: bool,
    /// Not all of the shards that route to it have said that they do.
    pub joining: bool,
    /// The shard where its client lives.
    pub home: ShardId,
}

/// A page of subscriptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionPage {
    /// Those of a client together.
    pub rows: Vec<SubscriptionRow>,
    /// For the next page; `None`: this was the last one. As with clients a page may be short and not the last one.
    pub next: Option<PageCursor>,
}

impl Shard {
    /// Up to `room` of the subscriptions asked for, from a place (a client's and the first slot there) on. Cursor and
    /// size of the query are for whoever asks.
    pub fn subscriptions(
        &self,
        query: &SubscriptionQuery,
        from: (u32, u32),
        room: usize,
    ) -> Looked<SubscriptionRow, (u32, u32)> {
        let (mut place, mut slot) = from;
        let mut end = self.clients.places() as u32;
        if let Some(client_id) = &query.client_id {
            let Some(client) = self.clients.find(client_id) else {
                return Looked { rows: Vec::new(), next: None };
            };
            if place != client {
                (place, slot) = (client, 0);
            }
            end = client + 1;
        }
        let needle = Needle::new(&query.text);
        let (mut rows, mut looked_at) = (Vec::new(), self.mesh.credit.pace.looked_at);
        while place < end {
            let c = &self.clients[place];
            let first = c.subscriptions.partition_point(|sub| sub.slot.0 < slot);
            for sub in &c.subscriptions[first..] {
                if rows.len() == room || looked_at == 0 {
                    return Looked { rows, next: Some((place, sub.slot.0)) };
                }
                looked_at -= 1;
                let whole = self.slots.filter(sub.slot);
                let (share, filter) = match parse_shared(whole) {
                    Some(Ok(shared)) => (Some(shared.share_name), shared.filter),
                    _ => (None, whole),
                };
                if needle.is_in(whole) && query.topic.as_ref().is_none_or(|topic| matches(filter, topic)) {
                    rows.push(self.subscription_row(c, sub, share, filter));
                }
            }
            (place, slot) = (place + 1, 0);
            looked_at = looked_at.saturating_sub(1);
            if looked_at == 0 && place < end {
                return Looked { rows, next: Some((place, 0)) };
            }
        }
        Looked { rows, next: None }
    }

    fn subscription_row(
        &self,
        c: &Client,
        sub: &Subscription,
        share: Option<&str>,
        filter: &str,
    ) -> SubscriptionRow {
        SubscriptionRow {
            client_id: c.client_id.clone(),
            connected: c.conn.is_some(),
            filter: filter.into(),
            share: share.map(Into::into),
            qos: sub.flags.qos(),
            no_local: sub.flags.no_local(),
            retain_as_published: sub.flags.retain_as_published(),
            identifier: sub.id.map(std::num::NonZeroU32::get),
            judged: sub.flags.judged(),
            joining: sub.flags.joining(),
            home: self.id,
        }
    }
}
