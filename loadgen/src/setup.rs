//! From the command line to a run: clients, pace, cores, addresses; and what is wrong with them, said before anything
//! is connected.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, bail, ensure};
use tidemq::mqtt::{QoS, Version};

use crate::destination::Destination;
use crate::options::{Addresses, Common, Scenario, Traffic, VersionOption};
use crate::plan::{Cuts, Durability, Login, Plan, Rate, Secret, Transport};
use crate::ring::Route;
use crate::scenarios::{Naming, Shape, Versions};
use crate::schedule::{Nanos, SECOND};
use crate::security::Security;
use crate::tls_options::ClientIds;

/// Everything that is known before the run.
pub struct Setup {
    /// The scenario's name.
    pub name: &'static str,
    /// Its numbers.
    pub shape: Shape,
    /// What the workers do.
    pub plan: Plan,
    /// Where to.
    pub route: Route,
    /// One worker a core.
    pub cores: Vec<usize>,
    /// What all scenarios have in common.
    pub common: Common,
    /// Silence after which what is missing is lost.
    pub drain: Nanos,
    /// How long connections that do nothing are held.
    pub hold: Nanos,
    /// Then they leave and come back.
    pub again: bool,
    /// QoS 0 losses are failures.
    pub strict: bool,
}

/// Connections that one source address serves, with room to spare below the 28,232 ports that Linux gives out.
const PER_SOURCE: usize = 20_000;

/// Descriptors that are not connections.
const OTHER_DESCRIPTORS: u64 = 100;

const CHAOS_RATE: f64 = 2000.0;
const WINDOW: u64 = 16;
const DURATION: Nanos = 10 * SECOND;

impl Setup {
    /// The run that the command line asks for. `entropy` is different for each run.
    pub fn new(scenario: Scenario, entropy: u64) -> anyhow::Result<Setup> {
        let (mut hold, mut again) = (0, false);
        let mut cuts = None;
        let mut group = String::new();
        let name;
        let (shape, traffic, common) = match scenario {
            Scenario::Connect { connections, hold: h, again: a, common } => {
                (name, hold, again) = ("connect", h, a);
                (Shape::Connect { connections }, None, common)
            }
            Scenario::Fanout { publishers, subscribers, topics, traffic, common } => {
                name = "fanout";
                (Shape::Fanout { publishers, subscribers, topics }, Some(traffic), common)
            }
            Scenario::Fanin { publishers, subscribers, traffic, common } => {
                name = "fanin";
                (Shape::Fanin { publishers, subscribers }, Some(traffic), common)
            }
            Scenario::Shared { publishers, subscribers, group: g, traffic, common } => {
                ensure!(subscribers > 0, "a group has at least one member");
                let bad = g.is_empty() || g.contains(['/', '+', '#', '\0']);
                ensure!(!bad, "--group {g:?} is not the name of a shared subscription"); // [MQTT-4.8.2-1, -2]
                (name, group) = ("shared", g);
                (Shape::Shared { publishers, subscribers }, Some(traffic), common)
            }
            Scenario::P2p { pairs, traffic, common } => {
                name = "p2p";
                (Shape::PointToPoint { pairs }, Some(traffic), common)
            }
            Scenario::Chaos {
                publishers,
                subscribers,
                topics,
                cuts: c,
                longest_away,
                seed,
                traffic,
                common,
            } => {
                ensure!(c.is_finite() && c > 0.0, "--cuts must be greater than 0");
                name = "chaos";
                cuts = Some(Cuts { per_sec: c, longest_away, seed: seed.unwrap_or(entropy) });
                (Shape::Chaos { publishers, subscribers, topics }, Some(traffic), common)
            }
        };
        check(shape)?;
        crate::ring::probe()?;
        let cores = pick_cores(&common)?;
        let workers = cores.len() as u32;
        let plan = plan(shape, group, traffic.as_ref(), &common, cuts, entropy, workers)?;
        raise_descriptor_limit(plan.clients.len())?;
        let Destination { target, transport, security } = Destination::of(&common, entropy)?;
        let mut plan = Plan { transport, security, ..plan };
        if let Some(security) = plan.security.clone() {
            name_clients(&mut plan, &security, common.tls.client_id)?;
        }
        let route = Route { target, sources: sources(&common, target, plan.clients.len())? };
        let drain = traffic.as_ref().map_or(SECOND, |t| t.drain);
        let strict = traffic.is_some_and(|t| t.strict);
        Ok(Setup { name, shape, plan, route, cores, drain, hold, again, strict, common })
    }
}

fn check(shape: Shape) -> anyhow::Result<()> {
    let (publishers, topics) = match shape {
        Shape::Connect { connections } => (connections, 1),
        Shape::Fanout { publishers, topics, .. } | Shape::Chaos { publishers, topics, .. } => {
            (publishers, topics)
        }
        Shape::Fanin { publishers, .. } | Shape::Shared { publishers, .. } => (publishers, 1),
        Shape::PointToPoint { pairs } => (pairs, 1),
    };
    ensure!(publishers > 0, "there must be at least one connection, publisher or pair");
    ensure!(topics > 0, "there must be at least one topic");
    Ok(())
}

fn plan(
    shape: Shape,
    group: String,
    traffic: Option<&Traffic>,
    common: &Common,
    cuts: Option<Cuts>,
    entropy: u64,
    workers: u32,
) -> anyhow::Result<Plan> {
    let chaos = cuts.is_some();
    let version = common.version.unwrap_or(if chaos { VersionOption::Mixed } else { VersionOption::V3_1_1 });
    let versions = match version {
        VersionOption::V3_1_1 => Versions::All(Version::V3_1_1),
        VersionOption::V5 => Versions::All(Version::V5),
        VersionOption::Mixed => Versions::Mixed,
    };
    let run = (entropy >> 16) as u32;
    let prefix = traffic.and_then(|t| t.prefix.clone()).unwrap_or_else(|| format!("load/{run:08x}"));
    ensure!(tidemq::mqtt::topic::check_name(&prefix).is_ok(), "--prefix {prefix:?} is not a topic name");
    let qos = QoS::from_u8(traffic.map_or(0, |t| t.qos)).context("--qos is 0, 1 or 2")?;
    let cast = shape.cast(&Naming { prefix, run, versions, group, workers }, qos);
    let (mut rate, mut messages, mut duration, mut warmup) = (Rate::Window(WINDOW), None, None, 0);
    if let Some(t) = traffic {
        rate = pace(t, chaos)?;
        (messages, duration, warmup) = (t.messages, t.duration, t.warmup);
        if messages.is_none() && duration.is_none() {
            duration = Some(DURATION);
        }
        let silent = cast.streams.iter().all(|s| s.fan == 0) && qos == QoS::AtMostOnce;
        if silent && matches!(rate, Rate::Window(_)) {
            bail!(
                "a closed loop at QoS 0 without subscribers has nothing to wait for: give --rate or --qos 1"
            );
        }
    }
    if let Some(rate) = common.connect_rate {
        ensure!(rate.is_finite() && rate > 0.0, "--connect-rate must be greater than 0");
    }
    Ok(Plan {
        run,
        clients: cast.clients,
        streams: cast.streams,
        publishers: cast.publishers,
        shared: matches!(shape, Shape::Shared { .. }),
        workers,
        transport: Transport::Tcp,
        security: None,
        login: Login {
            keep_alive_secs: common.keep_alive,
            user_name: common.user_name.clone(),
            password: password(common)?,
        },
        durability: if chaos { Durability::Durable } else { Durability::Clean },
        payload: traffic.map_or(0, |t| t.payload as usize),
        rate,
        messages,
        duration,
        warmup,
        max_inflight: traffic.map_or(1, |t| t.max_inflight),
        connect_rate: common.connect_rate,
        connect_parallel: if common.connect_rate.is_some() {
            usize::MAX
        } else {
            64usize.div_ceil(workers as usize)
        },
        cuts,
    })
}

fn password(common: &Common) -> anyhow::Result<Option<Secret>> {
    let Some(path) = &common.password_file else { return Ok(common.password.clone()) };
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let line = text.lines().next().with_context(|| format!("{} is empty", path.display()))?;
    Ok(Some(Secret(line.to_owned())))
}

/// Calls clients after their certificates, where that is asked for.
fn name_clients(plan: &mut Plan, security: &Security, how: ClientIds) -> anyhow::Result<()> {
    let (names, clients) = (security.names(), plan.clients.len());
    match how {
        ClientIds::Run => return Ok(()),
        ClientIds::Name => ensure!(
            names.len() >= clients,
            "--client-id name: {clients} clients and {} certificates, and two clients of one name would throw each \
             other out: make more, or --client-id name-run",
            names.len()
        ),
        ClientIds::NameRun => {}
    }
    for (client, name) in plan.clients.iter_mut().zip(names.iter().cycle()) {
        client.id = if how == ClientIds::Name { name.clone() } else { format!("{name}-{}", client.id) };
    }
    Ok(())
}

fn pace(traffic: &Traffic, chaos: bool) -> anyhow::Result<Rate> {
    match (traffic.rate, traffic.window) {
        (Some(rate), _) => {
            ensure!(rate.is_finite() && rate > 0.0, "--rate must be greater than 0");
            Ok(Rate::PerSec(rate))
        }
        (None, Some(window)) => {
            ensure!(!chaos, "chaos is an open loop: give --rate");
            ensure!(window > 0, "--window must be at least 1");
            Ok(Rate::Window(window))
        }
        (None, None) => Ok(if chaos { Rate::PerSec(CHAOS_RATE) } else { Rate::Window(WINDOW) }),
    }
}

fn pick_cores(common: &Common) -> anyhow::Result<Vec<usize>> {
    let allowed: Vec<usize> = core_affinity::get_core_ids()
        .context("cannot read which cores may be used")?
        .iter()
        .map(|c| c.id)
        .collect();
    let Some(asked) = &common.cores else {
        return Ok(vec![*allowed.iter().max().context("no core may be used")?]);
    };
    for core in &asked.0 {
        ensure!(allowed.contains(core), "core {core} cannot be used; allowed here: {allowed:?}");
    }
    Ok(asked.0.clone())
}

fn sources(common: &Common, target: SocketAddr, connections: usize) -> anyhow::Result<Vec<Ipv4Addr>> {
    let given = common.source_ip.as_ref().map(|Addresses(list)| list.clone()).unwrap_or_default();
    ensure!(
        given.is_empty() || target.is_ipv4(),
        "--source-ip takes IPv4 addresses, the broker's is {target}"
    );
    if given.is_empty() && target.ip().is_loopback() && target.is_ipv4() && connections > PER_SOURCE {
        let needed = connections.div_ceil(PER_SOURCE) as u32;
        let first = u32::from(Ipv4Addr::new(127, 0, 0, 2));
        return Ok((first..first + needed).map(Ipv4Addr::from).collect());
    }
    Ok(given)
}

fn raise_descriptor_limit(connections: usize) -> anyhow::Result<()> {
    let needed = connections as u64 + OTHER_DESCRIPTORS;
    let limit = crate::ring::raise_descriptor_limit()?;
    ensure!(
        limit >= needed,
        "{connections} connections need {needed} descriptors and this process may have {limit}: raise the limit \
         (ulimit -Hn, LimitNOFILE=) or run several generators"
    );
    Ok(())
}

#[cfg(test)]
#[path = "setup_tests.rs"]
mod tests;
