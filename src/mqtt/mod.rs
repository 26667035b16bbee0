//! The MQTT wire format: 3.1 (CONNECT only differs), 3.1.1 and 5.0 as one packet model.
//!
//! Pure: bytes in, values out. Everything decoded borrows from the bytes it was decoded from; a PUBLISH is
//! decoded without an allocation. This layer knows nothing of sessions, subscriptions or who is connected.

pub mod ack;
pub mod auth;
pub mod connack;
pub mod connect;
pub mod disconnect;
pub mod frame;
pub mod packet;
pub mod property;
pub mod publish;
pub mod reader;
pub mod reason;
pub mod subscribe;
pub mod topic;
pub mod unsubscribe;
pub mod violation;
pub mod writer;

#[cfg(test)]
mod tests;

pub use packet::{Packet, PacketId, PacketType, QoS, Sender, Version, decode};
pub use reason::ReasonCode;
pub use violation::Violation;
