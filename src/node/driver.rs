//! The turn of one shard: inputs, work, outputs, flush, sleep. The order is the shard's contract.
//!
//! Knows no thread and no executor; `executor` runs it on one.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;

use super::clock::Clock;
use super::mesh::{Parcel, Port};
use super::order::{Order, Reply};
use super::passwords::Checks;
use super::report::{NodeCounters, Report};
use crate::net::{Net, NetConfig, Place, RingError, Seats};
use crate::routing::ShardId;
use crate::shard::{Aftermath, Message, Shard, ShardConfig, Traced};
use crate::time::Time;

/// The longest sleep: a bound on whatever could be missed.
const LONGEST_SLEEP: Duration = Duration::from_millis(100);
/// What a stop may take: peers get the time to read their last packet and close.
const STOP_TIME: Duration = Duration::from_millis(1_500);

/// What a shard's thread is given.
#[derive(Debug)]
pub(super) struct DriverConfig {
    pub(super) shard: ShardConfig,
    pub(super) port: Port<Message>,
    pub(super) seats: Arc<Seats>,
    pub(super) checks: Checks,
    /// Where records of packets go.
    pub(super) traced: Sender<Traced>,
    pub(super) clock: Clock,
    pub(super) core: usize,
}

/// One shard with its sockets and its port to the mesh.
pub(super) struct Driver {
    id: ShardId,
    core: usize,
    pub(super) shard: Shard,
    pub(super) net: Net,
    port: Port<Message>,
    checks: Checks,
    traced: Sender<Traced>,
    clock: Clock,
    /// A stop has begun; it ends by then.
    stop_by: Option<Time>,
    /// Who waits for the end of a sweep.
    sweeping: Vec<Reply<Aftermath>>,
    counters: NodeCounters,
}

/// What comes after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Another one: something was done, or waits.
    Turn,
    /// Nothing to do.
    Sleep,
    /// The shard has stopped.
    End,
}

impl Driver {
    /// Must be called on the thread that makes the turns: the ring is bound to it.
    pub(super) fn new(config: DriverConfig) -> Result<Driver, RingError> {
        let DriverConfig { shard, port, seats, checks, traced, clock, core } = config;
        let net = Net::new(NetConfig {
            place: Place { home_key: shard.home_key, shards: shard.shards, me: shard.id },
            limits: shard.snapshot.limits.clone(),
            seats,
            doorbell: port.event(),
            unix_zero_micros: shard.unix_zero_micros,
        })?;
        let (id, shard, counters) = (shard.id, Shard::new(shard), NodeCounters::default());
        let (stop_by, sweeping) = (None, Vec::new());
        Ok(Driver { id, core, shard, net, port, checks, traced, clock, stop_by, sweeping, counters })
    }

    /// One turn.
    pub(super) fn turn(&mut self) -> Next {
        self.counters.turns += 1;
        let now = self.clock.now();
        self.shard.handle_time(now);
        let inputs = self.net.reap(&mut self.shard, now) + self.receive(now);
        let more = self.shard.work();
        if self.shard.is_swept() {
            self.sweeping.drain(..).for_each(|reply| reply.answer(self.shard.aftermath().clone()));
        }
        // Before the flush: the others can work while this shard sends.
        self.send();
        self.net.take_effects(&mut self.shard);
        let flushed = self.net.flush(&mut self.shard);
        self.hand_over_traced();
        if self.stop_by.is_some_and(|by| by <= now || (self.net.is_empty() && self.port.has_sent_all())) {
            return Next::End;
        }
        // What the flush met can have made effects and messages, so it too is followed by a turn.
        let busy = inputs + flushed > 0 || more || self.shard.has_dirty() || self.net.is_ready();
        if busy { Next::Turn } else { Next::Sleep }
    }

    fn receive(&mut self, now: Time) -> usize {
        let Driver { id, core, shard, net, port, clock, stop_by, sweeping, counters, .. } = self;
        let mut rung = NodeCounters::default();
        let taken = port.receive(&mut rung, |parcel| match parcel {
            Parcel::Batch(from, messages) => shard.handle_batch(from, messages),
            Parcel::Envelope(envelope) if stop_by.is_some() => net.turn_away(envelope),
            Parcel::Envelope(envelope) => net.adopt(envelope, shard),
            Parcel::Order(order) => match order {
                Order::Install(snapshot, done) => {
                    net.install(&snapshot.limits);
                    let unix_zero_micros = clock.unix_zero_micros();
                    net.set_wall_clock(unix_zero_micros);
                    shard.set_wall_clock(unix_zero_micros);
                    shard.install(snapshot);
                    done.answer(*id);
                }
                Order::Swept(to) => sweeping.push(to),
                Order::Listen(listener, speech, socket, done) => {
                    net.listen(listener, speech, socket);
                    done.confirm();
                }
                Order::Speech(listener, speech, done) => {
                    net.change_speech(listener, &speech);
                    done.confirm();
                }
                Order::Unlisten(listener, done) => {
                    net.unlisten(listener);
                    done.confirm();
                }
                Order::Publish(messages, done) => {
                    for (topic, payload) in messages {
                        shard.handle_system(&topic, payload.as_bytes());
                    }
                    done.confirm();
                }
                Order::Password(check, outcome) => shard.handle_password(check, outcome),
                // Who came as far as a CONNECT is known to the shard.
                Order::Rejections(to) => {
                    to.answer([net.take_rejections(), shard.take_rejections()].concat());
                }
                Order::Ask(question) => question.put(shard),
                Order::Report(to) => to.answer(Report {
                    shard: *id,
                    core: *core,
                    node: *counters,
                    net: net.counters(),
                    counters: shard.counters().clone(),
                    census: shard.census(),
                    at_listeners: shard.at_listeners().to_vec(),
                    latency: shard.latency().clone(),
                }),
                Order::Stop => {
                    net.stop_accepting();
                    shard.stop();
                    *stop_by = Some(now + STOP_TIME);
                }
            },
        });
        counters.rings += rung.rings;
        taken
    }

    /// Gives the records of this turn to whoever reads them; what does not fit is counted.
    fn hand_over_traced(&mut self) {
        let mut lost = 0;
        for record in self.shard.take_traced() {
            lost += u64::from(self.traced.try_send(record).is_err());
        }
        self.shard.drop_traced(lost);
    }

    fn send(&mut self) {
        self.port.retry(&mut self.counters);
        for peer in self.port.peers() {
            self.port.send_batch(peer, self.shard.take_outbox(peer), &mut self.counters);
        }
        for check in self.shard.take_password_checks() {
            self.checks.ask(self.id, check);
        }
        for (home, envelope) in self.net.take_envelopes() {
            self.port.send_envelope(home, envelope, &mut self.counters);
        }
    }

    /// How long nothing will be due.
    fn quiet_time(&self) -> Duration {
        let deadlines = [self.shard.deadline(), self.net.deadline(), self.stop_by];
        let until = deadlines.into_iter().flatten().min();
        until.map_or(LONGEST_SLEEP, |at| at.since(self.clock.now()).min(LONGEST_SLEEP))
    }

    /// Announces a sleep and looks for work once more. The time to sleep; `None`: there is something to do.
    pub(super) fn fall_asleep(&mut self) -> Option<Duration> {
        let limit = self.quiet_time();
        self.port.fall_asleep();
        if limit.is_zero() || self.net.is_ready() || !self.port.is_quiet() {
            return None;
        }
        self.counters.sleeps += 1;
        Some(limit)
    }

    /// The end of what `fall_asleep` began.
    pub(super) fn wake_up(&mut self) {
        self.counters.wakes += u64::from(self.port.wake_up());
    }
}
