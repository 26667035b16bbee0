//! Makes a failing sequence smaller: leaves parts out, halves first, for as long as it fails by the same rule. The
//! work is bounded in steps, not by a clock, so that a seed shrinks to the same sequence everywhere.

/// Steps that may be played while shrinking.
const BUDGET: usize = 400_000;

/// What one attempt showed.
pub struct Attempt {
    /// Steps that it took.
    pub cost: usize,
    /// It failed, by the same rule, at this index of the sequence.
    pub fails_at: Option<usize>,
}

/// Leaves out what `attempt` does not need to fail: first everything of one of `kinds`, then chunks, then single
/// elements until none can be spared.
pub fn shrink<T: Clone>(
    sequence: &[T],
    kinds: &[&dyn Fn(&T) -> bool],
    mut attempt: impl FnMut(&[T]) -> Attempt,
) -> Vec<T> {
    let mut left = BUDGET;
    let mut fails = |candidate: &[T]| {
        if left == 0 {
            return None;
        }
        let Attempt { cost, fails_at } = attempt(candidate);
        left = left.saturating_sub(cost.max(1));
        fails_at
    };
    let mut best = sequence.to_vec();
    if let Some(at) = fails(&best) {
        best.truncate(at + 1);
    }
    for kind in kinds {
        let without: Vec<T> = best.iter().filter(|item| !kind(item)).cloned().collect();
        if without.len() < best.len() && fails(&without).is_some() {
            best = without;
        }
    }
    let mut chunk = best.len().div_ceil(2).max(1);
    loop {
        let before = best.len();
        let mut at = 0;
        while at < best.len() {
            let mut without = best.clone();
            without.drain(at..(at + chunk).min(best.len()));
            match fails(&without) {
                Some(end) => {
                    without.truncate(end + 1);
                    best = without;
                }
                None => at += chunk,
            }
        }
        if chunk > 1 {
            chunk = chunk.div_ceil(2);
        } else if best.len() == before {
            return best;
        }
    }
}

#[test]
fn a_sequence_shrinks_to_what_it_needs_to_fail() {
    let sequence: Vec<u32> = (0..500).collect();
    let attempt = |candidate: &[u32]| {
        let wanted = |item| candidate.iter().position(|c| *c == item);
        let fails_at = wanted(17).zip(wanted(230)).zip(wanted(231)).map(|(_, last)| last);
        Attempt { cost: candidate.len(), fails_at }
    };
    assert_eq!(shrink(&sequence, &[&|item| item % 2 == 1, &|item| *item > 300], attempt), [17, 230, 231]);
}

#[test]
fn shrinking_ends_although_nothing_can_be_spared() {
    let sequence: Vec<u32> = (0..300).collect();
    let mut cost = 0;
    let shrunk = shrink(&sequence, &[], |candidate| {
        cost += candidate.len();
        Attempt { cost: candidate.len(), fails_at: (candidate.len() == 300).then_some(299) }
    });
    assert_eq!(shrunk, sequence);
    assert!(cost <= BUDGET + 300, "{cost}");
}
