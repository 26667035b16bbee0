//! The certificate that the broker shows to clients.

use toml_edit::{Array, Value};

use super::{Refused, Registry};
use crate::control::config::BrokerChoice;
use crate::control::pki::broker;
use crate::control::pki::{
    Certified, Description, Imported, KeyType, PkiError, SanName, Thumbprint, host_names,
};

/// Where the configuration chooses it.
const CHOICE: &str = "broker_certificate.certificate";
/// Where it names the names of one that is made.
const NAMES: &str = "broker_certificate.names";

impl Registry {
    /// The one that the draft chooses; `None`: the broker will make it when it starts.
    pub(in crate::control) fn broker_certificate(
        &self,
    ) -> Result<Option<(Certified, BrokerChoice)>, PkiError> {
        let choice = self.draft.config().broker_certificate.certificate;
        let certified = match choice {
            BrokerChoice::Auto => broker::current(&self.store)?.map(|found| found.certified),
            BrokerChoice::Stored(thumbprint) => Some(self.store.certified(&thumbprint)?),
        };
        Ok(certified.map(|certified| (certified, choice)))
    }

    /// Makes a new one, issued by the authority that issues, or by itself if there is none. `names`: those that it is to
    /// bear from now on; none: those of the configuration, else the machine's.
    pub(in crate::control) fn new_broker_certificate(
        &mut self,
        names: &[SanName],
        key_type: Option<KeyType>,
    ) -> Result<(Description, i64), Refused> {
        self.draft.set(CHOICE, "auto");
        if !names.is_empty() {
            let written: Array = names.iter().map(plain).collect();
            self.draft.set(NAMES, Value::Array(written));
        }
        let configured = &self.draft.config().broker_certificate.names;
        let names = match (names, configured.as_slice()) {
            ([], []) => host_names(),
            ([], configured) => configured.iter().map(|name| name.parse()).collect::<Result<_, _>>()?,
            (names, _) => names.to_vec(),
        };
        let issues = self.draft.config().authorities.iter().any(|one| one.issues);
        let issuer = if issues { Some(self.chosen_issuer()?) } else { None };
        let made = broker::renewed(&self.store, issuer.as_ref(), &names, key_type, self.now)?;
        let (said, renew_at) = (made.description.clone(), made.renew_at);
        self.broker = Some(made);
        Ok((said, renew_at))
    }

    /// Takes one that somebody else has issued, with its key.
    pub(in crate::control) fn import_broker_certificate(
        &mut self,
        imported: Imported,
    ) -> Result<Certified, Refused> {
        let certified = imported.into_broker(self.now)?;
        let thumbprint = self.keep(certified.clone());
        self.draft.set(CHOICE, thumbprint.to_string());
        Ok(certified)
    }

    /// Lets the broker make and renew its own again.
    pub(in crate::control) fn automatic_broker_certificate(&mut self) {
        self.draft.set(CHOICE, "auto");
    }

    /// Lets the broker show one of the store.
    pub(in crate::control) fn use_broker_certificate(
        &mut self,
        thumbprint: &Thumbprint,
    ) -> Result<(), Refused> {
        if !self.store.has_key(thumbprint) {
            return Err(PkiError::NoKey(*thumbprint).into());
        }
        self.draft.set(CHOICE, thumbprint.to_string());
        Ok(())
    }
}

/// A name as the configuration writes it.
fn plain(name: &SanName) -> String {
    match name {
        SanName::Dns(text) | SanName::Email(text) | SanName::Uri(text) => text.clone(),
        SanName::Ip(address) => address.to_string(),
    }
}

/// Names that clients can know a broker by.
pub(in crate::control) fn server_names(names: &[SanName]) -> Result<(), Refused> {
    match names.iter().find(|name| !matches!(name, SanName::Dns(_) | SanName::Ip(_))) {
        None => Ok(()),
        Some(other) => Err(Refused::NotAServerName(other.clone())),
    }
}
