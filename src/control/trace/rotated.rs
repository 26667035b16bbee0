//! A file of lines that is never larger than it may be: when it is full it is put aside under a number, and the oldest of
//! those goes. Knows nothing of what the lines say.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What is written is nobody else's business.
const PRIVATE: u32 = 0o600;
const PRIVATE_FOLDER: u32 = 0o700;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keep {
    /// Of one file, in bytes. A line that is longer has one to itself.
    pub(super) bytes: u64,
    /// Files beside the one that is written.
    pub(super) files: u32,
}

/// The file that is written: what came before it lies beside it, as `.1` (the newest) and so on.
#[derive(Debug)]
pub(super) struct Rotated {
    path: PathBuf,
    keep: Keep,
    out: BufWriter<File>,
    bytes: u64,
}

impl Rotated {
    /// Goes on where the file ends, or makes it and its folder.
    pub(super) fn open(path: &Path, keep: Keep) -> io::Result<Rotated> {
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(PRIVATE_FOLDER).create(folder)?;
        }
        let (out, bytes) = open(path)?;
        Ok(Rotated { path: path.to_owned(), keep, out, bytes })
    }

    /// How much is kept from now on. Files that are too many go with the next rotation.
    pub(super) fn keep(&mut self, keep: Keep) {
        self.keep = keep;
    }

    /// Writes a line; it lies on the disk after [`Rotated::flush`] at the latest.
    pub(super) fn write(&mut self, line: &str) -> io::Result<()> {
        let more = line.len() as u64 + 1;
        if self.bytes > 0 && self.bytes + more > self.keep.bytes {
            self.rotate()?;
        }
        self.bytes += more;
        self.out.write_all(line.as_bytes())?;
        self.out.write_all(b"\n")
    }

    /// Hands what was written to the operating system.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.out.flush()?;
        // The oldest, and what an earlier setting kept beyond it.
        for number in self.keep.files.max(1).. {
            match fs::remove_file(aside(&self.path, number)) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => break,
                Err(error) => return Err(error),
            }
        }
        for number in (1..self.keep.files).rev() {
            moved(&aside(&self.path, number), &aside(&self.path, number + 1))?;
        }
        if self.keep.files > 0 {
            moved(&self.path, &aside(&self.path, 1))?;
        } else {
            fs::remove_file(&self.path)?;
        }
        (self.out, self.bytes) = open(&self.path)?;
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<(BufWriter<File>, u64)> {
    // A link in its place is nothing of ours.
    let flags = libc::O_NOFOLLOW;
    let file = OpenOptions::new().append(true).create(true).mode(PRIVATE).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if metadata.permissions().mode() & 0o777 != PRIVATE {
        file.set_permissions(Permissions::from_mode(PRIVATE))?;
    }
    Ok((BufWriter::new(file), metadata.len()))
}

fn aside(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn moved(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_full_file_is_put_aside_and_the_oldest_goes() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("m.log");
        let mut file = Rotated::open(&path, Keep { bytes: 10, files: 2 }).unwrap();
        for line in ["one 1", "two", "three", "four", "a line that is too long", "six"] {
            file.write(line).unwrap();
        }
        file.flush().unwrap();
        assert_eq!(names(temp.path()), ["m.log", "m.log.1", "m.log.2"]);
        let read = |name: &str| fs::read_to_string(temp.path().join(name)).unwrap();
        assert_eq!(read("m.log"), "six\n");
        assert_eq!(read("m.log.1"), "a line that is too long\n");
        assert_eq!(read("m.log.2"), "four\n");
        file.keep(Keep { bytes: 1, files: 0 });
        for line in ["seven", "eight"] {
            file.write(line).unwrap();
        }
        file.flush().unwrap();
        assert_eq!((names(temp.path()), read("m.log")), (vec!["m.log".into()], "eight\n".into()));
    }

    #[test]
    fn it_goes_on_where_it_ended_and_is_its_owners_alone() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("m.log");
        fs::write(&path, "before\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let mut file = Rotated::open(&path, Keep { bytes: 20, files: 1 }).unwrap();
        file.write("after").unwrap();
        file.flush().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "before\nafter\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, PRIVATE);
        file.write("does not fit").unwrap();
        file.flush().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "does not fit\n");
    }

    #[test]
    fn a_link_is_not_followed() {
        let temp = tempfile::tempdir().unwrap();
        let target = temp.path().join("elsewhere");
        fs::write(&target, "").unwrap();
        let path = temp.path().join("m.log");
        std::os::unix::fs::symlink(&target, &path).unwrap();
        assert!(Rotated::open(&path, Keep { bytes: 10, files: 1 }).is_err());
    }
}
