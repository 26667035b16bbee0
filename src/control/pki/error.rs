//! Why something about a certificate cannot be done, and what to do then. No text here ever holds a key or a password.

use std::path::PathBuf;

use super::Thumbprint;
use crate::control::disk::FileFault;

/// Why something about a certificate cannot be done. [`PkiError::remedy`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// Others may read a folder or a key.
    #[error("{}: others may read it (mode {mode:04o})", path.display())]
    Readable {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A file of the store is not what was put there.
    #[error("{}: {what}", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// How it differs.
        what: String,
    },
    /// The store has no such certificate.
    #[error("there is no certificate {0} in the store")]
    Unknown(Thumbprint),
    /// The store has no key for a certificate.
    #[error("there is no private key for the certificate {0} in the store")]
    NoKey(Thumbprint),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] FileFault),

    /// What was given is nothing that is known here.
    #[error("this is not a certificate: it seems to be {0}")]
    NotACertificate(String),
    /// What was given is known, and cannot be taken as it is.
    #[error("{what} cannot be read")]
    Unsupported {
        /// What it is.
        what: String,
        /// The command that makes something of it.
        remedy: String,
    },
    /// What was given begins well and does not end so.
    #[error("{0} is damaged or incomplete")]
    Broken(String),
    /// It is protected, and no password was given.
    #[error("{0} is protected by a password")]
    PasswordWanted(&'static str),
    /// The password does not open it.
    #[error("the password does not open {0}")]
    WrongPassword(&'static str),
    /// A key alone.
    #[error("there is a private key, but no certificate")]
    OnlyAKey,
    /// More than one key.
    #[error("there are {0} private keys: nobody can say which is meant")]
    SeveralKeys(usize),
    /// More than one certificate that no other one leads to.
    #[error("there are several certificates that do not belong together: {0}")]
    SeveralCertificates(String),
    /// The key belongs to another certificate.
    #[error("the private key does not belong to the certificate of {0}")]
    Mismatch(String),
    /// A key of a kind that is not used here.
    #[error("the private key cannot be used: {0}")]
    BadKey(&'static str),

    /// It has no key where one is needed.
    #[error("the certificate of {0} has come without its private key")]
    KeyWanted(String),
    /// It may not issue.
    #[error("the certificate of {subject} is not an authority's: {why}")]
    NotAnAuthority {
        /// Whose.
        subject: String,
        /// What is missing.
        why: &'static str,
    },
    /// The first version of X.509 cannot say what a certificate is for.
    #[error("the certificate of {0} is an X.509 version 1 certificate, which clients and the broker refuse")]
    Version1(String),
    /// Its time is over.
    #[error("the certificate of {subject} has expired on {when}")]
    Expired {
        /// Whose.
        subject: String,
        /// When, UTC.
        when: String,
    },
    /// Its time has not come.
    #[error("the certificate of {subject} is valid from {when} only")]
    NotYetValid {
        /// Whose.
        subject: String,
        /// When, UTC.
        when: String,
    },
    /// Clients would refuse it.
    #[error("the certificate of {subject} cannot be the broker's: {why}")]
    NotForServers {
        /// Whose.
        subject: String,
        /// Why.
        why: &'static str,
    },
    /// The issuing authority has no key.
    #[error("the authority {0} has no private key and cannot issue")]
    AuthorityWithoutKey(String),

    /// A name that no certificate can bear.
    #[error("`{}` is no name for a certificate: {why}", shown(name))]
    BadName {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A time that no certificate is issued for.
    #[error("{days} days: a certificate is issued for 1 to {most} days")]
    BadDays {
        /// What was asked.
        days: u32,
        /// The most there can be.
        most: u32,
    },
    /// No key of that name is made.
    #[error("`{}` is no type of key", shown(.0))]
    BadKeyType(String),
    /// A request that is not signed.
    #[error("the signing request cannot be taken: {0}")]
    BadRequest(String),
    /// What was made does not stand up to what a peer will ask.
    #[error("what {authority} has issued does not verify: {why}")]
    Unverified {
        /// Who issued it.
        authority: String,
        /// What the verifier said.
        why: String,
    },
    /// The cryptography failed.
    #[error("the certificate cannot be made: {0}")]
    Making(String),
    /// It cannot be written in that format.
    #[error("the PKCS#12 file cannot be made: {0}")]
    Exporting(&'static str),
}

/// Text from outside, for a line of ours.
fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

impl PkiError {
    /// What to do about it; may be empty.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            PkiError::Readable { path, .. } => {
                let mode = if path.is_dir() { "700" } else { "600" };
                return format!("make it yours alone with `chmod {mode} {}`", path.display());
            }
            PkiError::Unsupported { remedy, .. } => return remedy.clone(),
            PkiError::Damaged { .. } => "restore it from a backup, or import the certificate again",
            PkiError::Unknown(_) => "import it again, or take its thumbprint out of the configuration",
            PkiError::NoKey(_) => "import the certificate again together with its key",
            PkiError::Disk(_) => "see whether it is there, who owns it and whether the disk is full",
            PkiError::NotACertificate(_) => "give a certificate as PEM, DER or PKCS#12 (.pem, .crt, .cer, .p12, .pfx)",
            PkiError::Broken(_) => "make or copy the file again",
            PkiError::PasswordWanted(_) => "give its password",
            PkiError::WrongPassword(_) => "give the password that it was made with; nothing was stored",
            PkiError::OnlyAKey => "give the certificate that belongs to it too, in the same file or beside it",
            PkiError::SeveralKeys(_) => "give a file with one certificate and its key",
            PkiError::SeveralCertificates(_) => "give them one at a time",
            PkiError::Mismatch(_) => "give the key that the certificate was made for",
            PkiError::BadKey(_) => "use ECDSA P-256, P-384 or P-521, Ed25519, or RSA of 2048 to 8192 bits",
            PkiError::KeyWanted(_) => {
                "give a file that holds both (PKCS#12, or PEM with the certificate and the key)"
            }
            PkiError::NotAnAuthority { .. } => {
                "give the authority's own certificate; openssl makes one with \
                 `-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign`"
            }
            PkiError::Version1(_) => {
                "issue it with extensions (`openssl x509 -req` makes version 1 unless it has -extfile or -copy_extensions)"
            }
            PkiError::Expired { .. } => "get a new one from whoever issued it",
            PkiError::NotYetValid { .. } => "see whether this machine's clock is right, or wait",
            PkiError::NotForServers { .. } => "give a certificate that was issued for a TLS server",
            PkiError::AuthorityWithoutKey(_) => {
                "import it again with its key, or let another authority issue (`tidemq ca use NAME`)"
            }
            PkiError::BadName { .. } => "give another name",
            PkiError::BadDays { .. } => "give another number of days",
            PkiError::BadKeyType(_) => {
                "write ecdsa-p256, ecdsa-p384, ed25519, rsa-2048, rsa-3072 or rsa-4096"
            }
            PkiError::BadRequest(_) => "let the client make another one, with one Common Name",
            PkiError::Unverified { .. } => "use another authority: nothing that this one issues would be accepted",
            PkiError::Making(_) | PkiError::Exporting(_) => "",
        }
        .to_owned()
    }
}
