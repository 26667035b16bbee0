//! The provided buffers: one pool for all connections of a ring, from which the kernel takes a buffer when bytes
//! arrive. An idle connection holds none.
//!
//! Knows nothing of connections.

#![allow(unsafe_code, reason = "memory that is shared with the kernel")]

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;

/// Buffers in the pool. The whole pool becomes resident under load, so it is small; when it runs dry the receives end
/// with ENOBUFS and are armed again.
pub(super) const BUFFERS: u16 = 256;
/// Bytes of a buffer. 512 cost 1.8 times as much under a flood, more than 2,048 gains nothing.
pub(super) const BUFFER_BYTES: usize = 2_048;
/// The only group of buffers of a ring.
pub(super) const GROUP: u16 = 0;

/// A buffer that the kernel has filled and that is ours until it is given back. It is made from a completion only:
/// whoever holds one may read the memory.
#[derive(Debug)]
pub(super) struct Filled {
    id: u16,
    len: u32,
}

/// The pool. Its memory is never unmapped: a ring that is being torn down by the kernel may still hold its address,
/// and a pool lives as long as the process (tests apart).
pub(super) struct Pool {
    entries: NonNull<BufRingEntry>,
    data: NonNull<u8>,
    tail: u16,
}

impl Pool {
    /// A pool registered with `ring`, every buffer with the kernel.
    pub(super) fn register(ring: &IoUring) -> io::Result<Pool> {
        let entries = map(usize::from(BUFFERS) * size_of::<BufRingEntry>())?.cast::<BufRingEntry>();
        let data = map(usize::from(BUFFERS) * BUFFER_BYTES)?;
        // SAFETY: the mapping holds BUFFERS entries, is page aligned and is never unmapped.
        unsafe {
            ring.submitter().register_buf_ring_with_flags(entries.as_ptr() as u64, BUFFERS, GROUP, 0)?;
        }
        let mut pool = Pool { entries, data, tail: 0 };
        for id in 0..BUFFERS {
            pool.give_back(Filled { id, len: 0 });
        }
        pool.publish();
        Ok(pool)
    }

    /// The buffer that a completion names, if it names one.
    pub(super) fn filled(flags: u32, result: i32) -> Option<Filled> {
        let id = io_uring::cqueue::buffer_select(flags)?;
        Some(Filled { id, len: u32::try_from(result).unwrap_or(0) })
    }

    /// What the kernel wrote.
    pub(super) fn bytes(&self, filled: &Filled) -> &[u8] {
        // SAFETY: `filled` exists, so the kernel has handed this buffer over and does not touch it before it is given
        // back; the id and the length are the kernel's own and lie within the pool.
        unsafe {
            let start = self.data.as_ptr().add(usize::from(filled.id) * BUFFER_BYTES);
            std::slice::from_raw_parts(start, (filled.len as usize).min(BUFFER_BYTES))
        }
    }

    /// What the kernel wrote, to be worked on in place.
    pub(super) fn bytes_mut(&mut self, filled: &mut Filled) -> &mut [u8] {
        // SAFETY: as in `bytes`; and `filled` is the only one of its id, borrowed as long as what is returned.
        unsafe {
            let start = self.data.as_ptr().add(usize::from(filled.id) * BUFFER_BYTES);
            std::slice::from_raw_parts_mut(start, (filled.len as usize).min(BUFFER_BYTES))
        }
    }

    /// Queues the buffer for the kernel. It sees it after `publish`.
    pub(super) fn give_back(&mut self, filled: Filled) {
        let position = usize::from(self.tail & (BUFFERS - 1));
        // SAFETY: `position` is below BUFFERS; entries from the published tail on are ours to write, and there is
        // room for every buffer, so none that the kernel still has to read is overwritten.
        unsafe {
            let entry = &mut *self.entries.as_ptr().add(position);
            entry.set_addr(self.data.as_ptr().add(usize::from(filled.id) * BUFFER_BYTES) as u64);
            entry.set_len(BUFFER_BYTES as u32);
            entry.set_bid(filled.id);
        }
        self.tail = self.tail.wrapping_add(1);
    }

    /// Shows the kernel what was given back.
    pub(super) fn publish(&self) {
        // SAFETY: the tail lies in the first entry of our mapping, is two-byte aligned, and only the kernel reads it
        // besides us, by an acquiring load.
        unsafe {
            let tail = BufRingEntry::tail(self.entries.as_ptr()).cast::<AtomicU16>();
            (*tail).store(self.tail, Ordering::Release);
        }
    }
}

/// Zeroed, page aligned memory that becomes resident when it is used.
fn map(bytes: usize) -> io::Result<NonNull<u8>> {
    // SAFETY: a fresh anonymous mapping, no address of ours involved.
    let at = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    match NonNull::new(at.cast::<u8>()) {
        Some(at) if at.as_ptr().cast() != libc::MAP_FAILED => Ok(at),
        _ => Err(io::Error::last_os_error()),
    }
}

const _: () = assert!(BUFFERS.is_power_of_two());
