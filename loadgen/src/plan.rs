//! What a run consists of: its clients, its streams, and how they are paced. A value; it does nothing itself.

use std::num::NonZeroU16;
use std::ops::Range;
use std::sync::Arc;

use tidemq::mqtt::connect::{Connect, ConnectProperties};
use tidemq::mqtt::{Packet, QoS, Version};

use crate::schedule::Nanos;
use crate::security::Security;
use crate::stop::Stop;
use crate::websocket::Endpoint;

/// One publisher's messages of one QoS on one topic, numbered from 0 without gaps.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Its topic.
    pub topic: String,
    /// Number of the topic in the scenario.
    pub topic_no: u32,
    /// Its QoS.
    pub qos: QoS,
    /// Its publisher.
    pub publisher: u32,
    /// Subscribers that each message reaches.
    pub fan: u32,
    /// The worker that publishes it.
    pub origin: u32,
}

/// What a client does.
#[derive(Clone, Debug)]
pub enum Role {
    /// Connects and stays.
    Idle,
    /// Subscribes and counts.
    Subscriber {
        /// Its topic filters.
        filters: Arc<[String]>,
        /// The QoS it asks for.
        qos: QoS,
        /// The streams among which those that it receives are.
        streams: Range<u32>,
        /// Of those, only the ones on this topic, if given.
        only_topic: Option<u32>,
    },
    /// Publishes on these streams in turn.
    Publisher {
        /// Its number among the publishers.
        index: u32,
        /// Its streams.
        streams: Range<u32>,
    },
}

/// One client.
#[derive(Clone, Debug)]
pub struct ClientPlan {
    /// Client identifier.
    pub id: String,
    /// Protocol version.
    pub version: Version,
    /// What it does.
    pub role: Role,
    /// Which worker runs it.
    pub worker: u32,
}

/// What is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        Secret(text.to_owned())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

/// What all clients say in CONNECT.
#[derive(Clone, Debug, Default)]
pub struct Login {
    /// Keep Alive in seconds; 0 = off.
    pub keep_alive_secs: u16,
    /// User name.
    pub user_name: Option<String>,
    /// Password.
    pub password: Option<Secret>,
}

/// Whether a client's session outlives its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A clean session.
    Clean,
    /// Clean start 0, and in 5.0 a session expiry of an hour.
    Durable,
}

/// What one client says in CONNECT.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// Client identifier.
    pub client_id: &'a str,
    /// What it shares with all others.
    pub login: &'a Login,
    /// Clean or durable.
    pub durability: Durability,
}

/// How long the broker is to keep the session of a durable 5.0 client, in seconds.
const SESSION_EXPIRY_SECS: u32 = 3600;

impl<'a> Identity<'a> {
    /// The CONNECT packet.
    pub fn connect(&self, version: Version) -> Packet<'a> {
        let durable = self.durability == Durability::Durable;
        let session_expiry_secs = (durable && version == Version::V5).then_some(SESSION_EXPIRY_SECS);
        let receive_maximum = (version == Version::V5).then_some(NonZeroU16::MAX);
        Packet::Connect(Connect {
            version,
            clean_start: !durable,
            keep_alive_secs: self.login.keep_alive_secs,
            client_id: self.client_id,
            will: None,
            user_name: self.login.user_name.as_deref(),
            password: self.login.password.as_ref().map(|password| password.0.as_bytes()),
            properties: ConnectProperties { session_expiry_secs, receive_maximum, ..Default::default() },
        })
    }
}

/// What carries the bytes of MQTT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// The TCP connection itself.
    Tcp,
    /// WebSocket frames on it.
    WebSocket(Arc<Endpoint>),
}

/// How messages are paced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// Open loop: so many messages a second, over all publishers.
    PerSec(f64),
    /// Closed loop: at most so many messages not yet delivered to all.
    Window(u64),
}

/// Cutting connections at random.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cuts {
    /// Connections cut a second, over all workers.
    pub per_sec: f64,
    /// A cut client comes back after at most this time.
    pub longest_away: Nanos,
    /// What the random choices start from.
    pub seed: u64,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Tells this run's messages from those of others.
    pub run: u32,
    /// Every client; subscribers stand before publishers.
    pub clients: Vec<ClientPlan>,
    /// Every stream.
    pub streams: Vec<Stream>,
    /// How many clients publish.
    pub publishers: u32,
    /// The subscribers share one subscription: each message goes to one of them.
    pub shared: bool,
    /// How many workers there are.
    pub workers: u32,
    /// What carries their bytes.
    pub transport: Transport,
    /// TLS around that, if any.
    pub security: Option<Arc<Security>>,
    /// What everybody says in CONNECT.
    pub login: Login,
    /// Clean or durable sessions.
    pub durability: Durability,
    /// Payload size in bytes, at least `STAMP_LEN`.
    pub payload: usize,
    /// Open or closed loop.
    pub rate: Rate,
    /// Messages in all; the time limit is known only when the run starts.
    pub messages: Option<u64>,
    /// How long messages fall due, warm-up not included.
    pub duration: Option<Nanos>,
    /// How long at the start latencies are not recorded.
    pub warmup: Nanos,
    /// Messages in flight at most for each publisher at QoS 1 and 2.
    pub max_inflight: u16,
    /// Connections a second over all workers; `None`: as fast as they are answered.
    pub connect_rate: Option<f64>,
    /// Connections of one worker that may be under way at once.
    pub connect_parallel: usize,
    /// Cut connections at random.
    pub cuts: Option<Cuts>,
}

impl Plan {
    /// When publishing ends, for a run that starts at `start`.
    pub fn stop(&self, start: Nanos) -> Stop {
        Stop { messages: self.messages, until: self.duration.map(|d| start + self.warmup + d) }
    }
}
