//! WebSockets on the loopback, with the toy in the shard's place: what becomes of frames when sockets are full, when
//! connections move, and when they end. The client's side is another implementation.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::{CloseFrame, Role, WebSocket, WebSocketConfig};
use tungstenite::{Bytes, Message};

use super::pattern;
use super::toy::{Bench, connect, pair, websocket};
use crate::net::{PacketsPerFrame, Speech, Transport};
use crate::policy::Limits;
use crate::routing::ShardId;
use crate::session::ConnId;
use crate::shard::{CloseCause, Effect, End};

pub(super) const REQUEST: &[u8] = b"GET /mqtt HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";

fn masked(mut frame: Frame) -> Vec<u8> {
    frame.header_mut().mask = Some([0xa1, 2, 0xff, 7]);
    let mut bytes = Vec::new();
    frame.format(&mut bytes).expect("a vector takes it");
    bytes
}

pub(super) fn binary(payload: &[u8]) -> Vec<u8> {
    masked(Frame::message(payload.to_vec(), OpCode::Data(Data::Binary), true))
}

pub(super) fn ping(payload: &[u8]) -> Vec<u8> {
    masked(Frame::ping(payload.to_vec()))
}

pub(super) fn close(code: u16) -> Vec<u8> {
    masked(Frame::close(Some(CloseFrame { code: code.into(), reason: "".into() })))
}

/// A client's socket. Reading it never waits for ever.
fn dial(bench: &Bench) -> TcpStream {
    let client = TcpStream::connect(bench.address).expect("connected");
    client.set_read_timeout(Some(Duration::from_secs(20))).expect("option");
    client
}

/// The rest of the answer to a handshake, which is 101.
fn shaken(client: &mut TcpStream) {
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).expect("an answer");
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
}

/// A peer that has shaken hands and said CONNECT, and its connection.
fn client(bench: &mut Bench, id: &str) -> (TcpStream, ConnId) {
    let mut client = dial(bench);
    client.write_all(&[REQUEST, &binary(&connect(id))].concat()).expect("sent");
    let before = bench.toy.openings();
    bench.until(|b| b.toy.openings() > before);
    shaken(&mut client);
    (client, bench.toy.latest())
}

/// What a client reads.
fn messages(client: TcpStream) -> WebSocket<TcpStream> {
    let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
    WebSocket::from_raw_socket(client, Role::Client, Some(config))
}

/// Reads until the Close frame, which must have come: payloads, pongs and the code.
fn read_to_the_end(client: TcpStream) -> (Vec<Bytes>, Vec<Bytes>, u16) {
    let mut socket = messages(client);
    let (mut data, mut pongs) = (Vec::new(), Vec::new());
    loop {
        match socket.read().expect("whole frames until the Close") {
            Message::Binary(bytes) => data.push(bytes),
            Message::Pong(bytes) => pongs.push(bytes),
            Message::Close(close) => return (data, pongs, close.expect("a reason").code.into()),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_flush_is_one_frame_and_its_header_takes_no_second_send() {
    let mut bench = Bench::websocket(&Limits::default());
    let (client, conn) = client(&mut bench, "one");
    assert_eq!(bench.toy.input(conn), connect("one"));
    // Bytes are counted as they are on the wire.
    let heard = REQUEST.len() + binary(&connect("one")).len();
    assert_eq!(bench.net.counters().bytes_received, heard as u64);
    let before = bench.net.counters();
    bench.toy.say(conn, b"two packets");
    bench.toy.say(conn, b" in one frame");
    bench.turn();
    let after = bench.net.counters();
    assert_eq!((after.sends, after.bytes_sent), (before.sends + 1, before.bytes_sent + 2 + 24));
    let message = messages(client).read().expect("a message");
    assert_eq!(message, Message::Binary(Bytes::from_static(b"two packets in one frame")));
}

/// A packet of MQTT with this behind its header.
pub(super) fn packet(body: &[u8]) -> Vec<u8> {
    let (mut bytes, mut left) = (vec![0x30], body.len());
    while left >= 0x80 {
        bytes.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    bytes.push(left as u8);
    bytes.extend_from_slice(body);
    bytes
}

#[test]
fn where_a_frame_holds_one_packet_several_frames_go_out_in_one_send() {
    let mut bench = Bench::a_packet_a_frame();
    let (client, conn) = client(&mut bench, "one");
    let packets: Vec<Vec<u8>> =
        (0..125).map(|number| packet(&vec![number; usize::from(number) % 100])).collect();
    let sends = bench.net.counters().sends;
    packets.iter().for_each(|packet| bench.toy.say(conn, packet));
    bench.turn();
    assert_eq!(bench.net.counters().sends, sends + 1);
    let mut socket = messages(client);
    for packet in packets {
        assert_eq!(socket.read().expect("a frame"), Message::Binary(packet.into()));
    }
}

#[test]
fn packets_in_frames_of_their_own_survive_full_sockets_and_all_come_before_the_close() {
    let mut bench = Bench::a_packet_a_frame();
    let (mut client, conn) = client(&mut bench, "slow");
    // Thousands of small ones around one that no socket takes at once, and again when there is room.
    let mut packets: Vec<Vec<u8>> =
        (0..3_000u32).map(|number| packet(&number.to_be_bytes().repeat(number as usize % 50))).collect();
    packets.insert(1_000, packet(&pattern(12 << 20)));
    packets.iter().for_each(|packet| bench.toy.say(conn, packet));
    bench.until(|b| b.net.counters().blocked > 9);
    client.write_all(&[ping(b"?"), binary(b"heard")].concat()).expect("sent");
    bench.until(|b| b.toy.input(conn).ends_with(b"heard"));
    let reader = std::thread::spawn(move || read_to_the_end(client));
    bench.until(|b| b.toy.output_len(conn) == 0);
    // What waits at the close is more than one send takes.
    let last = packets[1_001..1_401].to_vec();
    last.iter().for_each(|packet| bench.toy.say(conn, packet));
    bench.toy.close(conn, CloseCause::Stopping);
    bench.until(|b| b.toy.closed.contains(&conn));
    let (data, pongs, code) = reader.join().expect("the reader");
    assert!(data == [packets, last].concat(), "{} frames", data.len());
    assert_eq!((pongs, code), (vec![Bytes::from_static(b"?")], 1001));
}

#[test]
fn a_frame_half_sent_is_finished_before_pongs_and_before_what_came_later() {
    let mut bench = Bench::websocket(&Limits::default());
    let (mut client, conn) = client(&mut bench, "slow");
    let (first, second) = (pattern(12 << 20), b"later".to_vec());
    bench.toy.say(conn, &first);
    bench.until(|b| b.net.counters().blocked > 0);
    bench.toy.say(conn, &second);
    client.write_all(&[ping(b"1"), ping(b"2"), binary(b"heard")].concat()).expect("sent");
    bench.until(|b| b.toy.input(conn).ends_with(b"heard"));
    let reader = std::thread::spawn(move || read_to_the_end(client));
    bench.until(|b| b.toy.output_len(conn) == 0);
    bench.toy.close(conn, CloseCause::TakenOver);
    bench.until(|b| b.toy.closed.contains(&conn));
    let (data, pongs, code) = reader.join().expect("the reader");
    assert_eq!(data.len(), 2);
    assert!(data[0] == first && data[1] == second);
    assert_eq!(pongs, [&b"2"[..]], "only the last one is answered");
    assert_eq!(code, 1008);
}

#[test]
fn a_flood_of_pings_by_a_client_that_does_not_read_costs_no_memory() {
    let mut bench = Bench::websocket(&Limits::default());
    let (client, conn) = client(&mut bench, "pinger");
    // Filled, so that not one pong finds room.
    bench.toy.say(conn, &pattern(12 << 20));
    bench.until(|b| b.net.counters().blocked > 0);
    let mut writer = client.try_clone().expect("a descriptor");
    let pinging = std::thread::spawn(move || {
        let pings = ping(&[8; 125]).repeat(50);
        (0..400).for_each(|_| writer.write_all(&pings).expect("sent"));
        writer.write_all(&[ping(b"last"), binary(b"done")].concat()).expect("sent");
    });
    let (sends, output) = (bench.net.counters().sends, bench.toy.output_len(conn));
    bench.until(|b| b.toy.input(conn).ends_with(b"done"));
    pinging.join().expect("the writer");
    assert_eq!((bench.net.counters().sends, bench.toy.output_len(conn)), (sends, output));
    let reader = std::thread::spawn(move || {
        let mut socket = messages(client);
        let data = socket.read().expect("the frame");
        (data.len(), socket.read().expect("the pong"))
    });
    bench.until(|b| b.toy.output_len(conn) == 0);
    bench.until(|_| reader.is_finished());
    assert_eq!(reader.join().expect("the reader"), (12 << 20, Message::Pong(Bytes::from_static(b"last"))));
}

#[test]
fn a_close_of_ours_comes_after_the_last_bytes_although_the_peer_still_sends() {
    for (cause, expected) in
        [(CloseCause::Disconnected, 1000), (CloseCause::Stopping, 1001), (CloseCause::Stalled, 1008)]
    {
        let mut bench = Bench::websocket(&Limits::default());
        let (mut client, conn) = client(&mut bench, "chatty");
        client.write_all(&binary(&[7; 200_000])).expect("sent");
        bench.toy.say(conn, b"the last packet");
        bench.toy.close(conn, cause);
        bench.until(|b| b.toy.closed.contains(&conn));
        client.write_all(&binary(&[7; 200_000])).expect("sent");
        let (data, _, code) = read_to_the_end(client.try_clone().expect("a descriptor"));
        assert_eq!((data, code), (vec![Bytes::from_static(b"the last packet")], expected));
        assert_eq!(client.read(&mut [0]).expect("no reset"), 0);
        drop(client);
        bench.until(|b| b.net.is_empty());
        assert!(bench.toy.ended.is_empty());
        assert_eq!((bench.seats.taken(), bench.net.counters().linger_cuts), (0, 0));
    }
}

#[test]
fn a_close_inside_a_frame_is_cut_when_the_peer_does_not_read() {
    let mut bench = Bench::websocket(&Limits::default());
    let (_client, conn) = client(&mut bench, "deaf");
    bench.toy.say(conn, &pattern(12 << 20));
    bench.until(|b| b.net.counters().blocked > 0);
    bench.toy.close(conn, CloseCause::Stalled);
    bench.until(|b| b.toy.closed.contains(&conn));
    bench.now = bench.net.deadline().expect("it lingers");
    bench.until(|b| b.net.is_empty());
    assert_eq!(bench.net.counters().linger_cuts, 1);
}

#[test]
fn the_peers_close_is_answered_and_ends_the_connection() {
    let mut bench = Bench::websocket(&Limits::default());
    let (mut client, conn) = client(&mut bench, "polite");
    client.write_all(&[binary(b"bye"), close(4000), binary(b"ignored")].concat()).expect("sent");
    bench.until(|b| !b.toy.ended.is_empty());
    assert_eq!(bench.toy.ended, [(conn, End::Closed)]);
    assert!(bench.toy.input(conn).ends_with(b"bye"));
    bench.turn();
    assert_eq!(read_to_the_end(client.try_clone().expect("a descriptor")).2, 4000);
    assert_eq!(client.read(&mut [0]).expect("no reset"), 0);
    drop(client);
    bench.until(|b| b.net.is_empty());
    assert_eq!((bench.net.counters().closed.by_peer, bench.toy.closed.len()), (1, 0));
}

#[test]
fn a_broken_frame_ends_the_connection_after_what_came_before_it() {
    let mut bench = Bench::websocket(&Limits::default());
    let (mut client, conn) = client(&mut bench, "broken");
    client.write_all(&[binary(b"sound"), vec![0x82, 1, 0]].concat()).expect("sent");
    bench.until(|b| !b.toy.ended.is_empty());
    assert!(bench.toy.input(conn).ends_with(b"sound"));
    assert_eq!(read_to_the_end(client).2, 1002);
    bench.until(|b| b.net.is_empty());
    assert_eq!((bench.net.counters().closed.framing, bench.net.counters().closed.by_peer), (1, 0));
}

#[test]
fn a_disconnect_and_the_close_behind_it_are_one_end() {
    let mut bench = Bench::websocket(&Limits::default());
    let (mut client, conn) = client(&mut bench, "tidy");
    bench.toy.farewell = Some(b"DISCONNECT".to_vec());
    client.write_all(&[binary(b"DISCONNECT"), close(1001)].concat()).expect("sent");
    bench.until(|b| b.toy.closed.contains(&conn));
    assert_eq!(read_to_the_end(client).2, 1000);
    bench.until(|b| b.net.is_empty());
    assert!(bench.toy.ended.is_empty());
}

#[test]
fn a_refused_handshake_is_answered_closed_and_counted() {
    let mut bench = Bench::websocket(&Limits::default());
    let mut client = dial(&bench);
    let request = [b"GET /other HTTP/1.1\r\nHost: here\r\n\r\n", &[7; 3_000][..]].concat();
    client.write_all(&request).expect("sent");
    bench.until(|b| b.net.counters().handshakes.path == 1);
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("no reset");
    assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
    drop(client);
    bench.until(|b| b.net.is_empty());
    assert!(bench.toy.opened.is_empty());
    assert_eq!((bench.net.counters().handshakes.sum(), bench.seats.taken()), (1, 0));
}

#[test]
fn a_handshake_that_is_never_complete_is_counted_and_one_that_never_began_is_not() {
    let limits = Limits { connect_timeout_secs: 3, ..Limits::default() };
    let mut bench = Bench::websocket(&limits);
    let (_silent, mut slow, mut gone, mut waits) = (dial(&bench), dial(&bench), dial(&bench), dial(&bench));
    slow.write_all(&REQUEST[..50]).expect("sent");
    gone.write_all(&REQUEST[..50]).expect("sent");
    waits.write_all(REQUEST).expect("sent");
    bench.until(|b| b.net.counters().receives == 3);
    drop(gone);
    bench.until(|b| b.net.counters().closed.before_connect == 1);
    bench.now = bench.now + Duration::from_secs(3);
    bench.until(|b| b.net.is_empty());
    assert_eq!(bench.net.counters().closed.connect_timeout, 3);
    assert_eq!((bench.net.counters().handshakes.incomplete, bench.net.counters().handshakes.sum()), (2, 2));
}

#[test]
fn a_connection_moves_with_everything_that_is_half_done() {
    let speech = websocket("/mqtt", PacketsPerFrame::Many);
    let (mut first, mut second) = pair(&Limits::default(), &speech);
    let mut moved = 0;
    for n in 0..12 {
        let mut client = dial(&first);
        // Handshake, a CONNECT in three frames, a ping, and the beginning of a frame, all at once: the answers to the
        // first and the third are still unsent when the connection moves.
        let packet = connect(&format!("client-{n}"));
        let part = |first: u8, bytes: &[u8]| {
            let mut frame = binary(bytes);
            frame[0] = first;
            frame
        };
        let whole = binary(b"in two halves");
        let (half, rest) = whole.split_at(9);
        let start = [
            REQUEST,
            &part(0x02, &packet[..1]),
            &ping(b"there?"),
            &part(0x00, &packet[1..7]),
            &part(0x80, &packet[7..]),
            half,
        ];
        client.write_all(&start.concat()).expect("sent");
        let opened = first.toy.openings();
        let mut envelopes = Vec::new();
        first.until(|b| {
            envelopes.extend(b.net.take_envelopes());
            b.toy.openings() > opened || !envelopes.is_empty()
        });
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
        // The handshake's answer; the pong.
        bench.turn();
        bench.turn();
        bench.toy.say(conn, b"welcome");
        bench.turn();
        shaken(&mut client);
        client.write_all(rest).expect("sent");
        bench.until(|b| b.toy.input(conn).ends_with(b"in two halves"));
        assert_eq!(bench.toy.input(conn), [&packet[..], b"in two halves"].concat());
        let mut socket = messages(client);
        assert_eq!(socket.read().expect("it comes"), Message::Pong(Bytes::from_static(b"there?")));
        assert_eq!(socket.read().expect("it comes"), Message::Binary(Bytes::from_static(b"welcome")));
        drop(socket);
        bench.until(|b| b.net.is_empty());
    }
    assert!(moved > 0 && moved < 12, "{moved} moved");
}

#[test]
fn a_close_behind_the_connect_is_answered_at_home() {
    let (mut first, mut second) = pair(&Limits::default(), &websocket("/mqtt", PacketsPerFrame::Many));
    let mut moved = 0;
    for n in 0..12 {
        let mut client = dial(&first);
        let start = [REQUEST, &binary(&connect(&format!("client-{n}"))), &close(1000)];
        client.write_all(&start.concat()).expect("sent");
        let ended = first.toy.ended.len();
        let mut envelopes = Vec::new();
        first.until(|b| {
            envelopes.extend(b.net.take_envelopes());
            b.toy.ended.len() > ended || !envelopes.is_empty()
        });
        if let Some((_, envelope)) = envelopes.pop() {
            moved += 1;
            second.net.adopt(envelope, &mut second.toy);
            assert_eq!(second.toy.ended.len(), moved);
        }
        first.turn();
        second.turn();
        shaken(&mut client);
        assert_eq!(read_to_the_end(client).2, 1000);
        first.until(|b| b.net.is_empty());
        second.until(|b| b.net.is_empty());
    }
    assert!(moved > 0 && moved < 12, "{moved} moved");
    assert_eq!(first.seats.taken(), 0);
}

#[test]
fn a_paused_websocket_is_not_read_until_it_is_resumed() {
    let mut bench = Bench::websocket(&Limits::default());
    let (mut client, conn) = client(&mut bench, "paused");
    bench.toy.effects.push_back(Effect::Pause(conn));
    bench.turn();
    bench.toy.effects.push_back(Effect::Resume(conn));
    let sent = pattern(1 << 20);
    let frames: Vec<u8> = sent.chunks(70_001).flat_map(binary).collect();
    let writer = std::thread::spawn(move || {
        client.write_all(&frames).expect("sent");
        client
    });
    let whole = connect("paused").len() + sent.len();
    bench.until(|b| {
        b.toy.effects.extend([Effect::Pause(conn), Effect::Resume(conn)]);
        b.toy.input(conn).len() >= whole
    });
    assert!(bench.toy.input(conn)[connect("paused").len()..] == sent);
    writer.join().expect("the writer");
}

#[test]
fn a_changed_path_holds_for_the_next_handshake_and_not_for_who_is_there() {
    let mut bench = Bench::websocket(&Limits::default());
    let (mut old, conn) = client(&mut bench, "old");
    // Accepted before the change, judged after it.
    let mut waiting = dial(&bench);
    bench.until(|b| b.net.counters().accepted == 2);
    bench.net.change_speech(0, &websocket("/new", PacketsPerFrame::Many));
    waiting.write_all(REQUEST).expect("sent");
    bench.until(|b| b.net.counters().handshakes.path == 1);
    old.write_all(&binary(b"still here")).expect("sent");
    bench.until(|b| b.toy.input(conn).ends_with(b"still here"));
    let mut next = dial(&bench);
    next.write_all(&[b"GET /new", &REQUEST[9..], &binary(&connect("next"))].concat()).expect("sent");
    bench.until(|b| b.toy.openings() == 2);
    shaken(&mut next);
    // What a frame holds changes in the same way.
    bench.net.change_speech(0, &websocket("/mqtt", PacketsPerFrame::One));
    let (one, latest) = client(&mut bench, "one packet");
    let packets = [packet(b"first"), packet(b"second")];
    for conn in [conn, latest] {
        packets.iter().for_each(|packet| bench.toy.say(conn, packet));
    }
    bench.turn();
    assert_eq!(messages(old).read().expect("a frame"), Message::Binary(packets.concat().into()));
    let mut one = messages(one);
    for packet in packets {
        assert_eq!(one.read().expect("a frame"), Message::Binary(packet.into()));
    }
    // And a listener may become one for bare MQTT.
    bench.net.change_speech(0, &Speech::plain(Transport::Tcp));
    let (_bare, bare) = bench.client("bare");
    assert_eq!(bench.toy.input(bare), connect("bare"));
}
