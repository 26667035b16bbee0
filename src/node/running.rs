//! The node as the control thread sees it: start, install, listen, report, stop. Every call waits for the shards and
//! must not be made from one of theirs.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use glommio::ExecutorJoinHandle;

use super::clock::Clock;
use super::driver::DriverConfig;
use super::mesh::{CAPACITY, Switchboard, mesh};
use super::order::{Order, Question, Reply};
use super::passwords::Pool;
use super::probe::{ProbeError, explain, probe};
use super::report::Report;
use super::{entropy, executor};
use crate::net::{Bound, RingError, Seats, Speech};
use crate::policy::{Limits, Rejection, Rejections, Snapshot, TraceSet};
use crate::routing::{Homes, ShardId};
use crate::shard::{Aftermath, Message, Shard, ShardConfig, Traced};

/// Rejections of either kind that are kept, for all shards together.
const REJECTIONS: usize = 1_000;

/// Records of packets that may wait for whoever reads them.
const TRACED: usize = 8_192;

/// What a node is made of.
#[derive(Debug)]
pub struct NodeConfig {
    /// How many shards.
    pub shards: u16,
    /// The cores they are pinned to, in turn; none named: all there are.
    pub cores: Vec<usize>,
    /// Key of the homes' hash, from the data directory.
    pub home_key: [u8; 16],
    /// What everything is judged by.
    pub snapshot: Arc<Snapshot>,
    /// Listeners, each bound for as many shards as there are.
    pub listeners: Vec<Bound>,
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The machine does not offer what it takes.
    #[error(transparent)]
    Machine(#[from] ProbeError),
    /// A listener was bound for another number of shards.
    #[error("listener {listener} has {sockets} sockets for {shards} shards")]
    Listener {
        /// Its index.
        listener: u16,
        /// Sockets it has.
        sockets: usize,
        /// Shards there are.
        shards: u16,
    },
    /// A shard's thread or executor could not be made.
    #[error("shard {shard} could not be started: {cause}")]
    Executor {
        /// Which shard.
        shard: u16,
        /// What was said.
        cause: String,
    },
    /// Something else the system refused.
    #[error("{attempt} failed: {source}")]
    System {
        /// What was tried.
        attempt: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// That every shard judges by a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// How long it took until the last of them did.
    pub took: Duration,
    /// After how long each did.
    pub shards: Vec<(ShardId, Duration)>,
}

/// What [`Node::rejections`] tells.
#[derive(Clone, Debug)]
pub struct RecentRejections {
    /// Ascending by number. What shards have left out of a flood is counted by each
    /// ([`Counters::rejections_left_out`](crate::shard::Counters)).
    pub rejections: Vec<Rejection>,
    /// The number to ask with next.
    pub last: u64,
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    switchboard: Arc<Switchboard<Message>>,
    executors: Vec<ExecutorJoinHandle<()>>,
    seats: Arc<Seats>,
    open_files: u64,
    homes: Homes,
    /// What the shards have handed over.
    rejections: Mutex<Rejections>,
    /// Records of packets that nobody has read.
    traced: Receiver<Traced>,
    /// Dropped when no shard is there to ask it.
    passwords: Pool,
}

impl Node {
    /// Starts every shard and lets it accept. Fails as a whole: then nothing runs.
    pub fn start(config: NodeConfig) -> Result<Node, StartError> {
        let NodeConfig { shards, cores, home_key, snapshot, listeners } = config;
        let machine = probe(shards, &cores)?;
        let cores = if cores.is_empty() { machine.cores } else { cores };
        if let Some(odd) = listeners.iter().find(|bound| bound.sockets.len() != usize::from(shards)) {
            let (listener, sockets) = (odd.listener, odd.sockets.len());
            return Err(StartError::Listener { listener, sockets, shards });
        }
        let (ports, switchboard) = mesh(shards, CAPACITY)
            .map_err(|source| StartError::System { attempt: "making the doorbells", source })?;
        let seats = Arc::new(Seats::new(connections(&snapshot.limits, machine.open_files)));
        let open_files = machine.open_files;
        let (executors, homes) = (Vec::new(), Homes::new(home_key, shards));
        let clock = Clock::start();
        let switchboard = Arc::new(switchboard);
        let passwords = Pool::start(cores.len(), &switchboard, clock)
            .map_err(|source| StartError::System { attempt: "starting a thread", source })?;
        let rejections = Mutex::new(Rejections::keeping(REJECTIONS));
        let (to_trace, traced) = bounded(TRACED);
        let mut node = Node {
            switchboard,
            executors,
            seats: Arc::clone(&seats),
            open_files,
            homes,
            rejections,
            traced,
            passwords,
        };
        let mut starting = Vec::new();
        for port in ports {
            let id = port.me();
            let seed = entropy::seeds()
                .map_err(|source| StartError::System { attempt: "reading random numbers", source })?;
            let snapshot = Arc::clone(&snapshot);
            let shard = ShardConfig {
                id,
                shards,
                home_key,
                seed,
                snapshot,
                now: clock.now(),
                unix_zero_micros: clock.unix_zero_micros(),
            };
            let core = cores[id.index() % cores.len()];
            let (ready, started) = bounded(1);
            let checks = node.passwords.checks();
            let (seats, traced) = (Arc::clone(&seats), to_trace.clone());
            let config = DriverConfig { shard, port, seats, checks, traced, clock, core };
            let executor = executor::spawn(config, ready).map_err(|error| not_started(id, &error))?;
            node.executors.push(executor);
            starting.push(started);
        }
        node.await_start(starting, shards)?;
        for bound in listeners {
            node.listen(bound);
        }
        Ok(node)
    }

    /// Waits until every shard makes its turns.
    fn await_start(
        &mut self,
        starting: Vec<Receiver<Result<(), RingError>>>,
        shards: u16,
    ) -> Result<(), StartError> {
        for (shard, started) in self.switchboard.shards().zip(starting) {
            match started.recv() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(explain(error.into_os_error(), shards).into()),
                Err(_) => {
                    // It ended without a word: the executor knows why.
                    let result = self.executors.remove(shard.index()).join();
                    let error = result.expect_err("a shard that ends well has said that it started");
                    return Err(not_started(shard, &error));
                }
            }
        }
        Ok(())
    }

    /// Gives every shard the snapshot; returns when all judge by it, and how long that took.
    pub fn install(&self, snapshot: Arc<Snapshot>) -> Installed {
        let start = Instant::now();
        self.seats.set_limit(connections(&snapshot.limits, self.open_files));
        let answers = self.put(|_, reply| Order::Install(Arc::clone(&snapshot), reply));
        let mut shards: Vec<_> = answers.iter().map(|shard| (shard, start.elapsed())).collect();
        shards.sort_by_key(|(shard, _)| *shard);
        Installed { took: start.elapsed(), shards }
    }

    /// Waits until every shard has judged everybody by the snapshot that was installed last, which takes a while where
    /// there are very many, and tells whom that put out and what it took from whom.
    pub fn swept(&self) -> Aftermath {
        let mut all = Aftermath::default();
        self.ask(|_, reply| Order::Swept(reply)).into_iter().for_each(|one| all.add(one));
        all
    }

    /// Accepts on a new listener. It must be bound for as many shards as there are.
    pub fn listen(&self, bound: Bound) {
        let Bound { listener, speech, sockets, .. } = bound;
        let mut sockets = sockets.into_iter();
        self.ask(|_, reply| {
            let socket = sockets.next().expect("a listener has a socket for each shard");
            Order::Listen(listener, speech.clone(), socket, reply)
        });
    }

    /// Changes how new clients of a listener speak, on the port that stays bound. Its connections stay as they are.
    pub fn change_speech(&self, listener: u16, speech: &Speech) {
        self.ask(|_, reply| Order::Speech(listener, speech.clone(), reply));
    }

    /// Stops accepting for a listener. Its connections stay.
    pub fn unlisten(&self, listener: u16) {
        self.ask(|_, reply| Order::Unlisten(listener, reply));
    }

    /// What every shard tells of itself.
    pub fn reports(&self) -> Vec<Report> {
        let mut reports = self.ask(|_, reply| Order::Report(reply));
        reports.sort_by_key(|report| report.shard);
        reports
    }

    /// Who was not let in or was put out, and what clients were refused: the last few of either kind with a number above
    /// `since`, in the order of their numbers. 0: all that are known.
    pub fn rejections(&self, since: u64) -> RecentRejections {
        let mut fresh = self.ask(|_, reply| Order::Rejections(reply)).concat();
        fresh.sort_by_key(|rejection| rejection.unix_micros);
        let mut known = self.rejections.lock().unwrap_or_else(PoisonError::into_inner);
        fresh.into_iter().for_each(|rejection| known.push(rejection));
        RecentRejections { rejections: known.since(since), last: known.last() }
    }

    /// From now on these packets are traced, on every shard; `None`: none. Clients that are not connected yet are meant
    /// too.
    pub fn trace(&self, set: Option<&Arc<TraceSet>>) {
        for shard in self.shard_ids() {
            let set = set.cloned();
            self.ask_one(shard, move |shard| shard.set_trace(set));
        }
    }

    /// Where the records of traced packets are read, in the order of each shard. Each is read once, whoever reads. If
    /// nobody does, the oldest wait and what comes then is only counted
    /// ([`Counters::trace_dropped`](crate::shard::Counters)). It ends with the node.
    pub fn traced(&self) -> Receiver<Traced> {
        self.traced.clone()
    }

    /// Publishes messages below `$SYS/`, each a topic and what it retains from now on; an empty one clears. Returns when
    /// every topic's home has them, so that there are never more under way than one call gives.
    pub fn publish(&self, messages: Vec<(String, String)>) {
        let mut by_home = vec![Vec::new(); self.executors.len()];
        for message in messages {
            by_home[self.homes.of(message.0.as_bytes()).index()].push(message);
        }
        self.ask(|home, reply| Order::Publish(std::mem::take(&mut by_home[home.index()]), reply));
    }

    /// Connections open now, those that have not said CONNECT included.
    pub fn connections(&self) -> u32 {
        self.seats.taken()
    }

    /// Stops in order: accepting ends, every client is told, their sockets get about a second to close. Returns when
    /// every shard has ended.
    pub fn stop(self) {
        drop(self);
    }

    pub(super) fn shard_ids(&self) -> impl ExactSizeIterator<Item = ShardId> + use<> {
        (0..self.executors.len()).map(|shard| ShardId(shard as u16))
    }

    /// Where a client, or a topic, lives.
    pub(super) fn home_of(&self, name: &str) -> ShardId {
        self.homes.of(name.as_bytes())
    }

    /// Asks one shard and waits for its answer. `None`: it has ended.
    pub(super) fn ask_one<T: Send + 'static>(
        &self,
        shard: ShardId,
        ask: impl FnOnce(&mut Shard) -> T + Send + 'static,
    ) -> Option<T> {
        let (reply, answer) = bounded(1);
        self.switchboard.order(shard, Order::Ask(Question::new(ask, Reply(reply))));
        answer.recv().ok()
    }

    /// Asks every shard and waits for their answers, in no order. A shard that has ended gives none.
    fn ask<T>(&self, order: impl FnMut(ShardId, Reply<T>) -> Order) -> Vec<T> {
        self.put(order).iter().collect()
    }

    /// Asks every shard. The answers end when each has given its own, or has ended.
    fn put<T>(&self, mut order: impl FnMut(ShardId, Reply<T>) -> Order) -> Receiver<T> {
        let (reply, answers) = bounded(self.executors.len());
        for shard in self.switchboard.shards() {
            self.switchboard.order(shard, order(shard, Reply(reply.clone())));
        }
        answers
    }
}

impl Drop for Node {
    /// Also when a start fails half way: the shards that run must not stay.
    fn drop(&mut self) {
        for shard in self.switchboard.shards() {
            self.switchboard.order(shard, Order::Stop);
        }
        for executor in self.executors.drain(..) {
            // An executor that failed has nothing left to stop.
            let _ = executor.join();
        }
    }
}

/// How many connections the node may hold: as configured, else nine tenths of the descriptors.
fn connections(limits: &Limits, open_files: u64) -> u32 {
    match limits.connections {
        0 => u32::try_from(open_files / 10 * 9).unwrap_or(u32::MAX),
        connections => connections,
    }
}

fn not_started(shard: ShardId, error: &impl std::fmt::Display) -> StartError {
    StartError::Executor { shard: shard.0, cause: error.to_string() }
}
