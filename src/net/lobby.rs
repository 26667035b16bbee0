//! From accept to CONNECT: whose connection this will be, judged by its first bytes.
//!
//! Pure: it keeps bytes and deadlines, and names connections; it has no socket and no clock. A peer that says nothing
//! costs a deadline and no buffer. Nothing is judged here but the client's home: whether the CONNECT is any good is
//! for the shard at home to say.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use super::tls::Tls;
use super::ws::Link;
use crate::mqtt::connect::{ClientIdPeek, peek_client_id};
use crate::policy::Limits;
use crate::routing::ShardId;
use crate::session::ConnId;
use crate::shard::client_home;
use crate::time::Time;

/// This shard among the shards: what is needed to say where a client lives.
#[derive(Clone, Debug)]
pub struct Place {
    /// The key of the homes' hash.
    pub home_key: [u8; 16],
    /// How many shards there are.
    pub shards: u16,
    /// This one.
    pub me: ShardId,
}

/// A connection on its way to its client's home. Nothing is armed on the socket.
#[derive(Debug)]
pub struct Envelope {
    /// The socket.
    pub socket: OwnedFd,
    /// Everything of MQTT that was read from it, the whole CONNECT at least.
    pub unread: Vec<u8>,
    /// The peer.
    pub peer: SocketAddr,
    /// Index of the listener in the snapshot.
    pub listener: u16,
    /// CONNECT must have been complete by then.
    pub deadline: Time,
    /// The encryption on it; what it has to say may not all be sent.
    pub tls: Option<Box<Tls>>,
    /// The WebSocket on that; what it has to say itself may not all be sent.
    pub ws: Option<Box<Link>>,
}

/// What the first bytes of a connection say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Not enough yet.
    Wait,
    /// It is this shard's. All its bytes; `None`: those just given are all.
    Here(Option<Vec<u8>>),
    /// It is another shard's, with all its bytes.
    Elsewhere(ShardId, Vec<u8>),
}

/// How many of the largest packets a WebSocket message may hold, all its fragments together.
const PACKETS_PER_MESSAGE: u64 = 16;

/// The connections before their CONNECT.
#[derive(Debug)]
pub(super) struct Lobby {
    place: Place,
    connect_bytes: usize,
    timeout: Duration,
    message_bytes: u64,
    /// The beginnings of CONNECTs that came in pieces, by index.
    partial: HashMap<u32, Vec<u8>>,
    /// In the order of accept. May name connections that have left.
    deadlines: VecDeque<(Time, ConnId)>,
}

impl Lobby {
    pub(super) fn new(place: Place, limits: &Limits) -> Lobby {
        let mut lobby = Lobby {
            place,
            connect_bytes: 0,
            timeout: Duration::ZERO,
            message_bytes: 0,
            partial: HashMap::new(),
            deadlines: VecDeque::new(),
        };
        lobby.install(limits);
        lobby
    }

    /// New limits, for who enters from now on.
    pub(super) fn install(&mut self, limits: &Limits) {
        self.connect_bytes = limits.connect_packet_bytes as usize;
        self.timeout = Duration::from_secs(u64::from(limits.connect_timeout_secs));
        let packet = limits.packet_bytes.max(limits.connect_packet_bytes);
        self.message_bytes = PACKETS_PER_MESSAGE * u64::from(packet);
    }

    /// When a connection accepted now must have said CONNECT.
    pub(super) fn deadline_from(&self, now: Time) -> Time {
        now + self.timeout
    }

    /// Largest WebSocket message of a connection accepted now.
    pub(super) fn message_bytes(&self) -> u64 {
        self.message_bytes
    }

    pub(super) fn enter(&mut self, conn: ConnId, deadline: Time) {
        self.deadlines.push_back((deadline, conn));
    }

    /// Bytes from `conn`. After anything but `Wait` it has left.
    pub(super) fn hear(&mut self, conn: ConnId, bytes: &[u8]) -> Heard {
        let Some(mut all) = self.partial.remove(&conn.index) else {
            return match self.judge(bytes) {
                None => {
                    self.partial.insert(conn.index, bytes.to_vec());
                    Heard::Wait
                }
                Some(home) if home == self.place.me => Heard::Here(None),
                Some(home) => Heard::Elsewhere(home, bytes.to_vec()),
            };
        };
        all.extend_from_slice(bytes);
        match self.judge(&all) {
            None => {
                self.partial.insert(conn.index, all);
                Heard::Wait
            }
            Some(home) if home == self.place.me => Heard::Here(Some(all)),
            Some(home) => Heard::Elsewhere(home, all),
        }
    }

    /// The home of the client that says this; `None`: it is not known yet.
    fn judge(&self, bytes: &[u8]) -> Option<ShardId> {
        match peek_client_id(bytes, self.connect_bytes) {
            // Whatever the codec thinks, an unknown peer makes us hold no more than this.
            ClientIdPeek::Incomplete if bytes.len() <= self.connect_bytes => None,
            // An identifier that the home assigns is chosen to be at home there; what is no CONNECT is refused anywhere.
            ClientIdPeek::Incomplete | ClientIdPeek::ClientId("") | ClientIdPeek::Hopeless => {
                Some(self.place.me)
            }
            ClientIdPeek::ClientId(id) => Some(client_home(&self.place.home_key, self.place.shards, id)),
        }
    }

    /// `conn` is gone.
    pub(super) fn forget(&mut self, conn: ConnId) {
        self.partial.remove(&conn.index);
    }

    /// The next whose time is over.
    pub(super) fn expired(&mut self, now: Time) -> Option<ConnId> {
        if self.deadlines.front()?.0 > now {
            return None;
        }
        self.deadlines.pop_front().map(|(_, conn)| conn)
    }

    /// Forgets the deadlines in front of those that have left.
    pub(super) fn trim(&mut self, is_here: impl Fn(ConnId) -> bool) {
        while self.deadlines.front().is_some_and(|(_, conn)| !is_here(*conn)) {
            self.deadlines.pop_front();
        }
        // A burst of connections must not be remembered for ever.
        if self.deadlines.is_empty() && self.deadlines.capacity() > 4_096 {
            self.deadlines = VecDeque::new();
        }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.deadlines.front().map(|(deadline, _)| *deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::{Heard, Lobby, Place};
    use crate::policy::Limits;
    use crate::routing::ShardId;
    use crate::session::ConnId;
    use crate::shard::client_home;
    use crate::time::Time;

    const KEY: [u8; 16] = [3; 16];

    fn lobby(shards: u16, me: u16) -> Lobby {
        let limits = Limits { connect_packet_bytes: 100, connect_timeout_secs: 2, ..Limits::default() };
        Lobby::new(Place { home_key: KEY, shards, me: ShardId(me) }, &limits)
    }

    fn connect(id: &str) -> Vec<u8> {
        let mut packet = vec![0x10, 12 + id.len() as u8, 0, 4];
        packet.extend_from_slice(b"MQTT\x04\x02\x00\x3c\x00");
        packet.push(id.len() as u8);
        packet.extend_from_slice(id.as_bytes());
        packet
    }

    const CONN: ConnId = ConnId { index: 4, generation: 1 };

    #[test]
    fn a_connect_in_one_piece_goes_home_without_a_copy() {
        let mut lobby = lobby(2, 0);
        for n in 0..32 {
            let (id, mut packet) = (format!("client-{n}"), connect(&format!("client-{n}")));
            packet.extend_from_slice(&[0xc0, 0]); // a PINGREQ right behind it
            let home = client_home(&KEY, 2, &id);
            let expected =
                if home == ShardId(0) { Heard::Here(None) } else { Heard::Elsewhere(home, packet.clone()) };
            assert_eq!(lobby.hear(CONN, &packet), expected);
        }
        assert!(lobby.partial.is_empty());
    }

    #[test]
    fn pieces_are_kept_only_as_they_come() {
        let mut lobby = lobby(1, 0);
        let packet = connect("slow");
        let (last, head) = packet.split_last().expect("a packet");
        for byte in head {
            assert_eq!(lobby.hear(CONN, &[*byte]), Heard::Wait);
        }
        assert_eq!(lobby.partial[&CONN.index].len(), head.len());
        assert_eq!(lobby.hear(CONN, &[*last]), Heard::Here(Some(packet)));
        assert!(lobby.partial.is_empty());
    }

    #[test]
    fn an_empty_client_id_and_nonsense_stay_here() {
        let mut lobby = lobby(64, 9);
        assert_eq!(lobby.hear(CONN, &connect("")), Heard::Here(None));
        assert_eq!(lobby.hear(CONN, b"GET / HTTP/1.1\r\n\r\n"), Heard::Here(None));
        let announced_too_long = [0x10, 0xff, 0xff, 0xff, 0x7f];
        assert_eq!(lobby.hear(CONN, &announced_too_long), Heard::Here(None));
        assert!(lobby.partial.is_empty());
    }

    #[test]
    fn a_former_tenants_bytes_do_not_reach_the_next() {
        let mut lobby = lobby(1, 0);
        assert_eq!(lobby.hear(CONN, &connect("old")[..5]), Heard::Wait);
        lobby.forget(CONN);
        let next = ConnId { generation: 2, ..CONN };
        assert_eq!(lobby.hear(next, &connect("new")), Heard::Here(None));
    }

    #[test]
    fn deadlines_come_in_order_and_those_who_left_are_forgotten() {
        let mut lobby = lobby(1, 0);
        for index in 0..3 {
            let deadline = lobby.deadline_from(Time::from_secs(u64::from(index)));
            lobby.enter(ConnId { index, generation: 0 }, deadline);
        }
        lobby.trim(|conn| conn.index != 0);
        assert_eq!(lobby.deadline(), Some(Time::from_secs(3)));
        assert_eq!(lobby.expired(Time::from_millis(2_999)), None);
        assert_eq!(lobby.expired(Time::from_secs(3)).map(|c| c.index), Some(1));
        assert_eq!(lobby.expired(Time::from_secs(3)), None);
    }
}
