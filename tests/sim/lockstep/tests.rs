//! Runs of the lockstep, and faults put between the shards and on the wire: each must be found, and shrink.

use super::script::{Act, Setting, Step};
use super::{Play, play};
use crate::faults::{Sabotage, Saboteur};
use crate::model::Met;
use crate::seeds;
use crate::shrink::{Attempt, shrink};

/// Seeds of a run that is not told otherwise, each on every number of shards.
const SEEDS: u64 = 1_000;
/// Steps of a script that is not told otherwise.
const STEPS: usize = 150;
const SHARDS: [u16; 3] = [1, 2, 5];

type Sabotaged = Option<(Sabotage, usize)>;

fn saboteur(setting: &Setting, sabotaged: Sabotaged) -> Option<Saboteur> {
    sabotaged.map(|(sabotage, percent)| Saboteur::new(sabotage, percent, setting.seed))
}

/// The smallest script that fails by the same rule.
fn minimal(setting: &Setting, script: &[Step], sabotaged: Sabotaged, rule: &str) -> Vec<Step> {
    let clients = setting.clients;
    let of = |client: usize| move |step: &Step| step.client == client;
    let by_client: Vec<_> = (0..clients).map(of).collect();
    let kinds: Vec<&dyn Fn(&Step) -> bool> = by_client.iter().map(|kind| kind as _).collect();
    let mut attempt = |candidate: &[Step]| {
        let Play { at, fault, .. } = play(setting, candidate, saboteur(setting, sabotaged));
        Attempt { cost: at + 1, fails_at: fault.filter(|fault| fault.rule == rule).map(|_| at) }
    };
    let left_out = shrink(script, &kinds, &mut attempt);
    simplified(left_out, attempt)
}

/// Each of its actions made simpler, where it still fails.
fn simplified(mut script: Vec<Step>, mut attempt: impl FnMut(&[Step]) -> Attempt) -> Vec<Step> {
    for index in 0..script.len() {
        for act in script[index].act.simpler() {
            let mut simpler = script.clone();
            simpler[index].act = act;
            if attempt(&simpler).fails_at.is_some() {
                script = simpler;
            }
        }
    }
    script
}

/// What went wrong, the smallest script that shows it, and what happened in it.
fn report(setting: &Setting, script: &[Step], sabotaged: Sabotaged, rule: &str) -> String {
    let minimal = minimal(setting, script, sabotaged, rule);
    let Play { fault, tail, .. } = play(setting, &minimal, saboteur(setting, sabotaged));
    let fault = fault.map_or_else(String::new, |fault| format!("{}: {}", fault.rule, fault.text));
    let acts: Vec<String> =
        minimal.iter().map(|step| format!("  client {} {:?}", step.client, step.act)).collect();
    format!(
        "seed {}, {} shards: {fault}\n{} of {} actions show it:\n{}\nthe last of it:\n{}\n{setting:?}\n\
         rerun: TIDEMQ_SIM_SEED={} TIDEMQ_SIM_SHARDS={} cargo test --test sim lockstep",
        setting.seed,
        setting.shards,
        minimal.len(),
        script.len(),
        acts.join("\n"),
        tail.join("\n"),
        setting.seed,
        setting.shards
    )
}

#[test]
fn the_broker_and_the_model_agree_after_every_step() {
    let numbers = seeds::shards().unwrap_or(SHARDS.to_vec());
    let steps = seeds::variable("TIDEMQ_SIM_STEPS").map_or(STEPS, |steps| steps as usize);
    let range = seeds::seeds(SEEDS);
    let plays = seeds::run(range.clone(), &numbers, |seed, shards| {
        let setting = Setting::draw(seed, shards);
        let Play { steps, met, fault, .. } = play(&setting, &setting.script(steps), None);
        (seed, shards, steps, met, fault.map(|fault| (fault.rule, fault.text)))
    });
    for number in &numbers {
        let played: usize = plays.iter().filter(|p| p.1 == *number).map(|p| p.2).sum();
        println!("{number} shards: {played} steps, {} seeds", range.end - range.start);
    }
    let failed: Vec<_> =
        plays.iter().filter_map(|(seed, n, _, _, f)| f.as_ref().map(|f| (*seed, *n, f))).collect();
    if let Some((seed, shards, (rule, _))) = failed.first() {
        let all: Vec<String> = failed
            .iter()
            .map(|(seed, n, (rule, text))| format!("seed {seed}, {n} shards: {rule}: {text}"))
            .collect();
        let setting = Setting::draw(*seed, *shards);
        let report = report(&setting, &setting.script(steps), None, rule);
        panic!(
            "{}\n{} of {} runs differ; the first of them:\n{report}",
            all.join("\n"),
            all.len(),
            plays.len()
        );
    }
    let mut met = Met::default();
    plays.iter().for_each(|play| met.add(&play.3));
    println!("{met:?}");
    if !seeds::is_one() && range.end - range.start >= SEEDS {
        met.expect_everything();
    }
}

/// Seeds within which a fault must be found.
const FOUND_WITHIN: u64 = 60;

#[test]
fn faults_between_shards_and_on_the_wire_are_found() {
    let faults = [
        Sabotage::Lose("Deliver"),
        Sabotage::Lose("Publish"),
        Sabotage::Lose("Taken"),
        Sabotage::Lose("Retired"),
        Sabotage::Lose("Subscribed"),
        Sabotage::Lose("Unroute"),
        Sabotage::Lose("Replay"),
        Sabotage::Lose("Pull"),
        Sabotage::Swap("Deliver"),
        Sabotage::Delay("Subscribe"),
        Sabotage::ForgetDup,
        Sabotage::FlipRetain,
        Sabotage::Alter,
    ];
    let found = seeds::run(0..faults.len() as u64, &[5], |index, shards| {
        let sabotage = faults[index as usize];
        let strikes = |seed| {
            let setting = Setting::draw(seed, shards);
            let script = setting.script(STEPS);
            play(&setting, &script, saboteur(&setting, Some((sabotage, 20)))).fault.map(|f| (seed, f.rule))
        };
        (sabotage, (1..=FOUND_WITHIN).find_map(strikes))
    });
    found.iter().for_each(|found| println!("{found:?}"));
    let missed: Vec<_> = found.iter().filter(|(_, seed)| seed.is_none()).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

#[test]
fn a_failing_seed_shrinks_to_the_few_actions_that_it_needs() {
    let sabotaged = Some((Sabotage::Lose("Deliver"), 100));
    let (setting, script, rule) = (1..=FOUND_WITHIN)
        .find_map(|seed| {
            let setting = Setting::draw(seed, 5);
            let script = setting.script(STEPS);
            let fault = play(&setting, &script, saboteur(&setting, sabotaged)).fault?;
            Some((setting, script, fault.rule))
        })
        .expect("the fault is found");
    let minimal = minimal(&setting, &script, sabotaged, rule);
    // Two connect, one subscribes, one publishes, and it does not arrive.
    assert!(minimal.len() <= 8, "{minimal:#?}");
    assert!(minimal.iter().any(|step| matches!(step.act, Act::Connect(_))), "{minimal:#?}");
    let fails = |script: &[Step]| {
        let fault = play(&setting, script, saboteur(&setting, sabotaged)).fault;
        fault.is_some_and(|fault| fault.rule == rule)
    };
    assert!(fails(&minimal), "it still fails");
    for index in 0..minimal.len() {
        let mut without = minimal.clone();
        without.remove(index);
        assert!(!fails(&without), "action {index} could be left out of {minimal:#?}");
    }
    let shown = report(&setting, &script, sabotaged, rule);
    assert!(shown.contains("rerun: TIDEMQ_SIM_SEED="), "{shown}");
}
