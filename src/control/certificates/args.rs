//! The command line of `tidemq ca` and `tidemq cert`: what can be asked for, and nothing about how it is done.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::control::cli::Place;
use crate::control::pki::{KeyType, SanName, make};

/// What every command that edits the draft takes.
#[derive(Args, Debug)]
pub(in crate::control) struct Edit {
    #[command(flatten)]
    pub(super) place: Place,
    /// Apply the configuration file at once, with whatever else was edited in it
    #[arg(long)]
    pub(super) apply: bool,
}

/// A file that holds a certificate.
#[derive(Args, Debug)]
pub(in crate::control) struct Input {
    /// PEM, DER or PKCS#12; `-` is standard input
    pub(super) file: PathBuf,
    /// File with the private key, if it is not in the same one
    #[arg(long, value_name = "FILE")]
    pub(super) key: Option<PathBuf>,
    /// File with the password in its first line (`-`: standard input) [default: asked for if it is needed]
    #[arg(long, value_name = "FILE")]
    pub(super) password_file: Option<PathBuf>,
}

/// Where a certificate goes, and how.
#[derive(Args, Debug)]
pub(in crate::control) struct Target {
    /// File to write; `-` is standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub(super) out: PathBuf,
    /// Write DER instead of PEM
    #[arg(long, conflicts_with = "chain")]
    pub(super) der: bool,
    /// Write what leads to its authority too
    #[arg(long)]
    pub(super) chain: bool,
}

const KEY_TYPES: &str = "TYPE";

/// `tidemq ca`
#[derive(Debug, Subcommand)]
pub(in crate::control) enum Ca {
    /// Makes a certificate authority; it issues if no other one does
    Create {
        #[command(flatten)]
        edit: Edit,
        /// Its Common Name, and what it is called here
        #[arg(long)]
        name: String,
        /// How long it lasts
        #[arg(long, default_value_t = make::AUTHORITY_DAYS)]
        days: u32,
        /// ecdsa-p256, ecdsa-p384, ed25519, rsa-2048, rsa-3072 or rsa-4096
        #[arg(long, value_name = KEY_TYPES, default_value_t)]
        key_type: KeyType,
        /// Let it issue in place of another
        #[arg(long = "use")]
        issues: bool,
    },
    /// Trusts an authority that exists; with its private key it can issue
    Import {
        #[command(flatten)]
        edit: Edit,
        #[command(flatten)]
        input: Input,
        /// What it is called here [default: its Common Name]
        #[arg(long)]
        name: Option<String>,
        /// Let it issue in place of another
        #[arg(long = "use")]
        issues: bool,
    },
    /// Writes an authority's certificate, never its key
    Export {
        #[command(flatten)]
        place: Place,
        /// Its name or thumbprint
        name: String,
        #[command(flatten)]
        export: Target,
    },
    /// Lists the authorities with their thumbprints
    List(Place),
    /// Shows what an authority's certificate says
    Show {
        #[command(flatten)]
        place: Place,
        /// Its name or thumbprint
        name: String,
    },
    /// Lets an authority issue from now on
    Use {
        #[command(flatten)]
        edit: Edit,
        /// Its name or thumbprint
        name: String,
    },
    /// Takes an authority out of the configuration: what it issued is trusted no longer
    Remove {
        #[command(flatten)]
        edit: Edit,
        /// Its name or thumbprint
        name: String,
        /// Once that is applied, destroy its private key too; nothing brings it back
        #[arg(long, requires = "apply")]
        destroy_key: bool,
    },
    /// Issues a client certificate and its key
    Issue(Issue),
    /// Signs the request of a client that keeps its key
    Sign(Sign),
}

/// `tidemq ca issue`
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("handing").required(true).args(["pem", "pkcs12"]))]
pub(in crate::control) struct Issue {
    #[command(flatten)]
    pub(super) edit: Edit,
    /// Its Common Name: the client name of the topic rules
    #[arg(long)]
    pub(super) name: String,
    /// Another name of the client: DNS:NAME, IP:ADDRESS, email:ADDRESS or URI:URI. May be given several times
    #[arg(long, value_name = "NAME")]
    pub(super) san: Vec<SanName>,
    /// How long it lasts; never longer than its authority
    #[arg(long, default_value_t = make::CLIENT_DAYS)]
    pub(super) days: u32,
    /// ecdsa-p256, ecdsa-p384, ed25519, rsa-2048, rsa-3072 or rsa-4096
    #[arg(long, value_name = KEY_TYPES, default_value_t)]
    pub(super) key_type: KeyType,
    /// Write key, certificate and chain to this file as PEM
    #[arg(long, value_name = "FILE")]
    pub(super) pem: Option<PathBuf>,
    /// Write them to this file as PKCS#12, under a password
    #[arg(long, value_name = "FILE")]
    pub(super) pkcs12: Option<PathBuf>,
    /// File with the password in its first line (`-`: standard input) [default: asked for]
    #[arg(long, value_name = "FILE", requires = "pkcs12")]
    pub(super) password_file: Option<PathBuf>,
    /// Protect the PKCS#12 file as old systems can read it (3DES and SHA-1): Windows before 10, macOS before 15
    #[arg(long, requires = "pkcs12")]
    pub(super) old_encryption: bool,
    /// List it as authorized
    #[arg(long)]
    pub(super) authorize: bool,
    /// The authority that issues it [default: the one that the configuration says]
    #[arg(long, value_name = "NAME")]
    pub(super) authority: Option<String>,
}

/// `tidemq ca sign`
#[derive(Args, Debug)]
pub(in crate::control) struct Sign {
    #[command(flatten)]
    pub(super) edit: Edit,
    /// The signing request, PEM or DER; `-` is standard input
    pub(super) file: PathBuf,
    /// File for the certificate and its chain, as PEM; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,
    /// How long it lasts; never longer than its authority
    #[arg(long, default_value_t = make::CLIENT_DAYS)]
    pub(super) days: u32,
    /// Make it a server's certificate, for another service
    #[arg(long, conflicts_with = "authorize")]
    pub(super) server: bool,
    /// List it as authorized
    #[arg(long)]
    pub(super) authorize: bool,
    /// The authority that signs it [default: the one that the configuration says]
    #[arg(long, value_name = "NAME")]
    pub(super) authority: Option<String>,
}

/// `tidemq cert`
#[derive(Debug, Subcommand)]
pub(in crate::control) enum Cert {
    /// The certificate that the broker shows to clients
    #[command(subcommand)]
    Broker(Broker),
    /// The client certificates that are authorized or revoked
    #[command(subcommand)]
    Client(Client),
}

/// `tidemq cert broker`
#[derive(Debug, Subcommand)]
pub(in crate::control) enum Broker {
    /// Shows what it says
    Show(Place),
    /// Makes a new one, issued by the authority that issues, or by itself if there is none; renewed in time
    #[command(visible_alias = "renew")]
    New {
        #[command(flatten)]
        edit: Edit,
        /// A host name or address that clients know the broker by, from now on; may be given several times [default: those
        /// in the configuration, else all of this machine]
        #[arg(long, value_name = "NAME")]
        san: Vec<SanName>,
        /// ecdsa-p256, ecdsa-p384, ed25519, rsa-2048, rsa-3072 or rsa-4096 [default: as before]
        #[arg(long, value_name = KEY_TYPES)]
        key_type: Option<KeyType>,
    },
    /// Takes one that somebody else has issued, with its private key
    Import {
        #[command(flatten)]
        edit: Edit,
        #[command(flatten)]
        input: Input,
    },
    /// Lets the broker make and renew its own, or show a stored one again
    Use {
        #[command(flatten)]
        edit: Edit,
        /// `auto`, or the thumbprint of one that was imported
        which: String,
    },
    /// Writes it, never its key
    Export {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        export: Target,
    },
}

/// `tidemq cert client`
#[derive(Debug, Subcommand)]
pub(in crate::control) enum Client {
    /// Lists certificates as authorized, or as revoked
    Add {
        #[command(flatten)]
        edit: Edit,
        /// Files with a certificate each: PEM, DER or PKCS#12; `-` is standard input
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// What it is called here [default: its Common Name]
        #[arg(long)]
        name: Option<String>,
        /// File with the password in its first line [default: asked for if it is needed]
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// List them as revoked
        #[arg(long)]
        revoked: bool,
        /// Take expired ones too: they count where trust is not asked for
        #[arg(long)]
        expired: bool,
    },
    /// Marks a certificate as authorized; lists it if it was not
    Authorize(Which),
    /// Marks a certificate as revoked: it never gets in; lists it if it was not
    Revoke(Which),
    /// Takes a certificate off the list; forgets one that was issued here and is not listed
    Remove(Which),
    /// Lists them, and those that were issued here
    List(Place),
    /// Shows what a certificate says
    Show {
        #[command(flatten)]
        place: Place,
        /// Its name here, its thumbprint, or a file that holds it
        which: String,
    },
    /// Writes a certificate
    Export {
        #[command(flatten)]
        place: Place,
        /// Its name here or its thumbprint
        which: String,
        #[command(flatten)]
        export: Target,
    },
}

/// A command about one client certificate.
#[derive(Args, Debug)]
pub(in crate::control) struct Which {
    #[command(flatten)]
    pub(super) edit: Edit,
    /// Its name here, its thumbprint, or a file that holds it
    pub(super) which: String,
}
