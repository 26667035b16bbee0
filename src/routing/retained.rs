//! Retained messages of the topics that have their home here, in topic order, and cursors that replay them in
//! slices. Knows nothing of messages (a value is the caller's), of expiry and of who subscribes.
//!
//! A cursor replays what was there when it was opened: everything put later reaches its subscriber as a live
//! message. Between two slices entries may come and go, so a cursor keeps a topic, not a place in the map.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Included, Unbounded};

use crate::mqtt::topic;

#[derive(Debug)]
struct Entry<T> {
    value: T,
    /// When it was put, in the sequence of this map.
    seq: u64,
    bytes: usize,
}

/// Values by topic name.
#[derive(Debug)]
pub struct Retained<T> {
    entries: BTreeMap<Box<str>, Entry<T>>,
    /// The latest put.
    seq: u64,
    bytes: u64,
}

/// How far the replay for one new subscription has come.
#[derive(Clone, Debug)]
pub struct Cursor {
    filter: Box<str>,
    /// Only what was put up to here is replayed.
    upto: u64,
    position: Position,
    /// Topics after the position that were yielded already.
    overtaken: BTreeSet<Box<str>>,
}

#[derive(Clone, Debug)]
enum Position {
    Start,
    /// This topic and those before it are done.
    After(Box<str>),
    End,
}

/// Is a replay complete?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Call again.
    More,
    /// Nothing will come any more.
    Done,
}

impl<T> Default for Retained<T> {
    fn default() -> Self {
        Retained { entries: BTreeMap::new(), seq: 0, bytes: 0 }
    }
}

impl<T: Clone> Retained<T> {
    /// Nothing retained.
    pub fn new() -> Self {
        Self::default()
    }

    /// Retains `value` for `topic` and returns what it replaces. `bytes` is what it counts for in [`Self::bytes`].
    pub fn put(&mut self, topic: &str, value: T, bytes: usize) -> Option<T> {
        self.seq += 1;
        self.bytes += bytes as u64;
        let entry = Entry { value, seq: self.seq, bytes };
        let old = match self.entries.get_mut(topic) {
            Some(old) => std::mem::replace(old, entry),
            None => {
                self.entries.insert(topic.into(), entry);
                return None;
            }
        };
        self.bytes -= old.bytes as u64;
        Some(old.value)
    }

    /// Retains nothing for `topic` any more and returns what was `[MQTT-3.3.1-6]`.
    pub fn clear(&mut self, topic: &str) -> Option<T> {
        let old = self.entries.remove(topic)?;
        self.bytes -= old.bytes as u64;
        Some(old.value)
    }

    /// What is retained for `topic`.
    pub fn value(&self, topic: &str) -> Option<&T> {
        self.entries.get(topic).map(|e| &e.value)
    }

    /// How many topics have a value.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// No topic has a value.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Sum of what the values count for.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Begins the replay of what is retained now for the topics that `filter` matches. The filter is valid and
    /// without `$share`.
    pub fn open(&self, filter: &str) -> Cursor {
        Cursor {
            filter: filter.into(),
            upto: self.seq,
            position: Position::Start,
            overtaken: BTreeSet::new(),
        }
    }

    /// Appends up to `most` further values to `out`, in topic order, and looks at no more than `visits` entries,
    /// which it counts down.
    pub fn advance(
        &self,
        cursor: &mut Cursor,
        visits: &mut usize,
        most: usize,
        out: &mut Vec<T>,
    ) -> Progress {
        let Cursor { filter, upto, position, overtaken } = cursor;
        let mut yielded = 0;
        let mut last = None;
        for (topic, entry) in self.from(filter, position) {
            if *visits == 0 || yielded == most {
                if let Some(last) = last {
                    *position = Position::After(Box::from(last));
                    *overtaken = overtaken.split_off::<str>(last);
                    overtaken.remove::<str>(last);
                }
                return Progress::More;
            }
            *visits -= 1;
            last = Some(topic);
            if entry.seq <= *upto && topic::matches(filter, topic) && !overtaken.contains(topic) {
                out.push(entry.value.clone());
                yielded += 1;
            }
        }
        *position = Position::End;
        *overtaken = BTreeSet::new();
        Progress::Done
    }

    /// To be asked before a live message for `topic` is routed to the cursor's subscriber, and before the message
    /// is put: the value that the cursor would have replayed later than the live message, to be delivered now.
    /// It is yielded this once.
    pub fn overtake(&self, cursor: &mut Cursor, topic: &str) -> Option<T> {
        match &cursor.position {
            Position::Start => {}
            Position::After(last) if **last < *topic => {}
            Position::After(_) | Position::End => return None,
        }
        let entry = self.entries.get(topic)?;
        if entry.seq > cursor.upto
            || cursor.overtaken.contains(topic)
            || !topic::matches(&cursor.filter, topic)
        {
            return None;
        }
        cursor.overtaken.insert(topic.into());
        Some(entry.value.clone())
    }

    /// The entries after `position` among which are all those that `filter` matches, in topic order.
    fn from<'a>(
        &'a self,
        filter: &'a str,
        position: &Position,
    ) -> impl Iterator<Item = (&'a str, &'a Entry<T>)> + use<'a, T> {
        let span = Span::of(filter);
        let after = match position {
            Position::Start => Some(""),
            Position::After(last) => Some(&**last),
            Position::End => None,
        };
        let whole = after
            .and_then(|after| span.whole.filter(|whole| after < *whole))
            .and_then(|whole| self.entries.get_key_value(whole));
        let below = after.zip(span.prefix).map(|(after, prefix)| {
            let lower = if after < prefix { Included(prefix) } else { Excluded(after) };
            // [MQTT-4.7.2-1]: topics that begin with `$` stand together, and `%` is the next character.
            let (upper, rest) =
                if prefix.is_empty() && after < "$" { (Excluded("$"), Some("%")) } else { (Unbounded, None) };
            let rest = rest.map(|rest| self.entries.range::<str, _>((Included(rest), Unbounded)));
            let first = self.entries.range::<str, _>((lower, upper));
            first.chain(rest.into_iter().flatten()).take_while(move |(topic, _)| topic.starts_with(prefix))
        });
        whole.into_iter().chain(below.into_iter().flatten()).map(|(topic, entry)| (&**topic, entry))
    }
}

/// Where a filter's topics stand in topic order.
struct Span<'a> {
    /// One topic of its own: the filter itself if it is plain, and `a/b` for `a/b/#`. Other topics (`a/b!`) stand
    /// between it and those with the prefix.
    whole: Option<&'a str>,
    /// What all others begin with.
    prefix: Option<&'a str>,
}

impl Span<'_> {
    fn of(filter: &str) -> Span<'_> {
        let Some(wildcard) = filter.find(['+', '#']) else {
            return Span { whole: Some(filter), prefix: None };
        };
        let prefix = &filter[..wildcard];
        let whole = if filter[wildcard..].starts_with('#') { prefix.strip_suffix('/') } else { None };
        Span { whole, prefix: Some(prefix) }
    }
}

#[cfg(test)]
#[path = "retained_tests.rs"]
mod tests;
