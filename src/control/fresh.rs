//! Where a new installation begins: the fresh configuration, with an authority of its own, so that TLS and client
//! certificates are a line away.

use std::path::Path;

use super::config::reference;
use super::pki::make::{self, AuthorityRequest};
use super::pki::{KeyType, PkiError, Store};
use super::secure;

/// Makes an authority in the store of a data directory; the text names it as the one that issues.
///
/// # Errors
/// The store cannot be used, or the authority cannot be made.
pub(super) fn text(data: &Path) -> Result<String, PkiError> {
    let store = Store::open(data)?;
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let authority = authority(&format!("tidemq built-in authority on {host}"))
        .or_else(|_| authority("tidemq built-in authority"))?;
    let thumbprint = store.put(&authority)?;
    Ok(reference::fresh_text(Some(&thumbprint.to_string())))
}

/// A host's name may be too long for a Common Name, or hold what cannot be in one.
fn authority(common_name: &str) -> Result<super::pki::Certified, PkiError> {
    let request = AuthorityRequest {
        common_name: common_name.to_owned(),
        days: make::AUTHORITY_DAYS,
        key_type: KeyType::default(),
    };
    make::authority(&request, secure::now())
}
