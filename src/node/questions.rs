//! What whoever runs the broker asks of all shards: pages, made of the parts that single shards give turn by turn. A
//! shard is never held up by a question; an answer takes a few tens of milliseconds at most, however much there is.
//!
//! Knows nothing of how the answers are shown.

use super::Node;
use crate::policy::Thumbprint;
use crate::routing::ShardId;
use crate::shard::questions::retained::{Child, Children};
use crate::shard::{
    CERTIFICATES_ASKED, ClientPage, ClientQuery, ClientRow, KickWhat, LevelChild, LevelQuery, Looked,
    Measure, PageCursor, RetainedLevel, RetainedMessage, RetainedPage, RetainedQuery, RetainedRow, RuleHits,
    SubscriptionPage, SubscriptionQuery, SubscriptionRow,
};

/// Most rows of a page.
pub const PAGE_ROWS: usize = 1_000;
/// Parts that shards are asked for before a page ends as it is: a million entries are looked at by then.
const PARTS: usize = 256;

/// A client with all that it subscribes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientDetail {
    /// Who it is and what it has.
    pub row: ClientRow,
    /// Its subscriptions.
    pub subscriptions: Vec<SubscriptionRow>,
}

impl Node {
    /// A page of clients. At most [`PAGE_ROWS`] rows, whatever the query says.
    pub fn clients(&self, query: &ClientQuery) -> ClientPage {
        let start = query.after.map_or((0, 0, 0), |after| (after.shard, after.place, 0));
        let (rows, next) = self.walk(start, query.most, |shard, (place, _), room| {
            let query = query.clone();
            let looked = self.ask_one(shard, move |shard| shard.clients(&query, place, room))?;
            Some(Looked { rows: looked.rows, next: looked.next.map(|place| (place, 0)) })
        });
        ClientPage { rows, next }
    }

    /// The clients with the most of something, in descending order; those that have none are left out.
    pub fn top_clients(&self, by: Measure, most: usize) -> Vec<ClientRow> {
        let most = most.min(PAGE_ROWS);
        let mut top: Vec<ClientRow> = Vec::new();
        for shard in self.shard_ids() {
            let mut from = Some(0);
            while let Some(place) = from {
                let looked = self.ask_one(shard, move |shard| shard.top_clients(by, most, place));
                let Some(looked) = looked else { break };
                top.extend(looked.rows);
                top.sort_by_key(|row| std::cmp::Reverse(row.measure(by)));
                top.truncate(most);
                from = looked.next;
            }
        }
        top
    }

    /// One client, whole. `None`: there is no session under this identifier.
    pub fn client(&self, client_id: &str) -> Option<ClientDetail> {
        let home = self.home_of(client_id);
        let wanted = client_id.to_owned();
        let row = self.ask_one(home, move |shard| shard.client(&wanted))??;
        let mut query = SubscriptionQuery {
            client_id: Some(client_id.to_owned()),
            most: PAGE_ROWS,
            ..SubscriptionQuery::default()
        };
        let mut subscriptions = Vec::new();
        loop {
            let page = self.subscriptions(&query);
            subscriptions.extend(page.rows);
            query.after = page.next;
            if query.after.is_none() {
                return Some(ClientDetail { row, subscriptions });
            }
        }
    }

    /// How often each topic rule has decided.
    pub fn rule_hits(&self) -> RuleHits {
        let of_shard = |shard| self.ask_one(shard, |shard| shard.rule_hits());
        self.shard_ids().filter_map(of_shard).reduce(RuleHits::with).unwrap_or_default()
    }

    /// How many connections present each of these certificates.
    pub fn online(&self, certificates: &[Thumbprint]) -> Vec<u64> {
        let mut online = vec![0; certificates.len()];
        for (asked, counts) in
            certificates.chunks(CERTIFICATES_ASKED).zip(online.chunks_mut(CERTIFICATES_ASKED))
        {
            for shard in self.shard_ids() {
                let asked = asked.to_vec();
                let found = self.ask_one(shard, move |shard| shard.online(&asked)).unwrap_or_default();
                counts
                    .iter_mut()
                    .zip(found)
                    .for_each(|(count, more): (&mut u64, u32)| *count += u64::from(more));
            }
        }
        online
    }

    /// Takes its connection, or its session as well, from a client. False: it had none.
    pub fn kick(&self, client_id: &str, what: KickWhat) -> bool {
        let wanted = client_id.to_owned();
        self.ask_one(self.home_of(client_id), move |shard| shard.kick(&wanted, what)).unwrap_or(false)
    }

    /// A page of subscriptions. At most [`PAGE_ROWS`] rows, whatever the query says.
    pub fn subscriptions(&self, query: &SubscriptionQuery) -> SubscriptionPage {
        let home = query.client_id.as_ref().map(|client_id| self.home_of(client_id));
        let start = query.after.map_or((0, 0, 0), |after| (after.shard, after.place, after.slot));
        let (rows, next) = self.walk(start, query.most, |shard, from, room| {
            if home.is_some_and(|home| home != shard) {
                return Some(Looked { rows: Vec::new(), next: None });
            }
            let query = query.clone();
            self.ask_one(shard, move |shard| shard.subscriptions(&query, from, room))
        });
        SubscriptionPage { rows, next }
    }

    /// A page of retained messages, in the order of their topics. At most [`PAGE_ROWS`] rows, whatever the query says.
    pub fn retained(&self, query: &RetainedQuery) -> RetainedPage {
        let most = query.most.clamp(1, PAGE_ROWS);
        let mut rows: Vec<RetainedRow> = Vec::new();
        // Up to here every shard has been looked at; `None`: to the end.
        let mut sure: Option<Box<str>> = None;
        let parts = PARTS.div_ceil(self.shard_ids().len());
        for shard in self.shard_ids() {
            let mut after: Option<Box<str>> = query.after.as_deref().map(Into::into);
            let (mut found, mut part) = (0, 0);
            let stopped = loop {
                let (query, from, room) = (query.clone(), after.take(), most - found);
                let looked = self.ask_one(shard, move |shard| shard.retained(&query, from.as_deref(), room));
                let Some(looked) = looked else { break None };
                found += looked.rows.len();
                part += 1;
                rows.extend(looked.rows);
                after = looked.next;
                if after.is_none() || found >= most || part >= parts {
                    break after;
                }
            };
            if let Some(stopped) = stopped
                && sure.as_ref().is_none_or(|sure| stopped < *sure)
            {
                sure = Some(stopped);
            }
        }
        if let Some(sure) = &sure {
            rows.retain(|row| row.topic <= *sure);
        }
        rows.sort_by(|a, b| a.topic.cmp(&b.topic));
        let cut = rows.len() > most;
        rows.truncate(most);
        let last = rows.last().filter(|_| cut).map(|row| row.topic.clone());
        RetainedPage { next: last.or(sure).map(String::from), rows }
    }

    /// One level of the tree of topics with retained messages.
    pub fn retained_level(&self, query: &LevelQuery) -> RetainedLevel {
        let most = query.most.clamp(1, PAGE_ROWS);
        let mut query = query.clone();
        if !query.prefix.is_empty() && !query.prefix.ends_with('/') {
            query.prefix.push('/');
        }
        let mut children = Children::new();
        let (mut more, mut complete) = (false, true);
        let parts = PARTS.div_ceil(self.shard_ids().len());
        for shard in self.shard_ids() {
            let mut after: Option<Box<str>> = None;
            for part in 0.. {
                if part == parts {
                    complete = false;
                    break;
                }
                let (query, from) = (query.clone(), after.take());
                let looked = self.ask_one(shard, move |shard| shard.retained_level(&query, from.as_deref()));
                let Some(looked) = looked else { break };
                more |= add(&mut children, looked.rows, most);
                after = looked.next;
                if after.is_none() {
                    break;
                }
            }
        }
        let next = children.last_key_value().filter(|_| more).map(|(name, _)| String::from(&**name));
        let child =
            |(name, (has_message, below))| LevelChild { name: String::from(name), has_message, below };
        RetainedLevel { children: children.into_iter().map(child).collect(), next, complete }
    }

    /// The message that is retained for a topic.
    pub fn retained_message(&self, topic: &str) -> Option<RetainedMessage> {
        let wanted = topic.to_owned();
        self.ask_one(self.home_of(topic), move |shard| shard.retained_message(&wanted))?
    }

    /// Forgets what is retained for a topic, without a word to its subscribers. What the broker says of itself stays.
    /// False: there was nothing.
    pub fn remove_retained(&self, topic: &str) -> bool {
        let wanted = topic.to_owned();
        self.ask_one(self.home_of(topic), move |shard| shard.remove_retained(&wanted)).unwrap_or(false)
    }

    /// Asks shard after shard for parts until there are `most` rows, or all was looked at, or a lot was. `start` and
    /// the places that a part ends with are places of a shard.
    fn walk<Row>(
        &self,
        start: (u16, u32, u32),
        most: usize,
        ask: impl Fn(ShardId, (u32, u32), usize) -> Option<Looked<Row, (u32, u32)>>,
    ) -> (Vec<Row>, Option<PageCursor>) {
        let most = most.clamp(1, PAGE_ROWS);
        let (mut shard, mut place, mut slot) = start;
        let mut rows = Vec::new();
        let mut parts = 0;
        while usize::from(shard) < self.shard_ids().len() {
            if rows.len() >= most || parts == PARTS {
                return (rows, Some(PageCursor { shard, place, slot }));
            }
            let looked = ask(ShardId(shard), (place, slot), most - rows.len());
            let Looked { rows: found, next } = looked.unwrap_or(Looked { rows: Vec::new(), next: None });
            rows.extend(found);
            parts += 1;
            match next {
                Some(next) => (place, slot) = next,
                None => (shard, place, slot) = (shard + 1, 0, 0),
            }
        }
        (rows, None)
    }
}

/// Adds a shard's children to those of the others, of which the first `most` are kept. True: some were not.
fn add(all: &mut Children, rows: Vec<Child>, most: usize) -> bool {
    let mut more = false;
    for (name, (has_message, below)) in rows {
        let child = all.entry(name).or_insert((false, 0));
        *child = (child.0 || has_message, child.1 + below);
        if all.len() > most {
            all.pop_last();
            more = true;
        }
    }
    more
}
