//! What a shard asks of its driver, and what the driver says of a connection's end.

use crate::mqtt::Violation;
use crate::session::ConnId;

/// Something only the driver can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Flush what waits once, as far as the socket takes it, then end the connection in order (the peer must be
    /// able to read our last packet), then say `handle_closed`. The shard gives no more output and wants no more
    /// input for it.
    Close {
        /// Which connection.
        conn: ConnId,
        /// Why, for the log.
        cause: CloseCause,
    },
    /// Stop reading this connection: there is no credit for its publishes, or its CONNECT waits for its password to be
    /// verified.
    Pause(ConnId),
    /// Read it again.
    Resume(ConnId),
}

/// Why the shard closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCause {
    /// The client said DISCONNECT with reason 0x00: its will is deleted.
    Disconnected,
    /// The client said DISCONNECT with another reason: its will is published.
    DisconnectedWithWill,
    /// The peer broke the protocol.
    Violation(Violation),
    /// Another connection took the session over.
    TakenOver,
    /// CONNECT was refused.
    Refused(crate::mqtt::ReasonCode),
    /// Its output made too little progress.
    Stalled,
    /// Whoever runs the broker wants it gone.
    Expelled,
    /// What the client is, or is allowed, changed with an Apply.
    NotAccepted,
    /// The broker stops.
    Stopping,
}

/// How a connection ended without our doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer closed.
    Closed,
    /// The socket failed: the error number.
    Failed(i32),
}
