//! Which rules a client's name fits: resolved once per connection and generation. Knows topics only as numbers.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;
use regex::{RegexSet, RegexSetBuilder};
use smallvec::SmallVec;

use super::rule::{ClientMatch, Rule, RuleIndex};
use super::topic::is_name_usable;

/// Most bytes of all patterns together, compiled.
pub(super) const PATTERNS_BYTES: usize = 64 << 20;

/// Most patterns in one set: the automaton of a much larger one outgrows its cache, and is then a thousand times slower.
const SET: usize = 500;

/// A client with at most so many rules of its own keeps them as a list.
const FEW: usize = 16;

/// Where each rule's topic stands: rules with the same topic have the same number.
pub(super) type Places = [u32];

/// A set of rules, one bit each.
pub(super) type Bits = [u64];

pub(super) fn is_set(bits: &Bits, rule: u32) -> bool {
    bits.get(rule as usize / 64).is_some_and(|word| word >> (rule % 64) & 1 == 1)
}

fn bits_of(rules: impl Iterator<Item = u32>, all: usize) -> Arc<Bits> {
    let mut bits = vec![0; all.div_ceil(64)];
    rules.for_each(|rule| bits[rule as usize / 64] |= 1 << (rule % 64));
    bits.into()
}

/// Rules about particular clients, in ascending order. Those about all clients are nobody's own.
#[derive(Clone, Debug)]
pub(super) struct Own {
    /// As a list, if they are few.
    few: Arc<[u32]>,
    /// As bits otherwise, made once for all clients that have no others.
    bits: Option<Arc<Bits>>,
}

/// The rules that fit a client, with its name: what judging needs of a connection. Of one [`super::Rules`], and of its
/// clones.
#[derive(Clone, Debug)]
pub struct ClientRules(Arc<Client>);

#[derive(Debug)]
struct Client {
    name: Box<str>,
    is_usable: bool,
    own: Fitting,
}

/// The rules that fit a client beside those that are about all clients.
#[derive(Debug)]
pub(super) enum Fitting {
    /// Ascending, with their places.
    Few(SmallVec<[(u32, u32); 4]>),
    Many(Arc<Bits>),
}

impl ClientRules {
    /// The client's name; empty if there is none.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The name, if it may stand in a topic.
    #[inline]
    pub(super) fn usable_name(&self) -> Option<&str> {
        self.0.is_usable.then_some(&*self.0.name)
    }

    #[inline]
    pub(super) fn own(&self) -> &Fitting {
        &self.0.own
    }
}

impl Fitting {
    /// Whether it holds a rule that is about particular clients.
    pub(super) fn holds(&self, rule: u32) -> bool {
        match self {
            Fitting::Few(list) => list.iter().any(|(own, _)| *own == rule),
            Fitting::Many(bits) => is_set(bits, rule),
        }
    }
}

/// Finds the rules about particular clients.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    named: Arc<HashMap<String, Vec<u32>, RandomState>>,
    /// All distinct patterns, anchored, [`SET`] each. A clone does not contend with its original.
    patterns: Vec<RegexSet>,
    /// Of each pattern its rules.
    of_pattern: Arc<[Own]>,
    rules: usize,
}

impl Clients {
    /// Of rules that were checked.
    ///
    /// # Errors
    /// The patterns together are too large: the last rule with one.
    pub(super) fn new(rules: &[Rule]) -> Result<Clients, RuleIndex> {
        // No client chooses what stands in these tables: the order of a fixed seed serves.
        let mut named: HashMap<String, Vec<u32>, _> =
            HashMap::with_hasher(RandomState::with_seeds(1, 2, 3, 4));
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let (mut texts, mut own): (Vec<&str>, Vec<Vec<u32>>) = (Vec::new(), Vec::new());
        let mut last = RuleIndex(0);
        for (index, rule) in (0..).zip(rules) {
            match &rule.client {
                ClientMatch::All => {}
                ClientMatch::Specific(name) => named.entry(name.clone()).or_default().push(index),
                ClientMatch::Pattern(pattern) => {
                    last = RuleIndex(index);
                    let number = *numbers.entry(pattern).or_insert_with(|| {
                        texts.push(pattern);
                        own.push(Vec::new());
                        own.len() - 1
                    });
                    own[number].push(index);
                }
            }
        }
        let few = few(rules.len());
        let own = own.into_iter().map(|own| Own {
            bits: (own.len() > few).then(|| bits_of(own.iter().copied(), rules.len())),
            few: own.into(),
        });
        Ok(Clients {
            named: Arc::new(named),
            of_pattern: own.collect(),
            patterns: anchored(&texts, PATTERNS_BYTES).ok_or(last)?,
            rules: rules.len(),
        })
    }

    /// The rules of the client with this name; empty: it has none.
    pub(super) fn resolve(&self, name: &str, places: &Places) -> ClientRules {
        let own = if name.is_empty() { Fitting::Few(SmallVec::new()) } else { self.fitting(name, places) };
        ClientRules(Arc::new(Client { name: name.into(), is_usable: is_name_usable(name), own }))
    }

    fn fitting(&self, name: &str, places: &Places) -> Fitting {
        let named = self.named.get(name).map_or(&[][..], Vec::as_slice);
        let mut patterns: SmallVec<[usize; 4]> = SmallVec::new();
        for (at, set) in self.patterns.iter().enumerate() {
            patterns.extend(set.matches(name).iter().map(|number| at * SET + number));
        }
        if let ([number], []) = (&*patterns, named)
            && let Some(bits) = &self.of_pattern[*number].bits
        {
            return Fitting::Many(bits.clone());
        }
        let of_patterns = || patterns.iter().flat_map(|number| self.of_pattern[*number].few.iter());
        let all = || named.iter().chain(of_patterns()).copied();
        if named.len() + of_patterns().count() > few(self.rules) {
            return Fitting::Many(bits_of(all(), self.rules));
        }
        let mut list: SmallVec<[(u32, u32); 4]> = all().map(|rule| (rule, places[rule as usize])).collect();
        list.sort_unstable();
        Fitting::Few(list)
    }
}

/// How many of `rules` are few: what a list of them costs to look through, bits cost as well.
fn few(rules: usize) -> usize {
    FEW.max(rules / 128)
}

/// All patterns as sets, each to match a whole name. `None`: they take more than `limit` bytes.
fn anchored(patterns: &[&str], limit: usize) -> Option<Vec<RegexSet>> {
    let limit = limit / patterns.len().div_ceil(SET).max(1);
    let set = |texts: &[String]| {
        RegexSetBuilder::new(texts)
            .dot_matches_new_line(true)
            .size_limit(limit)
            .dfa_size_limit(8 << 20)
            .nest_limit(128)
            .build()
    };
    let texts: Vec<String> = patterns
        .iter()
        .map(|pattern| {
            let text = format!("^(?:{pattern})$");
            // `(?x)dev # comment` ends with its line.
            let is_open = pattern.contains('#') && set(std::slice::from_ref(&text)).is_err();
            if is_open { format!("^(?:{pattern}\n)$") } else { text }
        })
        .collect();
    texts.chunks(SET).map(set).collect::<Result<_, _>>().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_patterns_together_have_a_limit() {
        let patterns = [r"\w+a", r"\w+b"];
        assert!(anchored(&patterns, 1 << 10).is_none() && anchored(&patterns, PATTERNS_BYTES).is_some());
    }
}
