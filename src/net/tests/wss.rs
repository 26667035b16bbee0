//! WebSocket over TLS on the loopback, with the toy in the shard's place.

use std::io::Read;

use socket2::SockRef;
use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tungstenite::{Bytes, Message};

use super::pattern;
use super::secure::{Pki, Secure, TLS12, TLS13, client_saying, meanwhile, narrow};
use super::toy::{Bench, connect, pair, websocket};
use super::websocket::{REQUEST, binary, close, packet, ping};
use crate::net::tls::config::Alpn;
use crate::net::{PacketsPerFrame, Speech};
use crate::policy::Limits;
use crate::shard::{CloseCause, End};

fn speech(pki: &Pki, packets: PacketsPerFrame) -> Speech {
    Speech { tls: Some(pki.terms(None, Alpn::WebSocket)), ..websocket("/mqtt", packets) }
}

fn bench(pki: &Pki, packets: PacketsPerFrame) -> Bench {
    Bench::speaking(speech(pki, packets), &Limits::default())
}

/// Handshake and CONNECT.
fn start(id: &str) -> Vec<u8> {
    [REQUEST, &binary(&connect(id))].concat()
}

/// The rest of the answer to a handshake, which is 101; then what a client reads.
fn messages(mut client: Secure) -> WebSocket<Secure> {
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).expect("an answer");
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
    let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
    WebSocket::from_raw_socket(client, Role::Client, Some(config))
}

/// Reads until the Close frame and then the end of TLS, which both must come: payloads, pongs and the code.
fn read_to_the_end(client: Secure) -> (Vec<Bytes>, usize, u16) {
    let mut socket = messages(client);
    let (mut data, mut pongs) = (Vec::new(), 0);
    loop {
        match socket.read().expect("whole frames until the Close") {
            Message::Binary(bytes) => data.push(bytes),
            Message::Pong(_) => pongs += 1,
            Message::Close(close) => {
                let code = close.expect("a reason").code.into();
                // Without close_notify this is an error.
                assert_eq!(socket.get_mut().read(&mut [0]).expect("a clean end"), 0);
                return (data, pongs, code);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn frames_come_in_records_and_pings_are_answered() {
    let pki = Pki::new();
    for versions in [TLS12, TLS13] {
        let mut bench = bench(&pki, PacketsPerFrame::Many);
        let (client, conn) = client_saying(&mut bench, &pki.client(&versions, None), start("one"));
        assert_eq!(bench.toy.input(conn), connect("one"));
        assert!(bench.toy.opened[&conn].tls);
        bench.turn();
        let sends = bench.net.counters().sends;
        bench.toy.say(conn, b"two packets");
        bench.toy.say(conn, b" in one frame");
        bench.turn();
        assert_eq!(bench.net.counters().sends, sends + 1);
        let message = meanwhile(&mut bench, move || {
            let mut socket = messages(client);
            socket.read().expect("a message")
        });
        assert_eq!(message, Message::Binary(Bytes::from_static(b"two packets in one frame")));
    }
}

#[test]
fn frames_larger_than_a_flush_survive_full_sockets_and_all_come_before_the_close() {
    let pki = Pki::new();
    for packets in [PacketsPerFrame::Many, PacketsPerFrame::One] {
        let mut bench = bench(&pki, packets);
        let began = [start("slow"), ping(b"?")].concat();
        let (client, conn) = client_saying(&mut bench, &pki.client(&TLS13, None), began);
        narrow(&bench, conn);
        let mut said: Vec<Vec<u8>> =
            (0..2_000u32).map(|n| packet(&n.to_be_bytes().repeat(n as usize % 50))).collect();
        said.insert(1_000, packet(&pattern(1 << 20)));
        said.iter().for_each(|packet| bench.toy.say(conn, packet));
        bench.until(|b| b.net.counters().blocked > 0);
        let reader = std::thread::spawn(move || read_to_the_end(client));
        bench.until(|b| b.toy.output_len(conn) == 0);
        // A close gives the socket what it takes at once.
        let slot = bench.net.slots.current(conn).expect("open");
        SockRef::from(&slot.fd()).set_send_buffer_size(200_000).expect("option");
        let last = said[1_001..1_401].to_vec();
        last.iter().for_each(|packet| bench.toy.say(conn, packet));
        bench.toy.close(conn, CloseCause::Stopping);
        bench.until(|b| b.toy.closed.contains(&conn));
        let (data, pongs, code) = reader.join().expect("the reader");
        assert!(data.concat() == [said.concat(), last.concat()].concat(), "{} frames", data.len());
        assert_eq!(
            (data.len() == said.len() + last.len(), pongs, code),
            (packets == PacketsPerFrame::One, 1, 1001)
        );
    }
}

#[test]
fn the_peers_close_is_answered_within_tls() {
    let pki = Pki::new();
    let mut bench = bench(&pki, PacketsPerFrame::Many);
    let said = [start("polite"), binary(b"bye"), close(4000)].concat();
    let (client, conn) = client_saying(&mut bench, &pki.client(&TLS13, None), said);
    bench.until(|b| !b.toy.ended.is_empty());
    assert_eq!(bench.toy.ended, [(conn, End::Closed)]);
    assert!(bench.toy.input(conn).ends_with(b"bye"));
    let (data, _, code) = meanwhile(&mut bench, move || read_to_the_end(client));
    assert_eq!((data.len(), code), (0, 4000));
    bench.until(|b| b.net.is_empty());
}

#[test]
fn a_refused_websocket_handshake_is_answered_within_tls_and_kept() {
    let pki = Pki::new();
    let mut bench = bench(&pki, PacketsPerFrame::Many);
    let (address, config) = (bench.address, pki.client(&TLS13, None));
    let answer = meanwhile(&mut bench, move || {
        let mut client = super::secure::secure(address, &config);
        std::io::Write::write_all(&mut client, b"GET /other HTTP/1.1\r\nHost: here\r\n\r\n").expect("sent");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("a clean end");
        answer
    });
    assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
    bench.until(|b| b.net.is_empty());
    let counters = bench.net.counters();
    assert_eq!((counters.tls.tls13, counters.handshakes.path, counters.refused()), (1, 1, 1));
    let [kept] = &bench.net.rejections()[..] else { panic!("one is kept") };
    assert!(kept.cause.starts_with("WebSocket handshake: "), "{}", kept.cause);
}

#[test]
fn a_connection_moves_with_its_frames_and_its_tls_state() {
    let pki = Pki::new();
    let (mut first, mut second) = pair(&Limits::default(), &speech(&pki, PacketsPerFrame::Many));
    let config = pki.client(&TLS13, None);
    let mut moved = 0;
    for n in 0..8 {
        let whole = binary(b"in two halves");
        let (half, rest) = whole.split_at(9);
        let said = [&start(&format!("client-{n}"))[..], &ping(b"there?"), half].concat();
        let (address, config) = (first.address, std::sync::Arc::clone(&config));
        let writing = std::thread::spawn(move || {
            let mut client = super::secure::secure(address, &config);
            std::io::Write::write_all(&mut client, &said).expect("sent");
            client
        });
        let (opened, mut envelopes) = (first.toy.openings(), Vec::new());
        first.until(|b| {
            envelopes.extend(b.net.take_envelopes());
            b.toy.openings() > opened || !envelopes.is_empty()
        });
        let mut client = writing.join().expect("the client");
        let bench = match envelopes.pop() {
            None => &mut first,
            Some((_, envelope)) => {
                second.net.adopt(envelope, &mut second.toy);
                moved += 1;
                &mut second
            }
        };
        let conn = bench.toy.latest();
        bench.turn();
        std::io::Write::write_all(&mut client, rest).expect("sent");
        bench.until(|b| b.toy.input(conn).ends_with(b"in two halves"));
        bench.toy.say(conn, b"welcome");
        let (pong, message) = meanwhile(bench, move || {
            let mut socket = messages(client);
            (socket.read().expect("it comes"), socket.read().expect("it comes"))
        });
        assert_eq!(pong, Message::Pong(Bytes::from_static(b"there?")));
        assert_eq!(message, Message::Binary(Bytes::from_static(b"welcome")));
        bench.until(|b| b.net.is_empty());
    }
    assert!(moved > 0 && moved < 8, "{moved} moved");
}
