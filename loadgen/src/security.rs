//! What clients trust and who they are: authorities, certificates and keys from their files, as the configurations of
//! TLS. Knows files and rustls; no connection.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow, bail, ensure};
use futures_rustls::pki_types::pem::PemObject;
use futures_rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use futures_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use futures_rustls::rustls::client::{Resumption, WantsClientCert, WebPkiServerVerifier};
use futures_rustls::rustls::crypto::{
    CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use futures_rustls::rustls::{
    self, ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme, version,
};

use crate::plan::Transport;
use crate::tls::Tls;
use crate::tls_options::{TlsOptions, TlsVersion};

/// TLS of all clients.
pub struct Security {
    /// One, or one for each certificate, taken in turn.
    configs: Vec<Arc<ClientConfig>>,
    /// Of the certificates of a folder, in the same order.
    names: Vec<String>,
    server: ServerName<'static>,
    resume: bool,
    /// What is verified, and who the clients are, for the report.
    pub described: String,
}

impl std::fmt::Debug for Security {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Security").field("described", &self.described).finish_non_exhaustive()
    }
}

/// A certificate, the chain to its authority, and its key.
struct Pair {
    name: String,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Security {
    /// What the options ask for, to a broker of this name or address.
    pub fn new(options: &TlsOptions, host: &str, transport: &Transport) -> anyhow::Result<Security> {
        let server = server_name(options.sni.as_deref().unwrap_or(host))?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let (verifier, mut described) = verifier(options, &provider)?;
        let versions: &[&rustls::SupportedProtocolVersion] = match options.tls_version {
            None => &[&version::TLS13, &version::TLS12],
            Some(TlsVersion::V1_2) => &[&version::TLS12],
            Some(TlsVersion::V1_3) => &[&version::TLS13],
        };
        let builder = || -> anyhow::Result<ConfigBuilder<ClientConfig, WantsClientCert>> {
            let builder = ClientConfig::builder_with_provider(provider.clone());
            let builder = builder.with_protocol_versions(versions)?;
            Ok(builder.dangerous().with_custom_certificate_verifier(verifier.clone()))
        };
        let (mut configs, mut names) = (Vec::new(), Vec::new());
        for (path, Pair { name, chain, key }) in pairs(options)? {
            let config = builder()?.with_client_auth_cert(chain, key).map_err(|e| unusable(&path, &e))?;
            configs.push(config);
            names.push(name);
        }
        described += &match (&options.cert_dir, &options.cert) {
            (Some(folder), _) => {
                format!("; client certificates: {} of {} in turn", configs.len(), folder.display())
            }
            (None, Some(path)) => format!("; client certificate: {} for all", path.display()),
            (None, None) => "; no client certificate".into(),
        };
        if options.cert_dir.is_none() {
            names.clear();
        }
        if configs.is_empty() {
            configs.push(builder()?.with_no_client_auth());
        }
        let alpn: &[u8] = if *transport == Transport::Tcp { b"mqtt" } else { b"http/1.1" };
        for config in &mut configs {
            config.alpn_protocols = vec![alpn.to_vec()];
            config.resumption = Resumption::disabled();
        }
        if options.resume {
            described += "; sessions resumed";
        }
        let configs = configs.into_iter().map(Arc::new).collect();
        Ok(Security { configs, names, server, resume: options.resume, described })
    }

    /// The TLS of a client, of which only its own sessions are resumed, if any.
    pub fn tls(&self, client_no: u32) -> Tls {
        let mut config = self.configs[client_no as usize % self.configs.len()].clone();
        if self.resume {
            Arc::make_mut(&mut config).resumption = Resumption::in_memory_sessions(1);
        }
        Tls::new(config, self.server.clone())
    }

    /// The names of the certificates of a folder, in the order in which clients take them.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

fn server_name(name: &str) -> anyhow::Result<ServerName<'static>> {
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    ServerName::try_from(bare.to_owned())
        .map_err(|_| anyhow!("{name:?} is no name or address of a server: give one with --sni NAME"))
}

/// Who verifies the broker's certificate, and in words.
fn verifier(
    options: &TlsOptions,
    provider: &Arc<CryptoProvider>,
) -> anyhow::Result<(Arc<dyn ServerCertVerifier>, String)> {
    if options.insecure {
        let described = "the broker's certificate is NOT verified (--insecure)".into();
        return Ok((Arc::new(Blind(provider.clone())), described));
    }
    let mut roots = RootCertStore::empty();
    let whose;
    if let Some(path) = &options.ca {
        for (i, authority) in certificates(path, &read(path)?)?.into_iter().enumerate() {
            let bad = || format!("{}: certificate {} cannot be an authority", path.display(), i + 1);
            roots.add(authority).with_context(bad)?;
        }
        whose = format!("the {} of {}", roots.len(), path.display());
    } else {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let why = found.errors.first().map(|e| format!(" ({e})")).unwrap_or_default();
            bail!(
                "the operating system names no authorities{why}: give the broker's with --ca FILE, or --insecure"
            );
        }
        whose = format!("the {} of the operating system", roots.len());
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build()?;
    Ok((verifier, format!("the broker's certificate is verified, by {whose}")))
}

/// The certificates that the options name, each with the path of its file.
fn pairs(options: &TlsOptions) -> anyhow::Result<Vec<(PathBuf, Pair)>> {
    if let Some(path) = &options.cert {
        let pem = read(path)?;
        let chain = certificates(path, &pem)?;
        let key = match &options.key {
            None => private_key(path, &pem)?,
            Some(key) => private_key(key, &read(key)?)?,
        };
        return Ok(vec![(path.clone(), Pair { name: String::new(), chain, key })]);
    }
    let Some(folder) = &options.cert_dir else { return Ok(Vec::new()) };
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>();
    let mut paths = paths.with_context(|| format!("cannot read {}", folder.display()))?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "pem"));
    paths.sort();
    ensure!(!paths.is_empty(), "{} holds no file NAME.pem", folder.display());
    let pair = |path: PathBuf| {
        let pem = read(&path)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let pair = Pair { name, chain: certificates(&path, &pem)?, key: private_key(&path, &pem)? };
        Ok((path, pair))
    };
    paths.into_iter().map(pair).collect()
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn certificates(path: &Path, pem: &[u8]) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let list = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let list = list.map_err(|e| anyhow!("{}: the PEM is damaged: {e}", path.display()))?;
    let remedy = "-----BEGIN CERTIFICATE-----; DER is converted by openssl x509 -inform der -in FILE";
    ensure!(!list.is_empty(), "{} holds no certificate in PEM ({remedy})", path.display());
    Ok(list)
}

fn private_key(path: &Path, pem: &[u8]) -> anyhow::Result<PrivateKeyDer<'static>> {
    if let Ok(key) = PrivateKeyDer::from_pem_slice(pem) {
        return Ok(key);
    }
    let text = String::from_utf8_lossy(pem);
    let path = path.display();
    if text.contains("ENCRYPTED") {
        bail!("the key in {path} is encrypted: decrypt it first (openssl pkey -in FILE -out FILE)");
    }
    bail!(
        "{path} holds no private key in PEM (-----BEGIN PRIVATE KEY-----): give the file that does with --key FILE"
    )
}

/// Why a certificate and its key cannot be used.
fn unusable(path: &Path, error: &rustls::Error) -> anyhow::Error {
    let path = path.display();
    match error {
        rustls::Error::InconsistentKeys(_) => {
            anyhow!(
                "the key does not belong to the first certificate in {path}: give the one that it was made with"
            )
        }
        rustls::Error::InvalidCertificate(why) if format!("{why:?}").contains("UnsupportedCertVersion") => {
            anyhow!(
                "the certificate in {path} is of X.509 version 1, which is not accepted: make it with extensions \
             (openssl x509 -req -extfile FILE)"
            )
        }
        rustls::Error::InvalidCertificate(why) => anyhow!("the certificate in {path} cannot be read: {why}"),
        other => anyhow!("the certificate in {path}, or its key, cannot be used: {other}"),
    }
}

/// Takes any certificate; that the server has its key is verified all the same, so that a handshake costs what it costs.
#[derive(Debug)]
struct Blind(Arc<CryptoProvider>);

impl ServerCertVerifier for Blind {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
#[path = "security_tests.rs"]
mod tests;
