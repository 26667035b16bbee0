//! The seam to the running broker: the only file here that names the node and its listeners.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::compile::Compiled;
use super::config::Listener;
use super::failure::{Exit, Failure};
use super::report;
use super::sys_tree::Tree;
use crate::net::{BindError, Bound, Speech, Transport, listener};
use crate::node::{Node, NodeConfig, StartError};

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
}

/// A broker that takes connections.
pub(super) struct Running {
    node: Node,
    shards: u16,
    open: Vec<Open>,
    started: Instant,
    sys: Box<Sys>,
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
    ) -> Result<Running, Failure> {
        let moves = moves(&[], &compiled.listeners, layout.shards)?;
        let (open, listeners) = moves.new.into_iter().unzip();
        let config = NodeConfig {
            shards: layout.shards,
            cores: layout.cores.clone(),
            home_key,
            snapshot: compiled.snapshot.clone(),
            listeners,
        };
        let node = Node::start(config)?;
        let started = Instant::now();
        let sys = Box::new(Sys { tree: Tree::new(), interval: None, due: None });
        let mut running = Running { node, shards: layout.shards, open, started, sys };
        running.tell_every(compiled.sys_interval);
        Ok(running)
    }

    /// What it listens to, with the ports that the system chose.
    pub(super) fn listeners(&self) -> Vec<Listener> {
        self.open.iter().map(|open| Listener { address: open.address, ..open.asked.clone() }).collect()
    }

    /// Binds what `compiled` adds; what it leaves alone keeps its sockets. Nobody can connect to the new ones yet.
    pub(super) fn prepare(&self, compiled: &Compiled) -> Result<Moves, Failure> {
        Ok(moves(&self.open, &compiled.listeners, self.shards)?)
    }

    /// Gives every shard the snapshot, then opens and closes listeners. When it returns, all shards have done so.
    pub(super) fn install(&mut self, compiled: &Compiled, moves: Moves) {
        let took = self.node.install(compiled.snapshot.clone());
        tracing::debug!("every shard holds generation {} after {took:?}", compiled.snapshot.generation.0);
        self.open = moves.kept;
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
        self.tell_every(compiled.sys_interval);
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

    /// When [`Running::tell`] is to be called.
    pub(super) fn next_telling(&self) -> Option<Instant> {
        self.sys.due
    }

    /// Publishes below `$SYS` what has changed in the counters.
    pub(super) fn tell(&mut self) {
        let Some(interval) = self.sys.interval else { return };
        let changed = self.sys.tree.update(self.started.elapsed(), &self.node.reports());
        self.node.publish(changed);
        self.sys.due = Some(Instant::now() + interval);
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

/// What has to be done so that `wanted` is open. An address stays bound whatever its clients speak. A port of 0 asks
/// for any: the one it got before is kept, for the same protocol.
fn moves(open: &[Open], wanted: &[Listener], shards: u16) -> Result<Moves, BindError> {
    let mut gone = open.to_vec();
    let mut kept = Vec::new();
    let mut changed = Vec::new();
    let mut missing = Vec::new();
    for asked in wanted {
        let fits = |open: &Open| {
            open.asked.address == asked.address
                && (asked.address.port() != 0 || open.asked.protocol == asked.protocol)
        };
        let same = gone.iter().position(|open| open.asked == *asked);
        let Some(index) = same.or_else(|| gone.iter().position(fits)) else {
            missing.push(asked.clone());
            continue;
        };
        let before = gone.remove(index);
        if speech(&before.asked) != speech(asked) {
            changed.push((before.number, speech(asked)));
        }
        kept.push(Open { asked: asked.clone(), ..before });
    }
    // Numbers in use now stay taken: the old listeners are open until the new ones are.
    let mut free = (0..).filter(|number| !open.iter().any(|open| open.number == *number));
    let mut new = Vec::new();
    for asked in missing {
        let number = free.next().expect("there are fewer listeners than numbers");
        let mut bound = listener::bind(number, asked.address, shards)?;
        bound.speech = speech(&asked);
        new.push((Open { number, asked, address: bound.address }, bound));
    }
    Ok(Moves { kept, changed, new, gone })
}

/// How clients speak at a listener.
fn speech(listener: &Listener) -> Speech {
    let packets = listener.packets_per_frame.unwrap_or_default();
    let websocket = |path: &str| Transport::WebSocket { path: path.into(), packets };
    Speech { transport: listener.websocket_path().map_or(Transport::Tcp, websocket), tls: None }
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

    /// Opens what `wanted` says after `open`, and answers what is open then.
    fn after(open: &[Open], wanted: &[Listener]) -> (Vec<Open>, Moves) {
        let moves = moves(open, wanted, 1).unwrap();
        let new = moves.new.iter().map(|(open, _)| open.clone());
        (moves.kept.iter().cloned().chain(new).collect(), moves)
    }

    #[test]
    fn a_listener_that_stays_keeps_its_socket_and_number_and_one_that_goes_frees_it() {
        let (first, _bound) = after(&[], &[any(), any()]);
        assert_eq!(first.iter().map(|open| open.number).collect::<Vec<_>>(), [0, 1]);
        assert_ne!(first[0].address.port(), first[1].address.port());

        let (second, moves) = after(&first, &[any()]);
        assert_eq!((second.as_slice(), moves.gone.as_slice()), (&first[..1], &first[1..]));
        assert!(moves.new.is_empty());

        let (third, _bound) = after(&second, &[any(), any()]);
        assert_eq!(third[0], second[0]);
        assert_eq!(third[1].number, 1);
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
        assert!(matches!(moves(&[], &[any(), taken.clone()], 1), Err(BindError::InUse { .. })));
        drop(bound);
        moves(&[], &[taken], 1).unwrap();
    }
}
