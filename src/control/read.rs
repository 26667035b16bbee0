//! Reads one table of a TOML file field by field and keeps every problem it meets, instead of stopping at the
//! first as a derived deserialiser would. Knows no field by name: who reads says which there are, and the reference what
//! each of them takes.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::config::reference::{self, FieldDoc, Kind, Preset};
use super::problem::Problem;
use super::size;

/// How far a name may be from a known one to be suggested (Jaro-Winkler similarity).
const SUGGEST_FROM: f64 = 0.75;

/// One table being read. A field that was asked for is known; [`Section::finish`] reports the others.
pub(super) struct Section<'t> {
    text: &'t str,
    path: String,
    /// The same in the reference: `listener[]`.
    doc: String,
    table: Option<&'t DeTable<'t>>,
    known: Vec<&'static str>,
    problems: Vec<Problem>,
}

impl<'t> Section<'t> {
    /// The file's own table.
    pub(super) fn root(text: &'t str, table: &'t DeTable<'t>) -> Section<'t> {
        Section {
            text,
            path: String::new(),
            doc: String::new(),
            table: Some(table),
            known: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// The sub-table `name`; one that is absent reads as empty.
    pub(super) fn section(&mut self, name: &'static str) -> Section<'t> {
        let path = self.path_of(name);
        let table = match self.value(name) {
            None => None,
            Some(value) => match value.get_ref() {
                DeValue::Table(table) => Some(table),
                other => {
                    let what = format!("is {}, not a table", article(other.type_str()));
                    self.report(name, what, format!("begin it with `[{path}]`"));
                    None
                }
            },
        };
        Section { text: self.text, doc: path.clone(), path, table, known: Vec::new(), problems: Vec::new() }
    }

    /// The tables of the array `name` (`[[name]]`), in the order of the file.
    pub(super) fn sections(&mut self, name: &'static str) -> Vec<Section<'t>> {
        let path = self.path_of(name);
        let Some(value) = self.value(name) else { return Vec::new() };
        let DeValue::Array(items) = value.get_ref() else {
            self.report(name, "is not a list of tables".into(), format!("begin each with `[[{path}]]`"));
            return Vec::new();
        };
        let mut sections = Vec::new();
        let doc = format!("{path}[]");
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            if let DeValue::Table(table) = item.get_ref() {
                let (known, problems) = (Vec::new(), Vec::new());
                let (text, doc, table) = (self.text, doc.clone(), Some(table));
                sections.push(Section { text, path, doc, table, known, problems });
            } else {
                self.problems.push(Problem {
                    path,
                    line: Some(self.line(item.span().start)),
                    what: "is not a table".into(),
                    remedy: format!("begin it with `[[{name}]]`"),
                });
            }
        }
        sections
    }

    /// How many problems were met so far.
    pub(super) fn problems(&self) -> usize {
        self.problems.len()
    }

    /// What the reference says of a field.
    fn doc(&self, name: &'static str) -> &'static FieldDoc {
        reference::field(&self.doc, name)
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, name: &'static str) -> bool {
        let default = match self.doc(name).default {
            Some(Preset::Boolean(default)) => default,
            other => unreachable!("{name} is true or false, not {other:?}"),
        };
        let Some(value) = self.value(name) else { return default };
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.report(name, wrong_type(value, "true or false"), "write `true` or `false`".into());
            default
        })
    }

    /// A string; `None` if it is absent or was reported.
    pub(super) fn string(&mut self, name: &'static str) -> Option<&'t str> {
        let value = self.value(name)?;
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.report(name, wrong_type(value, "text"), "put it in quotation marks".into());
        }
        text
    }

    /// A list of strings; empty if it is absent or was reported.
    pub(super) fn strings(&mut self, name: &'static str) -> Vec<String> {
        let Some(value) = self.value(name) else { return Vec::new() };
        let items = value.get_ref().as_array().map(|items| {
            items
                .iter()
                .map(|item| item.get_ref().as_str().map(str::to_owned))
                .collect::<Option<Vec<String>>>()
        });
        items.flatten().unwrap_or_else(|| {
            self.report(name, wrong_type(value, "a list of texts"), "write `[\"...\", \"...\"]`".into());
            Vec::new()
        })
    }

    /// Whether the field is there, whatever it holds.
    pub(super) fn has(&self, name: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(name))
    }

    /// A string; what the reference says if it is absent or was reported.
    pub(super) fn text(&mut self, name: &'static str) -> &'t str {
        let default = self.default_text(name);
        self.string(name).unwrap_or(default)
    }

    fn default_text(&self, name: &'static str) -> &'static str {
        match self.doc(name).default {
            Some(Preset::Text(default)) => default,
            other => unreachable!("{name} is a text, not {other:?}"),
        }
    }

    /// A word out of a fixed set.
    pub(super) fn choice<T: Copy>(&mut self, name: &'static str, choices: &[(&str, T)]) -> T {
        let default = self.default_text(name);
        let chosen = self.choice_if_there(name, choices);
        chosen.or_else(|| meant(choices, default)).expect("the default is one of the words")
    }

    /// The same without a default; `None` if it is absent or was reported.
    pub(super) fn choice_if_there<T: Copy>(
        &mut self,
        name: &'static str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let text = self.string(name)?;
        let choice = meant(choices, text);
        if choice.is_none() {
            self.unknown_word(name, text, choices);
        }
        choice
    }

    /// A list of words out of a fixed set.
    pub(super) fn choices<T: Copy>(&mut self, name: &'static str, choices: &[(&str, T)]) -> Vec<T> {
        let mut chosen = Vec::new();
        for text in self.strings(name) {
            match meant(choices, &text) {
                Some(choice) => chosen.push(choice),
                None => self.unknown_word(name, &text, choices),
            }
        }
        chosen
    }

    fn unknown_word<T>(&mut self, name: &str, text: &str, choices: &[(&str, T)]) {
        let names: Vec<String> = choices.iter().map(|(known, _)| format!("`{known}`")).collect();
        self.report(name, format!("`{text}` is not known"), format!("write {}", names.join(" or ")));
    }

    /// A word that has no default: what is left out must not grant anything. `None`: it was reported.
    pub(super) fn required<T: Copy>(&mut self, name: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let choice = self.choice_if_there(name, choices);
        if choice.is_none() && !self.has(name) {
            let names: Vec<String> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
            self.report(name, "is missing".into(), format!("write {}", names.join(" or ")));
        }
        choice
    }

    /// A string that parses into `T`.
    pub(super) fn parsed<T: std::str::FromStr>(&mut self, name: &'static str, remedy: &str) -> Option<T> {
        let text = self.string(name)?;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.report(name, format!("`{text}` is not valid"), remedy.into());
        }
        parsed
    }

    /// An address that has a default.
    pub(super) fn address(&mut self, name: &'static str, remedy: &str) -> SocketAddr {
        let default = self.default_text(name).parse().expect("the default is an address");
        self.parsed(name, remedy).unwrap_or(default)
    }

    /// A whole number, or a size in bytes (then text such as `"1 MiB"` is taken too), within the range that the
    /// reference gives.
    pub(super) fn whole<T: TryFrom<u64>>(&mut self, name: &'static str) -> T {
        let doc = self.doc(name);
        let (Kind::Number { least, most } | Kind::Size { least, most }, Some(Preset::Number(default))) =
            (doc.kind, doc.default)
        else {
            unreachable!("{name} is a whole number, not {:?}", doc.kind)
        };
        let number = self.ranged(name, least..=most, default, doc.kind);
        T::try_from(number.unwrap_or(default)).ok().expect("the range fits the field")
    }

    /// A whole number that need not be there.
    pub(super) fn whole_if_there(&mut self, name: &'static str) -> Option<u64> {
        let kind = self.doc(name).kind;
        let Kind::Number { least, most } = kind else { unreachable!("{name} is a whole number") };
        self.ranged(name, least..=most, least, kind)
    }

    /// `None`: it is absent or was reported.
    fn ranged(
        &mut self,
        name: &'static str,
        range: RangeInclusive<u64>,
        example: u64,
        kind: Kind,
    ) -> Option<u64> {
        let value = self.value(name)?;
        let is_size = matches!(kind, Kind::Size { .. });
        let read = match value.get_ref() {
            DeValue::String(text) if is_size => size::parse(text),
            other => whole_number(other),
        };
        if let Some(number) = read.filter(|number| range.contains(number)) {
            return Some(number);
        }
        let write = |number: u64| match kind {
            Kind::Size { .. } => format!("\"{}\"", size::format(number)),
            _ => number.to_string(),
        };
        let written = &self.text[value.span()];
        let (least, most) = (write(*range.start()), write(*range.end()));
        let remedy = format!("write {least} to {most}, such as {}", write(example));
        self.report(name, format!("{written} is not in its range"), remedy);
        None
    }

    /// Records a problem with the field `name`.
    pub(super) fn report(&mut self, name: &str, what: String, remedy: String) {
        let span = self.table.and_then(|table| table.get(name)).map(Spanned::span);
        let line = span.map(|span| self.line(span.start));
        self.problems.push(Problem { path: self.path_of(name), line, what, remedy });
    }

    /// Every problem of this table, those of fields that nobody asked for included.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        for (key, _) in self.table.into_iter().flatten() {
            let name = key.get_ref().as_ref();
            if self.known.contains(&name) {
                continue;
            }
            let remedy = match nearest(name, &self.known) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("known here: {}", self.known.join(", ")),
            };
            let line = Some(self.line(key.span().start));
            self.problems.push(Problem {
                path: self.path_of(name),
                line,
                what: "is not a known field".into(),
                remedy,
            });
        }
        self.problems
    }

    fn value(&mut self, name: &'static str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.known.push(name);
        self.table.and_then(|table| table.get(name))
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn line(&self, offset: usize) -> usize {
        line_of(self.text, offset)
    }
}

/// What a word means.
fn meant<T: Copy>(choices: &[(&str, T)], text: &str) -> Option<T> {
    choices.iter().find(|(known, _)| *known == text).map(|(_, choice)| *choice)
}

/// The line, from 1, of a byte of `text`.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

fn whole_number(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn wrong_type(value: &Spanned<DeValue<'_>>, wanted: &str) -> String {
    format!("is {}, not {wanted}", article(value.get_ref().type_str()))
}

fn article(noun: &str) -> String {
    let an = noun.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {noun}", if an { "an" } else { "a" })
}

/// Which of the known names may have been meant.
pub(super) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let score = |known: &str| strsim::jaro_winkler(&name.to_lowercase(), &known.to_lowercase());
    let best = known.iter().copied().max_by(|a, b| score(a).total_cmp(&score(b)))?;
    (score(best) >= SUGGEST_FROM).then_some(best)
}

/// The line of what a problem's path names, as far as the path leads: `listener[1].address`.
fn line_of_path(text: &str, root: &DeTable<'_>, path: &str) -> Option<usize> {
    let mut table = root;
    let mut found = None;
    for step in path.split('.') {
        let (name, index) = match step.split_once('[') {
            Some((name, rest)) => (name, rest.trim_end_matches(']').parse::<usize>().ok()),
            None => (step, None),
        };
        let Some(mut value) = table.get(name) else { break };
        if let (DeValue::Array(items), Some(index)) = (value.get_ref(), index) {
            let Some(item) = items.get(index) else { break };
            value = item;
        }
        found = Some(line_of(text, value.span().start));
        let DeValue::Table(inner) = value.get_ref() else { break };
        table = inner;
    }
    found
}

/// Problems with the lines of `text` that are to blame, as far as they are found.
pub(super) fn located(text: &str, problems: Vec<Problem>) -> Vec<Problem> {
    if problems.is_empty() {
        return problems; // the text need not be read again
    }
    let (table, _) = DeTable::parse_recoverable(text);
    let located = |mut problem: Problem| {
        problem.line = problem.line.or_else(|| line_of_path(text, table.get_ref(), &problem.path));
        problem
    };
    problems.into_iter().map(located).collect()
}
