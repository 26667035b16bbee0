//! What other threads that are no shard's ask of a shard, and how it is answered.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crossbeam_channel::Sender;

use super::report::Report;
use crate::net::Speech;
use crate::policy::{Rejection, Snapshot};
use crate::routing::ShardId;
use crate::shard::{Aftermath, CheckId, PasswordOutcome, Shard};

/// What the control thread asks of a shard, and what the threads that verify passwords tell it.
#[derive(Debug)]
pub(super) enum Order {
    /// Judge by this from now on.
    Install(Arc<Snapshot>, Reply<ShardId>),
    /// Tell what the last install has done, once everybody has been judged by it.
    Swept(Reply<Aftermath>),
    /// Accept on this socket, for the listener of that index.
    Listen(u16, Speech, OwnedFd, Reply<()>),
    /// New clients of the listener of that index speak like this.
    Speech(u16, Speech, Reply<()>),
    /// Accept no more for the listener of that index.
    Unlisten(u16, Reply<()>),
    /// Publish these below `$SYS`: topics whose home the shard is, and payloads.
    Publish(Vec<(String, String)>, Reply<()>),
    /// Hand over who was not let in, and what was refused, since the last time.
    Rejections(Reply<Vec<Rejection>>),
    /// What came of a password that the shard wanted verified.
    Password(CheckId, PasswordOutcome),
    /// Answer this.
    Ask(Question),
    /// Tell what was counted.
    Report(Reply<Report>),
    /// End in order.
    Stop,
}

/// A question to a shard, which knows where its answer goes. What it does takes no longer than a part of a turn may.
pub(super) struct Question(Box<dyn FnOnce(&mut Shard) + Send>);

impl Question {
    /// What is asked, and who waits for the answer.
    pub(super) fn new<T: Send + 'static>(
        ask: impl FnOnce(&mut Shard) -> T + Send + 'static,
        reply: Reply<T>,
    ) -> Question {
        Question(Box::new(move |shard| reply.answer(ask(shard))))
    }

    pub(super) fn put(self, shard: &mut Shard) {
        (self.0)(shard);
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Question")
    }
}

/// Where an answer goes. Giving it never waits.
#[derive(Debug)]
pub(super) struct Reply<T>(pub(super) Sender<T>);

impl<T> Reply<T> {
    /// Answers. Whoever asked may have gone.
    pub(super) fn answer(self, answer: T) {
        let _ = self.0.try_send(answer);
    }
}

impl Reply<()> {
    pub(super) fn confirm(self) {
        self.answer(());
    }
}
