//! "Revert unless confirmed": an Apply that is taken back if nobody says in time that it is meant. It is kept on disk, so
//! that a restart does not forget it. Whoever waits for the time is not here.

use std::fmt;

use serde::{Deserialize, Serialize};
use toml_edit::{DocumentMut, Item, Table};

use super::{ApplyError, ApplyRequest, Occasion, Prepared, Source, Store};
use crate::control::config::{ClientCertificate, Config, Draft, draft_hash};
use crate::control::disk;
use crate::control::edit::{entries, replace, set_field};
use crate::control::secure;
use crate::policy::{Generation, Listing, Thumbprint};

/// What waits for a confirmation.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pending {
    pub(super) generation: u64,
    /// Until when it has to be confirmed, in seconds since 1970.
    pub until: i64,
    /// The text to which it goes back.
    pub back_to: String,
}

/// The text to go back to, without what must not come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reversion {
    /// The text.
    pub text: String,
    /// What keeps its newer state, for people.
    pub kept: Vec<String>,
}

/// Even a hash of a password is no business of a log.
impl fmt::Debug for Pending {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pending { generation, until, back_to } = self;
        write!(out, "Pending({generation} until {until}, back to {})", draft_hash(back_to))
    }
}

impl Pending {
    /// What is in force until then.
    #[must_use]
    pub fn generation(&self) -> Generation {
        Generation(self.generation)
    }

    /// Whether its time is over.
    #[must_use]
    pub fn is_over(&self, now: i64) -> bool {
        now >= self.until
    }

    /// The text to go back to: what was revoked or given another password meanwhile stays as it is now.
    #[must_use]
    pub fn reversion(&self, now: &Config) -> Reversion {
        let (Ok(before), Ok(mut document)) =
            (Draft::read(&self.back_to), self.back_to.parse::<DocumentMut>())
        else {
            // It was applied once; if it says nothing to this version the Apply refuses it.
            return Reversion { text: self.back_to.clone(), kept: Vec::new() };
        };
        let mut kept = Vec::new();
        keep_revoked(&mut document, &before.config, now, &mut kept);
        keep_passwords(&mut document, &before.config, now, &mut kept);
        Reversion { text: document.to_string(), kept }
    }

    pub(super) fn written(&self) -> String {
        toml::to_string(self).expect("numbers and texts are TOML")
    }

    pub(super) fn read(text: &str) -> Result<Pending, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }
}

fn keep_revoked(document: &mut DocumentMut, before: &Config, now: &Config, kept: &mut Vec<String>) {
    const TABLE: &str = "client_certificate";
    let mut all = entries(document, TABLE).unwrap_or_default();
    let fits = |table: &Table, thumbprint: Thumbprint| {
        let written = table.get("thumbprint").and_then(Item::as_str);
        written.and_then(|text| text.parse().ok()) == Some(thumbprint)
    };
    for listed in revoked_only(now, before) {
        kept.push(format!("the certificate {:?} stays revoked", listed.name));
        if let Some(entry) = all.iter_mut().find(|entry| fits(entry, listed.thumbprint)) {
            set_field(entry, "status", "revoked".into());
            continue;
        }
        let taken = |name: &str| before.client_certificates.iter().any(|other| other.name == name);
        let name = if taken(&listed.name) { listed.thumbprint.to_string() } else { listed.name.clone() };
        let mut entry = Table::new();
        set_field(&mut entry, "name", name.into());
        set_field(&mut entry, "thumbprint", listed.thumbprint.to_string().into());
        set_field(&mut entry, "status", "revoked".into());
        all.push(entry);
    }
    replace(document, TABLE, all);
}

fn keep_passwords(document: &mut DocumentMut, before: &Config, now: &Config, kept: &mut Vec<String>) {
    const TABLE: &str = "user";
    let mut all = entries(document, TABLE).unwrap_or_default();
    for user in &before.users {
        let is_it = |entry: &Table| entry.get("name").and_then(Item::as_str) == Some(&user.name);
        match now.users.iter().find(|now| now.name == user.name) {
            Some(same) if same.password == user.password => {}
            Some(newer) => {
                kept.push(format!("the user {:?} keeps the newer password", user.name));
                for entry in all.iter_mut().filter(|entry| is_it(entry)) {
                    set_field(entry, "password", newer.password.as_phc().into());
                }
            }
            None => {
                kept.push(format!("the user {:?} stays removed", user.name));
                all.retain(|entry| !is_it(entry));
            }
        }
    }
    replace(document, TABLE, all);
    if before.admin.password.is_some() && before.admin.password != now.admin.password {
        kept.push("the console keeps its newer password".into());
        let newer = now.admin.password.as_ref().map_or("", |password| password.as_phc());
        if let Some(table) = document.get_mut("admin").and_then(Item::as_table_like_mut) {
            set_field(table, "password", newer.into());
        }
    }
}

/// Certificates that `one` lists as revoked and `other` does not.
pub(super) fn revoked_only<'c>(
    one: &'c Config,
    other: &'c Config,
) -> impl Iterator<Item = &'c ClientCertificate> {
    let revoked = |config: &Config, thumbprint: Thumbprint| {
        let mut listed = config.client_certificates.iter();
        listed.any(|listed| listed.thumbprint == thumbprint && listed.status == Listing::Revoked)
    };
    one.client_certificates
        .iter()
        .filter(move |listed| listed.status == Listing::Revoked && !revoked(other, listed.thumbprint))
}

impl Store {
    /// What waits for a confirmation.
    #[must_use]
    pub fn pending(&self) -> Option<&Pending> {
        let generation = self.record.as_ref()?.generation;
        // One of another generation is left from an Apply that did not come about.
        self.pending.as_ref().filter(|pending| pending.generation == generation)
    }

    /// What is in force is meant: nothing takes it back any more. `None`: nothing waited for that.
    ///
    /// # Errors
    /// The disk failed: it still waits.
    pub fn confirm(&mut self) -> Result<Option<Generation>, ApplyError> {
        let Some(generation) = self.pending().map(Pending::generation) else { return Ok(None) };
        self.disk.remove(&self.pending_file)?;
        self.pending = None;
        // The file is gone for everybody but a machine that dies right now.
        self.disk.sync_folder(disk::folder(&self.pending_file))?;
        Ok(Some(generation))
    }

    /// Prepares to take back what was not confirmed, as a generation of its own.
    ///
    /// # Errors
    /// Nothing waits ([`ApplyError::NothingApplied`]), or what was applied before cannot be applied now.
    pub fn prepare_revert(&self, occasion: Occasion) -> Result<Prepared<'_>, ApplyError> {
        let pending = self.pending().ok_or(ApplyError::NothingApplied)?;
        let Some(record) = &self.record else { return Err(ApplyError::NothingApplied) };
        let now = self.read(&self.record_file, &record.text)?.config;
        let Reversion { text, kept } = pending.reversion(&now);
        let request = ApplyRequest {
            author: "tidemq".into(),
            comment: format!("generation {} was not confirmed in time", pending.generation),
            ..occasion.into()
        };
        self.prepare_from(request, Source::Given { text, notes: kept })
    }

    /// Prepares what a start has to apply: the file, or what was applied before if that was not confirmed in time.
    ///
    /// # Errors
    /// Why it cannot be applied.
    pub fn prepare_start(&self, request: impl Into<ApplyRequest>) -> Result<Prepared<'_>, ApplyError> {
        let request = request.into();
        match self.pending() {
            Some(pending) if pending.is_over(secure::now()) => self.prepare_revert(request.occasion),
            _ => self.prepare(request),
        }
    }
}
