//! A will, kept with its session until it is published or deleted.

use std::sync::Arc;

use crate::ids::ShardId;
use crate::mqtt::QoS;
use crate::mqtt::connect;
use crate::mqtt::publish::{Publish, PublishProperties};
use crate::time::Time;

use super::publication::{Run, RunBuilder};

/// The will message of a connection.
#[derive(Debug)]
pub struct Will {
    /// Will Delay Interval in seconds.
    pub delay_secs: u32,
    expiry_secs: Option<u32>,
    qos: QoS,
    retain: bool,
    topic: Box<str>,
    passed_on: Box<[u8]>,
    payload: Box<[u8]>,
}

impl Will {
    /// Keeps what a CONNECT says.
    pub fn new(will: &connect::Will<'_>) -> Will {
        let mut passed_on = Vec::new();
        will.properties.append_passed_on(&mut passed_on);
        Will {
            delay_secs: will.properties.delay_secs.unwrap_or(0),
            expiry_secs: will.properties.message_expiry_secs,
            qos: will.qos,
            retain: will.retain,
            topic: will.topic.into(),
            passed_on: passed_on.into(),
            payload: will.payload.into(),
        }
    }

    /// The topic it will be published to.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The will as a publication; its expiry counts from now `[MQTT-3.1.3.2.4]`.
    pub fn publish(&self, origin: ShardId, publisher: u64, now: Time) -> Arc<Run> {
        let expires = self.expiry_secs.map_or(Time::NEVER, |secs| now.after_secs(u64::from(secs)));
        let properties = PublishProperties { raw: &self.passed_on, ..PublishProperties::default() };
        let mut builder = RunBuilder::default();
        builder.push(
            &Publish {
                dup: false,
                qos: self.qos,
                retain: self.retain,
                topic: &self.topic,
                packet_id: None,
                properties,
                payload: &self.payload,
            },
            expires,
        );
        builder.build(origin, publisher, now)
    }
}
