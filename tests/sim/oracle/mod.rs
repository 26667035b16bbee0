//! The oracle: told what happened, it says which rule was broken.
//!
//! It keeps only what follows from the history: which sessions exist, what was granted, who must get what. It must
//! not look into a shard. Where the history leaves open what the broker did (a packet was on its way when the
//! connection was cut), it accepts every outcome that is consistent; everywhere else it accepts one.

mod delivery;
mod grants;
mod idle;
mod retained;
mod sessions;
#[cfg(test)]
mod tests;
mod wills;
pub mod wire;

use std::collections::{HashMap, HashSet};

use tidemq::mqtt::QoS;
use tidemq::time::Time;

use crate::history::{ClientNo, Event, Fault, Message, MessageNo, Moment, SocketNo, Stamp};
use grants::{Grant, Unsubscribing};
pub use sessions::Presence;
use sessions::Session;
use wills::Will;

/// What holds for a run.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Backlogs are small enough to overflow: nothing is said about losses.
    pub may_drop: bool,
}

/// Everything known.
pub struct Oracle {
    rules: Rules,
    clients: Vec<View>,
    posts: Vec<Post>,
    wills: Vec<Will>,
    stopped: bool,
}

/// One client, as far as the history tells.
#[derive(Default)]
struct View {
    session: Session,
    /// Which session: grows whenever one ends.
    epoch: u32,
    /// It is open whether the session survived: nothing is owed until CONNACK says.
    unsure: bool,
    /// Owed before this is no longer owed.
    owed_since: Stamp,
    sockets: HashMap<SocketNo, SocketView>,
    /// The connection that the client uses and that was accepted.
    up: Option<SocketNo>,
    /// Since when the shard knows that the client is offline.
    offline_since: Option<Stamp>,
    grants: Vec<Grant>,
    unsubscribing: HashMap<(SocketNo, u16), Unsubscribing>,
    seen: HashMap<(u32, MessageNo), Seen>,
    /// The last message of each order that must hold.
    last: HashMap<Order, MessageNo>,
}

struct SocketView {
    epoch: u32,
    presence: Presence,
    /// When its CONNECT reached the client's home.
    connected: Time,
    handed: Stamp,
}

/// Within which deliveries keep the order of publishing `[MQTT-4.6.0-5]`.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Order {
    epoch: u32,
    publisher: ClientNo,
    topic: String,
    published: QoS,
    delivered: QoS,
}

/// How often a message was seen in a session.
#[derive(Default)]
struct Seen {
    live: u32,
    replays: u32,
    /// Seen with a RETAIN flag that may stand for either.
    either: u32,
    sockets: Vec<SocketNo>,
}

/// A message and what became of it.
struct Post {
    message: Message,
    sends: Vec<Send>,
    acked: Option<(Stamp, u8)>,
    /// Everything that was on its way has arrived.
    settled: Option<Stamp>,
    owed: Vec<Owed>,
    /// Offline, seen from the shard, from before it was sent until after it had settled.
    missed_by: HashSet<ClientNo>,
    /// Where and when each client saw it live first.
    live_at: HashMap<ClientNo, (Stamp, QoS)>,
}

#[derive(Clone, Copy)]
struct Send {
    at: Moment,
    /// `None`: a will, sent by the broker.
    socket: Option<SocketNo>,
}

/// A delivery that must happen.
struct Owed {
    client: ClientNo,
    epoch: u32,
    since: Stamp,
    /// The subscriptions it rests on, each with the least QoS that it grants this message.
    filters: Vec<(String, QoS)>,
    /// The connection at the time.
    up: Option<SocketNo>,
    done: bool,
}

impl Owed {
    /// The least QoS with which it may come.
    fn qos(&self) -> QoS {
        self.filters.iter().map(|(_, qos)| *qos).max().unwrap_or(QoS::AtMostOnce)
    }
}

impl Oracle {
    /// Nothing has happened.
    pub fn new(rules: Rules) -> Oracle {
        Oracle { rules, clients: Vec::new(), posts: Vec::new(), wills: Vec::new(), stopped: false }
    }

    /// Another client.
    pub fn add_client(&mut self) -> ClientNo {
        self.clients.push(View::default());
        ClientNo(self.clients.len() - 1)
    }

    /// Another message, not yet sent.
    pub fn add_message(&mut self, message: Message) -> MessageNo {
        self.posts.push(Post {
            message,
            sends: Vec::new(),
            acked: None,
            settled: None,
            owed: Vec::new(),
            missed_by: HashSet::new(),
            live_at: HashMap::new(),
        });
        MessageNo(self.posts.len() - 1)
    }

    /// A message.
    pub fn message(&self, no: MessageNo) -> &Message {
        &self.posts[no.0].message
    }

    /// Something happened.
    pub fn observe(&mut self, at: Moment, event: Event) -> Result<(), Fault> {
        self.publish_due_wills(at);
        match event {
            Event::ConnectHanded { client, socket, connect } => {
                self.connect_handed(at, client, socket, connect);
            }
            Event::PacketHanded { client, socket } => self.packet_handed(at, client, socket),
            Event::Resumed { client, socket } => self.resumed(at, client, socket),
            Event::DisconnectHanded { client, socket, disconnect } => {
                self.disconnect_handed(client, socket, disconnect);
            }
            Event::Ended { client, socket, ending } => return self.ended(at, client, socket, ending),
            Event::ConnAck { client, socket, session_present } => {
                return self.connack(at, client, socket, session_present);
            }
            Event::Left { client, socket } => {
                let view = &mut self.clients[client.0];
                view.up = view.up.filter(|up| *up != socket);
            }
            Event::SubscribeSent { client, socket, packet_id, id, filters } => {
                self.subscribe_sent(at, client, socket, packet_id, id, filters);
            }
            Event::SubAck { client, socket, packet_id, codes } => {
                return self.suback(at, client, socket, packet_id, &codes);
            }
            Event::UnsubscribeSent { client, socket, packet_id, filters } => {
                self.unsubscribe_sent(at, client, socket, packet_id, filters);
            }
            Event::UnsubAck { client, socket, packet_id } => self.unsuback(at, client, socket, packet_id),
            Event::PublishSent { message, socket } => self.publish_sent(at, message, socket),
            Event::Acked { message, code } => return self.acked(at, message, code),
            Event::Received { client, delivery } => return self.received(at, client, &delivery),
            Event::Idle { lagging } => return self.idle(at, &lagging),
            Event::Stopped => self.stopped = true,
        }
        Ok(())
    }

    /// The shards counted deliveries that they dropped for want of room: from now on nothing is said of losses.
    pub fn excuse_losses(&mut self) {
        self.rules.may_drop = true;
    }

    /// Is nothing said of losses?
    pub fn are_losses_excused(&self) -> bool {
        self.rules.may_drop
    }

    /// What the CONNACK on this connection must say of the session, once CONNECT was handed over.
    pub fn presence(&self, client: ClientNo, socket: SocketNo) -> Option<Presence> {
        self.clients[client.0].sockets.get(&socket).map(|view| view.presence)
    }

    /// How much a run proved.
    pub fn proved(&self) -> crate::race::Proved {
        let sockets = self.clients.iter().flat_map(|view| view.sockets.values());
        crate::race::Proved {
            deliveries: self.posts.iter().flat_map(|post| &post.owed).filter(|owed| owed.done).count(),
            wills: self.wills.iter().filter(|will| will.state == wills::State::Published).count(),
            resumed: sockets.filter(|socket| socket.presence == Presence::Yes).count(),
            replays: self.clients.iter().flat_map(|v| v.seen.values()).map(|s| s.replays as usize).sum(),
            repeated: self.posts.iter().filter(|post| post.sends.len() > 1).count(),
            ..crate::race::Proved::default()
        }
    }
}
