//! Who has a session here: rows for a table of clients, the whole of one client, and those with the most of something.

use std::net::SocketAddr;

use super::{Looked, Needle, PageCursor};
use crate::mqtt::Version;
use crate::policy::Thumbprint;
use crate::routing::ShardId;
use crate::session::Outgoing;
use crate::shard::Shard;
use crate::shard::client::Client;
use crate::shard::connection::WaitsFor;
use crate::time::Time;

/// Which clients are asked for.
#[derive(Clone, Debug)]
pub struct ClientQuery {
    /// Stands in the client identifier, in the client name or in the user name, in either case. Empty: everybody.
    pub text: String,
    /// Connected or not.
    pub state: StateFilter,
    /// Most rows of a page.
    pub most: usize,
    /// Where the page before ended.
    pub after: Option<PageCursor>,
}

impl Default for ClientQuery {
    /// The first hundred.
    fn default() -> ClientQuery {
        ClientQuery { text: String::new(), state: StateFilter::Any, most: 100, after: None }
    }
}

/// Clients that are connected, those that are not, or both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StateFilter {
    /// Both.
    #[default]
    Any,
    /// With a connection.
    Connected,
    /// With a session alone.
    Disconnected,
}

/// A client: who it is and what it has. Texts are from outside: escape them where they are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRow {
    /// Client identifier.
    pub client_id: Box<str>,
    /// The shard where it lives.
    pub home: ShardId,
    /// Version of the protocol, of its connection or of its last one.
    pub version: Version,
    /// The client name that rules judge by.
    pub client_name: Option<Box<str>>,
    /// The user name that it has proved by a password.
    pub user: Option<Box<str>>,
    /// The certificate that it has proved to hold.
    pub certificate: Option<Thumbprint>,
    /// Session Expiry Interval; 0 = the session ends with the connection.
    pub session_expiry_secs: u32,
    /// Whether a will waits to be published if the connection is lost, or after its delay.
    pub has_will: bool,
    /// Whether it is connected, and how.
    pub state: ClientState,
    /// Subscriptions.
    pub subscriptions: usize,
    /// Messages sent to it at QoS 1 and 2 and not acknowledged.
    pub in_flight: usize,
    /// Messages that wait for it.
    pub backlog_messages: usize,
    /// Their bytes.
    pub backlog_bytes: usize,
}

/// Whether a client is connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientState {
    /// It is.
    Connected(ConnectionRow),
    /// It has a session alone.
    Disconnected {
        /// Since then, in seconds since 1970, UTC.
        since_unix_secs: u64,
        /// Its session ends then, if it does not connect again.
        session_ends_unix_secs: u64,
    },
}

/// The connection of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionRow {
    /// The peer.
    pub peer: SocketAddr,
    /// Number of the listener it came to.
    pub listener: u16,
    /// It is encrypted.
    pub tls: bool,
    /// Keep Alive that holds; 0 = off.
    pub keep_alive_secs: u16,
    /// Its CONNECT asked for a new session.
    pub clean_start: bool,
    /// When its CONNECT was accepted, in seconds since 1970, UTC.
    pub connected_unix_secs: u64,
    /// When the last whole packet came from it, in seconds since 1970, UTC.
    pub last_packet_unix_secs: u64,
    /// It is not read for now, and why.
    pub paused: Option<PausedFor>,
    /// Bytes that wait to be sent to it.
    pub output_bytes: usize,
    /// Bytes of MQTT packets taken on this connection.
    pub bytes_received: u64,
    /// Bytes sent on it, the headers of WebSocket frames included, those of TLS records not.
    pub bytes_sent: u64,
    /// PUBLISH packets taken on it. What was sent is counted for all clients together only: a count for each would
    /// cost at every delivery.
    pub messages_received: u64,
}

/// What a connection that is not read waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PausedFor {
    /// Room for its publications: too many are under way between the shards.
    Credit,
    /// Its own client, which does not take what waits for it.
    Output,
    /// The homes of the filters it has subscribed to.
    Subscriptions,
}

/// A page of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientPage {
    /// In the order of shards and places, which means nothing and does not change.
    pub rows: Vec<ClientRow>,
    /// For the next page; `None`: this was the last one. A page may hold fewer rows than asked for, even none, and not
    /// be the last one: where few of very many clients are wanted an answer ends after a while all the same.
    pub next: Option<PageCursor>,
}

/// By what clients are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Messages that wait for it.
    BacklogMessages,
    /// Their bytes.
    BacklogBytes,
    /// Messages that it has not acknowledged.
    InFlight,
    /// Bytes that wait to be sent to it.
    OutputBytes,
    /// Its subscriptions.
    Subscriptions,
    /// Bytes taken from it on its connection.
    BytesReceived,
    /// Bytes sent on its connection.
    BytesSent,
    /// PUBLISH packets taken from it on its connection.
    MessagesReceived,
}

impl ClientRow {
    /// How much it has of what clients are compared by.
    pub fn measure(&self, by: Measure) -> u64 {
        let connection = match &self.state {
            ClientState::Connected(connection) => Some(connection),
            ClientState::Disconnected { .. } => None,
        };
        match by {
            Measure::BacklogMessages => self.backlog_messages as u64,
            Measure::BacklogBytes => self.backlog_bytes as u64,
            Measure::InFlight => self.in_flight as u64,
            Measure::Subscriptions => self.subscriptions as u64,
            Measure::OutputBytes => connection.map_or(0, |c| c.output_bytes as u64),
            Measure::BytesReceived => connection.map_or(0, |c| c.bytes_received),
            Measure::BytesSent => connection.map_or(0, |c| c.bytes_sent),
            Measure::MessagesReceived => connection.map_or(0, |c| c.messages_received),
        }
    }
}

impl Shard {
    /// Up to `room` of the clients asked for, those at place `from` and after it. Cursor and size of the query are for
    /// whoever asks.
    pub fn clients(&self, query: &ClientQuery, from: u32, room: usize) -> Looked<ClientRow, u32> {
        let needle = Needle::new(&query.text);
        let mut rows = Vec::new();
        let mut place = from;
        let end = self.clients.places() as u32;
        let stop = from.saturating_add(self.mesh.credit.pace.looked_at as u32).min(end);
        while place < stop && rows.len() < room {
            let c = &self.clients[place];
            let wanted = match query.state {
                StateFilter::Any => true,
                StateFilter::Connected => c.conn.is_some(),
                StateFilter::Disconnected => c.conn.is_none(),
            };
            if wanted && !c.client_id.is_empty() && self.is_named(c, &needle) {
                rows.push(self.client_row(c));
            }
            place += 1;
        }
        Looked { rows, next: (place < end).then_some(place) }
    }

    /// One client.
    pub fn client(&self, client_id: &str) -> Option<ClientRow> {
        self.clients.find(client_id).map(|client| self.client_row(&self.clients[client]))
    }

    /// Of the clients at place `from` and after it those with the most, at most `most`, in descending order. Who has
    /// none is left out.
    pub fn top_clients(&self, by: Measure, most: usize, from: u32) -> Looked<ClientRow, u32> {
        let end = self.clients.places() as u32;
        let stop = from.saturating_add(self.mesh.credit.pace.looked_at as u32).min(end);
        let of = |place| (self.measure(&self.clients[place], by), place);
        let mut all: Vec<(u64, u32)> = (from..stop).map(of).filter(|(value, _)| *value > 0).collect();
        all.sort_unstable_by_key(|(value, place)| (std::cmp::Reverse(*value), *place));
        all.truncate(most);
        let rows = all.into_iter().map(|(_, place)| self.client_row(&self.clients[place])).collect();
        Looked { rows, next: (stop < end).then_some(stop) }
    }

    /// The same as [`ClientRow::measure`], without making the row.
    fn measure(&self, c: &Client, by: Measure) -> u64 {
        let connection = c.conn.map(|conn| &self.connections[conn.index as usize]);
        let outgoing = c.flow.as_ref().map(|flow| &flow.outgoing);
        match by {
            Measure::BacklogMessages => outgoing.map_or(0, |o| o.backlog().0 as u64),
            Measure::BacklogBytes => outgoing.map_or(0, |o| o.backlog().1 as u64),
            Measure::InFlight => outgoing.map_or(0, |o| o.in_flight() as u64),
            Measure::Subscriptions => c.subscriptions.len() as u64,
            Measure::OutputBytes => connection.map_or(0, |c| c.out.len() as u64),
            Measure::BytesReceived => connection.map_or(0, |c| c.bytes_received),
            Measure::BytesSent => connection.map_or(0, |c| c.out.sent_bytes()),
            Measure::MessagesReceived => connection.map_or(0, |c| c.messages_received),
        }
    }

    fn is_named(&self, c: &Client, needle: &Needle<'_>) -> bool {
        let principal = c.standing.principal.as_deref();
        needle.is_in(&c.client_id)
            || principal.is_some_and(|p| {
                let user = p.user.as_ref().is_some_and(|user| needle.is_in(&user.name));
                user || needle.is_in(p.client_name(self.snapshot.names))
            })
    }

    fn client_row(&self, c: &Client) -> ClientRow {
        let principal = c.standing.principal.as_deref();
        let name = principal.map_or("", |p| p.client_name(self.snapshot.names));
        let outgoing = c.flow.as_ref().map(|flow| &flow.outgoing);
        let (backlog_messages, backlog_bytes) = outgoing.map_or((0, 0), Outgoing::backlog);
        ClientRow {
            client_id: c.client_id.clone(),
            home: self.id,
            version: c.version,
            client_name: (!name.is_empty()).then(|| name.into()),
            user: principal.and_then(|p| p.user.as_ref()).map(|user| user.name.clone()),
            certificate: principal.and_then(|p| p.certificate.as_ref()).map(|shown| shown.thumbprint),
            session_expiry_secs: c.expiry_secs,
            has_will: c.will.is_some(),
            state: self.client_state(c),
            subscriptions: c.subscriptions.len(),
            in_flight: outgoing.map_or(0, Outgoing::in_flight),
            backlog_messages,
            backlog_bytes,
        }
    }

    fn client_state(&self, c: &Client) -> ClientState {
        let unix_secs = |at: Time| self.unix_micros(at) / 1_000_000;
        let Some(conn) = c.conn else {
            let ends = unix_secs(c.ends_at);
            // It began to count when the connection was gone.
            let since_unix_secs = ends.saturating_sub(u64::from(c.expiry_secs));
            return ClientState::Disconnected { since_unix_secs, session_ends_unix_secs: ends };
        };
        let connection = &self.connections[conn.index as usize];
        ClientState::Connected(ConnectionRow {
            peer: connection.peer,
            listener: connection.listener,
            tls: connection.tls,
            keep_alive_secs: (connection.patience_millis / 1_500) as u16,
            clean_start: connection.clean_start,
            connected_unix_secs: unix_secs(connection.connected),
            last_packet_unix_secs: unix_secs(connection.since),
            paused: connection.paused.then_some(match connection.waits_for {
                WaitsFor::Credit => PausedFor::Credit,
                WaitsFor::Output => PausedFor::Output,
                WaitsFor::Subscriptions => PausedFor::Subscriptions,
            }),
            output_bytes: connection.out.len(),
            bytes_received: connection.bytes_received,
            bytes_sent: connection.out.sent_bytes(),
            messages_received: connection.messages_received,
        })
    }
}
