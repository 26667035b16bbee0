//! The command line's part on TLS.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TlsVersion {
    /// TLS 1.2
    #[value(name = "1.2")]
    V1_2,
    /// TLS 1.3
    #[value(name = "1.3")]
    V1_3,
}

/// What clients with certificates are called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ClientIds {
    /// As without certificates: different for each run
    #[default]
    Run,
    /// NAME of its NAME.pem
    Name,
    /// NAME of its NAME.pem, and then as without certificates
    NameRun,
}

/// How to come to a broker by TLS, and as whom.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "TLS")]
pub struct TlsOptions {
    /// By TLS, as with mqtts:// or wss:// in front of the broker's address
    #[arg(long)]
    pub tls: bool,
    /// Authorities in PEM of which one must have issued the broker's certificate [default: those of the operating system]
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub ca: Option<PathBuf>,
    /// Take any certificate of the broker, whoever issued it, for whatever name
    #[arg(long)]
    pub insecure: bool,
    /// The clients' certificate in PEM, one for all, with its chain if it has one
    #[arg(long, value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// Its key in PEM [default: in the file of --cert]
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// A folder of files NAME.pem, each a client's certificate and key, taken in turn by name
    #[arg(long, value_name = "DIR", conflicts_with = "cert")]
    pub cert_dir: Option<PathBuf>,
    /// What clients are called that have a certificate of --cert-dir
    #[arg(long, value_enum, value_name = "HOW", requires = "cert_dir", default_value = "run")]
    pub client_id: ClientIds,
    /// This version alone [default: 1.3, or 1.2 where the broker has no other]
    #[arg(long, value_enum, value_name = "VERSION")]
    pub tls_version: Option<TlsVersion>,
    /// The name to ask for and to verify [default: the broker's name or address]
    #[arg(long, value_name = "NAME")]
    pub sni: Option<String>,
    /// A client that comes back resumes its own TLS session [default: every handshake is a full one]
    #[arg(long)]
    pub resume: bool,
}

impl TlsOptions {
    /// An option that means nothing without TLS and was given.
    pub fn needing_tls(&self) -> Option<&'static str> {
        let given = [
            (self.ca.is_some(), "--ca"),
            (self.insecure, "--insecure"),
            (self.cert.is_some(), "--cert"),
            (self.cert_dir.is_some(), "--cert-dir"),
            (self.tls_version.is_some(), "--tls-version"),
            (self.sni.is_some(), "--sni"),
            (self.resume, "--resume"),
        ];
        given.iter().find(|(given, _)| *given).map(|(_, name)| *name)
    }
}
