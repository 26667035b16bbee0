//! Publications: accepted messages, immutable and shared by everyone they go to.
//!
//! The unit that travels is a [`Run`]: neighbouring publishes of one client with the same topic and QoS, mostly
//! just one. A run is matched once, crosses to another shard once, and is appended to a subscriber's output once.
//! What is passed on unaltered (topic, properties, payload) lies in one block of bytes, as it will be written.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use smallvec::SmallVec;

use crate::ids::ShardId;
use crate::mqtt::QoS;
use crate::mqtt::publish::Publish;
use crate::time::Time;

/// Most publications in a run, so that slices of work stay alike.
const RUN_ITEMS: usize = 256;
/// Most bytes in a run that is still being extended.
const RUN_BYTES: usize = 64 << 10;

/// One publication of a run.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    start: u32,
    payload: u32,
    end: u32,
    /// When it expires; [`Time::NEVER`] if it does not.
    pub expires: Time,
}

/// Neighbouring publications of one client, topic and QoS.
#[derive(Debug)]
pub struct Run {
    /// Shard whose credit it holds: the publisher's home.
    pub origin: ShardId,
    /// Keyed hash of the publisher's client identifier, for No Local.
    pub publisher: u64,
    /// QoS it was published with.
    pub qos: QoS,
    /// Whether it was published with RETAIN; such a run has one item.
    pub retain: bool,
    /// When it came: the beginning of the turn in which its publisher's home read it.
    pub arrived: Time,
    /// Of the broker itself, to `$SYS`: it counts nowhere. Clients cannot publish there.
    pub system: bool,
    topic_len: u16,
    items: SmallVec<[Item; 1]>,
    data: Vec<u8>,
    /// Target shards that have neither appended nor dropped it yet. Counts only; guards no data.
    unretired: AtomicU32,
}

impl Run {
    /// The topic name.
    pub fn topic(&self) -> &str {
        std::str::from_utf8(&self.data[..usize::from(self.topic_len)]).expect("a topic is copied from a str")
    }

    /// The publications, in order.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Properties that are passed on unaltered, as they are written.
    pub fn passed_on(&self, item: &Item) -> &[u8] {
        &self.data[item.start as usize..item.payload as usize]
    }

    /// The payload.
    pub fn payload(&self, item: &Item) -> &[u8] {
        &self.data[item.payload as usize..item.end as usize]
    }

    /// Bytes of one publication in a backlog.
    pub fn item_bytes(&self, item: &Item) -> usize {
        usize::from(self.topic_len) + (item.end - item.start) as usize
    }

    /// Bytes of the payload of one publication.
    pub fn payload_bytes(&self, item: &Item) -> usize {
        (item.end - item.payload) as usize
    }

    /// Bytes it holds of its origin's credit.
    pub fn bytes(&self) -> usize {
        self.data.len()
    }

    /// Before it is sent out: how many shards must retire it.
    pub fn expect_retirements(&self, shards: u32) {
        self.unretired.store(shards, Ordering::Relaxed);
    }

    /// This shard is done with it. True for the last one, who tells the origin.
    pub fn retire(&self) -> bool {
        self.unretired.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

/// Collects a run while packets are being decoded.
#[derive(Debug, Default)]
pub struct RunBuilder {
    topic_len: usize,
    items: SmallVec<[Item; 1]>,
    data: Vec<u8>,
    qos: Option<QoS>,
    retain: bool,
}

impl RunBuilder {
    /// Whether there is nothing to build.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether `publish` may join what is there.
    pub fn takes(&self, publish: &Publish<'_>) -> bool {
        self.qos == Some(publish.qos)
            && !self.retain
            && !publish.retain
            && self.items.len() < RUN_ITEMS
            && self.data.len() < RUN_BYTES
            && self.data[..self.topic_len] == *publish.topic.as_bytes()
    }

    /// Adds a publication: the first one decides topic, QoS and RETAIN.
    pub fn push(&mut self, publish: &Publish<'_>, expires: Time) {
        if self.items.is_empty() {
            let size = publish.topic.len() + publish.properties.raw.len() + publish.payload.len();
            self.data.reserve_exact(size);
            self.data.extend_from_slice(publish.topic.as_bytes());
            self.topic_len = publish.topic.len();
            self.qos = Some(publish.qos);
            self.retain = publish.retain;
        }
        let start = self.data.len() as u32;
        publish.properties.append_passed_on(&mut self.data);
        let payload = self.data.len() as u32;
        self.data.extend_from_slice(publish.payload);
        self.items.push(Item { start, payload, end: self.data.len() as u32, expires });
    }

    /// Takes the run out; the builder is empty again.
    pub fn build(&mut self, origin: ShardId, publisher: u64, arrived: Time) -> Arc<Run> {
        let qos = self.qos.take().expect("a run is built only when a publication was pushed");
        Arc::new(Run {
            origin,
            publisher,
            qos,
            retain: std::mem::take(&mut self.retain),
            arrived,
            system: self.data[..self.topic_len].starts_with(b"$SYS/"),
            topic_len: self.topic_len as u16,
            items: std::mem::take(&mut self.items),
            data: std::mem::take(&mut self.data),
            unretired: AtomicU32::new(0),
        })
    }
}
