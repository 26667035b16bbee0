//! A fuzz smoke: nothing panics, whatever comes, and it does not matter how it is cut.

use std::time::{Duration, Instant};

use super::super::Decoder;
use super::super::Handshake;
use super::super::handshake::{Outcome, REQUEST_BYTES};
use super::{Said, binary, decode};

/// SplitMix64.
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
        (self.next() % end as u64) as usize
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most + 1)).map(|_| self.next() as u8).collect()
    }

    /// Frames, most of them sound, some with a byte changed.
    fn frames(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..self.below(6) {
            let payload = self.bytes(300);
            let mut frame = binary(&payload);
            frame[0] = [0x82, 0x02, 0x00, 0x80, 0x89, 0x8a, 0x88][self.below(7)];
            if self.below(4) == 0 {
                let at = self.below(frame.len());
                frame[at] = self.next() as u8;
            }
            bytes.extend(frame);
        }
        bytes
    }

    fn pieces<'b>(&mut self, mut bytes: &'b [u8]) -> Vec<&'b [u8]> {
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            let most = bytes.len().min(40);
            let (piece, rest) = bytes.split_at(1 + self.below(most));
            pieces.push(piece);
            bytes = rest;
        }
        pieces
    }
}

fn seconds() -> Duration {
    let secs = std::env::var("TIDEMQ_FUZZ_SECS").ok().and_then(|secs| secs.parse().ok());
    Duration::from_secs(secs.unwrap_or(5).min(20))
}

fn decoded(pieces: Vec<&[u8]>) -> Said {
    decode(&mut Decoder::new(2_000), pieces)
}

fn shaken(pieces: Vec<&[u8]>) -> Outcome {
    let mut handshake = Handshake::default();
    let mut given = 0;
    for piece in pieces {
        match handshake.hear(piece, "/mqtt") {
            Outcome::Wait => given += piece.len(),
            // Counted from the beginning, so that cuts do not show.
            Outcome::Accepted(answer, used) => return Outcome::Accepted(answer, given + used),
            refused @ Outcome::Refused(..) => return refused,
        }
    }
    Outcome::Wait
}

#[test]
fn nothing_panics_and_cuts_do_not_matter() {
    let request = super::shaking::request(&[]);
    let start = Instant::now();
    let (mut rounds, mut ends, mut accepted) = (0u64, 0, 0);
    while rounds < 2_000 || start.elapsed() < seconds() {
        rounds += 1;
        let mut random = Random(rounds);
        let bytes = if random.below(4) == 0 { random.bytes(400) } else { random.frames() };
        let said = decoded(random.pieces(&bytes));
        assert_eq!(said, decoded(vec![&bytes]), "round {rounds}");
        ends += u64::from(said.end.is_some());

        let mut http = request.clone();
        for _ in 0..random.below(3) {
            let at = random.below(http.len());
            http[at] = b" \r\n,:\0xX/?"[random.below(10)];
        }
        http.extend(random.bytes(20));
        let outcome = shaken(random.pieces(&http));
        assert_eq!(outcome, shaken(vec![&http]), "round {rounds}");
        accepted += u64::from(matches!(outcome, Outcome::Accepted(..)));
    }
    // Otherwise it tests nothing.
    assert!(ends > 100 && ends < rounds && accepted > 100 && accepted < rounds, "{ends} {accepted} {rounds}");
    assert_eq!(shaken(vec![&[b'A'; REQUEST_BYTES]]), shaken(vec![&[b'A'; 4_096], &[b'A'; REQUEST_BYTES]]));
}
