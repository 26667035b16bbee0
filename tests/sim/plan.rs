//! What a seed is about: how many of what, how bad the network, which limits.

use tidemq::mqtt::Version;
use tidemq::policy::Limits;
use tidemq::shard::Pace;

use crate::rng::Rng;

/// Drawn once, before anything happens.
#[derive(Clone, Debug)]
pub struct Plan {
    pub shards: u16,
    pub clients: usize,
    pub rogues: usize,
    pub steps: usize,
    pub topics: Vec<&'static str>,
    pub filters: Vec<&'static str>,
    /// Messages that fit between two shards.
    pub link_capacity: usize,
    /// Bytes that fit into a socket: from, to.
    pub socket_capacity: (usize, usize),
    pub limits: Limits,
    pub persistent: bool,
    pub may_drop: bool,
    /// A client that acts loses its connection in so many of a thousand cases.
    pub cut_permille: usize,
    /// A client stops reading in so many of a thousand cases.
    pub stall_permille: usize,
    /// Publishes at once: up to.
    pub burst: usize,
    /// Bytes of a payload: up to.
    pub payload: usize,
    /// Publishes with the RETAIN flag, of a hundred.
    pub retain_percent: usize,
    pub installs: bool,
    pub pace: Pace,
}

const TOPICS: [&str; 9] = ["t/0", "t/1", "t/2", "a/b", "a/b/c", "a//c", "x", "/", "deep/er/and/deeper/still"];
const FILTERS: [&str; 18] = [
    "t/0", "t/1", "t/2", "a/b", "a/b/c", "a//c", "x", "/", "#", "+", "+/+", "t/+", "t/#", "a/#", "a/+/c",
    "+/b/#", "+/0", "deep/#",
];

impl Plan {
    /// The plan of a seed; on so many shards, if told.
    pub fn draw(seed: u64, shards: Option<u16>) -> Plan {
        let plan = Plan::drawn(seed);
        Plan { shards: shards.unwrap_or(plan.shards), ..plan }
    }

    fn drawn(seed: u64) -> Plan {
        let mut rng = Rng::salted(seed, "plan");
        let may_drop = rng.percent(12);
        let flood = rng.percent(15);
        let rough = rng.percent(60);
        let topics = TOPICS[..rng.between(1, TOPICS.len())].to_vec();
        let mut limits = Limits {
            inflight_messages: *rng.pick(&[1, 2, 5, 20, 1_024]),
            receive_maximum: *rng.pick(&[2, 5, 20, 1_024]),
            session_expiry_maximum_secs: *rng.pick(&[30, 3_600, 86_400]),
            ..Limits::default()
        };
        if may_drop {
            limits.backlog_messages = rng.between(2, 10) as u32;
            limits.output_bytes = rng.between(200, 2_000) as u32;
        }
        Plan {
            shards: rng.between(1, 5) as u16,
            clients: rng.between(2, 14),
            rogues: rng.below(4),
            steps: rng.between(800, 5_000),
            topics,
            filters: FILTERS.to_vec(),
            link_capacity: *rng.pick(&[1, 2, 8, 64, 1_024]),
            socket_capacity: if rng.percent(40) { (60, 400) } else { (400, 100_000) },
            limits,
            persistent: !rng.percent(7),
            may_drop,
            cut_permille: if rough { rng.between(5, 60) } else { 0 },
            stall_permille: if rng.percent(50) { rng.between(5, 30) } else { 0 },
            burst: if flood { 60 } else { 3 },
            payload: if flood { *rng.pick(&[20, 2_000, 60_000]) } else { 40 },
            retain_percent: *rng.pick(&[0, 10, 40]),
            installs: rng.percent(30),
            pace: Pace {
                appends_per_turn: *rng.pick(&[2, 3, 4, 9, 4_096]),
                credit_messages: *rng.pick(&[1, 2, 5, 30, 4_096]),
                credit_bytes: *rng.pick(&[100, 5_000, 16 << 20]),
                replay_batch: *rng.pick(&[1, 1, 2, 64]),
                looked_at: 3,
            },
        }
    }
}

/// How a client is, for the whole run.
#[derive(Clone, Debug)]
pub struct Character {
    pub version: Version,
    /// Asked for when it wants to be remembered (5.0).
    pub expiry_secs: u32,
    pub receive_maximum: Option<u16>,
    pub keep_alive_secs: u16,
    pub alias_maximum: u16,
    /// Always starts clean and may race with its own connections.
    pub fighter: bool,
    /// Acknowledges late, of a hundred.
    pub tardy_percent: usize,
    /// Publishes, of a hundred acts.
    pub talkative_percent: usize,
}

impl Character {
    /// A client's character.
    pub fn draw(rng: &mut Rng) -> Character {
        Character {
            version: *rng.pick(&[Version::V5, Version::V5, Version::V3_1_1, Version::V3_1]),
            expiry_secs: *rng.pick(&[0, 5, 60, 3_600, u32::MAX]),
            receive_maximum: *rng.pick(&[None, None, Some(1), Some(3), Some(10)]),
            keep_alive_secs: *rng.pick(&[0, 0, 5, 20, 60]),
            alias_maximum: *rng.pick(&[0, 0, 3, 32]),
            fighter: rng.percent(12),
            tardy_percent: *rng.pick(&[0, 30, 80]),
            talkative_percent: *rng.pick(&[5, 40, 70]),
        }
    }
}
