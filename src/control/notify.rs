//! What the service manager (systemd) is told of the broker, and the watchdog that it keeps. Without one nothing happens.
//! Knows no shard: the watchdog is shown counts that have to grow.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// The broker takes connections, or waits to be enabled; `status` is what `systemctl status` shows.
pub(super) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(&line(status))]);
}

/// An Apply has begun; [`ready`] says that it is over, whatever became of it.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        // systemd takes the first only together with the second, by which it knows which reload is meant.
        Ok(now) => tell(&[NotifyState::Reloading, now, NotifyState::Status("applying the configuration")]),
        Err(error) => tracing::debug!("the monotonic clock cannot be read: {error}"),
    }
}

/// The broker says good-bye to its clients.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

/// A message is made of lines: what would begin another one could say anything.
fn line(text: &str) -> String {
    super::escape::line(text)
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("the service manager cannot be told: {error}");
    }
}

/// The service manager's watchdog. It is fed only while every shard makes turns, so that a broker of which a part hangs
/// is started again.
#[derive(Debug)]
pub(super) struct Watchdog {
    /// Between two looks: a third of the time after which the service manager takes the process for dead.
    interval: Duration,
    due: Instant,
    /// Turns of each shard when it was last fed.
    turns: Vec<u64>,
}

impl Watchdog {
    /// The watchdog that this process was started under.
    pub(super) fn of_this_process() -> Option<Watchdog> {
        sd_notify::watchdog_enabled().map(|patience| Watchdog::new(patience, Instant::now()))
    }

    fn new(patience: Duration, now: Instant) -> Watchdog {
        Watchdog { interval: patience / 3, due: now, turns: Vec::new() }
    }

    /// When [`Watchdog::look`] is to be called.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// The turns that each shard has made so far; none while the broker is disabled. Feeds the watchdog if all have made
    /// one since it was last fed.
    pub(super) fn look(&mut self, turns: &[u64]) {
        match self.judge(turns, Instant::now()) {
            Ok(()) => tell(&[NotifyState::Watchdog]),
            Err(shard) => tracing::error!("shard {shard} has made no turn: the watchdog is not fed"),
        }
    }

    fn judge(&mut self, turns: &[u64], now: Instant) -> Result<(), usize> {
        self.due = now + self.interval;
        // Other shards than before: the broker was enabled meanwhile, which is progress.
        let stuck = |(shard, (now, before)): (usize, (&u64, &u64))| (now == before).then_some(shard);
        let same = turns.len() == self.turns.len();
        if let Some(shard) = turns.iter().zip(&self.turns).enumerate().find_map(stuck).filter(|_| same) {
            return Err(shard);
        }
        self.turns = turns.to_vec();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_fed_while_every_shard_makes_turns() {
        let start = Instant::now();
        let mut dog = Watchdog::new(Duration::from_secs(30), start);
        assert_eq!(dog.due(), start);
        assert_eq!(dog.judge(&[5, 7], start), Ok(()));
        assert_eq!(dog.due(), start + Duration::from_secs(10));
        assert_eq!(dog.judge(&[6, 8], start), Ok(()));
        assert_eq!(dog.judge(&[9, 8], start), Err(1), "the second shard hangs");
        assert_eq!(dog.judge(&[12, 8], start), Err(1), "it still does");
        assert_eq!(dog.judge(&[12, 9], start), Ok(()), "since it was last fed both have made turns");
    }

    #[test]
    fn a_broker_that_is_disabled_or_just_enabled_is_alive() {
        let start = Instant::now();
        let mut dog = Watchdog::new(Duration::from_secs(3), start);
        assert_eq!(dog.judge(&[], start), Ok(()));
        assert_eq!(dog.judge(&[], start), Ok(()));
        assert_eq!(dog.judge(&[0, 0], start), Ok(()));
        assert_eq!(dog.judge(&[0, 1], start), Err(0));
        assert_eq!(dog.judge(&[], start), Ok(()), "disabled");
    }
}
