//! Shared subscriptions: who takes a message, and when it moves to another member.

use std::num::{NonZeroU16, NonZeroU32};

use super::*;
use crate::mqtt::ReasonCode;
use crate::mqtt::ack::Ack;
use crate::mqtt::unsubscribe::{FilterNamesBuilder, Unsubscribe};

const SHARDS: [u16; 3] = [1, 2, 5];

/// A member with a session that outlives its connection.
fn durable(b: &mut Broker, id: &str, change: impl FnOnce(&mut ConnectProperties<'_>)) -> Peer {
    resume(b, id, change).0
}

/// The same, and what it gets.
fn resume(b: &mut Broker, id: &str, change: impl FnOnce(&mut ConnectProperties<'_>)) -> (Peer, Vec<String>) {
    let mut c = Connect { clean_start: false, ..connect(Version::V5, id) };
    c.properties.session_expiry_secs = Some(1_000);
    change(&mut c.properties);
    b.connect_with(&c)
}

fn member(b: &mut Broker, id: &str, filter: &str, qos: QoS) -> Peer {
    let peer = durable(b, id, |_| {});
    assert!(b.subscribe(peer, filter, qos)[0].contains("SubAck"));
    peer
}

fn refuse(b: &mut Broker, peer: Peer, id: u16, packet: impl FnOnce(Ack<'static>) -> Packet<'static>) {
    let id = PacketId::new(id).expect("not zero");
    b.send(peer, &packet(Ack::new(id, ReasonCode::UnspecifiedError)));
}

fn at_rest(b: &Broker) {
    for census in b.shards.iter().map(Shard::census) {
        assert_eq!((census.credit_messages, census.work, census.joins), (0, 0, 0));
    }
}

#[test]
fn each_message_goes_to_one_member_of_each_group_and_evenly() {
    for shards in SHARDS {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let mut b = Broker::new(shards);
            let publisher = b.connect(Version::V3_1_1, "publisher");
            let members: Vec<Peer> =
                (0..10).map(|i| b.connect(Version::V5, &format!("member {i}"))).collect();
            members.iter().for_each(|m| drop(b.subscribe(*m, "$share/g/a/+", qos)));
            let other = b.connect(Version::V3_1_1, "other");
            assert!(b.subscribe(other, "$share/h/a/b", qos)[0].contains("SubAck"));
            let plain = b.connect(Version::V5, "plain");
            b.subscribe(plain, "a/b", qos);
            for i in 0..100 {
                b.publish(publisher, "a/b", &i.to_string(), qos, false);
            }
            let mut all = Vec::new();
            for m in members {
                let got = b.received(m);
                assert_eq!(got.len(), 10, "{got:?}");
                all.extend(got.iter().map(|p| p.rsplit(' ').next().expect("a payload").to_owned()));
            }
            all.sort();
            all.dedup();
            assert_eq!(all.len(), 100, "nothing twice, nothing lost");
            assert_eq!((b.received(other).len(), b.received(plain).len()), (100, 100));
            at_rest(&b);
        }
    }
}

#[test]
fn retained_messages_are_not_replayed_and_no_local_is_an_error() {
    for shards in SHARDS {
        let mut b = Broker::new(shards);
        let client = b.connect(Version::V5, "client");
        b.publish(client, "a/b", "old", QoS::AtMostOnce, true);
        assert_eq!(b.subscribe(client, "$share/g/a/b", QoS::AtMostOnce).len(), 1, "a SUBACK only");
        let rap = SubscriptionOptions { retain_as_published: true, ..options(QoS::AtMostOnce) };
        b.subscribe_with(client, "$share/g/a/b", rap, Some(5));
        b.publish(client, "a/b", "new", QoS::AtMostOnce, true);
        assert_eq!(b.received(client), ["a/b retained q0 id0 new"]);
        let no_local = SubscriptionOptions { no_local: true, ..options(QoS::AtMostOnce) };
        let answer = b.subscribe_with(client, "$share/g/a/c", no_local, None);
        assert!(answer[0].contains("ProtocolError"), "{answer:?}");
        assert!(b.closed.iter().any(|(peer, _)| peer.conn == client.conn));
    }
}

#[test]
fn the_member_with_less_to_do_is_taken() {
    for shards in SHARDS {
        let mut b = Broker::new(shards);
        let publisher = b.connect(Version::V5, "publisher");
        let busy = durable(&mut b, "busy", |p| p.receive_maximum = NonZeroU16::new(1));
        b.subscribe(busy, "$share/g/t", QoS::AtLeastOnce);
        b.publish(publisher, "t", "first", QoS::AtLeastOnce, false);
        // A name whose home is the same shard: between shards it is turns, not work, that counts.
        let home = client_home(&KEY, shards, "busy");
        let idle = (0..).map(|i| format!("idle {i}")).find(|id| client_home(&KEY, shards, id) == home);
        let idle = member(&mut b, &idle.expect("one of them"), "$share/g/t", QoS::AtLeastOnce);
        for _ in 0..5 {
            b.publish(publisher, "t", "more", QoS::AtLeastOnce, false);
        }
        assert_eq!((b.received(busy).len(), b.received(idle).len()), (1, 5));
    }
}

#[test]
fn what_waits_moves_when_a_member_disconnects_and_what_is_in_flight_when_its_session_ends() {
    for shards in SHARDS {
        let mut b = Broker::new(shards);
        let publisher = b.connect(Version::V5, "publisher");
        let first = durable(&mut b, "first", |p| p.receive_maximum = NonZeroU16::new(2));
        b.subscribe(first, "$share/g/t", QoS::AtLeastOnce);
        for i in 0..5 {
            b.publish(publisher, "t", &i.to_string(), QoS::AtLeastOnce, false);
        }
        assert_eq!(b.received(first), ["t q1 id1 0", "t q1 id2 1"], "two in flight, three wait");
        let second = member(&mut b, "second", "$share/g/t", QoS::AtLeastOnce);
        b.cut(first);
        b.settle();
        assert_eq!(b.received(second), ["t q1 id1 2", "t q1 id2 3", "t q1 id3 4"]);
        b.pass(999);
        assert_eq!(b.received(second), [""; 0], "what is in flight stays while the session does");
        b.pass(70);
        assert_eq!(b.received(second), ["t q1 id4 0", "t q1 id5 1"]);
        at_rest(&b);
    }
}

#[test]
fn what_was_sent_at_qos_2_stays_with_its_session() {
    for shards in SHARDS {
        let mut b = Broker::new(shards);
        let publisher = b.connect(Version::V5, "publisher");
        let first = member(&mut b, "first", "$share/g/t", QoS::ExactlyOnce);
        b.publish(publisher, "t", "half", QoS::ExactlyOnce, false);
        assert_eq!(b.received(first), ["t q2 id1 half"]);
        let second = member(&mut b, "second", "$share/g/t", QoS::ExactlyOnce);
        b.cut(first);
        let (again, got) = resume(&mut b, "first", |_| {});
        assert_eq!(got[1..], ["t q2 id1 half dup"], "[MQTT-4.8.2-4]");
        b.cut(again);
        b.pass(1_100);
        assert_eq!(b.received(second), [""; 0], "[MQTT-4.8.2-5]");
    }
}

#[test]
fn a_member_that_refuses_has_it_discarded() {
    for shards in SHARDS {
        let mut b = Broker::new(shards);
        let publisher = b.connect(Version::V5, "publisher");
        let first = member(&mut b, "first", "$share/g/t", QoS::ExactlyOnce);
        b.publish(publisher, "t", "one", QoS::AtLeastOnce, false);
        b.publish(publisher, "t", "two", QoS::ExactlyOnce, false);
        b.received(first);
        let second = member(&mut b, "second", "$share/g/t", QoS::ExactlyOnce);
        refuse(&mut b, first, 1, Packet::PubAck);
        refuse(&mut b, first, 2, Packet::PubRec);
        b.cut(first);
        b.pass(1_100);
        assert_eq!(b.received(second), [""; 0], "[MQTT-4.8.2-6]");
    }
}

#[test]
fn with_nobody_connected_a_session_keeps_them_and_a_connected_member_is_preferred() {
    for shards in SHARDS {
        let mut b = Broker::new(shards);
        let publisher = b.connect(Version::V5, "publisher");
        let sleepers: Vec<Peer> =
            (0..4).map(|i| member(&mut b, &format!("sleeper {i}"), "$share/g/#", QoS::AtLeastOnce)).collect();
        sleepers.iter().for_each(|s| b.cut(*s));
        for i in 0..8 {
            b.publish(publisher, &format!("t/{i}"), "kept", QoS::AtLeastOnce, false);
            b.publish(publisher, &format!("t/{i}"), "not kept", QoS::AtMostOnce, false);
        }
        let awake = member(&mut b, "awake", "$share/g/#", QoS::AtLeastOnce);
        b.publish(publisher, "t/9", "live", QoS::AtLeastOnce, false);
        assert_eq!(b.received(awake), ["t/9 q1 id1 live"]);
        let kept: Vec<String> =
            (0..4).flat_map(|i| resume(&mut b, &format!("sleeper {i}"), |_| {}).1).collect();
        assert_eq!(kept.iter().filter(|p| p.ends_with(" kept")).count(), 8, "{kept:?}");
        at_rest(&b);
    }
}

#[test]
fn a_packet_too_large_for_one_member_goes_to_another() {
    for shards in SHARDS {
        let mut b = Broker::new(shards);
        let publisher = b.connect(Version::V5, "publisher");
        let small: Vec<Peer> = (0..5)
            .map(|i| durable(&mut b, &format!("small {i}"), |p| p.maximum_packet_size = NonZeroU32::new(100)))
            .collect();
        small.iter().for_each(|s| drop(b.subscribe(*s, "$share/g/t", QoS::AtLeastOnce)));
        let large = member(&mut b, "large", "$share/g/t", QoS::AtLeastOnce);
        let payload = "x".repeat(200);
        for _ in 0..6 {
            b.publish(publisher, "t", &payload, QoS::AtLeastOnce, false);
        }
        assert_eq!(b.received(large).len(), 6);
        b.cut(large);
        b.pass(1_100);
        b.publish(publisher, "t", &payload, QoS::AtLeastOnce, false);
        let dropped: u64 = b.shards.iter().map(|s| s.counters().drops.no_member).sum();
        assert_eq!(dropped, 1 + 6, "nobody is left who can take it, or those that moved");
        at_rest(&b);
    }
}

#[test]
fn members_come_and_go_while_messages_are_under_way() {
    for shards in SHARDS {
        let mut b = Broker::new(shards);
        let publisher = b.connect(Version::V5, "publisher");
        let mut members = Vec::new();
        let mut got = 0;
        for i in 0..40 {
            members.push(member(&mut b, &format!("member {i}"), "$share/g/t", QoS::AtLeastOnce));
            b.publish(publisher, "t", "x", QoS::AtLeastOnce, false);
            if i % 3 == 0 {
                let gone = members.remove(0);
                // Each answers for what it got before it says goodbye: nothing is left to move.
                for id in 1..=b.received(gone).len() {
                    b.ack(gone, id as u16, Packet::PubAck);
                    got += 1;
                }
                b.cut(gone);
            }
        }
        b.pass(1_100);
        got += members.iter().map(|m| b.received(*m).len()).sum::<usize>();
        assert_eq!(got, 40);
        let slots: usize = b.shards.iter().map(|s| s.census().slots).sum();
        members.iter().for_each(|m| b.cut(*m));
        b.pass(1_100);
        assert!(slots > 0);
        for census in b.shards.iter().map(Shard::census) {
            assert_eq!((census.slots, census.routes, census.subscriptions), (0, 0, 0));
        }
        at_rest(&b);
    }
}

/// A flag that is wrong costs a detour, and nothing goes round for ever.
#[test]
fn what_a_member_hands_back_goes_to_none_that_may_not_read_it_whatever_its_flag_says() {
    use super::judged::{Deny, ReadWrite, rules, topics};
    for shards in SHARDS {
        for with_another in [true, false] {
            let mut b = Broker::with(shards, rules(&[(ReadWrite, "*", "#")]));
            let boss = b.named(Version::V5, "boss");
            let (blind, _) = b.durable("blind", 1);
            b.subscribe(blind, "$share/g/a/+", QoS::AtLeastOnce);
            b.say(boss, &["a/ok", "a/secret"], QoS::AtLeastOnce);
            assert_eq!(topics(&b.received(blind)), ["a/ok"]);
            let other = with_another.then(|| b.named(Version::V5, "other"));
            if let Some(other) = other {
                b.subscribe(other, "$share/g/a/+", QoS::AtLeastOnce);
            }
            b.install(rules(&[(Deny, "blind", "a/secret"), (ReadWrite, "*", "#")]));
            b.settle();
            let shard = &mut b.shards[usize::from(blind.shard)];
            let slot = shard.slots.find("$share/g/a/+").expect("somebody subscribes");
            let client = shard.client_of(blind.conn).expect("it is connected");
            let sub = shard.clients[client].subscription_mut(slot).expect("it subscribes");
            assert!(sub.flags.judged());
            sub.flags.set_judged(false);
            let (position, flags) = (sub.position as usize, sub.flags);
            shard.slots[slot].subscribers[position].flags = flags;
            b.ack(blind, 1, Packet::PubAck);
            assert_eq!(b.received(blind), [""; 0]);
            assert_eq!(b.count(|c| c.drops.no_member), u64::from(!with_another));
            if let Some(other) = other {
                assert_eq!(topics(&b.received(other)), ["a/secret"]);
            }
        }
    }
}

/// What a member gives up goes round by its group's name, not by its slot, which the next filter may have by then.
#[test]
fn what_moves_never_comes_to_the_next_tenant_of_a_slot() {
    for leaves in [false, true] {
        let mut b = Broker::new(1);
        let one = NonZeroU16::new(1);
        let member = match leaves {
            true => durable(&mut b, "member", |properties| properties.receive_maximum = one),
            false => b.connect(Version::V5, "member"),
        };
        b.subscribe(member, "$share/g/#", QoS::AtLeastOnce);
        let [publisher, next] = ["publisher", "next"].map(|id| b.connect(Version::V5, id));
        b.publish(publisher, "a", "in flight", QoS::AtLeastOnce, false);
        b.publish(publisher, "a", "in flight or waiting", QoS::AtLeastOnce, false);
        b.shards[0].set_pace(Pace { appends_per_turn: 1, ..Pace::default() });
        if leaves {
            let (mut names, mut bytes) = (FilterNamesBuilder::default(), Vec::new());
            names.push("$share/g/#");
            let (packet_id, user) = (PacketId::new(9).expect("not zero"), UserProperties::default());
            let unsubscribe = Unsubscribe { packet_id, user, filters: names.filters() };
            Packet::Unsubscribe(unsubscribe).encode(Version::V5, &mut bytes);
            b.shards[0].handle_bytes(member.conn, &bytes);
        } else {
            b.shards[0].handle_end(member.conn, End::Closed);
        }
        assert!(b.shards[0].work(), "there is more to do");
        let told = b.subscribe(next, "$share/h/#", QoS::AtLeastOnce);
        assert!(told.len() == 1 && told[0].contains("SubAck"), "leaves: {leaves}, {told:?}");
        assert_eq!(b.count(|c| c.drops.no_member), if leaves { 1 } else { 2 });
    }
}
