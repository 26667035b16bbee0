//! The seam to the running broker: what is applied becomes a node and its listeners here, and nowhere else.
//! `starter` is the thread that starts it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::compile::Compiled;
use super::config::{Config, Listener};
use super::failure::{Exit, Failure};
use super::installed::Installed;
use super::pki::moment;
use super::report;
use super::secure::{self, Identity};
use super::starter::Starter;
use super::status::ListenerStatus;
use super::sys_tree::Tree;
use crate::net::tls::config::{Alpn, Clients, Tickets, TlsError, server_config};
use crate::net::{BindError, Bound, Speech, TlsTerms, Transport, listener};
pub(super) use crate::node::stand_back;
use crate::node::{Node, NodeConfig, Report, StartError};
use crate::policy::{CertificatePolicy, ListenerPolicy, Snapshot};

/// How often it is looked whether the broker's certificate is to be renewed. Clocks may be set, and names of the machine
/// come and go.
const RENEWAL_LOOK: Duration = Duration::from_secs(3_600);

/// How the broker is laid out over the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) shards: u16,
    /// Cores to run on, ascending.
    pub(super) cores: Vec<usize>,
}

/// A listener in use.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Open {
    /// What the node calls it. It stays the same for as long as the socket is bound, whatever Apply changes around it.
    number: u16,
    /// What the configuration says.
    asked: Listener,
    /// What is asked of its clients.
    policy: ListenerPolicy,
    /// How they speak.
    speech: Speech,
    /// With the port that the system chose.
    address: SocketAddr,
}

/// What an Apply does to the listeners: bound already, not yet in use. Dropping it gives the new ports back.
#[derive(Debug)]
pub(super) struct Moves {
    kept: Vec<Open>,
    /// Those of `kept` where clients speak differently from now on.
    changed: Vec<(u16, Speech)>,
    new: Vec<(Open, Bound)>,
    gone: Vec<Open>,
    /// From which number on the next ones are given.
    next_number: u16,
}

/// What [`Running::install`] does: it cannot fail any more. Dropping it gives the new ports back.
pub(super) struct Installation {
    snapshot: Arc<Snapshot>,
    moves: Moves,
    identity: Option<Identity>,
    sys_interval: Option<Duration>,
}

impl Open {
    /// As people read it, with the port that the system chose.
    fn shown(&self) -> String {
        Listener { address: self.address, ..self.asked.clone() }.to_string()
    }
}

/// A broker that takes connections.
pub(super) struct Running {
    node: Node,
    shards: u16,
    open: Vec<Open>,
    next_number: u16,
    started: Instant,
    sys: Box<Sys>,
    tickets: Tickets,
    secure: Secure,
}

/// What TLS is spoken with now.
struct Secure {
    /// By which client certificates are judged.
    policy: Arc<CertificatePolicy>,
    /// What is presented; `None`: no listener has TLS.
    identity: Option<Identity>,
    /// When it is looked whether it is to be renewed.
    due: Option<Instant>,
}

/// What is told below `$SYS`.
struct Sys {
    tree: Tree,
    /// `None`: nothing.
    interval: Option<Duration>,
    /// When it is brought up to date.
    due: Option<Instant>,
}

impl Running {
    /// Binds every listener, then starts the shards.
    pub(super) fn start(
        compiled: &Compiled,
        layout: &Layout,
        home_key: [u8; 16],
        tickets: &Tickets,
        starter: &Starter,
    ) -> Result<Running, Failure> {
        let Installation { snapshot, moves, identity, sys_interval } =
            prepare(compiled, &[], 0, layout.shards, tickets)?;
        let next_number = moves.next_number;
        let (open, listeners) = moves.new.into_iter().unzip();
        let secure = Secure::new(&snapshot, identity);
        let config =
            NodeConfig { shards: layout.shards, cores: layout.cores.clone(), home_key, snapshot, listeners };
        let node = starter.start(config)?;
        let started = Instant::now();
        let sys = Box::new(Sys { tree: Tree::new(), interval: None, due: None });
        let (shards, tickets) = (layout.shards, tickets.clone());
        let mut running = Running { node, shards, open, next_number, started, sys, tickets, secure };
        running.tell_every(sys_interval);
        Ok(running)
    }

    /// What it listens to, with the ports that the system chose.
    pub(super) fn listeners(&self) -> Vec<Listener> {
        self.open.iter().map(|open| Listener { address: open.address, ..open.asked.clone() }).collect()
    }

    /// Binds what `compiled` adds; what it leaves alone keeps its sockets. Nobody can connect to the new ones yet.
    pub(super) fn prepare(&self, compiled: &Compiled) -> Result<Installation, Failure> {
        prepare(compiled, &self.open, self.next_number, self.shards, &self.tickets)
    }

    /// Gives every shard the snapshot, then opens and closes listeners. When it returns, all shards have done so.
    pub(super) fn install(&mut self, installation: Installation) -> Installed {
        let Installation { snapshot, moves, identity, sys_interval } = installation;
        self.secure = Secure::new(&snapshot, identity);
        let generation = snapshot.generation.0;
        let acknowledged = self.node.install(snapshot);
        tracing::debug!("every shard holds generation {generation} after {:?}", acknowledged.took);
        let names = |open: &[Open]| open.iter().map(Open::shown).collect::<Vec<_>>();
        let installed = Installed {
            listeners_opened: moves.new.iter().map(|(open, _)| open.shown()).collect(),
            listeners_closed: names(&moves.gone),
            listeners_kept: names(&moves.kept),
            ..Installed::default()
        };
        (self.open, self.next_number) = (moves.kept, moves.next_number);
        for (number, speech) in moves.changed {
            self.node.change_speech(number, &speech);
        }
        for (open, bound) in moves.new {
            self.open.push(open);
            self.node.listen(bound);
        }
        for open in moves.gone {
            self.node.unlisten(open.number);
        }
        self.tell_every(sys_interval);
        installed.acknowledged(&acknowledged).swept(self.node.swept())
    }

    /// Looks whether the broker's certificate is to be renewed, and has new handshakes made with another one then.
    /// Nobody is disconnected; what is applied stays as it is.
    fn renew(&mut self) {
        let Some(identity) = &self.secure.identity else { return };
        self.secure.due = Some(Instant::now() + RENEWAL_LOOK);
        let now = secure::now();
        let fresh = match identity.source.identity(now) {
            Ok(fresh) => fresh,
            Err(problem) => {
                let until = moment(identity.not_after);
                tracing::error!(
                    "the broker's certificate, valid until {until}, is not looked after: {problem}"
                );
                return;
            }
        };
        if fresh.not_after < now {
            tracing::error!("the broker's certificate has expired on {}", moment(fresh.not_after));
        }
        if fresh.thumbprint == identity.thumbprint {
            return;
        }
        let (until, thumbprint) = (moment(fresh.not_after), fresh.thumbprint);
        for open in self.open.iter_mut().filter(|open| open.asked.tls) {
            let terms = Terms { identity: Some(&fresh), policy: &self.secure.policy, tickets: &self.tickets };
            match terms.speech(&open.asked, open.policy) {
                Ok(speech) => {
                    self.node.change_speech(open.number, &speech);
                    open.speech = speech;
                }
                Err(error) => tracing::error!("{}: the certificate was not renewed: {error}", open.asked),
            }
        }
        tracing::info!("the broker's certificate is {thumbprint} from now on, valid until {until}");
        self.secure.identity = Some(fresh);
    }

    /// From now on `$SYS` is brought up to date so often; `None`: it is cleared. Done when this returns.
    fn tell_every(&mut self, interval: Option<Duration>) {
        if self.sys.interval == interval {
            return;
        }
        self.sys.interval = interval;
        match interval {
            Some(_) => self.tell(),
            None => {
                self.sys.due = None;
                self.node.publish(self.sys.tree.clear());
            }
        }
    }

    /// When [`Running::look_after`] is to be called.
    pub(super) fn next_look(&self) -> Option<Instant> {
        [self.sys.due, self.secure.due].into_iter().flatten().min()
    }

    /// Does what is due: tells below `$SYS`, renews the broker's certificate.
    pub(super) fn look_after(&mut self) {
        let is_due = |due: Option<Instant>| due.is_some_and(|due| due <= Instant::now());
        if is_due(self.sys.due) {
            self.tell();
        }
        if is_due(self.secure.due) {
            self.renew();
        }
    }

    /// Publishes below `$SYS` what has changed in the counters.
    fn tell(&mut self) {
        let Some(interval) = self.sys.interval else { return };
        let changed = self.sys.tree.update(self.started.elapsed(), &self.node.reports());
        self.node.publish(changed);
        self.sys.due = Some(Instant::now() + interval);
    }

    /// A listener as people read it; one that is gone by its number.
    pub(super) fn listener_name(&self, number: u16) -> String {
        let open = self.open.iter().find(|open| open.number == number);
        open.map_or_else(|| format!("a listener that is gone ({number})"), Open::shown)
    }

    /// How many clients are connected at each listener of the configuration in force.
    pub(super) fn clients_at(&self, reports: &[Report], config: &Config) -> Vec<ListenerStatus> {
        let clients = |number: u16| -> u64 {
            let at = reports.iter().flat_map(|report| &report.at_listeners);
            at.filter(|(at, _)| *at == number).map(|(_, clients)| u64::from(*clients)).sum()
        };
        let mut open: Vec<&Open> = self.open.iter().collect();
        let counted = |(place, listener): (usize, &Listener)| {
            let found = open.iter().position(|open| open.asked == *listener)?;
            let found = open.remove(found);
            Some(ListenerStatus { listener: found.shown(), place, clients: clients(found.number) })
        };
        config.listeners.iter().enumerate().filter_map(counted).collect()
    }

    /// Since when it runs.
    pub(super) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// What every shard tells of itself.
    pub(super) fn reports(&self) -> Vec<Report> {
        self.node.reports()
    }

    /// The shards, to be asked and told.
    pub(super) fn node(&self) -> &Node {
        &self.node
    }

    /// The counters, for people.
    pub(super) fn report(&self) -> String {
        report::describe(&self.node.reports())
    }

    /// Says good-bye to every client and returns when the shards have ended.
    pub(super) fn stop(self) {
        self.node.stop();
    }
}

impl Secure {
    fn new(snapshot: &Snapshot, identity: Option<Identity>) -> Secure {
        let due = identity.as_ref().map(|_| Instant::now() + RENEWAL_LOOK);
        Secure { policy: Arc::clone(&snapshot.certificates), identity, due }
    }
}

/// Does all of an Apply that can fail, beside listeners that are `open`.
fn prepare(
    compiled: &Compiled,
    open: &[Open],
    next_number: u16,
    shards: u16,
    tickets: &Tickets,
) -> Result<Installation, Failure> {
    let identity = compiled.identity.clone();
    let terms = Terms { identity: identity.as_ref(), policy: &compiled.snapshot.certificates, tickets };
    let mut wanted = Vec::new();
    for (asked, policy) in &compiled.listeners {
        let speech = terms.speech(asked, *policy)?;
        wanted.push(Wanted { asked: asked.clone(), policy: *policy, speech });
    }
    let moves = moves(open, wanted, shards, next_number)?;
    let all = moves.kept.iter().chain(moves.new.iter().map(|(open, _)| open));
    let listeners = all.map(|open| (open.number, open.policy)).collect();
    let snapshot = Arc::new(Snapshot { listeners, ..compiled.snapshot.clone() });
    Ok(Installation { snapshot, moves, identity, sys_interval: compiled.sys_interval })
}

/// A listener that is to be open.
#[derive(Clone, Debug)]
struct Wanted {
    asked: Listener,
    policy: ListenerPolicy,
    speech: Speech,
}

/// What has to be done so that `wanted` is open. An address stays bound whatever its clients speak. A port of 0 asks
/// for any: the one it got before is kept, for the same protocol.
fn moves(open: &[Open], wanted: Vec<Wanted>, shards: u16, next_number: u16) -> Result<Moves, BindError> {
    let mut gone = open.to_vec();
    let mut kept = Vec::new();
    let mut changed = Vec::new();
    let mut missing = Vec::new();
    for wanted in wanted {
        let asked = &wanted.asked;
        let fits = |open: &Open| {
            open.asked.address == asked.address
                && (asked.address.port() != 0 || open.asked.protocol == asked.protocol)
        };
        let same = gone.iter().position(|open| open.asked == *asked);
        let Some(index) = same.or_else(|| gone.iter().position(fits)) else {
            missing.push(wanted);
            continue;
        };
        let before = gone.remove(index);
        if before.speech != wanted.speech {
            changed.push((before.number, wanted.speech.clone()));
        }
        let Wanted { asked, policy, speech } = wanted;
        kept.push(Open { asked, policy, speech, ..before });
    }
    // A number that was in use may be that of connections whose listener is gone: it comes again last of all.
    let mut next_number = next_number;
    let mut new = Vec::new();
    for Wanted { asked, policy, speech } in missing {
        while open.iter().any(|open| open.number == next_number) {
            next_number = next_number.wrapping_add(1);
        }
        let number = next_number;
        next_number = next_number.wrapping_add(1);
        let mut bound = listener::bind(number, asked.address, shards)?;
        bound.speech = speech.clone();
        new.push((Open { number, asked, policy, speech, address: bound.address }, bound));
    }
    Ok(Moves { kept, changed, new, gone, next_number })
}

/// With what clients are spoken to.
struct Terms<'a> {
    identity: Option<&'a Identity>,
    policy: &'a Arc<CertificatePolicy>,
    tickets: &'a Tickets,
}

impl Terms<'_> {
    /// How clients speak at a listener.
    fn speech(&self, listener: &Listener, policy: ListenerPolicy) -> Result<Speech, TlsError> {
        let packets = listener.packets_per_frame.unwrap_or_default();
        let websocket = |path: &str| Transport::WebSocket { path: path.into(), packets };
        let transport = listener.websocket_path().map_or(Transport::Tcp, websocket);
        if !listener.tls {
            return Ok(Speech::plain(transport));
        }
        let identity = self.identity.ok_or(TlsError::NoCertificate)?;
        let alpn = if transport == Transport::Tcp { Alpn::Mqtt } else { Alpn::WebSocket };
        // Also where none is required: one that is presented gives its client a name, and may be a revoked one.
        let clients = Clients { policy: Arc::clone(self.policy), requirement: policy.certificate };
        let config = server_config(&identity.certified, Some(clients), alpn, self.tickets)?;
        Ok(Speech { transport, tls: Some(TlsTerms(config)) })
    }
}

impl From<TlsError> for Failure {
    fn from(error: TlsError) -> Failure {
        Failure::new(Exit::Machine, error, "")
    }
}

impl From<BindError> for Failure {
    fn from(error: BindError) -> Failure {
        Failure::new(Exit::Machine, error, "")
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Failure {
        Failure::new(Exit::Machine, error, "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::config::Protocol;
    use crate::net::PacketsPerFrame;

    fn tcp(address: &str) -> Listener {
        Listener::at(Protocol::Tcp, address.parse().unwrap())
    }

    fn any() -> Listener {
        tcp("127.0.0.1:0")
    }

    fn websocket(path: &str) -> Listener {
        Listener { protocol: Protocol::WebSocket, path: Some(path.to_owned()), ..any() }
    }

    fn at(path: &str, packets: PacketsPerFrame) -> Speech {
        Speech::plain(Transport::WebSocket { path: path.into(), packets })
    }

    fn wanted(listeners: &[Listener]) -> Vec<Wanted> {
        let policy = Arc::new(CertificatePolicy::default());
        let terms = Terms { identity: None, policy: &policy, tickets: &Tickets::new().unwrap() };
        let wanted = |asked: &Listener| Wanted {
            asked: asked.clone(),
            policy: ListenerPolicy::default(),
            speech: terms.speech(asked, ListenerPolicy::default()).unwrap(),
        };
        listeners.iter().map(wanted).collect()
    }

    /// Opens what `listeners` says after `open`, and answers what is open then.
    fn after(open: &[Open], listeners: &[Listener]) -> (Vec<Open>, Moves) {
        let next = open.iter().map(|open| open.number + 1).max().unwrap_or(0);
        let moves = moves(open, wanted(listeners), 1, next).unwrap();
        let new = moves.new.iter().map(|(open, _)| open.clone());
        (moves.kept.iter().cloned().chain(new).collect(), moves)
    }

    /// The numbers of two listeners where the first is open.
    fn moves_from(open: &[Open], next: u16) -> Vec<u16> {
        let moves = moves(open, wanted(&[any(), any()]), 1, next).unwrap();
        moves.kept.iter().chain(moves.new.iter().map(|(open, _)| open)).map(|open| open.number).collect()
    }

    #[test]
    fn a_listener_that_stays_keeps_its_socket_and_number_and_one_that_goes_frees_it() {
        let (first, _bound) = after(&[], &[any(), any()]);
        assert_eq!(first.iter().map(|open| open.number).collect::<Vec<_>>(), [0, 1]);
        assert_ne!(first[0].address.port(), first[1].address.port());

        let (second, moves) = after(&first, &[any()]);
        assert_eq!((second.as_slice(), moves.gone.as_slice()), (&first[..1], &first[1..]));
        assert!(moves.new.is_empty());

        let third = moves_from(&second, 2);
        assert_eq!(third, [0, 2], "connections of the listener that is gone may have its number");
        assert_eq!(moves_from(&second, 0), [0, 1], "numbers begin again, without those that are in use");
    }

    #[test]
    fn a_listener_whose_path_or_protocol_changes_keeps_its_socket() {
        let (first, bound) = after(&[], &[any(), websocket("/mqtt")]);
        assert_eq!(bound.new[1].1.speech, at("/mqtt", PacketsPerFrame::Many));

        let (second, moves) = after(&first, &[websocket("/other"), any()]);
        assert_eq!(moves.changed, [(1, at("/other", PacketsPerFrame::Many))]);
        assert!(moves.new.is_empty() && moves.gone.is_empty());
        assert_eq!(second[0].address, first[1].address);

        let one = Listener { packets_per_frame: Some(PacketsPerFrame::One), ..websocket("/other") };
        let (second, moves) = after(&second, &[one, any()]);
        assert_eq!(moves.changed, [(1, at("/other", PacketsPerFrame::One))]);
        assert!(moves.new.is_empty() && moves.gone.is_empty());
        assert_eq!(second[0].address, first[1].address);

        // A port that is named is the same whatever is spoken there.
        let named = |listener: Listener| Listener { address: first[0].address, ..listener };
        let open = [Open { asked: named(any()), ..first[0].clone() }];
        let (_, moves) = after(&open, &[named(websocket("/mqtt"))]);
        assert_eq!(moves.changed, [(0, at("/mqtt", PacketsPerFrame::Many))]);
        assert!(moves.new.is_empty() && moves.gone.is_empty());
    }

    #[test]
    fn a_port_that_is_taken_is_told_before_anything_is_touched() {
        let (open, bound) = after(&[], &[any()]);
        let taken = tcp(&open[0].address.to_string());
        assert!(matches!(moves(&[], wanted(&[any(), taken.clone()]), 1, 0), Err(BindError::InUse { .. })));
        drop(bound);
        moves(&[], wanted(&[taken]), 1, 0).unwrap();
    }
}

#[cfg(test)]
#[path = "renewal_tests.rs"]
mod renewal_tests;
