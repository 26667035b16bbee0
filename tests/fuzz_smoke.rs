//! A fuzz smoke: random, mutated and structure-aware frames and packets are thrown at the codec for a while.
//! Nothing may panic, and what decodes must be written and read again as the same value.
//!
//! `TIDEMQ_FUZZ_SECS` says how long (default 5), `TIDEMQ_FUZZ_SEED` where to start: the seed of a failure is
//! printed, and with it the round that failed is the first.

use std::time::{Duration, Instant};

use tidemq::mqtt;
use tidemq::mqtt::connect::{answer_version, peek_client_id};
use tidemq::mqtt::frame::{self, Frame};
use tidemq::mqtt::{Packet, PacketType, Sender, Version, decode, publish, topic};

#[path = "../src/mqtt/tests/sample.rs"]
mod sample;

use sample::{Parts, Tape};

const VERSIONS: [Version; 3] = [Version::V3_1, Version::V3_1_1, Version::V5];
const SENDERS: [Sender; 2] = [Sender::Client, Sender::Server];

/// SplitMix64: every seed is a good one, and a round's seed is enough to repeat it.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("below a usize")
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let len = self.below(most + 1);
        (0..len).map(|_| self.next() as u8).collect()
    }
}

/// What a run has seen, so that a run that tests nothing fails.
#[derive(Default, Debug)]
struct Seen {
    rounds: u64,
    decoded: u64,
    refused: u64,
    incomplete: u64,
    /// Packets that decoded, by type.
    types: [u64; 16],
}

fn encode(version: Version, packet: &Packet<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    packet.encode(version, &mut out);
    out
}

/// Decodes one packet; what decodes is written, and read again as the same value.
fn check_packet(seen: &mut Seen, version: Version, sender: Sender, frame: Frame, bytes: &[u8]) {
    let Ok(packet) = decode(version, sender, frame, bytes) else {
        seen.refused += 1;
        return;
    };
    seen.decoded += 1;
    seen.types[packet.packet_type() as usize] += 1;
    let again = encode(version, &packet);
    let frame = frame::split(&again, usize::MAX).expect("what we write is legal").expect("and whole");
    assert_eq!(frame.len, again.len(), "one packet, no more");
    assert_eq!(decode(version, sender, frame, &again), Ok(packet), "written as {again:02X?}");
}

/// Takes a stream apart as a connection does: split, wait or decode, go on behind the packet.
fn check_stream(seen: &mut Seen, version: Version, sender: Sender, stream: &[u8]) {
    let mut rest = stream;
    loop {
        match frame::split(rest, 1 << 20) {
            Err(_) => {
                seen.refused += 1;
                return;
            }
            Ok(None) => {
                seen.incomplete += 1;
                return;
            }
            Ok(Some(frame)) => {
                assert!(frame.len >= frame.header_len && frame.header_len >= 2);
                let Some(packet) = rest.get(..frame.len) else {
                    seen.incomplete += 1;
                    return;
                };
                check_packet(seen, version, sender, frame, packet);
                rest = &rest[frame.len..];
            }
        }
    }
}

/// The same body as every type, version and side.
fn check_body(seen: &mut Seen, first: u8, body: &[u8]) {
    let mut bytes = vec![first, 0];
    bytes.extend(body);
    let frame = Frame { first, header_len: 2, len: bytes.len() };
    for version in VERSIONS {
        for sender in SENDERS {
            check_packet(seen, version, sender, frame, &bytes);
        }
        let _ = publish::decode(version, first, body);
    }
}

fn valid_packet(random: &mut Random, version: Version, sender: Sender) -> Vec<u8> {
    let choices = random.bytes(300);
    let mut tape = Tape::new(&choices);
    let parts = Parts::new(&mut tape, version, sender);
    encode(version, &parts.packet(&mut tape))
}

fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    const INTERESTING: [u8; 12] = [0, 1, 2, 3, 4, 5, 0x26, 0x7F, 0x80, 0xC0, 0xFE, 0xFF];
    if bytes.is_empty() {
        bytes.push(random.next() as u8);
    }
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len());
        match random.below(8) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => bytes[at] = random.one_of(&INTERESTING),
            // Every length field, one more and one less.
            3 => bytes[at] = bytes[at].wrapping_add(1),
            4 => bytes[at] = bytes[at].wrapping_sub(1),
            5 => bytes.insert(at, random.one_of(&INTERESTING)),
            6 if bytes.len() > 1 => {
                bytes.remove(at);
            }
            _ => {
                let from = random.below(bytes.len());
                let part = bytes[from.min(at)..from.max(at)].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, part);
            }
        }
    }
}

/// A first byte with the right flags more often than not.
fn first_byte(random: &mut Random) -> u8 {
    let first = random.next() as u8;
    match PacketType::of(first) {
        Some(packet_type) if random.below(4) > 0 && packet_type != PacketType::Publish => {
            packet_type.first_byte()
        }
        _ => first,
    }
}

fn check_connect(random: &mut Random, stream: &[u8]) {
    let _ = peek_client_id(stream, random.one_of(&[0, 1, 64, 1 << 16, usize::MAX]));
    let _ = answer_version(stream);
}

fn check_topics(random: &mut Random) {
    let mut text = || -> String {
        let len = random.below(12);
        (0..len).map(|_| random.one_of(&['a', '/', '+', '#', '$', 'ü', '\0'])).collect()
    };
    let (filter, name) = (text(), text());
    let shared = format!("$share/{filter}");
    for filter in [&filter, &shared] {
        let is_valid = topic::is_valid_filter(filter);
        let parsed = topic::parse_shared(filter);
        assert!(!(is_valid && parsed == Some(Err(()))), "{filter:?}");
    }
    let matched = topic::matches(&filter, &name);
    if topic::is_valid_filter(&filter) && topic::check_name(&name).is_ok() && !topic::has_wildcard(&filter) {
        assert_eq!(matched, filter == name, "{filter:?} {name:?}");
    }
}

fn round(seen: &mut Seen, seed: u64) {
    let random = &mut Random(seed);
    let version = random.one_of(&VERSIONS);
    let sender = random.one_of(&SENDERS);
    match random.below(6) {
        0 => {
            let stream = random.bytes(80);
            check_stream(seen, version, sender, &stream);
            check_connect(random, &stream);
        }
        1 => {
            let first = first_byte(random);
            let body = random.bytes(60);
            check_body(seen, first, &body);
        }
        2 => {
            // Small numbers are lengths that fit and properties that exist.
            let first = first_byte(random);
            let body: Vec<u8> = random.bytes(60).iter().map(|byte| byte & 0x2F).collect();
            check_body(seen, first, &body);
        }
        3 => {
            let packet = valid_packet(random, version, sender);
            let header_len = frame::split(&packet, usize::MAX).expect("valid").expect("whole").header_len;
            let mut body = packet[header_len..].to_vec();
            mutate(random, &mut body);
            check_body(seen, packet[0], &body);
        }
        4 => {
            // Several packets in a row, broken somewhere, cut somewhere.
            let mut stream = Vec::new();
            for _ in 0..=random.below(3) {
                stream.extend(valid_packet(random, version, sender));
            }
            if random.below(2) == 0 {
                mutate(random, &mut stream);
            }
            if random.below(2) == 0 {
                stream.truncate(random.below(stream.len() + 1));
            }
            check_stream(seen, version, sender, &stream);
            check_connect(random, &stream);
        }
        _ => check_topics(random),
    }
    seen.rounds += 1;
}

#[allow(clippy::disallowed_methods, reason = "a test program has a clock and an environment")]
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a test program has a clock and an environment")]
fn nothing_panics_and_what_decodes_is_written_again() {
    let duration = Duration::from_secs(setting("TIDEMQ_FUZZ_SECS", 5));
    let start = setting("TIDEMQ_FUZZ_SEED", 0x7469_6465_6D71);
    let began = Instant::now();
    let mut seen = Seen::default();
    let mut seed = start;
    while began.elapsed() < duration || seen.rounds < 50_000 {
        for _ in 0..1_000 {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| round(&mut seen, seed)));
            assert!(result.is_ok(), "failed with TIDEMQ_FUZZ_SEED={seed}");
            seed = seed.wrapping_add(1);
        }
    }
    println!("seeds {start} to {seed}: {seen:?}");
    assert!(seen.refused > seen.rounds / 10, "hardly anything was refused: {seen:?}");
    assert!(seen.incomplete > seen.rounds / 100, "hardly anything was incomplete: {seen:?}");
    assert!(seen.types[1..].iter().all(|&count| count > 100), "a type hardly ever decoded: {seen:?}");
}
