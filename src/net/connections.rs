//! What the sockets ask of whoever owns the connections. In the broker that is the shard; a test puts a toy in its
//! place, so that sockets are tried without a broker.

use crate::session::ConnId;
use crate::shard::{Effect, End, Opened, Shard};

/// The owner of the connections: the part of the shard's contract that concerns sockets. See [`Shard`].
#[allow(missing_docs, reason = "each is described at Shard")]
pub trait Connections {
    fn handle_open(&mut self, conn: ConnId, opened: Opened);
    fn keep_headroom(&mut self, conn: ConnId, bytes: u8);
    fn handle_bytes(&mut self, conn: ConnId, bytes: &[u8]);
    fn handle_end(&mut self, conn: ConnId, end: End);
    fn handle_closed(&mut self, conn: ConnId);
    fn handle_writable(&mut self, conn: ConnId);
    fn handle_sent(&mut self, conn: ConnId, bytes: usize);
    fn poll_effect(&mut self) -> Option<Effect>;
    fn next_dirty(&mut self) -> Option<ConnId>;
    fn output(&self, conn: ConnId) -> &[u8];
    fn prepend(&mut self, conn: ConnId, header: &[u8]);
    fn make_room(&mut self, conn: ConnId, bytes: usize) -> &mut [u8];
}

impl Connections for Shard {
    fn handle_open(&mut self, conn: ConnId, opened: Opened) {
        Shard::handle_open(self, conn, opened);
    }

    fn keep_headroom(&mut self, conn: ConnId, bytes: u8) {
        Shard::keep_headroom(self, conn, bytes);
    }

    fn handle_bytes(&mut self, conn: ConnId, bytes: &[u8]) {
        Shard::handle_bytes(self, conn, bytes);
    }

    fn handle_end(&mut self, conn: ConnId, end: End) {
        Shard::handle_end(self, conn, end);
    }

    fn handle_closed(&mut self, conn: ConnId) {
        Shard::handle_closed(self, conn);
    }

    fn handle_writable(&mut self, conn: ConnId) {
        Shard::handle_writable(self, conn);
    }

    fn handle_sent(&mut self, conn: ConnId, bytes: usize) {
        Shard::handle_sent(self, conn, bytes);
    }

    fn poll_effect(&mut self) -> Option<Effect> {
        Shard::poll_effect(self)
    }

    fn next_dirty(&mut self) -> Option<ConnId> {
        Shard::next_dirty(self)
    }

    fn output(&self, conn: ConnId) -> &[u8] {
        Shard::output(self, conn)
    }

    fn prepend(&mut self, conn: ConnId, header: &[u8]) {
        Shard::prepend(self, conn, header);
    }

    fn make_room(&mut self, conn: ConnId, bytes: usize) -> &mut [u8] {
        Shard::make_room(self, conn, bytes)
    }
}
