//! Tracing: records of packets that whoever looks for a fault has asked for, made where they come and where they are
//! handed to their sockets. Off it costs one branch a packet that comes and one a flush; nothing is done at a delivery.
//!
//! What goes out is read from the output before each flush, so that a record tells what was sent, aliases, identifiers
//! and all. A turn makes so many records and no more; what is over that is counted. Who takes the records is not known
//! here.

use std::sync::Arc;

use crate::mqtt::frame::split;
use crate::mqtt::{Packet, PacketType, Sender, Version, decode};
use crate::policy::trace::{Direction, TraceSet};
use crate::session::ConnId;

use super::Shard;
use super::connection::{Connection, Phase};
use super::traced::{Scene, Traced, filters, named};

/// Records made in one turn.
const TRACED_PER_TURN: usize = 256;

/// What is traced, and the records that nobody has taken.
#[derive(Debug)]
pub(super) struct Tracing {
    set: Arc<TraceSet>,
    records: Vec<Traced>,
    /// Whose CONNECT was read last, and its client identifier: for the CONNACK that refuses it.
    connecting: Option<(ConnId, Box<str>)>,
}

impl Shard {
    /// From now on these packets are traced; `None`: none.
    pub fn set_trace(&mut self, set: Option<Arc<TraceSet>>) {
        // What waits for its sockets by now may be half sent, and is not looked at.
        self.connections.iter_mut().for_each(|c| c.out.mark_traced());
        let records = self.take_traced();
        self.tracing = set.map(|set| Box::new(Tracing { set, records, connecting: None }));
    }

    /// The records made since the last call. To be called once a turn, after the flush: there is room for a turn's.
    #[inline]
    pub fn take_traced(&mut self) -> Vec<Traced> {
        match &mut self.tracing {
            None => Vec::new(),
            Some(tracing) => std::mem::take(&mut tracing.records),
        }
    }

    /// So many of those that were taken are lost: whoever wanted them is too slow.
    pub fn drop_traced(&mut self, records: u64) {
        self.counters.trace_dropped += records;
    }

    /// A packet of a client is about to be handled.
    #[cold]
    pub(super) fn trace_input(&mut self, conn: ConnId, bytes: &[u8]) {
        let Some(mut tracing) = self.tracing.take() else { return };
        let connection = &self.connections[conn.index as usize];
        let (client_id, again) = match connection.phase {
            Phase::Connecting => (peek(bytes).unwrap_or_default(), connection.login.is_some()),
            _ => (&*self.clients[connection.client].client_id, false),
        };
        if connection.phase == Phase::Connecting {
            tracing.connecting = Some((conn, client_id.into()));
        }
        // A CONNECT whose password was verified meanwhile is read again.
        if !again && tracing.set.concerns(client_id, Direction::In) {
            let lost = self.trace_packet(&mut tracing, connection, client_id, Direction::In, bytes);
            self.counters.trace_dropped += lost;
        }
        self.tracing = Some(tracing);
    }

    /// The output of a connection is about to be handed to its socket: the packets that were not there before.
    #[cold]
    pub(super) fn trace_output(&mut self, conn: ConnId) {
        let Some(mut tracing) = self.tracing.take() else { return };
        let connection = &self.connections[conn.index as usize];
        let client_id = match (connection.phase, &tracing.connecting) {
            (Phase::Connected, _) => &*self.clients[connection.client].client_id,
            (_, Some((connecting, client_id))) if *connecting == conn => client_id,
            _ => "",
        };
        let mut lost = 0;
        if tracing.set.concerns(client_id, Direction::Out) {
            let client_id: Box<str> = client_id.into();
            let mut rest = connection.out.untraced();
            while let Ok(Some(frame)) = split(rest, usize::MAX)
                && let Some((packet, after)) = rest.split_at_checked(frame.len)
            {
                lost += self.trace_packet(&mut tracing, connection, &client_id, Direction::Out, packet);
                rest = after;
            }
        }
        self.counters.trace_dropped += lost;
        self.connections[conn.index as usize].out.mark_traced();
        self.tracing = Some(tracing);
    }

    /// Makes a record of a packet if it is asked for. Answers how many were lost for want of room.
    fn trace_packet(
        &self,
        tracing: &mut Tracing,
        connection: &Connection,
        client_id: &str,
        direction: Direction,
        bytes: &[u8],
    ) -> u64 {
        let Some(kind) = bytes.first().and_then(|first| PacketType::of(*first)) else { return 0 };
        let sender = match direction {
            Direction::In => Sender::Client,
            Direction::Out => Sender::Server,
        };
        let version = if kind == PacketType::Connect { Version::V5 } else { connection.version };
        let frame = split(bytes, usize::MAX).ok().flatten();
        let decoded = frame.map(|frame| decode(version, sender, frame, bytes));
        let scene = Scene {
            unix_micros: self.unix_micros(self.now),
            direction,
            client_id,
            peer: connection.peer,
            version: connection.version,
            packet_bytes: bytes.len(),
        };
        let full = tracing.records.len() >= TRACED_PER_TURN;
        let record = match decoded {
            Some(Ok(packet)) => {
                let topic = topic_of(&packet, connection, direction);
                let filters = filters(&packet);
                let named = named(&packet, topic, &filters);
                match tracing.set.payload_bytes(client_id, direction, kind, named) {
                    None => return 0,
                    Some(_) if full => return 1,
                    Some(payload_bytes) => Traced::new(scene, &packet, topic, payload_bytes),
                }
            }
            _ if full => return 1,
            Some(Err(violation)) => Traced::broken(scene, kind, violation),
            None => return 0,
        };
        tracing.records.push(record);
        0
    }
}

/// The client identifier of a CONNECT.
fn peek(bytes: &[u8]) -> Option<&str> {
    let frame = split(bytes, usize::MAX).ok()??;
    match decode(Version::V5, Sender::Client, frame, bytes) {
        Ok(Packet::Connect(connect)) => Some(connect.client_id),
        _ => None,
    }
}

/// The topic of a PUBLISH, also where an alias stands for it.
fn topic_of<'a>(packet: &Packet<'a>, connection: &'a Connection, direction: Direction) -> &'a str {
    let Packet::Publish(publish) = packet else { return "" };
    let Some(alias) = publish.properties.topic_alias.filter(|_| publish.topic.is_empty()) else {
        return publish.topic;
    };
    let known = match direction {
        Direction::In => connection.introduced.as_ref().and_then(|introduced| introduced.topic(alias)),
        Direction::Out => connection.given.as_ref().and_then(|given| given.topic(alias)),
    };
    known.unwrap_or_default()
}
