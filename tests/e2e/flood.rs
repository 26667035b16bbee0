//! Floods against the real binary on two shards: clients that do not read, do not acknowledge, or hardly read, beside
//! well-behaved ones. Memory must stay within the limits, nobody else may wait for ever, nothing may be lost but what
//! is counted.
//!
//! How long the others waited and what memory came to is printed (`--nocapture`), not judged: a test does not know
//! how busy its machine is. `bench/flood.sh` measures it.

#![allow(clippy::disallowed_methods, reason = "the bans keep the broker's pure layers pure; this is a test")]

mod bystanders;
mod process;
mod raw;

use std::cell::Cell;
use std::io::{BufWriter, ErrorKind, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bystanders::Bystanders;
use process::{BACKLOG_FULL, Broker, HANG, OUTPUT_FULL, PAUSED};
use raw::{Dialect, Intake, PINGREQ, Packet, Raw};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const SHARDS: u16 = 2;

// The broker's own limits.
const OUTPUT: usize = 4 * MIB;
const CREDIT: usize = 16 * MIB;
const POOL: usize = 8 * MIB;
const IN_FLIGHT: usize = 1_024;
const BACKLOG: usize = 10_000;
const BACKLOG_BYTES: usize = 16 * MIB;

/// Whatever has no limit of its own: tables, batches, what the allocator keeps.
const SLACK: usize = 24 * MIB;

/// What a flood may add to the resident memory. Buffers grow by doubling, so each may have twice the room it needs.
fn bound(shards: u16, slow_connections: usize, backlogs: usize) -> usize {
    let shards = usize::from(shards) * (2 * CREDIT + POOL);
    shards + slow_connections * 2 * OUTPUT + backlogs * 2 * BACKLOG_BYTES + SLACK
}

/// So many looks in a row without any change are no chance.
const STILL: usize = 20;

/// One flood at a time: they would slow each other down.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn connect(broker: &Broker, stem: &str, shard: u16, intake: Intake) -> Raw {
    Raw::connect(broker.address, &broker.named(stem, shard), Dialect::V3, intake)
}

/// Judges what memory came to since it was `before`.
fn judge_memory(broker: &Broker, before: usize, bound: usize, flooded: usize) {
    let grown = broker.memory("VmHWM").saturating_sub(before);
    println!(
        "flooded {} MiB; memory grew by {} MiB at most, bound {}",
        flooded / MIB,
        grown / MIB,
        bound / MIB
    );
    assert!(flooded > bound + bound / 2, "a flood that would show");
    assert!(grown <= bound, "grown by {grown} bytes, {bound} are allowed");
}

/// Ends the bystanders, and sees that the broker still serves newcomers and stops in order.
fn conclude(broker: Broker, bystanders: Bystanders) {
    let (pings, idle) = bystanders.stop();
    println!("ping and pong: {pings}; PINGREQ: {idle}");
    Bystanders::start(&broker).stop();
    broker.stop();
}

/// The number at the head of a payload.
fn number(payload: &[u8]) -> usize {
    usize::from_be_bytes(payload[..8].try_into().expect("every payload here begins with a number"))
}

/// Publishes `bytes` at QoS 0 in payloads of these sizes, each with its number and its stream, and waits until the
/// broker has taken the last. Answers how many there were.
fn flood(publisher: &mut Raw, topic: &str, stream: u8, sizes: &[usize], bytes: usize) -> usize {
    let packet = |size: &usize| (*size, publisher.dialect.publish(topic, 0, &vec![0xa5; *size]));
    let mut packets: Vec<_> = sizes.iter().map(packet).collect();
    let (mut sent, mut count) = (0, 0_usize);
    while sent < bytes {
        let (payload, packet) = &mut packets[count % sizes.len()];
        let at = packet.len() - *payload;
        packet[at..at + 8].copy_from_slice(&count.to_be_bytes());
        packet[at + 8] = stream;
        publisher.send(packet);
        sent += *payload;
        count += 1;
    }
    publisher.send(&PINGREQ);
    publisher.expect(&Packet::PingResp);
    count
}

/// Reads at last: everything that waits for a subscriber. Answers how much it was; in order, and whole.
fn take_everything(subscriber: &mut Raw, streams: usize) -> usize {
    let mut last = vec![None; streams];
    let mut taken = 0;
    subscriber.send(&PINGREQ);
    loop {
        match subscriber.next() {
            Packet::Publish { payload, .. } => {
                let (number, stream) = (number(&payload), usize::from(payload[8]));
                assert!(last[stream] < Some(number), "{number} after {:?}", last[stream]);
                last[stream] = Some(number);
                assert!(payload[9..].iter().all(|byte| *byte == 0xa5), "the payload as it was sent");
                taken += 1;
            }
            Packet::PingResp => return taken,
            other => panic!("{other:?}"),
        }
    }
}

/// Two subscribers that never read, and a publisher for every way that a message can take: from each shard by way of
/// each topic's home.
fn nobody_reads(shards: u16, bytes: usize) {
    let _alone = alone();
    let broker = Broker::start(shards);
    let routes: Vec<(u16, u16)> =
        (0..shards).flat_map(|from| (0..shards).map(move |home| (from, home))).collect();
    let topics: Vec<String> =
        routes.iter().map(|(from, home)| broker.named(&format!("flood/{from}"), *home)).collect();
    let mut by_name = connect(&broker, "by-name", shards - 1, Intake::Small);
    topics.iter().for_each(|topic| by_name.subscribe(topic, 0));
    let mut by_wildcard = connect(&broker, "by-wildcard", 0, Intake::Small);
    by_wildcard.subscribe("flood/#", 0);
    let bystanders = Bystanders::start(&broker);
    let before = broker.memory("VmRSS");

    let publishing = (0..).zip(routes.iter().zip(&topics)).map(|(stream, ((from, _), topic))| {
        let mut publisher = connect(&broker, &format!("publisher/{stream}"), *from, Intake::Usual);
        let topic = topic.clone();
        thread::spawn(move || {
            flood(&mut publisher, &topic, stream, &[KIB, 64 * KIB, 4 * KIB, 16 * KIB], bytes)
        })
    });
    let publishing: Vec<_> = publishing.collect();
    let published: usize = publishing.into_iter().map(|p| p.join().expect("the flood is taken")).sum();

    let dropped = broker.counts_when_delivered().row(OUTPUT_FULL);
    assert!(dropped > 0);
    judge_memory(&broker, before, bound(shards, 2, 0), routes.len() * bytes);
    let taken = take_everything(&mut by_name, routes.len()) + take_everything(&mut by_wildcard, routes.len());
    println!("{published} published, {taken} taken by two, {dropped} dropped");
    assert_eq!(taken + dropped, 2 * published, "what is lost is counted");
    conclude(broker, bystanders);
}

#[test]
fn a_flood_for_a_subscriber_that_does_not_read() {
    nobody_reads(SHARDS, 96 * MIB);
}

/// From one shard by way of another to a third: the first is drained at full speed, the last is slow.
#[test]
fn a_flood_by_way_of_a_third_shard() {
    nobody_reads(3, 48 * MIB);
}

/// One subscriber with a thousand filters that all match: topic's home and subscriber's shard have far more to do for
/// a message than the shard that reads it. Only credit keeps what is under way small.
#[test]
fn a_flood_for_shards_that_cannot_keep_up() {
    let _alone = alone();
    let broker = Broker::start(3);
    let topic = broker.named(&format!("wide{}", "/b".repeat(10)), 1);
    let mut subscriber = connect(&broker, "subscriber", 2, Intake::Small);
    for mask in 0..1_000 {
        let levels = (0..10).map(|level| if mask >> level & 1 == 0 { "/b" } else { "/+" });
        subscriber.subscribe(&format!("wide{}/+", levels.collect::<String>()), 0);
    }
    let bystanders = Bystanders::start(&broker);
    let before = broker.memory("VmRSS");
    let mut publisher = connect(&broker, "publisher", 0, Intake::Usual);
    let bytes = 272 * MIB;
    let published = flood(&mut publisher, &topic, 0, &[8 * KIB], bytes);
    let dropped = broker.counts_when_delivered().row(OUTPUT_FULL);
    judge_memory(&broker, before, bound(3, 1, 0), bytes);
    assert_eq!(take_everything(&mut subscriber, 1) + dropped, published, "what is lost is counted");
    conclude(broker, bystanders);
}

/// Publishes `count` numbered messages at QoS 1 and takes every PUBACK.
fn publish_acknowledged(mut publisher: Raw, topic: &str, count: usize, size: usize) {
    let mut writer = BufWriter::with_capacity(64 * KIB, publisher.writer());
    let dialect = publisher.dialect;
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut payload = vec![0; size];
            for number in 0..count {
                payload[..8].copy_from_slice(&number.to_be_bytes());
                let packet = dialect.publish(topic, identifier(number), &payload);
                writer.write_all(&packet).expect("the broker takes it");
            }
            writer.flush().expect("the broker takes it");
        });
        for number in 0..count {
            assert_eq!(publisher.next(), Packet::PubAck(identifier(number)));
        }
    });
}

fn identifier(number: usize) -> u16 {
    (number % usize::from(u16::MAX)) as u16 + 1
}

/// Acknowledges from now on: exactly the first `count` messages come, in order.
fn acknowledge_everything(subscriber: &mut Raw, count: usize) {
    for expected in 0..count {
        let Packet::Publish { id, payload } = subscriber.next() else { panic!("a message is due") };
        assert_eq!(number(&payload), expected);
        subscriber.acknowledge(id);
    }
    subscriber.send(&PINGREQ);
    assert_eq!(subscriber.next(), Packet::PingResp, "and no more");
}

/// Reads what comes without acknowledging: as much as may be in flight.
fn read_unacknowledged(subscriber: &mut Raw) -> Vec<u16> {
    let read = (0..IN_FLIGHT).map(|expected| {
        let Packet::Publish { id, payload } = subscriber.next() else { panic!("a message is due") };
        assert_eq!(number(&payload), expected);
        id
    });
    read.collect()
}

/// One topic of small messages, which fill the backlog by their number, and one of larger ones, which fill it by
/// their bytes; for each a subscriber that reads and one that does not, and neither acknowledges.
#[test]
fn subscribers_that_do_not_acknowledge() {
    let _alone = alone();
    let broker = Broker::start(SHARDS);
    let (small, large) = (broker.named("small", 0), broker.named("large", 1));
    let kinds =
        [(&small, 30_000, 32, BACKLOG), (&large, 100_000, 4 * KIB, BACKLOG_BYTES / (large.len() + 4 * KIB))];
    let bystanders = Bystanders::start(&broker);
    let before = broker.memory("VmRSS");
    let mut subscribers = Vec::new();
    let (mut flooded, mut expected) = (0, 0);
    for (shard, (topic, count, size, backlog)) in (0..SHARDS).zip(kinds) {
        let publisher = connect(&broker, "publisher", shard, Intake::Usual);
        let mut reader = connect(&broker, "reader", 1 - shard, Intake::Usual);
        let mut sleeper = connect(&broker, "sleeper", 1 - shard, Intake::Small);
        reader.subscribe(topic, 1);
        sleeper.subscribe(topic, 1);
        let reading = thread::spawn(move || {
            let unacknowledged = read_unacknowledged(&mut reader);
            (reader, unacknowledged)
        });
        publish_acknowledged(publisher, topic, count, size);
        let (reader, unacknowledged) = reading.join().expect("as much as may be in flight");
        subscribers.push((reader, unacknowledged, sleeper, IN_FLIGHT + backlog));
        flooded += count * size;
        expected += 2 * (count - IN_FLIGHT - backlog);
    }
    assert_eq!(broker.counts_when_delivered().row(BACKLOG_FULL), expected, "the limits, to the message");
    judge_memory(&broker, before, bound(SHARDS, 4, 2), flooded);

    for (mut reader, unacknowledged, mut sleeper, kept) in subscribers {
        acknowledge_everything(&mut sleeper, kept);
        for id in unacknowledged {
            reader.acknowledge(id);
        }
        for expected in IN_FLIGHT..kept {
            let Packet::Publish { id, payload } = reader.next() else { panic!("a message is due") };
            assert_eq!(number(&payload), expected);
            reader.acknowledge(id);
        }
    }
    let counts = broker.counts_when_delivered();
    assert_eq!(
        (counts.row(BACKLOG_FULL), counts.row(OUTPUT_FULL)),
        (expected, 0),
        "and nothing else was lost"
    );
    conclude(broker, bystanders);
}

/// A client that floods its topic at QoS 1 and reads nothing until it is told to.
struct Flooder {
    client: Raw,
    topic: String,
}

/// Writes whole laps of `lap` until it is told to stop. Answers how many bytes were taken, and adds them to `all`.
fn write_until(stream: &mut TcpStream, lap: &[u8], stop: &AtomicBool, all: &AtomicUsize) -> usize {
    stream.set_write_timeout(Some(Duration::from_millis(50))).expect("not zero");
    let mut written = 0;
    // Also where the test has failed meanwhile and nobody says stop.
    let hang = Instant::now() + 2 * HANG;
    while !stop.load(Ordering::Relaxed) && Instant::now() < hang {
        match stream.write(&lap[written % lap.len()..]) {
            Ok(bytes) => {
                written += bytes;
                all.fetch_add(bytes, Ordering::Relaxed);
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "the broker holds the connection"),
        }
    }
    stream.set_write_timeout(None).expect("it was set");
    written
}

/// Reads until the answer to a PINGREQ and counts the PUBACKs.
fn count_acknowledgements(client: &mut Raw, acknowledged: &AtomicUsize) {
    loop {
        match client.next() {
            Packet::PubAck(_) => acknowledged.fetch_add(1, Ordering::Relaxed),
            Packet::PingResp => return,
            Packet::Publish { .. } => 0,
            other @ Packet::Other(_) => panic!("{other:?}"),
        };
    }
}

/// Two publishers and two subscribers on opposite shards; all four flood at QoS 1 and none reads. The broker must
/// stop reading them, and once they read again, nothing may be missing.
#[test]
fn floods_both_ways_by_clients_that_read_nothing() {
    let _alone = alone();
    let broker = Broker::start(SHARDS);
    let flooder = |stem: &str, shard| Flooder {
        client: connect(&broker, stem, shard, Intake::Small),
        topic: broker.named(&format!("from/{stem}/{shard}"), shard),
    };
    let mut flooders = [("publisher", 0), ("publisher", 1), ("subscriber", 0), ("subscriber", 1)]
        .map(|(stem, shard)| flooder(stem, shard));
    for (subscriber, publisher, other) in [(2, 1, 3), (3, 0, 2)] {
        let topics = [publisher, other].map(|flooder: usize| flooders[flooder].topic.clone());
        flooders[subscriber].client.subscribe(&topics[0], 0);
        flooders[subscriber].client.subscribe(&topics[1], 1);
    }
    let bystanders = Bystanders::start(&broker);
    let before = broker.memory("VmRSS");

    let (stop, all) = (AtomicBool::new(false), AtomicUsize::new(0));
    let written: usize = thread::scope(|scope| {
        let flooding = flooders.map(|mut flooder| {
            let (stop, all) = (&stop, &all);
            scope.spawn(move || {
                let packets = (0..usize::from(u16::MAX)).map(|number| {
                    flooder.client.dialect.publish(&flooder.topic, identifier(number), &[0xa5; 100])
                });
                let lap = packets.collect::<Vec<_>>();
                let len = lap[0].len();
                let lap = lap.concat();
                let written = write_until(&mut flooder.client.stream, &lap, stop, all);
                (flooder, lap, len, written)
            })
        });
        // Pauses for want of credit come and go. Unread output holds all four for good: nobody's bytes are taken.
        let (last, still) = (Cell::new(0), Cell::new(0));
        let counts = broker.counts_when(|counts| {
            let now = all.load(Ordering::Relaxed);
            let holds = counts.row(PAUSED) == flooding.len() && last.replace(now) == now;
            still.set(if holds { still.get() + 1 } else { 0 });
            still.get() == STILL
        });
        stop.store(true, Ordering::Relaxed);
        // Whether a backlog fills as well depends on who is paused first.
        assert!(counts.row(OUTPUT_FULL) > 0);
        let flooded = flooding.map(|flooding| flooding.join().expect("the broker holds back"));
        let reading = flooded.map(|(flooder, lap, len, written)| {
            scope.spawn(move || read_at_last(flooder.client, &lap, len, written))
        });
        reading.into_iter().map(|reading| reading.join().expect("everything is acknowledged")).sum()
    });
    judge_memory(&broker, before, bound(SHARDS, 4, 0), written);
    conclude(broker, bystanders);
}

/// Reads while it writes on: to the end of the packet that was being written, and a thousand more. Every one is
/// acknowledged. Answers how many bytes there were.
fn read_at_last(mut client: Raw, lap: &[u8], packet: usize, written: usize) -> usize {
    let acknowledged = AtomicUsize::new(0);
    let mut writer = client.writer();
    let end = (written.div_ceil(packet) + 1_000) * packet;
    thread::scope(|scope| {
        scope.spawn(|| count_acknowledgements(&mut client, &acknowledged));
        let rest: Vec<u8> = (written..end).map(|at| lap[at % lap.len()]).collect();
        writer.write_all(&rest).expect("the broker takes it");
        let hang = Instant::now() + HANG;
        while acknowledged.load(Ordering::Relaxed) < end / packet {
            let missing = end / packet - acknowledged.load(Ordering::Relaxed);
            assert!(Instant::now() < hang, "{missing} PUBACKs are missing");
            thread::sleep(Duration::from_millis(5));
        }
        writer.write_all(&PINGREQ).expect("the broker takes it");
    });
    assert_eq!(acknowledged.into_inner(), end / packet, "one for each");
    end
}

/// 5.0, Receive Maximum 1, and slow: never more than one unacknowledged, and nothing lost.
#[test]
fn a_slow_reader_with_receive_maximum_1_loses_nothing() {
    const COUNT: usize = 4_000;
    let _alone = alone();
    let broker = Broker::start(SHARDS);
    let topic = broker.named("slow", 0);
    let id = broker.named("reader", 1);
    let mut reader = Raw::connect(broker.address, &id, Dialect::V5(1), Intake::Small);
    reader.subscribe(&topic, 1);
    let bystanders = Bystanders::start(&broker);
    let publisher = connect(&broker, "publisher", 0, Intake::Usual);
    let publishing = thread::spawn(move || publish_acknowledged(publisher, &topic, COUNT, 3 * KIB));
    for expected in 0..COUNT {
        let Packet::Publish { id, payload } = reader.next() else { panic!("a message is due") };
        assert_eq!(number(&payload), expected);
        // What would come too early comes within a millisecond or so, mostly; and this makes it slow.
        assert!(
            !expected.is_multiple_of(4) || reader.is_quiet_for(Duration::from_millis(1)),
            "one at a time"
        );
        reader.acknowledge(id);
    }
    publishing.join().expect("a full client is not the publisher's failure");
    let counts = broker.counts_when_delivered();
    assert_eq!((counts.row(OUTPUT_FULL), counts.row(BACKLOG_FULL)), (0, 0));
    conclude(broker, bystanders);
}
