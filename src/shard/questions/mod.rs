//! What whoever runs the broker asks of a shard: pages of what it holds. Each call looks at a bounded number of entries
//! ([`Pace::looked_at`](super::Pace)) and says where it stopped; whoever asks goes on from there in another turn.
//!
//! Nothing here changes anything, but for what the operator may do to a client and to a retained message. Who asks, and
//! how pages of several shards become one, is not known here.

pub mod clients;
pub mod kick;
pub mod retained;
pub mod subscriptions;

use std::fmt;
use std::str::FromStr;

/// A part of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked<Row, Place> {
    /// What was found.
    pub rows: Vec<Row>,
    /// Where to go on; `None`: this was the last of it.
    pub next: Option<Place>,
}

/// Text that is looked for in names: anywhere in them, upper and lower case alike.
#[derive(Clone, Debug)]
pub(super) struct Needle<'a> {
    text: &'a str,
    lower: String,
}

impl<'a> Needle<'a> {
    pub(super) fn new(text: &'a str) -> Needle<'a> {
        Needle { text, lower: text.to_lowercase() }
    }

    /// Whether it stands in `name`. Nothing to look for stands everywhere.
    pub(super) fn is_in(&self, name: &str) -> bool {
        let needle = self.lower.as_bytes();
        if needle.is_empty() || name.contains(self.text) {
            return true;
        }
        if name.is_ascii() {
            return name.as_bytes().windows(needle.len()).any(|part| part.eq_ignore_ascii_case(needle));
        }
        name.to_lowercase().contains(&self.lower)
    }
}

/// Where a page of clients or subscriptions ended, to go on from there. Whoever stays meanwhile is met exactly once; who
/// comes or goes meanwhile may be met or not. Opaque: written and read as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageCursor {
    /// The shard to ask first.
    pub(crate) shard: u16,
    /// Its first place to look at.
    pub(crate) place: u32,
    /// And the first slot there.
    pub(crate) slot: u32,
}

impl fmt::Display for PageCursor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}-{}", self.shard, self.place, self.slot)
    }
}

/// The text is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor: give the one that came with the page before, or none for the first page")]
pub struct NotACursor;

impl FromStr for PageCursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<PageCursor, NotACursor> {
        let mut numbers = text.split('-');
        let mut next = || numbers.next().ok_or(NotACursor);
        let shard = next()?.parse().map_err(|_| NotACursor)?;
        let (place, slot) = (next()?, next()?);
        let number = |text: &str| text.parse::<u32>().map_err(|_| NotACursor);
        let cursor = PageCursor { shard, place: number(place)?, slot: number(slot)? };
        if numbers.next().is_none() { Ok(cursor) } else { Err(NotACursor) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_found_in_either_case() {
        for (text, name, found) in [
            ("", "", true),
            ("", "any", true),
            ("Sensor", "my-sensor-1", true),
            ("sensor", "MY-SENSOR-1", true),
            ("sensors", "my-sensor-1", false),
            ("GERÄT", "ein gerät", true),
            ("ä", "a", false),
            ("longer than it", "short", false),
        ] {
            assert_eq!(Needle::new(text).is_in(name), found, "{text:?} in {name:?}");
        }
    }

    #[test]
    fn a_cursor_is_text_and_back() {
        let cursor = PageCursor { shard: 3, place: 70_000, slot: 9 };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "1", "1-2", "1-2-3-4", "a-b-c", "1-2--3", "99999-0-0", "1-2-99999999999"] {
            assert_eq!(text.parse::<PageCursor>(), Err(NotACursor), "{text}");
        }
    }
}
