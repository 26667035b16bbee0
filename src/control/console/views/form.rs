//! A form whose fields are fields of the configuration: named by their paths, each with its value, what is wrong with
//! it, and whether it differs from what is applied. It knows no field by name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::control::console::text::Foreign;

/// The fields of the configuration that a page shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Form {
    values: BTreeMap<String, String>,
    applied: BTreeMap<String, String>,
    changed: BTreeSet<String>,
    problems: Vec<FieldProblem>,
}

/// What is wrong with a field, or worth a thought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldProblem {
    /// `listener[1].address`; empty: the configuration as a whole.
    pub(crate) path: String,
    /// What is wrong.
    pub(crate) what: Foreign,
    /// What to do about it.
    pub(crate) remedy: Foreign,
    /// How bad that is.
    pub(crate) grade: Grade,
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grade {
    /// It cannot be applied like this.
    Problem,
    /// It can, and may not be what was meant.
    Warning,
}

impl FieldProblem {
    /// Where, with nothing in it that deceives: names of users stand in it.
    pub(crate) fn shown_path(&self) -> Foreign {
        Foreign::of(&self.path)
    }

    /// As the style sheet has it.
    pub(crate) fn class(&self) -> &'static str {
        match self.grade {
            Grade::Problem => "bad",
            Grade::Warning => "warning",
        }
    }
}

impl Form {
    /// The draft beside what is applied; `changed` are the paths that Apply would change, `problems` those of the draft.
    pub(crate) fn new(
        draft: &Value,
        applied: &Value,
        changed: impl IntoIterator<Item = String>,
        problems: Vec<FieldProblem>,
    ) -> Form {
        Form { values: flat(draft), applied: flat(applied), changed: changed.into_iter().collect(), problems }
    }

    /// The same, with what is wrong with what was typed.
    #[must_use]
    pub(crate) fn with_problems(mut self, problems: Vec<FieldProblem>) -> Form {
        self.problems = problems;
        self
    }

    /// The same, with what was typed and not taken.
    #[must_use]
    pub(crate) fn typed(mut self, values: impl IntoIterator<Item = (String, String)>) -> Form {
        self.values.extend(values);
        self
    }

    /// A field's value; nothing if it has none.
    pub(crate) fn value(&self, path: &str) -> &str {
        self.values.get(path).map_or("", String::as_str)
    }

    /// Whether a switch is on.
    pub(crate) fn on(&self, path: &str) -> bool {
        self.value(path) == "true"
    }

    /// Whether it is one of several that is chosen.
    pub(crate) fn is(&self, path: &str, value: &str) -> bool {
        self.value(path) == value
    }

    /// Whether the draft has another value than what is applied.
    pub(crate) fn changed(&self, path: &str) -> bool {
        self.changed.contains(path)
    }

    /// What is applied, if the draft has something else in its place.
    pub(crate) fn before(&self, path: &str) -> Option<&str> {
        let said = match self.applied.get(path)?.as_str() {
            "true" => "on",
            "false" => "off",
            "" => "empty",
            value => value,
        };
        self.changed(path).then_some(said)
    }

    /// What is wrong with a field.
    pub(crate) fn problems(&self, path: &str) -> Vec<&FieldProblem> {
        self.problems.iter().filter(|problem| problem.path == path).collect()
    }

    /// What is wrong with the draft and belongs to none of these fields: it is said on top.
    pub(crate) fn elsewhere(&self, known: &[&str]) -> Vec<&FieldProblem> {
        let stands = |path: &str| {
            known.iter().any(|prefix| path.starts_with(prefix)) && self.values.contains_key(path)
        };
        self.problems.iter().filter(|problem| !stands(&problem.path)).collect()
    }

    /// How many entries a list has.
    pub(crate) fn len(&self, list: &str) -> usize {
        let first = |index: usize| format!("{list}[{index}].");
        (0..).take_while(|index| self.values.keys().any(|path| path.starts_with(&first(*index)))).count()
    }
}

/// Every value by its path: `{"listener": [{"tls": true}]}` is `listener[0].tls` = `true`.
pub(crate) fn flat(value: &Value) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    walk(String::new(), value, &mut out);
    out
}

fn walk(path: String, value: &Value, out: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                walk(path, value, out);
            }
        }
        Value::Array(items) if items.iter().all(Value::is_string) && !items.is_empty() => {
            let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            out.insert(path, items.join(", "));
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(format!("{path}[{index}]"), item, out);
            }
        }
        Value::Null => {}
        Value::String(text) => drop(out.insert(path, text.clone())),
        Value::Bool(_) | Value::Number(_) => drop(out.insert(path, value.to_string())),
    }
}
