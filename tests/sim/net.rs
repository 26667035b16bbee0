//! The virtual network: connections that cut anywhere and fill up, and the channels between shards.
//!
//! Knows no client and no shard; it only holds bytes and messages that are on their way.

use std::collections::VecDeque;

use tidemq::routing::ShardId;
use tidemq::session::ConnId;
use tidemq::shard::Message;
use tidemq::time::Time;

use crate::history::{ClientNo, ConnectSent, DisconnectSent, SocketNo};

/// What ends at an offset of a client's byte stream, so that the history can say when a shard was given it.
#[derive(Clone, Copy, Debug)]
pub enum Mark {
    Connect(ConnectSent),
    Disconnect(DisconnectSent),
    Ping,
    Packet,
}

/// Where the broker's end of a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Its first bytes are being read by the shard that accepted it.
    Accepting(ShardId),
    /// In a channel, to its client's home.
    Travelling,
    /// With a shard.
    Open(ShardId, ConnId),
    /// The broker is through with it.
    Gone,
}

/// Whether the driver reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    Armed,
    /// Told to pause; this many more reads were under way.
    Ending(u8),
    Paused,
}

/// One connection.
pub struct Socket {
    /// `None`: a rogue.
    pub client: Option<ClientNo>,
    pub place: Place,
    pub deadline: Time,
    /// To the broker: not yet read by a driver.
    pub up: VecDeque<u8>,
    /// Offset of `up`'s first byte.
    pub up_offset: u64,
    pub marks: VecDeque<(u64, Mark)>,
    /// The client's end is closed: after `up` comes the end.
    pub up_closed: bool,
    /// To the client: not yet read by it.
    pub down: VecDeque<u8>,
    /// The socket's buffer.
    pub down_capacity: usize,
    /// The broker's end is closed: after `down` comes the end.
    pub down_closed: bool,
    /// Read by the accepting driver, not yet given to a shard.
    pub head: Vec<u8>,
    pub reading: Reading,
    /// A send was not taken whole: the shard waits for `handle_writable`.
    pub blocked: bool,
    /// Pings that were given to the shard and not yet answered: turn of the shard, and whether the bound holds.
    pub pings: VecDeque<Ping>,
    scan: Scan,
    /// The shard closed it and everything was taken: the reason that a 5.0 client must have read, if any.
    pub farewell: Option<Option<u8>>,
}

/// A ping at the shard.
#[derive(Clone, Copy, Debug)]
pub struct Ping {
    pub turn: u64,
    /// Something the bound does not cover happened since: a full socket, a pause.
    pub excused: bool,
}

impl Socket {
    /// A connection that `acceptor` has just accepted.
    pub fn accepted(client: Option<ClientNo>, acceptor: ShardId, deadline: Time, capacity: usize) -> Socket {
        Socket {
            client,
            place: Place::Accepting(acceptor),
            deadline,
            up: VecDeque::new(),
            up_offset: 0,
            marks: VecDeque::new(),
            up_closed: false,
            down: VecDeque::new(),
            down_capacity: capacity,
            down_closed: false,
            head: Vec::new(),
            reading: Reading::Armed,
            blocked: false,
            pings: VecDeque::new(),
            scan: Scan::default(),
            farewell: None,
        }
    }

    /// The client writes.
    pub fn write(&mut self, bytes: &[u8], mark: Mark) {
        if self.up_closed {
            return;
        }
        self.up.extend(bytes);
        self.marks.push_back((self.up_offset + (self.head.len() + self.up.len()) as u64, mark));
    }

    /// The driver reads up to `most` bytes.
    pub fn read_up(&mut self, most: usize) -> Vec<u8> {
        let take = most.min(self.up.len());
        self.up.drain(..take).collect()
    }

    /// The driver gave `bytes` bytes to the shard: what ended in them.
    pub fn handed(&mut self, bytes: usize) -> Vec<Mark> {
        self.up_offset += bytes as u64;
        let mut ended = Vec::new();
        while self.marks.front().is_some_and(|(offset, _)| *offset <= self.up_offset) {
            ended.extend(self.marks.pop_front().map(|(_, mark)| mark));
        }
        ended
    }

    /// Room in the socket's buffer.
    pub fn room(&self) -> usize {
        // A cut connection swallows what is sent until the failure is noticed.
        if self.up_closed && self.down_closed {
            usize::MAX
        } else {
            self.down_capacity.saturating_sub(self.down.len())
        }
    }

    /// The driver sends: all of `bytes` fit. Returns how many pings they answer.
    pub fn send(&mut self, bytes: &[u8]) -> usize {
        if !self.down_closed {
            self.down.extend(bytes);
        }
        self.scan.pings_answered(bytes)
    }

    /// Where each whole PUBLISH that the client has yet to read begins and ends; the first byte begins a packet.
    pub fn unread_publishes(&self) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(first) = self.down.get(at) {
            let lengths = self.down.iter().skip(at + 1).take(4);
            let Some(last) = lengths.clone().position(|byte| byte & 0x80 == 0) else { break };
            let bytes: Vec<u8> = lengths.take(last + 1).copied().collect();
            let body = bytes.iter().rev().fold(0, |len, byte| (len << 7) | usize::from(byte & 0x7F));
            let end = at + 2 + last + body;
            if end > self.down.len() {
                break;
            }
            if first >> 4 == 3 {
                found.push((at, end - 1));
            }
            at = end;
        }
        found
    }

    /// The wire breaks: `kept_up` bytes still reach the broker; the client has read what it could.
    pub fn cut(&mut self, kept_up: usize) {
        self.up.truncate(kept_up);
        self.up_closed = true;
        self.down.clear();
        self.down_closed = true;
    }

    /// The driver has something to read, or an end to notice.
    pub fn has_input(&self) -> bool {
        self.reading != Reading::Paused && (!self.up.is_empty() || self.up_closed)
    }
}

/// Finds packets in the broker's byte stream, without decoding them.
#[derive(Default)]
struct Scan {
    header: Vec<u8>,
    body: usize,
}

impl Scan {
    fn pings_answered(&mut self, bytes: &[u8]) -> usize {
        let mut found = 0;
        for byte in bytes {
            if self.body > 0 {
                self.body -= 1;
                continue;
            }
            self.header.push(*byte);
            if self.header.len() < 2 || byte & 0x80 != 0 {
                continue;
            }
            found += usize::from(self.header[0] == 0xD0);
            self.body = self.header[1..].iter().rev().fold(0, |len, b| (len << 7) | usize::from(b & 0x7F));
            self.header.clear();
        }
        found
    }
}

/// What travels between shards.
pub enum Item {
    Message(Message),
    /// A connection on its way to its client's home.
    Connection(SocketNo),
}

/// The channel from one shard to another: in order, bounded, late.
pub struct Link {
    pub capacity: usize,
    pub queue: VecDeque<Item>,
    /// What did not fit, in front of everything later.
    pub kept: VecDeque<Item>,
}

impl Link {
    /// Moves what fits.
    pub fn push(&mut self, items: impl IntoIterator<Item = Item>) {
        self.kept.extend(items);
        self.flush();
    }

    /// Moves what fits of what was kept.
    pub fn flush(&mut self) {
        while self.queue.len() < self.capacity {
            let Some(item) = self.kept.pop_front() else { return };
            self.queue.push_back(item);
        }
    }
}

/// Everything between clients and shards.
pub struct Net {
    pub sockets: Vec<Socket>,
    /// `links[from][to]`.
    pub links: Vec<Vec<Link>>,
    /// Connections up to here are known to the drivers that accepted them.
    announced: usize,
}

impl Net {
    /// A network of `shards` shards.
    pub fn new(shards: usize, capacity: usize) -> Net {
        let link = |_| Link { capacity, queue: VecDeque::new(), kept: VecDeque::new() };
        Net {
            sockets: Vec::new(),
            links: (0..shards).map(|_| (0..shards).map(link).collect()).collect(),
            announced: 0,
        }
    }

    /// A connection arrives.
    pub fn connect(&mut self, socket: Socket) -> SocketNo {
        self.sockets.push(socket);
        SocketNo(self.sockets.len() - 1)
    }

    /// Connections that arrived since the last call.
    pub fn fresh(&mut self) -> std::ops::Range<usize> {
        let from = std::mem::replace(&mut self.announced, self.sockets.len());
        from..self.sockets.len()
    }

    /// One of the connections.
    pub fn socket(&mut self, no: SocketNo) -> &mut Socket {
        &mut self.sockets[no.0]
    }
}

#[test]
fn the_scan_finds_ping_responses_only_at_packet_starts() {
    let mut scan = Scan::default();
    let stream = [0x30, 4, 0xD0, 0, 0xD0, 0, 0xD0, 0, 0x40, 2, 0xD0, 0];
    let mut found = 0;
    for byte in stream {
        found += scan.pings_answered(&[byte]);
    }
    assert_eq!(found, 1);
}

#[test]
fn a_link_keeps_the_order_of_what_did_not_fit() {
    let mut link = Link { capacity: 2, queue: VecDeque::new(), kept: VecDeque::new() };
    link.push((0..3).map(|n| Item::Connection(SocketNo(n))));
    link.queue.pop_front();
    link.push([Item::Connection(SocketNo(3))]);
    let order: Vec<usize> = link
        .queue
        .iter()
        .chain(&link.kept)
        .map(|item| match item {
            Item::Connection(no) => no.0,
            Item::Message(_) => usize::MAX,
        })
        .collect();
    assert_eq!(order, [1, 2, 3]);
}
