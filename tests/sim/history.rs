//! What can happen, as the oracle is told it. The simulator writes a history; the oracle judges it and knows
//! nothing of shards, sockets or drivers, so a test can feed it a history that is wrong.

use tidemq::mqtt::QoS;
use tidemq::mqtt::subscribe::SubscriptionOptions;
use tidemq::time::Time;

/// Position in the one order of everything that happened.
pub type Stamp = u64;

/// A virtual client: one client identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientNo(pub usize);

/// A virtual connection, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketNo(pub usize);

/// A message, in the order in which they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageNo(pub usize);

/// When.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub stamp: Stamp,
    pub now: Time,
}

/// A message that a client publishes, or leaves as its will.
#[derive(Clone, Debug)]
pub struct Message {
    pub publisher: ClientNo,
    pub topic: String,
    pub qos: QoS,
    pub retain: bool,
    pub is_will: bool,
    /// An empty payload: clears the retained message, and names no message.
    pub empty: bool,
    pub expiry_secs: Option<u32>,
}

/// The will of a connection.
#[derive(Clone, Copy, Debug)]
pub struct WillSent {
    pub message: MessageNo,
    pub delay_secs: u32,
}

/// What a CONNECT said.
#[derive(Clone, Copy, Debug)]
pub struct ConnectSent {
    pub clean: bool,
    /// As granted: after the broker's maximum. `u32::MAX` never ends.
    pub expiry_secs: u32,
    pub keep_alive_secs: u16,
    pub will: Option<WillSent>,
}

/// What a DISCONNECT said.
#[derive(Clone, Copy, Debug)]
pub struct DisconnectSent {
    pub with_will: bool,
    pub expiry_secs: Option<u32>,
}

/// How a connection ended, seen from the shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The driver said `handle_end`.
    Lost,
    /// The shard closed it after DISCONNECT.
    Disconnected,
    /// The shard closed it: another connection has the session.
    TakenOver,
    /// The shard closed it: silence.
    KeepAlive,
    /// The shard closed it: its output stood still.
    Stalled,
    /// The shard closed it: the broker stops.
    Stopping,
    /// The shard closed it and gives the client the blame.
    Violation,
}

/// A PUBLISH that reached a client (a repeated QoS 2 packet identifier is told only once).
#[derive(Clone, Debug)]
pub struct Delivery {
    pub socket: SocketNo,
    pub topic: String,
    /// `None`: an empty payload.
    pub message: Option<MessageNo>,
    pub qos: QoS,
    pub dup: bool,
    pub retain: bool,
    pub ids: Vec<u32>,
    pub expiry_secs: Option<u32>,
}

/// Something happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The last byte of CONNECT was given to the client's home.
    ConnectHanded {
        client: ClientNo,
        socket: SocketNo,
        connect: ConnectSent,
    },
    /// The last byte of some packet was given to the client's home.
    PacketHanded {
        client: ClientNo,
        socket: SocketNo,
    },
    /// The last byte of DISCONNECT was given to the client's home.
    DisconnectHanded {
        client: ClientNo,
        socket: SocketNo,
        disconnect: DisconnectSent,
    },
    /// A paused connection is read again.
    Resumed {
        client: ClientNo,
        socket: SocketNo,
    },
    /// The shard knows that the connection is over.
    Ended {
        client: ClientNo,
        socket: SocketNo,
        ending: Ending,
    },
    /// The client read a CONNACK that accepts it.
    ConnAck {
        client: ClientNo,
        socket: SocketNo,
        session_present: bool,
    },
    /// The client no longer uses the connection.
    Left {
        client: ClientNo,
        socket: SocketNo,
    },
    SubscribeSent {
        client: ClientNo,
        socket: SocketNo,
        packet_id: u16,
        id: Option<u32>,
        filters: Vec<(String, SubscriptionOptions)>,
    },
    SubAck {
        client: ClientNo,
        socket: SocketNo,
        packet_id: u16,
        codes: Vec<u8>,
    },
    UnsubscribeSent {
        client: ClientNo,
        socket: SocketNo,
        packet_id: u16,
        filters: Vec<String>,
    },
    UnsubAck {
        client: ClientNo,
        socket: SocketNo,
        packet_id: u16,
    },
    /// Handed to the network, for the first time or again.
    PublishSent {
        message: MessageNo,
        socket: SocketNo,
    },
    /// PUBACK or PUBREC arrived.
    Acked {
        message: MessageNo,
        code: u8,
    },
    Received {
        client: ClientNo,
        delivery: Delivery,
    },
    /// Nothing is on the way anywhere, and nobody but `lagging` has anything left to read or to acknowledge.
    Idle {
        lagging: Vec<ClientNo>,
    },
    /// Every shard was told to stop.
    Stopped,
}

/// A broken rule.
#[derive(Debug)]
pub struct Fault {
    /// The rule, in a few words.
    pub rule: &'static str,
    /// Whose trace to show.
    pub client: Option<ClientNo>,
    pub text: String,
}

impl Fault {
    /// A rule that was broken towards a client.
    pub fn of(rule: &'static str, client: ClientNo, text: String) -> Fault {
        Fault { rule, client: Some(client), text }
    }

    /// A shard panicked.
    pub fn panicked(panic: &(dyn std::any::Any + Send)) -> Fault {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Fault::general("a panic", text.unwrap_or_default())
    }

    /// A rule of the broker as a whole.
    pub fn general(rule: &'static str, text: String) -> Fault {
        Fault { rule, client: None, text }
    }
}
