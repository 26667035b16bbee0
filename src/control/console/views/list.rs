//! A list of which one page is shown, with what was searched for.

use crate::control::console::text::{Foreign, count, encoded, plural};

/// A list of which one page is shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct List {
    /// Its page's path.
    pub(crate) path: &'static str,
    /// What was searched for.
    pub(crate) query: Foreign,
    /// What else the URL holds: names and values.
    pub(crate) more: Vec<(&'static str, String)>,
    /// Entries of all pages; with a search, of those that match.
    pub(crate) total: u64,
    /// Entries before this page.
    pub(crate) offset: u64,
    /// Entries on this page.
    pub(crate) shown: u64,
    /// Most entries of a page.
    pub(crate) size: u64,
    /// Where the next page begins, of a list that nobody has counted.
    pub(crate) cursor: Option<Cursor>,
}

/// A place in a list that nobody has counted: it is turned over forwards, and begun anew.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cursor {
    /// This is not the first page.
    pub(crate) begun: bool,
    /// Where the next one begins; nothing: this is the last one.
    pub(crate) next: Option<String>,
}

/// Entries of a page, where nothing else is said.
pub(crate) const PAGE: u64 = 50;

impl List {
    /// The page from `offset` of entries that are all at hand, and the list that says so.
    pub(crate) fn of<T>(path: &'static str, query: &str, offset: u64, entries: Vec<T>) -> (List, Vec<T>) {
        let total = entries.len() as u64;
        let page: Vec<T> = entries.into_iter().skip(offset as usize).take(PAGE as usize).collect();
        let list = List {
            path,
            query: query.into(),
            total,
            offset,
            shown: page.len() as u64,
            size: PAGE,
            ..List::default()
        };
        (list, page)
    }

    fn url(&self, place: (&str, &str)) -> String {
        let mut url = format!("{}?{}={}", self.path, place.0, encoded(place.1));
        let query = (!self.query.is_empty()).then(|| ("q", self.query.raw().to_owned()));
        for (name, value) in query.iter().chain(&self.more) {
            url.push_str(&format!("&{name}={}", encoded(value)));
        }
        url
    }

    /// The page before; of a list that nobody has counted, the first one.
    pub(crate) fn before(&self) -> Option<String> {
        match &self.cursor {
            Some(cursor) => cursor.begun.then(|| self.url(("after", ""))),
            None => (self.offset > 0)
                .then(|| self.url(("offset", &self.offset.saturating_sub(self.size).to_string()))),
        }
    }

    /// What leads to [`List::before`].
    pub(crate) fn before_name(&self) -> &'static str {
        if self.cursor.is_some() { "First page" } else { "Previous" }
    }

    /// The page after.
    pub(crate) fn after(&self) -> Option<String> {
        if let Some(cursor) = &self.cursor {
            return cursor.next.as_ref().map(|next| self.url(("after", next)));
        }
        let next = self.offset + self.shown;
        (self.shown > 0 && next < self.total).then(|| self.url(("offset", &next.to_string())))
    }

    /// Whether there is something to turn over, or to be told about.
    pub(crate) fn several(&self) -> bool {
        self.shown > 0 || self.before().is_some() || self.after().is_some()
    }

    /// `51–100 of 15,023`
    pub(crate) fn range(&self) -> String {
        if self.cursor.is_some() {
            return format!("{} on this page", count(self.shown));
        }
        let first = if self.shown == 0 { self.offset } else { self.offset + 1 };
        format!("{}–{} of {}", count(first), count(self.offset + self.shown), count(self.total))
    }

    /// `15,023 clients`
    pub(crate) fn total_text(&self, one: &str, many: &str) -> String {
        plural(self.total, one, many)
    }
}

/// A line of a list of facts.
#[derive(Clone, Debug)]
pub(crate) struct Fact {
    pub(crate) name: &'static str,
    pub(crate) value: Foreign,
}

impl Fact {
    /// A fact.
    pub(crate) fn new(name: &'static str, value: impl ToString) -> Fact {
        Fact { name, value: Foreign::of(value) }
    }
}
