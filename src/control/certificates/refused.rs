//! Why something about the certificates of a configuration is not done. What to do about it depends on who asked: here it
//! is said for the command line.

use crate::control::apply::ApplyError;
use crate::control::edit::EditError;
use crate::control::failure::{Exit, Failure};
use crate::control::pki::{PkiError, SanName};

/// Why it is not done. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(in crate::control) enum Refused {
    #[error("there is no authority `{}`", .0.escape_debug())]
    NoAuthority(String),
    #[error("there is an authority `{0}` already")]
    AuthorityNameTaken(String),
    #[error("it is there already, as `{0}`")]
    AuthorityKnown(String),
    #[error("there is no authority that issues")]
    NobodyIssues,
    #[error("it is listed already, as `{name}` ({status})")]
    Listed { name: String, status: &'static str },
    #[error("there is a client certificate `{0}` already")]
    ClientNameTaken(String),
    #[error("`{0}` is not listed")]
    NotListed(String),
    #[error("{count} certificates that are not listed bear the name `{name}`")]
    Ambiguous { name: String, count: usize },
    #[error("there is no client certificate `{}`, and no file", .0.escape_debug())]
    NoClient(String),
    #[error("`{0}` is no name of a broker")]
    NotAServerName(SanName),
    #[error(transparent)]
    Pki(#[from] PkiError),
    #[error(transparent)]
    Edit(#[from] EditError),
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error("{0}")]
    Other(Failure),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Refused {
        Refused::Other(failure)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Failure {
        let remedy = match &refused {
            Refused::NoAuthority(_) | Refused::AuthorityKnown(_) => "`tidemq ca list` shows all",
            Refused::AuthorityNameTaken(_) => "give this one another name with `--name`, or remove that one",
            Refused::NobodyIssues => {
                "make one with `tidemq ca create`, or choose one with `tidemq ca use NAME`"
            }
            Refused::Listed { .. } => "change that with `tidemq cert client authorize` or `revoke`",
            Refused::ClientNameTaken(_) => "give this one another name with `--name`",
            Refused::NotListed(_) | Refused::NoClient(_) => "`tidemq cert client list` shows all",
            Refused::Ambiguous { .. } => "say which by its thumbprint; `tidemq cert client list` shows them",
            Refused::NotAServerName(_) => "give host names and addresses",
            Refused::Pki(_) | Refused::Edit(_) | Refused::Apply(_) | Refused::Other(_) => "",
        };
        match refused {
            Refused::Pki(error) => error.into(),
            Refused::Edit(error) => error.into(),
            Refused::Apply(error) => error.into(),
            Refused::Other(failure) => failure,
            refused => Failure::new(Exit::Given, refused, remedy),
        }
    }
}
