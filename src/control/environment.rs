//! Environment variables that stand over the configuration file, for containers: `TIDEMQ__LIMITS__PACKET_BYTES`,
//! `TIDEMQ__LISTENER__0__ADDRESS`. They are read as the file is and judged with it, and never written into it.

use std::collections::BTreeMap;
use std::fmt;

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, Value};

use super::config::Draft;
use super::config::reference::{self, FieldDoc, Kind};
use super::problem::{Problem, Problems};
use super::read::{located, nearest};

const PREFIX: &str = "TIDEMQ__";
const BETWEEN: &str = "__";

/// The variables that are about the configuration, by name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

/// What they say may be a secret.
impl fmt::Debug for Environment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.0.keys()).finish()
    }
}

impl Environment {
    /// That of this process.
    #[must_use]
    pub fn of_this_process() -> Environment {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        Environment::new(std::env::vars_os().map(|(name, value)| (text(name), text(value))))
    }

    /// Of all variables those that are about the configuration.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Environment {
        Environment(variables.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect())
    }

    /// Which variables say something.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads a text with what the variables say in its place. What is said to be made from is the text's.
    ///
    /// # Errors
    /// All that is wrong with both together; what a variable says is told by its name.
    pub fn over(&self, text: &str) -> Result<Draft, Problems> {
        if self.is_empty() {
            return Draft::read(text);
        }
        let Ok(mut document) = text.parse::<DocumentMut>() else { return Draft::read(text) };
        let mut problems = Vec::new();
        let mut said: BTreeMap<String, &str> = BTreeMap::new();
        for (variable, value) in &self.0 {
            match place(variable, value, &mut document) {
                Ok(path) => {
                    said.insert(path, variable);
                }
                Err(problem) => problems.push(problem),
            }
        }
        let theirs = |all: Vec<Problem>| -> Vec<Problem> {
            let of_variable = |mut problem: Problem| {
                // The lines of a text that nobody has seen are of no use.
                problem.line = None;
                if let Some(variable) = said.get(&problem.path) {
                    problem.path = format!("${variable}");
                }
                problem
            };
            located(text, all.into_iter().map(of_variable).collect())
        };
        match Draft::read(&document.to_string()) {
            Ok(draft) if problems.is_empty() => {
                let warnings = theirs(draft.warnings);
                Ok(Draft { text: text.to_owned(), warnings, ..draft })
            }
            read => {
                problems.extend(read.err().into_iter().flat_map(|Problems(all)| theirs(all)));
                Err(Problems(problems))
            }
        }
    }
}

/// Sets in the document what a variable says; its path.
fn place(variable: &str, value: &str, document: &mut DocumentMut) -> Result<String, Problem> {
    let name = variable.strip_prefix(PREFIX).unwrap_or(variable).to_lowercase();
    let steps: Vec<&str> = name.split(BETWEEN).collect();
    let known = |section: &str, field: &str| reference::section(section)?.field(field);
    let (field, path, table) = match steps[..] {
        [field] => (known("", field), field.to_owned(), Some(document.as_table_mut())),
        [section, field] => {
            let doc = known(section, field);
            (doc, format!("{section}.{field}"), doc.and_then(|_| table(document, section)))
        }
        [list, index, field] => {
            let (doc, index) = (known(&format!("{list}[]"), field), index.parse::<usize>().ok());
            let Some(index) = index else { return Err(unknown(variable)) };
            let path = format!("{list}[{index}].{field}");
            (doc, path, doc.and_then(|_| entry(document, list, index)))
        }
        _ => return Err(unknown(variable)),
    };
    let field = field.filter(|field| field.variable().is_some()).ok_or_else(|| unknown(variable))?;
    let table = table.ok_or_else(|| Problem {
        path: format!("${variable}"),
        line: None,
        what: format!("there is no place for {path}"),
        remedy: "number the entries of a list from 0, without a gap; a table of the file cannot be a value"
            .into(),
    })?;
    table.insert(field.name(), Item::Value(read(value, field)));
    Ok(path)
}

fn table<'d>(document: &'d mut DocumentMut, section: &str) -> Option<&'d mut Table> {
    document.entry(section).or_insert_with(|| Item::Table(Table::new())).as_table_mut()
}

/// An entry of a list; the one behind the last is made.
fn entry<'d>(document: &'d mut DocumentMut, list: &str, index: usize) -> Option<&'d mut Table> {
    let item = document.entry(list).or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    if let Item::Value(Value::Array(_)) = item {
        *item = std::mem::take(item).into_array_of_tables().map_or_else(|item| item, Item::ArrayOfTables);
    }
    let entries = item.as_array_of_tables_mut()?;
    if index == entries.len() {
        entries.push(Table::new());
    }
    entries.get_mut(index)
}

/// A variable holds text alone: what is meant by it depends on the field.
fn read(value: &str, field: &FieldDoc) -> Value {
    let whole = || value.trim().parse::<i64>().map_or_else(|_| value.into(), Value::from);
    match field.kind {
        Kind::Boolean => value.trim().parse::<bool>().map_or_else(|_| value.into(), Value::from),
        Kind::Number { .. } | Kind::Size { .. } => whole(),
        Kind::Texts | Kind::Choices { .. } if !value.trim_start().starts_with('[') => {
            let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::Array(items.collect::<Array>())
        }
        Kind::Texts | Kind::Choices { .. } => value.trim().parse().unwrap_or_else(|_| value.into()),
        _ => value.into(),
    }
}

fn unknown(variable: &str) -> Problem {
    // The places in lists are what they are.
    let index = variable.split(BETWEEN).find(|step| step.parse::<usize>().is_ok()).unwrap_or("0");
    let known: Vec<String> = reference::fields()
        .iter()
        .filter_map(FieldDoc::variable)
        .map(|name| name.replace("__N__", &format!("__{index}__")))
        .collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    Problem {
        path: format!("${variable}"),
        line: None,
        what: "does not name a field of the configuration".into(),
        remedy: match nearest(variable, &known) {
            Some(known) => format!("did you mean `{known}`?"),
            None => "`tidemq config reference` names them all".into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(text: &str, variables: &[(&str, &str)]) -> Result<Draft, Problems> {
        let owned = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Environment::new(owned).over(text)
    }

    fn problems(text: &str, variables: &[(&str, &str)]) -> Vec<(String, String)> {
        let problems = over(text, variables).expect_err("something is wrong").0;
        problems.into_iter().map(|problem| (problem.path, problem.remedy)).collect()
    }

    const LISTENER: &str = "generation = 4\n[[listener]]\naddress = \"127.0.0.1:1883\"\n";

    #[test]
    fn what_they_say_stands_over_the_text() {
        let draft = over(
            LISTENER,
            &[
                ("TIDEMQ__ENABLED", "true"),
                ("TIDEMQ__LIMITS__PACKET_BYTES", "2 MiB"),
                ("TIDEMQ__LIMITS__TOPIC_LEVELS", "9"),
                ("TIDEMQ__LISTENER__0__ADDRESS", "0.0.0.0:1883"),
                ("TIDEMQ__LISTENER__1__ADDRESS", "0.0.0.0:1884"),
                ("TIDEMQ__ADMIN__HOSTS", "a.example, b.example"),
                ("TIDEMQ__DIAGNOSTICS__PACKETS", "[\"publish\"]"),
                ("TIDEMQ__BROKER__RESPONSE_INFORMATION", "1"),
                ("HOME", "/"),
                ("TIDEMQ_ENABLED", "no"),
            ],
        )
        .unwrap();
        let config = draft.config;
        assert_eq!((draft.text.as_str(), draft.made_from.unwrap().0), (LISTENER, 4));
        assert!(config.enabled);
        assert_eq!((config.limits.packet_bytes, config.limits.topic_levels), (2 << 20, 9));
        let addresses: Vec<String> = config.listeners.iter().map(|one| one.address.to_string()).collect();
        assert_eq!(addresses, ["0.0.0.0:1883", "0.0.0.0:1884"]);
        assert_eq!(config.admin.hosts, ["a.example", "b.example"]);
        assert_eq!(config.diagnostics.packets.len(), 1);
        assert_eq!(config.broker.response_information, "1");
    }

    #[test]
    fn what_is_wrong_with_them_is_told_by_their_names_with_what_is_wrong_in_the_text() {
        let found = problems(
            "[limits]\ntopic_levels = 0\n",
            &[
                ("TIDEMQ__ENABLED", "yes"),
                ("TIDEMQ__LIMITS__PACKET_BYTE", "1"),
                ("TIDEMQ__LIMITS__TOPIC_BYTES", "0"),
                ("TIDEMQ__LISTENER__3__ADDRESS", "127.0.0.1:1"),
                ("TIDEMQ__LISTENER__0__ADRESS", "127.0.0.1:1"),
                ("TIDEMQ__GENERATION", "1"),
                ("TIDEMQ__", ""),
            ],
        );
        let mut paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
        paths.sort_unstable();
        assert_eq!(
            paths,
            [
                "$TIDEMQ__",
                "$TIDEMQ__ENABLED",
                "$TIDEMQ__GENERATION",
                "$TIDEMQ__LIMITS__PACKET_BYTE",
                "$TIDEMQ__LIMITS__TOPIC_BYTES",
                "$TIDEMQ__LISTENER__0__ADRESS",
                "$TIDEMQ__LISTENER__3__ADDRESS",
                "limits.topic_levels",
            ]
        );
        let remedy = |path: &str| found.iter().find(|(found, _)| found == path).unwrap().1.as_str();
        assert_eq!(remedy("$TIDEMQ__LIMITS__PACKET_BYTE"), "did you mean `TIDEMQ__LIMITS__PACKET_BYTES`?");
        assert_eq!(remedy("$TIDEMQ__LISTENER__0__ADRESS"), "did you mean `TIDEMQ__LISTENER__0__ADDRESS`?");
    }

    #[test]
    fn secrets_are_not_shown() {
        let environment = Environment::new([("TIDEMQ__ADMIN__PASSWORD".to_owned(), "swordfish".to_owned())]);
        assert!(!format!("{environment:?}").contains("swordfish"));
        let problems = environment.over("").unwrap_err();
        assert_eq!(problems.0[0].path, "$TIDEMQ__ADMIN__PASSWORD");
        assert!(!problems.to_string().contains("swordfish"), "{problems}");
    }
}
