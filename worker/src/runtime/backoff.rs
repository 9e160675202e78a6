//! How long a failed job waits: exponential with full jitter, so that jobs that failed together don't come back together
//! (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).

use std::time::Duration;

use common::config::JobLimits;

/// The age from which on a job is tried less often.
const YOUNG: Duration = Duration::from_secs(60 * 60);
/// How much less often.
const OLD_FACTOR: u32 = 10;

/// The pause after failure number `failures` (from 1) of a job of this age. `chance` is uniform in 0..1.
pub(super) fn delay(failures: i32, age: Duration, limits: &JobLimits, chance: f64) -> Duration {
    let cap = if age < YOUNG { limits.backoff_cap } else { limits.backoff_cap.saturating_mul(OLD_FACTOR) };
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(0).min(30);
    limits.backoff.saturating_mul(1 << doublings).min(cap).mul_f64(chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const LIMITS: JobLimits = JobLimits {
        lease: SECOND,
        backoff: SECOND,
        backoff_cap: Duration::from_secs(60),
        give_up_after: Duration::from_secs(24 * 60 * 60),
    };

    #[test]
    fn it_doubles_up_to_the_cap_which_is_higher_for_an_old_job() {
        let longest = |failures, age| delay(failures, age, &LIMITS, 1.0).as_secs();
        assert_eq!([1, 2, 3, 6, 7, 100].map(|n| longest(n, SECOND)), [1, 2, 4, 32, 60, 60]);
        assert_eq!([1, 7, 10, 11, 100, i32::MAX].map(|n| longest(n, YOUNG)), [1, 64, 512, 600, 600, 600]);
    }

    #[test]
    fn the_jitter_is_full() {
        assert_eq!(delay(3, SECOND, &LIMITS, 0.0), Duration::ZERO);
        assert_eq!(delay(3, SECOND, &LIMITS, 0.25), SECOND);
    }
}
