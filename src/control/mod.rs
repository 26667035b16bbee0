//! The operator's side: configuration, Apply, the data directory, signals and the command line.
//!
//! It runs on a thread of its own with ordinary blocking calls and reaches shards only through
//! [`crate::node::Node`]. No shard thread ever runs a line of it, and it knows nothing of packets.
#![allow(
    clippy::disallowed_methods,
    reason = "the bans keep the pure layers pure; this one is about files, threads and the environment"
)]

mod admin;
pub mod apply;
pub mod cli;
pub mod compile;
pub mod config;
pub mod data_dir;
pub mod diff;
pub mod edit;
pub mod environment;
pub mod failure;
pub mod history;
pub mod passwords;
pub mod pki;
pub mod problem;

mod certificates;
mod client;
mod commands;
mod completions;
mod console;
mod disk;
mod doctor;
mod entrance;
mod escape;
mod fresh;
mod installed;
mod loads;
mod log_lines;
mod logs;
mod notify;
mod output;
mod queries;
mod read;
mod rejections;
mod report;
mod rules;
mod running;
mod secure;
mod serve;
mod signals;
mod size;
mod socket;
mod starter;
mod status;
mod sys_tree;
mod table;
mod terminal;
mod thread;
mod trace;
mod users;
mod validate;
mod warnings;

pub use cli::run;
