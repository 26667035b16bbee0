//! What clients do at random, what an operator changes meanwhile, and the end: everybody who may be there is, and
//! everything that is allowed goes through.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tidemq::mqtt::connect::{Connect, ConnectProperties, Will, WillProperties};
use tidemq::mqtt::subscribe::{RetainHandling, SubscriptionOptions};
use tidemq::mqtt::{Packet, QoS, ReasonCode, Version};
use tidemq::policy::rules::Action;
use tidemq::shard::{ClientQuery, ClientRow, ClientState, Looked, StateFilter};

use super::decree::{Decree, FILTERS, Identity, LISTENERS, TOPICS, thumbprint};
use super::line::{Mark, Phase, Post, Wish, covers};
use super::{Proved, World};
use crate::history::Fault;
use crate::seeds;
use crate::wire::{self, AckKind, Heard, Published};

/// Seeds of a run that is not told otherwise.
const SEEDS: u64 = 300;
/// Things that happen in one of them.
const STEPS: usize = 1_500;

impl World {
    fn step(&mut self) -> Result<(), Fault> {
        match self.rng.weighted(&[60, 36, 2, 1]) {
            0 => {
                let home = self.rng.below(self.homes.len());
                self.turn(home).map(|_| ())
            }
            1 => {
                let who = self.rng.below(self.people.len());
                self.act(who)
            }
            2 => {
                self.order();
                Ok(())
            }
            _ => {
                self.now = self.now + Duration::from_millis(self.rng.below(3_000) as u64);
                Ok(())
            }
        }
    }

    /// Another generation, for every shard.
    fn order(&mut self) {
        let number = self.decrees.len();
        let decree = Decree::draw(&mut self.rng, number as u64, self.people.len());
        self.decrees.push(Arc::new(decree));
        self.homes.iter_mut().for_each(|home| home.orders.push_back(number));
    }

    /// The connection on which a client can do something.
    fn usable(&self, who: usize) -> Option<usize> {
        let line = self.people[who].newest?;
        let l = &self.lines[line];
        (l.welcome && l.phase == Phase::Up && !l.cut).then_some(line)
    }

    fn act(&mut self, who: usize) -> Result<(), Fault> {
        let Some(line) = self.usable(who) else {
            let newest = self.people[who].newest.map(|line| &self.lines[line]);
            let waits = newest.is_some_and(|l| !l.cut && l.phase != Phase::Over);
            let chance = if waits { 2 } else { 40 };
            return if self.rng.percent(chance) { self.connect(who) } else { Ok(()) };
        };
        match self.rng.weighted(&[40, 25, 8, 20, 3, 3, 1]) {
            0 => {
                let topic = *self.rng.pick(&TOPICS);
                let qos = *self.rng.pick(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce]);
                let retain = self.rng.percent(20);
                self.publish(line, topic, qos, retain);
            }
            1 => self.subscribe(line),
            2 => self.unsubscribe(line),
            3 => {
                let many = self.rng.between(1, 5);
                self.acknowledge(who, many);
            }
            4 => self.lines[line].cut = true,
            5 => {
                let with_will = self.rng.percent(40);
                let v5 = self.people[who].version == Version::V5;
                let reason =
                    if with_will && v5 { ReasonCode::DisconnectWithWill } else { ReasonCode::Success };
                let bytes = wire::disconnect(self.people[who].version, reason, None);
                self.lines[line].write(&bytes, Mark::Other);
                self.lines[line].cut = true;
            }
            _ => return self.connect(who),
        }
        Ok(())
    }

    fn post(&mut self, by: usize, topic: &'static str) -> usize {
        self.posts.push(Post { by, topic, span: None, handed: 0 });
        self.posts.len() - 1
    }

    fn connect(&mut self, who: usize) -> Result<(), Fault> {
        let by = self.lines.len();
        let last = self.decrees[self.decrees.len() - 1].clone();
        let identity = match self.people[who].identity {
            // Somebody else who knows the identifier.
            _ if !self.calm && self.rng.percent(6) => {
                Identity::Certificate(self.rng.below(self.people.len()))
            }
            own => own,
        };
        let password = match identity {
            Identity::User(user) if self.calm => last.password_of(user),
            _ => u8::from(self.rng.percent(20)),
        };
        let will = (!self.calm && self.rng.percent(35)).then(|| {
            let topic = *self.rng.pick(&TOPICS);
            (self.post(by, topic), self.rng.percent(30))
        });
        let wish = Wish { clean: self.rng.percent(20), durable: self.rng.percent(60), password, will };
        let line = self.open(who, identity, wish)?;
        let person = &mut self.people[who];
        person.newest = Some(line);
        let v5 = person.version == Version::V5;
        // 3.1.1 has one flag for both.
        let clean = if v5 { wish.clean } else { !wish.durable };
        self.lines[line].wish.clean = clean;
        let text = wish.will.map(|(post, _)| post.to_string()).unwrap_or_default();
        let user = match identity {
            Identity::User(number) => Some(format!("c{number}")),
            _ => None,
        };
        let delayed = if wish.will.is_some_and(|(_, delayed)| delayed) { 2 } else { 0 };
        if !v5 && let Some((_, delayed)) = &mut self.lines[line].wish.will {
            *delayed = false;
        }
        let connect = Connect {
            version: person.version,
            clean_start: clean,
            keep_alive_secs: 0,
            client_id: &person.id,
            will: wish.will.map(|(post, _)| Will {
                qos: QoS::AtLeastOnce,
                retain: post % 4 == 0,
                topic: self.posts[post].topic,
                payload: text.as_bytes(),
                properties: WillProperties { delay_secs: v5.then_some(delayed), ..WillProperties::default() },
            }),
            user_name: user.as_deref(),
            password: user.is_some().then_some(std::slice::from_ref(&wish.password)),
            properties: ConnectProperties {
                session_expiry_secs: v5.then_some(if wish.durable { 80_000 } else { 0 }),
                receive_maximum: [None, std::num::NonZeroU16::new(2)][by % 2].filter(|_| v5),
                ..ConnectProperties::default()
            },
        };
        let bytes = wire::bytes(&Packet::Connect(connect), person.version);
        self.lines[line].write(&bytes, Mark::Other);
        Ok(())
    }

    fn publish(&mut self, line: usize, topic: &'static str, qos: QoS, retain: bool) -> usize {
        let post = self.post(line, topic);
        let person = &mut self.people[self.lines[line].who];
        let packet_id = (qos != QoS::AtMostOnce).then(|| person.next_id());
        let payload = post.to_string();
        let l = &mut self.lines[line];
        let published = Published {
            dup: false,
            qos,
            retain,
            topic,
            alias: None,
            expiry_secs: None,
            packet_id,
            passed_on: &[],
            ids: &[],
            payload: payload.as_bytes(),
        };
        let bytes = wire::publish(person.version, &published);
        l.unacked.extend(packet_id.map(|id| (id, post)));
        l.write(&bytes, Mark::Publish(post));
        post
    }

    fn subscribe(&mut self, line: usize) {
        if !self.lines[line].asked.is_empty() || !self.lines[line].leaving.is_empty() {
            return;
        }
        let person = &mut self.people[self.lines[line].who];
        let id = person.next_id();
        let mut filters = vec![(*self.rng.pick(&FILTERS)).to_owned()];
        let other = (*self.rng.pick(&FILTERS)).to_owned();
        if other != filters[0] {
            filters.push(other);
        }
        let options = SubscriptionOptions {
            qos: *self.rng.pick(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce]),
            no_local: false,
            retain_as_published: person.version == Version::V5 && self.rng.percent(30),
            retain_handling: RetainHandling::Send,
        };
        let with: Vec<_> = filters.iter().map(|filter| (filter.clone(), options)).collect();
        let l = &mut self.lines[line];
        l.asked.insert(id, (filters, (0, None)));
        let bytes = wire::subscribe(person.version, id, None, &with);
        l.write(&bytes, Mark::Subscribe(id));
    }

    fn unsubscribe(&mut self, line: usize) {
        let person = &mut self.people[self.lines[line].who];
        let known = person.live().next().map(str::to_owned);
        if let Some(filter) = known
            && self.lines[line].asked.is_empty()
            && self.lines[line].leaving.is_empty()
        {
            let id = person.next_id();
            let bytes = wire::unsubscribe(person.version, id, std::slice::from_ref(&filter));
            self.lines[line].leaving.insert(id, filter);
            self.lines[line].write(&bytes, Mark::Other);
        }
    }

    /// A client has read a packet.
    pub(super) fn hear(&mut self, line: usize, heard: Heard) {
        let l = &mut self.lines[line];
        let answer = match heard {
            Heard::ConnAck(ack) => {
                l.welcome = ack.code == 0;
                return;
            }
            Heard::Publish(p) => match (p.qos, p.packet_id) {
                (QoS::AtLeastOnce, Some(id)) => (AckKind::PubAck, id),
                (QoS::ExactlyOnce, Some(id)) => (AckKind::PubRec, id),
                _ => return,
            },
            Heard::PubRec(id, code) if code < 0x80 => (AckKind::PubRel, id),
            Heard::PubRel(id, _) => (AckKind::PubComp, id),
            _ => return,
        };
        l.due.push_back(wire::ack(self.people[l.who].version, answer.0, answer.1));
    }

    /// Sends so many of the acknowledgements that are due. Whether there were any.
    pub(super) fn acknowledge(&mut self, who: usize, many: usize) -> bool {
        let Some(line) = self.usable(who) else { return false };
        let l = &mut self.lines[line];
        let due: Vec<Vec<u8>> = l.due.drain(..many.min(l.due.len())).collect();
        due.iter().for_each(|bytes| l.write(bytes, Mark::Other));
        !due.is_empty()
    }

    /// One last generation, then everybody comes back who may.
    fn finish(&mut self) -> Result<(), Fault> {
        self.order();
        self.run_until_quiet()?;
        for who in 0..self.people.len() {
            if self.usable(who).is_none() {
                self.connect(who)?;
            }
        }
        self.now = self.now.after_secs(10);
        self.run_until_quiet()?;
        let last = self.decrees[self.decrees.len() - 1].clone();
        for (who, person) in self.people.iter().enumerate() {
            let password = match person.identity {
                Identity::User(user) => last.password_of(user),
                _ => 0,
            };
            let there = self.usable(who).map(|line| (self.lines[line].proof, self.lines[line].listener));
            let missing = there.is_none() && last.welcomes(person.identity, password);
            // Another one may have the session, or it may be a user's who cannot prove that any more.
            let owned = person.session && person.proof.owner().is_some();
            if missing && !owned || there.is_some_and(|(proof, listener)| !last.accepts(proof, listener)) {
                let text = format!("{person:?} {there:?} {last:?}");
                return Err(Fault::general("who may be there is there", text));
            }
        }
        self.check_subscriptions()?;
        self.check_online()?;
        self.check_messages(&last)
    }

    fn check_subscriptions(&self) -> Result<(), Fault> {
        let held: usize = self.homes.iter().map(|home| home.shard.census().subscriptions).sum();
        let live: Vec<Vec<&str>> = self.people.iter().map(|person| person.live().collect()).collect();
        let all = self.people.iter().flat_map(|person| &person.subscriptions);
        let certain = all.filter(|sub| sub.until.is_none() && sub.certain).count();
        if (certain..=live.iter().map(Vec::len).sum()).contains(&held) {
            return Ok(());
        }
        Err(Fault::general("the subscriptions that are allowed", format!("{held} are there: {live:?}")))
    }

    /// Who is counted as connected with a certificate, or at a listener, is who is listed so.
    fn check_online(&self) -> Result<(), Fault> {
        let all: Vec<_> = (0..=u8::MAX).map(|number| thumbprint(number.into())).collect();
        for home in &self.homes {
            let connected = ClientQuery { state: StateFilter::Connected, ..ClientQuery::default() };
            let Looked { rows, next } = home.shard.clients(&connected, 0, usize::MAX);
            assert_eq!(next, None, "there are few clients");
            let listed =
                all.iter().map(|one| rows.iter().filter(|row| row.certificate == Some(*one)).count());
            let counted = home.shard.online(&all);
            if !listed.eq(counted.iter().map(|count| *count as usize)) {
                let text = format!("{counted:?} of {rows:?}");
                return Err(Fault::general("connections are counted by their certificates", text));
            }
            let at = |listener: u16| {
                let there = |row: &&ClientRow| match &row.state {
                    ClientState::Connected(connection) => connection.listener == listener,
                    ClientState::Disconnected { .. } => false,
                };
                (listener, rows.iter().filter(there).count() as u32)
            };
            let listed: Vec<_> = LISTENERS.into_iter().map(at).filter(|(_, count)| *count > 0).collect();
            let mut counted = home.shard.at_listeners().to_vec();
            counted.sort_unstable();
            if counted != listed {
                let text = format!("{counted:?} of {rows:?}");
                return Err(Fault::general("connections are counted by their listeners", text));
            }
        }
        Ok(())
    }

    /// What is published now is read by everybody who may read it.
    fn check_messages(&mut self, last: &Decree) -> Result<(), Fault> {
        let up: Vec<usize> = (0..self.people.len()).filter_map(|who| self.usable(who)).collect();
        let mut said = Vec::new();
        for line in &up {
            for topic in TOPICS {
                said.push(self.publish(*line, topic, QoS::AtLeastOnce, false));
            }
        }
        self.run_until_quiet()?;
        for post in said {
            let (by, topic) = (self.posts[post].by, self.posts[post].topic);
            let allowed = last.may(self.lines[by].proof, Action::Publish, topic);
            for line in &up {
                let (who, proof) = (self.lines[*line].who, self.lines[*line].proof);
                let plain = |filter: &str| !filter.starts_with("$share") && covers(filter, topic);
                let certain =
                    self.people[who].subscriptions.iter().filter(|sub| sub.until.is_none() && sub.certain);
                let subscribed = certain.map(|sub| &*sub.filter).any(plain);
                let owed = allowed && subscribed && last.may(proof, Action::Subscribe, topic);
                if owed && !self.delivered.contains(&(who, post)) {
                    let text = format!("{post} on {topic} for client {who}: {last:?}");
                    return Err(Fault::general("what is allowed is delivered", text));
                }
            }
        }
        Ok(())
    }
}

fn run(seed: u64, shards: Option<u16>) -> (Proved, Option<Fault>) {
    let mut world = World::new(seed, shards);
    let mut steps = 0;
    let played = catch_unwind(AssertUnwindSafe(|| {
        while steps < STEPS {
            steps += 1;
            world.step()?;
        }
        world.finish()
    }));
    let fault = played.unwrap_or_else(|panic| Err(Fault::panicked(&*panic))).err();
    let fault = fault.map(|fault| Fault { text: format!("step {steps}: {}", fault.text), ..fault });
    for home in &world.homes {
        let counters = home.shard.counters();
        world.proved.expelled += counters.expelled;
        world.proved.withdrawn += counters.subscriptions_withdrawn;
        world.proved.refused_at_delivery += counters.drops.refused;
    }
    (world.proved, fault)
}

#[test]
fn nothing_is_judged_by_an_old_policy() {
    let numbers = seeds::shards().unwrap_or(vec![0]);
    let range = seeds::seeds(SEEDS);
    let runs = seeds::run(range.clone(), &numbers, |seed, shards| {
        (seed, run(seed, Some(shards).filter(|shards| *shards > 0)))
    });
    let failed: Vec<String> = runs
        .iter()
        .filter_map(|(seed, (_, fault))| {
            fault.as_ref().map(|f| format!("seed {seed}: {}: {}", f.rule, f.text))
        })
        .collect();
    assert!(failed.is_empty(), "{} of {} runs failed:\n{}", failed.len(), runs.len(), failed.join("\n"));
    let sum = |what: fn(&Proved) -> usize| runs.iter().map(|(_, (proved, _))| what(proved)).sum::<usize>();
    let met = [
        ("deliveries", sum(|p| p.deliveries)),
        ("publishes refused", sum(|p| p.publishes_refused)),
        ("subscribes refused", sum(|p| p.subscribes_refused)),
        ("connects refused", sum(|p| p.connects_refused)),
        ("sessions kept", sum(|p| p.sessions_kept)),
        ("put out by a listener that closes", sum(|p| p.closed_out)),
        ("expelled", sum(|p| p.expelled as usize)),
        ("withdrawn", sum(|p| p.withdrawn as usize)),
        ("refused at delivery", sum(|p| p.refused_at_delivery as usize)),
    ];
    println!("{met:?}");
    if range.end - range.start >= 100 {
        // A run in which nothing happens would keep every rule.
        assert!(met.iter().all(|(_, times)| *times > 20), "{met:?}");
    }
}
