//! A node: its shards, each on an executor and a core of its own, the channels between them, the clock and the
//! source of randomness.
//!
//! Here the pure shard meets sockets, threads and time. It knows nothing of configuration files and the like: it is
//! handed a [`Snapshot`](crate::policy::Snapshot) and bound sockets, and is driven by calls from one thread that is no
//! shard's.

#![allow(clippy::disallowed_methods, reason = "the node is where time, threads and randomness come from")]

mod clock;
mod driver;
mod entropy;
mod executor;
mod mesh;
#[cfg(test)]
mod mesh_tests;
mod order;
mod passwords;
mod priority;
mod probe;
mod questions;
#[cfg(test)]
mod questions_tests;
mod report;
mod running;
#[cfg(test)]
mod tests;

pub use priority::stand_back;
pub use probe::{Machine, ProbeError, probe};
pub use questions::{ClientDetail, PAGE_ROWS};
pub use report::{NodeCounters, Report};
pub use running::{Installed, Node, NodeConfig, RecentRejections, StartError};

pub use crate::shard::{
    Aftermath, ClientPage, ClientQuery, ClientRow, ClientState, ConnectionRow, KickWhat, LevelChild,
    LevelQuery, Measure, NotACursor, NotAFilter, PageCursor, PausedFor, PutOut, RetainedLevel,
    RetainedMessage, RetainedPage, RetainedQuery, RetainedRow, RuleHits, StateFilter, SubscriptionPage,
    SubscriptionQuery, SubscriptionRow, Traced, Withdrawn,
};
