//! The names that a certificate bears, and the names and addresses of this machine.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use dns_lookup::AddrInfoHints;
use rcgen::SanType;
use rustls_pki_types::ServerName;
use x509_parser::extensions::GeneralName;

use super::{PkiError, describe};

/// What the standard allows a Common Name (RFC 5280, ub-common-name), in characters.
pub const COMMON_NAME_CHARACTERS: usize = 64;

/// The most names that one certificate is made for.
pub const NAMES: usize = 200;

/// How long the machine's full name is looked for.
const LOOKING: Duration = Duration::from_secs(3);

/// An alternative name of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SanName {
    /// A host's name; `*.` may stand in front.
    Dns(String),
    /// An address.
    Ip(IpAddr),
    /// A mail address.
    Email(String),
    /// A URI.
    Uri(String),
}

/// As openssl writes it: `DNS:broker.example`, `IP:::1`.
impl fmt::Display for SanName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SanName::Dns(text) => write!(out, "DNS:{text}"),
            SanName::Ip(address) => write!(out, "IP:{address}"),
            SanName::Email(text) => write!(out, "email:{text}"),
            SanName::Uri(text) => write!(out, "URI:{text}"),
        }
    }
}

impl FromStr for SanName {
    type Err = PkiError;

    /// Takes `DNS:`, `IP:`, `email:` and `URI:` in front; without them an address is one, what holds `@` is a mail
    /// address, and the rest is a host's name.
    fn from_str(text: &str) -> Result<SanName, PkiError> {
        let bad = |why| PkiError::BadName { name: text.to_owned(), why };
        let (kind, rest) = match text.split_once(':') {
            Some((kind, rest)) => (kind.to_ascii_lowercase(), rest),
            None => (String::new(), ""),
        };
        let dns = |name: &str| {
            let plain = name.strip_prefix("*.").unwrap_or(name);
            let host = ServerName::try_from(plain).map_err(|_| bad("a host's name is expected"))?;
            if matches!(host, ServerName::DnsName(_)) {
                Ok(SanName::Dns(name.to_ascii_lowercase()))
            } else {
                Err(bad("a host's name is expected, not an address"))
            }
        };
        let ascii = |name: &str| {
            name.is_ascii() && !name.contains(|found: char| found.is_ascii_control() || found == ' ')
        };
        let email = |name: &str| {
            let parts = name.split_once('@').filter(|(who, at)| !who.is_empty() && !at.is_empty());
            let well = parts.is_some() && ascii(name);
            if well { Ok(SanName::Email(name.to_owned())) } else { Err(bad("a mail address is expected")) }
        };
        match kind.as_str() {
            "dns" => dns(rest),
            "ip" => rest.parse().map(SanName::Ip).map_err(|_| bad("an address is expected")),
            "email" => email(rest),
            "uri" if ascii(rest) && rest.contains(':') => Ok(SanName::Uri(rest.to_owned())),
            "uri" => Err(bad("a URI is expected")),
            _ => match text.parse() {
                Ok(address) => Ok(SanName::Ip(address)),
                Err(_) if text.contains('@') => email(text),
                Err(_) => dns(text),
            },
        }
    }
}

impl SanName {
    /// For the certificate's maker.
    pub(super) fn to_rcgen(&self) -> Result<SanType, PkiError> {
        let bad =
            |name: &str| PkiError::BadName { name: name.to_owned(), why: "only ASCII can be written there" };
        Ok(match self {
            SanName::Dns(text) => SanType::DnsName(text.as_str().try_into().map_err(|_| bad(text))?),
            SanName::Email(text) => SanType::Rfc822Name(text.as_str().try_into().map_err(|_| bad(text))?),
            SanName::Uri(text) => SanType::URI(text.as_str().try_into().map_err(|_| bad(text))?),
            SanName::Ip(address) => SanType::IpAddress(*address),
        })
    }

    /// What a certificate or a request says.
    pub(super) fn read(found: &GeneralName<'_>) -> Result<SanName, PkiError> {
        let unknown = || PkiError::BadName {
            name: describe::general_name(found),
            why: "only host names, addresses, mail addresses and URIs are taken over",
        };
        match found {
            GeneralName::DNSName(text) => format!("DNS:{text}").parse(),
            GeneralName::RFC822Name(text) => format!("email:{text}").parse(),
            GeneralName::URI(text) => format!("URI:{text}").parse(),
            GeneralName::IPAddress(bytes) => describe::address(bytes).map(SanName::Ip).ok_or_else(unknown),
            _ => Err(unknown()),
        }
    }

    /// For the verifier of servers, if it knows such names.
    pub(super) fn server_name(&self) -> Option<ServerName<'static>> {
        match self {
            // What stands for any name stands for this one.
            SanName::Dns(text) => ServerName::try_from(text.replacen('*', "any", 1)).ok(),
            SanName::Ip(address) => Some(ServerName::from(*address)),
            SanName::Email(_) | SanName::Uri(_) => None,
        }
    }
}

/// Refuses what no Common Name can be.
pub(super) fn common_name(text: &str) -> Result<(), PkiError> {
    let bad = |why| Err(PkiError::BadName { name: text.to_owned(), why });
    match text {
        "" => bad("it is empty"),
        _ if text.chars().any(char::is_control) => bad("it holds control characters"),
        _ if text.chars().count() > COMMON_NAME_CHARACTERS => bad("it has more than 64 characters"),
        _ => Ok(()),
    }
}

/// The names and addresses of this machine, each once: its name, its full name if that is found, `localhost`, the
/// addresses of its interfaces. The first time it asks the resolver, and waits at most three seconds for it.
#[must_use]
pub fn host_names() -> Vec<SanName> {
    let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let texts = [own.clone(), full_name(own).unwrap_or_default(), "localhost".to_owned()];
    let named = texts.iter().filter_map(|text| format!("DNS:{text}").parse().ok());
    let mut addresses: Vec<IpAddr> = if_addrs::get_if_addrs()
        .unwrap_or_default()
        .iter()
        .map(if_addrs::Interface::ip)
        .chain([IpAddr::from([127, 0, 0, 1]), "::1".parse().expect("it is an address")])
        .filter(|address| is_reachable(*address))
        .collect();
    addresses.sort_unstable_by_key(|address| (!address.is_loopback(), *address));
    let mut names: Vec<SanName> = Vec::new();
    for name in named.chain(addresses.into_iter().map(SanName::Ip)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.truncate(NAMES);
    names
}

/// A link's own addresses mean another machine on each link.
fn is_reachable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !address.is_unspecified() && !address.is_link_local(),
        IpAddr::V6(address) => !address.is_unspecified() && !address.is_unicast_link_local(),
    }
}

/// The canonical name, looked for once in the life of the process: an Apply is not to wait for a resolver that is away.
fn full_name(own: String) -> Option<String> {
    static FOUND: OnceLock<Option<String>> = OnceLock::new();
    FOUND.get_or_init(|| canonical(own)).clone()
}

/// The resolver may be unreachable, so it is asked on a thread that is left behind then.
fn canonical(own: String) -> Option<String> {
    let (found, answer) = mpsc::channel();
    let asking = move || {
        let hints = AddrInfoHints {
            flags: libc::AI_CANONNAME,
            socktype: libc::SOCK_STREAM,
            ..AddrInfoHints::default()
        };
        let first = dns_lookup::getaddrinfo(Some(&own), None, Some(hints)).ok();
        let first = first.and_then(|mut found| found.next()).and_then(Result::ok);
        // Nobody may be waiting any more.
        let _ = found.send(first.and_then(|found| found.canonname));
    };
    thread::Builder::new().name("names".into()).spawn(asking).ok()?;
    answer.recv_timeout(LOOKING).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for (given, meant) in [
            ("Broker.Example", "DNS:broker.example"),
            ("*.example.com", "DNS:*.example.com"),
            ("10.0.0.1", "IP:10.0.0.1"),
            ("::1", "IP:::1"),
            ("IP:fe80::1", "IP:fe80::1"),
            ("dns:localhost", "DNS:localhost"),
            ("ops@example.com", "email:ops@example.com"),
            ("URI:urn:device:1", "URI:urn:device:1"),
        ] {
            assert_eq!(given.parse::<SanName>().unwrap().to_string(), meant, "{given}");
        }
        let bad = [
            "",
            "a b",
            "*",
            "a.*.b",
            "DNS:10.0.0.1",
            "IP:host",
            "email:nobody",
            "@",
            "URI:plain",
            "a\0b",
            "é",
        ];
        for bad in bad {
            assert!(bad.parse::<SanName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn this_machine_is_known_by_name_and_by_address() {
        let names = host_names();
        for wanted in ["DNS:localhost", "IP:127.0.0.1", "IP:::1"] {
            assert!(names.contains(&wanted.parse().unwrap()), "{wanted} in {names:?}");
        }
        let mut once = names.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), names.len());
    }
}
