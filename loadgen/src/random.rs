//! A small seeded generator (SplitMix64): the same seed, the same cuts.

/// Random numbers from a seed.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is not 0.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u64
    }

    /// The wait until the next event of a process with this mean (exponential), in the unit of `mean`.
    pub fn wait(&mut self, mean: f64) -> f64 {
        let uniform = (self.bits() >> 11) as f64 / (1u64 << 53) as f64;
        -(1.0 - uniform).ln() * mean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_published_splitmix64() {
        let mut r = Random(1_234_567);
        assert_eq!([r.bits(), r.bits()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn below_and_wait_have_their_mean() {
        let mut r = Random(1);
        let n = 100_000;
        let below = (0..n).map(|_| r.below(10)).sum::<u64>() as f64 / f64::from(n);
        let wait = (0..n).map(|_| r.wait(3.0)).sum::<f64>() / f64::from(n);
        assert!((below - 4.5).abs() < 0.05 && (wait - 3.0).abs() < 0.05, "{below} {wait}");
    }
}
