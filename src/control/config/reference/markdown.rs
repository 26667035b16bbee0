//! The reference for people: `tidemq config reference`.

use std::fmt::Write;

use super::{FieldDoc, SECTIONS, SectionDoc};

/// Every field, as Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::from("# Configuration\n");
    for section in SECTIONS {
        heading(section, &mut out);
        for field in section.fields {
            describe(field, &mut out).expect("a text takes everything");
        }
    }
    out
}

fn heading(section: &SectionDoc, out: &mut String) {
    let name = match (section.path, section.is_list()) {
        ("", _) => String::new(),
        (_, true) => format!(" `[[{}]]`", section.name()),
        (path, false) => format!(" `[{path}]`"),
    };
    out.push_str(&format!("\n## {}{name}\n\n{}\n", section.title, section.doc));
}

fn describe(field: &FieldDoc, out: &mut String) -> std::fmt::Result {
    write!(out, "\n### `{}`: {}\n\n{}\n\n- Takes: {}", field.path, field.title, field.doc, field.takes())?;
    if let Some(unit) = field.unit {
        write!(out, " ({unit})")?;
    }
    match (field.required, field.default_written()) {
        (true, _) => writeln!(out, "\n- Has to be there")?,
        (false, Some(default)) => writeln!(out, "\n- Default: `{default}`")?,
        (false, None) => writeln!(out, "\n- Default: none")?,
    }
    writeln!(out, "- Takes effect: {}", field.effect)?;
    if let Some(variable) = field.variable() {
        writeln!(out, "- Environment: `{variable}`")?;
    }
    for word in field.words() {
        writeln!(out, "- `\"{}\"`: {}", word.word, word.doc)?;
    }
    Ok(())
}
