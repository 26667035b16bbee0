//! The data directory: where it is, who may use it, and what of it must never change. Knows no configuration.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::disk::{self, FileFault, OsDisk};

/// Length of the key of the homes' hash, in bytes.
pub const HOME_KEY_BYTES: usize = 16;

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// No flag, no `$STATE_DIRECTORY`, no home.
    #[error("there is nowhere to keep data: neither $STATE_DIRECTORY, $XDG_STATE_HOME nor $HOME is set")]
    Nowhere,
    /// Another broker has it.
    #[error("{}: another tidemq{} uses this data directory", path.display(), with_pid(*.pid))]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Its process, if it said.
        pid: Option<u32>,
    },
    /// Others may read a secret.
    #[error("{}: others may read it (mode {mode:04o})", path.display())]
    Readable {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A file is not what it must be.
    #[error("{}: it holds {bytes} bytes, not {HOME_KEY_BYTES}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How many there are.
        bytes: usize,
    },
    /// The system gave no random numbers.
    #[error("no random numbers from the system: {0}")]
    Entropy(getrandom::Error),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] FileFault),
}

fn with_pid(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

/// The environment variables that say where data lie.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// `$STATE_DIRECTORY`: what a service manager made for us; the first of several.
    pub state_directory: Option<OsString>,
    /// `$XDG_STATE_HOME`
    pub xdg_state_home: Option<OsString>,
    /// `$HOME`
    pub home: Option<OsString>,
}

impl Places {
    /// Those of this process.
    #[must_use]
    pub fn of_this_process() -> Places {
        Places {
            state_directory: std::env::var_os("STATE_DIRECTORY"),
            xdg_state_home: std::env::var_os("XDG_STATE_HOME"),
            home: std::env::var_os("HOME"),
        }
    }
}

/// Where data lie: what the command line says, else `$STATE_DIRECTORY`, else the user's state folder.
///
/// # Errors
/// None of them is set.
pub fn locate(flag: Option<&Path>, places: &Places) -> Result<PathBuf, DataDirError> {
    if let Some(path) = flag {
        return Ok(path.to_owned());
    }
    let set = |value: &Option<OsString>| value.clone().filter(|value| !value.is_empty());
    if let Some(given) = set(&places.state_directory) {
        let first = given.to_string_lossy().split(':').next().unwrap_or_default().to_owned();
        return Ok(PathBuf::from(first));
    }
    // A relative XDG path is to be ignored, says its specification.
    let xdg = set(&places.xdg_state_home).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = xdg.or_else(|| set(&places.home).map(|home| PathBuf::from(home).join(".local/state")));
    state.map(|state| state.join("tidemq")).ok_or(DataDirError::Nowhere)
}

/// The configuration file in a data directory.
#[must_use]
pub fn config_file(path: &Path) -> PathBuf {
    path.join("config.toml")
}

/// The record of what was applied last.
#[must_use]
pub fn record_file(path: &Path) -> PathBuf {
    path.join("state").join("applied.toml")
}

/// The folder of what was applied before.
#[must_use]
pub fn history_folder(path: &Path) -> PathBuf {
    path.join("state").join("history")
}

/// What waits for a confirmation.
#[must_use]
pub fn pending_file(path: &Path) -> PathBuf {
    path.join("state").join("pending.toml")
}

/// A data directory that nobody else uses until this is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Creates it if it is not there (for its owner only) and takes its lock.
    ///
    /// # Errors
    /// It cannot be made or written, or another broker has it.
    pub fn open(path: &Path) -> Result<DataDir, DataDirError> {
        for folder in [path, &path.join("state")] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(FileFault::new(folder, "create it"))?;
        }
        let path = fs::canonicalize(path).map_err(FileFault::new(path, "find it"))?;
        let lock = take_lock(&path)?;
        Ok(DataDir { path, _lock: lock })
    }

    /// Where it is, in full.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The key of the homes' hash: made once, then the same for as long as the directory lives, so that clients and
    /// topics keep their homes over restarts.
    ///
    /// # Errors
    /// It is damaged, others may read it, or it cannot be made.
    pub fn home_key(&self) -> Result<[u8; HOME_KEY_BYTES], DataDirError> {
        let path = self.path.join("state").join("home.key");
        if let Ok(metadata) = fs::metadata(&path) {
            let mode = metadata.mode() & 0o7777;
            if mode & 0o077 != 0 {
                return Err(DataDirError::Readable { path, mode });
            }
            let bytes = fs::read(&path).map_err(FileFault::new(&path, "read it"))?;
            return bytes
                .as_slice()
                .try_into()
                .map_err(|_| DataDirError::Damaged { path, bytes: bytes.len() });
        }
        let mut key = [0; HOME_KEY_BYTES];
        getrandom::fill(&mut key).map_err(DataDirError::Entropy)?;
        disk::replace(&OsDisk, &path, &key)?;
        Ok(key)
    }
}

/// Whether a broker uses the directory now, and which process it is.
#[must_use]
pub fn in_use(path: &Path) -> Option<Option<u32>> {
    let lock_file = path.join("lock");
    let mut lock = File::open(&lock_file).ok()?;
    matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)).then(|| holder(&mut lock))
}

fn take_lock(path: &Path) -> Result<File, DataDirError> {
    let lock_file = path.join("lock");
    let mut lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&lock_file)
        .map_err(FileFault::new(&lock_file, "open it"))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(DataDirError::InUse { path: path.to_owned(), pid: holder(&mut lock) });
        }
        Err(TryLockError::Error(error)) => return Err(FileFault::new(&lock_file, "lock it")(error).into()),
    }
    lock.set_len(0)
        .and_then(|()| lock.rewind())
        .and_then(|()| write!(lock, "{}", std::process::id()))
        .map_err(FileFault::new(&lock_file, "write it"))?;
    Ok(lock)
}

fn holder(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.rewind().ok()?;
    lock.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn places(state: &str, xdg: &str, home: &str) -> Places {
        Places {
            state_directory: Some(state.into()),
            xdg_state_home: Some(xdg.into()),
            home: Some(home.into()),
        }
    }

    #[test]
    fn the_flag_then_the_service_manager_then_the_user_say_where() {
        let all = places("/var/lib/a:/var/lib/b", "/xdg", "/h/u");
        assert_eq!(locate(Some(Path::new("x")), &all).unwrap(), Path::new("x"));
        assert_eq!(locate(None, &all).unwrap(), Path::new("/var/lib/a"));
        assert_eq!(locate(None, &places("", "/xdg", "/h/u")).unwrap(), Path::new("/xdg/tidemq"));
        let home = locate(None, &places("", "relative", "/h/u")).unwrap();
        assert_eq!(home, Path::new("/h/u/.local/state/tidemq"));
        assert!(matches!(locate(None, &Places::default()), Err(DataDirError::Nowhere)));
    }

    #[test]
    fn it_is_made_for_its_owner_only_and_belongs_to_one() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a/b");
        let first = DataDir::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let Err(DataDirError::InUse { pid, .. }) = DataDir::open(&path) else { panic!("two have it") };
        assert_eq!(pid, Some(std::process::id()));
        assert_eq!(in_use(&path), Some(Some(std::process::id())));
        drop(first);
        assert_eq!(in_use(&path), None);
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn the_home_key_is_made_once_and_is_nobody_elses_business() {
        let temp = tempfile::tempdir().unwrap();
        let data = DataDir::open(temp.path()).unwrap();
        let key = data.home_key().unwrap();
        assert_ne!(key, [0; HOME_KEY_BYTES]);
        assert_eq!(data.home_key().unwrap(), key);
        let file = temp.path().join("state/home.key");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(data.home_key(), Err(DataDirError::Readable { mode: 0o640, .. })));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, "short").unwrap();
        assert!(matches!(data.home_key(), Err(DataDirError::Damaged { bytes: 5, .. })));
    }
}
