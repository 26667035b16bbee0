//! The second io_uring: every socket of a shard, beside glommio's own rings. Typed operations in, completions out.
//!
//! Knows nothing of connections: a [`Token`] comes back as it was given.

#![allow(unsafe_code, reason = "the kernel is handed descriptors and addresses here")]

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

use super::buffers::{Filled, GROUP, Pool};

const SUBMISSIONS: u32 = 1_024;
const COMPLETIONS: u32 = 8_192;
/// Such a SEND completes inside the submit, whatever the socket says: with CQE_SKIP_SUCCESS there is no completion
/// when everything was taken, a count when a part was, -EAGAIN when nothing was.
const SEND_FLAGS: i32 = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT | libc::MSG_WAITALL;
/// Bits of a generation that a token carries.
pub(super) const GENERATION_BITS: u32 = 24;
pub(super) const GENERATION_MASK: u32 = (1 << GENERATION_BITS) - 1;

/// What an operation was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Accept = 1,
    Receive,
    Send,
    Writable,
    Doorbell,
    /// Its completion says nothing that anybody waits for.
    Silent,
}

/// kind (8 bits) | generation (24) | index (32): the name of an operation. A completion whose generation is not that
/// of the index's tenant belongs to a former one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token(u64);

impl Token {
    pub(super) fn new(kind: Kind, generation: u32, index: u32) -> Token {
        Token(u64::from(kind as u8) << 56 | u64::from(generation & GENERATION_MASK) << 32 | u64::from(index))
    }

    pub(super) fn kind(self) -> Kind {
        match (self.0 >> 56) as u8 {
            1 => Kind::Accept,
            2 => Kind::Receive,
            3 => Kind::Send,
            4 => Kind::Writable,
            5 => Kind::Doorbell,
            _ => Kind::Silent,
        }
    }

    pub(super) fn generation(self) -> u32 {
        (self.0 >> 32) as u32 & GENERATION_MASK
    }

    pub(super) fn index(self) -> u32 {
        self.0 as u32
    }
}

/// The end of an operation, or one of the events of a multishot one.
#[derive(Debug)]
pub(super) struct Completion {
    pub(super) token: Token,
    /// As the system call would have answered; errors are negative.
    pub(super) result: i32,
    /// A multishot operation that goes on.
    pub(super) more: bool,
    /// Must be given back, also when the completion is stale.
    pub(super) filled: Option<Filled>,
}

impl Completion {
    /// The accepted socket. Whoever drops the completion of an accept without asking leaks a descriptor.
    pub(super) fn accepted(&self) -> Option<OwnedFd> {
        let fresh = self.token.kind() == Kind::Accept && self.result >= 0;
        // SAFETY: the kernel has just made this descriptor for us; a completion is taken from the ring once and the
        // driver asks once.
        fresh.then(|| unsafe { OwnedFd::from_raw_fd(self.result) })
    }
}

/// Why there is no ring.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// io_uring_setup failed.
    #[error("io_uring_setup: {0}")]
    Setup(#[source] io::Error),
    /// The provided buffers could not be registered.
    #[error("io_uring_register of provided buffers: {0}")]
    Buffers(#[source] io::Error),
}

impl RingError {
    /// What the system said.
    pub fn into_os_error(self) -> io::Error {
        let (RingError::Setup(error) | RingError::Buffers(error)) = self;
        error
    }
}

/// Makes a ring and gives it up again: whether this process may have one.
pub fn probe() -> Result<(), RingError> {
    Ring::new().map(drop)
}

/// The ring with its pool of buffers. Stays on the thread that made it.
pub(super) struct Ring {
    uring: IoUring,
    pub(super) pool: Pool,
    completions: VecDeque<Completion>,
    /// Sends of the current batch that did not go out whole: position in the batch and result.
    failures: Vec<(u32, i32)>,
    pub(super) enters: u64,
}

impl Ring {
    pub(super) fn new() -> Result<Ring, RingError> {
        let uring: IoUring = IoUring::builder()
            .setup_cqsize(COMPLETIONS)
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .build(SUBMISSIONS)
            .map_err(RingError::Setup)?;
        let pool = Pool::register(&uring).map_err(RingError::Buffers)?;
        Ok(Ring { uring, pool, completions: VecDeque::new(), failures: Vec::new(), enters: 0 })
    }

    /// Signals `event` on every completion while `watch` is on, so that glommio can wait for this ring.
    pub(super) fn register_event(&self, event: BorrowedFd<'_>) -> io::Result<()> {
        self.uring.submitter().register_eventfd(event.as_raw_fd())
    }

    pub(super) fn watch(&mut self, watched: Watched) {
        match watched {
            Watched::Yes => self.uring.completion().enable_eventfd(),
            Watched::No => self.uring.completion().disable_eventfd(),
        }
    }

    pub(super) fn accept(&mut self, listener: BorrowedFd<'_>, token: Token) {
        // Without SOCK_NONBLOCK: for a non-blocking socket io_uring answers -EAGAIN instead of waiting.
        let entry = opcode::AcceptMulti::new(fd(listener)).flags(libc::SOCK_CLOEXEC).build();
        self.push(entry, token);
    }

    /// Receives once. Nothing is armed on the socket afterwards.
    pub(super) fn receive_once(&mut self, socket: BorrowedFd<'_>, token: Token) {
        let entry = opcode::Recv::new(fd(socket), std::ptr::null_mut(), 0).buf_group(GROUP).build();
        self.push(entry.flags(squeue::Flags::BUFFER_SELECT), token);
    }

    /// Receives until it ends or is cancelled.
    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>, token: Token) {
        self.push(opcode::RecvMulti::new(fd(socket), GROUP).build(), token);
    }

    /// Says once when the socket has room.
    pub(super) fn poll_writable(&mut self, socket: BorrowedFd<'_>, token: Token) {
        self.push(opcode::PollAdd::new(fd(socket), libc::POLLOUT as u32).build(), token);
    }

    pub(super) fn poll_readable(&mut self, file: BorrowedFd<'_>, token: Token) {
        self.push(opcode::PollAdd::new(fd(file), libc::POLLIN as u32).multi(true).build(), token);
    }

    /// Ends the operation of that name. Its last completion is still to come.
    pub(super) fn cancel(&mut self, target: Token) {
        let entry = opcode::AsyncCancel::new(target.0).build().flags(squeue::Flags::SKIP_SUCCESS);
        self.push(entry, Token::new(Kind::Silent, 0, 0));
    }

    /// A completion after `delay`, at the latest: for who waits for this ring elsewhere than in `sleep`. Submits.
    pub(super) fn alarm(&mut self, delay: Duration) {
        let time = Timespec::from(delay);
        self.push(opcode::Timeout::new(&time).build(), Token::new(Kind::Silent, 0, 0));
        self.submit_all(); // the kernel reads `time` while it takes the entry
    }

    /// Sends each, in one submit. What is borrowed is free on return; the sends that did not go out whole are
    /// `failures`.
    pub(super) fn send<'a>(&mut self, sends: impl Iterator<Item = (BorrowedFd<'a>, &'a [u8])>) {
        self.failures.clear();
        for (position, (socket, bytes)) in (0u32..).zip(sends) {
            let entry = opcode::Send::new(fd(socket), bytes.as_ptr(), bytes.len() as u32).flags(SEND_FLAGS);
            let entry = entry.build().flags(squeue::Flags::SKIP_SUCCESS);
            self.push(entry, Token::new(Kind::Send, 0, position));
        }
        self.submit_all();
        self.collect();
    }

    /// Sends of the last `send` that did not go out whole: position in the batch; bytes taken or a negative error.
    pub(super) fn take_failures(&mut self) -> Vec<(u32, i32)> {
        std::mem::take(&mut self.failures)
    }

    /// Gives back the list of `take_failures`, for its memory.
    pub(super) fn reuse(&mut self, failures: Vec<(u32, i32)>) {
        self.failures = failures;
    }

    fn push(&mut self, entry: squeue::Entry, token: Token) {
        let entry = entry.user_data(token.0);
        // SAFETY: what an entry points to lives until it was submitted: buffers to send in `send`, the time in
        // `alarm`, both of which submit before they return; nothing else points anywhere.
        while unsafe { self.uring.submission().push(&entry) }.is_err() {
            self.submit_all();
        }
    }

    /// Hands every queued entry to the kernel.
    pub(super) fn submit_all(&mut self) {
        while !self.uring.submission().is_empty() {
            self.enter();
        }
    }

    /// One enter: submits, and runs the deferred work when there is some.
    fn enter(&mut self) {
        self.enters += 1;
        let Err(e) = self.uring.submit() else { return };
        match e.raw_os_error() {
            Some(libc::EINTR) => {}
            // The completion queue is full, or the kernel is out of memory for a moment.
            Some(libc::EBUSY | libc::EAGAIN) => self.collect(),
            _ => panic!("io_uring_enter: {e}"),
        }
    }

    /// Runs the kernel's deferred work and takes the completions over.
    pub(super) fn reap(&mut self) {
        let (work, overflow) = {
            let queue = self.uring.submission();
            (queue.taskrun(), queue.cq_overflow())
        };
        if work || overflow {
            self.enter();
        }
        self.collect();
    }

    fn collect(&mut self) {
        loop {
            let Ring { uring, completions, failures, .. } = self;
            for entry in uring.completion() {
                let (token, result, flags) = (Token(entry.user_data()), entry.result(), entry.flags());
                if token.kind() == Kind::Send {
                    failures.push((token.index(), result));
                } else {
                    let filled = Pool::filled(flags, result);
                    completions.push_back(Completion { token, result, more: cqueue::more(flags), filled });
                }
            }
            if !uring.submission().cq_overflow() {
                return;
            }
            self.enters += 1;
            // What did not fit waits in the kernel until it is asked for; it may hold the failure of a send.
            if let Err(e) = self.uring.submit() {
                let passing = matches!(e.raw_os_error(), Some(libc::EINTR | libc::EBUSY | libc::EAGAIN));
                assert!(passing, "io_uring_enter: {e}");
            }
        }
    }

    pub(super) fn next_completion(&mut self) -> Option<Completion> {
        self.completions.pop_front()
    }

    /// Has something arrived, or is something left to submit?
    ///
    /// Work that the kernel has deferred does not count: `sleep` runs it before it waits. Its flag must not be
    /// trusted here: it goes up a moment after the work was queued, so when that work is run in between, the flag
    /// stays up over nothing, and a shard that does not sleep because of it spins until something else arrives.
    pub(super) fn is_ready(&mut self) -> bool {
        let queue = self.uring.submission();
        let waiting = queue.cq_overflow() || !queue.is_empty();
        drop(queue);
        waiting || !self.completions.is_empty() || !self.uring.completion().is_empty()
    }

    /// Runs deferred work and waits for a completion, no longer than `limit`. The thread waits here and not in
    /// glommio's park, which costs ten microseconds more.
    pub(super) fn sleep(&mut self, limit: Duration) {
        self.enters += 1;
        let time = Timespec::from(limit);
        if let Err(e) = self.uring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&time)) {
            let passing = [libc::ETIME, libc::EINTR, libc::EBUSY, libc::EAGAIN];
            assert!(e.raw_os_error().is_some_and(|n| passing.contains(&n)), "io_uring_enter: {e}");
        }
    }
}

/// Whether completions signal the registered event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watched {
    Yes,
    No,
}

fn fd(socket: BorrowedFd<'_>) -> Fd {
    let raw: RawFd = socket.as_raw_fd();
    Fd(raw)
}
