//! Timing for the benchmarks: rounds of many calls, of which the fastest and the median are printed.
//!
//! The fastest round is the cost without disturbance, the median what to expect on this machine; where they are
//! far apart the machine was busy, and neither is worth much.

use std::hint::black_box;
use std::time::{Duration, Instant};

const ROUNDS: usize = 25;
const ROUND: Duration = Duration::from_millis(20);

/// Nanoseconds per operation over the rounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// Of the fastest round.
    pub(crate) fastest_ns: f64,
    /// Of the median round.
    pub(crate) median_ns: f64,
}

/// Calls `operation` in rounds of about 20 ms. What it returns is kept from the optimiser; what it takes is for
/// the caller to hide (`black_box`).
#[allow(clippy::disallowed_methods, reason = "a benchmark needs a clock")]
pub(crate) fn time<T>(mut operation: impl FnMut() -> T) -> Timing {
    let mut calls = 1u32;
    let calls = loop {
        let began = Instant::now();
        for _ in 0..calls {
            black_box(operation());
        }
        if began.elapsed() >= ROUND || calls > 1 << 29 {
            break calls;
        }
        calls *= 2;
    };
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..calls {
                black_box(operation());
            }
            began.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    Timing { fastest_ns: rounds[0], median_ns: rounds[ROUNDS / 2] }
}

/// Times `operation` and prints a line. `operations` is how many one call makes.
pub(crate) fn report<T>(name: &str, operations: u32, operation: impl FnMut() -> T) {
    let timing = time(operation);
    let per = f64::from(operations);
    println!("{name:<52} {:>10.1} {:>10.1}", timing.fastest_ns / per, timing.median_ns / per);
}

/// The heading of what `report` prints.
pub(crate) fn heading(title: &str) {
    println!("\n{title:<52} {:>10} {:>10}", "fastest", "median");
    println!("{:<52} {:>10} {:>10}", "", "ns/op", "ns/op");
}
