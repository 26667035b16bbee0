//! What a seed is about, and its actions. An action says all it needs in numbers, so that a script stays meaningful
//! when any of its actions is left out; one that makes no sense any more is not performed.

use std::num::NonZeroU16;

use tidemq::mqtt::property::{PayloadFormat, Property};
use tidemq::mqtt::subscribe::{RetainHandling, SubscriptionOptions};
use tidemq::mqtt::{QoS, Version};
use tidemq::shard::Pace;

use crate::model::Limits;
use crate::rng::Rng;
use crate::wire::Text;

/// Drawn once for a seed.
#[derive(Clone, Debug)]
pub struct Setting {
    pub seed: u64,
    pub shards: u16,
    pub clients: usize,
    pub limits: Limits,
    pub link_capacity: usize,
    pub pace: Pace,
}

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// The stream of what is left open within the step.
    pub salt: u64,
    pub client: usize,
    pub act: Act,
}

/// What happens in a step.
#[derive(Clone, Debug)]
pub enum Act {
    Connect(Connect),
    /// A burst of publishes of one kind.
    Publish(Publish, usize),
    Subscribe {
        id: Option<u32>,
        filters: Vec<(String, SubscriptionOptions)>,
    },
    /// One of its filters by number, or one that it may not have.
    Unsubscribe {
        of_its_own: Option<usize>,
        other: String,
    },
    /// So many of the acknowledgements that are due; perhaps refusing the messages.
    Acknowledge {
        most: usize,
        refuses: bool,
    },
    Ping,
    Disconnect {
        with_will: bool,
        expiry_secs: Option<u32>,
    },
    /// The connection breaks; so many thousandths of what it still has to read are read.
    Cut {
        read: usize,
    },
    /// The action is written, but only so many thousandths of it arrive before the connection breaks.
    Torn {
        act: Box<Act>,
        arrives: usize,
    },
    /// It stops reading; the socket takes so many more bytes.
    Stall {
        room: usize,
    },
    /// It reads so many bytes, or everything from now on.
    Read {
        most: Option<usize>,
    },
    Crime(Crime),
    /// Time passes for everybody.
    Wait {
        secs: u64,
    },
}

/// A CONNECT.
#[derive(Clone, Debug)]
pub struct Connect {
    pub version: Version,
    pub clean: bool,
    pub expiry_secs: u32,
    pub keep_alive_secs: u16,
    pub receive_maximum: Option<u16>,
    pub maximum_packet: Option<u32>,
    pub alias_maximum: u16,
    pub will: Option<(Publish, u32)>,
}

/// What is published.
#[derive(Clone, Debug)]
pub struct Publish {
    pub topic: &'static str,
    pub qos: QoS,
    pub retain: bool,
    pub expiry_secs: Option<u32>,
    pub passed_on: Text,
    /// Of the payload; 0 is empty.
    pub bytes: usize,
    /// Written with this alias, if the broker allows one.
    pub alias: Option<NonZeroU16>,
}

/// A rule that a 5.0 client breaks.
#[derive(Clone, Copy, Debug)]
pub enum Crime {
    AliasTooLarge,
    SubscriptionId,
    Flood,
    TooLarge,
    SecondConnect,
    RaisedExpiry,
}

const TOPICS: [&str; 8] = ["t/0", "t/1", "t/2", "a/b", "a//c", "x", "/", "$d/a"];
const FILTERS: [&str; 15] =
    ["t/0", "t/1", "t/2", "a/b", "x", "/", "#", "+", "+/+", "t/+", "t/#", "a/#", "+/0", "$d/#", "will/#"];
const GROUPS: [&str; 4] = ["$share/g/t/#", "$share/g/t/0", "$share/h/t/#", "$share/g/#"];
const WILLS: [&str; 8] = ["will/0", "will/1", "will/2", "will/3", "will/4", "will/5", "will/6", "will/7"];

impl Act {
    /// Simpler forms of the same, each more so than the one before.
    pub fn simpler(&self) -> Vec<Act> {
        match self {
            Act::Connect(c) => {
                let plain = Connect { will: None, ..c.clone() };
                let default = Connect {
                    keep_alive_secs: 0,
                    receive_maximum: None,
                    maximum_packet: None,
                    alias_maximum: 0,
                    ..plain.clone()
                };
                vec![plain, default.clone(), Connect { clean: true, ..default }]
                    .into_iter()
                    .map(Act::Connect)
                    .collect()
            }
            Act::Publish(p, many) => {
                let bare =
                    Publish { expiry_secs: None, passed_on: Text::default(), alias: None, ..p.clone() };
                vec![Act::Publish(p.clone(), 1), Act::Publish(bare.clone(), *many), Act::Publish(bare, 1)]
            }
            Act::Subscribe { id, filters } => {
                let one = |filter: &(String, SubscriptionOptions)| Act::Subscribe {
                    id: *id,
                    filters: vec![filter.clone()],
                };
                filters.iter().map(one).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl Setting {
    /// The setting of a seed.
    pub fn draw(seed: u64, shards: u16) -> Setting {
        let mut rng = Rng::salted(seed, "setting");
        Setting {
            seed,
            shards,
            clients: rng.between(2, 7),
            limits: Limits {
                inflight: *rng.pick(&[1, 2, 5, 1_024]),
                receive_maximum: *rng.pick(&[3, 20]),
                expiry_maximum_secs: *rng.pick(&[30, 3_600, 86_400]),
                persistent: !rng.percent(7),
                packet_bytes: *rng.pick(&[400, 1 << 20]),
            },
            link_capacity: *rng.pick(&[1, 2, 8, 1_024]),
            pace: Pace {
                appends_per_turn: *rng.pick(&[2, 3, 9, 4_096]),
                credit_messages: *rng.pick(&[1, 2, 30, 4_096]),
                credit_bytes: *rng.pick(&[100, 16 << 20]),
                replay_batch: *rng.pick(&[1, 2, 64]),
                ..Pace::default()
            },
        }
    }

    /// The steps of a seed.
    pub fn script(&self, steps: usize) -> Vec<Step> {
        let mut rng = Rng::salted(self.seed, "script");
        let mut script: Vec<Step> = (0..steps)
            .map(|_| {
                let client = rng.below(self.clients);
                Step { salt: rng.next(), client, act: self.act(&mut rng, client) }
            })
            .collect();
        // The end: everybody reads and acknowledges everything.
        for _ in 0..4 {
            for client in 0..self.clients {
                let acts = [Act::Read { most: None }, Act::Acknowledge { most: usize::MAX, refuses: false }];
                script.extend(acts.map(|act| Step { salt: rng.next(), client, act }));
            }
        }
        script
    }

    fn act(&self, rng: &mut Rng, client: usize) -> Act {
        match rng.weighted(&[14, 30, 14, 4, 18, 2, 3, 3, 4, 3, 3, 1, 5]) {
            0 => Act::Connect(self.connect(rng, client)),
            1 => Act::Publish(publish(rng, &TOPICS), *rng.pick(&[1, 1, 1, 2, 5])),
            2 => self.subscribe(rng, client),
            3 => Act::Unsubscribe {
                of_its_own: rng.percent(85).then(|| rng.below(20)),
                other: (*rng.pick(&FILTERS)).to_owned(),
            },
            4 => Act::Acknowledge { most: *rng.pick(&[1, 2, 100]), refuses: rng.percent(5) },
            5 => Act::Ping,
            6 => Act::Disconnect {
                with_will: rng.percent(30),
                expiry_secs: rng.percent(30).then(|| *rng.pick(&[0, 3, 600])),
            },
            7 => Act::Cut { read: rng.below(1_001) },
            8 => {
                let act = match rng.below(4) {
                    0 => Act::Connect(self.connect(rng, client)),
                    1 => self.subscribe(rng, client),
                    2 => Act::Acknowledge { most: 100, refuses: false },
                    _ => Act::Publish(publish(rng, &TOPICS), rng.between(1, 4)),
                };
                Act::Torn { act: Box::new(act), arrives: rng.below(1_001) }
            }
            9 => Act::Stall { room: rng.below(200) },
            10 => Act::Read { most: rng.percent(40).then(|| rng.between(1, 100)) },
            11 => Act::Crime(*rng.pick(&[
                Crime::AliasTooLarge,
                Crime::SubscriptionId,
                Crime::Flood,
                Crime::TooLarge,
                Crime::SecondConnect,
                Crime::RaisedExpiry,
            ])),
            _ => Act::Wait { secs: *rng.pick(&[1, 1, 2, 4, 8, 40, 700, 4_000, 100_000]) },
        }
    }

    fn subscribe(&self, rng: &mut Rng, client: usize) -> Act {
        // A client is in one group at most: a message does not say by which of two it came.
        let group = GROUPS[client % 2 + 2 * (self.seed % 2) as usize];
        let mut filters: Vec<(String, SubscriptionOptions)> = Vec::new();
        for _ in 0..rng.between(1, 3) {
            let shared = rng.percent(25);
            let filter = if shared { group } else { *rng.pick(&FILTERS) };
            let options = SubscriptionOptions {
                qos: *rng.pick(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce, QoS::ExactlyOnce]),
                no_local: rng.percent(15) && !shared,
                retain_as_published: rng.percent(20),
                retain_handling: *rng.pick(&[
                    RetainHandling::Send,
                    RetainHandling::SendIfNew,
                    RetainHandling::DoNotSend,
                ]),
            };
            if filters.iter().all(|(known, _)| known != filter) {
                filters.push((filter.to_owned(), options));
            }
        }
        Act::Subscribe { id: rng.percent(40).then(|| rng.between(1, 400) as u32), filters }
    }

    fn connect(&self, rng: &mut Rng, client: usize) -> Connect {
        let version = *rng.pick(&[Version::V5, Version::V5, Version::V5, Version::V3_1_1, Version::V3_1]);
        let will = rng.percent(35).then(|| {
            // A topic of its own: which of two wills of one moment comes first is open.
            let mut will = publish(rng, &[WILLS[client]]);
            will.alias = None;
            (will, *rng.pick(&[0, 0, 2, 10, 100]))
        });
        Connect {
            version,
            clean: rng.percent(20),
            expiry_secs: *rng.pick(&[0, 5, 60, 3_600, u32::MAX, u32::MAX]),
            keep_alive_secs: *rng.pick(&[0, 0, 0, 5, 60]),
            receive_maximum: *rng.pick(&[None, None, Some(1), Some(3)]),
            maximum_packet: rng.percent(20).then(|| rng.between(40, 90) as u32),
            alias_maximum: *rng.pick(&[0, 0, 1, 3]),
            will,
        }
    }
}

fn publish(rng: &mut Rng, topics: &[&'static str]) -> Publish {
    let retain = rng.percent(20);
    let mut passed_on = Vec::new();
    if rng.percent(30) {
        let mut pieces = vec![
            Property::ContentType("text/plain"),
            Property::ResponseTopic("re/ply"),
            Property::CorrelationData(&[0, 1, 255]),
            Property::PayloadFormat(PayloadFormat::Utf8),
            Property::User("b", "2"),
            Property::User("a", "1"),
            Property::User("b", ""),
        ];
        rng.shuffle(&mut pieces);
        let many = rng.between(1, 7);
        pieces.into_iter().take(many).for_each(|piece| piece.append_to(&mut passed_on));
    }
    Publish {
        topic: topics[rng.below(topics.len())],
        qos: *rng.pick(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce]),
        retain,
        expiry_secs: rng.percent(15).then(|| *rng.pick(&[1, 3, 30, 4_000])),
        passed_on: Text(passed_on),
        bytes: if retain && rng.percent(25) { 0 } else { rng.between(8, 60) },
        alias: NonZeroU16::new(rng.below(4) as u16).filter(|_| rng.percent(40)),
    }
}
