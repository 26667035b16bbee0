//! A live broker of these tests: two shards, a TCP and a WebSocket listener, both with TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rustls::client::ClientConfig;
use tidemq::net::tls::TlsTerms;
use tidemq::net::tls::config::{Alpn, Clients, Tickets, server_config};
use tidemq::net::{PacketsPerFrame, Speech, Transport, listener};
use tidemq::node::{Node, NodeConfig};
use tidemq::policy::certificates::{CertificatePolicy, Requirement};
use tidemq::policy::{Generation, ListenerPolicy, Snapshot};

use super::handshake::certified;
use super::wire::{Carried, Heard, Mqtt, Wire};

const SHARDS: u16 = 2;

pub(crate) static CARRIED: [Carried; 2] = [Carried::Bare, Carried::Framed];

pub(crate) struct Broker {
    pub(crate) node: Node,
    addresses: [SocketAddr; 2],
    tickets: Tickets,
    generation: AtomicU64,
    clients: AtomicU32,
}

fn snapshot(generation: u64, policy: &Arc<CertificatePolicy>, requirement: Requirement) -> Arc<Snapshot> {
    let listener = ListenerPolicy { tls: true, certificate: requirement };
    Arc::new(Snapshot {
        generation: Generation(generation),
        persistent_sessions: true,
        certificates: Arc::clone(policy),
        listeners: [(0, listener), (1, listener)].into(),
        ..Snapshot::default()
    })
}

fn speech(
    carried: Carried,
    policy: &Arc<CertificatePolicy>,
    requirement: Requirement,
    tickets: &Tickets,
) -> Speech {
    let (transport, alpn) = match carried {
        Carried::Bare => (Transport::Tcp, Alpn::Mqtt),
        Carried::Framed => {
            let (path, packets) = ("/mqtt".into(), PacketsPerFrame::Many);
            (Transport::WebSocket { path, packets }, Alpn::WebSocket)
        }
    };
    let clients = Clients { policy: Arc::clone(policy), requirement };
    let config = server_config(&certified(), Some(clients), alpn, tickets).expect("a configuration");
    Speech { transport, tls: Some(TlsTerms(config)) }
}

impl Broker {
    pub(crate) fn start(policy: CertificatePolicy, requirement: Requirement) -> Broker {
        let (policy, tickets) = (Arc::new(policy), Tickets::new().expect("random bytes"));
        let mut listeners = Vec::new();
        for (number, carried) in (0..).zip(CARRIED) {
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            let mut bound = listener::bind(number, any, SHARDS).expect("bound");
            bound.speech = speech(carried, &policy, requirement, &tickets);
            listeners.push(bound);
        }
        let addresses = [listeners[0].address, listeners[1].address];
        let snapshot = snapshot(1, &policy, requirement);
        let config = NodeConfig { shards: SHARDS, cores: vec![0], home_key: [7; 16], snapshot, listeners };
        let node = Node::start(config).expect("started");
        Broker { node, addresses, tickets, generation: AtomicU64::new(1), clients: AtomicU32::new(0) }
    }

    /// What an Apply does. When it returns nothing is judged by what was before.
    pub(crate) fn apply(&self, policy: CertificatePolicy, requirement: Requirement) {
        let policy = Arc::new(policy);
        for (number, carried) in (0..).zip(CARRIED) {
            self.node.change_speech(number, &speech(carried, &policy, requirement, &self.tickets));
        }
        let generation = self.generation.fetch_add(1, Ordering::Relaxed) + 1;
        self.node.install(snapshot(generation, &policy, requirement));
    }

    pub(crate) fn address(&self, carried: Carried) -> SocketAddr {
        self.addresses[carried as usize]
    }

    pub(crate) fn dial(&self, carried: Carried, config: &Arc<ClientConfig>) -> Result<Wire, Heard> {
        Wire::dial(self.address(carried), carried, config)
    }

    /// Dials and connects, with a client identifier that nobody had.
    pub(crate) fn connect(
        &self,
        carried: Carried,
        config: &Arc<ClientConfig>,
        version: Mqtt,
    ) -> (Heard, Option<Wire>) {
        let id = format!("c{}", self.clients.fetch_add(1, Ordering::Relaxed));
        match self.dial(carried, config) {
            Ok(mut wire) => (wire.connect(version, &id), Some(wire)),
            Err(heard) => (heard, None),
        }
    }
}
