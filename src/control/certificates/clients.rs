//! Client certificates: which are listed as Authorized or Revoked.

use std::collections::HashSet;
use std::path::Path;

use super::files;
use super::{Refused, Registry};
use crate::control::config::ClientCertificate;
use crate::control::pki::{Certified, Expiry, Thumbprint, describe};
use crate::policy::certificates::{CommonName, Listing};

/// Where the configuration lists them.
const TABLE: &str = "client_certificate";

/// A client certificate that a command means.
pub(in crate::control) struct Meant {
    /// What people call it.
    pub(in crate::control) name: String,
    pub(in crate::control) thumbprint: Thumbprint,
    /// How the configuration lists it.
    pub(in crate::control) listing: Option<Listing>,
}

/// How the configuration writes a listing.
pub(super) fn word(listing: Listing) -> &'static str {
    match listing {
        Listing::Authorized => "authorized",
        Listing::Revoked => "revoked",
    }
}

/// What a certificate is called when nobody says otherwise: its Common Name.
pub(in crate::control) fn name_of(certified: &Certified) -> Result<String, Refused> {
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
    pub(in crate::control) fn list_client(
        &mut self,
        name: Option<&str>,
        certified: Certified,
        listing: Listing,
    ) -> Result<Meant, Refused> {
        let thumbprint = certified.thumbprint();
        self.must_not_be_listed(&thumbprint)?;
        let name = match name {
            Some(name) => name.to_owned(),
            None => self.free_name(name_of(&certified)?),
        };
        self.must_be_free(&name)?;
        self.keep(certified);
        self.add_entry(&name, thumbprint, listing);
        Ok(Meant { name, thumbprint, listing: None })
    }

    /// Lists a certificate of which nothing but the thumbprint may be here.
    pub(in crate::control) fn list_thumbprint(
        &mut self,
        name: Option<&str>,
        thumbprint: Thumbprint,
        listing: Listing,
    ) -> Result<Meant, Refused> {
        self.must_not_be_listed(&thumbprint)?;
        let mut meant = self.by_thumbprint(thumbprint)?;
        if let Some(name) = name {
            self.must_be_free(name)?;
            meant.name = name.to_owned();
        }
        self.add_entry(&meant.name, thumbprint, listing);
        Ok(meant)
    }

    fn must_not_be_listed(&self, thumbprint: &Thumbprint) -> Result<(), Refused> {
        match self.listed(thumbprint) {
            None => Ok(()),
            Some(listed) => Err(Refused::Listed { name: listed.name.clone(), status: word(listed.status) }),
        }
    }

    fn must_be_free(&self, name: &str) -> Result<(), Refused> {
        if self.draft.config().client_certificates.iter().any(|one| one.name == name) {
            return Err(Refused::ClientNameTaken(name.to_owned()));
        }
        Ok(())
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
    pub(super) fn mark(&mut self, which: &str, listing: Listing) -> Result<Meant, Refused> {
        let meant = self.client(which, Expiry::Taken)?;
        self.mark_found(&meant, listing);
        Ok(meant)
    }

    /// The same of one that was found.
    pub(in crate::control) fn mark_found(&mut self, meant: &Meant, listing: Listing) {
        match meant.listing {
            Some(_) => self.draft.put(TABLE, meant.thumbprint, "status", word(listing)),
            None => self.add_entry(&meant.name, meant.thumbprint, listing),
        }
    }

    /// Calls a certificate that is listed otherwise.
    pub(in crate::control) fn rename_found(&mut self, meant: &Meant, name: &str) -> Result<(), Refused> {
        if meant.name != name {
            self.must_be_free(name)?;
            self.draft.put(TABLE, meant.thumbprint, "name", name);
        }
        Ok(())
    }

    /// Takes a certificate off the list; one that was issued here and is not listed is forgotten.
    pub(super) fn unlist(&mut self, which: &str) -> Result<Meant, Refused> {
        let meant = self.client(which, Expiry::Taken)?;
        self.unlist_found(&meant)?;
        Ok(meant)
    }

    /// The same of one that was found.
    pub(in crate::control) fn unlist_found(&mut self, meant: &Meant) -> Result<(), Refused> {
        if meant.listing.is_some() {
            self.draft.remove(TABLE, meant.thumbprint);
        } else if self.is_unlisted(&meant.thumbprint)? {
            self.forgotten.push(meant.thumbprint);
        } else {
            return Err(Refused::NotListed(meant.name.clone()));
        }
        Ok(())
    }

    /// A certificate that is listed, or was issued here, by its thumbprint.
    pub(in crate::control) fn known_client(&self, thumbprint: Thumbprint) -> Result<Meant, Refused> {
        let meant = self.by_thumbprint(thumbprint)?;
        if meant.listing.is_some() || self.is_unlisted(&thumbprint)? {
            return Ok(meant);
        }
        Err(Refused::NotListed(thumbprint.to_string()))
    }

    /// Whether it was issued here and is not listed.
    fn is_unlisted(&self, thumbprint: &Thumbprint) -> Result<bool, Refused> {
        let is_authority = || self.draft.config().authorities.iter().any(|one| one.thumbprint == *thumbprint);
        if !self.store.has(thumbprint) || self.listed(thumbprint).is_some() || is_authority() {
            return Ok(false);
        }
        Ok(self.as_issued(thumbprint)?.is_some())
    }

    /// A certificate of the store that is neither the broker's nor an authority's.
    fn as_issued(&self, thumbprint: &Thumbprint) -> Result<Option<Certified>, Refused> {
        if self.store.has_key(thumbprint) {
            return Ok(None);
        }
        let certified = Certified { chain: self.store.chain(thumbprint)?, key: None };
        let is_authority = describe(certified.certificate())?.is_authority;
        Ok((!is_authority).then_some(certified))
    }

    /// The certificate that is meant by a name, a thumbprint, or a file that holds it.
    pub(super) fn client(&mut self, which: &str, expiry: Expiry) -> Result<Meant, Refused> {
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
                return Err(Refused::Ambiguous { name: which.to_owned(), count: others + 1 });
            }
            (None, _) => {}
        }
        if !Path::new(which).exists() {
            return Err(Refused::NoClient(which.to_owned()));
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
    pub(super) fn client_certificate(&mut self, which: &str) -> Result<Option<Certified>, Refused> {
        let meant = self.client(which, Expiry::Taken)?;
        if let Some(read) = self.certificates.pop() {
            return Ok(Some(read));
        }
        if !self.store.has(&meant.thumbprint) {
            return Ok(None);
        }
        Ok(Some(Certified { chain: self.store.chain(&meant.thumbprint)?, key: None }))
    }

    fn by_thumbprint(&self, thumbprint: Thumbprint) -> Result<Meant, Refused> {
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
    fn issued_as(&self, name: &str) -> Result<Vec<Thumbprint>, Refused> {
        let mut found = Vec::new();
        for (thumbprint, certified) in self.unlisted()? {
            if name_of(&certified)? == name {
                found.push(thumbprint);
            }
        }
        Ok(found)
    }

    /// The clients' certificates in the store that the configuration does not list.
    pub(in crate::control) fn unlisted(&self) -> Result<Vec<(Thumbprint, Certified)>, Refused> {
        let config = self.draft.config();
        let authorities = config.authorities.iter().map(|one| one.thumbprint);
        let listed = config.client_certificates.iter().map(|one| one.thumbprint);
        let known: HashSet<Thumbprint> = authorities.chain(listed).collect();
        let mut found = Vec::new();
        for thumbprint in self.store.list()?.into_iter().filter(|thumbprint| !known.contains(thumbprint)) {
            found.extend(self.as_issued(&thumbprint)?.map(|certified| (thumbprint, certified)));
        }
        Ok(found)
    }
}
