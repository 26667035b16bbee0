//! Randomness for shards: seeds from the system, once each.

use std::io;

/// Seeds of one shard.
pub(super) fn seeds() -> io::Result<[u64; 4]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let mut seeds = [0; 4];
    for (seed, word) in seeds.iter_mut().zip(bytes.chunks_exact(8)) {
        *seed = u64::from_le_bytes(word.try_into().expect("eight bytes"));
    }
    Ok(seeds)
}
