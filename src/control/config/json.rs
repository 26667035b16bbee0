//! A configuration as JSON, under the same names as in the file: what the API shows. Secrets are not in it.

use serde_json::{Map, Value};

use super::values::{self, Plain};
use super::{Config, Draft, reference};
use crate::control::problem::Problems;

/// The whole configuration, every default included. What is not said is `null`, and so is every secret.
#[must_use]
pub fn of(config: &Config) -> Value {
    let mut root = Map::new();
    // A list is there when nothing is in it.
    for list in reference::sections().iter().filter(|section| section.is_list()) {
        root.insert(list.name().to_owned(), Value::Array(Vec::new()));
    }
    for group in values::of(config) {
        let fields: Map<String, Value> =
            group.fields.into_iter().map(|(name, value)| (name.to_owned(), plain(value))).collect();
        match (group.table, group.table.strip_suffix("[]")) {
            ("", _) => root.extend(fields),
            (_, Some(list)) => {
                let entries = root.get_mut(list).and_then(Value::as_array_mut);
                entries.expect("the reference knows every list").push(Value::Object(fields));
            }
            (table, None) => {
                root.insert(table.to_owned(), Value::Object(fields));
            }
        }
    }
    Value::Object(root)
}

/// What a text says, and which generation it says it was made from.
///
/// # Errors
/// The text has problems.
pub fn of_text(text: &str) -> Result<Value, Problems> {
    let draft = Draft::read(text)?;
    let mut value = of(&draft.config);
    value["generation"] = draft.made_from.map(|generation| generation.0).into();
    Ok(value)
}

fn plain(value: Plain) -> Value {
    match value {
        Plain::Boolean(is) => is.into(),
        Plain::Number(number) => number.into(),
        Plain::Text(text) => text.into(),
        Plain::Texts(texts) => texts.into(),
        Plain::Secret(_) | Plain::Nothing => Value::Null,
    }
}
