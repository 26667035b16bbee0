//! The broker and the reference model in step: one action of one client, then everything runs until nothing moves,
//! then the two must agree. What the broker does within a step is drawn at random (which shard turns, how much it
//! takes, how far a link lets it); what comes out of it must not be.
//!
//! **A step** is one action of [`script::Act`]: a client connects, publishes a burst, subscribes, acknowledges,
//! loses its connection in the middle of a packet, stops reading..., or time passes.

mod peer;
mod play;
mod script;
mod tests;

use play::{Play, play};
