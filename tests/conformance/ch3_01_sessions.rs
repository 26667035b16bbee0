//! Section 3.1, what a CONNECT does: sessions, Keep Alive, client identifiers, taking over.

use std::collections::HashSet;

use crate::broker::{Broker, Client, TICK_MILLIS, everywhere, everywhere_with};
use crate::wire::{
    Connect, DISCONNECT, PINGREQ, PINGRESP, Properties, Publish, V3, V5, Version, Will, join, prop, subscribe,
};

/// A session with a subscription, from which the client has gone and for which a message waits.
fn waiting_session(b: &Broker, version: Version) {
    let (client, connack) = b.connect(&Connect::new(version, "client").lasting());
    assert!(!connack.session_present());
    client.subscribe("t", 1);
    client.send(&DISCONNECT);
    client.expect_closed();
    b.of(version, "publisher").publish(&Publish::new("t", b"waits").qos(1, 1));
}

/// Nothing of the session before is there.
fn clean_start_discards(b: &Broker, version: Version) {
    waiting_session(b, version);
    let (client, connack) = b.connect(&Connect::new(version, "client").lasting().clean(true));
    assert!(!connack.session_present());
    client.expect_nothing();
    b.of(version, "publisher").publish(&Publish::new("t", b"live").qos(1, 1));
    client.expect_nothing();
    // Also not when its own connection, and the next, are over.
    client.send(&DISCONNECT);
    let (client, _) = b.connect(&Connect::new(version, "client").clean(false));
    client.expect_nothing();
}

#[test]
fn v5_3_1_2_4_clean_start_discards_the_session() {
    everywhere(|b| clean_start_discards(b, V5));
}

#[test]
fn v5_3_1_4_4_clean_start_is_acted_upon_while_the_session_is_connected() {
    everywhere(|b| connected_session_is_discarded(b, V5));
}

/// The same when the session is in use until then.
fn connected_session_is_discarded(b: &Broker, version: Version) {
    let (first, _) = b.connect(&Connect::new(version, "client").lasting());
    first.subscribe("t", 1);
    let (second, connack) = b.connect(&Connect::new(version, "client"));
    assert!(!connack.session_present());
    first.expect_disconnect(0x8E);
    b.of(version, "publisher").publish(&Publish::new("t", b"x").qos(1, 1));
    second.expect_nothing();
    drop(second);
    // Clean Start 0, in contrast, goes on with what the connected one had.
    let (third, _) = b.connect(&Connect::new(version, "client").lasting());
    third.subscribe("t", 1);
    let (fourth, connack) = b.connect(&Connect::new(version, "client").lasting());
    assert!(connack.session_present() || version == V3, "{connack:?}");
    assert!(connack.session_present());
    third.expect_disconnect(0x8E);
    b.of(version, "publisher").publish(&Publish::new("t", b"x").qos(1, 1));
    assert_eq!(fourth.published().payload, b"x");
}

#[test]
fn v3_3_1_4_3_clean_session_is_acted_upon_while_the_session_is_connected() {
    everywhere(|b| connected_session_is_discarded(b, V3));
}

/// What waited comes, and the subscription holds.
fn the_session_is_resumed(b: &Broker, version: Version) {
    waiting_session(b, version);
    let (client, connack) = b.connect(&Connect::new(version, "client").lasting().clean(false));
    assert!(connack.session_present());
    let waited = client.published();
    assert_eq!((&waited.payload[..], waited.qos, waited.dup), (&b"waits"[..], 1, false));
    b.of(version, "publisher").publish(&Publish::new("t", b"live"));
    assert_eq!(client.published().payload, b"live");
    client.expect_nothing();
}

#[test]
fn v5_3_1_2_5_the_session_is_resumed() {
    everywhere(|b| the_session_is_resumed(b, V5));
}

#[test]
fn v3_3_1_2_4_the_session_is_resumed_or_made_and_kept() {
    everywhere(|b| {
        the_session_is_resumed(b, V3);
        a_session_is_made(b, V3);
    });
}

/// Clean Start 0 without a session.
fn a_session_is_made(b: &Broker, version: Version) {
    let (client, connack) = b.connect(&Connect::new(version, "fresh").lasting());
    assert!(!connack.session_present());
    client.expect_nothing();
    client.subscribe("fresh", 1);
    client.cut();
    b.of(version, "publisher").publish(&Publish::new("fresh", b"x").qos(1, 1));
    let (client, connack) = b.connect(&Connect::new(version, "fresh").lasting());
    assert!(connack.session_present());
    assert_eq!(client.published().payload, b"x");
}

#[test]
fn v5_3_1_2_6_without_a_session_one_is_made() {
    everywhere(|b| a_session_is_made(b, V5));
}

#[test]
fn v3_3_1_2_5_qos_1_and_2_are_stored_for_whoever_is_away() {
    everywhere(|b| {
        let (client, _) = b.connect(&Connect::new(V3, "client").lasting());
        client.subscribe("t/+", 2);
        client.cut();
        let publisher = b.v3("publisher");
        publisher.publish(&Publish::new("t/1", b"one").qos(1, 1));
        publisher.publish(&Publish::new("t/2", b"two").qos(2, 2));
        let (client, _) = b.connect(&Connect::new(V3, "client").lasting());
        let heard: HashSet<_> = client
            .packets()
            .iter()
            .map(|packet| packet.publish(V3))
            .map(|heard| (heard.qos, heard.payload))
            .collect();
        assert_eq!(heard, HashSet::from([(1, b"one".to_vec()), (2, b"two".to_vec())]));
    });
}

#[test]
fn v3_3_1_2_6_a_clean_session_is_new_and_ends_with_its_connection() {
    everywhere(|b| {
        clean_start_discards(b, V3);
        let client = b.subscriber(V3, "brief", "t", 1);
        client.send(&DISCONNECT);
        b.v3("publisher").publish(&Publish::new("t", b"x").qos(1, 1));
        let (client, connack) = b.connect(&Connect::new(V3, "brief").lasting());
        assert!(!connack.session_present());
        client.expect_nothing();
    });
}

#[test]
fn v3_3_1_2_7_retained_messages_outlive_the_session() {
    everywhere(|b| {
        let publisher = b.v3("publisher");
        publisher.publish(&Publish::new("t", b"kept").qos(1, 1).retained());
        publisher.send(&DISCONNECT);
        publisher.expect(&[0x40, 2, 0, 1]);
        publisher.expect_closed();
        let (publisher, _) = b.connect(&Connect::new(V3, "publisher"));
        publisher.cut();
        assert_eq!(b.subscriber(V3, "listener", "t", 0).published().payload, b"kept");
    });
}

#[test]
fn v5_3_1_2_23_the_session_outlives_its_connection_by_its_expiry() {
    let expiry = |secs| Properties::new().four(prop::SESSION_EXPIRY, secs);
    let present = |b: &Broker| {
        let (client, connack) = b.connect(&Connect::new(V5, "client").clean(false).properties(expiry(100)));
        client.subscribe("t", 1);
        connack.session_present()
    };
    everywhere(|b| {
        for properties in [Properties::new(), expiry(0)] {
            let (client, _) = b.connect(&Connect::new(V5, "client").properties(properties));
            client.subscribe("t", 1);
            client.cut();
            assert!(!present(b), "without an interval it ends with its connection");
            b.connect(&Connect::new(V5, "client")).0.send(&DISCONNECT);
        }
        assert!(!present(b));
        // That connection is still there: an interval does not run while it is.
        b.advance(1_000);
        assert!(present(b));
        b.connect(&Connect::new(V5, "client").clean(false).properties(expiry(100))).0.cut();
        b.advance(99);
        assert!(present(b), "a second before its end");
        b.connect(&Connect::new(V5, "client").clean(false).properties(expiry(100))).0.cut();
        b.advance(101);
        assert!(!present(b), "a second after it");
    });
}

#[test]
fn v5_3_1_2_23_the_last_connection_says_how_long() {
    let expiry = |secs| Properties::new().four(prop::SESSION_EXPIRY, secs);
    everywhere(|b| {
        let (client, _) = b.connect(&Connect::new(V5, "client").properties(expiry(1_000)));
        client.cut();
        let (client, connack) = b.connect(&Connect::new(V5, "client").clean(false).properties(expiry(5)));
        assert!(connack.session_present());
        client.cut();
        b.advance(6);
        let (_, connack) = b.connect(&Connect::new(V5, "client").clean(false));
        assert!(!connack.session_present());
    });
}

/// Silence of one and a half times the Keep Alive: not a tenth of a second earlier, and not a tick later.
fn silence_closes(b: &Broker, version: Version) {
    let listener = b.subscriber(version, "listener", "w", 0);
    let connect = Connect::new(version, "client").keep_alive(10).will(Will::new("w", b"gone"));
    let (client, _) = b.connect(&connect);
    b.advance_millis(14_900);
    client.expect_nothing();
    // Any packet is a sign of life; the beginning of one is none.
    for packet in [PINGREQ.to_vec(), Publish::new("t", b"x").bytes(version)] {
        client.send(&packet);
        client.received();
        b.advance_millis(14_900);
        client.expect_nothing();
    }
    client.send(&PINGREQ[..1]);
    b.advance_millis(100 + TICK_MILLIS);
    client.expect_disconnect(0x8D);
    assert_eq!(listener.published().payload, b"gone", "as if the network had failed");
}

#[test]
fn v5_3_1_2_22_silence_closes_after_one_and_a_half_times_the_keep_alive() {
    everywhere(|b| silence_closes(b, V5));
}

#[test]
fn v3_3_1_2_24_silence_closes_after_one_and_a_half_times_the_keep_alive() {
    everywhere(|b| silence_closes(b, V3));
}

/// Keep Alive 0 is off; the greatest holds as well.
fn keep_alive_at_its_ends(b: &Broker, version: Version) {
    let (off, _) = b.connect(&Connect::new(version, "off").keep_alive(0));
    let (longest, _) = b.connect(&Connect::new(version, "longest").keep_alive(u16::MAX));
    b.advance(98_302);
    longest.expect_nothing();
    b.advance(1);
    longest.expect_disconnect(0x8D);
    b.advance(1_000_000);
    off.send(&PINGREQ);
    off.expect(&PINGRESP);
}

#[test]
fn v5_3_1_2_22_a_keep_alive_of_0_is_off() {
    everywhere(|b| keep_alive_at_its_ends(b, V5));
}

#[test]
fn v3_3_1_2_24_a_keep_alive_of_0_is_off() {
    everywhere(|b| keep_alive_at_its_ends(b, V3));
}

/// Identifiers that differ by little have sessions of their own.
fn the_identifier_identifies(b: &Broker, version: Version) {
    let ids = ["id", "ID", "id ", "i", "id/", "\u{0131}d", "\u{00E9}", "e\u{0301}"];
    for (number, id) in ids.iter().enumerate() {
        let (client, connack) = b.connect(&Connect::new(version, id).lasting());
        assert!(!connack.session_present(), "{id:?}");
        client.subscribe(&format!("t/{number}"), 1);
        client.cut();
    }
    let publisher = b.of(version, "publisher");
    for number in 0..ids.len() {
        publisher.publish(&Publish::new(&format!("t/{number}"), b"x").qos(1, 1));
    }
    for (number, id) in ids.iter().enumerate() {
        let (client, connack) = b.connect(&Connect::new(version, id).lasting());
        assert!(connack.session_present());
        assert_eq!(client.published().topic, format!("t/{number}"));
        client.expect_nothing();
    }
}

#[test]
fn v5_3_1_3_2_the_identifier_identifies_the_session() {
    everywhere(|b| the_identifier_identifies(b, V5));
}

#[test]
fn v3_3_1_3_2_the_identifier_identifies_the_session() {
    everywhere(|b| the_identifier_identifies(b, V3));
}

const ALPHABET: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

fn plain_identifiers_are_allowed(b: &Broker, version: Version) {
    for len in 1..=23 {
        for start in (0..ALPHABET.len()).step_by(7) {
            let id: String = ALPHABET.chars().cycle().skip(start).take(len).collect();
            b.of(version, &id).expect_nothing();
        }
    }
}

#[test]
fn v5_3_1_3_5_plain_identifiers_of_1_to_23_bytes_are_allowed() {
    everywhere(|b| plain_identifiers_are_allowed(b, V5));
}

#[test]
fn v3_3_1_3_5_plain_identifiers_of_1_to_23_bytes_are_allowed() {
    everywhere(|b| plain_identifiers_are_allowed(b, V3));
}

#[test]
fn v5_3_1_3_6_an_empty_identifier_is_assigned_a_unique_one() {
    everywhere(|b| {
        let mut clients = Vec::new();
        let mut ids = HashSet::new();
        for number in 0..100 {
            let (client, connack) = b.connect(&Connect::new(V5, "").clean(number % 2 == 0));
            let id = connack.property(prop::ASSIGNED_CLIENT_ID).expect("it is returned");
            assert!(!id.is_empty() && ids.insert(id), "given twice");
            clients.push(client);
        }
        clients.iter().for_each(|client| client.expect_nothing());
    });
}

#[test]
fn v5_3_1_3_7_the_assigned_identifier_is_as_if_it_had_been_sent() {
    everywhere(|b| {
        let (client, connack) = b.connect(&Connect::new(V5, "").lasting());
        let id = connack.property(prop::ASSIGNED_CLIENT_ID).expect("it is returned");
        let id = String::from_utf8(id).expect("it is a UTF-8 Encoded String");
        client.subscribe("t", 1);
        client.cut();
        b.v5("publisher").publish(&Publish::new("t", b"x").qos(1, 1));
        let (client, connack) = b.connect(&Connect::new(V5, &id).lasting());
        assert!(connack.session_present());
        assert_eq!(connack.property(prop::ASSIGNED_CLIENT_ID), None, "this one was sent");
        assert_eq!(client.published().payload, b"x");
        // It can be taken over by it, too.
        let second = b.v5(&id);
        client.expect_disconnect(0x8E);
        second.expect_nothing();
    });
}

#[test]
fn v3_3_1_3_6_an_empty_identifier_is_a_client_of_its_own() {
    everywhere(|b| {
        let clients: Vec<_> = (0..50).map(|_| b.subscriber(V3, "", "t", 0)).collect();
        b.v3("").publish(&Publish::new("t", b"x"));
        for client in &clients {
            client.expect(b"\x30\x04\0\x01tx");
            client.expect_nothing();
        }
    });
}

#[test]
fn v3_3_1_3_8_an_empty_identifier_without_clean_session_is_rejected() {
    everywhere(|b| {
        let client = b.client();
        client.send(&Connect::new(V3, "").clean(false).bytes());
        client.expect(&[0x20, 2, 0, 2]);
        client.expect_closed();
    });
}

/// The answer to an identifier of 33 bytes, where 32 are allowed.
fn too_long_an_identifier(b: &Broker, version: Version) -> Client {
    b.of(version, &"i".repeat(32)).expect_nothing();
    let client = b.client();
    client.send(&Connect::new(version, &"i".repeat(33)).bytes());
    client
}

#[test]
fn v5_3_1_3_8_a_refused_identifier_is_told_so() {
    everywhere_with(|l| l.client_id_bytes = 32, |b| too_long_an_identifier(b, V5).expect_refusal(0x85));
}

#[test]
fn v3_3_1_3_9_a_refused_identifier_is_told_so() {
    everywhere_with(
        |l| l.client_id_bytes = 32,
        |b| {
            let client = too_long_an_identifier(b, V3);
            client.expect(&[0x20, 2, 0, 2]);
            client.expect_closed();
        },
    );
}

#[test]
fn v5_3_1_4_2_further_checks_close() {
    everywhere_with(
        |l| (l.user_properties, l.topic_bytes) = (2, 10),
        |b| {
            let three = Properties::new().user("a", "1").user("a", "2").user("a", "3");
            let refused = [
                Connect::new(V5, "c").properties(three.clone()),
                Connect::new(V5, "c").will(Will::new("w", b"").properties(three)),
                Connect::new(V5, "c").will(Will::new("longer/than/that", b"")),
                Connect::new(V5, "c").will(Will::new("$SYS/x", b"")),
            ];
            for connect in refused {
                let client = b.client();
                client.send(&connect.bytes());
                let connack = client.packet();
                assert!(connack.first == 0x20 && connack.reason() >= 0x80, "{connack:?}");
                client.expect_closed();
            }
        },
    );
}

fn the_existing_client_is_disconnected(b: &Broker, version: Version, of_second: Version) {
    let listener = b.subscriber(version, "listener", "w", 0);
    let (first, _) = b.connect(&Connect::new(version, "client").will(Will::new("w", b"gone")));
    let second = b.of(of_second, "client");
    first.expect_disconnect(0x8E);
    assert_eq!(listener.published().payload, b"gone", "its connection was closed without its DISCONNECT");
    second.send(&PINGREQ);
    second.expect(&PINGRESP);
    // What the first one still sends is not processed.
    first.send(&Publish::new("w", b"late").bytes(version));
    listener.expect_nothing();
    first.expect_closed();
}

#[test]
fn v5_3_1_4_3_the_existing_client_is_told_and_disconnected() {
    everywhere(|b| {
        the_existing_client_is_disconnected(b, V5, V5);
        the_existing_client_is_disconnected(b, V5, V3);
    });
}

#[test]
fn v3_3_1_4_2_the_existing_client_is_disconnected() {
    everywhere(|b| {
        the_existing_client_is_disconnected(b, V3, V3);
        the_existing_client_is_disconnected(b, V3, V5);
    });
}

/// The CONNECT that holds, with packets right behind it.
fn a_connect_is_acknowledged(b: &Broker, version: Version) {
    let client = b.client();
    client.speaks(version);
    let behind = [subscribe(version, 7, &[("t", 0)]), Publish::new("t", b"x").bytes(version)].concat();
    client.send(&join(&[&Connect::new(version, "client").bytes(), &behind]));
    let connack = client.packet();
    assert_eq!((connack.first, connack.body[..2].to_vec()), (0x20, vec![0, 0]));
    assert_eq!(client.packet().first, 0x90);
    assert_eq!(client.published().payload, b"x");
    client.expect_nothing();
}

#[test]
fn v5_3_1_4_5_an_accepted_connect_is_acknowledged_with_0() {
    everywhere(|b| a_connect_is_acknowledged(b, V5));
}

#[test]
fn v3_3_1_4_4_an_accepted_connect_is_acknowledged_with_0() {
    everywhere(|b| {
        a_connect_is_acknowledged(b, V3);
        let client = b.client();
        client.send(b"\x10\x0D\0\x04MQTT\x04\x02\0\0\0\x01c");
        client.expect(&[0x20, 2, 0, 0]);
    });
}

/// What stands behind a CONNECT that is refused.
fn nothing_behind_a_refusal(b: &Broker, version: Version, refused: &[u8]) {
    let listener = b.subscriber(version, "listener", "#", 0);
    let client = b.client();
    let behind = Publish::new("t", b"x").retained().bytes(version);
    client.send(&join(&[refused, &behind, &Connect::new(version, "second").bytes(), &behind, &PINGREQ]));
    match version {
        V3 => {
            client.expect(&[0x20, 2, 0, 2]);
            client.expect_closed();
        }
        V5 => client.expect_refusal(0x85),
    }
    client.send(&behind);
    client.expect_closed();
    listener.expect_nothing();
    b.subscriber(version, "late", "t", 0).expect_nothing();
}

#[test]
fn v5_3_1_4_6_nothing_behind_a_refused_connect_is_processed() {
    everywhere_with(
        |l| l.client_id_bytes = 32,
        |b| {
            let refused = Connect::new(V5, &"i".repeat(33)).bytes();
            nothing_behind_a_refusal(b, V5, &refused);
        },
    );
}

#[test]
fn v3_3_1_4_5_nothing_behind_a_refused_connect_is_processed() {
    everywhere(|b| {
        let refused = Connect::new(V3, "").clean(false).bytes();
        nothing_behind_a_refusal(b, V3, &refused);
    });
}
