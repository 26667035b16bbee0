//! A rule's topic, level by level: which names it matches, which filters it covers or overlaps. Knows no clients but
//! for the name that stands for `{%client%}`.

use super::rule::TopicMatch;
use crate::mqtt::topic::level_count;

/// The only placeholder.
pub(super) const PLACEHOLDER: &str = "{%client%}";

/// Whether a client's name may stand for the placeholder: as data, it must not become topic syntax.
pub(super) fn is_name_usable(name: &str) -> bool {
    let is_syntax = |c: char| matches!(c, '/' | '+' | '#') || c.is_control();
    !name.is_empty() && !name.starts_with('$') && !name.contains(is_syntax)
}

/// A level of a rule's topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Level {
    /// `+`
    Plus,
    /// `#`, always the last.
    Hash,
    /// Itself.
    Literal(Box<str>),
    /// What stands around the placeholders, which are one fewer: `dev-{%client%}` is `dev-` and nothing.
    Client(Box<[Box<str>]>),
}

impl Level {
    fn new(text: &str) -> Level {
        match text {
            "+" => Level::Plus,
            "#" => Level::Hash,
            _ if text.contains(PLACEHOLDER) => {
                Level::Client(text.split(PLACEHOLDER).map(Box::from).collect())
            }
            _ => Level::Literal(text.into()),
        }
    }

    /// Begins with `$`, whatever the client.
    pub(super) fn is_dollar(&self) -> bool {
        match self {
            Level::Plus | Level::Hash => false,
            Level::Literal(text) => text.starts_with('$'),
            Level::Client(pieces) => pieces[0].starts_with('$'),
        }
    }

    fn is_wild(&self) -> bool {
        matches!(self, Level::Plus | Level::Hash)
    }
}

/// Whether a level that holds placeholders is `level` for a client. The name must be usable.
#[inline]
pub(super) fn is_expanded(pieces: &[Box<str>], name: &str, level: &str) -> bool {
    let Some((first, others)) = pieces.split_first() else { return false };
    let Some(mut rest) = level.strip_prefix(&**first) else { return false };
    for piece in others {
        match rest.strip_prefix(name).and_then(|rest| rest.strip_prefix(&**piece)) {
            Some(behind) => rest = behind,
            None => return false,
        }
    }
    rest.is_empty()
}

/// How a rule's topic stands to a filter that a client subscribes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// No topic matches both.
    Apart,
    /// Some topics match both, and some match the filter alone.
    Overlaps,
    /// Every topic that matches the filter matches the rule's topic.
    Covers,
}

/// The topic of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RuleTopic {
    /// Matches everything.
    Every,
    /// A filter, in which levels may hold placeholders.
    Levels(Box<[Level]>),
}

impl RuleTopic {
    /// Of a topic that was checked.
    pub(super) fn new(topic: &TopicMatch) -> RuleTopic {
        match topic {
            TopicMatch::All => RuleTopic::Every,
            TopicMatch::Specific(filter) | TopicMatch::Pattern(filter) => {
                RuleTopic::Levels(filter.split('/').map(Level::new).collect())
            }
        }
    }

    pub(super) fn holds_name(&self) -> bool {
        match self {
            RuleTopic::Every => false,
            RuleTopic::Levels(levels) => levels.iter().any(|level| matches!(level, Level::Client(_))),
        }
    }

    /// The topic as a filter for the client with this usable name; `None`: every topic.
    pub(super) fn expanded(&self, name: &str) -> Option<String> {
        let RuleTopic::Levels(levels) = self else { return None };
        let levels: Vec<String> = levels
            .iter()
            .map(|level| match level {
                Level::Plus => "+".into(),
                Level::Hash => "#".into(),
                Level::Literal(text) => text.to_string(),
                Level::Client(pieces) => pieces.join(name),
            })
            .collect();
        Some(levels.join("/"))
    }

    /// How it stands to a valid filter without `$share`, for a client of which the name is usable or is not asked
    /// for. The empty topic, which nobody may send, counts as one here: `/+/#` does not cover `/#`.
    pub(super) fn relation(&self, name: &str, filter: &str) -> Relation {
        let RuleTopic::Levels(levels) = self else { return Relation::Covers };
        let filter_wild = filter.starts_with(['+', '#']);
        if levels[0].is_wild() && filter.starts_with('$') || levels[0].is_dollar() && filter_wild {
            return Relation::Apart; // [MQTT-4.7.2-1]
        }
        if filter == "#" && matches!(**levels, [Level::Plus, Level::Hash]) {
            return Relation::Covers; // There is no topic without a level.
        }
        let mut parts = filter.split('/');
        let mut covers = true;
        for level in levels {
            let covers_level = match (level, parts.next()) {
                (Level::Hash, _) => return if covers { Relation::Covers } else { Relation::Overlaps },
                (_, Some("#")) => return Relation::Overlaps,
                (Level::Plus, Some(_)) => true,
                (_, Some("+")) => false,
                (Level::Literal(text), Some(part)) if **text == *part => true,
                (Level::Client(pieces), Some(part)) if is_expanded(pieces, name, part) => true,
                _ => return Relation::Apart,
            };
            covers &= covers_level;
        }
        match parts.next() {
            None if covers => Relation::Covers,
            // `a/#` matches `a` too.
            None | Some("#") => Relation::Overlaps,
            Some(_) => Relation::Apart,
        }
    }
}

impl RuleTopic {
    /// Whether it matches, for every client, all topics that `other` matches for it. `false` may err.
    pub(super) fn covers(&self, other: &RuleTopic) -> bool {
        let (RuleTopic::Levels(ours), RuleTopic::Levels(theirs)) = (self, other) else {
            return *self == RuleTopic::Every;
        };
        if ours[0].is_wild() && theirs[0].is_dollar() {
            return false; // [MQTT-4.7.2-1]
        }
        if matches!((&**ours, &**theirs), ([Level::Plus, Level::Hash], [Level::Hash])) {
            return true; // There is no topic without a level.
        }
        let mut theirs = theirs.iter();
        for level in ours {
            match (level, theirs.next()) {
                (Level::Hash, _) => return true,
                (_, None | Some(Level::Hash)) => return false,
                (Level::Plus, Some(_)) => {}
                (level, Some(other)) if level == other => {}
                _ => return false,
            }
        }
        theirs.next().is_none()
    }
}

/// Most levels of a rule's topic: judging walks down a level a step.
pub(super) const LEVELS: usize = 256;

/// Whether a rule's topic is within [`LEVELS`].
pub(super) fn is_shallow(filter: &str) -> bool {
    level_count(filter) <= LEVELS
}
