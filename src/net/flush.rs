//! Output: every dirty connection once, in one submit.

use super::connections::Connections;
use super::driver::Net;
use super::slots::Phase;
use crate::session::ConnId;
use crate::shard::{End, FLUSHES_PER_TURN};

/// Most bytes of one send. More than any socket takes.
const SEND_BYTES: usize = 1 << 30;

/// A send of the current batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flushing {
    conn: ConnId,
    offered: u32,
    /// Bytes taken, or a negative error.
    result: i32,
}

impl Net {
    /// Step 5: the last flush of those that close, then up to [`FLUSHES_PER_TURN`] dirty connections. Answers how many
    /// connections it touched.
    pub fn flush<C: Connections>(&mut self, owner: &mut C) -> usize {
        let mut closing = std::mem::take(&mut self.closing);
        let mut batch = std::mem::take(&mut self.batch);
        for &conn in &closing {
            if self.slots.current(conn).is_some_and(|slot| !slot.ended) {
                batch.extend(flushing(conn, owner));
            }
        }
        for _ in 0..FLUSHES_PER_TURN {
            let Some(conn) = owner.next_dirty() else { break };
            if self.slots.current(conn).is_some_and(|slot| slot.phase == Phase::Open && !slot.blocked) {
                batch.extend(flushing(conn, owner));
            }
        }
        if !batch.is_empty() {
            self.send(&mut batch, owner);
        }
        let touched = batch.len() + closing.len();
        batch.clear();
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

    fn send<C: Connections>(&mut self, batch: &mut [Flushing], owner: &mut C) {
        let slots = &self.slots;
        let shared = &*owner;
        self.ring.send(batch.iter().map(|flushing| {
            let slot = slots.current(flushing.conn).expect("looked up in this flush");
            (slot.fd(), &shared.output(flushing.conn)[..flushing.offered as usize])
        }));
        self.counters.sends += batch.len() as u64;
        // Nothing may be appended to these buffers before the failed sends are known.
        let mut failures = self.ring.take_failures();
        for (position, result) in failures.drain(..) {
            batch[position as usize].result = result;
        }
        self.ring.reuse(failures);
        for flushing in batch {
            self.settle(*flushing, owner);
        }
    }

    /// What became of one send.
    fn settle<C: Connections>(&mut self, flushing: Flushing, owner: &mut C) {
        let Flushing { conn, offered, result } = flushing;
        // An end that was met earlier in this batch can have closed it.
        let Some(slot) = self.slots.current(conn) else { return };
        let phase = slot.phase;
        if result < 0 && -result != libc::EAGAIN {
            return self.handle_end(conn, End::Failed(-result), owner);
        }
        let taken = usize::try_from(result).unwrap_or(0);
        self.counters.bytes_sent += taken as u64;
        owner.handle_sent(conn, taken);
        let whole = taken == offered as usize && taken < SEND_BYTES;
        if !whole && phase == Phase::Open {
            self.await_room(conn);
        }
    }
}

/// A send of everything that waits for `conn`, if anything does.
fn flushing<C: Connections>(conn: ConnId, owner: &C) -> Option<Flushing> {
    let offered = owner.output(conn).len().min(SEND_BYTES);
    (offered > 0).then_some(Flushing { conn, offered: offered as u32, result: offered as i32 })
}
