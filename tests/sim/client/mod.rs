//! A virtual client: a peer that keeps the rules of its version, and its side of the session across connections.

mod act;
mod hear;
mod send;

pub use send::Wish;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tidemq::mqtt::QoS;
use tidemq::time::Time;

use crate::history::{ClientNo, Delivery, Event, Fault, MessageNo, SocketNo};
use crate::net::Place;
use crate::oracle::Presence;
use crate::oracle::wire::{AckOrder, Window};
use crate::plan::Character;
use crate::stage::Stage;
use crate::wire::AckKind;

/// One client identifier and who stands behind it.
pub struct Client {
    pub no: ClientNo,
    pub id: String,
    pub character: Character,
    session: Session,
    pub conn: Option<Conn>,
    /// Connections that the client gave up without closing them.
    zombies: Vec<Zombie>,
    /// Connections that it left and whose CONNECT the broker may not have read yet.
    left: Vec<SocketNo>,
    /// It does not know which session the broker has: the next connection starts clean.
    must_clean: bool,
    /// The last filter it subscribed to.
    recent: Option<String>,
    /// Everything it received, when somebody wants to know.
    pub heard: Option<Vec<Delivery>>,
}

/// The client's side of the session.
#[derive(Default)]
struct Session {
    last_id: u16,
    /// Publishes not yet completed, oldest first.
    out: VecDeque<Out>,
    /// QoS 1 received, PUBACK not sent.
    unacked: BTreeMap<u16, Option<MessageNo>>,
    /// QoS 2 received, PUBREL not.
    held: BTreeMap<u16, Option<MessageNo>>,
    /// PUBREL received, PUBCOMP not sent.
    releasing: BTreeSet<u16>,
    filters: BTreeSet<String>,
    /// The session had a connection that was accepted.
    used: bool,
}

struct Out {
    packet_id: u16,
    message: MessageNo,
    qos: QoS,
    /// PUBREC came: only PUBREL may be sent.
    released: bool,
}

/// The connection in use.
pub struct Conn {
    pub socket: SocketNo,
    pub up: bool,
    clean: bool,
    granted_expiry: u32,
    asked_expiry: u32,
    keep_alive_secs: u16,
    rx: Vec<u8>,
    pub reading: bool,
    window: Window,
    ack_order: AckOrder,
    /// Acknowledgements that the client has not sent yet, in order.
    due: VecDeque<(AckKind, u16)>,
    /// Packet identifiers to send again, in order.
    again: VecDeque<u16>,
    /// Unacknowledged publishes that the broker allows.
    quota: usize,
    alias_maximum: u16,
    aliases_out: BTreeMap<String, u16>,
    aliases_in: BTreeMap<u16, String>,
    /// SUBSCRIBE and UNSUBSCRIBE without an answer.
    asked: BTreeSet<u16>,
    pings: usize,
    last_sent: Time,
    /// DISCONNECT that the broker sent.
    said: Option<u8>,
}

struct Zombie {
    socket: SocketNo,
    rx: Vec<u8>,
    up: bool,
    said: Option<u8>,
}

impl Client {
    /// A client that has not connected yet.
    pub fn new(no: ClientNo, id: String, character: Character) -> Client {
        Client {
            no,
            id,
            character,
            session: Session::default(),
            conn: None,
            zombies: Vec::new(),
            left: Vec::new(),
            must_clean: true,
            recent: None,
            heard: None,
        }
    }

    /// A rule was broken towards this client.
    fn fault(&self, rule: &'static str, text: String) -> Fault {
        Fault::of(rule, self.no, text)
    }

    /// May it open another connection now? A client that keeps a session waits until the broker has read or lost
    /// its last CONNECT: afterwards it could not know which of the two made the session.
    fn may_connect(&mut self, stage: &mut Stage) -> bool {
        let no = self.no;
        let unread = |s: &SocketNo| {
            stage.oracle.presence(no, *s).is_none() && stage.net.sockets[s.0].place != Place::Gone
        };
        self.left.retain(unread);
        let current = self.conn.as_ref().is_some_and(|conn| unread(&conn.socket));
        self.character.fighter || (self.left.is_empty() && !current)
    }

    /// The client stops using its connection, which may live on.
    fn leave(&mut self, stage: &mut Stage) -> Result<(), Fault> {
        let Some(conn) = self.conn.take() else { return Ok(()) };
        if !conn.up {
            let known = stage.oracle.presence(self.no, conn.socket) == Some(Presence::Yes);
            self.must_clean |= conn.clean || !known;
        }
        stage.tell(Some(self.no), Event::Left { client: self.no, socket: conn.socket })?;
        self.left.push(conn.socket);
        self.zombies.push(Zombie { socket: conn.socket, rx: conn.rx, up: conn.up, said: conn.said });
        Ok(())
    }

    /// Everything that it can know has been dealt with.
    pub fn is_lagging(&self, stage: &Stage) -> bool {
        let Some(conn) = &self.conn else { return false };
        !conn.up
            || !conn.reading
            || !conn.due.is_empty()
            || !conn.again.is_empty()
            || !conn.rx.is_empty()
            || stage.net.sockets[conn.socket.0].up_closed
    }

    /// Nothing is on its way: did the broker answer everything?
    pub fn check_answered(&self) -> Result<(), Fault> {
        let Some(conn) = &self.conn else { return Ok(()) };
        if !conn.ack_order.is_empty() || !self.session.out.is_empty() {
            let waiting: Vec<u16> = self.session.out.iter().map(|out| out.packet_id).collect();
            return Err(self.fault("a publish is never acknowledged", format!("{waiting:?}")));
        }
        if !conn.asked.is_empty() {
            return Err(self.fault("SUBSCRIBE or UNSUBSCRIBE is never answered", format!("{:?}", conn.asked)));
        }
        if conn.pings > 0 {
            return Err(self.fault("PINGREQ is never answered", format!("{}", conn.pings)));
        }
        Ok(())
    }

    /// Is there something to read?
    pub fn can_read(&self, stage: &Stage) -> bool {
        let ready = |no: SocketNo| {
            let socket = &stage.net.sockets[no.0];
            !socket.down.is_empty() || socket.down_closed
        };
        self.conn.as_ref().is_some_and(|c| (c.reading || stage.calm) && ready(c.socket))
            || self.zombies.iter().any(|z| ready(z.socket))
    }

    /// Is it subscribed, connected and accepted?
    pub fn is_up(&self) -> bool {
        self.conn.as_ref().is_some_and(|conn| conn.up)
    }
}
