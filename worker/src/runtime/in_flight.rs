//! The attempts that this process has on its hands, from their fetch until they are booked. Only these have their leases
//! renewed: a job that is ours by the database's word alone, as when a fetch committed but its answer got lost, is rescued.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use common::{
    cause::Cause,
    id::JobId,
    jobs::{Lease, Queue},
};
use tracing::Span;

use super::{series::Series, slots::Place};

/// An attempt that was given to this process.
#[derive(Debug)]
pub(super) struct Assignment {
    pub(super) lease: Lease,
    pub(super) queue: Queue,
    pub(super) series: Arc<Series>,
    /// Booked failures before this attempt.
    pub(super) failures: i32,
    pub(super) cause: Cause,
    /// The job's age when it was fetched, by the database's clock.
    pub(super) age_at_fetch: Duration,
    pub(super) fetched: Instant,
    pub(super) span: Span,
}

impl Assignment {
    /// Time since the job was first due.
    pub(super) fn age(&self) -> Duration {
        self.age_at_fetch + self.fetched.elapsed()
    }
}

/// A job may be here twice, as a lost attempt that still runs and as a new one.
type Key = (JobId, i32);

struct Entry {
    assignment: Arc<Assignment>,
    place: Option<Place>,
}

/// See the module.
#[derive(Default)]
pub(super) struct InFlight(Mutex<HashMap<Key, Entry>>);

impl InFlight {
    fn entries(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.0.lock().expect("nothing that is done under this lock can panic")
    }

    /// An attempt was fetched and takes up a place.
    pub(super) fn take_on(&self, assignment: Assignment, place: Place) {
        let key = (assignment.lease.job_id(), assignment.lease.attempt());
        self.entries().insert(key, Entry { assignment: Arc::new(assignment), place: Some(place) });
    }

    /// The attempt of this number.
    pub(super) fn get(&self, job: JobId, attempt: i32) -> Option<Arc<Assignment>> {
        self.entries().get(&(job, attempt)).map(|entry| Arc::clone(&entry.assignment))
    }

    /// The attempt ended: its place is free, its lease is kept up until the end is booked.
    pub(super) fn ended(&self, job: JobId, attempt: i32) -> Option<Arc<Assignment>> {
        let mut entries = self.entries();
        let entry = entries.get_mut(&(job, attempt))?;
        entry.place = None;
        Some(Arc::clone(&entry.assignment))
    }

    /// The end of the attempt is booked, or another's to book.
    pub(super) fn let_go(&self, lease: &Lease) {
        self.entries().remove(&(lease.job_id(), lease.attempt()));
    }

    /// All attempts, as two columns.
    pub(super) fn leases(&self) -> (Vec<uuid::Uuid>, Vec<i32>) {
        self.entries().keys().map(|(job, attempt)| (job.0, *attempt)).unzip()
    }
}
