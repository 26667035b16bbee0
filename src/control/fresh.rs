//! Where a new installation begins: the fresh configuration, with an authority of its own, so that TLS and client
//! certificates are a line away.

use std::path::Path;

use toml_edit::{DocumentMut, Value};

use super::config::FRESH;
use super::edit;
use super::pki::make::{self, AuthorityRequest};
use super::pki::{KeyType, PkiError, Store};
use super::secure;

/// What stands above the authority.
const EXPLAINED: &str = "
# Certificate authorities: whoever shows a certificate that one of them has issued is trusted. The one that `issues` signs
# the broker's certificate, and what `tidemq ca issue` makes for clients; `tidemq ca export NAME` writes what clients need
# to trust the broker. This one was made for this installation.
";

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
    let mut document: DocumentMut = FRESH.parse().expect("the fresh configuration is TOML");
    let fields: [(&str, Value); 3] =
        [("name", "built-in".into()), ("thumbprint", thumbprint.to_string().into()), ("issues", true.into())];
    edit::append(&mut document, "authority", &fields, EXPLAINED);
    Ok(document.to_string())
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
