//! 4.8.2 shared subscriptions.

use crate::broker::{Broker, Client, everywhere};
use crate::shorthand::{
    RETAIN_AS_PUBLISHED, acknowledge, breaks, hears, lasting, payloads, publishes, suback, unsuback,
};
use crate::wire::{
    DISCONNECT, PUBACK, PUBCOMP, PUBREC, PUBREL, Properties, Publish, V5, ack, ack_because, prop, subscribe,
    subscribe_with, unsubscribe,
};

const SHARED: &str = "$share/group/a/b";

fn message(qos: u8, id: u16) -> Publish {
    Publish::new("a/b", b"payload").qos(qos, id)
}

fn numbered(qos: u8, number: u8) -> Publish {
    Publish::new("a/b", &[number]).qos(qos, if qos > 0 { 7 } else { 0 })
}

/// Connected members of a group, whose sessions last.
fn members(b: &Broker, filter: &str, qos: u8, count: usize) -> Vec<Client> {
    let member = |number| {
        let (client, _) = lasting(b, V5, &format!("member {number}"));
        client.subscribe(filter, qos);
        client
    };
    (0..count).map(member).collect()
}

/// Publishes one message of QoS `qos` and returns the member that gets it, and its identifier. Nobody else does.
#[track_caller]
fn chosen(b: &Broker, members: &[Client], qos: u8) -> (usize, u16) {
    publishes(&b.v5("publisher"), &message(qos, 7));
    let mut who = Vec::new();
    for (number, member) in members.iter().enumerate() {
        for packet in member.packets() {
            who.push((number, packet.publish(V5).id));
        }
    }
    assert_eq!(who.len(), 1, "one member gets it");
    who[0]
}

#[test]
fn v5_4_8_2_1_a_shared_subscription_begins_with_share_and_a_name() {
    everywhere(|b| {
        for filter in ["$share//a", "$share/", "$share/group", "$share//", "$share//#"] {
            breaks(b, V5, &subscribe(V5, 7, &[(filter, 0)]), 0x8F);
            breaks(b, V5, &unsubscribe(V5, 7, &[filter]), 0x8F);
        }
        // Names of any other characters, and filters that only look so: those are topics like any other.
        for filter in
            ["$share/g/a", "$share/ /a", "$share/é$/a", "$share/$share/a", "$share/g//", "$share/g/#"]
        {
            let member = b.subscriber(V5, "member", filter, 1);
            member.send(&unsubscribe(V5, 7, &[filter]));
            member.expect(&unsuback(V5, 7, &[0]));
        }
        for filter in ["$SHARE/g/a", "$shared/g/a", "$share"] {
            let one = b.subscriber(V5, "one", filter, 0);
            let two = b.subscriber(V5, "two", filter, 0);
            b.v5("publisher").publish(&Publish::new(filter, b"to both"));
            hears(&one, V5, &Publish::new(filter, b"to both"));
            hears(&two, V5, &Publish::new(filter, b"to both"));
        }
    });
}

#[test]
fn v5_4_8_2_2_a_share_name_has_no_wildcards_and_a_filter_follows() {
    everywhere(|b| {
        for filter in ["$share/+/a", "$share/g+/a", "$share/#/a", "$share/g#/a", "$share/g/", "$share/g/a#"] {
            breaks(b, V5, &subscribe(V5, 7, &[(filter, 0)]), 0x8F);
        }
        // The filter alone decides what matches: also that no wildcard in front matches $.
        let member = b.subscriber(V5, "member", "$share/g/+/b", 0);
        let dollar = b.subscriber(V5, "dollar", "$share/g/$a/#", 0);
        let publisher = b.v5("publisher");
        for topic in ["$a/b", "$share/g/a/b", "a/b"] {
            publisher.publish(&Publish::new(topic, topic.as_bytes()));
        }
        hears(&dollar, V5, &Publish::new("$a/b", b"$a/b"));
        hears(&member, V5, &Publish::new("a/b", b"a/b"));
        dollar.expect_nothing();
        member.expect_nothing();
    });
}

#[test]
fn v5_4_8_2_1_a_message_goes_to_one_member_of_each_group_and_to_all_others() {
    everywhere(|b| {
        let first = members(b, "$share/one/a/+", 1, 3);
        let other = |id: &str, filter| b.subscriber(V5, id, filter, 1);
        let second = [other("x", "$share/two/a/b"), other("y", "$share/two/a/b")];
        // Of the same name with another filter: another group.
        let third = [other("z", "$share/one/a/b")];
        let plain = [other("p", "a/b"), other("q", "#")];
        for round in 0..30 {
            publishes(&b.v5("publisher"), &numbered(0, round));
            for group in [&first[..], &second, &third] {
                let came: Vec<_> = group.iter().flat_map(|member| payloads(member, V5)).collect();
                assert_eq!(came, [[round]], "one of them");
            }
            for client in &plain {
                hears(client, V5, &numbered(0, round));
            }
        }
    });
}

#[test]
fn v5_4_8_2_1_the_members_share_evenly_wherever_they_are() {
    everywhere(|b| {
        for count in [2, 4, 7] {
            let filter = format!("$share/{count}/a/b");
            let group = members(b, &filter, 0, count);
            let publisher = b.v5("publisher");
            for number in 0..210_u8 {
                publisher.publish(&numbered(0, number));
            }
            let mut all = Vec::new();
            for member in &group {
                let came = payloads(member, V5).concat();
                assert!(came.is_sorted(), "in order");
                let fair = 210 / count;
                assert!((fair * 3 / 4..=fair * 5 / 4 + 1).contains(&came.len()), "{} of {fair}", came.len());
                all.extend(came);
            }
            all.sort_unstable();
            assert_eq!(all, (0..210).collect::<Vec<u8>>());
            for member in group {
                member.send(&unsubscribe(V5, 7, &[&filter]));
                member.expect(&unsuback(V5, 7, &[0]));
            }
        }
    });
}

#[test]
fn v5_4_8_2_1_nothing_retained_comes_with_a_shared_subscription() {
    everywhere(|b| {
        publishes(&b.v5("publisher"), &message(1, 7).retained());
        let member = b.subscriber(V5, "member", SHARED, 1);
        member.subscribe(SHARED, 1);
        member.expect_nothing();
        let wide = b.subscriber(V5, "wide", "$share/group/#", 1);
        wide.expect_nothing();
    });
}

#[test]
fn v5_4_8_2_1_a_client_with_both_kinds_of_subscription_gets_both_copies() {
    everywhere(|b| {
        let client = b.v5("client");
        let with = |id| Properties::new().varint(prop::SUBSCRIPTION_ID, id);
        for (filter, id, qos) in [(SHARED, 5, 1), ("a/b", 6, 0)] {
            client.send(&subscribe_with(V5, 7, &with(id), &[(filter, qos)]));
            client.expect(&suback(V5, 7, &[qos]));
        }
        publishes(&b.v5("publisher"), &message(1, 7));
        let mut came: Vec<Publish> = client.packets().iter().map(|packet| packet.publish(V5)).collect();
        came.sort_by_key(|message| message.qos);
        let expected = [message(0, 0).properties(with(6)), message(1, came[1].id).properties(with(5))];
        assert_eq!(came, expected);
    });
}

#[test]
fn v5_4_8_2_3_each_member_hears_with_the_qos_granted_to_it() {
    everywhere(|b| {
        let group: Vec<Client> =
            (0..3).map(|qos| b.subscriber(V5, &format!("member {qos}"), SHARED, qos)).collect();
        let mut heard = [0; 3];
        for qos in [2, 1, 0].repeat(12) {
            publishes(&b.v5("publisher"), &message(qos, 7));
            for (granted, member) in (0..3).zip(&group) {
                for packet in member.packets() {
                    let came = packet.publish(V5);
                    assert_eq!(came.qos, qos.min(granted));
                    acknowledge(member, came.qos, came.id);
                    heard[usize::from(granted)] += 1;
                }
            }
        }
        assert!(heard.iter().sum::<i32>() == 36 && heard.iter().all(|count| *count > 0), "{heard:?}");
    });
}

#[test]
fn v5_4_8_2_4_a_qos_2_delivery_is_completed_when_its_member_is_back() {
    everywhere(|b| {
        for released in [false, true] {
            let mut group = members(b, SHARED, 2, 3);
            let (who, id) = chosen(b, &group, 2);
            if released {
                group[who].send(&ack(PUBREC, id));
                group[who].expect(&ack(PUBREL, id));
            }
            group.remove(who).cut();
            b.advance(600);
            group.iter().for_each(Client::expect_nothing);
            let (back, present) = lasting(b, V5, &format!("member {who}"));
            assert!(present);
            if released {
                back.expect(&ack(PUBREL, id));
            } else {
                back.expect(&message(2, id).dup().bytes(V5));
                back.send(&ack(PUBREC, id));
                back.expect(&ack(PUBREL, id));
            }
            back.send(&ack(PUBCOMP, id));
            back.expect_nothing();
            group.iter().for_each(Client::expect_nothing);
            for member in group.iter().chain([&back]) {
                member.send(&unsubscribe(V5, 7, &[SHARED]));
                member.expect(&unsuback(V5, 7, &[0]));
            }
        }
    });
}

#[test]
fn v5_4_8_2_5_a_qos_2_message_of_a_session_that_ends_goes_to_nobody_else() {
    everywhere(|b| {
        let mut group = members(b, SHARED, 2, 4);
        for _ in 0..3 {
            let (who, _) = chosen(b, &group, 2);
            let gone = group.remove(who);
            let end = Properties::new().four(prop::SESSION_EXPIRY, 0);
            gone.send(&crate::wire::disconnect(0, &end));
            b.advance(10_000);
            group.iter().for_each(Client::expect_nothing);
        }
        // The last one leaves with its connection, by the expiry of its session.
        let (_, id) = chosen(b, &group, 2);
        assert!(id > 0);
        group.remove(0).cut();
        b.advance(3_601);
        let late = b.subscriber(V5, "late", SHARED, 2);
        late.expect_nothing();
    });
}

#[test]
fn v5_4_8_2_5_a_qos_1_message_of_a_session_that_ends_goes_to_another_member() {
    everywhere(|b| {
        let mut group = members(b, SHARED, 1, 3);
        let (who, id) = chosen(b, &group, 1);
        let gone = group.remove(who);
        gone.cut();
        group.iter().for_each(Client::expect_nothing);
        // Back with the session: sent again to it and to nobody else.
        let (back, _) = lasting(b, V5, &format!("member {who}"));
        back.expect(&message(1, id).dup().bytes(V5));
        back.send(&crate::wire::disconnect(0, &Properties::new().four(prop::SESSION_EXPIRY, 0)));
        let came: Vec<_> = group.iter().flat_map(|member| payloads(member, V5)).collect();
        assert_eq!(came, [b"payload"], "it should go to another");
    });
}

#[test]
fn v5_4_8_2_6_a_message_that_a_member_refuses_goes_to_nobody_else() {
    everywhere(|b| {
        let group = members(b, SHARED, 2, 3);
        for (qos, first) in [(1, PUBACK), (2, PUBREC)] {
            for reason in [0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99] {
                let (who, id) = chosen(b, &group, qos);
                group[who].send(&ack_because(first, id, reason));
                b.advance(100);
                group.iter().for_each(Client::expect_nothing);
            }
        }
        for (number, member) in group.into_iter().enumerate() {
            member.send(&DISCONNECT);
            lasting(b, V5, &format!("member {number}")).0.expect_nothing();
        }
    });
}

#[test]
fn v5_4_8_2_4_a_member_that_is_away_is_passed_over_while_another_is_there() {
    everywhere(|b| {
        let mut group = members(b, SHARED, 1, 3);
        group.remove(0).cut();
        group.remove(0).send(&DISCONNECT);
        for number in 0..20 {
            publishes(&b.v5("publisher"), &numbered(1, number));
            let id = hears(&group[0], V5, &numbered(1, number));
            acknowledge(&group[0], 1, id);
        }
        // With nobody there, it waits for one of those whose session lasts.
        group.remove(0).cut();
        for number in 0..20 {
            publishes(&b.v5("publisher"), &numbered(1, number));
        }
        let mut came = Vec::new();
        for number in 0..3 {
            let (back, present) = lasting(b, V5, &format!("member {number}"));
            assert!(present);
            came.extend(take_all(&back));
        }
        came.sort_unstable();
        assert_eq!(came, (0..20).collect::<Vec<u8>>(), "each once");
    });
}

fn take_all(client: &Client) -> Vec<u8> {
    let mut all = Vec::new();
    for packet in client.packets() {
        let came = packet.publish(V5);
        client.send(&ack(PUBACK, came.id));
        all.extend(came.payload);
    }
    all
}

#[test]
fn v5_4_8_2_4_what_only_waits_for_a_member_moves_when_it_disconnects() {
    everywhere(|b| {
        let properties = Properties::new().four(prop::SESSION_EXPIRY, 3_600).two(prop::RECEIVE_MAXIMUM, 1);
        let narrow = crate::wire::Connect::new(V5, "narrow").properties(properties);
        let (first, _) = b.connect(&narrow);
        first.subscribe(SHARED, 1);
        for number in 0..10 {
            publishes(&b.v5("publisher"), &numbered(1, number));
        }
        assert_eq!(payloads(&first, V5), [[0]]);
        let other = b.subscriber(V5, "other", SHARED, 1);
        first.cut();
        let came = payloads(&other, V5).concat();
        assert_eq!(came, (1..10).collect::<Vec<u8>>(), "what was sent stays, what waited moves, in order");
    });
}

#[test]
fn v5_4_8_2_1_who_unsubscribes_leaves_the_group() {
    everywhere(|b| {
        let group = members(b, SHARED, 0, 3);
        group[1].send(&unsubscribe(V5, 7, &["a/b", "$share/other/a/b", SHARED, SHARED]));
        group[1].expect(&unsuback(V5, 7, &[0x11, 0x11, 0, 0x11]));
        for number in 0..20 {
            publishes(&b.v5("publisher"), &numbered(0, number));
        }
        group[1].expect_nothing();
        let came: Vec<_> = [&group[0], &group[2]].iter().flat_map(|member| payloads(member, V5)).collect();
        assert_eq!(came.len(), 20);
    });
}

#[test]
fn v5_4_8_2_1_a_message_too_large_for_one_member_goes_to_another() {
    everywhere(|b| {
        let small = |id: &str| {
            let properties = Properties::new().four(prop::MAXIMUM_PACKET_SIZE, 100);
            let (client, _) = b.connect(&crate::wire::Connect::new(V5, id).properties(properties));
            client.subscribe(SHARED, 1);
            client
        };
        let narrow = [small("one"), small("two"), small("three")];
        let wide = b.subscriber(V5, "wide", SHARED, 1);
        let publisher = b.v5("publisher");
        for round in 0..10_u8 {
            for qos in 0..2 {
                publishes(&publisher, &Publish::new("a/b", &[round; 200]).qos(qos, 7));
                let came = wide.published();
                assert_eq!((came.payload, came.qos), (vec![round; 200], qos));
                acknowledge(&wide, qos, came.id);
            }
        }
        narrow.iter().for_each(Client::expect_nothing);
        // Nobody is left who could take it: it is dropped, and all goes on.
        wide.send(&DISCONNECT);
        for qos in 0..2 {
            publishes(&publisher, &Publish::new("a/b", &[0; 200]).qos(qos, 7));
        }
        narrow.iter().for_each(Client::expect_nothing);
        publishes(&publisher, &message(1, 8));
        assert_eq!(narrow.iter().map(|client| client.packets().len()).sum::<usize>(), 1);
    });
}

#[test]
fn v5_4_8_2_1_retain_as_published_holds_for_shared_subscriptions() {
    everywhere(|b| {
        let plain = b.subscriber(V5, "plain", "$share/one/a/b", 1);
        let flagged = b.subscriber(V5, "flagged", "$share/two/a/b", 1 | RETAIN_AS_PUBLISHED);
        for retain in [true, false] {
            let sent = Publish { retain, ..message(1, 7) };
            publishes(&b.v5("publisher"), &sent);
            hears(&plain, V5, &message(1, 0));
            hears(&flagged, V5, &sent);
        }
    });
}

/// One member alone hears in the order of the publisher, however often it comes and goes.
#[test]
fn v5_4_8_2_4_a_member_alone_loses_nothing_while_it_comes_and_goes() {
    everywhere(|b| {
        lasting(b, V5, "member").0.subscribe(SHARED, 1);
        let publisher = b.v5("publisher");
        let mut heard = Vec::new();
        for round in 0..12_u8 {
            for number in 0..5 {
                publisher.write(&numbered(1, round * 5 + number).bytes(V5));
            }
            let (member, present) = lasting(b, V5, "member");
            assert!(present);
            heard.extend(take_all(&member));
            member.cut();
        }
        heard.extend(take_all(&lasting(b, V5, "member").0));
        heard.sort_unstable();
        heard.dedup();
        assert_eq!(heard, (0..60).collect::<Vec<u8>>());
    });
}
