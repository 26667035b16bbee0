//! The reference says what the reader does, of every field, and the fresh file is made from it.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;
use toml_edit::{Array, DocumentMut, Item, Value};

use super::*;
use crate::control::config::{Draft, FRESH, values};

/// One entry of each list, with what has to be there and nothing else.
const LISTS: &str = r#"
[[listener]]
address = "127.0.0.1:1883"
[[client_certificate]]
name = "device1"
thumbprint = "ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01ab01"
status = "authorized"
[[user]]
name = "alice"
password = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0c2FsdHNhbHQ"
[[authority]]
name = "ours"
thumbprint = "cd02cd02cd02cd02cd02cd02cd02cd02cd02cd02cd02cd02cd02cd02cd02cd02"
[[rule]]
name = "all"
access = "read-write"
client_match = "all"
topic_match = "all"
[[rule_test]]
name = "anybody"
action = "publish"
topic = "a"
expect = "allowed"
"#;

/// The text with one field set.
fn with(field: &FieldDoc, value: Value) -> String {
    let mut document: DocumentMut = LISTS.parse().unwrap();
    let table = field.path.strip_suffix(field.name()).unwrap().trim_end_matches('.');
    let table = match table.strip_suffix("[]") {
        Some(list) => document[list].as_array_of_tables_mut().unwrap().get_mut(0).unwrap(),
        None if table.is_empty() => document.as_table_mut(),
        None => document[table].or_insert(toml_edit::table()).as_table_mut().unwrap(),
    };
    // Of websockets alone.
    if ["path", "packets_per_frame"].contains(&field.name()) {
        table["protocol"] = "websocket".into();
    }
    if ["client", "topic"].contains(&field.name()) && table.contains_key("access") {
        table[&format!("{}_match", field.name())] = "specific".into();
    }
    table[field.name()] = Item::Value(value);
    document.to_string()
}

/// What is wrong with the field when this is written there.
fn wrong(field: &FieldDoc, value: impl Into<Value>) -> Option<String> {
    let path = field.path.replace("[]", "[0]");
    let problems = Draft::read(&with(field, value.into())).err()?.0;
    problems.into_iter().find(|problem| problem.path == path).map(|problem| problem.to_string())
}

fn of_kind(fits: impl Fn(Kind) -> bool) -> impl Iterator<Item = &'static FieldDoc> {
    fields().iter().filter(move |field| fits(field.kind))
}

fn integer(number: u64) -> Value {
    i64::try_from(number).unwrap().into()
}

#[test]
fn every_field_is_described_once_within_its_section() {
    let mut paths = BTreeSet::new();
    for section in sections() {
        assert!(!section.title.is_empty() && !section.doc.is_empty(), "{}", section.path);
        for field in section.fields {
            assert!(paths.insert(field.path), "{} is there twice", field.path);
            let prefix = if section.path.is_empty() { String::new() } else { format!("{}.", section.path) };
            assert_eq!(field.path, format!("{prefix}{}", field.name()));
            assert!(!field.title.is_empty() && field.doc.ends_with('.'), "{}", field.path);
            assert!(!(field.required && field.default.is_some()), "{}", field.path);
        }
    }
}

#[test]
fn the_values_and_the_reference_hold_the_same_fields() {
    let config = Draft::read(LISTS).unwrap().config;
    let values: BTreeSet<String> = values::of(&config)
        .iter()
        .flat_map(|group| group.fields.iter().map(|(name, _)| group.doc(name).path.to_owned()))
        .collect();
    let documented: BTreeSet<String> =
        fields().iter().map(|field| field.path.to_owned()).filter(|path| path != "generation").collect();
    assert_eq!(values, documented);
}

#[test]
fn every_field_is_read_and_takes_no_other_type() {
    for field in fields() {
        let other: Value = match field.kind {
            Kind::Boolean => "true".into(),
            _ => true.into(),
        };
        assert!(wrong(field, other).is_some(), "{} takes anything", field.path);
    }
}

#[test]
fn numbers_are_taken_within_their_ranges_alone() {
    for field in of_kind(|kind| matches!(kind, Kind::Number { .. } | Kind::Size { .. })) {
        let (Kind::Number { least, most } | Kind::Size { least, most }) = field.kind else { unreachable!() };
        for number in [least, most] {
            // A limit may contradict another one, with which it is judged together.
            let said = wrong(field, integer(number)).unwrap_or_default();
            assert!(!said.contains("range"), "{}: {said}", field.path);
        }
        if let Some(fewer) = least.checked_sub(1) {
            assert!(wrong(field, integer(fewer)).unwrap().contains("range"), "{}", field.path);
        }
        if most < i64::MAX as u64 {
            assert!(wrong(field, integer(most + 1)).unwrap().contains("range"), "{}", field.path);
        }
        let as_text = wrong(field, size::format(least.max(1))).unwrap_or_default();
        assert_eq!(as_text.contains("range"), matches!(field.kind, Kind::Number { .. }), "{}", field.path);
    }
}

#[test]
fn words_are_those_that_the_reader_knows() {
    for field in of_kind(|kind| matches!(kind, Kind::Choice { .. } | Kind::Choices { .. })) {
        let value = |word: &str| -> Value {
            if matches!(field.kind, Kind::Choice { .. }) {
                word.into()
            } else {
                Array::from_iter([word]).into()
            }
        };
        let known: Vec<String> = field.words().iter().map(|word| format!("`{}`", word.word)).collect();
        let said = wrong(field, value("nonsense")).unwrap();
        assert!(said.ends_with(&format!("write {}", known.join(" or "))), "{}: {said}", field.path);
        for word in field.words() {
            let said = wrong(field, value(word.word));
            let not_yet = (field.path, word.word) == ("broker.storage", "disk");
            assert_eq!(said.is_some(), not_yet, "{said:?}");
            assert!(!word.doc.is_empty(), "{}: {}", field.path, word.word);
        }
    }
}

#[test]
fn defaults_are_what_holds_for_an_absent_field() {
    let config = Draft::read(LISTS).unwrap().config;
    for group in values::of(&config) {
        for (name, value) in &group.fields {
            let field = group.doc(name);
            let default = match (field.default, value) {
                (Some(Preset::Boolean(default)), values::Plain::Boolean(is)) => default == *is,
                (Some(Preset::Number(default)), values::Plain::Number(is)) => default == *is,
                (Some(Preset::Text(default)), values::Plain::Text(is) | values::Plain::Secret(is)) => {
                    default == is
                }
                (Some(Preset::Empty([])), values::Plain::Texts(is)) => is.is_empty(),
                (None, values::Plain::Nothing) => true,
                // It is there, because it has to be.
                (None, _) => field.required,
                _ => false,
            };
            assert!(default, "{}: {value:?}", field.path);
            assert_eq!(field.is_secret(), matches!(value, values::Plain::Secret(_)), "{}", field.path);
        }
    }
}

#[test]
fn what_has_to_be_there_is_missed() {
    for field in fields().iter().filter(|field| field.required) {
        let mut document: DocumentMut = LISTS.parse().unwrap();
        let list = field.path.split("[]").next().unwrap();
        document[list].as_array_of_tables_mut().unwrap().get_mut(0).unwrap().remove(field.name());
        let problems = Draft::read(&document.to_string()).unwrap_err().0;
        let path = field.path.replace("[]", "[0]");
        assert!(problems.iter().any(|problem| problem.path == path), "{path}: {problems:?}");
    }
}

#[test]
fn the_fresh_file_is_what_the_reference_says() {
    assert!(
        FRESH == fresh_text(None),
        "fresh.toml is old: `cargo test --lib -- --ignored writes_the_fresh_file` writes it anew"
    );
    for field in fields() {
        let line =
            |line: &str| line.trim_start_matches(['#', ' ']).starts_with(&format!("{} = ", field.name()));
        assert!(FRESH.lines().any(line), "{} is not shown", field.path);
        assert!(FRESH.lines().all(|line| line.len() <= 118), "a line is too long");
        // Wrapped anew.
        let words: Vec<&str> = field.doc.split_whitespace().take(4).collect();
        assert!(FRESH.contains(&words.join(" ")), "{} is not explained", field.path);
    }
}

#[test]
#[ignore = "it writes a file of the sources: for after a change of the reference"]
fn writes_the_fresh_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/control/fresh.toml");
    std::fs::write(path, fresh_text(None)).unwrap();
}

#[test]
fn the_printed_reference_names_every_field_and_its_variable() {
    let text = markdown();
    for field in fields() {
        assert!(text.contains(&format!("### `{}`: {}", field.path, field.title)), "{}", field.path);
    }
    for part in ["`TIDEMQ__LIMITS__PACKET_BYTES`", "`TIDEMQ__LISTENER__N__ADDRESS`", "- Default: `\"1 MiB\"`"]
    {
        assert!(text.contains(part), "{part}");
    }
    assert!(!text.contains("TIDEMQ__GENERATION"));
}

#[test]
fn the_schema_describes_every_field() {
    let schema = json_schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    for field in fields() {
        let table = field.path.strip_suffix(field.name()).unwrap().trim_end_matches('.');
        let at = match table.strip_suffix("[]") {
            Some(list) => &schema["properties"][list]["items"],
            None if table.is_empty() => &schema,
            None => &schema["properties"][table],
        };
        let at = &at["properties"][field.name()];
        assert_eq!(
            (&at["title"], &at["description"]),
            (&json!(field.title), &json!(field.doc)),
            "{}",
            field.path
        );
        assert_eq!(at["writeOnly"] == json!(true), field.is_secret());
    }
    let packet = &schema["properties"]["limits"]["properties"]["packet_bytes"];
    assert_eq!((&packet["minimum"], &packet["default"]), (&json!(128), &json!(1 << 20)));
    let listener = &schema["properties"]["listener"]["items"];
    assert_eq!(listener["required"], json!(["address"]));
    assert_eq!(listener["additionalProperties"], json!(false));
}
