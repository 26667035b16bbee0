//! How long publications take inside: recorded once a run and shard, at the flush that carries the last of it.

use super::court::at_home;
use super::*;
use QoS::{AtLeastOnce, AtMostOnce};

fn counts(b: &Broker) -> Vec<u64> {
    b.shards.iter().map(|shard| shard.latency().histogram().len()).collect()
}

/// A PUBLISH at QoS 0 of `t`.
const PUBLISH: &[u8] = b"\x30\x04\x00\x01tx";

#[test]
fn each_run_counts_once_on_each_shard_with_subscribers() {
    let mut b = Broker::new(3);
    let publisher = b.connect(Version::V3_1_1, "publisher");
    for shard in [0, 2] {
        for n in 0..5 {
            let peer = b.connect(Version::V3_1_1, &at_home(3, shard, &format!("subscriber {n} ")));
            b.subscribe(peer, "t", AtMostOnce);
        }
    }
    // Neighbours make one run.
    b.raw(publisher, &PUBLISH.repeat(3));
    assert_eq!(counts(&b), [1, 0, 1]);
    b.raw(publisher, PUBLISH);
    b.publish(publisher, "nobody subscribes", "x", AtMostOnce, false);
    assert_eq!(counts(&b), [2, 0, 2]);
    let mut all = Latency::default();
    b.shards.iter().for_each(|shard| all.add(shard.latency()));
    assert_eq!((all.histogram().len(), all.since(b.shards[0].latency()).histogram().len()), (4, 2));
    b.shards[0].handle_system("$SYS/broker/x", b"1");
    b.settle();
    assert_eq!(counts(&b), [2, 0, 2], "what the broker says of itself counts nowhere");
}

#[test]
fn it_is_the_time_until_the_last_of_a_fan_out_is_flushed() {
    let mut b = Broker::new(1);
    let publisher = b.connect(Version::V3_1_1, "publisher");
    for n in 0..300 {
        let peer = b.connect(Version::V3_1_1, &format!("subscriber {n}"));
        b.subscribe(peer, "t", AtMostOnce);
    }
    let shard = &mut b.shards[0];
    let start = b.now;
    shard.handle_bytes(publisher.conn, PUBLISH);
    assert!(!shard.work());
    // Three flushes of a hundred connections, each a millisecond later; the turn after each tells the time.
    for round in 1..=3 {
        for _ in 0..100 {
            let conn = shard.next_dirty().expect("there is more");
            let waiting = shard.output(conn).len();
            shard.handle_sent(conn, waiting);
        }
        assert_eq!(shard.latency().histogram().len(), 0);
        shard.handle_time(Time(start.0 + round * 1_000));
    }
    let histogram = shard.latency().histogram();
    assert_eq!(histogram.len(), 1);
    assert!(histogram.equivalent(histogram.max(), 3_000), "{}", histogram.max());
}

#[test]
fn what_waits_for_its_client_is_not_counted() {
    let mut b = Broker::new(1);
    let publisher = b.connect(Version::V5, "publisher");
    let mut c = connect(Version::V5, "subscriber");
    c.properties.receive_maximum = std::num::NonZeroU16::new(1);
    let (peer, _) = b.connect_with(&c);
    b.subscribe(peer, "t", AtLeastOnce);
    b.publish(publisher, "t", "sent", AtLeastOnce, false);
    assert_eq!(counts(&b), [1]);
    b.publish(publisher, "t", "waits", AtLeastOnce, false);
    b.pass(100);
    b.ack(peer, 1, Packet::PubAck);
    assert_eq!(b.received(peer).len(), 2);
    assert_eq!(counts(&b), [1]);
}

#[test]
fn what_nobody_flushes_takes_bounded_memory() {
    let mut b = Broker::new(1);
    let publisher = b.connect(Version::V3_1_1, "publisher");
    let peer = b.connect(Version::V3_1_1, "subscriber");
    b.subscribe(peer, "t", AtMostOnce);
    let shard = &mut b.shards[0];
    let runs = 10_000;
    for n in 0..runs {
        shard.handle_time(Time(b.now.0 + n));
        shard.handle_bytes(publisher.conn, PUBLISH);
        shard.work();
    }
    b.settle();
    assert_eq!(counts(&b), [runs]);
}
