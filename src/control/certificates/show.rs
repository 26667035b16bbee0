//! Certificates as text for people, and as JSON for machines.

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::authorities::Issuing;
use super::clients::word;
use super::{Refused, Registry};
use crate::control::config::{Authority, BrokerChoice};
use crate::control::pki::{Certified, Description, Thumbprint, describe, moment};
use crate::control::table::Table;

/// What a certificate says: names and values, in order.
#[derive(Debug)]
pub(super) struct Said(Vec<(&'static str, String)>);

impl Said {
    /// What is not there is left out.
    pub(super) fn of(said: &Description, now: i64) -> Said {
        let issuer = if said.self_issued { format!("{} (itself)", said.issuer) } else { said.issuer.clone() };
        let mut lines = vec![
            ("Subject", said.subject.clone()),
            ("Issuer", issuer),
            ("Names", said.alternative_names.join(", ")),
            ("Valid from", moment(said.not_before)),
            ("Valid until", moment(said.not_after) + lapse(said, now)),
            ("Key", said.key.clone()),
            ("Usage", said.usages.join(", ")),
            ("Authority", if said.is_authority { "yes" } else { "no" }.into()),
            ("Serial", said.serial.clone()),
            ("SHA-1", said.sha1.clone()),
            ("SHA-256", said.sha256.to_string()),
        ];
        if said.version != 3 {
            lines.push(("Version", format!("{}: the broker and most clients refuse it", said.version)));
        }
        lines.retain(|(_, text)| !text.is_empty());
        Said(lines)
    }

    /// A line for each thing.
    pub(super) fn text(&self) -> String {
        self.0.iter().map(|(name, text)| format!("{name:<12} {text}")).collect::<Vec<_>>().join("\n")
    }
}

/// An object whose names are JSON's: `valid_until`.
impl Serialize for Said {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let name = |name: &str| name.to_lowercase().replace(' ', "_").replace('-', "");
        serializer.collect_map(self.0.iter().map(|(key, value)| (name(key), value)))
    }
}

fn lapse(said: &Description, now: i64) -> &'static str {
    match now {
        now if now > said.not_after => " (expired)",
        now if now < said.not_before => " (not valid yet)",
        _ => "",
    }
}

impl Registry {
    /// The authorities of the draft.
    pub(super) fn authorities_listed(&self) -> Table {
        let mut table = Table::new(&["name", "issues", "key", "valid_until", "sha256"]);
        for one in &self.draft.config().authorities {
            let Authority { name, thumbprint, issues } = one;
            let (until, _) = self.until(thumbprint);
            let key = self.store.has_key(thumbprint);
            table.push(vec![
                name.as_str().into(),
                (*issues).into(),
                key.into(),
                until,
                thumbprint.to_string().into(),
            ]);
        }
        table
    }

    /// Who issues once an authority was added, as a line behind the others.
    pub(super) fn issuing_shown(&self, asked: Issuing, added: &Certified) -> String {
        let others = self.draft.config().authorities.iter().find(|one| one.issues);
        match (asked, others) {
            (Issuing::Yes, _) => "\nit issues from now on".into(),
            (Issuing::IfNone, Some(other)) => {
                format!("\n`{}` goes on issuing; `tidemq ca use NAME` changes that", other.name)
            }
            (Issuing::IfNone, None) if added.key.is_some() => "\nit issues from now on".into(),
            (Issuing::IfNone, None) => String::new(),
        }
    }

    /// The listed client certificates, and those that were issued here and are not listed.
    pub(super) fn clients_listed(&self) -> Result<Table, Refused> {
        let mut table = Table::new(&["name", "status", "issuer", "valid_until", "sha256"]);
        let mut add = |name: &str, status: &str, thumbprint: &Thumbprint| {
            let (until, issuer) = self.until(thumbprint);
            table.push(vec![name.into(), status.into(), issuer, until, thumbprint.to_string().into()]);
        };
        for one in &self.draft.config().client_certificates {
            add(&one.name, word(one.status), &one.thumbprint);
        }
        for (thumbprint, certified) in self.unlisted()? {
            add(&super::clients::name_of(&certified)?, "issued", &thumbprint);
        }
        Ok(table)
    }

    /// Until when a certificate of the store is valid, and who issued it. Nothing is known of one that was listed by its
    /// thumbprint alone.
    fn until(&self, thumbprint: &Thumbprint) -> (Value, Value) {
        let said = self.store.chain(thumbprint).and_then(|chain| describe(&chain[0]));
        match said {
            Ok(said) => ((moment(said.not_after) + lapse(&said, self.now)).into(), said.issuer.into()),
            Err(_) => (Value::Null, Value::Null),
        }
    }

    /// The broker's certificate; `None`: it is not made yet.
    pub(super) fn broker_said(&self) -> Result<Option<Said>, Refused> {
        let Some((certified, choice)) = self.broker_certificate()? else { return Ok(None) };
        let kept = match choice {
            BrokerChoice::Auto => "made by the broker, and renewed after two thirds of its life",
            BrokerChoice::Stored(_) => "imported; it is not renewed by itself",
        };
        let mut said = self.said(&certified)?;
        said.0.push(("Kind", kept.into()));
        Ok(Some(said))
    }

    /// What a certificate says.
    pub(super) fn said(&self, certified: &Certified) -> Result<Said, Refused> {
        Ok(Said::of(&describe(certified.certificate())?, self.now))
    }

    /// The same as text.
    pub(super) fn shown(&self, certified: &Certified) -> Result<String, Refused> {
        Ok(self.said(certified)?.text())
    }
}
