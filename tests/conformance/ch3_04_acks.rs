//! 3.4 to 3.7: PUBACK, PUBREC, PUBREL and PUBCOMP: flags, Reason Codes, sizes. The exchanges that they make are in
//! chapter 4.3.

use crate::broker::{Client, everywhere};
use crate::shorthand::{acknowledge, breaks, fits, hears, lasting, of_every_size, publishes};
use crate::wire::{
    PUBACK, PUBCOMP, PUBREC, PUBREL, Properties, Publish, V3, V5, Version, ack, ack_because, packet, prop,
};

/// Reason Codes of PUBACK and PUBREC that a client may send.
const REFUSALS: [u8; 7] = [0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];

fn message(topic: &str, qos: u8, id: u16) -> Publish {
    Publish::new(topic, b"payload").qos(qos, id)
}

/// What the broker may not forward: nobody but itself publishes there.
const FORBIDDEN: &str = "$SYS/made/up";

/// One acknowledgement came, which says this. Whether it explains itself is the broker's choice.
#[track_caller]
fn says(client: &Client, first: u8, id: u16, reason: u8) {
    let packet = client.packet();
    assert_eq!((packet.first, packet.id(), packet.reason()), (first, id, reason), "{packet:?}");
    client.expect_nothing();
}

#[test]
fn v5_3_4_2_1_puback_says_what_became_of_the_message_with_a_code_of_its_table() {
    everywhere(|b| {
        let client = b.v5("client");
        let _subscriber = b.subscriber(V5, "subscriber", "heard", 0);
        for (topic, reason) in [("heard", 0), ("unheard", 0x10), (FORBIDDEN, 0x87)] {
            client.publish(&message(topic, 1, 7));
            says(&client, PUBACK, 7, reason);
        }
    });
}

#[test]
fn v5_3_5_2_1_pubrec_says_what_became_of_the_message_with_a_code_of_its_table() {
    everywhere(|b| {
        let client = b.v5("client");
        let _subscriber = b.subscriber(V5, "subscriber", "heard", 0);
        for (topic, reason) in [("heard", 0), ("unheard", 0x10), (FORBIDDEN, 0x87)] {
            client.publish(&message(topic, 2, 7));
            says(&client, PUBREC, 7, reason);
            if reason < 0x80 {
                client.send(&ack(PUBREL, 7));
                client.expect(&ack(PUBCOMP, 7));
            }
        }
    });
}

#[test]
fn v5_3_6_2_1_pubrel_says_whether_the_identifier_is_known() {
    everywhere(|b| {
        let client = b.subscriber(V5, "client", "a/b", 2);
        publishes(&b.v5("publisher"), &message("a/b", 2, 7));
        let id = hears(&client, V5, &message("a/b", 2, 0));
        client.send(&ack(PUBREC, id + 1));
        says(&client, PUBREL, id + 1, 0x92);
        client.send(&ack(PUBREC, id));
        client.expect(&ack(PUBREL, id));
        // A repetition is not an error of the exchange.
        client.send(&ack(PUBREC, id));
        client.expect(&ack(PUBREL, id));
        client.send(&ack(PUBCOMP, id));
        client.expect_nothing();
        client.send(&ack(PUBREC, id));
        says(&client, PUBREL, id, 0x92);
    });
}

#[test]
fn v5_3_7_2_1_pubcomp_says_whether_the_identifier_is_known() {
    everywhere(|b| {
        let client = b.v5("client");
        client.send(&ack(PUBREL, 7));
        says(&client, PUBCOMP, 7, 0x92);
        client.publish(&message("a/b", 2, 7));
        assert_eq!(client.packet().first, PUBREC);
        client.send(&ack(PUBREL, 7));
        client.expect(&ack(PUBCOMP, 7));
        client.send(&ack_because(PUBREL, 7, 0x92));
        says(&client, PUBCOMP, 7, 0x92);
    });
}

/// All codes that a client may send are taken; the message is done with.
#[test]
fn v5_3_4_2_1_every_code_that_a_client_may_send_is_taken() {
    everywhere(|b| {
        let (client, _) = lasting(b, V5, "client");
        client.subscribe("a/b", 2);
        let publisher = b.v5("publisher");
        let user = Properties::new().text(prop::REASON_STRING, "why").user("n", "v").user("n", "v");
        for reason in [0].into_iter().chain(REFUSALS) {
            for qos in 1..3 {
                let first = if qos == 1 { PUBACK } else { PUBREC };
                publishes(&publisher, &message("a/b", qos, 7));
                let id = hears(&client, V5, &message("a/b", qos, 0));
                let body = [&id.to_be_bytes()[..], &[reason], &user.bytes()].concat();
                client.send(&packet(first, &body));
                if qos == 2 && reason == 0 {
                    client.expect(&ack(PUBREL, id));
                    client.send(&packet(PUBCOMP, &body));
                }
                client.expect_nothing();
            }
        }
        client.cut();
        let (client, present) = lasting(b, V5, "client");
        assert!(present);
        client.expect_nothing();
    });
}

/// A code that is not in the packet's table.
fn other_codes_are_malformed(first: u8, codes: &[u8]) {
    everywhere(|b| {
        for &code in codes {
            breaks(b, V5, &ack_because(first, 7, code), 0x81);
        }
    });
}

#[test]
fn v5_3_4_2_1_another_code_in_puback_is_malformed() {
    other_codes_are_malformed(PUBACK, &[0x01, 0x10, 0x11, 0x7F, 0x81, 0x92, 0xFF]);
}

#[test]
fn v5_3_5_2_1_another_code_in_pubrec_is_malformed() {
    other_codes_are_malformed(PUBREC, &[0x02, 0x10, 0x18, 0x81, 0x92, 0xA2]);
}

#[test]
fn v5_3_6_2_1_another_code_in_pubrel_is_malformed() {
    other_codes_are_malformed(PUBREL, &[0x01, 0x10, 0x80, 0x91, 0x97]);
}

#[test]
fn v5_3_7_2_1_another_code_in_pubcomp_is_malformed() {
    other_codes_are_malformed(PUBCOMP, &[0x01, 0x10, 0x80, 0x91, 0x97]);
}

fn other_flags_close(version: Version, packet_type: u8, right: u8) {
    everywhere(|b| {
        for flags in (0..16).filter(|flags| *flags != right) {
            breaks(b, version, &ack(packet_type << 4 | flags, 7), 0x81);
        }
    });
}

#[test]
fn v5_3_6_1_1_other_flags_of_pubrel_are_malformed() {
    other_flags_close(V5, 6, 2);
}

#[test]
fn v3_3_6_1_1_other_flags_of_pubrel_close_the_connection() {
    other_flags_close(V3, 6, 2);
}

fn puback_fits() {
    everywhere(|b| {
        of_every_size(b, |client, maximum| {
            client.publish(&message(FORBIDDEN, 1, 7));
            let answer = fits(client, maximum, PUBACK);
            assert_eq!(answer.reason(), 0x87);
        });
    });
}

#[test]
fn v5_3_4_2_2_a_reason_string_never_makes_puback_too_large() {
    puback_fits();
}

#[test]
fn v5_3_4_2_3_user_properties_never_make_puback_too_large() {
    puback_fits();
}

fn pubrec_fits() {
    everywhere(|b| {
        of_every_size(b, |client, maximum| {
            client.publish(&message(FORBIDDEN, 2, 7));
            let answer = fits(client, maximum, PUBREC);
            assert_eq!(answer.reason(), 0x87);
        });
    });
}

#[test]
fn v5_3_5_2_2_a_reason_string_never_makes_pubrec_too_large() {
    pubrec_fits();
}

#[test]
fn v5_3_5_2_3_user_properties_never_make_pubrec_too_large() {
    pubrec_fits();
}

fn pubrel_fits() {
    everywhere(|b| {
        of_every_size(b, |client, maximum| {
            client.send(&ack(PUBREC, 7));
            let answer = fits(client, maximum, PUBREL);
            assert_eq!(answer.reason(), 0x92);
        });
    });
}

#[test]
fn v5_3_6_2_2_a_reason_string_never_makes_pubrel_too_large() {
    pubrel_fits();
}

#[test]
fn v5_3_6_2_3_user_properties_never_make_pubrel_too_large() {
    pubrel_fits();
}

fn pubcomp_fits() {
    everywhere(|b| {
        of_every_size(b, |client, maximum| {
            client.send(&ack(PUBREL, 7));
            let answer = fits(client, maximum, PUBCOMP);
            assert_eq!(answer.reason(), 0x92);
        });
    });
}

#[test]
fn v5_3_7_2_2_a_reason_string_never_makes_pubcomp_too_large() {
    pubcomp_fits();
}

#[test]
fn v5_3_7_2_3_user_properties_never_make_pubcomp_too_large() {
    pubcomp_fits();
}

/// 3.1.1 knows no Reason Codes: its acknowledgements have two bytes, whatever became of the message.
#[test]
fn v3_3_3_4_1_acknowledgements_have_an_identifier_and_nothing_else() {
    everywhere(|b| {
        let client = b.subscriber(V3, "client", "a/b", 2);
        for (qos, first) in [(1, 0x40), (2, 0x50)] {
            client.publish(&message("unheard", qos, 7));
            client.expect(&[first, 2, 0, 7]);
        }
        for _ in 0..2 {
            client.send(&ack(PUBREL, 7));
            client.expect(&[0x70, 2, 0, 7]);
        }
        publishes(&b.v5("publisher"), &message("a/b", 2, 7));
        let id = hears(&client, V3, &message("a/b", 2, 0));
        acknowledge(&client, 2, id);
        client.expect_nothing();
    });
}
