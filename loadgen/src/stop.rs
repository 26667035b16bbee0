//! When a run has done enough: after so many messages, after so much time, or whichever comes first.
//!
//! Knows operations by their number and due time only.

use crate::schedule::Nanos;

/// The end of publishing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stop {
    /// Operations in all, over all publishers.
    pub messages: Option<u64>,
    /// The first moment at which nothing falls due any more.
    pub until: Option<Nanos>,
}

impl Stop {
    /// Is operation `k`, due at `due`, beyond the end?
    pub fn is_over(&self, k: u64, due: Nanos) -> bool {
        self.messages.is_some_and(|n| k >= n) || self.until.is_some_and(|t| due >= t)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whichever_comes_first() {
        let s = Stop { messages: Some(10), until: Some(100) };
        assert!(!s.is_over(9, 99));
        assert!(s.is_over(10, 0));
        assert!(s.is_over(0, 100));
        assert!(!Stop::default().is_over(u64::MAX, u64::MAX));
    }
}
