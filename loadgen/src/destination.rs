//! Where a run goes to and on what: the broker's address as it was written, and the options that go with it.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use anyhow::{Context, bail, ensure};

use crate::options::Common;
use crate::plan::Transport;
use crate::security::Security;
use crate::websocket::Endpoint;

/// What an address can begin with: name, WebSocket, TLS, and the port where none is given.
const SCHEMES: [(&str, bool, bool, u16); 4] = [
    ("mqtt", false, false, 1883),
    ("mqtts", false, true, 8883),
    ("ws", true, false, 8083),
    ("wss", true, true, 8084),
];

/// Where to, and on what.
#[derive(Debug)]
pub struct Destination {
    /// The broker.
    pub target: SocketAddr,
    /// TCP or WebSocket.
    pub transport: Transport,
    /// TLS around that.
    pub security: Option<Arc<Security>>,
}

impl Destination {
    /// What the options ask for. `entropy` is different for each run.
    pub fn of(common: &Common, entropy: u64) -> anyhow::Result<Destination> {
        let given = common.broker.clone().unwrap_or_else(|| match common.port {
            Some(port) => format!("{}:{port}", common.host),
            None => common.host.clone(),
        });
        let (scheme, rest) = match given.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest),
            None => (None, given.as_str()),
        };
        let asked = |(name, websocket, tls, _): &&(&str, bool, bool, u16)| match scheme {
            Some(scheme) => *name == scheme,
            None => (*websocket, *tls) == (common.ws, common.tls.tls),
        };
        let Some(&(scheme, websocket, tls, port)) = SCHEMES.iter().find(asked) else {
            bail!("{given}: --broker is HOST:PORT, mqtt(s)://HOST:PORT or ws(s)://HOST:PORT/PATH");
        };
        ensure!(tls || !common.tls.tls, "{given} is without TLS, and --tls is with it: write {scheme}s://");
        ensure!(websocket || !common.ws, "{given} is no WebSocket, and --ws is one: write ws:// or wss://");
        if let (Some(option), false) = (common.tls.needing_tls(), tls) {
            bail!("{option} needs TLS: --tls, or --broker mqtts://HOST:PORT or wss://HOST:PORT/PATH");
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, "mqtt"));
        ensure!(websocket || authority == rest, "{given}: only WebSockets have a path");
        let (host, authority) = host_and_port(authority, port);
        let transport = if websocket {
            let path = format!("/{path}");
            let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
            ensure!(plain, "{given}: write the path in ASCII, %-encoded where it must be");
            Transport::WebSocket(Arc::new(Endpoint { host: authority.clone(), path, seed: entropy }))
        } else {
            Transport::Tcp
        };
        let mut found =
            authority.to_socket_addrs().with_context(|| format!("cannot find the broker {given}"))?;
        let target = found.next().with_context(|| format!("{given} has no address"))?;
        let security = tls.then(|| Security::new(&common.tls, &host, &transport)).transpose()?;
        Ok(Destination { target, transport, security: security.map(Arc::new) })
    }
}

/// The host, and the host with its port.
fn host_and_port(authority: &str, port: u16) -> (String, String) {
    match authority.rsplit_once(':') {
        Some((host, number)) if !number.contains(']') => (host.to_owned(), authority.to_owned()),
        _ => (authority.to_owned(), format!("{authority}:{port}")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::options::{Options, Scenario};

    fn destination(words: &[&str]) -> anyhow::Result<Destination> {
        let options = Options::try_parse_from(["x", "connect"].iter().chain(words))?;
        let Scenario::Connect { common, .. } = options.scenario else { panic!("asked for") };
        Destination::of(&common, 1)
    }

    fn found(words: &[&str]) -> (String, Option<String>, bool) {
        let Destination { target, transport, security } = destination(words).unwrap();
        let url = match transport {
            Transport::Tcp => None,
            Transport::WebSocket(endpoint) => Some(format!("{}{}", endpoint.host, endpoint.path)),
        };
        (target.to_string(), url, security.is_some())
    }

    #[test]
    fn an_address_says_on_what_and_each_has_its_port() {
        let blind = "--insecure";
        assert_eq!(found(&[]), ("127.0.0.1:1883".into(), None, false));
        assert_eq!(found(&["--port", "7"]), ("127.0.0.1:7".into(), None, false));
        assert_eq!(found(&["--tls", blind]), ("127.0.0.1:8883".into(), None, true));
        assert_eq!(found(&["--broker", "[::1]:9", "--tls", blind]), ("[::1]:9".into(), None, true));
        assert_eq!(found(&["--broker", "mqtts://[::1]", blind]), ("[::1]:8883".into(), None, true));
        assert_eq!(found(&["--broker", "mqtt://127.0.0.1:9"]), ("127.0.0.1:9".into(), None, false));
        let url = |text: &str| Some(text.to_owned());
        assert_eq!(found(&["--ws"]), ("127.0.0.1:8083".into(), url("127.0.0.1:8083/mqtt"), false));
        assert_eq!(found(&["--ws", "--tls", blind]).1, url("127.0.0.1:8084/mqtt"));
        let wss = found(&["--broker", "wss://127.0.0.1:9/a?b", blind]);
        assert_eq!(wss, ("127.0.0.1:9".into(), url("127.0.0.1:9/a?b"), true));
    }

    #[test]
    fn what_contradicts_itself_is_refused_with_a_remedy() {
        for (words, says) in [
            (&["--broker", "http://127.0.0.1:9"][..], "HOST:PORT"),
            (&["--broker", "ws://127.0.0.1:9", "--tls"], "wss://"),
            (&["--broker", "mqtts://127.0.0.1:9", "--ws"], "wss://"),
            (&["--broker", "mqtts://127.0.0.1:9/mqtt", "--insecure"], "path"),
            (&["--insecure"], "--insecure needs TLS"),
            (&["--resume"], "--resume needs TLS"),
            (&["--tls", "--insecure", "--sni", "a b"], "--sni NAME"),
        ] {
            let error = format!("{:#}", destination(words).unwrap_err());
            assert!(error.contains(says), "{words:?}: {error}");
        }
    }
}
