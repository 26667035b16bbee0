//! 4.1 session state, 4.2 network connections, 4.4 what is sent again, 4.5 what is kept for clients.

use crate::broker::{Broker, Client, everywhere};
use crate::shorthand::{acknowledge, hears, lasting, narrow, payloads, publishes, suback};
use crate::sockets::Process;
use crate::wire::{
    Connect, DISCONNECT, PINGREQ, PINGRESP, PUBACK, PUBCOMP, PUBREC, PUBREL, Properties, Publish, V3, V5,
    Version, ack, ack_because, prop, subscribe, unsubscribe,
};

fn message(qos: u8, id: u16) -> Publish {
    Publish::new("a/b", b"payload").qos(qos, id)
}

/// A client whose session ends so many seconds after its connection.
fn expiring(b: &Broker, clean: bool, secs: u32) -> (Client, bool) {
    let properties = Properties::new().four(prop::SESSION_EXPIRY, secs);
    let (client, connack) = b.connect(&Connect::new(V5, "client").clean(clean).properties(properties));
    (client, connack.session_present())
}

#[test]
fn v5_4_1_0_1_no_session_ends_while_its_connection_is_open() {
    everywhere(|b| {
        for secs in [0, 1, 5] {
            let (client, _) = expiring(b, true, secs);
            client.subscribe("a/b", 1);
            let publisher = b.v5("publisher");
            publishes(&publisher, &message(1, 7));
            let id = hears(&client, V5, &message(1, 0));
            b.advance(100_000);
            publishes(&publisher, &message(1, 8));
            hears(&client, V5, &message(1, 0));
            client.send(&ack(PUBACK, id));
            client.expect_nothing();
        }
    });
}

#[test]
fn v5_4_1_0_1_a_new_connection_may_change_when_the_session_ends() {
    everywhere(|b| {
        let (client, _) = expiring(b, true, 5);
        client.subscribe("a/b", 1);
        client.cut();
        let (client, present) = expiring(b, false, 5_000);
        assert!(present);
        client.cut();
        b.advance(4_999);
        let (client, present) = expiring(b, false, 0);
        assert!(present);
        b.advance(50);
        publishes(&b.v5("publisher"), &message(1, 7));
        hears(&client, V5, &message(1, 0));
        client.cut();
        assert!(!expiring(b, false, 5).1);
    });
}

#[test]
fn v5_4_1_0_2_a_session_ends_when_its_expiry_has_passed() {
    everywhere(|b| {
        let publisher = b.v5("publisher");
        publishes(&publisher, &message(1, 7).retained());
        for secs in [0, 1, 60, 3_600] {
            let (client, _) = expiring(b, true, secs);
            client.subscribe("a/b", 1);
            assert_eq!(client.published().payload, b"payload");
            client.cut();
            if secs > 1 {
                b.advance(u64::from(secs) - 1);
                let (client, present) = expiring(b, false, secs);
                assert!(present, "it lasts for {secs} s");
                client.cut();
            }
            publisher.publish(&Publish::new("a/b", b"while away").qos(1, 8));
            // The wheel may come by a moment late.
            b.advance(u64::from(secs) + 1);
            let (client, present) = expiring(b, false, 0);
            assert!(!present, "after {secs} s it is gone");
            publisher.publish(&message(0, 0));
            client.expect_nothing();
            client.send(&unsubscribe(V5, 9, &["a/b"]));
            client.expect(&crate::shorthand::unsuback(V5, 9, &[0x11]));
        }
        // What is retained is no part of a session.
        assert_eq!(crate::shorthand::retained(b, V5, "a/b").len(), 1);
    });
}

/// Subscriptions, what waits, and both halves of what is under way are there again, also after a long time.
fn state_is_kept(version: Version) {
    everywhere(|b| {
        let (client, present) = lasting(b, version, "client");
        assert!(!present);
        client.subscribe("a/b", 2);
        let publisher = b.of(version, "publisher");
        publishes(&publisher, &message(1, 7));
        publishes(&publisher, &message(2, 7));
        let (first, second) =
            (hears(&client, version, &message(1, 0)), hears(&client, version, &message(2, 0)));
        client.send(&ack(PUBREC, second));
        client.expect(&ack(PUBREL, second));
        client.publish(&Publish::new("own", b"mine").qos(2, 0x77));
        assert_eq!(client.packet().first, PUBREC);
        client.close();
        let listener = b.subscriber(version, "listener", "own", 2);
        publishes(&publisher, &Publish::new("a/b", b"while away").qos(2, 9));
        b.advance(3_000);
        let (client, present) = lasting(b, version, "client");
        assert!(present);
        client.expect(&message(1, first).dup().bytes(version));
        client.expect(&ack(PUBREL, second));
        hears(&client, version, &Publish::new("a/b", b"while away").qos(2, 0));
        client.publish(&Publish::new("own", b"mine").qos(2, 0x77).dup());
        client.expect(&ack(PUBREC, 0x77));
        client.send(&ack(PUBREL, 0x77));
        client.expect(&ack(PUBCOMP, 0x77));
        listener.expect_nothing();
        publisher.publish(&message(0, 0));
        hears(&client, version, &message(0, 0));
    });
}

#[test]
fn v5_4_1_0_1_everything_that_belongs_to_a_session_is_there_again() {
    state_is_kept(V5);
}

#[test]
fn v3_4_1_0_1_everything_that_belongs_to_a_session_is_stored_with_it() {
    state_is_kept(V3);
}

#[test]
fn v3_4_1_0_2_a_session_lasts_as_long_as_its_connection() {
    everywhere(|b| {
        for clean in [true, false] {
            let (client, _) = b.connect(&Connect::new(V3, "client").clean(clean));
            client.subscribe("a/b", 1);
            // Longer than any session lasts without a connection.
            b.advance(100 * 24 * 3_600);
            publishes(&b.v3("publisher"), &message(1, 7));
            let id = hears(&client, V3, &message(1, 0));
            acknowledge(&client, 1, id);
        }
    });
}

/// A byte stream in pieces of any size and both ways, against the real binary.
fn tcp_is_supported(version: Version) {
    let broker = Process::start();
    let mut client = broker.client();
    client.send(&Connect::new(version, "client").bytes());
    assert_eq!(client.packet().reason(), 0);
    let mut stream = subscribe(version, 7, &[("a/b", 1)]);
    for number in 0..50_u8 {
        let payload = vec![number; usize::from(number) * 200];
        stream.extend(Publish::new("a/b", &payload).qos(1, 1 + u16::from(number)).bytes(version));
    }
    stream.extend(PINGREQ);
    for piece in stream.chunks(701) {
        client.send(piece);
    }
    let (mut heard, mut acknowledged, mut pings) = (0_u8, 0, 0);
    while (heard, acknowledged, pings) != (50, 50, 1) {
        let packet = client.packet();
        match packet.first {
            0x90 => assert_eq!((packet.codes(version), heard), (&[1][..], 0)),
            PUBACK => {
                acknowledged += 1;
                assert_eq!(packet.id(), acknowledged);
            }
            0xD0 => pings += 1,
            _ => {
                let payload = packet.publish(version).payload;
                assert_eq!(payload, vec![heard; usize::from(heard) * 200], "in order and whole");
                heard += 1;
            }
        }
    }
    client.send(&DISCONNECT);
    client.expect_closed();
}

#[test]
fn v5_4_2_0_1_tcp_is_an_ordered_lossless_stream_of_bytes_both_ways() {
    tcp_is_supported(V5);
}

#[test]
fn v3_7_1_1_1_tcp_is_an_ordered_lossless_stream_of_bytes_both_ways() {
    tcp_is_supported(V3);
}

fn sent_again_only_on_reconnect(version: Version) {
    everywhere(|b| {
        let (client, _) = lasting(b, version, "client");
        client.subscribe("a/b", 2);
        let publisher = b.of(version, "publisher");
        let sent: Vec<Publish> =
            (0..6).map(|number| Publish::new("a/b", &[number]).qos(1 + number % 2, 7)).collect();
        sent.iter().for_each(|message| publishes(&publisher, message));
        let ids: Vec<u16> = sent.iter().map(|message| hears(&client, version, message)).collect();
        // Not when time passes, not with other packets.
        b.advance(1_000);
        client.send(&PINGREQ);
        client.expect(&PINGRESP);
        client.subscribe("c", 0);
        client.expect_nothing();
        client.send(&ack(PUBREC, ids[1]));
        client.expect(&ack(PUBREL, ids[1]));
        client.send(&ack(PUBACK, ids[2]));
        b.advance(1_000);
        client.expect_nothing();
        for _ in 0..2 {
            client_again(b, version, &sent, &ids);
        }
        // A clean session has nothing to send again.
        assert!(!b.connect(&Connect::new(version, "client")).1.session_present());
        let (client, present) = lasting(b, version, "client");
        assert!(!present);
        client.expect_nothing();
    });
}

fn client_again(b: &Broker, version: Version, sent: &[Publish], ids: &[u16]) {
    let (client, present) = lasting(b, version, "client");
    assert!(present);
    for (at, (message, id)) in sent.iter().zip(ids).enumerate() {
        match at {
            1 => client.expect(&ack(PUBREL, *id)),
            2 => {}
            _ => client.expect(&message.clone().qos(message.qos, *id).dup().bytes(version)),
        }
    }
    b.advance(1_000);
    client.expect_nothing();
    client.cut();
}

#[test]
fn v5_4_4_0_1_what_is_unacknowledged_is_sent_again_on_reconnect_and_at_no_other_time() {
    sent_again_only_on_reconnect(V5);
}

#[test]
fn v3_4_4_0_1_what_is_unacknowledged_is_sent_again_with_its_identifiers() {
    sent_again_only_on_reconnect(V3);
}

#[test]
fn v5_4_4_0_2_a_refusing_acknowledgement_acknowledges() {
    everywhere(|b| {
        lasting(b, V5, "client").0.subscribe("a/b", 2);
        let publisher = b.v5("publisher");
        for (qos, first) in [(1, PUBACK), (2, PUBREC)] {
            for reason in [0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99] {
                let (client, present) = lasting(b, V5, "client");
                assert!(present);
                client.expect_nothing();
                publishes(&publisher, &message(qos, 7));
                let id = hears(&client, V5, &message(qos, 0));
                client.send(&ack_because(first, id, reason));
                client.expect_nothing();
                client.cut();
            }
        }
        lasting(b, V5, "client").0.expect_nothing();
    });
}

/// For every session with a subscription that matches, whether its client is there or not.
fn added_to_every_session(version: Version) {
    everywhere(|b| {
        let filters = ["a/b", "a/+", "#", "a/b/#"];
        for (number, filter) in filters.iter().enumerate() {
            let (away, _) = lasting(b, version, &format!("away {number}"));
            away.subscribe(filter, 2);
            away.cut();
        }
        let here: Vec<Client> = filters
            .iter()
            .enumerate()
            .map(|(number, filter)| b.subscriber(version, &format!("here {number}"), filter, 2))
            .collect();
        let (other, _) = lasting(b, version, "other");
        other.subscribe("b/a", 2);
        other.cut();
        let publisher = b.of(version, "publisher");
        for qos in 1..3 {
            publishes(&publisher, &message(qos, 7));
        }
        // The publisher's own session need not be there any more.
        publisher.cut();
        for client in &here {
            (1..3).for_each(|qos| _ = hears(client, version, &message(qos, 0)));
        }
        for number in 0..filters.len() {
            let (client, present) = lasting(b, version, &format!("away {number}"));
            assert!(present);
            (1..3).for_each(|qos| _ = hears(&client, version, &message(qos, 0)));
            client.expect_nothing();
        }
        lasting(b, version, "other").0.expect_nothing();
    });
}

#[test]
fn v5_4_5_0_1_a_message_is_added_to_every_session_that_subscribes() {
    added_to_every_session(V5);
}

#[test]
fn v3_4_5_0_1_a_message_is_added_to_every_session_that_subscribes() {
    added_to_every_session(V3);
}

#[test]
fn v5_4_5_0_1_a_message_of_a_client_that_is_cut_off_at_once_is_owned_all_the_same() {
    everywhere(|b| {
        let listener = narrow(b, "listener", 100);
        listener.send(&subscribe(V5, 7, &[("a/#", 2)]));
        listener.expect(&suback(V5, 7, &[2]));
        for qos in 0..3 {
            let publisher = b.v5("publisher");
            publisher.send(&message(qos, 7).bytes(V5));
            publisher.cut();
        }
        assert_eq!(payloads(&listener, V5).len(), 3);
    });
}
