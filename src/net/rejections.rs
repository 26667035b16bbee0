//! The last connections that were not let in before they came to the owner, for whoever wants to know why.
//!
//! Pure.

use std::collections::VecDeque;

use crate::policy::Rejection;

/// How many are kept. Anybody can cause one, so it is a number and not a time.
const MOST: usize = 256;

/// The ring.
#[derive(Debug, Default)]
pub(super) struct Rejections {
    last: VecDeque<Rejection>,
}

impl Rejections {
    pub(super) fn push(&mut self, rejection: Rejection) {
        if self.last.len() == MOST {
            self.last.pop_front();
        }
        self.last.push_back(rejection);
    }

    /// Oldest first.
    pub(super) fn all(&self) -> Vec<Rejection> {
        self.last.iter().cloned().collect()
    }
}
