//! Who has logged in from where, so that a stranger who guesses at an account does not lock its owner out.

use std::{
    collections::HashSet,
    mem,
    sync::{Mutex, PoisonError},
};

use super::Key;

/// How many are remembered for certain; as many again of those before them.
const MOST: usize = 50_000;

/// Pairs of an account and an address from which it was logged into: the latest ones of this process.
#[derive(Debug, Default)]
pub(super) struct Familiar(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashSet<Key>,
    old: HashSet<Key>,
}

impl Familiar {
    pub(super) fn contains(&self, pair: &Key) -> bool {
        let generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        generations.young.contains(pair) || generations.old.contains(pair)
    }

    pub(super) fn remember(&self, pair: Key) {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if generations.young.len() >= MOST {
            generations.old = mem::take(&mut generations.young);
        }
        generations.young.insert(pair);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_remembered_and_the_oldest_forgotten() {
        let familiar = Familiar::default();
        let pair = |n: usize| (n as u128).to_be_bytes();
        (0..=2 * MOST).for_each(|n| familiar.remember(pair(n)));
        assert!(familiar.contains(&pair(2 * MOST)) && familiar.contains(&pair(MOST + 1)));
        assert!(!familiar.contains(&pair(0)) && !familiar.contains(&pair(MOST - 1)));
    }
}
