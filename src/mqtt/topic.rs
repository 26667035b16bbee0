//! Topic names and topic filters: validity, levels, and whether one matches the other. Limits of length and
//! depth are policy, not known here.

use super::violation::Violation;

/// Checks a topic name: at least one character, no wildcard, at most `u16::MAX` bytes
/// `[MQTT-4.7.3-1, 4.7.0-1, 4.7.3-3]`.
pub fn check_name(name: &str) -> Result<(), Violation> {
    // [MQTT-4.7.3-1] [MQTT-4.7.3-3]
    if name.is_empty() || name.len() > usize::from(u16::MAX) {
        return Err(Violation::TopicName);
    }
    check_characters(name)
}

/// Refuses U+0000 `[MQTT-4.7.3-2]` and wildcards `[MQTT-4.7.0-1, 3.3.2-2]`.
#[inline]
pub(super) fn check_characters(name: &str) -> Result<(), Violation> {
    // Folded without an early exit, so that the compiler makes it a vector loop.
    let refused =
        name.bytes().fold(false, |found, byte| found | (byte == 0) | (byte == b'+') | (byte == b'#'));
    if !refused {
        Ok(())
    } else if name.contains('\0') {
        Err(Violation::NulInString)
    } else {
        Err(Violation::TopicName)
    }
}

/// Checks a topic filter: at least one character, `#` alone in the last level, `+` alone in its level
/// `[MQTT-4.7.1-1, 4.7.1-2, 4.7.3-1]`. A `$share/` filter is checked as what follows the share name.
pub fn is_valid_filter(filter: &str) -> bool {
    if filter.len() > usize::from(u16::MAX) || filter.contains('\0') {
        return false;
    }
    match parse_shared(filter) {
        Some(Ok(shared)) => are_levels_valid(shared.filter),
        Some(Err(())) => false,
        None => are_levels_valid(filter),
    }
}

fn are_levels_valid(filter: &str) -> bool {
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let is_valid = match level {
            "#" => levels.peek().is_none(),
            "+" => true,
            _ => !has_wildcard(level),
        };
        if !is_valid {
            return false;
        }
    }
    !filter.is_empty()
}

/// True when the filter has a `+` or `#` level.
pub fn has_wildcard(filter: &str) -> bool {
    filter.bytes().any(|b| b == b'+' || b == b'#')
}

/// How many levels a name or filter has: one more than slashes.
pub fn level_count(topic: &str) -> usize {
    topic.bytes().filter(|&byte| byte == b'/').count() + 1
}

/// Does `filter` match `name`? A leading wildcard does not match a leading `$` `[MQTT-4.7.2-1]`. Both are valid;
/// of a shared subscription this is asked with the filter that follows the share name.
pub fn matches(filter: &str, name: &str) -> bool {
    if name.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let (filter, name) = (filter.as_bytes(), name.as_bytes());
    let (mut f, mut n) = (0, 0);
    loop {
        // Here both stand at the first byte of a level.
        match filter.get(f) {
            Some(b'#') => return true,
            Some(b'+') => {
                f += 1;
                n += name[n..].iter().take_while(|&&byte| byte != b'/').count();
            }
            _ => {
                while let (Some(wanted), Some(byte)) = (filter.get(f), name.get(n))
                    && wanted == byte
                    && *byte != b'/'
                {
                    f += 1;
                    n += 1;
                }
            }
        }
        match (filter.get(f), name.get(n)) {
            (None, None) => return true,
            (Some(b'/'), Some(b'/')) => {
                f += 1;
                n += 1;
            }
            // `a/#` matches `a` too: `#` includes the parent level.
            (Some(b'/'), None) => return filter[f..] == *b"/#",
            _ => return false,
        }
    }
}

/// A shared subscription's parts: `$share/{name}/{filter}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the standard's")]
pub struct Shared<'a> {
    pub share_name: &'a str,
    pub filter: &'a str,
}

/// `None`: not a shared subscription. `Some(Err(()))`: begins with `$share/` but is not valid `[MQTT-4.8.2-1, -2]`.
/// The filter that follows is not judged here, save that it is there: see [`is_valid_filter`].
pub fn parse_shared(filter: &str) -> Option<Result<Shared<'_>, ()>> {
    let rest = filter.strip_prefix("$share/")?;
    Some(match rest.split_once('/') {
        Some((share_name, filter))
            if !share_name.is_empty() && !has_wildcard(share_name) && !filter.is_empty() =>
        {
            Ok(Shared { share_name, filter })
        }
        _ => Err(()),
    })
}
