//! What rules cost: nanoseconds to judge a publish, and to resolve a client, with 0, 10, 1,000 and 10,000 rules of
//! several makes, the worst that came to mind among them.
//! `cargo bench --bench rules`
//!
//! Topics and clients are drawn at random. A figure is the median of its rounds, the lowest in brackets.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::hint::black_box;
use std::time::Instant;

use tidemq::policy::rules::{Access, Action, ClientMatch, ClientRules, Rule, Rules, TopicMatch};

const SIZES: [usize; 4] = [0, 10, 1_000, 10_000];
const ROUNDS: usize = 9;
const CLIENTS: usize = 256;
const JUDGED: usize = 20_000;

/// How rules are made, and what is asked of them.
struct Make {
    name: &'static str,
    rule: fn(usize, usize) -> (ClientMatch, TopicMatch),
    client: fn(usize) -> String,
    topic: fn(usize, &str) -> String,
}

fn specific(text: String) -> TopicMatch {
    TopicMatch::Specific(text)
}

/// A fifth of each: by name, by pattern, by wildcards, by the client's name, for all.
fn mixed(n: usize, _: usize) -> (ClientMatch, TopicMatch) {
    match n % 5 {
        0 => (ClientMatch::Specific(format!("device{n}")), specific(format!("plant/{n}/+/set"))),
        1 => (ClientMatch::Pattern(format!("device{n}[0-9]*")), specific(format!("plant/{n}/#"))),
        2 => (ClientMatch::All, specific(format!("plant/+/line{n}/+"))),
        3 => (ClientMatch::Pattern("device.*".into()), TopicMatch::Pattern(format!("{n}/{{%client%}}/data"))),
        _ => (ClientMatch::All, specific(format!("shared/{n}/value"))),
    }
}

const MAKES: [Make; 8] = [
    Make {
        name: "mixed",
        rule: mixed,
        client: |n| format!("device{n}"),
        topic: |n, client| match n % 3 {
            0 => format!("{}/{client}/data", n - n % 5 + 3),
            1 => format!("plant/{n}/line{n}/set"),
            _ => format!("shared/{n}/value/none"),
        },
    },
    Make {
        name: "by client, topic All",
        rule: |n, _| (ClientMatch::Specific(format!("device{n}")), TopicMatch::All),
        client: |n| format!("device{n}"),
        topic: |n, _| format!("plant/{n}/line/value"),
    },
    Make {
        name: "by topic, client All",
        rule: |n, _| (ClientMatch::All, specific(format!("plant/{n}/+/value"))),
        client: |n| format!("device{n}"),
        topic: |n, _| format!("plant/{n}/line/value"),
    },
    Make {
        name: "one pattern, own topics",
        rule: |n, _| {
            (ClientMatch::Pattern("device.*".into()), TopicMatch::Pattern(format!("t{n}/{{%client%}}/#")))
        },
        client: |n| format!("device{n}"),
        topic: |n, client| format!("t{n}/{client}/line/value"),
    },
    Make {
        name: "name inside a level",
        rule: |n, _| (ClientMatch::All, TopicMatch::Pattern(format!("plant/t{n}-{{%client%}}/value"))),
        client: |n| format!("device{n}"),
        topic: |n, client| format!("plant/t{n}-{client}/value"),
    },
    // The client fits half of the rules, and the topic the other half.
    Make {
        name: "fits, but elsewhere",
        rule: |n, all| match n >= all / 2 {
            true => (ClientMatch::Pattern("device.*".into()), specific("other/#".into())),
            false => (ClientMatch::Specific(format!("other{n}")), specific("plant/#".into())),
        },
        client: |n| format!("device{n}"),
        topic: |n, _| format!("plant/{n}/line/value"),
    },
    // Every level of every topic in both ways, up to what ten levels give.
    Make {
        name: "plus or not, everywhere",
        rule: |n, _| {
            let level = |at: usize| if n >> at & 1 == 1 { "+" } else { "a" };
            let levels: Vec<&str> = (0..10).map(level).collect();
            (ClientMatch::Specific("none".into()), specific(format!("{}/{}", levels.join("/"), n >> 10)))
        },
        client: |n| format!("device{n}"),
        topic: |_, _| "a/a/a/a/a/a/a/a/a/a/b".into(),
    },
    Make {
        name: "by pattern, each its own",
        rule: |n, _| (ClientMatch::Pattern(format!("device{n}-.*")), specific(format!("plant/{n}/#"))),
        client: |n| format!("device{n}-1"),
        topic: |n, _| format!("plant/{n}/line/value"),
    },
];

/// Xorshift: the same draws in every run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as usize % end
    }
}

fn median(mut rounds: Vec<f64>) -> String {
    rounds.sort_by(f64::total_cmp);
    format!("{:>6.0} ({:>5.0})", rounds[rounds.len() / 2], rounds[0])
}

fn compiled(make: &Make, size: usize) -> Rules {
    let rule = |n| {
        let (client, topic) = (make.rule)(n, size);
        Rule { name: format!("rule {n}"), access: Access::ReadWrite, client, topic }
    };
    Rules::compile((0..size).map(rule).collect()).expect("nothing is wrong with them")
}

fn costs(make: &Make, size: usize) {
    let started = Instant::now();
    let rules = compiled(make, size);
    let compiling = started.elapsed().as_millis();
    let mut draw = Draw(0x2545_f491_4f6c_dd1d);
    let names: Vec<String> = (0..CLIENTS).map(|_| (make.client)(draw.below(size.max(1)))).collect();
    let clients: Vec<ClientRules> = names.iter().map(|name| rules.client(name)).collect();
    let asked: Vec<(usize, String)> = (0..JUDGED)
        .map(|_| {
            let client = draw.below(CLIENTS);
            (client, (make.topic)(draw.below(size.max(1)), &names[client]))
        })
        .collect();
    let mut allowed = 0;
    let judging = (0..ROUNDS).map(|_| {
        allowed = 0;
        let started = Instant::now();
        for (client, topic) in &asked {
            let verdict = rules.judge(&clients[*client], Action::Publish, black_box(topic));
            allowed += usize::from(verdict.allowed);
        }
        started.elapsed().as_nanos() as f64 / asked.len() as f64
    });
    let judging = median(judging.collect());
    let resolving = (0..ROUNDS).map(|_| {
        let started = Instant::now();
        for name in &names {
            black_box(rules.client(black_box(name)));
        }
        started.elapsed().as_nanos() as f64 / names.len() as f64
    });
    let resolving = median(resolving.collect());
    let share = allowed * 100 / JUDGED;
    println!("{:<26} {size:>6} {judging:>16} {share:>7}% {resolving:>16} {compiling:>8}", make.name);
}

fn main() {
    println!("ns: median (lowest) of {ROUNDS} rounds");
    println!(
        "{:<26} {:>6} {:>16} {:>8} {:>16} {:>8}",
        "rules", "number", "a publish", "allowed", "a client", "built ms"
    );
    for make in &MAKES {
        for size in SIZES {
            costs(make, size);
        }
    }
}
