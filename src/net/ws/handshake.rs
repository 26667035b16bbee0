//! The opening handshake (RFC 6455, 4.2): one HTTP request, judged when its headers are all there.
//!
//! What is wanted: GET, HTTP/1.1, the listener's path, version 13, a key, and one of MQTT's sub-protocols. Extensions
//! are never taken up, so nothing is compressed.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// Most bytes of request line and headers.
pub const REQUEST_BYTES: usize = 8 << 10;
/// Most headers.
const HEADERS: usize = 100;
const END: &[u8] = b"\r\n\r\n";
/// Every server appends this to the client's key (RFC 6455, 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// MQTT's names in the order of preference. `[MQTT-6.0.0-3]`, `[MQTT-6.0.0-4]`: `mqtt`; 3.1 had one of its own.
const SUB_PROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];

/// Why a handshake was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No WebSocket handshake, or a broken one.
    Malformed,
    /// Longer than [`REQUEST_BYTES`].
    TooLarge,
    /// Not this listener's path.
    Path,
    /// Another version of WebSocket, or none.
    Version,
    /// None of MQTT's sub-protocols was offered.
    SubProtocol,
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Refused::Malformed => "it is none, or a broken one",
            Refused::TooLarge => "its headers are too long",
            Refused::Path => "it asks for another path than the listener's",
            Refused::Version => "it asks for another version of WebSocket",
            Refused::SubProtocol => "it offers no sub-protocol of MQTT",
        })
    }
}

/// What has come of the request.
#[derive(Debug, Default)]
pub struct Handshake {
    request: Vec<u8>,
}

/// What some bytes of the request came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There is more to come.
    Wait,
    /// It is accepted; the answer is to be sent. So many of the bytes just given belong to the request.
    Accepted(Vec<u8>, usize),
    /// It is refused; the answer is to be sent, and the connection to be closed.
    Refused(Refused, Vec<u8>),
}

impl Handshake {
    /// Has anything been heard?
    pub fn has_begun(&self) -> bool {
        !self.request.is_empty()
    }

    /// Takes bytes in. `path` is the listener's.
    pub fn hear(&mut self, bytes: &[u8], path: &str) -> Outcome {
        let before = self.request.len();
        let taken = bytes.len().min(REQUEST_BYTES - before);
        self.request.extend_from_slice(&bytes[..taken]);
        // Looked for in what is new only, and in what its beginning may have come in before.
        let unsearched = before.saturating_sub(END.len() - 1);
        let end = self.request[unsearched..].windows(END.len()).position(|window| window == END);
        match end {
            Some(at) => {
                let end = unsearched + at + END.len();
                match judge(&self.request[..end], path) {
                    Ok(answer) => Outcome::Accepted(answer, end - before),
                    Err(refused) => refusal(refused, path),
                }
            }
            // Whoever speaks MQTT or TLS here should not have to wait for the time-out.
            None if !self.request.first().is_none_or(u8::is_ascii_uppercase) => {
                refusal(Refused::Malformed, path)
            }
            None if self.request.len() == REQUEST_BYTES => refusal(Refused::TooLarge, path),
            None => Outcome::Wait,
        }
    }
}

/// The answer to a whole request.
fn judge(request: &[u8], path: &str) -> Result<Vec<u8>, Refused> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(request) {
        Ok(status) if status.is_complete() => {}
        Err(httparse::Error::TooManyHeaders) => return Err(Refused::TooLarge),
        _ => return Err(Refused::Malformed),
    }
    if parsed.method != Some("GET") || parsed.version != Some(1) {
        return Err(Refused::Malformed);
    }
    if path_of(parsed.path.unwrap_or_default()) != path {
        return Err(Refused::Path);
    }
    let headers = Headers(parsed.headers);
    headers.only("Host").ok_or(Refused::Malformed)?;
    if !headers.has("Upgrade", "websocket")
        || !headers.has("Connection", "upgrade")
        || headers.only("Sec-WebSocket-Version") != Some("13")
    {
        return Err(Refused::Version);
    }
    let key = headers.only("Sec-WebSocket-Key").filter(|key| is_key(key)).ok_or(Refused::Malformed)?;
    let offered = |name: &&&str| headers.list("Sec-WebSocket-Protocol").any(|offer| offer == **name);
    let chosen = SUB_PROTOCOLS.iter().find(offered).ok_or(Refused::SubProtocol)?;
    let accept = STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {chosen}\r\n\r\n"
    );
    Ok(answer.into_bytes())
}

/// The path of a request's target, its query left off. The target may be a whole URL (RFC 9112, 3.2.2).
fn path_of(target: &str) -> &str {
    let target = target.split('?').next().unwrap_or_default();
    match target.split_once("://") {
        Some((_, rest)) if !target.starts_with('/') => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => target,
    }
}

/// 16 bytes in base 64.
fn is_key(key: &str) -> bool {
    STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16)
}

/// The headers of a request. Names are compared without case (RFC 9110, 5.1).
struct Headers<'h>(&'h [httparse::Header<'h>]);

impl<'h> Headers<'h> {
    fn all(&self, name: &'h str) -> impl Iterator<Item = &'h str> {
        let named = self.0.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
        named.filter_map(|header| std::str::from_utf8(header.value).ok()).map(str::trim)
    }

    /// The value of a header that comes once.
    fn only(&self, name: &'h str) -> Option<&'h str> {
        let mut all = self.all(name);
        all.next().filter(|_| all.next().is_none())
    }

    /// The values of a header that is a list, in one line or several.
    fn list(&self, name: &'h str) -> impl Iterator<Item = &'h str> {
        self.all(name).flat_map(|values| values.split(',')).map(str::trim)
    }

    fn has(&self, name: &'h str, value: &str) -> bool {
        self.list(name).any(|one| one.eq_ignore_ascii_case(value))
    }
}

fn refusal(refused: Refused, path: &str) -> Outcome {
    let (status, headers, body) = match refused {
        Refused::Malformed => (
            "400 Bad Request",
            "",
            "This is an MQTT broker: a WebSocket handshake is expected here.".to_owned(),
        ),
        Refused::TooLarge => (
            "431 Request Header Fields Too Large",
            "",
            format!("The headers of the handshake are longer than {REQUEST_BYTES} bytes."),
        ),
        Refused::Path => {
            ("404 Not Found", "", format!("This is an MQTT broker: WebSocket clients connect to {path}."))
        }
        Refused::Version => (
            "426 Upgrade Required",
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            "This is an MQTT broker: version 13 of WebSocket is expected here.".to_owned(),
        ),
        Refused::SubProtocol => (
            "400 Bad Request",
            "",
            format!("Sec-WebSocket-Protocol must offer one of: {}.", SUB_PROTOCOLS.join(", ")),
        ),
    };
    let connection = if refused == Refused::Version { "Upgrade, close" } else { "close" };
    let answer = format!(
        "HTTP/1.1 {status}\r\n{headers}Connection: {connection}\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\n\r\n{body}\n",
        body.len() + 1
    );
    Outcome::Refused(refused, answer.into_bytes())
}
