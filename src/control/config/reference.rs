//! Every field of the configuration, once: what it is called, what it means, what may stand there and what holds if
//! nothing does. The reader, the differences, the fresh file, the schema of the API and the printed reference come from
//! it. It holds no value and reads no text.

use std::sync::LazyLock;

use serde::Serialize;
use utoipa::ToSchema;

use super::super::size;

mod access;
mod connecting;
mod fresh;
mod limits;
mod markdown;
mod messages;
mod operator;
mod schema;

pub(in crate::control) use fresh::text as fresh_text;
pub use markdown::markdown;
pub use schema::json_schema;

/// When a change takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// With Apply, for every client.
    Live,
    /// With Apply, for connections made from then on.
    NewConnections,
    /// With the next start only: Apply refuses it.
    Restart,
}

impl std::fmt::Display for Effect {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Effect::Live => "live",
            Effect::NewConnections => "new connections",
            Effect::Restart => "needs a restart",
        })
    }
}

/// One field.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct FieldDoc {
    /// `limits.packet_bytes`; `listener[].address` in every entry of a list.
    pub path: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// What may stand there.
    pub kind: Kind,
    /// It has to be there.
    pub required: bool,
    /// What holds if it is left out; `None`: nothing.
    pub default: Option<Preset>,
    /// In what it counts: `bytes`, `seconds`.
    pub unit: Option<&'static str>,
    /// When a change takes effect.
    pub effect: Effect,
}

/// What may stand in a field.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// Any text.
    Text,
    /// One of these words.
    Choice {
        /// The words.
        words: &'static [Word],
    },
    /// A whole number.
    Number {
        /// The least that is taken.
        least: u64,
        /// The most that is taken.
        most: u64,
    },
    /// A number of bytes, or a text with a unit: `"1 MiB"`.
    Size {
        /// The least that is taken.
        least: u64,
        /// The most that is taken.
        most: u64,
    },
    /// `"IP:PORT"`.
    Address,
    /// A list of texts.
    Texts,
    /// A list of these words.
    Choices {
        /// The words.
        words: &'static [Word],
    },
    /// The SHA-256 thumbprint of a certificate.
    Thumbprint {
        /// A word that may stand there instead.
        or: Option<&'static str>,
    },
    /// What is kept of a password. It is never shown.
    Secret,
}

/// A word that a field knows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct Word {
    /// As the file writes it.
    pub word: &'static str,
    /// What it means.
    pub doc: &'static str,
}

/// What holds for a field that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Preset {
    /// Of a [`Kind::Boolean`].
    Boolean(bool),
    /// Of a [`Kind::Number`] or a [`Kind::Size`].
    Number(u64),
    /// Of everything that is written as one text.
    Text(&'static str),
    /// Of a list: nothing is in it.
    Empty([bool; 0]),
}

/// A table of the file.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct SectionDoc {
    /// `limits`; `listener[]` if there may be several; empty: the file itself.
    pub path: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// What it is about.
    pub doc: &'static str,
    /// Its fields.
    pub fields: &'static [FieldDoc],
    /// How a fresh file shows it.
    #[serde(skip)]
    fresh: Fresh,
}

/// How a fresh configuration shows a table.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fresh {
    /// As it is, with the defaults.
    Table,
    /// With these entries, each with what is said of it and the values that differ from the defaults.
    Entries(&'static [Example]),
    /// As a comment in front of the section that it belongs to.
    Within(&'static str, Example),
    /// As an entry of its own, if the installation has one, else as a comment.
    Made(Example),
}

/// An entry of a list: what is said of it, and its values as the file would write them.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Example {
    doc: &'static str,
    values: &'static [(&'static str, &'static str)],
}

/// All tables, in the order of a fresh file.
const SECTIONS: &[SectionDoc] = &[
    connecting::ROOT,
    connecting::LISTENER,
    access::CERTIFICATES,
    access::CLIENT_CERTIFICATE,
    access::CREDENTIALS,
    access::USER,
    access::BROKER_CERTIFICATE,
    access::AUTHORITY,
    access::RULES,
    access::RULE,
    access::RULE_TEST,
    operator::ADMIN,
    messages::BROKER,
    limits::LIMITS,
    operator::STATUS,
    operator::LOG,
    operator::DIAGNOSTICS,
];

static FIELDS: LazyLock<Vec<FieldDoc>> =
    LazyLock::new(|| SECTIONS.iter().flat_map(|section| section.fields.iter().copied()).collect());

/// Every field, in the order of a fresh file.
#[must_use]
pub fn fields() -> &'static [FieldDoc] {
    &FIELDS
}

/// Every table, in the order of a fresh file.
#[must_use]
pub fn sections() -> &'static [SectionDoc] {
    SECTIONS
}

/// The table with this path.
pub(in crate::control) fn section(path: &str) -> Option<&'static SectionDoc> {
    SECTIONS.iter().find(|section| section.path == path)
}

/// A field of the configuration as a value names it: it is known, for the code would not compile without it.
///
/// # Panics
/// It is not in the reference; a test reads every field.
pub(in crate::control) fn field(table: &str, name: &str) -> &'static FieldDoc {
    let section = section(table).unwrap_or_else(|| panic!("no section `{table}` in the reference"));
    section.field(name).unwrap_or_else(|| panic!("no field `{name}` in the section `{table}`"))
}

impl SectionDoc {
    /// The field with this name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'static FieldDoc> {
        self.fields.iter().find(|field| field.name() == name)
    }

    /// Its name in the file, without brackets.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.path.trim_end_matches("[]")
    }

    /// Whether there may be several.
    #[must_use]
    pub fn is_list(&self) -> bool {
        self.path.ends_with("[]")
    }
}

impl FieldDoc {
    /// Its name within its table.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }

    /// Whether it is never shown.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.kind == Kind::Secret
    }

    /// What holds if it is left out, as the file would write it; `None`: it cannot be, or nothing holds then.
    #[must_use]
    pub fn default_written(&self) -> Option<String> {
        Some(match (self.default?, self.kind) {
            (Preset::Number(bytes), Kind::Size { .. }) => format!("\"{}\"", size::format(bytes)),
            (Preset::Boolean(is), _) => is.to_string(),
            (Preset::Number(number), _) => number.to_string(),
            (Preset::Text(text), _) => format!("{text:?}"),
            (Preset::Empty([]), _) => "[]".into(),
        })
    }

    /// The words that it knows.
    #[must_use]
    pub fn words(&self) -> &'static [Word] {
        match self.kind {
            Kind::Choice { words } | Kind::Choices { words } => words,
            _ => &[],
        }
    }

    /// What may stand there, in words.
    #[must_use]
    pub fn takes(&self) -> String {
        match self.kind {
            Kind::Boolean => "true or false".into(),
            Kind::Text => "text".into(),
            Kind::Choice { words } => one_of(words),
            Kind::Choices { words } => format!("a list of {}", one_of(words)),
            Kind::Number { least, most } => format!("{least} to {most}"),
            Kind::Size { least, most } => format!("{} to {}", size::format(least), size::format(most)),
            Kind::Address => "an address, IP:PORT".into(),
            Kind::Texts => "a list of texts".into(),
            Kind::Thumbprint { or: None } => "a SHA-256 thumbprint".into(),
            Kind::Thumbprint { or: Some(word) } => format!("\"{word}\", or a SHA-256 thumbprint"),
            Kind::Secret => "an argon2id hash in PHC format".into(),
        }
    }

    /// The environment variable that stands over it, with `N` for the place in a list.
    #[must_use]
    pub fn variable(&self) -> Option<String> {
        // It says what the text was made from, not what the broker is to do.
        let has_one = self.path != "generation";
        has_one
            .then(|| format!("TIDEMQ__{}", self.path.replace("[]", "__N").replace('.', "__").to_uppercase()))
    }

    const fn new(path: &'static str, title: &'static str, kind: Kind, default: Option<Preset>) -> FieldDoc {
        let unit = match kind {
            Kind::Size { .. } => Some("bytes"),
            _ => None,
        };
        FieldDoc { path, title, doc: "", kind, required: false, default, unit, effect: Effect::Live }
    }

    const fn says(mut self, doc: &'static str) -> FieldDoc {
        self.doc = doc;
        self
    }

    const fn required(mut self) -> FieldDoc {
        self.required = true;
        self
    }

    const fn unit(mut self, unit: &'static str) -> FieldDoc {
        self.unit = Some(unit);
        self
    }

    const fn new_connections(mut self) -> FieldDoc {
        self.effect = Effect::NewConnections;
        self
    }

    const fn at_start(mut self) -> FieldDoc {
        self.effect = Effect::Restart;
        self
    }
}

fn one_of(words: &[Word]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("\"{}\"", word.word)).collect();
    words.join(" or ")
}

const fn boolean(path: &'static str, title: &'static str, default: bool) -> FieldDoc {
    FieldDoc::new(path, title, Kind::Boolean, Some(Preset::Boolean(default)))
}

const fn text(path: &'static str, title: &'static str, default: Option<&'static str>) -> FieldDoc {
    FieldDoc::new(path, title, Kind::Text, preset(default))
}

const fn choice(
    path: &'static str,
    title: &'static str,
    default: Option<&'static str>,
    words: &'static [Word],
) -> FieldDoc {
    FieldDoc::new(path, title, Kind::Choice { words }, preset(default))
}

const fn number(path: &'static str, title: &'static str, default: u64, least: u64, most: u64) -> FieldDoc {
    FieldDoc::new(path, title, Kind::Number { least, most }, Some(Preset::Number(default)))
}

const fn bytes(path: &'static str, title: &'static str, default: u64, least: u64, most: u64) -> FieldDoc {
    FieldDoc::new(path, title, Kind::Size { least, most }, Some(Preset::Number(default)))
}

const fn address(path: &'static str, title: &'static str, default: Option<&'static str>) -> FieldDoc {
    FieldDoc::new(path, title, Kind::Address, preset(default))
}

const fn texts(path: &'static str, title: &'static str) -> FieldDoc {
    FieldDoc::new(path, title, Kind::Texts, Some(Preset::Empty([])))
}

const fn thumbprint(path: &'static str, title: &'static str) -> FieldDoc {
    FieldDoc::new(path, title, Kind::Thumbprint { or: None }, None)
}

const fn secret(path: &'static str, title: &'static str, default: Option<&'static str>) -> FieldDoc {
    FieldDoc::new(path, title, Kind::Secret, preset(default))
}

const fn preset(text: Option<&'static str>) -> Option<Preset> {
    match text {
        Some(text) => Some(Preset::Text(text)),
        None => None,
    }
}

const fn word(word: &'static str, doc: &'static str) -> Word {
    Word { word, doc }
}

#[cfg(test)]
#[path = "reference/tests.rs"]
mod tests;
