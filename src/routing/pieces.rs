//! A hash table in pieces, so that growing never stalls a turn. Knows nothing of what it holds.
//!
//! One table of a million entries moves all of them in the one insert that fills it, tens of milliseconds; a piece
//! holds a few thousand. The caller hashes, and says whether an entry is the one it means.

use hashbrown::HashTable;

const PIECES: usize = 256;

/// Entries found by a 64-bit hash and a comparison.
pub(super) struct Pieces<T> {
    pieces: Box<[HashTable<T>]>,
    len: usize,
}

impl<T> Pieces<T> {
    pub(super) fn new() -> Pieces<T> {
        Pieces { pieces: (0..PIECES).map(|_| HashTable::new()).collect(), len: 0 }
    }

    /// The table inside a piece uses the lowest bits and the highest seven; the piece comes from between.
    fn piece(hash: u64) -> usize {
        (hash >> 48) as usize % PIECES
    }

    pub(super) fn find(&self, hash: u64, is: impl FnMut(&T) -> bool) -> Option<&T> {
        self.pieces[Self::piece(hash)].find(hash, is)
    }

    pub(super) fn find_mut(&mut self, hash: u64, is: impl FnMut(&T) -> bool) -> Option<&mut T> {
        self.pieces[Self::piece(hash)].find_mut(hash, is)
    }

    /// Adds an entry that is not there yet. `rehash` gives the hash of an entry that must move.
    pub(super) fn insert(&mut self, hash: u64, entry: T, rehash: impl Fn(&T) -> u64) {
        self.pieces[Self::piece(hash)].insert_unique(hash, entry, rehash);
        self.len += 1;
    }

    /// Takes an entry out, and gives memory back once a piece is mostly empty.
    pub(super) fn remove(
        &mut self,
        hash: u64,
        is: impl FnMut(&T) -> bool,
        rehash: impl Fn(&T) -> u64,
    ) -> Option<T> {
        let piece = &mut self.pieces[Self::piece(hash)];
        let (entry, _) = piece.find_entry(hash, is).ok()?.remove();
        self.len -= 1;
        if piece.len() * 8 < piece.capacity() {
            piece.shrink_to(piece.len() * 2, rehash);
        }
        Some(entry)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes on the heap, without what entries point to.
    pub(super) fn bytes(&self) -> usize {
        let tables: usize = self.pieces.iter().map(HashTable::allocation_size).sum();
        tables + PIECES * size_of::<HashTable<T>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spreads over all bits, as a hasher would.
    fn hash(n: u32) -> u64 {
        u64::from(n).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[test]
    fn finds_what_is_there_and_gives_memory_back() {
        let mut pieces = Pieces::new();
        let empty = pieces.bytes();
        for n in 0..100_000u32 {
            pieces.insert(hash(n), n, |&n| hash(n));
        }
        assert_eq!(pieces.len(), 100_000);
        assert!(pieces.bytes() > empty + 400_000);
        for n in 0..100_000u32 {
            assert_eq!(pieces.find(hash(n), |&e| e == n), Some(&n));
            assert_eq!(pieces.remove(hash(n), |&e| e == n, |&n| hash(n)), Some(n));
            assert_eq!(pieces.find(hash(n), |&e| e == n), None);
        }
        assert_eq!(pieces.len(), 0);
        assert!(pieces.bytes() < empty + 64 * PIECES, "{} of {empty}", pieces.bytes());
    }
}
