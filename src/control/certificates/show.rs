//! Certificates as text for people.

use super::authorities::Issuing;
use super::clients::word;
use super::{Refused, Registry};
use crate::control::config::BrokerChoice;
use crate::control::pki::{Certified, Description, describe, moment};

/// What stands where nothing is known.
const UNKNOWN: &str = "-";

/// What a certificate says, a line for each thing.
pub(super) fn description(said: &Description, now: i64) -> String {
    let mut lines = vec![
        ("Subject", said.subject.clone()),
        ("Issuer", if said.self_issued { format!("{} (itself)", said.issuer) } else { said.issuer.clone() }),
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
    lines.iter().map(|(name, text)| format!("{name:<12} {text}")).collect::<Vec<_>>().join("\n")
}

fn lapse(said: &Description, now: i64) -> &'static str {
    match now {
        now if now > said.not_after => " (expired)",
        now if now < said.not_before => " (not valid yet)",
        _ => "",
    }
}

/// Rows under a heading, each column as wide as it needs to be.
fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let heading: Vec<String> = heading.iter().map(|&word| word.to_owned()).collect();
    let all = || std::iter::once(&heading).chain(rows);
    let width = |column: usize| all().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all().map(line).collect::<Vec<_>>().join("\n")
}

fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.into()
}

impl Registry {
    /// The authorities of the draft.
    pub(super) fn authorities_shown(&self) -> String {
        let authorities = &self.draft.config().authorities;
        if authorities.is_empty() {
            return "there are no authorities; `tidemq ca create --name NAME` makes one".into();
        }
        let row = |one: &crate::control::config::Authority| {
            let (until, _) = self.until(&one.thumbprint);
            let key = yes(self.store.has_key(&one.thumbprint));
            vec![one.name.clone(), yes(one.issues), key, until, one.thumbprint.to_string()]
        };
        let rows: Vec<Vec<String>> = authorities.iter().map(row).collect();
        table(&["NAME", "ISSUES", "KEY", "VALID UNTIL", "SHA-256"], &rows)
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
    pub(super) fn clients_shown(&self) -> Result<String, Refused> {
        let mut rows = Vec::new();
        for one in &self.draft.config().client_certificates {
            let (until, issuer) = self.until(&one.thumbprint);
            rows.push(vec![
                one.name.clone(),
                word(one.status).into(),
                issuer,
                until,
                one.thumbprint.to_string(),
            ]);
        }
        for (thumbprint, certified) in self.unlisted()? {
            let (until, issuer) = self.until(&thumbprint);
            let name = super::clients::name_of(&certified)?;
            rows.push(vec![name, "issued".into(), issuer, until, thumbprint.to_string()]);
        }
        if rows.is_empty() {
            return Ok("there are no client certificates; `tidemq cert client add FILE` lists one".into());
        }
        Ok(table(&["NAME", "STATUS", "ISSUER", "VALID UNTIL", "SHA-256"], &rows))
    }

    /// Until when a certificate of the store is valid, and who issued it.
    fn until(&self, thumbprint: &crate::control::pki::Thumbprint) -> (String, String) {
        let said = self.store.chain(thumbprint).and_then(|chain| describe(&chain[0]));
        match said {
            Ok(said) => (moment(said.not_after) + lapse(&said, self.now), said.issuer),
            // It was listed by its thumbprint alone.
            Err(_) => (UNKNOWN.into(), UNKNOWN.into()),
        }
    }

    /// The broker's certificate.
    pub(super) fn broker_shown(&self) -> Result<String, Refused> {
        let Some((certified, choice)) = self.broker_certificate()? else {
            return Ok(
                "the broker makes its certificate when it starts; `tidemq cert broker new` makes one now"
                    .into(),
            );
        };
        let kept = match choice {
            BrokerChoice::Auto => "made by the broker, and renewed after two thirds of its life",
            BrokerChoice::Stored(_) => "imported; it is not renewed by itself",
        };
        Ok(format!("{}\n{:<12} {kept}", self.shown(&certified)?, "Kind"))
    }

    /// What a certificate says.
    pub(super) fn shown(&self, certified: &Certified) -> Result<String, Refused> {
        Ok(description(&describe(certified.certificate())?, self.now))
    }
}
