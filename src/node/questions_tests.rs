//! Questions to whole nodes of several shards, with real peers.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::sync::Arc;

use super::tests::{client, node, publish, subscribe};
use super::*;
use crate::policy::{Attempt, Credentials, Ground, Limits, Snapshot, TraceSet, TraceSpec};
use crate::routing::ShardId;
use crate::shard::Latency;

/// PUBLISH with RETAIN.
fn retained(topic: &str, payload: &[u8]) -> Vec<u8> {
    let mut packet = publish(topic, payload);
    packet[0] |= 1;
    packet
}

fn ids(rows: &[ClientRow]) -> BTreeSet<String> {
    rows.iter().map(|row| row.client_id.to_string()).collect()
}

#[test]
fn pages_go_over_all_shards_and_meet_everybody_once() {
    let (node, address) = node(4, Limits::default());
    let mut clients: Vec<_> = (0..25).map(|n| client(address, &format!("client-{n}"))).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        subscribe(client, "to/all");
        subscribe(client, &format!("to/{}", n % 5));
    }
    let mut query = ClientQuery { most: 4, ..ClientQuery::default() };
    let mut rows = Vec::new();
    loop {
        let page = node.clients(&query);
        assert!(page.rows.len() <= 4);
        rows.extend(page.rows);
        // As the API gives it out and takes it back.
        query.after = page.next.map(|next| next.to_string().parse().expect("a cursor"));
        if query.after.is_none() {
            break;
        }
    }
    assert_eq!((rows.len(), ids(&rows).len()), (25, 25));
    assert_eq!(rows.iter().map(|row| row.home).collect::<BTreeSet<ShardId>>().len(), 4);
    let query = ClientQuery { text: "CLIENT-2".to_owned(), ..ClientQuery::default() };
    assert_eq!(node.clients(&query).rows.len(), 6);
    let beyond = ClientQuery { after: "9-0-0".parse().ok(), ..ClientQuery::default() };
    assert_eq!(node.clients(&beyond), ClientPage { rows: Vec::new(), next: None });
    let mut query = SubscriptionQuery { most: 7, ..SubscriptionQuery::default() };
    let mut told = BTreeSet::new();
    let mut count = 0;
    loop {
        let page = node.subscriptions(&query);
        count += page.rows.len();
        told.extend(page.rows.into_iter().map(|row| (row.client_id, row.filter)));
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    assert_eq!((count, told.len()), (50, 50));
    let detail = node.client("client-7").expect("it is there");
    let filters: BTreeSet<_> = detail.subscriptions.iter().map(|row| &*row.filter).collect();
    assert_eq!(filters, BTreeSet::from(["to/2", "to/all"]));
    assert_eq!(node.client("nobody"), None);
    assert_eq!(node.top_clients(Measure::Subscriptions, 3).len(), 3);
    node.stop();
}

#[test]
fn a_client_is_kicked_wherever_it_lives() {
    let (node, address) = node(3, Limits::default());
    let mut clients: Vec<_> = (0..6).map(|n| client(address, &format!("client-{n}"))).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        assert!(node.kick(&format!("client-{n}"), KickWhat::Connection));
        assert_eq!(client.read(&mut [0; 9]).expect("an end"), 0);
        assert!(!node.kick(&format!("client-{n}"), KickWhat::Session));
    }
    node.stop();
}

#[test]
fn retained_messages_of_all_shards_make_one_order() {
    let (node, address) = node(4, Limits::default());
    let mut publisher = client(address, "publisher");
    let topics: Vec<String> = (0..40).map(|n| format!("t/{}/{n:02}", n % 3)).collect();
    for topic in &topics {
        publisher.write_all(&retained(topic, topic.as_bytes())).expect("sent");
    }
    let mut sorted = topics.clone();
    sorted.sort();
    let mut query = RetainedQuery::default();
    // The last publish is at its home once it can be asked for: others were sent before it, to other homes.
    while node.retained(&query).rows.len() < topics.len() {
        std::thread::yield_now();
    }
    query.most = 7;
    let mut rows = Vec::new();
    loop {
        let page = node.retained(&query);
        assert!(page.rows.len() <= 7);
        rows.extend(page.rows.into_iter().map(|row| row.topic.to_string()));
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    assert_eq!(rows, sorted);
    let level = |prefix: &str, most, after: Option<&str>| {
        let query = LevelQuery { prefix: prefix.to_owned(), most, after: after.map(str::to_owned) };
        node.retained_level(&query)
    };
    let root = level("", 10, None);
    assert_eq!(root.children, [LevelChild { name: "t".to_owned(), has_message: false, below: 40 }]);
    assert_eq!((root.next, root.complete), (None, true));
    let first = level("t", 2, None);
    let counts: Vec<_> = first.children.iter().map(|child| (&*child.name, child.below)).collect();
    assert_eq!((counts, first.next.as_deref()), (vec![("0", 14), ("1", 13)], Some("1")));
    let rest = level("t/", 2, Some("1"));
    assert_eq!((rest.children.len(), rest.children[0].below, rest.next), (1, 13, None));
    let message = node.retained_message(&topics[5]).expect("it is there");
    assert_eq!(message.payload, topics[5].as_bytes());
    assert!(node.remove_retained(&topics[5]) && !node.remove_retained(&topics[5]));
    assert_eq!(node.retained_message(&topics[5]), None);
    node.stop();
}

#[test]
fn an_install_tells_when_each_shard_had_it_and_what_became_of_everybody() {
    let (node, address) = node(3, Limits::default());
    let clients: Vec<_> = (0..9).map(|n| client(address, &format!("client-{n}"))).collect();
    let credentials = Arc::new(Credentials::new(true, []));
    let snapshot = Snapshot { credentials, persistent_sessions: true, ..Snapshot::default() };
    let installed = node.install(Arc::new(snapshot));
    let shards: Vec<ShardId> = installed.shards.iter().map(|(shard, _)| *shard).collect();
    assert_eq!(shards, [0, 1, 2].map(ShardId));
    assert!(installed.shards.iter().all(|(_, after)| *after <= installed.took));
    let aftermath = node.swept();
    assert_eq!((aftermath.clients_disconnected, aftermath.subscriptions_withdrawn), (9, 0));
    assert_eq!((aftermath.reasons.len(), aftermath.reasons[0].1), (1, 9));
    assert_eq!(aftermath.disconnected.len(), 9);
    for mut client in clients {
        assert_eq!(client.read(&mut [0; 9]).expect("an end"), 0);
    }
    let told = node.rejections(0);
    let numbers: Vec<u64> = told.rejections.iter().map(|kept| kept.number).collect();
    assert_eq!((numbers, told.last), ((1..=9).collect(), 9));
    assert!(
        told.rejections
            .iter()
            .all(|kept| kept.attempt == Attempt::Stay && kept.ground == Ground::Credentials)
    );
    assert_eq!(node.rejections(7).rejections.len(), 2);
    assert_eq!(node.rejections(9).rejections.len(), 0);
    node.stop();
}

#[test]
fn a_trace_is_read_as_it_happens_and_a_reader_that_stops_holds_up_nobody() {
    let (node, address) = node(2, Limits::default());
    let spec = TraceSpec { payload_bytes: 9, ..TraceSpec::default() };
    node.trace(Some(&Arc::new(TraceSet::new(vec![spec]).expect("it is right"))));
    let mut peer = client(address, "peer");
    subscribe(&mut peer, "t");
    peer.write_all(&publish("t", b"payload")).expect("sent");
    let reader = node.traced();
    let told: Vec<_> = (0..6).map(|_| reader.recv().expect("the node is there")).collect();
    let packets: Vec<_> = told.iter().map(|record| format!("{:?}", record.packet)).collect();
    assert_eq!(packets, ["Connect", "ConnAck", "Subscribe", "SubAck", "Publish", "Publish"]);
    assert_eq!(&*told[5].payload, b"payload");
    // Nobody reads: the channel fills, and the rest is counted.
    let pings = 20_000;
    let mut answers = vec![0; 2 * pings];
    let mut writer = peer.try_clone().expect("cloned");
    let writing = std::thread::spawn(move || writer.write_all(&[0xC0, 0].repeat(pings)).expect("sent"));
    peer.read_exact(&mut [0; 12]).expect("what it published");
    peer.read_exact(&mut answers).expect("every ping is answered");
    writing.join().expect("it ends");
    node.trace(None);
    let dropped: u64 = node.reports().iter().map(|report| report.counters.trace_dropped).sum();
    assert_eq!(dropped + reader.len() as u64, 2 * pings as u64);
    node.stop();
    assert_eq!(reader.iter().count() as u64 + dropped, 2 * pings as u64);
}

#[test]
fn reports_tell_how_long_publications_took() {
    let (node, address) = node(2, Limits::default());
    let mut clients: Vec<_> = (0..8).map(|n| client(address, &format!("client-{n}"))).collect();
    clients.iter_mut().for_each(|client| subscribe(client, "t"));
    for _ in 0..10 {
        clients[0].write_all(&publish("t", b"payload")).expect("sent");
        clients.iter_mut().for_each(|client| client.read_exact(&mut [0; 12]).expect("received"));
    }
    let mut all = Latency::default();
    for report in node.reports() {
        assert_eq!(report.latency.histogram().len(), 10, "the clients live on both shards");
        all.add(&report.latency);
    }
    let slowest = all.histogram().max();
    assert!(slowest < 5_000_000, "{slowest} microseconds");
    node.stop();
}
