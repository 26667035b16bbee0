//! The simulation: several shards, virtual clients, network and clock, drawn from a seed. Three of them:
//!
//! - **In step with a reference model** (`lockstep`, `model`): one action of one client, then everything runs until
//!   nothing moves, then the broker and a small executable model of MQTT must agree. A step is one such action that
//!   was performed. A script that fails is shrunk to the few actions that show it.
//! - **Races** (`race`, `world`, `oracle`): everything at once. A step is one turn of one shard, one read or one act of
//!   one client, or some time that passes. An oracle judges every event as it happens, by what its history allows. A
//!   seed that fails is run again with steps left out, until it fails in as few as possible.
//! - **Policies** (`policies`): rules, certificates, users and listeners change at random while clients come, publish and
//!   subscribe. All that a shard puts out is judged by the generation that it holds at that moment.
//!
//! `cargo test --test sim` runs some thousands of seeds. More, with `-- --nocapture` for the count of steps:
//!
//! ```text
//! TIDEMQ_SIM_SEEDS=2000 TIDEMQ_SIM_STEPS=900 TIDEMQ_SIM_SHARDS=1,2,5 cargo test --test sim model -- --nocapture
//! TIDEMQ_SIM_SEEDS=20000 TIDEMQ_SIM_SHARDS=1,2,5 cargo test --test sim race -- --nocapture
//! TIDEMQ_SIM_SEED=7 TIDEMQ_SIM_SHARDS=5 cargo test --test sim
//! ```
//!
//! `TIDEMQ_SIM_FIRST` is the first seed, `TIDEMQ_SIM_TRACE` how many lines of a failure's trace are shown.
//! `bench/mutants.sh` breaks rules in a copy of the sources and says which of them the simulation finds.

#![allow(unreachable_pub, reason = "the modules of a test have no outside")]

mod client;
mod faults;
mod finale;
mod history;
mod lockstep;
mod model;
mod net;
mod node;
mod operator;
mod oracle;
mod plan;
mod policies;
mod race;
mod rng;
mod rogue;
mod seeds;
mod shrink;
mod stage;
mod wire;
mod world;
