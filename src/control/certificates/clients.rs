//! Client certificates: which are listed as Authorized or Revoked.

use std::path::Path;

use super::Registry;
use super::files;
use crate::control::config::ClientCertificate;
use crate::control::failure::{Exit, Failure};
use crate::control::pki::{Certified, Expiry, Thumbprint, describe};
use crate::policy::certificates::{CommonName, Listing};

/// Where the configuration lists them.
const TABLE: &str = "client_certificate";

/// A client certificate that a command means.
pub(super) struct Meant {
    /// What people call it.
    pub(super) name: String,
    pub(super) thumbprint: Thumbprint,
    /// How the configuration lists it.
    pub(super) listing: Option<Listing>,
}

/// How the configuration writes a listing.
pub(super) fn word(listing: Listing) -> &'static str {
    match listing {
        Listing::Authorized => "authorized",
        Listing::Revoked => "revoked",
    }
}

/// What a certificate is called when nobody says otherwise: its Common Name.
pub(super) fn name_of(certified: &Certified) -> Result<String, Failure> {
    let said = describe(certified.certificate())?;
    let name = match said.common_name {
        CommonName::One(name) if !name.chars().any(char::is_control) => name.chars().take(64).collect(),
        _ => said.subject.chars().take(64).collect::<String>(),
    };
    Ok(if name.is_empty() { said.sha256.to_string() } else { name })
}

fn listed_as(one: &ClientCertificate) -> Meant {
    Meant { name: one.name.clone(), thumbprint: one.thumbprint, listing: Some(one.status) }
}

impl Registry {
    /// Lists a certificate that was not listed.
    pub(super) fn list_client(
        &mut self,
        name: Option<&str>,
        certified: Certified,
        listing: Listing,
    ) -> Result<Meant, Failure> {
        let thumbprint = certified.thumbprint();
        if let Some(listed) = self.listed(&thumbprint) {
            let cause = format!("it is listed already, as `{}` ({})", listed.name, word(listed.status));
            return Err(Failure::new(
                Exit::Given,
                cause,
                "change that with `tidemq cert client authorize` or `revoke`",
            ));
        }
        let name = match name {
            Some(name) => name.to_owned(),
            None => self.free_name(name_of(&certified)?),
        };
        if self.draft.config().client_certificates.iter().any(|one| one.name == name) {
            let cause = format!("there is a client certificate `{name}` already");
            return Err(Failure::new(Exit::Given, cause, "give this one another name with `--name`"));
        }
        self.keep(certified);
        self.add_entry(&name, thumbprint, listing);
        Ok(Meant { name, thumbprint, listing: None })
    }

    fn add_entry(&mut self, name: &str, thumbprint: Thumbprint, listing: Listing) {
        let fields = vec![
            ("name", name.into()),
            ("thumbprint", thumbprint.to_string().into()),
            ("status", word(listing).into()),
        ];
        self.draft.add(TABLE, fields);
    }

    fn listed(&self, thumbprint: &Thumbprint) -> Option<&ClientCertificate> {
        self.draft.config().client_certificates.iter().find(|one| one.thumbprint == *thumbprint)
    }

    /// A renewed certificate bears the name of the old one: the names that people see must differ.
    fn free_name(&self, wanted: String) -> String {
        let taken = |name: &str| self.draft.config().client_certificates.iter().any(|one| one.name == name);
        if !taken(&wanted) {
            return wanted;
        }
        let others = (2_u64..).map(|number| format!("{wanted} ({number})"));
        others.into_iter().find(|name| !taken(name)).expect("there are more numbers than certificates")
    }

    /// Changes how a certificate is listed; lists it if it was not.
    pub(super) fn mark(&mut self, which: &str, listing: Listing) -> Result<Meant, Failure> {
        let meant = self.client(which, Expiry::Taken)?;
        match meant.listing {
            Some(_) => self.draft.put(TABLE, meant.thumbprint, "status", word(listing)),
            None => self.add_entry(&meant.name, meant.thumbprint, listing),
        }
        Ok(meant)
    }

    /// Takes a certificate off the list; one that was issued here and is not listed is forgotten.
    pub(super) fn unlist(&mut self, which: &str) -> Result<Meant, Failure> {
        let meant = self.client(which, Expiry::Taken)?;
        if meant.listing.is_some() {
            self.draft.remove(TABLE, meant.thumbprint);
        } else if self.unlisted()?.iter().any(|(thumbprint, _)| *thumbprint == meant.thumbprint) {
            self.forgotten.push(meant.thumbprint);
        } else {
            let cause = format!("`{}` is not listed", meant.name);
            return Err(Failure::new(Exit::Given, cause, "`tidemq cert client list` shows all"));
        }
        Ok(meant)
    }

    /// The certificate that is meant by a name, a thumbprint, or a file that holds it.
    pub(super) fn client(&mut self, which: &str, expiry: Expiry) -> Result<Meant, Failure> {
        if let Some(one) = self.draft.config().client_certificates.iter().find(|one| one.name == which) {
            return Ok(listed_as(one));
        }
        if let Ok(thumbprint) = which.parse() {
            return self.by_thumbprint(thumbprint);
        }
        let mut issued = self.issued_as(which)?;
        match (issued.pop(), issued.len()) {
            (Some(only), 0) => return self.by_thumbprint(only),
            (Some(_), others) => {
                let cause =
                    format!("{} certificates that are not listed bear the name `{which}`", others + 1);
                return Err(Failure::new(
                    Exit::Given,
                    cause,
                    "say which by its thumbprint; `tidemq cert client list` shows them",
                ));
            }
            (None, _) => {}
        }
        if !Path::new(which).exists() {
            let cause = format!("there is no client certificate `{}`, and no file", which.escape_debug());
            return Err(Failure::new(Exit::Given, cause, "`tidemq cert client list` shows all"));
        }
        let imported = files::imported(Path::new(which), None, None)?;
        let certified =
            imported.into_client(expiry, self.now).map_err(|error| files::about(Path::new(which), error))?;
        let thumbprint = certified.thumbprint();
        let name = name_of(&certified)?;
        self.keep(certified);
        let meant = self.by_thumbprint(thumbprint)?;
        Ok(Meant { name: if meant.listing.is_some() { meant.name } else { self.free_name(name) }, ..meant })
    }

    /// A client's certificate, for showing; `None`: only its thumbprint is here.
    pub(super) fn client_certificate(&mut self, which: &str) -> Result<Option<Certified>, Failure> {
        let meant = self.client(which, Expiry::Taken)?;
        if let Some(read) = self.certificates.pop() {
            return Ok(Some(read));
        }
        if !self.store.has(&meant.thumbprint) {
            return Ok(None);
        }
        Ok(Some(Certified { chain: self.store.chain(&meant.thumbprint)?, key: None }))
    }

    fn by_thumbprint(&self, thumbprint: Thumbprint) -> Result<Meant, Failure> {
        if let Some(one) = self.listed(&thumbprint) {
            return Ok(listed_as(one));
        }
        let name = match self.store.chain(&thumbprint) {
            Ok(chain) => name_of(&Certified { chain, key: None })?,
            // It was seen somewhere else: in a list of refused ones.
            Err(_) => format!("certificate {}", &thumbprint.to_string()[..16]),
        };
        Ok(Meant { name: self.free_name(name), thumbprint, listing: None })
    }

    /// Certificates that were issued here, are not listed, and bear a name.
    fn issued_as(&self, name: &str) -> Result<Vec<Thumbprint>, Failure> {
        let mut found = Vec::new();
        for (thumbprint, certified) in self.unlisted()? {
            if name_of(&certified)? == name {
                found.push(thumbprint);
            }
        }
        Ok(found)
    }

    /// The clients' certificates in the store that the configuration does not list.
    pub(super) fn unlisted(&self) -> Result<Vec<(Thumbprint, Certified)>, Failure> {
        let config = self.draft.config();
        let mut found = Vec::new();
        for thumbprint in self.store.list()? {
            let is_ours = self.store.has_key(&thumbprint)
                || config.authorities.iter().any(|one| one.thumbprint == thumbprint)
                || self.listed(&thumbprint).is_some();
            if is_ours {
                continue;
            }
            let certified = Certified { chain: self.store.chain(&thumbprint)?, key: None };
            if !describe(certified.certificate())?.is_authority {
                found.push((thumbprint, certified));
            }
        }
        Ok(found)
    }
}
