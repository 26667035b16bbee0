//! A text beside its key, not behind a pointer: in a large table every pointer followed is a miss of every cache.
//! Knows nothing of topics.

use smallvec::SmallVec;

use super::targets::heap_bytes;

/// A text, on the heap only if it is longer than `N` bytes.
pub(super) struct Text<const N: usize>(SmallVec<[u8; N]>);

impl<const N: usize> Text<N> {
    pub(super) fn new(text: &str) -> Text<N> {
        Text(SmallVec::from_slice(text.as_bytes()))
    }

    pub(super) fn is(&self, text: &str) -> bool {
        *self.0 == *text.as_bytes()
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Bytes that a text takes on the heap.
    pub(super) fn heap_bytes(text: &str) -> usize {
        if text.len() > N { heap_bytes(text.len()) } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long() {
        for text in ["", "a", "exactly sixteen.", "one more than six"] {
            let kept = Text::<16>::new(text);
            assert!(kept.is(text) && !kept.is("other"));
            assert_eq!(kept.as_bytes(), text.as_bytes());
            assert_eq!(kept.0.spilled(), Text::<16>::heap_bytes(text) > 0, "{text}");
        }
    }
}
