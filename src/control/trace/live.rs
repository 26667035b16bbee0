//! Whoever listens to lines while they are made: each has a queue of its own that is bounded in lines and bytes. A queue
//! that is full loses its own lines and counts them; nobody waits for anybody. Knows nothing of what the lines say.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

/// Lines that may wait for one listener.
const LINES_MOST: usize = 4_096;
/// Bytes that may wait for one listener.
const BYTES_MOST: usize = 1 << 20;

/// What a listener hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::control) enum Heard {
    /// A line, shared by all who hear it.
    Line(Arc<str>),
    /// So many lines were lost here, because this listener was too slow.
    Lost(u64),
}

#[derive(Debug, Default)]
struct Waiting {
    heard: VecDeque<Heard>,
    bytes: usize,
    /// Nothing comes any more.
    ended: bool,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    more: Notify,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing in here can panic half way through.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &Arc<str>) {
        let mut waiting = self.lock();
        if waiting.heard.len() < LINES_MOST && waiting.bytes + line.len() <= BYTES_MOST {
            waiting.bytes += line.len();
            waiting.heard.push_back(Heard::Line(Arc::clone(line)));
        } else if let Some(Heard::Lost(lines)) = waiting.heard.back_mut() {
            *lines += 1;
        } else {
            waiting.heard.push_back(Heard::Lost(1));
        }
        drop(waiting);
        self.more.notify_one();
    }

    fn end(&self) {
        self.lock().ended = true;
        self.more.notify_one();
    }
}

/// One who listens. Dropping it ends that.
#[derive(Debug)]
pub(in crate::control) struct Listener(Arc<Queue>);

impl Listener {
    /// The next that is heard; `None`: nothing comes any more.
    pub(in crate::control) async fn next(&mut self) -> Option<Heard> {
        loop {
            // Whoever pushes after the look leaves a permit, which ends the wait at once.
            {
                let mut waiting = self.0.lock();
                if let Some(heard) = waiting.heard.pop_front() {
                    if let Heard::Line(line) = &heard {
                        waiting.bytes -= line.len();
                    }
                    return Some(heard);
                }
                if waiting.ended {
                    return None;
                }
            }
            self.0.more.notified().await;
        }
    }
}

/// All who listen, each with what it wants to hear.
#[derive(Debug)]
pub(super) struct Listeners<F> {
    all: Vec<(F, Weak<Queue>)>,
}

impl<F> Default for Listeners<F> {
    fn default() -> Listeners<F> {
        Listeners { all: Vec::new() }
    }
}

impl<F> Listeners<F> {
    /// One more, who hears what `wants`.
    pub(super) fn add(&mut self, wants: F) -> Listener {
        let queue = Arc::new(Queue::default());
        self.all.push((wants, Arc::downgrade(&queue)));
        Listener(queue)
    }

    /// Gives a line to all of whom `wants` says so. The line is made only if there is one.
    pub(super) fn tell(&mut self, wants: impl Fn(&F) -> bool, mut line: impl FnMut() -> Arc<str>) {
        self.all.retain(|(wish, queue)| {
            let Some(queue) = queue.upgrade() else { return false };
            if wants(wish) {
                queue.push(&line());
            }
            true
        });
    }

    /// What those who still listen want to hear.
    pub(super) fn wishes(&mut self) -> impl Iterator<Item = &F> {
        self.all.retain(|(_, queue)| queue.strong_count() > 0);
        self.all.iter().map(|(wish, _)| wish)
    }
}

impl<F> Drop for Listeners<F> {
    fn drop(&mut self) {
        for queue in self.all.iter().filter_map(|(_, queue)| queue.upgrade()) {
            queue.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// What is there to be heard now.
    fn now(listener: &mut Listener) -> Option<Option<Heard>> {
        let mut context = Context::from_waker(Waker::noop());
        match pin!(listener.next()).poll(&mut context) {
            Poll::Ready(heard) => Some(heard),
            Poll::Pending => None,
        }
    }

    fn line(text: &str) -> Option<Option<Heard>> {
        Some(Some(Heard::Line(text.into())))
    }

    #[test]
    fn each_hears_what_it_wants() {
        let mut listeners = Listeners::default();
        let (mut odd, mut all) = (listeners.add("odd"), listeners.add("all"));
        let mut made = 0;
        for (number, text) in ["zero", "one", "two"].into_iter().enumerate() {
            let wants = |wish: &&str| *wish == "all" || number % 2 == 1;
            listeners.tell(wants, || {
                made += 1;
                text.into()
            });
        }
        assert_eq!(made, 4);
        assert_eq!([now(&mut odd), now(&mut odd)], [line("one"), None]);
        assert_eq!([now(&mut all), now(&mut all), now(&mut all)], [line("zero"), line("one"), line("two")]);
        drop(odd);
        assert_eq!(listeners.wishes().collect::<Vec<_>>(), [&"all"]);
        drop(listeners);
        assert_eq!(now(&mut all), Some(None));
    }

    #[test]
    fn who_does_not_read_loses_its_own_lines_and_learns_how_many() {
        let mut listeners = Listeners::default();
        let (mut slow, mut fast) = (listeners.add(()), listeners.add(()));
        let text: Arc<str> = "x".repeat(BYTES_MOST / 16).into();
        for _ in 0..100 {
            listeners.tell(|()| true, || Arc::clone(&text));
            assert_eq!(now(&mut fast), line(&text));
        }
        // The fast one holds none, the slow one sixteen, and no more than that.
        assert_eq!(Arc::strong_count(&text), 1 + 16);
        for _ in 0..16 {
            assert_eq!(now(&mut slow), line(&text));
        }
        assert_eq!(now(&mut slow), Some(Some(Heard::Lost(84))));
        listeners.tell(|()| true, || "again".into());
        assert_eq!(now(&mut slow), line("again"));
    }

    #[test]
    fn small_lines_are_bounded_by_their_number_and_what_is_lost_keeps_its_place() {
        let mut listeners = Listeners::default();
        let mut slow = listeners.add(());
        for _ in 0..LINES_MOST + 5 {
            listeners.tell(|()| true, || "x".into());
        }
        assert_eq!(now(&mut slow), line("x"));
        assert_eq!(now(&mut slow), line("x"));
        // Room for one: the note of what was lost has taken a place too.
        listeners.tell(|()| true, || "late".into());
        listeners.tell(|()| true, || "lost".into());
        let rest: Vec<Heard> = std::iter::from_fn(|| now(&mut slow).flatten()).collect();
        let tail: Vec<Heard> = rest[rest.len() - 3..].to_vec();
        assert_eq!(rest.len(), LINES_MOST - 2 + 3);
        assert_eq!(tail, [Heard::Lost(5), Heard::Line("late".into()), Heard::Lost(1)]);
    }
}
