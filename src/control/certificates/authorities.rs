//! Certificate authorities: which there are, which of them issues, and what it issues.

use std::path::Path;

use zeroize::Zeroizing;

use super::files::{Eyes, Output};
use super::{Refused, Registry};
use crate::control::config::Authority;
use crate::control::pki::export::{self, Protection};
use crate::control::pki::make::{self, AuthorityRequest, ClientRequest, Profile};
use crate::control::pki::request::SigningRequest;
use crate::control::pki::{Certified, Imported, Issuer, Thumbprint};

/// Where the configuration lists them.
const TABLE: &str = "authority";

/// Whether a new authority is the one that issues from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::control) enum Issuing {
    /// It is, in place of another.
    Yes,
    /// It is, if no other one is and it has its key.
    IfNone,
}

/// In which form key, certificate and chain are given to a client.
#[derive(Clone, Copy)]
pub(in crate::control) enum Bundle<'a> {
    /// As PEM.
    Pem,
    /// As PKCS#12 under a password.
    Pkcs12(&'a str, Protection),
}

/// How a certificate is handed to the client that it was issued to.
pub(super) enum Handing<'a> {
    /// Key, certificate and chain as PEM.
    Pem(&'a Path),
    /// The same as PKCS#12 under a password.
    Pkcs12(&'a Path, &'a str, Protection),
}

impl Registry {
    /// Makes an authority.
    pub(in crate::control) fn create_authority(
        &mut self,
        request: &AuthorityRequest,
        issuing: Issuing,
    ) -> Result<Certified, Refused> {
        let made = make::authority(request, self.now)?;
        self.add_authority(&request.common_name, made.clone(), issuing)?;
        Ok(made)
    }

    /// Takes an authority that exists, with its key or without.
    pub(in crate::control) fn import_authority(
        &mut self,
        imported: Imported,
        name: Option<&str>,
        issuing: Issuing,
    ) -> Result<(Certified, String), Refused> {
        let authority = imported.into_authority(self.now)?;
        let name = match name {
            Some(name) => name.to_owned(),
            None => super::clients::name_of(&authority)?,
        };
        if issuing == Issuing::Yes {
            Issuer::new(&authority, self.now)?;
        }
        self.add_authority(&name, authority.clone(), issuing)?;
        Ok((authority, name))
    }

    fn add_authority(&mut self, name: &str, authority: Certified, issuing: Issuing) -> Result<(), Refused> {
        let thumbprint = authority.thumbprint();
        let configured = &self.draft.config().authorities;
        if let Some(same) = configured.iter().find(|one| one.name == name && one.thumbprint != thumbprint) {
            return Err(Refused::AuthorityNameTaken(same.name.clone()));
        }
        let known = configured.iter().find(|one| one.thumbprint == thumbprint);
        if let Some(known) = known
            && (authority.key.is_none() || self.store.has_key(&thumbprint))
        {
            return Err(Refused::AuthorityKnown(known.name.clone()));
        }
        let none_issues = !configured.iter().any(|one| one.issues);
        let issues = issuing == Issuing::Yes || (none_issues && authority.key.is_some());
        // One that comes again has its key with it, this time.
        let is_new = known.is_none();
        if issues {
            self.nobody_issues();
        }
        if is_new {
            let fields = vec![
                ("name", name.into()),
                ("thumbprint", thumbprint.to_string().into()),
                ("issues", issues.into()),
            ];
            self.draft.add(TABLE, fields);
        } else if issues {
            self.draft.put(TABLE, thumbprint, "issues", true);
        }
        self.keep(authority);
        Ok(())
    }

    fn nobody_issues(&mut self) {
        let issuing: Vec<Thumbprint> = self
            .draft
            .config()
            .authorities
            .iter()
            .filter(|one| one.issues)
            .map(|one| one.thumbprint)
            .collect();
        for thumbprint in issuing {
            self.draft.put(TABLE, thumbprint, "issues", false);
        }
    }

    /// Lets an authority issue from now on, in place of another.
    pub(super) fn use_authority(&mut self, which: &str) -> Result<Authority, Refused> {
        let authority = self.authority(which)?;
        self.let_issue(&authority)?;
        Ok(authority)
    }

    /// The same of one that was found.
    pub(in crate::control) fn let_issue(&mut self, authority: &Authority) -> Result<(), Refused> {
        Issuer::new(&self.store.certified(&authority.thumbprint)?, self.now)?;
        self.nobody_issues();
        self.draft.put(TABLE, authority.thumbprint, "issues", true);
        Ok(())
    }

    /// Takes an authority out of the configuration. What it issued is trusted no longer.
    pub(super) fn remove_authority(&mut self, which: &str) -> Result<Authority, Refused> {
        let authority = self.authority(which)?;
        self.drop_authority(&authority);
        Ok(authority)
    }

    /// The same of one that was found.
    pub(in crate::control) fn drop_authority(&mut self, authority: &Authority) {
        self.draft.remove(TABLE, authority.thumbprint);
    }

    /// A configured authority by its name or its thumbprint.
    pub(super) fn authority(&self, which: &str) -> Result<Authority, Refused> {
        let thumbprint = which.parse::<Thumbprint>().ok();
        let mut all = self.draft.config().authorities.iter();
        let found = all.find(|one| one.name == which || Some(one.thumbprint) == thumbprint);
        found.cloned().ok_or_else(|| Refused::NoAuthority(which.to_owned()))
    }

    /// A configured authority by its thumbprint alone: another one may be called by that.
    pub(in crate::control) fn authority_of(&self, thumbprint: &Thumbprint) -> Result<Authority, Refused> {
        let mut all = self.draft.config().authorities.iter();
        let found = all.find(|one| one.thumbprint == *thumbprint);
        found.cloned().ok_or_else(|| Refused::NoAuthority(thumbprint.to_string()))
    }

    /// The authority that issues: the one that is named, else the one that the configuration says does.
    pub(super) fn issuer(&self, which: Option<&str>) -> Result<Issuer, Refused> {
        match which {
            Some(which) => self.as_issuer(&self.authority(which)?),
            None => self.chosen_issuer(),
        }
    }

    /// The authority that the configuration says issues.
    pub(in crate::control) fn chosen_issuer(&self) -> Result<Issuer, Refused> {
        let chosen = self.draft.config().authorities.iter().find(|one| one.issues);
        self.as_issuer(chosen.ok_or(Refused::NobodyIssues)?)
    }

    /// An authority that was found, with its key.
    pub(in crate::control) fn as_issuer(&self, authority: &Authority) -> Result<Issuer, Refused> {
        Ok(Issuer::new(&self.store.certified(&authority.thumbprint)?, self.now)?)
    }

    /// Issues a certificate to a client, with a key that the client gets in a file.
    pub(super) fn issue(
        &mut self,
        issuer: &Issuer,
        request: &ClientRequest,
        handing: &Handing<'_>,
    ) -> Result<Certified, Refused> {
        let (bundle, path) = match handing {
            Handing::Pem(path) => (Bundle::Pem, path),
            Handing::Pkcs12(path, password, protection) => (Bundle::Pkcs12(password, *protection), path),
        };
        let (made, bytes) = self.issue_as(issuer, request, bundle)?;
        self.outputs.push(Output::new(path, bytes, Eyes::Owner)?);
        Ok(made)
    }

    /// Issues a certificate to a client, with a key: both as the client gets them.
    pub(in crate::control) fn issue_as(
        &mut self,
        issuer: &Issuer,
        request: &ClientRequest,
        bundle: Bundle<'_>,
    ) -> Result<(Certified, Zeroizing<Vec<u8>>), Refused> {
        let made = make::client(issuer, request, self.now)?;
        let bytes = match bundle {
            Bundle::Pem => export::bundle(&made)?,
            Bundle::Pkcs12(password, protection) => export::pkcs12(&made, password, protection)?,
        };
        self.issued(&made);
        Ok((made, bytes))
    }

    /// Signs a client's or a server's request; the certificate and its chain go to a file.
    pub(super) fn sign(
        &mut self,
        issuer: &Issuer,
        request: &SigningRequest,
        profile: Profile,
        days: u32,
        out: &Path,
    ) -> Result<Certified, Refused> {
        let (made, text) = self.sign_as(issuer, request, profile, days)?;
        self.outputs.push(Output::new(out, text.into_bytes().into(), Eyes::All)?);
        Ok(made)
    }

    /// Signs a client's or a server's request: the certificate, and the same with its chain as PEM.
    pub(in crate::control) fn sign_as(
        &mut self,
        issuer: &Issuer,
        request: &SigningRequest,
        profile: Profile,
        days: u32,
    ) -> Result<(Certified, String), Refused> {
        let made = request.sign(issuer, profile, days, self.now)?;
        let text = export::pem(&made.chain);
        if profile == Profile::Client {
            self.issued(&made);
        }
        Ok((made, text))
    }

    /// The certificate is kept, so that it can be shown and revoked; the key never.
    fn issued(&mut self, made: &Certified) {
        self.keep(Certified { chain: made.chain.clone(), key: None });
    }
}

/// How a certificate is written for others; never with its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::control) enum Form {
    /// PEM, the certificate alone.
    Pem,
    /// PEM, with what leads to its authority.
    PemChain,
    /// DER, the certificate alone.
    Der,
}

impl Form {
    pub(in crate::control) fn of(self, certified: &Certified) -> Vec<u8> {
        match self {
            Form::Pem => export::pem(&certified.chain[..1]).into_bytes(),
            Form::PemChain => export::pem(&certified.chain).into_bytes(),
            Form::Der => export::der(certified).to_vec(),
        }
    }
}
