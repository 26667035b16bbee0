//! rumqttc, a client that others wrote in Rust, against the real binary over TCP, with both versions of the
//! protocol. The other clients are driven from Python beside this file.
//!
//! `E2E_BROKER=HOST:PORT` runs these tests against a broker that already listens there.

#![allow(clippy::disallowed_methods, reason = "the bans keep the broker's pure layers pure; this is a test")]

mod attacks;
mod broker;
mod peer;
mod ws;

use std::sync::OnceLock;

use broker::Broker;
use peer::{Event, Message, Peer, Session, V4, V5, Version};

fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(Broker::start)
}

/// A name of this test's own, so that one broker serves them all.
fn name(version: &impl Version, test: &str) -> String {
    format!("rumqttc/{}/{}/{test}", version.name(), std::process::id())
}

fn connected(version: &impl Version, id: &str) -> Peer {
    let peer = version.connect(broker().address, id, Session::Clean);
    assert_eq!(peer.next(), Event::Connected { session_present: false });
    peer
}

fn message(topic: &str, qos: u8, retain: bool, payload: &[u8]) -> Message {
    Message { topic: topic.to_owned(), qos, retain, payload: payload.to_vec() }
}

fn every_pair_of_qos(version: &impl Version) {
    let base = name(version, "qos");
    let publisher = connected(version, &format!("{base}/pub"));
    for granted in 0..3 {
        let topic = format!("{base}/{granted}");
        let subscriber = connected(version, &format!("{base}/sub{granted}"));
        subscriber.subscribe(&topic, granted);
        for qos in 0..3 {
            publisher.publish(&topic, qos, false, &[qos, granted]);
            assert_eq!(subscriber.message(), message(&topic, qos.min(granted), false, &[qos, granted]));
        }
    }
}

fn many_in_order(version: &impl Version) {
    const COUNT: u32 = 2_000;
    let base = name(version, "order");
    let publisher = connected(version, &format!("{base}/pub"));
    for qos in 0..3 {
        let topic = format!("{base}/{qos}");
        let subscriber = connected(version, &format!("{base}/sub{qos}"));
        subscriber.subscribe(&format!("{base}/+"), qos);
        for number in 0..COUNT {
            publisher.send(&topic, qos, false, &number.to_be_bytes());
        }
        for number in 0..COUNT {
            assert_eq!(subscriber.message(), message(&topic, qos, false, &number.to_be_bytes()));
        }
        if qos > 0 {
            (0..COUNT).for_each(|_| assert_eq!(publisher.next(), Event::Published));
        }
    }
}

fn retained_and_will(version: &impl Version) {
    let base = name(version, "retained");
    let (topic, will) = (format!("{base}/r"), format!("{base}/will"));
    let publisher = connected(version, &format!("{base}/pub"));
    publisher.publish(&topic, 1, true, b"kept");
    let subscriber = connected(version, &format!("{base}/sub"));
    subscriber.subscribe(&format!("{base}/#"), 1);
    assert_eq!(subscriber.message(), message(&topic, 1, true, b"kept"));

    let broken = version.connect(broker().address, &format!("{base}/broken"), Session::WithWill(&will));
    assert_eq!(broken.next(), Event::Connected { session_present: false });
    broken.cut();
    assert_eq!(subscriber.message(), message(&will, 1, false, b"gone"));
}

fn session_resumed(version: &impl Version) {
    let base = name(version, "session");
    let id = format!("{base}/durable");
    let durable = version.connect(broker().address, &id, Session::Durable);
    assert_eq!(durable.next(), Event::Connected { session_present: false });
    durable.subscribe(&base, 2);
    durable.disconnect();
    let publisher = connected(version, &format!("{base}/pub"));
    for number in 0..50 {
        publisher.publish(&base, 1, false, &[number]);
    }
    let resumed = version.connect(broker().address, &id, Session::Durable);
    assert_eq!(resumed.next(), Event::Connected { session_present: true });
    for number in 0..50 {
        assert_eq!(resumed.message(), message(&base, 1, false, &[number]));
    }
}

macro_rules! for_each_version {
    ($($test:ident => $case:ident),+ $(,)?) => {
        mod v311 {
            $(#[test] fn $test() { super::$case(&super::V4); })+
        }
        mod v5 {
            $(#[test] fn $test() { super::$case(&super::V5); })+
        }
    };
}

for_each_version! {
    every_pair_of_qos_delivers_with_the_lower_one => every_pair_of_qos,
    many_messages_arrive_once_and_in_order => many_in_order,
    retained_messages_and_wills_arrive => retained_and_will,
    a_session_is_resumed_with_what_came_meanwhile => session_resumed,
}
