//! 4.12 enhanced authentication: the broker supports no method, and says so as the standard wants it.

use crate::broker::everywhere;
use crate::shorthand::{breaks, hears, lasting};
use crate::wire::{Connect, PINGREQ, PINGRESP, Properties, Publish, V5, packet, prop};

fn method(name: &str) -> Properties {
    Properties::new().text(prop::AUTHENTICATION_METHOD, name)
}

fn auth(reason: u8, properties: &Properties) -> Vec<u8> {
    packet(0xF0, &[&[reason][..], &properties.bytes()].concat())
}

#[test]
fn v5_4_12_0_1_a_method_that_is_not_supported_is_refused_and_the_connection_closed() {
    everywhere(|b| {
        let (present, _) = lasting(b, V5, "client");
        present.subscribe("a/b", 0);
        for name in ["SCRAM-SHA-256", "", "\u{FEFF}", "GS2-KRB5"] {
            for properties in [method(name), method(name).binary(prop::AUTHENTICATION_DATA, b"\0\xFF")] {
                let client = b.client();
                client.send(&Connect::new(V5, "client").clean(true).properties(properties).bytes());
                let connack = client.packet();
                assert_eq!((connack.first, connack.reason(), connack.session_present()), (0x20, 0x8C, false));
                client.expect_closed();
            }
        }
        // Who was there under this identifier has not noticed.
        b.v5("publisher").publish(&Publish::new("a/b", b"payload"));
        hears(&present, V5, &Publish::new("a/b", b"payload"));
    });
}

#[test]
fn v5_4_12_0_1_nothing_that_follows_a_refused_connect_counts() {
    everywhere(|b| {
        let listener = b.subscriber(V5, "listener", "#", 0);
        let client = b.client();
        let connect = Connect::new(V5, "client").properties(method("SCRAM-SHA-1")).bytes();
        let publish = Publish::new("a/b", b"payload").bytes(V5);
        client.send(&[&connect[..], &auth(0x18, &method("SCRAM-SHA-1")), &publish, &PINGREQ].concat());
        let packets = client.packets();
        assert_eq!((packets.len(), packets[0].first, packets[0].reason()), (1, 0x20, 0x8C));
        client.expect_closed();
        listener.expect_nothing();
    });
}

#[test]
fn v5_4_12_0_6_without_a_method_the_broker_sends_no_auth_and_names_no_method() {
    everywhere(|b| {
        let connects = [
            Connect::new(V5, "client"),
            Connect::new(V5, "client").user("user").password(b"secret"),
            Connect::new(V5, "client").lasting().keep_alive(60),
        ];
        for connect in connects {
            let (client, connack) = b.connect(&connect);
            assert_eq!(connack.property(prop::AUTHENTICATION_METHOD), None);
            assert_eq!(connack.property(prop::AUTHENTICATION_DATA), None);
            b.advance(30);
            client.send(&PINGREQ);
            client.expect(&PINGRESP);
            client.expect_nothing();
        }
        // Data without a method is an error of the protocol.
        let client = b.client();
        let data = Properties::new().binary(prop::AUTHENTICATION_DATA, b"data");
        client.send(&Connect::new(V5, "client").properties(data).bytes());
        assert_eq!(client.packet().reason(), 0x82);
        client.expect_closed();
    });
}

#[test]
fn v5_4_12_0_7_an_auth_without_a_method_in_connect_is_a_protocol_error() {
    everywhere(|b| {
        for reason in [0x18, 0x19] {
            breaks(b, V5, &auth(reason, &method("SCRAM-SHA-1")), 0x82);
            breaks(
                b,
                V5,
                &auth(reason, &method("SCRAM-SHA-1").binary(prop::AUTHENTICATION_DATA, b"x")),
                0x82,
            );
        }
    });
}

#[test]
fn v5_4_12_1_2_a_re_authentication_fails_and_the_connection_is_closed() {
    everywhere(|b| {
        let listener = b.subscriber(V5, "listener", "a/b", 0);
        let client = b.v5("client");
        let publish = Publish::new("a/b", b"payload").bytes(V5);
        client.send(&[&publish[..], &auth(0x19, &method("any")), &publish].concat());
        client.expect_disconnect(0x82);
        hears(&listener, V5, &Publish::new("a/b", b"payload"));
        listener.expect_nothing();
    });
}
