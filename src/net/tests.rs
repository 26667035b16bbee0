//! Sockets against real peers on the loopback, with a toy in the shard's place. The clock is the test's own.

#![allow(clippy::disallowed_methods, reason = "a test that hangs must end, and its peers are threads")]

mod secure;
mod tls;
mod tls_value;
mod toy;
mod websocket;
mod wss;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use toy::{Bench, connect, pair};

use super::listener::{Speech, Transport, bind};
use super::ring::{Kind, Ring, Token};
use super::slots::Receiving;
use crate::policy::Limits;
use crate::routing::ShardId;
use crate::shard::{CloseCause, Effect, End};
use crate::time::Time;

/// Reads to the end. A reset shows as an error.
fn read_all(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut all = Vec::new();
    client.read_to_end(&mut all).map(|_| all)
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i / 7) as u8 ^ i as u8).collect()
}

#[test]
fn a_connect_opens_the_connection_and_output_reaches_the_peer() {
    let mut bench = Bench::new(Limits::default());
    let (mut client, conn) = bench.client("one");
    assert_eq!(bench.toy.input(conn), connect("one"));
    client.write_all(b"more").expect("sent");
    bench.until(|b| b.toy.input(conn).ends_with(b"more"));
    bench.toy.say(conn, b"hello");
    bench.turn();
    let mut got = [0; 5];
    client.read_exact(&mut got).expect("received");
    assert_eq!(&got, b"hello");
    assert_eq!(bench.net.counters().accepted, 1);
    assert_eq!(bench.toy.opened[&conn].peer, client.local_addr().expect("address"));
}

#[test]
fn nothing_is_opened_before_connect_is_complete() {
    let mut bench = Bench::new(Limits::default());
    let mut client = TcpStream::connect(bench.address).expect("connected");
    let packet = connect("piecemeal");
    let (head, tail) = packet.split_at(9);
    client.write_all(head).expect("sent");
    bench.until(|b| b.net.counters().receives == 1);
    assert!(bench.toy.opened.is_empty());
    client.write_all(tail).expect("sent");
    bench.until(|b| b.toy.opened.len() == 1);
    let conn = bench.toy.only();
    assert_eq!(bench.toy.input(conn), packet);
}

#[test]
fn a_partial_send_waits_for_room_and_loses_nothing() {
    let mut bench = Bench::new(Limits::default());
    let (mut client, conn) = bench.client("slow");
    let sent = pattern(12 << 20);
    bench.toy.say(conn, &sent);
    bench.until(|b| b.net.counters().blocked > 0);
    let length = sent.len();
    let reader = std::thread::spawn(move || {
        let mut got = vec![0; length];
        client.read_exact(&mut got).expect("received");
        got
    });
    bench.until(|b| b.toy.output_len(conn) == 0);
    assert!(bench.toy.writables > 0);
    assert!(reader.join().expect("reader") == sent);
}

#[test]
fn a_paused_connection_is_not_read_until_it_is_resumed() {
    let mut bench = Bench::new(Limits::default());
    let (mut paused, conn) = bench.client("paused");
    let (mut other, witness) = bench.client("other");
    bench.toy.effects.push_back(Effect::Pause(conn));
    bench.until(|b| b.net.slots.current(conn).expect("open").receiving == Receiving::Idle);
    paused.write_all(b"held back").expect("sent");
    // What arrives later than the bytes held back proves that they would have come.
    other.write_all(b"!").expect("sent");
    bench.until(|b| b.toy.input(witness).ends_with(b"!"));
    assert_eq!(bench.toy.input(conn), connect("paused"));
    bench.toy.effects.push_back(Effect::Resume(conn));
    bench.until(|b| b.toy.input(conn).ends_with(b"held back"));
}

#[test]
fn pausing_and_resuming_at_once_loses_and_repeats_nothing() {
    let mut bench = Bench::new(Limits::default());
    let (mut client, conn) = bench.client("fickle");
    let sent = pattern(1 << 20);
    let bytes = sent.clone();
    let writer = std::thread::spawn(move || {
        client.write_all(&bytes).expect("sent");
        client
    });
    let whole = connect("fickle").len() + sent.len();
    bench.until(|b| {
        b.toy.effects.extend([Effect::Pause(conn), Effect::Resume(conn), Effect::Pause(conn)]);
        b.turn();
        b.toy.effects.push_back(Effect::Resume(conn));
        b.toy.input(conn).len() >= whole
    });
    assert!(bench.toy.input(conn)[connect("fickle").len()..] == sent);
    assert!(bench.net.counters().pauses > 1);
    writer.join().expect("writer");
}

#[test]
fn a_close_delivers_the_last_bytes_although_the_peer_still_sends() {
    let mut bench = Bench::new(Limits::default());
    let (mut client, conn) = bench.client("chatty");
    // Unread bytes in a socket that is closed make a reset, which would destroy what the peer has not read.
    client.write_all(&[7; 200_000]).expect("sent");
    bench.toy.say(conn, b"the last packet");
    bench.toy.close(conn, CloseCause::TakenOver);
    bench.until(|b| b.toy.closed.contains(&conn));
    client.write_all(&[7; 200_000]).expect("sent");
    assert_eq!(read_all(&mut client).expect("no reset"), b"the last packet");
    assert!(!bench.net.is_empty(), "it waits for the peer");
    drop(client);
    bench.until(|b| b.net.is_empty());
    assert_eq!(bench.seats.taken(), 0);
    assert_eq!((bench.net.counters().closed.taken_over, bench.net.counters().linger_cuts), (1, 0));
    assert!(bench.toy.ended.is_empty(), "an end after a close is not reported");
}

#[test]
fn a_peer_that_does_not_close_is_cut() {
    let mut bench = Bench::new(Limits::default());
    let (mut client, conn) = bench.client("stubborn");
    bench.toy.close(conn, CloseCause::Stalled);
    bench.until(|b| b.toy.closed.contains(&conn));
    let deadline = bench.net.deadline().expect("it lingers");
    bench.now = Time(deadline.0 - 1);
    bench.turn();
    assert!(!bench.net.is_empty());
    bench.now = deadline;
    bench.turn();
    assert!(bench.net.is_empty());
    assert_eq!(bench.net.counters().linger_cuts, 1);
    assert_eq!(read_all(&mut client).expect("an end"), b"");
}

#[test]
fn a_close_is_orderly_even_when_the_connection_is_paused() {
    let mut bench = Bench::new(Limits::default());
    let (mut client, conn) = bench.client("paused");
    bench.toy.effects.push_back(Effect::Pause(conn));
    bench.turn();
    client.write_all(&[7; 100_000]).expect("sent");
    bench.toy.say(conn, b"bye");
    bench.toy.close(conn, CloseCause::Stopping);
    bench.until(|b| b.toy.closed.contains(&conn));
    assert_eq!(read_all(&mut client).expect("no reset"), b"bye");
    drop(client);
    bench.until(|b| b.net.is_empty());
}

#[test]
fn a_disconnect_and_the_end_behind_it_are_one_close() {
    let mut bench = Bench::new(Limits::default());
    let (mut client, conn) = bench.client("polite");
    bench.toy.farewell = Some(b"DISCONNECT".to_vec());
    client.write_all(b"DISCONNECT").expect("sent");
    drop(client);
    bench.until(|b| b.net.is_empty());
    assert_eq!(bench.toy.closed, [conn]);
    assert!(bench.toy.ended.is_empty());
}

#[test]
fn the_peers_end_is_reported_once_and_its_place_is_free() {
    let mut bench = Bench::new(Limits::default());
    let (client, conn) = bench.client("gone");
    client.shutdown(Shutdown::Both).expect("shut");
    bench.until(|b| !b.toy.ended.is_empty());
    assert_eq!(bench.toy.ended, [(conn, End::Closed)]);
    assert!(bench.net.is_empty());
    let (_client, next) = bench.client("next");
    assert_eq!(next.index, conn.index);
    assert_ne!(next.generation, conn.generation);
}

#[test]
fn a_reset_peer_ends_by_the_send_that_meets_it() {
    let mut bench = Bench::new(Limits::default());
    let (client, conn) = bench.client("reset");
    bench.toy.effects.push_back(Effect::Pause(conn));
    bench.until(|b| b.net.slots.current(conn).expect("open").receiving == Receiving::Idle);
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("option");
    drop(client);
    bench.until(|b| {
        b.toy.say(conn, b"anyone?");
        !b.toy.ended.is_empty()
    });
    assert!(matches!(bench.toy.ended[..], [(c, End::Failed(libc::ECONNRESET | libc::EPIPE))] if c == conn));
    assert!(bench.net.is_empty());
}

#[test]
fn a_late_completion_does_not_reach_the_next_tenant() {
    let mut bench = Bench::new(Limits::default());
    for round in 0..40 {
        let (mut old, conn) = bench.client("old");
        old.write_all(&[0xee; 100_000]).expect("sent");
        // The receive is armed and has bytes when the socket is given up.
        bench.net.release(conn);
        bench.toy.forget(conn);
        let (mut young, next) = bench.client("young");
        assert_eq!(next.index, conn.index, "round {round}");
        young.write_all(b"mine").expect("sent");
        bench.until(|b| b.toy.input(next).ends_with(b"mine"));
        let expected = [connect("young"), b"mine".to_vec()].concat();
        assert_eq!(bench.toy.input(next), expected);
        drop(young);
        bench.until(|b| b.toy.ended.len() == round + 1);
    }
    assert_eq!(bench.seats.taken(), 0);
}

#[test]
fn an_empty_pool_delays_but_neither_loses_bytes_nor_leaks_buffers() {
    let mut bench = Bench::new(Limits::default());
    let peers: Vec<_> = (0..24).map(|n| bench.client(&format!("peer-{n}"))).collect();
    let sent = pattern(100_000);
    for round in 1..=5 {
        // More than the pool holds, before the ring is looked at.
        for (client, _) in &peers {
            (&*client).write_all(&sent).expect("sent");
        }
        let whole =
            |b: &mut Bench| peers.iter().all(|(_, c)| b.toy.input(*c).len() >= round * sent.len() + 13);
        bench.until(whole);
    }
    assert!(bench.net.counters().no_buffers > 0, "the test must run the pool dry");
    for (_, conn) in &peers {
        let input = bench.toy.input(*conn);
        let head = input.len() - 5 * sent.len();
        assert!(input[head..].chunks(sent.len()).all(|part| part == sent));
    }
}

#[test]
fn a_silent_peer_is_closed_in_time_and_costs_no_buffer() {
    let limits = Limits { connect_timeout_secs: 3, ..Limits::default() };
    let mut bench = Bench::new(limits);
    let mut silent = TcpStream::connect(bench.address).expect("connected");
    bench.until(|b| b.net.counters().accepted == 1);
    bench.now = bench.now + Duration::from_secs(2);
    let (_client, _) = bench.client("talker");
    bench.now = bench.now + Duration::from_secs(1);
    bench.turn();
    assert_eq!(read_all(&mut silent).expect("an end"), b"");
    assert_eq!(bench.net.counters().closed.connect_timeout, 1);
    bench.now = bench.now + Duration::from_secs(60);
    bench.turn();
    assert_eq!(bench.net.counters().closed.connect_timeout, 1, "who said CONNECT stays");
    assert_eq!(bench.seats.taken(), 1);
}

#[test]
fn connections_over_the_limit_are_closed_at_once() {
    let mut bench = Bench::new(Limits::default());
    bench.seats.set_limit(1);
    let (client, _) = bench.client("first");
    let mut second = TcpStream::connect(bench.address).expect("connected");
    bench.until(|b| b.net.counters().over_limit == 1);
    match read_all(&mut second) {
        Ok(bytes) => assert!(bytes.is_empty()),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    drop(client);
    bench.until(|b| b.seats.taken() == 0);
    bench.client("third");
}

#[test]
fn a_connection_moves_to_its_clients_home_with_all_its_bytes() {
    let (mut first, mut second) = pair(&Limits::default(), &Speech::plain(Transport::Tcp));
    // The pair shares a key, so each client has one home of the two.
    let (mut here, mut there) = (0, 0);
    for n in 0..8 {
        let mut client = TcpStream::connect(first.address).expect("connected");
        let sent = [connect(&format!("client-{n}")), b"and what follows".to_vec()].concat();
        client.write_all(&sent).expect("sent");
        let opened = first.toy.openings();
        let mut envelopes = Vec::new();
        first.until(|b| {
            envelopes.extend(b.net.take_envelopes());
            b.toy.openings() > opened || !envelopes.is_empty()
        });
        let Some((home, envelope)) = envelopes.pop() else {
            here += 1;
            continue;
        };
        there += 1;
        assert_eq!(home, ShardId(1));
        assert_eq!(envelope.unread, sent);
        second.net.adopt(envelope, &mut second.toy);
        let conn = second.toy.latest();
        assert_eq!(second.toy.opened[&conn].peer, client.local_addr().expect("address"));
        client.write_all(b", and later").expect("sent");
        second.until(|b| b.toy.input(conn).ends_with(b", and later"));
        second.toy.say(conn, b"welcome");
        second.turn();
        let mut got = [0; 7];
        client.read_exact(&mut got).expect("received");
        drop(client);
        second.until(|b| b.net.is_empty());
    }
    assert!(here > 0 && there > 0, "{here} stayed, {there} moved");
    assert_eq!(first.net.counters().handed_over, there);
    assert_eq!(second.net.counters().adopted, there);
}

#[test]
fn a_listener_that_is_removed_refuses_and_its_connections_stay() {
    let mut bench = Bench::new(Limits::default());
    let (mut client, conn) = bench.client("stays");
    bench.net.unlisten(0);
    bench.turn();
    let error = TcpStream::connect(bench.address).expect_err("nobody listens");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    client.write_all(b"still here").expect("sent");
    bench.until(|b| b.toy.input(conn).ends_with(b"still here"));
    // And its port can be bound again.
    let again = bind(1, bench.address, 1).expect("free");
    bench.net.listen(1, again.speech, again.sockets.into_iter().next().expect("one"));
    let (_client, next) = bench.client("back");
    assert_eq!(bench.toy.opened[&next].listener, 1);
}

#[test]
fn the_doorbell_ends_a_sleep() {
    let mut bench = Bench::new(Limits::default());
    bench.turn();
    let bell = Arc::clone(&bench.doorbell);
    let start = Instant::now();
    let ringer = std::thread::spawn(move || bell.raise());
    sleep_until_woken(&mut bench);
    ringer.join().expect("ringer");
    // Rung twice before it is looked at, it still works afterwards.
    for _ in 0..2 {
        bench.doorbell.raise();
        bench.doorbell.raise();
        sleep_until_woken(&mut bench);
    }
    assert!(start.elapsed() < Duration::from_secs(10), "a time-out woke it, and nobody else");
}

fn sleep_until_woken(bench: &mut Bench) {
    while bench.net.reap(&mut bench.toy, bench.now) == 0 {
        bench.net.sleep(Duration::from_secs(20));
    }
}

#[test]
fn a_batch_longer_than_the_submission_queue_is_sent_whole() {
    let mut ring = Ring::new().expect("a ring");
    let listener = std::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("bound");
    let client = TcpStream::connect(listener.local_addr().expect("address")).expect("connected");
    let (mut peer, _) = listener.accept().expect("accepted");
    let parts: Vec<[u8; 4]> = (0..5_000u32).map(u32::to_be_bytes).collect();
    ring.send(parts.iter().map(|part| (client.as_fd(), &part[..])));
    assert!(ring.take_failures().is_empty());
    drop(client);
    assert!(read_all(&mut peer).expect("all") == parts.concat());
}

#[test]
fn tokens_come_back_as_they_were_given() {
    for kind in [Kind::Accept, Kind::Receive, Kind::Send, Kind::Writable, Kind::Doorbell, Kind::Silent] {
        let token = Token::new(kind, 0xff_fffe, 0xffff_fffd);
        assert_eq!((token.kind(), token.generation(), token.index()), (kind, 0xff_fffe, 0xffff_fffd));
    }
}
