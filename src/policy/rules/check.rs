//! What can be wrong with a rule, each with its remedy. Judges no client and no topic.

use std::collections::HashSet;

use regex::RegexBuilder;

use super::rule::{ClientMatch, Rule, RuleField, RuleIndex, TopicMatch};
use super::topic::{LEVELS, PLACEHOLDER, is_shallow};
use crate::mqtt::topic::is_valid_filter;

/// Most bytes of one compiled pattern. Unicode classes are large: `\w+` takes some twenty kilobytes.
const PATTERN_BYTES: usize = 512 << 10;

/// How deep a pattern's groups and repetitions may be nested.
const PATTERN_NESTING: u32 = 64;

/// What is wrong, and the remedy.
pub(super) type Fault = (RuleField, String, String);

/// Everything that is wrong with each rule by itself.
pub(super) fn faults(rules: &[Rule]) -> impl Iterator<Item = (RuleIndex, Fault)> {
    // Many rules may have the same pattern, and compiling it is dear.
    let mut fine: HashSet<&str> = HashSet::new();
    (0..).map(RuleIndex).zip(rules).flat_map(move |(index, rule)| {
        let client = match &rule.client {
            ClientMatch::Pattern(pattern) if fine.contains(&**pattern) => None,
            client => client_fault(client),
        };
        if let (ClientMatch::Pattern(pattern), None) = (&rule.client, &client) {
            fine.insert(pattern);
        }
        client.into_iter().chain(topic_fault(&rule.topic)).map(move |fault| (index, fault))
    })
}

fn client_fault(client: &ClientMatch) -> Option<Fault> {
    let fault = |what: String, remedy: &str| Some((RuleField::Client, what, remedy.to_owned()));
    match client {
        ClientMatch::Specific(name) if name.is_empty() => {
            fault("there is no client name".into(), "write the client's name, or set Client Match to All")
        }
        ClientMatch::All | ClientMatch::Specific(_) => None,
        ClientMatch::Pattern(pattern) if pattern.is_empty() => fault(
            "there is no regular expression".into(),
            "write one, such as dev.* for names that begin with dev, or set Client Match to All",
        ),
        ClientMatch::Pattern(pattern) => {
            let (what, remedy) = pattern_fault(pattern)?;
            Some((RuleField::Client, what, remedy))
        }
    }
}

/// Compiles a pattern alone, before anything is put around it: `a)|(b` is refused here.
fn pattern_fault(pattern: &str) -> Option<(String, String)> {
    let compiled = RegexBuilder::new(pattern)
        .dot_matches_new_line(true)
        .size_limit(PATTERN_BYTES)
        .nest_limit(PATTERN_NESTING)
        .build();
    let what = match compiled {
        Ok(_) => return None,
        Err(regex::Error::CompiledTooBig(_)) => {
            return Some((
                format!("the regular expression takes more than {} KiB when compiled", PATTERN_BYTES >> 10),
                "repeat less of it, or use (?-u) where ASCII suffices".into(),
            ));
        }
        // The last line says what, those before show where.
        Err(error) => match error.to_string().lines().last() {
            Some(line) => line.trim_start_matches("error: ").to_owned(),
            None => "it cannot be read".to_owned(),
        },
    };
    let remedy = if pattern.starts_with(['*', '?', '+']) {
        "in a regular expression any text is .* and any character . (a full stop)"
    } else {
        "correct it; characters that stand for themselves are written with a backslash, as in \\( or \\."
    };
    Some((format!("`{}` is not a regular expression: {what}", pattern.escape_debug()), remedy.into()))
}

fn topic_fault(topic: &TopicMatch) -> Option<Fault> {
    let (text, filter) = match topic {
        TopicMatch::All => return None,
        TopicMatch::Specific(text) => (text, text.clone()),
        // A name is a text without syntax.
        TopicMatch::Pattern(text) => (text, text.replace(PLACEHOLDER, "name")),
    };
    let fault = |what: String, remedy: String| Some((RuleField::Topic, what, remedy));
    if text.is_empty() {
        return fault("there is no topic".into(), "write an MQTT topic, or set Topic Match to All".into());
    }
    if matches!(topic, TopicMatch::Specific(_)) && text.contains(PLACEHOLDER) {
        return fault(
            format!("{PLACEHOLDER} stands for itself in a topic that is Specific"),
            "set Topic Match to Pattern".into(),
        );
    }
    if matches!(topic, TopicMatch::Pattern(_))
        && let Some(found) = misspelt(text)
    {
        return fault(
            format!("`{}` is not a placeholder", found.escape_debug()),
            format!("write {PLACEHOLDER} where the client's name is to stand"),
        );
    }
    if let Some(behind) = filter.strip_prefix("$share/") {
        let behind = behind.split_once('/').map_or("#", |(_, filter)| filter);
        return fault(
            "a shared subscription is judged by the filter behind its share name".into(),
            format!("write that filter, such as {}", behind.escape_debug()),
        );
    }
    if !is_valid_filter(&filter) {
        return fault(
            format!("`{}` is not an MQTT topic filter", text.escape_debug()),
            "+ stands alone between slashes, # alone at the end; no character U+0000; at most 65535 bytes"
                .into(),
        );
    }
    if !is_shallow(&filter) {
        return fault(
            format!("it has more than {LEVELS} levels"),
            "end it with # at a level that suffices".into(),
        );
    }
    None
}

/// What somebody who misspells the placeholder may write inside it.
const MEANT: [&str; 8] =
    ["client", "clientid", "clientname", "clients", "name", "commonname", "cn", "username"];

/// The first text that looks as if the placeholder was meant, and is not it.
pub(super) fn misspelt(topic: &str) -> Option<&str> {
    // One pair of braces too many.
    if let Some(found) = topic.find("{{%client%}}") {
        return Some(&topic[found..found + PLACEHOLDER.len() + 2]);
    }
    topic.split(PLACEHOLDER).find_map(|text| in_braces(text).or_else(|| in_percents(text)))
}

/// `{client}`, `{% client %}`, `${clientid}`, also over a slash or without its end: `{%client`.
fn in_braces(text: &str) -> Option<&str> {
    for (open, _) in text.match_indices('{') {
        let rest = &text[open..];
        let end = rest.find('}').map_or_else(|| rest.find('/').unwrap_or(rest.len()), |close| close + 1);
        let found = &rest[..end];
        // No topic of anybody's holds `{%`: whatever follows, a placeholder was meant.
        if found.starts_with("{%") || found.ends_with("%}") || is_meant(found) {
            return Some(found);
        }
    }
    // The other half alone: `%client%}`, `client%}`.
    let close = text.find("%}")?;
    let begin = text[..close].rfind('/').map_or(0, |slash| slash + 1);
    Some(&text[begin..close + 2])
}

/// `%client%`.
fn in_percents(text: &str) -> Option<&str> {
    let percents: Vec<usize> = text.match_indices('%').map(|(at, _)| at).collect();
    percents.windows(2).map(|pair| &text[pair[0]..=pair[1]]).find(|found| is_meant(found))
}

fn is_meant(found: &str) -> bool {
    let word: String = found.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    MEANT.contains(&&*word) || word.len() > 3 && strsim::osa_distance(&word, "client") <= 2
}
