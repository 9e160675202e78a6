//! What has been seen so far: by shoppers, by the administrator, by whoever makes things break.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::fault::Kind;

/// How many different complaints are kept.
const COMPLAINTS: usize = 50;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Seen>);

/// What a tally holds.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The orders that shoppers were told of.
    pub(super) orders: BTreeSet<String>,
    /// Those of them that their shoppers saw paid.
    pub(super) paid: BTreeSet<String>,
    /// What became of the visits that ended without an order, and of refunds that were asked for.
    pub(super) outcomes: BTreeMap<&'static str, u64>,
    /// Faults that have struck.
    pub(super) faults: BTreeMap<Kind, u64>,
    /// Calls that had to be made again.
    pub(super) repeats: u64,
    /// What should not have been seen, and how often it was.
    pub(super) complaints: BTreeMap<String, u64>,
}

impl Tally {
    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self, outcome: &'static str) {
        *self.seen().outcomes.entry(outcome).or_default() += 1;
    }

    pub(super) fn struck(&self, kind: Kind) {
        *self.seen().faults.entry(kind).or_default() += 1;
    }

    /// Something that no fault excuses.
    pub(super) fn complain(&self, what: String) {
        let mut seen = self.seen();
        if seen.complaints.len() < COMPLAINTS || seen.complaints.contains_key(&what) {
            *seen.complaints.entry(what).or_default() += 1;
        }
    }
}

impl Seen {
    /// How many faults have struck.
    pub(super) fn all_faults(&self) -> u64 {
        self.faults.values().sum()
    }

    /// Kinds of faults that have not.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        Kind::ALL.iter().filter(|kind| !self.faults.contains_key(kind)).map(|kind| kind.name()).collect()
    }
}
