//! Retained messages of the topics that have their home here, in topic order, and cursors that replay them in
//! slices. Knows nothing of messages (a value is the caller's), of expiry and of who subscribes.
//!
//! A cursor replays what was there when it was opened: everything put later reaches its subscriber as a live
//! message. Between two slices entries may come and go, so a cursor keeps a topic, not a place in the map.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included, Unbounded};

use crate::mqtt::topic;

#[derive(Debug)]
struct Entry<T> {
    value: T,
    /// When it was put, in the sequence of this map.
    seq: u64,
    bytes: usize,
    /// Cursors up to this number have had it before a newer message, if they had not reached it.
    passed: u64,
}

/// Values by topic name.
#[derive(Debug)]
pub struct Retained<T> {
    entries: BTreeMap<Box<str>, Entry<T>>,
    /// The latest put.
    seq: u64,
    bytes: u64,
    /// The latest cursor.
    opened: u64,
}

/// How far the replay for one new subscription has come.
#[derive(Clone, Debug)]
pub struct Cursor {
    filter: Box<str>,
    /// Only what was put up to here is replayed.
    upto: u64,
    position: Position,
    /// Cursors count up from 1 in the order of their opening.
    pub number: u64,
}

/// What some cursors would have replayed later than a live message that comes now.
#[derive(Clone, Debug)]
pub struct Overtaken<T> {
    /// The value.
    pub value: T,
    /// Cursors up to this number have had it.
    pub after: u64,
    seq: u64,
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
        Retained { entries: BTreeMap::new(), seq: 0, bytes: 0, opened: 0 }
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
        let entry = Entry { value, seq: self.seq, bytes, passed: 0 };
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
    pub fn open(&mut self, filter: &str) -> Cursor {
        self.opened += 1;
        Cursor { filter: filter.into(), upto: self.seq, position: Position::Start, number: self.opened }
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
        let Cursor { filter, upto, position, number } = cursor;
        let mut yielded = 0;
        let mut last = None;
        for (topic, entry) in self.from(filter, position) {
            if *visits == 0 || yielded == most {
                if let Some(last) = last {
                    *position = Position::After(Box::from(last));
                }
                return Progress::More;
            }
            *visits -= 1;
            last = Some(topic);
            if entry.seq <= *upto && entry.passed < *number && topic::matches(filter, topic) {
                out.push(entry.value.clone());
                yielded += 1;
            }
        }
        *position = Position::End;
        Progress::Done
    }

    /// Shows the entries that `filter` matches, in topic order, those behind topic `after`, until `show` has enough and
    /// says false, and looks at no more than `visits`. Answers the last topic looked at, if there may be more.
    pub fn browse(
        &self,
        filter: &str,
        after: Option<&str>,
        visits: usize,
        mut show: impl FnMut(&str, &T) -> bool,
    ) -> Option<Box<str>> {
        let position = after.map_or(Position::Start, |after| Position::After(after.into()));
        let matching = |topic: &str| topic::matches(filter, topic);
        look_at(self.from(filter, &position), visits, |topic, value| !matching(topic) || show(topic, value))
    }

    /// The same for the entries that begin with `prefix`, whatever they are.
    pub fn browse_prefix(
        &self,
        prefix: &str,
        after: &str,
        visits: usize,
        mut show: impl FnMut(&str, &T),
    ) -> Option<Box<str>> {
        let lower = if after < prefix { Included(prefix) } else { Excluded(after) };
        let entries =
            self.entries.range::<str, _>((lower, Unbounded)).map(|(topic, entry)| (&**topic, entry));
        let entries = entries.take_while(|(topic, _)| topic.starts_with(prefix));
        look_at(entries, visits, |topic, value| {
            show(topic, value);
            true
        })
    }

    /// To be asked before a live message for `topic` is routed, and before the message is put: the value, if there are
    /// cursors that may still have to replay it. Those opened after number `after` for which [`Cursor::is_overtaken`]
    /// get it now. Asked again, it names only cursors that have been opened since: no cursor is looked at twice for a
    /// topic, however many messages come.
    pub fn overtake(&mut self, topic: &str) -> Option<Overtaken<T>> {
        let entry = self.entries.get_mut(topic)?;
        let after = std::mem::replace(&mut entry.passed, self.opened);
        (after < self.opened).then(|| Overtaken { value: entry.value.clone(), after, seq: entry.seq })
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

impl Cursor {
    /// Whether this cursor would have replayed what is overtaken, and has not reached it.
    pub fn is_overtaken<T>(&self, topic: &str, overtaken: &Overtaken<T>) -> bool {
        let ahead = match &self.position {
            Position::Start => true,
            Position::After(last) => **last < *topic,
            Position::End => false,
        };
        ahead
            && self.number > overtaken.after
            && overtaken.seq <= self.upto
            && topic::matches(&self.filter, topic)
    }
}

/// Shows entries until `show` says false, and no more than `visits`. Answers the last one, if there are more.
fn look_at<'a, T: 'a>(
    entries: impl Iterator<Item = (&'a str, &'a Entry<T>)>,
    visits: usize,
    mut show: impl FnMut(&str, &T) -> bool,
) -> Option<Box<str>> {
    let (mut last, mut left) = (None, visits);
    for (topic, entry) in entries {
        if left == 0 {
            return last.map(Box::from);
        }
        left = if show(topic, &entry.value) { left - 1 } else { 0 };
        last = Some(topic);
    }
    None
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
