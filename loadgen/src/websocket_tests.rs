//! What the client sends against a reading of the standard, and what it makes of whatever a server may send.

use super::*;

fn websocket(seed: u64) -> WebSocket {
    let endpoint = Endpoint { host: "localhost:8083".into(), path: "/mqtt?x=1".into(), seed };
    WebSocket::new(Arc::new(endpoint), 3)
}

/// The answer that a good server gives to what the client has written.
fn answer(client: &mut WebSocket) -> String {
    let request = String::from_utf8(std::mem::take(client.wire())).unwrap();
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    assert!(request.starts_with("GET /mqtt?x=1 HTTP/1.1\r\nHost: localhost:8083\r\n"), "{request}");
    assert!(request.contains("\r\nSec-WebSocket-Protocol: mqtt\r\n") && request.ends_with("\r\n\r\n"));
    let accept = accept_of(key);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
    )
}

fn open(seed: u64) -> WebSocket {
    let mut client = websocket(seed);
    client.begin();
    let answer = answer(&mut client);
    assert_eq!(hear(&mut client, answer.as_bytes()), Ok(vec![]));
    assert!(client.is_open());
    client
}

fn hear(client: &mut WebSocket, bytes: &[u8]) -> Result<Vec<u8>, Broken> {
    let mut heard = Vec::new();
    let done = client.handle_bytes(bytes, |piece| {
        heard.extend_from_slice(piece);
        Ok::<(), Broken>(())
    });
    done.map(|()| heard)
}

/// Opcode, mask and payload of each frame that the client has written.
fn written(client: &mut WebSocket) -> Vec<(u8, [u8; 4], Vec<u8>)> {
    let bytes = std::mem::take(client.wire());
    let (mut at, mut frames) = (0, Vec::new());
    while at < bytes.len() {
        assert_eq!((bytes[at] & 0xf0, bytes[at + 1] & 0x80), (0x80, 0x80), "whole and masked");
        let (extra, len) = match bytes[at + 1] & 0x7f {
            126 => (2, u64::from(u16::from_be_bytes(*bytes[at + 2..].first_chunk().unwrap()))),
            127 => (8, u64::from_be_bytes(*bytes[at + 2..].first_chunk().unwrap())),
            len => (0, u64::from(len)),
        };
        let start = at + 2 + extra + 4;
        let mask = *bytes[start - 4..].first_chunk().unwrap();
        let mut payload = bytes[start..start + len as usize].to_vec();
        payload.iter_mut().enumerate().for_each(|(i, byte)| *byte ^= mask[i % 4]);
        frames.push((bytes[at] & 0x0f, mask, payload));
        at = start + len as usize;
    }
    frames
}

#[test]
fn the_accept_is_that_of_the_standard() {
    assert_eq!(accept_of("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

#[test]
fn what_is_sent_waits_for_the_handshake_and_goes_out_masked_in_one_frame_of_every_length() {
    let mut client = websocket(1);
    client.begin();
    let mut plain = b"CONNECT".to_vec();
    client.seal(&mut plain);
    assert_eq!(plain, b"CONNECT");
    let answer = answer(&mut client);
    hear(&mut client, answer.as_bytes()).unwrap();
    let mut masks = std::collections::HashSet::new();
    for len in [1, 7, 8, 125, 126, 127, 65_535, 65_536, 200_001] {
        plain = (0..len).map(|i| i as u8).collect();
        let sent = plain.clone();
        client.seal(&mut plain);
        assert!(plain.is_empty());
        let frames = written(&mut client);
        assert_eq!((frames.len(), frames[0].0), (1, BINARY));
        assert!(frames[0].2 == sent, "{len} bytes");
        masks.insert(frames[0].1);
    }
    assert_eq!(masks.len(), 9, "each frame has its own mask");
    client.seal(&mut Vec::new());
    assert!(client.wire().is_empty(), "nothing is no frame");
}

#[test]
fn frames_are_read_however_they_are_cut() {
    let long: Vec<u8> = (0..70_000u32).map(|i| i as u8).collect();
    let mut bytes = vec![0x82, 3, 1, 2, 3, 0x82, 126, 0, 200];
    bytes.extend([9; 200]);
    bytes.extend([0x02, 2, 4, 5, 0x89, 2, b'h', b'i', 0x00, 0, 0x8A, 0, 0x80, 1, 6]); // in pieces, with a ping between
    bytes.extend([0x82, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]);
    bytes.extend(&long);
    let mut expected = vec![1, 2, 3];
    expected.extend([9; 200]);
    expected.extend([4, 5, 6]);
    expected.extend(&long);
    for size in [1, 2, 3, 5, 7, 64, 1_000, bytes.len()] {
        let mut client = open(2);
        let mut heard = Vec::new();
        for piece in bytes.chunks(size) {
            heard.extend(hear(&mut client, piece).unwrap());
        }
        assert!(heard == expected, "in pieces of {size}");
        let frames = written(&mut client);
        assert_eq!(frames.iter().map(|f| (f.0, &*f.2)).collect::<Vec<_>>(), [(PONG, &b"hi"[..])]);
    }
}

#[test]
fn bytes_behind_the_answer_are_frames() {
    let mut client = websocket(4);
    client.begin();
    let mut bytes = answer(&mut client).into_bytes();
    bytes.extend([0x82, 1, 42]);
    for at in 0..bytes.len() {
        client.begin();
        bytes = answer(&mut client).into_bytes();
        bytes.extend([0x82, 1, 42]);
        let mut heard = hear(&mut client, &bytes[..at]).unwrap();
        heard.extend(hear(&mut client, &bytes[at..]).unwrap());
        assert_eq!(heard, [42], "cut at {at}");
    }
}

#[test]
fn answers_that_do_not_fit_are_refused() {
    let refused = |change: &dyn Fn(String) -> String| {
        let mut client = websocket(5);
        client.begin();
        let answer = change(answer(&mut client));
        hear(&mut client, answer.as_bytes()).unwrap_err().to_string()
    };
    assert_eq!(refused(&|a| a.replace("101", "404")), "WebSocket handshake refused: HTTP 404");
    assert!(refused(&|a| a.replace("Accept: ", "Accept: x")).contains("the key"));
    assert!(refused(&|a| a.replace(": mqtt", ": other")).contains("sub-protocol"));
    assert!(refused(&|a| a.replace("WebSocket\r\n", "h2c\r\n")).contains("something else"));
    assert!(refused(&|_| "\u{10}\u{2}\0\0".into()).contains("not HTTP"));
    assert!(refused(&|_| format!("HTTP/1.1 101 x\r\n{}", "a: b\r\n".repeat(20_000))).contains("WebSocket"));
}

#[test]
fn frames_that_no_server_sends_end_it() {
    for (bytes, why) in [
        (&[0x82, 0x81, 0, 0, 0, 0, 1][..], "mask"),
        (&[0xC2, 1, 1], "reserved"),
        (&[0x81, 1, 1], "binary"),
        (&[0x83, 0], "binary"),
        (&[0x80, 1, 1], "continuation"),
        (&[0x02, 1, 1, 0x82, 1, 1], "within"),
        (&[0x09, 0], "control"),
        (&[0x89, 126, 0, 126], "control"),
    ] {
        let error = hear(&mut open(6), bytes).unwrap_err();
        assert!(matches!(error, Broken::Frame(_)) && error.to_string().contains(why), "{bytes:x?}: {error}");
    }
}

#[test]
fn a_close_is_answered_and_told() {
    let mut client = open(7);
    assert_eq!(hear(&mut client, &[0x88, 4, 0x03, 0xEA, b'n', b'o']), Err(Broken::Closed(1002)));
    let frames = written(&mut client);
    assert_eq!((frames[0].0, &*frames[0].2), (CLOSE, &1002u16.to_be_bytes()[..]));
    let mut client = open(8);
    assert_eq!(hear(&mut client, &[0x88, 0]), Err(Broken::Closed(1005)));
    client.wire().clear();
    client.close();
    client.seal(&mut b"DISCONNECT".to_vec());
    let opcodes: Vec<u8> = written(&mut client).iter().map(|frame| frame.0).collect();
    assert_eq!(opcodes, [BINARY, CLOSE]);
}

#[test]
fn a_connection_that_comes_back_begins_anew() {
    let mut client = open(9);
    assert_eq!(hear(&mut client, &[0x82, 9, 1, 2]), Ok(vec![1, 2]));
    client.begin();
    assert!(!client.is_open());
    let answer = answer(&mut client);
    hear(&mut client, answer.as_bytes()).unwrap();
    assert_eq!(hear(&mut client, &[0x82, 1, 7]), Ok(vec![7]));
}
