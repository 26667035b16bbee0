//! Keeps who is refused at CONNECT, and who is put out by an Apply.

use crate::mqtt::connect::Connect;
use crate::policy::Rejection;
use crate::session::ConnId;

use super::Shard;

impl Shard {
    /// The last connections that this shard refused or ended for what their clients are, oldest first.
    pub fn rejections(&self) -> impl Iterator<Item = &Rejection> {
        self.rejections.all()
    }

    /// A CONNECT is refused.
    pub(super) fn reject_connect(&mut self, conn: ConnId, connect: Option<&Connect<'_>>, cause: String) {
        let connection = &self.connections[conn.index as usize];
        let rejection = Rejection {
            unix_secs: self.unix_secs(),
            peer: connection.peer,
            listener: connection.listener,
            client_id: connect.map(|c| c.client_id.into()),
            user: connect.and_then(|c| c.user_name).map(Into::into),
            certificate: connection.certificate.clone(),
            cause,
        };
        self.rejections.push(rejection);
    }

    /// A client that was accepted is put out.
    pub(super) fn reject_client(&mut self, conn: ConnId, client: u32, cause: String) {
        let connection = &self.connections[conn.index as usize];
        let c = &self.clients[client];
        let principal = c.standing.principal.as_deref();
        let rejection = Rejection {
            unix_secs: self.unix_secs(),
            peer: connection.peer,
            listener: connection.listener,
            client_id: Some(c.client_id.clone()),
            user: principal.and_then(|p| p.user.as_ref()).map(|user| user.name.clone()),
            certificate: principal.and_then(|p| p.certificate.clone()),
            cause,
        };
        self.rejections.push(rejection);
    }
}
