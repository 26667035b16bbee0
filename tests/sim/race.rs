//! Runs of the races: what they met, and the fewest steps that show a failure.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::history::{ClientNo, Fault};
use crate::plan::Plan;
use crate::seeds;
use crate::shrink::{Attempt, shrink};
use crate::world::World;

/// Seeds of a run that is not told otherwise: under a minute, unoptimised.
const SEEDS: u64 = 1_000;
/// Lines of the trace shown with a failure.
const TRACE: usize = 60;
/// The number from which what happens after the last step is drawn.
const FINALE: u64 = u64::MAX;

/// What a run met: a rule that never applied was not proved.
#[derive(Clone, Debug, Default)]
pub struct Proved {
    /// Deliveries that were owed and made.
    pub deliveries: usize,
    pub wills: usize,
    pub taken_over: u64,
    pub pauses: u64,
    pub drops: u64,
    pub violations: u64,
    /// Resumed sessions.
    pub resumed: usize,
    /// Retained messages that were replayed.
    pub replays: usize,
    /// Publishes that were sent again.
    pub repeated: usize,
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

/// How one sequence of steps went.
struct Outcome {
    proved: Proved,
    steps: usize,
    /// The fault, and the trace that leads to it.
    failure: Option<(Fault, String)>,
}

fn steps_of(plan: &Plan) -> Vec<u64> {
    (0..plan.steps as u64).collect()
}

/// Performs the steps of these numbers, then the finale.
fn run(seed: u64, plan: &Plan, steps: &[u64]) -> Outcome {
    let mut world = World::new(seed, plan.clone());
    let played = catch_unwind(AssertUnwindSafe(|| {
        steps.iter().try_for_each(|number| world.step(*number))?;
        world.draw_anew(FINALE);
        world.finish()
    }));
    let fault = played.unwrap_or_else(|panic| Err(Fault::panicked(&*panic))).err();
    let failure = fault.map(|fault| {
        let tail = tail(&world, fault.client);
        (fault, tail)
    });
    Outcome { proved: Proved::of(&world), steps: world.steps, failure }
}

fn tail(world: &World, client: Option<ClientNo>) -> String {
    // Asked for more, everybody's events are shown.
    let lines = seeds::variable("TIDEMQ_SIM_TRACE");
    let who = client.map_or("all".to_owned(), |c| {
        let character = world.clients.get(c.0).map(|client| &client.character);
        format!("client {} {character:?}", c.0)
    });
    let shown = world.stage.tail(client.filter(|_| lines.is_none()), lines.map_or(TRACE, |n| n as usize));
    format!("last events of {who}:\n{}", shown.join("\n"))
}

/// The fewest steps that fail by the same rule.
fn minimal(seed: u64, plan: &Plan, rule: &str) -> Vec<u64> {
    shrink(&steps_of(plan), &[], |steps| {
        let Outcome { steps: cost, failure, .. } = run(seed, plan, steps);
        let fails = failure.is_some_and(|(fault, _)| fault.rule == rule);
        // A finale costs as much as many steps.
        Attempt { cost: cost + 300, fails_at: fails.then(|| cost.saturating_sub(1)) }
    })
}

fn report(seed: u64, plan: &Plan, rule: &str) -> String {
    let steps = minimal(seed, plan, rule);
    let failure = run(seed, plan, &steps).failure;
    let (text, tail) = failure
        .map_or_else(Default::default, |(fault, tail)| (format!("{}: {}", fault.rule, fault.text), tail));
    let (shards, clients) = (plan.shards, plan.clients);
    format!(
        "seed {seed}, {shards} shards, {clients} clients: {text}\n{} of {} steps show it: {steps:?}\n{tail}\n\
         rerun: TIDEMQ_SIM_SEED={seed} TIDEMQ_SIM_SHARDS={shards} cargo test --test sim race",
        steps.len(),
        plan.steps,
    )
}

#[test]
fn every_race_keeps_every_rule() {
    // 0: as many as the seed says.
    let numbers = seeds::shards().unwrap_or(vec![0]);
    let range = seeds::seeds(SEEDS);
    let plan = |seed, shards: u16| Plan::draw(seed, Some(shards).filter(|n| *n > 0));
    let runs = seeds::run(range.clone(), &numbers, |seed, shards| {
        let plan = plan(seed, shards);
        (seed, shards, run(seed, &plan, &steps_of(&plan)))
    });
    for number in &numbers {
        let steps: usize = runs.iter().filter(|r| r.1 == *number).map(|r| r.2.steps).sum();
        let shards = if *number == 0 { "1 to 5".to_owned() } else { number.to_string() };
        println!("{shards} shards: {steps} steps, {} seeds", range.end - range.start);
    }
    let failed: Vec<_> =
        runs.iter().filter_map(|(seed, n, run)| run.failure.as_ref().map(|(f, _)| (*seed, *n, f))).collect();
    if let Some((seed, shards, fault)) = failed.first() {
        let all: Vec<String> = failed
            .iter()
            .map(|(seed, _, fault)| format!("seed {seed}: {}: {}", fault.rule, fault.text))
            .collect();
        let report = report(*seed, &plan(*seed, *shards), fault.rule);
        panic!(
            "{}\n{} of {} runs failed; the first of them:\n{report}",
            all.join("\n"),
            all.len(),
            runs.len()
        );
    }
    let mut proved = Proved::default();
    runs.iter().for_each(|(_, _, run)| proved.add(&run.proved));
    println!("{proved:?}");
    if range.end - range.start >= 100 {
        // A run in which nothing happens would keep every rule.
        assert!(proved.deliveries > 1_000 && proved.wills > 10 && proved.taken_over > 10, "{proved:?}");
        assert!(proved.resumed > 100 && proved.replays > 100 && proved.repeated > 10, "{proved:?}");
    }
}
