//! The text of a fresh configuration: every field with its default, and what is to be said of it above. It reads nothing
//! but the reference.

use super::{Example, FieldDoc, Fresh, SECTIONS, SectionDoc};

/// How long a line of a comment becomes.
const COLUMNS: usize = 118;

/// The text. `authority`: the thumbprint of the one that was made for the installation.
pub(in crate::control) fn text(authority: Option<&str>) -> String {
    let mut out = String::new();
    for section in SECTIONS {
        match section.fresh {
            Fresh::Table => table(section, &mut out),
            Fresh::Entries(examples) => {
                for (index, example) in examples.iter().enumerate() {
                    out.push('\n');
                    let doc = if index == 0 { section.doc } else { example.doc };
                    comment(&mut out, "", doc);
                    // What was said above the first one need not be said again.
                    entry(section, example, Docs::of(index), "", &mut out);
                }
            }
            // In front of the section that it belongs to.
            Fresh::Within(..) => {}
            Fresh::Made(example) => {
                out.push('\n');
                comment(&mut out, "", section.doc);
                made(section, &example, authority, &mut out);
            }
        }
    }
    out
}

fn table(section: &SectionDoc, out: &mut String) {
    let root = section.path.is_empty();
    if !root {
        out.push('\n');
    }
    comment(out, "", section.doc);
    for other in SECTIONS {
        if let Fresh::Within(within, example) = other.fresh
            && within == section.path
        {
            comment(out, "", other.doc);
            entry(other, &example, Docs::Above, "#   ", out);
        }
    }
    if !root {
        out.push_str(&format!("[{}]\n", section.path));
    }
    for field in section.fields {
        if root {
            out.push('\n');
        }
        comment(out, "", field.doc);
        // The generation has no default: it is 0 as long as nothing was applied.
        let value = field.default_written().unwrap_or_else(|| "0".into());
        out.push_str(&format!("{} = {value}\n", field.name()));
    }
}

/// The authority that was made; a comment shows what one looks like if there is none.
fn made(section: &SectionDoc, example: &Example, authority: Option<&str>, out: &mut String) {
    let Some(thumbprint) = authority else {
        return entry(section, example, Docs::Above, "#   ", out);
    };
    let mut written = String::new();
    entry(section, example, Docs::Above, "", &mut written);
    let (_, placeholder) = example.values.iter().find(|(name, _)| *name == "thumbprint").expect("it has one");
    out.push_str(&written.replacen(placeholder, &format!("\"{thumbprint}\""), 1));
}

/// Whether the fields of an entry are explained.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Docs {
    /// Each above its value.
    Above,
    /// Only what the entries before it did not show.
    Elsewhere,
}

impl Docs {
    fn of(index: usize) -> Docs {
        if index == 0 { Docs::Above } else { Docs::Elsewhere }
    }
}

fn entry(section: &SectionDoc, example: &Example, docs: Docs, indent: &str, out: &mut String) {
    out.push_str(&format!("{indent}[[{}]]\n", section.name()));
    for field in section.fields {
        let value = value(field, example);
        if value.is_empty() {
            continue;
        }
        if docs == Docs::Above || new_here(section, field) {
            comment(out, indent, field.doc);
        }
        out.push_str(&format!("{indent}{} = {value}\n", field.name()));
    }
}

/// What the example says, else the default.
fn value(field: &FieldDoc, example: &Example) -> String {
    let said = example.values.iter().find(|(name, _)| *name == field.name());
    said.map(|(_, value)| (*value).to_owned()).or_else(|| field.default_written()).unwrap_or_default()
}

/// Whether the first example leaves it out.
fn new_here(section: &SectionDoc, field: &FieldDoc) -> bool {
    let Fresh::Entries([first, ..]) = section.fresh else { return false };
    value(field, first).is_empty()
}

fn comment(out: &mut String, indent: &str, doc: &str) {
    for paragraph in doc.lines() {
        let mut line = format!("{indent}#");
        for word in paragraph.split_whitespace() {
            if line.len() + 1 + word.len() > COLUMNS {
                out.push_str(&line);
                out.push('\n');
                line = format!("{indent}#");
            }
            line.push(' ');
            line.push_str(word);
        }
        out.push_str(&line);
        out.push('\n');
    }
}
