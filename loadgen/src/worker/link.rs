//! A link: one client of a worker with its connection's standing, output and tracks.

use tidemq::mqtt::QoS;

use crate::client::Client;
use crate::ledger::Track;
use crate::plan::{Durability, Plan, Role, Transport};
use crate::schedule::Nanos;
use crate::websocket::WebSocket;

use super::carrier::Carrier;

/// A link's number within its worker; it stays the same over reconnects.
pub type LinkId = u32;

/// Not a publisher.
pub const NOBODY: u32 = u32::MAX;

/// How a socket is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// FIN.
    Orderly,
    /// RST.
    Reset,
}

/// Where a link stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its first connection is not due yet.
    Waiting,
    /// The socket is being connected.
    Opening,
    /// CONNECT was sent.
    LoggingIn,
    /// SUBSCRIBE was sent.
    Subscribing,
    /// It can work.
    Ready,
    /// It was cut and will come back.
    Away,
    /// It is given up.
    Failed,
    /// DISCONNECT was sent, or it is only back to end its session.
    Leaving,
    /// As `Leaving`, but its session outlives that: it comes back once more to end it.
    Returning,
    /// Done.
    Left,
}

/// Which deliveries are a link's.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// The stream of the first track.
    pub first: u32,
    /// Only streams on this topic, if given.
    pub only_topic: Option<u32>,
    /// The QoS that was asked for.
    pub qos: QoS,
}

/// One client of a worker.
pub struct Link {
    /// Its index in the plan.
    pub client_no: u32,
    pub client: Client,
    pub standing: Standing,
    /// It was ready once.
    pub established: bool,
    pub dirty: bool,
    /// What it has to say and nobody has framed or sent.
    pub out: Vec<u8>,
    /// What carries it.
    pub carrier: Carrier,
    /// When the step that it waits for began.
    pub since: Nanos,
    /// SUBACK codes that have not come yet.
    pub ungranted: usize,
    /// Messages that the broker takes unacknowledged.
    pub receive_maximum: u16,
    /// Its number among the worker's publishers, or `NOBODY`.
    pub publisher: u32,
    pub tracks: Vec<Track>,
    pub scope: Scope,
}

impl Link {
    /// The link of a client of the plan's that is not connected yet.
    pub fn new(client_no: u32, run: &Plan) -> Link {
        let plan = &run.clients[client_no as usize];
        let mut scope = Scope { first: 0, only_topic: None, qos: QoS::ExactlyOnce };
        let mut tracks = Vec::new();
        if let Role::Subscriber { streams, only_topic, qos, .. } = &plan.role {
            scope = Scope { first: streams.start, only_topic: *only_topic, qos: *qos };
            tracks = vec![Track::default(); streams.len()];
        }
        Link {
            client_no,
            client: Client::new(plan.version),
            standing: Standing::Waiting,
            established: false,
            dirty: false,
            out: Vec::new(),
            carrier: Carrier {
                tls: run.security.as_ref().map(|security| Box::new(security.tls(client_no))),
                websocket: match &run.transport {
                    Transport::Tcp => None,
                    Transport::WebSocket(to) => Some(Box::new(WebSocket::new(to.clone(), client_no))),
                },
            },
            since: 0,
            ungranted: 0,
            receive_maximum: u16::MAX,
            publisher: NOBODY,
            tracks,
            scope,
        }
    }

    /// Writes DISCONNECT, the last that it says.
    pub fn disconnect(&mut self, durability: Durability) {
        self.client.disconnect(durability, &mut self.out);
        self.carrier.close();
    }

    /// It has a socket, or is about to.
    pub fn is_open(&self) -> bool {
        use Standing::{Leaving, LoggingIn, Opening, Ready, Returning, Subscribing};
        matches!(self.standing, Opening | LoggingIn | Subscribing | Ready | Leaving | Returning)
    }
}
