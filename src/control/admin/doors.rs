//! Where console and API are reached: the Unix socket of the data directory, and an address. It accepts, speaks TLS if
//! that is asked for, and hands each request on with what is known of its other end. Knows no request.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower_service::Service;

use super::guard::Peer;

/// Connections at once at the address; more wait to be accepted.
const CONNECTIONS: usize = 256;
/// Who connects and does not come to a request is dropped.
const PATIENCE: Duration = Duration::from_secs(10);
/// After accept(2) failed: descriptors may be there again soon.
const PAUSE: Duration = Duration::from_millis(100);

/// An address that is bound and not served yet. Dropping it gives the port back.
#[derive(Debug)]
pub(in crate::control) struct Door {
    listener: std::net::TcpListener,
    tls: Option<Arc<ServerConfig>>,
}

/// What handshakes are made with; `None`: nothing is encrypted.
type Terms = Option<Arc<ServerConfig>>;

/// What becomes of the address.
pub(super) enum Change {
    /// It is served from now on, in place of the one before.
    Open(Door),
    /// Handshakes are made with this from now on.
    Tls(Option<Arc<ServerConfig>>),
    /// None is served.
    Shut,
}

impl Door {
    /// Binds it.
    ///
    /// # Errors
    /// The address is not to be had.
    pub(in crate::control) fn bind(address: SocketAddr, tls: Option<Arc<ServerConfig>>) -> io::Result<Door> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Door { listener, tls })
    }

    /// Whether TLS is spoken there.
    pub(in crate::control) fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// With the port that the system chose.
    pub(in crate::control) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Serves the Unix socket, and the address as it changes, until the other end of `changes` is gone.
pub(super) async fn serve(local: UnixListener, mut changes: mpsc::UnboundedReceiver<Change>, router: Router) {
    let locals = tokio::spawn(accept_local(local, router.clone()));
    let mut open: Option<(JoinHandle<()>, watch::Sender<Terms>)> = None;
    while let Some(change) = changes.recv().await {
        match change {
            Change::Open(Door { listener, tls }) => {
                if let Some((serving, _)) = open.take() {
                    serving.abort();
                }
                let (terms, seen) = watch::channel(tls);
                match TcpListener::from_std(listener) {
                    Ok(listener) => {
                        open = Some((tokio::spawn(accept(listener, seen, router.clone())), terms));
                    }
                    Err(error) => tracing::error!("console and API cannot be served: {error}"),
                }
            }
            Change::Tls(tls) => {
                if let Some((_, terms)) = &open {
                    terms.send_replace(tls);
                }
            }
            Change::Shut => {
                if let Some((serving, _)) = open.take() {
                    serving.abort();
                }
            }
        }
    }
    locals.abort();
    if let Some((serving, _)) = open {
        serving.abort();
    }
}

async fn accept_local(listener: UnixListener, router: Router) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        match stream.peer_cred() {
            Ok(whose) => {
                let peer = Peer::Local { uid: whose.uid() };
                tokio::spawn(speak(stream, peer, router.clone(), None));
            }
            Err(error) => tracing::debug!("a local process cannot be told apart: {error}"),
        }
    }
}

async fn accept(listener: TcpListener, tls: watch::Receiver<Terms>, router: Router) {
    let seats = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(seat) = Arc::clone(&seats).acquire_owned().await else { return };
        let Ok((stream, address)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        let _delay_is_all = stream.set_nodelay(true);
        let tls = tls.borrow().clone();
        match tls {
            None => {
                let peer = Peer::Remote { address, tls: false };
                tokio::spawn(speak(stream, peer, router.clone(), Some(seat)));
            }
            Some(config) => {
                tokio::spawn(encrypted(stream, address, config, router.clone(), seat));
            }
        }
    }
}

async fn encrypted(
    stream: TcpStream,
    address: SocketAddr,
    config: Arc<ServerConfig>,
    router: Router,
    seat: OwnedSemaphorePermit,
) {
    match timeout(PATIENCE, TlsAcceptor::from(config).accept(stream)).await {
        Ok(Ok(stream)) => speak(stream, Peer::Remote { address, tls: true }, router, Some(seat)).await,
        Ok(Err(error)) => tracing::debug!("{address}: no TLS with console or API: {error}"),
        Err(_) => {}
    }
}

/// One connection, to its end.
async fn speak<S>(stream: S, peer: Peer, router: Router, _seat: Option<OwnedSemaphorePermit>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        router.clone().call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!("a connection to console or API ended: {error}");
    }
}
