//! One TLS connection as a plain synchronous value: ciphertext goes in, plaintext comes out, and the other way about.
//!
//! Knows no socket. What a socket did not take is kept here and goes out before anything else; how far a flush has come
//! is told in bytes of plaintext, so that whoever watches slow readers need not know that there is TLS.

use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{HandshakeKind, ProtocolVersion, ServerConfig, ServerConnection};

use super::TlsTerms;
use super::verifier::{self, Accepted};

/// Most plaintext of one flush: what is encrypted ahead of the socket. It is cut into records of 16 KiB.
pub const FLUSH_BYTES: usize = 64 << 10;

/// Records larger than this leave rustls with a buffer that an idle connection should not keep.
const LARGE_BYTES: usize = 2 << 10;

/// How the peer's side ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// It said close_notify.
    Closed,
    /// It broke the rules, was refused, or has refused us. The alert, if one is due, waits to be sent.
    Broken(rustls::Error),
}

/// Whether anything that a peer said made sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Not even its first message.
    Nothing,
    /// At least that.
    Something,
}

/// One TLS connection. It can move to another thread at any moment, with all that is half done.
pub struct Tls {
    config: Arc<ServerConfig>,
    /// `None`: it is not its turn yet. A peer that says nothing costs no more.
    session: Option<Box<ServerConnection>>,
    /// What came before its turn.
    early: Vec<u8>,
    end: Option<End>,
    /// What the verifier said of the peer's certificate, in a handshake that was not resumed.
    accepted: Option<Accepted>,
    /// Ciphertext under way; `sent` bytes of it have been taken.
    out: Vec<u8>,
    sent: usize,
    flush: Flush,
}

/// The plaintext within the ciphertext under way.
#[derive(Clone, Copy, Debug, Default)]
struct Flush {
    /// Its records lie from here,
    from: usize,
    /// to here.
    to: usize,
    /// How much it is.
    plaintext: usize,
    /// Of that, what was told to have been taken.
    told: usize,
}

impl Flush {
    /// How much of the plaintext counts as taken when so much of the ciphertext is.
    fn taken(&self, sent: usize) -> usize {
        if sent >= self.to { self.plaintext } else { self.plaintext.min(sent.saturating_sub(self.from)) }
    }
}

impl Tls {
    /// A connection that has heard nothing.
    pub fn new(terms: &TlsTerms) -> Tls {
        Tls {
            config: Arc::clone(&terms.0),
            session: None,
            early: Vec::new(),
            end: None,
            accepted: None,
            out: Vec::new(),
            sent: 0,
            flush: Flush::default(),
        }
    }

    /// Has its handshake begun?
    pub fn has_begun(&self) -> bool {
        self.session.is_some() || self.end.is_some()
    }

    /// Keeps what came before its turn.
    pub fn keep(&mut self, ciphertext: &[u8]) {
        self.early.extend_from_slice(ciphertext);
    }

    /// Has it said something before its turn?
    pub fn has_early(&self) -> bool {
        !self.early.is_empty()
    }

    /// It is its turn: what was kept is to be taken in now. Fails at once (see [`Tls::end`]) if the terms are of no use.
    pub fn begin(&mut self) -> Vec<u8> {
        match ServerConnection::new(Arc::clone(&self.config)) {
            Ok(session) => self.session = Some(Box::new(session)),
            Err(error) => self.end = Some(End::Broken(error)),
        }
        std::mem::take(&mut self.early)
    }

    /// Nothing has been agreed on yet.
    pub fn is_handshaking(&self) -> bool {
        self.session.as_ref().is_none_or(|session| session.is_handshaking())
    }

    /// Whether the peer has said anything that makes sense.
    pub fn heard(&self) -> Heard {
        if self.version().is_some() { Heard::Something } else { Heard::Nothing }
    }

    /// The version that was agreed on.
    pub fn version(&self) -> Option<ProtocolVersion> {
        self.session.as_ref()?.protocol_version()
    }

    /// Was an earlier session taken up again? Then nobody has verified the certificate this time.
    pub fn is_resumed(&self) -> bool {
        let kind = self.session.as_ref().and_then(|session| session.handshake_kind());
        kind == Some(HandshakeKind::Resumed)
    }

    /// What the peer presented, its own certificate first; also in a resumed session.
    pub fn peer_certificates(&self) -> Option<&[CertificateDer<'static>]> {
        self.session.as_ref()?.peer_certificates()
    }

    /// What the verifier has found acceptable. Certain when the handshake is over; `None` in a resumed session.
    pub fn accepted(&self) -> Option<&Accepted> {
        self.accepted.as_ref()
    }

    /// The peer's side is over.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Takes ciphertext from the peer and appends what it says to `plaintext`. What comes after the end is ignored.
    pub fn take_in(&mut self, mut ciphertext: &[u8], plaintext: &mut Vec<u8>) {
        let Some(session) = &mut self.session else { return };
        let (was_handshaking, mut large) = (session.is_handshaking(), false);
        let accepted = &mut self.accepted;
        while self.end.is_none() && !ciphertext.is_empty() {
            match session.read_tls(&mut ciphertext) {
                Ok(0) => self.end = Some(End::Closed),
                Ok(_) => match process(session, accepted) {
                    Ok(state) => self.end = state.peer_has_closed().then_some(End::Closed),
                    Err(error) => self.end = Some(End::Broken(error)),
                },
                Err(full) => self.end = Some(End::Broken(rustls::Error::General(full.to_string()))),
            }
            // Also after a fault: what came before it counts.
            let mut reader = session.reader();
            while let Ok(chunk) = reader.fill_buf()
                && !chunk.is_empty()
            {
                let taken = chunk.len();
                plaintext.extend_from_slice(chunk);
                reader.consume(taken);
                large |= taken > LARGE_BYTES;
            }
        }
        if large || (was_handshaking && !session.is_handshaking()) {
            // Where nothing is half read rustls gives back all but 4 KiB of its buffer before it reads.
            let _nothing_to_read = session.read_tls(&mut Nothing);
        }
    }

    /// Does the connection itself have something to say: handshake, tickets, alerts?
    pub fn has_own(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.wants_write())
    }

    /// Ciphertext that a socket is to take.
    pub fn unsent(&self) -> &[u8] {
        &self.out[self.sent..]
    }

    /// Is some ciphertext not sent? It goes before anything else.
    pub fn has_unsent(&self) -> bool {
        self.sent < self.out.len()
    }

    /// Encrypts the beginning of `plaintext` as one flush, behind what the connection itself has to say. Answers how
    /// much of it: at most [`FLUSH_BYTES`], and none after a fault. Only when nothing is unsent.
    pub fn encrypt(&mut self, plaintext: &[u8]) -> usize {
        self.gather();
        let from = self.out.len();
        let taken = self.write(&plaintext[..plaintext.len().min(FLUSH_BYTES)]);
        self.flush = Flush { from, to: self.out.len(), plaintext: taken, told: 0 };
        taken
    }

    /// Encrypts what the layer above says for itself: it is not told when that is taken. Little, and only when nothing
    /// is unsent.
    pub fn say(&mut self, plaintext: &[u8]) {
        self.gather();
        self.write(plaintext);
    }

    /// Takes over what the connection itself has to say.
    pub fn gather(&mut self) {
        let Some(session) = &mut self.session else { return };
        while session.wants_write() {
            session.write_tls(&mut self.out).expect("a vector takes everything");
        }
    }

    /// Says close_notify behind all that is unsent, unless an alert has ended the connection. Nothing may follow.
    pub fn close(&mut self) {
        if let Some(session) = &mut self.session {
            session.send_close_notify();
        }
        self.gather();
    }

    fn write(&mut self, plaintext: &[u8]) -> usize {
        let Some(session) = &mut self.session else { return 0 };
        let taken = session.writer().write(plaintext).unwrap_or_default();
        self.gather();
        taken
    }

    /// `ciphertext` bytes of what is unsent were taken. Answers by how much the flush's plaintext has come forward.
    pub fn sent(&mut self, ciphertext: usize) -> usize {
        self.sent += ciphertext;
        let taken = self.flush.taken(self.sent);
        let progress = taken - self.flush.told;
        self.flush.told = taken;
        if self.sent == self.out.len() {
            // An idle connection keeps no buffer.
            self.out = Vec::new();
            self.sent = 0;
            self.flush = Flush::default();
        }
        progress
    }
}

/// Lets rustls process what it has read; what the verifier says meanwhile is taken from where it lays it down.
fn process(
    session: &mut ServerConnection,
    accepted: &mut Option<Accepted>,
) -> Result<rustls::IoState, rustls::Error> {
    let handshaking = session.is_handshaking();
    let state = session.process_new_packets();
    if handshaking && let Some(now) = verifier::take_accepted() {
        *accepted = Some(now);
    }
    state
}

/// Nothing of what is in it is for logs.
impl fmt::Debug for Tls {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unsent = self.out.len() - self.sent;
        out.debug_struct("Tls").field("end", &self.end).field("unsent", &unsent).finish_non_exhaustive()
    }
}

/// A socket that has nothing to read just now.
struct Nothing;

impl Read for Nothing {
    fn read(&mut self, _into: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}
