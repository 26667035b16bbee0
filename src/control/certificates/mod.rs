//! What an operator does with certificates: each command makes or reads what is needed, keeps it in the store, and edits
//! the draft that names it. All of it happens or nothing.
//!
//! It knows the store and the configuration file; whether a broker runs is for Apply to find out.

mod args;
mod authorities;
mod broker;
mod clients;
mod commands;
mod draft;
mod files;
mod refused;
mod show;

#[cfg(test)]
mod tests;

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) use args::{Ca, Cert};
pub(super) use authorities::{Bundle, Form, Issuing};
pub(super) use broker::server_names;
pub(super) use clients::name_of;
pub(super) use commands::{ca, cert};
pub(super) use refused::Refused;

use self::draft::DraftFile;
use self::files::Output;
use super::apply::Overrides;
use super::commands::{Paths, store};
use super::config::Config;
use super::disk::FileFault;
use super::failure::{Exit, Failure};
use super::pki::broker::{self as broker_file, BrokerCertificate};
use super::pki::{Certified, PkiError, Store, Thumbprint};

/// The store and the draft, and what is to become of them.
pub(super) struct Registry {
    store: Store,
    draft: DraftFile,
    /// Seconds since 1970.
    now: i64,
    /// To be kept when all goes well.
    certificates: Vec<Certified>,
    /// To be forgotten when all goes well.
    forgotten: Vec<Thumbprint>,
    /// To be the broker's own when all goes well.
    broker: Option<BrokerCertificate>,
    /// To be written when all goes well.
    outputs: Vec<Output>,
}

impl Registry {
    /// Opens both; a data directory and a configuration that are not there yet are made.
    pub(super) fn open(paths: &Paths) -> Result<Registry, Refused> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&paths.data);
        made.map_err(|error| PkiError::from(FileFault::new(&paths.data, "create it")(error)))?;
        owned(&paths.data)?;
        let store_of_certificates = Store::open(&paths.data)?;
        store(paths, Overrides::default())?.write_fresh_if_absent()?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Registry {
            store: store_of_certificates,
            draft: DraftFile::open(&paths.config, &paths.data)?,
            now: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            certificates: Vec::new(),
            forgotten: Vec::new(),
            broker: None,
            outputs: Vec::new(),
        })
    }

    /// Has a certificate kept, if all goes well.
    fn keep(&mut self, certified: Certified) -> Thumbprint {
        let thumbprint = certified.thumbprint();
        self.certificates.push(certified);
        thumbprint
    }

    /// The certificates that are kept.
    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// What the draft says.
    pub(super) fn config(&self) -> &Config {
        self.draft.config()
    }

    /// The same as text.
    pub(super) fn text(&self) -> &str {
        self.draft.text()
    }

    /// When it was opened, in seconds since 1970.
    pub(super) fn now(&self) -> i64 {
        self.now
    }

    /// Does all that was prepared, or nothing of it.
    fn commit(mut self) -> Result<(), Failure> {
        Ok(self.commit_if::<Refused>(|_| Ok(()))?)
    }

    /// The same, if the draft's text may be edited as it is now. What was opened then shows what was done.
    pub(super) fn commit_if<E: From<Refused>>(
        &mut self,
        may: impl FnOnce(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        // What it would say is known to be right before anything is left anywhere.
        let edit = self.draft.begin()?;
        may(edit.text_before())?;
        let mut done = Done::default();
        let left = self.leave(&mut done);
        let saved = left.and_then(|()| match self.draft.is_changed() {
            true => Ok(edit.save()?),
            false => Ok(edit.draft()?),
        });
        if saved.is_err() {
            done.undo(self);
        }
        self.draft.become_saved(saved?);
        self.tidy().map_err(Refused::from)?;
        Ok(())
    }

    /// Last: what is replaced or forgotten would be gone.
    fn tidy(&mut self) -> Result<(), PkiError> {
        if let Some(made) = self.broker.take() {
            broker_file::keep(&self.store, &made)?;
        }
        for thumbprint in self.forgotten.drain(..) {
            self.store.remove(&thumbprint)?;
        }
        Ok(())
    }

    /// Leaves files and certificates where they belong.
    fn leave(&self, done: &mut Done) -> Result<(), Refused> {
        for output in &self.outputs {
            output.write()?;
            done.outputs += 1;
        }
        for certified in &self.certificates {
            let thumbprint = certified.thumbprint();
            if !self.store.has(&thumbprint) {
                done.certificates.push(thumbprint);
            }
            if certified.key.is_some() && !self.store.has_key(&thumbprint) {
                done.keys.push(thumbprint);
            }
            self.store.put(certified)?;
        }
        Ok(())
    }
}

/// What was done and would have to be undone.
#[derive(Default)]
struct Done {
    outputs: usize,
    certificates: Vec<Thumbprint>,
    keys: Vec<Thumbprint>,
}

impl Done {
    fn undo(&self, registry: &Registry) {
        registry.outputs[..self.outputs].iter().for_each(Output::remove);
        let certificates = self.certificates.iter().map(|one| registry.store.remove(one));
        for undone in certificates.chain(self.keys.iter().map(|one| registry.store.remove_key(one))) {
            if let Err(error) = undone {
                eprintln!("tidemq: {error}");
            }
        }
    }
}

/// Whoever is not the owner of the data directory would leave files there that its owner cannot read.
fn owned(data: &Path) -> Result<(), Failure> {
    let owner =
        fs::metadata(data).map_err(|error| PkiError::from(FileFault::new(data, "look at it")(error)))?.uid();
    if owner == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    let cause = format!("{}: it belongs to another user (number {owner})", data.display());
    Err(Failure::new(
        Exit::Data,
        cause,
        &format!("do it as that user, such as with `sudo -u '#{owner}' tidemq ...`"),
    ))
}
