//! Topic aliases of one connection `[MQTT-3.3.2-7]`: those that its client introduced, and those that we introduced to
//! it. A connection that uses none holds neither table. What a packet does with an alias is not known here.

use std::num::NonZeroU16;

use crate::mqtt::Violation;

/// How a PUBLISH to a client says its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// By its name.
    Name,
    /// By its name and an alias that may stand for it from then on.
    Introduce(NonZeroU16),
    /// By its alias alone.
    Alias(NonZeroU16),
}

/// What the client's aliases stand for.
#[derive(Debug, Default)]
pub(super) struct Introduced {
    /// Alias n at n - 1; empty: not introduced.
    topics: Vec<Box<str>>,
}

impl Introduced {
    /// The topic of a PUBLISH with an alias that is within what we announced. A name that is not empty is what the
    /// alias stands for from now on `[MQTT-3.3.2-12]`.
    pub(super) fn resolve(&mut self, alias: NonZeroU16, name: &str) -> Result<&str, Violation> {
        let at = usize::from(alias.get()) - 1;
        if name.is_empty() {
            let known = self.topics.get(at).filter(|topic| !topic.is_empty());
            return known.map(|topic| &**topic).ok_or(Violation::TopicAliasUnknown);
        }
        if self.topics.len() <= at {
            self.topics.resize_with(at + 1, Box::default);
        }
        if *self.topics[at] != *name {
            self.topics[at] = name.into();
        }
        Ok(&self.topics[at])
    }

    /// The topic of an alias, if it was introduced.
    pub(super) fn topic(&self, alias: NonZeroU16) -> Option<&str> {
        self.topics.get(usize::from(alias.get()) - 1).map(|topic| &**topic)
    }
}

/// The aliases that we introduced to a client: the first topics delivered on its connection have them until it ends.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// Keyed hashes of `topics`, so that a look-up reads little memory.
    hashes: Vec<u64>,
    /// Alias n at n - 1.
    topics: Vec<Box<str>>,
}

impl Given {
    /// A topic of so few bytes is shorter than an alias.
    const SHORT: usize = 3;

    /// How the next PUBLISH says `topic`, with at most `maximum` aliases.
    pub(super) fn naming(&self, topic: &str, hash: u64, maximum: u16) -> Naming {
        let known = self.hashes.iter().zip(&self.topics).position(|(h, t)| *h == hash && **t == *topic);
        let next = self.topics.len();
        let alias = |at: usize| u16::try_from(at + 1).ok().and_then(NonZeroU16::new);
        match known {
            Some(at) => alias(at).map_or(Naming::Name, Naming::Alias),
            None if next >= usize::from(maximum) || topic.len() <= Given::SHORT => Naming::Name,
            None => alias(next).map_or(Naming::Name, Naming::Introduce),
        }
    }

    /// The topic of an alias, if it was introduced.
    pub(super) fn topic(&self, alias: NonZeroU16) -> Option<&str> {
        self.topics.get(usize::from(alias.get()) - 1).map(|topic| &**topic)
    }

    /// A PUBLISH that introduces the next alias is on its way, and cannot be lost while the connection lasts.
    pub(super) fn introduced(&mut self, topic: &str, hash: u64) {
        self.hashes.push(hash);
        self.topics.push(topic.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alias(n: u16) -> NonZeroU16 {
        NonZeroU16::new(n).expect("not zero")
    }

    #[test]
    fn an_alias_stands_for_the_last_name_that_came_with_it() {
        let mut introduced = Introduced::default();
        assert_eq!(introduced.resolve(alias(3), ""), Err(Violation::TopicAliasUnknown));
        assert_eq!(introduced.resolve(alias(3), "three"), Ok("three"));
        assert_eq!(introduced.resolve(alias(2), ""), Err(Violation::TopicAliasUnknown));
        assert_eq!(introduced.resolve(alias(3), ""), Ok("three"));
        assert_eq!(introduced.resolve(alias(3), "drei"), Ok("drei"));
        assert_eq!(introduced.resolve(alias(3), ""), Ok("drei"));
    }

    #[test]
    fn the_first_topics_have_aliases_and_keep_them() {
        let mut given = Given::default();
        for topic in ["one/", "two/"] {
            assert!(matches!(given.naming(topic, 7, 2), Naming::Introduce(_)));
            given.introduced(topic, 7); // the same hash: told apart by the name
        }
        assert_eq!(given.naming("one/", 7, 2), Naming::Alias(alias(1)));
        assert_eq!(given.naming("two/", 7, 2), Naming::Alias(alias(2)));
        assert_eq!(given.naming("three", 8, 2), Naming::Name, "there are no more");
        assert_eq!(Given::default().naming("abc", 9, 2), Naming::Name, "an alias would be no shorter");
    }
}
