//! A topic rule as the configuration file has it: the words, and the fields of its entry.

use toml_edit::Value;

use crate::control::config::{ACCESSES, MATCHES, Match};
use crate::policy::rules::Access;

/// The table of the file that lists the rules.
pub(in crate::control) const TABLE: &str = "rule";

/// A rule to be written. Whether it is right is found out by reading the file.
pub(in crate::control) struct Written<'a> {
    pub(in crate::control) name: &'a str,
    pub(in crate::control) access: Access,
    /// How it finds clients, and what by.
    pub(in crate::control) client: (Match, Option<&'a str>),
    /// The same of topics.
    pub(in crate::control) topic: (Match, Option<&'a str>),
}

impl Written<'_> {
    /// The fields of its entry.
    pub(in crate::control) fn fields(&self) -> Vec<(&'static str, Value)> {
        let mut fields: Vec<(&'static str, Value)> =
            vec![("name", self.name.into()), ("access", name_of(ACCESSES, self.access).into())];
        for (how, what, (kind, text)) in
            [("client_match", "client", self.client), ("topic_match", "topic", self.topic)]
        {
            fields.push((how, name_of(MATCHES, kind).into()));
            fields.extend(text.map(|text| (what, text.into())));
        }
        fields
    }
}

/// How the file writes a value.
pub(in crate::control) fn name_of<T: PartialEq>(names: &[(&'static str, T)], value: T) -> &'static str {
    names
        .iter()
        .find(|(_, known)| *known == value)
        .map(|(name, _)| *name)
        .expect("the table names every value")
}
