//! Handshakes, good and bad.

use tungstenite::handshake::derive_accept_key;

use super::super::handshake::{Handshake, Outcome, REQUEST_BYTES, Refused};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A good request for `/mqtt` with these lines in place of, or beside, its own. A line that ends with its colon is
/// left out; one that is no header stands in place of the first.
pub(super) fn request(changes: &[&str]) -> Vec<u8> {
    let mut lines: Vec<String> = [
        "GET /mqtt HTTP/1.1",
        "Host: broker.example",
        "Upgrade: websocket",
        "Connection: Upgrade",
        &format!("Sec-WebSocket-Key: {KEY}"),
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: mqtt",
    ]
    .map(str::to_owned)
    .into();
    for change in changes {
        let name = change.strip_suffix(':').or(change.split_once(": ").map(|(name, _)| name));
        let name = name.map(|name| format!("{name}:"));
        let line = name.map_or(Some(0), |name| lines.iter().position(|line| line.starts_with(&name)));
        match line {
            Some(at) if change.ends_with(':') => drop(lines.remove(at)),
            Some(at) => lines[at] = (*change).to_owned(),
            None => lines.push((*change).to_owned()),
        }
    }
    (lines.join("\r\n") + "\r\n\r\n").into_bytes()
}

fn hear(request: &[u8]) -> Outcome {
    Handshake::default().hear(request, "/mqtt")
}

/// The answer's text.
fn accepted(changes: &[&str]) -> String {
    match hear(&request(changes)) {
        Outcome::Accepted(answer, _) => String::from_utf8(answer).expect("text"),
        other => panic!("{changes:?}: {other:?}"),
    }
}

fn refused(changes: &[&str]) -> (Refused, String) {
    match hear(&request(changes)) {
        Outcome::Refused(refused, answer) => (refused, String::from_utf8(answer).expect("text")),
        other => panic!("{changes:?}: {other:?}"),
    }
}

#[test]
fn the_answer_carries_the_key_and_the_sub_protocol_and_nothing_else() {
    let accept = derive_accept_key(KEY.as_bytes());
    assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "RFC 6455, 1.3");
    let answer = accepted(&["Sec-WebSocket-Extensions: permessage-deflate"]);
    assert_eq!(
        answer,
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
        )
    );
}

#[test]
fn what_clients_write_in_other_ways_is_accepted() {
    for changes in [
        &["GET /mqtt?token=1&x=/y HTTP/1.1"][..],
        &["GET http://broker.example/mqtt HTTP/1.1"],
        &["Connection: keep-alive, Upgrade", "Upgrade: WebSocket"],
        &["Sec-WebSocket-Protocol: chat,mqtt , mqttv3.1"],
        &["Sec-WebSocket-Protocol: chat", "sec-websocket-protocol: mqtt"],
        &["Host:", "host: broker.example:8083"],
        &["Origin: https://elsewhere.example", "Cookie: a=\u{e9}", "X-Empty: "],
    ] {
        assert!(accepted(changes).contains("Sec-WebSocket-Protocol: mqtt\r\n"), "{changes:?}");
    }
    let old = accepted(&["Sec-WebSocket-Protocol: x, mqttv3.1"]);
    assert!(old.contains("Sec-WebSocket-Protocol: mqttv3.1\r\n"));
}

#[test]
fn another_path_is_404() {
    for target in ["/", "/mqtt/", "/MQTT", "/mqt", "/mqttx", "*", "http://mqtt", "/x?/mqtt", "//mqtt"] {
        let (why, answer) = refused(&[&format!("GET {target} HTTP/1.1")]);
        assert_eq!(why, Refused::Path, "{target}");
        assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
        assert!(answer.contains("\r\nConnection: close\r\n"));
        assert!(answer.ends_with("WebSocket clients connect to /mqtt.\n"), "{answer}");
    }
}

#[test]
fn another_version_or_none_is_told_13() {
    for changes in [
        &["Sec-WebSocket-Version: 8"][..],
        &["Sec-WebSocket-Version:"],
        &["Upgrade: h2c"],
        &["Upgrade:"],
        &["Connection: close"],
        &["Upgrade:", "Connection:", "Sec-WebSocket-Key:", "Sec-WebSocket-Version:"],
    ] {
        let (why, answer) = refused(changes);
        assert_eq!(why, Refused::Version, "{changes:?}");
        assert!(answer.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{answer}");
        assert!(answer.contains("\r\nSec-WebSocket-Version: 13\r\n"), "{answer}");
    }
}

#[test]
fn a_sub_protocol_that_is_not_mqtts_is_refused_with_those_that_are() {
    for changes in [
        "Sec-WebSocket-Protocol:",
        "Sec-WebSocket-Protocol: chat",
        "Sec-WebSocket-Protocol: MQTT",
        "Sec-WebSocket-Protocol: mqttv5, mqtt5, xmqtt",
    ] {
        let (why, answer) = refused(&[changes]);
        assert_eq!(why, Refused::SubProtocol, "{changes}");
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
        assert!(answer.ends_with("must offer one of: mqtt, mqttv3.1.\n"), "{answer}");
    }
}

#[test]
fn what_is_no_handshake_is_400() {
    for changes in [
        &["POST /mqtt HTTP/1.1"][..],
        &["get /mqtt HTTP/1.1"],
        &["GET /mqtt HTTP/1.0"],
        &["GET /mqtt"],
        &["Host:"],
        &["Sec-WebSocket-Key:"],
        &["Sec-WebSocket-Key: dGhlIHNhbXBsZQ=="],
        &["Sec-WebSocket-Key: not base 64 at all!!"],
        &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="],
        &["bad header: x"],
    ] {
        let (why, answer) = refused(changes);
        assert_eq!(why, Refused::Malformed, "{changes:?}");
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    }
}

#[test]
fn a_body_has_the_length_that_is_announced() {
    for changes in ["GET / HTTP/1.1", "Upgrade:", "Sec-WebSocket-Protocol:", "Host:"] {
        let (_, answer) = refused(&[changes]);
        let (head, body) = answer.split_once("\r\n\r\n").expect("headers end");
        let length =
            head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).expect("it is there");
        assert_eq!(length.parse(), Ok(body.len()));
    }
}

#[test]
fn mqtt_and_tls_at_this_port_are_told_at_once() {
    for start in [&b"\x10"[..], b"\x16\x03\x01", b"\r\n\r\n", b"\0"] {
        assert!(matches!(hear(start), Outcome::Refused(Refused::Malformed, _)), "{start:?}");
    }
    assert_eq!(hear(b""), Outcome::Wait);
}

#[test]
fn a_request_may_come_in_any_pieces_and_frames_behind_it_are_left() {
    let whole = [request(&[]), b"frames".to_vec()].concat();
    let Outcome::Accepted(answer, used) = hear(&whole) else { panic!("a good one") };
    assert_eq!(used, whole.len() - 6);
    for at in 1..whole.len() - 6 {
        let mut handshake = Handshake::default();
        assert!(!handshake.has_begun());
        assert_eq!(handshake.hear(&whole[..at], "/mqtt"), Outcome::Wait, "cut at {at}");
        assert!(handshake.has_begun());
        let expected = Outcome::Accepted(answer.clone(), whole.len() - 6 - at);
        assert_eq!(handshake.hear(&whole[at..], "/mqtt"), expected, "cut at {at}");
    }
}

#[test]
fn headers_are_limited() {
    let padding = |more: usize| {
        let empty = request(&["X-Padding: "]).len();
        request(&[&format!("X-Padding: {}", "x".repeat(REQUEST_BYTES - empty + more))])
    };
    assert_eq!(padding(0).len(), REQUEST_BYTES);
    assert!(matches!(hear(&padding(0)), Outcome::Accepted(..)));
    let Outcome::Refused(Refused::TooLarge, answer) = hear(&padding(1)) else { panic!("one byte too long") };
    assert!(answer.starts_with(b"HTTP/1.1 431 "));
    // Byte by byte, too, and never more is kept.
    let mut handshake = Handshake::default();
    let outcomes: Vec<Outcome> =
        std::iter::repeat_n(b"GET", 4_000).map(|bytes| handshake.hear(bytes, "/mqtt")).collect();
    let first = outcomes.iter().position(|outcome| *outcome != Outcome::Wait).expect("it is refused");
    assert_eq!(first, REQUEST_BYTES / 3);
    let many: Vec<String> = (0..200).map(|n| format!("X-{n}: y")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(refused(&many).0, Refused::TooLarge);
}
