//! Where nodes are started: on the thread that waits here, for whoever asks. Threads inherit how far they stand back, and
//! the control thread stands back behind the shards, for good; so it cannot start them itself.

use std::sync::mpsc::{Receiver, Sender, channel};

use crate::node::{Node, NodeConfig, StartError};

/// What is to be started, and where the answer goes.
type Start = (NodeConfig, Sender<Result<Node, StartError>>);

/// Asks for nodes.
#[derive(Debug)]
pub(super) struct Starter(Sender<Start>);

/// Starts them.
pub(super) struct Starts(Receiver<Start>);

/// The two ends.
pub(super) fn starter() -> (Starter, Starts) {
    let (asks, starts) = channel();
    (Starter(asks), Starts(starts))
}

impl Starter {
    /// A node whose shards have started, on the other end's thread.
    ///
    /// # Errors
    /// What [`Node::start`] says.
    pub(super) fn start(&self, config: NodeConfig) -> Result<Node, StartError> {
        const SERVES: &str = "nodes are started for as long as anybody can ask";
        let (answer, started) = channel();
        self.0.send((config, answer)).expect(SERVES);
        started.recv().expect(SERVES)
    }
}

#[cfg(test)]
impl Starter {
    /// One with a thread of its own at the other end.
    pub(super) fn on_its_own() -> Starter {
        let (starter, starts) = starter();
        std::thread::spawn(move || starts.serve());
        starter
    }
}

impl Starts {
    /// Starts what is asked for, until nobody can ask any more.
    pub(super) fn serve(&self) {
        for (config, answer) in &self.0 {
            // Whoever asked waits for it.
            let _ = answer.send(Node::start(config));
        }
    }
}
