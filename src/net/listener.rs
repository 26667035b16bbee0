//! Binding the TCP sockets that shards accept on. Everything that can fail about a listener fails here, before any
//! shard knows of it; what is bound is a value, and dropping it gives the port back.
//!
//! Knows no ring and no shard.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};

use super::port_holder::{self, Holder};
use super::tls::TlsTerms;
use super::ws::PacketsPerFrame;

/// Connections that wait to be accepted, per shard.
const BACKLOG: i32 = 4_096;
/// Keep Alive 0 is honoured, so it is TCP that finds dead peers: first probe after this much silence.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEP_ALIVE_PROBES: u32 = 4;
/// A peer that acknowledges nothing for so long is dead. It must cover all the probes: it replaces their count. And it
/// is far above the time after which the shard closes a peer that merely does not read.
const USER_TIMEOUT: Duration = Duration::from_secs(120);

/// How clients speak MQTT at a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// On the bare connection.
    Tcp,
    /// In WebSocket frames.
    WebSocket {
        /// For who asks for this path.
        path: Arc<str>,
        /// What a frame to the client holds.
        packets: PacketsPerFrame,
    },
}

/// All that a client must know to be understood at a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speech {
    /// What MQTT lies in.
    pub transport: Transport,
    /// `None`: nothing is encrypted.
    pub tls: Option<TlsTerms>,
}

impl Speech {
    /// Without encryption.
    pub fn plain(transport: Transport) -> Speech {
        Speech { transport, tls: None }
    }
}

/// A listener's sockets, bound and listening, one for each shard: the kernel spreads the connections.
#[derive(Debug)]
pub struct Bound {
    /// Index of the listener in the snapshot.
    pub listener: u16,
    /// The address, with the port that was chosen if 0 was asked for.
    pub address: SocketAddr,
    /// How clients speak there.
    pub speech: Speech,
    /// As many as there are shards.
    pub sockets: Vec<OwnedFd>,
}

/// Why an address could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody listens there.
    #[error("{address} is already in use{}: stop it, or choose another port", by_whom(.holder.as_ref()))]
    InUse {
        /// The address asked for.
        address: SocketAddr,
        /// Who listens there, as far as this process may know.
        holder: Option<Holder>,
    },
    /// A port below 1024, most likely.
    #[error(
        "no permission to listen on {address}: choose a port from 1024 on, or grant CAP_NET_BIND_SERVICE"
    )]
    Forbidden {
        /// The address asked for.
        address: SocketAddr,
    },
    /// This machine has no such address.
    #[error("{address} is not an address of this machine")]
    NotHere {
        /// The address asked for.
        address: SocketAddr,
    },
    /// Something else.
    #[error("cannot listen on {address}: {source}")]
    Other {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

fn by_whom(holder: Option<&Holder>) -> String {
    holder.map_or_else(String::new, |holder| format!(" by {holder}"))
}

/// Binds `address` for `shards` shards and listens. An IPv6 wildcard takes IPv4 too. Clients speak bare MQTT there,
/// unless what is returned is changed.
pub fn bind(listener: u16, address: SocketAddr, shards: u16) -> Result<Bound, BindError> {
    let sockets = bind_all(address, shards);
    let (address, sockets) = sockets.map_err(|source| explain(address, source))?;
    Ok(Bound { listener, address, speech: Speech::plain(Transport::Tcp), sockets })
}

fn bind_all(mut address: SocketAddr, shards: u16) -> io::Result<(SocketAddr, Vec<OwnedFd>)> {
    let mut sockets = Vec::with_capacity(usize::from(shards));
    if shards > 1 {
        // Sockets that share a port would also share it with another broker of this user. One that does not share
        // finds it; it is given up at once.
        address = local(&open(address, Sharing::Alone)?)?;
    }
    for _ in 0..shards {
        let socket = open(address, if shards > 1 { Sharing::Port } else { Sharing::Alone })?;
        socket.listen(BACKLOG)?;
        address = local(&socket)?;
        sockets.push(OwnedFd::from(socket));
    }
    Ok((address, sockets))
}

#[derive(Clone, Copy, PartialEq)]
enum Sharing {
    Alone,
    Port,
}

/// A bound socket. What accepted sockets inherit is set here, so that it costs no system call per connection.
fn open(address: SocketAddr, sharing: Sharing) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    if sharing == Sharing::Port {
        socket.set_reuse_port(true)?;
    }
    socket.set_tcp_nodelay(true)?;
    let keep_alive = TcpKeepalive::new()
        .with_time(KEEP_ALIVE)
        .with_interval(KEEP_ALIVE_INTERVAL)
        .with_retries(KEEP_ALIVE_PROBES);
    socket.set_tcp_keepalive(&keep_alive)?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

fn local(socket: &Socket) -> io::Result<SocketAddr> {
    let address = socket.local_addr()?;
    Ok(address.as_socket().expect("an internet socket has an internet address"))
}

fn explain(address: SocketAddr, source: io::Error) -> BindError {
    match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { address, holder: port_holder::find(address) },
        io::ErrorKind::PermissionDenied => BindError::Forbidden { address },
        io::ErrorKind::AddrNotAvailable => BindError::NotHere { address },
        _ => BindError::Other { address, source },
    }
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener, TcpStream};

    use super::{BindError, bind};

    fn anywhere() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    #[test]
    fn shards_share_the_port_that_was_chosen() {
        let bound = bind(3, anywhere(), 4).expect("bound");
        assert_eq!((bound.listener, bound.sockets.len()), (3, 4));
        assert_ne!(bound.address.port(), 0);
        for socket in bound.sockets {
            let socket = TcpListener::from(socket);
            assert_eq!(socket.local_addr().expect("address"), bound.address);
        }
    }

    #[test]
    fn a_taken_port_names_who_holds_it() {
        let holder = TcpListener::bind(anywhere()).expect("bound");
        let address = holder.local_addr().expect("address");
        for shards in [1, 2] {
            let error = bind(0, address, shards).expect_err("it is taken");
            let text = error.to_string();
            assert!(
                matches!(&error, BindError::InUse { holder: Some(h), .. } if h.pid == Some(std::process::id()))
            );
            assert!(text.contains(&address.to_string()), "{text}");
            assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
        }
    }

    #[test]
    fn two_brokers_of_many_shards_do_not_share_a_port() {
        let first = bind(0, anywhere(), 2).expect("bound");
        assert!(matches!(bind(0, first.address, 2), Err(BindError::InUse { .. })));
        let address = first.address;
        drop(first);
        bind(0, address, 2).expect("it is free again");
    }

    #[test]
    fn an_address_of_another_machine_is_refused_as_such() {
        let elsewhere = SocketAddr::from(([192, 0, 2, 1], 0));
        assert!(matches!(bind(0, elsewhere, 1), Err(BindError::NotHere { .. })));
    }

    #[test]
    fn accepted_sockets_send_at_once_and_find_dead_peers() {
        let bound = bind(0, anywhere(), 1).expect("bound");
        let listener = TcpListener::from(bound.sockets.into_iter().next().expect("one"));
        let _client = TcpStream::connect(bound.address).expect("connected");
        let (accepted, _) = listener.accept().expect("accepted");
        let accepted = socket2::SockRef::from(&accepted);
        assert!(accepted.tcp_nodelay().expect("option"));
        assert!(accepted.keepalive().expect("option"));
        assert_eq!(accepted.tcp_user_timeout().expect("option"), Some(super::USER_TIMEOUT));
    }

    #[test]
    fn ipv6_works_where_the_machine_has_it() {
        match bind(0, "[::1]:0".parse().expect("address"), 2) {
            Ok(bound) => drop(TcpStream::connect(bound.address).expect("connected")),
            Err(error) => assert!(matches!(error, BindError::NotHere { .. } | BindError::Other { .. })),
        }
    }
}
