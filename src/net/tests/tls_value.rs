//! TLS as a value, against rustls' own client: whatever way the bytes are cut on their way, both sides read what the
//! other said, and the owner of a flush is told what is fair.

use std::io::{Read, Write};

use rustls::{ClientConnection, SupportedProtocolVersion};

use super::pattern;
use super::secure::{Pki, TLS12, TLS13, connection};
use crate::net::tls::config::Alpn;
use crate::net::tls::{End, FLUSH_BYTES, Tls};

/// Numbers without a pattern, the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        if bound == 0 { 0 } else { (self.0 % bound as u64) as usize }
    }
}

/// A connection under test, its client, and what lies between.
struct Wire {
    server: Tls,
    client: ClientConnection,
    /// Ciphertext on its way to the server.
    up: Vec<u8>,
    heard_by_server: Vec<u8>,
    heard_by_client: Vec<u8>,
}

impl Wire {
    fn new(pki: &Pki, versions: &[&'static SupportedProtocolVersion]) -> Wire {
        let mut server = Tls::new(&pki.terms(None, Alpn::Mqtt));
        assert!(server.begin().is_empty());
        let client = connection(&pki.client(versions, None));
        Wire { server, client, up: Vec::new(), heard_by_server: Vec::new(), heard_by_client: Vec::new() }
    }

    /// So many bytes arrive at the server.
    fn climb(&mut self, bytes: usize) {
        while self.client.wants_write() {
            self.client.write_tls(&mut self.up).expect("a vector takes it");
        }
        let piece: Vec<u8> = self.up.drain(..bytes.min(self.up.len())).collect();
        self.server.take_in(&piece, &mut self.heard_by_server);
    }

    /// The socket takes so many bytes of what the server has. Answers the progress of its flush.
    fn fall(&mut self, bytes: usize) -> usize {
        let mut piece = &self.server.unsent()[..bytes];
        while !piece.is_empty() {
            self.client.read_tls(&mut piece).expect("a slice gives it");
            self.client.process_new_packets().expect("what we send is sound");
            // The end of what is there is an error, and so is nothing.
            let _ = self.client.reader().read_to_end(&mut self.heard_by_client);
        }
        self.server.sent(bytes)
    }

    /// Both say what they have to say, until the handshake is over.
    fn shake(&mut self) {
        while self.server.is_handshaking() || self.client.is_handshaking() || self.server.has_own() {
            self.climb(usize::MAX);
            self.server.gather();
            self.fall(self.server.unsent().len());
        }
    }
}

#[test]
fn however_the_bytes_are_cut_both_sides_read_what_the_other_said() {
    let pki = Pki::new();
    for seed in 1..=40u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut wire = Wire::new(&pki, if seed % 2 == 0 { &TLS12 } else { &TLS13 });
        let (up, down) = (pattern(dice.below(60_000)), pattern(dice.below(200_000)));
        let (mut to_say, mut output) = (&up[..], &down[..]);
        let most = [3, 100, 2_048, 60_000][dice.below(4)];
        let (mut flush, mut told) = (0, 0);
        while wire.heard_by_server.len() < up.len()
            || wire.heard_by_client.len() < down.len()
            || !output.is_empty()
        {
            if !wire.client.is_handshaking() {
                let part = dice.below(20_000).min(to_say.len());
                let written = wire.client.writer().write(&to_say[..part]).expect("it takes some");
                to_say = &to_say[written..];
            }
            let bytes = dice.below(most + 1).max(dice.below(2) * most);
            wire.climb(bytes);
            assert_eq!(wire.server.end(), None, "seed {seed}");
            if !wire.server.has_unsent() {
                if wire.server.is_handshaking() || dice.below(4) == 0 {
                    wire.server.gather();
                } else {
                    let offered = dice.below(100_000).min(output.len());
                    flush = wire.server.encrypt(&output[..offered]);
                    assert_eq!(flush, offered.min(FLUSH_BYTES), "seed {seed}");
                    told = 0;
                }
            }
            let unsent = wire.server.unsent().len();
            let bytes = match dice.below(4) {
                0 => 0,
                1 => unsent,
                _ => dice.below(unsent + 1),
            };
            let progress = wire.fall(bytes);
            assert!(progress <= bytes, "seed {seed}: {progress} of {bytes}");
            told += progress;
            output = &output[progress..];
            if !wire.server.has_unsent() {
                assert_eq!(told, flush, "seed {seed}");
                (flush, told) = (0, 0);
            }
        }
        assert!(wire.heard_by_server == up && wire.heard_by_client == down, "seed {seed}");
    }
}

#[test]
fn a_flush_is_one_record_and_a_large_one_has_several() {
    let pki = Pki::new();
    let mut wire = Wire::new(&pki, &TLS13);
    wire.shake();
    for (offered, taken, records) in
        [(1, 1, 1), (16_384, 16_384, 1), (16_385, 16_385, 2), (1 << 20, FLUSH_BYTES, 4)]
    {
        assert_eq!(wire.server.encrypt(&pattern(offered)), taken);
        // Type and nonce and tag and header of each.
        assert_eq!(wire.server.unsent().len(), taken + records * 22);
        assert_eq!(wire.fall(wire.server.unsent().len()), taken);
    }
}

#[test]
fn progress_is_told_as_the_socket_takes_it() {
    let pki = Pki::new();
    let mut wire = Wire::new(&pki, &TLS13);
    wire.shake();
    wire.server.encrypt(&pattern(10_000));
    let steps: Vec<usize> = [4_000, 0, 5_000, 1_000, 22].map(|bytes| wire.fall(bytes)).into();
    assert_eq!(steps, [4_000, 0, 5_000, 1_000, 0]);
    // What the connection says for itself does not count, before or behind.
    wire.server.say(b"a pong");
    wire.server.close();
    assert_eq!(wire.fall(wire.server.unsent().len()), 0);
    assert!(wire.heard_by_client.ends_with(b"a pong"));
    assert!(wire.client.process_new_packets().expect("sound").peer_has_closed());
}

#[test]
fn what_comes_after_the_end_is_ignored() {
    let pki = Pki::new();
    for versions in [&TLS12, &TLS13] {
        let mut wire = Wire::new(&pki, versions);
        wire.shake();
        wire.client.writer().write_all(b"last").expect("it takes that");
        wire.client.send_close_notify();
        wire.climb(usize::MAX);
        assert_eq!(wire.server.end(), Some(&End::Closed));
        wire.server.take_in(&[7; 5_000], &mut wire.heard_by_server);
        assert_eq!((&wire.heard_by_server[..], wire.server.end()), (&b"last"[..], Some(&End::Closed)));
        // Our side may still speak.
        assert_eq!(wire.server.encrypt(b"bye"), 3);
    }
}

#[test]
fn a_fault_is_an_end_and_nothing_can_be_said_behind_its_alert() {
    let pki = Pki::new();
    let mut wire = Wire::new(&pki, &TLS13);
    wire.shake();
    wire.client.writer().write_all(b"sound").expect("it takes that");
    wire.climb(usize::MAX);
    for _ in 0..2 {
        wire.server.take_in(
            &[0x17, 3, 3, 0, 20, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7],
            &mut Vec::new(),
        );
        assert!(matches!(wire.server.end(), Some(End::Broken(_))));
    }
    assert_eq!(wire.server.encrypt(b"too late"), 0);
    wire.server.close();
    let mut alert = wire.server.unsent();
    wire.client.read_tls(&mut alert).expect("a slice gives it");
    assert!(matches!(wire.client.process_new_packets(), Err(rustls::Error::AlertReceived(_))));
}

#[test]
fn any_bytes_end_it_or_are_waited_for_and_never_grow_without_end() {
    let pki = Pki::new();
    for seed in 1..=200u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut wire = Wire::new(&pki, &TLS13);
        wire.client.write_tls(&mut wire.up).expect("a vector takes it");
        for _ in 0..dice.below(6) {
            let at = dice.below(wire.up.len());
            wire.up[at] ^= 1 << dice.below(8);
        }
        while !wire.up.is_empty() {
            wire.climb(1 + dice.below(300));
        }
        // Whatever it waits for, some tens of kilobytes are enough for it to make up its mind.
        wire.server.take_in(&vec![seed as u8; 100_000], &mut wire.heard_by_server);
        assert!(wire.server.end().is_some(), "seed {seed}");
        wire.server.close();
        assert!(wire.heard_by_server.is_empty() && wire.server.unsent().len() < 10_000);
    }
}
