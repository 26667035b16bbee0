//! A worker's connections: opened at a rate or a bounded number at a time, brought to where they can work, kept
//! alive, and left in order.

use tidemq::mqtt::Version;

use super::carrier::Reached;
use super::link::{Closing, LinkId, Standing};
use super::{Action, Handshakes, Worker};
use crate::plan::{Durability, Identity, Plan, Role};
use crate::record::Phase;
use crate::schedule::{Nanos, SECOND, Timetable};
use crate::tally::{Act, Count};

/// Unanswered pings after which a connection counts as dead.
const PINGS_UNANSWERED: u32 = 2;

/// Where the worker is with its connections.
pub struct Connecting {
    /// The first links were opened, up to this one.
    next: usize,
    under_way: usize,
    parallel: usize,
    timetable: Option<Timetable>,
    /// This worker's first connection and step in the timetable of all.
    first: u64,
    step: u64,
    /// Links that were ready once, and those that are now.
    pub established: u64,
    pub ready_now: u64,
    /// Whom to ping next, when, and how long until the one after.
    ping: (usize, Nanos, Option<Nanos>),
}

impl Connecting {
    /// Nothing opened yet; the first connection is due at `now`.
    pub fn new(plan: &Plan, me: u32, now: Nanos) -> Connecting {
        let mine = plan.clients.iter().filter(|c| c.worker == me).count() as u64;
        // Everyone is pinged once in three quarters of the keep alive, evenly spread.
        let round = u64::from(plan.login.keep_alive_secs) * SECOND * 3 / 4;
        let ping_every = (round > 0 && mine > 0).then(|| (round / mine).max(1));
        Connecting {
            next: 0,
            under_way: 0,
            parallel: plan.connect_parallel,
            timetable: plan.connect_rate.map(|per_sec| Timetable { start: now, per_sec }),
            first: u64::from(me),
            step: u64::from(plan.workers),
            established: 0,
            ready_now: 0,
            ping: (0, now + round, ping_every),
        }
    }

    fn due(&self) -> Option<Nanos> {
        self.timetable.map(|t| t.due(self.first + self.next as u64 * self.step))
    }

    /// When the next connection or ping is due.
    pub fn next_wake(&self, links: usize) -> Nanos {
        let open = if self.next < links && self.under_way < self.parallel { self.due() } else { None };
        let ping = self.ping.2.map_or(Nanos::MAX, |_| self.ping.1);
        open.unwrap_or(Nanos::MAX).min(ping)
    }
}

impl Worker {
    /// Opens what is due.
    pub(super) fn poll_connecting(&mut self, now: Nanos) {
        if self.act == Act::Finish {
            return;
        }
        while self.connecting.next < self.links.len() && self.connecting.under_way < self.connecting.parallel
        {
            let due = self.connecting.due().unwrap_or(now);
            if due > now {
                return;
            }
            let id = self.connecting.next as LinkId;
            self.connecting.next += 1;
            if self.links[id as usize].standing != Standing::Waiting {
                continue; // it was given up before all came back
            }
            self.connecting.under_way += 1;
            self.open(id, due);
        }
    }

    pub(super) fn open(&mut self, id: LinkId, due: Nanos) {
        let link = &mut self.links[id as usize];
        link.out.clear();
        link.standing = Standing::Opening;
        link.since = due;
        self.actions.push(Action::Open(id));
    }

    /// The socket of a link is connected.
    pub fn handle_opened(&mut self, id: LinkId, now: Nanos) {
        let link = &mut self.links[id as usize];
        if link.standing != Standing::Leaving {
            if !link.established {
                self.seen.recorder.record(Phase::Tcp, now.saturating_sub(link.since));
            }
            link.standing = Standing::LoggingIn;
        }
        link.since = now;
        // Who only comes back to end a durable 3.1.1 session ends it by a clean one `[MQTT-3.1.2-6]`.
        let leaving = link.standing == Standing::Leaving;
        let durability = if leaving { Durability::Clean } else { self.plan.durability };
        let client_id = self.plan.clients[link.client_no as usize].id.as_str();
        let begun = link.carrier.begin();
        link.client.connect(&Identity { client_id, login: &self.plan.login, durability }, &mut link.out);
        if let Err(why) = begun {
            self.handle_ended(id, why, now);
            self.actions.push(Action::Close(id, Closing::Orderly));
        }
        self.mark(id);
    }

    /// A handshake of what carries the bytes is done.
    pub(super) fn handle_reached(&mut self, id: LinkId, before: Reached, now_reached: Reached, now: Nanos) {
        let link = &mut self.links[id as usize];
        if now_reached.secure && !before.secure {
            if !link.established && link.standing != Standing::Leaving {
                self.seen.recorder.record(Phase::Tls, now.saturating_sub(link.since));
            }
            if let Some(agreed) = link.carrier.tls.as_ref().and_then(|tls| tls.agreed()) {
                self.handshakes.count(agreed);
            }
            link.since = now;
        }
        if now_reached.open && !before.open {
            link.since = now; // CONNECT goes out now
        }
    }

    /// CONNACK came.
    pub(super) fn handle_connected(&mut self, id: LinkId, present: bool, receive_maximum: u16, now: Nanos) {
        let plan = &self.plan;
        let link = &mut self.links[id as usize];
        if link.standing == Standing::Leaving {
            link.disconnect(Durability::Clean);
            self.actions.push(Action::Close(id, Closing::Orderly));
            return;
        }
        link.receive_maximum = receive_maximum;
        let first = !link.established;
        if first {
            self.seen.recorder.record(Phase::ConnAck, now.saturating_sub(link.since));
        } else if !present {
            self.lost_sessions += 1;
        }
        match &plan.clients[link.client_no as usize].role {
            Role::Subscriber { filters, qos, .. } if first || !present => {
                link.client.subscribe(filters, *qos, &mut link.out);
                link.ungranted = filters.len();
                link.standing = Standing::Subscribing;
                link.since = now;
            }
            Role::Publisher { .. } if !first => {
                self.publishing.resume(&self.plan, &mut self.links[id as usize]);
                self.ready(id);
            }
            _ => self.ready(id),
        }
    }

    /// SUBACK came.
    pub(super) fn handle_granted(&mut self, id: LinkId, codes: &[u8], now: Nanos) {
        let link = &mut self.links[id as usize];
        if link.standing != Standing::Subscribing {
            return;
        }
        let asked = link.scope.qos as u8;
        if let Some(code) = codes.iter().find(|&&c| c != asked) {
            let text = format!("SUBACK granted 0x{code:02x}, asked for QoS {asked}");
            self.lose(id, &text, now);
            self.actions.push(Action::Close(id, Closing::Orderly));
            return;
        }
        link.ungranted = link.ungranted.saturating_sub(codes.len());
        if link.ungranted == 0 {
            if !link.established {
                self.seen.recorder.record(Phase::SubAck, now.saturating_sub(link.since));
            }
            self.ready(id);
        }
    }

    fn ready(&mut self, id: LinkId) {
        let link = &mut self.links[id as usize];
        link.standing = Standing::Ready;
        self.connecting.ready_now += 1;
        if !link.established {
            link.established = true;
            self.connecting.established += 1;
            self.connecting.under_way -= 1;
            self.tally[Count::Ready] += 1;
        }
        self.publishing.retry(&self.links[id as usize]);
    }

    /// The socket of a link could not be connected, or has closed by itself. `why` is the system's error, if any.
    pub fn handle_closed(&mut self, id: LinkId, why: Option<std::io::Error>, now: Nanos) {
        let link = &self.links[id as usize];
        let text = match (why, link.standing) {
            (Some(e), Standing::Opening) => format!("connect: {e}"),
            (Some(e), Standing::LoggingIn) if link.carrier.lacks_handshake() => {
                format!(
                    "connection lost during the TLS handshake: does the broker speak TLS on this port? ({e})"
                )
            }
            (Some(e), _) => format!("connection lost: {e}"),
            (None, Standing::LoggingIn) if link.carrier.lacks_handshake() => {
                "closed by the broker during the TLS handshake: does it speak TLS on this port?".into()
            }
            (None, Standing::LoggingIn) => "closed by the broker before CONNACK".into(),
            (None, _) => "closed by the broker".into(),
        };
        self.lose(id, &text, now);
    }

    /// A connection ended and nobody here wanted that.
    pub(super) fn lose(&mut self, id: LinkId, why: &str, now: Nanos) {
        let link = &mut self.links[id as usize];
        if !link.is_open() {
            return;
        }
        if link.standing == Standing::Leaving {
            link.standing = Standing::Left;
            return;
        }
        match self.failures.get_mut(why) {
            Some(n) => *n += 1,
            None => {
                self.failures.insert(why.to_owned(), 1);
            }
        }
        self.leave_ready(id);
        let link = &mut self.links[id as usize];
        link.client.down();
        link.out.clear();
        if !link.established {
            self.connecting.under_way -= 1;
        }
        if link.established
            && let Some(cutting) = &mut self.cutting
        {
            link.standing = Standing::Away;
            cutting.come_back(id, now);
        } else {
            link.standing = Standing::Failed;
            self.tally[Count::Failed] += 1;
        }
    }

    /// Takes a link out of the number of ready ones, if it was.
    pub(super) fn leave_ready(&mut self, id: LinkId) {
        if self.links[id as usize].standing == Standing::Ready {
            self.connecting.ready_now -= 1;
        }
    }

    /// Pings whoever has his turn, so that a broker does not miss a silent client.
    pub(super) fn poll_pings(&mut self, now: Nanos) {
        let (_, _, Some(every)) = self.connecting.ping else { return };
        while self.connecting.ping.1 <= now && !self.links.is_empty() {
            let id = self.connecting.ping.0;
            self.connecting.ping.0 = (id + 1) % self.links.len();
            self.connecting.ping.1 += every;
            let link = &mut self.links[id];
            if link.standing != Standing::Ready {
                continue;
            }
            if link.client.ping(&mut link.out) >= PINGS_UNANSWERED {
                self.lose(id as LinkId, "pings are not answered", now);
                self.actions.push(Action::Close(id as LinkId, Closing::Orderly));
            } else {
                self.mark(id as LinkId);
            }
        }
    }

    /// Everybody who is ready says good-bye, to come back.
    pub(super) fn leave(&mut self) {
        for id in 0..self.links.len() as LinkId {
            if self.links[id as usize].standing == Standing::Ready {
                self.leave_ready(id);
                let link = &mut self.links[id as usize];
                link.disconnect(self.plan.durability);
                link.standing = Standing::Away;
                self.mark(id);
                self.actions.push(Action::Close(id, Closing::Orderly));
            }
        }
        self.connecting.established = 0;
        self.tally[Count::Ready] = 0;
    }

    /// Who left connects once more, and is measured anew.
    pub(super) fn come_back(&mut self, now: Nanos) {
        for link in self.links.iter_mut().filter(|link| link.standing == Standing::Away) {
            (link.standing, link.established) = (Standing::Waiting, false);
        }
        self.connecting = Connecting::new(&self.plan, self.me, now);
        self.handshakes = Handshakes::default();
        for phase in [Phase::Tcp, Phase::Tls, Phase::ConnAck] {
            self.seen.recorder.forget(phase);
        }
    }

    /// Says good-bye on every connection.
    pub(super) fn finish(&mut self) {
        self.cutting = None;
        let durable = self.plan.durability == Durability::Durable;
        for id in 0..self.links.len() as LinkId {
            self.leave_ready(id);
            let link = &mut self.links[id as usize];
            if !link.is_open() {
                link.standing =
                    if link.standing == Standing::Failed { Standing::Failed } else { Standing::Left };
                continue;
            }
            if link.standing == Standing::Ready {
                link.disconnect(self.plan.durability);
            }
            let outlives = durable && link.established && link.client.version() != Version::V5;
            link.standing = if outlives { Standing::Returning } else { Standing::Leaving };
            self.mark(id);
            self.actions.push(Action::Close(id, Closing::Orderly));
        }
    }

    /// The driver has closed the socket of a link, as it was told.
    pub fn handle_close_done(&mut self, id: LinkId) {
        let link = &mut self.links[id as usize];
        link.client.down();
        link.out.clear();
        link.carrier.down();
        match link.standing {
            Standing::Leaving => link.standing = Standing::Left,
            Standing::Returning => {
                link.standing = Standing::Leaving;
                self.actions.push(Action::Open(id));
            }
            _ => {}
        }
    }
}
