//! The reference for machines: JSON Schema 2020-12 of the whole configuration.

use serde_json::{Map, Value, json};

use super::{FieldDoc, Kind, SECTIONS, SectionDoc, Word};

/// 64 hexadecimal digits, with what people put between them.
const THUMBPRINT: &str = "^([0-9A-Fa-f][ :]?){64}$";

/// The schema of a configuration as the API gives and takes it. A field that is `null` is not said.
#[must_use]
pub fn json_schema() -> Value {
    let mut root = Map::new();
    for section in SECTIONS {
        let (properties, required) = properties(section);
        if section.path.is_empty() {
            root.extend(properties);
            continue;
        }
        let mut table = json!({
            "type": "object",
            "title": section.title,
            "description": section.doc,
            "properties": properties,
            "additionalProperties": false,
        });
        if !required.is_empty() {
            table["required"] = json!(required);
        }
        let shape = if section.is_list() {
            json!({ "type": "array", "title": section.title, "description": section.doc, "items": table })
        } else {
            table
        };
        root.insert(section.name().to_owned(), shape);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tidemq configuration",
        "type": "object",
        "properties": root,
        "additionalProperties": false,
    })
}

fn properties(section: &SectionDoc) -> (Map<String, Value>, Vec<&'static str>) {
    let properties = section.fields.iter().map(|field| (field.name().to_owned(), of(field))).collect();
    // A secret that is left out keeps what it was.
    let required = section.fields.iter().filter(|field| field.required && !field.is_secret());
    (properties, required.map(FieldDoc::name).collect())
}

fn of(field: &FieldDoc) -> Value {
    let mut schema = kind(field);
    schema["title"] = json!(field.title);
    schema["description"] = json!(field.doc);
    schema["x-effect"] = json!(field.effect);
    if let Some(unit) = field.unit {
        schema["x-unit"] = json!(unit);
    }
    if let Some(default) = field.default.filter(|_| !field.is_secret()) {
        schema["default"] = json!(default);
    }
    schema
}

fn kind(field: &FieldDoc) -> Value {
    // What has to be there cannot be null.
    let or_null = |name: &str| if field.required { json!(name) } else { json!([name, "null"]) };
    match field.kind {
        Kind::Boolean => json!({ "type": or_null("boolean") }),
        Kind::Text => json!({ "type": or_null("string") }),
        Kind::Address => json!({ "type": or_null("string"), "examples": ["127.0.0.1:1883", "[::]:1883"] }),
        Kind::Choice { words } => {
            let mut known: Vec<Value> = spelled(words);
            if !field.required {
                known.push(Value::Null);
            }
            json!({ "enum": known })
        }
        Kind::Number { least, most } => {
            json!({ "type": or_null("integer"), "minimum": least, "maximum": most })
        }
        Kind::Size { least, most } => json!({
            "type": ["integer", "string", "null"],
            "minimum": least,
            "maximum": most,
            "pattern": "^\\s*[0-9][0-9_]*\\s*([Kk][Ii][Bb]|[Mm][Ii][Bb]|[Gg][Ii][Bb]|[Bb])?\\s*$",
        }),
        Kind::Texts => json!({ "type": or_null("array"), "items": { "type": "string" } }),
        Kind::Choices { words } => {
            json!({ "type": or_null("array"), "items": { "enum": spelled(words) } })
        }
        Kind::Thumbprint { or: None } => json!({ "type": or_null("string"), "pattern": THUMBPRINT }),
        Kind::Thumbprint { or: Some(word) } => {
            json!({ "type": or_null("string"), "pattern": format!("^{word}$|{THUMBPRINT}") })
        }
        Kind::Secret => json!({ "type": ["string", "null"], "writeOnly": true }),
    }
}

fn spelled(words: &[Word]) -> Vec<Value> {
    words.iter().map(|word| json!(word.word)).collect()
}
