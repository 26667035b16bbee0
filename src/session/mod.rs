//! One client's side: its session, what is in flight to and from it, what waits for it.
//!
//! Pure. Knows nothing of routes, other shards or sockets.

pub mod inbound;
pub mod outgoing;
pub mod publication;
pub mod will;

pub use inbound::{AckKind, Inbound, Outcome, ReadyAck, Release};
pub use outgoing::{Acknowledged, Ids, Limit, Offer, Outgoing, ToSend};
pub use publication::{Item, Run, RunBuilder};
pub use will::Will;

/// A connection of this shard. The index is reused; the generation is not, so that a late event for a closed
/// connection finds nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnId {
    /// Position in the tables of connections, of the driver and of the shard alike.
    pub index: u32,
    /// Which tenant of that position; 24 bits are significant.
    pub generation: u32,
}

/// A session of this shard: as for connections, a late answer for one that ended finds nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionKey {
    /// Position in the shard's table of clients.
    pub index: u32,
    /// Which tenant of that position.
    pub generation: u32,
}
