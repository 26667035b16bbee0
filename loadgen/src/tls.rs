//! The client's side of TLS as a plain value: plaintext goes in and out of one end, the bytes of the socket in and out
//! of the other. No socket, no file, no MQTT.
//!
//! It is a stream of futures-rustls over a pipe in memory. Whoever has the socket feeds the pipe and polls by that, so
//! no waker is ever needed, and TLS shares driver, schedule and clock with clients that have none.

use std::cell::RefCell;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_io::{AsyncRead, AsyncWrite};
use futures_rustls::client::TlsStream;
use futures_rustls::pki_types::ServerName;
use futures_rustls::rustls::{ClientConfig, HandshakeKind, ProtocolVersion};
use futures_rustls::{Connect, TlsConnector};

use crate::tls_words;

/// Bytes that a pipe keeps room for while nothing is in it.
const KEPT: usize = 4 << 10;

/// The largest plaintext of one record, in bytes: what a place to decrypt into should hold.
pub const PLAIN_BYTES: usize = 16 << 10;

/// Both directions between the socket and the stream.
#[derive(Default)]
struct Pipe {
    incoming: Vec<u8>,
    /// So many of `incoming` have been read.
    read: usize,
    outgoing: Vec<u8>,
}

/// The stream's end of a pipe.
#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Pipe>>);

impl AsyncRead for Shared {
    /// Pending: everything that arrived was read.
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let pipe = &mut *self.0.borrow_mut();
        let rest = &pipe.incoming[pipe.read..];
        if rest.is_empty() {
            return Poll::Pending;
        }
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        pipe.read += len;
        Poll::Ready(Ok(len))
    }
}

impl AsyncWrite for Shared {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().outgoing.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outgoing = &mut self.0.borrow_mut().outgoing;
        bufs.iter().for_each(|buf| outgoing.extend_from_slice(buf));
        Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

enum State {
    Down,
    Handshaking(Connect<Shared>),
    Open(TlsStream<Shared>),
}

/// TLS has come to its end; `Tls::end` says how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over;

/// How it came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer closed it in order.
    Closed,
    /// It failed: why, and what to do about it. The same words for the same reason.
    Failed(String),
}

/// What a handshake agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// Version, cipher suite and key exchange.
    pub on: String,
    /// A session was resumed: no certificate was sent or verified.
    pub resumed: bool,
}

/// One connection's TLS.
pub struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    pipe: Shared,
    /// What waits for the socket.
    wire: Vec<u8>,
    state: State,
    /// The handshake of this connection was done once.
    done: bool,
    /// A good-bye follows what is sealed next.
    closing: bool,
    end: Option<End>,
}

impl Tls {
    /// One that is not connected, to the server of this name.
    pub fn new(config: Arc<ClientConfig>, name: ServerName<'static>) -> Tls {
        let pipe = Shared::default();
        Tls {
            config,
            name,
            pipe,
            wire: Vec::new(),
            state: State::Down,
            done: false,
            closing: false,
            end: None,
        }
    }

    /// The socket is connected: writes the first flight.
    pub fn begin(&mut self) -> Result<(), Over> {
        self.down();
        let connector = TlsConnector::from(self.config.clone());
        self.state = State::Handshaking(connector.connect(self.name.clone(), self.pipe.clone()));
        let begun = self.shake_hands();
        self.collect();
        begun
    }

    /// There is no connection any more: frees what belonged to it.
    pub fn down(&mut self) {
        self.state = State::Down;
        self.pipe = Shared::default();
        self.wire = Vec::new();
        (self.done, self.closing) = (false, false);
        self.end = None;
    }

    /// The handshake is done.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// The handshake of this connection was done, whatever came then.
    pub fn was_open(&self) -> bool {
        self.done
    }

    /// How it came to its end, if it has.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// What the handshake agreed on, once it is done.
    pub fn agreed(&self) -> Option<Agreed> {
        let State::Open(stream) = &self.state else { return None };
        let (_, connection) = stream.get_ref();
        let version = match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLS 1.2".to_owned(),
            Some(ProtocolVersion::TLSv1_3) => "TLS 1.3".to_owned(),
            other => format!("{other:?}"),
        };
        let suite = connection.negotiated_cipher_suite().map(|suite| format!(", {:?}", suite.suite()));
        let group = connection.negotiated_key_exchange_group().map(|group| format!(", {:?}", group.name()));
        let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        Some(Agreed { on: version + &suite.unwrap_or_default() + &group.unwrap_or_default(), resumed })
    }

    /// What waits for the socket.
    pub fn wire(&mut self) -> &mut Vec<u8> {
        &mut self.wire
    }

    /// Encrypts what is to be sent, as one record where it fits; before the handshake is done it waits where it is.
    pub fn seal(&mut self, plain: &mut Vec<u8>) {
        let State::Open(stream) = &mut self.state else { return };
        if plain.is_empty() {
            return;
        }
        let cx = &mut Context::from_waker(Waker::noop());
        let mut rest = plain.as_slice();
        // The pipe takes everything: it is never pending, and fails only once it was closed.
        while !rest.is_empty()
            && let Poll::Ready(Ok(written)) = Pin::new(&mut *stream).poll_write(cx, rest)
        {
            rest = &rest[written..];
        }
        let _ = Pin::new(&mut *stream).poll_flush(cx);
        if std::mem::take(&mut self.closing) {
            let _ = Pin::new(stream).poll_close(cx);
        }
        plain.clear();
        self.collect();
    }

    /// What is sealed next is the last; a good-bye follows it.
    pub fn close(&mut self) {
        self.closing = true;
    }

    /// Takes bytes from the socket; gives `take` the plaintext, piece by piece, decrypted into `place`.
    pub fn handle_bytes<E: From<Over>>(
        &mut self,
        bytes: &[u8],
        place: &mut [u8],
        take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.pipe.0.borrow_mut().incoming.extend_from_slice(bytes);
        let result = self.advance(place, take);
        self.collect();
        result
    }

    fn advance<E: From<Over>>(
        &mut self,
        place: &mut [u8],
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.shake_hands()?;
        let cx = &mut Context::from_waker(Waker::noop());
        while let State::Open(stream) = &mut self.state {
            match Pin::new(&mut *stream).poll_read(cx, place) {
                Poll::Pending => {
                    // An answer of TLS itself, as to a request for new keys.
                    if stream.get_ref().1.wants_write() {
                        let _ = Pin::new(stream).poll_flush(cx);
                    }
                    break;
                }
                Poll::Ready(Ok(0)) => return Err(self.over(End::Closed).into()),
                Poll::Ready(Ok(len)) => take(&place[..len])?,
                Poll::Ready(Err(e)) => return Err(self.failed(&e).into()),
            }
        }
        Ok(())
    }

    fn shake_hands(&mut self) -> Result<(), Over> {
        let State::Handshaking(connect) = &mut self.state else { return Ok(()) };
        match Pin::new(connect).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(stream)) => {
                self.state = State::Open(stream);
                self.done = true;
                Ok(())
            }
            Poll::Ready(Err(e)) => Err(self.failed(&e)),
        }
    }

    fn failed(&mut self, error: &io::Error) -> Over {
        let words = tls_words::of(error, &self.name);
        self.over(End::Failed(words))
    }

    fn over(&mut self, end: End) -> Over {
        self.end = Some(end);
        self.state = State::Down;
        Over
    }

    /// Moves what the stream has written to where the socket takes it, and forgets what was read.
    fn collect(&mut self) {
        let pipe = &mut *self.pipe.0.borrow_mut();
        if self.wire.is_empty() {
            std::mem::swap(&mut self.wire, &mut pipe.outgoing);
        } else {
            self.wire.append(&mut pipe.outgoing);
        }
        pipe.incoming.drain(..pipe.read);
        pipe.read = 0;
        for buffer in [&mut pipe.incoming, &mut pipe.outgoing] {
            if buffer.is_empty() && buffer.capacity() > KEPT {
                *buffer = Vec::new();
            }
        }
    }
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
