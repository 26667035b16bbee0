//! What whoever runs the broker does to a client.

use crate::mqtt::ReasonCode;
use crate::shard::Shard;
use crate::shard::effect::CloseCause;

/// What is taken from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KickWhat {
    /// Its connection. Its session lives as long as it would have if the connection had been lost.
    Connection,
    /// Its session too: subscriptions, and what waits for it.
    Session,
}

impl Shard {
    /// Takes its connection, or its session as well, from a client. A 5.0 client is told (0x98). Its will is published
    /// as if the connection had been lost: only the client itself can say that it leaves on purpose `[MQTT-3.1.2-8]`.
    /// False: it had none.
    pub fn kick(&mut self, client_id: &str, what: KickWhat) -> bool {
        let Some(client) = self.clients.find(client_id) else { return false };
        let conn = self.clients[client].conn;
        if let Some(conn) = conn {
            self.disconnect(conn, ReasonCode::AdministrativeAction, CloseCause::Expelled);
        }
        if what == KickWhat::Connection {
            return conn.is_some();
        }
        // It may have ended with its connection.
        if let Some(client) = self.clients.find(client_id) {
            self.end_session(client);
        }
        true
    }
}
