//! Load averages, as mosquitto computes them: what is counted becomes a number a minute, smoothed over 1, 5 and 15
//! minutes. Pure: the time is an input.

use std::time::Duration;

/// What the averages are called, and their time constants in seconds.
pub(super) const SPANS: [(&str, f64); 3] = [("1min", 60.0), ("5min", 300.0), ("15min", 900.0)];

/// The averages of one count.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Averages([f64; SPANS.len()]);

impl Averages {
    /// `events` more were counted in the last `elapsed`.
    fn add(&mut self, events: u64, elapsed: Duration) {
        let secs = elapsed.as_secs_f64();
        let rate = events as f64 * 60.0 / secs;
        for (average, (_, constant)) in self.0.iter_mut().zip(SPANS) {
            *average = rate + (-secs / constant).exp() * (*average - rate);
        }
    }

    /// In the order of [`SPANS`], a minute.
    pub(super) fn per_minute(&self) -> [f64; SPANS.len()] {
        self.0
    }
}

/// The averages of `N` counts that only grow.
#[derive(Clone, Debug)]
pub(super) struct Loads<const N: usize> {
    last: Option<(Duration, [u64; N])>,
    averages: [Averages; N],
}

impl<const N: usize> Loads<N> {
    pub(super) fn new() -> Loads<N> {
        Loads { last: None, averages: [Averages::default(); N] }
    }

    /// At `now` the counts stand so. The first time says nothing: the averages begin at zero.
    pub(super) fn update(&mut self, now: Duration, counts: [u64; N]) -> &[Averages; N] {
        if let Some((then, before)) = self.last {
            let elapsed = now.saturating_sub(then);
            if elapsed.is_zero() {
                return &self.averages;
            }
            for (averages, (count, before)) in self.averages.iter_mut().zip(counts.iter().zip(before)) {
                // A refusal at a topic's home takes an acceptance back: no count of these, but none is trusted.
                averages.add(count.saturating_sub(before), elapsed);
            }
        }
        self.last = Some((now, counts));
        &self.averages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn a_steady_rate_is_approached_with_the_time_constant_of_each_span() {
        let mut loads = Loads::<1>::new();
        assert_eq!(loads.update(secs(0), [1_000])[0].per_minute(), [0.0; 3], "the first look begins at zero");
        let mut last = [0.0; 3];
        for step in 1..=6 {
            // 2 a second: 120 a minute.
            last = loads.update(secs(step * 10), [1_000 + step * 20])[0].per_minute();
        }
        // After one minute: 120 * (1 - e^-1), 120 * (1 - e^-1/5), 120 * (1 - e^-1/15).
        let expected = [75.854_467, 21.752_310, 7.739_162];
        for (got, expected) in last.into_iter().zip(expected) {
            assert!((got - expected).abs() < 1e-4, "{got} is not {expected}");
        }
    }

    #[test]
    fn how_often_one_looks_does_not_matter() {
        let (mut often, mut once) = (Loads::<1>::new(), Loads::<1>::new());
        often.update(secs(0), [0]);
        once.update(secs(0), [0]);
        for second in 1..=60 {
            often.update(secs(second), [second * 7]);
        }
        let (often, once) = (often.update(secs(60), [420])[0], once.update(secs(60), [420])[0].per_minute());
        for (often, once) in often.per_minute().into_iter().zip(once) {
            assert!((often - once).abs() < 1e-9, "{often} and {once}");
        }
    }

    #[test]
    fn silence_lets_them_fall() {
        let mut loads = Loads::<2>::new();
        loads.update(secs(0), [0, 0]);
        let busy = loads.update(secs(60), [600, 0])[0].per_minute();
        let quiet = *loads.update(secs(120), [600, 0]);
        for (at, (_, constant)) in SPANS.iter().enumerate() {
            let expected = busy[at] * (-60.0 / constant).exp();
            assert!((quiet[0].per_minute()[at] - expected).abs() < 1e-9);
        }
        assert_eq!(quiet[1], Averages::default());
    }
}
