//! What goes wrong when, all of it from the seed: rounds in which each kind of fault comes once, in an order of its own.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};

use super::fault::Kind;

/// Between two faults, in milliseconds, where time allows.
const PAUSE: std::ops::Range<u64> = 1_000..2_500;
/// Of the time, what is left for the first round: each kind has to come.
const FIRST_ROUND: f64 = 0.85;

/// A fault to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Planned {
    /// Milliseconds after the beginning.
    pub(super) at_ms: u64,
    pub(super) kind: Kind,
    /// Which API, worker, or way: any number, to be taken modulo how many there are.
    pub(super) which: usize,
    /// How long, see [`Kind::lasts`].
    pub(super) ms: u64,
    /// How often a call is struck.
    pub(super) times: u32,
}

/// The faults of a run, in the order in which they come.
pub(super) fn plan(seed: u64, time: Duration) -> Vec<Planned> {
    let mut random = StdRng::seed_from_u64(seed);
    let end = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let needed = PAUSE.end * u64::try_from(Kind::ALL.len()).unwrap_or(u64::MAX);
    #[expect(clippy::cast_precision_loss, reason = "a share of some minutes")]
    let haste = (end as f64 * FIRST_ROUND / needed as f64).min(1.0);
    let mut planned = Vec::new();
    let mut at_ms = 0;
    loop {
        let mut round = Kind::ALL;
        round.shuffle(&mut random);
        for kind in round {
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "seconds, and never below none"
            )]
            let pause = (random.random_range(PAUSE) as f64 * haste) as u64;
            at_ms += pause.max(1);
            let (which, ms) = (random.random_range(0..1_000), random.random_range(kind.lasts()));
            let times = random.random_range(1..=3);
            if at_ms >= end {
                return planned;
            }
            planned.push(Planned { at_ms, kind, which, ms, times });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_seed_gives_the_same_plan_again_and_another_one_another() {
        assert_eq!(plan(1, MINUTE), plan(1, MINUTE));
        assert_ne!(plan(1, MINUTE), plan(2, MINUTE));
        assert!(plan(1, MINUTE).is_sorted_by_key(|fault| fault.at_ms));
    }

    #[test]
    fn a_longer_run_begins_as_a_shorter_one_that_had_the_time() {
        let (short, long) = (plan(7, 2 * MINUTE), plan(7, 10 * MINUTE));
        assert!(long.starts_with(&short));
        assert!(long.len() > 4 * short.len());
    }

    #[test]
    fn each_kind_comes_in_a_run_of_any_length() {
        for seed in 0..50 {
            for seconds in [20, 60, 120] {
                let kinds: BTreeSet<_> =
                    plan(seed, Duration::from_secs(seconds)).iter().map(|fault| fault.kind).collect();
                assert_eq!(kinds.len(), Kind::ALL.len(), "{seconds} s, seed {seed}");
            }
        }
    }
}
