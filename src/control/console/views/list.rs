//! A list of which one page is shown, with what was searched for.

use crate::control::console::text::{Foreign, count, encoded, plural};

/// A list of which one page is shown.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// Its page's path.
    pub path: &'static str,
    /// What was searched for.
    pub query: Foreign,
    /// What else the URL holds: names and values.
    pub more: Vec<(&'static str, String)>,
    /// Entries of all pages; with a search, of those that match.
    pub total: u64,
    /// Entries before this page.
    pub offset: u64,
    /// Entries on this page.
    pub shown: u64,
    /// Most entries of a page.
    pub size: u64,
}

/// Entries of a page, where nothing else is said.
pub const PAGE: u64 = 50;

impl List {
    /// The page from `offset` of entries that are all at hand, and the list that says so.
    pub fn of<T>(path: &'static str, query: &str, offset: u64, entries: Vec<T>) -> (List, Vec<T>) {
        let total = entries.len() as u64;
        let page: Vec<T> = entries.into_iter().skip(offset as usize).take(PAGE as usize).collect();
        let list = List { path, query: query.into(), total, offset, shown: page.len() as u64, size: PAGE, ..List::default() };
        (list, page)
    }

    fn url(&self, offset: u64) -> String {
        let mut url = format!("{}?offset={offset}", self.path);
        let query = (!self.query.is_empty()).then(|| ("q", self.query.raw().to_owned()));
        for (name, value) in query.iter().chain(&self.more) {
            url.push_str(&format!("&{name}={}", encoded(value)));
        }
        url
    }

    /// The page before.
    pub fn before(&self) -> Option<String> {
        (self.offset > 0).then(|| self.url(self.offset.saturating_sub(self.size)))
    }

    /// The page after.
    pub fn after(&self) -> Option<String> {
        let next = self.offset + self.shown;
        (self.shown > 0 && next < self.total).then(|| self.url(next))
    }

    /// `51–100 of 15,023`
    pub fn range(&self) -> String {
        let first = if self.shown == 0 { self.offset } else { self.offset + 1 };
        format!("{}–{} of {}", count(first), count(self.offset + self.shown), count(self.total))
    }

    /// `15,023 clients`
    pub fn total_text(&self, one: &str, many: &str) -> String {
        plural(self.total, one, many)
    }
}

/// A line of a list of facts.
#[derive(Clone, Debug)]
pub struct Fact {
    pub name: &'static str,
    pub value: Foreign,
}

impl Fact {
    /// A fact.
    pub fn new(name: &'static str, value: impl ToString) -> Fact {
        Fact { name, value: Foreign::of(value) }
    }
}
