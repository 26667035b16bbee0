//! Whether a new certificate will be accepted by those who meet it: asked of the verifiers that TLS itself uses.

use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{PkiError, describe};

/// Who will meet the certificate.
pub(super) enum Use<'a> {
    /// The broker, from a client.
    Client,
    /// A client, from the broker, which it knows by this name.
    Server(&'a ServerName<'static>),
}

/// Verifies a certificate against the authority that is said to have issued it, at a time in seconds since 1970.
pub(super) fn against(
    authority: &CertificateDer<'_>,
    certificate: &CertificateDer<'_>,
    by: &Use<'_>,
    now: i64,
) -> Result<(), PkiError> {
    let refused = |why: String| PkiError::Unverified { authority: describe::subject(authority), why };
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone().into_owned()).map_err(|error| refused(error.to_string()))?;
    let roots = Arc::new(roots);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now.try_into().unwrap_or(0)));
    match by {
        Use::Client => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
            let verifier = verifier.map_err(|error| refused(error.to_string()))?;
            verifier.verify_client_cert(certificate, &[], now).map(|_| ())
        }
        Use::Server(name) => {
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
            let verifier = verifier.map_err(|error| refused(error.to_string()))?;
            verifier.verify_server_cert(certificate, &[], name, &[], now).map(|_| ())
        }
    }
    .map_err(|error| refused(error.to_string()))
}
