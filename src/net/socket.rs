//! Descriptors: events that wake a thread, and a descriptor's way into another type.
//!
//! Knows nothing of what is sent over them.

#![allow(unsafe_code, reason = "eventfd(2) has no safe form in std, nor has taking a descriptor over")]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};

/// An event that any thread may raise and one ring polls: a doorbell.
#[derive(Debug)]
pub struct Event {
    file: File,
}

impl Event {
    /// A fresh event. Never blocks whoever clears it: one poll event may stand for two rings of the bell.
    pub fn new() -> io::Result<Event> {
        Ok(Event { file: File::from(event_descriptor(libc::EFD_NONBLOCK)?) })
    }

    /// Raises it.
    pub fn raise(&self) {
        // It can only fail when the counter is full: then it is raised already.
        let _ = (&self.file).write(&1u64.to_ne_bytes());
    }

    /// Clears it.
    pub fn clear(&self) {
        // It fails when nobody has raised it.
        let _ = (&self.file).read(&mut [0; 8]);
    }
}

impl AsFd for Event {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// An event whose reader waits, for the ring to signal and an executor to read.
pub fn waiting_event() -> io::Result<OwnedFd> {
    event_descriptor(0)
}

/// Gives a descriptor to a type that only takes raw ones.
pub fn take_over<F: FromRawFd>(descriptor: OwnedFd) -> F {
    // SAFETY: the descriptor is open and ours, and ownership moves.
    unsafe { F::from_raw_fd(descriptor.into_raw_fd()) }
}

fn event_descriptor(flags: i32) -> io::Result<OwnedFd> {
    // SAFETY: no memory of ours is involved.
    let raw = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | flags) };
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}
