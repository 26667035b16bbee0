//! Peers that break the rules: each is closed for it, told why as its version allows, and costs nobody else
//! anything (which the other clients' oracle sees).

use tidemq::mqtt::connect::{Connect, ConnectProperties};
use tidemq::mqtt::{Packet, QoS, ReasonCode, Version};
use tidemq::routing::ShardId;

use crate::history::{Ending, Fault, SocketNo};
use crate::net::{Mark, Socket};
use crate::rng::Rng;
use crate::stage::Stage;
use crate::wire::{self, Heard, Published};

/// A peer that breaks one rule after the other, each on a connection of its own.
pub struct Rogue {
    number: usize,
    rng: Rng,
    current: Option<Attempt>,
}

struct Attempt {
    socket: SocketNo,
    crime: Crime,
    /// CONNECT was sent before.
    connected: bool,
    rx: Vec<u8>,
    code: Option<u8>,
    ended: Option<Ending>,
}

/// One way to break the rules.
#[derive(Clone, Copy)]
struct Crime {
    name: &'static str,
    bytes: &'static [u8],
    /// Reason codes that answer it; empty: none is demanded.
    codes: &'static [u8],
}

const RAISED: &str = "expiry raised from 0";

const AFTER_CONNECT: [Crime; 18] = [
    Crime { name: "reserved packet type", bytes: &[0x00, 0], codes: &[0x81, 0x82] },
    Crime { name: "QoS 3", bytes: &[0x36, 6, 0, 1, b'x', 0, 1, 0], codes: &[0x81] },
    Crime { name: "SUBSCRIBE with wrong flags", bytes: &[0x80, 7, 0, 1, 0, 0, 1, b'x', 0], codes: &[0x81] },
    Crime { name: "packet id 0", bytes: &[0x32, 6, 0, 1, b'x', 0, 0, 0], codes: &[0x81, 0x82] },
    Crime { name: "wildcard in a topic name", bytes: &[0x30, 4, 0, 1, b'#', 0], codes: &[0x81, 0x82, 0x90] },
    Crime { name: "alias 0", bytes: &[0x30, 7, 0, 1, b'x', 3, 0x23, 0, 0], codes: &[0x94] },
    Crime { name: "alias too large", bytes: &[0x30, 7, 0, 1, b'x', 3, 0x23, 0xFF, 0xFF], codes: &[0x94] },
    Crime { name: "unknown alias", bytes: &[0x30, 6, 0, 0, 3, 0x23, 0, 1], codes: &[0x82, 0x94] },
    Crime {
        name: "subscription identifier",
        bytes: &[0x30, 6, 0, 1, b'x', 2, 0x0B, 1],
        codes: &[0x81, 0x82],
    },
    Crime { name: "CONNACK", bytes: &[0x20, 3, 0, 0, 0], codes: &[0x82] },
    Crime { name: "PINGRESP", bytes: &[0xD0, 0], codes: &[0x82] },
    Crime { name: "ill-formed UTF-8", bytes: &[0x30, 5, 0, 2, 0xC3, 0x28, 0], codes: &[0x81] },
    Crime { name: "NUL in a topic", bytes: &[0x30, 4, 0, 1, 0, 0], codes: &[0x81, 0x82, 0x90] },
    Crime { name: "remaining length of 5 bytes", bytes: &[0x30, 0x80, 0x80, 0x80, 0x80, 1], codes: &[0x81] },
    Crime { name: "too large", bytes: &[0x30, 0xFF, 0xFF, 0xFF, 0x7F], codes: &[0x95] },
    Crime { name: "SUBSCRIBE without filters", bytes: &[0x82, 3, 0, 1, 0], codes: &[0x81, 0x82] },
    Crime { name: RAISED, bytes: &[0xE0, 7, 0, 5, 0x11, 0, 0, 0, 9], codes: &[0x82] },
    Crime { name: "SUBSCRIBE cut short", bytes: &[0x82, 6, 0, 1, 0, 0, 9, b'x'], codes: &[0x81] },
];

const INSTEAD_OF_CONNECT: [Crime; 5] = [
    Crime { name: "PUBLISH first", bytes: &[0x30, 4, 0, 1, b'x', 0], codes: &[] },
    Crime { name: "another protocol", bytes: b"GET / HTTP/1.1\r\n\r\n", codes: &[] },
    Crime { name: "CONNECT announced too large", bytes: &[0x10, 0xFF, 0xFF, 0xFF, 0x7F, 0, 4], codes: &[] },
    Crime {
        name: "reserved connect flag",
        bytes: &[0x10, 16, 0, 4, b'M', b'Q', b'T', b'T', 5, 0x03, 0, 0, 0, 0, 3, b'r', b'o', b'g'],
        codes: &[],
    },
    Crime { name: "half a CONNECT", bytes: &[0x10, 16, 0, 4, b'M', b'Q'], codes: &[] },
];

impl Rogue {
    /// A rogue; each seeds its own stream.
    pub fn new(number: usize, mut rng: Rng) -> Rogue {
        let salt = (0..=number).map(|_| rng.next()).last().unwrap_or(0);
        Rogue { number, rng: Rng::salted(salt, "rogue"), current: None }
    }

    /// Begins a crime, or sees what came of the last.
    pub fn act(&mut self, stage: &mut Stage) -> Result<(), Fault> {
        if self.current.is_none() {
            if !stage.calm {
                self.begin(stage);
            }
            return Ok(());
        }
        self.drain(stage);
        let Some(attempt) = &self.current else { return Ok(()) };
        if !stage.net.socket(attempt.socket).down_closed || !stage.net.socket(attempt.socket).down.is_empty()
        {
            return Ok(());
        }
        let attempt = self.current.take().expect("looked at above");
        stage.net.socket(attempt.socket).up_closed = true;
        let whole = stage.net.socket(attempt.socket).farewell.is_some();
        attempt.judge(self.number, whole)
    }

    /// Reads what came.
    pub fn drain(&mut self, stage: &mut Stage) {
        if let Some(attempt) = &mut self.current {
            attempt.rx.extend(stage.net.socket(attempt.socket).down.drain(..));
            while let Ok(Some(heard)) = wire::hear(Version::V5, &mut attempt.rx, 1 << 28) {
                if let Heard::Disconnect(code) = heard {
                    attempt.code = Some(code);
                }
            }
        }
    }

    /// How the shard ended a connection.
    pub fn ended(&mut self, socket: SocketNo, ending: Ending) {
        if let Some(attempt) = self.current.as_mut().filter(|attempt| attempt.socket == socket) {
            attempt.ended = Some(ending);
        }
    }

    fn begin(&mut self, stage: &mut Stage) {
        let acceptor = ShardId(self.rng.below(usize::from(stage.plan.shards)) as u16);
        let deadline = stage.now.after_secs(u64::from(stage.plan.limits.connect_timeout_secs));
        let socket = stage.net.connect(Socket::accepted(None, acceptor, deadline, 100_000));
        let connected = self.rng.percent(75);
        let crime =
            if connected { *self.rng.pick(&AFTER_CONNECT) } else { *self.rng.pick(&INSTEAD_OF_CONNECT) };
        if crime.name == RAISED && !stage.plan.persistent {
            return; // every expiry is 0 then, whatever was asked for
        }
        stage.note(None, format!("rogue {} on {socket:?}: {}", self.number, crime.name));
        if connected {
            self.introduce(stage, socket);
        }
        stage.write(socket, crime.bytes, Mark::Packet);
        if self.rng.percent(20) {
            let junk: Vec<u8> = (0..self.rng.between(1, 40)).map(|_| self.rng.next() as u8).collect();
            stage.write(socket, &junk, Mark::Packet);
        }
        self.current = Some(Attempt { socket, crime, connected, rx: Vec::new(), code: None, ended: None });
    }

    /// CONNECT, and sometimes traffic that is in order.
    fn introduce(&mut self, stage: &mut Stage, socket: SocketNo) {
        let id = format!("rogue-{}", self.number);
        let connect = Connect {
            version: Version::V5,
            clean_start: true,
            keep_alive_secs: 0,
            client_id: if self.rng.percent(30) { "" } else { &id },
            will: None,
            user_name: None,
            password: None,
            properties: ConnectProperties::default(),
        };
        stage.write(socket, &wire::bytes(&Packet::Connect(connect), Version::V5), Mark::Packet);
        if self.rng.percent(40) {
            stage.write(socket, &wire::bytes(&Packet::PingReq, Version::V5), Mark::Packet);
            let innocent = Published {
                dup: false,
                qos: QoS::AtMostOnce,
                retain: false,
                topic: "$nobody/listens",
                alias: None,
                expiry_secs: None,
                packet_id: None,
                passed_on: &[],
                ids: &[],
                payload: b"",
            };
            stage.write(socket, &wire::publish(Version::V5, &innocent), Mark::Packet);
        }
    }
}

impl Attempt {
    fn judge(&self, number: usize, whole: bool) -> Result<(), Fault> {
        let text = format!(
            "rogue {number} on {:?}, {}: ended {:?}, told {:02x?}, expected one of {:02x?}",
            self.socket, self.crime.name, self.ended, self.code, self.crime.codes
        );
        // What the socket did not take at the last flush cannot be read.
        let told = !whole || self.code.is_some_and(|code| self.crime.codes.contains(&code));
        // Its own next connection may come first.
        let overtaken =
            self.ended == Some(Ending::TakenOver) || self.code == Some(ReasonCode::SessionTakenOver as u8);
        let right = !self.connected || overtaken || (self.ended == Some(Ending::Violation) && told);
        if right { Ok(()) } else { Err(Fault::general("a violation is answered with its reason", text)) }
    }
}
