//! Edits that come as JSON: the whole configuration, or a merge patch. The document becomes what they say, and what
//! people wrote around a field stays as long as the field does. What the fields are is the reference's business, and
//! whether the result is valid the reader's.

use std::collections::HashSet;

use serde_json::{Map, Value as Json, json};
use toml_edit::{DocumentMut, InlineTable, Item, Table, TableLike, Value};

use super::{Edit, EditError, entries, replace, set_field};
use crate::control::config::Draft;
use crate::control::config::reference::{self, FieldDoc, Kind};
use crate::control::problem::{Problem, Problems};
use crate::control::size;
use crate::policy::Thumbprint;

/// Stays as it is unless it is said: it is not about what the broker does.
const GENERATION: &str = "generation";

impl Edit {
    /// The document becomes what `value` says, under the names of the file. A field that is left out or `null` is removed;
    /// a secret then keeps what it was, and so does the generation. Entries of a list are recognised by their names.
    ///
    /// # Errors
    /// All that is wrong with it, each with its path. The document is as it was.
    pub fn replace_json(&mut self, value: &Json) -> Result<(), EditError> {
        let Json::Object(wanted) = value else {
            let what = format!("is {}, not an object", kind_of(value));
            let problem = Problem { path: String::new(), line: None, what, remedy: "write `{ ... }`".into() };
            return Err(EditError::Invalid(self.file.clone(), Problems(vec![problem])));
        };
        let mut document = self.document.clone();
        become_document(&mut document, wanted);
        // The lines of a text that nobody has seen are of no use.
        Draft::read(&document.to_string()).map_err(|Problems(mut problems)| {
            problems.iter_mut().for_each(|problem| problem.line = None);
            EditError::Invalid(self.file.clone(), Problems(problems))
        })?;
        self.document = document;
        Ok(())
    }

    /// Changes what `patch` names: a merge patch (RFC 7396). `null` removes; a list is replaced as a whole.
    ///
    /// # Errors
    /// All that is wrong with the result, each with its path. The document is as it was.
    pub fn merge_json(&mut self, patch: &Json) -> Result<(), EditError> {
        let mut wanted = Json::Object(json_of_table(self.document.as_table()));
        merge(&mut wanted, patch);
        self.replace_json(&wanted)
    }
}

/// RFC 7396.
fn merge(target: &mut Json, patch: &Json) {
    let Json::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Json::Object(Map::new());
    }
    let Json::Object(target) = target else { unreachable!("it was made one") };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name).or_insert(Json::Null), value);
        }
    }
}

fn become_document(document: &mut DocumentMut, wanted: &Map<String, Json>) {
    let there: Vec<String> = document.iter().map(|(name, _)| name.to_owned()).collect();
    for name in there.iter().filter(|name| !is_said(wanted, name) && *name != GENERATION) {
        // A section that is not said has no fields, save those that nobody can know to say.
        match document.get_mut(name).and_then(Item::as_table_like_mut) {
            Some(table) if has_secrets(name) => become_table(table, name, &Map::new()),
            _ => {
                document.remove(name);
            }
        }
    }
    for (name, value) in wanted.iter().filter(|(_, value)| !value.is_null()) {
        let list = format!("{name}[]");
        match value {
            Json::Object(fields) => match document.get_mut(name).and_then(Item::as_table_like_mut) {
                Some(table) => become_table(table, name, fields),
                None => {
                    let mut table = Table::new();
                    become_table(&mut table, name, fields);
                    // With nothing but defaults it need not be there.
                    if !table.is_empty() || reference::section(name).is_none() {
                        document.insert(name, Item::Table(table));
                    }
                }
            },
            Json::Array(items)
                if items.iter().all(Json::is_object) && reference::section(&list).is_some() =>
            {
                let items: Vec<&Map<String, Json>> = items.iter().filter_map(Json::as_object).collect();
                let old = entries(document, name).unwrap_or_default();
                replace(document, name, become_entries(old, &list, &items));
            }
            other => set(document.as_table_mut(), "", name, other),
        }
    }
}

/// `table`: as the reference calls it.
fn become_table(there: &mut dyn TableLike, table: &str, wanted: &Map<String, Json>) {
    let names: Vec<String> = there.iter().map(|(name, _)| name.to_owned()).collect();
    for name in names.iter().filter(|name| !is_said(wanted, name)) {
        if !doc(table, name).is_some_and(FieldDoc::is_secret) {
            there.remove(name);
        }
    }
    for (name, value) in wanted.iter().filter(|(_, value)| !value.is_null()) {
        set(there, table, name, value);
    }
}

/// The entries in their new order. What is there already is recognised by what it is called; the place counts only where
/// nothing could be inherited that belongs to somebody else.
fn become_entries(old: Vec<Table>, list: &str, wanted: &[&Map<String, Json>]) -> Vec<Table> {
    let key = if doc(list, "name").is_some() { "name" } else { "address" };
    let same = |table: &Table, fields: &Map<String, Json>| {
        let name = fields.get(key).and_then(Json::as_str);
        name.is_some() && table.get(key).and_then(Item::as_str) == name
    };
    let mut used = HashSet::new();
    let mut found: Vec<Option<usize>> = Vec::new();
    for fields in wanted {
        let index = (0..old.len()).find(|index| !used.contains(index) && same(&old[*index], fields));
        used.extend(index);
        found.push(index);
    }
    let by_place = !has_secrets(list);
    let mut entries = Vec::new();
    for (index, fields) in wanted.iter().enumerate() {
        let place = (by_place && index < old.len() && !used.contains(&index)).then_some(index);
        let mut entry = found[index].or(place).map_or_else(Table::new, |index| old[index].clone());
        become_table(&mut entry, list, fields);
        entries.push(entry);
    }
    entries
}

/// Writes a field unless it says so already, in whatever words, or by saying nothing.
fn set(table: &mut dyn TableLike, section: &str, name: &str, wanted: &Json) {
    let doc = doc(section, name);
    let before = table.get(name).and_then(Item::as_value);
    let is_default = || {
        let default = doc.and_then(|doc| doc.default).map(|default| json!(default));
        default.is_some_and(|default| default == *wanted)
    };
    if before.map_or_else(is_default, |before| says(before, wanted, doc)) {
        return;
    }
    let is_size = doc.is_some_and(|doc| matches!(doc.kind, Kind::Size { .. }));
    let value = match wanted.as_u64() {
        Some(bytes) if is_size => size::format(bytes).into(),
        _ => toml_of(wanted),
    };
    set_field(table, name, value);
}

/// Whether a value is the wanted one, written in another way perhaps.
fn says(value: &Value, wanted: &Json, doc: Option<&FieldDoc>) -> bool {
    if json_of(value) == *wanted {
        return true;
    }
    match doc.map(|doc| doc.kind) {
        Some(Kind::Size { .. }) => {
            let written = value.as_str().and_then(size::parse);
            written.is_some() && written == wanted.as_u64()
        }
        Some(Kind::Thumbprint { .. }) => {
            let read = |text: Option<&str>| text.and_then(|text| text.parse::<Thumbprint>().ok());
            let written = read(value.as_str());
            written.is_some() && written == read(wanted.as_str())
        }
        _ => false,
    }
}

fn is_said(fields: &Map<String, Json>, name: &str) -> bool {
    fields.get(name).is_some_and(|value| !value.is_null())
}

fn doc(section: &str, name: &str) -> Option<&'static FieldDoc> {
    reference::section(section)?.field(name)
}

fn has_secrets(section: &str) -> bool {
    reference::section(section).is_some_and(|section| section.fields.iter().any(FieldDoc::is_secret))
}

/// A null inside of a list has no other word in TOML; the reader says what belongs there.
fn toml_of(value: &Json) -> Value {
    match value {
        Json::Null => "null".into(),
        Json::Bool(is) => (*is).into(),
        Json::String(text) => text.as_str().into(),
        // Whatever is no whole number of 64 bits is out of every range.
        Json::Number(number) => {
            number.as_i64().map_or_else(|| number.as_f64().unwrap_or(f64::MAX).into(), Into::into)
        }
        Json::Array(items) => Value::Array(items.iter().map(toml_of).collect()),
        Json::Object(fields) => {
            let said = fields.iter().filter(|(_, value)| !value.is_null());
            Value::InlineTable(said.map(|(name, value)| (name, toml_of(value))).collect::<InlineTable>())
        }
    }
}

fn json_of(value: &Value) -> Json {
    match value {
        Value::String(text) => text.value().as_str().into(),
        Value::Integer(number) => (*number.value()).into(),
        Value::Float(number) => (*number.value()).into(),
        Value::Boolean(is) => (*is.value()).into(),
        Value::Datetime(moment) => moment.value().to_string().into(),
        Value::Array(items) => items.iter().map(json_of).collect(),
        Value::InlineTable(table) => Json::Object(json_of_table(table)),
    }
}

fn json_of_table(table: &dyn TableLike) -> Map<String, Json> {
    let of = |item: &Item| match item {
        Item::Value(value) => json_of(value),
        Item::Table(table) => Json::Object(json_of_table(table)),
        Item::ArrayOfTables(tables) => {
            tables.iter().map(|table| Json::Object(json_of_table(table))).collect()
        }
        Item::None => Json::Null,
    };
    table.iter().map(|(name, item)| (name.to_owned(), of(item))).collect()
}

fn kind_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
