//! The world: shards and clients, and the scheduler that draws what happens next.

use std::sync::Arc;
use std::time::Duration;

use tidemq::policy::{Generation, Snapshot};
use tidemq::routing::ShardId;
use tidemq::shard::{Shard, ShardConfig, client_home};
use tidemq::time::Time;

use crate::client::Client;
use crate::history::{ClientNo, Event, Fault, SocketNo};
use crate::net::{Mark, Net, Place, Reading};
use crate::node::{Happening, Node, Turn};
use crate::operator::Order;
use crate::oracle::{Oracle, Rules};
use crate::plan::{Character, Plan};
use crate::rng::Rng;
use crate::rogue::Rogue;
use crate::stage::Stage;

const HOME_KEY: [u8; 16] = *b"simulated homes!";

/// Everything of one seed.
pub struct World {
    pub stage: Stage,
    pub nodes: Vec<Node>,
    pub clients: Vec<Client>,
    pub rogues: Vec<Rogue>,
    scheduler: Rng,
    network: Rng,
    seed: u64,
    pub steps: usize,
}

impl World {
    /// The world of a seed, before its first step.
    pub fn new(seed: u64, plan: Plan) -> World {
        let shards = usize::from(plan.shards);
        let net = Net::new(shards, plan.link_capacity);
        let oracle = Oracle::new(Rules { may_drop: plan.may_drop });
        let mut stage = Stage::new(plan.clone(), net, oracle, Rng::salted(seed, "clients"));
        let mut characters = Rng::salted(seed, "characters");
        let clients = (0..plan.clients)
            .map(|number| {
                let no = stage.oracle.add_client();
                Client::new(no, format!("client-{number}"), Character::draw(&mut characters))
            })
            .collect();
        let snapshot = Arc::new(snapshot(&plan, 1, &plan.limits));
        let mut seeds = Rng::salted(seed, "shards");
        let nodes = (0..plan.shards)
            .map(|id| {
                let config = ShardConfig {
                    id: ShardId(id),
                    shards: plan.shards,
                    home_key: HOME_KEY,
                    seed: std::array::from_fn(|_| seeds.next()),
                    snapshot: Arc::clone(&snapshot),
                    now: stage.now,
                    unix_zero_micros: 0,
                };
                let bytes = plan.limits.connect_packet_bytes as usize;
                let mut shard = Shard::new(config);
                shard.set_pace(plan.pace);
                Node::new(shard, ShardId(id), plan.shards, HOME_KEY, bytes)
            })
            .collect();
        let rogues = (0..plan.rogues).map(|number| Rogue::new(number, Rng::salted(seed, "rogues"))).collect();
        World {
            stage,
            nodes,
            clients,
            rogues,
            scheduler: Rng::salted(seed, "scheduler"),
            network: Rng::salted(seed, "network"),
            seed,
            steps: 0,
        }
    }

    /// A turn of one shard, and what it did.
    pub fn turn(&mut self, index: usize) -> Result<(), Fault> {
        self.collect_accepted();
        let mut log = Vec::new();
        let mut turn = Turn {
            net: &mut self.stage.net,
            rng: &mut self.network,
            now: self.stage.now,
            log: &mut log,
            hurry: self.stage.calm,
        };
        self.nodes[index].turn(&mut turn);
        for happening in log {
            self.happened(happening)?;
        }
        Ok(())
    }

    /// New connections go to the driver that accepted them.
    fn collect_accepted(&mut self) {
        for no in self.stage.net.fresh().map(SocketNo) {
            if let Place::Accepting(shard) = self.stage.net.socket(no).place {
                self.nodes[usize::from(shard.0)].accepting.push(no);
            }
        }
    }

    fn happened(&mut self, happening: Happening) -> Result<(), Fault> {
        match happening {
            Happening::Handed(socket, mark) => {
                let Some(client) = self.stage.net.socket(socket).client else { return Ok(()) };
                let event = match mark {
                    Mark::Connect(connect) => Event::ConnectHanded { client, socket, connect },
                    Mark::Disconnect(disconnect) => Event::DisconnectHanded { client, socket, disconnect },
                    Mark::Ping | Mark::Packet => Event::PacketHanded { client, socket },
                };
                self.stage.tell(Some(client), event)
            }
            Happening::Ended(socket, ending) => {
                let Some(client) = self.stage.net.socket(socket).client else {
                    self.rogues.iter_mut().for_each(|rogue| rogue.ended(socket, ending));
                    return Ok(());
                };
                self.stage.tell(Some(client), Event::Ended { client, socket, ending })
            }
            Happening::Resumed(socket) => {
                let Some(client) = self.stage.net.socket(socket).client else { return Ok(()) };
                self.stage.tell(Some(client), Event::Resumed { client, socket })
            }
            Happening::Note(client, text) => {
                self.stage.note(client, text);
                Ok(())
            }
            Happening::Wrong(client, text) => Err(Fault { rule: "the shard's contract", client, text }),
        }
    }

    /// The shards whose driver has a reason not to sleep.
    fn due(&mut self) -> Vec<usize> {
        self.collect_accepted();
        let (net, now) = (&self.stage.net, self.stage.now);
        (0..self.nodes.len()).filter(|index| self.nodes[*index].is_due(net, now)).collect()
    }

    fn readers(&self) -> Vec<usize> {
        (0..self.clients.len()).filter(|index| self.clients[*index].can_read(&self.stage)).collect()
    }

    /// One thing happens: what, is drawn from the step's number. So a step draws the same, whichever steps were
    /// left out before it.
    pub fn step(&mut self, number: u64) -> Result<(), Fault> {
        self.steps += 1;
        self.draw_anew(number);
        self.operate(number);
        let due = self.due();
        let readers = self.readers();
        if due.is_empty() && readers.is_empty() && self.scheduler.percent(50) {
            self.idle()?;
            return self.pass_time_or_act();
        }
        match self.scheduler.weighted(&[55, 25, 14, 3, 2, 1]) {
            0 if !due.is_empty() => {
                let index = self.scheduler.below(due.len());
                self.turn(due[index])
            }
            1 if !readers.is_empty() => {
                let reader = readers[self.scheduler.below(readers.len())];
                let most =
                    if self.scheduler.percent(60) { usize::MAX } else { self.scheduler.between(1, 200) };
                self.clients[reader].read(&mut self.stage, most)
            }
            2 => self.act(),
            3 => {
                self.stage.now = self.stage.now + Duration::from_micros(self.scheduler.below(30_000) as u64);
                self.tick();
                Ok(())
            }
            4 => self.rogue(),
            // A turn for no reason: the driver's life timer.
            5 if self.scheduler.percent(30) => {
                let index = self.scheduler.below(self.nodes.len());
                self.turn(index)
            }
            _ => Ok(()),
        }
    }

    /// All that is open from here on is drawn from `number`.
    pub fn draw_anew(&mut self, number: u64) {
        let salt = self.seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.scheduler = Rng::salted(salt, "scheduler");
        self.network = Rng::salted(salt, "network");
        self.stage.rng = Rng::salted(salt, "clients");
    }

    fn act(&mut self) -> Result<(), Fault> {
        if self.stage.plan.installs && self.scheduler.once_in(150) {
            self.install();
        }
        let client = self.scheduler.below(self.clients.len());
        self.clients[client].act(&mut self.stage)
    }

    fn rogue(&mut self) -> Result<(), Fault> {
        if self.rogues.is_empty() {
            return Ok(());
        }
        let rogue = self.scheduler.below(self.rogues.len());
        self.rogues[rogue].act(&mut self.stage)
    }

    fn pass_time_or_act(&mut self) -> Result<(), Fault> {
        match self.scheduler.weighted(&[80, 14, 5, 1]) {
            0 => return self.act(),
            1 => self.stage.now = self.stage.now + Duration::from_millis(self.scheduler.below(3_000) as u64),
            2 => {
                let deadline = self.nodes.iter().filter_map(|node| node.shard.deadline()).min();
                if let Some(deadline) = deadline.filter(|d| *d != Time::NEVER) {
                    self.stage.now = self.stage.now.max(deadline);
                }
            }
            _ => {
                let secs = *self.scheduler.pick(&[8, 31, 130, 4_000]);
                self.stage.now = self.stage.now.after_secs(secs);
            }
        }
        self.tick();
        Ok(())
    }

    fn tick(&mut self) {
        for client in &mut self.clients {
            client.tick(&mut self.stage);
        }
    }

    /// Another snapshot, at every shard at its own time.
    fn install(&mut self) {
        let generation = self.stage.stamp;
        let mut limits = self.stage.plan.limits.clone();
        limits.inflight_messages = *self.scheduler.pick(&[1, 3, 50]);
        let snapshot = Arc::new(snapshot(&self.stage.plan, generation, &limits));
        self.stage.note(None, format!("installs generation {generation}"));
        for node in &mut self.nodes {
            node.install.push_back(Arc::clone(&snapshot));
        }
    }

    /// Whoever runs the broker looks at it all the while, and seldom puts somebody out. Drawn apart from the rest: what
    /// the clients do stays the same.
    fn operate(&mut self, number: u64) {
        let salt = self.seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut rng = Rng::salted(salt, "operator");
        if !rng.once_in(12) {
            return;
        }
        let client = &self.clients[rng.below(self.clients.len())];
        let order = Order::draw(&mut rng, &client.id);
        let home = match &order {
            Order::Kick(client_id) => {
                self.stage.note(Some(client.no), "is to be kicked".to_owned());
                client_home(&HOME_KEY, self.nodes.len() as u16, client_id).index()
            }
            _ => rng.below(self.nodes.len()),
        };
        self.nodes[home].orders.push_back(order);
    }

    /// Nothing is on its way: what is owed must have come, nobody is paused, all credit is back.
    pub fn idle(&mut self) -> Result<(), Fault> {
        let stage = &self.stage;
        let lagging: Vec<ClientNo> =
            self.clients.iter().filter(|c| c.is_lagging(stage)).map(|c| c.no).collect();
        for client in self.clients.iter().filter(|c| !lagging.contains(&c.no)) {
            client.check_answered()?;
        }
        for (index, node) in self.nodes.iter().enumerate() {
            let census = node.shard.census();
            if census.credit_messages != 0 || census.credit_bytes != 0 || census.work != 0 {
                return Err(Fault::general(
                    "credit comes back",
                    format!("shard {index}, all idle: {census:?}"),
                ));
            }
            let nobody_waits = lagging.is_empty() && self.clients.iter().all(Client::is_up);
            if nobody_waits && (census.replays != 0 || census.cursors != 0 || census.joins != 0) {
                return Err(Fault::general(
                    "replays and joins end",
                    format!("shard {index}, all idle: {census:?}"),
                ));
            }
        }
        // Who does not read what waits for it is not read either.
        let excused = |client: Option<ClientNo>| client.is_none_or(|no| lagging.contains(&no));
        let drops = self.nodes.iter().map(|node| node.shard.counters().drops);
        if drops.map(|drops| drops.output_full + drops.backlog_full).sum::<u64>() > 0 {
            self.stage.oracle.excuse_losses();
        }
        let stage = &self.stage;
        let paused = stage.net.sockets.iter().position(|s| {
            s.reading != Reading::Armed && s.place != Place::Gone && !s.blocked && !excused(s.client)
        });
        if let Some(socket) = paused {
            let client = stage.net.sockets[socket].client;
            let text = format!("socket {socket} is paused although nothing is under way");
            return Err(Fault { rule: "a pause ends", client, text });
        }
        self.stage.tell(None, Event::Idle { lagging })
    }

    /// Runs without mischief until nothing is on its way.
    pub fn run_until_quiet(&mut self) -> Result<(), Fault> {
        self.stage.calm = true;
        self.stage.net.sockets.iter_mut().for_each(|socket| socket.down_capacity = 1 << 20);
        for _ in 0..200_000 {
            for index in 0..self.clients.len() {
                if self.clients[index].can_read(&self.stage) {
                    self.clients[index].read(&mut self.stage, usize::MAX)?;
                }
                self.clients[index].acknowledge_all(&mut self.stage)?;
            }
            for rogue in &mut self.rogues {
                rogue.drain(&mut self.stage);
            }
            let due = self.due();
            for index in &due {
                self.turn(*index)?;
            }
            if due.is_empty() && self.readers().is_empty() {
                return Ok(());
            }
        }
        let due: Vec<String> =
            self.due().into_iter().map(|i| self.nodes[i].describe(&self.stage.net)).collect();
        Err(Fault::general("the broker comes to rest", format!("200,000 rounds and still busy: {due:?}")))
    }

    /// Every shard is told to stop.
    pub fn stop(&mut self) -> Result<(), Fault> {
        self.stage.tell(None, Event::Stopped)?;
        self.nodes.iter_mut().for_each(|node| node.stop = true);
        self.run_until_quiet()?;
        for (index, node) in self.nodes.iter().enumerate() {
            if node.connections() > 0 {
                return Err(Fault::general(
                    "stop closes everything",
                    format!("shard {index}: {}", node.connections()),
                ));
            }
        }
        Ok(())
    }
}

fn snapshot(plan: &Plan, generation: u64, limits: &tidemq::policy::Limits) -> Snapshot {
    Snapshot {
        generation: Generation(generation),
        limits: limits.clone(),
        persistent_sessions: plan.persistent,
        ..Snapshot::default()
    }
}
