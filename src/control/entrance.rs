//! The address of console and API as an Apply sees it: bound before anything is touched, served after the commit, its
//! certificate looked after. Knows no request and no shard.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ServerConfig;

use super::admin::Admin as Served;
use super::admin::doors::Door;
use super::compile::Compiled;
use super::config::Admin;
use super::failure::{Exit, Failure};
use super::secure::{self, Identity};
use crate::net::tls::config::{Alpn, Tickets, server_config};

/// How often it is looked whether the certificate is to be renewed.
const RENEWAL_LOOK: Duration = Duration::from_secs(3_600);

/// The address, and what is spoken there.
pub(super) struct Entrance {
    served: Served,
    tickets: Tickets,
    /// What was asked for last.
    asked: Option<Admin>,
    /// What is presented there; `None`: it is not encrypted.
    identity: Option<Identity>,
    due: Option<Instant>,
}

/// What an Apply does to it: bound already, not yet served. Dropping it gives the port back.
pub(super) struct Step {
    asked: Admin,
    identity: Option<Identity>,
    tls: Option<Arc<ServerConfig>>,
    /// `None`: the address that is served stays, or none is.
    door: Option<Door>,
}

impl Entrance {
    /// Nothing is served yet but the socket of the data directory.
    pub(super) fn new(served: Served, tickets: Tickets) -> Entrance {
        Entrance { served, tickets, asked: None, identity: None, due: None }
    }

    /// The admin side.
    pub(super) fn served(&self) -> &Served {
        &self.served
    }

    /// Does all that can fail.
    pub(super) fn prepare(&self, compiled: &Compiled) -> Result<Step, Failure> {
        let asked = compiled.admin.clone();
        let identity = compiled.identity.clone().filter(|_| asked.enabled && asked.tls);
        let tls = identity.as_ref().map(|identity| self.tls(identity)).transpose()?;
        let stays = self.asked.as_ref().is_some_and(|now| now.enabled && now.address == asked.address);
        let door = (asked.enabled && !stays).then(|| bind(&asked, tls.clone())).transpose()?;
        Ok(Step { asked, identity, tls, door })
    }

    /// Serves what was prepared.
    pub(super) fn install(&mut self, step: Step) {
        let Step { asked, identity, tls, door } = step;
        let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
        self.served.access().set_hosts(asked.hosts.iter().cloned().chain([own]).collect());
        self.served.access().set_password(asked.password.clone());
        match door {
            Some(door) => self.served.open(door),
            None if asked.enabled => self.served.encrypt(tls),
            None => self.served.shut(),
        }
        self.due = identity.as_ref().map(|_| Instant::now() + RENEWAL_LOOK);
        self.identity = identity;
        self.asked = Some(asked);
    }

    /// When [`Entrance::look_after`] is to be called.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Has handshakes made with another certificate when it is time for one.
    pub(super) fn look_after(&mut self) {
        if self.due.is_none_or(|due| due > Instant::now()) {
            return;
        }
        self.due = Some(Instant::now() + RENEWAL_LOOK);
        let Some(identity) = &self.identity else { return };
        match identity.source.identity(secure::now()) {
            Ok(fresh) if fresh.thumbprint != identity.thumbprint => match self.tls(&fresh) {
                Ok(tls) => {
                    self.served.encrypt(Some(tls));
                    self.identity = Some(fresh);
                }
                Err(failure) => tracing::error!("console and API keep their old certificate: {failure}"),
            },
            Ok(_) => {}
            Err(problem) => tracing::error!("console and API keep their old certificate: {problem}"),
        }
    }

    fn tls(&self, identity: &Identity) -> Result<Arc<ServerConfig>, Failure> {
        Ok(server_config(&identity.certified, None, Alpn::WebSocket, &self.tickets)?)
    }
}

fn bind(asked: &Admin, tls: Option<Arc<ServerConfig>>) -> Result<Door, Failure> {
    Door::bind(asked.address, tls).map_err(|error| {
        let cause = format!("console and API cannot listen on {}: {error}", asked.address);
        Failure::new(
            Exit::Machine,
            cause,
            "write another `address` into [admin], or start with `--admin HOST:PORT` or `--admin off`; `tidemq doctor` \
             tells who has the port",
        )
    })
}
