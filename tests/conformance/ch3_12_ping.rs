//! 3.12 and 3.13: PINGREQ and PINGRESP.

use crate::broker::everywhere;
use crate::shorthand::breaks;
use crate::wire::{PINGREQ, PINGRESP, V3, V5, Version};

fn every_ping_is_answered(version: Version) {
    everywhere(|b| {
        let client = b.of(version, "client");
        for _ in 0..3 {
            client.send(&PINGREQ);
            client.expect(&PINGRESP);
            client.expect_nothing();
        }
        client.send(&PINGREQ.repeat(50));
        client.expect(&PINGRESP.repeat(50));
        client.expect_nothing();
    });
}

#[test]
fn v5_3_12_4_1_every_ping_is_answered() {
    every_ping_is_answered(V5);
}

#[test]
fn v3_3_12_4_1_every_ping_is_answered() {
    every_ping_is_answered(V3);
}

/// 3.12.1 to 3.12.3: neither flags, nor a variable header, nor a payload. PINGRESP is not for clients to send.
#[test]
fn v5_3_12_4_1_a_ping_is_two_bytes() {
    everywhere(|b| {
        for version in [V3, V5] {
            for flags in 1..16 {
                breaks(b, version, &[0xC0 | flags, 0], 0x81);
            }
            breaks(b, version, &[0xC0, 1, 0], 0x81);
            breaks(b, version, &PINGRESP, 0x82);
        }
    });
}
