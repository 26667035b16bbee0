//! Homes: which shard a topic or a client lives on. Knows nothing of what lives there.
//!
//! The hash is SipHash-1-3 with a key from the data directory, because a home must be the same on every shard, on
//! every processor and after every restart; a table's hasher promises none of these.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use super::ShardId;

/// How many buckets names fall into. A name's bucket never changes; which shard holds it follows their number.
pub const BUCKETS: u16 = 1024;

/// Names to buckets to shards.
#[derive(Clone, Copy, Debug)]
pub struct Homes {
    key: [u8; 16],
    shards: u16,
}

impl Homes {
    /// Homes over `shards` shards, at least one and at most [`BUCKETS`].
    pub fn new(key: [u8; 16], shards: u16) -> Homes {
        assert!((1..=BUCKETS).contains(&shards), "1 to {BUCKETS} shards, not {shards}");
        Homes { key, shards }
    }

    /// The keyed hash of `name`: stands in for it where only equality matters.
    pub fn hash(&self, name: &[u8]) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        hasher.write(name);
        hasher.finish()
    }

    /// The bucket of `name`, below [`BUCKETS`]; depends on the key alone.
    pub fn bucket(&self, name: &[u8]) -> u16 {
        (self.hash(name) % u64::from(BUCKETS)) as u16
    }

    /// The home shard of `name`.
    pub fn of(&self, name: &[u8]) -> ShardId {
        if self.shards == 1 {
            return ShardId(0);
        }
        ShardId((u32::from(self.bucket(name)) * u32::from(self.shards) / u32::from(BUCKETS)) as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

    /// A data directory written by an earlier release must find its topics where it left them.
    #[test]
    fn buckets_are_stable() {
        let homes = Homes::new(KEY, 4);
        let got = ["", "a", "sensors/1/temperature", "$SYS/broker/uptime", "gerät/ü"]
            .map(|name| homes.bucket(name.as_bytes()));
        // From another implementation of SipHash-1-3.
        assert_eq!(got, [220, 567, 451, 773, 107]);
    }

    #[test]
    fn buckets_do_not_depend_on_the_number_of_shards() {
        for n in 0..1_000u32 {
            let name = n.to_le_bytes();
            assert_eq!(Homes::new(KEY, 3).bucket(&name), Homes::new(KEY, 64).bucket(&name));
        }
    }

    #[test]
    fn every_shard_gets_its_share() {
        for shards in [1, 2, 3, 4, 7, 16] {
            let homes = Homes::new(KEY, shards);
            let mut held = vec![0u32; usize::from(shards)];
            for n in 0..40_000u32 {
                held[usize::from(homes.of(format!("device/{n}").as_bytes()).0)] += 1;
            }
            let fair = 40_000 / u32::from(shards);
            assert!(held.iter().all(|&h| h > fair * 8 / 10 && h < fair * 12 / 10), "{shards}: {held:?}");
        }
    }

    #[test]
    fn keys_matter() {
        let other = Homes::new([7; 16], 4);
        let differing = (0..1_000u32)
            .filter(|n| other.bucket(&n.to_le_bytes()) != Homes::new(KEY, 4).bucket(&n.to_le_bytes()))
            .count();
        assert!(differing > 900);
    }

    #[test]
    #[should_panic(expected = "shards")]
    fn no_shard_is_no_home() {
        Homes::new(KEY, 0);
    }
}
