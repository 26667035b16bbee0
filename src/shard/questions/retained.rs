//! What is retained here: rows for a table, levels for a tree of topics, one message whole, and its removal.

use std::collections::BTreeMap;

use super::{Looked, Needle};
use crate::mqtt::QoS;
use crate::mqtt::property::PayloadFormat;
use crate::mqtt::publish::PublishProperties;
use crate::mqtt::topic::{is_valid_filter, parse_shared};
use crate::session::Run;
use crate::shard::Shard;
use crate::time::Time;

/// Which retained messages are asked for.
#[derive(Clone, Debug)]
pub struct RetainedQuery {
    /// A valid filter without `$share`.
    filter: Box<str>,
    /// Stands in the topic, in either case. Empty: any.
    pub text: String,
    /// Most rows of a page.
    pub most: usize,
    /// The last topic of the page before.
    pub after: Option<String>,
}

/// The text is no topic filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a topic filter: `+` stands alone between slashes, `#` alone at the end, and `$share` means nothing for what is \
     retained"
)]
pub struct NotAFilter;

impl RetainedQuery {
    /// Messages whose topics match a filter, the first hundred. As for subscribers `#` and `+/...` match no topic that
    /// begins with `$`: the broker's own are found by `$SYS/#`.
    pub fn new(filter: &str) -> Result<RetainedQuery, NotAFilter> {
        if !is_valid_filter(filter) || parse_shared(filter).is_some() {
            return Err(NotAFilter);
        }
        Ok(RetainedQuery { filter: filter.into(), text: String::new(), most: 100, after: None })
    }

    /// Which topics.
    pub fn filter(&self) -> &str {
        &self.filter
    }
}

impl Default for RetainedQuery {
    /// The first hundred of all but those that begin with `$`.
    fn default() -> RetainedQuery {
        RetainedQuery { filter: "#".into(), text: String::new(), most: 100, after: None }
    }
}

/// A retained message without its payload. The topic is from outside: escape it where it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetainedRow {
    /// The topic.
    pub topic: Box<str>,
    /// With which it was published.
    pub qos: QoS,
    /// Bytes of the payload.
    pub payload_bytes: usize,
    /// When it was published, in seconds since 1970, UTC.
    pub stored_unix_secs: u64,
    /// How long it has left; `None`: it does not expire.
    pub expires_in_secs: Option<u64>,
}

/// A page of retained messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetainedPage {
    /// In the order of their topics.
    pub rows: Vec<RetainedRow>,
    /// For the next page: everything up to this topic was looked at. `None`: this was the last one. As with clients a
    /// page may be short and not the last one.
    pub next: Option<String>,
}

/// A retained message, whole. Everything in it is from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetainedMessage {
    /// What is known without the rest.
    pub row: RetainedRow,
    /// The payload.
    pub payload: Vec<u8>,
    /// What its publisher says that it is: UTF-8 text, or nothing.
    pub payload_format: Option<PayloadFormat>,
    /// Content Type.
    pub content_type: Option<String>,
    /// Response Topic.
    pub response_topic: Option<String>,
    /// Correlation Data.
    pub correlation_data: Option<Vec<u8>>,
    /// User properties, in order.
    pub user_properties: Vec<(String, String)>,
}

/// Which level of the tree of topics is asked for.
#[derive(Clone, Debug)]
pub struct LevelQuery {
    /// Whose children: a topic and a slash behind it (`a/b/`), which a node adds if it is not there; empty: the first
    /// level.
    pub prefix: String,
    /// Most children.
    pub most: usize,
    /// The last child of the page before.
    pub after: Option<String>,
}

/// One level of the tree of topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetainedLevel {
    /// In the order of their names. On the first level `$SYS` is not among them; its own levels are there.
    pub children: Vec<LevelChild>,
    /// The last of them, if there are more: for the next page.
    pub next: Option<String>,
    /// Everything was counted. False: there are so many messages below the prefix that counting ended early.
    pub complete: bool,
}

/// A child of a level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelChild {
    /// Its name: one level, perhaps empty, without slash.
    pub name: String,
    /// Whether a message is retained for the topic that ends here.
    pub has_message: bool,
    /// How many are retained below it.
    pub below: u64,
}

/// Of a child: whether a message is retained for it, and how many below it.
pub(crate) type Children = BTreeMap<Box<str>, (bool, u64)>;
/// One of them.
pub(crate) type Child = (Box<str>, (bool, u64));

/// The broker's own topics.
const SYSTEM: &str = "$SYS/";

impl Shard {
    /// Up to `room` of the retained messages asked for, in the order of their topics, behind topic `after`. Cursor and
    /// size of the query are for whoever asks.
    pub fn retained(
        &self,
        query: &RetainedQuery,
        after: Option<&str>,
        room: usize,
    ) -> Looked<RetainedRow, Box<str>> {
        let needle = Needle::new(&query.text);
        let mut rows = Vec::new();
        let next =
            self.retained.browse(&query.filter, after, self.mesh.credit.pace.looked_at, |topic, run| {
                if run.items()[0].expires > self.now && needle.is_in(topic) {
                    rows.push(self.retained_row(run));
                }
                rows.len() < room
            });
        Looked { rows, next }
    }

    /// The children of a level, as far as the topics behind `after` tell that are looked at.
    pub(crate) fn retained_level(&self, query: &LevelQuery, after: Option<&str>) -> Looked<Child, Box<str>> {
        let prefix = &*query.prefix;
        let mut children = Children::new();
        let after = after.unwrap_or_default();
        let next =
            self.retained.browse_prefix(prefix, after, self.mesh.credit.pace.looked_at, |topic, run| {
                let rest = &topic[prefix.len()..];
                let (name, below) = rest.split_once('/').map_or((rest, 0), |(name, _)| (name, 1));
                let unasked = prefix.is_empty() && topic.starts_with(SYSTEM);
                let had = query.after.as_ref().is_some_and(|after| name <= &**after);
                if unasked || had || run.items()[0].expires <= self.now {
                    return;
                }
                if let Some(child) = children.get_mut(name) {
                    *child = (child.0 || below == 0, child.1 + below);
                } else {
                    children.insert(name.into(), (below == 0, below));
                }
            });
        Looked { rows: children.into_iter().collect(), next }
    }

    /// The message that is retained for a topic, whose home is here.
    pub fn retained_message(&self, topic: &str) -> Option<RetainedMessage> {
        let run = self.retained.value(topic).filter(|run| run.items()[0].expires > self.now)?;
        let item = &run.items()[0];
        let properties = PublishProperties { raw: run.passed_on(item), ..PublishProperties::default() };
        let user = properties.user().iter();
        Some(RetainedMessage {
            row: self.retained_row(run),
            payload: run.payload(item).to_vec(),
            payload_format: properties.payload_format(),
            content_type: properties.content_type().map(str::to_owned),
            response_topic: properties.response_topic().map(str::to_owned),
            correlation_data: properties.correlation_data().map(<[u8]>::to_vec),
            user_properties: user.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        })
    }

    /// Forgets what is retained for a topic, whose home is here. Nobody is told: to subscribers an empty message means
    /// what their publishers agreed on, and the operator publishes nothing. A replay that has not come to it leaves it
    /// out. What the broker says of itself stays. False: there was nothing.
    pub fn remove_retained(&mut self, topic: &str) -> bool {
        if topic.starts_with(SYSTEM) {
            return false;
        }
        let Some(run) = self.retained.clear(topic) else { return false };
        self.expiring.forget(&run);
        run.items()[0].expires > self.now
    }

    fn retained_row(&self, run: &Run) -> RetainedRow {
        let item = &run.items()[0];
        let left = item.expires.0.saturating_sub(self.now.0).div_ceil(1_000_000);
        RetainedRow {
            topic: run.topic().into(),
            qos: run.qos,
            payload_bytes: run.payload_bytes(item),
            stored_unix_secs: self.unix_micros(run.arrived) / 1_000_000,
            expires_in_secs: (item.expires != Time::NEVER).then_some(left),
        }
    }
}
