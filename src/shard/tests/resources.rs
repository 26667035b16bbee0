//! Whoever tries to make the broker hold, or do, more than he pays for.

use super::court::{Court, Fate, State, at_home, connect_bytes};
use super::*;
use crate::mqtt::Violation;

fn partial(b: &Broker, peer: Peer) -> &Vec<u8> {
    &b.shards[peer.shard as usize].connections[peer.conn.index as usize].partial
}

fn large_publish(payload: usize) -> Vec<u8> {
    let mut bytes = vec![0x30];
    crate::mqtt::writer::put_varint(&mut bytes, 3 + payload);
    bytes.extend([0, 1, b'x']);
    bytes.resize(bytes.len() + payload, 0);
    bytes
}

#[test]
fn one_byte_at_a_time() {
    for version in [Version::V3_1_1, Version::V5] {
        let mut b = Broker::new(1);
        let peer = b.open(0, version);
        let mut bytes = connect_bytes(version, "slow", |_| {});
        bytes.extend([0xC0, 0, 0xC0, 0]);
        for byte in &bytes {
            b.raw(peer, &[*byte]);
            assert!(partial(&b, peer).capacity() <= 2 * bytes.len());
        }
        assert_eq!(b.received(peer)[1..], ["PingResp", "PingResp"]);
        assert_eq!(partial(&b, peer).capacity(), 0);
    }
}

#[test]
fn memory_grows_with_what_was_received_not_with_what_was_announced() {
    let mut court = Court::new();
    let peer = court.peer(Version::V3_1_1, State::Connected);
    let bytes = large_publish((1 << 20) - 16);
    let mut received = 0;
    for piece in bytes[..bytes.len() - 1].chunks(1_000) {
        court.b.raw(peer, piece);
        received += piece.len();
        let held = partial(&court.b, peer).capacity();
        assert!(held <= 2 * received, "{held} bytes held for {received}");
    }
    // The end of it, and the beginning of a small one: only that is held.
    court.b.raw(peer, &[0, 0xC0]);
    assert!(partial(&court.b, peer).capacity() < 64);
    let (fate, told) = court.judge(peer, &[0]);
    assert_eq!((fate, &told[..]), (Fate::Open, &["PingResp".to_owned()][..]));
    // A connection that ends in the middle of one leaves nothing.
    court.b.raw(peer, &bytes[..500_000]);
    court.b.cut(peer);
    assert_eq!(partial(&court.b, peer).capacity(), 0);
}

#[test]
fn connections_that_say_half_a_connect_end_at_the_deadline() {
    let mut court = Court::new();
    let connect = connect_bytes(Version::V5, "never", |_| {});
    let silent: Vec<Peer> = (0..500)
        .map(|_| {
            let peer = court.peer(Version::V5, State::BeforeConnect);
            court.b.raw(peer, &connect[..connect.len() - 1]);
            peer
        })
        .collect();
    court.b.pass(9);
    assert_eq!(court.b.shards[0].census().connections, 1 + silent.len());
    court.b.pass(2);
    assert_eq!(court.b.shards[0].census().connections, 1);
    assert_eq!(court.violations(), [(Violation::ConnectTimeout, 500)].into());
    assert_eq!(court.b.shards[0].census().visits, 0);
    court.witnesses_hear();
}

#[test]
fn sixty_four_connections_that_fight_for_eight_client_ids() {
    for (expiry, clean_start) in [(0, true), (1_000, false), (1_000, true)] {
        let mut court = Court::new();
        let ids: Vec<String> = (0..8).map(|i| at_home(2, i % 2, &format!("contested {i} "))).collect();
        let rounds = 40;
        for round in 0..rounds {
            for connection in 0..64 {
                let mut c = connect(Version::V5, &ids[(connection + round) % 8]);
                c.clean_start = clean_start;
                c.keep_alive_secs = 5;
                c.properties.session_expiry_secs = Some(expiry);
                let (peer, told) = court.b.connect_with(&c);
                assert!(told[0].contains("reason: Success"), "{told:?}");
                court.b.subscribe(peer, "fight/+", QoS::AtLeastOnce);
            }
        }
        court.witnesses_hear();
        let census: Vec<Census> = court.b.shards.iter().map(Shard::census).collect();
        let sum = |of: fn(&Census) -> usize| census.iter().map(of).sum::<usize>();
        assert_eq!((sum(|c| c.connections), sum(|c| c.sessions)), (10, 10));
        assert_eq!((sum(|c| c.subscriptions), sum(|c| c.joins), sum(|c| c.work)), (10, 0, 0));
        assert_eq!(sum(|c| c.slots), 4, "each shard has one slot for each of the two filters");
        let taken_over: u64 = court.b.shards.iter().map(|s| s.counters().taken_over).sum();
        assert_eq!(taken_over, 64 * rounds as u64 - 8);
        // For each CONNECT its deadline, its keep alive and the end of the session that it ended: hints that nobody
        // takes back, but that time does.
        assert!(sum(|c| c.visits) <= 3 * 64 * rounds + 2);
        court.b.pass(100);
        let visits: usize = court.b.shards.iter().map(|s| s.census().visits).sum();
        assert!(visits <= 8, "{visits} visits for 8 sessions");
    }
}

#[test]
fn a_flood_of_sessions_ends_with_their_expiry() {
    let mut court = Court::new();
    for i in 0..2_000 {
        let id = format!("flood {i}");
        let mut c = connect(Version::V5, &id);
        c.properties.session_expiry_secs = Some(100);
        let (peer, _) = court.b.connect_with(&c);
        court.b.subscribe(peer, &format!("flood/{}", i % 50), QoS::AtLeastOnce);
        court.b.cut(peer);
    }
    let sum = |b: &Broker, of: fn(&Census) -> usize| b.shards.iter().map(|s| of(&s.census())).sum::<usize>();
    assert_eq!(sum(&court.b, |c| c.sessions), 2_002);
    court.b.pass(60);
    assert_eq!(sum(&court.b, |c| c.sessions), 2_002);
    court.b.pass(60);
    assert_eq!(sum(&court.b, |c| c.sessions), 2);
    assert_eq!(sum(&court.b, |c| c.subscriptions), 2);
    assert_eq!(sum(&court.b, |c| c.slots), 2);
    court.b.pass(70);
    assert_eq!(sum(&court.b, |c| c.visits), 0);
    court.witnesses_hear();
}

#[test]
fn subscribing_and_unsubscribing_leaves_nothing() {
    let mut court = Court::new();
    let before: Vec<Census> = court.b.shards.iter().map(Shard::census).collect();
    let peer = court.peer(Version::V3_1_1, State::Connected);
    let mut bytes = Vec::new();
    for i in 0..3_000u32 {
        let filter = format!("{}/{}", if i % 3 == 0 { "+" } else { "s" }, i % 7);
        let len = filter.len() as u8;
        bytes.extend([0x82, 5 + len, 0, 1, 0, len]);
        bytes.extend(filter.as_bytes());
        bytes.push(2);
        bytes.extend([0xA2, 4 + len, 0, 2, 0, len]);
        bytes.extend(filter.as_bytes());
    }
    for piece in bytes.chunks(5_000) {
        court.b.raw(peer, piece);
    }
    assert_eq!(court.b.received(peer).len(), 6_000, "each is answered");
    court.b.cut(peer);
    for (shard, before) in court.b.shards.iter().zip(before) {
        // A visit that was booked for the connection is a hint that time takes back.
        assert_eq!(Census { visits: before.visits, ..shard.census() }, before);
    }
    court.witnesses_hear();
}

/// Each SUBSCRIBE makes every home look at what it retains: one connection has only so many of them under way.
#[test]
fn a_flood_of_subscribe_packets_waits_for_its_own_answers() {
    let mut b = Broker::new(2);
    let id = at_home(2, 0, "flood");
    let (peer, _) = b.connect_with(&connect(Version::V3_1_1, &id));
    let subscribe = [0x82, 6, 0, 1, 0, 1, b'#', 0];
    b.shards[0].handle_bytes(peer.conn, &subscribe.repeat(5_000));
    assert!(b.shards[0].census().joins <= 2 * 32, "{:?}", b.shards[0].census());
    assert_eq!(b.shards[0].poll_effect(), Some(Effect::Pause(peer.conn)));
    assert_eq!(b.shards[0].census().paused, Paused { subscriptions: 1, ..Paused::default() });
    let mut most = 0;
    while b.turn() {
        most = most.max(b.shards[0].census().joins);
    }
    assert!(most <= 2 * 32, "{most} under way");
    assert_eq!(b.received(peer).len(), 5_000, "each is answered all the same");
    assert_eq!(b.shards[0].census().paused, Paused::default());
    // Whoever leaves while his subscriptions are under way leaves nothing to his successor.
    b.shards[0].handle_bytes(peer.conn, &subscribe.repeat(20));
    b.cut(peer);
    let opened = b.open(0, Version::V3_1_1);
    b.send(opened, &Packet::Connect(connect(Version::V3_1_1, &id)));
    b.raw(opened, &subscribe);
    assert_eq!(b.received(opened).len(), 2);
}

#[test]
fn a_client_that_pings_and_never_reads_is_paused_and_then_closed() {
    let mut b = Broker::with(1, limits(|l| l.output_bytes = 10_000));
    let peer = b.connect(Version::V3_1_1, "deaf");
    let good = b.connect(Version::V3_1_1, "good");
    let pings = [0xC0, 0].repeat(20_000);
    let shard = &mut b.shards[0];
    shard.handle_bytes(peer.conn, &pings);
    assert_eq!(shard.poll_effect(), Some(Effect::Pause(peer.conn)));
    assert_eq!(shard.census().paused, Paused { output: 1, ..Paused::default() });
    assert!(shard.output(peer.conn).len() <= 10_002);
    // Its socket takes nothing.
    assert_eq!(shard.next_dirty(), Some(peer.conn));
    shard.handle_sent(peer.conn, 0);
    for _ in 0..3 {
        shard.work();
        assert_eq!((shard.next_dirty(), shard.poll_effect()), (None, None));
    }
    assert!(!shard.has_dirty(), "nothing to be done: the shard may sleep");
    let mut secs = 0;
    while b.closed.is_empty() {
        secs += 1;
        b.pass(1);
        b.raw(good, &[0xC0, 0]);
        assert_eq!(b.received(good), ["PingResp"]);
    }
    assert_eq!(b.closed[..], [(Peer { version: Version::V5, ..peer }, CloseCause::Stalled)]);
    assert!((30..=31).contains(&secs), "{secs} s");
    b.settle();
    let census = b.shards[0].census();
    assert_eq!((census.connections, census.output_bytes), (1, 0));
}

/// It goes on where its output has been taken, in as many turns as that needs.
#[test]
fn a_client_that_reads_slowly_gets_every_answer() {
    let mut b = Broker::with(1, limits(|l| l.output_bytes = 1_000));
    let peer = b.connect(Version::V3_1_1, "slow reader");
    b.raw(peer, &[0xC0, 0].repeat(5_000));
    assert_eq!(b.received(peer).len(), 5_000);
    assert_eq!(b.shards[0].census().paused, Paused::default());
}

/// What is appended in one turn waits in memory until its flush, so a turn counts bytes too.
#[test]
fn a_fan_out_of_large_messages_is_sliced_by_its_bytes() {
    let mut b = Broker::new(1);
    let publisher = b.connect(Version::V3_1_1, "publisher");
    for i in 0..300 {
        let s = b.connect(Version::V3_1_1, &i.to_string());
        b.subscribe(s, "x", QoS::AtMostOnce);
    }
    b.shards[0].handle_bytes(publisher.conn, &large_publish(1 << 19));
    let (mut most, mut turns) = (0, 0);
    loop {
        let more = b.shards[0].work();
        most = most.max(b.shards[0].census().output_bytes);
        turns += 1;
        while let Some(conn) = b.shards[0].next_dirty() {
            let len = b.shards[0].output(conn).len();
            b.shards[0].handle_sent(conn, len);
        }
        if !more {
            break;
        }
    }
    assert!(most <= 80 << 20, "{most} bytes in one turn");
    assert!(turns > 1);
    assert_eq!(b.shards[0].counters().messages_sent, 300);
}
