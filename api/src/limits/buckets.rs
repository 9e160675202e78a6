//! Where the limits keep what they have counted: a bucket for each key, so many at most.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use governor::{
    nanos::Nanos,
    state::{InMemoryState, NotKeyed, StateStore, keyed::ShrinkableKeyedStateStore},
};

use super::Key;

/// Buckets of one limit; some 60 bytes each.
const MOST: usize = 100_000;

/// See the module. When all buckets are taken, the keys that have none share one, so that whoever comes with ever new keys
/// hinders others who are new, and neither escapes the limit nor fills the memory.
#[derive(Debug)]
pub(super) struct Buckets {
    of_key: Mutex<HashMap<Key, Nanos>>,
    shared: InMemoryState,
    most: usize,
}

impl Default for Buckets {
    fn default() -> Self {
        Self { of_key: Mutex::default(), shared: InMemoryState::default(), most: MOST }
    }
}

impl Buckets {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Nanos>> {
        self.of_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateStore for Buckets {
    type Key = Key;

    fn measure_and_replace<T, F, E>(&self, key: &Key, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut of_key = self.lock();
        if let Some(level) = of_key.get_mut(key) {
            let (outcome, new) = f(Some(*level))?;
            *level = new;
            return Ok(outcome);
        }
        if of_key.len() >= self.most {
            drop(of_key);
            return self.shared.measure_and_replace(&NotKeyed::NonKey, f);
        }
        let (outcome, new) = f(None)?;
        of_key.insert(*key, new);
        Ok(outcome)
    }
}

impl ShrinkableKeyedStateStore<Key> for Buckets {
    fn retain_recent(&self, drop_below: Nanos) {
        self.lock().retain(|_, level| *level > drop_below);
    }

    fn shrink_to_fit(&self) {
        let mut of_key = self.lock();
        if of_key.capacity() > 4 * of_key.len() {
            of_key.shrink_to_fit();
        }
    }

    fn len(&self) -> usize {
        self.lock().len()
    }

    fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU32, time::Duration};

    use governor::{Quota, RateLimiter, clock::FakeRelativeClock, middleware::StateInformationMiddleware};

    use super::*;

    fn key(n: u8) -> Key {
        [n; 16]
    }

    #[test]
    fn what_has_run_empty_is_forgotten_and_new_keys_share_what_is_left() {
        let clock = FakeRelativeClock::default();
        let quota = Quota::per_minute(NonZeroU32::new(2).expect("2 is not 0"));
        let buckets = Buckets { most: 2, ..Buckets::default() };
        let limiter: RateLimiter<Key, Buckets, FakeRelativeClock, StateInformationMiddleware> =
            RateLimiter::new(quota, buckets, clock.clone());
        let takes = |n, times: usize| (0..times).filter(|_| limiter.check_key(&key(n)).is_ok()).count();
        assert_eq!((takes(1, 3), takes(2, 1)), (2, 1));
        assert_eq!((takes(3, 1), takes(4, 1), takes(5, 1)), (1, 1, 0), "the two of the shared bucket");
        assert_eq!((limiter.len(), takes(2, 2)), (2, 1), "who has a bucket is not hindered");

        clock.advance(Duration::from_secs(30));
        limiter.retain_recent();
        assert_eq!(limiter.len(), 2);
        clock.advance(Duration::from_secs(61));
        limiter.retain_recent();
        limiter.shrink_to_fit();
        assert_eq!(limiter.len(), 0);
        assert_eq!(takes(6, 3), 2);
    }
}
