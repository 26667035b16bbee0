//! All sockets of a worker on one io_uring: connects, multishot receives into provided buffers, one send a dirty
//! link and turn. The shape is the broker's own; a client's differs in who connects.
//!
//! Knows a worker only as `Links`; no MQTT. The only file of the load generator with `unsafe`: the ring's memory is
//! shared with the kernel, which no safe interface of the crate covers.
#![allow(unsafe_code, reason = "submissions and buffers are read and written by the kernel")]

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;

use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::buffers::Buffers;
use crate::schedule::{Nanos, SECOND};

/// A link's number.
pub type LinkId = u32;

/// Whose sockets these are.
pub trait Links {
    /// A socket is connected.
    fn opened(&mut self, id: LinkId, now: Nanos);
    /// Bytes arrived; they were there at `now`. False: close the socket.
    fn received(&mut self, id: LinkId, bytes: &[u8], now: Nanos) -> bool;
    /// A socket could not be connected (`why`), or was closed by the peer or an error. It is closed here, too.
    fn closed(&mut self, id: LinkId, why: Option<io::Error>, now: Nanos);
    /// There is room again for the output that is left.
    fn writable(&mut self, id: LinkId);
    /// What is to be sent.
    fn output(&mut self, id: LinkId) -> &mut Vec<u8>;
    /// All of it was sent.
    fn sent(&mut self, id: LinkId);
}

// user_data = kind (8 bits), generation (24), link (32). A completion of another generation belongs to a socket that
// the link no longer has.
const CONNECT: u64 = 1;
const RECV: u64 = 2;
const SEND: u64 = 3;
const WRITABLE: u64 = 4;
const BELL: u64 = 5;
const GENERATION: u32 = 0xff_ffff;

/// WAITALL: a short send means a full socket. DONTWAIT: it completes inside the submit, so the buffer is free then.
const SEND_FLAGS: i32 = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT | libc::MSG_WAITALL;

fn tag(kind: u64, generation: u32, id: LinkId) -> u64 {
    kind << 56 | u64::from(generation & GENERATION) << 32 | u64::from(id)
}

#[derive(Default)]
struct Slot {
    socket: Option<Socket>,
    generation: u32,
    connected: bool,
    /// The socket is full; a poll waits for room.
    blocked: bool,
}

/// Wakes a sleeping ring from another thread.
#[derive(Clone, Debug)]
pub struct Doorbell(Arc<File>);

impl Doorbell {
    /// A new one.
    pub fn new() -> io::Result<Doorbell> {
        // SAFETY: no pointer is passed.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else's.
        Ok(Doorbell(Arc::new(unsafe { OwnedFd::from_raw_fd(fd) }.into())))
    }

    /// Rings. That it cannot fail to wake is enough: a counter that is full has not been read yet.
    pub fn ring(&self) {
        let _ = (&*self.0).write(&1u64.to_ne_bytes());
    }

    fn silence(&self) {
        let _ = (&*self.0).read(&mut [0; 8]);
    }
}

/// Where the sockets of a ring go to and come from.
#[derive(Clone, Debug)]
pub struct Route {
    /// The broker.
    pub target: SocketAddr,
    /// Source addresses, taken in turn; empty: the system's choice.
    pub sources: Vec<std::net::Ipv4Addr>,
}

/// One worker's sockets.
pub struct Ring {
    ring: IoUring,
    buffers: Buffers,
    route: Route,
    /// Stays in place: a queued connect points to it.
    target: Box<SockAddr>,
    bell: Doorbell,
    slots: Vec<Slot>,
    completions: Vec<(u64, i32, u32)>,
    rearm: Vec<LinkId>,
    /// Closed once what names their descriptors has been submitted.
    closing: Vec<Socket>,
    dirty: Vec<LinkId>,
    next_source: usize,
}

impl Ring {
    /// A ring for `links` links. Fails with what to do about it where io_uring cannot be used.
    pub fn new(links: usize, route: Route, bell: Doorbell) -> io::Result<Ring> {
        let ring = builder().build(1024).map_err(|e| io::Error::new(e.kind(), format!("io_uring: {e}")))?;
        let buffers = Buffers::new(&ring)?;
        let target = Box::new(SockAddr::from(route.target));
        let mut slots = Vec::new();
        slots.resize_with(links, Slot::default);
        let mut this = Ring {
            ring,
            buffers,
            route,
            target,
            bell,
            slots,
            completions: Vec::new(),
            rearm: Vec::new(),
            closing: Vec::new(),
            dirty: Vec::new(),
            next_source: 0,
        };
        this.arm_bell();
        this.submit();
        Ok(this)
    }

    fn arm_bell(&mut self) {
        let fd = Fd(self.bell.0.as_raw_fd());
        self.push(
            &opcode::PollAdd::new(fd, libc::POLLIN as u32).multi(true).build().user_data(tag(BELL, 0, 0)),
        );
    }

    fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: whatever an entry points to (send buffers, the target's address) stays in place until the submit
        // that follows in the same turn, and the kernel has copied it or is done with it when that returns.
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            self.submit();
        }
    }

    /// One enter: submits, and runs the deferred completions.
    fn submit(&mut self) {
        if let Err(e) = self.ring.submit() {
            let busy = matches!(e.raw_os_error(), Some(libc::EINTR | libc::EBUSY | libc::EAGAIN));
            assert!(busy, "io_uring_enter failed, and without it no socket works: {e}");
        }
    }

    /// Begins to connect a socket for a link that has none.
    pub fn open(&mut self, id: LinkId, links: &mut impl Links, now: Nanos) {
        match self.socket() {
            Ok(socket) => {
                let fd = Fd(socket.as_raw_fd());
                let slot = &mut self.slots[id as usize];
                *slot = Slot {
                    socket: Some(socket),
                    generation: slot.generation,
                    connected: false,
                    blocked: false,
                };
                let data = tag(CONNECT, slot.generation, id);
                let (address, len) = (self.target.as_ptr().cast(), self.target.len());
                self.push(&opcode::Connect::new(fd, address, len).build().user_data(data));
            }
            Err(e) => links.closed(id, Some(e), now),
        }
    }

    /// Blocking, because io_uring answers EAGAIN for a non-blocking one instead of waiting.
    fn socket(&mut self) -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(self.route.target), Type::STREAM, None)?;
        socket.set_tcp_nodelay(true)?;
        if !self.route.sources.is_empty() {
            let source = self.route.sources[self.next_source % self.route.sources.len()];
            self.next_source += 1;
            port_when_connecting(&socket)?;
            socket.bind(&SocketAddrV4::new(source, 0).into())?;
        }
        Ok(socket)
    }

    fn arm_recv(&mut self, id: LinkId) {
        let slot = &self.slots[id as usize];
        let Some(socket) = &slot.socket else { return };
        let entry = opcode::RecvMulti::new(Fd(socket.as_raw_fd()), Buffers::GROUP).build();
        let entry = entry.user_data(tag(RECV, slot.generation, id));
        self.push(&entry);
    }

    /// Closes a link's socket, if it has one: with FIN, or with RST.
    pub fn close(&mut self, id: LinkId, reset: bool) {
        let slot = &mut self.slots[id as usize];
        let Some(socket) = slot.socket.take() else { return };
        slot.generation = slot.generation.wrapping_add(1);
        // The armed receive holds the socket: only a shutdown ends it. One of the reading side sends nothing, so that
        // the close, with no time to linger, can send RST. Both fail only where the peer was faster.
        let how = if reset { std::net::Shutdown::Read } else { std::net::Shutdown::Both };
        if reset {
            let _ = socket.set_linger(Some(std::time::Duration::ZERO));
        }
        let _ = socket.shutdown(how);
        self.closing.push(socket);
    }

    fn current(&self, data: u64) -> Option<LinkId> {
        let id = data as u32;
        let slot = self.slots.get(id as usize)?;
        let same = u64::from(slot.generation & GENERATION) == data >> 32 & u64::from(GENERATION);
        (slot.socket.is_some() && same).then_some(id)
    }

    /// Handles what has completed. `clock` is read once, after everything that counts as arrived has been taken from
    /// the kernel. Returns the time, and how many completions there were.
    pub fn reap(&mut self, links: &mut impl Links, clock: impl FnOnce() -> Nanos) -> (Nanos, usize) {
        if self.ring.submission().taskrun() || self.ring.submission().cq_overflow() {
            self.submit();
        }
        self.collect();
        let now = clock();
        let completions = std::mem::take(&mut self.completions);
        for &(data, result, flags) in &completions {
            match data >> 56 {
                RECV => self.received(data, result, flags, links, now),
                CONNECT => self.connected(data, result, links, now),
                SEND => self.send_failed(data, result, links, now),
                WRITABLE => {
                    if let Some(id) = self.current(data) {
                        self.slots[id as usize].blocked = false;
                        links.writable(id);
                    }
                }
                BELL => {
                    self.bell.silence();
                    if !cqueue::more(flags) {
                        self.arm_bell();
                    }
                }
                _ => {}
            }
        }
        let n = completions.len();
        self.completions = completions;
        self.completions.clear();
        self.buffers.publish();
        for id in std::mem::take(&mut self.rearm) {
            self.arm_recv(id);
        }
        (now, n)
    }

    fn collect(&mut self) {
        let Ring { ring, completions, .. } = self;
        completions.extend(ring.completion().map(|c| (c.user_data(), c.result(), c.flags())));
    }

    fn connected(&mut self, data: u64, result: i32, links: &mut impl Links, now: Nanos) {
        let Some(id) = self.current(data) else { return };
        if result < 0 {
            self.close(id, false);
            return links.closed(id, Some(io::Error::from_raw_os_error(-result)), now);
        }
        self.slots[id as usize].connected = true;
        self.arm_recv(id);
        links.opened(id, now);
    }

    fn received(&mut self, data: u64, result: i32, flags: u32, links: &mut impl Links, now: Nanos) {
        let current = self.current(data);
        let mut alive = result > 0 || result == -libc::ENOBUFS;
        if let Some(buffer) = cqueue::buffer_select(flags) {
            if let Some(id) = current
                && result > 0
            {
                alive = links.received(id, self.buffers.bytes(buffer, result as usize), now);
            }
            // Also for a socket that is gone: else the pool runs dry.
            self.buffers.give_back(buffer);
        }
        let Some(id) = current else { return };
        if !alive {
            self.close(id, false);
            if result <= 0 {
                let why = (result < 0).then(|| io::Error::from_raw_os_error(-result));
                links.closed(id, why, now);
            }
        } else if result == -libc::ENOBUFS {
            self.rearm.push(id);
        } else if !cqueue::more(flags) {
            self.arm_recv(id);
        }
    }

    /// A send is silent when it sent everything: this one sent `result` bytes, or failed.
    fn send_failed(&mut self, data: u64, result: i32, links: &mut impl Links, now: Nanos) {
        let Some(id) = self.current(data) else { return };
        if result < 0 && result != -libc::EAGAIN {
            self.close(id, false);
            return links.closed(id, Some(io::Error::from_raw_os_error(-result)), now);
        }
        let out = links.output(id);
        let sent = (result.max(0) as usize).min(out.len());
        out.drain(..sent);
        let slot = &mut self.slots[id as usize];
        slot.blocked = true;
        let Some(socket) = &slot.socket else { return };
        let entry = opcode::PollAdd::new(Fd(socket.as_raw_fd()), libc::POLLOUT as u32).build();
        let entry = entry.user_data(tag(WRITABLE, slot.generation, id));
        self.push(&entry);
    }

    /// Sends the output of every link in `dirty`, which is left empty.
    pub fn flush(&mut self, dirty: &mut Vec<LinkId>, links: &mut impl Links, now: Nanos) {
        self.dirty.clear();
        for id in dirty.drain(..) {
            let slot = &self.slots[id as usize];
            let out = links.output(id);
            let (Some(socket), true, false) = (&slot.socket, slot.connected, slot.blocked || out.is_empty())
            else {
                continue;
            };
            let entry =
                opcode::Send::new(Fd(socket.as_raw_fd()), out.as_ptr(), out.len() as u32).flags(SEND_FLAGS);
            let entry = entry.build().user_data(tag(SEND, slot.generation, id));
            let entry = entry.flags(squeue::Flags::SKIP_SUCCESS);
            self.dirty.push(id);
            self.push(&entry);
        }
        if !self.ring.submission().is_empty() {
            self.submit();
        }
        self.closing.clear();
        if self.dirty.is_empty() {
            return;
        }
        // Failed sends must be known before anyone appends to those buffers; all else waits for the next turn.
        self.collect();
        for i in 0..self.completions.len() {
            let (data, result, _) = self.completions[i];
            if data >> 56 == SEND {
                self.completions[i].0 = 0;
                self.send_failed(data, result, links, now);
            }
        }
        let flushed = std::mem::take(&mut self.dirty);
        for &id in &flushed {
            let slot = &self.slots[id as usize];
            if slot.socket.is_some() && !slot.blocked {
                links.sent(id);
            }
        }
        self.dirty = flushed;
    }

    /// Nothing is there to be handled: it may sleep.
    pub fn is_idle(&mut self) -> bool {
        !self.ring.submission().taskrun()
            && self.ring.completion().is_empty()
            && self.completions.is_empty()
            && self.ring.submission().is_empty()
            && self.closing.is_empty()
    }

    /// Sleeps until something completes, the doorbell rings, or `nanos` have passed.
    pub fn sleep(&mut self, nanos: Nanos) {
        let time = Timespec::new().sec(nanos / SECOND).nsec((nanos % SECOND) as u32);
        // ETIME and EINTR are what it is for; anything else shows at the next submit.
        let _ = self.ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&time));
    }
}

/// Lets the kernel choose the port at connect, when it knows both ends: else 28,000 connections in all, not to each
/// target, are the limit of a source address.
fn port_when_connecting(socket: &Socket) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the option's value is one int, and lives here.
    let failed = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as u32,
        )
    };
    if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes this thread's timers fire when they are due and not up to 50 us later.
pub fn precise_timers() {
    // SAFETY: takes numbers only. That it fails costs precision, which the report shows as lag.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) };
}

/// Can io_uring be used here, as `Ring` needs it? The error says what to do.
pub fn probe() -> io::Result<()> {
    builder().build(8).map(drop).map_err(|e| {
        let remedy = match e.raw_os_error() {
            Some(libc::EPERM | libc::ENOSYS) => {
                "io_uring is forbidden here: allow it (sysctl kernel.io_uring_disabled=0; in a container, a seccomp \
                 profile that permits io_uring_setup)"
            }
            Some(libc::ENOMEM) => "too little locked memory: raise it (ulimit -l, LimitMEMLOCK=)",
            Some(libc::EINVAL) => "the kernel is too old: Linux 6.1 or later is needed",
            _ => "io_uring cannot be used here",
        };
        io::Error::new(e.kind(), format!("{remedy} ({e})"))
    })
}

fn builder() -> io_uring::Builder {
    let mut builder = IoUring::builder();
    builder.setup_cqsize(8192).setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag();
    builder
}

/// Raises the limit of open descriptors as far as this process may, and returns it.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a local of the right type.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: as above.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit.rlim_cur)
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
