//! What is counted for whoever runs the broker: how often rules decide, and who is connected with which
//! certificate, and where.

use super::judged::{
    Deny, Read, ReadWrite, SHARDS, Write, certificate, rules, thumbprint, trusting, with_will,
};
use super::*;
use crate::policy::certificates::CommonName;
use crate::policy::rules::Access;
use crate::policy::{Generation, ListenerPolicy};
use QoS::{AtLeastOnce, AtMostOnce};

const RULES: &[(Access, &str, &str)] =
    &[(ReadWrite, "boss", "#"), (Deny, "*", "a/secret"), (Read, "*", "a/#"), (Write, "dev", "b/+")];

fn generation(number: u64, of: &[(Access, &str, &str)]) -> Snapshot {
    Snapshot { generation: Generation(number), ..rules(of) }
}

fn hits(b: &Broker) -> (u64, Vec<u64>, u64) {
    let all = b.shards.iter().map(Shard::rule_hits).reduce(RuleHits::with).expect("there is a shard");
    (all.since.0, all.by_rule, all.no_rule)
}

/// The same publish `times` times in one read.
fn at_once(b: &mut Broker, peer: Peer, topic: &str, times: usize) {
    let publish = Packet::Publish(Publish {
        dup: false,
        qos: AtMostOnce,
        retain: false,
        topic,
        packet_id: None,
        properties: PublishProperties::default(),
        payload: b"x",
    });
    let mut bytes = Vec::new();
    publish.encode(peer.version, &mut bytes);
    b.raw(peer, &bytes.repeat(times));
}

#[test]
fn a_rule_counts_what_it_decides() {
    for shards in SHARDS {
        let mut b = Broker::with(shards, generation(3, RULES));
        assert_eq!(hits(&b), (3, vec![0; 4], 0));
        let boss = b.named(Version::V5, "boss");
        b.subscribe(boss, "#", AtMostOnce);
        assert_eq!(hits(&b), (3, vec![1, 0, 0, 0], 0));
        let dev = b.named(Version::V5, "dev");
        // Each is one, also where one judgement was enough for all of a read.
        at_once(&mut b, dev, "b/1", 5);
        b.publish(dev, "b/2", "x", AtLeastOnce, false);
        assert_eq!(hits(&b), (3, vec![1, 0, 0, 6], 0), "and deliveries to boss are not counted");
        b.publish(dev, "a/secret", "x", AtMostOnce, false);
        b.publish(dev, "a/other", "x", AtMostOnce, false);
        b.publish(dev, "elsewhere", "x", AtMostOnce, false);
        b.publish(dev, "$SYS/a", "x", AtMostOnce, false);
        assert_eq!(hits(&b), (3, vec![1, 1, 1, 6], 1), "of $SYS no rule is asked");
        let willing = certificate("willing", CommonName::One("willing".into()));
        let (_, told) = b.arrive(Some(willing), &with_will(connect(Version::V5, "willing"), "a/secret", 0));
        assert!(told[0].contains("NotAuthorized"), "{told:?}");
        b.subscribe(dev, "a/#", AtMostOnce);
        assert_eq!(hits(&b), (3, vec![1, 2, 2, 6], 1));

        // The sweep that looks at the subscriptions again counts nothing, and the same rules keep their counts.
        b.install(generation(4, RULES));
        b.settle();
        assert_eq!(hits(&b), (3, vec![1, 2, 2, 6], 1));
        b.install(generation(5, &RULES[1..]));
        b.settle();
        assert_eq!(hits(&b), (5, vec![0; 3], 0));
        b.install(trusting(&[]));
        assert_eq!(hits(&b).1, [0; 0], "rules do not apply");
    }
}

#[test]
fn whose_publish_was_refused_between_two_of_a_run_counts_for_its_own_rule() {
    let mut b = Broker::with(1, rules(RULES));
    let dev = b.named(Version::V3_1_1, "dev");
    let mut bytes = Vec::new();
    for topic in ["b/1", "a/secret", "b/1"] {
        let properties = PublishProperties::default();
        let (dup, retain, packet_id) = (false, false, None);
        let publish = Publish { dup, qos: AtMostOnce, retain, topic, packet_id, properties, payload: b"x" };
        Packet::Publish(publish).encode(dev.version, &mut bytes);
    }
    b.raw(dev, &bytes);
    assert_eq!(hits(&b).1, [0, 1, 0, 2]);
}

#[test]
fn connections_are_counted_by_their_certificates() {
    for shards in SHARDS {
        let mut b = Broker::with(shards, trusting(&[]));
        let online = |b: &Broker| -> Vec<u32> {
            let asked = ["fleet", "other"].map(thumbprint);
            let of_shards = b.shards.iter().map(|shard| shard.online(&asked));
            of_shards.fold(vec![0; 2], |sum, more| sum.iter().zip(more).map(|(a, b)| a + b).collect())
        };
        let fleet = || Some(certificate("fleet", CommonName::One("fleet".into())));
        let (one, _) = b.arrive(fleet(), &connect(Version::V5, "1"));
        let (_two, _) = b.arrive(fleet(), &Connect { clean_start: false, ..connect(Version::V3_1_1, "2") });
        b.connect(Version::V5, "without");
        assert_eq!(online(&b), [2, 0]);
        let here = |b: &Broker| -> u32 {
            let at = b.shards.iter().flat_map(Shard::at_listeners);
            at.map(|(listener, count)| if *listener == 0 { *count } else { 100 }).sum()
        };
        assert_eq!(here(&b), 3);
        // Taken over, by the same one: it is still two.
        let (one_again, _) = b.arrive(fleet(), &connect(Version::V5, "1"));
        assert!(b.closed.iter().any(|(peer, _)| peer.conn == one.conn));
        assert_eq!(online(&b), [2, 0]);
        b.cut(one_again);
        assert_eq!(online(&b), [1, 0]);
        b.install(trusting(&["fleet"]));
        b.settle();
        assert_eq!((online(&b), here(&b)), (vec![0, 0], 1));
        b.install(Snapshot { listeners: [(1, ListenerPolicy::default())].into(), ..trusting(&[]) });
        b.settle();
        assert!(b.shards.iter().all(|shard| shard.at_listeners().is_empty()));
    }
}
