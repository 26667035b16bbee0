//! A listener closes: who came to it is put out, for nothing that the client has done.

use super::court::connect_bytes;
use super::judged::{Deny, ReadWrite, SHARDS, certificate, lasting, rules, topics, trusting, with_will};
use super::*;
use crate::policy::certificates::CommonName;
use crate::policy::{Attempt, Ground, ListenerPolicy};
use QoS::AtMostOnce;

/// The listener that everybody came to, 0, is no longer there.
fn closed(revoked: &[&str]) -> Snapshot {
    Snapshot { listeners: [(1, ListenerPolicy::default())].into(), ..trusting(revoked) }
}

/// A client that has a session, a subscription and a will.
fn dev(b: &mut Broker) -> Peer {
    let certificate = certificate("dev", CommonName::One("dev".into()));
    let (dev, _) = b.arrive(Some(certificate), &with_will(lasting("dev", 10), "will", 0));
    b.subscribe(dev, "t", AtMostOnce);
    dev
}

/// A client that came to a listener that stays.
fn watcher(b: &mut Broker) -> Peer {
    let home = client_home(&KEY, b.shards.len() as u16, "watcher").0;
    b.next += 1;
    let conn = ConnId { index: b.next, generation: b.next };
    let opened = Opened::plain("127.0.0.1:1".parse().expect("an address"), 1, b.now.after_secs(10));
    b.shards[usize::from(home)].handle_open(conn, opened);
    let watcher = Peer { shard: home, conn, version: Version::V5 };
    b.send(watcher, &Packet::Connect(connect(Version::V5, "watcher")));
    b.received(watcher);
    b.subscribe(watcher, "#", AtMostOnce);
    watcher
}

/// Both listeners are open.
fn open(b: &mut Broker, snapshot: Snapshot) {
    let listeners = [(0, ListenerPolicy::default()), (1, ListenerPolicy::default())].into();
    b.install(Snapshot { listeners, ..snapshot });
    b.settle();
}

/// By the sweep, by the next packet of its own or of somebody else before it, or as its connection is lost.
#[test]
fn who_came_to_it_is_told_and_its_will_is_published() {
    for shards in SHARDS {
        for case in 0..4 {
            let mut b = Broker::with(shards, trusting(&[]));
            open(&mut b, trusting(&[]));
            let watcher = watcher(&mut b);
            let dev = dev(&mut b);
            b.install(closed(&[]));
            match case {
                0 => b.settle(),
                1 => b.publish(dev, "t", "mine", AtMostOnce, false),
                2 => b.publish(watcher, "t", "others'", AtMostOnce, false),
                _ => b.cut(dev),
            }
            let told = b.received(dev);
            if case < 3 {
                let [last] = &told[..] else { panic!("case {case}: {told:?}") };
                assert!(last.contains("Disconnect") && last.contains("AdministrativeAction"), "{last}");
                let rejected = b.shards.iter().flat_map(Shard::rejections);
                let rejected: Vec<_> = rejected.map(|one| (&one.attempt, &one.ground)).collect();
                assert_eq!(rejected, [(&Attempt::Stay, &Ground::Listener)]);
            }
            b.pass(1);
            let heard = b.received(watcher);
            let expected: &[&str] = if case == 2 { &["t", "will"] } else { &["will"] };
            let mut heard = topics(&heard);
            heard.sort_unstable();
            assert_eq!(heard, expected, "case {case}");
            // Its session is kept.
            assert_eq!(b.shards.iter().map(|shard| shard.census().sessions).sum::<usize>(), 2);
        }
    }
}

#[test]
fn what_speaks_against_the_client_itself_still_costs_it_its_will() {
    for shards in SHARDS {
        for cut in [false, true] {
            let mut b = Broker::with(shards, trusting(&[]));
            open(&mut b, trusting(&[]));
            let watcher = watcher(&mut b);
            let dev = dev(&mut b);
            b.install(closed(&["dev"]));
            if cut {
                b.shards[usize::from(dev.shard)].handle_end(dev.conn, End::Closed);
            }
            b.pass(1);
            assert_eq!(b.received(watcher), [""; 0]);
        }
    }
}

/// The same install that closes the listener takes the topic from it.
#[test]
fn its_will_is_judged_by_the_rules_of_that_install() {
    for shards in SHARDS {
        for cut in [false, true] {
            let mut b = Broker::with(shards, rules(&[(ReadWrite, "*", "#")]));
            open(&mut b, rules(&[(ReadWrite, "*", "#")]));
            let watcher = watcher(&mut b);
            let dev = dev(&mut b);
            let denied = rules(&[(Deny, "*", "will"), (ReadWrite, "*", "#")]);
            b.install(Snapshot { listeners: closed(&[]).listeners, ..denied });
            if cut {
                b.shards[usize::from(dev.shard)].handle_end(dev.conn, End::Closed);
            }
            b.pass(1);
            assert_eq!(b.received(watcher), [""; 0]);
            assert_eq!(b.count(|c| c.publishes_refused), 1);
        }
    }
}

#[test]
fn a_connect_that_comes_after_it_closed_is_refused() {
    for shards in SHARDS {
        for version in [Version::V5, Version::V3_1_1] {
            let mut b = Broker::with(shards, trusting(&[]));
            let home = client_home(&KEY, shards, "dev").0;
            let peer = b.open(home, version);
            let bytes = connect_bytes(version, "dev", |_| {});
            b.raw(peer, &bytes[..5]);
            b.install(closed(&[]));
            b.raw(peer, &bytes[5..]);
            let told = b.received(peer);
            assert!(told[0].contains("ServerUnavailable"), "{told:?}");
            assert_eq!(b.count(|c| c.connects_refused), 1);
        }
    }
}
