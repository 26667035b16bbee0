//! Who was not let in, and who was put out, with the reason: the last few, for whoever runs the broker.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use super::certificates::Presented;

/// How many are kept. Anybody can cause one, so it is a number and not a time.
const MOST: usize = 256;

/// A connection that was not let in, or was put out. Kept, a bounded number of them, for whoever runs the broker and
/// wants to know why. Everything in it may come from outside: text, never markup.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// When, in seconds since 1970, UTC.
    pub unix_secs: u64,
    /// The peer.
    pub peer: SocketAddr,
    /// Number of the listener.
    pub listener: u16,
    /// Its client identifier, if it came to say one.
    pub client_id: Option<Box<str>>,
    /// The user name that it sent, proved or not.
    pub user: Option<Box<str>>,
    /// The certificate that it presented. One that was refused in the handshake is not proved to be the peer's: TLS
    /// asks for the proof after the certificate, which is public.
    pub certificate: Option<Arc<Presented>>,
    /// Why.
    pub cause: String,
}

/// The last of them.
#[derive(Debug, Default)]
pub struct Rejections {
    last: VecDeque<Rejection>,
}

impl Rejections {
    /// One more; the oldest goes for it.
    pub fn push(&mut self, rejection: Rejection) {
        if self.last.len() == MOST {
            self.last.pop_front();
        }
        self.last.push_back(rejection);
    }

    /// Oldest first.
    pub fn all(&self) -> impl Iterator<Item = &Rejection> {
        self.last.iter()
    }
}
