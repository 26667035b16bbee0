//! The few file operations on which Apply and the data directory build: each is whole or has not happened. A trait,
//! so that a test can let the machine die between any two of them. Knows no file by name.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Nobody but the broker's user reads what it writes.
const PRIVATE: u32 = 0o600;
const PRIVATE_FOLDER: u32 = 0o700;

/// A file operation failed.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot {doing}: {source}", path.display())]
pub struct FileFault {
    /// Which file.
    pub path: PathBuf,
    /// What was tried, as a verb: `read it`.
    pub doing: &'static str,
    /// What the system said.
    pub source: io::Error,
}

impl FileFault {
    /// For `map_err`.
    pub(super) fn new(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> FileFault {
        let path = path.to_owned();
        move |source| FileFault { path, doing, source }
    }
}

/// What Apply does to the disk.
pub(super) trait Disk: Send {
    /// Writes a whole file, readable by its owner only, and waits until it is on the disk.
    fn write_synced(&self, path: &Path, bytes: &[u8]) -> Result<(), FileFault>;
    /// Puts `from` in the place of `to`.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), FileFault>;
    /// Waits until the names in a folder are on the disk.
    fn sync_folder(&self, folder: &Path) -> Result<(), FileFault>;
    /// Makes a folder for the owner only, if it is not there.
    fn make_folder(&self, path: &Path) -> Result<(), FileFault>;
    /// Removes a file if it is there.
    fn remove(&self, path: &Path) -> Result<(), FileFault>;
}

/// The machine's own.
pub(super) struct OsDisk;

impl Disk for OsDisk {
    fn write_synced(&self, path: &Path, bytes: &[u8]) -> Result<(), FileFault> {
        // A leftover may have another mode: begin anew.
        self.remove(path)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(PRIVATE)
            .open(path)
            .map_err(FileFault::new(path, "create it"))?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(FileFault::new(path, "write it"))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), FileFault> {
        fs::rename(from, to).map_err(FileFault::new(to, "replace it"))
    }

    fn sync_folder(&self, folder: &Path) -> Result<(), FileFault> {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(FileFault::new(folder, "write it"))
    }

    fn make_folder(&self, path: &Path) -> Result<(), FileFault> {
        DirBuilder::new()
            .recursive(true)
            .mode(PRIVATE_FOLDER)
            .create(path)
            .map_err(FileFault::new(path, "make it"))
    }

    fn remove(&self, path: &Path) -> Result<(), FileFault> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(FileFault { path: path.to_owned(), doing: "remove it", source: error })
            }
            _ => Ok(()),
        }
    }
}

/// Writes a whole file in place of what was there: after a crash there is the old one or the new one.
pub(super) fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), FileFault> {
    let staged = staged(path);
    disk.write_synced(&staged, bytes)?;
    disk.rename(&staged, path)?;
    disk.sync_folder(folder(path))
}

/// Where the new content of `path` waits for its rename.
pub(super) fn staged(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new"))
}

/// The folder of a file.
pub(super) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Reads a text file.
pub(super) fn read_text(path: &Path) -> Result<String, FileFault> {
    fs::read_to_string(path).map_err(FileFault::new(path, "read it"))
}

/// Reads a text file that may be absent.
pub(super) fn read_text_if_there(path: &Path) -> Result<Option<String>, FileFault> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileFault { path: path.to_owned(), doing: "read it", source: error }),
    }
}
