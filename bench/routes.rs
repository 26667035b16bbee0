//! What a route costs: nanoseconds for a match, an insert and a removal with 1, 1,000 and 1,000,000 distinct
//! filters of each shape, the longest single insert on the way there (worst us), and bytes.
//! `cargo bench --bench routes`
//!
//! Topics are drawn at random, so that a large table is read as a broker reads it: from memory, not from cache.
//! A figure is the median of its rounds, the lowest in brackets; of each single insert the
//! best of three builds counts, as being preempted is no fault of the table.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use tidemq::routing::{ShardId, Slot, Table, Target};

const SIZES: [u32; 3] = [1, 1_000, 1_000_000];
const ROUNDS: usize = 9;
const MATCHES: usize = 50_000;
const CHANGES: u32 = 2_000;

/// A kind of filter, and a topic that the filter with the same number matches.
struct Shape {
    name: &'static str,
    filter: fn(u32) -> String,
    topic: fn(u32) -> String,
}

const SHAPES: [Shape; 4] = [
    Shape { name: "a/{n}/t", filter: |n| format!("a/{n}/t"), topic: |n| format!("a/{n}/t") },
    Shape { name: "a/{n}/+", filter: |n| format!("a/{n}/+"), topic: |n| format!("a/{n}/t") },
    Shape { name: "+/{n}/#", filter: |n| format!("+/{n}/#"), topic: |n| format!("a/{n}/t/u") },
    Shape { name: "{n}/#", filter: |n| format!("{n}/#"), topic: |n| format!("{n}/t/u") },
];

/// Xorshift: the same topics in every run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32 % end
    }
}

fn target(n: u32) -> Target {
    Target { shard: ShardId(0), slot: Slot(n) }
}

fn nanos(took: Duration, operations: usize) -> f64 {
    took.as_nanos() as f64 / operations as f64
}

fn median(mut rounds: Vec<f64>) -> String {
    rounds.sort_by(f64::total_cmp);
    format!("{:>5.0} ({:>3.0})", rounds[rounds.len() / 2], rounds[0])
}

fn match_cost(table: &Table, topics: &[String], reached: usize) -> String {
    let mut out = Vec::with_capacity(16);
    let round = |_| {
        let (mut total, started) = (0, Instant::now());
        for topic in topics {
            out.clear();
            table.matches(black_box(topic), &mut out);
            total += out.len();
        }
        let took = started.elapsed();
        assert_eq!(total, reached * topics.len(), "every topic reaches what it should");
        nanos(took, topics.len())
    };
    median((0..ROUNDS).map(round).collect())
}

/// Inserts and removes filters that are not in the table, at its present size.
fn change_cost(table: &mut Table, shape: &Shape, draw: &mut Draw) -> (String, String) {
    let (mut inserts, mut removes) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let first = 2_000_000 + draw.below(1_000_000_000);
        let filters: Vec<String> = (first..first + CHANGES).map(shape.filter).collect();
        let started = Instant::now();
        for filter in &filters {
            table.insert(black_box(filter), target(0));
        }
        inserts.push(nanos(started.elapsed(), filters.len()));
        let started = Instant::now();
        for filter in &filters {
            assert!(table.remove(black_box(filter), target(0)));
        }
        removes.push(nanos(started.elapsed(), filters.len()));
    }
    (median(inserts), median(removes))
}

/// Resident bytes of this process.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
    let pages = statm.split(' ').nth(1).and_then(|p| p.parse::<usize>().ok()).expect("its second number");
    pages * 4096
}

/// A table of `size` filters; each insert's nanoseconds go into `inserts` if they are fewer than what stands there.
fn built(shape: &Shape, size: u32, inserts: &mut [u64]) -> Table {
    let mut table = Table::new([1, 2, 3, 4]);
    for (n, fewest) in (0..size).zip(inserts) {
        let filter = (shape.filter)(n);
        let started = Instant::now();
        table.insert(&filter, target(n));
        *fewest = (started.elapsed().as_nanos() as u64).min(*fewest);
    }
    table
}

fn shape_costs(shape: &Shape) {
    for size in SIZES {
        let mut draw = Draw(0x2545_f491_4f6c_dd1d);
        let mut inserts = vec![u64::MAX; size as usize];
        let before = resident();
        let mut table = built(shape, size, &mut inserts);
        let used = resident().saturating_sub(before);
        let per_route = |bytes: usize| bytes / size as usize;
        let counted = per_route(table.bytes() - Table::new([0; 4]).bytes());
        let resident = per_route(used);
        let hits: Vec<String> = (0..MATCHES).map(|_| (shape.topic)(draw.below(size))).collect();
        let misses: Vec<String> = (0..MATCHES).map(|_| (shape.topic)(size + draw.below(size))).collect();
        let hit = match_cost(&table, &hits, 1);
        let miss = match_cost(&table, &misses, 0);
        let (insert, remove) = change_cost(&mut table, shape, &mut draw);
        for _ in 0..2 {
            drop(built(shape, size, &mut inserts));
        }
        let longest = inserts.into_iter().max().expect("at least one insert") / 1_000;
        let bytes = if size == 1 { String::new() } else { format!("{counted} ({resident})") };
        println!(
            "{:<9} {size:>9} {hit:>12} {miss:>12} {insert:>12} {remove:>12} {longest:>8} {bytes:>10}",
            shape.name
        );
    }
}

/// A table as a broker may have: all shapes, a quarter of a million each, and topics that reach three of them.
fn mixed_cost() {
    let mut table = Table::new([1, 2, 3, 4]);
    for n in 0..250_000 {
        for (at, shape) in SHAPES.iter().enumerate() {
            table.insert(&(shape.filter)(n), target(n * 4 + at as u32));
        }
    }
    let mut draw = Draw(0x9e37_79b9_7f4a_7c15);
    let topics: Vec<String> = (0..MATCHES).map(|_| (SHAPES[0].topic)(draw.below(250_000))).collect();
    println!(
        "\nmixed: {} routes, each topic reaches 3: ns/match {}",
        table.routes(),
        match_cost(&table, &topics, 3)
    );
}

/// Each shape in a process of its own, so that its resident bytes are not memory that an earlier one left.
fn main() {
    if let Some(shape) = std::env::args().nth(1).and_then(|arg| arg.parse::<usize>().ok()) {
        return shape_costs(&SHAPES[shape]);
    }
    println!("ns: median (lowest) of {ROUNDS} rounds; bytes: counted (resident)");
    println!(
        "{:<9} {:>9} {:>12} {:>12} {:>12} {:>12} {:>8} {:>10}",
        "filter", "filters", "match", "no match", "insert", "remove", "worst us", "bytes"
    );
    let program = std::env::current_exe().expect("Linux knows it");
    for (at, shape) in SHAPES.iter().enumerate() {
        let status = Command::new(&program).arg(at.to_string()).status().expect("this very program runs");
        assert!(status.success(), "the part for {} failed", shape.name);
    }
    mixed_cost();
}
