//! The certificates and keys in the data directory, each under its thumbprint.
//!
//! What lies under a thumbprint never changes its meaning, so a configuration that names it is applied whole or not at
//! all, and an old one can be taken back. Folders and keys are their owner's alone; the store refuses to work otherwise.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use pem::{EncodeConfig, LineEnding, Pem};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::{Zeroize, Zeroizing};

use super::describe::{self, thumbprint};
use super::keys;
use super::{Certified, PkiError, Thumbprint};
use crate::control::disk::{self, Disk, FileFault, OsDisk};

/// How PEM is written.
pub(super) const LINES: EncodeConfig = EncodeConfig::new().set_line_ending(LineEnding::LF);
/// PEM's word for a certificate.
pub(super) const CERTIFICATE: &str = "CERTIFICATE";
/// PEM's word for a key as PKCS#8.
pub(super) const PRIVATE_KEY: &str = "PRIVATE KEY";

/// `pki` in a data directory.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens the store of a data directory; makes its folders if they are not there.
    ///
    /// # Errors
    /// Others may read a folder or a key, or the disk fails.
    pub fn open(data: &Path) -> Result<Store, PkiError> {
        let store = Store { root: data.join("pki") };
        for folder in [store.root.clone(), store.certificates(), store.keys(), store.root.join("broker")] {
            match DirBuilder::new().mode(0o700).create(&folder) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(FileFault::new(&folder, "create it")(error).into());
                }
                _ => private(&folder)?,
            }
        }
        let keys = store.keys();
        let listed = fs::read_dir(&keys).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        for key in listed.map_err(FileFault::new(&keys, "list it"))? {
            private(&key.path())?;
        }
        if store.current().exists() {
            private(&store.current())?;
        }
        Ok(store)
    }

    fn certificates(&self) -> PathBuf {
        self.root.join("certificates")
    }

    fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// The broker's own certificate, made when none is configured: key and chain in one file, so that they always fit.
    pub(super) fn current(&self) -> PathBuf {
        self.root.join("broker").join("current.pem")
    }

    fn certificate_file(&self, of: &Thumbprint) -> PathBuf {
        self.certificates().join(format!("{of}.pem"))
    }

    fn key_file(&self, of: &Thumbprint) -> PathBuf {
        self.keys().join(format!("{of}.pem"))
    }

    /// Keeps a certificate with its chain, and its key if it has one. What is there already is replaced; a key that was
    /// there stays when none comes.
    ///
    /// # Errors
    /// The key does not fit, or the disk fails; nothing that was there is lost then.
    pub fn put(&self, certified: &Certified) -> Result<Thumbprint, PkiError> {
        let thumbprint = certified.thumbprint();
        for certificate in &certified.chain {
            describe::parse(certificate)?;
        }
        // The key first: who finds the certificate finds its key.
        if let Some(key) = &certified.key {
            keys::must_fit(certified.certificate(), key)?;
            self.write(&self.key_file(&thumbprint), &pem_of_key(key))?;
        }
        self.write(&self.certificate_file(&thumbprint), pem_of_chain(&certified.chain).as_bytes())?;
        Ok(thumbprint)
    }

    pub(super) fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), PkiError> {
        Ok(disk::replace(&OsDisk, path, bytes)?)
    }

    /// Whether a certificate is there.
    #[must_use]
    pub fn has(&self, of: &Thumbprint) -> bool {
        self.certificate_file(of).exists()
    }

    /// Whether a certificate's key is there.
    #[must_use]
    pub fn has_key(&self, of: &Thumbprint) -> bool {
        self.key_file(of).exists()
    }

    /// A certificate and its chain.
    ///
    /// # Errors
    /// It is not there, or its file is damaged.
    pub fn chain(&self, of: &Thumbprint) -> Result<Vec<CertificateDer<'static>>, PkiError> {
        let path = self.certificate_file(of);
        let text = read(&path)?.ok_or(PkiError::Unknown(*of))?;
        let (chain, _) = sections(&path, &text)?;
        match chain.first() {
            Some(first) if thumbprint(first) == *of => Ok(chain),
            _ => Err(PkiError::Damaged {
                path,
                what: "it holds another certificate than its name says".into(),
            }),
        }
    }

    /// A certificate's key.
    ///
    /// # Errors
    /// It is not there, others may read it, or its file is damaged.
    pub fn key(&self, of: &Thumbprint) -> Result<PrivateKeyDer<'static>, PkiError> {
        let path = self.key_file(of);
        let text = read(&path)?.ok_or(PkiError::NoKey(*of))?;
        private(&path)?;
        let (_, key) = sections(&path, &text)?;
        key.ok_or_else(|| PkiError::Damaged { path, what: "it holds no private key".into() })
    }

    /// A certificate with its chain, and its key if that is there.
    ///
    /// # Errors
    /// As [`Store::chain`] and [`Store::key`]; and they do not fit.
    pub fn certified(&self, of: &Thumbprint) -> Result<Certified, PkiError> {
        let chain = self.chain(of)?;
        let key = if self.has_key(of) { Some(self.key(of)?) } else { None };
        let certified = Certified { chain, key };
        if let Some(key) = &certified.key {
            keys::must_fit(certified.certificate(), key)?;
        }
        Ok(certified)
    }

    /// All that is there, in order.
    ///
    /// # Errors
    /// The disk fails.
    pub fn list(&self) -> Result<Vec<Thumbprint>, PkiError> {
        let folder = self.certificates();
        let files = fs::read_dir(&folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let files = files.map_err(FileFault::new(&folder, "list it"))?;
        let mut found: Vec<Thumbprint> = files
            .iter()
            .filter_map(|file| file.file_name().to_str()?.strip_suffix(".pem")?.parse().ok())
            .collect();
        found.sort_unstable();
        Ok(found)
    }

    /// Removes a certificate and its key; what is not there is no error.
    ///
    /// # Errors
    /// The disk fails.
    pub fn remove(&self, of: &Thumbprint) -> Result<(), PkiError> {
        OsDisk.remove(&self.certificate_file(of))?;
        OsDisk.sync_folder(&self.certificates())?;
        self.remove_key(of)
    }

    /// Removes a certificate's key; the certificate stays.
    ///
    /// # Errors
    /// The disk fails.
    pub fn remove_key(&self, of: &Thumbprint) -> Result<(), PkiError> {
        OsDisk.remove(&self.key_file(of))?;
        Ok(OsDisk.sync_folder(&self.keys())?)
    }
}

/// Certificates as PEM.
pub(super) fn pem_of_chain(chain: &[CertificateDer<'_>]) -> String {
    let sections: Vec<Pem> = chain.iter().map(|one| Pem::new(CERTIFICATE, one.to_vec())).collect();
    pem::encode_many_config(&sections, LINES)
}

/// A key as PEM.
pub(super) fn pem_of_key(key: &PrivateKeyDer<'_>) -> Zeroizing<Vec<u8>> {
    let section = Pem::new(PRIVATE_KEY, key.secret_der());
    let text = pem::encode_config(&section, LINES);
    section.into_contents().zeroize();
    Zeroizing::new(text.into_bytes())
}

/// The sections of a file that [`pem_of_chain`] and [`pem_of_key`] wrote.
type Sections = (Vec<CertificateDer<'static>>, Option<PrivateKeyDer<'static>>);

pub(super) fn sections(path: &Path, text: &[u8]) -> Result<Sections, PkiError> {
    let damaged = || PkiError::Damaged {
        path: path.to_owned(),
        what: "it is not the PEM that was written there".into(),
    };
    let mut found: Sections = (Vec::new(), None);
    for section in pem::parse_many(text).map_err(|_| damaged())? {
        match section.tag() {
            CERTIFICATE => found.0.push(section.into_contents().into()),
            PRIVATE_KEY => found.1 = Some(PrivatePkcs8KeyDer::from(section.into_contents()).into()),
            _ => return Err(damaged()),
        }
    }
    Ok(found)
}

/// Reads a file that may be absent.
pub(super) fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, PkiError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileFault::new(path, "read it")(error).into()),
    }
}

/// Refuses what others may read.
pub(super) fn private(path: &Path) -> Result<(), PkiError> {
    let mode = fs::metadata(path).map_err(FileFault::new(path, "look at it"))?.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(PkiError::Readable { path: path.to_owned(), mode }) }
}
