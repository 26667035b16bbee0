//! The socket in the data directory by which this machine's commands reach the running broker. Who may write in the data
//! directory may connect. Knows nothing of what is said there.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// A path in a socket address ends at 108 bytes, its terminator included.
const SOCKET_PATH_BYTES: usize = 107;

/// The socket's place, short enough for an address however long the directory's name is.
struct Place {
    address: PathBuf,
    _folder: File,
}

fn place(data: &Path) -> io::Result<Place> {
    let folder = File::open(data)?;
    let plain = data.join("control.sock");
    let address = if plain.as_os_str().len() <= SOCKET_PATH_BYTES {
        plain
    } else {
        PathBuf::from(format!("/proc/self/fd/{}/control.sock", folder.as_raw_fd()))
    };
    Ok(Place { address, _folder: folder })
}

/// Makes it, in place of what a broker that crashed may have left. Call it while holding the directory's lock.
///
/// # Errors
/// It cannot be made.
pub(super) fn bind(data: &Path) -> io::Result<UnixListener> {
    let place = place(data)?;
    match fs::remove_file(&place.address) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&place.address)?;
    fs::set_permissions(&place.address, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Connects to the broker that runs on a data directory.
///
/// # Errors
/// None runs there, or it takes no more connections.
pub(super) fn connect(data: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(&place(data)?.address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_its_owners_alone_and_what_a_crash_left_is_in_nobodys_way() {
        let temp = tempfile::tempdir().unwrap();
        assert!(connect(temp.path()).is_err(), "nobody is there");
        drop(bind(temp.path()).unwrap());
        assert!(connect(temp.path()).is_err(), "nobody is there any more");
        let listener = bind(temp.path()).unwrap();
        let _to = connect(temp.path()).unwrap();
        listener.accept().unwrap();
        let mode = fs::metadata(temp.path().join("control.sock")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_directory_may_have_a_long_name() {
        let temp = tempfile::tempdir().unwrap();
        let long = temp.path().join("d".repeat(150));
        fs::create_dir(&long).unwrap();
        let listener = bind(&long).unwrap();
        let _to = connect(&long).unwrap();
        listener.accept().unwrap();
    }
}
