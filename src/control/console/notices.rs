//! What the last action came to, kept until the page after it shows it. The page's URL says which it is; it is shown once.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::views::shell::Notice;

/// Notices that wait to be shown; the oldest makes room.
const MOST: usize = 64;

/// The notices.
#[derive(Debug, Default)]
pub(super) struct Notices {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    notices: VecDeque<(u64, Notice)>,
    next: u64,
}

impl Notices {
    /// Keeps one: its number.
    pub(super) fn keep(&self, notice: Notice) -> u64 {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.notices.len() == MOST {
            waiting.notices.pop_front();
        }
        let number = waiting.next;
        waiting.next += 1;
        waiting.notices.push_back((number, notice));
        number
    }

    /// The one of this number; it is not there a second time.
    pub(super) fn take(&self, number: u64) -> Option<Notice> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let index = waiting.notices.iter().position(|(kept, _)| *kept == number)?;
        waiting.notices.remove(index).map(|(_, notice)| notice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_shown_once_and_many_do_not_pile_up() {
        let notices = Notices::default();
        let number = notices.keep(Notice::good("saved"));
        assert_eq!(notices.take(number).map(|notice| notice.text.0).as_deref(), Some("saved"));
        assert_eq!(notices.take(number), None);
        let first = notices.keep(Notice::good("first"));
        for _ in 0..MOST {
            notices.keep(Notice::good("more"));
        }
        assert_eq!(notices.take(first), None);
    }
}
