//! Certificate authorities: which there are, which of them issues, and what it issues.

use std::path::Path;

use super::Registry;
use super::files::{Eyes, Output};
use crate::control::config::Authority;
use crate::control::failure::{Exit, Failure};
use crate::control::pki::export::{self, Protection};
use crate::control::pki::make::{self, AuthorityRequest, ClientRequest, Profile};
use crate::control::pki::request::SigningRequest;
use crate::control::pki::{Certified, Imported, Issuer, Thumbprint};
/// Where the configuration lists them.
const TABLE: &str = "authority";

/// Whether a new authority is the one that issues from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Issuing {
    /// It is, in place of another.
    Yes,
    /// It is, if no other one is and it has its key.
    IfNone,
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
    pub(super) fn create_authority(
        &mut self,
        request: &AuthorityRequest,
        issuing: Issuing,
    ) -> Result<Certified, Failure> {
        let made = make::authority(request, self.now)?;
        self.add_authority(&request.common_name, made.clone(), issuing)?;
        Ok(made)
    }

    /// Takes an authority that exists, with its key or without.
    pub(super) fn import_authority(
        &mut self,
        imported: Imported,
        name: Option<&str>,
        issuing: Issuing,
    ) -> Result<(Certified, String), Failure> {
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

    fn add_authority(&mut self, name: &str, authority: Certified, issuing: Issuing) -> Result<(), Failure> {
        let thumbprint = authority.thumbprint();
        let configured = &self.draft.config().authorities;
        if let Some(same) = configured.iter().find(|one| one.name == name && one.thumbprint != thumbprint) {
            let cause = format!("there is an authority `{}` already", same.name);
            return Err(Failure::new(
                Exit::Given,
                cause,
                "give this one another name with `--name`, or remove that one",
            ));
        }
        let known = configured.iter().find(|one| one.thumbprint == thumbprint);
        if let Some(known) = known
            && (authority.key.is_none() || self.store.has_key(&thumbprint))
        {
            let cause = format!("it is there already, as `{}`", known.name);
            return Err(Failure::new(Exit::Given, cause, "`tidemq ca list` shows all"));
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
    pub(super) fn use_authority(&mut self, which: &str) -> Result<Authority, Failure> {
        let authority = self.authority(which)?;
        Issuer::new(&self.store.certified(&authority.thumbprint)?, self.now)?;
        self.nobody_issues();
        self.draft.put(TABLE, authority.thumbprint, "issues", true);
        Ok(authority)
    }

    /// Takes an authority out of the configuration. What it issued is trusted no longer.
    pub(super) fn remove_authority(&mut self, which: &str) -> Result<Authority, Failure> {
        let authority = self.authority(which)?;
        self.draft.remove(TABLE, authority.thumbprint);
        Ok(authority)
    }

    /// A configured authority by its name or its thumbprint.
    pub(super) fn authority(&self, which: &str) -> Result<Authority, Failure> {
        let thumbprint = which.parse::<Thumbprint>().ok();
        let mut all = self.draft.config().authorities.iter();
        let found = all.find(|one| one.name == which || Some(one.thumbprint) == thumbprint);
        found.cloned().ok_or_else(|| {
            Failure::new(
                Exit::Given,
                format!("there is no authority `{}`", which.escape_debug()),
                "`tidemq ca list` shows all",
            )
        })
    }

    /// The authority that issues: the one that is named, else the one that the configuration says does.
    pub(super) fn issuer(&self, which: Option<&str>) -> Result<Issuer, Failure> {
        let found = match which {
            Some(which) => Some(self.authority(which)?),
            None => self.draft.config().authorities.iter().find(|one| one.issues).cloned(),
        };
        let Some(authority) = found else {
            return Err(Failure::new(
                Exit::Given,
                "there is no authority that issues",
                "make one with `tidemq ca create`, or choose one with `tidemq ca use NAME`",
            ));
        };
        Ok(Issuer::new(&self.store.certified(&authority.thumbprint)?, self.now)?)
    }

    /// Issues a certificate to a client, with a key that the client gets in a file.
    pub(super) fn issue(
        &mut self,
        issuer: &Issuer,
        request: &ClientRequest,
        handing: &Handing<'_>,
    ) -> Result<Certified, Failure> {
        let made = make::client(issuer, request, self.now)?;
        let output = match handing {
            Handing::Pem(path) => Output::new(path, export::bundle(&made)?, Eyes::Owner),
            Handing::Pkcs12(path, password, protection) => {
                Output::new(path, export::pkcs12(&made, password, *protection)?, Eyes::Owner)
            }
        }?;
        self.outputs.push(output);
        self.issued(&made);
        Ok(made)
    }

    /// Signs a client's or a server's request; the certificate and its chain go to a file.
    pub(super) fn sign(
        &mut self,
        issuer: &Issuer,
        request: &SigningRequest,
        profile: Profile,
        days: u32,
        out: &Path,
    ) -> Result<Certified, Failure> {
        let made = request.sign(issuer, profile, days, self.now)?;
        let text = export::pem(&made.chain).into_bytes();
        self.outputs.push(Output::new(out, text.into(), Eyes::All)?);
        if profile == Profile::Client {
            self.issued(&made);
        }
        Ok(made)
    }

    /// The certificate is kept, so that it can be shown and revoked; the key never.
    fn issued(&mut self, made: &Certified) {
        self.keep(Certified { chain: made.chain.clone(), key: None });
    }
}

/// How a certificate is written for others; never with its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// PEM, the certificate alone.
    Pem,
    /// PEM, with what leads to its authority.
    PemChain,
    /// DER, the certificate alone.
    Der,
}

impl Form {
    pub(super) fn of(self, certified: &Certified) -> Vec<u8> {
        match self {
            Form::Pem => export::pem(&certified.chain[..1]).into_bytes(),
            Form::PemChain => export::pem(&certified.chain).into_bytes(),
            Form::Der => export::der(certified).to_vec(),
        }
    }
}
