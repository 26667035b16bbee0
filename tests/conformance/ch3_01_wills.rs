//! Section 3.1, the will: kept, published, forgotten.

use crate::broker::{Broker, Client, TICK_MILLIS, everywhere};
use crate::wire::{
    Connect, DISCONNECT, Properties, Publish, V3, V5, Version, Will, disconnect, prop, subscribe,
};

/// A client with a will on `w`, who also hears from it.
fn with_will(b: &Broker, version: Version) -> (Client, Client) {
    let listener = b.subscriber(version, "listener", "w", 2);
    let (client, _) = b.connect(&Connect::new(version, "client").will(Will::new("w", b"gone").qos(1)));
    listener.expect_nothing();
    (client, listener)
}

/// Every end of a connection but the client's DISCONNECT.
fn the_will_is_published(b: &Broker, version: Version) {
    let (client, listener) = with_will(b, version);
    client.cut();
    assert_eq!(listener.published().payload, b"gone", "the network fails");

    let (client, listener) = with_will(b, version);
    client.close();
    assert_eq!(listener.published().payload, b"gone", "closed without DISCONNECT");

    let (client, listener) = with_will(b, version);
    client.send(&[0x80, 0]);
    client.expect_disconnect(0x81);
    assert_eq!(listener.published().payload, b"gone", "a violation");

    let (_, listener) = with_will(b, version);
    let _taken_over = b.of(version, "client");
    assert_eq!(listener.published().payload, b"gone", "taken over");

    let listener = b.subscriber(version, "listener", "w", 2);
    let connect = Connect::new(version, "client").keep_alive(2).will(Will::new("w", b"gone"));
    let _silent = b.connect(&connect);
    b.advance_millis(3_000 + TICK_MILLIS);
    assert_eq!(listener.published().payload, b"gone", "silence");
    listener.expect_nothing();
}

#[test]
fn v5_3_1_2_7_the_will_is_kept_with_the_session() {
    everywhere(|b| {
        let (client, listener) = with_will(b, V5);
        // The subscription comes later than the will and is served by it.
        let late = b.subscriber(V5, "late", "+", 0);
        client.cut();
        assert_eq!(listener.published(), Publish::new("w", b"gone").qos(1, 1));
        assert_eq!(late.published(), Publish::new("w", b"gone"));
        // A CONNECT without a will takes the place of one with.
        let (client, _) = b.connect(&Connect::new(V5, "client").lasting().will(Will::new("w", b"first")));
        client.send(&DISCONNECT);
        b.connect(&Connect::new(V5, "client").clean(false)).0.cut();
        listener.expect_nothing();
    });
}

#[test]
fn v5_3_1_2_8_the_will_is_published_when_the_connection_ends() {
    everywhere(|b| {
        the_will_is_published(b, V5);
        let (client, listener) = with_will(b, V5);
        client.send(&disconnect(4, &Properties::new()));
        client.expect_closed();
        assert_eq!(listener.published().payload, b"gone", "DISCONNECT that asks for it");
        let (client, listener) = with_will(b, V5);
        client.send(&disconnect(0x80, &Properties::new()));
        assert_eq!(listener.published().payload, b"gone", "DISCONNECT because of an error");
    });
}

/// A session of a hundred seconds with a will that waits.
fn delayed(b: &Broker, delay: u32) -> Client {
    let will = Will::new("w", b"gone").properties(Properties::new().four(prop::WILL_DELAY, delay));
    let session = Properties::new().four(prop::SESSION_EXPIRY, 100);
    b.connect(&Connect::new(V5, "client").properties(session).will(will)).0
}

#[test]
fn v5_3_1_2_8_the_will_waits_for_its_delay_or_the_end_of_the_session() {
    everywhere(|b| {
        let listener = b.subscriber(V5, "listener", "w", 0);
        delayed(b, 10).cut();
        b.advance(9);
        listener.expect_nothing();
        b.advance(2);
        assert_eq!(listener.published().payload, b"gone", "the delay is over");
        b.advance(200);
        listener.expect_nothing();

        delayed(b, 1_000).cut();
        b.advance(99);
        listener.expect_nothing();
        b.advance(2);
        assert_eq!(listener.published().payload, b"gone", "the session has expired");

        delayed(b, 1_000).cut();
        b.connect(&Connect::new(V5, "client"));
        assert_eq!(listener.published().payload, b"gone", "Clean Start has ended the session");

        // Without a session to wait in, it does not wait.
        let will = Will::new("w", b"gone").properties(Properties::new().four(prop::WILL_DELAY, 10));
        b.connect(&Connect::new(V5, "other").will(will)).0.cut();
        assert_eq!(listener.published().payload, b"gone", "the session ended with its connection");
    });
}

#[test]
fn v5_3_1_3_9_no_will_when_the_session_is_connected_again_in_time() {
    everywhere(|b| {
        let listener = b.subscriber(V5, "listener", "w", 0);
        delayed(b, 10).cut();
        b.advance(9);
        let resume = Properties::new().four(prop::SESSION_EXPIRY, 100);
        let (client, connack) =
            b.connect(&Connect::new(V5, "client").clean(false).properties(resume.clone()));
        assert!(connack.session_present());
        b.advance(50);
        client.send(&DISCONNECT);
        b.advance(500);
        listener.expect_nothing();
        // Taken over while it is connected: the same, the delay has not passed.
        let old = delayed(b, 10);
        let (client, _) = b.connect(&Connect::new(V5, "client").clean(false).properties(resume));
        old.expect_disconnect(0x8E);
        b.advance(50);
        listener.expect_nothing();
        client.expect_nothing();
    });
}

#[test]
fn v3_3_1_2_8_the_will_is_published_unless_disconnect_came() {
    everywhere(|b| {
        the_will_is_published(b, V3);
        let (client, listener) = with_will(b, V3);
        client.send(&DISCONNECT);
        listener.expect_nothing();
    });
}

/// Once published it is gone; once DISCONNECT has come it is gone.
fn the_will_is_forgotten(b: &Broker, version: Version) {
    let listener = b.subscriber(version, "listener", "w", 0);
    let (client, _) = b.connect(&Connect::new(version, "client").lasting().will(Will::new("w", b"gone")));
    client.cut();
    assert_eq!(listener.published().payload, b"gone");
    b.connect(&Connect::new(version, "client").lasting()).0.cut();
    listener.expect_nothing();
    let (client, _) = b.connect(&Connect::new(version, "client").lasting().will(Will::new("w", b"gone")));
    client.send(&DISCONNECT);
    client.expect_closed();
    b.connect(&Connect::new(version, "client").lasting()).0.cut();
    b.advance(200_000);
    b.of(version, "client").cut();
    listener.expect_nothing();
}

#[test]
fn v5_3_1_2_10_a_will_is_forgotten_once_published_or_disconnected() {
    everywhere(|b| the_will_is_forgotten(b, V5));
}

#[test]
fn v3_3_1_2_10_a_will_is_forgotten_once_published_or_disconnected() {
    everywhere(|b| the_will_is_forgotten(b, V3));
}

#[test]
fn v3_3_1_2_12_without_will_flag_no_will_is_published() {
    everywhere(|b| {
        let listener = b.subscriber(V3, "listener", "#", 0);
        for session in [Connect::new(V3, "client"), Connect::new(V3, "client").lasting()] {
            b.connect(&session).0.cut();
            b.connect(&session).0.send(&[0x80, 0]);
            let _first = b.connect(&session);
            b.connect(&session).0.close();
        }
        listener.expect_nothing();
    });
}

/// What a subscriber hears at once and what a later one finds.
fn will_retain(b: &Broker, version: Version, retained: bool) {
    let listener = b.subscriber(version, "listener", "w", 0);
    let will = Will::new("w", b"gone");
    let will = if retained { will.retained() } else { will };
    b.connect(&Connect::new(version, "client").will(will)).0.cut();
    assert_eq!(listener.published(), Publish::new("w", b"gone"));
    let late = b.subscriber(version, "late", "w", 0);
    if retained {
        assert_eq!(late.published(), Publish::new("w", b"gone").retained());
    }
    late.expect_nothing();
}

#[test]
fn v5_3_1_2_14_will_retain_0_is_not_retained() {
    everywhere(|b| will_retain(b, V5, false));
}

#[test]
fn v3_3_1_2_16_will_retain_0_is_not_retained() {
    everywhere(|b| will_retain(b, V3, false));
}

#[test]
fn v5_3_1_2_15_will_retain_1_is_retained() {
    everywhere(|b| {
        will_retain(b, V5, true);
        // Who asks for the flag as it was published is given it.
        let listener = b.v5("as published");
        listener.send(&subscribe(V5, 1, &[("v", 0x08)]));
        assert_eq!(listener.packet().first, 0x90);
        b.connect(&Connect::new(V5, "client").will(Will::new("v", b"gone").retained())).0.cut();
        assert_eq!(listener.published(), Publish::new("v", b"gone").retained());
    });
}

#[test]
fn v3_3_1_2_17_will_retain_1_is_retained() {
    everywhere(|b| will_retain(b, V3, true));
}

#[test]
fn v5_3_1_3_10_the_order_of_a_wills_user_properties_is_kept() {
    everywhere(|b| {
        let listener = b.subscriber(V5, "listener", "w", 0);
        let users =
            Properties::new().user("b", "1").user("a", "2").user("b", "0").user("", "").user("a", "2");
        let delayed = Properties([Properties::new().four(prop::WILL_DELAY, 0).0, users.0.clone()].concat());
        b.connect(&Connect::new(V5, "client").will(Will::new("w", b"").properties(delayed))).0.cut();
        assert_eq!(listener.published().properties, users, "and the delay is not for subscribers");
    });
}
