//! A small generator, and one stream of it a concern: one draw more in the network does not shift the clients.
//!
//! Must not be used for anything but tests.

/// xoshiro256++, seeded by splitmix64.
pub struct Rng {
    state: [u64; 4],
}

fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Rng {
    /// The stream of one concern.
    pub fn salted(seed: u64, concern: &str) -> Rng {
        let mut state = seed;
        for byte in concern.bytes() {
            state = splitmix(&mut state) ^ u64::from(byte);
        }
        Rng { state: std::array::from_fn(|_| splitmix(&mut state)) }
    }

    /// Any number.
    pub fn next(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// 0 to `end - 1`; 0 when `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        // The modulo's bias does not matter to a test.
        if end == 0 { 0 } else { (self.next() % end as u64) as usize }
    }

    /// `low` to `high`, both included.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// True in `percent` of a hundred cases.
    pub fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// An index by weight.
    pub fn weighted(&mut self, weights: &[usize]) -> usize {
        let mut left = self.below(weights.iter().sum());
        for (index, weight) in weights.iter().enumerate() {
            if left < *weight {
                return index;
            }
            left -= weight;
        }
        0
    }

    /// Another order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[test]
fn streams_repeat_and_differ_by_concern() {
    let draw = |concern: &str| {
        let mut rng = Rng::salted(7, concern);
        [rng.next(), rng.next(), rng.next()]
    };
    assert_eq!(draw("network"), draw("network"));
    assert_ne!(draw("network"), draw("clients"));
}
