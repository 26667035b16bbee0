//! Which seeds are run, on how many shards, on how many threads; what they came to.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number from outside.
pub fn variable(name: &str) -> Option<u64> {
    text(name).map(|text| text.parse().expect("a number"))
}

#[allow(clippy::disallowed_methods, reason = "which seeds to run is the one thing that comes from outside")]
fn text(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The shards of `TIDEMQ_SIM_SHARDS`.
pub fn shards() -> Option<Vec<u16>> {
    let numbers = text("TIDEMQ_SIM_SHARDS")?;
    Some(numbers.split(',').map(|number| number.trim().parse().expect("numbers, with commas")).collect())
}

/// The seeds to run: `TIDEMQ_SIM_SEED`, or `TIDEMQ_SIM_SEEDS` of them from `TIDEMQ_SIM_FIRST` on.
pub fn seeds(unless_told: u64) -> std::ops::Range<u64> {
    if let Some(seed) = variable("TIDEMQ_SIM_SEED") {
        return seed..seed + 1;
    }
    let first = variable("TIDEMQ_SIM_FIRST").unwrap_or(1);
    first..first + variable("TIDEMQ_SIM_SEEDS").unwrap_or(unless_told)
}

/// Was one seed asked for?
pub fn is_one() -> bool {
    variable("TIDEMQ_SIM_SEED").is_some()
}

/// Runs every seed on every number of shards, on as many threads as there are cores. The results are in order.
pub fn run<T: Send>(
    seeds: std::ops::Range<u64>,
    shards: &[u16],
    one: impl Fn(u64, u16) -> T + Sync,
) -> Vec<T> {
    let jobs: Vec<(u64, u16)> = seeds.flat_map(|seed| shards.iter().map(move |n| (seed, *n))).collect();
    let next = AtomicU64::new(0);
    let done = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(jobs.len().max(1));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed) as usize;
                    let Some((seed, shards)) = jobs.get(index).copied() else { return };
                    let result = one(seed, shards);
                    done.lock().expect("no thread panics while it holds it").push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("all threads have ended");
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}
