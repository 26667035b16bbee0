//! Console and API: a thread of its own with an ordinary asynchronous runtime. It reaches the broker by jobs for the
//! control thread ([`desk::Desk`]) and nothing else; no shard ever waits for it, and it never waits on a lock.
//!
//! `ops` are the operations, with typed requests and answers; `api` is how they look as JSON over HTTP. The command line
//! speaks the same API by the socket of the data directory.

pub(in crate::control) mod access;
mod api;
mod body;
pub(in crate::control) mod desk;
pub(in crate::control) mod doors;
pub(in crate::control) mod feed;
pub(in crate::control) mod guard;
pub(in crate::control) mod login;
pub(in crate::control) mod ops;
pub(in crate::control) mod problem;

use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use rustls::ServerConfig;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use self::access::Access;
pub(in crate::control) use self::api::Link;
use self::desk::Desk;
use self::doors::{Change, Door};
use self::feed::Feed;
use self::problem::Problem;
use super::console;
use super::running::stand_back;

/// Largest body of a request: a configuration with very many rules.
const BODY_BYTES: usize = 16 << 20;

/// What requests may still take when the broker stops.
const STOP_TIME: Duration = Duration::from_millis(500);

/// What a handler works with.
#[derive(Clone)]
pub(in crate::control) struct App {
    pub(in crate::control) desk: Desk,
    pub(in crate::control) access: Arc<Access>,
    pub(in crate::control) feed: Feed,
}

/// The running admin side.
pub(in crate::control) struct Admin {
    changes: Option<UnboundedSender<Change>>,
    thread: Option<JoinHandle<()>>,
    access: Arc<Access>,
    feed: Feed,
    address: Option<SocketAddr>,
    tls: bool,
}

impl Admin {
    /// Starts it on the socket of the data directory; no address is served yet.
    ///
    /// # Errors
    /// The thread or its runtime cannot be made.
    pub(in crate::control) fn start(local: UnixListener, access: Access, desk: Desk) -> io::Result<Admin> {
        local.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let access = Arc::new(access);
        let (changes, seen) = unbounded_channel();
        let feed = Feed::new();
        let app = App { desk, access: Arc::clone(&access), feed: feed.clone() };
        let serving = move || {
            // So do the threads that it starts for what takes long.
            stand_back();
            runtime.block_on(async {
                match tokio::net::UnixListener::from_std(local) {
                    Ok(local) => doors::serve(local, seen, router(app)).await,
                    Err(error) => tracing::error!("console and API cannot be served: {error}"),
                }
            });
            runtime.shutdown_timeout(STOP_TIME);
        };
        let thread = thread::Builder::new().name("admin".into()).spawn(serving)?;
        Ok(Admin { changes: Some(changes), thread: Some(thread), access, feed, address: None, tls: false })
    }

    /// Who may use it.
    pub(in crate::control) fn access(&self) -> &Access {
        &self.access
    }

    /// Where it is told what happens.
    pub(in crate::control) fn feed(&self) -> &Feed {
        &self.feed
    }

    /// The same for browsers: `http://127.0.0.1:9883/`.
    pub(in crate::control) fn url(&self) -> Option<String> {
        let scheme = if self.tls { "https" } else { "http" };
        self.address.map(|address| format!("{scheme}://{address}/"))
    }

    /// Serves this address from now on, in place of the one before.
    pub(in crate::control) fn open(&mut self, door: Door) {
        self.address = door.address().ok();
        self.tls = door.is_encrypted();
        self.change(Change::Open(door));
    }

    /// Has handshakes made with this from now on.
    pub(in crate::control) fn encrypt(&mut self, tls: Option<Arc<ServerConfig>>) {
        self.tls = tls.is_some();
        self.change(Change::Tls(tls));
    }

    /// Serves no address from now on.
    pub(in crate::control) fn shut(&mut self) {
        self.address = None;
        self.change(Change::Shut);
    }

    fn change(&self, change: Change) {
        if let Some(changes) = &self.changes {
            // It ends only when the broker does.
            let _gone = changes.send(change);
        }
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.changes = None;
        if let Some(thread) = self.thread.take() {
            // A panic on any thread has ended the process already.
            let _ended = thread.join();
        }
    }
}

fn router(app: App) -> Router {
    let access = Arc::clone(&app.access);
    console::router(app.clone())
        .merge(api::router(app))
        .fallback(async || Problem::not_found("there is nothing at this path"))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(from_fn_with_state(access, guard::guard))
}

#[cfg(test)]
mod tests;
