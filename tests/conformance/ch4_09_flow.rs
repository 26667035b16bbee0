//! 4.9 flow control.

use crate::broker::{everywhere, everywhere_with};
use crate::shorthand::{lasting, narrow, payloads, publishes};
use crate::wire::{
    Connect, PINGREQ, PINGRESP, PUBACK, PUBCOMP, PUBREC, PUBREL, Packet, Publish, V3, V5, ack, prop,
    subscribe, unsubscribe,
};

fn numbered(qos: u8, number: u8) -> Publish {
    Publish::new("a/b", &[number]).qos(qos, 1 + u16::from(number))
}

#[test]
fn v5_4_9_0_1_the_quota_begins_with_the_receive_maximum_on_each_connection() {
    everywhere(|b| {
        narrow(b, "subscriber", 1).subscribe("a/b", 1);
        let publisher = b.v5("publisher");
        b.connect(&Connect::new(V5, "another").clean(false));
        let (_, away) = lasting(b, V5, "subscriber");
        assert!(away);
        lasting(b, V5, "subscriber").0.cut();
        for number in 0..50 {
            publishes(&publisher, &numbered(1, number));
        }
        for receive_maximum in [1, 4, 9, 1] {
            let subscriber = narrow(b, "subscriber", receive_maximum);
            assert_eq!(payloads(&subscriber, V5).len(), usize::from(receive_maximum));
            subscriber.cut();
        }
        // Who says nothing allows 65,535: more than the broker sends at once, and more than there are here.
        assert_eq!(payloads(&lasting(b, V5, "subscriber").0, V5).len(), 50);
    });
}

/// The broker's own bound is no less a quota, also for 3.1.1, which has none on the wire: all the rest waits.
#[test]
fn v5_4_9_0_2_at_a_quota_of_zero_nothing_of_qos_1_or_2_is_sent() {
    everywhere_with(
        |limits| limits.inflight_messages = 20,
        |b| {
            for version in [V3, V5] {
                let subscriber = b.subscriber(version, "subscriber", "a/b", 2);
                let publisher = b.v5("publisher");
                for number in 0..60 {
                    publishes(&publisher, &numbered(1 + number % 2, number));
                }
                let (mut heard, mut open): (Vec<u8>, Vec<(u16, u8)>) = (Vec::new(), Vec::new());
                loop {
                    for packet in subscriber.packets() {
                        let came = packet.publish(version);
                        heard.extend(&came.payload);
                        open.push((came.id, came.qos));
                    }
                    assert!(open.len() == 20 || heard.len() == 60, "{} are open", open.len());
                    let Some((id, qos)) = open.pop() else { break };
                    if qos == 1 {
                        subscriber.send(&ack(PUBACK, id));
                        continue;
                    }
                    subscriber.send(&ack(PUBREC, id));
                    subscriber.expect(&ack(PUBREL, id));
                    subscriber.expect_nothing();
                    subscriber.send(&ack(PUBCOMP, id));
                }
                assert_eq!(heard, (0..60).collect::<Vec<u8>>());
            }
        },
    );
}

/// 10,000 over the default window, with acknowledgements that come when they come: all arrive, once, in order.
#[test]
fn v5_4_9_0_2_what_is_over_the_quota_waits_and_all_of_it_arrives() {
    everywhere(|b| {
        let subscriber = narrow(b, "subscriber", 20);
        subscriber.subscribe("a/b", 1);
        let publisher = b.v5("publisher");
        let mut heard: u32 = 0;
        let mut take = |packets: Vec<Packet>| {
            for packet in packets {
                let came = packet.publish(V5);
                assert_eq!(came.payload, heard.to_be_bytes());
                heard += 1;
                subscriber.write(&ack(PUBACK, came.id));
            }
            heard
        };
        for number in 0..10_000_u32 {
            let message = Publish::new("a/b", &number.to_be_bytes()).qos(1, 1 + (number % 60_000) as u16);
            publisher.write(&message.bytes(V5));
            if number % 1_000 == 999 {
                publisher.received();
            }
            if number % 3_000 == 2_999 {
                take(subscriber.packets());
            }
        }
        publisher.received();
        let mut turns = 0;
        while take(subscriber.packets()) < 10_000 {
            turns += 1;
            assert!(turns < 2_000, "it stops");
        }
    });
}

#[test]
fn v5_4_9_0_3_at_a_quota_of_zero_all_other_packets_are_answered() {
    everywhere(|b| {
        let subscriber = narrow(b, "subscriber", 1);
        subscriber.subscribe("a/b", 1);
        let publisher = b.v5("publisher");
        for number in 0..5 {
            publishes(&publisher, &numbered(1, number));
        }
        assert_eq!(payloads(&subscriber, V5), [[0]]);
        subscriber.send(&PINGREQ);
        subscriber.expect(&PINGRESP);
        subscriber.send(&subscribe(V5, 7, &[("c", 2)]));
        subscriber.expect(&crate::shorthand::suback(V5, 7, &[2]));
        subscriber.send(&unsubscribe(V5, 8, &["c", "d"]));
        subscriber.expect(&crate::shorthand::unsuback(V5, 8, &[0, 0x11]));
        let listener = b.subscriber(V5, "listener", "own", 0);
        for (qos, first) in [(0, 0), (1, PUBACK), (2, PUBREC)] {
            subscriber.publish(&Publish::new("own", b"own").qos(qos, 9));
            if qos > 0 {
                subscriber.expect(&ack(first, 9));
            }
        }
        subscriber.send(&ack(PUBREL, 9));
        subscriber.expect(&ack(PUBCOMP, 9));
        subscriber.send(&ack(PUBREC, 77));
        assert_eq!(subscriber.packet().first, PUBREL);
        assert_eq!(payloads(&listener, V5).len(), 3);
        subscriber.expect_nothing();
    });
}

/// The other way: a client that has used up the broker's quota is answered in everything else.
#[test]
fn v5_4_9_0_3_a_client_that_has_used_up_our_quota_is_answered() {
    everywhere_with(
        |limits| limits.receive_maximum = 2,
        |b| {
            let (client, connack) = b.connect(&Connect::new(V5, "client"));
            assert_eq!(connack.property(prop::RECEIVE_MAXIMUM), Some(vec![0, 2]));
            client.subscribe("a/b", 1);
            for number in 0..2 {
                client.publish(&Publish::new("c", b"").qos(2, 1 + number));
                assert_eq!(client.packet().first, PUBREC);
            }
            client.send(&PINGREQ);
            client.expect(&PINGRESP);
            publishes(&b.v5("publisher"), &numbered(1, 3));
            let came = client.published();
            client.send(&ack(PUBACK, came.id));
            client.publish(&Publish::new("a/b", b"own"));
            assert_eq!(payloads(&client, V5), [b"own"]);
            client.send(&ack(PUBREL, 1));
            client.expect(&ack(PUBCOMP, 1));
            client.publish(&Publish::new("c", b"").qos(2, 3));
            assert_eq!(client.packet().first, PUBREC);
            client.expect_nothing();
        },
    );
}

/// Send quota and Receive Maximum are not preserved across connections: what a client has not released on the one
/// before does not count on the new one.
#[test]
fn v5_4_9_0_1_a_clients_quota_is_whole_again_on_a_new_connection() {
    everywhere_with(
        |limits| limits.receive_maximum = 3,
        |b| {
            let (client, _) = lasting(b, V5, "client");
            for id in 1..=3 {
                client.publish(&Publish::new("a/b", b"first").qos(2, id));
                assert_eq!(client.packet().first, PUBREC);
            }
            client.cut();
            let (client, present) = lasting(b, V5, "client");
            assert!(present);
            for id in 11..=13 {
                client.publish(&Publish::new("a/b", b"second").qos(2, id));
                assert_eq!(client.packet().first, PUBREC, "it may send three");
            }
            for id in [1, 2, 3, 11, 12, 13] {
                client.send(&ack(PUBREL, id));
                client.expect(&ack(PUBCOMP, id));
            }
            client.cut();
            // Repeated messages count as sent on this connection; they are known and not delivered again.
            let listener = b.subscriber(V5, "listener", "a/b", 0);
            let (client, _) = lasting(b, V5, "client");
            for id in 1..=3 {
                client.publish(&Publish::new("a/b", b"third").qos(2, id));
                client.expect(&ack(PUBREC, id));
            }
            client.cut();
            let (client, _) = lasting(b, V5, "client");
            for id in 1..=3 {
                client.publish(&Publish::new("a/b", b"third").qos(2, id).dup());
                client.expect(&ack(PUBREC, id));
            }
            assert_eq!(payloads(&listener, V5).len(), 3);
            client.publish(&Publish::new("a/b", b"over").qos(2, 4));
            client.expect_disconnect(0x93);
        },
    );
}
