//! Plays a script: each step is performed, the shards run until nothing moves, and the model judges.

use std::collections::VecDeque;
use std::num::{NonZeroU16, NonZeroU32};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tidemq::mqtt::property::Property;
use tidemq::mqtt::{Packet, QoS, Version};
use tidemq::policy::{Generation, Limits as Policy, Snapshot};
use tidemq::routing::ShardId;
use tidemq::shard::{Shard, ShardConfig};
use tidemq::time::Time;

use super::peer::{Link, Packets, Peer, forbidden_publish};
use super::script::{Act, Connect, Crime, Publish, Setting, Step};
use crate::faults::Saboteur;
use crate::history::{ClientNo, Fault, SocketNo};
use crate::model::{LATE_MICROS, Met, Model, Told};
use crate::net::{Mark, Net, Place, Socket};
use crate::node::{Happening, Node, Turn};
use crate::rng::Rng;
use crate::wire::{self, Heard, Text};

const HOME_KEY: [u8; 16] = *b"simulated homes!";
/// Rounds after which a step that has not come to rest never will.
const ROUNDS: usize = 20_000;
/// Steps whose lines are kept for a failure.
const TAIL: usize = 25;

/// How a script went.
pub struct Play {
    /// Steps that were performed: some make no sense where they stand.
    pub steps: usize,
    /// The index of the last step.
    pub at: usize,
    pub met: Met,
    pub fault: Option<Fault>,
    /// What happened last, oldest first.
    pub tail: Vec<String>,
}

struct Stage {
    net: Net,
    nodes: Vec<Node>,
    peers: Vec<Peer>,
    model: Model,
    now: Time,
    persistent: bool,
    rng: Rng,
    saboteur: Option<Saboteur>,
    lines: VecDeque<Vec<String>>,
}

/// Performs `script` until it ends or the broker and the model differ.
pub fn play(setting: &Setting, script: &[Step], saboteur: Option<Saboteur>) -> Play {
    let mut stage = Stage::new(setting, saboteur);
    let mut steps = 0;
    for (at, step) in script.iter().enumerate() {
        stage.begin(at, step);
        let performed = catch_unwind(AssertUnwindSafe(|| stage.step(step)));
        match performed.unwrap_or_else(|panic| Err(Fault::panicked(&*panic))) {
            Ok(performed) => steps += usize::from(performed),
            Err(fault) => {
                let tail = stage.lines.into_iter().flatten().collect();
                return Play { steps, at, met: stage.model.met, fault: Some(fault), tail };
            }
        }
    }
    Play { steps, at: script.len(), met: stage.model.met, fault: None, tail: Vec::new() }
}

impl Stage {
    fn new(setting: &Setting, saboteur: Option<Saboteur>) -> Stage {
        let limits = Policy {
            inflight_messages: setting.limits.inflight as u16,
            receive_maximum: setting.limits.receive_maximum as u16,
            session_expiry_maximum_secs: setting.limits.expiry_maximum_secs,
            packet_bytes: setting.limits.packet_bytes,
            // Who does not read is not closed for it: that is the other simulation's.
            output_stall_secs: u16::MAX,
            ..Policy::default()
        };
        let connect_bytes = limits.connect_packet_bytes as usize;
        let persistent_sessions = setting.limits.persistent;
        let snapshot = Arc::new(Snapshot {
            generation: Generation(1),
            limits,
            persistent_sessions,
            ..Snapshot::default()
        });
        let now = Time(1_000_000);
        let mut seeds = Rng::salted(setting.seed, "shards");
        let nodes = (0..setting.shards)
            .map(|id| {
                let config = ShardConfig {
                    id: ShardId(id),
                    shards: setting.shards,
                    home_key: HOME_KEY,
                    seed: std::array::from_fn(|_| seeds.next()),
                    snapshot: Arc::clone(&snapshot),
                    now,
                    unix_zero_micros: 0,
                };
                let mut shard = Shard::new(config);
                shard.set_pace(setting.pace);
                Node::new(shard, ShardId(id), setting.shards, HOME_KEY, connect_bytes)
            })
            .collect();
        Stage {
            net: Net::new(usize::from(setting.shards), setting.link_capacity),
            nodes,
            peers: (0..setting.clients).map(Peer::new).collect(),
            model: Model::new(setting.limits, now),
            now,
            persistent: setting.limits.persistent,
            rng: Rng::salted(setting.seed, "step"),
            saboteur,
            lines: VecDeque::new(),
        }
    }

    fn begin(&mut self, index: usize, step: &Step) {
        self.rng = Rng::salted(step.salt, "step");
        if self.lines.len() == TAIL {
            self.lines.pop_front();
        }
        let line = format!("{index}: {:.6}s client {} {:?}", self.now.0 as f64 / 1e6, step.client, step.act);
        self.lines.push_back(vec![line]);
    }

    fn note(&mut self, line: String) {
        if let Some(lines) = self.lines.back_mut() {
            lines.push(format!("      {line}"));
        }
    }

    /// False: it makes no sense here and was not performed.
    fn step(&mut self, step: &Step) -> Result<bool, Fault> {
        let client = step.client;
        if self.peers[client].repeats {
            self.model.begin_step();
            let packets = self.peers[client].repeat();
            self.write(client, packets);
            self.settle()?;
        }
        self.model.begin_step();
        if !self.perform(client, &step.act)? {
            return Ok(false);
        }
        self.settle()?;
        Ok(true)
    }

    fn perform(&mut self, client: usize, act: &Act) -> Result<bool, Fault> {
        if let Act::Wait { secs } = act {
            return self.wait(*secs).map(|()| true);
        }
        if let Act::Connect(connect) = act {
            let packets = self.connect(client, connect);
            self.write(client, packets);
            return Ok(true);
        }
        let accepted = self.peers[client].link.as_ref().is_some_and(|link| link.accepted);
        match act {
            Act::Torn { act, arrives } => self.torn(client, act, *arrives),
            _ if !accepted => Ok(false),
            Act::Cut { read } => self.cut(client, *read).map(|()| true),
            Act::Stall { room } => {
                let link = self.peers[client].link.as_mut().expect("looked at above");
                link.reading = false;
                let socket = self.net.socket(link.socket);
                socket.down_capacity = socket.down.len() + room;
                Ok(true)
            }
            Act::Read { most } => self.read_some(client, *most).map(|()| true),
            _ => {
                let packets = self.packets(client, act);
                let any = !packets.0.is_empty();
                self.write(client, packets);
                if let Act::Disconnect { .. } = act {
                    let socket = self.peers[client].link.as_ref().expect("looked at above").socket;
                    self.net.socket(socket).up_closed = true;
                }
                Ok(any)
            }
        }
    }

    /// What an action writes.
    fn packets(&mut self, client: usize, act: &Act) -> Packets {
        let own = self.model.session_filters(ClientNo(client));
        let peer = &mut self.peers[client];
        match act {
            Act::Publish(publish, many) => peer.publish(publish, *many),
            Act::Subscribe { id, filters } => peer.subscribe(*id, filters),
            Act::Unsubscribe { of_its_own, other } => {
                let picked = of_its_own.filter(|_| !own.is_empty()).map(|n| own[n % own.len()].clone());
                peer.unsubscribe(picked.unwrap_or_else(|| other.clone()))
            }
            Act::Acknowledge { most, refuses } => peer.acknowledge(*most, *refuses),
            Act::Ping => {
                let version = peer.link.as_ref().map_or(Version::V5, |link| link.version);
                Packets(vec![(wire::bytes(&Packet::PingReq, version), Told::Ping)])
            }
            Act::Disconnect { with_will, expiry_secs } => disconnect(peer, *with_will, *expiry_secs),
            // Every expiry is 0 then, whatever was asked for.
            Act::Crime(Crime::RaisedExpiry) if !self.persistent => Packets(Vec::new()),
            Act::Crime(crime) => commit(peer, *crime),
            Act::Connect(_)
            | Act::Cut { .. }
            | Act::Torn { .. }
            | Act::Stall { .. }
            | Act::Read { .. }
            | Act::Wait { .. } => Packets(Vec::new()),
        }
    }

    fn connect(&mut self, client: usize, connect: &Connect) -> Packets {
        let acceptor = ShardId(self.rng.below(self.nodes.len()) as u16);
        let deadline = self.now.after_secs(10);
        let socket = self.net.connect(Socket::accepted(Some(ClientNo(client)), acceptor, deadline, 1 << 20));
        let peer = &mut self.peers[client];
        peer.repeats = false;
        let packets = peer.connect(connect);
        let old = peer.link.replace(Link::new(socket, connect));
        if let Some(link) = old {
            self.net.socket(link.socket).down_capacity = 1 << 20;
            peer.old.push(link);
        }
        packets
    }

    fn write(&mut self, client: usize, packets: Packets) {
        let Some(socket) = self.peers[client].link.as_ref().map(|link| link.socket) else { return };
        for (bytes, told) in packets.0 {
            self.note(format!("client {client} on {socket:?} writes {told:?}"));
            self.net.socket(socket).write(&bytes, Mark::Packet);
            self.model.told(ClientNo(client), socket, told);
        }
    }

    /// Writes an action's packets, of which only the beginning arrives before the connection breaks.
    fn torn(&mut self, client: usize, act: &Act, arrives: usize) -> Result<bool, Fault> {
        let packets = match act {
            Act::Connect(connect) => self.connect(client, connect),
            _ if self.peers[client].link.as_ref().is_none_or(|link| !link.accepted) => return Ok(false),
            act => self.packets(client, act),
        };
        let Some(link) = self.peers[client].link.take() else { return Ok(false) };
        let all: usize = packets.0.iter().map(|(bytes, _)| bytes.len()).sum();
        let mut left = all * arrives / 1_000;
        self.note(format!("{:?}: {left} of {all} bytes arrive", link.socket));
        for (bytes, told) in packets.0 {
            let kept = left.min(bytes.len());
            left -= kept;
            self.net.socket(link.socket).write(&bytes[..kept], Mark::Packet);
            if kept == bytes.len() {
                self.note(format!("whole: {told:?}"));
                self.model.told(ClientNo(client), link.socket, told);
            }
        }
        let kept = self.net.socket(link.socket).up.len();
        self.net.socket(link.socket).cut(kept);
        self.model.lost(ClientNo(client), link.socket, false);
        Ok(true)
    }

    fn cut(&mut self, client: usize, read: usize) -> Result<(), Fault> {
        let Some(link) = &self.peers[client].link else { return Ok(()) };
        let socket = link.socket;
        let down = self.net.socket(socket).down.len();
        self.read(client, down * read / 1_000)?;
        let Some(link) = self.peers[client].link.take() else { return Ok(()) };
        let kept = self.net.socket(socket).up.len();
        self.net.socket(socket).cut(kept);
        self.model.lost(ClientNo(client), socket, link.reading);
        Ok(())
    }

    fn read_some(&mut self, client: usize, most: Option<usize>) -> Result<(), Fault> {
        let Some(link) = self.peers[client].link.as_mut() else { return Ok(()) };
        let socket = link.socket;
        match most {
            None => {
                link.reading = true;
                self.net.socket(socket).down_capacity = 1 << 20;
                Ok(())
            }
            Some(most) => self.read(client, most).map(|_| ()),
        }
    }

    /// Time passes, from one thing that is due to the next.
    fn wait(&mut self, secs: u64) -> Result<(), Fault> {
        let until = self.now.after_secs(secs);
        if secs > 5 {
            for client in 0..self.peers.len() {
                self.read_some(client, None)?;
            }
            self.settle()?;
        }
        loop {
            // Over what is due, as far as it may be late; what is due meanwhile included.
            let due = self.model.next_deadline(until);
            let mut now = due.map_or(until, |due| Time(due.0.max(self.now.0) + LATE_MICROS));
            while let Some(last) = self.model.last_deadline(now).filter(|at| at.0 + LATE_MICROS > now.0) {
                now = Time(last.0 + LATE_MICROS);
            }
            self.now = self.now.max(now);
            self.model.begin_step();
            self.model.pass(self.now);
            self.settle()?;
            if self.now >= until {
                return Ok(());
            }
        }
    }

    /// Runs until nothing moves; then the model must agree that nothing is owed.
    fn settle(&mut self) -> Result<(), Fault> {
        for _ in 0..ROUNDS {
            for no in self.net.fresh().map(SocketNo) {
                if let Place::Accepting(shard) = self.net.socket(no).place {
                    self.nodes[usize::from(shard.0)].accepting.push(no);
                }
            }
            let due: Vec<usize> =
                (0..self.nodes.len()).filter(|i| self.nodes[*i].is_due(&self.net, self.now)).collect();
            if !due.is_empty() {
                let index = due[self.rng.below(due.len())];
                self.turn(index)?;
            }
            let mut read = false;
            for client in 0..self.peers.len() {
                read |= self.read(client, usize::MAX)?;
            }
            if due.is_empty() && !read {
                return self.at_rest();
            }
        }
        Err(Fault::general("the broker comes to rest", format!("{ROUNDS} rounds and still busy")))
    }

    fn turn(&mut self, index: usize) -> Result<(), Fault> {
        let mut log = Vec::new();
        let mut turn =
            Turn { net: &mut self.net, rng: &mut self.rng, now: self.now, log: &mut log, hurry: false };
        self.nodes[index].turn(&mut turn);
        if let Some(saboteur) = &mut self.saboteur {
            let links = self.peers.iter().filter_map(|peer| peer.link.as_ref());
            let aligned: Vec<SocketNo> = links.filter(|l| l.rx.is_empty()).map(|l| l.socket).collect();
            saboteur.tamper(&mut self.net, &aligned);
        }
        for happening in log {
            match happening {
                Happening::Wrong(client, text) => {
                    return Err(Fault { rule: "the shard's contract", client, text });
                }
                Happening::Note(_, text) => self.note(text),
                Happening::Handed(..) | Happening::Ended(..) | Happening::Resumed(_) => {}
            }
        }
        Ok(())
    }

    fn at_rest(&mut self) -> Result<(), Fault> {
        let peers = &self.peers;
        let reads = |socket: SocketNo| {
            let link = peers.iter().filter_map(|p| p.link.as_ref()).find(|link| link.socket == socket);
            link.is_none_or(|link| link.reading)
        };
        let judged = self.model.at_rest(reads);
        judged.map_err(|(client, text)| Fault { rule: "what is owed comes", client, text })?;
        for (index, node) in self.nodes.iter().enumerate() {
            let census = node.shard.census();
            if census.credit_messages != 0
                || census.credit_bytes != 0
                || census.work != 0
                || census.joins != 0
            {
                return Err(Fault::general(
                    "at rest nothing is under way",
                    format!("shard {index}: {census:?}"),
                ));
            }
        }
        Ok(())
    }

    /// Reads up to `most` bytes of a client's connections, if it reads (or is told how much). True: something came.
    fn read(&mut self, client: usize, most: usize) -> Result<bool, Fault> {
        let mut any = false;
        let sockets: Vec<(SocketNo, bool)> = {
            let peer = &self.peers[client];
            let old = peer.old.iter().map(|link| (link.socket, true));
            old.chain(peer.link.iter().map(|l| (l.socket, l.reading || most != usize::MAX))).collect()
        };
        for (no, reads) in sockets.into_iter().filter(|(_, reads)| *reads) {
            let socket = self.net.socket(no);
            let take = most.min(socket.down.len());
            let bytes: Vec<u8> = socket.down.drain(..take).collect();
            let over = socket.down_closed && socket.down.is_empty();
            any |= take > 0 || over;
            let Some(link) = self.peers[client].link_on(no) else { continue };
            debug_assert!(reads, "only who reads is given bytes");
            link.rx.extend(bytes);
            let version = link.version;
            while let Some(heard) = self.next_packet(client, no, version)? {
                self.hear(client, no, &heard)?;
            }
            if over {
                self.closed(client, no)?;
            }
        }
        Ok(any)
    }

    fn next_packet(&mut self, client: usize, no: SocketNo, version: Version) -> Result<Option<Heard>, Fault> {
        let Some(link) = self.peers[client].link_on(no) else { return Ok(None) };
        wire::hear(version, &mut link.rx, 1 << 28)
            .map_err(|text| Fault::of("a packet that no client can read", ClientNo(client), text))
    }

    fn hear(&mut self, client: usize, no: SocketNo, heard: &Heard) -> Result<(), Fault> {
        self.note(format!("client {client} on {no:?} reads {heard:?}"));
        let resumes = self.model.is_resumed(no);
        let judged = self.model.hear(no, heard);
        judged.map_err(|text| {
            Fault::of("what comes is what must come", ClientNo(client), format!("{text}: {heard:?}"))
        })?;
        self.peers[client].hear(no, heard);
        if let Heard::ConnAck(_) = heard
            && self.peers[client].link.as_ref().is_some_and(|link| link.socket == no)
        {
            self.peers[client].resumes(resumes);
        }
        Ok(())
    }

    fn closed(&mut self, client: usize, no: SocketNo) -> Result<(), Fault> {
        self.note(format!("client {client}: {no:?} is closed"));
        let socket = self.net.socket(no);
        socket.up_closed = true;
        // A socket that did not take all of the last flush cannot have told why.
        let whole = socket.farewell.is_some();
        let peer = &mut self.peers[client];
        let reading = whole && peer.link_on(no).is_none_or(|link| link.reading);
        peer.old.retain(|link| link.socket != no);
        peer.link = peer.link.take().filter(|link| link.socket != no);
        let judged = self.model.closed(no, reading);
        judged.map_err(|text| Fault::of("a connection ends for a reason", ClientNo(client), text))
    }
}

fn disconnect(peer: &Peer, with_will: bool, expiry_secs: Option<u32>) -> Packets {
    let Some(link) = &peer.link else { return Packets(Vec::new()) };
    let v5 = link.version == Version::V5;
    // To keep a session that was to end with the connection would be a crime.
    let expiry_secs = expiry_secs.filter(|_| v5 && link.asked_expiry != 0);
    let with_will = with_will && v5;
    let reason = if with_will {
        tidemq::mqtt::ReasonCode::DisconnectWithWill
    } else {
        tidemq::mqtt::ReasonCode::Success
    };
    let bytes = wire::disconnect(link.version, reason, expiry_secs);
    Packets(vec![(bytes, Told::Disconnect { with_will, expiry_secs })])
}

fn commit(peer: &mut Peer, crime: Crime) -> Packets {
    let Some(link) = peer.link.as_ref().filter(|link| link.version == Version::V5) else {
        return Packets(Vec::new());
    };
    let publish = Publish {
        topic: "t/0",
        qos: QoS::ExactlyOnce,
        retain: false,
        expiry_secs: None,
        passed_on: Text::default(),
        bytes: 10,
        alias: None,
    };
    match crime {
        Crime::AliasTooLarge => peer.crime(forbidden_publish(Property::TopicAlias(NonZeroU16::MAX)), 0x94),
        Crime::SubscriptionId => {
            peer.crime(forbidden_publish(Property::SubscriptionId(NonZeroU32::MIN)), 0x82)
        }
        Crime::Flood => peer.flood(&publish),
        Crime::TooLarge => {
            let mut bytes = vec![0x30, 0xFF, 0xFF, 0xFF, 0x7F];
            bytes.extend([0; 20]);
            peer.crime(bytes, 0x95)
        }
        Crime::SecondConnect => {
            let connect = vec![0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 5, 0, 0, 0, 0, 0, 0];
            peer.crime(connect, 0x82)
        }
        Crime::RaisedExpiry if link.asked_expiry == 0 => {
            peer.crime(vec![0xE0, 7, 0, 5, 0x11, 0, 0, 0, 9], 0x82)
        }
        Crime::RaisedExpiry => Packets(Vec::new()),
    }
}
