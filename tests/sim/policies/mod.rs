//! Policies that change at random while everything happens: rules, certificates, users, listeners, each shard at
//! its own time.
//!
//! The property: from the moment when a shard holds a generation, nothing of its clients is judged by an older one.
//! So every call of a shard is followed by a look at what it has put out, which is judged by the generation that the
//! shard holds at that very moment; what it takes in is judged by the generation that it held when it was given the
//! bytes, or by a later one if the connection was paused. And nobody is refused what is allowed.
//!
//! Everything else that holds of a broker is for the races and the model to say.

mod court;
mod decree;
mod line;
mod play;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use tidemq::routing::ShardId;
use tidemq::session::ConnId;
use tidemq::shard::{
    End, FLUSHES_PER_TURN, Message, Opened, Pace, PasswordCheck, PasswordOutcome, Shard, ShardConfig,
    client_home,
};
use tidemq::time::Time;

use crate::history::Fault;
use crate::rng::Rng;
use decree::{Decree, Identity, LISTENERS, Proof, certificate, stored};
use line::{Line, Mark, Person, Phase, Post, Stamp, Wish};

const HOME_KEY: [u8; 16] = *b"homes of clients";

/// What a run met: a rule that never applied was not proved.
#[derive(Clone, Copy, Debug, Default)]
pub struct Proved {
    pub deliveries: usize,
    pub publishes_refused: usize,
    pub subscribes_refused: usize,
    pub connects_refused: usize,
    /// Sessions that were kept from somebody else.
    pub sessions_kept: usize,
    pub closed_out: usize,
    pub expelled: u64,
    pub withdrawn: u64,
    pub refused_at_delivery: u64,
}

/// A shard and its driver.
struct Home {
    shard: Shard,
    /// Which of the decrees it holds.
    held: usize,
    orders: VecDeque<usize>,
    /// Connections that it has, and those of them that are to be closed.
    open: Vec<usize>,
    closing: Vec<usize>,
    checks: Vec<PasswordCheck>,
    awake: bool,
}

/// Everything of one seed.
struct World {
    rng: Rng,
    homes: Vec<Home>,
    links: Vec<Vec<VecDeque<Message>>>,
    people: Vec<Person>,
    lines: Vec<Line>,
    posts: Vec<Post>,
    decrees: Vec<Arc<Decree>>,
    delivered: HashSet<(usize, usize)>,
    now: Time,
    stamp: Stamp,
    /// No mischief any more.
    calm: bool,
    proved: Proved,
    /// What happened to whom.
    trace: Vec<(Stamp, usize, String)>,
}

impl World {
    fn note(&mut self, who: usize, text: String) {
        self.trace.push((self.stamp, who, text));
    }

    fn new(seed: u64, shards: Option<u16>) -> World {
        let mut rng = Rng::salted(seed, "policies");
        let shards = shards.unwrap_or(rng.between(1, 5) as u16);
        let clients = rng.between(2, 9);
        let decree = Arc::new(Decree::draw(&mut rng, 0, clients));
        let now = Time(1_000_000);
        let pace = Pace {
            appends_per_turn: *rng.pick(&[2, 3, 9, 4_096]),
            credit_messages: *rng.pick(&[1, 3, 4_096]),
            credit_bytes: *rng.pick(&[100, 16 << 20]),
            replay_batch: *rng.pick(&[1, 2, 64]),
            ..Pace::default()
        };
        let homes = (0..shards).map(|id| {
            let seed = std::array::from_fn(|_| rng.next());
            let snapshot = decree.snapshot.clone();
            let (id, home_key) = (ShardId(id), HOME_KEY);
            let mut shard =
                Shard::new(ShardConfig { id, shards, home_key, seed, snapshot, now, unix_zero_micros: 0 });
            shard.set_pace(pace);
            let (open, closing, checks) = (Vec::new(), Vec::new(), Vec::new());
            Home { shard, held: 0, orders: VecDeque::new(), open, closing, checks, awake: false }
        });
        let homes: Vec<Home> = homes.collect();
        let link = || (0..shards).map(|_| VecDeque::new()).collect();
        let links = (0..shards).map(|_| link()).collect();
        let people = (0..clients).map(|number| Person::draw(&mut rng, number, shards)).collect();
        World {
            rng,
            homes,
            links,
            people,
            lines: Vec::new(),
            posts: Vec::new(),
            decrees: vec![decree],
            delivered: HashSet::new(),
            now,
            stamp: 0,
            calm: false,
            proved: Proved::default(),
            trace: Vec::new(),
        }
    }

    fn some(&mut self, all: usize) -> usize {
        if self.calm || self.rng.percent(60) { all } else { self.rng.between(0, all) }
    }

    /// One call of a shard, and a look at what it did.
    fn call<T>(&mut self, home: usize, call: impl FnOnce(&mut Shard) -> T) -> Result<T, Fault> {
        let answer = call(&mut self.homes[home].shard);
        self.look(home)?;
        Ok(answer)
    }

    /// A turn of one shard, as its contract asks. Whether anything happened.
    fn turn(&mut self, home: usize) -> Result<bool, Fault> {
        let now = self.now;
        self.call(home, |shard| shard.handle_time(now))?;
        let mut kinds = [0, 1, 2, 3];
        self.rng.shuffle(&mut kinds);
        let mut busy = false;
        for kind in kinds {
            busy |= match kind {
                0 => self.take_batches(home)?,
                1 => self.take_bytes(home)?,
                2 => self.take_orders(home)?,
                _ => self.answer_checks(home)?,
            };
        }
        let awake = self.call(home, Shard::work)?;
        self.homes[home].awake = awake;
        for peer in 0..self.homes.len() {
            let batch = self.homes[home].shard.take_outbox(ShardId(peer as u16));
            busy |= !batch.is_empty();
            self.links[home][peer].extend(batch);
        }
        let fresh = self.homes[home].shard.take_password_checks();
        self.homes[home].checks.extend(fresh);
        busy |= self.flush(home)?;
        busy |= self.close(home)?;
        Ok(busy || awake || self.homes[home].shard.has_dirty())
    }

    fn take_batches(&mut self, home: usize) -> Result<bool, Fault> {
        let mut busy = false;
        for peer in 0..self.homes.len() {
            let count = self.some(self.links[peer][home].len());
            let batch: Vec<Message> = self.links[peer][home].drain(..count).collect();
            if !batch.is_empty() {
                busy = true;
                self.call(home, |shard| shard.handle_batch(ShardId(peer as u16), batch))?;
            }
        }
        Ok(busy)
    }

    fn take_bytes(&mut self, home: usize) -> Result<bool, Fault> {
        let mut busy = false;
        for line in self.homes[home].open.clone() {
            if self.homes[home].closing.contains(&line) || (!self.calm && self.rng.percent(20)) {
                continue;
            }
            if std::mem::take(&mut self.lines[line].blocked) {
                busy = true;
                let conn = self.lines[line].conn;
                self.call(home, |shard| shard.handle_writable(conn))?;
            }
            let all = if self.lines[line].paused { 0 } else { self.lines[line].up.len() };
            let count = self.some(all);
            if count > 0 {
                busy = true;
                self.give(home, line, count)?;
            }
            let l = &self.lines[line];
            let over = l.cut && (l.up.is_empty() || l.paused || self.calm);
            if over && !self.homes[home].closing.contains(&line) && (self.calm || self.rng.percent(50)) {
                busy = true;
                self.homes[home].open.retain(|open| *open != line);
                let conn = self.lines[line].conn;
                self.note(self.lines[line].who, format!("line {line} is cut"));
                // What was kept unread is read first, and what it puts out goes nowhere.
                self.homes[home].shard.handle_end(conn, End::Closed);
                self.ended(line, false);
                self.lines[line].phase = Phase::Over;
                self.look(home)?;
            }
        }
        Ok(busy)
    }

    fn give(&mut self, home: usize, line: usize, count: usize) -> Result<(), Fault> {
        let held = self.homes[home].held;
        let l = &mut self.lines[line];
        let bytes: Vec<u8> = l.up.drain(..count).collect();
        l.handed += count;
        let mut given = Vec::new();
        while l.marks.front().is_some_and(|(end, _)| *end <= l.handed) {
            given.extend(l.marks.pop_front().map(|(_, mark)| mark));
        }
        let (conn, proof, listener, who) = (l.conn, l.proof, l.listener, l.who);
        let decree = self.decrees[held].clone();
        let asked = &self.lines[line].asked;
        self.trace.push((self.stamp, who, format!("line {line} held {held} given {given:?} {asked:?}")));
        let before: Vec<String> = self.people[who].live().map(str::to_owned).collect();
        for mark in &given {
            match mark {
                Mark::Publish(post) => {
                    (self.posts[*post].span, self.posts[*post].handed) =
                        (Some((held, Some(held))), self.stamp);
                }
                Mark::Subscribe(id) => {
                    let l = &mut self.lines[line];
                    let Some((filters, span)) = l.asked.get_mut(id) else { continue };
                    *span = (held, Some(held));
                    // Whoever is put out does not come to it.
                    let takes = |filter: &&String| {
                        decree.accepts(proof, listener) && decree.may_subscribe(proof, filter)
                    };
                    for filter in filters.iter().filter(takes) {
                        self.people[who].subscribe(filter, true);
                    }
                }
                Mark::Other => {}
            }
        }
        self.call(home, |shard| shard.handle_bytes(conn, &bytes))?;
        // Some of it may be read by a later generation.
        if self.lines[line].paused {
            for mark in given {
                match mark {
                    Mark::Publish(post) => self.posts[post].span = Some((held, None)),
                    Mark::Subscribe(id) => {
                        if let Some((filters, span)) = self.lines[line].asked.get_mut(&id) {
                            *span = (held, None);
                            self.people[who].doubt(filters, &before);
                        }
                    }
                    Mark::Other => {}
                }
            }
        }
        Ok(())
    }

    fn take_orders(&mut self, home: usize) -> Result<bool, Fault> {
        let Some(order) = self.homes[home].orders.pop_front() else { return Ok(false) };
        let decree = self.decrees[order].clone();
        self.homes[home].held = order;
        self.stamp += 1;
        for who in (0..self.people.len()).filter(|who| self.people[*who].home == home).collect::<Vec<_>>() {
            self.people[who].withdraw(&decree, self.stamp);
            self.note(who, format!("install {order}, {:?}", self.people[who].subscriptions));
        }
        self.call(home, |shard| shard.install(decree.snapshot.clone()))?;
        Ok(true)
    }

    fn answer_checks(&mut self, home: usize) -> Result<bool, Fault> {
        if self.homes[home].checks.is_empty() || (!self.calm && self.rng.percent(50)) {
            return Ok(false);
        }
        let at = self.rng.below(self.homes[home].checks.len());
        let check = self.homes[home].checks.swap_remove(at);
        let number = check.user.trim_start_matches('c').parse().unwrap_or(usize::MAX);
        let right =
            check.exists && check.password.first().is_some_and(|v| check.stored == stored(number, *v));
        let outcome = if right { PasswordOutcome::Right } else { PasswordOutcome::Wrong };
        self.call(home, |shard| shard.handle_password(check.id, outcome))?;
        Ok(true)
    }

    fn flush(&mut self, home: usize) -> Result<bool, Fault> {
        let mut busy = false;
        for _ in 0..FLUSHES_PER_TURN {
            let Some(conn) = self.homes[home].shard.next_dirty() else { break };
            busy = true;
            let line = conn.index as usize;
            let all = self.homes[home].shard.output(conn).len();
            let count = self.some(all);
            self.lines[line].blocked = count < all;
            self.sent(line, count);
            self.call(home, |shard| shard.handle_sent(conn, count))?;
        }
        Ok(busy)
    }

    /// The client has these bytes now.
    fn sent(&mut self, line: usize, count: usize) {
        let l = &mut self.lines[line];
        l.seen -= count;
        l.sent += count;
        let whole = l.told.iter().take_while(|(end, _)| *end <= l.sent).count();
        let heard: Vec<_> = l.told.drain(..whole).collect();
        heard.into_iter().for_each(|(_, heard)| self.hear(line, heard));
    }

    fn close(&mut self, home: usize) -> Result<bool, Fault> {
        let closing = std::mem::take(&mut self.homes[home].closing);
        let busy = !closing.is_empty();
        for line in closing {
            let conn = self.lines[line].conn;
            let all = self.homes[home].shard.output(conn).len();
            self.sent(line, all);
            self.homes[home].open.retain(|open| *open != line);
            self.call(home, |shard| shard.handle_closed(conn))?;
            let l = &mut self.lines[line];
            (l.phase, l.cut) = (Phase::Over, true);
        }
        Ok(busy)
    }

    /// Everybody's turns until nothing happens.
    fn run_until_quiet(&mut self) -> Result<(), Fault> {
        self.calm = true;
        for _ in 0..20_000 {
            let mut busy = false;
            for home in 0..self.homes.len() {
                busy |= self.turn(home)?;
            }
            for who in 0..self.people.len() {
                busy |= self.acknowledge(who, usize::MAX);
            }
            let left = self.homes.iter().any(|home| !home.checks.is_empty() || !home.orders.is_empty());
            if !busy && !left {
                return Ok(());
            }
        }
        Err(Fault::general("the broker comes to rest", String::new()))
    }

    /// A connection to its client's home.
    fn open(&mut self, who: usize, identity: Identity, wish: Wish) -> Result<usize, Fault> {
        let (home, line) = (self.people[who].home, self.lines.len());
        let conn = ConnId { index: line as u32, generation: 1 };
        let certificate = match identity {
            Identity::Certificate(number) => Some(certificate(number)),
            _ => None,
        };
        let peer = ([127, 0, 0, 1], 1_024).into();
        let deadline = self.now.after_secs(1_000_000);
        let last = &self.decrees[self.decrees.len() - 1];
        let listener = match *self.rng.pick(&LISTENERS) {
            closed if self.calm && !last.is_open(closed) => 1 - closed,
            any => any,
        };
        let opened = Opened { tls: true, certificate, ..Opened::plain(peer, listener, deadline) };
        self.lines.push(Line::new(who, home, conn, wish, Proof { identity, password: None }, listener));
        self.homes[home].open.push(line);
        self.call(home, |shard| shard.handle_open(conn, opened))?;
        Ok(line)
    }
}

impl Person {
    fn draw(rng: &mut Rng, number: usize, shards: u16) -> Person {
        use tidemq::mqtt::Version;
        let id = format!("client {number}");
        let identity = match rng.weighted(&[2, 5, 3]) {
            0 => Identity::Nobody,
            1 => Identity::Certificate(number),
            _ => Identity::User(number),
        };
        Person {
            home: usize::from(client_home(&HOME_KEY, shards, &id).0),
            id,
            version: *rng.pick(&[Version::V5, Version::V5, Version::V3_1_1]),
            identity,
            current: None,
            newest: None,
            session: false,
            proof: Proof { identity, password: None },
            subscriptions: Vec::new(),
            last_id: 0,
        }
    }
}
