//! The simulation: several shards, virtual clients, network and clock, drawn from a seed; an oracle checks every
//! step. `TIDEMQ_SIM_SEED=n` runs one seed, `TIDEMQ_SIM_SEEDS=n` runs n of them.

#![allow(unreachable_pub, reason = "the modules of a test have no outside")]

mod client;
mod finale;
mod history;
mod net;
mod node;
mod oracle;
mod plan;
mod rng;
mod rogue;
mod stage;
mod wire;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use history::{ClientNo, Fault};
use world::World;

/// Seeds of a run that is not told otherwise: under a minute, unoptimised.
const SEEDS: u64 = 500;
/// Lines of the trace shown with a failure.
const TRACE: usize = 60;

/// How one seed went.
struct Outcome {
    proved: Proved,
    failure: Option<String>,
}

/// What a run met: a rule that never applied was not proved.
#[derive(Debug, Default)]
struct Proved {
    /// Deliveries that were owed and made.
    deliveries: usize,
    wills: usize,
    taken_over: u64,
    pauses: u64,
    drops: u64,
    violations: u64,
    /// Resumed sessions.
    resumed: usize,
    /// Retained messages that were replayed.
    replays: usize,
    /// Publishes that were sent again.
    repeated: usize,
}

impl Proved {
    fn of(world: &World) -> Proved {
        let mut proved = world.stage.oracle.proved();
        for node in &world.nodes {
            let counters = node.shard.counters();
            proved.taken_over += counters.taken_over;
            proved.pauses += counters.pauses;
            proved.drops += counters.drops.backlog_full + counters.drops.output_full;
            proved.violations += counters.violations.values().sum::<u64>();
        }
        proved
    }

    fn add(&mut self, other: &Proved) {
        self.deliveries += other.deliveries;
        self.wills += other.wills;
        self.taken_over += other.taken_over;
        self.pauses += other.pauses;
        self.drops += other.drops;
        self.violations += other.violations;
        self.resumed += other.resumed;
        self.replays += other.replays;
        self.repeated += other.repeated;
    }
}

fn run(seed: u64) -> Outcome {
    let mut world = World::new(seed);
    let played = catch_unwind(AssertUnwindSafe(|| play(&mut world)));
    let failure = match played {
        Ok(Ok(())) => None,
        Ok(Err(fault)) => Some((format!("{}: {}", fault.rule, fault.text), fault.client)),
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Some((format!("a panic: {}", text.unwrap_or_default()), None))
        }
    };
    let failure = failure.map(|(text, client)| report(seed, &world, &text, client));
    Outcome { proved: Proved::of(&world), failure }
}

fn play(world: &mut World) -> Result<(), Fault> {
    while world.steps < world.stage.plan.steps {
        world.step()?;
    }
    world.finish()
}

fn report(seed: u64, world: &World, text: &str, client: Option<ClientNo>) -> String {
    let plan = &world.stage.plan;
    // Asked for more, everybody's events are shown.
    let lines = variable("TIDEMQ_SIM_TRACE");
    let who = client.map_or("all".to_owned(), |c| {
        let character = world.clients.get(c.0).map(|client| &client.character);
        format!("client {} {character:?}", c.0)
    });
    format!(
        "seed {seed}, step {} of {}, {} shards, {} clients\n{text}\n\
         rerun: TIDEMQ_SIM_SEED={seed} cargo test --test sim\nlast events of {who}:\n{}",
        world.steps,
        plan.steps,
        plan.shards,
        plan.clients,
        world.stage.tail(client.filter(|_| lines.is_none()), lines.map_or(TRACE, |n| n as usize)).join("\n")
    )
}

#[allow(clippy::disallowed_methods, reason = "which seeds to run is the one thing that comes from outside")]
fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn every_seed_keeps_every_rule() {
    if let Some(seed) = variable("TIDEMQ_SIM_SEED") {
        if let Some(failure) = run(seed).failure {
            panic!("{failure}");
        }
        return;
    }
    let mut proved = Proved::default();
    let mut failures = Vec::new();
    let first = variable("TIDEMQ_SIM_FIRST").unwrap_or(1);
    for seed in first..first + variable("TIDEMQ_SIM_SEEDS").unwrap_or(SEEDS) {
        let outcome = run(seed);
        proved.add(&outcome.proved);
        failures.extend(outcome.failure);
    }
    if let Some(shortest) = failures.iter().min_by_key(|failure| failure.len()) {
        let heads: Vec<String> =
            failures.iter().map(|text| text.lines().take(2).collect::<Vec<_>>().join(": ")).collect();
        panic!("{}\n{} of the seeds failed; one of them:\n{shortest}", heads.join("\n"), heads.len());
    }
    println!("{proved:?}");
    // A run in which nothing happens would keep every rule.
    assert!(proved.deliveries > 1_000 && proved.wills > 10 && proved.taken_over > 10, "{proved:?}");
    assert!(proved.resumed > 100 && proved.replays > 100 && proved.repeated > 10, "{proved:?}");
}
