//! Sockets: the second io_uring of a shard, what lies between accept and CONNECT, the orderly end of a connection,
//! and the listening sockets.
//!
//! Everything here is told the time and driven by `node`; it knows no executor, no channel and no clock. It speaks
//! to the owner of the connections through [`Connections`] alone, and never looks into a packet beyond the question
//! whose CONNECT this is.

mod buffers;
mod closing;
mod connections;
mod counters;
mod driver;
mod flush;
mod gate;
mod linger;
pub mod listener;
pub mod lobby;
mod own;
mod port_holder;
mod receive;
mod records;
mod ring;
mod seats;
mod slots;
pub mod socket;
pub mod tls;
mod websocket;
pub mod ws;

#[cfg(test)]
mod tests;

pub use connections::Connections;
pub use counters::{Closed, Counters, Handshakes, TlsHandshakes};
pub use driver::{Net, NetConfig};
pub use listener::{BindError, Bound, Speech, Transport};
pub use lobby::{Envelope, Place};
pub use ring::RingError;
pub use ring::probe as probe_ring;
pub use seats::Seats;
pub use tls::TlsTerms;
pub use ws::PacketsPerFrame;
