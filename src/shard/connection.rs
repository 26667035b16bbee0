//! A connection as the shard sees it: what has arrived and is not decoded, what waits to be sent.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::mqtt::Version;
use crate::policy::Presented;
use crate::policy::certificates::Trusted;
use crate::session::ConnId;
use crate::time::Time;

use super::alias::{Given, Introduced, Naming};
use super::verifying::Login;

/// Buffers larger than this are not kept for reuse.
const POOLED_BYTES: usize = 64 << 10;
/// Most bytes kept for reuse, all buffers together: what one fan-out needs again in the next turn.
const POOL_BYTES: usize = 8 << 20;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nobody is here.
    #[default]
    Free,
    /// CONNECT has not come yet, or its credentials are being verified.
    Connecting,
    /// CONNECT was accepted; `Connection::client` is its client.
    Connected,
    /// The driver has been asked to close it.
    Closing,
}

/// Why a connection is not read for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitsFor {
    /// Credit for the publish that comes next.
    Credit,
    /// Its own output to be taken.
    Output,
    /// Its own subscriptions to be made.
    Subscriptions,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) generation: u32,
    pub(super) phase: Phase,
    /// The peer's address, and the number of the listener that it came to.
    pub(super) peer: SocketAddr,
    pub(super) listener: u16,
    /// It is encrypted.
    pub(super) tls: bool,
    /// What the peer presented, until CONNECT makes it the client's.
    pub(super) certificate: Option<Arc<Presented>>,
    pub(super) trusted: Option<Trusted>,
    /// While it is connecting: its CONNECT has come, and its credentials are being verified.
    pub(super) login: Option<Box<Login>>,
    pub(super) version: Version,
    /// Read no more for now. What still comes is kept in `partial`.
    pub(super) paused: bool,
    /// While it is paused: for what it was last seen to wait.
    pub(super) waits_for: WaitsFor,
    /// Request Problem Information `[MQTT-3.1.2-29]`.
    pub(super) problem_information: bool,
    /// Its CONNECT asked for a new session.
    pub(super) clean_start: bool,
    /// Its CONNECT asked for another Session Expiry Interval than 0.
    pub(super) expiry_asked: bool,
    /// Index of its client.
    pub(super) client: u32,
    /// Largest packet the client takes, in bytes `[MQTT-3.1.2-24]`.
    pub(super) maximum_packet: u32,
    /// Largest packet we take from it, in bytes, and most unacknowledged publishes: as its CONNACK said, whatever
    /// is installed later.
    pub(super) packet_bytes: u32,
    pub(super) receive_maximum: u16,
    /// Topic aliases: the most it may introduce, as its CONNACK said, and the most we introduce to it; 0 = none.
    pub(super) aliases_from: u16,
    pub(super) aliases_to: u16,
    /// One and a half times Keep Alive, in milliseconds; 0 = off.
    pub(super) patience_millis: u32,
    /// Filters of its SUBSCRIBE packets that wait for their homes.
    pub(super) joining: u32,
    /// When CONNECT is due, then when the last whole packet came.
    pub(super) since: Time,
    /// When the wheel comes by.
    pub(super) visit: Time,
    /// When its CONNECT was accepted.
    pub(super) connected: Time,
    /// Of this connection: bytes of whole packets taken, and messages received. Counted by reads, so that no message pays
    /// for it.
    pub(super) bytes_received: u64,
    pub(super) messages_received: u64,
    /// The head of a packet whose rest has not arrived; while paused, everything that came.
    pub(super) partial: Vec<u8>,
    /// Made when the first alias is introduced.
    pub(super) introduced: Option<Box<Introduced>>,
    pub(super) given: Option<Box<Given>>,
    pub(super) out: Outbound,
}

impl Default for Connection {
    fn default() -> Connection {
        Connection {
            generation: 0,
            phase: Phase::Free,
            peer: SocketAddr::from(([0, 0, 0, 0], 0)),
            listener: 0,
            tls: false,
            certificate: None,
            trusted: None,
            login: None,
            version: Version::V3_1_1,
            paused: false,
            waits_for: WaitsFor::Credit,
            problem_information: true,
            clean_start: false,
            expiry_asked: false,
            client: u32::MAX,
            maximum_packet: u32::MAX,
            packet_bytes: 0,
            receive_maximum: 0,
            aliases_from: 0,
            aliases_to: 0,
            patience_millis: 0,
            joining: 0,
            since: Time::default(),
            visit: Time::NEVER,
            connected: Time::default(),
            bytes_received: 0,
            messages_received: 0,
            partial: Vec::new(),
            introduced: None,
            given: None,
            out: Outbound::default(),
        }
    }
}

impl Connection {
    /// How the next PUBLISH to this client says `topic`. Most clients take no aliases: for them nothing is hashed.
    #[inline]
    pub(super) fn naming(&self, topic: &str, hash: impl FnOnce() -> u64) -> Naming {
        if self.aliases_to == 0 {
            return Naming::Name;
        }
        match &self.given {
            Some(given) => given.naming(topic, hash(), self.aliases_to),
            None => Given::default().naming(topic, hash(), self.aliases_to),
        }
    }

    /// A PUBLISH was appended that says its topic so.
    #[inline]
    pub(super) fn appended(&mut self, naming: Naming, topic: &str, hash: impl FnOnce() -> u64) {
        if let Naming::Introduce(_) = naming {
            self.given.get_or_insert_default().introduced(topic, hash());
        }
    }
}

/// Bytes on their way to a socket. An idle connection holds none: buffers come from a pool and go back to it.
#[derive(Debug)]
pub(super) struct Outbound {
    buf: Vec<u8>,
    /// The first so many bytes of `buf` are sent.
    head: usize,
    /// The socket is full.
    blocked: bool,
    /// Not all was taken since then; `NEVER`: it was. It begins anew whenever enough was taken.
    slow: Time,
    /// Bytes taken since then.
    taken: usize,
    /// In the queue of answers, of deliveries: bits.
    queued: u8,
    /// Bytes kept free in front of what waits, for the driver's own header.
    headroom: u8,
    /// Bytes sent since the connection was opened, the driver's own headers included.
    sent: u64,
    /// Up to here, counted as `sent` is, what was written was looked at for tracing. Only kept while something is
    /// traced.
    traced: u64,
}

impl Default for Outbound {
    fn default() -> Outbound {
        let (buf, head, blocked, slow, taken) = (Vec::new(), 0, false, Time::NEVER, 0);
        Outbound { buf, head, blocked, slow, taken, queued: 0, headroom: 0, sent: 0, traced: 0 }
    }
}

const ANSWERS: u8 = 1;
const DELIVERIES: u8 = 2;

/// Why a connection becomes dirty: answers are flushed before deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// An answer to a packet.
    Answer,
    /// One of perhaps very many deliveries.
    Delivery,
}

impl Outbound {
    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.buf.len() - self.head
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.buf[self.head..]
    }

    /// Keeps so many bytes free in front of what waits, from the next output on.
    pub(super) fn keep_headroom(&mut self, bytes: u8) {
        self.headroom = bytes;
    }

    /// Puts `header` into the room in front of what waits.
    pub(super) fn prepend(&mut self, header: &[u8]) {
        let start = self.head - header.len();
        self.buf[start..self.head].copy_from_slice(header);
        self.head = start;
        self.traced += header.len() as u64;
    }

    /// Bytes sent since the connection was opened.
    pub(super) fn sent_bytes(&self) -> u64 {
        self.sent
    }

    /// What waits and was not looked at for tracing: whole packets.
    pub(super) fn untraced(&self) -> &[u8] {
        let traced = self.traced.saturating_sub(self.sent) as usize;
        self.bytes().get(traced..).unwrap_or_default()
    }

    /// All that waits was looked at.
    pub(super) fn mark_traced(&mut self) {
        self.traced = self.sent + self.len() as u64;
    }

    /// Whether some of it has waited since the last flush.
    pub(super) fn is_slow(&self) -> bool {
        self.slow != Time::NEVER
    }

    /// Puts so many bytes in front of what waits, and answers all of it.
    pub(super) fn make_room(&mut self, bytes: usize) -> &mut [u8] {
        self.head -= bytes;
        self.traced += bytes as u64;
        &mut self.buf[self.head..]
    }

    /// When its reader has had `secs` for what it should have taken.
    pub(super) fn stalls_at(&self, secs: u64) -> Time {
        if self.is_slow() { self.slow.after_secs(secs) } else { Time::NEVER }
    }
}

/// Which connections have output, and the buffers that none of them needs.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    answers: std::collections::VecDeque<u32>,
    deliveries: std::collections::VecDeque<u32>,
    /// How many were taken out of `deliveries` since the start.
    delivered: u64,
    pool: Vec<Vec<u8>>,
    /// Capacity of the buffers in `pool`.
    pool_bytes: usize,
}

impl Dirty {
    /// Makes room to append: takes a buffer, queues the connection for the flush. The caller appends to it now.
    #[inline]
    pub(super) fn writer<'a>(
        &mut self,
        index: u32,
        out: &'a mut Outbound,
        urgency: Urgency,
    ) -> &'a mut Vec<u8> {
        if out.buf.capacity() == 0 {
            if let Some(buffer) = self.pool.pop() {
                self.pool_bytes -= buffer.capacity();
                out.buf = buffer;
            }
            if out.headroom > 0 {
                out.head = usize::from(out.headroom);
                out.buf.resize(out.head, 0);
            }
        }
        if !out.blocked {
            self.queue(index, out, urgency);
        }
        &mut out.buf
    }

    #[inline]
    fn queue(&mut self, index: u32, out: &mut Outbound, urgency: Urgency) {
        let (bit, queue) = match urgency {
            Urgency::Answer => (ANSWERS, &mut self.answers),
            Urgency::Delivery => (DELIVERIES, &mut self.deliveries),
        };
        if out.queued & bit == 0 {
            out.queued |= bit;
            queue.push_back(index);
        }
    }

    /// The next connection with something to flush.
    pub(super) fn next(&mut self, connections: &mut [Connection]) -> Option<ConnId> {
        loop {
            let (index, bit) = match self.answers.pop_front() {
                Some(index) => (index, ANSWERS),
                None => {
                    let index = self.deliveries.pop_front()?;
                    self.delivered += 1;
                    (index, DELIVERIES)
                }
            };
            let c = &mut connections[index as usize];
            if c.out.queued & bit == 0 {
                continue;
            }
            // Handed out once a flush: the driver gathers the whole flush before it sends, so whoever waits in both
            // queues would be sent twice.
            c.out.queued = 0;
            if c.phase != Phase::Closing && !c.out.blocked && c.out.len() > 0 {
                return Some(ConnId { index, generation: c.generation });
            }
        }
    }

    /// Of the queue of deliveries, counted from the start: how many were taken, and how many were put there.
    #[inline]
    pub(super) fn deliveries(&self) -> (u64, u64) {
        (self.delivered, self.delivered + self.deliveries.len() as u64)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.answers.is_empty() && self.deliveries.is_empty()
    }

    /// The kernel took `bytes`. True: that was all. Who takes `enough` has time for as much again: a byte now and then
    /// is no progress.
    pub(super) fn sent(&mut self, out: &mut Outbound, bytes: usize, now: Time, enough: usize) -> bool {
        out.head += bytes;
        out.sent += bytes as u64;
        if out.head < out.buf.len() {
            out.blocked = true;
            out.taken += bytes;
            if !out.is_slow() || out.taken >= enough {
                (out.slow, out.taken) = (now, 0);
            }
            // What was sent is room for the next header.
            let gone = out.head.saturating_sub(usize::from(out.headroom));
            if gone > out.buf.len() / 2 {
                out.buf.drain(..gone);
                out.head -= gone;
            }
            return false;
        }
        out.head = 0;
        (out.slow, out.taken) = (Time::NEVER, 0);
        self.give_back(&mut out.buf);
        true
    }

    /// There is room in the socket again.
    pub(super) fn writable(&mut self, index: u32, out: &mut Outbound) {
        out.blocked = false;
        if out.len() > 0 {
            self.queue(index, out, Urgency::Delivery);
        }
    }

    /// The connection is gone.
    pub(super) fn discard(&mut self, out: &mut Outbound) {
        out.head = 0;
        (out.headroom, out.sent, out.traced) = (0, 0, 0);
        out.blocked = false;
        (out.slow, out.taken) = (Time::NEVER, 0);
        self.give_back(&mut out.buf);
    }

    fn give_back(&mut self, buf: &mut Vec<u8>) {
        let mut buffer = std::mem::take(buf);
        let capacity = buffer.capacity();
        if capacity > 0 && capacity <= POOLED_BYTES && self.pool_bytes + capacity <= POOL_BYTES {
            self.pool_bytes += capacity;
            buffer.clear();
            self.pool.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_with_answers_and_deliveries_is_flushed_once() {
        let mut connections = [Connection { phase: Phase::Connected, ..Connection::default() }];
        let mut dirty = Dirty::default();
        for urgency in [Urgency::Answer, Urgency::Delivery] {
            dirty.writer(0, &mut connections[0].out, urgency).push(0);
        }
        // The driver asks for all of them before it sends the first.
        assert!(dirty.next(&mut connections).is_some());
        assert!(dirty.next(&mut connections).is_none());
        assert!(dirty.sent(&mut connections[0].out, 2, Time::default(), 1));
        dirty.writer(0, &mut connections[0].out, Urgency::Delivery).push(0);
        assert!(dirty.next(&mut connections).is_some());
        assert!(dirty.is_empty());
    }

    #[test]
    fn the_headroom_is_free_again_before_every_header() {
        const HEADROOM: usize = 10;
        let mut connections = [Connection { phase: Phase::Connected, ..Connection::default() }];
        let mut dirty = Dirty::default();
        let out = &mut connections[0].out;
        out.keep_headroom(HEADROOM as u8);
        for round in 1..100 {
            dirty.writer(0, out, Urgency::Delivery).extend([round; 50]);
            assert_eq!(out.bytes(), [round; 50]);
            out.prepend(&[b'h'; HEADROOM]);
            // A part, then what is left of the frame while more comes, then all the rest.
            assert!(!dirty.sent(out, usize::from(round % 60), Time::default(), 1));
            dirty.writer(0, out, Urgency::Delivery).extend([b'x'; 7]);
            assert!(!dirty.sent(out, 60 - usize::from(round % 60), Time::default(), 1));
            assert_eq!(out.bytes(), b"xxxxxxx");
            out.prepend(&[b'h'; HEADROOM]);
            assert!(dirty.sent(out, HEADROOM + 7, Time::default(), 1));
            assert_eq!(out.len(), 0);
            dirty.writable(0, out);
        }
        // The next tenant keeps none unless it is asked for.
        dirty.discard(out);
        dirty.writer(0, out, Urgency::Answer).push(1);
        assert_eq!((out.head, out.bytes()), (0, &[1][..]));
    }
}
