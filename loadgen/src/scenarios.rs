//! The scenarios: who connects, who publishes on what, who subscribes to what.
//!
//! Turns a `Shape` into the clients and streams of a `Plan`. Topics: `<prefix>/fan/N`, `<prefix>/in/N`,
//! `<prefix>/p2p/N`, `<prefix>/chaos/N`, `<prefix>/shared/N`.

use std::ops::Range;
use std::sync::Arc;

use tidemq::mqtt::{QoS, Version};

use crate::plan::{ClientPlan, Role, Stream};

/// A scenario with its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Connections that do nothing.
    Connect {
        /// How many.
        connections: u32,
    },
    /// Every message goes to every subscriber.
    Fanout {
        /// Publishers.
        publishers: u32,
        /// Subscribers, each to all topics.
        subscribers: u32,
        /// Topics.
        topics: u32,
    },
    /// Each publisher has its topic; each subscriber takes all of them by one wildcard.
    Fanin {
        /// Publishers.
        publishers: u32,
        /// Subscribers.
        subscribers: u32,
    },
    /// Publisher i to subscriber i.
    PointToPoint {
        /// Pairs.
        pairs: u32,
    },
    /// Each publisher has its topic; the subscribers share all of them.
    Shared {
        /// Publishers.
        publishers: u32,
        /// Members of the one group.
        subscribers: u32,
    },
    /// Publishers and subscribers spread over topics, every publisher at every QoS.
    Chaos {
        /// Publishers.
        publishers: u32,
        /// Subscribers, each to one topic; every other one by a wildcard.
        subscribers: u32,
        /// Topics.
        topics: u32,
    },
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Shape::Connect { connections } => write!(f, "{connections} connections"),
            Shape::Fanout { publishers, subscribers, topics } => {
                write!(f, "publishers {publishers}, subscribers {subscribers}, topics {topics}")
            }
            Shape::Fanin { publishers, subscribers } | Shape::Shared { publishers, subscribers } => {
                write!(f, "publishers {publishers}, subscribers {subscribers}")
            }
            Shape::PointToPoint { pairs } => write!(f, "pairs {pairs}"),
            Shape::Chaos { publishers, subscribers, topics } => {
                write!(f, "publishers {publishers}, subscribers {subscribers}, topics {topics}, every QoS")
            }
        }
    }
}

/// The versions that clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versions {
    /// All the same.
    All(Version),
    /// 3.1.1 and 5.0 in turn.
    Mixed,
}

/// What the names of a run are made of.
#[derive(Clone, Debug)]
pub struct Naming {
    /// Topics begin with this.
    pub prefix: String,
    /// Client identifiers hold this.
    pub run: u32,
    /// Versions.
    pub versions: Versions,
    /// The name of a shared subscription.
    pub group: String,
    /// Workers, over which clients are dealt out in turn.
    pub workers: u32,
}

/// Clients and streams.
pub struct Cast {
    /// Every client; subscribers before publishers.
    pub clients: Vec<ClientPlan>,
    /// Every stream.
    pub streams: Vec<Stream>,
    /// How many clients publish.
    pub publishers: u32,
}

impl Naming {
    fn client(&self, kind: &str, i: u32, role: Role) -> ClientPlan {
        let version = match self.versions {
            Versions::All(v) => v,
            Versions::Mixed if i.is_multiple_of(2) => Version::V3_1_1,
            Versions::Mixed => Version::V5,
        };
        // 3.1.1 promises no more than 23 characters `[MQTT-3.1.3-5]`.
        ClientPlan { id: format!("tl{:08x}{kind}{i}", self.run), version, role, worker: i % self.workers }
    }
}

impl Shape {
    /// Clients and streams at `qos`, or at every QoS where the scenario says so.
    pub fn cast(self, naming: &Naming, qos: QoS) -> Cast {
        let prefix = &naming.prefix;
        match self {
            Shape::Connect { connections } => Cast {
                clients: (0..connections).map(|i| naming.client("c", i, Role::Idle)).collect(),
                streams: Vec::new(),
                publishers: 0,
            },
            Shape::Fanout { publishers, subscribers, topics } => {
                let filters: Arc<[String]> = (0..topics).map(|t| format!("{prefix}/fan/{t}")).collect();
                // A publisher takes every topic whose number is its own modulo the publishers; with more publishers
                // than topics, several share one.
                let per = topics.div_ceil(publishers).max(1);
                let streams = (0..publishers * per).map(|n| {
                    let (publisher, turn) = (n / per, n % per);
                    let topic_no = (publisher + turn * publishers) % topics;
                    (publisher, topic_no, qos, subscribers)
                });
                let streams = streams_on(naming, &format!("{prefix}/fan/"), streams);
                let all = 0..publishers * per;
                let subscriber =
                    |i| naming.client("s", i, subscriber(filters.clone(), qos, all.clone(), None));
                cast(naming, (0..subscribers).map(subscriber).collect(), streams, publishers)
            }
            Shape::Fanin { publishers, subscribers } => {
                let filters: Arc<[String]> = [format!("{prefix}/in/#")].into();
                let streams = (0..publishers).map(|i| (i, i, qos, subscribers));
                let streams = streams_on(naming, &format!("{prefix}/in/"), streams);
                let subscriber =
                    |i| naming.client("s", i, subscriber(filters.clone(), qos, 0..publishers, None));
                cast(naming, (0..subscribers).map(subscriber).collect(), streams, publishers)
            }
            Shape::Shared { publishers, subscribers } => {
                let filters: Arc<[String]> = [format!("$share/{}/{prefix}/shared/+", naming.group)].into();
                let streams = (0..publishers).map(|i| (i, i, qos, 1));
                let streams = streams_on(naming, &format!("{prefix}/shared/"), streams);
                let subscriber =
                    |i| naming.client("s", i, subscriber(filters.clone(), qos, 0..publishers, None));
                cast(naming, (0..subscribers).map(subscriber).collect(), streams, publishers)
            }
            Shape::PointToPoint { pairs } => {
                let streams =
                    streams_on(naming, &format!("{prefix}/p2p/"), (0..pairs).map(|i| (i, i, qos, 1)));
                let subscriber = |i| {
                    let filters: Arc<[String]> = [format!("{prefix}/p2p/{i}")].into();
                    naming.client("s", i, subscriber(filters, qos, i..i + 1, None))
                };
                cast(naming, (0..pairs).map(subscriber).collect(), streams, pairs)
            }
            Shape::Chaos { publishers, subscribers, topics } => {
                chaos(naming, publishers, subscribers, topics)
            }
        }
    }
}

fn subscriber(filters: Arc<[String]>, qos: QoS, streams: Range<u32>, only_topic: Option<u32>) -> Role {
    Role::Subscriber { filters, qos, streams, only_topic }
}

/// Streams on topics below `stem`, each given as publisher, topic, QoS and fan-out.
fn streams_on(naming: &Naming, stem: &str, list: impl Iterator<Item = (u32, u32, QoS, u32)>) -> Vec<Stream> {
    list.map(|(publisher, topic_no, qos, fan)| {
        let topic = format!("{stem}{topic_no}");
        Stream { topic, topic_no, qos, publisher, fan, origin: publisher % naming.workers }
    })
    .collect()
}

/// Subscribers and then the publishers, whose streams stand together in `streams`.
fn cast(naming: &Naming, mut clients: Vec<ClientPlan>, streams: Vec<Stream>, publishers: u32) -> Cast {
    let per = streams.len() as u32 / publishers;
    clients.extend((0..publishers).map(|index| {
        let streams = index * per..(index + 1) * per;
        naming.client("p", index, Role::Publisher { index, streams })
    }));
    Cast { clients, streams, publishers }
}

/// Publisher p publishes on topic p modulo the topics at each QoS in turn; subscriber s takes topic s modulo the
/// topics at QoS 2, every other subscriber of a topic by `<topic>/#`, which matches the topic itself.
fn chaos(naming: &Naming, publishers: u32, subscribers: u32, topics: u32) -> Cast {
    let stem = format!("{}/chaos/", naming.prefix);
    let fan = |topic_no: u32| (topic_no..subscribers).step_by(topics as usize).count() as u32;
    let qualities = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
    let streams = (0..publishers * 3).map(|n| {
        let publisher = n / 3;
        let topic_no = publisher % topics;
        (publisher, topic_no, qualities[(n % 3) as usize], fan(topic_no))
    });
    let streams = streams_on(naming, &stem, streams);
    let one = |s: u32| {
        let topic_no = s % topics;
        let wildcard = if (s / topics).is_multiple_of(2) { "" } else { "/#" };
        let filters: Arc<[String]> = [format!("{stem}{topic_no}{wildcard}")].into();
        naming.client("s", s, subscriber(filters, QoS::ExactlyOnce, 0..publishers * 3, Some(topic_no)))
    };
    cast(naming, (0..subscribers).map(one).collect(), streams, publishers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemq::mqtt::topic::matches;

    fn naming() -> Naming {
        Naming { prefix: "x".into(), run: 1, versions: Versions::Mixed, group: "g".into(), workers: 3 }
    }

    /// Every stream reaches exactly the subscribers whose filters match its topic, as often as it claims.
    fn check(shape: Shape, publishers: u32, subscribers: u32) {
        let cast = shape.cast(&naming(), QoS::AtLeastOnce);
        assert_eq!(cast.clients.len() as u32, publishers + subscribers);
        assert_eq!(cast.publishers, publishers);
        let mut published = 0;
        for (i, stream) in cast.streams.iter().enumerate() {
            let mut fan = 0;
            for client in &cast.clients {
                match &client.role {
                    Role::Subscriber { filters, streams, only_topic, .. } => {
                        let hits = filters.iter().filter(|f| matches(f, &stream.topic)).count();
                        let counted =
                            streams.contains(&(i as u32)) && only_topic.is_none_or(|t| t == stream.topic_no);
                        assert_eq!(hits, usize::from(counted), "{stream:?} {filters:?}");
                        fan += hits as u32;
                    }
                    Role::Publisher { index, streams } if streams.contains(&(i as u32)) => {
                        assert_eq!(*index, stream.publisher);
                        published += 1;
                    }
                    _ => {}
                }
            }
            assert_eq!(fan, stream.fan, "{stream:?}");
        }
        assert_eq!(published, cast.streams.len(), "each stream has one publisher");
    }

    #[test]
    fn every_stream_reaches_whom_it_claims() {
        check(Shape::Fanout { publishers: 1, subscribers: 7, topics: 1 }, 1, 7);
        check(Shape::Fanout { publishers: 5, subscribers: 3, topics: 2 }, 5, 3);
        check(Shape::Fanout { publishers: 2, subscribers: 3, topics: 6 }, 2, 3);
        check(Shape::Fanin { publishers: 9, subscribers: 2 }, 9, 2);
        check(Shape::PointToPoint { pairs: 6 }, 6, 6);
        check(Shape::Chaos { publishers: 20, subscribers: 13, topics: 5 }, 20, 13);
    }

    #[test]
    fn names_fit_the_least_that_a_3_1_1_broker_takes_and_differ() {
        let cast = Shape::PointToPoint { pairs: 100_000 }.cast(&naming(), QoS::AtMostOnce);
        let ids: std::collections::HashSet<_> = cast.clients.iter().map(|c| &c.id).collect();
        assert_eq!(ids.len(), cast.clients.len());
        assert!(ids.iter().all(|id| id.len() <= 23));
    }
}
