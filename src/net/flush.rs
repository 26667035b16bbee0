//! Output: every dirty connection once, in one submit.

use std::os::fd::BorrowedFd;

use super::connections::Connections;
use super::driver::Net;
use super::ring::Ring;
use super::slots::{Phase, Slot};
use super::tls::Tls;
use super::ws::{Link, PacketsPerFrame, lay_out};
use crate::session::ConnId;
use crate::shard::{End, FLUSHES_PER_TURN};

/// Most bytes of one send. More than any socket takes.
const SEND_BYTES: usize = 1 << 30;

/// A send of the current batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flushing {
    pub(super) conn: ConnId,
    pub(super) offered: u32,
    /// More waits than is offered.
    pub(super) more: bool,
    /// Bytes taken, or a negative error.
    pub(super) result: i32,
}

impl Flushing {
    pub(super) fn new(conn: ConnId, offered: usize, waiting: usize) -> Flushing {
        Flushing { conn, offered: offered as u32, more: waiting > offered, result: offered as i32 }
    }

    /// Bytes that the socket took; the error, if it was not merely full.
    pub(super) fn taken(&self) -> Result<usize, i32> {
        match self.result {
            taken if taken >= 0 => Ok(taken as usize),
            full if -full == libc::EAGAIN => Ok(0),
            error => Err(-error),
        }
    }
}

impl Net {
    /// Step 5: the last flush of those that close, then up to [`FLUSHES_PER_TURN`] dirty connections. Answers how many
    /// connections it touched.
    pub fn flush<C: Connections>(&mut self, owner: &mut C) -> usize {
        let own = self.flush_own(owner);
        let mut closing = std::mem::take(&mut self.closing);
        let mut batch = std::mem::take(&mut self.batch);
        for &conn in &closing {
            if let Some(slot) = self.slots.current_mut(conn).filter(|slot| !slot.ended) {
                batch.extend(flushing(slot, conn, owner));
            }
        }
        for _ in 0..FLUSHES_PER_TURN {
            let Some(conn) = owner.next_dirty() else { break };
            let slot = self.slots.current_mut(conn);
            if let Some(slot) = slot.filter(|slot| slot.phase == Phase::Open && !slot.blocked) {
                batch.extend(flushing(slot, conn, owner));
            }
        }
        if !batch.is_empty() {
            self.send(&mut batch, owner);
        }
        let touched = own + batch.len() + closing.len();
        batch.clear();
        self.say_goodbye(&closing, &mut batch, owner);
        self.batch = batch;
        for conn in closing.drain(..) {
            self.finish(conn, owner);
        }
        if self.closing.is_empty() {
            self.closing = closing; // for its memory
        }
        self.ring.submit_all();
        self.shut.clear();
        touched
    }

    pub(super) fn send<C: Connections>(&mut self, batch: &mut [Flushing], owner: &mut C) {
        let slots = &self.slots;
        let shared = &*owner;
        transmit(&mut self.ring, batch, |flushing| {
            let slot = slots.current(flushing.conn).expect("looked up in this flush");
            let bytes = match &slot.tls {
                None => &shared.output(flushing.conn)[..flushing.offered as usize],
                Some(tls) => tls.unsent(),
            };
            (slot.fd(), bytes)
        });
        self.counters.sends += batch.len() as u64;
        for flushing in batch {
            self.settle(*flushing, owner);
        }
    }

    /// What became of one send.
    fn settle<C: Connections>(&mut self, flushing: Flushing, owner: &mut C) {
        let conn = flushing.conn;
        // An end that was met earlier in this batch can have closed it.
        let Some(slot) = self.slots.current_mut(conn) else { return };
        let phase = slot.phase;
        let taken = match flushing.taken() {
            Ok(taken) => taken,
            Err(error) => return self.handle_end(conn, End::Failed(error), owner),
        };
        self.counters.bytes_sent += taken as u64;
        let whole = taken == flushing.offered as usize;
        let encrypted = slot.tls.is_some();
        let taken = slot.tls.as_mut().map_or(taken, |tls| tls.sent(taken));
        if let Some(ws) = &mut slot.ws {
            ws.framing.sent(taken);
            if ws.framing.has_own() && !ws.framing.is_mid_frame() {
                self.queue_own(conn);
            }
        }
        owner.handle_sent(conn, taken);
        if phase != Phase::Open || (whole && !flushing.more) {
            return;
        }
        if whole && encrypted {
            // The socket took all that was encrypted: there is room for the next flush.
            owner.handle_writable(conn);
        } else {
            self.await_room(conn);
        }
    }
}

/// Sends all of a batch at once and takes note of the results. Nothing may be appended to what is sent before.
pub(super) fn transmit<'a>(
    ring: &mut Ring,
    batch: &mut [Flushing],
    what: impl Fn(&Flushing) -> (BorrowedFd<'a>, &'a [u8]),
) {
    ring.send(batch.iter().map(what));
    let mut failures = ring.take_failures();
    for (position, result) in failures.drain(..) {
        batch[position as usize].result = result;
    }
    ring.reuse(failures);
}

/// A send of what waits for `conn`, if anything does.
pub(super) fn flushing<C: Connections>(slot: &mut Slot, conn: ConnId, owner: &mut C) -> Option<Flushing> {
    if let Some(unsent) = slot.tls.as_ref().map(|tls| tls.unsent().len())
        && unsent > 0
    {
        // While it is open this is sent by itself, when there is room.
        return (slot.phase == Phase::Closing).then(|| Flushing::new(conn, unsent, unsent));
    }
    let waiting = owner.output(conn).len();
    let flushing = match &mut slot.ws {
        None => Flushing::new(conn, waiting.min(SEND_BYTES), waiting),
        Some(ws) => offer(ws, conn, waiting.min(SEND_BYTES), owner),
    };
    let flushing = match &mut slot.tls {
        None => flushing,
        Some(tls) => encrypt(tls, flushing, owner),
    };
    (flushing.offered > 0).then_some(flushing)
}

/// The beginning of what is offered, encrypted.
fn encrypt<C: Connections>(tls: &mut Tls, flushing: Flushing, owner: &C) -> Flushing {
    let output = owner.output(flushing.conn);
    let taken = tls.encrypt(&output[..flushing.offered as usize]);
    let unsent = tls.unsent().len();
    Flushing { more: taken < output.len(), ..Flushing::new(flushing.conn, unsent, unsent) }
}

/// The rest of what was announced; else all that waits in one frame, or the first packets of it in frames of their own.
fn offer<C: Connections>(ws: &mut Link, conn: ConnId, waiting: usize, owner: &mut C) -> Flushing {
    if ws.framing.is_mid_own() {
        return Flushing::new(conn, 0, waiting);
    }
    let offered = match ws.framing.packets() {
        PacketsPerFrame::Many => ws.framing.offer(waiting, |header| owner.prepend(conn, header)),
        PacketsPerFrame::One => {
            let headers = ws.framing.announce(owner.output(conn));
            if headers > 0 {
                lay_out(owner.make_room(conn, headers), headers);
            }
            ws.framing.announced()
        }
    };
    Flushing::new(conn, offered, owner.output(conn).len())
}
