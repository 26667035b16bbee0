//! The receive buffers of a ring: one pool for all its sockets, so that an idle connection holds none.
//!
//! Part of the ring: memory that the kernel takes buffers from and writes to.
#![allow(unsafe_code, reason = "the kernel reads the ring of buffers and writes into them")]

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;

/// Buffers in the pool, a power of two.
const COUNT: u16 = 128;
/// Bytes of one. A flood is read in few pieces: 4 KiB cost 31 ns a delivery where 16 KiB cost 24; the pool fits the cache.
const SIZE: usize = 16384;

/// Provided buffers.
pub struct Buffers {
    entries: NonNull<BufRingEntry>,
    data: NonNull<u8>,
    tail: u16,
}

/// Anonymous memory, zeroed and aligned to pages, that is never given back: a worker lives as long as the process.
fn map(len: usize) -> io::Result<NonNull<u8>> {
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping; nothing of ours is replaced.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), len, access, kind, -1, 0) };
    if at == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(at.cast()).ok_or(io::ErrorKind::OutOfMemory.into())
}

impl Buffers {
    /// The buffer group's number.
    pub const GROUP: u16 = 0;

    /// Makes the pool and tells the ring of it.
    pub fn new(ring: &IoUring) -> io::Result<Buffers> {
        let entries = map(usize::from(COUNT) * size_of::<BufRingEntry>())?;
        let data = map(usize::from(COUNT) * SIZE)?;
        // SAFETY: the mapping is page aligned, long enough for COUNT entries, and never unmapped.
        unsafe {
            ring.submitter().register_buf_ring_with_flags(entries.as_ptr() as u64, COUNT, Buffers::GROUP, 0)
        }
        .map_err(|e| io::Error::new(e.kind(), format!("provided buffers need Linux 5.19 or later: {e}")))?;
        let mut buffers = Buffers { entries: entries.cast(), data, tail: 0 };
        for id in 0..COUNT {
            buffers.give_back(id);
        }
        buffers.publish();
        Ok(buffers)
    }

    /// The first `len` bytes of a buffer that the kernel has handed out and that was not given back.
    pub fn bytes(&self, id: u16, len: usize) -> &[u8] {
        assert!(id < COUNT && len <= SIZE);
        // SAFETY: within the mapping; the kernel writes to it only after it was given back and published, which
        // takes `&mut self` and so ends this borrow.
        unsafe { std::slice::from_raw_parts(self.data.as_ptr().add(usize::from(id) * SIZE), len) }
    }

    /// Gives a buffer back; the kernel sees it at the next `publish`.
    pub fn give_back(&mut self, id: u16) {
        // SAFETY: both indexes are below COUNT. The entry is ours until `publish` moves the tail past it.
        let entry = unsafe { &mut *self.entries.as_ptr().add(usize::from(self.tail & (COUNT - 1))) };
        // SAFETY: see above.
        entry.set_addr(unsafe { self.data.as_ptr().add(usize::from(id) * SIZE) } as u64);
        entry.set_len(SIZE as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Shows the kernel what was given back.
    pub fn publish(&self) {
        // SAFETY: the tail lies within the mapping, is aligned, and is only ever written here.
        let tail = unsafe { &*BufRingEntry::tail(self.entries.as_ptr()).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }
}
