//! TLS on the loopback, with the toy in the shard's place: handshakes, full sockets, moves and ends.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use super::pattern;
use super::secure::{
    Pki, Secure, TLS12, TLS13, client, client_saying, connection, meanwhile, narrow, read_exact, read_to_end,
    secure,
};
use super::toy::{Bench, connect, pair};
use crate::net::Speech;
use crate::net::slots::Receiving;
use crate::policy::Limits;
use crate::policy::certificates::CommonName;
use crate::routing::ShardId;
use crate::session::ConnId;
use crate::shard::{CloseCause, Effect, End};

fn bench(pki: &Pki) -> Bench {
    Bench::speaking(pki.speech(), &Limits::default())
}

/// How many connections hold the terms, beside the listener and the test.
fn holders(speech: &Speech) -> usize {
    Arc::strong_count(&speech.tls.as_ref().expect("it is encrypted").0) - 2
}

/// A client of whose output the socket takes little at a time.
fn tight(bench: &mut Bench, config: &Arc<ClientConfig>, id: &str) -> (Secure, ConnId) {
    let (client, conn) = client(bench, config, id);
    narrow(bench, conn);
    (client, conn)
}

#[test]
fn a_connect_over_tls_opens_the_connection_and_output_reaches_the_peer() {
    let pki = Pki::new();
    for (versions, counted) in [(TLS12, (1, 0)), (TLS13, (0, 1))] {
        let mut bench = bench(&pki);
        let (mut peer, conn) = client(&mut bench, &pki.client(&versions, None), "one");
        assert_eq!(bench.toy.input(conn), connect("one"));
        let opened = &bench.toy.opened[&conn];
        assert!(opened.tls && opened.certificate.is_none());
        peer.write_all(b"more").expect("sent");
        bench.until(|b| b.toy.input(conn).ends_with(b"more"));
        bench.turn();
        let before = bench.net.counters();
        bench.toy.say(conn, b"hello, ");
        bench.toy.say(conn, b"hello");
        bench.turn();
        let after = bench.net.counters();
        // One record, in one send.
        assert_eq!(after.sends, before.sends + 1);
        let overhead = after.bytes_sent - before.bytes_sent - 12;
        assert!((16..40).contains(&overhead), "{overhead} bytes");
        let (peer, got) = read_exact(&mut bench, peer, 12);
        assert_eq!(got, b"hello, hello");
        assert_eq!(peer.conn.alpn_protocol(), Some(&b"mqtt"[..]));
        let tls = bench.net.counters().tls;
        assert_eq!(((tls.tls12, tls.tls13), tls.resumed, tls.failed()), (counted, 0, 0));
        assert_eq!(bench.net.gate.load(), (0, 0));
    }
}

#[test]
fn large_transfers_both_ways_through_small_sockets_lose_nothing() {
    let pki = Pki::new();
    for versions in [TLS12, TLS13] {
        let mut bench = bench(&pki);
        let (mut peer, conn) = tight(&mut bench, &pki.client(&versions, None), "large");
        let (down, up) = (pattern(2 << 20), pattern(1 << 20));
        bench.toy.say(conn, &down);
        bench.until(|b| b.net.counters().blocked > 0);
        let (sent, length) = (up.clone(), down.len());
        let (peer, got) = meanwhile(&mut bench, move || {
            peer.write_all(&sent).expect("sent");
            let mut got = vec![0; length];
            peer.read_exact(&mut got).expect("received");
            (peer, got)
        });
        assert!(got == down);
        bench.until(|b| b.toy.input(conn).len() >= connect("large").len() + up.len());
        assert!(bench.toy.input(conn)[connect("large").len()..] == up);
        bench.until(|b| b.toy.output_len(conn) == 0);
        // And what comes later is not stuck.
        bench.toy.say(conn, b"after");
        let (_peer, got) = read_exact(&mut bench, peer, 5);
        assert_eq!(got, b"after");
        assert!(bench.toy.writables > 0);
        let tls = bench.net.slots.current(conn).expect("open").tls.as_ref().expect("encrypted");
        assert!(!tls.has_unsent());
    }
}

#[test]
fn what_is_said_while_the_socket_is_full_comes_behind_it() {
    let pki = Pki::new();
    let mut bench = bench(&pki);
    let (peer, conn) = tight(&mut bench, &pki.client(&TLS13, None), "slow");
    let mut all = Vec::new();
    for round in 0..200usize {
        let part = pattern(round * 37);
        bench.toy.say(conn, &part);
        all.extend(part);
        bench.turn();
    }
    assert!(bench.net.counters().blocked > 0, "the test must fill the socket");
    let (_peer, got) = read_exact(&mut bench, peer, all.len());
    assert!(got == all);
}

#[test]
fn pausing_and_resuming_loses_and_repeats_nothing() {
    let pki = Pki::new();
    let mut bench = bench(&pki);
    let (mut peer, conn) = client(&mut bench, &pki.client(&TLS13, None), "fickle");
    bench.toy.effects.push_back(Effect::Pause(conn));
    bench.until(|b| b.net.slots.current(conn).expect("open").receiving == Receiving::Idle);
    bench.toy.effects.push_back(Effect::Resume(conn));
    let sent = pattern(1 << 20);
    let bytes = sent.clone();
    let writer = std::thread::spawn(move || {
        peer.write_all(&bytes).expect("sent");
        peer
    });
    let whole = connect("fickle").len() + sent.len();
    bench.until(|b| {
        b.toy.effects.extend([Effect::Pause(conn), Effect::Resume(conn)]);
        b.toy.input(conn).len() >= whole
    });
    assert!(bench.toy.input(conn)[connect("fickle").len()..] == sent);
    writer.join().expect("the writer");
}

#[test]
fn a_connection_moves_to_its_clients_home_with_its_tls_state() {
    let pki = Pki::new();
    for versions in [TLS12, TLS13] {
        let (mut first, mut second) = pair(&Limits::default(), &pki.speech_with_certificates());
        let mut moved = 0;
        for n in 0..8 {
            // The CONNECT comes with the last flight of the handshake, so that the tickets are not sent when it moves.
            let config = pki.client(&versions, Some((&pki, "device")));
            let sent = [connect(&format!("client-{n}")), b"and what follows".to_vec()].concat();
            let address = first.address;
            let opened = first.toy.openings();
            let writing = std::thread::spawn(move || {
                let mut client = secure(address, &config);
                client.write_all(&sent).expect("sent");
                (client, sent)
            });
            let mut envelopes = Vec::new();
            first.until(|b| {
                envelopes.extend(b.net.take_envelopes());
                b.toy.openings() > opened || !envelopes.is_empty()
            });
            let (mut client, sent) = writing.join().expect("the client");
            let bench = match envelopes.pop() {
                None => &mut first,
                Some((home, envelope)) => {
                    assert_eq!(home, ShardId(1));
                    second.net.adopt(envelope, &mut second.toy);
                    moved += 1;
                    &mut second
                }
            };
            let conn = bench.toy.latest();
            bench.until(|b| b.toy.input(conn).len() >= sent.len());
            assert_eq!(bench.toy.input(conn), sent);
            let opened = &bench.toy.opened[&conn];
            assert_eq!(opened.peer, client.sock.local_addr().expect("address"));
            let name = opened.certificate.as_ref().map(|presented| presented.common_name.clone());
            assert_eq!(name, Some(CommonName::One("device".into())));
            client.write_all(b", and later").expect("sent");
            bench.until(|b| b.toy.input(conn).ends_with(b", and later"));
            bench.toy.say(conn, b"welcome");
            bench.turn();
            let (client, got) = read_exact(bench, client, 7);
            assert_eq!(got, b"welcome");
            drop(client);
            bench.until(|b| b.net.is_empty());
        }
        assert!(moved > 0 && moved < 8, "{moved} moved");
        assert_eq!((first.net.gate.load(), second.net.gate.load()), ((0, 0), (0, 0)));
    }
}

#[test]
fn a_resumed_session_brings_its_certificate_and_is_counted() {
    let pki = Pki::new();
    for versions in [TLS12, TLS13] {
        let mut bench = Bench::speaking(pki.speech_with_certificates(), &Limits::default());
        let config = pki.client(&versions, Some((&pki, "device")));
        let mut thumbprints = Vec::new();
        for round in 0..2 {
            let (peer, conn) = client(&mut bench, &config, "again");
            bench.toy.say(conn, b"!");
            // The ticket comes before it.
            let (peer, _) = read_exact(&mut bench, peer, 1);
            let certificate = bench.toy.opened[&conn].certificate.clone();
            thumbprints.push(certificate.expect("it was presented").thumbprint);
            assert_eq!(bench.net.counters().tls.resumed, round);
            drop(peer);
            bench.until(|b| b.net.is_empty());
        }
        assert_eq!(thumbprints[0], thumbprints[1]);
    }
}

#[test]
fn a_refused_certificate_is_told_to_the_peer_and_kept_with_its_reason() {
    let (pki, stranger) = (Pki::new(), Pki::new());
    for (versions, refused) in [(TLS12, 1), (TLS13, 1)] {
        for identity in [Some((&stranger, "a stranger")), None] {
            let speech = pki.speech_with_certificates();
            let mut bench = Bench::speaking(speech.clone(), &Limits::default());
            let (address, config) = (bench.address, pki.client(&versions, identity));
            let error = meanwhile(&mut bench, move || {
                let mut client = secure(address, &config);
                // A 1.3 client has finished when it is judged.
                let said = client.write_all(b"CONNECT").and_then(|()| client.read(&mut [0]));
                said.expect_err("it is refused").to_string()
            });
            assert!(error.contains("alert"), "{error}");
            bench.until(|b| b.net.is_empty());
            let counters = bench.net.counters();
            assert_eq!((counters.tls.certificate, counters.refused()), (refused, 1));
            let [kept] = &bench.net.rejections()[..] else { panic!("one is kept") };
            let subject = kept.certificate.as_ref().map(|presented| &*presented.subject);
            assert_eq!(subject, identity.map(|_| "CN=a stranger"), "{kept:?}");
            assert!(kept.cause.starts_with("TLS handshake: "), "{}", kept.cause);
            assert_eq!((kept.unix_micros / 1_000_000, kept.listener), (1_000_100, Some(0)));
            assert_eq!((bench.seats.taken(), holders(&speech), bench.net.gate.load()), (0, 0, (0, 0)));
        }
    }
}

#[test]
fn who_speaks_no_tls_gets_an_alert_and_a_clean_end() {
    let pki = Pki::new();
    let mut bench = bench(&pki);
    let http = b"GET /mqtt HTTP/1.1\r\nHost: here\r\n\r\n";
    for (round, bytes) in
        [connect("plain"), http.to_vec(), pattern(2_000), vec![0x16; 900]].iter().enumerate()
    {
        let mut peer = TcpStream::connect(bench.address).expect("connected");
        peer.set_read_timeout(Some(Duration::from_secs(20))).expect("option");
        peer.write_all(bytes).expect("sent");
        bench.until(|b| b.net.counters().tls.failed() == round as u64 + 1);
        bench.turn();
        let mut answer = Vec::new();
        peer.read_to_end(&mut answer).expect("no reset");
        // A fatal alert in a record of its own.
        assert!(matches!(answer[..], [0x15, 3, _, 0, 2, 2, _]), "{answer:?}");
        drop(peer);
        bench.until(|b| b.net.is_empty());
    }
    assert!(bench.toy.opened.is_empty());
    assert_eq!((bench.net.counters().tls.not_tls, bench.net.rejections().len()), (4, 4));
    assert!(bench.net.rejections().iter().all(|kept| kept.cause.contains("does not speak TLS")));
    assert_eq!(bench.seats.taken(), 0);
}

/// The first bytes of a client.
fn client_hello(config: &Arc<ClientConfig>) -> Vec<u8> {
    let mut hello = Vec::new();
    connection(config).write_tls(&mut hello).expect("a vector takes it");
    hello
}

#[test]
fn handshakes_half_done_end_in_time_and_leave_nothing() {
    let pki = Pki::new();
    let speech = pki.speech();
    let mut bench = Bench::speaking(speech.clone(), &Limits { connect_timeout_secs: 3, ..Limits::default() });
    let hello = client_hello(&pki.client(&TLS13, None));
    let mut peers = Vec::new();
    for n in 0..60 {
        let mut peer = TcpStream::connect(bench.address).expect("connected");
        // Nothing, half of the first message, the whole of it.
        let part = [0, hello.len() / 2, hello.len()][n % 3];
        peer.write_all(&hello[..part]).expect("sent");
        peers.push(peer);
    }
    bench.until(|b| b.net.counters().receives == 40 && b.net.counters().accepted == 60);
    assert_eq!((bench.net.gate.load(), holders(&speech)), ((40, 0), 100));
    bench.now = bench.now + Duration::from_secs(3);
    bench.until(|b| b.net.is_empty());
    assert_eq!(bench.net.counters().closed.connect_timeout, 60);
    assert_eq!((bench.net.counters().tls.incomplete, bench.net.counters().tls.failed()), (40, 40));
    assert_eq!((bench.net.gate.load(), holders(&speech), bench.seats.taken()), ((0, 0), 0, 0));
}

#[test]
fn over_the_limit_a_handshake_waits_for_its_turn() {
    let pki = Pki::new();
    let limits = Limits { tls_handshakes: 2, ..Limits::default() };
    let mut bench = Bench::speaking(pki.speech(), &limits);
    let config = pki.client(&TLS13, None);
    let hello = client_hello(&config);
    let halves: Vec<TcpStream> = (0..2)
        .map(|_| {
            let mut peer = TcpStream::connect(bench.address).expect("connected");
            peer.write_all(&hello).expect("sent");
            peer
        })
        .collect();
    bench.until(|b| b.net.gate.load() == (2, 0));
    bench.now = bench.now + Duration::from_secs(5);
    let mut gone = TcpStream::connect(bench.address).expect("connected");
    gone.write_all(&hello).expect("sent");
    bench.until(|b| b.net.gate.load() == (2, 1));
    let address = bench.address;
    let waiting: Vec<_> = (0..3)
        .map(|n| {
            let config = Arc::clone(&config);
            std::thread::spawn(move || {
                let mut client = secure(address, &config);
                client.write_all(&connect(&format!("waits-{n}"))).expect("sent");
                client
            })
        })
        .collect();
    bench.until(|b| b.net.gate.load() == (2, 4));
    drop(gone);
    // The first two have used up their time.
    bench.now = bench.now + Duration::from_secs(5);
    bench.until(|b| b.toy.openings() == 3);
    drop(halves);
    waiting.into_iter().for_each(|client| drop(client.join().expect("the client")));
    bench.until(|b| b.net.is_empty());
    assert_eq!((bench.net.gate.load(), bench.net.counters().tls.tls13), ((0, 0), 3));
}

#[test]
fn a_close_delivers_the_last_bytes_and_says_that_they_were_the_last() {
    let pki = Pki::new();
    for (versions, last) in [(TLS12, 15), (TLS13, 15), (TLS13, 300_000)] {
        let mut bench = bench(&pki);
        let (mut peer, conn) = client(&mut bench, &pki.client(&versions, None), "chatty");
        peer.write_all(&[7; 100_000]).expect("sent");
        let last = pattern(last);
        bench.toy.say(conn, &last);
        bench.toy.close(conn, CloseCause::TakenOver);
        bench.until(|b| b.toy.closed.contains(&conn));
        peer.write_all(&[7; 100_000]).expect("sent");
        // close_notify, else this were an error.
        let (peer, all) = read_to_end(&mut bench, peer);
        assert!(all.expect("a clean end") == last);
        drop(peer);
        bench.until(|b| b.net.is_empty());
        assert_eq!((bench.net.counters().closed.taken_over, bench.net.counters().linger_cuts), (1, 0));
        assert!(bench.toy.ended.is_empty());
    }
}

#[test]
fn the_peers_close_notify_is_its_end_and_is_answered() {
    let pki = Pki::new();
    for versions in [TLS12, TLS13] {
        let mut bench = bench(&pki);
        let (mut peer, conn) = client(&mut bench, &pki.client(&versions, None), "polite");
        peer.write_all(b"bye").expect("sent");
        peer.conn.send_close_notify();
        peer.flush().expect("sent");
        // What follows the end does not count.
        peer.sock.write_all(b"whatever").expect("sent");
        bench.until(|b| !b.toy.ended.is_empty());
        assert_eq!(bench.toy.ended, [(conn, End::Closed)]);
        assert!(bench.toy.input(conn).ends_with(b"bye"));
        let (peer, all) = read_to_end(&mut bench, peer);
        assert_eq!(all.expect("a clean end"), b"");
        drop(peer);
        bench.until(|b| b.net.is_empty());
        let closed = bench.net.counters().closed;
        assert_eq!((closed.by_peer, closed.tls, bench.toy.closed.len()), (1, 0, 0));
    }
}

#[test]
fn an_end_without_close_notify_is_an_end_and_a_disconnect_before_it_comes_first() {
    let pki = Pki::new();
    let mut bench = bench(&pki);
    let config = pki.client(&TLS13, None);
    let (peer, conn) = client(&mut bench, &config, "gone");
    peer.sock.shutdown(Shutdown::Both).expect("shut");
    bench.until(|b| b.net.is_empty());
    assert_eq!(bench.toy.ended, [(conn, End::Closed)]);
    bench.toy.farewell = Some(b"DISCONNECT".to_vec());
    let (mut peer, conn) = client(&mut bench, &config, "tidy");
    peer.write_all(b"DISCONNECT").expect("sent");
    peer.conn.send_close_notify();
    peer.flush().expect("sent");
    let (peer, all) = read_to_end(&mut bench, peer);
    assert_eq!(all.expect("a clean end"), b"");
    drop(peer);
    bench.until(|b| b.net.is_empty());
    assert_eq!((&bench.toy.closed[..], bench.toy.ended.len()), (&[conn][..], 1));
}

#[test]
fn a_fault_after_the_handshake_ends_the_connection_after_what_came_before_it() {
    let pki = Pki::new();
    for versions in [TLS12, TLS13] {
        let mut bench = bench(&pki);
        let (mut peer, conn) = client(&mut bench, &pki.client(&versions, None), "broken");
        peer.write_all(b"sound").expect("sent");
        // A record that nobody has encrypted.
        peer.sock.write_all(&[&[0x17, 3, 3, 0, 32][..], &[7; 32]].concat()).expect("sent");
        bench.until(|b| !b.toy.ended.is_empty());
        assert_eq!(bench.toy.ended, [(conn, End::Closed)]);
        assert!(bench.toy.input(conn).ends_with(b"sound"));
        let (peer, all) = read_to_end(&mut bench, peer);
        assert!(all.expect_err("an alert").to_string().contains("BadRecordMac"));
        drop(peer);
        bench.until(|b| b.net.is_empty());
        let counters = bench.net.counters();
        assert_eq!((counters.closed.tls, counters.refused(), bench.seats.taken()), (1, 0, 0));
    }
}

#[test]
fn a_flood_of_key_updates_ends_the_connection() {
    let pki = Pki::new();
    let mut bench = bench(&pki);
    let (mut peer, conn) = client(&mut bench, &pki.client(&TLS13, None), "keys");
    // Some are in order.
    for _ in 0..3 {
        peer.conn.refresh_traffic_keys().expect("1.3");
        peer.write_all(b".").expect("sent");
    }
    bench.until(|b| b.toy.input(conn).ends_with(b"..."));
    bench.toy.say(conn, b"fine");
    let (mut peer, got) = read_exact(&mut bench, peer, 4);
    assert_eq!(got, b"fine");
    for _ in 0..100 {
        peer.conn.refresh_traffic_keys().expect("1.3");
        if peer.flush().is_err() {
            break;
        }
    }
    bench.until(|b| b.net.counters().closed.tls == 1);
    drop(peer);
    bench.until(|b| b.net.is_empty());
    assert_eq!(bench.toy.ended, [(conn, End::Closed)]);
}

#[test]
fn many_connections_at_once_are_kept_apart() {
    let pki = Pki::new();
    let mut bench = Bench::speaking(pki.speech(), &Limits { tls_handshakes: 5, ..Limits::default() });
    let configs = [pki.client(&TLS12, None), pki.client(&TLS13, None)];
    let address = bench.address;
    let clients: Vec<_> = (0..8)
        .map(|n| {
            let config = Arc::clone(&configs[n % 2]);
            std::thread::spawn(move || {
                let all = (0..15).map(|m| {
                    let mut client = secure(address, &config);
                    client.write_all(&connect(&format!("client-{n}-{m}"))).expect("sent");
                    client
                });
                all.collect::<Vec<_>>()
            })
        })
        .collect();
    bench.until(|b| b.toy.openings() == 120);
    let clients: Vec<Secure> = clients.into_iter().flat_map(|c| c.join().expect("clients")).collect();
    let peers: Vec<ConnId> = bench.toy.opened.keys().copied().collect();
    for conn in peers {
        // Each gets its own address back.
        let text = bench.toy.opened[&conn].peer.to_string();
        bench.toy.say(conn, format!("{text:<30}").as_bytes());
    }
    bench.turn();
    for client in clients {
        let own = client.sock.local_addr().expect("address").to_string();
        let (_client, got) = read_exact(&mut bench, client, 30);
        assert_eq!(String::from_utf8_lossy(&got).trim_end(), own);
    }
    bench.until(|b| b.net.is_empty());
}

#[test]
fn terms_change_on_a_port_that_stays_bound_and_live_connections_keep_theirs() {
    let (old, new) = (Pki::new(), Pki::new());
    let mut bench = bench(&old);
    let (mut live, conn) = client(&mut bench, &old.client(&TLS13, None), "live");
    bench.net.change_speech(0, &new.speech());
    let (mut next, latest) = client(&mut bench, &new.client(&TLS13, None), "next");
    for (peer, conn) in [(&mut live, conn), (&mut next, latest)] {
        peer.write_all(b"here").expect("sent");
        bench.until(|b| b.toy.input(conn).ends_with(b"here"));
    }
    // Off, and on again.
    bench.net.change_speech(0, &Speech { tls: None, ..old.speech() });
    let (_plain, plain) = bench.client("plain");
    assert!(!bench.toy.opened[&plain].tls);
    bench.net.change_speech(0, &old.speech());
    let (_again, again) =
        client_saying(&mut bench, &old.client(&TLS12, None), [connect("again"), b"!".to_vec()].concat());
    assert!(bench.toy.opened[&again].tls);
}
