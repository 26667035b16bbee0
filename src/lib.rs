//! tidemq: an MQTT 3.1.1 and 5.0 broker, thread-per-core on io_uring.
//!
//! The layers, each of which may name only what stands before it: `ids`, `time` <- `mqtt` <- `policy` <- `session` <-
//! `routing` <- `shard` <- `net` <- `node` <- `control`. Up to `shard` they are pure: no executor, socket, file,
//! thread, lock, clock or random source. `src/ARCHITECTURE.md` has the reasons.

pub mod control;
pub mod ids;
pub mod mqtt;
pub mod net;
pub mod node;
pub mod policy;
pub mod routing;
pub mod session;
pub mod shard;
pub mod time;
