//! 4.3 the protocols of QoS 0, 1 and 2, from both sides.

use std::collections::BTreeSet;

use crate::broker::{Client, everywhere};
use crate::shorthand::{acknowledge, hears, lasting, narrow, payloads, publishes, suback};
use crate::wire::{
    PINGREQ, PINGRESP, PUBACK, PUBCOMP, PUBREC, PUBREL, Properties, Publish, V3, V5, Version, ack,
    ack_because, prop, subscribe,
};

fn message(qos: u8, id: u16) -> Publish {
    Publish::new("a/b", b"payload").qos(qos, id)
}

fn qos_0(version: Version) {
    everywhere(|b| {
        let subscriber = b.subscriber(version, "subscriber", "a/b", 0);
        let publisher = b.of(version, "publisher");
        for qos in 0..3 {
            publishes(&publisher, &message(qos, 7));
            subscriber.expect(&message(0, 0).bytes(version));
        }
        publisher.expect_nothing();
        subscriber.expect_nothing();
    });
}

#[test]
fn v5_4_3_1_1_qos_0_is_sent_once_with_qos_0_and_dup_0() {
    qos_0(V5);
}

#[test]
fn v3_4_3_1_1_qos_0_is_sent_once_with_qos_0_and_dup_0() {
    qos_0(V3);
}

/// No identifier is used twice at a time, also when the counter comes round to those in use.
fn identifiers_are_unused(version: Version, qos: u8) {
    // The messages of one round: 70 rounds go through all 65,535 identifiers and begin anew.
    const ROUND: u16 = 1_000;
    everywhere(|b| {
        let subscriber = b.subscriber(version, "subscriber", "a/b", qos);
        let publisher = b.of(version, "publisher");
        let mut held = BTreeSet::new();
        for round in 0..70 {
            for number in 0..ROUND {
                publisher.write(&message(qos, 1 + number).bytes(version));
            }
            let mut came = subscriber.packets();
            for release in publisher.packets().iter().filter(|packet| packet.first == PUBREC) {
                publisher.write(&ack(PUBREL, release.id()));
            }
            came.extend(subscriber.packets());
            assert_eq!(came.len(), usize::from(ROUND));
            let ids: Vec<u16> = came.iter().map(|packet| packet.publish(version).id).collect();
            let fresh: BTreeSet<u16> = ids.iter().copied().collect();
            assert!(fresh.len() == ids.len() && !fresh.contains(&0), "each once, and not 0");
            assert!(fresh.is_disjoint(&held), "round {round}: {:?} are in use", fresh.intersection(&held));
            // The first few of the first round are never acknowledged.
            let keep = if round == 0 { 10 } else { 0 };
            held.extend(&ids[..keep]);
            finish(&subscriber, qos, &ids[keep..]);
            publisher.received();
        }
    });
}

/// Acknowledges all of these.
fn finish(subscriber: &Client, qos: u8, ids: &[u16]) {
    let all = |first| ids.iter().flat_map(|id| ack(first, *id)).collect::<Vec<u8>>();
    if qos == 1 {
        return subscriber.send(&all(PUBACK));
    }
    subscriber.send(&all(PUBREC));
    subscriber.expect(&all(PUBREL));
    subscriber.send(&all(PUBCOMP));
}

#[test]
fn v5_4_3_2_1_qos_1_takes_an_unused_identifier_for_each_message() {
    identifiers_are_unused(V5, 1);
}

#[test]
fn v5_4_3_3_1_qos_2_takes_an_unused_identifier_for_each_message() {
    identifiers_are_unused(V5, 2);
}

#[test]
fn v3_4_3_2_1_qos_1_takes_an_unused_identifier_for_each_message() {
    identifiers_are_unused(V3, 1);
}

#[test]
fn v3_4_3_3_1_qos_2_takes_an_unused_identifier_for_each_message() {
    identifiers_are_unused(V3, 2);
}

fn first_sent_without_dup(version: Version, qos: u8) {
    everywhere(|b| {
        let (subscriber, _) = lasting(b, version, "subscriber");
        subscriber.subscribe("a/b", 2);
        let publisher = b.of(version, "publisher");
        publishes(&publisher, &message(qos, 7));
        let id = hears(&subscriber, version, &message(qos, 0));
        acknowledge(&subscriber, qos, id);
        publishes(&publisher, &message(qos, 7).dup());
        let id = hears(&subscriber, version, &message(qos, 0));
        acknowledge(&subscriber, qos, id);
        subscriber.cut();
        // What waited has not been sent before.
        publishes(&publisher, &message(qos, 7));
        hears(&lasting(b, version, "subscriber").0, version, &message(qos, 0));
    });
}

#[test]
fn v5_4_3_2_2_qos_1_is_first_sent_with_dup_0() {
    first_sent_without_dup(V5, 1);
}

#[test]
fn v5_4_3_3_2_qos_2_is_first_sent_with_dup_0() {
    first_sent_without_dup(V5, 2);
}

#[test]
fn v3_4_3_2_1_qos_1_is_first_sent_with_dup_0() {
    first_sent_without_dup(V3, 1);
}

#[test]
fn v3_4_3_3_1_qos_2_is_first_sent_with_dup_0() {
    first_sent_without_dup(V3, 2);
}

/// Nothing but the acknowledgement of this one takes it out of what is sent again.
fn unacknowledged(version: Version, qos: u8) {
    let first = if qos == 1 { PUBACK } else { PUBREC };
    everywhere(|b| {
        let (subscriber, _) = lasting(b, version, "subscriber");
        subscriber.subscribe("a/b", 2);
        publishes(&b.of(version, "publisher"), &message(qos, 7));
        let id = hears(&subscriber, version, &message(qos, 0));
        subscriber.send(&ack(PUBACK, id + 1));
        subscriber.send(&ack(PUBREC, id + 1));
        assert_eq!(subscriber.packet().first, PUBREL, "of another exchange");
        subscriber.send(&PINGREQ);
        subscriber.expect(&PINGRESP);
        subscriber.close();
        let (subscriber, _) = lasting(b, version, "subscriber");
        subscriber.expect(&message(qos, id).dup().bytes(version));
        subscriber.send(&ack(first, id));
        if qos == 2 {
            subscriber.expect(&ack(PUBREL, id));
        }
        subscriber.close();
        let (subscriber, present) = lasting(b, version, "subscriber");
        assert!(present);
        if qos == 2 {
            subscriber.expect(&ack(PUBREL, id));
        }
        subscriber.expect_nothing();
    });
}

#[test]
fn v5_4_3_2_3_qos_1_is_unacknowledged_until_its_puback() {
    unacknowledged(V5, 1);
}

#[test]
fn v5_4_3_3_3_qos_2_is_unacknowledged_until_its_pubrec() {
    unacknowledged(V5, 2);
}

#[test]
fn v3_4_3_2_1_qos_1_is_unacknowledged_until_its_puback() {
    unacknowledged(V3, 1);
}

#[test]
fn v3_4_3_3_1_qos_2_is_unacknowledged_until_its_pubrec() {
    unacknowledged(V3, 2);
}

/// Acknowledged once it has reached its subscribers' sessions; with its own identifier, whichever.
fn answered(version: Version, qos: u8) {
    everywhere(|b| {
        let subscriber = b.subscriber(version, "subscriber", "a/b", 2);
        let publisher = b.of(version, "publisher");
        for id in [1, 0x00FF, 0x0100, 0x8000, 0xFFFF] {
            publisher.publish(&message(qos, id));
            publisher.expect(&ack(if qos == 1 { PUBACK } else { PUBREC }, id));
            publisher.expect_nothing();
            hears(&subscriber, version, &message(qos, 0));
        }
    });
}

#[test]
fn v5_4_3_2_4_qos_1_is_answered_with_puback_of_its_identifier() {
    answered(V5, 1);
}

#[test]
fn v5_4_3_3_8_qos_2_is_answered_with_pubrec_of_its_identifier() {
    answered(V5, 2);
}

/// After its acknowledgement an identifier stands for a new message, whatever DUP says.
fn a_new_message_after_puback(version: Version) {
    everywhere(|b| {
        let subscriber = b.subscriber(version, "subscriber", "a/b", 1);
        let publisher = b.of(version, "publisher");
        for dup in [false, true, true, false] {
            let again = Publish { dup, ..message(1, 7) };
            publisher.publish(&again);
            publisher.expect(&ack(PUBACK, 7));
            hears(&subscriber, version, &message(1, 0));
        }
        subscriber.expect_nothing();
    });
}

#[test]
fn v5_4_3_2_5_after_puback_the_identifier_is_a_new_message() {
    a_new_message_after_puback(V5);
}

#[test]
fn v3_4_3_2_2_qos_1_is_answered_with_puback_and_its_identifier_is_then_a_new_message() {
    answered(V3, 1);
    a_new_message_after_puback(V3);
}

fn pubrec_is_answered(version: Version) {
    everywhere(|b| {
        let subscriber = b.subscriber(version, "subscriber", "a/b", 2);
        let publisher = b.of(version, "publisher");
        let ids: Vec<u16> = (0..5)
            .map(|_| {
                publishes(&publisher, &message(2, 7));
                hears(&subscriber, version, &message(2, 0))
            })
            .collect();
        for id in ids.iter().rev() {
            subscriber.send(&ack(PUBREC, *id));
            subscriber.expect(&ack(PUBREL, *id));
            subscriber.expect_nothing();
        }
        for id in ids {
            subscriber.send(&ack(PUBCOMP, id));
        }
        subscriber.expect_nothing();
    });
}

#[test]
fn v5_4_3_3_4_pubrec_is_answered_with_pubrel_of_its_identifier() {
    pubrec_is_answered(V5);
    everywhere(|b| {
        let subscriber = b.subscriber(V5, "subscriber", "a/b", 2);
        let publisher = b.v5("publisher");
        // A refusal is not, and its identifier is free; 0x10 is a success.
        publishes(&publisher, &message(2, 7));
        let id = hears(&subscriber, V5, &message(2, 0));
        subscriber.send(&ack_because(PUBREC, id, 0x80));
        subscriber.expect_nothing();
        subscriber.send(&ack(PUBREC, id));
        assert_eq!(subscriber.packet().reason(), 0x92);
    });
}

fn pubrel_is_unacknowledged(version: Version) {
    everywhere(|b| {
        let (subscriber, _) = lasting(b, version, "subscriber");
        subscriber.subscribe("a/b", 2);
        publishes(&b.of(version, "publisher"), &message(2, 7));
        let id = hears(&subscriber, version, &message(2, 0));
        subscriber.send(&ack(PUBREC, id));
        subscriber.expect(&ack(PUBREL, id));
        for _ in 0..3 {
            let (again, present) = lasting(b, version, "subscriber");
            assert!(present);
            again.expect(&ack(PUBREL, id));
            again.expect_nothing();
            again.cut();
        }
        let (again, _) = lasting(b, version, "subscriber");
        again.expect(&ack(PUBREL, id));
        again.send(&ack(PUBCOMP, id));
        again.cut();
        lasting(b, version, "subscriber").0.expect_nothing();
    });
}

#[test]
fn v5_4_3_3_5_pubrel_is_unacknowledged_until_its_pubcomp() {
    pubrel_is_unacknowledged(V5);
}

#[test]
fn v5_4_3_3_6_after_pubrel_the_message_is_not_sent_again() {
    pubrel_is_unacknowledged(V5);
}

#[test]
fn v3_4_3_3_1_pubrec_is_answered_with_pubrel_which_is_unacknowledged_until_pubcomp() {
    pubrec_is_answered(V3);
    pubrel_is_unacknowledged(V3);
}

#[test]
fn v5_4_3_3_7_what_was_sent_does_not_expire() {
    everywhere(|b| {
        let expiring = |qos| message(qos, 7).properties(Properties::new().four(prop::MESSAGE_EXPIRY, 5));
        let (subscriber, _) = lasting(b, V5, "subscriber");
        subscriber.subscribe("a/b", 2);
        let publisher = b.v5("publisher");
        for _ in 0..2 {
            publishes(&publisher, &expiring(2));
        }
        let first = hears(&subscriber, V5, &expiring(2));
        let second = hears(&subscriber, V5, &expiring(2));
        subscriber.send(&ack(PUBREC, first));
        subscriber.expect(&ack(PUBREL, first));
        b.advance(60);
        subscriber.cut();
        let (subscriber, _) = lasting(b, V5, "subscriber");
        subscriber.expect(&ack(PUBREL, first));
        let again = subscriber.published();
        assert_eq!((again.dup, again.id, again.qos), (true, second, 2), "the exchange goes on");
        assert_eq!(again.payload, b"payload");
        acknowledge(&subscriber, 2, second);
        subscriber.send(&ack(PUBCOMP, first));
        subscriber.expect_nothing();
    });
}

#[test]
fn v5_4_3_3_9_after_a_refusing_pubrec_the_identifier_is_a_new_message() {
    everywhere(|b| {
        let subscriber = b.subscriber(V5, "subscriber", "a/b", 2);
        let publisher = b.v5("publisher");
        for dup in [false, true] {
            publisher.publish(&Publish::new("$SYS/made/up", b"forged").qos(2, 7));
            let refused = publisher.packet();
            assert_eq!((refused.first, refused.id(), refused.reason()), (PUBREC, 7, 0x87));
            publisher.publish(&Publish { dup, ..message(2, 7) });
            publisher.expect(&ack(PUBREC, 7));
            hears(&subscriber, V5, &message(2, 0));
            publisher.send(&ack(PUBREL, 7));
            publisher.expect(&ack(PUBCOMP, 7));
        }
        // Released, it is unknown: the refusal had ended the exchange.
        publisher.publish(&Publish::new("$SYS/made/up", b"forged").qos(2, 8));
        assert_eq!(publisher.packet().reason(), 0x87);
        publisher.send(&ack(PUBREL, 8));
        assert_eq!(publisher.packet().reason(), 0x92);
    });
}

/// A repeated message is acknowledged and not delivered again, on this connection and on the next ones.
fn repeated_before_pubrel(version: Version) {
    everywhere(|b| {
        let subscriber = b.subscriber(version, "subscriber", "a/b", 2);
        let (publisher, _) = lasting(b, version, "publisher");
        publisher.publish(&message(2, 7));
        publisher.expect(&ack(PUBREC, 7));
        hears(&subscriber, version, &message(2, 0));
        for dup in [true, false] {
            publisher.publish(&Publish { dup, ..message(2, 7) });
            publisher.expect(&ack(PUBREC, 7));
        }
        publisher.send(&[message(2, 7).dup().bytes(version), message(2, 7).dup().bytes(version)].concat());
        publisher.expect(&ack(PUBREC, 7).repeat(2));
        publisher.cut();
        for _ in 0..2 {
            let (publisher, present) = lasting(b, version, "publisher");
            assert!(present);
            publisher.publish(&message(2, 7).dup());
            publisher.expect(&ack(PUBREC, 7));
            publisher.cut();
        }
        subscriber.expect_nothing();
        let (publisher, _) = lasting(b, version, "publisher");
        publisher.send(&ack(PUBREL, 7));
        publisher.expect(&ack(PUBCOMP, 7));
        publisher.publish(&message(2, 7));
        publisher.expect(&ack(PUBREC, 7));
        hears(&subscriber, version, &message(2, 0));
    });
}

#[test]
fn v5_4_3_3_10_until_pubrel_a_repetition_is_acknowledged_and_not_delivered_again() {
    repeated_before_pubrel(V5);
}

/// Nor is it retained again, over what came in between.
#[test]
fn v5_4_3_3_10_a_repetition_does_not_change_what_is_retained() {
    everywhere(|b| {
        for version in [V3, V5] {
            let kept = |payload: &[u8]| Publish::new("a/b", payload).qos(2, 7).retained();
            let (first, _) = lasting(b, version, "first");
            first.publish(&kept(b"older"));
            assert_eq!(first.packet().first, PUBREC);
            publishes(&b.of(version, "second"), &kept(b"newer"));
            first.publish(&kept(b"older").dup());
            assert_eq!(first.packet().first, PUBREC);
            first.cut();
            let (first, _) = lasting(b, version, "first");
            first.publish(&kept(b"older").dup());
            assert_eq!(first.packet().first, PUBREC);
            let came = crate::shorthand::retained(b, version, "a/b");
            assert_eq!(came, [("a/b".to_owned(), 2, true, b"newer".to_vec())]);
            first.send(&ack(PUBREL, 7));
            assert_eq!(first.packet().first, PUBCOMP);
        }
    });
}

/// The client was cut off before it could read PUBREC: the broker owns the message or it does not, never twice.
#[test]
fn v5_4_3_3_10_a_message_is_delivered_once_wherever_the_connection_breaks() {
    everywhere(|b| {
        for version in [V3, V5] {
            let subscriber = b.subscriber(version, "subscriber", "a/b", 2);
            let bytes = message(2, 7).bytes(version);
            for cut in 0..=bytes.len() {
                let (publisher, _) = lasting(b, version, "publisher");
                publisher.send(&bytes[..cut]);
                publisher.cut();
                let (publisher, _) = lasting(b, version, "publisher");
                publisher.send(&message(2, 7).dup().bytes(version));
                publisher.expect(&ack(PUBREC, 7));
                publisher.send(&ack(PUBREL, 7));
                publisher.expect(&ack(PUBCOMP, 7));
                let id = hears(&subscriber, version, &message(2, 0));
                acknowledge(&subscriber, 2, id);
                subscriber.expect_nothing();
                publisher.cut();
            }
        }
    });
}

fn pubrel_is_answered(version: Version) {
    everywhere(|b| {
        let _subscriber = b.subscriber(version, "subscriber", "a/b", 0);
        let (publisher, _) = lasting(b, version, "publisher");
        for id in [1, 0x1234, 0xFFFF] {
            publisher.publish(&message(2, id));
            publisher.expect(&ack(PUBREC, id));
        }
        publisher.cut();
        // In any order, and on another connection.
        let (publisher, _) = lasting(b, version, "publisher");
        for id in [0xFFFF, 1, 0x1234] {
            publisher.send(&ack(PUBREL, id));
            publisher.expect(&ack(PUBCOMP, id));
            publisher.expect_nothing();
        }
    });
}

#[test]
fn v5_4_3_3_11_pubrel_is_answered_with_pubcomp_of_its_identifier() {
    pubrel_is_answered(V5);
}

fn a_new_message_after_pubcomp(version: Version) {
    everywhere(|b| {
        let subscriber = b.subscriber(version, "subscriber", "a/b", 2);
        let publisher = b.of(version, "publisher");
        for dup in [false, true, false] {
            publishes(&publisher, &Publish { dup, ..message(2, 7) });
            hears(&subscriber, version, &message(2, 0));
        }
        subscriber.expect_nothing();
    });
}

#[test]
fn v5_4_3_3_12_after_pubcomp_the_identifier_is_a_new_message() {
    a_new_message_after_pubcomp(V5);
}

#[test]
fn v3_4_3_3_2_the_receiver_of_qos_2_acknowledges_each_step_and_delivers_once() {
    answered(V3, 2);
    repeated_before_pubrel(V3);
    pubrel_is_answered(V3);
    a_new_message_after_pubcomp(V3);
}

#[test]
fn v5_4_3_3_13_the_exchange_goes_on_although_the_message_has_expired() {
    everywhere(|b| {
        let expiring = |id| message(2, id).properties(Properties::new().four(prop::MESSAGE_EXPIRY, 5));
        let away = narrow(b, "away", 10);
        away.send(&subscribe(V5, 7, &[("a/b", 2)]));
        away.expect(&suback(V5, 7, &[2]));
        away.cut();
        let (publisher, _) = lasting(b, V5, "publisher");
        publisher.publish(&expiring(7));
        publisher.expect(&ack(PUBREC, 7));
        b.advance(60);
        publisher.publish(&expiring(7).dup());
        publisher.expect(&ack(PUBREC, 7));
        publisher.cut();
        b.advance(60);
        let (publisher, _) = lasting(b, V5, "publisher");
        publisher.send(&ack(PUBREL, 7));
        publisher.expect(&ack(PUBCOMP, 7));
        let away = narrow(b, "away", 10);
        assert!(payloads(&away, V5).is_empty());
    });
}
