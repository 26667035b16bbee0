//! The report: what all workers found, as one value that is shown as a table or as JSON, and the verdict.

use serde::Serialize;
use tidemq::mqtt::QoS;

use crate::conduct::{Course, Moment};
use crate::driver::Outcome;
use crate::group::{Group, Spread};
use crate::ledger::{Deliveries, Track};
use crate::plan::{Plan, Rate, Role};
use crate::proc::ThreadUse;
use crate::record::{Phase, Recorder};
use crate::schedule::{Nanos, SECOND};
use crate::setup::Setup;
use crate::tally::Count;
use crate::worker::Handshakes;

/// Losses of which the report says where they are.
const EXAMPLES: usize = 10;

/// A share of its core above which a worker may have been the limit.
const BUSY: f64 = 0.95;

/// Lag of the generator at the 99th percentile above which the latencies are in doubt.
const MUCH_LAG: Nanos = SECOND / 1000;

/// Percentiles of one phase, in nanoseconds.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Latency {
    pub phase: &'static str,
    #[serde(skip)]
    pub title: &'static str,
    pub count: u64,
    pub mean_ns: f64,
    pub p50_ns: u64,
    pub p90_ns: u64,
    pub p99_ns: u64,
    pub p99_9_ns: u64,
    pub p99_99_ns: u64,
    pub max_ns: u64,
}

/// Messages of one QoS.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Messages {
    /// The QoS.
    pub qos: u8,
    /// Messages published.
    pub published: u64,
    /// Deliveries that they should make.
    pub expected: u64,
    /// Deliveries that never came.
    pub lost: u64,
    /// Deliveries that came.
    #[serde(flatten)]
    pub deliveries: Deliveries,
}

/// What the broker's process used.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct BrokerUse {
    /// CPU per delivery while messages were measured, in nanoseconds.
    pub cpu_ns_per_delivery: Option<f64>,
    /// CPU from the first connection until all were ready, per connection, in microseconds.
    pub cpu_us_per_connection: Option<f64>,
    /// Resident memory per connection, in bytes.
    pub resident_bytes_per_connection: Option<f64>,
    /// Resident memory at the end, in bytes.
    pub resident_bytes: Option<u64>,
    /// Share of one core while connections were only held.
    pub idle_cpu_share: Option<f64>,
}

/// What TLS was used, and how often.
#[derive(Clone, Debug, Serialize)]
pub struct TlsUse {
    /// What is verified, and who the clients are.
    pub settings: String,
    /// Handshakes that came to their end, resumed ones included.
    pub handshakes: u64,
    /// Those in which a session was resumed.
    pub resumed: u64,
    /// What they agreed on.
    pub agreed: std::collections::BTreeMap<String, u64>,
}

/// What one worker's thread used while messages were measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct WorkerUse {
    /// Its core.
    pub core: usize,
    /// Share of the core that it used or waited for.
    pub busy_share: f64,
    /// The same in its busiest second.
    pub busiest_share: f64,
    /// Share of the time in which another thread had the core that it wanted.
    pub waiting_share: f64,
}

/// Everything that is to be told.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Name of the scenario.
    pub scenario: &'static str,
    /// Its numbers, as given.
    pub settings: String,
    /// Seed of the cuts.
    pub seed: Option<u64>,
    /// Clients, and how many were ready.
    pub clients: u64,
    /// Clients that were ready.
    pub ready: u64,
    /// Seconds until all were ready.
    pub connect_secs: f64,
    /// Seconds from the start of the measurement to the last delivery.
    pub measured_secs: f64,
    /// Messages a second in that time.
    pub published_per_sec: f64,
    /// Deliveries a second in that time.
    pub delivered_per_sec: f64,
    /// By QoS; those with messages.
    pub messages: Vec<Messages>,
    /// How evenly a shared subscription served its members.
    pub spread: Option<Spread>,
    /// Messages acknowledged to their publishers at QoS 1 and 2.
    pub acknowledged: u64,
    /// Messages sent at QoS 1 and 2 and not acknowledged at the end.
    pub unacknowledged: u64,
    /// Messages due and never sent.
    pub unsent: u64,
    /// Messages refused by the broker.
    pub refused: u64,
    /// Deliveries to whom, on what topic or at what QoS they should not have been.
    pub misdelivered: u64,
    /// Messages on our topics that were not of this run.
    pub foreign: u64,
    /// Connections cut on purpose.
    pub cuts: u64,
    /// Sessions that the broker should have kept and had not.
    pub lost_sessions: u64,
    /// Times at which a closed loop gave up what was outstanding.
    pub stalls: u64,
    /// Why connections failed.
    pub failures: std::collections::BTreeMap<String, u64>,
    /// TLS, if it was used.
    pub tls: Option<TlsUse>,
    /// Latencies by phase.
    pub latencies: Vec<Latency>,
    /// What the broker used.
    pub broker: Option<BrokerUse>,
    /// What the generator used.
    pub generator: Vec<WorkerUse>,
    /// CPU of the generator per delivery, in nanoseconds.
    pub generator_cpu_ns_per_delivery: Option<f64>,
    /// CPU of the generator until all were ready, per connection, in microseconds.
    pub generator_cpu_us_per_connection: f64,
    /// Some of the losses.
    pub examples: Vec<String>,
    /// What is wrong; anything here makes the exit code 1.
    pub problems: Vec<String>,
    /// What is to be known when the numbers are read.
    pub notes: Vec<String>,
    /// The histograms.
    #[serde(skip)]
    pub recorder: Recorder,
}

impl Report {
    /// Adds up what the workers found.
    pub fn new(setup: &Setup, plan: &Plan, course: &Course, outcomes: Vec<Outcome>) -> Report {
        let mut report = Report::of_course(setup, plan, course);
        let mut deliveries = [Deliveries::default(); 3];
        let mut published = vec![0u32; plan.streams.len()];
        let mut subscribers: Vec<(u32, Vec<Track>)> = Vec::new();
        let mut group = Group::new(plan.streams.len());
        let (mut last_delivery, mut cpu) = (0, 0);
        let mut handshakes = Handshakes::default();
        let mut connecting = Vec::new();
        for (outcome, &core) in outcomes.into_iter().zip(&setup.cores) {
            let wall = outcome.used.wall.max(1) as f64;
            report.generator.push(WorkerUse {
                core,
                busy_share: outcome.used.busy_share(),
                busiest_share: outcome.busiest,
                waiting_share: outcome.used.waiting as f64 / wall,
            });
            cpu += outcome.cpu;
            connecting.push(outcome.connecting);
            let found = outcome.findings;
            report.recorder.merge(&found.seen.recorder);
            deliveries.iter_mut().zip(&found.seen.deliveries).for_each(|(sum, d)| sum.add(d));
            if let (Some(members), Some(stream)) = (&found.seen.group, plan.streams.first()) {
                // What came to a member here and to one at another worker was counted twice; all streams have one QoS.
                let twice = group.add(members);
                let sum = &mut deliveries[stream.qos as usize];
                (sum.unique, sum.repeated) = (sum.unique - twice, sum.repeated + twice);
            }
            last_delivery = last_delivery.max(found.seen.last_delivery);
            report.acknowledged += found.seen.acked - found.seen.refused;
            report.unacknowledged += found.tally[Count::Inflight];
            report.unsent += found.tally[Count::Unsent];
            report.refused += found.seen.refused;
            report.misdelivered += found.seen.misdelivered;
            report.foreign += found.seen.foreign;
            report.cuts += found.cuts;
            report.lost_sessions += found.lost_sessions;
            report.stalls += found.stalls;
            handshakes.add(&found.handshakes);
            for (why, n) in found.failures {
                *report.failures.entry(why).or_default() += n;
            }
            found.published.iter().for_each(|&(stream, n)| published[stream as usize] = n);
            subscribers.extend(found.subscribers);
        }
        if plan.shared {
            let taken = |(_, tracks): &(u32, Vec<Track>)| tracks.iter().map(Track::counted).sum();
            report.spread = Spread::of(&subscribers.iter().map(taken).collect::<Vec<u64>>());
            subscribers.clear(); // a member's track has no gaps to tell of
        }
        report.messages = report.count_messages(plan, &published, &deliveries, &subscribers);
        report.add_rates(course, last_delivery, cpu);
        report.add_connecting(plan, handshakes, &connecting);
        report.latencies = Phase::ALL.iter().filter_map(|&p| latency(&report.recorder, p)).collect();
        report.judge(setup, plan, course);
        report
    }

    fn of_course(setup: &Setup, plan: &Plan, course: &Course) -> Report {
        let (before, connected) = course.connecting();
        Report {
            scenario: setup.name,
            settings: settings(setup, plan),
            seed: plan.cuts.map(|c| c.seed),
            clients: plan.clients.len() as u64,
            ready: connected.tally[Count::Ready],
            connect_secs: secs(connected.at.saturating_sub(before.at)),
            measured_secs: 0.0,
            published_per_sec: 0.0,
            delivered_per_sec: 0.0,
            messages: Vec::new(),
            spread: None,
            acknowledged: 0,
            unacknowledged: 0,
            unsent: 0,
            refused: 0,
            misdelivered: 0,
            foreign: 0,
            cuts: 0,
            lost_sessions: 0,
            stalls: 0,
            failures: Default::default(),
            tls: None,
            latencies: Vec::new(),
            broker: broker_use(course),
            generator: Vec::new(),
            generator_cpu_ns_per_delivery: None,
            generator_cpu_us_per_connection: 0.0,
            examples: Vec::new(),
            problems: Vec::new(),
            notes: Vec::new(),
            recorder: Recorder::default(),
        }
    }

    /// Losses are counted stream by stream: what was published, less what each subscriber's track has seen.
    fn count_messages(
        &mut self,
        plan: &Plan,
        published: &[u32],
        deliveries: &[Deliveries; 3],
        subscribers: &[(u32, Vec<Track>)],
    ) -> Vec<Messages> {
        let mut rows = [0, 1, 2].map(|qos| Messages {
            qos,
            deliveries: deliveries[usize::from(qos)],
            ..Default::default()
        });
        for (stream, &n) in plan.streams.iter().zip(published) {
            let row = &mut rows[stream.qos as usize];
            row.published += u64::from(n);
            row.expected += u64::from(n) * u64::from(stream.fan);
        }
        for row in &mut rows {
            row.lost = row.expected.saturating_sub(row.deliveries.unique);
        }
        for (client, tracks) in subscribers {
            let client = &plan.clients[*client as usize];
            let Role::Subscriber { streams, only_topic, .. } = &client.role else { continue };
            for (stream_no, track) in streams.clone().zip(tracks) {
                let stream = &plan.streams[stream_no as usize];
                // Of QoS 0 losses there is no end, and with cuts they are what is to be expected.
                let expected = plan.cuts.is_some() && stream.qos == QoS::AtMostOnce;
                let other = only_topic.is_some_and(|t| t != stream.topic_no);
                if self.examples.len() >= EXAMPLES || expected || other {
                    continue;
                }
                let (topic, qos, publisher) = (&stream.topic, stream.qos as u8, stream.publisher);
                for gap in track.missing(published[stream_no as usize]).take(2) {
                    let (who, from, to) = (&client.id, gap.start, gap.end - 1);
                    self.examples.push(format!(
                        "{who} lacks {from} to {to} of publisher {publisher} on {topic} at QoS {qos}"
                    ));
                }
            }
        }
        rows.into_iter().filter(|r| r.published > 0 || r.deliveries != Deliveries::default()).collect()
    }

    fn add_rates(&mut self, course: &Course, last_delivery: Nanos, generator_cpu: Nanos) {
        let (Some(from), Some(to)) = (course.measured_from, course.measured_to) else { return };
        let end = if last_delivery > from.at { last_delivery } else { to.at };
        self.measured_secs = secs(end - from.at);
        let delivered = to.tally.unique() - from.tally.unique();
        let published = to.tally[Count::Published] - from.tally[Count::Published];
        self.published_per_sec = published as f64 / self.measured_secs;
        self.delivered_per_sec = delivered as f64 / self.measured_secs;
        // Without subscribers, what the broker does is to take messages.
        let work = if delivered > 0 { delivered } else { published }.max(1) as f64;
        self.generator_cpu_ns_per_delivery = Some(generator_cpu as f64 / work);
        if let (Some(broker), Some(a), Some(b)) = (&mut self.broker, from.broker_cpu, to.broker_cpu) {
            broker.cpu_ns_per_delivery = Some(b.saturating_sub(a) as f64 / work);
        }
    }

    fn add_connecting(&mut self, plan: &Plan, handshakes: Handshakes, workers: &[ThreadUse]) {
        let cpu: Nanos = workers.iter().map(|used| used.cpu).sum();
        self.generator_cpu_us_per_connection = cpu as f64 / 1000.0 / self.ready.max(1) as f64;
        // With a rate it keeps to that; in a short time its share says nothing.
        let busy = workers.iter().filter(|used| used.wall > SECOND / 10 && used.busy_share() > BUSY).count();
        if busy > 0 && plan.connect_rate.is_none() {
            self.notes.push(
                "the generator was the limit while it connected: connections a second are its own, and the latencies of \
                 connecting hold its queue; the broker's CPU a connection stands"
                    .into(),
            );
        }
        let Some(security) = &plan.security else { return };
        self.tls = Some(TlsUse {
            settings: security.described.clone(),
            handshakes: handshakes.agreed.values().sum(),
            resumed: handshakes.resumed,
            agreed: handshakes.agreed,
        });
    }

    /// What is wrong, and what is to be known.
    fn judge(&mut self, setup: &Setup, plan: &Plan, course: &Course) {
        let mut problem = |n: u64, text: String| {
            if n > 0 {
                self.problems.push(text);
            }
        };
        let failed: u64 = self.failures.values().sum();
        problem(failed, format!("{failed} connections failed"));
        let missing = self.clients - self.ready;
        problem(missing, format!("{missing} of {} clients did not become ready", self.clients));
        for m in &self.messages {
            let (qos, d) = (m.qos, &m.deliveries);
            let lost = if qos > 0 || setup.strict { m.lost } else { 0 };
            problem(lost, format!("{lost} deliveries lost at QoS {qos}"));
            let twice = d.repeated + d.repeated_dup;
            problem(
                if qos == 1 && !plan.shared { 0 } else { twice },
                format!("{twice} deliveries came twice at QoS {qos}"),
            );
            problem(d.late, format!("{} deliveries out of order at QoS {qos}", d.late));
        }
        problem(self.unacknowledged, format!("{} messages never acknowledged", self.unacknowledged));
        problem(self.refused, format!("{} messages refused by the broker", self.refused));
        problem(
            self.misdelivered,
            format!(
                "{} deliveries on a wrong topic, at a wrong QoS or to whom did not ask",
                self.misdelivered
            ),
        );
        problem(self.lost_sessions, format!("{} sessions lost by the broker", self.lost_sessions));
        if course.gave_up && plan.publishers > 0 {
            self.notes.push("nothing was published, because not every client was ready".into());
        }
        self.note_limits(plan);
    }

    fn note_limits(&mut self, plan: &Plan) {
        for worker in &self.generator {
            let (core, percent) = (worker.core, worker.busiest_share * 100.0);
            if worker.busiest_share > BUSY {
                self.notes.push(format!(
                    "the generator may have been the limit: its worker on core {core} was busy for {percent:.0} % of its \
                     busiest second; give it more --cores"
                ));
            }
            if worker.waiting_share > 0.1 {
                let share = worker.waiting_share * 100.0;
                self.notes.push(format!(
                    "core {core} was shared: the generator waited for it during {share:.0} % of the time, which is in the \
                     latencies"
                ));
            }
        }
        let lag = self.latencies.iter().find(|l| l.phase == Phase::Lag.key());
        if let Some(lag) = lag.filter(|l| l.p99_ns > MUCH_LAG) {
            let lag = crate::show::nanos(lag.p99_ns);
            self.notes.push(format!(
                "the generator itself sent late (p99 {lag}): it was a limit; see the raw latencies"
            ));
        }
        if self.unsent > 0 {
            let (unsent, rate) = (crate::show::count(self.unsent), plan.rate);
            let Rate::PerSec(rate) = rate else { return };
            self.notes.push(format!(
                "the rate of {rate} a second was not reached: {unsent} messages that were due were never sent, and their \
                 latencies are missing above"
            ));
        }
        if self.stalls > 0 {
            self.notes.push(format!(
                "{} times nothing came back for 2 s, and the closed loop gave up what was outstanding",
                self.stalls
            ));
        }
        if self.foreign > 0 {
            self.notes.push(format!("{} messages on these topics were not of this run", self.foreign));
        }
    }
}

fn secs(nanos: Nanos) -> f64 {
    nanos as f64 / SECOND as f64
}

fn latency(recorder: &Recorder, phase: Phase) -> Option<Latency> {
    let h = recorder.histogram(phase)?;
    let at = |q| h.value_at_quantile(q);
    Some(Latency {
        phase: phase.key(),
        title: phase.title(),
        count: h.len(),
        mean_ns: h.mean(),
        p50_ns: at(0.5),
        p90_ns: at(0.9),
        p99_ns: at(0.99),
        p99_9_ns: at(0.999),
        p99_99_ns: at(0.9999),
        max_ns: h.max(),
    })
}

fn broker_use(course: &Course) -> Option<BrokerUse> {
    let last: &Moment = course.measured_to.as_ref().or(course.held.as_ref()).unwrap_or(&course.connected);
    let clients = course.connected.tally[Count::Ready].max(1) as f64;
    let (before, connected) = course.connecting();
    let connecting = connected.broker_cpu.zip(before.broker_cpu);
    let memory = course.held.unwrap_or(course.connected).broker_resident.zip(course.before.broker_resident);
    let held = course.held.filter(|h| h.at > course.connected.at + SECOND / 2);
    let idle = held.and_then(|h| {
        let cpu = h.broker_cpu?.saturating_sub(course.connected.broker_cpu?);
        Some(cpu as f64 / (h.at - course.connected.at) as f64)
    });
    last.broker_cpu.map(|_| BrokerUse {
        cpu_ns_per_delivery: None,
        cpu_us_per_connection: connecting.map(|(b, a)| b.saturating_sub(a) as f64 / 1000.0 / clients),
        resident_bytes_per_connection: memory.map(|(b, a)| b.saturating_sub(a) as f64 / clients),
        resident_bytes: last.broker_resident,
        idle_cpu_share: idle,
    })
}

fn settings(setup: &Setup, plan: &Plan) -> String {
    let mut text = format!("{} at {}", setup.shape, setup.route.target);
    if setup.again {
        text += "; they leave, and come back at once: what is told of connecting is told of that";
    }
    if plan.publishers > 0 {
        let pace = match plan.rate {
            Rate::PerSec(rate) => format!("open loop, {rate} messages a second"),
            Rate::Window(window) => format!("closed loop, window of {window} messages"),
        };
        text += &format!("; {pace}; payload {} B", plan.payload);
    }
    text
}
