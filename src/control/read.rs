//! Reads one table of a TOML file field by field and keeps every problem it meets, instead of stopping at the
//! first as a derived deserialiser would. Knows no field by name: who reads says which there are.

use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problem;
use super::size;

/// How far a name may be from a known one to be suggested (Jaro-Winkler similarity).
const SUGGEST_FROM: f64 = 0.75;

/// One table being read. A field that was asked for is known; [`Section::finish`] reports the others.
pub(super) struct Section<'t> {
    text: &'t str,
    path: String,
    table: Option<&'t DeTable<'t>>,
    known: Vec<&'static str>,
    problems: Vec<Problem>,
}

impl<'t> Section<'t> {
    /// The file's own table.
    pub(super) fn root(text: &'t str, table: &'t DeTable<'t>) -> Section<'t> {
        Section { text, path: String::new(), table: Some(table), known: Vec::new(), problems: Vec::new() }
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
        Section { text: self.text, path, table, known: Vec::new(), problems: Vec::new() }
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
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            if let DeValue::Table(table) = item.get_ref() {
                let (known, problems) = (Vec::new(), Vec::new());
                sections.push(Section { text: self.text, path, table: Some(table), known, problems });
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

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, name: &'static str, default: bool) -> bool {
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

    /// A string out of a fixed set.
    pub(super) fn choice<T: Copy>(&mut self, name: &'static str, choices: &[(&str, T)], default: T) -> T {
        self.choice_if_there(name, choices).unwrap_or(default)
    }

    /// The same; `None` if it is absent or was reported.
    pub(super) fn choice_if_there<T: Copy>(
        &mut self,
        name: &'static str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let text = self.string(name)?;
        let choice = choices.iter().find(|(known, _)| *known == text).map(|(_, choice)| *choice);
        if choice.is_none() {
            let names: Vec<String> = choices.iter().map(|(known, _)| format!("`{known}`")).collect();
            self.report(name, format!("`{text}` is not known"), format!("write {}", names.join(" or ")));
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

    /// A whole number within `range`.
    pub(super) fn number<T>(&mut self, name: &'static str, default: T, range: RangeInclusive<T>) -> T
    where
        T: TryFrom<u64> + Into<u64> + Copy,
    {
        self.ranged(name, default, range, |value| whole_number(value.get_ref()), |number| number.to_string())
    }

    /// A size in bytes within `range`: a whole number, or text such as `"1 MiB"`.
    pub(super) fn size<T>(&mut self, name: &'static str, default: T, range: RangeInclusive<T>) -> T
    where
        T: TryFrom<u64> + Into<u64> + Copy,
    {
        let read = |value: &Spanned<DeValue<'_>>| match value.get_ref() {
            DeValue::String(text) => size::parse(text),
            other => whole_number(other),
        };
        self.ranged(name, default, range, read, |number| format!("\"{}\"", size::format(number)))
    }

    fn ranged<T>(
        &mut self,
        name: &'static str,
        default: T,
        range: RangeInclusive<T>,
        read: impl Fn(&Spanned<DeValue<'_>>) -> Option<u64>,
        write: impl Fn(u64) -> String,
    ) -> T
    where
        T: TryFrom<u64> + Into<u64> + Copy,
    {
        let Some(value) = self.value(name) else { return default };
        let (least, most): (u64, u64) = ((*range.start()).into(), (*range.end()).into());
        let number = read(value).filter(|number| (least..=most).contains(number));
        if let Some(number) = number.and_then(|number| T::try_from(number).ok()) {
            return number;
        }
        let written = &self.text[value.span()];
        let remedy = format!("write {} to {}, such as {}", write(least), write(most), write(default.into()));
        self.report(name, format!("{written} is not in its range"), remedy);
        default
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

fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let score = |known: &str| strsim::jaro_winkler(&name.to_lowercase(), known);
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
    let (table, _) = DeTable::parse_recoverable(text);
    let located = |mut problem: Problem| {
        problem.line = problem.line.or_else(|| line_of_path(text, table.get_ref(), &problem.path));
        problem
    };
    problems.into_iter().map(located).collect()
}
